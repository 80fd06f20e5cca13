"""Who decides, and who does? The machine decides, the performer does; this owns the state between them.

One mailbox, one consumer: nobody else changes anything. A watch lives as long as its phase.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.journal import Journal
from supervisor.adapters.metrics import Metrics
from supervisor.adapters.process import Child
from supervisor.adapters.store import Store
from supervisor.controller.backlogs import BacklogWatch
from supervisor.controller.performer import Made, Performer, desired_of
from supervisor.controller.preparing import Answer, Preparing
from supervisor.controller.readiness import Readiness
from supervisor.controller.report import Facts, gist, runs_the_newest, status_of
from supervisor.controller.stalls import Stalls
from supervisor.controller.waiting import Outcome, Request, Waiting
from supervisor.controller.watches import Watches
from supervisor.core import events as e
from supervisor.core.candidate import outputs_of_arguments
from supervisor.core.machine import Intake, Phase, State, step
from supervisor.model import ChildStatus, Generation, Health, Observation, Reading, Snapshot, Status, StoreError
from supervisor.prepare import Judgement
from supervisor.settings import Settings

_SEEN_KEPT = 100  # serials whose time is remembered
RETRY_INSTALL = 5.0  # seconds until what the disk refused is tried again


class Controller:
    """Sole owner of the machine's state."""

    def __init__(
        self,
        *,
        settings: Settings,
        fluent_bit: FluentBit,
        store: Store,
        judgement: Judgement,
        metrics: Metrics,
        journal: Journal,
        made_by: str,
        restart_always: bool,
        arguments: tuple[str, ...],
        watch_mode: Callable[[], str],
        remember_child: Callable[[Child | None], None],
        degraded: tuple[str, ...] = (),
    ) -> None:
        self._fluent_bit, self._metrics, self._journal = fluent_bit, metrics, journal
        self._watch_mode, self._degraded = watch_mode, degraded
        self._mailbox: asyncio.Queue[e.Event | Request] = asyncio.Queue()
        self._performer = Performer(
            fluent_bit=fluent_bit,
            store=store,
            metrics=metrics,
            journal=journal,
            arguments=arguments,
            post=self.post,
            remember_child=remember_child,
        )
        self._watches = Watches(fluent_bit=fluent_bit, settings=settings, post=self.post, observed=self._observed)
        self._preparing = Preparing(
            restart_always=lambda: (
                restart_always or not fluent_bit.identified.reloads or settings.apply.method == "restart"
            ),
            judgement=judgement,
            store=store,
            on_disk=self._performer.on_disk,
            made_by=made_by,
            other_outputs=outputs_of_arguments(arguments) > 0,
            childless=lambda: self._state.phase in (Phase.DOWN, Phase.BACKOFF),
            journal=journal,
            metrics=metrics,
            policy=settings.policy,
        )
        self._state = State()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # all that have not ended
        self._of_phase: set[asyncio.Task[None]] = set()  # those that end with the phase
        self._snapshot: Snapshot | None = None
        self._seen: dict[int, float] = {}  # serial → when its change was seen
        self._waiting, self._readiness, self._stalls = Waiting(), Readiness(), Stalls()
        self._first: deque[e.Event] = deque()  # what has to be known before anything in the mailbox
        self._unwritten = ""  # what the disk refuses to remember; empty when all is written down
        self._later: asyncio.TimerHandle | None = None
        self._named_tenants, storage = frozenset(settings.policy.tenants), self._performer.storage
        self._backlog = BacklogWatch(lambda: storage(self._state), status=self.status, show=metrics.show)

    # --- how others reach it ----------------------------------------------------------------------------------

    def post(self, event: e.Event) -> None:
        self._mailbox.put_nowait(event)

    def offer(self, snapshot: Snapshot) -> None:
        """There is a new snapshot; the newest counts."""
        self._snapshot = snapshot
        self.post(e.Changed())

    async def request(self, snapshot: Snapshot, *, allow_empty: bool) -> asyncio.Future[Outcome]:
        """Ask for another look, at this snapshot or a newer one; the future tells what became of it."""
        self._snapshot = snapshot
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._mailbox.put_nowait(Request(waiter, allow_empty))
        return waiter

    def boot_from(self, generation: Generation, *, proven: bool) -> None:
        """Start with what was good before anything is read. Not `proven`: it was assembled again and accepted anew."""
        self._performer.add(generation, Made(time.monotonic(), generation.digest), self._state)
        good = generation.number if proven else None
        self._state = replace(self._state, good=good, ready=e.Ready(generation.number, False))
        self.post(e.Observed(False))  # any event lets what is ready meet the child that is free

    def pass_on(self, number: signal.Signals) -> None:
        """Hand a signal to the child as it is."""
        if self._performer.child is not None:
            self._performer.child.signal(number)

    async def stop_child_now(self) -> None:
        """For the way out after a fault of our own: TERM, and a moment to write down what is in memory."""
        child = self._performer.child
        if child is not None and child.signal_group(signal.SIGTERM):
            await child.ended_within(self._performer.look.generation.grace if self._performer.look.generation else 1.0)

    def suspect_newcomer(self) -> None:
        """After a fault of our own: what was being applied is not tried again as it is, or we would fail for ever."""
        if self._state.newcomer and self._state.good is not None and self._state.current is not None:
            reason = f"generation {self._state.current} was being applied when the supervisor itself failed"
            with contextlib.suppress(StoreError):
                self._performer.refuse_now(self._state.current, reason)

    # --- the loop ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the machine has stopped. Raises only for bugs."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._start_task(self._backlog.run(), "backlog")
                while self._state.phase is not Phase.STOPPED:
                    before = self._state
                    event = self._first.popleft() if self._first else await self._mailbox.get()
                    await self._turn(event)
                    if self._state != before or not isinstance(event, e.Observed):
                        self._metrics.show(self.status())
                for task in tuple(self._tasks):
                    task.cancel()
        finally:
            self._look_later(None)
            self._performer.close()

    def held_ports(self) -> frozenset[int] | None:
        """Ports that the child listens on; empty when there is none, None when it cannot be told."""
        child = self._performer.child
        return child.ports() if child is not None else frozenset()

    async def release(self, name: str) -> str:
        """Give a snippet that is kept out another chance. Returns why that cannot be; empty when it is done."""
        try:
            if not await self._performer.convicting.release(name):
                return f"{name} is neither in quarantine nor on parole"
        except StoreError as error:
            self._remember_later(str(error))
        self.post(e.Changed())
        return ""

    async def _turn(self, item: e.Event | Request) -> None:
        event: e.Event = e.Changed() if isinstance(item, Request) else item
        if isinstance(item, Request):
            self._preparing.allow_empty |= item.allow_empty
        await self._hear_a_crash(event)
        if isinstance(event, e.Grown) and event.epoch == self._state.epoch and self._state.current is not None:
            with contextlib.suppress(StoreError):
                await self._performer.grow_up(self._state.current)
        before, (self._state, actions) = self._state, step(self._state, event)
        if isinstance(event, e.Changed):
            self._seen = {**dict(list(self._seen.items())[-_SEEN_KEPT:]), self._state.wanted: time.monotonic()}
        if isinstance(item, Request):
            self._waiting.add(self._state.wanted, item.waiter)
        if isinstance(event, (e.Prepared, e.Refused)) and self._state.intake is not Intake.PREPARING:
            self._preparing.allow_empty = False  # it was meant for what is decided now
        self._note(before, event)
        if before.good is not None and self._stalls.hear(event, before):
            self._preparing.suspend(before.good)
            self.post(e.Changed())
        for action in actions:
            if not await self._perform(action, event, before):
                break
        self._follow_phase(before)
        if isinstance(event, e.Exited) and event.unstarted:
            asyncio.get_running_loop().call_later(RETRY_INSTALL, self.post, e.Changed())
        blamed = next((action.generation for action in actions if isinstance(action, e.Blame)), None)
        if isinstance(event, e.Exited) and before.newcomer and self._state.phase is Phase.BACKOFF:
            self._performer.end_attempt("degraded", self._performer.trouble)
        if isinstance(event, e.Exited) and before.phase is Phase.STARTING and not before.newcomer:
            self.post(e.Changed())  # what was good does not start any more: something may without a part of it
        judged = self._preparing.judged
        settled = bool(self._waiting) and runs_the_newest(self._facts()) and not (judged and judged.waiting)
        refused = self._preparing.refusal if judged is not None and judged.refused else ""
        trouble = self._performer.trouble
        self._waiting.hear(event, before, self._state, blamed=blamed, settled=settled, refused=refused, trouble=trouble)

    async def _hear_a_crash(self, event: e.Event) -> None:
        state = self._state
        if not isinstance(event, e.Exited) or event.incarnation != state.incarnation or event.outside:
            return
        if not state.newcomer and state.phase in (Phase.STARTING, Phase.PROBATION, Phase.STEADY):
            with contextlib.suppress(StoreError):
                if await self._performer.convicting.acquit():
                    self.post(e.Changed())

    async def _perform(self, action: e.Action, event: e.Event, before: State) -> bool:
        """Whether the actions that follow may be performed."""
        if isinstance(action, e.Prepare):
            self._start_preparing(action.serial)
            return True
        try:
            if not await self._performer.perform(action, event, before, self._state):
                self._could_not_tell("the child is gone")
                return False
        except StoreError as error:
            self._journal.say("error", "store.failed", f"{error}; what runs goes on")
            if not isinstance(action, e.Install):
                self._remember_later(str(error))
            else:
                self._performer.trouble = str(error)
                self._could_not_tell(str(error))
                return False
        if isinstance(action, e.Spawn) and self._performer.child is not None:
            waiting = self._performer.wait_for(self._performer.child, action.incarnation, self._is_leaving)
            self._start_task(waiting, f"child {action.incarnation}")
        return True

    def _could_not_tell(self, problem: str) -> None:
        """Before anything else is heard, e.g. an exit that the newcomer would be blamed for; and look again later."""
        self._first.append(e.InstallFailed(self._state.epoch, problem))
        asyncio.get_running_loop().call_later(RETRY_INSTALL, self.post, e.Changed())

    def _remember_later(self, problem: str) -> None:
        if not self._unwritten:
            self._start_task(self._catch_up(), "catch up")
        self._unwritten = problem

    async def _catch_up(self) -> None:
        """What the disk refused to remember is in memory only, until it takes it."""
        while self._unwritten:
            await asyncio.sleep(RETRY_INSTALL)
            try:
                await self._performer.catch_up()
            except StoreError as error:
                self._unwritten = str(error)
            else:
                self._unwritten = ""
                self._journal.say("info", "store.recovered", "the state directory takes what is to be remembered again")

    def _is_leaving(self) -> bool:
        return self._state.phase in (Phase.REPLACING, Phase.STOPPING)

    def _start_preparing(self, serial: int) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            self.post(e.Refused(serial))
            return

        async def prepare(snapshot: Snapshot) -> None:
            state = self._state
            next_one = state.after if state.phase is Phase.REPLACING else state.current
            running = self._performer.generations.get(next_one or 0)
            good = self._performer.generations.get(state.good or 0)
            outdated = lambda: self._state.wanted != serial  # noqa: E731
            answer = await self._preparing.prepare(snapshot, running, good, outdated)
            if answer.generation is not None:
                seen = self._seen.get(serial, time.monotonic())
                candidate = answer.judged.candidate if answer.judged is not None else None
                reason = answer.judged.reason if answer.judged is not None else ""
                made = Made(seen, answer.refusal_key, answer.keys, candidate, reason)
                self._performer.add(answer.generation, made, self._state)
            if answer.trouble or (answer.ready is not None and self._state.phase is not Phase.BACKOFF):
                self._performer.trouble = answer.trouble
            self._forgive(answer)
            self._look_later(answer.again)
            self.post(e.Refused(serial) if answer.ready is None else e.Prepared(serial, answer.ready))

        self._start_task(prepare(snapshot), f"prepare {serial}")

    def _forgive(self, answer: Answer) -> None:
        """What was taken back is gone, and what runs is all that is wanted."""
        state, judged = self._state, answer.judged
        if answer.generation is None or judged is None or judged.refused | judged.waiting | judged.dropped:
            return
        if answer.generation.number == state.current == state.good:
            self._performer.taken_back.clear()
            self._performer.undone = False

    def _look_later(self, seconds: float | None) -> None:
        """Look again after that time, though nothing may have changed."""
        if self._later is not None:
            self._later.cancel()
        later = asyncio.get_running_loop().call_later
        self._later = None if seconds is None else later(seconds, self.post, e.Changed())

    def _follow_phase(self, before: State) -> None:
        """End the watches of the phase that was left, and start those of the one that was entered."""
        state = self._state
        if state.epoch == before.epoch:
            return
        for task in self._of_phase:
            task.cancel()
        watches = self._watches.of(state, self._performer.look)
        self._of_phase = {self._start_task(watch, f"{state.phase} {state.epoch}") for watch in watches}
        facts = {"current": state.current, "good": state.good}
        self._journal.say("debug", "phase", f"{before.phase} -> {state.phase}", **facts)
        if state.phase is Phase.PROBATION:
            self._performer.came_up()
        self._readiness.follow(state)

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._group is not None
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- notes ------------------------------------------------------------------------------------------------

    def _note(self, before: State, event: e.Event) -> None:
        match event:
            case e.Declined(reason=reason) if before.epoch == event.epoch:
                self._performer.take_up_what_ran(self._state)
                self._journal.say("error", "reload.declined", f"Fluent Bit declined the reload: {reason}")
            case e.Unresponsive(reason=reason) if before.epoch == event.epoch:
                what = "start" if before.phase is Phase.STARTING else "reload"
                self._performer.trouble = f"the {what} did not end within its deadline: {reason}"
                message = f"{self._performer.trouble}; stopping the child to start it anew"
                self._journal.say("error", f"{what}.unresponsive", message)
            case e.Failed(reason=reason) if before.epoch == event.epoch:
                self._performer.trouble = f"unhealthy: {reason}"
                self._journal.say("error", "child.unhealthy", f"the child is not well: {reason}")

    def _observed(self, observation: Observation, reading: Reading, baseline: Observation | None) -> None:
        told = {gist(warning) for warning in self._performer.reading.warnings} if self._performer.reading else set()
        for warning in reading.warnings:
            if gist(warning) not in told:
                self._journal.say("warning", "output.failing", warning)
        if reading.health is not Health.WELL:
            self._journal.say("debug", "health", reading.detail, health=reading.health.value)
        self._performer.observation, self._performer.reading = observation, reading
        self._performer.counted = baseline or self._performer.counted
        if baseline is not None and not self._state.newcomer:
            self._performer.baseline = baseline
        self._metrics.observed(observation)

    # --- how it looks -----------------------------------------------------------------------------------------

    def status(self) -> Status:
        return status_of(self._facts())

    def _facts(self) -> Facts:
        state, performer, judged, child = self._state, self._performer, self._preparing.judged, self._performer.child
        digest = judged.candidate.digest if judged is not None and judged.candidate is not None else ""
        back = performer.taken_back.get(digest)
        return Facts(
            state=state,
            snapshot=self._snapshot,
            judged=judged,
            current=performer.generations.get(state.current or 0),
            good=performer.generations.get(state.good or 0),
            desired=desired_of(performer.generations, digest),
            last_apply=performer.attempt.status if performer.attempt is not None else None,
            child=ChildStatus(
                child.pid if child else None,
                child.started_at if child else None,
                performer.restarts,
                self._fluent_bit.identified.version,
            ),
            ready=self._readiness.of(state, performer.reading),
            trouble=self._preparing.unanswered
            or performer.trouble
            or self._preparing.refusal
            or self._fluent_bit.identified.error,
            degraded=(*self._degraded, self._unwritten) if self._unwritten else self._degraded,
            taken_back=(back,) if back is not None else (),
            undone=performer.undone,
            warnings=performer.reading.warnings if performer.reading is not None else (),
            watch_mode=self._watch_mode(),
            committed_at=performer.committed_at,
            named_tenants=self._named_tenants,
            backlogs=self._backlog.latest,
        )
