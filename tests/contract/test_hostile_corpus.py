"""What a hostile tenant writes is refused, with the rule and the line, and reaches no Fluent Bit process.

The verdicts are looked at without any process. That nothing gets through is looked at from the other side: a program
that keeps a copy of all that it is given, and then becomes the double or the real binary.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from contract.hostile_cases import HONEST, SECRETS, Case, Field, Recorder, accepted, attacks
from running import Running, free_port

from supervisor.arguments import Invocation
from supervisor.config.schema import read_schema
from supervisor.core.assemble import Assembled, assemble
from supervisor.core.service import Frame
from supervisor.model import Candidate, Finding, RenderedFile, Severity, Snapshot
from supervisor.offline import Told, judge_offline
from supervisor.places import make_frame

HOSTILE = ("mallory", "malvolio", "trudy")


def judged(field: Field, binary: str = "") -> Told:
    """What `check` says to all files of the field; without a binary no process is started."""
    settings, run = field.settings(binary), Invocation({})
    return asyncio.run(judge_offline(settings, run, str(field.root), (), None, dry_run=bool(binary)))


def errors(findings: Sequence[Finding], snippet: str) -> list[Finding]:
    return [f for f in findings if f.severity is Severity.ERROR and f.snippet == snippet]


def same(told: Told, before: Told) -> bool:
    """Whether what would run is the same, byte for byte."""
    assert told.candidate is not None
    assert before.candidate is not None
    written = [[(each.name, each.text) for each in one.files] for one in (told.candidate, before.candidate)]
    return written[0] == written[1] and told.candidate.copies == before.candidate.copies


def by_snippet(findings: Sequence[Finding]) -> Mapping[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity is Severity.ERROR:
            found.setdefault(finding.snippet, []).append(finding)
    return found


@dataclass(frozen=True)
class Scene:
    """The whole corpus in one layout, read once."""

    field: Field
    snapshot: Snapshot
    frame: Frame
    without: Told  # as if there were no attackers

    def alone(self, case: Case) -> Assembled:
        """The honest ones and this one file."""
        there = {f"{name.replace('.d/', '/')}" for name in HONEST} | {case.snippet}
        snippets = tuple(each for each in self.snapshot.snippets if each.name in there)
        findings = tuple(each for each in self.snapshot.findings if each.snippet in there)
        return assemble(replace(self.snapshot, snippets=snippets, findings=findings), self.frame)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    field = Field(tmp_path_factory.mktemp("scene"))
    without = judged(field)
    field.attack((*attacks(), *accepted()))
    settings = field.settings()
    frame = make_frame(settings, Invocation({}), str(field.root), settings.buffers_directory)
    return Scene(field, read(field), frame, without)


def read(field: Field) -> Snapshot:
    from supervisor.adapters.sources import Sources
    from supervisor.places import bounding, granting

    settings = field.settings()
    sources = Sources(
        layers=settings.layers,
        base=None,
        cwd=str(field.root),
        secrets_directory=settings.secrets_directory,
        settings=settings.sources,
        report=lambda report: None,
        granted=granting(settings),
        bounds=bounding(settings),
    )
    return asyncio.run(sources.read(settle=False))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Field, Told, Told]:
    """All attacks at once: the field, what is said without them, and what is said with them."""
    field = Field(tmp_path_factory.mktemp("together"))
    before = judged(field)
    field.attack(attacks())
    return field, before, judged(field)


# --- verdicts -----------------------------------------------------------------------------------------------------


def test_the_corpus_is_as_large_as_it_claims() -> None:
    assert len({(case.theme, case.name) for case in attacks()}) >= 400
    assert len(attacks()) >= 700
    assert len({(case.theme, case.name) for case in accepted() if case.theme == "harmless"}) >= 40


def test_the_neighbours_are_without_a_fault(scene: Scene) -> None:
    assert scene.without.verdict == "accepted", scene.without.findings
    assert not [finding for finding in scene.without.findings if finding.severity is not Severity.INFO]


@pytest.mark.parametrize("case", attacks(), ids=lambda case: case.id)
def test_an_attack_is_refused_with_its_rule_and_its_line(scene: Scene, case: Case) -> None:
    found = scene.alone(case).findings

    said = errors(found, case.snippet)
    assert {finding.snippet for finding in found if finding.severity is Severity.ERROR} == {case.snippet}
    assert (case.rule, case.line) in {(finding.rule, finding.line) for finding in said}, said
    assert {finding.rule for finding in said} - {case.rule} == case.beside, said
    assert all(finding.hint for finding in said), said


def test_an_attack_is_told_the_same_alone_and_among_all_others(
    scene: Scene, together: tuple[Field, Told, Told]
) -> None:
    _, _, told = together
    among = by_snippet(told.findings)

    for case in attacks():
        alone = errors(scene.alone(case).findings, case.snippet)
        assert {(f.rule, f.line) for f in among.get(case.snippet, ())} == {(f.rule, f.line) for f in alone}, case.id


def test_all_attacks_at_once_change_nothing_for_anybody(together: tuple[Field, Told, Told]) -> None:
    field, before, told = together

    assert before.candidate is not None
    assert told.candidate is not None
    assert len(told.left_out) == len(attacks())
    assert same(told, before)
    written = "".join(each.text for each in told.candidate.files).encode()
    assert all(marker in written for marker in field.marked(*HONEST).values())


def test_what_is_said_holds_nothing_of_a_secret(together: tuple[Field, Told, Told]) -> None:
    _, _, told = together
    said = "\n".join(f"{each.message} {each.hint}" for each in told.findings)

    assert not [value for value in SECRETS.values() if value in said]


# --- what is let through ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case.id)
def test_what_harms_nobody_is_accepted_and_stays_in_its_own_name_space(scene: Scene, case: Case) -> None:
    assembled = scene.alone(case)

    assert not assembled.refused, assembled.findings
    assert assembled.candidate is not None
    written = [each for each in assembled.candidate.files if _whose(each) == case.snippet]
    assert written
    for each in written:
        stays_private(yaml.safe_load(each.text), case.tenant)
    assert scene.field.markers[f"tenants.d/{case.tenant}/{case.file}"].decode() in "".join(e.text for e in written)


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case.id)
def test_what_is_accepted_changes_nothing_in_the_files_of_others(scene: Scene, case: Case) -> None:
    candidate = scene.alone(case).candidate

    assert candidate is not None
    assert scene.without.candidate is not None
    others = {f"{name.replace('.d/', '/')}" for name in HONEST}
    mine = {name: text for name, text in _texts(candidate).items() if name in others}
    if not _subscribes(case):  # else its filters work in its own outputs, wherever they stand
        assert mine == _texts(scene.without.candidate)
    else:
        own = f"tenants/{case.tenant}/own.yaml"
        assert {**mine, own: ""} == {**_texts(scene.without.candidate), own: ""}


def _subscribes(case: Case) -> bool:
    return b"kube." in case.content


def _whose(file: RenderedFile) -> str:
    return next((origin.snippet for origin in file.origins if origin is not None), "")


def _texts(candidate: Candidate) -> Mapping[str, str]:
    return {_whose(each): each.text for each in candidate.files[1:] if _whose(each)}


def stays_private(config: Mapping[str, object], tenant: str) -> None:
    """Every name in what is written is the tenant's own; what has no end got one."""
    own = f"tenant.{tenant}."
    assert set(config) <= {"pipeline", "parsers", "multiline_parsers"}
    for parser in (*config.get("parsers", ()), *config.get("multiline_parsers", ())):  # type: ignore[misc]
        assert parser["name"].startswith(own)
    pipeline = config.get("pipeline") or {}
    assert set(pipeline) <= {"inputs", "filters", "outputs"}  # type: ignore[call-overload]
    for kind, sections in pipeline.items():  # type: ignore[attr-defined]
        for section in sections:
            assert section["alias"].startswith(own)
            assert "match_regex" not in section
            assert "emitter_name" not in section
            if kind == "inputs":
                assert section["tag"].startswith(own)
                assert "processors" not in section
                assert own in section.get("db", own)
                for route in (section.get("routes") or {}).get("logs", ()):
                    assert all(name.startswith(own) for name in route["to"]["outputs"])
            elif kind == "filters":
                assert section["match"].startswith((own, "kube."))
            else:
                assert 1 <= int(section["retry_limit"]) <= 300
                assert 0 < int(section["storage.total_limit_size"]) <= 100 * 1024 * 1024
                _chosen_first(section, own)


