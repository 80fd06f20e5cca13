"""What the double and the real binary both do. What the real one does not do is deleted from the double."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from conftest import DOUBLE, eventually
from contract.conversation import DUMMY, ENV, NULL, Conversation, conversation, free_port

from supervisor.adapters.fluent_bit import Acknowledged, Declined, Exited, Unresponsive, messages
from supervisor.adapters.process import Child
from supervisor.model import Accepted, Inconclusive, OutputCounters, Rejected

BAD_REGEX = "{name: grep, match: '*', regex: 'message ('}"


@pytest.fixture
async def talk(fluent_bit: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(fluent_bit, tmp_path) as conversing:
        yield conversing


# --- the command line ---


async def test_the_version_goes_to_stdout(talk: Conversation) -> None:
    done = await talk.run("-V")

    assert done.returncode == 0
    assert done.stdout.startswith("Fluent Bit v5.1.1\n")


async def test_the_self_test_finds_a_binary_that_checks_properties_and_reloads(talk: Conversation) -> None:
    binary = await talk.fluent_bit.identify()

    assert (binary.version, binary.checks_properties, binary.reloads, binary.error) == ("5.1.1", True, True, "")
    assert binary.identity


@pytest.mark.real
async def test_every_plugin_and_property_of_the_double_is_one_of_the_real(real: str, tmp_path: Path) -> None:
    async with conversation(real, tmp_path) as talk:
        schemas = []
        for binary in (real, str(DOUBLE)):
            done = await talk.processes.run([binary, "-J"], env=ENV, cwd=None, timeout=10, output_limit=4 * 1024 * 1024)
            schemas.append(json.loads(done.stdout))

    def properties(schema: dict, kind: str) -> dict[str, set[str]]:
        return {
            plugin["name"]: {option["name"].lower() for group in plugin["properties"].values() for option in group}
            for plugin in schema[kind]
        }

    for kind in ("inputs", "filters", "outputs"):
        real_ones, doubles = (properties(schema, kind) for schema in schemas)
        assert doubles, kind
        assert {name: extra for name, names in doubles.items() if (extra := names - real_ones.get(name, set()))} == {}


# --- dry-run ---

PASSES = {
    "a good config": {},
    "an unknown section with a map in it": {"more": "inputz: {name: dummy}"},
    "an unknown service key": {"service": "flsh: 3"},
    "a bad regex of grep": {"filters": (BAD_REGEX,)},
    "no output at all": {"outputs": ()},
    "an include that matches nothing": {"more": "includes: ['nothing-*.yaml']"},
    "a TLS file that is missing": {"outputs": ("{name: http, match: '*', tls: on, tls.ca_file: /nonexistent.crt}",)},
    "two inputs on one port": {"inputs": ("{name: tcp, port: 29871}", "{name: tcp, port: 29871}")},
    "an unset variable": {"inputs": ("{name: dummy, tag: 'a${NOT_SET_AT_ALL}'}",)},
    "an output without match": {"outputs": ("{name: 'null'}", NULL)},
}
REFUSED = {
    "an unknown plugin": ({"inputs": ("{name: nosuch}",)}, "section 'nosuch' tried to instance a plugin name"),
    "an unknown property": ({"inputs": ("{name: dummy, nosuch: 1}",)}, "unknown configuration property 'nosuch'"),
    "no name": ({"inputs": ("{tag: x}",)}, "section 'input' is missing the 'name' property"),
    "a filter without match": ({"filters": ("{name: grep, regex: a b}",)}, "NO match rule for grep.0 filter instance"),
    "a flush that is no number": ({"service": "flush: abc"}, "invalid flush value, aborting."),
    "a flush of zero": ({"service": "flush: 0"}, "invalid flush value, aborting."),
    "a bad size": ({"inputs": ("{name: dummy, mem_buf_limit: big}",)}, "could not configure property 'mem_buf_limit'"),
    "a missing include": ({"more": "includes: [nothing.yaml]"}, "including file 'nothing.yaml'"),
    "a second service": ({"more": "service: {flush: 1}"}, "duplicated definition of 'service'"),
    "an unknown section with a list in it": ({"more": "inputz:\n  - a"}, "env list is only allowed in env section"),
    "an unknown part of the pipeline": ({"more": "pipeline:\n  foo: []"}, "the pipeline component 'foo' is not valid"),
    "an unclosed list": ({"more": "includes: ["}, "invalid YAML in file"),
    "a missing secret": ({"more": "env: {A: 'file:///nonexistent'}"}, "[env] file /nonexistent not found"),
    "a bad parser": ({"more": "parsers:\n  - {name: p, format: regex, regex: '('}"}, "Invalid regex pattern ("),
    "a parser twice": (
        {"more": "parsers:\n  - {name: p, format: json}\n  - {name: p, format: json}"},
        "parser named 'p' already exists",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PASSES)
async def test_dry_run_passes(talk: Conversation, fault: str) -> None:
    path = talk.write(talk.config(**PASSES[fault]))

    done = await talk.run("-D", "-c", path)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("configuration test is successful\n")


@pytest.mark.parametrize("fault", REFUSED)
async def test_dry_run_refuses(talk: Conversation, fault: str) -> None:
    change, words = REFUSED[fault]
    path = talk.write(talk.config(**change))

    done = await talk.run("-D", "-c", path)
    verdict = messages.verdict(done.returncode, done.stderr, ENV)

    assert (done.returncode, done.stdout) == (1, "")
    assert "configuration test is successful" not in done.stderr
    assert isinstance(verdict, Rejected)
    assert words in verdict.findings[0].message


async def test_a_syntax_error_names_its_file_and_line(talk: Conversation) -> None:
    (talk.directory / "part.yaml").write_text("pipeline:\n  inputs:\n    - name: dummy\n     tag: x\n")

    verdict = await talk.dry_run("includes:\n  - part.yaml\n")

    assert isinstance(verdict, Rejected)
    assert [(os.path.basename(finding.path), finding.line) for finding in verdict.findings] == [("part.yaml", 4)]


async def test_a_missing_include_names_who_includes_it(talk: Conversation) -> None:
    verdict = await talk.dry_run("includes:\n  - nothing.yaml\n")

    assert isinstance(verdict, Rejected)
    assert [(os.path.basename(finding.path), finding.line) for finding in verdict.findings] == [("main.yaml", 2)]
    assert "No such file or directory (including file 'nothing.yaml')" in verdict.findings[0].message


async def test_a_missing_main_file_is_refused(talk: Conversation) -> None:
    done = await talk.run("-D", "-c", "nothing.yaml")

    assert done.returncode == 1
    assert "could not open configuration file, aborting." in done.stderr


async def test_with_daemon_on_a_dry_run_ends_with_0_and_without_its_sentence(talk: Conversation) -> None:
    path = talk.write(talk.config(service="daemon: on", inputs=("{name: dummy, nosuch: 1}",)))

    done = await talk.run("-D", "-c", path)
    verdict = await talk.fluent_bit.dry_run(path, ENV)

    assert done.returncode == 0
    assert "configuration test is successful" not in done.stderr
    assert isinstance(verdict, Rejected)
    assert "daemon on" in verdict.findings[0].message


async def test_a_dry_run_with_a_nats_output_crashes_and_says_nothing_about_the_config(talk: Conversation) -> None:
    verdict = await talk.dry_run(talk.config(outputs=("{name: nats, match: '*'}",)))

    assert verdict == Inconclusive("the dry-run crashed: killed by SIGABRT (6)", crashed=True)


async def test_a_dry_run_that_waits_for_a_fifo_is_ended_and_blames_nobody(fluent_bit: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "part.yaml")
    async with conversation(fluent_bit, tmp_path, limit=1) as talk:
        verdict = await talk.dry_run("includes:\n  - part.yaml\n")

    assert verdict == Inconclusive("the dry-run did not end within 1 s")


async def test_a_pipeline_on_the_command_line_is_checked_with_the_file(fluent_bit: str, tmp_path: Path) -> None:
    for plugin, verdict in (("dummy", Accepted), ("nosuch", Rejected)):
        async with conversation(fluent_bit, tmp_path, arguments=("-i", plugin, "-o", "stdout", "-m", "*")) as talk:
            assert isinstance(await talk.dry_run(talk.config()), verdict)


# --- start ---


async def test_faults_that_a_dry_run_misses_end_the_start_with_255(talk: Conversation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        no_server = talk.config().replace("http_server: on", "http_server: off")
        faults = {
            "an unknown property": (no_server.replace("tag: t", "nosuch: t"), "unknown configuration property"),
            "a bad regex": (
                no_server.replace("  outputs:", f"  filters:\n    - {BAD_REGEX}\n  outputs:"),
                "[filter:grep:grep.0] could not compile regex pattern '('",
            ),
            "its own port is taken": (
                talk.config().replace(str(talk.endpoint.port), str(port)),
                f"could not bind address 127.0.0.1:{port}",
            ),
            "a port is taken": (
                no_server.replace(DUMMY, f"{{name: tcp, listen: 127.0.0.1, port: {port}}}"),
                f"could not bind address 127.0.0.1:{port}",
            ),
            "no storage": (
                no_server.replace("http_server", "storage.path: /proc/nothing, http_server"),
                "cannot initialize root path /proc/nothing",
            ),
            "no TLS file": (
                no_server.replace(NULL, PASSES["a TLS file that is missing"]["outputs"][0]),
                "[tls] ca_file '/nonexistent.crt'",
            ),
            "no directory for the DB": (
                no_server.replace(DUMMY, f"{{name: tail, path: /x, db: '{talk.directory}/missing/db'}}"),
                f"[sqldb] cannot open database {talk.directory}/missing/db",
            ),
        }

        async def start(number: int, text: str) -> object:
            child = talk.fluent_bit.spawn(talk.write(text, f"{number}.yaml"), ENV)
            return await talk.fluent_bit.ready(child, talk.endpoint, 10)

        outcomes = await asyncio.gather(*(start(number, text) for number, (text, _) in enumerate(faults.values())))

    for fault, (_, words), outcome in zip(faults, faults.values(), outcomes, strict=True):
        assert isinstance(outcome, Exited), fault
        assert outcome.returncode == 255, fault
        assert words in outcome.reason, fault


async def test_a_config_that_cannot_be_loaded_ends_the_start_with_1(talk: Conversation) -> None:
    child = talk.fluent_bit.spawn(talk.write(talk.config(inputs=("{name: nosuch}",))), ENV)

    ended = await talk.fluent_bit.ready(child, talk.endpoint, 10)

    assert isinstance(ended, Exited)
    assert ended.returncode == 1


async def test_a_signal_in_the_first_moment_kills(talk: Conversation) -> None:
    child = talk.fluent_bit.spawn(talk.write(talk.config()), ENV)

    child.signal(signal.SIGHUP)

    assert await child.wait() == -signal.SIGHUP


async def test_the_metrics_come_a_moment_after_the_server(talk: Conversation) -> None:
    child = await talk.ready(talk.config())
    first = await talk.fluent_bit.observe(child, talk.endpoint)
    assert (first.alive, first.answering, first.reloads) == (True, True, 0)

    async def metrics() -> object:
        return (await talk.fluent_bit.observe(child, talk.endpoint)).outputs

    assert await eventually(metrics, 5)
    seen = await talk.fluent_bit.observe(child, talk.endpoint)
    assert seen.outputs is not None
    assert set(seen.outputs) == {"sink"}
    assert set(seen.inputs or {}) == {"in"}
    assert seen.resident_bytes > 1024 * 1024


async def test_the_ready_line_comes_after_all_inits(talk: Conversation) -> None:
    child = await talk.ready(talk.config())

    said = child.stderr_since(0)

    assert said.index("[input:dummy:in] initializing") < said.index("[sp] stream processor started")


# --- delivery ---


async def test_dummy_records_arrive_in_a_file_with_their_tag(talk: Conversation) -> None:
    await talk.ready(
        talk.config(
            inputs=('{name: dummy, tag: app, rate: 10, dummy: \'{"log": "hello"}\'}',),
            filters=("{name: record_modifier, match: 'a*', record: from here}",),
            outputs=(f"{{name: file, match: app, path: '{talk.directory}', file: out}}",),
        )
    )

    await eventually(lambda: talk.lines("out"))

    assert talk.lines("out")[0].startswith("app: [")
    assert '{"log":"hello","from":"here"}' in talk.lines("out")[0]


async def test_lines_of_a_tailed_file_arrive(talk: Conversation) -> None:
    (talk.directory / "app.log").write_text("one\n")
    await talk.ready(
        talk.config(
            inputs=(f"{{name: tail, tag: app, path: '{talk.directory}/app.log', read_from_head: on}}",),
            filters=("{name: grep, match: '*', exclude: log two}",),
            outputs=(f"{{name: file, match: '*', path: '{talk.directory}', file: out, format: plain}}",),
        )
    )
    await eventually(lambda: talk.lines("out"))

    with (talk.directory / "app.log").open("a") as file:
        file.write("two\nthree\n")

    await eventually(lambda: len(talk.lines("out")) == 2)
    assert [json.loads(line)["log"] for line in talk.lines("out")] == ["one", "three"]


async def test_an_output_tells_of_its_failures_in_different_counters(talk: Conversation) -> None:
    port = free_port()
    refused = f"host: 127.0.0.1, port: {port}"
    child = await talk.ready(
        talk.config(
            inputs=("{name: dummy, tag: t, rate: 10, alias: in}",),
            outputs=(
                f"{{name: http, match: t, alias: retries, {refused}}}",
                f"{{name: http, match: t, alias: dropped, {refused}, retry_limit: no_retries}}",
                "{name: file, match: t, alias: errors, path: /nonexistent, file: x}",
                "{name: 'null', match: t, alias: good}",
                "{name: 'null', match: other, alias: idle}",
            ),
        )
    )

    async def outputs() -> dict[str, OutputCounters] | None:
        seen = (await talk.fluent_bit.observe(child, talk.endpoint)).outputs
        return (
            dict(seen)
            if seen and seen["retries"].retries > 1 and seen["good"].records and seen["errors"].errors
            else None
        )

    seen = await eventually(outputs)

    assert isinstance(seen, dict)
    assert [seen["retries"].records, seen["retries"].dropped] == [0, 0]
    assert seen["dropped"].dropped > 0
    assert [seen["dropped"].errors, seen["dropped"].retries, seen["dropped"].retries_failed] == [0, 0, 0]
    assert seen["errors"].dropped > 0
    assert seen["idle"] == OutputCounters()


# --- reload ---


async def test_a_reload_raises_the_count_and_keeps_the_process_and_begins_the_counters_anew(talk: Conversation) -> None:
    child = await talk.ready(talk.config())

    outcome = await talk.reload(child, talk.config(outputs=("{name: 'null', match: '*', alias: other}",)))
    after = await talk.fluent_bit.observe(child, talk.endpoint)

    assert outcome == Acknowledged(1)
    assert (after.alive, after.reloads, after.outputs) == (True, 1, None)
    assert after.uptime is not None
    assert after.uptime <= 1

    async def metrics() -> object:
        return (await talk.fluent_bit.observe(child, talk.endpoint)).outputs

    assert set(await eventually(metrics, 5)) == {"other"}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"inputs": ("{name: dummy, nosuch: 1}",)}, "unknown configuration property 'nosuch'"),
        ({"more": "includes: ["}, "invalid YAML"),
    ],
    ids=["unknown property", "syntax"],
)
async def test_a_reload_of_what_cannot_be_loaded_is_declined_and_the_old_pipeline_runs_on(
    talk: Conversation, fault: dict, words: str
) -> None:
    out = f"{{name: file, match: '*', path: '{talk.directory}', file: out}}"
    child = await talk.ready(talk.config(inputs=("{name: dummy, rate: 10}",), outputs=(out,)))

    outcome = await talk.reload(child, talk.config(**fault))
    lines = len(talk.lines("out"))

    assert isinstance(outcome, Declined)
    assert words in outcome.reason
    assert await talk.fluent_bit.reload_count(talk.endpoint) == 0
    await eventually(lambda: len(talk.lines("out")) > lines)


async def test_a_reload_of_what_dies_in_its_init_ends_the_process_with_255(talk: Conversation) -> None:
    child = await talk.ready(talk.config())

    outcome = await talk.reload(child, talk.config(filters=(BAD_REGEX,)))

    assert isinstance(outcome, Exited)
    assert outcome.returncode == 255
    assert "could not compile regex pattern" in outcome.reason
    assert "Reloading is aborted" in outcome.findings[-1].message


async def test_a_post_says_done_whatever_the_config_says(talk: Conversation) -> None:
    await talk.ready(talk.config())
    talk.write(talk.config(inputs=("{name: nosuch}",)))
    url = f"http://127.0.0.1:{talk.endpoint.port}/api/v2/reload"

    async with aiohttp.ClientSession() as session:
        async with session.post(url) as answer:
            assert (answer.status, await answer.json(content_type=None)) == (200, {"reload": "done", "status": 0})
        async with session.delete(url) as answer:
            assert answer.status == 405

    assert await talk.fluent_bit.reload_count(talk.endpoint) == 0


async def test_a_second_signal_during_a_reload_is_dropped(talk: Conversation) -> None:
    child = await talk.ready(talk.config())
    talk.fluent_bit.reload(child)
    await eventually(lambda: "stop everything of the old context" in child.stderr_since(0))

    mark = child.stderr_mark()
    talk.fluent_bit.reload(child)

    await eventually(lambda: "reloading in progress, aborting." in child.stderr_since(mark))


async def test_without_hot_reload_a_hang_up_is_survived_and_declined(talk: Conversation) -> None:
    text = talk.config().replace("hot_reload: on", "hot_reload: off")
    child = await talk.ready(text)

    outcome = await talk.reload(child, text)

    assert outcome == Declined("[reload] hot reloading is not enabled")
    assert child.alive()


async def test_a_reload_with_an_output_that_never_gives_up_never_ends_and_term_is_ignored(talk: Conversation) -> None:
    endless = f"{{name: http, match: '*', alias: es, host: 127.0.0.1, port: {free_port()}, retry_limit: no_limits}}"
    child = await talk.ready(talk.config(inputs=("{name: dummy, rate: 10}",), outputs=(endless,)))
    await eventually(lambda: "retry" in child.stderr_since(0))

    outcome = await talk.reload(child, talk.config(), deadline=1.5)

    assert outcome == Unresponsive("no outcome within 1.5 s: the reload count stays at 0")
    await _ignores_term(child)


async def _ignores_term(child: Child) -> None:
    """Half as long again after a TERM as an idle one takes at most to end, the process is still there."""
    child.signal(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await child.wait()
    assert child.alive()


# --- the end ---


async def test_asked_to_stop_it_ends_with_0(talk: Conversation) -> None:
    path = talk.write(talk.config().replace("http_server: on", "http_server: off"))
    children = [talk.fluent_bit.spawn(path, ENV) for _ in range(3)]

    for child, sig in zip(children, (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT), strict=True):
        await eventually(lambda child=child: "[sp] stream processor started" in child.stderr_since(0))
        child.signal(sig)

    assert [await child.wait() for child in children] == [0, 0, 0]
    assert all("service has stopped (0 pending tasks)" in child.stderr_since(0) for child in children)


async def test_an_exit_output_ends_it_unasked_with_0(talk: Conversation) -> None:
    child = await talk.ready(
        talk.config(inputs=("{name: dummy, rate: 10}",), outputs=("{name: exit, match: '*', flush_count: 1}",))
    )

    assert await child.wait() == 0


async def test_other_signals_kill_at_any_time(talk: Conversation) -> None:
    child = await talk.ready(talk.config())

    child.signal(signal.SIGUSR1)

    assert await child.wait() == -signal.SIGUSR1


# --- the markers of the double, and what the real one does to the same effect ---


def marked(talk: Conversation, marker: str, **recipe: tuple[str, ...]) -> str:
    """The config with the marker for the double, or with the recipe for the real one."""
    if talk.is_double:
        return talk.config(inputs=(f"{{name: dummy, tag: t, alias: 'double.{marker}'}}",))
    return talk.config(**recipe)  # type: ignore[arg-type]


def command(text: str) -> tuple[str, ...]:
    return (f"{{name: exec, tag: x, oneshot: true, command: '{text}'}}", DUMMY)


def lua(code: str) -> tuple[str, ...]:
    return (f"{{name: lua, match: '*', call: f, code: '{code}'}}",)


async def test_hang_on_reload(talk: Conversation) -> None:
    if not talk.is_double:
        pytest.skip("shown above by an output that never gives up")
    child = await talk.ready(marked(talk, "hang-on-reload"))

    outcome = await talk.reload(child, talk.config(), deadline=1.5)

    assert outcome == Unresponsive("no outcome within 1.5 s: the reload count stays at 0")
    await _ignores_term(child)


async def test_ignore_term(talk: Conversation) -> None:
    child = await talk.ready(
        marked(talk, "ignore-term", inputs=(DUMMY, "{name: exec, command: sleep 60, interval_sec: 1}"))
    )
    await eventually(lambda: talk.is_double or _has_children(child.pid))

    await _ignores_term(child)


def _has_children(pid: int) -> bool:
    return any(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))


async def test_crash_after(talk: Conversation) -> None:
    child = await talk.ready(marked(talk, "crash-after=0.3", inputs=command("sleep 0.3; kill -SEGV $PPID")))

    assert await child.wait() == -signal.SIGABRT


async def test_freeze_after(talk: Conversation) -> None:
    child = await talk.ready(marked(talk, "freeze-after=0.3", inputs=command("sleep 0.3; kill -STOP $PPID")))

    await eventually(lambda: _state(child.pid) == "T")
    outcome = await talk.fluent_bit.ready(child, talk.endpoint, 0.1)

    assert isinstance(outcome, Unresponsive)
    assert "nothing answers" in outcome.reason


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


async def test_stuck_engine(talk: Conversation) -> None:
    child = await talk.ready(
        marked(
            talk,
            "stuck-engine",
            inputs=("{name: dummy, rate: 1000}",),
            filters=lua("function f(a, b, c) while true do end end"),
        )
    )
    end = time.monotonic() + 1.6

    while time.monotonic() < end:
        seen = await talk.fluent_bit.observe(child, talk.endpoint)
        assert seen.answering
        assert seen.outputs is None
        await asyncio.sleep(0.1)


async def test_slow_start(talk: Conversation) -> None:
    began = time.monotonic()

    await talk.ready(
        marked(
            talk,
            "slow-start=1",
            filters=lua("while os.clock() < 1 do end function f(a, b, c) return 0, b, c end"),
        )
    )

    assert time.monotonic() - began > 0.9


async def test_orphans(talk: Conversation) -> None:
    """They are in the session of the child, but not in its process group, and hold its listening socket."""
    text = marked(talk, "orphans=1", inputs=command("sleep 60 > /dev/null 2>&1 &"))
    child = await talk.ready(text)
    await eventually(lambda: len(_session(child.pid)) == 2)

    child.signal(signal.SIGKILL)
    await child.wait()
    second = talk.fluent_bit.spawn(talk.write(text), ENV)

    assert _session(child.pid) == {"sleep": False}
    outcome = await talk.fluent_bit.ready(second, talk.endpoint, 10)
    assert isinstance(outcome, Exited)
    assert "could not bind address" in outcome.reason


def _session(leader: int) -> dict[str, bool]:
    """Names of the processes of a session, and whether they are in the leader's process group."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            before, _, after = stat.read_text().rpartition(") ")
            state, _, group, session = after.split()[:4]
            if int(session) == leader and state != "Z":
                found[before.partition("(")[2]] = int(group) == leader
    return found


async def test_slow_dry_run(talk: Conversation) -> None:
    os.mkfifo(talk.directory / "late.yaml")
    if not talk.is_double:

        def write_late() -> None:
            with (talk.directory / "late.yaml").open("w") as file:
                time.sleep(1)
                file.write("pipeline: {inputs: [{name: dummy}]}\n")

        threading.Thread(target=write_late, daemon=True).start()
    began = time.monotonic()

    text = marked(talk, "slow-dry-run=1") if talk.is_double else talk.config(more="includes: [late.yaml]")
    verdict = await talk.dry_run(text)

    assert verdict == Accepted()
    assert time.monotonic() - began > 0.9


async def test_noisy_dry_run(talk: Conversation) -> None:
    noise = "\n".join(f"  - {{name: dummy, tag: '${{{'X' * 3000}{n}}}a'}}" for n in range(200))
    text = (
        marked(talk, "noisy-dry-run=600000")
        if talk.is_double
        else talk.config(inputs=(DUMMY,), more=f"pipeline:\n  inputs:\n{noise.replace('  -', '    -')}")
    )

    done = await talk.run("-D", "-c", talk.write(text))

    assert done.returncode == 0
    assert len(done.stderr) > 500_000
