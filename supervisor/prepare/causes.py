"""Which findings have one cause, and who is to hear of it?

For `check`, where whoever asks mends all files in one go: each mistake is told once, and where it was made.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace

from supervisor.config.parse import parse
from supervisor.core.policy import refuse_tenants
from supervisor.core.service import Frame
from supervisor.model import Finding, Severity
from supervisor.prepare.judgement import Judged
from supervisor.prepare.testing import assembled_or_explained

_NEEDS_OTHERS = frozenset(  # rules about what may stand in another file
    ("unknown-parser", "unknown-route-output", "unreachable-match", "undelivered-input", "no-output", "unset-variable")
)
_TRIED = frozenset(("dry-run", "start", "start-complaint"))  # rules under which Fluent Bit itself is heard
_SAYS_IT_ALL = {"duplicate-key": frozenset(("repeated-property", "set-twice"))}
"""Rule → rules that say of the same line what follows from it."""


def each_once(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """What is said of one line for one cause, said once.

    A doubt of ours about the very line that Fluent Bit then refuses is the reason why it does: it becomes the hint.
    """
    on_line: dict[tuple[str, int], list[Finding]] = {}
    for finding in dict.fromkeys(findings):
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
    told = (instead.get(finding, finding) for finding in dict.fromkeys(findings))
    return tuple(finding for finding in told if finding is not None)


def _explained(refused: Finding, doubt: Finding) -> Finding:
    hints = dict.fromkeys((f"{doubt.rule}: {doubt.message}", doubt.hint, refused.hint))
    return replace(refused, hint="; ".join(filter(None, hints)))


def by_cause(judged: Judged, frame: Frame) -> Judged:
    """Each mistake where it was made: what is missing only because a wrong file is left out is no mistake of its user.

    Who cannot run for such a reason is told so as information; whose warning came of it is told nothing.
    """
    admitted, _ = refuse_tenants(judged.snapshot.snippets)
    readable = tuple(one for one in admitted if parse(one.content, one.path).document is not None)
    whole = assembled_or_explained(replace(judged.snapshot, snippets=readable), frame, None)
    findings = judged.findings
    if whole.parts is not None:
        wrong_in_itself = frozenset(map(_identity, whole.findings))
        unread = [one.path for one in admitted if one not in readable]
        findings = tuple(_at_its_cause(judged.findings, wrong_in_itself, unread))
    return replace(judged, findings=each_once(findings))


def _identity(finding: Finding) -> tuple[str, str, int | None]:
    return finding.rule, finding.snippet, finding.line


def _at_its_cause(
    findings: Iterable[Finding], wrong_in_itself: frozenset[tuple[str, str, int | None]], unread: Sequence[str]
) -> Iterable[Finding]:
    for finding in findings:
        if finding.rule not in _NEEDS_OTHERS:
            yield finding
        elif _identity(finding) in wrong_in_itself:
            yield _perhaps_in(finding, unread)
        elif finding.severity is Severity.ERROR:
            message = f"left out as well, for want of something in a file with mistakes: {finding.message}"
            yield replace(finding, severity=Severity.INFO, message=message, hint="mend those first")


def _perhaps_in(finding: Finding, unread: Sequence[str]) -> Finding:
    if not unread:
        return finding
    where = f"{posixpath.basename(unread[0])}, which" if len(unread) == 1 else "one of the files that"
    addition = f"perhaps it stands in {where} cannot be read"
    return replace(finding, hint=f"{finding.hint}; {addition}" if finding.hint else addition)
