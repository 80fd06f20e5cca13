"""Which of the things said of one line have one cause, and so are said once?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from supervisor.model import Finding, Severity

_TRIED = frozenset(("dry-run", "start", "start-complaint"))  # rules under which Fluent Bit itself is heard
_SAYS_IT_ALL = {
    "duplicate-key": frozenset(("repeated-property", "set-twice")),
    "duplicate-service": frozenset(("duplicate-key",)),
}
"""Rule → rules that say of the same line what follows from it."""
_MEANT = re.compile(r"did you mean '(?P<key>[^']+)'\?")
_MATCH = frozenset(("match", "match_regex"))
_ROUTING = frozenset(("tag", "match", "match_regex"))
_WHERE_TO = frozenset(("undelivered-input", "unreachable-match"))
_MISSING = frozenset(("output-without-match", "filter-without-match", "missing-property"))


def each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is said of one line for one cause, said once.

    A doubt of ours about the very line that Fluent Bit then refuses is the reason why it does: it becomes the hint.
    """
    unique = dict.fromkeys(findings)
    on_line: dict[tuple[str, int], list[Finding]] = {}
    for finding in unique:
        if finding.line is not None:
            on_line.setdefault((finding.snippet, finding.line), []).append(finding)
    instead: dict[Finding, Finding | None] = {}
    for together in on_line.values():
        implied = frozenset[str]().union(*(_SAYS_IT_ALL.get(finding.rule, frozenset()) for finding in together))
        instead |= {finding: None for finding in together if finding.rule in implied}
        refused = [finding for finding in together if finding.rule in _TRIED]
        doubts = [finding for finding in together if finding.severity is Severity.WARNING]
        if len(refused) == len(doubts) == 1 and len(together) == 2:
            instead |= {doubts[0]: None, refused[0]: _explained(refused[0], doubts[0])}
    instead |= dict.fromkeys(_missed(tuple(unique)))
    instead |= dict.fromkeys(_lost(tuple(unique)))
    told = (instead.get(finding, finding) for finding in unique)
    return tuple(finding for finding in told if finding is not None)


def _lost(findings: Sequence[Finding]) -> Iterable[Finding]:
    """Doubts about where records go, in a snippet whose `tag` or `match` is mistyped."""
    mistyped = {
        each.snippet
        for each in findings
        if each.rule == "unknown-property" and (meant := _MEANT.search(each.hint)) and meant["key"] in _ROUTING
    }
    return (each for each in findings if each.rule in _WHERE_TO and each.snippet in mistyped)


def _missed(findings: Sequence[Finding]) -> Iterable[Finding]:
    """What a section is said to miss, though its author has written it and mistyped the key.

    A section ends where another one is said to miss something; that is all that findings tell of it.
    """
    missing = [each for each in findings if each.rule in _MISSING and each.line is not None]
    for mistyped in findings:
        meant = _MEANT.search(mistyped.hint) if mistyped.rule == "unknown-property" else None
        if meant is None or mistyped.line is None:
            continue
        above = [each for each in missing if each.snippet == mistyped.snippet and (each.line or 0) <= mistyped.line]
        start = max((each.line or 0 for each in above), default=0)
        yield from (each for each in above if each.line == start and _is_missing(each, meant["key"]))


def _is_missing(finding: Finding, key: str) -> bool:
    return key in _MATCH if finding.rule.endswith("-without-match") else f"'{key}'" in finding.message


def _explained(refused: Finding, doubt: Finding) -> Finding:
    hints = dict.fromkeys((f"{doubt.rule}: {doubt.message}", doubt.hint, refused.hint))
    return replace(refused, hint="; ".join(filter(None, hints)))
