"""What does one directory hold at this instant?

Blocking calls, made in a worker thread. Nothing here waits or remembers. A ConfigMap, Secret or projected volume is
read through one handle on the dated directory that `..data` names, and `..data` is looked at again afterwards: `Moved`
says that the reading mixed, or may have mixed, two generations. The same holds for directories inside such a volume
(`items` with a path), at any depth.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from supervisor.adapters.sources.files import Seen, Trouble, digest_file, read_file

DATA = "..data"
TRIES = 20  # readings of a volume that switches under us, before the next look is waited for
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Moved(Exception):
    """A volume switched generations while it was being read: read again."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Which directory really is behind a path."""

    device: int
    inode: int
    mount: int  # the kernel's number of the mount; -1 where /proc does not say
    rooted: bool  # something is mounted right here


def _stand(fd: int) -> Stand:
    here = os.fstat(fd)
    mount = _mount_of(fd)
    try:
        above = os.open("..", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return Stand(here.st_dev, here.st_ino, mount, False)
    try:
        rooted = here.st_dev != os.fstat(above).st_dev or mount != _mount_of(above)
    finally:
        os.close(above)
    return Stand(here.st_dev, here.st_ino, mount, rooted)


def _mount_of(fd: int) -> int:
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(b"mnt_id:")), -1)
    except OSError:
        return -1


def _link_of(directory: str | None, dir_fd: int | None = None) -> str | None:
    """The dated directory that `..data` names, if this is a volume as the kubelet makes them.

    Anything else called `..data` (a link with a slash in it, say) is not followed: an author could have made it.
    """
    try:
        target = os.readlink(os.path.join(directory, DATA) if directory else DATA, dir_fd=dir_fd)
    except OSError:
        return None
    return target if "/" not in target and target.startswith("..") and len(target) > 2 else None


def canonical(path: str) -> str:
    """The real path, without the dated directories of volumes: it stays the same when they are updated."""
    real = os.path.realpath(path)
    if "/.." not in real:
        return real
    out = "/"
    for part in real.split("/")[1:]:
        if part.startswith("..") and len(part) > 2 and (link := _link_of(out)) is not None:
            if link != part:
                raise Moved(out)
            continue
        out = os.path.join(out, part)
    return out