def _chosen_first(output: Mapping[str, object], own: str) -> None:
    """An output on the platform's tags has, before anything else, what chooses the granted records."""
    if str(output["match"]).startswith(own):
        assert "processors" not in output
        return
    assert str(output["match"]).startswith("kube.")
    first = output["processors"]["logs"][0]  # type: ignore[index]
    assert (first["name"], first["regex"].split(" ")[0]) == ("grep", "$kubernetes['namespace_name']")
    assert set(output["processors"]) == {"logs", "metrics", "traces"}  # type: ignore[call-overload]


@pytest.mark.real
def test_the_real_binary_starts_with_all_that_harms_nobody(real: str, tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.attack(accepted())

    told = judged(field, real)

    assert told.verdict == "accepted", by_snippet(told.findings)
    assert not told.left_out
    assert told.candidate is not None
    written = "".join(each.text for each in told.candidate.files).encode()
    assert not [name for name, marker in field.markers.items() if marker not in written]


# --- plugins that were not granted --------------------------------------------------------------------------------


@pytest.mark.real
def test_no_plugin_of_the_binary_is_for_tenants_but_those_that_are_granted(real: str, tmp_path: Path) -> None:
    listed = json.loads(subprocess.run([real, "-J"], capture_output=True, check=True, timeout=30).stdout)
    field = Field(tmp_path)
    granted = field.settings().policy.of("shop")
    assert granted is not None
    asked: dict[str, tuple[str, str]] = {}
    for kind, may in (("input", granted.inputs), ("filter", granted.filters), ("output", granted.outputs)):
        for plugin in [each["name"] for each in listed[f"{kind}s"] if each["name"] not in may]:
            for suffix in ("conf", "yaml"):
                name = f"{kind}-{plugin}.{suffix}"
                asked[f"tenants/shop/{name}"] = (kind, plugin)
                field.put(f"tenants.d/shop/{name}", _one(kind, plugin, suffix).encode())
    assert len(asked) >= 2 * 80
    settings = json.loads((tmp_path / "settings.yaml").read_text())
    settings["tenants"]["shop"]["limits"] = {"snippets": 2000}
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))

    found = by_snippet(judged(field).findings)

    assert {name for name, said in found.items() if "plugin-not-granted" in {f.rule for f in said}} == set(asked)


