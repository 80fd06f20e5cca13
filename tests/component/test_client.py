"""What a command hears from the admin socket: the document, the exit status, and a text that is safe on a terminal."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from supervisor.adapters.api import Answer, Api
from supervisor.adapters.api.replies import json_reply
from supervisor.adapters.api.snippets import snippet_document
from supervisor.adapters.client import AdminClient, Document, outcome_text, snippets_text, status_text
from supervisor.model import (
    ApplyStatus,
    ChildStatus,
    Finding,
    GenerationStatus,
    Severity,
    SnippetState,
    SnippetStatus,
    Status,
)

ODD_NAME = "tenants/shop/\x1b[31mred \udc80\n?#%.conf"

FINDING = Finding(
    Severity.ERROR,
    "unknown-plugin",
    "no such filter plugin: grepp",
    hint="did you mean grep?",
    snippet="platform/b.conf",
    path="/etc/platform.d/b.conf",
    line=3,
)

SEVEN, EIGHT = GenerationStatus(7, "a" * 64), GenerationStatus(8, "b" * 64)

IN_SYNC = Status(
    phase="steady",
    intake="settled",
    in_sync=True,
    ready=True,
    frozen=False,
    reason="",
    degraded=(),
    desired=SEVEN,
    current=SEVEN,
    good=SEVEN,
    last_apply=ApplyStatus(7, "reload", "committed", "", 940.0, 0.5),
    child=ChildStatus(42, 400.0, 1, "5.1.1"),
    snippets=(SnippetStatus("platform/a.conf", "platform", None, SnippetState.LIVE, "1" * 64, "1" * 64),),
    findings=(),
)

REFUSED = replace(
    IN_SYNC,
    in_sync=False,
    desired=EIGHT,
    reason="platform/b.conf is refused",
    snippets=(
        *IN_SYNC.snippets,
        SnippetStatus("platform/b.conf", "platform", None, SnippetState.REFUSED, "2" * 64, None, (FINDING,)),
        SnippetStatus(ODD_NAME, "tenants", "shop", SnippetState.LIVE, "3" * 64, "3" * 64),
    ),
    findings=(FINDING,),
)


@dataclass
class FakeDesk:
    now: Status = IN_SYNC
    answer: Answer = field(default_factory=lambda: Answer("committed", "", 8))
    broken: bool = False
    wishes: list[tuple[float | None, bool]] = field(default_factory=list)
    released: list[tuple[str, float | None]] = field(default_factory=list)

    def status(self) -> Status:
        if self.broken:
            raise RuntimeError
        return self.now

    def healthy(self) -> bool:
        return True

    async def reload(self, *, wait: float | None, allow_empty: bool) -> Answer:
        self.wishes.append((wait, allow_empty))
        return self.answer

    async def release(self, name: str, *, wait: float | None) -> Answer:
        self.released.append((name, wait))
        return self.answer


class NoMetrics:
    content_type = "text/plain"

    def text(self) -> bytes:
        return b""


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[FakeDesk]:
    desk = FakeDesk()
    path = str(tmp_path / "admin.sock")
    api = Api(desk=desk, metrics=NoMetrics(), metrics_address=None, page_address=None, socket_path=path)
    assert await api.start() == []
    yield desk
    await api.close()


@pytest.fixture
def client(tmp_path: Path) -> AdminClient:
    return AdminClient(str(tmp_path / "admin.sock"))


async def test_in_sync_is_0_and_out_of_sync_is_1(desk: FakeDesk, client: AdminClient) -> None:
    document, well = await asyncio.to_thread(client.status)
    desk.now = REFUSED
    _, not_well = await asyncio.to_thread(client.status)

    assert (well, not_well) == (0, 1)
    assert document["current"] == {"generation": 7, "digest": "a" * 64}


async def test_snippets_are_in_sync_when_all_that_is_asked_for_is_live(desk: FakeDesk, client: AdminClient) -> None:
    desk.now = REFUSED

    everything, every_code = await asyncio.to_thread(client.snippets)
    one, one_code = await asyncio.to_thread(client.snippets, "platform/a.conf")
    bad, bad_code = await asyncio.to_thread(client.snippets, "platform/b.conf")
    none, none_code = await asyncio.to_thread(client.snippets, "platform/none.conf")

    assert [snippet["name"] for snippet in everything["snippets"]] == ["platform/a.conf", "platform/b.conf", ODD_NAME]
    assert (every_code, one_code, bad_code, none_code) == (1, 0, 1, 1)
    assert (one["state"], bad["state"]) == ("live", "refused")
    assert none == {"error": "there is no snippet platform/none.conf"}


async def test_a_snippet_is_found_by_the_name_it_was_listed_with(desk: FakeDesk, client: AdminClient) -> None:
    desk.now = REFUSED

    document, code = await asyncio.to_thread(client.snippets, ODD_NAME)

    assert (document["name"], code) == (ODD_NAME, 0)


@pytest.mark.parametrize(
    ("outcome", "waiting", "code"),
    [
        ("committed", 5.0, 0),
        ("unchanged", 5.0, 0),
        ("accepted", None, 0),
        ("accepted", 5.0, 1),
        ("refused", 5.0, 1),
        ("reverted", 5.0, 1),
        ("frozen", None, 1),
        ("degraded", 5.0, 1),
    ],
)
async def test_a_reload_is_done_or_not(
    desk: FakeDesk, client: AdminClient, outcome: str, waiting: float | None, code: int
) -> None:
    desk.answer = Answer(outcome, "this is why", 9)

    document, exit_status = await asyncio.to_thread(client.reload, waiting)

    assert exit_status == code
    assert document["outcome"] == outcome
    assert outcome_text(document) == f"{outcome} (generation 9): this is why\n"


async def test_wishes_are_passed_on(desk: FakeDesk, client: AdminClient) -> None:
    await asyncio.to_thread(client.reload)
    await asyncio.to_thread(client.reload, 0.25, True)

    assert desk.wishes == [(None, False), (0.25, True)]


@pytest.mark.parametrize(
    ("outcome", "waiting", "code", "told"),
    [
        ("released", None, 0, "released: this is why\n"),
        ("committed", 5.0, 0, "committed: this is why\n"),
        ("accepted", 5.0, 1, "accepted: this is why\n"),
        ("not-kept-out", None, 1, "this is why\n"),
        ("reverted", 5.0, 1, "reverted: this is why\n"),
        ("degraded", None, 1, "degraded: this is why\n"),
    ],
)
async def test_a_release_is_done_or_not(
    desk: FakeDesk, client: AdminClient, outcome: str, waiting: float | None, code: int, told: str
) -> None:
    desk.now, desk.answer = REFUSED, Answer(outcome, "this is why", None)

    document, exit_status = await asyncio.to_thread(client.release, ODD_NAME, waiting)

    assert (exit_status, outcome_text(document)) == (code, told)
    assert desk.released == [(ODD_NAME, waiting)]


async def test_a_supervisor_that_cannot_answer_is_not_reachable(desk: FakeDesk, client: AdminClient) -> None:
    desk.broken = True

    document, code = await asyncio.to_thread(client.status)

    assert code == 3
    assert "internal error" in status_text(document)


# --- no supervisor there --------------------------------------------------------------------------------------

QUESTIONS: list[Callable[[AdminClient], tuple[Document, int]]] = [
    AdminClient.status,
    AdminClient.snippets,
    AdminClient.reload,
    lambda client: client.release("platform/a.conf"),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_socket_is_a_sentence_and_3(client: AdminClient, question: Callable[[AdminClient], object]) -> None:
    document, code = question(client)  # type: ignore[misc]

    assert code == 3
    assert "No such file" in document["error"]
    assert "admin.sock" in document["error"]
    assert "No such file" in status_text(document)
    assert "No such file" in snippets_text(document)
    assert "No such file" in outcome_text(document)


def test_a_socket_that_a_dead_process_left_is_3(tmp_path: Path, client: AdminClient) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "admin.sock"))

    document, code = client.status()

    assert code == 3
    assert "refused" in document["error"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
    ],
    ids=["nothing", "not HTTP", "not JSON", "cut off", "no document"],
)
def test_an_answer_that_is_none_is_3(tmp_path: Path, client: AdminClient, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "admin.sock"))
        stranger.listen()

        def say() -> None:
            visitor, _ = stranger.accept()
            with visitor:
                visitor.recv(65536)
                visitor.sendall(answer)

        speaker = threading.Thread(target=say)
        speaker.start()
        document, code = client.status()
        speaker.join()

    assert code == 3
    assert "admin.sock" in document["error"]


# --- for people -----------------------------------------------------------------------------------------------


def as_sent(status: Status) -> Document:
    """The document as it comes over the wire."""
    body = json_reply(status).body
    assert isinstance(body, bytes)
    document = json.loads(body)
    assert isinstance(document, dict)
    return document


def test_a_status_that_is_well_fits_a_few_lines() -> None:
    text = status_text(as_sent(IN_SYNC), now=1000.0)

    assert text == (
        "phase       steady (in sync, ready)\n"
        "desired     generation 7  aaaaaaaaaaaa\n"
        "current     generation 7  aaaaaaaaaaaa\n"
        "good        generation 7  aaaaaaaaaaaa\n"
        "last apply  generation 7 committed by reload after 0.5s, 60s ago\n"
        "child       Fluent Bit 5.1.1, pid 42, started 10m ago, 1 restarts\n"
        "\n"
        "SNIPPET          STATE  RUNS          NEWEST\n"
        "platform/a.conf  live   111111111111  111111111111\n"
    )


def test_what_was_refused_is_told_as_compilers_tell_it() -> None:
    lines = status_text(as_sent(REFUSED), now=1000.0).splitlines()

    assert "because     platform/b.conf is refused" in lines
    assert "/etc/platform.d/b.conf:3: error unknown-plugin: no such filter plugin: grepp" in lines
    assert "    hint: did you mean grep?" in lines
    assert any(line.split() == ["platform/b.conf", "refused", "-", "222222222222"] for line in lines)


@pytest.mark.parametrize(
    ("rule", "message", "told"),
    [
        ("dry-run", "[config] no such thing", "error dry-run: Fluent Bit says: [config] no such thing"),
        ("start", "[tail] no path", "error start: Fluent Bit says: [tail] no path"),
        ("start-complaint", "[tail] no parser", "error start-complaint: Fluent Bit says: [tail] no parser"),
        ("start", "Fluent Bit ended before it was ready", "error start: Fluent Bit ended before it was ready"),
        ("start", "the trial start was not ready within 5 s", "error start: the trial start was not ready within 5 s"),
        ("unknown-plugin", "no such plugin", "error unknown-plugin: no such plugin"),
    ],
)
def test_fluent_bits_own_words_are_told_as_such(rule: str, message: str, told: str) -> None:
    finding = replace(FINDING, rule=rule, message=message)

    text = status_text(as_sent(replace(REFUSED, findings=(finding,))), now=1000.0)

    assert f"/etc/platform.d/b.conf:3: {told}\n" in text


def test_who_is_not_live_and_why_is_told_beside_the_columns() -> None:
    waiting = SnippetStatus("platform/w.conf", "platform", None, SnippetState.PENDING, "4" * 64, None)
    parole = replace(FINDING, severity=Severity.WARNING, rule="on-parole", message="c.conf is tried before", line=None)
    documents = [snippet_document(one, REFUSED) for one in (*REFUSED.snippets, waiting)]
    documents[0]["findings"] = (parole,)
    body = json_reply({"snippets": documents}).body
    assert isinstance(body, bytes)

    lines = snippets_text(json.loads(body)).splitlines()

    assert lines[-1] == "platform/w.conf is pending and waits for: platform/b.conf is refused"
    assert "/etc/platform.d/b.conf: warning on-parole: c.conf is tried before" in lines
    assert "/etc/platform.d/b.conf:3: error unknown-plugin: no such filter plugin: grepp" in lines
    assert "    hint: did you mean grep?" in lines


def test_a_status_with_nothing_in_it_is_told_too() -> None:
    none = GenerationStatus(None, None)
    nothing = replace(
        IN_SYNC,
        phase="down",
        ready=False,
        frozen=True,
        degraded=("no writable state directory",),
        warnings=("es.0 cannot deliver",),
        desired=none,
        current=none,
        good=none,
        last_apply=None,
        child=ChildStatus(None, None, 0, ""),
        snippets=(),
    )

    text = status_text(as_sent(nothing), now=1000.0)

    assert "down (in sync, not ready, frozen)" in text
    assert "degraded  no writable state directory" in text
    assert "warning   es.0 cannot deliver" in text
    assert "child     none" in text


def test_nothing_unprintable_reaches_the_terminal() -> None:
    hostile = replace(FINDING, message="\x1b]0;owned\x07\nplatform/a.conf live", path="/x\r\udc80")
    snippet = SnippetStatus(ODD_NAME, "tenants", "shop", SnippetState.REFUSED, "3" * 64, None, (hostile,))
    status = replace(REFUSED, reason="\x1b[2J", snippets=(snippet,), findings=(hostile,))
    document = as_sent(status)

    texts = [
        status_text(document, now=1000.0),
        snippets_text({"snippets": document["snippets"]}),
        snippets_text(document["snippets"][0]),
        outcome_text({"outcome": "refused", "reason": "\x1b[2J\n", "generation": None}),
        outcome_text({"error": "\x1b[2J"}),
    ]

    for text in texts:
        assert text.endswith("\n")
        assert all(line.isprintable() for line in text.split("\n"))
        text.encode()


def test_a_command_loads_no_server() -> None:
    code = "import sys, supervisor.adapters.client; print('aiohttp' in sys.modules, 'asyncio' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert said.stdout.split() == ["False", "False"]
