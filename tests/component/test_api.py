"""Three doors to one desk: what is served where, who may change something, and that nobody can block the doors."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from conftest import eventually

from supervisor.adapters.api import Answer, Api, doors
from supervisor.model import (
    ApplyStatus,
    Backlog,
    ChildStatus,
    Finding,
    GenerationStatus,
    Severity,
    SnippetState,
    SnippetStatus,
    Status,
    TenantStatus,
)

ODD_NAME = 'tenants/shop/ä "b" \udc80\n?#%2F.conf'

FINDING = Finding(Severity.ERROR, "unknown-plugin", "no such plugin", "did you mean grep?", "platform/b.conf", "b", 3)

STATUS = Status(
    phase="steady",
    intake="settled",
    in_sync=False,
    ready=True,
    frozen=False,
    reason="platform/b.conf is refused",
    degraded=(),
    desired=GenerationStatus(8, "bb"),
    current=GenerationStatus(7, "aa"),
    good=GenerationStatus(7, "aa"),
    last_apply=ApplyStatus(7, "reload", "committed", "", 1700000000.25, 0.5),
    child=ChildStatus(42, 1700000000.0, 1, "5.1.1"),
    snippets=(
        SnippetStatus("platform/b.conf", "platform", None, SnippetState.PREVIOUS, "d2", "d1", (FINDING,)),
        SnippetStatus(ODD_NAME, "tenants", "shop", SnippetState.LIVE, "d3", "d3"),
    ),
    findings=(FINDING,),
    tenants=(TenantStatus("shop", {"live": 1}, Backlog(2, 300)),),
)


@dataclass
class FakeDesk:
    now: Status = STATUS
    turns: bool = True
    answer: Answer = field(default_factory=lambda: Answer("committed", "", 8))
    broken: bool = False
    wishes: list[tuple[float | None, bool]] = field(default_factory=list)
    released: list[tuple[str, float | None]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    abandoned: int = 0

    def status(self) -> Status:
        if self.broken:
            raise RuntimeError("canary-hunter2")
        return self.now

    def healthy(self) -> bool:
        return self.turns

    async def reload(self, *, wait: float | None, allow_empty: bool) -> Answer:
        self.wishes.append((wait, allow_empty))
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.abandoned += 1
                raise
        return self.answer

    async def release(self, name: str, *, wait: float | None) -> Answer:
        self.released.append((name, wait))
        return self.answer


class FakeMetrics:
    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def text(self) -> bytes:
        return b"answer 42\n"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document


async def dial(where: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if where.startswith("/"):
        return await asyncio.open_unix_connection(where)
    host, _, port = where.rpartition(":")
    return await asyncio.open_connection({"[::]": "::1"}.get(host, host.strip("[]")), int(port))


async def send(where: str, request: bytes) -> Reply:
    """Say it and hear all that is answered; status 0 when nothing is."""
    reader, writer = await dial(where)
    try:
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
    return Reply(int(first.split()[1]) if first else 0, headers, body)


async def ask(where: str, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    """A plain request; headers by keyword, `_` for `-`; the Host is the address unless given."""
    given = {"Host": "localhost" if where.startswith("/") else where}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        given["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return await send(where, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)


@dataclass
class House:
    """The API with all doors open, and the desk behind it."""

    desk: FakeDesk
    api: Api
    metrics: str
    page: str
    admin: str


@asynccontextmanager
async def house_at(directory: Path, token: str | None = None, page: str = "127.0.0.1:0") -> AsyncIterator[House]:
    desk = FakeDesk()
    api = Api(
        desk=desk,
        metrics=FakeMetrics(),
        metrics_address="127.0.0.1:0",
        page_address=page,
        socket_path=str(directory / "admin.sock"),
        token=None if token is None else lambda: token,
    )
    assert await api.start() == []
    try:
        yield House(desk, api, api.bound["metrics"], api.bound["page"], api.bound["admin"])
    finally:
        await api.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_at(tmp_path) as house:
        yield house


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[House]:
    """The same with a token file set."""
    async with house_at(tmp_path, token="sesame\n") as house:
        yield house


# --- what is served where -------------------------------------------------------------------------------------

PROBES = ["/metrics", "/-/healthy", "/healthz", "/-/ready", "/readyz"]
PAGES = ["/", "/api/v1/status", "/api/v1/snippets", "/api/v1/snippets/platform/b.conf"]
LATER = [
    "/api/v1/generations",
    "/api/v1/generations/7",
    "/api/v1/diff",
    "/api/v1/rollback",
    "/nowhere",
    "/../etc/passwd",
]


@pytest.mark.parametrize(
    ("door", "served"),
    [("metrics", PROBES), ("page", PROBES + PAGES), ("admin", PROBES + PAGES)],
)
async def test_a_door_serves_its_own_pages_and_no_other(house: House, door: str, served: list[str]) -> None:
    where = house.api.bound[door]

    replies = {path: await ask(where, path) for path in PROBES + PAGES + LATER}

    assert {path for path, reply in replies.items() if reply.status == 200} == set(served)
    strangers = [reply for path, reply in replies.items() if path not in served]
    assert all(reply.status == 404 and set(reply.document) == {"error"} for reply in strangers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_what_can_be_read_can_only_be_read(house: House, method: str) -> None:
    replies = [await ask(where, path, method) for where in (house.metrics, house.admin) for path in PROBES]

    assert {reply.status for reply in replies} <= {400, 405}  # 400: not even a method
    assert all("error" in reply.document for reply in replies)
    assert all(reply.headers["allow"] == "GET, HEAD" for reply in replies if reply.status == 405)


async def test_head_answers_like_get_without_a_body(house: House) -> None:
    full, bare = await ask(house.page, "/api/v1/status"), await ask(house.page, "/api/v1/status", "HEAD")

    assert (bare.status, bare.body) == (200, b"")
    assert bare.headers["content-length"] == full.headers["content-length"]


async def test_metrics_are_sent_as_their_maker_says(house: House) -> None:
    reply = await ask(house.metrics, "/metrics")

    assert reply.body == b"answer 42\n"
    assert reply.headers["content-type"] == FakeMetrics.content_type


async def test_an_answer_tells_no_version_and_is_not_kept(house: House) -> None:
    replies = [
        await ask(house.page, "/api/v1/status"),
        await ask(house.page, "/nowhere"),
        await send(house.page, b"this is not HTTP\r\n\r\n"),
    ]

    for reply in replies:
        assert reply.headers["server"] == "fluent-bit-supervisor"
        assert reply.headers["cache-control"] == "no-store"


async def test_the_status_has_the_promised_fields_and_moments_are_numbers(house: House) -> None:
    document = (await ask(house.page, "/api/v1/status")).document

    promised = "phase in_sync ready frozen desired current good last_apply child snippets tenants"
    assert set(promised.split()) <= set(document)
    assert document["desired"] == {"generation": 8, "digest": "bb"}
    assert document["last_apply"] == {
        "generation": 7,
        "method": "reload",
        "outcome": "committed",
        "reason": "",
        "at": 1700000000.25,
        "seconds": 0.5,
    }
    assert document["child"] == {"pid": 42, "started_at": 1700000000.0, "restarts": 1, "version": "5.1.1"}
    snippets = document["snippets"]
    assert isinstance(snippets, list)
    assert set(snippets[0]) == {"name", "layer", "tenant", "state", "digest", "running_digest", "findings"}
    assert snippets[0]["state"] == "previous"
    assert snippets[0]["findings"][0]["rule"] == "unknown-plugin"
    assert snippets[0]["findings"][0]["line"] == 3


async def test_a_snippet_is_found_by_its_name_however_odd(house: House) -> None:
    quoted = "tenants/shop/%C3%A4%20%22b%22%20%80%0A%3F%23%252F.conf"

    found = await ask(house.admin, f"/api/v1/snippets/{quoted}")
    missing = await ask(house.admin, "/api/v1/snippets/platform/none.conf")

    assert found.document["name"] == ODD_NAME
    assert missing.status == 404
    assert missing.document == {"error": "there is no snippet platform/none.conf"}


async def test_not_ready_says_why(house: House) -> None:
    house.desk.now = replace(STATUS, ready=False, phase="down", reason="nothing acceptable to run")

    for path in ("/-/ready", "/readyz"):
        reply = await ask(house.metrics, path)
        assert reply.status == 503
        assert reply.document == {"ready": False, "phase": "down", "reason": "nothing acceptable to run"}


async def test_healthy_is_what_the_desk_says(house: House) -> None:
    well = await ask(house.metrics, "/-/healthy")
    house.desk.turns = False
    unwell = await ask(house.metrics, "/healthz")

    assert (well.status, unwell.status) == (200, 503)
    assert unwell.document == {"healthy": False}


async def test_a_bug_behind_the_desk_is_an_answer_and_a_line_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.desk.broken = True

    reply = await ask(house.metrics, "/-/ready")

    assert reply.status == 500
    assert b"hunter2" not in reply.body
    assert b"Traceback" not in reply.body
    assert [record.event for record in caplog.records] == ["api-error"]
    assert (await ask(house.metrics, "/metrics")).status == 200


# --- reload ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("committed", 200),
        ("unchanged", 200),
        ("accepted", 202),
        ("refused", 409),
        ("reverted", 409),
        ("frozen", 409),
        ("degraded", 409),
    ],
)
async def test_the_outcome_of_a_reload_is_the_http_status(house: House, outcome: str, code: int) -> None:
    house.desk.answer = Answer(outcome, "this is why", 9)

    reply = await ask(house.admin, "/-/reload", "POST")

    assert reply.status == code
    expected = {"outcome": outcome, "reason": "this is why", "generation": 9}
    assert reply.document == (expected | {"error": "this is why"} if code == 409 else expected)


@pytest.mark.parametrize(
    ("query", "wish"),
    [
        ("", (None, False)),
        ("?wait=30s", (30.0, False)),
        ("?wait=500ms&allow_empty=true", (0.5, True)),
        ("?wait=2m", (120.0, False)),
        ("?wait=1m30s", (90.0, False)),
        ("?wait=999h", (3600.0, False)),
        ("?allow_empty=false", (None, False)),
    ],
)
async def test_wishes_reach_the_desk(house: House, query: str, wish: tuple[float | None, bool]) -> None:
    await ask(house.admin, f"/-/reload{query}", "POST")

    assert house.desk.wishes == [wish]


@pytest.mark.parametrize(
    "query",
    [
        "?wait=",
        "?wait=soon",
        "?wait=-1s",
        "?wait=30",
        "?wait=nan",
        "?wait=%D9%A3s",
        "?allow_empty=yes",
        "?allow-empty=true",
    ],
)
async def test_a_wish_that_is_not_understood_is_refused_and_nothing_happens(house: House, query: str) -> None:
    reply = await ask(house.admin, f"/-/reload{query}", "POST")

    assert reply.status == 400
    assert "error" in reply.document
    assert house.desk.wishes == []


@pytest.mark.parametrize(
    ("body", "code"), [(b"{}", 200), (b" { } ", 200), (b'{"wait": "30s"}', 400), (b"x", 400), (b"x" * 20_000, 413)]
)
async def test_a_body_may_say_nothing(house: House, body: bytes, code: int) -> None:
    reply = await ask(house.admin, "/-/reload", "POST", body)

    assert reply.status == code
    assert len(house.desk.wishes) == (code == 200)


async def test_a_chunked_body_without_end_is_refused_by_its_start(house: House) -> None:
    head = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    reply = await send(house.admin, head + b"4000\r\n" + b"x" * 0x4000 + b"\r\n4000\r\n" + b"x" * 0x4000)

    assert reply.status == 413


async def test_a_broken_chunked_body_is_a_bad_request(house: House, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    reply = await send(house.admin, head + b"zz\r\n")

    assert reply.status == 400
    assert house.desk.wishes == []
    assert caplog.records == []


async def test_who_hangs_up_ends_only_its_own_waiting(house: House) -> None:
    house.desk.hold = asyncio.Event()
    _, writer = await dial(house.admin)
    writer.write(b"POST /-/reload?wait=1m HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await eventually(lambda: house.desk.wishes)

    writer.close()

    await eventually(lambda: house.desk.abandoned == 1)
    assert (await ask(house.admin, "/api/v1/status")).status == 200


async def test_closing_cuts_off_who_waits_and_removes_the_socket(tmp_path: Path) -> None:
    async with house_at(tmp_path) as house:
        house.desk.hold = asyncio.Event()
        reader, writer = await dial(house.admin)
        writer.write(b"POST /-/reload?wait=1m HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await eventually(lambda: house.desk.wishes)

    assert await reader.read() == b""
    assert house.desk.abandoned == 1
    assert not os.path.lexists(house.admin)
    assert house.api.bound == {}
    writer.close()


# --- who may change something ---------------------------------------------------------------------------

RIGHT = {"Authorization": "Bearer sesame", "Content_Type": "application/json"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
async def test_without_a_token_file_tcp_changes_nothing(house: House, method: str) -> None:
    page = await ask(house.page, "/-/reload", method, **RIGHT)
    metrics = await ask(house.metrics, "/-/reload", method, **RIGHT)

    assert page.status == (403 if method == "POST" else 405)
    assert metrics.status == 404
    assert house.desk.wishes == []


def matrix() -> Iterator[tuple[dict[str, str], int]]:
    """Headers of a change over TCP with a token file set, and what it is answered. HOST is the door's address."""
    yield {}, 200
    yield {"Authorization": "bearer sesame"}, 200
    yield {"Content_Type": "application/json; charset=utf-8"}, 200
    for wrong in ("", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesame2", "Bearer SESAME", "Bearer s\xe9same"):
        yield {"Authorization": wrong}, 401
    for wrong in ("Basic sesame", "sesame", "Bearer sesame sesame", "Token sesame"):
        yield {"Authorization": wrong}, 401
    for wrong in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"):
        yield {"Content_Type": wrong}, 415
    for host in ("localhost", "localhost:9534", "127.0.0.1", "[::1]:9534", "10.1.2.3:80"):
        yield {"Host": host}, 200
    for host in ("evil.example", "evil.example:9534", "localhost.evil.example", "127.0.0.1.evil.example", "127.1"):
        yield {"Host": host}, 403
    for host in ("", "[::1", "0x7f000001", "node-17", "localhost@evil.example"):
        yield {"Host": host}, 403
    yield {"Origin": "http://HOST"}, 200
    yield {"Origin": "https://HOST"}, 200
    for origin in ("null", "", "http://evil.example", "http://HOST.evil.example", "http://localhost", "HOST"):
        yield {"Origin": origin}, 403
    yield {"Origin": "http://HOST/"}, 403
    yield {"Origin": "file://"}, 403
    yield {"X_HTTP_Method_Override": "GET"}, 200
    yield {"X_Forwarded_Host": "evil.example"}, 200  # whom a proxy says it speaks for is not looked at


@pytest.mark.parametrize(("headers", "code"), list(matrix()))
async def test_a_change_over_tcp_needs_all_that_is_asked(guarded: House, headers: dict[str, str], code: int) -> None:
    told = RIGHT | {name: value.replace("HOST", guarded.page) for name, value in headers.items()}

    reply = await ask(guarded.page, "/-/reload", "POST", **told)

    assert reply.status == code
    assert len(guarded.desk.wishes) == (code == 200)
    assert b"sesame" not in reply.body


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    assert len(list(matrix())) >= 40


async def test_two_hosts_are_one_too_many(guarded: House) -> None:
    head = f"POST /-/reload HTTP/1.1\r\nHost: {guarded.page}\r\nHost: evil.example\r\n"

    reply = await send(guarded.page, f"{head}Authorization: Bearer sesame\r\n\r\n".encode())

    assert reply.status == 400
    assert guarded.desk.wishes == []


async def test_the_token_is_asked_anew_each_time(tmp_path: Path) -> None:
    tokens = ["old", "new", None]
    desk = FakeDesk()
    api = Api(
        desk=desk,
        metrics=FakeMetrics(),
        metrics_address=None,
        page_address="127.0.0.1:0",
        socket_path=str(tmp_path / "admin.sock"),
        token=lambda: tokens.pop(0),
    )
    await api.start()
    headers = {"Authorization": "Bearer old", "Content_Type": "application/json"}

    codes = [(await ask(api.bound["page"], "/-/reload", "POST", **headers)).status for _ in range(3)]

    await api.close()
    assert codes == [200, 401, 403]


async def test_a_loopback_page_answers_to_no_name_that_could_be_pointed_at_it(house: House) -> None:
    named = await ask(house.page, "/api/v1/status", Host="evil.example")
    local = await ask(house.page, "/api/v1/status", Host="localhost:9534")

    assert named.status == 403
    assert b"platform" not in named.body
    assert local.status == 200


async def test_a_page_for_the_network_and_the_metrics_answer_to_any_name(tmp_path: Path) -> None:
    async with house_at(tmp_path, page=":0") as house:
        page = await ask(house.page, "/api/v1/status", Host="fluent-bit.logging.svc:9534")
        metrics = await ask(house.metrics, "/metrics", Host="fluent-bit.logging.svc:9533")

    assert (page.status, metrics.status) == (200, 200)


# --- nobody can block the doors (L3) --------------------------------------------------------------------------


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    "opening",
    [b"", b"GET /metrics HTTP/1.1\r\nX: ", b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"],
    ids=["silent", "head without end", "body that never comes"],
)
async def test_two_hundred_slow_clients_keep_no_scrape_out(
    house: House, opening: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "READ_LIMIT", 3600.0)
    before = open_descriptors()
    slow = [await dial(house.metrics) for _ in range(200)]
    for _, writer in slow:
        writer.write(opening)

    scrapes = [await ask(house.metrics, "/metrics") for _ in range(20)]

    assert [reply.status for reply in scrapes] == [200] * 20
    assert (await ask(house.admin, "/-/reload", "POST")).status == 200
    await eventually(lambda: open_descriptors() <= before + 200 + doors.PLACES)  # 200 are the clients' own ends
    for _, writer in slow:
        writer.close()


async def test_a_request_that_does_not_end_is_cut_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doors, "READ_LIMIT", 0.05)
    requests = [b"", b"GET /met", b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"]
    visits = [await dial(house.admin) for _ in requests]
    for (_, writer), request in zip(visits, requests, strict=True):
        writer.write(request)

    ends = [await asyncio.wait_for(heard_until_cut(reader), 5) for reader, _ in visits]

    assert ends == [b"", b"", b""]
    assert house.desk.wishes == []
    assert caplog.records == []
    for _, writer in visits:
        writer.close()


async def heard_until_cut(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_an_answer_that_nobody_takes_is_cut_in_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "READ_LIMIT", 3600.0)
    monkeypatch.setattr(doors, "SEND_LIMIT", 0.05)
    house.desk.now = replace(STATUS, reason="x" * 20_000_000)
    before = open_descriptors()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.setblocking(False)
        await loop.sock_connect(deaf, house.admin)

        await loop.sock_sendall(deaf, b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")

        await eventually(lambda: open_descriptors() == before + 2)  # it was let in
        await eventually(lambda: open_descriptors() == before + 1)  # only the client's own end is left


async def test_who_waits_for_an_outcome_keeps_its_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "READ_LIMIT", 0.05)
    monkeypatch.setattr(doors, "PLACES", 2)
    house.desk.hold = asyncio.Event()
    waiting = asyncio.create_task(ask(house.admin, "/-/reload?wait=1m", "POST"))
    await eventually(lambda: house.desk.wishes)

    for _ in range(5):
        _, writer = await dial(house.admin)
        writer.close()
    codes = [(await ask(house.admin, "/healthz")).status for _ in range(5)]
    house.desk.hold.set()

    assert codes == [200] * 5
    assert (await waiting).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nbad header\r\n\r\n",
    ],
    ids=["long line", "long header", "TLS", "version", "smuggling", "negative length", "no colon"],
)
async def test_what_is_no_request_is_an_error_that_fills_no_log(
    house: House, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await send(house.metrics, request_)

    assert reply.status == 400
    assert set(reply.document) == {"error"}
    assert caplog.records == []


async def test_a_head_beyond_the_limit_is_not_kept_and_never_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "READ_LIMIT", 0.2)
    headers = b"".join(b"H%d: %s\r\n" % (n, b"v" * 4000) for n in range(doors.REQUEST_LIMIT // 4000 + 1))
    reader, writer = await dial(house.metrics)

    writer.write(b"GET /metrics HTTP/1.1\r\n" + headers + b"\r\n")

    assert await asyncio.wait_for(heard_until_cut(reader), 5) == b""
    writer.close()


async def test_ten_megabytes_of_body_change_no_answer(house: House) -> None:
    reply = await ask(house.metrics, "/metrics", "GET", b"x" * 10_000_000)

    assert reply.status in (200, 0)  # a client that insists on sending may see the connection go
    assert (await ask(house.metrics, "/metrics")).status == 200


async def test_one_connection_is_for_one_request(house: House) -> None:
    twice = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2

    reply = await send(house.metrics, twice)

    assert reply.document == {"healthy": True}
    assert reply.headers["connection"] == "close"


async def test_requests_are_not_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    await ask(house.metrics, "/metrics")
    await ask(house.metrics, "/nowhere")

    assert [record for record in caplog.records if record.name != "asyncio"] == []


# --- opening the doors ----------------------------------------------------------------------------------------


def api_at(socket_path: Path, metrics: str | None = None, page: str | None = None) -> Api:
    return Api(
        desk=FakeDesk(),
        metrics=FakeMetrics(),
        metrics_address=metrics,
        page_address=page,
        socket_path=str(socket_path),
    )


async def test_an_address_in_use_is_told_and_the_other_doors_serve(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        api = api_at(tmp_path / "admin.sock", metrics=address, page="127.0.0.1:0")

        problems = await api.start()
        still = await api.retry()

        assert [address in problem and "in use" in problem for problem in problems] == [True]
        assert still == problems
        assert set(api.bound) == {"page", "admin"}
        assert (await ask(api.bound["page"], "/metrics")).status == 200

    assert await api.retry() == []
    assert (await ask(api.bound["metrics"], "/metrics")).status == 200
    await api.close()


@pytest.mark.parametrize("address", ["9533", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "127.0.0.1:", ":-1"])
async def test_an_address_that_is_none_is_told(tmp_path: Path, address: str) -> None:
    api = api_at(tmp_path / "admin.sock", metrics=address)

    problems = await api.start()

    await api.close()
    assert len(problems) == 1
    assert address in problems[0]


async def test_an_address_without_a_host_is_every_interface(tmp_path: Path) -> None:
    api = api_at(tmp_path / "admin.sock", metrics=":0")
    assert await api.start() == []
    port = api.bound["metrics"].rpartition(":")[2]

    codes = [(await ask(f"127.0.0.1:{port}", "/metrics")).status]
    if socket.has_dualstack_ipv6():
        codes.append((await ask(f"[::1]:{port}", "/metrics")).status)

    await api.close()
    assert set(codes) == {200}


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_an_ipv6_address_stands_in_brackets(tmp_path: Path) -> None:
    api = api_at(tmp_path / "admin.sock", page="[::1]:0")

    assert await api.start() == []

    assert api.bound["page"].startswith("[::1]:")
    assert (await ask(api.bound["page"], "/api/v1/status")).status == 200
    await api.close()


async def test_the_admin_socket_is_for_its_owner_only(house: House) -> None:
    assert stat.S_IMODE(os.stat(house.admin).st_mode) == 0o600


async def test_a_socket_file_that_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    api = api_at(path)

    assert await api.start() == []

    assert (await ask(str(path), "/healthz")).status == 200
    await api.close()


async def test_a_live_socket_is_not_stolen(house: House) -> None:
    second = api_at(Path(house.admin))

    problems = await second.start()

    await second.close()
    assert "another supervisor listens there" in problems[0]
    assert (await ask(house.admin, "/healthz")).status == 200


@pytest.mark.parametrize("what", ["file", "directory", "link to nothing"])
async def test_what_is_not_a_socket_is_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "admin.sock"
    match what:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(tmp_path / "nothing")
    api = api_at(path)

    problems = await api.start()

    await api.close()
    assert len(problems) == 1
    assert "not a socket" in problems[0]
    assert os.path.lexists(path)


async def test_a_socket_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    api = api_at(tmp_path / "missing" / "admin.sock", metrics="127.0.0.1:0")

    problems = await api.start()

    assert len(problems) == 1
    assert "admin is not served" in problems[0]
    assert (await ask(api.bound["metrics"], "/metrics")).status == 200
    (tmp_path / "missing").mkdir()
    assert await api.retry() == []
    await api.close()


async def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    api = api_at(tmp_path / ("x" * 120))

    problems = await api.start()

    assert "too long" in problems[0]


async def test_closing_leaves_the_socket_of_a_successor_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = api_at(path)
    await first.start()
    path.unlink()
    second = api_at(path)
    await second.start()

    await first.close()

    assert (await ask(str(path), "/healthz")).status == 200
    await second.close()


# --- release --------------------------------------------------------------------------------------------------

RELEASE = "/api/v1/release"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("released", 200),
        ("committed", 200),
        ("unchanged", 200),
        ("accepted", 202),
        ("not-kept-out", 404),
        ("refused", 409),
        ("reverted", 409),
        ("degraded", 409),
    ],
)
async def test_the_outcome_of_a_release_is_the_http_status(house: House, outcome: str, code: int) -> None:
    house.desk.answer = Answer(outcome, "this is why", 9)

    reply = await ask(house.admin, RELEASE, "POST", b'{"name": "platform/b.conf"}')

    assert reply.status == code
    expected = {"outcome": outcome, "reason": "this is why", "generation": 9}
    assert reply.document == (expected | {"error": "this is why"} if code >= 400 else expected)
    assert house.desk.released == [("platform/b.conf", None)]


async def test_a_release_is_for_the_name_that_is_listed_however_odd_and_may_wait(house: House) -> None:
    await ask(house.admin, f"{RELEASE}?wait=1m30s", "POST", json.dumps({"name": ODD_NAME}).encode())

    assert house.desk.released == [(ODD_NAME, 90.0)]


async def test_a_release_of_nobody_says_who_may_be_meant(house: House) -> None:
    house.desk.answer = Answer("not-kept-out", "b.conf is neither in quarantine nor on parole", None)

    without_layer = await ask(house.admin, RELEASE, "POST", b'{"name": "b.conf"}')
    misspelt = await ask(house.admin, RELEASE, "POST", b'{"name": "platform/bb.conf"}')
    nobody = await ask(house.admin, RELEASE, "POST", b'{"name": "nobody"}')

    assert without_layer.status == misspelt.status == nobody.status == 404
    assert without_layer.document["error"] == "there is no snippet b.conf; did you mean platform/b.conf?"
    assert misspelt.document["error"] == "there is no snippet platform/bb.conf; did you mean platform/b.conf?"
    assert nobody.document["error"] == "there is no snippet nobody"


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("", b"", 400),
        ("", b"platform/b.conf", 400),
        ("", b"\xff\xfe", 400),
        ("", b'"platform/b.conf"', 400),
        ("", b"{}", 400),
        ("", b'{"name": ""}', 400),
        ("", b'{"name": 3}', 400),
        ("", b'{"name": "a", "force": true}', 400),
        ("", b"[" * 10_000, 400),
        ("", b'{"name": "' + b"x" * 20_000 + b'"}', 413),
        ("?wait=soon", b'{"name": "a"}', 400),
        ("?force=true", b'{"name": "a"}', 400),
    ],
)
async def test_a_release_that_is_not_understood_is_refused_and_nothing_happens(
    house: House, query: str, body: bytes, code: int
) -> None:
    reply = await ask(house.admin, f"{RELEASE}{query}", "POST", body)

    assert reply.status == code
    assert "error" in reply.document
    assert house.desk.released == []


