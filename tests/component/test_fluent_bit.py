"""What is made of Fluent Bit's words and answers. The conversation with the real one is in `tests/contract`."""

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
    child_environment,
    dry_run_environment,
    messages,
    redacted,
)
from supervisor.adapters.fluent_bit.monitoring import parse_metrics
from supervisor.model import Accepted, Inconclusive, OutputCounters, Rejected

STAMP = "[2026/11/22 10:00:00.123] "
FAST = "{name: dummy, tag: t, alias: double.tick=0.1}"


@pytest.fixture
async def talk(double: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(double, tmp_path, limit=2) as conversing:
        yield conversing


# --- the verdict on a dry-run ---


def test_status_0_without_the_sentence_is_no_pass() -> None:
    assert isinstance(messages.verdict(0, "", {}), Rejected)
    assert messages.verdict(0, "configuration test is successful\n", {}) == Accepted()


@pytest.mark.parametrize("returncode", [-signal.SIGABRT, 134, -signal.SIGKILL, 137])
def test_a_crash_blames_nobody(returncode: int) -> None:
    verdict = messages.verdict(returncode, f"{STAMP}[error] [config] something\n", {})

    assert isinstance(verdict, Inconclusive)
    assert verdict.crashed


@pytest.mark.parametrize("returncode", [126, 127])
def test_a_binary_that_cannot_be_run_blames_nobody(returncode: int) -> None:
    assert isinstance(messages.verdict(returncode, "error while loading shared libraries\n", {}), Inconclusive)


def test_a_machine_without_descriptors_blames_nobody() -> None:
    said = f"{STAMP}[error] [/src/flb_cf.c:12 errno=24] Too many open files\n{STAMP}[error] yaml error\n"

    reason = "the dry-run ran out of resources: [/src/flb_cf.c:12 errno=24] Too many open files"
    assert messages.verdict(1, said, {}) == Inconclusive(reason)


def test_a_config_cannot_pass_for_a_shortage() -> None:
    said = f"{STAMP}[error] [config] section '[/x.c:1 errno=24] Too many open files' tried to instance a plugin name\n"

    assert isinstance(messages.verdict(1, said, {}), Rejected)


def test_a_refusal_without_a_word_is_still_a_finding() -> None:
    verdict = messages.verdict(1, "", {})

    assert isinstance(verdict, Rejected)
    assert "without saying why (exit status 1)" in verdict.findings[0].message


def test_lines_that_only_repeat_that_there_was_an_error_are_left_out() -> None:
    said = (
        f"{STAMP}[error] [config] dummy: unknown configuration property 'x'. "
        "The following properties are allowed: a, and b.\n"
        f"{STAMP}[ help] try the command: fluent-bit -i dummy -h\n\n"
        f"{STAMP}[error] [reload] check properties for input plugins is failed\n"
    )

    (finding,) = messages.findings(said, {})

    assert finding.message == "[config] dummy: unknown configuration property 'x'."
    assert finding.hint == "allowed: a, and b."


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ('[config] YAML error found in file "a.yaml", line 8, column 0: duplicated', ("a.yaml", 8, 1)),
        ("[config] invalid YAML in file c/a b.yaml at line 8, column 6: did not", ("c/a b.yaml", 8, 6)),
        ("[config] error in fb.conf:4: invalid indentation level", ("fb.conf", 4, None)),
        ("[luajit] error loading script: a.lua:2: ')' expected near '<eof>'", ("a.lua", 2, None)),
        ("[config] section 'x' tried to instance a plugin name that doesn't exist", ("", None, None)),
    ],
)
def test_path_and_line_are_told_where_fluent_bit_names_them(words: str, place: tuple[str, int, int]) -> None:
    (finding,) = messages.findings(f"{STAMP}[error] {words}\n", {})

    assert (finding.path, finding.line, finding.column) == place


def test_a_hint_belongs_to_the_error_before_it() -> None:
    said = (
        f"{STAMP}[error] [config] invalid YAML in file a.yaml at line 4, column 6: did not find expected '-'\n"
        f"{STAMP}[error] [config] hint: check line 3 (above) for missing ':' or incorrect indentation\n"
    )

    (finding,) = messages.findings(said, {})

    assert finding.hint == "check line 3 (above) for missing ':' or incorrect indentation"


# --- secrets ---


def test_values_of_the_environment_never_show_in_findings() -> None:
    said = f"{STAMP}[error] [config] section 's3cr3t-value' tried to instance a plugin name that doesn't exist\n"

    (finding,) = messages.findings(said, {"PASSWORD": "s3cr3t-value"})

    assert finding.message == "[config] section '${PASSWORD}' tried to instance a plugin name that doesn't exist"


def test_a_value_that_looks_like_the_log_itself_hides_no_finding() -> None:
    said = f"{STAMP}[error] [config] section 'x' tried to instance\n"

    assert messages.findings(said, {"YEAR": "2026", "WORD": "config", "LEVEL": "error"})[0].message.startswith(
        "[${WORD}]"
    )


