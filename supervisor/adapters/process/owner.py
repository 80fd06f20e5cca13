"""Whose is this pid, and how did it end?

asyncio's own subprocess support is not used anywhere in this program, because two reapers steal each other's exit
statuses. The rules that keep every status right:

- A spawn forks *and* registers in one go on the loop's thread, and the sweep runs on that thread too. So no sweep comes
  between the two, and no exit, however early, can be missed.
- A sweep only looks at a dead child first (`WNOWAIT`), kills what is left of its session, and then reaps it. A zombie
  keeps its pid, which is also the number of its session and group, out of circulation: no kill can hit a stranger.
  The whole session, because Fluent Bit's exec input gives every command a group of its own, and leaves it the listening
  socket: a command that survives keeps the next Fluent Bit from its port (seen on 5.1.1).
- Whatever is reaped and was never registered is an orphan: counted, its status dropped. PID 1 gets orphans by nature;
  when we are not PID 1 we ask for them (`PR_SET_CHILD_SUBREAPER`), so that a command that outlives Fluent Bit
  does not outlive us.

Nothing here polls: SIGCHLD starts a sweep. Its first arrival disarms it until that sweep begins. Otherwise a flood of
deaths while the loop is busy fills the pipe that wakes asyncio, which holds some 280 signals, and the SIGTERM that
comes next is lost for good (seen on 3.11).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import psutil

from supervisor.adapters.process.child import Child, kill_session
from supervisor.adapters.process.kernel import PR_SET_CHILD_SUBREAPER, disarm, prctl
from supervisor.adapters.process.output import Capture, Echo
from supervisor.adapters.process.sandbox import Isolation, Sandbox, find_isolation
from supervisor.adapters.process.start import Streams, start_program
from supervisor.core.redaction import Redaction, redaction_of

_SWEEP = 100  # reaped in one turn of the loop: a flood of orphans must not keep the loop from its other work
_UNLIMITED = Sandbox()


@dataclass(frozen=True, slots=True)
class Completed:
    """How a run-once program ended."""

    returncode: int  # negative: the signal that ended it
    stdout: str  # undecodable bytes are replaced
    stderr: str
    timed_out: bool
    truncated: bool  # at least one stream was longer than the limit, and its middle is missing
    seconds: float


def describe_exit(returncode: int) -> str:
    """`exit status 255`, or `killed by SIGKILL (9)`."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name} ({-returncode})"
    except ValueError:  # most real-time signals have no name
        return f"killed by signal {-returncode}"


