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
from contextlib import suppress

import psutil

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

    Returns its pid, or None when there was nothing to stop.
    """
    process = _noted(path)
    if process is None:
        return None
    pid = process.pid
    for number, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if not _runs(process):
                return pid
            await asyncio.sleep(_STEP)
    return pid


def _noted(path: str) -> psutil.Process | None:
    try:
        with open(path, encoding="ascii") as file:
            note = json.load(file)
        process = psutil.Process(int(note["pid"]))
        same = abs(process.create_time() - float(note["created"])) < 0.02 and _runs(process)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process if same else None


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