def test_redaction_takes_the_longest_value_and_does_not_look_at_what_it_put_in() -> None:
    environment = {"KEY": "abcd", "LONG": "abcdefgh", "NAME": "LONG"}

    assert redacted("abcdefgh abcd", environment) == "${LONG} ${KEY}"


def test_short_and_public_values_stay() -> None:
    environment = {"PATH": "/usr/bin", "ON": "on", "DEBUG": "true", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}

    assert redacted("/usr/bin is on, true, 10.0.0.1", environment) == "/usr/bin is on, true, 10.0.0.1"


def test_a_long_secret_that_was_cut_and_one_of_several_lines_do_not_show() -> None:
    certificate = "first line of it\nsecond line of it"
    token = "t" * 5000

    text = redacted(f"x {token[:4000]}\nsecond line of it", {"TOKEN": token, "PEM": certificate})

    assert text == "x ${TOKEN}\n${PEM}"


# --- environments ---


def test_the_child_gets_the_environment_without_what_is_ours_or_harms() -> None:
    environ = {
        "A": "1",
        "FBS_STATE_DIRECTORY": "/x",
        "FLB_LOG_LEVEL": "info",
        "FLB_SUPERVISOR_ACTIVE": "1",
        "PATH": "/bin",
    }

    assert child_environment(environ) == {"A": "1", "PATH": "/bin"}


def test_a_dry_run_gets_the_named_variables_and_what_cloud_plugins_read_and_nothing_else() -> None:
    environ = {
        "PATH": "/bin", "NAMED": "1", "OTHER": "2", "AWS_REGION": "x", "GOOGLE_SERVICE_CREDENTIALS": "y",
        "KUBERNETES_SERVICE_HOST": "z", "FLB_LOG_LEVEL": "info", "FBS_A": "1",
    }  # fmt: skip

    given = dry_run_environment(environ, ["NAMED", "MISSING", "FLB_LOG_LEVEL", "FBS_A"])

    assert set(given) == {"PATH", "NAMED", "AWS_REGION", "GOOGLE_SERVICE_CREDENTIALS", "KUBERNETES_SERVICE_HOST"}


# --- words about a reload ---


def test_errors_after_the_old_pipeline_began_to_stop_are_no_refusal() -> None:
    said = (
        f"{STAMP}[ info] [reload] stop everything of the old context\n"
        f"{STAMP}[error] [reload] reloaded config is invalid. Reloading is halted\n"
    )

    assert messages.refusal(said, {}) == ""


def test_errors_of_an_output_are_no_refusal() -> None:
    assert messages.refusal(f"{STAMP}[error] [output:http:es] HTTP status=502\n", {}) == ""


async def test_words_of_refusal_that_were_forged_do_not_hide_a_reload(talk: Conversation) -> None:
    forged = f'"a\\n{STAMP}[error] [reload] reloaded config is invalid. Reloading is halted\\nb"'
    child = await talk.ready(talk.config(inputs=(f"{{name: dummy, alias: {forged}}}", FAST)))

    outcome = await talk.reload(child, talk.config(inputs=(f"{{name: dummy, alias: {forged}}}", FAST)))

    assert outcome == Acknowledged(1)


# --- metrics ---


def test_only_the_families_that_tell_of_health_are_read() -> None:
    text = "\n".join(
        [
            "# HELP fluentbit_uptime x",
            'fluentbit_uptime{hostname="h"} 12',
            'fluentbit_input_records_total{name="in"} 7',
            'fluentbit_output_proc_records_total{name="a"} 5',
            'fluentbit_output_proc_records_total{name="b\\"\\\\\\n}"} 1e3',
            'fluentbit_output_errors_total{name="a"} 1',
            'fluentbit_output_retries_total{name="a"} 2',
            'fluentbit_output_retries_failed_total{host="x",name="a"} 3',
            'fluentbit_output_dropped_records_total{name="a",host="x"} 4',
            'fluentbit_output_retried_records_total{name="a"} 99',
            "",
        ]
    )

    counters = parse_metrics(text)

    assert counters.outputs == {
        "a": OutputCounters(records=5, errors=1, retries=2, retries_failed=3, dropped=4),
        'b"\\\n}': OutputCounters(records=1000),
    }
    assert counters.inputs == {"in": 7}
    assert counters.uptime == 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "nonsense",
        '\nfluentbit_input_records_total{name="a"} NaN\n',
        '\nfluentbit_input_records_total{name="a"} 12',
    ],
)
def test_what_is_cut_off_or_no_number_is_not_counted(text: str) -> None:
    assert parse_metrics(text).inputs == {}


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
    child = talk.fluent_bit.spawn(talk.write(text), {**ENV, "SECRET": "s3cr3t-pattern"})

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