def _one(kind: str, plugin: str, suffix: str) -> str:
    if suffix == "conf":
        return f"[{kind.upper()}]\n    name {plugin}\n    alias MARKER\n" + ("" if kind == "input" else "    match *\n")
    match = {} if kind == "input" else {"match": "*"}
    return yaml.safe_dump({"pipeline": {f"{kind}s": [{"name": plugin, "alias": "MARKER", **match}]}})


@pytest.mark.real
def test_the_schema_is_that_of_the_version_whose_properties_were_listed(real: str) -> None:
    printed = subprocess.run([real, "-J"], capture_output=True, check=True, timeout=30).stdout

    schema = read_schema(printed.decode())

    assert schema is not None


# --- sizes --------------------------------------------------------------------------------------------------------

PREFACE = "[FILTER]\n    name record_modifier\n    match *\n    record mark MARKER\n"
IN_YAML = "pipeline:\n  filters:\n    - name: record_modifier\n      match: '*'\n      record: mark MARKER\n"
NESTED = f"{IN_YAML}  inputs:\n    - name: tail\n      path: /var/log/mallory/a.log\n      routes: "
HUGE: Mapping[str, tuple[str, str]] = {
    "sections.conf": (PREFACE + "[FILTER]\n    name grep\n    match *\n    regex a b\n" * 51, "limit-sections"),
    "million-sections.conf": (PREFACE + "[FILTER]\n" * 1_000_000, "too-large"),
    "bytes.conf": (PREFACE + "# " + "x" * 80 * 1024 + "\n", "limit-size"),
    "bytes.yaml": (IN_YAML + "# " + "x" * 80 * 1024 + "\n", "limit-size"),
    "value.conf": (PREFACE + "    record x " + "x" * 2_000_000 + "\n", "too-large"),
    "maps.yaml": (NESTED + "{b: " * 10_000 + "c" + "}" * 10_000 + "\n", "too-deep"),
    "lists.yaml": (NESTED + "[" * 10_000 + "]" * 10_000 + "\n", "too-deep"),
    "brackets.yaml": (NESTED + "[" * 60_000 + "\n", "too-deep"),
    "keys.yaml": (IN_YAML + "".join(f"      k{number}: v\n" for number in range(4000)), "limit-properties"),
    "documents.yaml": (IN_YAML + "---\n{}\n" * 9000, ""),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_too_large_is_refused_and_stops_nobody(tmp_path: Path, name: str) -> None:
    field = Field(tmp_path)
    before = judged(field)
    text, rule = HUGE[name]
    field.put(f"tenants.d/mallory/{name}", text.encode())

    told = judged(field)

    said = {finding.rule for finding in errors(told.findings, f"tenants/mallory/{name}")}
    assert said == ({rule} if rule else set()), told.findings
    assert told.candidate is not None
    assert before.candidate is not None
    if rule:
        assert same(told, before)


def test_more_files_than_granted_are_refused_and_the_others_stay(tmp_path: Path) -> None:
    field = Field(tmp_path)
    for number in range(60):
        field.put(f"tenants.d/bank/more-{number:02}.conf", PREFACE.encode())

    told = judged(field)

    beyond = [finding for finding in told.findings if finding.rule == "limit-snippets"]
    assert {finding.snippet for finding in beyond} == {
        f"tenants/bank/more-{number:02}.conf" for number in range(49, 60)
    }


# --- names of files and directories -------------------------------------------------------------------------------

ODD_NAMES = (
    "a\nb.conf",
    "\x1b[2J.conf",
    "a%s%n.conf\r.conf",
    "ä\u202eb.conf",
    "\udcff\udcfe.conf",
    "x" * 250 + ".conf",
)
PLAIN_NAMES = ("%s%n.conf", "a b.conf", "-rf.conf", "$(id).conf", "'\"};.conf", "x" * 230 + ".conf")


@pytest.mark.parametrize("name", [*ODD_NAMES, *PLAIN_NAMES], ids=repr)
def test_the_name_of_a_file_never_gets_out_of_its_place(tmp_path: Path, name: str) -> None:
    field = Field(tmp_path)
    field.put(f"tenants.d/mallory/{name}", PREFACE.encode())

    told = judged(field)

    said = "\n".join(f"{each.snippet} {each.path} {each.message} {each.hint}" for each in told.findings)
    assert all(char.isprintable() or char == "\n" for char in said)
    assert not any("\n" in f"{each.snippet}{each.path}{each.message}" for each in told.findings)
    assert told.candidate is not None
    for each in told.candidate.files:
        assert ".." not in each.name.split("/")
        assert all(char.isalnum() or char in "/._-" for char in each.name), each.name
        assert all(char.isprintable() or char == "\n" for char in each.text)
        assert len(os.path.basename(each.name)) < 200
    marker = field.markers[f"tenants.d/mallory/{name}"].decode()
    assert (marker in "".join(each.text for each in told.candidate.files)) is (name in PLAIN_NAMES)


@pytest.mark.parametrize(
    "name", ["platform", "Shop", "shop.", "shop.other", "-shop", "sh op", "sh\nop", "x" * 64, "ｓｈｏｐ"]
)
def test_a_directory_whose_name_is_no_tenants_is_left_out(tmp_path: Path, name: str) -> None:
    field = Field(tmp_path)
    before = judged(field)
    field.put(f"tenants.d/{name}/a.conf", PREFACE.encode())

    told = judged(field)

    assert {finding.rule for finding in told.findings} & {"tenant-name", "reserved-tenant"}
    assert told.candidate is not None
    assert before.candidate is not None
    assert same(told, before)


def test_a_tenant_to_whom_nothing_was_granted_has_nothing(tmp_path: Path) -> None:
    field = Field(tmp_path)
    settings = json.loads((tmp_path / "settings.yaml").read_text())
    del settings["policy"]
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    field.put("tenants.d/nobody/a.conf", PREFACE.encode())

    told = judged(field)

    assert [f.rule for f in errors(told.findings, "tenants/nobody/a.conf")] == ["tenant-not-granted"]


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["/etc/shadow", "/proc/self/environ", "secrets/bank/TOKEN", "tenants.d/bank/bank.yaml"]
)
def test_a_snippet_that_is_a_link_is_not_read(tmp_path: Path, target: str) -> None:
    field = Field(tmp_path)
    (tmp_path / "tenants.d/mallory/link.conf").symlink_to(target if target[0] == "/" else tmp_path / target)

    told = judged(field)

    assert {finding.rule for finding in errors(told.findings, "tenants/mallory/link.conf")} == {"symbolic-link"}


