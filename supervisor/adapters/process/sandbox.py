"""What may a program take that is only tried out, and with which rights does it run?

A user of its own, so that it reads and writes nothing that is closed to strangers, and a network of its own, so that it
reaches nobody, where they can be had; limits everywhere. `find_isolation` sees once what can be had here.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import re
import resource
import signal
import stat
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cache

from supervisor.adapters.process.kernel import (
    CLONE_NEWNET,
    CLONE_NEWUSER,
    PR_SET_NO_NEW_PRIVS,
    open_socket,
    prctl,
    unshare,
)

NOBODY = 65533
"""User and group of what is tried out. Not 65534: that is `nobody` in many containers of one machine, whose processes
would count into one limit; and the user name space of a pod ends at 65535."""

_MIB = 1024 * 1024
_SPACE = 4096 * _MIB  # 5.1.1 takes 75 MiB for a small config
_SPACE_PER_LINE = 16 * _MIB  # a threaded input takes 8.5 MiB of it for its stack, and has three lines or more
_MOST_SPACE = 64 * 1024 * _MIB  # a buffer of 100 GiB is not to be had, however long the config is
_FILE = 64 * _MIB
_STACK = 8 * _MIB  # the default of most systems, which every thread takes of the address space
_THREADS = 512  # and one more for each line: 400 sections with threads of their own take 403
_CPU_SPARE = 5  # seconds
_ONE_PIECE = 64 * _MIB  # more than is taken at once: a stack, an arena

_RIGHTS = {"chown": 0, "dac_override": 1, "kill": 5, "setgid": 6, "setuid": 7}
"""Needed to give a program another user: to hand over its directory, to end it, and to clear away what it made."""
_LO_UP = struct.pack("16sH14x", b"lo", 1 | 0x40)  # IFF_UP, IFF_RUNNING
_SIOCSIFFLAGS = 0x8914


class Network(Enum):
    SHARED = auto()  # ours
    OWN = auto()  # with nothing but loopback
    OWN_AS_STRANGER = auto()  # likewise, by a user name space, in which none of our capabilities counts


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How far a program is kept apart. None: without that limit, or as the user that we are."""

    cpu_seconds: int | None = None  # of each process; SIGXCPU, and SIGKILL a second later
    address_space: int | None = None  # bytes of each process
    file_size: int | None = None  # bytes of each file; SIGXFSZ
    processes: int | None = None  # and threads, all together; only with a user of its own
    user: int | None = None  # and group, without any other
    network: Network = Network.SHARED

    @property
    def stranger(self) -> bool:
        """Whether it has not our rights."""
        return self.user is not None or self.network is Network.OWN_AS_STRANGER

    def with_our_rights(self) -> Sandbox:
        network = Network.OWN if self.network is Network.OWN else Network.SHARED
        return replace(self, user=None, network=network)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What can be had here, for whoever may do without our rights."""

    user: int | None
    network: Network
    rights: bool  # whether we have capabilities, which a stranger has not

    def told(self) -> str:
        """For the log."""
        user = f"as uid {self.user}" if self.user is not None else f"as we are (uid {os.geteuid()})"
        network = "shares our network" if self.network is Network.SHARED else "has a network of its own"
        return f"what is only tried out runs {user} and {network}"

    def sandbox(self, *, seconds: float, lines: int, reads: Iterable[str]) -> Sandbox:
        """For a config of so many lines that may take so many seconds, and that names these files.

        If a stranger could not read them all (a key that only root reads), it keeps our rights: a good config must not
        be refused for that.
        """
        sandbox = Sandbox(
            cpu_seconds=math.ceil(seconds) * (os.cpu_count() or 1) + _CPU_SPARE,
            address_space=min(_SPACE + _SPACE_PER_LINE * lines, _MOST_SPACE),
            file_size=_FILE,
            processes=_THREADS + lines,
            user=self.user,
            network=self.network,
        )
        return sandbox if not self._costs_rights or self.may_read(reads) else sandbox.with_our_rights()

    @property
    def _costs_rights(self) -> bool:
        return self.user is not None or (self.rights and self.network is Network.OWN_AS_STRANGER)

    def may_read(self, paths: Iterable[str]) -> bool:
        """Whether the stranger can read all that is there of these, by the mode bits of file and directories above."""
        uid = os.geteuid() if self.user is None else self.user
        groups = {os.getegid(), *os.getgroups()} if self.user is None else {self.user}
        passable: dict[str, bool] = {}
        return all(_readable(path, uid, groups, passable) for path in paths)

    def let_in(self, directory: str, entry: str, *, own: str = "") -> bool:
        """Let the stranger read what is below a directory of ours, and do with the one in it, `own`, what it likes.

        So that nobody else gains by it, the stranger's group is what lets it in: into the directory, and through the
        one above if that is closed to all but us. False when it cannot read `entry` all the same.
        """
        try:
            if self.user is not None:
                _hand_over(directory, own, self.user)
        except OSError:
            return False
        return self.may_read((entry,))


@cache
def find_isolation() -> Isolation:
    """What can be had; tried on a copy of this process, once. To be asked on the main thread. Takes some 15 ms."""
    rights = _capabilities()
    able = all(rights >> number & 1 for number in _RIGHTS.values())
    user = NOBODY if os.geteuid() == 0 and able and _works(Sandbox(user=NOBODY)) else None
    networks = (each for each in (Network.OWN, Network.OWN_AS_STRANGER) if _works(Sandbox(user=user, network=each)))
    return Isolation(user, next(networks, Network.SHARED), rights != 0)


def confinement(sandbox: Sandbox) -> Callable[[], None]:
    """What the new process does to itself. The rules of `start` hold for it. Raises OSError where it cannot be had."""
    errno, failure, control = ctypes.get_errno, OSError, fcntl.ioctl
    set_limit, limits = resource.setrlimit, _limits(sandbox)
    set_groups, set_group, set_user = os.setgroups, os.setresgid, os.setresuid
    user, network = sandbox.user, sandbox.network
    own, own_as_stranger = Network.OWN, Network.OWN_AS_STRANGER
    strange = CLONE_NEWUSER | CLONE_NEWNET

    def apart(flags: int) -> None:
        if unshare(flags) != 0:
            raise failure(errno(), "unshare")
        control(open_socket(2, 2, 0), _SIOCSIFFLAGS, _LO_UP)  # AF_INET, SOCK_DGRAM; closed with all others at exec

    def confine() -> None:
        if network is own:
            apart(CLONE_NEWNET)
        if user is not None:
            set_groups([])
            set_group(user, user, user)
            set_user(user, user, user)
        if network is own_as_stranger:
            apart(strange)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for kind, pair in limits:
            set_limit(kind, pair)

    return confine


def limit_met(returncode: int) -> str:
    """Which limit a process died of; nothing: of none that has a signal. Wrappers report 128 + signal."""
    ended_by = -returncode if returncode < 128 else returncode - 128
    return {
        int(signal.SIGXCPU): "took more processor time than it may",
        int(signal.SIGXFSZ): "wrote a larger file than it may",
    }.get(ended_by, "")


def space_used_up(pid: int, sandbox: Sandbox) -> bool:
    """Whether a living process came so near to its address space that more may have been refused to it.

    5.1.1 mostly hangs when a thread cannot be had, and says nothing.
    """
    if sandbox.address_space is None:
        return False
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            peak = next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmPeak:")), 0)
    except OSError:
        return False
    return peak + _ONE_PIECE >= sandbox.address_space


_DENIED = re.compile(r"[Pp]ermission denied|errno=13\b|check permissions|not executable for uid|could not be run")


def lacked_rights(said: str) -> bool:
    """Whether words of a failure may come of rights that we have and a stranger has not."""
    return _DENIED.search(said) is not None


def _hand_over(directory: str, own: str, user: int) -> None:
    above = os.path.dirname(directory)
    found = os.stat(above)
    if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        os.chown(above, -1, user)
        os.chmod(above, 0o710)
    for path, _, files in os.walk(directory):
        given = own != "" and (path == own or path.startswith(own + os.sep))
        os.chown(path, user if given else -1, user)
        os.chmod(path, 0o700 if given else 0o710)
        for name in files:
            os.chown(os.path.join(path, name), -1, user)
            os.chmod(os.path.join(path, name), 0o640)


def _limits(sandbox: Sandbox) -> list[tuple[int, tuple[int, int]]]:
    wanted = {
        resource.RLIMIT_AS: sandbox.address_space,
        resource.RLIMIT_FSIZE: sandbox.file_size,
        resource.RLIMIT_NPROC: None if sandbox.user is None else sandbox.processes,
        resource.RLIMIT_STACK: None if sandbox.address_space is None else _STACK,
    }
    pairs = [(kind, (_lower(kind, value),) * 2) for kind, value in wanted.items() if value is not None]
    if sandbox.cpu_seconds is not None:
        hard = _lower(resource.RLIMIT_CPU, sandbox.cpu_seconds + 1)
        pairs.append((resource.RLIMIT_CPU, (min(sandbox.cpu_seconds, hard), hard)))
    return pairs


def _lower(kind: int, wanted: int) -> int:
    """A limit that we may set: no higher than ours."""
    return min([wanted, *(each for each in resource.getrlimit(kind) if each != resource.RLIM_INFINITY)])


def _works(sandbox: Sandbox) -> bool:
    confine, leave = confinement(sandbox), os._exit

    def trying() -> None:
        try:
            confine()
        except OSError:
            leave(1)
        leave(0)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        with subprocess.Popen(["/"], preexec_fn=trying, stdin=subprocess.DEVNULL) as tried:
            return tried.wait() == 0
    except (OSError, subprocess.SubprocessError):
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _capabilities() -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    except OSError:
        return 0


def _readable(path: str, uid: int, groups: set[int], passable: dict[str, bool]) -> bool:
    """Both as it is named and where its links lead. What is not there is no hindrance."""
    for each in {os.path.abspath(path), os.path.realpath(path)}:
        try:
            found = os.stat(each)
        except OSError:
            continue
        wanted = 0o5 if stat.S_ISDIR(found.st_mode) or found.st_mode & 0o111 else 0o4
        if not _may(found, uid, groups, wanted) or not _reachable(os.path.dirname(each), uid, groups, passable):
            return False
    return True


def _reachable(directory: str, uid: int, groups: set[int], passable: dict[str, bool]) -> bool:
    while directory not in passable:
        try:
            passable[directory] = _may(os.stat(directory), uid, groups, 0o1)
        except OSError:
            passable[directory] = True
        if not passable[directory]:
            return False
        directory = os.path.dirname(directory)
    return passable[directory]


def _may(found: os.stat_result, uid: int, groups: set[int], wanted: int) -> bool:
    shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
    return found.st_mode >> shift & wanted == wanted
