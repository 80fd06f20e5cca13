"""What does one file hold at this instant?

Blocking calls, made in a worker thread. Only regular files are opened, never in a way that could block, and never more
is kept than was allowed. Every failure is a `Seen` with its `Trouble`; no OSError leaves this room.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import stat
import sys
from dataclasses import dataclass
from enum import StrEnum

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Trouble(StrEnum):
    """Why there is no content. The values are rule names of findings."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too-large"
    NOT_A_FILE = "not-a-file"
    LINK = "symbolic-link"
    ODD_NAME = "odd-name"
    TOO_MANY = "too-many-files"


@dataclass(frozen=True, slots=True)
class Seen:
    """One file at one instant."""

    content: bytes = b""
    digest: str = ""  # sha256, hex; empty when there is a trouble
    changed_at: float = 0.0  # seconds since the epoch by the file's own stamps (ctime, mtime); 0: not known
    whole: bool = False  # complete by construction: it came out of a volume's generation
    ended: bool = True  # an empty file, or one without a last line feed, may be a torn first part
    trouble: Trouble | None = None
    detail: str = ""
    expands: bool = False  # has `${`, or nobody knows: Fluent Bit takes what follows for a variable (5.1.1)

    def same(self, other: Seen) -> bool:
        return self.trouble == other.trouble and self.digest == other.digest


def missing(whole: bool = False, changed_at: float = 0.0) -> Seen:
    return Seen(trouble=Trouble.MISSING, whole=whole, changed_at=changed_at)


def shown(name: str) -> str:
    """A file name that is fit for people: no control character, no half character, not endless."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= 120 else text[:117] + "..."


def read_file(name: str, cap: int, *, dir_fd: int | None = None, follow: bool, whole: bool = False) -> Seen:
    """Read one regular file of at most `cap` bytes. Without `follow`, a symbolic link is a trouble."""
    try:
        before = os.stat(name, dir_fd=dir_fd, follow_symlinks=follow)
        if refused := _refused(before, cap):
            return refused
        fd = os.open(name, _FILE | (0 if follow else os.O_NOFOLLOW), dir_fd=dir_fd)
    except OSError as error:
        return _failed(error)
    try:
        opened = os.fstat(fd)
        if refused := _refused(opened, cap):
            return refused
        content = _bounded(fd, opened.st_size, cap)
        after = os.fstat(fd)
    except OSError as error:
        return _failed(error)
    finally:
        os.close(fd)
    if len(content) > cap:
        return _too_large(cap)
    changed_at = max(after.st_mtime, after.st_ctime)
    return Seen(content, hashlib.sha256(content).hexdigest(), changed_at, whole, content.endswith(b"\n"))


HASHED = 1024 * 1024  # bytes; of a larger file that is only watched, size and stamps are the digest


def digest_file(
    name: str,
    key: bytes,
    *,
    dir_fd: int | None = None,
    follow: bool = True,
    whole: bool = False,
    hashed: int = HASHED,
) -> Seen:
    """As `read_file`, without the content: its keyed digest tells that it changed, and not what it is."""
    try:
        before = os.stat(name, dir_fd=dir_fd, follow_symlinks=follow)
        if stat.S_ISDIR(before.st_mode) and follow:
            return _digest_directory(name, key, dir_fd)
        if refused := _refused(before, sys.maxsize):
            return refused
        fd = os.open(name, _FILE | (0 if follow else os.O_NOFOLLOW), dir_fd=dir_fd)
    except OSError as error:
        return _failed(error)
    digest = hmac.new(key, digestmod=hashlib.sha256)
    last, expands = b"", False
    try:
        status = os.fstat(fd)
        if refused := _refused(status, sys.maxsize):
            return refused
        if status.st_size > hashed:
            digest.update(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}".encode())
            last, expands = b"\n", True
        else:
            while block := os.read(fd, 1 << 20):
                digest.update(block)
                expands = expands or b"${" in last[-1:] + block
                last = block
        status = os.fstat(fd)
    except OSError as error:
        return _failed(error)
    finally:
        os.close(fd)
    changed_at = max(status.st_mtime, status.st_ctime)
    detail = "empty" if last in (b"", b"\n", b"\r") and status.st_size <= 1 else ""
    return Seen(b"", digest.hexdigest(), changed_at, whole, last.endswith(b"\n"), detail=detail, expands=expands)


_CERTIFICATE = 64 * 1024  # bytes; of a larger file in a directory that is watched, size and stamps are the digest
_CERTIFICATES = 2000  # files of such a directory that are looked into


def _digest_directory(name: str, key: bytes, dir_fd: int | None) -> Seen:
    """A directory of certificates: the names and contents of the files right in it."""
    fd = os.open(name, _DIRECTORY, dir_fd=dir_fd)
    digest = hmac.new(key, digestmod=hashlib.sha256)
    try:
        for number, entry in enumerate(sorted(os.listdir(fd))):
            if not entry.startswith("..") and not stat.S_ISDIR(
                os.stat(entry, dir_fd=fd, follow_symlinks=False).st_mode
            ):
                content = _entry_digest(entry, key, fd) if number < _CERTIFICATES else ""
                digest.update(f"{entry!r} {content} ".encode())
    finally:
        os.close(fd)
    return Seen(b"", digest.hexdigest())


def _entry_digest(name: str, key: bytes, fd: int) -> str:
    """Links to files count by the file, links to directories not at all: they could lead round in a circle."""
    if stat.S_ISDIR(os.stat(name, dir_fd=fd).st_mode):
        return ""
    return digest_file(name, key, dir_fd=fd, hashed=_CERTIFICATE).digest


def _bounded(fd: int, size: int, cap: int) -> bytes:
    content = os.read(fd, min(size, cap) + 1)
    while content and len(content) <= cap and (more := os.read(fd, cap + 1 - len(content))):
        content += more
    return content


def _refused(status: os.stat_result, cap: int) -> Seen | None:
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        return Seen(trouble=Trouble.LINK, detail="a symbolic link")
    if not stat.S_ISREG(mode):
        kinds = [
            (stat.S_ISDIR, "a directory"),
            (stat.S_ISFIFO, "a named pipe"),
            (stat.S_ISSOCK, "a socket"),
        ]
        kind = next((word for test, word in kinds if test(mode)), "a device")
        return Seen(trouble=Trouble.NOT_A_FILE, detail=kind)
    return _too_large(cap) if status.st_size > cap else None


def _too_large(cap: int) -> Seen:
    return Seen(trouble=Trouble.TOO_LARGE, detail=f"larger than {cap} bytes")


def _failed(error: OSError) -> Seen:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return missing()
    return Seen(trouble=Trouble.UNREADABLE, detail=(error.strerror or str(error)).lower())
