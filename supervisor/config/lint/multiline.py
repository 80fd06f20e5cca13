"""Which rules of a multiline parser do not fit together?

Fluent Bit 5.1.1 refuses the whole config for one, and names the parser but no file: the first rule must begin in
`start_state`, and a rule may lead only to a state that a rule begins in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, mistake
from supervisor.config.lint.texts import Values, finding, known, value_of
from supervisor.config.names import lower, shown
from supervisor.model import Finding, Group, Kind, Scalar, Section
from supervisor.model import Sequence as Listing

RULES: tuple[Rule, ...] = (
    mistake("bad-multiline-rule", "rules of a multiline parser that do not begin, or lead nowhere"),
)

_START = "start_state"
_QUOTED = re.compile(r'"([^"\\]*)"\s+"(?:[^"\\]|\\.)*"(?:\s+"([^"\\]*)")?\s*')


@dataclass(frozen=True, slots=True)
class _Step:
    """From which states a rule begins, and to which it leads."""

    begins: tuple[str, ...]
    leads: str | None
    line: int


def lint_multiline(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """Rules that cannot work. When one of them cannot be read for sure, nothing is said of any."""
    for place in sections:
        section = place.section
        if (
            section.kind is not Kind.MULTILINE_PARSER
            or lower(value_of(section, "type", context.variables) or "") != "regex"
        ):
            continue
        steps = _steps(section, context.variables)
        if not steps:
            continue
        states = {state for step in steps for state in step.begins}
        if _START not in steps[0].begins:
            message = f"the first rule does not begin in '{_START}': Fluent Bit refuses the whole config"
            yield finding(place.snippet, steps[0].line, "bad-multiline-rule", message, f"begin with '{_START}'")
        for step in steps:
            if step.leads is not None and step.leads not in states:
                message = f"no rule begins in the state '{shown(step.leads)}': Fluent Bit refuses the whole config"
                hint = f"the states are: {', '.join(sorted(map(shown, states)))}"
                yield finding(place.snippet, step.line, "bad-multiline-rule", message, hint)


def _steps(section: Section, values: Values) -> list[_Step]:
    """The rules in Fluent Bit's order, groups first; none when one of them is not understood."""
    groups = [group for entry in section.entries for group in _groups(entry.value)]
    written = [e.value for e in section.entries if lower(e.key) == "rule" and isinstance(e.value, Scalar)]
    steps = [*(_of_group(group, values) for group in groups), *(_of_text(scalar, values) for scalar in written)]
    known_steps = [step for step in steps if step is not None]
    return known_steps if len(known_steps) == len(steps) else []


def _groups(node: object) -> Iterator[Group]:
    match node:
        case Group():
            yield node
        case Listing():
            yield from (item for item in node.items if isinstance(item, Group))


def _of_group(group: Group, values: Values) -> _Step | None:
    said = {e.key: known(e.value.text, values) for e in group.entries if isinstance(e.value, Scalar)}
    state, leads = said.get("state"), said.get("next_state")
    return _Step(_split(state), leads, group.line) if state and leads else None


def _of_text(scalar: Scalar, values: Values) -> _Step | None:
    found = _QUOTED.fullmatch(known(scalar.text, values) or "")
    return _Step(_split(found[1]), found[2], scalar.line) if found is not None else None


def _split(states: str) -> tuple[str, ...]:
    return tuple(state.strip() for state in states.split(","))
