"""Who may come in, and for how long? Listening sockets, and the connections through them.

A connection is for one request and one answer. It has little time and room to ask, and time to take the answer; when
all places are taken, a newcomer gets that of the one that has been asking longest. So nobody can keep a probe or a
scrape out by being slow.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, cast

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

from supervisor.adapters.api.replies import json_reply

READ_LIMIT: Final = 10.0  # seconds for a whole request to arrive
SEND_LIMIT: Final = 30.0  # seconds for a whole answer to be taken
REQUEST_LIMIT: Final = 64 * 1024  # bytes of one request, head and body
LINE_LIMIT: Final = 8 * 1024  # bytes of the request line, and of each header
CLOSE_LIMIT: Final = 1.0  # seconds for what is being answered when the door is shut
PLACES: Final = 64  # connections per door


class Kind(StrEnum):
    METRICS = "metrics"
    PAGE = "page"
    ADMIN = "admin"


class Door:
    """One listening socket, and who is inside. `where` is HOST:PORT, :PORT, or the path of a unix socket."""

    def __init__(self, kind: Kind, where: str, answer: Callable[[Door, BaseRequest], Awaitable[Response]]):
        self.kind = kind
        self.bound = ""  # the real address, while it is open
        self.loopback = False  # whether only this machine can reach it
        self.visits: dict[Visit, None] = {}  # in the order they came
        self._where = where
        self._answer = answer
        self._listening: asyncio.Server | None = None
        self._server: Server | None = None
        self._inode = 0

    async def open(self) -> str:
        """Listen, unless it does so already. Returns why it cannot, as a sentence, or ''."""
        if self._listening is not None:
            return ""
        loop = asyncio.get_running_loop()
        try:
            listener = _listen_unix(self._where) if self.kind is Kind.ADMIN else await _listen_tcp(self._where)
        except (OSError, ValueError) as problem:
            why = getattr(problem, "strerror", None) or str(problem)
            return f"{self.kind} is not served at {self._where}: {why}; everything else goes on without"
        self._remember(listener)
        # A client that hangs up ends its own waiting, and nothing else.
        server = self._server = Server(self._serve, handler_cancellation=True)
        self._listening = await loop.create_server(lambda: Visit(self, server, loop), sock=listener)
        return ""

    def _remember(self, listener: socket.socket) -> None:
        if self.kind is Kind.ADMIN:
            self.bound, self._inode = self._where, os.stat(self._where).st_ino
            return
        host, port = listener.getsockname()[:2]
        self.bound = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.loopback = ipaddress.ip_address(host).is_loopback

    async def _serve(self, request: BaseRequest) -> Response:
        response = await self._answer(self, request)
        visit_of(request).give(SEND_LIMIT)
        return response

    def admit(self, visit: Visit) -> bool:
        """Give the visit a place: a free one, or that of the one that has been asking longest."""
        if len(self.visits) >= PLACES:
            slowest = next((one for one in self.visits if not one.answering), None)
            if slowest is None:
                return False
            del self.visits[slowest]
            slowest.abort()
        self.visits[visit] = None
        return True

    async def close(self) -> None:
        if self._listening is None:
            return
        self._listening.close()
        self._listening = None
        for visit in list(self.visits):
            visit.abort()
        if self._server is not None:
            await self._server.shutdown(CLOSE_LIMIT)
        if self.kind is Kind.ADMIN:
            _remove_own(self._where, self._inode)
        self.bound = ""


class Visit(RequestHandler):
    """One connection: one request, one answer, each within its time."""

    __slots__ = ("_door", "_received", "_timer", "answering")

    def __init__(self, door: Door, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=cast(logging.Logger, None),
            lingering_time=1.0,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
        )
        self._door = door
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self.answering = False  # the request is there, and its answer is being worked on

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._door.admit(self):
            self.give(READ_LIMIT)
        else:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._door.visits.pop(self, None)
        super().connection_lost(exc)
        self.give(None)

    def data_received(self, data: bytes) -> None:
        """What comes beyond the limit is dropped: a head of that size never ends, a body is refused by its start."""
        room = REQUEST_LIMIT - self._received
        self._received += len(data)
        if room > 0:
            super().data_received(data[:room])

    def give(self, seconds: float | None) -> None:
        """The time until the connection is cut; None while an answer is worked on."""
        if self._timer is not None:
            self._timer.cancel()
        self.answering = seconds is None
        self._timer = None
        if seconds is not None and self.transport is not None:
            self._timer = self._loop.call_later(seconds, self.abort)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """What is not HTTP gets an error like any other, is not echoed, and fills no log."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("a part of an answer is on its way already")
        says = "internal error" if status >= 500 else "this is no HTTP request, or a line of it is too long"
        return json_reply({"error": says}, status)


def visit_of(request: BaseRequest) -> Visit:
    return cast(Visit, request.protocol)


async def _listen_tcp(address: str) -> socket.socket:
    """A listening socket; without a host on all interfaces, by IPv6 and IPv4 where there are both."""
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ValueError("an address is HOST:PORT, [IPV6]:PORT or :PORT")
    if host:
        numeric = await _numeric(host.strip("[]"))
        family = socket.AF_INET6 if ":" in numeric else socket.AF_INET
        return socket.create_server((numeric, int(port)), family=family)
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", int(port)), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as problem:
            if problem.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", int(port)))


async def _numeric(host: str) -> str:
    """The address of a host; only a real name costs a look-up, and the thread that it needs."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return str(found[0][4][0])


def _listen_unix(path: str) -> socket.socket:
    """A listening unix socket of mode 0600. Takes the place of one that nobody listens at, never of a live one."""
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "something that is not a socket is there")
        if _somebody_listens(path):
            raise OSError(errno.EADDRINUSE, "another supervisor listens there")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)  # in time: nobody can connect before it listens
        listener.listen(PLACES)
    except BaseException:
        listener.close()
        raise
    return listener


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.setblocking(False)
        try:
            knock.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # its queue is full, or it is not ours to ask: alive for all we know
            return True
        return True


def _remove_own(path: str, inode: int) -> None:
    """Remove the socket file, unless a successor has put its own there."""
    try:
        if os.lstat(path).st_ino == inode:
            os.unlink(path)
    except OSError:
        pass
