"""What do the directories hold now?

`Sources` answers with snapshots: everything at one instant, whole and settled. Reading decides, watching only hints.
The rules of settling are told in `settle`, those of reading in `disk` and `files`, those of includes in `base`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from supervisor.adapters.sources.settle import Rules
from supervisor.adapters.sources.survey import Limits, Look, Survey, digest_of
from supervisor.adapters.sources.watch import Watch, WatchReport
from supervisor.model import Layer, Snapshot
from supervisor.settings import SourcesSettings

__all__ = ["Limits", "Sources", "WatchReport", "digest_of"]


_SHORTEST_PAUSE = 0.05  # seconds between two looks that were hinted at
_LONGEST_PAUSE = 1.0


def _nothing_granted(tenant: str, path: str) -> bool:
    return False


def _as_others(tenant: str) -> tuple[int, int]:
    return Limits().snippet, Limits().files


class Sources:
    """All that is read, as snapshots. Belongs to one event loop; reading is done in worker threads.

    `granted(tenant, path)` says whether a file that a tenant's snippet names may be looked at, `bounds(tenant)`
    how many bytes of one file of his, and how many files, are read at all. `digest_key` keys
    the digests of secrets and of other files that are only watched; keep it over restarts (a random one otherwise).
    """

    def __init__(
        self,
        *,
        layers: Sequence[Layer],
        base: str | None,
        cwd: str,
        secrets_directory: str,
        settings: SourcesSettings,
        report: Callable[[WatchReport], None],
        limits: Limits | None = None,
        granted: Callable[[str, str], bool] = _nothing_granted,
        bounds: Callable[[str], tuple[int, int]] = _as_others,
        digest_key: bytes = b"",
        torn: float = 2.0,
    ) -> None:
        self._rules = Rules(settings.quiet, settings.max_wait, settings.vanish_grace, torn)
        self._resync = settings.resync
        self._survey = Survey(
            layers=layers,
            base=base,
            cwd=cwd,
            secrets=secrets_directory,
            limits=limits or Limits(),
            key=digest_key or os.urandom(32),
            granted=granted,
            bounds=bounds,
        )
        self._hinted = asyncio.Event()
        self._urgent = False
        self._watch = Watch(self._hinted.set, report)

    @property
    def mode(self) -> str:
        """How we watch at present: inotify, polling, timer (the resync alone), or off."""
        return self._watch.mode

    def seed(self, snapshot: Snapshot) -> None:
        """What was accepted before: it stays where it cannot be read. To be called before the first reading."""
        self._survey.seed(snapshot)

    def look_again(self) -> None:
        """Read now, whatever the watch says."""
        self._urgent = True
        self._hinted.set()

    async def read(self, *, settle: bool = True) -> Snapshot:
        """One whole reading. Settled: waits for what is being written, at most `max_wait` seconds.

        With `settle=False` everything counts as it is read now: for a look at files that nobody is writing.
        """
        rules = self._rules if settle else replace(self._rules, at_once=True)
        end = time.monotonic() + self._rules.max_wait
        while True:
            look = await asyncio.to_thread(self._survey.look, rules)
            if not look.pending or time.monotonic() >= end:
                return look.snapshot
            await asyncio.sleep(max(0.005, min(end, look.due or end) - time.monotonic()))

    async def snapshots(self) -> AsyncGenerator[Snapshot, None]:
        """The first one as soon as it is settled, then one for each change. Whoever is slow gets the latest.

        A change of alarms alone is told too, by a snapshot with an equal digest. Ends only when cancelled; close it
        (`contextlib.aclosing`) so that the watch ends at once.
        """
        told: tuple[str, tuple[str, ...]] | None = None
        held_since: float | None = None
        try:
            while True:
                self._hinted.clear()
                self._urgent = False
                look = await asyncio.to_thread(self._survey.look, self._rules)
                self._watch.cover(look.plan)
                state = (look.snapshot.digest, look.snapshot.alarms)
                now = time.monotonic()
                if state == told:
                    held_since = None
                elif look.moving and now < (held_since := held_since or now) + self._rules.max_wait:
                    pass
                else:
                    held_since = None
                    told = state
                    yield look.snapshot
                await self._rest(look)
        finally:
            await self._watch.close()

    async def _rest(self, look: Look) -> None:
        """Until there is a reason to look again: a hint, something due, or the resync."""
        now = time.monotonic()
        moments = [now + self._resync, look.due, self._watch.retry_at]
        end = min(moment for moment in moments if moment is not None)
        pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 4 * look.cpu_seconds))  # however fast the hints come
        try:
            async with asyncio.timeout_at(end):
                await self._hinted.wait()
        except TimeoutError:
            return
        if not self._urgent:
            await asyncio.sleep(min(now + pause, end) - time.monotonic())
