"""What can be asked of, and done to, one process that we started?"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from supervisor.adapters.process.output import Echo


@dataclass(frozen=True, slots=True)
class Usage:
    resident_bytes: int
    cpu_seconds: float  # user and system, since the process started


class Child:
    """One process that `Processes` started. Its pid is its own until it is reaped, and is not used after that."""

    def __init__(self, popen: subprocess.Popen[bytes], echo: Echo | None) -> None:
        self.pid = popen.pid
        self.started_at = time.time()  # seconds since the epoch, for display
        self.returncode: int | None = None  # negative: the signal that ended it
        self._popen = popen
        self._echo = echo
        self._ended = asyncio.Event()
        self._psutil: psutil.Process | None = None
        self._sockets: dict[int, tuple[str, str]] = {}  # by port: a descriptor of its own, and the socket that it is

    async def wait(self) -> int:
        """Its exit status, once it has ended and its last words on stderr are kept and (within a second) copied."""
        await self._ended.wait()
        if self._echo is not None:
            await self._echo.caught_up()
        assert self.returncode is not None
        return self.returncode

    async def ended_within(self, limit: float) -> bool:
        """Whether it ends within so many seconds."""
        try:
            async with asyncio.timeout(limit):
                return await self._ended.wait()
        except TimeoutError:
            return self._ended.is_set()

    def alive(self) -> bool:
        """Whether it runs, or is stopped. A zombie is not alive.

        Asks the kernel about *our child* of that pid. The pid cannot be given to another process before we reap it, and
        a stranger who has it after that is no child of ours: this says all that pid and start time together would say.
        """
        if self.returncode is not None:
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def signal(self, sig: int) -> bool:
        """Send a signal to this process only. False when it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, sig)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def signal_group(self, sig: int) -> bool:
        """Send a signal to all of its process group. False when it is gone: its whole session is killed with it."""
        return self.alive() and kill_group(self.pid, sig)

    def usage(self) -> Usage | None:
        """Memory and processor time, or None when it is gone."""
        if not self.alive():
            return None
        try:
            if self._psutil is None:
                self._psutil = psutil.Process(self.pid)
            times = self._psutil.cpu_times()
            return Usage(self._psutil.memory_info().rss, times.user + times.system)
        except (psutil.Error, OSError):
            return None

    def listens_on(self, port: int) -> bool | None:
        """Whether this very process holds a listening TCP socket on that port. None when it cannot be told.

        Looks only at the listeners of its network namespace and at its own descriptors. That takes some 5 ms, because
        the kernel walks its table of connections too; the socket found once is recognised again in 0.01 ms.
        """
        if not self.alive():
            return False
        known = self._sockets.pop(port, None)
        try:
            if known is None or known[1] != _target(known[0]):
                links = _listeners(self.pid, port)
                known = next((each for each in _descriptors(self.pid) if each[1] in links), None) if links else None
        except PermissionError:
            return None
        except OSError:  # it is ending at this very moment; or there is no /proc at all
            return False if os.path.exists("/proc/self") else None
        if known is None:
            return False
        self._sockets[port] = known
        return True

    def ports(self) -> frozenset[int] | None:
        """Ports on which this very process listens or takes datagrams. None when it cannot be told."""
        try:
            found = psutil.Process(self.pid).net_connections("inet") if self.alive() else ()
        except psutil.NoSuchProcess:
            return frozenset()
        except (psutil.Error, OSError):
            return None
        return frozenset(each.laddr.port for each in found if each.laddr and not each.raddr)

    def stderr_mark(self) -> int:
        """The present end of what it wrote to stderr, for `stderr_since`."""
        return 0 if self._echo is None else self._echo.mark()

    def stderr_since(self, mark: int) -> str:
        """What it wrote to stderr since that mark, as far as the latest 64 KiB reach."""
        return "" if self._echo is None else self._echo.since(mark)

    def end(self, returncode: int) -> None:
        """It was reaped. Said by `Processes` alone."""
        self.returncode = returncode
        self._popen.returncode = returncode  # else Popen would one day wait for a pid that is somebody else's by then
        self._ended.set()


def kill_group(group: int, sig: int) -> bool:
    """Send a signal to a process group; False when nobody is there to take it."""
    try:
        os.killpg(group, sig)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def kill_session(session: int) -> None:
    """SIGKILL to all of a session, whose leader is a zombie that we have not reaped: the number is nobody else's."""
    kill_group(session, signal.SIGKILL)  # nobody can fork out of this one
    killed: set[int] = set()
    while members := {pid for pid in _all_pids() if _session(pid) == session} - killed - {session}:
        for pid in members:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= members  # once more, for those that were forked meanwhile


def _all_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


_LISTENER = re.compile(r"\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A (?:\S+ +){5}(\d+)")


def _listeners(pid: int, port: int) -> set[str]:
    """The listening TCP sockets on a port, in the network namespace of a process, as links of descriptors name them."""
    found = set()
    for table in ("tcp", "tcp6"):
        if table == "tcp6" and not os.path.exists(f"/proc/{pid}/net/tcp6"):  # a machine without IPv6
            continue
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                match = _LISTENER.match(line)
                if match is None:  # the kernel lists all listeners first, then the connections, which may be many
                    break
                if int(match[1], 16) == port:
                    found.add(f"socket:[{match[2]}]")
    return found


def _descriptors(pid: int) -> Iterator[tuple[str, str]]:
    """The descriptors of a process, and what they refer to."""
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            yield entry.path, _target(entry.path)


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except FileNotFoundError:  # closed meanwhile
        return ""
