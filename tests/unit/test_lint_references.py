"""Files that the config refers to: those that are missing, and what stands in those that are there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_frame, make_snapshot, sha

from supervisor.core.assemble import assemble
from supervisor.core.surroundings import references_of
from supervisor.model import Finding, Reference, Severity, Snapshot

OUTPUT = "[OUTPUT]\n    name null\n    match *\n"
INPUT = "[INPUT]\n    name dummy\n    tag a\n"
PARSERS = "[SERVICE]\n    parsers_file /p.conf\n"
JSON = b"[PARSER]\n    name json\n    format json\n"


def referring(files: dict[str, str], there: dict[str, bytes | None], missing: dict[str, str] | None = None) -> Snapshot:
    """A snapshot where the files `there` are there (None: looked at, not read), and the others have a problem."""
    read = {path: Reference(path, sha(content or b"x"), content) for path, content in there.items()}
    gone = {path: Reference(path, None, problem=problem) for path, problem in (missing or {}).items()}
    return replace(make_snapshot(files), references={**read, **gone})


def told(snapshot: Snapshot, *rules: str, **frame: object) -> list[Finding]:
    return [f for f in assemble(snapshot, make_frame(**frame)).findings if not rules or f.rule in rules]


HTTP = "[OUTPUT]\n    name http\n    match *\n"
MISSING = [
    (PARSERS + INPUT + OUTPUT, "/p.conf", 2, "file-missing"),
    ("[SERVICE]\n    plugins_file /p.conf\n" + INPUT + OUTPUT, "/p.conf", 2, "file-missing"),
    ("[SERVICE]\n    streams_file /s.conf\n" + INPUT + OUTPUT, "/s.conf", 2, "file-not-used"),
    (
        INPUT + "[FILTER]\n    name lua\n    match *\n    script x.lua\n    call f\n" + OUTPUT,
        "/x.lua",
        7,
        "file-missing",
    ),
    (INPUT + HTTP + "    tls on\n    tls.ca_file /ca.crt\n", "/ca.crt", 8, "file-missing"),
    (INPUT + HTTP + "    tls off\n    tls.ca_file /ca.crt\n", "/ca.crt", 8, "file-not-used"),
    (INPUT + HTTP + "    tls on\n    tls.ca_path /ca\n", "/ca", 8, "file-not-used"),
    (INPUT + "[OUTPUT]\n    name forward\n    match *\n    upstream up.conf\n", "/up.conf", 7, "file-missing"),
    (INPUT + "[FILTER]\n    name geoip2\n    match *\n    database /g.mmdb\n" + OUTPUT, "/g.mmdb", 7, "file-missing"),
    (INPUT + "[FILTER]\n    name checklist\n    match *\n    file /l.txt\n" + OUTPUT, "/l.txt", 7, "file-not-used"),
    ("@SET X=file:///x\n" + INPUT + OUTPUT, "/x", 1, "file-missing"),
]


@pytest.mark.parametrize(("text", "path", "line", "rule"), MISSING)
def test_a_file_that_is_not_there_is_told_where_it_is_named(text: str, path: str, line: int, rule: str) -> None:
    rules = ("file-missing", "file-not-used")
    gone = told(referring({"a.conf": text}, {}, {path: "is not there"}), *rules)
    there = told(referring({"a.conf": text}, {path: b"#\n"}), *rules)
    unseen = told(referring({"a.conf": text}, {}), *rules)

    severity = Severity.ERROR if rule == "file-missing" else Severity.WARNING
    assert [(f.rule, f.snippet, f.line, f.severity) for f in gone] == [(rule, "platform/a.conf", line, severity)]
    assert path in gone[0].message
    assert there == unseen == []


def test_a_file_that_is_just_being_written_is_not_missing() -> None:
    snapshot = referring({"a.conf": PARSERS + INPUT + OUTPUT}, {}, {"/p.conf": "is still being written"})

    assert not told(snapshot, "file-missing")


class TestParsersFiles:
    def test_what_they_define_is_known(self) -> None:
        text = PARSERS + INPUT + "[FILTER]\n    name parser\n    match *\n    key_name a\n    parser {}\n" + OUTPUT

        for name, rules in (("json", []), ("jsom", ["unknown-parser"])):
            found = told(referring({"a.conf": text.format(name)}, {"/p.conf": JSON}), "unknown-parser")
            assert [finding.rule for finding in found] == rules
            assert all("json" in finding.hint for finding in found)

    @pytest.mark.parametrize("content", [None, b"@INCLUDE more.conf\n", b"[PARSER]\n    name ${X}\n    format json\n"])
    def test_when_one_could_not_be_looked_into_no_parser_is_missing(self, content: bytes | None) -> None:
        text = PARSERS + "[INPUT]\n    name tail\n    path x\n    tag a\n    parser nosuch\n" + OUTPUT

        assert not told(referring({"a.conf": text}, {"/p.conf": content}), "unknown-parser")

    def test_one_of_the_command_line_may_define_any(self) -> None:
        text = "[INPUT]\n    name tail\n    path x\n    tag a\n    parser nosuch\n" + OUTPUT
        snapshot = make_snapshot({"a.conf": text})

        assert told(snapshot, "unknown-parser")
        assert not told(snapshot, "unknown-parser", parsers_files=("/p.conf",))

    def test_a_section_of_the_same_name_yields(self) -> None:
        files = {"a.conf": PARSERS + INPUT + OUTPUT, "b.yaml": "parsers:\n  - name: json\n    format: json\n"}

        (found,) = told(referring(files, {"/p.conf": JSON}), "duplicate-parser")

        assert (found.snippet, found.line) == ("platform/b.yaml", 2)
        assert "/p.conf" in found.message
        assert "platform/a.conf:2" in found.message

    def test_the_same_file_twice_is_one_mistake_however_many_parsers_it_holds(self) -> None:
        files = {"a.conf": PARSERS + INPUT + OUTPUT, "b.conf": PARSERS}

        (found,) = told(referring(files, {"/p.conf": JSON + JSON.replace(b"json", b"ltsv")}), "duplicate-parser")

        assert (found.snippet, found.line) == ("platform/b.conf", 2)
        assert "1 more" in found.message

    def test_one_that_cannot_be_read_is_told_with_its_line(self) -> None:
        (found,) = told(
            referring({"a.conf": PARSERS + INPUT + OUTPUT}, {"/p.conf": b"\n[PARSER\n"}), "bad-parsers-file"
        )

        assert (found.snippet, found.line) == ("platform/a.conf", 2)
        assert "line 2" in found.message


def test_an_upstream_file_whose_node_has_no_port() -> None:
    text = INPUT + "[OUTPUT]\n    name forward\n    match *\n    upstream /up.conf\n"
    bad = b"[UPSTREAM]\n    name u\n[NODE]\n    name n\n    host h\n"

    (found,) = told(referring({"a.conf": text}, {"/up.conf": bad}), "upstream-without-port")

    assert (found.snippet, found.line) == ("platform/a.conf", 7)
    assert not told(referring({"a.conf": text}, {"/up.conf": bad + b"    port 1\n"}), "upstream-without-port")


def test_what_was_kept_for_a_snippet_counts_for_it_alone() -> None:
    new, old = Reference("/f", "new"), Reference("/f", "old")
    snapshot = Snapshot("d", (), references={"/f": new}, kept={"platform/a.conf": {"/f": old}})

    assert references_of(snapshot, "platform/a.conf") == {"/f": old}
    assert references_of(snapshot, "platform/b.conf") == {"/f": new}
