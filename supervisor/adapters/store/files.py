"""How is a file put on disk so that it is there whole, or not at all?"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from supervisor.model import GENERATION_ROOT, Candidate, StoreError


def contents(candidate: Candidate, root: str) -> Iterator[tuple[str, bytes]]:
    """Every file of the candidate as it has to read when it lies in the directory `root`."""
    for file in candidate.files:
        yield file.name, file.text.replace(GENERATION_ROOT, root).encode("utf-8", "surrogateescape")
    for copy in candidate.copies:
        yield copy.name, copy.content


def lay_out(candidate: Candidate, root: str) -> str:
    """Write the candidate into the directory `root` for a look at it, unflushed; returns the main file's path."""
    with explained(f"cannot write a candidate below {root}"):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(root, mode=0o700)
        made = {root}
        for name, content in contents(candidate, root):
            target = os.path.join(root, name)
            parent = os.path.dirname(target)
            if parent not in made:
                os.makedirs(parent, mode=0o700, exist_ok=True)
                made.add(parent)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content)
    return os.path.join(root, candidate.files[0].name)


def take_lock(path: str) -> int | None:
    """A descriptor that holds the lock until it is closed; None: another living process holds it."""
    with explained(f"cannot use {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def usable_directory(wanted: str, spare: list[str], inner: tuple[str, ...] = ()) -> tuple[str, str]:
    """The first of these directories that this uid can really write to, and what was wrong with the wanted one.

    `inner`: names in it that must be writable too if they are there, as they may be another uid's of an earlier time.
    """
    problem = ""
    for path in [wanted, *spare]:
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            probe = os.path.join(path, f".probe-{os.getpid()}")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.unlink(probe)
            foreign = [name for name in inner if _is_foreign(os.path.join(path, name))]
            if not foreign:
                return path, problem
            problem = problem or f"uid {os.geteuid()} cannot write to {os.path.join(path, foreign[0])}"
        except OSError as error:
            problem = problem or f"uid {os.geteuid()} cannot write to {path}: {error.strerror}"
    raise StoreError(f"{problem}; nor to any of {', '.join(spare) or 'no other place'}")


def _is_foreign(path: str) -> bool:
    return os.path.lexists(path) and not os.access(path, os.R_OK | os.W_OK)


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{doing}: {error.strerror or error} (uid {os.geteuid()})") from error


def write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def link(source: Path | None, target: Path, content: bytes) -> bool:
    """Share the file of an older generation, if it still holds what it should."""
    if source is None:
        return False
    try:
        os.link(source, target)
        if target.read_bytes() == content:
            return True
        target.unlink()
    except OSError:
        pass
    return False


def flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