async def test_a_release_is_a_change_and_needs_the_right_to_one(guarded: House) -> None:
    body = b'{"name": "platform/b.conf"}'

    without_token = await ask(guarded.page, RELEASE, "POST", body, Content_Type="application/json")
    read_only = await ask(guarded.admin, RELEASE)
    at_metrics = await ask(guarded.metrics, RELEASE, "POST", body, **RIGHT)
    nobody_released = not guarded.desk.released
    with_token = await ask(guarded.page, RELEASE, "POST", body, **RIGHT)

    assert (without_token.status, read_only.status, at_metrics.status) == (401, 405, 404)
    assert nobody_released
    assert with_token.status == 200
    assert guarded.desk.released == [("platform/b.conf", None)]


async def test_without_a_token_file_nothing_is_released_over_tcp(house: House) -> None:
    reply = await ask(house.page, RELEASE, "POST", b'{"name": "platform/b.conf"}', **RIGHT)

    assert reply.status == 403
    assert house.desk.released == []


# --- what a snippet waits for ---------------------------------------------------------------------------------

WAITING = SnippetStatus("platform/w.conf", "platform", None, SnippetState.PENDING, "d9", None)
FOR_ALL = replace(FINDING, rule="taken-back", message="it was undone", hint="change it", snippet="", path="", line=None)


