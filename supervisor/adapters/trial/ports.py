"""Are the ports free that the real pipeline wants?"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable
from contextlib import suppress

from supervisor.core.rehearsal import Listening


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, for TCP and for UDP. Another program may be faster all the same."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            port = int(stream.getsockname()[1])
            with suppress(OSError):
                datagram.bind(("127.0.0.1", port))
                return port


def taken(listening: Iterable[Listening], held: frozenset[int]) -> list[tuple[Listening, str]]:
    """The addresses that cannot be bound now, each with the reason; binds and closes at once.

    `held`: ports of the running child, which gives them up before its successor wants them. Host names are not
    looked up: they are taken as free. Addresses that are asked for twice are tried once: that they are in each
    other's way is for others to find.
    """
    problems: list[tuple[Listening, str]] = []
    tried: set[tuple[str, int, str]] = set()
    for each in listening:
        address = (each.host, each.port, each.protocol)
        if each.port in held or address in tried:
            continue
        tried.add(address)
        if (host := _literal(each.host)) and (problem := _problem(host, each.port, each.protocol)):
            problems.append((each, problem))
    return problems


def _literal(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "127.0.0.1" if host == "localhost" else ""


def _problem(host: str, port: int, protocol: str) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Fluent Bit does
            probe.bind((host, port))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return ""  # a machine without IPv6 says so in its own words at the start
        return os.strerror(error.errno) if error.errno else str(error)
    return ""
