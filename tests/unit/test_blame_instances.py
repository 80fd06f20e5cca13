"""Instances are numbered as Fluent Bit numbers them, and one start tells each cause once."""

from __future__ import annotations

import pytest
from making import make_frame, make_snapshot

from supervisor.core.assemble import assemble
from supervisor.core.blame import attributed, named_snippets, traced
from supervisor.model import Candidate, Finding, Severity

FILES = {
    "a.conf": """\
[INPUT]
    name tail
    path /a
    tag a
[INPUT]
    name dummy
    alias generator
    tag b
[FILTER]
    name grep
    match *
    regex log x
[OUTPUT]
    name http
    match a
    tls.ca_file /ca.crt
""",
    "b.yaml": """\
pipeline:
  inputs:
    - name: dummy
      tag: c
      processors:
        logs:
          - name: grep
            regex: b (
          - name: content_modifier
            action: nosuch
  filters:
    - name: modify
      match: '*'
      set: a b
    - name: grep
      alias: strict
      match: '*'
      exclude: log y
    - name: rewrite_tag
      match: '*'
      rule: $log a b false
  outputs:
    - name: http
      match: b
      compress: nosuch
      processors:
        logs:
          - name: lua
            call: f
    - name: file
      alias: sink
      match: c
stream_processor:
  - name: counting
    exec: SELECT 1
""",
}


def candidate_of(files: dict[str, str]) -> Candidate:
    candidate = assemble(make_snapshot(files), make_frame()).candidate
    assert candidate is not None
    return candidate


def said(message: str) -> Finding:
    return Finding(Severity.ERROR, "start", message)


def place(message: str, files: dict[str, str] = FILES, arguments: tuple[str, ...] = ()) -> tuple[str, int | None]:
    finding = attributed(said(message), candidate_of(files), arguments)
    return finding.snippet.removeprefix("platform/"), finding.line


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("[input:tail:tail.0] no input 'path' was given", ("a.conf", 3)),
        ("[input:dummy:generator] something", ("a.conf", 6)),
        ("failed initialize input dummy.2", ("b.yaml", 3)),
        ("[input dummy.1] error initializing TLS context (certificate file missing)", ("a.conf", 6)),
        ("[filter:grep:strict] could not compile regex pattern 'log y'", ("b.yaml", 18)),
        ("Failed initialize filter modify.1", ("b.yaml", 12)),
        ("[filter:modify:modify.1] Invalid config for set", ("b.yaml", 14)),
        ("[output:http:http.1] invalid compress option 'nosuch'", ("b.yaml", 25)),
        ("[output:file:sink] oh", ("b.yaml", 30)),
        ("[output http.0] error initializing TLS context", ("a.conf", 14)),
        ("[processor:content_modifier:content_modifier.0] unknown action 'nosuch'", ("b.yaml", 10)),
        ("[processor] initialization of processor unit 'content_modifier' failed", ("b.yaml", 9)),
        (
            "[storage] instance 'dummy.2' requested filesystem storage but no filesystem path was defined.",
            ("b.yaml", 3),
        ),
        ("[storage] could not create storage for instance: emitter_for_rewrite_tag.3", ("b.yaml", 19)),
        ("[tls] ca_file '/ca.crt' 268435584: error:80000002:system library::No such file or directory", ("a.conf", 16)),
        ("[sp] invalid query on task 'counting': 'SELECT 1'", ("b.yaml", 35)),
        ("[filter_lua] filter cannot be loaded", ("b.yaml", 28)),
        ("[engine] chunk '1-2.flb' cannot be retried: task_id=1, input=tail.0 > output=sink", ("b.yaml", 30)),
        ("[config] lua: unknown configuration property 'call'.", ("b.yaml", 29)),
    ],
)
def test_an_instance_is_found_by_number_or_alias(message: str, where: tuple[str, int]) -> None:
    assert place(message) == where


@pytest.mark.parametrize(
    "message",
    [
        "[filter:grep:grep.0] could not compile regex pattern '('",  # the filter and the processor have one name
        "failed to flush chunk, input=a > output=http.7",
        "[input:tail:tail.1] the second input is no tail",
        "[output] failed to initialize 'http' plugin",
        "[engine] filter initialization failed",
        "[downstream] could not bind address 127.0.0.1:8080. Aborting",
    ],
)
def test_what_fits_two_or_none_points_at_nobody(message: str) -> None:
    assert place(message) == ("", None)


def test_what_is_on_the_command_line_is_counted_first_and_is_nobodys() -> None:
    arguments = ("-i", "cpu", "-o", "stdout", "--output=null", "-F", "grep", "-m", "*")

    assert place("failed initialize input tail.1", arguments=arguments)[0] == "a.conf"
    assert place("failed initialize input cpu.0", arguments=arguments) == ("", None)
    assert place("[output:http:http.2] no", arguments=arguments)[0] == "a.conf"
    assert place("Failed initialize filter modify.2", arguments=arguments)[0] == "b.yaml"


