"""A file that is wrong: its author is told which line and why, and everybody else's records flow on.

One supervisor with a good pipeline serves most of these tests, because that is the point: after every fault of the
catalogue it is still the same process with the same child, and takes the next change.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DOUBLE, REAL, waits_until
from doubles.kubelet_volume import KubeletVolume
from e2e.mounts import inside, mounted
from running import Running, pipeline

GOOD = "service:\n  flush: 0.2\n" + pipeline("good").replace("tag: a\n", "tag: a\n      alias: double.tick=0.2\n", 1)
FAST = {"--sources-quiet": "50ms", "--sources-max-wait": "300ms"}


@pytest.fixture(scope="module", params=["double", pytest.param("real", marks=pytest.mark.real)])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A good pipeline that flows, on the double and on the real binary."""
    binary = str(DOUBLE) if request.param == "double" else REAL
    if binary is None:
        pytest.skip("no real Fluent Bit binary")
    yield from _flowing(tmp_path_factory.mktemp(request.param), binary)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same on the double alone, for faults that no Fluent Bit ever sees."""
    yield from _flowing(tmp_path_factory.mktemp("one"), str(DOUBLE))


def _flowing(home: Path, binary: str) -> Iterator[Running]:
    with Running(home, binary, settings=FAST) as supervisor:
        supervisor.save("a.yaml", GOOD)
        supervisor.until_live("a.yaml", GOOD)
        yield supervisor


@pytest.fixture
def flowing(both: Running) -> Iterator[Running]:
    yield both
    _tidied(both)


@pytest.fixture
def supervisor(one: Running) -> Iterator[Running]:
    yield one
    _tidied(one)


def _tidied(supervisor: Running) -> None:
    for path in supervisor.snippets.iterdir():
        if path.name != "a.yaml":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if (supervisor.snippets / "a.yaml").read_text() != GOOD:
        supervisor.save("a.yaml", GOOD)
    supervisor.until_live("a.yaml", GOOD)
    supervisor.until(lambda s: [one["name"] for one in s["snippets"]] == ["platform/a.yaml"] and s["in_sync"])


class Untouched:
    """What runs before a fault must be what runs after it: same generation, same process, and its records flow."""

    def __init__(self, supervisor: Running) -> None:
        self._supervisor = supervisor
        self._before = supervisor.status()

    def check(self, message: str = "good") -> None:
        flowing = len(self._supervisor.records())
        self._supervisor.until_records(message, after=flowing)
        now = self._supervisor.status()
        assert now["current"] == self._before["current"]
        assert now["child"] == self._before["child"]
        assert now["ready"]


def until_judged(supervisor: Running, name: str, content: str | bytes, limit: float = 20.0) -> list[dict[str, Any]]:
    """Wait until exactly this content was looked at; what was said about it, worst first."""
    digest = hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()

    def judged(status: dict[str, Any]) -> bool:
        mine = [one for one in status["snippets"] if one["name"] == f"platform/{name}" and one["digest"] == digest]
        return bool(mine) and status["intake"] == "settled" and mine[0]["state"] != "pending"

    status = supervisor.until(judged, limit)
    said = [finding for finding in status["findings"] if finding["snippet"] == f"platform/{name}"]
    return sorted(said, key=lambda finding: finding["severity"])


def until_said(supervisor: Running, name: str, rule: str) -> dict[str, Any]:
    """Wait for what is said about a file that was never read as a snippet."""

    def of_rule(status: dict[str, Any]) -> list[dict[str, Any]]:
        return [one for one in status["findings"] if one["rule"] == rule and one["snippet"] == f"platform/{name}"]

    return of_rule(supervisor.until(lambda status: of_rule(status) and status["intake"] == "settled"))[0]


# --- a mistake in one of many -------------------------------------------------------------------------------

FILTER = "pipeline:\n  filters:\n    - name: grep\n      match: a\n      regex: message {}\n"
MISTAKES = [
    ("b.conf", "[FILTER]\n    name grep\n    match a\n  regex message .\n", 4, "indentation"),
    ("b.yaml", FILTER.format(".") + "   broken\n", 6, "YAML"),
    ("b.yaml", FILTER.format(".").replace("grep", "grepp"), 3, "grepp"),
    ("b.conf", "[FILTER]\n    name grep\n    match a\n    regexp message .\n", 4, "regexp"),
]


@pytest.mark.parametrize(("name", "text", "line", "word"), MISTAKES, ids=range(len(MISTAKES)))
def test_the_one_mistake_among_many_files_is_named_with_its_line(
    flowing: Running, name: str, text: str, line: int, word: str
) -> None:
    before = Untouched(flowing)

    flowing.save(name, text)
    (said, *more) = until_judged(flowing, name, text)
    before.check()

    assert (said["severity"], said["line"], said["path"]) == ("error", line, str(flowing.snippets / name))
    assert word in said["message"]
    assert not [finding for finding in more if finding["severity"] == "error"]
    (logged, *_) = [event for event in flowing.events("candidate.refused") if event["line"] == line]
    assert str(flowing.snippets / name) in logged["message"]


def test_the_correction_goes_live_together_with_what_waited_for_it(flowing: Running) -> None:
    others = {f"c{number:02d}.yaml": FILTER.format(f"[{number:02d}]|.") for number in range(10)}
    for name, text in others.items():
        flowing.save(name, text)
    broken = FILTER.format(".").replace("grep", "grepp")
    flowing.save("b.yaml", broken)
    (said,) = until_judged(flowing, "b.yaml", broken)

    flowing.save("b.yaml", FILTER.format("."))
    flowing.until_live("b.yaml", FILTER.format("."))
    status = flowing.until_in_sync()
    flowing.until_records("good", after=len(flowing.records()))

    assert said["line"] == 3
    assert [one["state"] for one in status["snippets"]] == ["live"] * 12
    assert not status["findings"]


# --- what Fluent Bit takes without a word -------------------------------------------------------------------

NULL = "[OUTPUT]\n    name null\n    match a\n"
SILENT = [
    ("b.conf", "[OUTPT]\n    name stdout\n    match a\n", "unknown-section", "error", 1),
    ("b.yaml", "pipelines:\n  x: y\n", "unknown-section", "error", 1),
    ("b.conf", "# nothing here yet\n", "empty-snippet", "warning", 1),
    ("b.conf", "", "empty-snippet", "warning", 1),
    ("b.conf", f"[OUTPUT]\n    name null\n{NULL}", "output-without-match", "error", 1),
    ("b.conf", f"{NULL}[OUTPUT]", "torn-file", "error", 4),
    ("b.conf", NULL + "    alias x.${NOWHERE_SET}\n", "unset-variable", "warning", 4),
    ("b.conf", f"{NULL}    alias x\n{NULL}    alias x\n", "duplicate-alias", "warning", 8),
]


@pytest.mark.parametrize(
    ("name", "text", "rule", "severity", "line"),
    SILENT,
    ids=[f"{row[2]}-{number}" for number, row in enumerate(SILENT)],
)
def test_what_fluent_bit_accepts_in_silence_is_said_with_its_line(
    flowing: Running, name: str, text: str, rule: str, severity: str, line: int
) -> None:
    before = Untouched(flowing)

    flowing.save(name, text)
    (said, *more) = until_judged(flowing, name, text)

    assert (said["rule"], said["severity"], said["line"]) == (rule, severity, line)
    assert not more
    if severity == "error":
        before.check()
    else:
        flowing.until_in_sync()
        flowing.until_records("good", after=len(flowing.records()))


def test_records_without_any_output_are_said_so_and_go_live_only_where_none_flowed_before(
    tmp_path: Path, fluent_bit: str
) -> None:
    silent = "pipeline:\n  inputs:\n    - name: dummy\n      tag: a\n"
    with Running(tmp_path, fluent_bit, settings=FAST) as supervisor:
        supervisor.save("a.yaml", silent)
        supervisor.until_live("a.yaml", silent)
        (said,) = supervisor.status()["findings"]
        assert (said["rule"], said["severity"], said["line"]) == ("no-output", "warning", 3)

        supervisor.save("a.yaml", GOOD)
        supervisor.until_live("a.yaml", GOOD)
        supervisor.until_records("good")
        before = Untouched(supervisor)
        supervisor.save("a.yaml", silent)
        (said,) = supervisor.until_refused()["findings"]
        before.check()

        assert said["rule"] == "pipeline-without-output"
        assert "reload --allow-empty" in said["hint"]


# --- the base ---------------------------------------------------------------------------------------------

SERVICE = "[SERVICE]\n    flush 0.2\n    parsers_file parsers.conf\n"
BASE = SERVICE + "{}[OUTPUT]\n    name stdout\n    match a\n    format json_lines\n"
PARSERS = "[PARSER]\n    name p\n    format json\n"
INPUT = 'pipeline:\n  inputs:\n    - name: dummy\n      tag: a\n      dummy: \'{"message":"good"}\'\n      rate: 10\n'


def has_settled_with(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether `a.yaml` has this content and runs, whatever is left out."""
    digest = hashlib.sha256(text.encode()).hexdigest()

    def settled(status: dict[str, Any]) -> bool:
        mine = [one for one in status["snippets"] if one["name"] == "platform/a.yaml" and one["state"] == "live"]
        return bool(mine) and mine[0]["running_digest"] == digest and status["phase"] == "steady"

    return settled


