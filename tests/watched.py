"""Sources with short times, and a reader that keeps every snapshot, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from supervisor.adapters.sources import Sources, WatchReport
from supervisor.model import Layer, Snapshot, Trust
from supervisor.settings import SourcesSettings

SHORT = SourcesSettings(quiet=0.03, max_wait=0.5, resync=0.3, vanish_grace=0.4)
SNIPPET = "[INPUT]\n    name dummy\n"


def sources_in(
    root: Path, *, base: str | None = None, report: Callable[[WatchReport], None] | None = None, **more: Any
) -> Sources:
    """Layers `platform.d` and `tenants.d`, secrets in `secrets`, working directory `root`."""
    times = {name: more.pop(name) for name in ("quiet", "max_wait", "resync", "vanish_grace") if name in more}
    return Sources(
        layers=[
            Layer("platform", str(root / "platform.d"), Trust.PLATFORM),
            Layer("tenants", str(root / "tenants.d"), Trust.TENANT),
        ],
        base=base,
        cwd=str(root),
        secrets_directory=str(root / "secrets"),
        settings=replace(SHORT, **times),
        report=report or (lambda _: None),
        **{"torn": 0.3, **more},
    )


def text(snapshot: Snapshot, name: str) -> str | None:
    """The content that counts for a snippet; None: it is not there."""
    return next((s.content.decode() for s in snapshot.snippets if s.name == name), None)


def names(snapshot: Snapshot) -> list[str]:
    return [snippet.name for snippet in snapshot.snippets]


def rules(snapshot: Snapshot) -> list[str]:
    return sorted(finding.rule for finding in snapshot.findings)


class Follower:
    """Takes every snapshot as it comes."""

    def __init__(self) -> None:
        self.all: list[Snapshot] = []
        self._news = asyncio.Condition()

    async def follow(self, sources: Sources) -> None:
        async with contextlib.aclosing(sources.snapshots()) as snapshots:
            async for snapshot in snapshots:
                async with self._news:
                    self.all.append(snapshot)
                    self._news.notify_all()

    @property
    def latest(self) -> Snapshot:
        return self.all[-1]

    async def until(self, condition: Callable[[Snapshot], object], limit: float = 8.0) -> Snapshot:
        """The latest snapshot once the condition holds for it."""
        try:
            async with asyncio.timeout(limit), self._news:
                await self._news.wait_for(lambda: self.all and condition(self.latest))
        except TimeoutError:
            raise AssertionError(f"not so within {limit} s; latest: {self.all[-1:]}") from None
        return self.latest


@contextlib.asynccontextmanager
async def following(sources: Sources) -> AsyncIterator[Follower]:
    """Watches for as long as the block lasts."""
    follower = Follower()
    task = asyncio.create_task(follower.follow(sources))
    try:
        yield follower
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
