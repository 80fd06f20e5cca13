"""Is a child of an earlier supervisor still there?

Mostly not: it gets SIGKILL when its parent dies. But where that did not work, two pipelines must not run side by side.
A pid is trusted only together with the time at which its process started, as the kernel counts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

_CLOCK_STEP = 0.02  # seconds; the kernel counts starts in hundredths
_KILL_LIMIT = 2.0  # seconds
_STEP = 0.05  # seconds between two looks: it is no child of ours, so nobody tells us when it ends


def remember(path: str, pid: int | None) -> None:
    """Note the child of now; None: there is none. A note that cannot be written is no reason to stop."""
    with suppress(OSError, psutil.Error):
        if pid is None:
            os.unlink(path)
            return
        note = {"pid": pid, "created": psutil.Process(pid).create_time()}
        beside = f"{path}.next"
        with open(beside, "w", encoding="ascii") as file:
            json.dump(note, file)
        os.replace(beside, path)


async def end_leftover(path: str, grace: float) -> int | None:
    """Stop the process that the note names, if it still is the same one: TERM, then KILL after `grace` seconds.

    What is left of its session goes too: commands that it ran hold its port, and outlive it (seen on 5.1.1).
    Returns its pid, or None when there was nothing to stop.
    """
    note = _noted(path)
    if note is None:
        return None
    pid, created = note
    leader = _process(pid, created)
    if leader is not None:
        await _end(leader, grace)
    elif psutil.pid_exists(pid):
        return None  # somebody else's by now, and so is the session of that number
    left = list(_session(pid, created))
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    return pid if leader is not None or left else None


async def _end(process: psutil.Process, grace: float) -> None:
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_LIMIT)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if not _runs(process):
                return
            await asyncio.sleep(_STEP)


def _noted(path: str) -> tuple[int, float] | None:
    try:
        with open(path, encoding="ascii") as file:
            note = json.load(file)
        return int(note["pid"]), float(note["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _process(pid: int, created: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return process if abs(process.create_time() - created) < _CLOCK_STEP and _runs(process) else None
    except psutil.Error:
        return None


def _session(pid: int, created: float) -> Iterator[psutil.Process]:
    """Processes of the session that `pid` led, and that began after it did."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == pid and process.create_time() >= created - _CLOCK_STEP and _runs(process):
                yield process


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