def test_a_broken_base_is_refused_whole_and_blames_no_snippet(tmp_path: Path, fluent_bit: str) -> None:
    base = tmp_path / "base" / "fluent-bit.conf"
    base.parent.mkdir()
    base.write_text(BASE.format(""))
    (base.parent / "parsers.conf").write_text(PARSERS)
    tenant = tmp_path / "tenants" / "shop" / "t.yaml"
    tenant.parent.mkdir(parents=True)
    tenant.write_text(FILTER.format("."))
    with Running(
        tmp_path, fluent_bit, "-c", str(base), "--layer", f"tenants={tmp_path / 'tenants'}:tenant", settings=FAST
    ) as supervisor:
        supervisor.save("a.yaml", INPUT)
        live = supervisor.until(has_settled_with(INPUT))
        supervisor.until_records("good")
        before = Untouched(supervisor)
        told_to_tenant = [finding for finding in live["findings"] if finding["snippet"] == "tenants/shop/t.yaml"]

        for broken, line in [("[FILTER]\n    name grepp\n    match a\n", 5), ("[FILTER]\n  name grep\n", 5)]:
            base.write_text(BASE.format(broken))
            status = supervisor.until(
                lambda status, line=line: (
                    [f for f in status["findings"] if f["snippet"] == "base/fluent-bit.conf"]
                    and status["intake"] == "settled"
                )
            )
            before.check()
            errors = [finding for finding in status["findings"] if finding["severity"] == "error"]
            of_base = [finding for finding in errors if finding["snippet"] == "base/fluent-bit.conf"]
            assert [(finding["path"], finding["line"]) for finding in of_base] == [(str(base), line)]
            assert [finding for finding in errors if finding not in of_base] == told_to_tenant
            base.write_text(BASE.format(""))
            status = supervisor.until(lambda status: status["findings"] == told_to_tenant)

        assert status["current"] == live["current"]