class Directory:
    """One directory, held open for one reading. Use as a context manager."""

    __slots__ = ("_extras", "_fd", "_link", "_outer", "_top", "path", "watched")

    def __init__(
        self,
        path: str,
        fd: int,
        *,
        top: int | None = None,
        link: str | None = None,
        watched: str = "",
        outer: Directory | None = None,
    ) -> None:
        self.path = path
        self.watched = watched or path  # the directory that a watch should be on
        self._outer = outer  # the volume whose pinned generation this is a part of
        self._fd = fd  # where the names are read from
        self._top = top  # where `..data` is; None: not a volume
        self._link = link  # what `..data` named when we came
        self._extras: frozenset[str] = frozenset()  # plain files beside `..data`: not the kubelet's, but somebody's

    @classmethod
    def open(cls, path: str) -> Directory:
        """Raises `Moved`, or OSError as os.open does."""
        path = canonical(path)
        root = path
        while (link := _link_of(root)) is None and root != "/":
            root = os.path.dirname(root)
        if link is not None:
            try:
                return cls._inside_volume(root, link, os.path.relpath(path, root), path)
            except FileNotFoundError:
                if _link_of(root) != link:
                    raise Moved(root) from None
                if root == path:
                    raise Moved(root) from None
        return cls(path, os.open(path, _DIRECTORY))

    @classmethod
    def _inside_volume(cls, root: str, link: str, inner: str, path: str) -> Directory:
        top = os.open(root, _DIRECTORY)
        try:
            fd = os.open(os.path.join(link, inner), _DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        except BaseException:
            os.close(top)
            raise
        return cls(path, fd, top=top, link=link, watched=root)

    def inside(self, name: str) -> Directory:
        """A directory right in this one; never through a link. Raises as `open`."""
        path = os.path.join(self.path, name)
        if self._top is not None and name not in self._extras:
            fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._fd)
            return Directory(path, fd, watched=self.watched, outer=self)
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._top if self._top is not None else self._fd)
        link = _link_of(None, fd)
        if link is None:
            return Directory(path, fd)
        try:
            return Directory(path, os.open(link, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd), top=fd, link=link)
        except FileNotFoundError:
            os.close(fd)
            raise Moved(path) from None
        except BaseException:
            os.close(fd)
            raise

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)
        if self._top is not None:
            os.close(self._top)

    @property
    def volume(self) -> bool:
        return self._top is not None or self._outer is not None

    def unchanged(self) -> bool:
        """Whether the generation that was opened is still the one in force."""
        if self._outer is not None:
            return self._outer.unchanged()
        return self._top is None or _link_of(None, self._top) == self._link

    def stand(self) -> Stand:
        if self._outer is not None:
            return self._outer.stand()
        return _stand(self._fd if self._top is None else self._top)

    def changed_at(self) -> float:
        status = os.fstat(self._fd)
        return max(status.st_mtime, status.st_ctime)

    def names_with_dots(self) -> list[str]:
        """All names, save the kubelet's own."""
        return sorted(name for name in {*os.listdir(self._fd), *self.names()} if not name.startswith(".."))

    def names(self) -> list[str]:
        """All names but those that begin with a dot; undecodable bytes as surrogates."""
        names = {name for name in os.listdir(self._fd) if not name.startswith(".")}
        if self._top is not None and self.path == self.watched:
            with os.scandir(self._top) as entries:
                plain = {e.name for e in entries if not e.name.startswith(".") and not e.is_symlink()}
            self._extras = frozenset(plain - names)
        return sorted(names | self._extras)

    def read(self, name: str, cap: int, *, follow: bool = True) -> Seen:
        if name in self._extras:
            return read_file(name, cap, dir_fd=self._top, follow=follow)
        seen = read_file(name, cap, dir_fd=self._fd, follow=follow, whole=self.volume)
        if self._top is not None and seen.trouble is Trouble.MISSING and self.path == self.watched:
            beside = read_file(name, cap, dir_fd=self._top, follow=False)
            if beside.trouble is not Trouble.LINK:  # a visible link whose key is gone is gone
                return beside
        if seen.trouble is Trouble.MISSING and not self.volume and self.is_link(name):
            return replace(seen, trouble=Trouble.UNREADABLE, detail="it is a link to nothing")
        return seen

    def digest(self, name: str, key: bytes) -> Seen:
        return digest_file(name, key, dir_fd=self._fd, whole=self.volume)

    def is_directory(self, name: str) -> bool:
        """A link does not count; whatever cannot be looked at does not either."""
        where = self._top if name in self._extras else self._fd
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def is_link(self, name: str) -> bool:
        where = self._top if name in self._extras else self._fd
        try:
            return stat.S_ISLNK(os.stat(name, dir_fd=where, follow_symlinks=False).st_mode)
        except OSError:
            return False


class State(StrEnum):
    PRESENT = "present"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    RESTLESS = "restless"  # a volume that switched under every one of our readings


@dataclass(frozen=True, slots=True)
class View:
    """One directory at one instant, read whole."""

    state: State
    detail: str = ""
    stand: Stand | None = None
    volume: bool = False
    changed_at: float = 0.0
    watched: str = ""
    files: dict[str, Seen] = field(default_factory=dict)


def view(opener: Callable[[], Directory], wanted: Callable[[str], bool], cap: int, *, follow: bool, limit: int) -> View:
    """Read all wanted files of a directory, of one generation. Never raises OSError."""
    for _ in range(TRIES):
        try:
            with opener() as directory:
                names = [name for name in directory.names() if wanted(name)]
                changed_at = directory.changed_at()
                files = {n: _named(directory, n, cap, follow) for n in names[:limit]}
                files |= {n: Seen(trouble=Trouble.TOO_MANY, detail=f"beyond {limit} files") for n in names[limit:]}
                if directory.unchanged():
                    return View(
                        State.PRESENT,
                        stand=directory.stand(),
                        volume=directory.volume,
                        changed_at=changed_at,
                        watched=directory.watched,
                        files=files,
                    )
        except Moved:
            continue
        except OSError as error:
            return failed_view(error)
    return View(State.RESTLESS)


def failed_view(error: OSError) -> View:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return View(State.MISSING)
    return View(State.UNREADABLE, detail=(error.strerror or str(error)).lower())


def _named(directory: Directory, name: str, cap: int, follow: bool) -> Seen:
    if is_odd(name):
        return Seen(trouble=Trouble.ODD_NAME, detail="a name that is not printable UTF-8 of at most 240 bytes")
    return directory.read(name, cap, follow=follow)


def is_odd(name: str) -> bool:
    return not name.isprintable() or len(os.fsencode(name)) > 240
