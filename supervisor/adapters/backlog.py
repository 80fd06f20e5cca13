"""What waits on disk to be delivered, and whose is it?

What an input with `storage.type filesystem` took in lies below Fluent Bit's `storage.path` as STREAM/CHUNK until every
output that its tag matches has got it. A chunk whose tag matches no output stays where it is, over reloads, restarts
and kills, and is routed by its tag again as soon as there is such an output (5.1.1). So the files tell at any time what
a tenant that is left out will get delivered when it comes back.

Layout of a chunk file (seen on 5.1.1, the same for logs, metrics and traces): `C1 00`, checksum (4 bytes), 4 bytes
unused, length of the content (4), 8 bytes unused, length of the metadata (2), metadata, content, room for more. Numbers
have their high byte first. The metadata is `F1 77`, type, flags and the tag, up to a NUL if there is one; before Fluent
Bit 1.9 it was the bare tag. The file is longer than what is in it: a page at first, then 32 KiB more at a time.

Only headers are read: whether the content is whole, as a checksum would tell, is not looked at.

A stream bears the name of the input that made it, PLUGIN.N with N its place among all inputs, and names shift when
inputs come and go. That does not matter but in one case: while an input that buffers in memory has the name, what lies
in that stream is not delivered, though there is an output for it (5.1.1). `set_aside` keeps it from that.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from supervisor.model import Backlog, Backlogs
from supervisor.settings import PREFIX

MOST_FILES: Final = 20_000  # that one look takes in
REJECTED: Final = "rejected"  # the stream of copies that Fluent Bit keeps of what no back-end wanted: never delivered

ASIDE: Final = "tenants"  # a stream like any other, but no input is ever called so

_FIXED = 24  # bytes before the metadata
_HEAD = 256  # bytes that are read of a file: enough for the longest name of a tenant
_SETTLED = 60.0  # seconds: a younger file may still grow without its size or time changing (it is mapped into memory)
_OWNER = re.compile(rb"%s([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\." % re.escape(PREFIX.encode()))


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the header of one file says."""

    tenant: str | None  # None: the platform's
    size: int  # bytes of content


_Key = tuple[int, int, int, int]  # device, inode, time of the last change in ns, size


class BacklogReader:
    """Looks again and again; what has not changed since the last look is not opened again. For one thread at a time."""

    def __init__(self, *, limit: int = MOST_FILES, now: Callable[[], float] = time.time) -> None:
        self._limit, self._now = limit, now
        self._known: dict[_Key, Chunk | None] = {}

    def read(self, directory: str) -> Backlogs:
        """What lies below that `storage.path`. Blocks on the disk; raises for nothing that it finds there."""
        tally = _Tally(self._limit)
        known: dict[_Key, Chunk | None] = {}
        try:
            with _opened(directory, os.O_DIRECTORY) as root:
                for stream in tally.entries(root):
                    if stream.is_dir(follow_symlinks=False) and stream.name != REJECTED:
                        self._read_stream(root, stream.name, tally, known)
        except FileNotFoundError:
            pass  # nothing was ever buffered
        except (OSError, ValueError) as error:
            tally.problem = _why(error)
        self._known = known
        return tally.result(directory)

    def _read_stream(self, root: int, name: str, tally: _Tally, known: dict[_Key, Chunk | None]) -> None:
        try:
            with _opened(name, os.O_DIRECTORY | os.O_NOFOLLOW, root) as stream:
                for entry in tally.entries(stream):
                    try:
                        if entry.is_file(follow_symlinks=False):
                            tally.add(self._chunk(stream, entry, known))
                    except FileNotFoundError:
                        continue  # delivered meanwhile
                    except OSError as error:
                        tally.problem = f"{name}/{entry.name}: {_why(error)}"
        except FileNotFoundError:
            pass
        except OSError as error:
            tally.problem = f"{name}: {_why(error)}"

    def _chunk(self, stream: int, entry: os.DirEntry[str], known: dict[_Key, Chunk | None]) -> Chunk | None:
        key = _key(entry.stat(follow_symlinks=False))
        if key in self._known:
            chunk = self._known[key]
        else:
            key, chunk = _read(stream, entry.name)
        if 0 <= key[2] / 1e9 <= self._now() - _SETTLED:
            known[key] = chunk
        return chunk


