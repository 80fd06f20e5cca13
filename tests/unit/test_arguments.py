"""The command line: ours, and Fluent Bit's own as manifests and charts have it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.arguments import (
    Check,
    HandOver,
    Help,
    Invocation,
    Refusal,
    Release,
    Reload,
    Render,
    Snippets,
    Status,
    Version,
    hand_over,
    parse_command_line,
)
from supervisor.arguments.options import OPTIONS, Effect
from supervisor.arguments.usage import COMMANDS, NOT_YET
from supervisor.settings import FIELDS, resolve


def parsed(line: str) -> object:
    return parse_command_line(shlex.split(line), cwd="/here")


def run(line: str) -> Invocation:
    found = parsed(line)
    assert isinstance(found, Invocation), found
    return found


def refused(line: str) -> tuple[str, ...]:
    found = parsed(line)
    assert isinstance(found, Refusal), found
    return found.problems


# --- as others call Fluent Bit -------------------------------------------------------------------------------


def test_the_official_chart_is_understood() -> None:
    found = run("--workdir=/fluent-bit/etc --config=/fluent-bit/etc/conf/fluent-bit.conf")

    assert (found.workdir, found.base) == ("/fluent-bit/etc", "/fluent-bit/etc/conf/fluent-bit.conf")
    assert found.flags == {"fluent_bit.config": "/fluent-bit/etc/conf/fluent-bit.conf"}
    assert (found.arguments, found.service_defaults, found.notes) == ((), (), ())


def test_the_path_of_the_program_as_first_argument_is_skipped() -> None:
    """The official image has the program as entry point, and again as first word of its command."""
    found = run("/fluent-bit/bin/fluent-bit -c /fluent-bit/etc/fluent-bit.conf")

    assert found.base == "/fluent-bit/etc/fluent-bit.conf"
    assert found.notes == ()


def test_the_operators_call_is_understood() -> None:
    found = run("--enable-hot-reload -c /fluent-bit/etc/fluent-bit.conf -e /fluent-bit/plugins/out.so")

    assert found.service_defaults == (("hot_reload", "on"),)
    assert found.arguments == ("-e", "/fluent-bit/plugins/out.so")
    assert not found.pipeline


def test_a_pipeline_on_the_command_line_is_passed_on_in_its_order() -> None:
    found = run("-i cpu -t a -p interval_sec=1 -F grep -m '*' --prop 'regex=a b' -ostdout --match=x -f1 -T 'SELECT 1'")

    assert found.pipeline
    assert not found.trace
    assert shlex.join(found.arguments) == (
        "-i cpu -t a -p interval_sec=1 -F grep -m '*' -p 'regex=a b' -o stdout -m x -T 'SELECT 1'"
    )
    assert found.service_defaults == (("flush", "1"),)


@pytest.mark.parametrize(
    ("line", "defaults"),
    [
        ("-H -P 2021", (("http_server", "on"), ("http_port", "2021"))),
        ("-HP2021", (("http_server", "on"), ("http_port", "2021"))),
        ("--http --port=2021", (("http_server", "on"), ("http_port", "2021"))),
        ("--http_server --http_port 2021", (("http_server", "on"), ("http_port", "2021"))),
        ("-P 1 -P 2", (("http_port", "2"),)),
        ("-L 127.0.0.1", (("http_listen", "127.0.0.1"),)),
        ("--http_listen=::", (("http_listen", "::"),)),
        ("-Y -W", (("hot_reload", "on"), ("hot_reload.ensure_thread_safety", "off"))),
        ("--disable", (("hot_reload.ensure_thread_safety", "off"),)),
        ("-b buffers", (("storage.path", "buffers"),)),
        ("-f 0.5", (("flush", "0.5"),)),
        ("-l -", (("log_file", "-"),)),
        ("-s 65536", (("coro_stack_size", "65536"),)),
        ("-Z --enable-fips", (("enable_chunk_trace", "on"), ("security.fips_mode", "on"))),
        ("-v", (("log_level", "debug"),)),
        ("-vv", (("log_level", "trace"),)),
        ("-v --verbose -v", (("log_level", "trace"),)),
        ("-q -v", (("log_level", "error"),)),
        ("-q -vvv", ()),
        ("-v -q", ()),
    ],
)
def test_options_become_service_keys(line: str, defaults: tuple[tuple[str, str], ...]) -> None:
    assert run(line).service_defaults == defaults


@pytest.mark.parametrize(("line", "quiet"), [("-q", True), ("-vq", True), ("-q -v", False), ("-v", False)])
def test_quiet_is_for_the_child_alone(line: str, quiet: bool) -> None:
    found = run(line)

    assert found.quiet is quiet
    assert "-q" not in found.arguments


def test_relative_paths_are_relative_to_what_fluent_bit_takes_them_relative_to() -> None:
    found = run("-c conf/a.yaml -w etc -R parsers.conf -R more.conf -e plug/in.so -e bare.so --settings s.yaml")

    assert found.workdir == "/here/etc"
    assert found.base == "/here/etc/conf/a.yaml"
    assert found.parsers_files == ("parsers.conf", "more.conf")
    assert found.arguments == ("-e", "/here/plug/in.so", "-e", "bare.so")
    assert found.settings_file == "/here/s.yaml"


def test_the_last_config_and_workdir_count() -> None:
    found = run("-c a -w /x --config=/b --workdir=/y")

    assert (found.base, found.workdir) == ("/b", "/y")


@pytest.mark.parametrize(
    "trace", ["--trace 'input=dummy.0 output=stdout'", "--trace-input=dummy.0", "--trace-output stdout"]
)
def test_a_trace_is_passed_on_and_forbids_the_reload(trace: str) -> None:
    found = run(trace)

    assert found.trace
    assert found.arguments == tuple(shlex.split(trace.replace("-input=", "-input ")))


def test_words_that_are_no_option_are_ignored_aloud() -> None:
    assert [note.split("'")[1] for note in run("-c a foo -H bar -- -x").notes] == ["foo", "bar", "-x"]
    assert run("/bin/fluent-bit /also/a/path -c a").notes[0].startswith("the word '/also/a/path'")
    assert "before any plugin" in run("-m x -i cpu").notes[0]
    assert run("'' -c a").base == "/here/a"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-d", "-d: a supervised Fluent Bit stays in the foreground"),
        ("--daemon", "--daemon: a supervised"),
        ("--da", "--da: a supervised"),
        ("--supervisor", "a supervisor already"),
        ("--super", "a supervisor already"),
        ("-x", "-x: no such option"),
        ("-vx", "-x: no such option (in '-vx')"),
        ("-M 512", "-M: no such option"),
        ("--wrokdir=/x", "did you mean --workdir?"),
        ("--health-probatin 1s", "did you mean --health-probation?"),
        ("--disable-thread-safety-on-hot-reloading", "did you mean --disable-thread-safety-on-hot-reload?"),
        ("--http_", "could be any of --http_server, --http_listen, --http_port"),
        ("--p x", "could be any of --"),
        ("--http=on", "--http: takes no value"),
        ("-c", "-c: its FILE is missing"),
        ("--config", "--config: its FILE is missing"),
        ("--layer", "its NAME=DIR[:TRUST] is missing"),
        ("-c=/x", "without '=': -c /x"),
        ("-p a=b -i cpu", "Fluent Bit would crash"),
        ("-t a", "before any plugin"),
        ("-D --layer a=/b", "-D: Fluent Bit itself answers this, and does not know --layer"),
        ("--layer a=/b -V", "-V: Fluent Bit itself answers this"),
        ("statsu", "'statsu': no such command; did you mean 'status'?"),
        ("xyzzy", "known are run, check"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name_with_the_reason(line: str, said: str) -> None:
    (problem,) = refused(line)

    assert said in problem
    assert "\n" not in problem


def test_every_problem_is_told_at_once() -> None:
    assert len(refused("-d --supervisor --lyer x --http=1 -x")) == 5


def test_the_variables_of_upstreams_own_supervisor_are_refused() -> None:
    found = parse_command_line(["-c", "/a"], {"FLB_SUPERVISOR_ACTIVE": "1", "FLB_LOG_LEVEL": "debug"})

    assert found == Refusal(
        ("FLB_SUPERVISOR_ACTIVE (environment): belongs to Fluent Bit's own --supervisor; unset it",)
    )


# --- our own options -----------------------------------------------------------------------------------------


def test_our_options_stand_among_fluent_bits() -> None:
    found = run(
        "-c /a --layer x=/x --log-format text -H --layer=y=/y:tenant --state-dir s --run-dir /r --fluent-bit /f "
        "--api-page=off --health-probation 0.5s"
    )

    assert found.flags == {
        "fluent_bit.config": "/a",
        "layers": ("x=/x", "y=/y:tenant"),
        "log.format": "text",
        "state.directory": "s",
        "run.directory": "/r",
        "fluent_bit.binary": "/f",
        "api.page": "off",
        "health.probation": "0.5s",
    }


def test_the_flags_are_those_that_settings_understand() -> None:
    found = run("-c a.conf --layer x=x --log-format text --state-dir s --health-probation 0.5s --api-metrics :9000")

    settings = resolve(found.flags, {}, None, None, cwd="/here").settings

    assert (settings.fluent_bit.config, settings.layers[0].directory) == ("/here/a.conf", "/here/x")
    assert (settings.state.directory, settings.health.probation) == ("/here/s", 0.5)
    assert (settings.log.format, settings.api.metrics) == ("text", ":9000")


@pytest.mark.parametrize("each", FIELDS, ids=lambda each: each.path)
def test_every_setting_has_a_flag_with_a_blank_or_an_equals_sign(each) -> None:
    assert run(f"{each.flag} v").flags == run(f"{each.flag}=v").flags == {each.path: "v"}


@pytest.mark.parametrize("line", ["run", "run -c /a", "run /bin/fluent-bit -c /a", "run --layer a=/b"])
def test_run_may_be_said(line: str) -> None:
    assert isinstance(parsed(line), Invocation)
    assert run(line).notes == ()


# --- the other commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("check", Check(Invocation({}))),
        ("check a.yaml b.conf", Check(Invocation({}), ("a.yaml", "b.conf"))),
        ("check --format=json --tenant shop a", Check(Invocation({}), ("a",), "json", "shop")),
        ("check --no-trial", Check(Invocation({"validate.trial": "false"}))),
        ("check --trial -- -odd.yaml", Check(Invocation({"validate.trial": "true"}), ("-odd.yaml",))),
        ("check --no-dry-run", Check(Invocation({}), dry_run=False)),
        ("check --layer a=/b", Check(Invocation({"layers": ("a=/b",)}))),
        ("check -c /a x", Check(Invocation({"fluent_bit.config": "/a"}, base="/a"), ("x",))),
        ("render --explain x", Render(Invocation({}), ("x",), explain=True)),
        ("render --tenant shop --no-dry-run", Render(Invocation({}), tenant="shop", dry_run=False)),
        ("status", Status()),
        ("status --json --run-dir /r", Status({"run.directory": "/r"}, json=True)),
        ("status --settings s.yaml", Status(settings_file="/here/s.yaml")),
        ("snippets", Snippets()),
        ("snippets platform/a.yaml --json", Snippets(json=True, name="platform/a.yaml")),
        ("reload", Reload()),
        ("reload --wait", Reload(wait=60.0)),
        ("reload --wait=90s --allow-empty", Reload(wait=90.0, allow_empty=True)),
        ("release platform/a.yaml", Release("platform/a.yaml")),
        ("release platform/a.yaml --wait", Release("platform/a.yaml", wait=60.0)),
        ("release --wait 30s platform/a.yaml", Release("platform/a.yaml", wait=30.0)),
        ("release platform/a.yaml --wait 30s --json", Release("platform/a.yaml", wait=30.0, json=True)),
        ("release a --wait=5s --run-dir /r", Release("a", {"run.directory": "/r"}, wait=5.0)),
        ("release -- -odd.yaml", Release("-odd.yaml")),
        ("-V", Version()),
        ("--version", Version()),
    ],
)
def test_commands(line: str, expected: object) -> None:
    assert parsed(line) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("check --format xml", "expected one of text, json, sarif, github"),
        ("check --tenant Shop", "no tenant's name"),
        ("check --trial --no-trial", "contradicts"),
        ("check -V", "-V: not an option of `check`"),
        ("check -d", "foreground"),
        ("check --fromat json", "did you mean --format?"),
        ("render --format json", "no such option"),
        ("status now", "'now': `status` has no use for it"),
        ("status -c x", "-c: no such option"),
        ("snippets a b", "'b'"),
        ("reload --wait=3", "the unit is missing, say 3s"),
        ("reload --wiat", "did you mean --wait?"),
        ("reload --jsn", "no such option"),
        ("reload --wait soon", "found 'soon', expected a duration"),
        ("release", "say which snippet"),
        ("release --wait", "say which snippet"),
        ("release a b", "'b': `release` has no use for it"),
        ("release a --allow-empty", "no such option"),
        *((f"{name} 3", f"{name}: not in this version") for name in NOT_YET),
    ],
)
def test_commands_refuse_what_they_cannot_use(line: str, said: str) -> None:
    assert said in refused(line)[0]


# --- help ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(name: str, flag: str) -> None:
    found = parsed(f"{name} {flag}")

    assert isinstance(found, Help)
    assert found.text.startswith(f"Usage: fluent-bit-supervisor {name} ")
    assert "Exit codes: " in found.text
    assert found.exit_code == 0


def test_the_general_help_names_every_command() -> None:
    asked, unasked = parsed("--help"), parse_command_line([])

    assert isinstance(asked, Help)
    assert isinstance(unasked, Help)
    assert all(f"\n  {name} " in asked.text for name in COMMANDS)
    assert (asked.exit_code, unasked.exit_code) == (0, 2)


def test_the_help_of_run_says_what_becomes_of_every_option_of_fluent_bit() -> None:
    found = parsed("run --help")

    assert isinstance(found, Help)
    for option in OPTIONS:
        assert all(f"--{name}" in found.text for name in option.long)
    assert found.text.count("REFUSED: ") == sum(option.effect is Effect.REFUSED for option in OPTIONS)
    assert all(f"{each.flag} VALUE" in found.text for each in FIELDS)
    assert max(len(line) for line in found.text.splitlines()) <= 120


# --- hand over, or supervise? --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "-V",
        "--version",
        "--vers",
        "-h",
        "--help",
        "-J",
        "--help-json",
        "-D",
        "-D -c /a",
        "-c /a --dry-run",
        "-Dc/a",
        "-vDqc /a",
        "--config=/a --dry",
        "-i tail -h",
        "-i tail --help",
        "-F lua -J",
        "-o http -p host=x -h",
        "-S -c /a",
        "/fluent-bit/bin/fluent-bit -V",
        "-V -x",
        "-V -d",
        "foo -D",
    ],
)
def test_the_real_program_answers(line: str) -> None:
    argv = shlex.split(line)

    assert hand_over(argv) == HandOver(tuple(argv))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-c /a",
        "--workdir=/fluent-bit/etc --config=/fluent-bit/etc/conf/fluent-bit.conf",
        "-i cpu -o stdout",
        "-c -V",
        "-c --help",
        "-i tail -p path=-h",
        "-p -h -i cpu",
        "-- -V",
        "-x -V",
        "-D -x",
        "-D --layer a=/b",
        "--layer a=/b",
        "--ver",
        "check --help",
        "check -D",
        "run --help",
        "status",
        "rollback -h",
        "-d",
    ],
)
def test_the_supervisor_takes_the_rest(line: str) -> None:
    assert hand_over(shlex.split(line)) is None


def test_the_supervisors_own_command_hands_over_too_where_only_the_real_program_knows() -> None:
    assert parsed("-i tail -h") == HandOver(("-i", "tail", "-h"))
    assert parsed("-c a -D") == HandOver(("-c", "a", "-D"))


WORDS = st.one_of(
    st.sampled_from(
        [f"-{o.short}" for o in OPTIONS if o.short]
        + [f"--{name}" for o in OPTIONS for name in o.long]
        + [*COMMANDS, *NOT_YET, "--layer", "--settings", "--wait", "--json", "--", "-", "a=b", "x"]
    ),
    st.text(max_size=6),
)


@given(st.lists(WORDS, max_size=6))
def test_any_command_line_has_a_meaning(argv: list[str]) -> None:
    found = parse_command_line(argv, {}, "/here")

    if isinstance(found, Refusal):
        assert found.problems
    if handed := hand_over(argv):
        assert handed.argv == tuple(argv)


@pytest.mark.parametrize("name", ["check", "render"])
def test_the_help_of_a_verdict_says_what_each_exit_code_means(name: str) -> None:
    found = parsed(f"{name} --help")

    assert isinstance(found, Help)
    exits = " ".join(found.text.partition("Exit codes: ")[2].split())
    assert [part.split()[0] for part in exits.split("; ")] == ["0", "1", "2"]
    assert "warnings" in exits
    assert max(len(line) for line in found.text.splitlines()) <= 120