def test_a_tenants_directory_that_is_a_link_is_left_out(tmp_path: Path) -> None:
    field = Field(tmp_path)
    (tmp_path / "tenants.d/eve").symlink_to(tmp_path / "tenants.d/bank")

    told = judged(field)

    assert "symbolic-link" in {finding.rule for finding in told.findings}
    assert not [finding for finding in told.findings if finding.snippet.startswith("tenants/eve")]


@pytest.mark.parametrize("wanted", ["a.log", "*.log"])
@pytest.mark.parametrize("target", ["/etc/shadow", "/proc/self/environ", "../elsewhere/b.log", "/dev/stdin"])
def test_a_granted_path_that_leads_out_is_refused(tmp_path: Path, wanted: str, target: str) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.log").write_text("another's\n")
    (logs / "a.log").symlink_to(target)
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}/{wanted}"))

    told = judged(field)

    assert [(f.rule, f.line) for f in errors(told.findings, "tenants/eve/a.conf")] == [("path-not-granted", 7)]


def test_a_directory_on_the_way_that_leads_out_is_refused(tmp_path: Path) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path, "/**")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.log").write_text("another's\n")
    (logs / "sub").symlink_to(tmp_path / "elsewhere")
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}/sub/*.log"))

    told = judged(field)

    assert [(f.rule, f.line) for f in errors(told.findings, "tenants/eve/a.conf")] == [("path-not-granted", 7)]


def test_links_to_their_own_directory_are_not_followed_for_ever(tmp_path: Path) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path, "/**")
    for number in range(12):
        (logs / f"l{number}").symlink_to(".")
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}/{'*/' * 7}nothing.log"))

    told = judged(field)

    assert [(f.rule, f.line) for f in errors(told.findings, "tenants/eve/a.conf")] == [("path-not-granted", 7)]


