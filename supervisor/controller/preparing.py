"""What became of the newest snapshot: a generation that may run, nothing to run, or a refusal?

Asks for a judgement, asks again when there was no answer, and has an accepted candidate written to disk.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from supervisor.adapters.journal import Journal
from supervisor.adapters.metrics import Metrics
from supervisor.adapters.store import Store
from supervisor.config.lint.elsewhere import GRANTS
from supervisor.controller.stalls import REASON, without_suspects
from supervisor.core import events as e
from supervisor.core import pace, quarantine
from supervisor.core.assemble import Assembled
from supervisor.core.selection import Version, Versions
from supervisor.model import (
    Finding,
    Generation,
    Inconclusive,
    Rejected,
    Severity,
    Snapshot,
    StoreError,
)
from supervisor.prepare import Judged, Judgement, errors, with_paths
from supervisor.settings import Limits, Policy

RETRY_FIRST = 0.5  # seconds until an unanswered question is asked again; doubles
RETRY_CAP = 15.0
UNTRIED_PAUSE = 0.2  # seconds until what the budget left out is tried
WORLD_PAUSE = 15.0  # seconds until what the world refuses (a port, a directory, a secret) is tried again
_STEP = 0.1  # seconds: how soon a newer change ends the waiting
_WORLDLY = frozenset(("port-taken", "unusable-directory"))


@dataclass(frozen=True, slots=True)
class Answer:
    ready: e.Ready | None  # None: refused
    generation: Generation | None = None
    trouble: str = ""
    refusal_key: str = ""  # under which it would be remembered if it proves unhealthy and nobody can be convicted
    keys: Mapping[str, str] = field(default_factory=dict)  # snippet → key under which it would be convicted
    judged: Judged | None = None
    again: float | None = None  # seconds after which it is to be looked at again, though nothing changes
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
        policy: Policy,
    ) -> None:
        self._restart_always, self._other_outputs = restart_always, other_outputs
        self._judgement, self._store, self._on_disk, self._made_by = judgement, store, on_disk, made_by
        self._journal, self._metrics = journal, metrics
        self._childless = childless
        self._snapshots: dict[int, Snapshot] = {}  # generation → what it was made of; the latest two
        self.judged: Judged | None = None  # the newest
        self.refusal = ""  # the first thing that keeps something of it out
        self.unanswered = ""  # why there is no judgement of the newest snapshot yet
        self.allow_empty = False
        self._told = ""
        self._policy = policy
        self._moments: pace.Moments = {}  # when changes of tenants went live
        self._suspended: int | None = None  # a good generation that does not hold
        self._room_in: float | None = None  # seconds until a tenant who changed too much may go on

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
        childless = self._childless()
        known = good if childless or running is None else running
        accepted = await self._made_of(known)
        versions = await asyncio.to_thread(self._judgement.versions, snapshot, accepted)
        proven = known.digest if known is not None and not childless and known.made_by == self._made_by else ""
        in_probation = known is not None and known is not good
        suspending = known is not None and known is good and known.number == self._suspended
        if suspending:
            versions, proven = await self._suspend(versions), ""

        async def judge(withheld: Mapping[str, Finding]) -> Judged:
            veto = lambda found: None if suspending else self._veto(found, running)  # noqa: E731
            return await self._judgement.judge(snapshot, versions=versions, proven=proven, withheld=withheld, veto=veto)

        judged = await self._with_parole(versions, judge, in_probation, nobody=suspending)
        if suspending and judged.candidate is not None and judged.candidate.idle:
            judged = await self._with_parole(versions, judge, in_probation, nobody=False)  # there is nobody else
        elif suspending:
            judged = replace(judged, reason=REASON)
        self.judged = judged
        self.refusal = _first(judged)
        if isinstance(judged.verdict, Inconclusive):
            return judged.verdict
        if judged.assembled.trace:
            self._journal.say("error", "internal.error", judged.assembled.trace)
        if isinstance(judged.verdict, Rejected) or judged.candidate is None:
            return self._refuse(judged)
        if judged.dropped and judged.changed == judged.dropped and not childless and not _must_leave(judged):
            return self._refuse(judged)  # nobody gains anything, and whoever runs would lose
        return await self._accept(judged, running, good)

    async def _with_parole(
        self,
        versions: Versions,
        judge: Callable[[Mapping[str, Finding]], Awaitable[Judged]],
        in_probation: bool,
        *,
        nobody: bool,
    ) -> Judged:
        """The judgement, without who is kept out. Who is on parole is tried alone, when nobody else can be.

        `nobody`: of these none is tried yet.
        """
        memory = self._store.memory
        changed = versions.changed

        def key_of(name: str) -> str:
            return self._key_of(versions.new[name])

        new, now = {name: versions.new[name] for name in changed}, time.time()
        slow = pace.waits(new, self._moments, self._changes_granted, now)
        self._room_in = pace.next_free(new.values(), self._moments, self._changes_granted, now)

        def withheld(on_trial: str, passed_over: Collection[str]) -> dict[str, Finding]:
            return slow | quarantine.withheld(
                changed,
                key_of,
                memory.quarantine,
                memory.parole,
                time.time(),
                on_trial=on_trial,
                passed_over=passed_over,
            )

        paroled = {name for name in changed if memory.parole.get(name) == key_of(name)}
        running = {name: self._key_of(version) for name, version in versions.old.items() if name in memory.parole}
        on_trial = next((name for name, key in running.items() if memory.parole[name] == key), "")
        if on_trial:
            others = changed if in_probation else ()  # after that they would not hide whose fault it is
            return await judge({**dict(quarantine.waiting_for(on_trial, others)), **withheld(on_trial, ())})
        passed_over = set(paroled)
        judged = await judge(withheld("", passed_over))
        if nobody or not paroled or judged.changed or isinstance(judged.verdict, Inconclusive):
            return judged  # whoever is not suspected goes first
        passed_over.clear()
        while True:
            out = withheld("", passed_over)
            judged = await judge(out)
            turn = quarantine.whose_turn(changed, key_of, memory.parole, out)
            if turn not in judged.refused or not paroled - passed_over - {turn}:
                return judged
            passed_over.add(turn)  # it cannot run alone, e.g. for want of a parser that is on parole itself

    async def _accept(
        self, judged: Judged, running: Generation | None, good: Generation | None
    ) -> Answer | Inconclusive:
        candidate = judged.candidate
        assert candidate is not None
        if candidate.idle and self._childless() and judged.refused | judged.waiting | judged.dropped:
            return self._refuse(judged)  # nothing acceptable is not the same as nothing configured
        again = self._again(judged)
        self._tell(judged)
        if candidate.idle:
            return Answer(e.Ready(None, False), judged=judged, again=again, trouble=_first(judged))
        key = self._store.refusal_key(candidate, self._made_by, os.environ)
        wanted = (
            self._childless() and judged.dropped
        )  # what was good cannot start as it is, so this gets another chance
        if not wanted and (taken_back := self._store.memory.refused.get(key)):
            finding = taken_back_finding(taken_back)
            self.judged = replace(judged, verdict=Rejected((finding,)), findings=(*judged.findings, finding))
            return Answer(None, trouble=taken_back, again=again)
        try:
            generation = await self._on_disk(lambda: self._generation(judged, running))
        except StoreError as error:
            return Inconclusive(f"{error}; what runs goes on")
        self._snapshots = {**dict(list(self._snapshots.items())[-1:]), generation.number: judged.selected}
        if running is None or generation.number != running.number:
            tenants = (tenant for name in judged.changed if (tenant := self._tenant_of(name, judged)) is not None)
            self._moments = pace.counted(self._moments, tenants, time.time())
        ready = e.Ready(generation.number, self._needs_restart(generation, running))
        keys = {name: self._key_of(version) for name, version in judged.versions.items()}
        return Answer(ready, generation, _first(judged), key, keys, judged, again)

    def _changes_granted(self, tenant: str) -> int:
        grants = self._policy.of(tenant)
        return grants.limits.changes if grants is not None else Limits().changes

    def _tenant_of(self, name: str, judged: Judged) -> str | None:
        version = judged.versions.get(name)
        return version.snippet.tenant if version is not None else None  # what is gone counts when it comes back

    def suspend(self, generation: int) -> None:
        """That one is good and stands still again and again: go on without those who may be why."""
        self._suspended = generation

    async def _suspend(self, versions: Versions) -> Versions:
        rest, suspects = without_suspects(versions, self._key_of)
        memory = self._store.memory
        if not suspects.items() <= memory.parole.items():
            names = ", ".join(suspects)
            message = f"the engine stands still again and again, so these are left out, and tried alone later: {names}"
            self._journal.say("error", "parole.begun", message)
            await self._on_disk(
                lambda: self._store.judge_snippets(memory.quarantine, {**memory.parole, **suspects}, memory.late)
            )
        return rest

    async def _made_of(self, generation: Generation | None) -> Snapshot | None:
        if generation is None:
            return None
        known = self._snapshots.get(generation.number)
        if known is None:
            known = await self._on_disk(lambda: self._store.snapshot(generation.number))
            if known is not None:
                self._snapshots = {**dict(list(self._snapshots.items())[-1:]), generation.number: known}
        return known

    def _key_of(self, version: Version) -> str:
        values = {name: os.environ.get(name, "") for name in version.variables}
        return self._store.version_key(version.key, self._made_by, values)

    def _again(self, judged: Judged) -> float | None:
        moments = [quarantine.next_moment(self._store.memory.quarantine, judged.waiting, time.time()), self._room_in]
        if any(finding.rule == "not-tried-yet" for finding in judged.findings):
            moments.append(UNTRIED_PAUSE)
        if any(finding.rule in _WORLDLY for finding in errors(judged.findings)):
            moments.append(WORLD_PAUSE)
        return min((moment for moment in moments if moment is not None), default=None)

    def _generation(self, judged: Judged, running: Generation | None) -> Generation:
        """A new one, unless it is what runs or what is good: an older one may be pruned at any moment."""
        assert judged.candidate is not None
        known = self._store.find(judged.candidate.digest)
        in_use = {self._store.memory.good, running.number if running is not None else None}
        if known is not None and known.number in in_use and known.made_by == self._made_by:
            return known
        versions = {name: version.key for name, version in judged.versions.items()}
        return self._store.keep_candidate(judged.candidate, judged.selected, self._made_by, versions)

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

    def _refuse(self, judged: Judged) -> Answer:
        self._tell(judged)
        return Answer(None, trouble=_first(judged) or "the candidate was refused", again=self._again(judged))

    def _tell(self, judged: Judged) -> None:
        """Each new set of findings once."""
        findings = with_paths(judged.findings, judged.snapshot)
        told = repr(findings)
        if told == self._told:
            return
        self._told = told
        for finding in findings:
            if finding.severity is not Severity.INFO:
                event = "candidate.refused" if finding.severity is Severity.ERROR else "candidate.warning"
                facts = {"rule": finding.rule, "snippet": finding.snippet or None, "line": finding.line}
                self._journal.say(finding.severity.value, event, sentence(finding), **facts)


def _must_leave(judged: Judged) -> bool:
    """Whether somebody who runs does what he was not granted, or has come to do so."""
    return any(finding.rule in GRANTS and finding.snippet in judged.dropped for finding in errors(judged.findings))


def _first(judged: Judged) -> str:
    """The first thing that keeps something out, or nothing."""
    found = errors(with_paths(judged.findings, judged.snapshot))
    return sentence(found[0]) if found else ""


def taken_back_finding(reason: str, snippet: str = "") -> Finding:
    """What is told of what was tried and undone."""
    return Finding(Severity.ERROR, "taken-back", reason, "it is tried again as soon as it changes", snippet)


def sentence(finding: Finding) -> str:
    """`path:line: message (hint)`, as far as known."""
    place = finding.path or finding.snippet
    if place and finding.line is not None:
        place = f"{place}:{finding.line}"
    hint = f" ({finding.hint})" if finding.hint else ""
    return f"{place}: {finding.message}{hint}" if place else f"{finding.message}{hint}"
