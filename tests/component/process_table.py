"""What does the kernel say about the processes of a test?

While an attached `Processes` reaps, it takes the exit status of *every* child of the test process: no test that uses it
starts a program in another way and then trusts its status.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from conftest import eventually

from supervisor.adapters.process import Child, Processes

ENV = {"PATH": os.environ["PATH"]}


@asynccontextmanager
async def attached() -> AsyncIterator[Processes]:
    """A reaper for one test; nothing that it started, and no zombie, is there afterwards."""
    owner = Processes()
    owner.attach(asyncio.get_running_loop())
    yield owner
    await owner.stop_everything()
    owner.detach()
    assert zombies() == []


def zombies() -> list[int]:
    """Dead children of this process that nobody reaped."""
    return [pid for pid in children() if state(pid) == "Z"]


def children(of: int | str = "self") -> list[int]:
    found = []
    for task in Path(f"/proc/{of}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ended meanwhile
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def state(pid: int) -> str:
    """One letter as in /proc/PID/stat, or nothing when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def gone(pid: int) -> bool:
    return state(pid) in ("", "Z", "X")


async def numbers_in(path: Path, count: int) -> list[int]:
    """Wait until a program has written so many numbers, one a line."""

    def read() -> list[int]:
        text = path.read_text() if path.exists() else ""
        found = [int(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return found if len(found) >= count else []

    found = await eventually(read)
    assert isinstance(found, list)
    return found


async def said(child: Child, pattern: str) -> str:
    """Wait until the program has written something to stderr; what the first group matched."""
    match = await eventually(lambda: re.search(pattern, child.stderr_since(0)))
    assert isinstance(match, re.Match)
    return match[1] if match.re.groups else match[0]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", script, *map(str, arguments)]
