"""What is waited for in each phase?

A watch lives as long as its phase, only reads, and ends by posting an event or by being cancelled. What the event
means is not decided here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from supervisor.adapters import fluent_bit as dialect
from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.health import Judge, Liveness, congested
from supervisor.adapters.process import Child
from supervisor.core import events
from supervisor.core.events import Event
from supervisor.core.machine import Phase, State
from supervisor.model import Generation, Health, Observation, Reading
from supervisor.settings import Settings

STEADY_STRETCH = 5  # in steady state one look in so many intervals: a look costs some 3 ms
STOP_TICK = 0.8  # seconds: Fluent Bit leaves up to a second after its grace (5.1.1); after that it hangs
HURRIED_GRACE = 1.0  # seconds between TERM and KILL when waiting has no point
BACKOFF_FIRST = 0.25  # seconds
BACKOFF_CAP = 30.0
YOUNG_PROBATIONS = 6.0  # after a commit, in which a crash is held to be the doing of what changed lately
_SHORTEST_PAUSE = 0.05  # seconds between two looks
DEAF_AFTER_DECLINE = 2.0  # seconds in which Fluent Bit swallows signals (about 1 s seen on 5.1.1)


@dataclass(slots=True)
class Look:
    """What a phase is about: the child, what it was told, and what was known before."""

    child: Child | None
    generation: Generation | None
    judge: Judge
    mark: int = 0  # where the child's stderr stood when it was told
    count: int = 0  # reloads it had counted then


class Watches:
    """Waits on the controller's behalf."""

    def __init__(
        self,
        *,
        fluent_bit: FluentBit,
        settings: Settings,
        post: Callable[[Event], None],
        observed: Callable[[Observation, Reading, Observation | None], None],
    ) -> None:
        self._fluent_bit = fluent_bit
        self._settings = settings
        self._post = post
        self._observed = observed

    def of(self, state: State, look: Look) -> Iterable[Coroutine[Any, Any, None]]:
        """The coroutines to run while `state`'s phase lasts."""
        match state.phase:
            case Phase.STARTING:
                yield self._start(state, look)
            case Phase.RELOADING | Phase.REVERTING:
                yield self._reload(state, look)
            case Phase.PROBATION:
                yield self._probation(state, look)
                yield self._gap(state)
            case Phase.STEADY:
                yield self._steady(state, look)
                young = YOUNG_PROBATIONS * self._settings.health.probation
                yield self._after(young, events.Grown(state.epoch))
                if state.cooling:
                    yield self._gap(state)
            case Phase.BACKOFF:
                yield self._after(backoff_delay(state.attempt, random.random()), events.TimerElapsed(state.epoch))
            case Phase.REPLACING | Phase.STOPPING:
                yield self._grace(state, look)

    async def _after(self, delay: float, event: Event) -> None:
        await asyncio.sleep(delay)
        self._post(event)

    async def _gap(self, state: State) -> None:
        gap = self._settings.apply.min_gap
        await self._after(max(gap, DEAF_AFTER_DECLINE) if state.cooling else gap, events.GapElapsed(state.epoch))

    async def _grace(self, state: State, look: Look) -> None:
        grace = look.generation.grace if look.generation else 0.0
        delay = HURRIED_GRACE if state.hurried else max(grace, self._settings.fluent_bit.grace) + STOP_TICK
        while True:  # KILL can be needed again: a child forked in between may be a new group leader
            await self._after(delay, events.GraceElapsed(state.epoch))
            delay = HURRIED_GRACE

    async def _start(self, state: State, look: Look) -> None:
        if look.child is None or look.generation is None:
            return
        deadline = self._settings.apply.deadline
        match await self._fluent_bit.ready(look.child, look.generation.endpoint, deadline):
            case dialect.Ready():
                self._post(events.Started(state.incarnation))
            case dialect.Unresponsive(reason):
                self._post(events.Unresponsive(state.epoch, reason))
            case dialect.Exited():
                pass  # who waits for the process says so

    async def _reload(self, state: State, look: Look) -> None:
        if look.child is None or look.generation is None:
            return
        deadline = self._settings.apply.deadline
        endpoint = look.generation.endpoint
        match await self._fluent_bit.acknowledged(look.child, endpoint, look.count, look.mark, deadline):
            case dialect.Acknowledged():
                self._post(events.Acknowledged(state.epoch))
            case dialect.Declined(reason):
                self._post(events.Declined(state.epoch, reason))
            case dialect.Unresponsive(reason):
                self._post(events.Unresponsive(state.epoch, reason))
            case dialect.Exited():
                pass

    async def _probation(self, state: State, look: Look) -> None:
        """Health must hold for the whole time.

        What cannot be told at its end gets as long again; then it counts as well, because a quiet output is no fault.
        """
        if look.child is None or look.generation is None:
            return
        length = self._settings.health.probation
        interval = min(self._settings.health.interval, length)
        began = time.monotonic()
        while True:
            observation, reading = await self._read(look, time.monotonic() - began)
            elapsed = time.monotonic() - began
            if reading.health is Health.UNWELL:
                self._post(events.Failed(state.epoch, reading.detail, reading.suspects, _is_stalled(observation)))
                return
            enough = length if reading.health is Health.WELL else 2 * length
            if observation.answering and elapsed >= enough:
                self._post(events.Passed(state.epoch))
                return
            await asyncio.sleep(min(interval, max(_SHORTEST_PAUSE, enough - elapsed)))

    async def _read(self, look: Look, elapsed: float) -> tuple[Observation, Reading]:
        assert look.child is not None
        assert look.generation is not None
        observation = await self._fluent_bit.observe(look.child, look.generation.endpoint)
        reading = look.judge.judge(observation, elapsed)
        self._observed(observation, reading, observation if observation.outputs is not None else None)
        self._post(events.Observed(self._must_restart(observation)))
        return observation, reading

    def _must_restart(self, observation: Observation) -> bool:
        """Whether a reload would wait for an output; the operator may insist on it all the same."""
        return self._settings.apply.method != "reload" and congested(observation)

    async def _steady(self, state: State, look: Look) -> None:
        if look.child is None or look.generation is None:
            return
        liveness = Liveness()
        interval = self._settings.health.interval
        pause = interval * STEADY_STRETCH
        while True:
            await asyncio.sleep(pause)
            observation = await self._fluent_bit.observe(look.child, look.generation.endpoint)
            reading = liveness.judge(observation, time.monotonic())
            self._observed(observation, reading, liveness.baseline())
            self._post(events.Observed(self._must_restart(observation)))
            if reading.health is Health.UNWELL:
                self._post(events.Failed(state.epoch, reading.detail, stalled=_is_stalled(observation)))
                return
            pause = interval * STEADY_STRETCH if reading.health is Health.WELL else interval


def _is_stalled(observation: Observation) -> bool:
    return observation.alive and observation.answering and observation.outputs is None


def backoff_delay(attempt: int, jitter: float) -> float:
    """Seconds before start number `attempt` (from 1); doubling, capped, and spread by `jitter` in 0..1."""
    full = min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(attempt, 20))
    return full * (0.5 + jitter / 2)
