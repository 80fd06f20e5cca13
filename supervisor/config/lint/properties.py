"""Does the binary have this plugin, does the plugin have this property, and what becomes of its value?

Fluent Bit checks plugins and properties of the pipeline, but names neither file nor line; it checks no property within
`processors:` before it starts; and most bad values it takes for something else, or dies of. What cannot be known (a
variable without a value here, a plugin from a shared object, a binary that told nothing of itself) is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.config.lint import values as judges
from supervisor.config.lint.given import YAML_TITLES, Instance, judged
from supervisor.config.lint.rules import Rule, doubt, mistake, remark, warning
from supervisor.config.lint.texts import Values, did_you_mean, finding, known, scalars
from supervisor.config.names import shown
from supervisor.config.schema import LISTS, PROCESSORS, Schema
from supervisor.model import Finding, Group, Kind, Scalar, Section, Sequence, Snippet

RULES: tuple[Rule, ...] = (
    mistake("unknown-plugin", "a plugin that this binary does not have"),
    mistake("unknown-property", "a property that the plugin does not have, also within `processors:`"),
    mistake("missing-property", "a property without which the plugin does not start"),
    mistake("empty-property", "a property without a value, which Fluent Bit then calls unknown"),
    doubt("repeated-property", "a property given twice, of which Fluent Bit takes one (the last; of `name` the first)"),
    mistake("set-twice", "a property given twice that Fluent Bit takes only once: it does not start"),
    mistake("list-for-scalar", "a map or a list where Fluent Bit takes one text"),
    mistake("too-few-words", "a value with fewer words than the plugin needs: it does not start"),
    mistake("bad-boolean", "neither yes nor no: Fluent Bit does not start"),
    doubt("odd-boolean", "neither yes nor no for a property of which Fluent Bit does not check it"),
    mistake("bad-integer", "no whole number: read as 0"),
    mistake("bad-number", "no number: read as 0"),
    doubt("trailing-text", "something behind a number, which Fluent Bit ignores"),
    mistake("bad-size", "no size: Fluent Bit takes it for something else"),
    mistake("bad-time", "no time that Fluent Bit reads as it is meant"),
    mistake("bad-port", "no port number"),
    doubt("bad-retry-limit", "no limit of retries: Fluent Bit takes 1"),
    mistake("bad-value", "a value that is not one of those that the property has"),
    mistake("no-tls", "TLS for a plugin that has none: Fluent Bit does not start"),
    mistake("bad-alias", "control characters in an alias: they forge lines of Fluent Bit's log"),
    doubt("unclosed-variable", "`${NAME` without its brace, which stays as it stands"),
    remark("deprecated-property", "a property that no longer does anything"),
    warning("trailing-comment", "what looks like a comment behind a classic value, and is part of it"),
    mistake("indented-include", "an indented @INCLUDE, which is no include but an unknown property"),
)


def lint_instance(
    snippet: Snippet,
    section: Section,
    schema: Schema | None,
    values: Values,
    *,
    external: bool = False,
) -> Iterator[Finding]:
    """What is wrong with one input, filter, output or custom; unweighed.

    `values`: of the variables that have one; None for a value that is not known here (a secret).
    `external`: whether shared objects are loaded: then a plugin that the binary does not have may come from one.
    """
    yield from _text_rules(snippet, section)
    name = section.get("name")
    if schema is None or name is None or (text := known(name.text, values)) is None:
        return
    kinds = LISTS[section.kind]
    if kinds not in schema.plugins:
        return
    plugin = schema.find(kinds, text)
    if plugin is not None:
        instance = Instance(snippet, section, kinds, plugin, section.entries, section.line, schema, values)
        yield from judged(instance)
    elif not external:
        message = f"this Fluent Bit ({schema.version}) has no {section.kind} plugin '{shown(text)}': it would not start"
        bare = text.strip("=: \t'\"")
        decorated = bare != text and schema.find(kinds, bare) is not None
        hint = (
            f"write only {bare}, without '=' or quotes"
            if decorated
            else did_you_mean(text.lower(), schema.plugins[kinds])
        )
        yield finding(snippet, name.line, "unknown-plugin", message, hint)
    yield from _processors(snippet, section, schema, values, external)


def _text_rules(snippet: Snippet, section: Section) -> Iterator[Finding]:
    """What can be said of the texts without knowing the plugin."""
    classic = section.title.lower() not in YAML_TITLES
    for entry in section.entries:
        for value in scalars(entry.value):
            if judges.unclosed(value.text):
                message = f"a variable in {entry.key} is not closed: Fluent Bit leaves the text as it stands"
                yield finding(snippet, value.line, "unclosed-variable", message, "add the brace: ${NAME}")
            if classic and value.text.partition(" # ")[0].count('"') % 2 == 0 and " # " in value.text:
                message = f"the value of {entry.key} goes on behind ' # ': the classic format has no such comments"
                yield finding(snippet, value.line, "trailing-comment", message, "put the comment on a line of its own")
        if entry.key.lower() == "alias" and isinstance(entry.value, Scalar) and not entry.value.text.isprintable():
            message = "the alias has control characters, with which lines of Fluent Bit's log can be forged"
            yield finding(snippet, entry.line, "bad-alias", message, "use letters, digits, '.', '_' and '-'")
        if entry.key.lower() == "@include":
            message = f"an indented @INCLUDE is no include: Fluent Bit takes it for a property of this {section.kind}"
            yield finding(snippet, entry.line, "indented-include", message, "put it at the very beginning of its line")


# --- processors ---------------------------------------------------------------------------------------------------


def _processors(
    snippet: Snippet, section: Section, schema: Schema, values: Values, external: bool
) -> Iterator[Finding]:
    if section.kind not in (Kind.INPUT, Kind.OUTPUT):
        return
    for entry in section.entries:
        if entry.key.lower() != "processors" or not isinstance(entry.value, Group):
            continue
        for signal in entry.value.entries:
            for unit in signal.value.items if isinstance(signal.value, Sequence) else ():
                if isinstance(unit, Group):
                    yield from _unit(snippet, section, unit, schema, values, external)


def _unit(
    snippet: Snippet,
    section: Section,
    unit: Group,
    schema: Schema,
    values: Values,
    external: bool,
) -> Iterator[Finding]:
    """One processor: it may be made from a filter, which comes first (5.1.1)."""
    name = next((e.value for e in unit.entries if e.key == "name" and isinstance(e.value, Scalar)), None)
    if name is None or "${" in name.text or not {"filters", PROCESSORS} <= set(schema.plugins):
        return
    for kinds in ("filters", PROCESSORS):
        plugin = schema.find(kinds, name.text)
        if plugin is not None:
            entries = tuple(entry for entry in unit.entries if entry.key != "condition")
            yield from judged(
                Instance(snippet, section, kinds, plugin, entries, unit.line, schema, values, processor=True)
            )
            return
    if not external:
        message = (
            f"this Fluent Bit ({schema.version}) has no processor or filter '{shown(name.text)}': it would not start"
        )
        hint = did_you_mean(name.text.lower(), [*schema.plugins["filters"], *schema.plugins[PROCESSORS]])
        yield finding(snippet, name.line, "unknown-plugin", message, hint)
