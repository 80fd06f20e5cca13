"""What may the API ask, and what is it told? It can ask before there is a controller, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from supervisor.adapters.api import Answer
from supervisor.adapters.sources import Sources
from supervisor.controller import Controller, Outcome
from supervisor.controller.report import NOTHING_YET
from supervisor.core.redaction import Redaction
from supervisor.model import Finding, SnippetState, Status

BIRTH_PATIENCE = 5.0  # seconds that a wish waits for a supervisor that is still starting


class House(Protocol):
    """Whoever builds controller and sources, in his own time."""

    born: asyncio.Event  # set once there are both

    @property
    def controller(self) -> Controller | None: ...

    @property
    def sources(self) -> Sources | None: ...

    def turns(self) -> bool: ...


class Desk:
    """What the API may ask, at any time of the supervisor's life."""

    def __init__(self, house: House, redaction: Callable[[], Redaction]) -> None:
        self._house, self._redaction = house, redaction

    def status(self) -> Status:
        controller = self._house.controller
        return _told(controller.status(), self._redaction()) if controller is not None else NOTHING_YET

    def healthy(self) -> bool:
        return self._house.turns()

    async def reload(self, *, wait: float | None, allow_empty: bool) -> Answer:
        patience = BIRTH_PATIENCE if wait is None else wait
        try:
            async with asyncio.timeout(patience):
                waiter = await self._ask(allow_empty)
                if wait is None:
                    return Answer("accepted", "", None)
                outcome = await asyncio.shield(waiter)
        except TimeoutError:
            if self._house.controller is None:
                return Answer("degraded", NOTHING_YET.reason, None)
            return Answer("accepted", f"no outcome after {patience:g} s: it goes on", None)
        return Answer(outcome.outcome, self._redaction().text(outcome.reason), outcome.generation)

    async def release(self, name: str, *, wait: float | None) -> Answer:
        """With `wait`, what became of this very snippet: others may be refused all the while."""
        try:
            async with asyncio.timeout(BIRTH_PATIENCE):
                await self._house.born.wait()
        except TimeoutError:
            return Answer("degraded", NOTHING_YET.reason, None)
        controller = self._house.controller
        assert controller is not None
        if why := await controller.release(name):
            return Answer("not-kept-out", why, None)
        if wait is None:
            return Answer("released", "it is tried again now", None)
        answer = await self.reload(wait=wait, allow_empty=False)
        status = controller.status()
        is_live = any(one.name == name and one.state is SnippetState.LIVE for one in status.snippets)
        if answer.outcome == "refused" and is_live:
            return Answer("committed", "", status.current.generation)
        return answer

    async def _ask(self, allow_empty: bool) -> asyncio.Future[Outcome]:
        await self._house.born.wait()
        controller, sources = self._house.controller, self._house.sources
        assert controller is not None
        assert sources is not None
        return await controller.request(await sources.read(), allow_empty=allow_empty)


def _told(status: Status, redaction: Redaction) -> Status:
    """The status without the values of secrets: a finding may quote what an author wrote, or what Fluent Bit said."""
    text, apply = redaction.text, status.last_apply

    def hidden(findings: Iterable[Finding]) -> tuple[Finding, ...]:
        return tuple(replace(each, message=text(each.message), hint=text(each.hint)) for each in findings)

    return replace(
        status,
        reason=text(status.reason),
        last_apply=apply and replace(apply, reason=text(apply.reason)),
        snippets=tuple(replace(each, findings=hidden(each.findings)) for each in status.snippets),
        findings=hidden(status.findings),
        warnings=tuple(map(text, status.warnings)),
    )