def test_a_section_that_others_name_too_is_found_by_the_lines_that_follow() -> None:
    lines = (
        "[filter:grep:grep.0] could not compile regex pattern '('",
        "Failed initialize filter grep.0",
        "[processor] error initializing unit filter grep",
        "[processor] initialization of processor unit 'grep' failed",
        "failed initialize processors for input dummy.2",
        "[engine] input initialization failed",
    )

    findings = traced(map(said, lines), candidate_of(FILES))

    assert [(f.message, f.snippet, f.line) for f in findings] == [(lines[0], "platform/b.yaml", 8)]


def test_a_processor_of_an_output_is_numbered_after_all_filters() -> None:
    files = {"a.conf": FILES["a.conf"], "b.yaml": FILES["b.yaml"].replace("name: lua", "name: grep")}

    assert place("[filter:grep:grep.4] could not compile regex pattern '('", files) == ("b.yaml", 28)


def test_words_of_two_places_are_told_apart_by_what_follows() -> None:
    files = {
        name: f"[OUTPUT]\n    name http\n    match {name}\n    tls.ca_file /no.crt\n" for name in ("a.conf", "b.conf")
    }
    lines = (
        "[tls] ca_file '/no.crt' 1: error",
        "[tls] could not create TLS backend",
        "[output http.1] error initializing TLS",
    )

    findings = traced(map(said, lines), candidate_of(files))

    assert [(f.message, f.snippet, f.line) for f in findings] == [(lines[0], "platform/b.conf", 4)]


def test_first_words_that_name_nobody_are_told_with_those_that_do() -> None:
    lines = ("config: no brokers defined", "[output:http:http.1] error creating context", "[engine] no")

    (finding,) = traced(map(said, lines), candidate_of(FILES))

    assert (finding.message, finding.snippet) == (f"{lines[0]}; {lines[1]}", "platform/b.yaml")


def test_two_causes_are_told_each() -> None:
    lines = (
        "[input:tail:tail.0] parser 'x' is not registered",
        "[output:http:http.1] invalid compress option 'nosuch'",
        "[output] failed to initialize 'http' plugin",
        "[engine] output initialization failed",
    )

    findings = traced(map(said, lines), candidate_of(FILES))

    assert [(f.message, f.snippet) for f in findings] == [(lines[0], "platform/a.conf"), (lines[1], "platform/b.yaml")]


def test_who_sends_to_a_port_is_not_blamed_for_it() -> None:
    files = {
        "a.conf": "[OUTPUT]\n    name es\n    match *\n    port 9200\n",
        "b.conf": "[INPUT]\n    name elasticsearch\n",
    }

    assert place("[downstream] could not bind address 0.0.0.0:9200. Aborting", files) == ("b.conf", 2)


def test_a_file_of_the_command_line_is_nobodys() -> None:
    frame = make_frame(parsers_files=("/etc/parsers.conf",))
    snapshot = make_snapshot({"a.conf": "[SERVICE]\n    flush 1\n[INPUT]\n    name dummy\n"})
    candidate = assemble(snapshot, frame).candidate
    assert candidate is not None

    finding = attributed(said("[parser] cannot read /etc/parsers.conf"), candidate)

    assert (finding.snippet, finding.line) == ("", None)


def test_a_word_that_somebody_uses_is_no_sign_of_guilt() -> None:
    files = {"a.conf": "[OUTPUT]\n    name http\n    match *\n    format json\n"}

    assert place("[something] the format 'json' is not what was meant", files) == ("", None)


def test_what_is_led_back_once_stays_so_a_second_time() -> None:
    lines = (
        "something new",
        "[input:tail:tail.0] parser 'x' is not registered",
        "[output:http:http.1] no",
        "and no more",
    )
    elsewhere = Finding(Severity.ERROR, "start", "[output:http:http.1] no", snippet="platform/c.yaml", line=7)

    once = traced(map(said, lines), candidate_of(FILES))

    assert len(once) == 2
    assert traced(once, candidate_of(FILES)) == once
    assert traced((*once, elsewhere), candidate_of(FILES)) == (*once, elsewhere)
    assert attributed(elsewhere, candidate_of(FILES)) == elsewhere


def test_two_files_that_are_named_are_two_causes() -> None:
    candidate = candidate_of(FILES)
    found = [Finding(Severity.ERROR, "dry-run", "bad", path=file.name, line=2) for file in candidate.files[1:]]

    assert [finding.snippet for finding in traced(found, candidate)] == ["platform/a.conf", "platform/b.yaml"]


def test_what_names_nobody_is_told_once_and_blames_nobody() -> None:
    lines = ("something new", "[engine] output initialization failed")

    findings = traced(map(said, lines), candidate_of(FILES))

    assert findings == (said("something new"),)
    assert named_snippets(map(said, lines), candidate_of(FILES)) == frozenset()


def test_snippets_are_named_by_what_a_running_child_says() -> None:
    lines = (
        "[engine] failed to flush chunk 'x', retry in 1 seconds: task_id=0, input=dummy.2 > output=http.0 (out_id=0)",
        "[output:http:http.1] no upstream connections available",
    )

    assert named_snippets(map(said, lines[:1]), candidate_of(FILES)) == {"platform/a.conf"}
    assert named_snippets(map(said, lines), candidate_of(FILES)) == {"platform/a.conf", "platform/b.yaml"}


def test_nothing_said_is_nothing_told() -> None:
    assert traced((), candidate_of(FILES)) == ()
