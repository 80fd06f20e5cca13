"""Settings: who wins, what can be used, and whether the operator is told all that is wrong, and where."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.model import Layer, SettingsError, Trust
from supervisor.settings import (
    FIELDS,
    Grants,
    Resolved,
    describe,
    read_duration,
    read_size,
    real_binary,
    resolve,
    settings_file,
    settings_table,
)
from supervisor.settings.document import LIMIT
from supervisor.settings.values import written_duration

THE_WHOLE_INTERFACE = """
fluent_bit: {binary: /fluent-bit/bin/fluent-bit, config: null, http_port: 2020, grace: 5s}
layers:
  - {name: platform, directory: /fluent-bit/etc/platform.d, trust: platform}
  - {name: tenants,  directory: /fluent-bit/etc/tenants.d,  trust: tenant}
secrets: {directory: /fluent-bit/secrets}
buffers: {directory: /var/lib/fluent-bit-supervisor/buffers}
state: {directory: /var/lib/fluent-bit-supervisor, keep: 10}
run: {directory: /run/fluent-bit-supervisor}
sources: {quiet: 300ms, max_wait: 3s, resync: 15s, vanish_grace: 60s}
validate: {timeout: 10s, trial: true}
apply: {method: auto, deadline: 10s, min_gap: 2s}
health: {probation: 10s, interval: 1s}
api: {metrics: ":9533", page: "127.0.0.1:9534", token_file: null}
log: {level: info, format: json}
policy: {plugins: {outputs: [http]}}
tenants: {shop: {paths: [/var/log/shop/*.log]}}
"""


def resolved(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, text: str | None = None
) -> Resolved:
    return resolve(flags or {}, environ or {}, text, "s.yaml" if text is not None else None, cwd="/here")


def problems(
    flags: dict[str, object] | None = None, environ: dict[str, str] | None = None, text: str | None = None
) -> list[str]:
    with pytest.raises(SettingsError) as told:
        resolved(flags, environ, text)
    return str(told.value).splitlines()


# --- precedence and origin -----------------------------------------------------------------------------------


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default() -> None:
    flags: dict[str, object] = {"health.probation": "1s"}
    environ = {"FBS_HEALTH_PROBATION": "2s", "FBS_HEALTH_INTERVAL": "200ms"}
    text = "health: {probation: 3s, interval: 300ms}\nsources: {quiet: 400ms}\n"

    settings = resolved(flags, environ, text).settings

    assert (settings.health.probation, settings.health.interval) == (1.0, 0.2)
    assert (settings.sources.quiet, settings.sources.max_wait) == (0.4, 3.0)


def test_every_value_says_where_it_came_from() -> None:
    origins = resolved({"api.page": "off"}, {"FBS_LOG_FORMAT": "text"}, "log:\n  level: debug\nlayers: []\n").origins

    assert origins["api.page"] == "flag --api-page"
    assert origins["log.format"] == "environment FBS_LOG_FORMAT"
    assert origins["log.level"] == "s.yaml:2"
    assert origins["layers"] == "s.yaml:3"
    assert origins["state.keep"] == "default"
    assert set(origins) == {each.path for each in FIELDS} | {"layers", "policy", "tenants"}


def test_the_documented_file_says_the_defaults() -> None:
    ours, defaults = resolved(text=THE_WHOLE_INTERFACE).settings, resolved().settings

    assert ours.policy.everybody == Grants(outputs=frozenset({"http"}))
    assert ours.policy.tenants == {"shop": Grants(outputs=frozenset({"http"}), paths=("/var/log/shop/*.log",))}
    for name in ("fluent_bit", "layers", "secrets_directory", "buffers_directory", "state", "run_directory"):
        assert getattr(ours, name) == getattr(defaults, name)
    for name in ("sources", "validate", "apply", "health", "api", "log"):
        assert getattr(ours, name) == getattr(defaults, name)


@pytest.mark.parametrize("each", FIELDS, ids=lambda each: each.path)
def test_every_setting_can_be_said_in_all_three_places(each) -> None:
    text = {"sources.quiet": "100ms"}.get(each.path, each.write(each.default))
    room, _, leaf = each.path.partition(".")

    by_flag = resolved({each.path: text})
    by_environment = resolved(environ={each.environment: text} if text != "null" else {})
    by_file = resolved(text=f"{room}:\n  {leaf}: {text}\n")

    assert by_flag.origins[each.path] == f"flag {each.flag}"
    assert by_file.origins[each.path] == "s.yaml:2"
    assert by_environment.settings == by_file.settings


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n", "null\n", "\ufefflog:\n", "health:\nlog: ~\n"])
def test_an_empty_file_or_section_says_nothing(text: str) -> None:
    assert resolved(text=text).settings == resolved().settings


def test_an_empty_environment_variable_counts_as_not_set() -> None:
    assert resolved(environ={"FBS_API_PAGE": "", "FBS_LAYERS": ""}) == resolved()


def test_the_settings_file_is_named_by_flag_then_environment_else_it_may_be_missing() -> None:
    assert settings_file("/a.yaml", {"FBS_SETTINGS": "/b.yaml"}) == ("/a.yaml", True)
    assert settings_file(None, {"FBS_SETTINGS": "/b.yaml"}) == ("/b.yaml", True)
    assert settings_file(None, {"FBS_SETTINGS": ""}) == ("/fluent-bit/etc/supervisor.yaml", False)


# --- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("300ms", 0.3), ("1m30s", 90), ("0.5s", 0.5), ("2h", 7200), ("1d", 86400), ("0", 0), ("0s", 0)],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1 s", "10S", "1e3s", "1s!", "one", "1.s", "٣s", "400d", "9" * 500 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_duration(text)


@given(st.integers(min_value=0, max_value=10**10))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int) -> None:
    assert read_duration(written_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("10 MiB", 10 << 20), ("512", 512), ("2GB", 2 * 10**9), ("7B", 7)]
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "K", "64kib", "1.5MiB", "-1", "64 K iB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="units"):
        read_size(text)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("api.page", "off", None),
        ("api.page", "[::1]:9534", "[::1]:9534"),
        ("api.metrics", "localhost:0", "localhost:0"),
        ("fluent_bit.config", "base.conf", "/here/base.conf"),
        ("fluent_bit.binary", "fluent-bit", "fluent-bit"),
        ("fluent_bit.binary", "./fluent-bit", "/here/./fluent-bit"),
        ("fluent_bit.grace", "0", 0.0),
        ("state.directory", "state", "/here/state"),
        ("validate.trial", "off", False),
        ("validate.trial", False, False),
        ("fluent_bit.http_port", 2021, 2021),
    ],
)
def test_values_that_can_be_used(path: str, text: object, value: object) -> None:
    room, _, leaf = path.partition(".")

    settings = resolved({path: text}).settings

    assert getattr(getattr(settings, room), leaf) == value


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("health.probation", "10", "found '10', expected a duration above zero such as 10s, 300ms or 1m30s; the unit"),
        ("health.probation", "0", "zero is too short"),
        ("state.keep", "1", "from 2 to 1000"),
        ("apply.method", "relod", "did you mean 'reload'?"),
        ("fluent_bit.http_port", "0", "a port from 1 to 65535"),
        ("fluent_bit.http_port", "70000", "a port from 1 to 65535"),
        ("api.page", "9534", "a port alone is written :9534"),
        ("api.page", "::1:9534", "brackets"),
        ("api.page", "host:99999", "at most 65535"),
        ("api.page", "http://host:1", "HOST:PORT"),
        ("validate.trial", "maybe", "true or false"),
        ("log.format", "xml", "one of json, text"),
        ("state.directory", "a\nb", "a directory"),
        ("sources.max_wait", "100ms", "shorter than sources.quiet"),
        ("api.metrics", ":9534", "the same port as api.metrics"),
        ("api.page", "127.0.0.1:2020", "the same port as fluent_bit.http_port"),
        ("run.directory", "/" + "x" * 100, "too long for a unix socket"),
        ("health", "1s", "no such setting"),
    ],
)
def test_values_that_cannot_be_used_are_named_with_place_and_example(path: str, text: str, said: str) -> None:
    (line,) = problems({path: text})

    assert said in line
    assert "flag" in line or "default" in line


def test_a_relative_path_without_a_working_directory_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"state\.directory \(flag --state-directory\): the path must be absolute"):
        resolve({"state.directory": "state"}, {}, None, None)


def test_the_buffers_follow_the_state_directory_unless_named() -> None:
    moved = resolved({"state.directory": "/data"})
    named = resolved({"state.directory": "/data", "buffers.directory": "/b"})

    assert moved.settings.buffers_directory == "/data/buffers"
    assert moved.origins["buffers.directory"] == "default, below state.directory"
    assert named.settings.buffers_directory == "/b"


# --- layers --------------------------------------------------------------------------------------------------


def test_layers_of_a_flag_take_the_place_of_all_others() -> None:
    settings = resolved(
        {"layers": ("own=/etc/own", "teams=rel/teams:tenant", "odd=/a:b/c")}, {"FBS_LAYERS": "x=/x"}
    ).settings

    assert settings.layers == (
        Layer("own", "/etc/own", Trust.PLATFORM),
        Layer("teams", "/here/rel/teams", Trust.TENANT),
        Layer("odd", "/a:b/c", Trust.PLATFORM),
    )


def test_layers_of_the_environment_are_separated_by_commas() -> None:
    settings = resolved(environ={"FBS_LAYERS": "own=/o, teams=/t:tenant"}, text="layers: []\n").settings

    assert [each.name for each in settings.layers] == ["own", "teams"]


def test_no_layer_at_all_can_be_said_in_the_file() -> None:
    assert resolved(text="layers: []\n").settings.layers == ()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("/etc/own", "NAME=DIRECTORY"),
        ("Own=/o", "lower-case"),
        ("base=/o", "'base' stands for"),
        ("a=/o:tenants", "trust is 'platform' or 'tenant', found 'tenants'"),
        ("a=", "NAME=DIRECTORY"),
        ("a=/o:base", "trust is"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(layer: str, said: str) -> None:
    (line,) = problems({"layers": (layer,)})

    assert line.startswith("layers[0] (flag --layer): found ")
    assert said in line


@pytest.mark.parametrize("layers", [("a=/x", "a=/y"), ("a=/x", "b=/x"), ("a=/x", "b=/x/../x/")])
def test_two_layers_share_neither_name_nor_directory(layers: tuple[str, ...]) -> None:
    (line,) = problems({"layers": layers})

    assert line.startswith("layers (flag --layer): two layers have the ")


def test_a_layer_in_the_file_must_say_how_far_it_is_trusted() -> None:
    (line,) = problems(text="layers:\n  - {name: teams, directory: /t}\n")

    assert line.startswith("layers[0] (s.yaml:2): ")
    assert "trust" in line


# --- unknown names -------------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_a_line_each() -> None:
    text = "healt: {}\nhealth: {probaton: 1s, interval: []}\nlog: text\nresync: 1s\napi: {page: {a: b}}\n"

    told = problems({"apply.method": "x"}, {"FBS_HEALT_PROBATION": "1s", "FBS_POLICY": "x"}, text)

    assert told == [
        "healt (s.yaml:1): no such setting; did you mean 'health'?",
        "health.probaton (s.yaml:2): no such setting; did you mean 'health.probation'?",
        "log (s.yaml:3): found a single value, expected a mapping such as `log: {level: info}`",
        "resync (s.yaml:4): no such setting; did you mean 'sources.resync'?",
        "FBS_HEALT_PROBATION (environment): no such setting; did you mean 'FBS_HEALTH_PROBATION'?",
        "FBS_POLICY (environment): only the settings file can say `policy`",
        "apply.method (flag --apply-method): found 'x', expected one of auto, reload, restart",
        "health.interval (s.yaml:2): found a list, expected a duration above zero such as 10s, 300ms or 1m30s",
        "api.page (s.yaml:5): found a mapping, expected HOST:PORT, :PORT or off, such as 127.0.0.1:9534",
    ]


def test_a_service_named_fbs_does_not_stop_us() -> None:
    links = {
        "FBS_SERVICE_HOST": "10.0.0.1",
        "FBS_WEB_SERVICE_PORT_HTTP": "80",
        "FBS_PORT": "tcp://10.0.0.1:80",
        "FBS_WEB_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert resolved(environ=links) == resolved()
    assert problems(environ={"FBS_API_PORT": "80"}) != []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\n", "s.yaml:1: anchors and aliases are not allowed"),
        ("log: {level: info}\nhealth: *x\n", "s.yaml:2: anchors and aliases"),
        ("log: !!map {}\n", "s.yaml:1: tags are not allowed"),
        ("log: !!python/object/apply:os.system [id]\n", "tags are not allowed"),
        ("log: {}\nlog: {}\n", "s.yaml:2: the key 'log' stands there twice"),
        ("<<: {}\n", "merge keys are not allowed"),
        ("log: {}\n---\nlog: {}\n", "more than one document"),
        ("- a\n", "s.yaml:1: found a list, expected a mapping"),
        ("just words\n", "found a single value"),
        ("a: [\n", "not YAML"),
        ("\tlog: {}\n", "s.yaml:1: not YAML"),
        ("log: {level: \x00}\n", "not YAML"),
        ("log: \udcff\n", "not YAML"),
        ("? [a]\n: b\n", "a key must be a word"),
        ("policy: " + "[" * 30 + "]" * 30 + "\n", "nested deeper than 20"),
        ("#" * (LIMIT + 1), "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_with_its_line(text: str, said: str) -> None:
    (line,) = problems(text=text)

    assert said in line
    assert line.startswith("s.yaml")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(SettingsError):
        resolved(text=text)


# --- what is shown -------------------------------------------------------------------------------------------


def test_a_secret_at_the_wrong_place_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as told:
        resolve(
            {"api.token_file": "s3cr3t\n"},
            {"FBS_API_TOKEN": "s3cr3t"},
            "api: {token: s3cr3t}\npolicy: [s3cr3t]\n",
            "s.yaml",
        )

    assert "api.token (s.yaml:1)" in str(told.value)
    assert "FBS_API_TOKEN" in str(told.value)
    assert "s3cr3t" not in str(told.value)


def test_the_description_has_a_line_with_origin_for_every_setting() -> None:
    text = describe(resolved({"api.page": "off"}, text=THE_WHOLE_INTERFACE))

    lines = {line.split()[0]: line for line in text.splitlines()}
    assert set(lines) == {each.path for each in FIELDS} | {"layers.platform", "layers.tenants", "policy", "tenants"}
    assert lines["api.page"].split() == ["api.page", "off", "#", "flag", "--api-page"]
    assert lines["sources.quiet"].split()[1] == "300ms"
    assert "shop" in lines["tenants"]
    assert "/var/log" not in lines["tenants"]
    assert lines["policy"].split()[1] == "given"


def test_a_file_that_grants_nothing_is_described_so() -> None:
    lines = {line.split()[0]: line for line in describe(resolved()).splitlines()}

    assert lines["policy"].split() == ["policy", "none", "#", "default"]
    assert lines["tenants"].split() == ["tenants", "none", "#", "default"]


def test_the_table_has_a_row_for_every_setting() -> None:
    rows = settings_table().splitlines()

    assert len(rows) == 2 + len(FIELDS) + 3
    assert any(row.startswith("| `health.probation` | `10s` |") and "`FBS_HEALTH_PROBATION`" in row for row in rows)
    assert all(row.count("|") == 5 for row in rows)


# --- the launcher --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({}, None),
        ({"fluent_bit.binary": "/fluent-bit/bin/fluent-bit"}, None),
        ({"fluent_bit.binary": "/fluent-bit/libexec/../bin/fluent-bit"}, None),
        ({}, "fluent_bit: {binary: /fluent-bit/bin/fluent-bit}\n"),
    ],
)
def test_the_launcher_is_never_taken_for_the_program_to_supervise(flags: dict[str, object], text: str | None) -> None:
    behind = resolved(flags, {"FBS_LAUNCHER": "/fluent-bit/bin/fluent-bit"}, text)

    assert behind.settings.fluent_bit.binary == "/fluent-bit/libexec/fluent-bit"
    assert behind.origins["fluent_bit.binary"].endswith("behind the launcher /fluent-bit/bin/fluent-bit")


def test_another_program_that_was_named_stays_named() -> None:
    settings = resolved(
        environ={"FBS_LAUNCHER": "/fluent-bit/bin/fluent-bit"}, text="fluent_bit: {binary: /opt/fluent-bit}\n"
    ).settings

    assert settings.fluent_bit.binary == "/opt/fluent-bit"
    assert real_binary("/x/bin/flb") == "/x/libexec/flb"
