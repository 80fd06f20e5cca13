"""What became of the newest snapshot: a generation that may run, nothing to run, or a refusal?

Asks for a judgement, asks again when there was no answer, and has an accepted candidate written to disk.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from supervisor.adapters.journal import Journal
from supervisor.adapters.metrics import Metrics
from supervisor.adapters.store import Store
from supervisor.controller.report import changed_members
from supervisor.core import events as e
from supervisor.core.assemble import Assembled
from supervisor.model import (
    Accepted,
    Candidate,
    Finding,
    Generation,
    Inconclusive,
    Rejected,
    Severity,
    Snapshot,
    StoreError,
)
from supervisor.prepare import Judged, Judgement, with_paths

RETRY_FIRST = 0.5  # seconds until an unanswered question is asked again; doubles
RETRY_CAP = 15.0
_STEP = 0.1  # seconds: how soon a newer change ends the waiting


@dataclass(frozen=True, slots=True)
class Answer:
    ready: e.Ready | None  # None: refused
    generation: Generation | None = None
    trouble: str = ""
    refusal_key: str = ""  # under which it would be remembered if it proves unhealthy
    outdated: bool = False  # no answer at all: something newer is wanted


class Preparing:
    """Read-only but for new generations; may be abandoned at any time."""

    def __init__(
        self,
        *,
        restart_always: Callable[[], bool],
        judgement: Judgement,
        store: Store,
        on_disk: Callable[[Callable[[], Any]], Awaitable[Any]],
        made_by: str,
        other_outputs: bool,
        childless: Callable[[], bool],
        journal: Journal,
        metrics: Metrics,
    ) -> None:
        self._restart_always, self._other_outputs = restart_always, other_outputs
        self._judgement, self._store, self._on_disk, self._made_by = judgement, store, on_disk, made_by
        self._journal, self._metrics = journal, metrics
        self.childless = childless
        self.judged: Judged | None = None  # the newest
        self.unanswered = ""  # why there is no judgement of the newest snapshot yet
        self.allow_empty = False
        self._told = ""

    async def prepare(
        self, snapshot: Snapshot, running: Generation | None, good: Generation | None, outdated: Callable[[], bool]
    ) -> Answer:
        """The answer for `snapshot`. While there is none, it is asked for again, until something newer is wanted."""
        pause = RETRY_FIRST
        while True:
            answer = await self._try(snapshot, running, good)
            self.unanswered = answer.reason if isinstance(answer, Inconclusive) else ""
            if not isinstance(answer, Inconclusive):
                return answer
            self._journal.say("warning", "candidate.inconclusive", f"{answer.reason}; asking again in {pause:g} s")
            self._metrics.validated("dry-run", "inconclusive", 0.0)
            end = time.monotonic() + pause
            while time.monotonic() < end:
                if outdated():
                    return Answer(
                        None, trouble=f"no answer before something newer came: {answer.reason}", outdated=True
                    )
                await asyncio.sleep(_STEP)
            pause = min(RETRY_CAP, pause * 2)

    async def _try(
        self, snapshot: Snapshot, running: Generation | None, good: Generation | None
    ) -> Answer | Inconclusive:
        began = time.monotonic()
        members = running.members if running is not None and not self.childless() else {}
        judged = await self._judgement.judge(
            snapshot,
            veto=lambda found: self._veto(found, running),
            dispensable=lambda name: name not in members,
        )
        seconds = time.monotonic() - began
        if isinstance(judged.verdict, Inconclusive):
            if not judged.verdict.crashed or judged.candidate is None:
                self.judged = judged
                return judged.verdict
            judged = _on_trust(judged)
        self.judged = judged
        if judged.assembled.trace:
            self._journal.say("error", "internal.error", judged.assembled.trace)
        if isinstance(judged.verdict, Rejected) or judged.candidate is None:
            self._metrics.validated("dry-run", "rejected", seconds)
            return self._refuse(with_paths(judged.findings, snapshot))
        self._metrics.validated("dry-run", "accepted", seconds)
        if judged.candidate.idle:
            self._tell(with_paths(judged.findings, snapshot))
            return Answer(e.Ready(None, False))
        key = self._store.refusal_key(judged.candidate, self._made_by, os.environ)
        if taken_back := self._store.memory.refused.get(key):
            finding = taken_back_finding(taken_back, changed_members(good, judged.candidate))
            self.judged = replace(judged, verdict=Rejected((finding,)), findings=(*judged.findings, finding))
            return Answer(None, trouble=taken_back)
        self._tell(with_paths(judged.findings, snapshot))
        try:
            generation = await self._on_disk(lambda: self._generation(judged.candidate, snapshot, running))
        except StoreError as error:
            return Inconclusive(f"{error}; what runs goes on")
        ready = e.Ready(generation.number, self._needs_restart(generation, running))
        return Answer(ready, generation, refusal_key=key)

    def _generation(self, candidate: Candidate | None, snapshot: Snapshot, running: Generation | None) -> Generation:
        """A new one, unless it is what runs or what is good: an older one may be pruned at any moment."""
        assert candidate is not None
        known = self._store.find(candidate.digest)
        in_use = {self._store.memory.good, running.number if running is not None else None}
        if known is not None and known.number in in_use and known.made_by == self._made_by:
            return known
        return self._store.keep_candidate(candidate, snapshot, self._made_by)

    def _needs_restart(self, generation: Generation, running: Generation | None) -> bool:
        if self._restart_always():
            return True
        return running is not None and running.restart_key != generation.restart_key

    def _veto(self, found: Assembled, running: Generation | None) -> Finding | None:
        """A pipeline that would lose its last output waits until somebody says that this is meant."""
        candidate = found.candidate
        if candidate is None or candidate.outputs or running is None or not running.outputs:
            return None
        if self.allow_empty or self._other_outputs:
            return None
        message = "with this change the whole pipeline would have no output any more; what runs goes on"
        hint = "if that is meant: fluent-bit-supervisor reload --allow-empty"
        return Finding(Severity.ERROR, "pipeline-without-output", message, hint)

    def _refuse(self, findings: tuple[Finding, ...]) -> Answer:
        self._tell(findings)
        first = next((finding for finding in findings if finding.severity is Severity.ERROR), None)
        return Answer(None, trouble=sentence(first) if first else "the candidate was refused")

    def _tell(self, findings: tuple[Finding, ...]) -> None:
        """Each new set of findings once."""
        told = repr(findings)
        if told == self._told:
            return
        self._told = told
        for finding in findings:
            if finding.severity is not Severity.INFO:
                event = "candidate.refused" if finding.severity is Severity.ERROR else "candidate.warning"
                facts = {"rule": finding.rule, "snippet": finding.snippet or None, "line": finding.line}
                self._journal.say(finding.severity.value, event, sentence(finding), **facts)


def taken_back_finding(reason: str, changed: Sequence[str]) -> Finding:
    """What is told to the author of what was tried and undone; to the one, if only one snippet changed."""
    snippet = changed[0] if len(changed) == 1 else ""
    return Finding(Severity.ERROR, "taken-back", reason, "it is tried again as soon as it changes", snippet)


def sentence(finding: Finding) -> str:
    """`path:line: message (hint)`, as far as known."""
    place = finding.path or finding.snippet
    if place and finding.line is not None:
        place = f"{place}:{finding.line}"
    hint = f" ({finding.hint})" if finding.hint else ""
    return f"{place}: {finding.message}{hint}" if place else f"{finding.message}{hint}"


def _on_trust(judged: Judged) -> Judged:
    """The dry-run itself crashes on some valid outputs (`nats` on 5.1.1): then only the real start can tell."""
    assert isinstance(judged.verdict, Inconclusive)
    message = f"{judged.verdict.reason} twice, so it says nothing about this config: probation decides"
    warning = Finding(Severity.WARNING, "dry-run-crashed", message)
    return replace(judged, verdict=Accepted(), findings=(*judged.findings, warning))
