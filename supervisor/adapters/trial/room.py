"""Is there memory for a second Fluent Bit beside the first?"""

from __future__ import annotations

import os
from collections.abc import Iterator

from supervisor.model import Candidate, Inconclusive

_UNLIMITED = 1 << 60  # version 1 says "none" with a number near 2**63
_START = 48 * 1024 * 1024  # bytes; 5.1.1 takes 19 MiB for two sections
_PER_LINE = 64 * 1024  # bytes; 5.1.1 takes up to 160 KiB for a section, which has some four lines


def memory_room(root: str = "/") -> int | None:
    """Bytes between the tightest limit of our control groups and what they use now; None: there is no limit.

    What is used does not count the page cache that the kernel gives up first (`inactive_file`), which a pod that
    reads logs is full of. Versions 1 and 2; files are looked for below `root`. What cannot be read is no limit.
    """
    rooms = [*_version_2(root), *_version_1(root)]
    return min(rooms, default=None)


def too_little_room(rehearsal: Candidate, room: int | None) -> Inconclusive | None:
    """Why there is no trial of this rehearsal, if there is not the memory for it."""
    wanted = _START + _PER_LINE * sum(len(file.origins) for file in rehearsal.files)
    if room is None or room >= wanted:
        return None
    megabytes = 1024 * 1024
    return Inconclusive(
        f"no trial start: it may take {wanted // megabytes} MiB, and {room // megabytes} MiB are left"
        " to the memory limit of this container"
    )


def _version_2(root: str) -> Iterator[int]:
    mount = os.path.join(root, "sys/fs/cgroup")
    for directory in _upwards(mount, _own_group(root, "")):
        yield from _room(directory, "memory.max", "memory.current", "inactive_file")


def _version_1(root: str) -> Iterator[int]:
    mount = os.path.join(root, "sys/fs/cgroup/memory")
    for directory in _upwards(mount, _own_group(root, "memory")):
        yield from _room(directory, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _upwards(mount: str, group: str) -> Iterator[str]:
    """The directories of a group and of all above it. In a container the group may be named as the host sees it, and
    is mounted as the top."""
    while group not in ("", "/"):
        yield os.path.join(mount, group.strip("/"))
        group = os.path.dirname(group)
    yield mount


def _own_group(root: str, controller: str) -> str:
    for line in (_read(os.path.join(root, "proc/self/cgroup")) or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller in controllers.split(","):
            return os.path.normpath(path)
    return "/"


def _room(directory: str, limit_file: str, usage_file: str, cache: str) -> Iterator[int]:
    limit = _number(os.path.join(directory, limit_file))
    usage = _number(os.path.join(directory, usage_file))
    if limit is None or usage is None or limit >= _UNLIMITED:
        return
    words = [line.split() for line in (_read(os.path.join(directory, "memory.stat")) or "").splitlines()]
    given_up = next((int(pair[1]) for pair in words if len(pair) == 2 and pair[0] == cache and pair[1].isdecimal()), 0)
    yield max(0, limit - max(0, usage - given_up))


def _number(path: str) -> int | None:
    text = (_read(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