def test_a_base_that_is_broken_at_the_first_start_leaves_us_up_and_waiting(tmp_path: Path, fluent_bit: str) -> None:
    base = tmp_path / "fluent-bit.conf"
    base.write_text(BASE.format("[INPUT\n    name dummy\n").replace("    parsers_file parsers.conf\n", ""))
    with Running(tmp_path, fluent_bit, "-c", str(base), settings=FAST, layer=False) as supervisor:
        status = supervisor.until_refused()
        assert (status["phase"], status["ready"]) == ("down", False)
        assert f"{base}:3" in status["reason"]

        base.write_text(
            "[SERVICE]\n    flush 0.2\n[INPUT]\n    name dummy\n    tag a\n[OUTPUT]\n    name stdout\n    match a\n"
        )
        status = supervisor.until_in_sync()

        assert status["ready"]
        assert supervisor.stop() == 0


# --- everything gone ----------------------------------------------------------------------------------------


def test_deleting_everything_does_not_empty_the_pipeline(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit, settings=FAST) as supervisor:
        supervisor.save("a.yaml", GOOD)
        supervisor.until_live("a.yaml", GOOD)
        before = Untouched(supervisor)

        (supervisor.snippets / "a.yaml").unlink()
        status = supervisor.until(lambda status: status["warnings"] and status["in_sync"])
        assert str(supervisor.snippets) in status["warnings"][0]
        before.check()
        status = supervisor.until_refused()
        before.check()

        (said,) = status["findings"]
        assert said["rule"] == "pipeline-without-output"
        assert "reload --allow-empty" in said["hint"]
        assert [one["state"] for one in status["snippets"]] == ["previous"]
        document, code = supervisor.client.reload(wait=15, allow_empty=True)
        assert (document["outcome"], code) == ("committed", 0)
        status = supervisor.until_in_sync()
        assert (status["phase"], status["ready"], status["child"]["pid"]) == ("down", True, None)

        supervisor.save("b.yaml", GOOD)
        supervisor.until_live("b.yaml", GOOD)


