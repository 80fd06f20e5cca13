"""How a conversation with Fluent Bit goes, where the double is enough; `tests/contract` has the real one too."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from conftest import eventually
from contract.conversation import DUMMY, ENV, Conversation, conversation

from supervisor.adapters.fluent_bit import (
    Acknowledged,
    Declined,
    Exited,
    Unresponsive,
)
from supervisor.model import Accepted, Inconclusive

STAMP = "[2026/11/22 10:00:00.123] "
FAST = "{name: dummy, tag: t, alias: double.tick=0.1}"


@pytest.fixture
async def talk(double: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(double, tmp_path, limit=2) as conversing:
        yield conversing


# --- the self-test ---


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.write_text("x"), "not executable"),
        (lambda path: path.mkdir(), "it is a directory"),
        (lambda path: (path.write_text("#!/bin/sh\necho hello\n"), path.chmod(0o755)), "is not Fluent Bit"),
        (lambda path: (path.write_text("#!/bin/sh\nsleep 60\n"), path.chmod(0o755)), "did not end in time"),
    ],
    ids=["missing", "not executable", "a directory", "another program", "a program that hangs"],
)
async def test_a_binary_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "fluent-bit"
    make(path)  # type: ignore[operator]

    async with conversation(str(path), tmp_path, limit=1) as talk:
        binary = await talk.fluent_bit.identify()

    assert words in binary.error
    assert str(path) in binary.error
    assert "\n" not in binary.error


async def test_an_old_version_is_told_to_be_without_reload_and_property_checks(tmp_path: Path) -> None:
    path = tmp_path / "fluent-bit"
    path.write_text(
        '#!/bin/sh\nif [ "$1" = -V ]; then echo "Fluent Bit v2.0.11"; exit; fi\n'
        'echo "configuration test is successful" >&2\n'
    )
    path.chmod(0o755)

    async with conversation(str(path), tmp_path) as talk:
        binary = await talk.fluent_bit.identify()

    assert (binary.version, binary.reloads, binary.checks_properties, binary.error) == ("2.0.11", False, False, "")


async def test_another_file_at_the_same_path_is_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "fluent-bit"
    identities = set()

    async with conversation(str(path), tmp_path) as talk:
        for _ in range(2):
            fresh = tmp_path / "fresh"
            fresh.write_text("#!/bin/sh\necho Fluent Bit v5.1.1\n")
            fresh.chmod(0o755)
            fresh.rename(path)
            identities.add((await talk.fluent_bit.identify()).identity)

    assert len(identities) == 2


# --- the conversation, where the double is enough ---


async def test_a_dry_run_over_its_time_limit_blames_nobody(talk: Conversation) -> None:
    verdict = await talk.dry_run(talk.config(inputs=("{name: dummy, alias: double.slow-dry-run=60}",)))

    assert verdict == Inconclusive("the dry-run did not end within 2 s")


async def test_a_dry_run_that_says_a_hundred_megabytes_still_passes(talk: Conversation) -> None:
    verdict = await talk.dry_run(talk.config(inputs=("{name: dummy, alias: double.noisy-dry-run=100000000}",)))

    assert verdict == Accepted()


async def test_a_binary_that_vanished_is_no_verdict_on_a_config(tmp_path: Path) -> None:
    async with conversation(str(tmp_path / "nothing"), tmp_path) as talk:
        assert isinstance(await talk.dry_run("service: {}\n"), Inconclusive)


async def test_a_stranger_on_the_port_is_never_taken_for_the_child(talk: Conversation) -> None:
    async def uptime(_: web.Request) -> web.Response:
        return web.json_response({"uptime_sec": 0, "hot_reload_count": 7})

    app = web.Application()
    app.router.add_get("/{path:.*}", uptime)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", talk.endpoint.port).start()

    deaf = talk.fluent_bit.spawn(talk.write(talk.config().replace("http_server: on", "http_server: off")), ENV)
    started = await talk.fluent_bit.ready(deaf, talk.endpoint, 0.5)
    seen = await talk.fluent_bit.observe(deaf, talk.endpoint)
    await eventually(lambda: "stream processor started" in deaf.stderr_since(0), 20)  # before that a HUP kills it
    talk.fluent_bit.reload(deaf)
    reloaded = await talk.fluent_bit.acknowledged(deaf, talk.endpoint, 0, deaf.stderr_mark(), 0.5)
    rival = talk.fluent_bit.spawn(talk.write(talk.config(inputs=(FAST,))), ENV)
    ended = await talk.fluent_bit.ready(rival, talk.endpoint, 10)
    await runner.cleanup()

    assert isinstance(started, Unresponsive)
    assert "another process answers on 127.0.0.1:" in started.reason
    assert (seen.alive, seen.answering) == (True, False)
    assert isinstance(reloaded, Unresponsive)
    assert isinstance(ended, Exited)
    assert ended.returncode == 255


async def test_a_start_that_never_answers_ends_at_the_deadline(talk: Conversation) -> None:
    child = talk.fluent_bit.spawn(talk.write(talk.config(inputs=("{name: dummy, alias: double.slow-start=60}",))), ENV)

    outcome = await talk.fluent_bit.ready(child, talk.endpoint, 0.3)

    assert isinstance(outcome, Unresponsive)
    assert "not ready within 0.3 s: nothing answers" in outcome.reason


async def test_secrets_of_the_child_do_not_show_in_the_reason_of_its_end(talk: Conversation) -> None:
    text = talk.config(filters=("{name: grep, match: '*', regex: 'log s3cr3t-pattern('}",), inputs=(FAST,))
    child = talk.fluent_bit.spawn(talk.write(text), {**ENV, "SECRET": "s3cr3t-pattern"}, named=("SECRET",))

    outcome = await talk.fluent_bit.ready(child, talk.endpoint, 10)

    assert isinstance(outcome, Exited)
    assert "s3cr3t" not in repr(outcome)
    assert "${SECRET}(" in outcome.reason


async def test_a_child_that_ended_is_observed_as_gone_and_takes_no_signal(talk: Conversation) -> None:
    child = await talk.ready(talk.config())
    child.signal(signal.SIGKILL)
    await child.wait()

    seen = await talk.fluent_bit.observe(child, talk.endpoint)

    assert (seen.alive, seen.answering) == (False, False)
    assert not talk.fluent_bit.reload(child)


async def test_a_pipeline_on_the_command_line_runs_beside_the_file(double: str, tmp_path: Path) -> None:
    arguments = ("-i", "dummy", "-t", "cli", "-o", "file", "-m", "cli", "-p", f"path={tmp_path}", "-p", "file=out")
    async with conversation(double, tmp_path, arguments=arguments) as talk:
        await talk.ready(talk.config(inputs=(FAST,)))

        await eventually(lambda: talk.lines("out"))


async def test_closing_twice_and_asking_again_harms_nobody(talk: Conversation) -> None:
    child = await talk.ready(talk.config())

    await talk.fluent_bit.close()
    await talk.fluent_bit.close()

    assert await talk.fluent_bit.reload_count(talk.endpoint) == 0
    assert child.alive()


async def test_a_declined_reload_is_told_with_its_reason(talk: Conversation) -> None:
    child = await talk.ready(talk.config(inputs=(DUMMY,)))

    outcome = await talk.reload(child, talk.config(inputs=("{name: nosuch}",)))

    assert outcome == Declined("[config] section 'nosuch' tried to instance a plugin name that doesn't exist")


async def test_words_of_refusal_that_were_forged_do_not_hide_a_reload(talk: Conversation) -> None:
    forged = f'"a\\n{STAMP}[error] [reload] reloaded config is invalid. Reloading is halted\\nb"'
    child = await talk.ready(talk.config(inputs=(f"{{name: dummy, alias: {forged}}}", FAST)))

    outcome = await talk.reload(child, talk.config(inputs=(f"{{name: dummy, alias: {forged}}}", FAST)))

    assert outcome == Acknowledged(1)
