"""What became of each request to look again? Told to those who wait, as soon as it is known."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from supervisor.core import events as e
from supervisor.core.machine import Intake, Phase, State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request to look again."""

    outcome: str  # committed | unchanged | refused | reverted | degraded
    reason: str = ""
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody asked to look again, and may wait for the outcome."""

    waiter: asyncio.Future[Outcome]
    allow_empty: bool


@dataclass(slots=True)
class _Waiter:
    """Somebody who waits for what becomes of a serial, and the generation that it became."""

    serial: int
    future: asyncio.Future[Outcome]
    generation: int | None = None


class Waiting:
    """All who wait."""

    def __init__(self) -> None:
        self._waiters: list[_Waiter] = []

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def add(self, serial: int, future: asyncio.Future[Outcome]) -> None:
        self._waiters.append(_Waiter(serial, future))

    def hear(
        self,
        event: e.Event,
        before: State,
        state: State,
        *,
        blamed: int | None,
        settled: bool,
        refused: str,
        trouble: str,
    ) -> None:
        """An event and what it did.

        `settled`: the newest that may run is what runs, and proved itself; `refused`: what of the newest may not.
        """
        if isinstance(event, e.Prepared) and event.serial == before.serial:
            for waiter in self._waiters:
                if waiter.serial <= event.serial and waiter.generation is None:
                    waiter.generation = event.ready.generation
        for waiter in self._waiters:
            outcome = _outcome(waiter, event, before, state, blamed, settled, trouble)
            if outcome is not None and refused and outcome.outcome in ("committed", "unchanged"):
                outcome = Outcome("refused", refused, outcome.generation)
            if outcome is not None and not waiter.future.done():
                waiter.future.set_result(outcome)
        self._waiters = [waiter for waiter in self._waiters if not waiter.future.done()]


def _outcome(
    waiter: _Waiter, event: e.Event, before: State, state: State, blamed: int | None, settled: bool, trouble: str
) -> Outcome | None:
    """What became of the request, if that is known by now."""
    if state.phase is Phase.STOPPED:
        return Outcome("degraded", "the supervisor stopped")
    if blamed is not None and blamed == waiter.generation:
        return Outcome("reverted", trouble)
    if state.serial < waiter.serial or state.intake is Intake.PREPARING:
        return None
    if isinstance(event, e.Refused) and event.serial >= waiter.serial:
        return Outcome("refused", trouble)
    if settled:
        unchanged = isinstance(event, e.Prepared) and before.phase is state.phase
        return Outcome("unchanged" if unchanged else "committed", "", state.current)
    if isinstance(event, e.Exited) and before.newcomer and state.phase is Phase.BACKOFF:
        return Outcome("degraded", trouble, state.current)
    return None
