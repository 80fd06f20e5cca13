"""Whose mistake is it, where one file is left out and another one needs it?

For `check`, where whoever asks mends all files in one go: each mistake is told where it was made.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace

from supervisor.config.parse import parse
from supervisor.core.service import Frame
from supervisor.model import Finding, Severity, Trust
from supervisor.prepare.examining import assembled_or_explained
from supervisor.prepare.judgement import Judged

_NEEDS_OTHERS = frozenset(  # rules about what may stand in another file
    ("unknown-parser", "unknown-route-output", "unreachable-match", "undelivered-input", "no-output", "unset-variable")
)


def by_cause(judged: Judged, frame: Frame) -> Judged:
    """Each mistake where it was made: what is missing only because a wrong file is left out is no mistake of its user.

    Who cannot run for such a reason is told so as information; whose warning came of it is told nothing.
    """
    if not any(finding.rule in _NEEDS_OTHERS for finding in judged.findings):
        return judged
    snippets = judged.snapshot.snippets
    wrong = {f.snippet for f in judged.findings if f.severity is Severity.ERROR and f.rule not in _NEEDS_OTHERS}
    admitted = [one for one in snippets if one.trust is not Trust.TENANT or one.name not in wrong]
    readable = tuple(one for one in admitted if parse(one.content, one.path).document is not None)
    whole = assembled_or_explained(replace(judged.snapshot, snippets=readable), frame, None)
    if whole.parts is None:
        return judged
    unseen = any(finding.rule == "bad-parsers-file" for finding in whole.findings)
    itself = (finding for finding in whole.findings if not (unseen and finding.rule == "unknown-parser"))
    wrong_in_itself = frozenset(map(_identity, itself))  # in a file that nobody can read any parser may stand
    unread = [one.path for one in admitted if one not in readable]
    return replace(judged, findings=tuple(_at_its_cause(judged.findings, wrong_in_itself, unread)))


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
