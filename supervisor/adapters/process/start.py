"""How does a program come to run, and if it does not, why?"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from supervisor.adapters.process.kernel import PR_SET_PDEATHSIG, prctl
from supervisor.adapters.process.sandbox import Sandbox, confinement
from supervisor.model import ProcessError

_ALL_SIGNALS = frozenset(signal.valid_signals())


class Streams(NamedTuple):
    """Where a program's standard streams go, as Popen has it; None is our own."""

    stdin: int | None
    stdout: int | None
    stderr: int


def start_program(
    argv: Sequence[str], env: Mapping[str, str], cwd: str | None, streams: Streams, sandbox: Sandbox | None
) -> subprocess.Popen[bytes]:
    """Fork and exec. Of Popen only this is used; it never waits for the process.

    Raises `ProcessError`. About 5 ms from a process of 50 MiB, nearly all of it the fork; Popen's cheaper vfork is not
    to be had with a preparation, and there is no other place to ask for the parent-death signal.
    """
    prepare = _preparation(sandbox)
    # No signal may be handled between fork and exec: in the new process our handlers would still stand, and would write
    # into the wake-up pipe that it shares with our loop.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    try:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
            start_new_session=True,
            preexec_fn=prepare,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ProcessError(_why_not(argv, env, cwd, error)) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _preparation(sandbox: Sandbox | None) -> Callable[[], None]:
    """What the new process does to itself before it becomes the program.

    It runs in a copy of this process that has only the forking thread. A lock that another thread held at that moment
    stays locked for ever, so nothing in it may import, log or take a lock: it only calls functions that are bound here
    and go straight to the kernel. (The interpreter and the C library put their own locks right after a fork.)
    """
    parent = os.getpid()
    confine = None if sandbox is None else confinement(sandbox)
    ask, getppid, leave, set_handler, set_mask = prctl, os.getppid, os._exit, signal.signal, signal.pthread_sigmask
    set_limit, no_core, core = resource.setrlimit, (0, 0), resource.RLIMIT_CORE
    opened, write, only_write = os.open, os.write, os.O_WRONLY
    default, replace, kill = signal.SIG_DFL, signal.SIG_SETMASK, int(signal.SIGKILL)
    changed = [number for number in _ALL_SIGNALS if signal.getsignal(number) not in (default, None)]

    def prepare() -> None:
        set_limit(core, no_core)  # secrets must not be left lying about
        if confine is not None:
            try:
                write(opened("/proc/self/oom_score_adj", only_write), b"1000")  # closed with all others at exec
            except OSError:
                pass  # no /proc, or a read-only one: then it takes its chance with the rest
            confine()
        ask(PR_SET_PDEATHSIG, kill, 0, 0, 0)  # not before: the kernel forgets it when user or capabilities change
        if getppid() != parent:  # it died before that line took effect, so the signal will never come
            leave(1)
        for number in changed:
            set_handler(number, default)
        set_mask(replace, ())

    return prepare


def _why_not(argv: Sequence[str], env: Mapping[str, str], cwd: str | None, error: Exception) -> str:
    """One sentence for the operator: which program, and why it could not be started."""
    program = argv[0] if argv else ""
    place = os.path.join(cwd or "", program)
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    match error:
        case OSError() if cwd is not None and not (os.path.isdir(cwd) and os.access(cwd, os.X_OK)):
            reason = f"its working directory {cwd!r} cannot be used: {reason}"
        case FileNotFoundError() if "/" not in program:
            reason = f"not found in PATH ({env.get('PATH', 'not set')})"
        case FileNotFoundError() if os.path.exists(place):
            reason = "the file is there, but the interpreter or loader that it names is not"
        case PermissionError() if os.path.isdir(place):
            reason = "it is a directory"
        case PermissionError():
            reason = f"not executable for uid {os.geteuid()}, or on a file system mounted noexec"
        case OSError(errno=errno.ENOEXEC):
            reason = "neither a program for this machine nor a script that begins with #!"
    return f"cannot start {program!r}: {reason}"