def test_a_volume_that_was_emptied_does_not_empty_the_pipeline(tmp_path: Path, double: str) -> None:
    volume = KubeletVolume(tmp_path / "snippets")
    volume.update({"a.yaml": GOOD})
    with Running(tmp_path, double, settings=FAST) as supervisor:
        supervisor.until_live("a.yaml", GOOD)
        before = Untouched(supervisor)

        volume.update({})
        supervisor.until(lambda status: status["warnings"])
        status = supervisor.until_refused()
        before.check()
        assert [finding["rule"] for finding in status["findings"]] == ["pipeline-without-output"]

        changed = GOOD.replace("good", "back")
        volume.update({"a.yaml": changed})
        supervisor.until_live("a.yaml", changed)
        supervisor.until_records("back")


@pytest.mark.namespaces
def test_a_mount_that_is_gone_keeps_everything_with_an_alarm_for_as_long_as_it_lasts(
    tmp_path: Path, double: str
) -> None:
    elsewhere, snippets = tmp_path / "volume", tmp_path / "snippets"
    elsewhere.mkdir()
    (elsewhere / "a.yaml").write_text(GOOD)
    mount = f"mount --bind '{elsewhere}' '{snippets}'"
    at_once = FAST | {"--sources-vanish-grace": "100ms"}
    with Running(tmp_path, double, settings=at_once, wrap=mounted(mount)) as supervisor:
        supervisor.until_live("a.yaml", GOOD)
        before = Untouched(supervisor)

        inside(supervisor, f"umount --lazy '{snippets}'")
        status = supervisor.until(lambda status: status["warnings"] and status["in_sync"])
        supervisor.client.reload(wait=5)
        before.check()
        assert "no longer mounted" in status["warnings"][0]
        assert supervisor.status()["in_sync"]

        changed = GOOD.replace("good", "back")
        (elsewhere / "a.yaml").write_text(changed)
        inside(supervisor, mount)
        status = supervisor.until_live("a.yaml", changed)

        assert not status["warnings"]


# --- size ------------------------------------------------------------------------------------------------


def test_a_huge_file_is_refused_unread(supervisor: Running) -> None:
    before = Untouched(supervisor)
    peak = memory_peak(supervisor)

    with (supervisor.snippets / "b.conf").open("wb") as file:
        file.truncate(1 << 30)
    said = until_said(supervisor, "b.conf", "too-large")
    before.check()

    assert said["severity"] == "error"
    assert said["path"] == str(supervisor.snippets / "b.conf")
    assert "1048576 bytes" in said["message"]
    assert memory_peak(supervisor) - peak < 10 * 1024, "kiB"