def test_a_pattern_of_a_thousand_directories_is_no_fault_of_ours(tmp_path: Path) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path, "/**")
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}{'/*' * 1500}"))

    told = judged(field)

    assert errors(told.findings, "tenants/eve/a.conf") == []


def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path)
    os.mkfifo(logs / "ca.log")
    (logs / "a.log").touch()
    tls = f"    name http\n    host a.example\n    tls on\n    tls.ca_file {logs}/ca.log".encode()
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}/a.log").replace(b"    name null", tls))

    told = judged(field)

    assert [(f.rule, f.line) for f in errors(told.findings, "tenants/eve/a.conf")] == [("path-not-granted", 13)]


def test_a_link_within_what_was_granted_is_no_fault(tmp_path: Path) -> None:
    field = Field(tmp_path)
    logs = _granted_logs(field, tmp_path)
    (logs / "a.log").write_text("mine\n")
    (logs / "b.log").symlink_to("a.log")
    field.put("tenants.d/eve/a.conf", _tail(f"{logs}/*.log"))

    told = judged(field)

    assert not errors(told.findings, "tenants/eve/a.conf")


def _granted_logs(field: Field, root: Path, pattern: str = "/*.log") -> Path:
    logs = root / "logs" / "eve"
    logs.mkdir(parents=True)
    settings = json.loads((root / "settings.yaml").read_text())
    settings["tenants"]["eve"] = {"paths": [f"{logs}{pattern}"]}
    (root / "settings.yaml").write_text(json.dumps(settings))
    return logs


def _tail(path: str) -> bytes:
    return (
        f"{PREFACE}[INPUT]\n    name tail\n    path {path}\n    tag a\n[OUTPUT]\n    name null\n    match a\n".encode()
    )


