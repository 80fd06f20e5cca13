"""Where do the bytes of a child go?"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from supervisor.core.redaction import Redaction, redaction_of
from supervisor.model import ProcessError

_KEPT = 64 * 1024  # of a long-running child's stderr
_PATIENCE = 1.0  # seconds that the last words of a dead child may take to get through our own stderr
_CHUNK = 64 * 1024  # what a pipe holds by default


class Latest:
    """The latest bytes of a stream, and how many there were in all."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._limit = limit
        self._kept = bytearray()

    def add(self, data: bytes | bytearray) -> None:
        self.total += len(data)
        self._kept += data
        del self._kept[: max(0, len(self._kept) - self._limit)]

    def since(self, mark: int) -> bytes:
        """What is kept of the bytes after the first `mark` ones."""
        return bytes(self._kept[max(0, mark - (self.total - len(self._kept))) :])


class Echo:
    """Copies a child's stderr to our own, with secrets hidden, and keeps the latest of it.

    What is kept is what it said: what one of its lines means must not depend on the text of somebody's secret. So
    nothing of it may be told before it was redacted.

    A thread does it, because our stderr may be a full pipe that nobody reads: then this thread waits, and in the end
    the child does, as it would without us; the loop does not. It sleeps in the kernel while there is nothing to copy.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        outlet: int,
        echo: bool,
        redaction: Callable[[], Redaction] = lambda: redaction_of({}),
    ) -> None:
        self._loop = loop
        self._outlet = outlet
        self._echo = echo
        self._redaction = redaction  # asked before each piece: a secret may be new
        self._held = b""  # the end of an unfinished line, where a secret may have begun
        self._lock = threading.Lock()  # never held while waiting
        self._latest = Latest(_KEPT)
        self._passed_on = 0  # bytes
        self._closed = False
        self._waiting: list[tuple[int, asyncio.Event]] = []
        thread = threading.Thread(target=self._copy, name="child-stderr", daemon=True)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # it inherits this: not its business
        try:
            thread.start()
        except RuntimeError as error:
            os.close(outlet)
            raise ProcessError(f"cannot start a program: no thread to read its stderr: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def mark(self) -> int:
        return self._latest.total

    def since(self, mark: int) -> str:
        with self._lock:
            return self._latest.since(mark).decode(errors="replace")

    async def caught_up(self) -> None:
        """Until all that is in the pipe now has been kept and passed on, or our own stderr blocks for too long."""
        reached = asyncio.Event()
        with self._lock:
            goal = self._latest.total + (0 if self._closed else _readable(self._outlet))
            if self._passed_on >= goal:
                return
            self._waiting.append((goal, reached))
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await reached.wait()

    def _copy(self) -> None:
        poll = select.poll()
        poll.register(self._outlet, select.POLLIN)
        taken, ended = 0, False
        while not ended:
            data = self._take(poll)
            taken, ended = taken + len(data), not data
            self._echo = self._echo and _write_all(2, self._shown(data, ended))
            with self._lock:
                self._passed_on = taken - len(self._held) if self._echo else taken
                reached = [event for goal, event in self._waiting if goal <= self._passed_on]
                self._waiting = [(goal, event) for goal, event in self._waiting if goal > self._passed_on]
            for event in reached:
                with suppress(RuntimeError):  # the loop was closed meanwhile
                    self._loop.call_soon_threadsafe(event.set)

    def _shown(self, data: bytes, ended: bool) -> bytes:
        """What may be read of it. A fault of our own shows nothing and stops nobody: without a reader the child would
        wait for ever."""
        try:
            shown, self._held = self._redaction().split(self._held + data, ended=ended)
        except Exception as failed:
            shown, self._held = b"[%d bytes left out: %s]\n" % (len(data), type(failed).__name__.encode()), b""
        return shown

    def _take(self, poll: select.poll) -> bytes:
        poll.poll()
        with self._lock:  # so that what has left the pipe is always counted
            data = os.read(self._outlet, _CHUNK)
            self._latest.add(data)
            if not data:
                self._closed = True
                os.close(self._outlet)
        return data


class Capture:
    """One output stream of a run-once program: its beginning and its end are kept, the middle is read and dropped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._loop = loop
        self._head = bytearray()
        self._head_limit = limit - limit // 2
        self._tail = Latest(limit // 2)
        self._tail_limit = limit // 2
        self._outlet, self.inlet = os.pipe()
        self._open = {self._outlet, self.inlet}
        os.set_blocking(self._outlet, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.remove_reader(self._outlet)
        for descriptor in self._open:
            os.close(descriptor)

    @property
    def truncated(self) -> bool:
        return self._tail.total > self._tail_limit

    def listen(self) -> None:
        """The program has its end: give up ours, and read."""
        self._open.remove(self.inlet)
        os.close(self.inlet)
        self._loop.add_reader(self._outlet, self._read)

    def text(self) -> str:
        """All that is kept, with a line in the place of what is missing. To be asked when the program has ended."""
        for _ in range(1024 * 1024 // _CHUNK):  # no more than a pipe can hold: a descendant may still be writing
            if not self._read():
                break
        missing = self._tail.total - self._tail_limit
        note = f"\n[{missing} bytes left out]\n".encode() if missing > 0 else b""
        return (bytes(self._head) + note + self._tail.since(0)).decode(errors="replace")

    def _read(self) -> bool:
        try:
            data = os.read(self._outlet, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._outlet)
            return False
        room = self._head_limit - len(self._head)
        self._head += data[:room]
        self._tail.add(data[room:])
        return True


def _readable(descriptor: int) -> int:
    """How many bytes wait in a pipe."""
    count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
    return count


def _write_all(descriptor: int, data: bytes) -> bool:
    """Write everything, however long it takes. False when nobody will ever read it."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody who shares it with us made it non-blocking
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
        except OSError:
            return False
    return True
