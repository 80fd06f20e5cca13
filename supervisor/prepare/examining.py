"""May this selection run? Assembled, linted, looked at where it will live, dry-run, and started on trial.

What Fluent Bit said of a candidate is remembered by its digest: nothing is asked twice.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from supervisor.adapters.access import short_of_space, unusable
from supervisor.adapters.fluent_bit import FluentBit, dry_run_environment
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial, free_port, memory_room, taken, too_little_room
from supervisor.config.lint import weigh
from supervisor.core.admission import Failed
from supervisor.core.assemble import Assembled, assemble
from supervisor.core.blame import traced
from supervisor.core.candidate import make_candidate
from supervisor.core.rehearsal import real_resources, rehearse, with_placeholders
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

HANGS = "look for an endless loop in a script"  # the hint of what never became ready
_KEPT = 500  # verdicts remembered
_SHORTAGE = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.EIO)
)
"""What the machine lacks for the time being: nobody's config."""
_Stage = Callable[[str, str, float], None]


def _unheard(stage: str, result: str, seconds: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One selection, and what came of it."""

    assembled: Assembled
    verdict: Verdict
    findings: tuple[Finding, ...]


class Examiner:
    """Tests selections with one binary, one frame, and one directory for candidates that are only looked at."""

    def __init__(
        self,
        *,
        frame: Frame,
        fluent_bit: FluentBit | None,  # None: neither dry-run nor trial, and the caller says so
        scratch: str,
        trial: Trial | None = None,
        held_ports: Callable[[], frozenset[int] | None] = frozenset,  # that our own child listens on; None: unknown
        looks: bool = True,  # whether this machine is the one that it will live on
        heard: _Stage = _unheard,  # stage, result, seconds
    ) -> None:
        self._frame, self._fluent_bit, self._scratch = frame, fluent_bit, scratch
        self._trial, self._held_ports, self._looks, self._heard = trial, held_ports, looks, heard
        self._verdicts: dict[str, Verdict] = {}  # by digest of the candidate, the latest last
        self.dry_runs = 0
        self.trials = 0

    @property
    def frame(self) -> Frame:
        return self._frame

    async def examine(self, snapshot: Snapshot, newcomers: frozenset[str] | None, *, proven: str = "") -> Examined:
        """Never raises. `proven`: digest of the candidate that runs: it needs no test."""
        try:
            return await self._examine(snapshot, newcomers, proven)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _SHORTAGE:
                reason = f"it could not be examined: {os.strerror(error.errno)}"
                return Examined(Assembled(None, snapshot.findings), Inconclusive(reason), snapshot.findings)
            failed = our_fault(snapshot)
            return Examined(failed, Rejected(failed.findings), failed.findings)

    async def _examine(self, snapshot: Snapshot, newcomers: frozenset[str] | None, proven: str) -> Examined:
        began = time.monotonic()
        assembled = await asyncio.to_thread(assembled_or_explained, snapshot, self._frame, newcomers)
        findings = assembled.findings
        if assembled.candidate is not None and assembled.candidate.digest != proven:
            findings += await asyncio.to_thread(self._looked_at, assembled, snapshot)
        wrong = any(finding.severity is Severity.ERROR for finding in findings)
        self._heard("lint", "rejected" if wrong else "accepted", time.monotonic() - began)
        if assembled.candidate is None or wrong:
            return Examined(assembled, Rejected(findings), findings)
        verdict = await self._ask(assembled, assembled.candidate, proven)
        if not isinstance(verdict, Rejected):
            return Examined(assembled, verdict, findings)
        said = _weighed(verdict.findings, snapshot, findings)
        if all(finding.severity is not Severity.ERROR for finding in said):
            return Examined(assembled, Accepted(), findings + said)
        return Examined(assembled, Rejected(said), findings + said)

    async def _ask(self, assembled: Assembled, candidate: Candidate, proven: str) -> Verdict:
        nothing_said = candidate.idle and len(candidate.files) == 1  # parsers alone run nothing, and may be wrong
        if self._fluent_bit is None or nothing_said or candidate.digest == proven:
            return Accepted()
        known = self._verdicts.get(candidate.digest)
        if known is None:
            watched = () if assembled.parts is None else tuple(assembled.parts.watched)
            known = await self._dry_run(self._fluent_bit, self._harmless(assembled, candidate), watched)
            if isinstance(known, Accepted) or (isinstance(known, Inconclusive) and known.crashed):
                known = await self._tried(assembled, candidate, known)
            if isinstance(known, Rejected):
                found = known.findings
                arguments = self._frame.arguments
                known = Rejected(await asyncio.to_thread(lambda: traced(found, candidate, arguments)))
            if not isinstance(known, Inconclusive) and not is_hang(known):  # what time told, time may change
                self._verdicts = {**dict(list(self._verdicts.items())[-_KEPT:]), candidate.digest: known}
        return known

    def _harmless(self, assembled: Assembled, candidate: Candidate) -> Candidate:
        """The candidate without secrets of tenants, which nobody needs who only reads it."""
        parts = assembled.parts
        if parts is None or (harmless := with_placeholders(parts)) is parts:
            return candidate
        return make_candidate(harmless, self._frame)

    async def _dry_run(self, fluent_bit: FluentBit, candidate: Candidate, reads: tuple[str, ...]) -> Verdict:
        began = time.monotonic()
        environment = dry_run_environment(os.environ, candidate.variables)
        try:
            main = await asyncio.to_thread(lay_out, candidate, self._scratch)
        except StoreError as error:
            return Inconclusive(str(error))
        lines = sum(len(file.origins) for file in candidate.files)

        def ask() -> Awaitable[Verdict]:
            return fluent_bit.dry_run(main, environment, scratch=self._scratch, reads=reads, lines=lines)

        try:
            self.dry_runs += 1
            verdict = await ask()
            if isinstance(verdict, Inconclusive) and verdict.crashed:
                verdict = await ask()  # a crash that repeats is the config's
        finally:
            await asyncio.to_thread(shutil.rmtree, self._scratch, True)
        self._heard("dry-run", _word(verdict), time.monotonic() - began)
        return verdict

    async def _tried(self, assembled: Assembled, candidate: Candidate, dry_run: Verdict) -> Verdict:
        """The trial start, if it can say anything; else the dry-run's word stands, and probation decides."""
        if self._trial is None or assembled.parts is None or candidate.idle:
            return dry_run
        began = time.monotonic()
        self.trials += 1
        verdict = await self._start(assembled)
        if isinstance(verdict, Inconclusive) and verdict.timed_out:
            nothing = replace(assembled, parts=replace(assembled.parts, located=()))
            if isinstance(await self._start(nothing), Accepted):  # the machine is not slow: this config hangs
                message = f"{verdict.reason}, and an empty pipeline is: something in it blocks the start"
                verdict = Rejected((Finding(Severity.ERROR, "start", message, HANGS),))
        self._heard("trial", _word(verdict), time.monotonic() - began)
        return dry_run if isinstance(verdict, Inconclusive) else verdict

    async def _start(self, assembled: Assembled) -> Verdict:
        assert self._trial is not None
        assert assembled.parts is not None
        parts, directory = assembled.parts, self._trial.room
        rehearsal = await asyncio.to_thread(
            lambda: rehearse(parts, self._frame, directory=directory, free_port=free_port)
        )
        if (skipped := too_little_room(rehearsal, memory_room())) is not None:
            return skipped
        verdict = await self._trial.start(rehearsal, dry_run_environment(os.environ, rehearsal.variables))
        if isinstance(verdict, Rejected):
            found = verdict.findings
            return Rejected(await asyncio.to_thread(lambda: traced(found, rehearsal)))
        return verdict

    def _looked_at(self, assembled: Assembled, snapshot: Snapshot) -> tuple[Finding, ...]:
        """What the candidate needs of the machine, looked at directly: a trial start uses none of it."""
        assert assembled.candidate is not None
        strict = {snippet.name for snippet in snapshot.snippets if snippet.trust is not Trust.BASE}
        findings = [*_access(assembled.candidate, strict)]
        held = self._held_ports()
        if self._looks and assembled.parts is not None and held is not None:
            listening = real_resources(assembled.parts, self._frame.environment)
            for place, problem in taken(listening, held):
                severity = Severity.ERROR if place.snippet in strict else Severity.WARNING
                message = f"{place.protocol} port {place.port} on {place.host} cannot be had: {problem}"
                hint = "use another port, or stop what listens there; it is tried again by and by"
                findings.append(Finding(severity, "port-taken", message, hint, place.snippet, "", place.line))
        return tuple(findings)


def assembled_or_explained(snapshot: Snapshot, frame: Frame, newcomers: frozenset[str] | None) -> Assembled:
    """`assemble`, with a fault of our own turned into a finding: a bug must not become an outage."""
    try:
        return assemble(snapshot, frame, newcomers=newcomers)
    except Exception:
        return our_fault(snapshot)


def our_fault(snapshot: Snapshot) -> Assembled:
    """To be called where an exception is handled. It names nobody: the search finds whose snippet it comes of."""
    message = "this is a fault of the supervisor itself; what runs goes on"
    finding = Finding(Severity.ERROR, "internal-error", message, "please report it with the trace in our log")
    return Assembled(None, (*snapshot.findings, finding), trace=traceback.format_exc(limit=-8))


def _weighed(found: Iterable[Finding], snapshot: Snapshot, lint: Iterable[Finding]) -> tuple[Finding, ...]:
    """What Fluent Bit complains of at a start and lives on with is no error of a base: it ran like that before.

    And it is not said again where lint has said it already.
    """
    base = {snippet.name for snippet in snapshot.snippets if snippet.trust is Trust.BASE}
    if len(base) == len(snapshot.snippets):
        base.add("")
    told = {(finding.snippet, finding.line) for finding in lint}
    if any(finding.rule == "file-not-used" for finding in lint):
        told.add(("", None))
    said: list[Finding] = []
    for finding in found:
        if finding.rule != "start-complaint" or finding.snippet not in base:
            said.append(finding)
        elif (finding.snippet, finding.line) not in told:
            said.append(weigh(finding, Trust.BASE))
    return tuple(said)


def is_hang(failed: object) -> bool:
    """Whether a failure, or a verdict, is that it did not become ready in time."""
    return isinstance(failed, (Rejected, Failed)) and any(finding.hint == HANGS for finding in failed.findings)


def _access(candidate: Candidate, strict: Iterable[str]) -> Iterable[Finding]:
    """Directories that this uid can neither write to nor make: Fluent Bit would not start with them."""
    hint = "give this uid the right to write there, or name another directory"
    for needed in candidate.directories:
        if problem := unusable(needed.path):
            severity = Severity.ERROR if needed.snippet in strict else Severity.WARNING
            yield Finding(severity, "unusable-directory", problem, hint, needed.snippet, "", needed.line)
        elif problem := short_of_space(needed.path):
            message, remedy = (
                f"{problem}: Fluent Bit would soon write nothing there",
                "make room, or name another place",
            )
            yield Finding(Severity.WARNING, "disk-full", message, remedy, needed.snippet, "", needed.line)


def _word(verdict: Verdict) -> str:
    match verdict:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case _:
            return "inconclusive"
