"""Which of the things said of one line have one cause, and so are said once?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from supervisor.model import Finding, Severity

_TRIED = frozenset(("dry-run", "start", "start-complaint"))  # rules under which Fluent Bit itself is heard
_SAYS_IT_ALL = {
    "duplicate-key": frozenset(("repeated-property", "set-twice")),
    "duplicate-service": frozenset(("duplicate-key",)),
}
"""Rule → rules that say of the same line what follows from it."""


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
    told = (instead.get(finding, finding) for finding in unique)
    return tuple(finding for finding in told if finding is not None)


def _explained(refused: Finding, doubt: Finding) -> Finding:
    hints = dict.fromkeys((f"{doubt.rule}: {doubt.message}", doubt.hint, refused.hint))
    return replace(refused, hint="; ".join(filter(None, hints)))
