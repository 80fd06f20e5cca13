"""What becomes of a tenant's chunks while it is left out, and when it comes back: as the real binary does it."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from conftest import eventually
from contract.conversation import Conversation, conversation, free_port

from supervisor.adapters.backlog import BacklogReader, set_aside
from supervisor.adapters.fluent_bit import Acknowledged, Unresponsive
from supervisor.adapters.process import Child
from supervisor.model import Backlog, Backlogs

pytestmark = pytest.mark.real

PAUSE = 0.5  # seconds: more than a flush takes, so that what is written after it goes into another chunk
NOT_TENANTS = r"match_regex: '\A(?!tenant\.).+'"  # how a platform output that says `*` is rendered


class Sink:
    """A back-end that counts each record it got, by its text."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.port = 0

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"POST"):
                fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(fields[b"content-length"]))
                self.got.update(record["log"] for record in json.loads(body))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def of(self, who: str) -> Counter[str]:
        return Counter({text: times for text, times in self.got.items() if text.startswith(f"{who}-")})


class Scene:
    """Fluent Bit with inputs that tail numbered lines, and outputs that deliver, or knock at a closed port."""

    def __init__(self, talk: Conversation, sink: Sink, platform: Sink) -> None:
        self.talk, self.sink, self.platform = talk, sink, platform
        self.dead = free_port()
        self.buffers = talk.directory / "buffers"
        self.service = f"grace: 1, scheduler.base: 1, scheduler.cap: 2, storage.path: {self.buffers}"
        self._numbers = {who: itertools.count() for who in "abcpq"}
        self._written: Counter[str] = Counter()
        self._reader = BacklogReader()
        self.child: Child | None = None

    def input(self, who: str, *, tenant: bool = True) -> str:
        """A tenant's is buffered on disk, the platform's in memory."""
        path = self.talk.directory / who
        path.with_suffix(".log").touch()
        mine = f"tag: tenant.{who}.x, storage.type: filesystem" if tenant else f"tag: {who}.x"
        return f"{{name: tail, path: {path}.log, db: {path}.db, read_from_head: on, refresh_interval: 1, {mine}}}"

    def output(self, who: str, port: int, more: str = "") -> str:
        common = f"host: 127.0.0.1, port: {port}, format: json, retry_limit: 60"
        return f"{{name: http, match: 'tenant.{who}.*', alias: {who}-{port}, {common}{more}}}"

    def of_platform(self, match: str = NOT_TENANTS) -> str:
        common = f"host: 127.0.0.1, port: {self.platform.port}, format: json"
        return f"{{name: http, {match}, alias: platform, {common}}}"

    def config(self, inputs: list[str], outputs: list[str], service: str = "") -> str:
        more = f"{self.service}, {service}" if service else self.service
        return self.talk.config(inputs=tuple(inputs), outputs=tuple(outputs), service=more)

    async def start(self, inputs: list[str], outputs: list[str], service: str = "") -> None:
        self.child = await self.talk.ready(self.config(inputs, outputs, service))

    async def apply(self, how: str, inputs: list[str], outputs: list[str], service: str = "") -> None:
        """By reload; or by restart, after a stop or a kill."""
        assert self.child is not None
        if how == "reload":
            outcome = await self.talk.reload(self.child, self.config(inputs, outputs, service))
            assert isinstance(outcome, Acknowledged), outcome
            return
        await self.end(how)
        await self.start(inputs, outputs, service)

    async def end(self, how: str = "restart") -> None:
        assert self.child is not None
        self.child.signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        async with asyncio.timeout(10):
            await self.child.wait()

    def lines(self, who: str, count: int) -> None:
        with (self.talk.directory / f"{who}.log").open("a") as file:
            file.writelines(f"{who}-{next(self._numbers[who])}\n" for _ in range(count))
        self._written[who] += count

    def backlog(self) -> Backlogs:
        return self._reader.read(str(self.buffers))

    def waiting(self, who: str) -> int:
        return self.backlog().tenants.get(who, Backlog(0, 0)).chunks

    async def pile_up(self, who: str, chunks: int = 3) -> None:
        """Lines that cannot be delivered, until there are so many chunks of them, all settled."""
        while self.waiting(who) < chunks:
            self.lines(who, 10)
            await self.settle()

    async def settle(self) -> None:
        """Until two looks, more than a flush apart, see the same."""
        before = None
        while before != (now := self.backlog()):
            before = now
            await asyncio.sleep(PAUSE)

    def complete(self, who: str, sink: Sink | None = None) -> bool:
        return len((sink or self.sink).of(who)) == self._written[who]

    def duplicates(self, who: str) -> int:
        got = self.sink.of(who)
        return sum(got.values()) - len(got)


