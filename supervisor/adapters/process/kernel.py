"""Which calls are needed that Python does not offer?"""

from __future__ import annotations

import ctypes

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)

prctl = _libc.prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
prctl.restype = ctypes.c_int

unshare = _libc.unshare  # Python has it from 3.12 on
unshare.argtypes = [ctypes.c_int]
unshare.restype = ctypes.c_int

open_socket = _libc.socket  # Python's makes an object, and looks up names of constants
open_socket.argtypes = [ctypes.c_int] * 3
open_socket.restype = ctypes.c_int

_signal = _libc.signal
_signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
_signal.restype = ctypes.c_void_p


def disarm(number: int) -> None:
    """Give a signal its default disposition, behind Python's back, until `signal.signal` sets the handler again.

    Python prints a complaint ("ignored due to race condition") when its own table says default while one more of that
    signal is on its way to the handler (seen on 3.13). This way the handler still takes it.
    """
    _signal(number, None)
