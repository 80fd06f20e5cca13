"""When should we look again?

watchfiles gives hints, nothing more: what changed is found by reading. It goes blind or dies in known ways (a directory
replaced or mounted over, a queue that overflowed, no inotify watch left, a file name that is not UTF-8), so it is
started again when the directories are others than at its start, and with growing pauses when it failed; meanwhile
watchfiles polls, and when that fails too the caller's own timer is all there is. Seen with watchfiles 1.3.0.

A watch runs in one thread of its own, which ends within one step (0.1 s) of being told to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchfiles import Change, watch

STEP_MS = 100  # a hint comes one to two steps after the event; idle, the thread wakes once a step
GROWING_MS = 300  # a set of changes that keeps growing is handed over after this
POLL_MS = 1000
_PAUSE = 1.0  # seconds after the first failure; doubled each time
_PAUSE_LIMIT = 60.0  # also: a watch that lived so long counts as healthy

logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would tell of every change


@dataclass(frozen=True, slots=True)
class WatchReport:
    """How we watch at present, and what went wrong if this report is about a failure."""

    mode: str  # inotify | polling | timer | off
    error: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """One directory to watch."""

    device: int
    inode: int
    names: frozenset[str] | None  # the only names that matter in it, besides `..data` and the like; None: all


class Watch:
    """Keeps hints coming for a changing set of directories. Belongs to one event loop."""

    def __init__(self, hint: Callable[[], None], report: Callable[[WatchReport], None]) -> None:
        self.mode = "off"
        self._hint = hint
        self._report = report
        self._run: _Run | None = None
        self._plan: dict[str, Spot] = {}
        self._failures = 0
        self._inotify_from = 0.0  # monotonic: not to be tried before
        self._anything_from = 0.0

    @property
    def retry_at(self) -> float | None:
        """When `cover` should be called again though nothing changed, monotonic; None: no need."""
        if self._run is None:
            return self._anything_from if self._plan else None
        return self._inotify_from if self._run.polling else None

    def cover(self, plan: Mapping[str, Spot]) -> None:
        """Watch these directories from now on. Costs nothing when all is as before."""
        now = time.monotonic()
        polling = now < self._inotify_from
        if self._run is None:
            if dict(plan) == self._plan and now < self._anything_from:
                return
        elif self._run.covers(plan) and not (self._run.polling and not polling):
            return
        self._start(dict(plan), polling)

    def _start(self, plan: dict[str, Spot], polling: bool) -> None:
        if self._run is not None:
            self._run.stopping = True
        self._plan = plan
        self._run = None
        if plan:
            self._run = _Run(self, plan, polling, asyncio.get_running_loop())
            self._run.start()
        else:
            self._become("timer")

    async def close(self) -> None:
        """Returns when the thread has ended."""
        run, self._run = self._run, None
        if run is not None:
            run.stopping = True
            await run.ended.wait()
            run.thread.join()  # it has only to return
        self._become("off")

    # --- told by a run, in the event loop -----------------------------------------------------------------------

    def is_up(self, run: _Run) -> None:
        if run is self._run:
            self._become("polling" if run.polling else "inotify")
            self._hint()  # what changed before it was up went unseen

    def changed(self, run: _Run) -> None:
        if run is self._run:
            self._hint()

    def failed(self, run: _Run, error: BaseException) -> None:
        if run is not self._run:
            return
        now = time.monotonic()
        if run.up_since is not None and now - run.up_since > _PAUSE_LIMIT:
            self._failures = 0
        pause = min(_PAUSE_LIMIT, _PAUSE * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._run = None
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, FileNotFoundError) or run.polling:
            self._anything_from = now + pause
            self._become("timer", text)
        else:
            self._inotify_from = now + pause
            self._become("timer", text)
            self._start(self._plan, polling=True)
        self._hint()  # what it had in hand is lost

    def _become(self, mode: str, error: str = "") -> None:
        if mode != self.mode or error:
            self.mode = mode
            self._report(WatchReport(mode, error))


class _Run:
    """One run of watchfiles over a fixed set of directories, in a thread.

    It is its own stop event: watchfiles asks `is_set` once a step from the moment that it watches, and the first
    question is how we know that it does.
    """

    def __init__(self, owner: Watch, plan: dict[str, Spot], polling: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.polling = polling
        self.stopping = False
        self.ended = asyncio.Event()
        self.up_since: float | None = None  # monotonic
        self._owner = owner
        self._plan = plan
        self._loop = loop
        self.thread = threading.Thread(target=self._work, name="sources-watch", daemon=True)
        self._replaced = False  # a directory was another one already when the watch started

    def start(self) -> None:
        self.thread.start()

    def covers(self, plan: Mapping[str, Spot]) -> bool:
        return not self._replaced and dict(plan) == self._plan

    def is_set(self) -> bool:
        if self.up_since is None:
            self.up_since = time.monotonic()
            self._tell(self._owner.is_up, self)
        return self.stopping

    def _work(self) -> None:
        error: BaseException = RuntimeError("the watch ended by itself")
        try:
            self._replaced = any(not _same(path, spot) for path, spot in self._plan.items())
            for _ in watch(
                *self._plan,
                watch_filter=self._matters,
                debounce=GROWING_MS,
                step=STEP_MS,
                stop_event=self,
                rust_timeout=0,
                force_polling=self.polling,
                poll_delay_ms=POLL_MS,
                recursive=False,
                raise_interrupt=False,
                ignore_permission_denied=False,  # True would also hide that no watch is left (seen with 1.3.0)
            ):
                self._tell(self._owner.changed, self)
        except BaseException as raised:
            error = raised
        if not self.stopping:
            self._tell(self._owner.failed, self, error)
        self._tell(self.ended.set)

    def _matters(self, change: Change, path: str) -> bool:
        directory, name = os.path.split(path)
        spot = self._plan.get(directory)
        return spot is None or spot.names is None or name in spot.names or name.startswith("..")

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.stopping = True


def _same(path: str, spot: Spot) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (spot.device, spot.inode)
