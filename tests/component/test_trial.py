"""One trial: what it makes of what is said, and that it leaves nothing. The binary here is a script."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
from pathlib import Path

import pytest
from conftest import eventually
from trying import ENV, Trying, trying

from supervisor.adapters.process import find_isolation
from supervisor.adapters.trial import free_port, memory_room, taken, too_little_room
from supervisor.adapters.trial.signs import COMPLAINT_RULE
from supervisor.core.rehearsal import Listening
from supervisor.model import Accepted, Inconclusive, Rejected

GOOD = {"a.yaml": "pipeline:\n  inputs:\n    - name: dummy\n"}
STAMP = "[2026/11/22 14:36:22.187] "
READY = f"{STAMP}[ info] [sp] stream processor started"
FAILED = f"{STAMP}[error] [engine] input initialization failed"


def script(directory: Path, *, says: tuple[str, ...] = (), then: str = "exec sleep 600") -> str:
    """A program that writes these lines to its stderr, and then does something."""
    path = directory / "binary"
    lines = "\n".join(says)
    path.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{lines}\nEND\n{then}\n")
    path.chmod(0o755)
    return str(path)


async def test_ready_is_accepted_without_waiting_for_an_end(tmp_path: Path) -> None:
    async with trying(script(tmp_path, says=(READY,)), tmp_path) as bench:
        assert await bench.start(GOOD) == Accepted()


async def test_a_failure_is_refused_without_waiting_for_the_end(tmp_path: Path) -> None:
    says = (f"{STAMP}[error] [input:tail:tail.0] no input 'path' was given", FAILED)

    async with trying(script(tmp_path, says=says), tmp_path, timeout=60) as bench:
        verdict = await asyncio.wait_for(bench.start(GOOD), 10)

    assert isinstance(verdict, Rejected)
    assert [finding.message for finding in verdict.findings] == [
        "[input:tail:tail.0] no input 'path' was given",
        "[engine] input initialization failed",
    ]


@pytest.mark.parametrize(
    "complaint",
    [
        "[input:tail:tail.0] parser 'nosuch' is not registered",
        "[input:tail:mine] invalid 'tag_regex' config value",
        "[input:tail:tail.0] invalid database 'db.sync' value",
        "[output:http:http.0] unrecognized 'format' option. Using 'msgpack'",
        "[output:tcp:tcp.0] unrecognized 'format' option 'nosuch'. Using 'msgpack'",
        "[output:http:http.0] unrecognized 'json_date_format' option. Using 'double'.",
        "[filter:checklist:checklist.0] could not open file: /nonexistent.txt",
        "[filter:checklist:checklist.0] option 'file' is not set",
        "[sp] invalid query on task 's': 'SELCT * FROM'",
        "[sp] cannot open configuration file: /nonexistent",
    ],
)
async def test_a_listed_complaint_is_refused_though_it_is_ready(tmp_path: Path, complaint: str) -> None:
    async with trying(script(tmp_path, says=(f"{STAMP}[error] {complaint}", READY)), tmp_path) as bench:
        verdict = await bench.start(GOOD)

    assert isinstance(verdict, Rejected)
    assert [(finding.rule, finding.message) for finding in verdict.findings] == [(COMPLAINT_RULE, complaint)]


@pytest.mark.parametrize("level", ["error", " warn"])
async def test_any_other_complaint_of_one_that_is_ready_counts_for_nothing(tmp_path: Path, level: str) -> None:
    said = f"{STAMP}[{level}] [input:node_exporter_metrics:node_exporter_metrics.0] systemd init failed"

    async with trying(script(tmp_path, says=(said, READY)), tmp_path) as bench:
        assert await bench.start(GOOD) == Accepted()


async def test_without_its_streams_it_is_never_ready_and_is_not_waited_for(tmp_path: Path) -> None:
    said = f"{STAMP}[error] [engine] could not initialize stream processor"

    async with trying(script(tmp_path, says=(said,)), tmp_path, timeout=60) as bench:
        assert isinstance(await asyncio.wait_for(bench.start(GOOD), 10), Rejected)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("[ warn] [net] getaddrinfo(host='metadata.google.internal', err=-2): Name or service not known", "network"),
        ("[ warn] net]: getaddrinfo(host='nosuch.invalid'): Name or service not known", "network"),
        ("[error] [output:stackdriver:stackdriver.0] can't fetch token from the metadata server", "network"),
        ("[ warn] [imds] unable to evaluate IMDS version", "network"),
        ("[error] [filter:ecs:ecs.0] ECS agent introspection endpoint connection error", "network"),
        ("[error] [/src/flb_pipe.c:48 errno=24] Too many open files", "resources"),
        ("[error] [storage] [chunkio] cannot initialize root path ROOM/storage", "own directory"),
        ("[error] [downstream] could not bind address 127.0.0.1:1. Aborting", "own port"),
    ],
)
async def test_what_is_not_the_authors_blames_nobody(tmp_path: Path, says: str, reason: str) -> None:
    said = says.replace("ROOM", str(tmp_path / "trial" / "room"))

    async with trying(script(tmp_path, says=(f"{STAMP}{said}", FAILED)), tmp_path) as bench:
        verdict = await bench.start(GOOD)

    assert isinstance(verdict, Inconclusive)
    assert reason in verdict.reason
    assert not verdict.timed_out


@pytest.mark.parametrize(
    ("then", "verdict"),
    [
        *((then, Rejected) for then in ("exit 0", "exit 255", "kill -6 $$", "exit 134")),
        *((then, Inconclusive) for then in ("kill -9 $$", "exit 137", "exit 127")),
    ],
)
async def test_an_end_before_ready_is_refused_unless_it_came_from_outside(
    tmp_path: Path, then: str, verdict: type
) -> None:
    async with trying(script(tmp_path, then=then), tmp_path) as bench:
        answer = await bench.start(GOOD)

    assert isinstance(answer, verdict)
    if isinstance(answer, Rejected):
        assert len(answer.findings) == 1
        assert "Fluent Bit" in answer.findings[0].message


async def test_a_crash_that_does_not_repeat_is_not_believed(tmp_path: Path) -> None:
    then = f"test -e {tmp_path}/crashed || {{ touch {tmp_path}/crashed; kill -6 $$; }}; echo '{READY}' >&2; sleep 600"

    async with trying(script(tmp_path, then=then), tmp_path) as bench:
        assert await bench.start(GOOD) == Accepted()


@pytest.mark.parametrize(
    ("number", "timed_out"),
    [(int(signal.SIGXCPU), True), (int(signal.SIGXFSZ), False)],
)
async def test_an_end_at_a_limit_of_the_sandbox_blames_nobody(tmp_path: Path, number: int, timed_out: bool) -> None:
    for then in (f"kill -{number} $$", f"exit {128 + number}"):
        async with trying(script(tmp_path, then=then), tmp_path) as bench:
            verdict = await bench.start(GOOD)

        assert isinstance(verdict, Inconclusive)
        assert verdict.timed_out == timed_out


@pytest.mark.parametrize(
    "last_words",
    [
        "[/src/lib/cmetrics/src/cmt_map.c:136 errno=12] Cannot allocate memory",
        "ERROR: mmap (12)ERROR: mmap (12)",
        f"{STAMP}[error] [luajit] invalid lua content, error=4: not enough memory",
    ],
)
async def test_a_crash_for_want_of_memory_blames_nobody(tmp_path: Path, last_words: str) -> None:
    async with trying(script(tmp_path, says=(last_words,), then="kill -11 $$"), tmp_path) as bench:
        assert await bench.start(GOOD) == Inconclusive("the trial start ran out of memory")


async def test_a_crash_that_needs_a_limit_is_not_believed(tmp_path: Path) -> None:
    then = f"test $(ulimit -v) = unlimited || kill -11 $$; echo '{READY}' >&2; sleep 600"

    async with trying(script(tmp_path, then=then), tmp_path) as bench:
        assert await bench.start(GOOD) == Accepted()


@pytest.mark.skipif(find_isolation().user is None, reason="no other user can be had here")
async def test_a_refusal_for_want_of_rights_is_asked_again_with_ours() -> None:
    refuses = f"echo '{STAMP}[error] [tls] cannot open key: Permission denied' >&2; echo '{FAILED}' >&2; exit 255"
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        ran = directory / "ran"
        ran.touch(0o666)
        ran.chmod(0o666)
        then = f"id -u >>{ran}; test $(id -u) = 0 || {{ {refuses}; }}; echo '{READY}' >&2; sleep 600"

        async with trying(script(directory, then=then), directory) as bench:
            assert await bench.start(GOOD) == Accepted()

        assert ran.read_text().split() == [str(find_isolation().user), "0"]


async def test_of_a_crash_the_longest_last_words_count(tmp_path: Path) -> None:
    line = f"{STAMP}[error] [filter:type_converter:type_converter.0] configuration error. ignore the key=a"
    then = f"if test -e {tmp_path}/once; then echo '{line}' >&2; rm {tmp_path}/once; else touch {tmp_path}/once; fi"

    async with trying(script(tmp_path, then=f"{then}; kill -6 $$"), tmp_path) as bench:
        verdict = await bench.start(GOOD)

    assert isinstance(verdict, Rejected)
    assert [finding.message[:8] for finding in verdict.findings] == ["[filter:", "Fluent B"]


async def test_silence_is_a_time_out_that_blames_nobody(tmp_path: Path) -> None:
    async with trying(script(tmp_path), tmp_path, timeout=0.3) as bench:
        assert await bench.start(GOOD) == Inconclusive("the trial start was not ready within 0.3 s", timed_out=True)


@pytest.mark.parametrize("says", [(READY,), (FAILED,), ()])
async def test_its_whole_session_ends_and_its_directory_goes(tmp_path: Path, says: tuple[str, ...]) -> None:
    then = f"setsid sleep 601 & sleep 602 & echo $$ $! > {tmp_path}/pids\nwait"
    binary = script(tmp_path, then=then)
    if says:  # only when its children are there
        Path(binary).write_text(f"#!/bin/sh\nsleep 602 &\necho $$ $! > {tmp_path}/pids\necho '{says[0]}' >&2\nwait\n")

    async with trying(binary, tmp_path, timeout=0.5) as bench:
        await bench.start(GOOD)

        pids = (tmp_path / "pids").read_text().split()
        assert len(pids) == 2
        assert await eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
        assert not bench.directory.exists()


async def test_a_program_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    async with trying(str(tmp_path / "nothing"), tmp_path) as bench:
        verdict = await bench.start(GOOD)

    assert isinstance(verdict, Inconclusive)
    assert "nothing" in verdict.reason


async def test_a_directory_that_cannot_be_had_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async with trying(script(tmp_path), tmp_path / "file") as bench:
        verdict = await bench.start(GOOD)

    assert isinstance(verdict, Inconclusive)
    assert "cannot use" in verdict.reason


async def test_values_of_the_environment_are_not_told(tmp_path: Path) -> None:
    said = f"{STAMP}[error] [config map] invalid value for boolean property 'tls=hunter22'"

    async with trying(script(tmp_path, says=(said, FAILED)), tmp_path) as bench:
        verdict = await bench.trial.start(bench.rehearsal(GOOD), {**ENV, "PASSWORD": "hunter22"})

    assert isinstance(verdict, Rejected)
    assert "hunter22" not in repr(verdict)
    assert "${PASSWORD}" in verdict.findings[0].message


async def test_what_was_left_of_an_earlier_trial_is_cleared_away(tmp_path: Path) -> None:
    async with trying(script(tmp_path, says=(READY,)), tmp_path) as bench:
        (bench.directory / "room" / "storage").mkdir(parents=True)
        (bench.directory / "room" / "storage" / "chunk.flb").write_text("of an earlier one")

        assert await bench.start(GOOD) == Accepted()


async def test_the_double_starts_like_the_real_one(double: str, tmp_path: Path) -> None:
    async with trying(double, tmp_path) as bench:
        assert await bench.start(GOOD) == Accepted()


# --- memory -----------------------------------------------------------------------------------------------------------


def group(path: Path, limit: str, usage: str, stat: str = "", *, old: bool = False) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / ("memory.limit_in_bytes" if old else "memory.max")).write_text(limit + "\n")
    (path / ("memory.usage_in_bytes" if old else "memory.current")).write_text(usage + "\n")
    (path / "memory.stat").write_text(stat)


def test_room_is_what_the_limit_leaves_and_cache_is_room(tmp_path: Path) -> None:
    group(tmp_path / "sys/fs/cgroup", "1000", "700", "anon 300\ninactive_file 250\nactive_file 100\n")

    assert memory_room(str(tmp_path)) == 550


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/pod/container\n")
    group(tmp_path / "sys/fs/cgroup/pod", "1000", "900")
    group(tmp_path / "sys/fs/cgroup/pod/container", "max", "500")

    assert memory_room(str(tmp_path)) == 100


def test_version_1_has_room_too(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("9:name=systemd:/\n4:cpu,memory:/as/the/host/sees/it\n0::/\n")
    group(tmp_path / "sys/fs/cgroup/memory", "1000", "700", "total_inactive_file 100\n", old=True)

    assert memory_room(str(tmp_path)) == 400


@pytest.mark.parametrize(("limit", "old"), [("max", False), ("9223372036854771712", True), ("garbage", False)])
def test_no_limit_is_no_number(tmp_path: Path, limit: str, old: bool) -> None:
    group(tmp_path / "sys/fs/cgroup" / ("memory" if old else ""), limit, "700", old=old)

    assert memory_room(str(tmp_path)) is None


def test_nothing_to_read_is_no_limit(tmp_path: Path) -> None:
    assert memory_room(str(tmp_path)) is None


async def test_without_room_there_is_no_trial_and_it_says_so(double: str, tmp_path: Path) -> None:
    async with trying(double, tmp_path) as bench:
        rehearsal = bench.rehearsal(GOOD)

    skipped = too_little_room(rehearsal, 20 * 1024 * 1024)

    assert too_little_room(rehearsal, None) is None
    assert too_little_room(rehearsal, 1 << 30) is None
    assert skipped is not None
    assert "20 MiB are left" in skipped.reason


# --- ports ------------------------------------------------------------------------------------------------------------


def listening(port: int, protocol: str = "tcp", host: str = "127.0.0.1") -> Listening:
    return Listening(host, port, protocol, "platform/a.yaml", 3)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_that_somebody_has_is_taken(protocol: str, host: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(type=kind) as other:
        other.bind(("127.0.0.1", port := free_port()))
        if protocol == "tcp":
            other.listen()
        wanted = listening(port, protocol, host)

        assert taken([wanted], frozenset()) == [(wanted, "Address already in use")]
        assert taken([wanted], frozenset({port})) == []
        assert taken([listening(port, "udp" if protocol == "tcp" else "tcp")], frozenset()) == []

    assert taken([wanted], frozenset()) == []


def test_a_free_port_is_free_and_stays_so() -> None:
    port = free_port()

    assert taken([listening(port), listening(port), listening(port, "udp")], frozenset()) == []
    assert taken([listening(port)], frozenset()) == []


def test_an_address_of_another_machine_cannot_be_had_and_a_name_is_not_looked_up() -> None:
    elsewhere = listening(8, host="192.0.2.1")

    assert [place for place, _ in taken([elsewhere, listening(8, host="collector.example")], frozenset())] == [
        elsewhere
    ]


async def test_two_trials_after_each_other_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def once(bench: Trying) -> object:
        return await bench.start(GOOD)

    async with trying(script(tmp_path, says=(READY,)), tmp_path) as bench:
        assert [await once(bench), await once(bench)] == [Accepted(), Accepted()]
