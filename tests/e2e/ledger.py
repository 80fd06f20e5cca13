"""Who got what? Numbered records, back-ends on loopback that keep what they are sent, and the balance of both.

Everything is real: files that programs log to, sockets, records as they arrive. Nothing reaches into the supervisor.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

Record = Mapping[str, Any]

TAKES, REFUSES, HANGS, RATIONS = "takes", "answers 503", "never answers", "answers 429"


class Sink:
    """A back-end on loopback. What it took is in `records`, who sent it in `authorizations`. To be used in a `with`."""

    def __init__(self, kind: str = "http", mode: str = TAKES) -> None:
        self.mode = mode
        self.records: list[dict[str, Any]] = []
        self.authorizations: list[str] = []  # the header of each request that was taken, in order; decoded if basic
        self.asked = 0  # requests and connections, taken or not
        self._ended = threading.Event()
        if kind == "http":
            self._server: socketserver.TCPServer = ThreadingHTTPServer(("127.0.0.1", 0), self._over_http())
        else:
            self._server = _Lines(("127.0.0.1", 0), self._over_tcp())
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _over_http(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Post(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.asked += 1
                if sink.mode == HANGS:
                    sink._ended.wait(60)
                    self.close_connection = True
                    return
                if sink.mode == TAKES:
                    sink._take(body, self.headers.get("Authorization", ""))
                self.send_response({TAKES: 200, REFUSES: 503, RATIONS: 429}[sink.mode])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Post

    def _over_tcp(self) -> type[socketserver.StreamRequestHandler]:
        sink = self

        class Lines(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(self) -> None:
                sink.asked += 1
                if sink.mode == HANGS:
                    sink._ended.wait(60)
                with suppress(OSError):
                    for line in self.rfile:
                        if line.endswith(b"\n"):  # a piece without end is sent again
                            sink._take(line, "")

        return Lines

    def _take(self, body: bytes, authorization: str) -> None:
        kind, _, words = authorization.partition(" ")
        self.authorizations.append(base64.b64decode(words).decode() if kind == "Basic" else authorization)
        text = body.decode()
        read = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines() if line]
        self.records.extend(read)


class _Lines(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def no_port_at_all() -> int:
    """A port on loopback on which nobody listens."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        return int(server.server_address[1])


@dataclass
class Log:
    """A file to which a program writes numbered lines. `line`: how number and text are written there."""

    owner: str
    path: Path
    line: Callable[[int, str], str]
    written: int = 0

    def text(self, number: int) -> str:
        """What only this record says: with letters that need care on the way."""
        return f'{self.owner} says "{number * 7919 % 100003}" \\ gr\u00fc\u00dfe \u20ac {number}'

    def write(self, count: int) -> None:
        numbers = range(self.written, self.written + count)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(self.line(number, self.text(number)) + "\n" for number in numbers))
        self.written += count


class Flow:
    """Writes to the logs until the end of the `with`: `each` lines to each of them, so many times a second."""

    def __init__(self, logs: Iterable[Log], *, each: int = 10, times: float = 20.0) -> None:
        self._logs, self._each, self._pause = list(logs), each, 1 / times
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            for log in self._logs:
                log.write(self._each)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@dataclass(frozen=True)
class Balance:
    """What a back-end was sent, compared with what it should have been sent."""

    expected: int
    lost: Sequence[int]
    foreign: Sequence[Record]
    changed: Sequence[Record]
    twice: int

    @property
    def right(self) -> bool:
        return not (self.lost or self.foreign or self.changed)

    def __str__(self) -> str:
        return (
            f"{self.expected} expected, {len(self.lost)} lost {list(self.lost[:5])}, {len(self.foreign)} foreign "
            f"{list(self.foreign[:2])}, {len(self.changed)} changed {list(self.changed[:2])}, {self.twice} twice"
        )


@dataclass(frozen=True)
class Account:
    """Which records a back-end should get: `expected`, by number; `besides`: others that are its own, uncounted."""

    sink: Sink
    expected: Callable[[], Mapping[int, Record]]
    besides: Callable[[Record], bool] = field(default=lambda record: False)

    def balance(self) -> Balance:
        expected, got = self.expected(), list(self.sink.records)
        numbers: Counter[int] = Counter()
        foreign, changed = [], []
        for record in got:
            if self.besides(record):
                continue
            wanted = expected.get(record.get("n", -1))
            if wanted is None or record.get("owner") != wanted["owner"]:
                foreign.append(record)
            elif record != wanted:
                changed.append(record)
            else:
                numbers[record["n"]] += 1
        lost = [number for number in expected if number not in numbers]
        return Balance(len(expected), lost, foreign, changed, sum(numbers.values()) - len(numbers))

    def settled(self, limit: float) -> Balance:
        """Once nothing is lost any more; the last balance when that does not come."""
        end = time.monotonic() + limit
        while (balance := self.balance()).lost and time.monotonic() < end:
            time.sleep(0.05)
        return balance


class Storm:
    """Saves a file, with ever another text, until the end of the `with`."""

    def __init__(self, path: Path, text: Callable[[int], str], pause: float = 0.2) -> None:
        self._path, self._text, self._pause = path, text, pause
        self.saved = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            save(self._path, self._text(self.saved))
            self.saved += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def save(path: Path, text: str | bytes) -> None:
    """As a careful editor does: written beside, and renamed."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(text.encode() if isinstance(text, str) else text)
    beside.rename(path)
