"""What can go live next?

From a snapshot to an answer: assemble, lint, dry-run. It reads, and writes only where nobody else looks; so it may be
repeated and abandoned at any time. `run`, `check` and `render` all ask here: one verdict for all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from supervisor.adapters.access import unusable
from supervisor.adapters.fluent_bit import FluentBit, dry_run_environment
from supervisor.adapters.store import lay_out
from supervisor.core.assemble import Assembled, assemble
from supervisor.core.blame import attributed
from supervisor.core.service import Frame
from supervisor.model import (
    Accepted,
    Candidate,
    Finding,
    Inconclusive,
    Rejected,
    Severity,
    Snapshot,
    StoreError,
    Trust,
    Verdict,
)

_PASSED_KEPT = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """A snapshot with all that is to be said about it."""

    snapshot: Snapshot
    assembled: Assembled
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def candidate(self) -> Candidate | None:
        return self.assembled.candidate


class Judgement:
    """Judges snapshots with one binary, one frame, and one directory for candidates that are only looked at."""

    def __init__(self, *, frame: Frame, fluent_bit: FluentBit | None, scratch: str) -> None:
        self._frame = frame
        self._fluent_bit = fluent_bit  # None: no dry-run, and the caller says so
        self._scratch = scratch
        self._passed: dict[str, None] = {}  # digests that this binary took, the latest last

    async def judge(
        self,
        snapshot: Snapshot,
        *,
        veto: Callable[[Assembled], Finding | None] | None = None,
        dispensable: Callable[[str], bool] = lambda name: False,
    ) -> Judged:
        """Never raises for what an author did. `veto` may refuse what was assembled, before any process starts."""
        assembled = await asyncio.to_thread(assembled_or_explained, snapshot, self._frame, dispensable)
        findings = assembled.findings
        if assembled.candidate is not None:
            findings += await asyncio.to_thread(_access, assembled.candidate, snapshot)
        vetoed = veto(assembled) if veto is not None and not assembled.refused else None
        if vetoed is not None:
            findings += (vetoed,)
        if assembled.candidate is None or assembled.refused or vetoed is not None or _unusable(findings):
            return Judged(snapshot, assembled, Rejected(errors(findings)), in_order(findings))
        verdict = await self._ask(assembled.candidate)
        if isinstance(verdict, Rejected):
            findings += verdict.findings
        return Judged(snapshot, assembled, verdict, in_order(findings))

    async def _ask(self, candidate: Candidate) -> Verdict:
        nothing_said = candidate.idle and len(candidate.files) == 1  # parsers alone run nothing, and may be wrong
        if self._fluent_bit is None or nothing_said or candidate.digest in self._passed:
            return Accepted()
        environment = dry_run_environment(os.environ, candidate.variables)
        try:
            main = await asyncio.to_thread(lay_out, candidate, self._scratch)
        except StoreError as error:
            return Inconclusive(str(error))
        try:
            verdict = await self._fluent_bit.dry_run(main, environment)
            if isinstance(verdict, Inconclusive) and verdict.crashed:
                verdict = await self._fluent_bit.dry_run(main, environment)  # a crash that repeats is the config's
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch, True)
        if isinstance(verdict, Rejected):
            return Rejected(await asyncio.to_thread(_attributed, verdict.findings, candidate))
        if isinstance(verdict, Accepted):
            self._passed = {**dict.fromkeys(list(self._passed)[-_PASSED_KEPT:]), candidate.digest: None}
        return verdict


def _attributed(findings: Iterable[Finding], candidate: Candidate) -> tuple[Finding, ...]:
    return tuple(attributed(finding, candidate) for finding in findings)


def assembled_or_explained(snapshot: Snapshot, frame: Frame, dispensable: Callable[[str], bool]) -> Assembled:
    """`assemble`, with a fault of our own turned into a finding: a bug must not become an outage."""
    try:
        return assemble(snapshot, frame, dispensable=dispensable)
    except Exception:
        message = "this is a fault of the supervisor itself; what runs goes on"
        detail = traceback.format_exc(limit=-8)
        finding = Finding(Severity.ERROR, "internal-error", message, "please report it with the trace in our log")
        return Assembled(None, (*snapshot.findings, finding), trace=detail)


def with_paths(findings: Iterable[Finding], snapshot: Snapshot) -> tuple[Finding, ...]:
    """Findings that name a snippet, with the path that its author knows."""
    paths: Mapping[str, str] = {snippet.name: snippet.path for snippet in snapshot.snippets}
    return tuple(
        replace(finding, path=paths[finding.snippet]) if not finding.path and finding.snippet in paths else finding
        for finding in findings
    )


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place, each thing said once; what is said of one place stays in its order, first cause first."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda f: (f.path, f.snippet, f.line or 0, f.rule)))


def _unusable(findings: Iterable[Finding]) -> bool:
    return any(f.rule == "unusable-directory" and f.severity is Severity.ERROR for f in findings)


def _access(candidate: Candidate, snapshot: Snapshot) -> tuple[Finding, ...]:
    """Directories that this uid can neither write to nor make: Fluent Bit would not start with them."""
    strict = {snippet.name for snippet in snapshot.snippets if snippet.trust is not Trust.BASE}
    hint = "give this uid the right to write there, or name another directory"
    findings = []
    for needed in candidate.directories:
        if problem := unusable(needed.path):
            severity = Severity.ERROR if needed.snippet in strict else Severity.WARNING
            findings.append(Finding(severity, "unusable-directory", problem, hint, needed.snippet, "", needed.line))
    return tuple(findings)
