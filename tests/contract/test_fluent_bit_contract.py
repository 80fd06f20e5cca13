"""What the double and the real binary both do. What the real one does not do is deleted from the double."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from conftest import DOUBLE, eventually
from contract.conversation import BAD_REGEX, DUMMY, ENV, NULL, Conversation, conversation, free_port, ignores_term

from supervisor.adapters.fluent_bit import Acknowledged, Declined, Exited, Unresponsive
from supervisor.model import OutputCounters


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
                no_server.replace(NULL, "{name: http, match: '*', tls: on, tls.ca_file: /nonexistent.crt}"),
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


async def test_outputs_without_an_alias_are_numbered_among_all_outputs(talk: Conversation) -> None:
    outputs = ("{name: 'null', match: '*'}", "{name: stdout, match: 'nothing'}", NULL)
    child = await talk.ready(talk.config(outputs=outputs))

    async def names() -> set[str]:
        return set((await talk.fluent_bit.observe(child, talk.endpoint)).outputs or ())

    assert await eventually(names, limit=10) == {"null.0", "stdout.1", "sink"}


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
    await ignores_term(child)


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