def set_aside(directory: str) -> int:
    """Move tenants' chunks below that `storage.path` to where no input's name can hide them; how many were moved.

    Only while no Fluent Bit runs with it: one that does would lose sight of them. Blocks on the disk. What cannot be
    moved stays where it is, and raises nothing: mostly it is delivered from there as well.
    """
    moved, tally = 0, _Tally(MOST_FILES)
    try:
        with _opened(directory, os.O_DIRECTORY) as root:
            streams = [entry.name for entry in tally.entries(root) if entry.is_dir(follow_symlinks=False)]
            for stream in streams:
                if stream not in (ASIDE, REJECTED):
                    moved += _empty(root, stream, tally)
    except (OSError, ValueError):
        pass
    return moved


def _empty(root: int, name: str, tally: _Tally) -> int:
    moved = 0
    try:
        with _opened(name, os.O_DIRECTORY | os.O_NOFOLLOW, root) as stream:
            for entry in list(tally.entries(stream)):
                if entry.is_file(follow_symlinks=False) and (chunk := _read(stream, entry.name)[1]) and chunk.tenant:
                    moved += _move(root, stream, entry.name)
    except OSError:
        pass
    return moved


def _move(root: int, stream: int, name: str) -> bool:
    with suppress(FileExistsError):
        os.mkdir(ASIDE, 0o755, dir_fd=root)  # as Fluent Bit's own
    with _opened(ASIDE, os.O_DIRECTORY | os.O_NOFOLLOW, root) as aside:
        try:
            os.stat(name, dir_fd=aside, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, name, src_dir_fd=stream, dst_dir_fd=aside)
            return True
    return False


def _read(stream: int, name: str) -> tuple[_Key, Chunk | None]:
    with _opened(name, os.O_NOFOLLOW | os.O_NONBLOCK, stream) as file:
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode):
            return _key(seen), None
        head = os.pread(file, _HEAD, 0)
        return _key(seen), chunk_of(head, seen.st_size, lambda offset: os.pread(file, 1, offset))


def unknown(problem: str) -> Backlogs:
    return Backlogs({}, Backlog(0, 0), problem=problem)


def chunk_of(head: bytes, size: int, byte_at: Callable[[int], bytes]) -> Chunk | None:
    """What a file of `size` bytes that begins with `head` holds. None: no whole chunk, so nothing to deliver.

    `byte_at` gives the byte at an offset, or nothing beyond the end.
    """
    if not head.strip(b"\0"):
        return Chunk(None, 0)  # just being made
    if len(head) < _FIXED or head[:2] != b"\xc1\x00":
        return None
    begin = _FIXED + int.from_bytes(head[22:24])
    length = int.from_bytes(head[10:14])
    if length == 0 and size > begin and byte_at(begin) not in (b"", b"\0"):
        length = size - begin  # of a Fluent Bit that did not write it down; it is inferred there, too (5.1.1)
    if begin + length > size:
        return None
    metadata = head[_FIXED:begin]
    tag = metadata[4:] if metadata.startswith(b"\xf1\x77") else metadata
    owner = _OWNER.match(tag)
    return Chunk(owner[1].decode() if owner else None, length)


@dataclass(slots=True)
class _Tally:
    limit: int
    looked_at: int = 0
    problem: str = ""
    unreadable: int = 0
    sums: dict[str | None, list[int]] = field(default_factory=dict)  # tenant → chunks, bytes

    def entries(self, directory: int) -> Iterator[os.DirEntry[str]]:
        """What Fluent Bit would look at in there, while the limit lasts."""
        with os.scandir(directory) as found:
            for entry in found:
                if self.looked_at >= self.limit:
                    self.problem = f"there are more than {self.limit} files"
                    return
                self.looked_at += 1
                if not entry.name.startswith("."):
                    yield entry

    def add(self, chunk: Chunk | None) -> None:
        if chunk is None:
            self.unreadable += 1
        elif chunk.size:
            total = self.sums.setdefault(chunk.tenant, [0, 0])
            total[0] += 1
            total[1] += chunk.size

    def result(self, directory: str) -> Backlogs:
        sums = {tenant: Backlog(chunks, size) for tenant, (chunks, size) in self.sums.items()}
        others = sums.pop(None, Backlog(0, 0))
        tenants = {tenant: backlog for tenant, backlog in sums.items() if tenant is not None}
        problem = f"not all that waits in {directory} could be looked at: {self.problem}" if self.problem else ""
        return Backlogs(tenants, others, self.unreadable, problem)


@contextmanager
def _opened(path: str, flags: int, within: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _why(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _key(seen: os.stat_result) -> _Key:
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size
