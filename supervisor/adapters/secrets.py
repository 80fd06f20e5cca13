"""What do the secrets say that nobody may read in anything of ours?

Files below the secrets directory, in every shape that a volume gives it: `platform/KEY` and `TENANT/KEY`, deeper ones,
keys that lie there flat, and links through `..data`. A value that was seen once stays known after it was replaced: the
program that used it may yet print it.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from stat import S_ISDIR, S_ISREG

from supervisor.core.redaction import Redaction, redaction_of
from supervisor.model import EXPANDS

SECRET_CAP = 64 * 1024  # bytes of one file that are known
_WHOLE = 1024 * 1024  # bytes of a secret; of a larger one nobody knows what it holds
_DEEPEST = 4  # directories below the secrets directory
_MOST_FILES = 5000  # of one place: whoever has many must not push out what others have
_FORMER_CAP = 256 * 1024  # characters of values that stand in no file any more
_STALE = 0.2  # seconds after which the files are looked at again; they are read only when they changed
_SETTLED = 1.0  # seconds: a file may change twice within one tick of its time stamp
_Stamps = dict[str, tuple[int, int, int, int]]  # by place: device, inode, size, and when it changed (ns)


def known_secrets(secrets_directory: str) -> dict[str, str]:
    """Text of each secret by its place below that directory (`TENANT/KEY`), as far as they can be read.

    Never for any output. Bytes that are no UTF-8 become surrogates, so that they can be found again.
    """
    return _read(secrets_directory, _stamps(secrets_directory))


class KnownSecrets:
    """Values that must not show: of the files, of what stood in them before, and of variables that a config names.

    Any thread may ask.
    """

    def __init__(self, secrets_directory: str) -> None:
        self._directory = secrets_directory
        self._looking = threading.Lock()  # who asks while another looks gets what was known before
        self._looked_at = 0.0
        self._stamps: _Stamps | None = None  # None: read them in any case
        self._files: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        self._former: dict[str, str] = {}  # the oldest first, under names of their own
        self._replaced = 0
        self._hidden: Mapping[str, str] = {}
        self._redaction = redaction_of({})
        self.learn({})

    def values(self) -> Mapping[str, str]:
        """By name: `PLACE/KEY` of files, `NAME` of variables."""
        self._refresh()
        return self._hidden

    def redaction(self) -> Redaction:
        """What hides them all, as `Redaction` says. Looks at the files every now and then: some 10 µs for each."""
        self._refresh()
        return self._redaction

    def learn(self, variables: Mapping[str, str]) -> None:
        """A program is about to read the files, and uses these variables: look now."""
        with self._looking:
            self._forget_not(self._variables, variables)
            self._variables |= variables
            self._look()

    def _refresh(self) -> None:
        if time.monotonic() - self._looked_at >= _STALE and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()

    def _look(self) -> None:
        stamps = _stamps(self._directory)
        if stamps != self._stamps:
            files = _read(self._directory, stamps)
            self._forget_not(self._files, {**dict.fromkeys(self._files, ""), **files})
            self._files = files
            latest = max((changed for *_, changed in stamps.values()), default=0)
            self._stamps = stamps if latest / 1e9 < time.time() - _SETTLED else None
        hidden = {**self._former, **self._files, **self._variables}
        if hidden != self._hidden:
            self._hidden, self._redaction = hidden, redaction_of(hidden)
        self._looked_at = time.monotonic()

    def _forget_not(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Keep the values that are about to be replaced, the latest of them."""
        for name, value in before.items():
            if value and after.get(name, value) != value and value not in self._former.values():
                self._replaced += 1
                self._former[f"#{self._replaced}/{name}"] = value
        while sum(map(len, self._former.values())) > _FORMER_CAP:
            del self._former[next(iter(self._former))]


def write_no_core() -> None:
    """Let a crash of this process, and of those that it starts, leave no core file: they know secrets.

    One byte, not none: a program that takes the place of a core file (`|…` in core_pattern) is started at a limit of 0
    and not at 1, which the kernel uses as a mark. PR_SET_DUMPABLE would give our own entries in /proc to root.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1) if hard == 0 else (1, hard))
    except (OSError, ValueError):  # not allowed to raise it from 0, which keeps files away
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def _stamps(top: str) -> _Stamps:
    """The regular files, where a link counts as what it leads to."""
    stamps: _Stamps = {}
    counted: Counter[str] = Counter()
    for place in _places(top, "", _DEEPEST):
        owner = place.partition("/")[0] if "/" in place else ""
        counted[owner] += 1
        if counted[owner] > _MOST_FILES:
            continue
        try:
            found = os.stat(os.path.join(top, place))
        except OSError:
            continue
        if S_ISREG(found.st_mode):
            stamps[place] = (found.st_dev, found.st_ino, found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))
    return stamps


def _places(top: str, below: str, depth: int) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(os.path.join(top, below)), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".."):  # how a volume keeps its versions; a key cannot begin so
            continue
        place = os.path.join(below, entry.name)
        if not _is_directory(entry):
            yield place
        elif depth > 0:
            yield from _places(top, place, depth - 1)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _read(top: str, places: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for place in places:
        try:
            descriptor = os.open(os.path.join(top, place), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            with open(descriptor, "rb") as file:
                text = file.read(SECRET_CAP).decode("utf-8", "surrogateescape").rstrip("\r\n")
        except OSError:
            continue
        values[place if "/" in place else f"./{place}"] = text
    return values


def unfit(paths: Iterable[str]) -> str:
    """Why one of these secrets of tenants must not be read by Fluent Bit as it lies there now; nothing if all may.

    To be asked right before it reads them: one that is gone or empty fails the whole config, and one that holds `${`
    reaches for the value of a variable (5.1.1).
    """
    return next((f"the secret {path} {problem}" for path in paths if (problem := told_of(path))), "")


def blocking(paths: Iterable[str]) -> str:
    """Which of these files would be waited for without end by whoever opens it: a named pipe, for one."""
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue  # Fluent Bit says that itself, at once
        if not S_ISREG(mode) and not S_ISDIR(mode):
            return f"{path} is no regular file"
    return ""


def told_of(path: str) -> str:
    """What is wrong with that one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not S_ISREG(os.fstat(descriptor).st_mode):
                return "is no regular file"  # Fluent Bit would wait for whoever writes into a pipe
            content = file.read(_WHOLE + 1)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if content in (b"", b"\n", b"\r"):
        return "is empty"
    return EXPANDS if b"${" in content or len(content) > _WHOLE else ""
