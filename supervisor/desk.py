"""What may the API ask, and what is it told? It can ask before there is a controller, too."""

from __future__ import annotations

import asyncio
from typing import Protocol

from supervisor.adapters.api import Answer
from supervisor.adapters.sources import Sources
from supervisor.controller import Controller
from supervisor.controller.report import NOTHING_YET
from supervisor.model import Status


class House(Protocol):
    """Whoever builds controller and sources, in his own time."""

    @property
    def controller(self) -> Controller | None: ...

    @property
    def sources(self) -> Sources | None: ...

    def turns(self) -> bool: ...


class Desk:
    """What the API may ask, at any time of the supervisor's life."""

    def __init__(self, house: House) -> None:
        self._house = house

    def status(self) -> Status:
        controller = self._house.controller
        return controller.status() if controller is not None else NOTHING_YET

    def healthy(self) -> bool:
        return self._house.turns()

    async def reload(self, *, wait: float | None, allow_empty: bool) -> Answer:
        controller, sources = self._house.controller, self._house.sources
        if controller is None or sources is None:
            return Answer("degraded", "the supervisor is still starting", None)
        snapshot = await sources.read()
        waiter = await controller.request(snapshot, allow_empty=allow_empty)
        if wait is None:
            return Answer("accepted", "", None)
        try:
            async with asyncio.timeout(wait):
                outcome = await asyncio.shield(waiter)
        except TimeoutError:
            return Answer("accepted", f"no outcome after {wait:g} s: it goes on", None)
        return Answer(outcome.outcome, outcome.reason, outcome.generation)