@pytest_asyncio.fixture
async def scene(real: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with conversation(real, tmp_path) as talk, Sink() as sink, Sink() as platform:
        yield Scene(talk, sink, platform)


# --- the files ---


@pytest.mark.parametrize("service", ["", "storage.checksum: on", "storage.max_chunks_up: 2", "storage.trim_files: on"])
async def test_the_headers_of_its_files_say_what_is_in_them(scene: Scene, service: str) -> None:
    kinds = {"metrics": "fluentbit_metrics, scrape_interval: 1", "logs": "dummy, rate: 20", "traces": "event_type"}
    inputs = [
        f"{{name: {kind}, tag: tenant.{who}.x, storage.type: filesystem{', type: traces' if who == 'traces' else ''}}}"
        for who, kind in kinds.items()
    ]
    outputs = [f"{{name: opentelemetry, match: '*', host: 127.0.0.1, port: {scene.dead}, retry_limit: 60}}"]
    await scene.start(inputs, outputs, service)
    await eventually(lambda: scene.backlog().tenants.keys() == kinds.keys(), 15)
    await scene.end("kill")

    seen = scene.backlog()

    files = [path for path in scene.buffers.rglob("*") if path.is_file()]
    content = 0
    for path in files:
        written = path.read_bytes().rstrip(b"\0")
        content += len(written) - 24 - int.from_bytes(written[22:24])
    found = seen.tenants.values()
    assert sum(one.chunks for one in found) == len(files)
    assert content <= sum(one.bytes for one in found) <= content + len(files), "a record may end in a zero"
    assert sum(one.bytes for one in found) < sum(path.stat().st_size for path in files), "files are longer"
    assert (seen.others, seen.unreadable, seen.problem) == (Backlog(0, 0), 0, "")


async def test_it_delivers_of_torn_files_what_the_reader_counts(scene: Scene) -> None:
    inputs = [scene.input("a")]
    await scene.start(inputs, [scene.output("a", scene.dead)])
    await scene.pile_up("a", 1)
    await scene.end()
    (stream,) = scene.buffers.iterdir()
    (good,) = stream.iterdir()
    content = good.read_bytes()
    (stream / "1-1.1.flb").write_bytes(content[:20])
    (stream / "1-1.2.flb").write_bytes(content[:60])
    (stream / "1-1.3.flb").write_bytes(b"no chunk at all, and long enough")
    (stream / "1-1.4.flb").write_bytes(b"")
    (stream / "copy without an extension").write_bytes(content)
    seen = scene.backlog()

    await scene.start(inputs, [scene.output("a", scene.sink.port)])
    await eventually(lambda: scene.waiting("a") == 0)
    await eventually(lambda: scene.duplicates("a") == 10)

    assert (seen.tenants["a"].chunks, seen.unreadable) == (2, 3)
    assert scene.backlog().unreadable == 3, "they stay"
    assert scene.complete("a")
    await scene.apply("reload", inputs, [scene.output("a", scene.sink.port)])


# --- away, and back ---


@pytest.mark.parametrize(("away", "back"), [("restart", "reload"), ("restart", "restart"), ("kill", "reload")])
async def test_a_backlog_waits_until_its_tenant_is_back_and_nothing_is_lost_or_doubled(
    scene: Scene, away: str, back: str
) -> None:
    a, b, p = scene.input("a"), scene.input("b"), scene.input("p", tenant=False)
    others = [scene.of_platform(), scene.output("b", scene.sink.port)]
    await scene.start([p, a, b], [*others, scene.output("a", scene.dead)])
    scene.lines("b", 20)
    await scene.pile_up("a")
    piled = scene.backlog().tenants["a"]

    await scene.apply(away, [p, b], others)
    for who in "abp":
        scene.lines(who, 30)
    await eventually(lambda: scene.complete("b") and scene.complete("p", scene.platform))
    assert scene.backlog().tenants["a"] == piled
    await scene.apply("reload", [p, b], others)
    if away == "kill":
        await scene.apply("kill", [p, b], others)
    assert scene.backlog().tenants["a"] == piled, "it stands in nobody's way, and nobody takes it"

    await scene.apply(back, [p, a, b], [*others, scene.output("a", scene.sink.port)])
    await eventually(lambda: scene.complete("a") and scene.waiting("a") == 0, 15)

    assert scene.complete("b")
    assert [scene.duplicates(who) for who in "ab"] == [0, 0]
    assert not scene.platform.of("a")


async def test_while_its_output_fails_a_reload_does_not_end_and_after_a_kill_all_is_still_there(scene: Scene) -> None:
    a, b = scene.input("a"), scene.input("b")
    others = [scene.output("b", scene.sink.port)]
    await scene.start([a, b], [scene.output("a", scene.dead), *others])
    await scene.pile_up("a")
    piled = scene.backlog().tenants["a"]
    assert scene.child is not None

    outcome = await scene.talk.reload(scene.child, scene.config([b], others), deadline=4)
    assert isinstance(outcome, Unresponsive)
    await scene.apply("kill", [b], others)

    assert scene.backlog().tenants["a"] == piled
    await scene.apply("reload", [a, b], [scene.output("a", scene.sink.port), *others])
    await eventually(lambda: scene.complete("a") and scene.waiting("a") == 0, 15)


async def test_a_backlog_goes_to_a_platform_output_that_matches_all_but_not_to_one_that_leaves_tenants_out(
    scene: Scene,
) -> None:
    p = scene.input("p", tenant=False)
    await scene.start([p, scene.input("a")], [scene.of_platform(), scene.output("a", scene.dead)])
    await scene.pile_up("a")

    await scene.apply("restart", [p], [scene.of_platform()])
    scene.lines("p", 10)
    await eventually(lambda: scene.complete("p", scene.platform))
    kept = scene.waiting("a")
    await scene.apply("reload", [p], [scene.of_platform("match: '*'")])
    await eventually(lambda: scene.complete("a", scene.platform))

    assert kept == 3
    assert scene.platform.of("a"), "so a platform output must never be rendered with a bare star"


async def test_a_backlog_is_routed_by_its_tag_whatever_input_took_it_in(scene: Scene) -> None:
    tenants = {who: scene.input(who) for who in "abc"}
    await scene.start([*tenants.values()], [scene.output(who, scene.dead) for who in "abc"])
    for who in "abc":
        await scene.pile_up(who, 1)

    await scene.apply("restart", [tenants["b"], tenants["c"]], [scene.output(who, scene.dead) for who in "bc"])
    for who in "bc":
        scene.lines(who, 10)  # what was tail.1 and tail.2 is tail.0 and tail.1
    await scene.settle()
    inputs = [tenants[who] for who in "cab"]
    await scene.apply("restart", inputs, [scene.output(who, scene.sink.port) for who in "abc"])

    for who in "abc":
        await eventually(lambda who=who: scene.complete(who) and scene.waiting(who) == 0, 15)
    assert [scene.duplicates(who) for who in "abc"] == [0, 0, 0]


@pytest.mark.parametrize("back", ["reload", "restart"])
async def test_a_memory_input_of_the_same_name_hides_a_backlog_unless_it_was_set_aside(scene: Scene, back: str) -> None:
    a, p, q = scene.input("a"), scene.input("p", tenant=False), scene.input("q", tenant=False)
    outputs = [scene.of_platform(), scene.output("a", scene.sink.port)]
    await scene.start([p, a], [scene.of_platform(), scene.output("a", scene.dead)])
    await scene.pile_up("a")  # in the stream tail.1
    await scene.apply("restart", [p, q], [scene.of_platform()])  # now a name of an input that buffers in memory

    await scene.apply(back, [p, q, a], outputs)
    scene.lines("a", 10)
    await eventually(lambda: len(scene.sink.of("a")) == 10)
    await scene.settle()
    assert (scene.waiting("a"), len(scene.sink.of("a"))) == (3, 10), "kept, and not delivered"

    await scene.end()
    assert set_aside(str(scene.buffers)) == 3
    await scene.start([p, q], [scene.of_platform()])
    await scene.apply("reload", [p, q], [scene.of_platform()])
    assert scene.waiting("a") == 3, "also where nobody wants it"
    await scene.apply(back, [p, q, a], outputs)
    await eventually(lambda: scene.complete("a") and scene.waiting("a") == 0, 15)
    assert scene.duplicates("a") == 0


# --- the ways to lose something all the same ---


async def test_a_limit_counts_files_and_not_what_is_in_them_and_drops_the_oldest(scene: Scene) -> None:
    a, b = scene.input("a"), scene.input("b")
    limit = ", storage.total_limit_size: 100k"
    await scene.start([a, b], [scene.output("a", scene.dead, limit), scene.output("b", scene.sink.port)])
    for _ in range(6):
        scene.lines("a", 200)  # some 6 KiB, in a file of 36 KiB
        await scene.settle()
    kept = scene.backlog().tenants["a"]
    files = list(scene.buffers.rglob("*.flb"))
    size = sum(path.stat().st_size for path in files)
    content = b"".join(path.read_bytes() for path in files)
    assert (b"a-1199" in content, b"a-400" in content) == (True, False)
    assert kept.bytes < size / 4 < 100 * 1024 / 4

    await scene.apply("restart", [b], [scene.output("b", scene.sink.port)])
    await scene.settle()
    assert scene.backlog().tenants["a"] == kept, "while its output is away nothing limits it, and nothing adds to it"


async def test_a_limit_below_the_size_of_one_file_loses_what_a_working_output_could_deliver(scene: Scene) -> None:
    a = scene.input("a")
    await scene.start([a], [scene.output("a", scene.sink.port, ", storage.total_limit_size: 20k")])
    scene.lines("a", 10)
    await eventually(lambda: scene.complete("a"))

    scene.lines("a", 200)  # some 6 KiB
    await scene.settle()
    scene.lines("a", 10)
    await eventually(lambda: "a-219" in scene.sink.got)

    assert scene.sink.got.keys() == {f"a-{number}" for number in (*range(10), *range(210, 220))}


async def test_an_input_that_lives_on_without_its_output_loses_what_it_takes_in(scene: Scene) -> None:
    a = scene.input("a")
    await scene.start([a], [scene.of_platform(), scene.output("a", scene.dead)])
    await scene.pile_up("a", 1)

    await scene.apply("restart", [a], [scene.of_platform()])
    scene.lines("a", 30)
    await scene.settle()
    await scene.apply("restart", [a], [scene.of_platform(), scene.output("a", scene.sink.port)])
    await eventually(lambda: scene.waiting("a") == 0)
    scene.lines("a", 1)
    await eventually(lambda: "a-40" in scene.sink.got)

    assert len(scene.sink.of("a")) == 11, "those from before and after; so inputs go with their outputs"


async def test_a_chunk_that_one_of_two_outputs_cannot_deliver_goes_to_the_other_again_after_a_restart(
    scene: Scene,
) -> None:
    a, works, fails = scene.input("a"), scene.output("a", scene.sink.port), scene.output("a", scene.dead)
    await scene.start([a], [works, fails])
    await scene.pile_up("a", 1)
    await eventually(lambda: scene.complete("a"))
    assert scene.duplicates("a") == 0

    for times in (1, 2):
        await scene.apply("restart", [a], [works, fails])
        await eventually(lambda times=times: scene.duplicates("a") == 10 * times)