def test_a_file_that_grows_without_end_keeps_its_last_content_and_then_is_too_large(supervisor: Running) -> None:
    text = FILTER.format(".")
    supervisor.save("b.yaml", text)
    supervisor.until_live("b.yaml", text)
    peak, enough = memory_peak(supervisor), threading.Event()

    def grow() -> None:
        with (supervisor.snippets / "b.yaml").open("a") as file:
            while not enough.wait(0.001):
                file.write("# more and more and more\n" * 100)
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        other = FILTER.format("[a-z]")
        supervisor.save("c.yaml", other)
        said = until_said(supervisor, "b.yaml", "too-large")
        supervisor.until_records("good", after=len(supervisor.records()))
    finally:
        enough.set()
        writer.join()

    assert "its last version stays" in said["message"]
    (state,) = {one["state"] for one in supervisor.status()["snippets"] if one["name"] == "platform/b.yaml"}
    assert state in ("live", "previous")
    assert memory_peak(supervisor) - peak < 20 * 1024, "kiB"


def memory_peak(supervisor: Running) -> int:
    """Of the supervisor's own process, in kiB."""
    assert supervisor.process is not None
    status = Path(f"/proc/{supervisor.process.pid}/status").read_text()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak)


# --- bytes, and YAML for experts ----------------------------------------------------------------------

