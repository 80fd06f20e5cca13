"""What is made of Fluent Bit's words, and which environment it is given."""

from __future__ import annotations

import signal

import pytest

from supervisor.adapters.fluent_bit import (
    child_environment,
    dry_run_environment,
    messages,
    redacted,
)
from supervisor.adapters.fluent_bit.monitoring import parse_metrics
from supervisor.model import Accepted, Inconclusive, OutputCounters, Rejected

STAMP = "[2026/11/22 10:00:00.123] "
FAST = "{name: dummy, tag: t, alias: double.tick=0.1}"


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


def test_the_line_that_names_the_instance_is_kept_behind_the_one_that_says_what_is_wrong() -> None:
    lines = ("[luajit] error loading buffer: unexpected symbol near '<eof>'", "Failed pre_run callback on filter lua.7")
    said = "".join(f"{STAMP}[error] {line}\n" for line in (*lines, "[reload] check properties for filters is failed"))

    assert tuple(finding.message for finding in messages.findings(said, {})) == lines


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
