"""Which regular expression can surely not be read?

Only what no dialect takes: a bracket without its partner, nothing before a repetition, a backslash at the end. Fluent
Bit's expressions (Onigmo) are richer than Python's, so none is tried here. What becomes of a bad one differs (5.1.1):
an output's `match_regex` never matches, in silence; a parser makes the whole config be refused; `grep` and
`rewrite_tag` die at start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, mistake
from supervisor.config.lint.texts import Values, finding, known, plugin_of, scalars, with_units
from supervisor.config.names import lower
from supervisor.model import Finding, Group, Kind, Node, Scalar, Section
from supervisor.model import Sequence as Listing

RULES: tuple[Rule, ...] = (
    mistake("bad-match-regex", "a `match_regex` that cannot be read: it never matches"),
    mistake("bad-regex", "a regular expression that cannot be read, in a parser, `grep` or `rewrite_tag`"),
)


_DELIMITED = re.compile(r"/(.*)/([imox]*)", re.DOTALL)
_GROUP = re.compile(r"\(\?(?:[:=!>]|<[=!]|<[A-Za-z_]\w*>)")
_REWRITE_RULE = re.compile(r"\s*\S+\s+(?P<regex>\S+)\s+\S+\s+\S+\s*")
_SAID = "the regular expression of '{key}' cannot be read: {fault}"


def lint_regexes(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """Expressions that cannot be read, each with what becomes of it."""
    for place in with_units(sections):
        for rule, key, scalar, text in _expressions(place.section, context.variables):
            if fault := fault_of(text):
                effect = "it would never match" if rule == "bad-match-regex" else "Fluent Bit would not start"
                message = f"{_SAID.format(key=key, fault=fault)}; {effect}"
                yield finding(place.snippet, scalar.line, rule, message, "correct the expression, or escape it")


def _expressions(section: Section, values: Values) -> Iterator[tuple[str, str, Scalar, str]]:
    """Every expression of a section: the rule that speaks for it, its key, where it stands, its text."""
    plugin = plugin_of(section, values)
    for entry in section.entries:
        key = lower(entry.key)
        for scalar in scalars(entry.value) if not isinstance(entry.value, Group) else ():
            text = known(scalar.text, values)
            if text is None:
                continue
            match section.kind, plugin, key:
                case (Kind.OUTPUT | Kind.FILTER, _, "match_regex"):
                    yield "bad-match-regex", key, scalar, text
                case (Kind.PARSER, _, "regex") | (Kind.MULTILINE_PARSER, _, "rules") if scalar.text:
                    if key == "regex" or _is_regex_of_rule(entry.value, scalar):
                        yield "bad-regex", key, scalar, text
                case (Kind.FILTER, "grep", "regex" | "exclude") if " " in text.strip():
                    yield "bad-regex", key, scalar, text.strip().partition(" ")[2].lstrip()
                case (Kind.FILTER, "rewrite_tag", "rule"):
                    found = _REWRITE_RULE.fullmatch(text)
                    if found is not None and '"' not in text:
                        yield "bad-regex", key, scalar, found["regex"]


def _is_regex_of_rule(node: Node, scalar: Scalar) -> bool:
    """Whether the value stands under `regex` in one of the rules of a multiline parser."""
    rules = node.items if isinstance(node, Listing) else ()
    return any(
        entry.value is scalar and entry.key == "regex"
        for rule in rules
        if isinstance(rule, Group)
        for entry in rule.entries
    )


def fault_of(pattern: str) -> str:
    """What surely keeps the expression from being read; empty when nothing does."""
    text = _bare(pattern)
    depth, position, repeatable = 0, 0, False
    while text is not None and position < len(text):
        character, step = text[position], 1
        if character == "\\":
            step, repeatable = 2, True
            if position + 1 == len(text):
                return "it ends in a lone backslash"
        elif character == "[":
            step, repeatable = _class_length(text, position), True
            if step == 0:
                return ""  # a class within a class: too rich to be sure
            if step < 0:
                return "a '[' is never closed"
        elif character == "(":
            group = _GROUP.match(text, position)
            if group is None and text.startswith("(?", position):
                return ""  # options, comments, conditions: too rich to be sure
            step, depth, repeatable = len(group[0]) if group else 1, depth + 1, False
        elif character == ")":
            depth, repeatable = depth - 1, True
            if depth < 0:
                return "a ')' closes nothing"
        elif character in "*+?" and not repeatable:
            return f"a '{character}' repeats nothing"
        else:
            repeatable = character != "|"
        position += step
    return "a '(' is never closed" if depth else ""


def _bare(pattern: str) -> str | None:
    """The expression without the slashes and options that Fluent Bit allows around it; None: free spacing."""
    found = _DELIMITED.fullmatch(pattern)
    if found is None:
        return pattern
    return None if "x" in found[2] else found[1]


def _class_length(text: str, start: int) -> int:
    """How long a character class is; 0 when that is not sure, -1 when it never ends."""
    position = start + 1
    if text.startswith("^", position):
        position += 1
    if text.startswith("]", position):
        return 0
    while position < len(text):
        match text[position]:
            case "\\":
                position += 2
            case "[":
                posix = text.find(":]", position) if text.startswith("[:", position) else -1
                if posix < 0:
                    return 0
                position = posix + 2
            case "]":
                return position + 1 - start
            case _:
                position += 1
    return -1
