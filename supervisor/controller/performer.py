"""How is each action of the machine performed?

In order, short, never cancelled. What is known of the child, of what it was told and of the attempt under way is kept
here, for the watches and the report.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from supervisor.adapters.access import make_directory
from supervisor.adapters.backlog import set_aside
from supervisor.adapters.fluent_bit import FluentBit, child_environment
from supervisor.adapters.health import Judge
from supervisor.adapters.journal import Journal
from supervisor.adapters.metrics import Metrics
from supervisor.adapters.process import Child
from supervisor.adapters.secrets import blocking, unfit
from supervisor.adapters.store import Store
from supervisor.controller.convicting import Convicting
from supervisor.controller.preparing import taken_back_finding
from supervisor.controller.reasons import is_doubtful, start_reason
from supervisor.controller.report import changed_members
from supervisor.controller.stalls import REASON
from supervisor.controller.watches import Look
from supervisor.core import events as e
from supervisor.core.blame import traced
from supervisor.core.machine import Phase, State
from supervisor.model import ApplyStatus, Candidate, Finding, Generation, Observation, ProcessError, Reading, Severity

T = TypeVar("T")

GENERATIONS_KNOWN = 50  # besides those in use

_FROM_OUTSIDE = frozenset(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
_CAUSES: dict[type[object], str] = {
    e.Exited: "exited",
    e.Declined: "declined",
    e.Unresponsive: "deadline",
    e.Failed: "unhealthy",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A generation on its way to being good."""

    status: ApplyStatus
    began: float  # when its change was seen, on the monotonic clock
    live: float | None = None  # when it came up, on the same clock


@dataclass(frozen=True, slots=True)
class Made:
    """How a generation came about, as far as it is known in this life."""

    seen: float  # when its change was seen, on the monotonic clock
    refusal_key: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)  # snippet → key under which it would be convicted
    candidate: Candidate | None = None
    reason: str = ""  # what changed, in a word


NOTHING_KNOWN = Made(0.0)


