"""Which parsers are there, who defines one twice, and who names one that is not there?

Parsers come from sections and from the parsers files that were read. Names of parsers count case, those of multiline
parsers do not; a multiline parser of the same name as a built-in one is taken for it (5.1.1). When a parsers file
could not be looked into, nobody is told that a parser is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from supervisor.config.lint.conflicts import Claim, contested
from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.texts import (
    Values,
    boolean,
    did_you_mean,
    finding,
    has,
    known,
    plugin_of,
    scalars,
    value_of,
    with_units,
)
from supervisor.config.names import lower, shown
from supervisor.config.parse import parse
from supervisor.model import Finding, Kind, Scalar, Section, Snippet

RULES: tuple[Rule, ...] = (
    mistake("duplicate-parser", "a parser that is defined twice: Fluent Bit refuses the whole config"),
    doubt("duplicate-multiline-parser", "a multiline parser that is defined twice, or has the name of a built-in one"),
    mistake("incomplete-parser", "a parser without name, format or regex: Fluent Bit refuses the whole config"),
    mistake("unknown-parser", "a parser that is named and not defined anywhere"),
    mistake("bad-parsers-file", "a parsers file that Fluent Bit cannot read"),
)

BUILT_IN = frozenset({"docker", "cri", "java", "go", "ruby", "python"})
"""Multiline parsers that Fluent Bit 5.1.1 brings along."""

_NAMING: Mapping[tuple[Kind, str], tuple[str, ...]] = {
    (Kind.INPUT, "docker_events"): ("parser",),
    (Kind.INPUT, "exec"): ("parser",),
    (Kind.INPUT, "exec_wasi"): ("parser",),
    (Kind.INPUT, "stdin"): ("parser",),
    (Kind.INPUT, "syslog"): ("parser",),
    (Kind.INPUT, "tail"): ("parser", "docker_mode_parser"),
    (Kind.INPUT, "tcp"): ("parser",),
    (Kind.INPUT, "udp"): ("parser",),
    (Kind.FILTER, "kubernetes"): ("merge_parser", "regex_parser"),
    (Kind.FILTER, "parser"): ("parser",),
    (Kind.MULTILINE_PARSER, ""): ("parser",),
}
_MULTILINE = frozenset({(Kind.INPUT, "tail"), (Kind.FILTER, "multiline")})


@dataclass(frozen=True, slots=True)
class _Definition:
    name: str
    written: str  # without the values of variables
    multiline: bool
    snippet: Snippet
    line: int
    file: str = ""  # the parsers file that it stands in; empty: the snippet's own text


@dataclass(frozen=True, slots=True)
class _File:
    """A parsers file that is named."""

    place: Located
    line: int
    path: str
    content: bytes | None  # None: it was not read


def lint_parsers(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """What is wrong with the parsers, and with those who name them."""
    definitions = list(_definitions(sections, context))
    yield from _incomplete(sections)
    yield from _unreadable(context)
    yield from _duplicates(definitions, context)
    if not context.unseen_parsers and not any(_is_unseen(file.content) for file in _files(context)):
        plain = frozenset(d.name for d in definitions if not d.multiline)
        multiline = frozenset(lower(d.name) for d in definitions if d.multiline) | BUILT_IN
        for place in with_units(sections):
            yield from _unknown(place, plain, multiline, context)


# --- what is there ------------------------------------------------------------------------------------------------


def _definitions(sections: Sequence[Located], context: Context) -> Iterator[_Definition]:
    """In load order, those of a file where it is named."""
    in_files: dict[int, list[_Definition]] = {}
    for place, definition in _in_files(context):
        in_files.setdefault(id(place), []).append(definition)
    for place in sections:
        section = place.section
        yield from in_files.get(id(place), ())
        name = section.get("name")
        if section.kind in (Kind.PARSER, Kind.MULTILINE_PARSER) and name is not None:
            text = known(name.text, context.variables)
            if text is not None:
                yield _Definition(text, name.text, section.kind is Kind.MULTILINE_PARSER, place.snippet, section.line)


def _in_files(context: Context) -> Iterator[tuple[Located, _Definition]]:
    for file in _files(context):
        for section in _sections_of(file.path, file.content) if file.content is not None else ():
            name = section.get("name")
            if section.kind in (Kind.PARSER, Kind.MULTILINE_PARSER) and name is not None:
                multiline = section.kind is Kind.MULTILINE_PARSER
                yield file.place, _Definition(name.text, name.text, multiline, file.place.snippet, file.line, file.path)


def _files(context: Context) -> Iterator[_File]:
    """Every parsers file that is named."""
    for referred in context.referred:
        if referred.wanted.kind == "parsers_file":
            reference = referred.reference
            path = reference.path if reference is not None else referred.wanted.written
            yield _File(referred.place, referred.wanted.line, path, reference.content if reference else None)


def _sections_of(path: str, content: bytes) -> tuple[Section, ...]:
    document = parse(content, path).document
    return document.sections if document is not None else ()


def _is_unseen(content: bytes | None) -> bool:
    """Whether parsers may stand in it that nobody has seen."""
    return content is None or b"@include" in content.lower() or b"includes:" in content.lower() or b"${" in content


# --- what is wrong with them --------------------------------------------------------------------------------------


def _incomplete(sections: Sequence[Located]) -> Iterator[Finding]:
    for place in sections:
        section = place.section
        if section.kind not in (Kind.PARSER, Kind.MULTILINE_PARSER):
            continue
        format_of = section.get("format")
        missing = ""
        if section.get("name") is None:
            missing = "name"
        elif section.kind is Kind.PARSER and format_of is None:
            missing = "format"
        elif section.kind is Kind.PARSER and format_of is not None and lower(format_of.text) == "regex":
            missing = "" if has(section, "regex") else "regex"
        elif section.kind is Kind.MULTILINE_PARSER and not has(section, "type"):
            missing = "type"
        if missing:
            message = f"this {section.kind.replace('_', ' ')} has no '{missing}': Fluent Bit refuses the whole config"
            yield finding(place.snippet, section.line, "incomplete-parser", message, f"add its {missing}")


def _unreadable(context: Context) -> Iterator[Finding]:
    for file in _files(context):
        parsed = parse(file.content, file.path) if file.content is not None else None
        if parsed is not None and parsed.document is None:
            fault = parsed.findings[-1]
            message = f"the parsers file {file.path} cannot be read: line {fault.line}: {fault.message}"
            yield finding(file.place.snippet, file.line, "bad-parsers-file", message, fault.hint)


def _duplicates(definitions: Sequence[_Definition], context: Context) -> Iterator[Finding]:
    """Names that are taken. Of a whole file that clashes with another the first is told, with the number of them."""
    claims = [Claim((d.multiline, _folded(d)), d, d.snippet, d.line) for d in definitions]
    told: dict[tuple[bool, str, int, str, str], list[str]] = {}
    places: dict[tuple[bool, str, int, str, str], tuple[_Definition, Claim[_Definition]]] = {}
    for claim, _, holder in contested(claims, context.newcomers, lambda one, other: True):
        definition = claim.thing
        # One cause each: two definitions, or two files that hold the same names.
        cause = holder.thing.file or f"{holder.thing.snippet.name}:{holder.thing.line}"
        key = (definition.multiline, definition.snippet.name, definition.line, definition.file, cause)
        told.setdefault(key, []).append(definition.name)
        places.setdefault(key, (definition, holder))
    for key, (definition, holder) in places.items():
        more = f" and {len(told[key]) - 1} more" if len(told[key]) > 1 else ""
        where = holder.seen_from(definition.snippet) + (f", in {holder.thing.file}" if holder.thing.file else "")
        inside = f" of {definition.file}" if definition.file else ""
        what = f"parser '{shown(definition.written)}'{more}{inside} is defined already ({where})"
        if definition.multiline:
            rule, message = "duplicate-multiline-parser", f"the multiline {what}: one is ignored"
        else:
            rule, message = "duplicate-parser", f"the {what}: Fluent Bit refuses that"
        yield finding(definition.snippet, definition.line, rule, message, "give it a name of its own")
    for definition in definitions:
        if definition.multiline and lower(definition.name) in BUILT_IN:
            message = f"'{shown(definition.written)}' is the name of a multiline parser that Fluent Bit brings along"
            hint = "give it a name of its own"
            yield finding(definition.snippet, definition.line, "duplicate-multiline-parser", message, hint)


def _folded(definition: _Definition) -> str:
    return lower(definition.name) if definition.multiline else definition.name


# --- who names them -----------------------------------------------------------------------------------------------


def _unknown(place: Located, plain: frozenset[str], multiline: frozenset[str], context: Context) -> Iterator[Finding]:
    section, values = place.section, context.variables
    plugin = plugin_of(section, values) if section.kind is not Kind.MULTILINE_PARSER else ""
    for scalar in _named(section, _NAMING.get((section.kind, plugin), ()), values):
        if (text := known(scalar.text, values)) and text not in plain:
            yield _missing(place, scalar, scalar.text, "parser", plain)
    if (section.kind, plugin) == (Kind.INPUT, "syslog") and not has(section, "parser"):
        yield from _syslog(place, plain, values)
    if (section.kind, plugin) in _MULTILINE:
        for scalar in _named(section, ("multiline.parser",), values):
            for name in map(str.strip, scalar.text.split(",")):
                filled = lower(known(name, values) or "")
                if filled and filled not in multiline:
                    yield _missing(place, scalar, name, "multiline parser", multiline)


def _named(section: Section, keys: Sequence[str], values: Values) -> Iterator[Scalar]:
    wanted: Callable[[str], bool] = keys.__contains__
    multiline = (section.kind, plugin_of(section, values)) == (Kind.INPUT, "tail") and keys[:1] == ("parser",)
    if multiline and boolean(value_of(section, "multiline", values)) is True:
        wanted = lambda key: key.startswith("parser_")  # noqa: E731 - the old way: one key for each line's parser
    for entry in section.entries:
        if wanted(lower(entry.key)):
            yield from scalars(entry.value)


def _missing(place: Located, scalar: Scalar, name: str, what: str, names: frozenset[str]) -> Finding:
    message = f"the {what} '{shown(name)}' is not defined anywhere"
    hint = did_you_mean(name, names) or "define it, or name the parsers file that does"
    return finding(place.snippet, scalar.line, "unknown-parser", message, hint)


def _syslog(place: Located, plain: frozenset[str], values: Values) -> Iterator[Finding]:
    """Without a parser of its own this input takes one by name, and does not start when it is not there (5.1.1)."""
    mode = lower(value_of(place.section, "mode", values) or "")
    if has(place.section, "mode") and not mode:
        return
    needed = "syslog-rfc5424" if mode in ("tcp", "udp") else "syslog-rfc3164-local"
    if needed not in plain:
        message = f"syslog needs the parser '{needed}' here, and nobody defines it: Fluent Bit would not start"
        hint = "name a parser, or the parsers file that defines this one"
        yield finding(place.snippet, place.section.line, "unknown-parser", message, hint)