class Processes:
    """Every process of this program. All methods belong to the loop's thread, which is the main thread."""

    def __init__(self, isolation: Isolation | None = None) -> None:
        """`isolation`: what can be had for programs that are only tried out. None: found out when it is first asked."""
        self._isolation = isolation
        self.orphans_reaped = 0
        self.redaction: Callable[[], Redaction] = lambda: redaction_of({})  # of what is copied to our stderr
        self._owned: dict[int, Child] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweep_is_due = False
        self._buried = asyncio.Event()
        self._elders: frozenset[psutil.Process] = frozenset()

    @property
    def isolation(self) -> Isolation:
        """What can be had here to keep apart what is only tried out. To be asked on the main thread."""
        if self._isolation is None:
            self._isolation = find_isolation()
        return self._isolation

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to reap. To be called once, on the main thread, before the first spawn."""
        self._loop = loop
        self._elders = frozenset(psutil.Process().children())
        if os.getpid() != 1:
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        loop.add_signal_handler(signal.SIGCHLD, self._schedule_sweep)  # so that the signal wakes the loop
        self._arm()
        self._schedule_sweep()  # who died before the handler stood has sent its signal already

    def detach(self) -> None:
        """Stop reaping. What still runs goes on running; `stop_everything` comes first."""
        if self._loop is None:
            return
        disarm(signal.SIGCHLD)
        self._loop.remove_signal_handler(signal.SIGCHLD)
        self._loop = None
        if os.getpid() != 1:
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        echo_stderr: bool = True,
        sandbox: Sandbox | None = None,
    ) -> Child:
        """Start a program that stays.

        It leads a session and process group of its own, has an empty signal mask and default dispositions, and gets
        SIGKILL should this process die. When it ends, what is left of its session is killed. stdin and stdout are
        ours, untouched; stderr is copied to ours, redacted (unless `echo_stderr` is false), and its latest 64 KiB
        are kept. No core file. With a `sandbox` it is one for trying out: no stdin, stdout thrown away, no new
        privileges, the kernel's first choice when memory runs out, and within those limits.
        Raises `ProcessError`, with the reason, when the program cannot be started.
        """
        loop = self._attached()
        null = None if sandbox is None else subprocess.DEVNULL
        outlet, inlet = os.pipe()
        try:
            echo = Echo(loop, outlet, echo_stderr, self.redaction)  # it owns the outlet, and closes it at its end
            return self._start(argv, env, cwd, Streams(null, null, inlet), sandbox, echo)
        finally:
            os.close(inlet)

    async def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        timeout: float,
        output_limit: int = 256 * 1024,
        kill_grace: float = 2.0,
        sandbox: Sandbox = _UNLIMITED,
    ) -> Completed:
        """Run a program to its end, for at most `timeout` seconds, and leave nothing of it behind.

        Its process group gets SIGKILL at the time limit and when this call is cancelled; what is left of its session,
        when it ends, in whichever way. Of each output stream the first and the last half of `output_limit` bytes are
        kept, the rest is read and dropped. stdin is empty; for the rest it is kept in the `sandbox` as `spawn`
        does. A process that SIGKILL cannot end (stuck in the kernel) is given up after `kill_grace` seconds, and reaped
        whenever it ends. Raises `ProcessError`, with the reason, when the program cannot be started.
        """
        loop = self._attached()
        began = time.monotonic()
        with Capture(loop, output_limit) as stdout, Capture(loop, output_limit) as stderr:
            streams = Streams(subprocess.DEVNULL, stdout.inlet, stderr.inlet)
            child = self._start(argv, env, cwd, streams, sandbox, None)
            stdout.listen()
            stderr.listen()
            try:
                timed_out = not await child.ended_within(timeout)
            finally:
                child.signal_group(signal.SIGKILL)
                await child.ended_within(kill_grace)
            return Completed(
                returncode=-signal.SIGKILL if child.returncode is None else child.returncode,
                stdout=stdout.text(),
                stderr=stderr.text(),
                timed_out=timed_out,
                truncated=stdout.truncated or stderr.truncated,
                seconds=time.monotonic() - began,
            )

    async def stop_everything(self, limit: float = 2.0) -> None:
        """For the way out: SIGKILL to all children, their groups and the orphans they left to us; then wait.

        Gives up after `limit` seconds. What was a child of this process before `attach` is none of ours, and spared.
        """
        self._attached()
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while True:
                    for child in tuple(self._owned.values()):
                        child.signal_group(signal.SIGKILL)
                    remaining = self._descendants()
                    if not remaining and not self._owned:
                        return
                    for process in remaining:
                        with suppress(psutil.Error):
                            process.kill()
                    self._buried.clear()
                    self._schedule_sweep()
                    await self._buried.wait()

    def _descendants(self) -> list[psutil.Process]:
        """All processes below this one, zombies too, that `attach` did not find there."""
        found: list[psutil.Process] = []
        for process in psutil.Process().children():
            if process not in self._elders:
                found.append(process)
                with suppress(psutil.Error):
                    found += process.children(recursive=True)
        return found

    def _attached(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("Processes.attach must come before the first spawn: its exit would go unseen")
        if threading.current_thread() is not threading.main_thread():
            # The kernel sends the parent-death signal when the *thread* that forked ends.
            raise RuntimeError("processes belong to the main thread: they would die with the thread that started them")
        return self._loop

    def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        streams: Streams,
        sandbox: Sandbox | None,
        echo: Echo | None,
    ) -> Child:
        popen = start_program(argv, env, cwd, streams, sandbox)
        child = self._owned[popen.pid] = Child(popen, echo)
        return child

    def _arm(self) -> None:
        signal.signal(signal.SIGCHLD, self._notice)
        signal.siginterrupt(signal.SIGCHLD, False)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        disarm(number)  # from now on the kernel drops it, and keeps the dead for the sweep
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._schedule_sweep)

    def _schedule_sweep(self) -> None:
        # Signals merge and come in bursts: one sweep is enough for all that came before it.
        if self._loop is not None and not self._sweep_is_due:
            self._sweep_is_due = True
            self._loop.call_soon(self._sweep)

    def _sweep(self) -> None:
        self._sweep_is_due = False
        if self._loop is None:
            return
        self._arm()  # before the first look: who dies after the last one announces itself
        for _ in range(_SWEEP):
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # no children at all
                return
            if dead is None:
                return
            self._bury(dead.si_pid)
        self._schedule_sweep()

    def _bury(self, pid: int) -> None:
        child = self._owned.pop(pid, None)
        if child is not None:
            kill_session(pid)  # while the number is still its own
        with suppress(ChildProcessError):
            _, status = os.waitpid(pid, os.WNOHANG)
            if child is None:
                self.orphans_reaped += 1
            else:
                child.end(os.waitstatus_to_exitcode(status))
        self._buried.set()