class Performer:
    """Does what the machine asks for."""

    def __init__(
        self,
        *,
        fluent_bit: FluentBit,
        store: Store,
        metrics: Metrics,
        journal: Journal,
        arguments: tuple[str, ...],
        post: Callable[[e.Event], None],
        remember_child: Callable[[Child | None], None],
    ) -> None:
        self._fluent_bit, self._store = fluent_bit, store
        self._metrics, self._journal = metrics, journal
        self._post, self._remember_child = post, remember_child
        self._arguments = arguments  # the pipeline on the command line, if there is one
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")  # one owner, one thread
        self.convicting = Convicting(store=store, journal=journal, on_disk=self.on_disk)
        self.generations: dict[int, Generation] = {}
        self._made: dict[int, Made] = {}  # generation → what is known of how it came about
        self.child: Child | None = None
        self.look = Look(None, None, Judge(before=None, old_outputs=(), new_outputs=()))
        self._ran: Generation | None = None  # before the latest reload
        self.observation: Observation | None = None  # the latest
        self.counted: Observation | None = None  # the latest since the (re)load that has counters
        self.baseline: Observation | None = None  # what the next apply is compared with
        self.reading: Reading | None = None
        self.attempt: Attempt | None = None
        self.restarts = 0
        self.trouble = ""
        self.committed_at: float | None = None
        self.taken_back: dict[str, Finding] = {}  # by digest of the candidate
        self.undone = False  # an apply was taken back, and none has been committed since
        self._last_words: tuple[Finding, ...] = ()  # of a load that failed
        self._reloading = False  # told to reload, and no outcome yet

    def add(self, generation: Generation, made: Made, state: State) -> None:
        """A generation that may be asked for; those of long ago are let go of."""
        number = generation.number
        self.generations[number], self._made[number] = generation, made
        ready = state.ready.generation if state.ready is not None else None
        used = {state.current, state.good, state.before, state.after, state.fallback, ready}
        for old in sorted(self.generations.keys() - used)[:-GENERATIONS_KNOWN]:
            del self.generations[old]
            self._made.pop(old, None)

    async def perform(self, action: e.Action, event: e.Event, before: State, state: State) -> bool:
        """Whether what follows may be done: False when the child could not be told, for it is gone.

        Raises `StoreError` when the disk refuses; then nothing was told to the child.
        """
        match action:
            case e.Install(number):
                await self.on_disk(lambda: self._store.install(self.generations[number]))
            case e.Spawn(number, incarnation):
                generation = self.generations[number]
                if generation.storage:  # nobody holds it now; an input of a backlog's name would hide that
                    await self.on_disk(lambda: set_aside(generation.storage))
                if self.trouble_of_secrets(generation):
                    self._post(e.Exited(incarnation, self.trouble, outside=True, unstarted=True))
                else:
                    self._spawn(number, incarnation, before, state)
            case e.Reload(number):
                return await self._reload(number, state)
            case e.Stop():
                self.signal(signal.SIGTERM)
            case e.Kill():
                self._journal.say("warning", "child.killed", "the child did not leave within its grace: KILL")
                self.signal(signal.SIGKILL)
            case e.Commit(number):
                await self._commit(number, state)
            case e.Blame(number, reason):
                await self._take_back(number, event, before, state, reason)
            case e.FallBack(number):
                await self.on_disk(lambda: self._store.commit(number))
        return True

    def storage(self, state: State) -> str:
        """Where chunks lie for what runs, or ran last; empty when that is not known."""
        generation = self.generations.get(state.current or state.good or 0)
        return generation.storage if generation is not None else ""

    def signal(self, number: signal.Signals) -> None:
        if self.child is not None:
            self.child.signal_group(number)

    async def on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)

    async def catch_up(self) -> None:
        """Raises `StoreError` while the disk still refuses."""
        await self.on_disk(self._store.catch_up)

    def refuse_now(self, number: int, reason: str) -> None:
        """For the way out; blocks on the disk."""
        if (made := self._made.get(number)) is not None and made.refusal_key:
            self._store.refuse(made.refusal_key, reason)

    def close(self) -> None:
        self._disk.shutdown(wait=False, cancel_futures=True)

    # --- the child --------------------------------------------------------------------------------------------

    def trouble_of_secrets(self, generation: Generation) -> bool:
        """Whether Fluent Bit must not open what tenants gave it as it lies there now, whatever was seen before."""
        if problem := unfit(generation.secrets) or blocking(generation.referred):
            self.trouble = problem
            self._journal.say("error", "secret.unfit", f"{problem}: not to be read by generation {generation.number}")
        return bool(problem)

    def _spawn(self, number: int, incarnation: int, before: State, state: State) -> None:
        generation, old = self.generations[number], self.look.generation
        self._make_directories(generation)
        self._begin(generation, "start" if self.child is None and old is None else "restart", state)
        self.reading = None
        try:
            environment = child_environment(os.environ)
            child = self._fluent_bit.spawn(self._store.config_path, environment, generation.variables)
        except ProcessError as error:
            self.child, self.trouble, self._last_words = None, str(error), ()
            self._post(e.Exited(incarnation, str(error), outside=True, unstarted=True))
            return
        self.child, self._reloading = child, False
        self._remember_child(child)
        self.restarts += old is not None
        self._metrics.child_started(start_reason(before, state, first=old is None))
        self._journal.say("info", "child.started", f"Fluent Bit started with generation {number}", pid=child.pid)
        self.look = self._look_at(child, generation, state)

    async def wait_for(self, child: Child, incarnation: int, asked: Callable[[], bool]) -> None:
        """Tell when it is gone, and why, in its own last words."""
        await child.wait()
        ended = await self._fluent_bit.exit_of(child, self.look.mark)
        self._last_words = ended.findings if self._said_of_itself(child) else ()
        cause = ended.findings[0].message if ended.findings else ""
        reason = f"{ended.reason}: {cause}" if cause and cause not in ended.reason else ended.reason
        self._metrics.child_exited(ended.returncode)
        told_to_stop = ended.returncode == 0 and self._fluent_bit.was_told_to_stop(child)
        if asked():
            self._journal.say("info", "child.exited", f"{reason}, as asked", pid=child.pid)
        else:
            self.trouble = reason
            self._journal.say("error", "child.exited", self.trouble, pid=child.pid)
        if self.child is child:
            self.child = None
            self._remember_child(None)
        outside = told_to_stop or ended.returncode in _FROM_OUTSIDE
        self._post(e.Exited(incarnation, reason, outside=outside))

    async def _reload(self, number: int, state: State) -> bool:
        child, generation, old = self.child, self.generations[number], self.look.generation
        if child is None or not child.alive():
            return False  # its exit is on its way
        if self.trouble_of_secrets(generation):
            return False  # the next look leaves out whose secret that is
        self._make_directories(generation)
        count = await self._fluent_bit.reload_count(old.endpoint) if old is not None else None
        if count is None:
            count = (self.observation.reloads if self.observation is not None else None) or 0
        look = self._look_at(child, generation, state, count)
        if not self._fluent_bit.reload(child, generation.variables):
            return False
        self._begin(generation, "reload", state)
        self._reloading = True
        self._ran, self.look = old, look
        changed = ", ".join(changed_members(old, generation)) or None
        message = f"reloading to generation {number}"
        reason = self._made.get(number, NOTHING_KNOWN).reason or None
        self._journal.say("info", "reload.requested", message, pid=child.pid, changed=changed, reason=reason)
        return True

    def take_up_what_ran(self, state: State) -> None:
        """The reload was declined: what ran before it still runs, and answers where it did."""
        if self.child is not None and self._ran is not None:
            self.look = self._look_at(self.child, self._ran, state)

    def _look_at(self, child: Child, generation: Generation, state: State, count: int = 0) -> Look:
        """Health is compared with what was good, also when a newcomer takes the place of a newcomer."""
        good = self.generations.get(state.good or 0)
        self.counted = None
        judge = Judge(
            before=self.baseline if good is not None else None,
            old_outputs=good.outputs if good is not None else (),
            new_outputs=generation.outputs,
        )
        return Look(child, generation, judge, mark=child.stderr_mark(), count=count)

    def _make_directories(self, generation: Generation) -> None:
        for directory in generation.directories:
            if problem := make_directory(directory, 0o755):  # as Fluent Bit does: others may have to read there
                self._journal.say("warning", "directory.unusable", problem)

    # --- the attempt ------------------------------------------------------------------------------------------

    def _begin(self, generation: Generation, method: str, state: State) -> None:
        attempt = self.attempt
        if attempt is not None and attempt.status.outcome == "applying":
            if attempt.status.generation == generation.number:
                return  # the same once more: a start after a start that failed, a restart after a reload that hung
            self.end_attempt("superseded", f"generation {generation.number} took its place")
        if generation.number == state.good:
            return  # going back, or coming up again: no attempt at anything new
        made = self._made.get(generation.number)
        began = made.seen if made is not None else time.monotonic()
        reason = made.reason if made is not None else ""
        self.attempt = Attempt(ApplyStatus(generation.number, method, "applying", reason, time.time(), 0.0), began)

    def end_attempt(self, outcome: str, reason: str) -> None:
        attempt = self.attempt
        if attempt is None or attempt.status.outcome != "applying":
            return
        now = time.monotonic()
        status = replace(attempt.status, outcome=outcome, reason=reason, seconds=now - attempt.began)
        self.attempt = replace(attempt, status=status)
        self._metrics.applied(status.method, outcome, (attempt.live or now) - attempt.began)

    def came_up(self) -> None:
        """The child answers with what it was told last."""
        self._reloading = False
        attempt = self.attempt
        if attempt is not None and attempt.live is None and attempt.status.outcome == "applying":
            self.attempt = replace(attempt, live=time.monotonic())

    async def _commit(self, number: int, state: State) -> None:
        self.end_attempt("committed", self.attempt.status.reason if self.attempt is not None else "")
        self.baseline = self.counted or self.baseline
        generation = self.generations[number]
        self.taken_back.clear()
        self.undone = False
        self.trouble, self.committed_at = "", time.time()
        self._journal.say("info", "generation.committed", f"generation {number} is good", digest=generation.digest[:12])
        self._store.held = frozenset({state.fallback} if state.fallback is not None else ())
        await self.on_disk(lambda: self._store.commit(number))
        if await self.convicting.committed(self._made.get(number, NOTHING_KNOWN).keys):
            self._post(e.Changed())

    async def grow_up(self, number: int) -> None:
        """What was committed lately has lived long enough: nobody in it is a suspect any more."""
        self._store.held = frozenset()
        if await self.convicting.committed(self._made.get(number, NOTHING_KNOWN).keys, grown=True):
            self._post(e.Changed())

    async def _take_back(self, number: int, event: e.Event, before: State, state: State, reason: str) -> None:
        generation, good = self.generations[number], self.generations.get(state.good or 0)
        made = self._made.get(number, NOTHING_KNOWN)
        words = self._pointed_at(made, event, before)
        sure = self.generations.get(before.fallback or 0)
        if made.reason == REASON:
            await self.convicting.clear()  # it happens without them as well
        young = sure is not None and before.newcomer and before.phase is Phase.PROBATION and not words
        changed = changed_members(sure if young else good, generation)  # what was good may be young, and at fault
        message = self._announce(number, good, changed, reason, event)
        if (
            not await self.convicting.judge(
                self.convicting.with_paroled([n for n in changed if n in generation.members], made.keys),
                words,
                made.keys,
                reason,
                doubtful=is_doubtful(event, before) or any(name not in generation.members for name in changed),
                alone=good is None,
                late=young or not before.newcomer,
            )
            and good is not None
        ):
            self.taken_back = {generation.digest: taken_back_finding(message)}
            await self.on_disk(lambda: self._store.refuse(made.refusal_key or generation.digest, message))

    def _announce(
        self, number: int, good: Generation | None, changed: Sequence[str], reason: str, event: e.Event
    ) -> str:
        """Tell that it is taken back. Where nothing was ever good, there is nothing to go back to."""
        if good is None:
            self.trouble = reason
            self.end_attempt("degraded", reason)
            return reason
        self.end_attempt("reverted", reason)
        self._metrics.reverted(_CAUSES.get(type(event), "unhealthy"))
        who = ", ".join(changed) or "only what is referred to, or settings"
        message = f"generation {number} was tried and taken back: {reason}; changed were: {who}"
        self.trouble, self.undone = message, True
        self._journal.say("error", "generation.reverted", message, generation=number, back_to=good.number)
        return message

    def _pointed_at(self, made: Made, event: e.Event, before: State) -> tuple[Finding, ...]:
        """Whom the failure names. What a pipeline that came up says later may be about anybody's back-end."""
        if isinstance(event, e.Failed):
            return tuple(Finding(Severity.ERROR, "unhealthy", event.reason, "", name) for name in event.suspects)
        if made.candidate is None or before.phase not in (Phase.STARTING, Phase.RELOADING):
            return ()
        candidate = made.candidate
        match event:
            case e.Exited():
                words = self._last_words
            case e.Declined(reason=reason):  # what runs goes on, and so does what it says
                words = (Finding(Severity.ERROR, "start", reason),)
            case _:
                words = self._complaints()
        return tuple(found for found in traced(words, candidate, self._arguments) if found.snippet)

    def _said_of_itself(self, child: Child) -> bool:
        """Whether its latest words are of what it was told last, and not of an older pipeline that drains."""
        return not self._reloading or self._fluent_bit.began_anew(child, self.look.mark)

    def _complaints(self) -> tuple[Finding, ...]:
        child = self.child
        return self._fluent_bit.complaints(child, self.look.mark) if child is not None else ()


def desired_of(generations: dict[int, Generation], digest: str) -> Generation | None:
    """The newest generation of that digest."""
    return next((g for g in sorted(generations.values(), key=lambda g: -g.number) if g.digest == digest), None)