@pytest.mark.parametrize(
    ("snippet", "status", "said"),
    [
        (replace(WAITING, state=SnippetState.LIVE), {"phase": "probation"}, ""),
        (replace(WAITING, state=SnippetState.REFUSED, findings=(FINDING,)), {"phase": "probation"}, ""),
        (WAITING, {"intake": "preparing", "phase": "steady"}, "it is being checked"),
        (WAITING, {"phase": "steady", "findings": (FOR_ALL,)}, "it was undone (change it)"),
        (WAITING, {"phase": "steady"}, "platform/b.conf is refused"),
        (WAITING, {"phase": "probation"}, "the latest change is on probation"),
        (WAITING, {"phase": "backoff"}, "started again in a moment"),
        (replace(WAITING, findings=(replace(FINDING, rule="on-parole", severity=Severity.WARNING),)), {}, ""),
        (
            replace(WAITING, findings=(replace(FINDING, rule="unset-variable", severity=Severity.WARNING),)),
            {"intake": "preparing"},
            "it is being checked",
        ),
    ],
)
async def test_who_is_not_live_is_told_what_it_waits_for_unless_its_findings_say_it(
    house: House, snippet: SnippetStatus, status: dict[str, object], said: str
) -> None:
    settled = {"intake": "settled", "phase": "steady", "findings": ()}
    house.desk.now = replace(STATUS, snippets=(snippet,), **(settled | status))  # type: ignore[arg-type]

    one = await ask(house.admin, "/api/v1/snippets/platform/w.conf")
    every = await ask(house.admin, "/api/v1/snippets")

    waits_for = one.document["waits_for"]
    assert isinstance(waits_for, str)
    assert said in waits_for
    assert bool(said) == bool(waits_for)
    assert every.document["snippets"] == [one.document]