def test_an_include_of_a_tenant_is_not_even_opened(tmp_path: Path) -> None:
    field = Field(tmp_path)
    secret = tmp_path / "canary.conf"
    secret.write_text("[OUTPUT]\n    name canary\n")
    field.put("tenants.d/mallory/a.conf", f"{PREFACE}@INCLUDE {secret}\n".encode())
    field.put("tenants.d/mallory/b.yaml", f"# MARKER\nincludes:\n  - {secret}\n".encode())

    snapshot = read(field)

    assert not snapshot.includes
    assert str(secret) not in {each.path for each in snapshot.snippets}
    assert str(secret) not in snapshot.references


# --- what a process is given --------------------------------------------------------------------------------------


@pytest.fixture
def recorder(fluent_bit: str) -> Iterator[Recorder]:
    directory = tempfile.mkdtemp(prefix="recorder-")  # where an unprivileged rehearsal can write, too
    os.chmod(directory, 0o755)
    yield Recorder(Path(directory), fluent_bit)
    shutil.rmtree(directory)


def nothing_of(markers: Mapping[str, bytes], recorder: Recorder) -> None:
    given = recorder.given()
    assert given
    for path, content in given:
        assert b"mark" not in content or not [name for name, marker in markers.items() if marker in content], path
        assert not [value for value in SECRETS.values() if value.encode() in content], path


def everything_of(markers: Mapping[str, bytes], start: Path) -> None:
    content = b"".join(path.read_bytes() for path in (start / "config").rglob("*") if path.is_file())
    assert not [name for name, marker in markers.items() if marker not in content]


def hostile(field: Field) -> Mapping[str, bytes]:
    return {name: marker for name, marker in field.markers.items() if name not in HONEST}


def test_check_gives_no_process_anything_of_an_attack(recorder: Recorder, tmp_path: Path) -> None:
    field = Field(tmp_path)
    field.attack(attacks())

    told = judged(field, str(recorder.program))

    assert told.candidate is not None, told.problem
    assert {path for path in told.left_out if "/own." in path or "/shop" in path or "/bank" in path} == set()
    starts = recorder.with_config()
    assert len(starts) >= 2  # a dry-run and a trial start
    for start in starts:
        everything_of(field.marked(*HONEST), start)
    nothing_of(hostile(field), recorder)


def test_run_gives_no_process_anything_of_an_attack(recorder: Recorder, tmp_path: Path) -> None:
    field = Field(tmp_path / "field", free_port())
    told_alike = [case for case in attacks() if "own" not in case.name]  # ports of our own are others here
    some, late = told_alike[::7], told_alike[1::7]
    field.attack(some)
    shop = field.markers["tenants.d/shop/shop.conf"]
    (tmp_path / "home").mkdir()
    flags = ("--settings", str(field.root / "settings.yaml"))
    port = {"--fluent-bit-http-port": str(field.http_port)}

    with Running(tmp_path / "home", str(recorder.program), *flags, settings=port, layer=False) as running:
        status = running.until(lambda s: s["good"]["generation"] is not None and s["intake"] == "settled", 40)

        states = {one["name"]: one["state"] for one in status["snippets"]}
        assert {states[case.snippet] for case in some} == {"refused"}
        assert {state for name, state in states.items() if name.split("/")[-1] in HONEST_FILES} == {"live"}
        field.attack(late)
        names = {case.snippet for case in late}
        running.until(
            lambda s: len([1 for o in s["snippets"] if o["name"] in names and o["state"] == "refused"]) == len(names),
            40,
        )
        assert status["child"]["pid"] == running.status()["child"]["pid"]
        edit = next(case for case in told_alike if case.name == "input-exec" and case.suffix == "conf")
        field.put("tenants.d/shop/shop.conf", edit.content)
        edited = field.markers["tenants.d/shop/shop.conf"]
        running.until(
            lambda s: ("tenants/shop/shop.conf", "previous") in {(o["name"], o["state"]) for o in s["snippets"]}
        )
        assert running.stop() == 0

    starts = recorder.with_config()
    assert len(starts) >= 3  # a dry-run, a trial start, and the start
    honest = {**field.marked(*HONEST), "tenants.d/shop/shop.conf": shop}
    everything_of(honest, max(starts, key=lambda start: start.stat().st_mtime))
    nothing_of({**hostile(field), "tenants.d/shop/shop.conf": edited}, recorder)
    assert not [value for value in SECRETS.values() if value in running.log()]


HONEST_FILES = {name.split("/")[-1] for name in HONEST}