DEEP = "[" * 30 + "]" * 30
LAUGHS = "a: &a [x,x]\n" + "".join(
    f"            {b}: &{b} [*{a},*{a},*{a},*{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
WITH = (
    "pipeline:\n  filters:\n    - name: grep\n      match: a\n      processors:\n        logs:\n          - name: x\n"
)


def matching(text: str) -> bytes:
    """The filter, with something else in line 4."""
    return FILTER.format(".").replace("match: a", text).encode()


REFUSED = [
    ("b.conf", NULL.encode() + b"    alias a\0b\n", "nul-byte", 4, "byte 46"),
    ("b.yaml", FILTER.format("a\0b").encode(), "nul-byte", 5, "byte 75"),
    ("b.conf", NULL.encode() + b"    alias caf\xe9\n", "invalid-utf8", 4, "byte 48"),
    ("b.yaml", FILTER.format("caf\xe9").encode("latin-1"), "invalid-utf8", 5, "byte 77"),
    ("b.conf", NULL.encode() + b"    alias a\rb\n", "lone-cr", 4, "byte 46"),
    ("b.conf", NULL.encode("utf-16"), "invalid-utf8", 1, "UTF-16"),
    ("b.yaml", f"{WITH}            {LAUGHS}".encode(), "yaml-alias", 9, "alias"),
    ("b.yaml", matching("match: &m a"), "yaml-anchor", 4, "anchor"),
    ("b.yaml", matching("match: !!str a"), "yaml-tag", 4, "tag"),
    ("b.yaml", matching("match: !!python/object/apply:os.system [id]"), "yaml-tag", 4, "tag"),
    ("b.yaml", matching("<<: {match: a}"), "yaml-merge-key", 4, "merge"),
    ("b.yaml", matching("match: a\n      match: b"), "duplicate-key", 5, "match"),
    ("b.yaml", f"{WITH}            y: {DEEP}\n".encode(), "too-deep", 8, "20 levels"),
]


@pytest.mark.parametrize(
    ("name", "content", "rule", "line", "word"),
    REFUSED,
    ids=[f"{row[2]}-{number}" for number, row in enumerate(REFUSED)],
)
def test_what_no_one_should_write_is_refused_at_the_gate_with_its_line(
    supervisor: Running, name: str, content: bytes, rule: str, line: int, word: str
) -> None:
    before = Untouched(supervisor)

    supervisor.save(name, content)
    said = until_judged(supervisor, name, content)
    before.check()

    mine = [finding for finding in said if finding["rule"] == rule]
    assert [(finding["severity"], finding["line"]) for finding in mine] == [("error", line)]
    assert word in mine[0]["message"]


NORMAL = [
    ("b.conf", b"\xef\xbb\xbf" + NULL.encode()),
    ("b.conf", NULL.replace("\n", "\r\n").encode()),
    ("b.yaml", b"\xef\xbb\xbf" + FILTER.format(".").replace("\n", "\r\n").encode()),
    ("b.yaml", FILTER.format("." + "|x" * 200_000).encode()),
    ("b.yaml", FILTER.format("[\u202e\u2066]|.").encode()),
]


@pytest.mark.parametrize(("name", "content"), NORMAL, ids=["bom", "crlf", "both", "long-line", "bidi"])
def test_what_is_only_unusual_goes_live(flowing: Running, name: str, content: bytes) -> None:
    flowing.save(name, content)
    status = flowing.until_live(name, content)
    flowing.until_records("good", after=len(flowing.records()))

    assert not status["findings"]


@pytest.mark.real
def test_words_that_yaml_takes_for_something_else_arrive_as_they_were_written(tmp_path: Path, real: str) -> None:
    """No number is computed, no date is parsed and no truth is judged on the way."""
    words = ["yes", "2024-01-01", "0o17", "0x10", "1e3", "1_000", "12:30:45", "~", "9" * 60, ".5", "NO", "010"]
    inputs = "".join(f"    - name: dummy\n      tag: {word}\n" for word in words)
    text = f"pipeline:\n  inputs:\n{inputs}  outputs:\n    - name: stdout\n      match: '*'\n"
    with Running(tmp_path, real, settings=FAST) as supervisor:
        supervisor.save("a.yaml", text)
        supervisor.until_live("a.yaml", text)

        waits_until(lambda: set(re.findall(r"^\[\d+\] (\S+): ", supervisor.records(), re.MULTILINE)) == set(words))


# --- many, and the same name twice --------------------------------------------------------------------


def test_hundreds_of_snippets_go_live_and_the_one_bad_one_is_named(tmp_path: Path, double: str) -> None:
    for number in range(100):
        (tmp_path / "tenants" / f"t{number}").mkdir(parents=True)
        (tmp_path / "tenants" / f"t{number}" / "a.yaml").write_text(FILTER.format("."))
    (tmp_path / "snippets").mkdir()
    for number in range(400):
        (tmp_path / "snippets" / f"{number:04d}.yaml").write_text(FILTER.format("."))
    (tmp_path / "snippets" / "a.yaml").write_text(GOOD)
    tenants = ["--layer", f"tenants={tmp_path / 'tenants'}:tenant"]
    with Running(tmp_path, double, *tenants, settings=FAST) as supervisor:
        live = supervisor.until(lambda status: status["phase"] == "steady" and status["intake"] == "settled", 60)
        supervisor.until_records("good")
        supervisor.save("0277.yaml", FILTER.format(".") + "      regexp: message .\n")
        said = until_judged(supervisor, "0277.yaml", FILTER.format(".") + "      regexp: message .\n", 60)

        states = {layer: [one["state"] for one in live["snippets"] if one["layer"] == layer] for layer in LAYERS}
        assert states == {"platform": ["live"] * 401, "tenants": ["refused"] * 100}
        assert len(live["tenants"]) == 100
        assert [(finding["severity"], finding["line"]) for finding in said] == [("error", 6)]
        assert supervisor.status()["current"] == live["current"]


LAYERS = ("platform", "tenants")


def test_the_same_name_in_two_layers_and_in_two_cases_is_four_snippets(tmp_path: Path, fluent_bit: str) -> None:
    """None takes the place of another, and the order is that of the layers, then of the bytes of the names."""
    second = tmp_path / "second"
    second.mkdir()
    texts = {name: pipeline(name.replace("/", "-"), f"tag{number}") for number, name in enumerate(NAMES)}
    with Running(tmp_path, fluent_bit, "--layer", f"second={second}", settings=FAST) as supervisor:
        for name, text in texts.items():
            layer, _, file = name.partition("/")
            ((second if layer == "second" else supervisor.snippets) / file).write_text(text)
        status = supervisor.until(lambda status: len(status["snippets"]) == 5 and status["in_sync"])
        for name in texts:
            supervisor.until_records(f'"{name.replace("/", "-")}"')

        assert [(one["name"], one["state"]) for one in status["snippets"]] == [(name, "live") for name in NAMES]
        assert not status["findings"]


NAMES = ["platform/A.yaml", "platform/a.conf.yaml", "platform/a.yaml", "second/A.yaml", "second/a.yaml"]
