"""How does a program behave as PID 1?

A real PID 1 differs from every other process: a signal without a handler is dropped, every orphan comes to it, and all
die with it. So the program runs as the first process of a pid namespace of its own.
"""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import pytest
from conftest import waits_until

_UNSHARE = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child=SIGKILL")
_AS_USER = ("--user", "--map-root-user")


@functools.cache
def refusal(user: bool = False) -> str:
    """Why this machine gives no namespaces; empty when it does."""
    try:
        tried = subprocess.run([*_command(user), "true"], capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        return f"no pid namespaces: {error}"
    return "" if tried.returncode == 0 else f"no pid namespaces: {tried.stderr.strip()}"


def skip_where_refused(user: bool = False) -> None:
    """Skip the test, visibly, where the kernel gives no namespaces."""
    if why := refusal(user):
        pytest.skip(why)


def _command(user: bool, extra: Sequence[str] = ()) -> list[str]:
    return [*_UNSHARE, *(_AS_USER if user or os.geteuid() != 0 else ()), *extra]


class Namespace:
    """A program that runs as PID 1. To be used in a `with`; nothing of it is left afterwards.

    `env` is the whole environment (ours, if not given). `extra` goes to unshare, e.g. `--net`. `user` asks for a user
    namespace even where we are root: that is what a plain user gets anyhow. Not to be used while this process itself
    has an attached `Processes`, which would take the exit status.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        extra: Sequence[str] = (),
        *,
        cwd: str | None = None,
        user: bool = False,
    ) -> None:
        self._files = ExitStack()
        self._streams = [self._files.enter_context(tempfile.TemporaryFile()) for _ in range(2)]  # noqa: SIM115
        self._unshare = subprocess.Popen(
            [*_command(user, extra), "--", *argv],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._streams[0],
            stderr=self._streams[1],
            start_new_session=True,
        )
        self.hostpid = self._first_process()  # pid of PID 1 as seen from here; None when it has ended already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def send(self, sig: int) -> None:
        """To PID 1 itself: unshare blocks TERM and INT, and passes nothing on."""
        assert self.hostpid is not None, f"it has ended: {self.stderr()}"
        os.kill(self.hostpid, sig)

    def wait(self, limit: float = 10.0) -> int:
        """The exit status of PID 1; some other failure when a signal ended it (unshare of util-linux 2.38 says 1)."""
        return self._unshare.wait(limit)

    def ended(self) -> bool:
        return self._unshare.poll() is not None

    def stdout(self) -> str:
        """All that was written so far."""
        return self._written(0)

    def stderr(self) -> str:
        return self._written(1)

    def says(self, text: str, limit: float = 10.0) -> None:
        """Wait until one of the streams holds a text; fails when the program ends without it."""

        def heard() -> bool:
            over = self.ended()  # asked first: what was written before the end counts
            found = text in self.stdout() or text in self.stderr()
            assert found or not over, f"ended without saying {text!r}:\n{self.stdout()}\n{self.stderr()}"
            return found

        try:
            waits_until(heard, limit)
        except AssertionError as late:
            raise AssertionError(f"{late}; said so far:\n{self.stdout()}\n{self.stderr()}") from None

    def states(self) -> dict[int, str]:
        """All processes inside, zombies too, by host pid: one letter as in /proc/PID/stat.

        The states of short-lived processes are noise; whether there is a `Z`, and how many there are, is not.
        """
        try:
            inside = pathlib.Path(f"/proc/{self.hostpid}/ns/pid").stat().st_ino
        except OSError:
            return {}
        found, dead = {}, {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
                if state == "Z":  # it has no namespaces any more, but still a parent
                    dead[int(entry.name)] = int(parent)
                elif (entry / "ns/pid").stat().st_ino == inside:
                    found[int(entry.name)] = state
            except OSError:
                continue
        return found | {pid: "Z" for pid, parent in dead.items() if parent in found}

    def command_lines(self) -> dict[int, str]:
        """What runs inside, by host pid."""
        lines = {}
        for pid in self.states():
            try:
                lines[pid] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
        return lines

    def zombies(self) -> list[int]:
        return [pid for pid, state in self.states().items() if state == "Z"]

    def close(self) -> None:
        """Kill PID 1, and with it everything inside."""
        self._unshare.kill()  # --kill-child does the rest
        self._unshare.wait()
        self._files.close()

    def _written(self, which: int) -> str:
        descriptor = self._streams[which].fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def _first_process(self, limit: float = 10.0) -> int | None:
        """unshare's only child, once it has become the program."""
        children = pathlib.Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.ended():
                return None
            try:
                for pid in children.read_text().split():
                    if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() != "unshare":
                        return int(pid)
            except OSError:
                pass  # it ends just now
            time.sleep(0.001)
        self.close()
        raise TimeoutError("no PID 1")
