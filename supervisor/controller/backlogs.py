"""When is it looked at what waits on disk? As long as the supervisor runs, whatever the child does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from supervisor.adapters.backlog import BacklogReader, unknown
from supervisor.controller.tenants import needs_a_close_look
from supervisor.model import Backlogs, Status

SOON = 10.0  # seconds between two looks while a backlog may be growing
SELDOM = 60.0  # else
_NOWHERE = 1.0  # seconds until it is asked again where chunks lie


class BacklogWatch:
    """Looks now and then, in a thread of its own, and keeps what it saw last."""

    def __init__(
        self,
        where: Callable[[], str],
        *,
        status: Callable[[], Status],
        show: Callable[[Status], None],
        soon: float = SOON,
        seldom: float = SELDOM,
    ) -> None:
        """`where` says in which directory chunks lie, empty when it is not known; `show` is told after each look."""
        self._where, self._status, self._show = where, status, show
        self._soon, self._seldom = soon, seldom
        self._reader = BacklogReader()
        self.latest: Backlogs | None = None  # None: not known

    async def run(self) -> None:
        """Until cancelled."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backlog")
        try:
            while True:
                if not (directory := self._where()):
                    self.latest = None
                    await asyncio.sleep(_NOWHERE)
                    continue
                self.latest = await self._look(thread, directory)
                self._show(self._status())
                await self._pause(directory)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self, thread: ThreadPoolExecutor, directory: str) -> Backlogs:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, self._reader.read, directory)
        except Exception as failed:  # ours, or no thread to be had: figures are worth no outage
            return unknown(f"what waits in {directory} cannot be told: {type(failed).__name__}")

    async def _pause(self, directory: str) -> None:
        """Long, but not longer than to the next moment in which a close look is wanted, or another directory counts."""
        due = time.monotonic() + self._seldom
        while True:
            await asyncio.sleep(self._soon)
            status = self._status()
            closely = needs_a_close_look(status.snippets, status.warnings)
            if closely or time.monotonic() >= due or self._where() != directory:
                return
