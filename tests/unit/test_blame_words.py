"""Words about parsers, conditions and files that we copied are led back to the author's line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_frame, make_snapshot, sha

from supervisor.core.assemble import assemble
from supervisor.core.blame import attributed, traced
from supervisor.model import Candidate, Finding, Reference, Severity

PARSERS = {
    "a.yaml": """\
parsers:
  - name: line
    format: regex
    regex: '^(?<1st>it''s .*)$'
  - name: short
    format: regex
    regex: '('
multiline_parsers:
  - name: dump
    type: beginning
""",
    "b.conf": "[PARSER]\n    name till\n    format csv\n[MULTILINE_PARSER]\n    name blocks\n    type equals\n",
}
CONDITIONS = """\
pipeline:
  inputs:
    - name: dummy
      tag: t
      processors:
        logs:
          - name: content_modifier
            action: insert
            key: a
            value: all
            condition:
              op: and
              rules: [{field: $x, op: eq, value: y}]
          - name: content_modifier
            action: insert
            key: a
            value: b
            condition:
              op: all
              rules:
                - {field: $x, op: eq, value: y}
          - name: content_modifier
            action: insert
            key: a
            value: all
  outputs:
    - name: stdout
      match: t
"""
SCRIPTS = """\
pipeline:
  inputs:
    - {name: dummy, tag: t}
  filters:
    - name: lua
      match: t
      script: /etc/lookup.lua
      call: lookup
    - name: lua
      match: t
      script: /etc/a-script-with-a-name-that-is-far-too-long-for-lua-to-be-told.lua
      call: told
  outputs:
    - {name: stdout, match: t}
"""
LONG = "a-script-with-a-name-that-is-far-too-long-for-lua-to-be-told.lua"
SOURCES = {
    "/etc/lookup.lua": b"x()\n",
    f"/etc/{LONG}": b"y()\n",
    "/etc/parsers.conf": b"[PARSER]\n    Name good\n    Format json\n[PARSER]\n    Name odd\n    Format xml\n",
    "/etc/more.conf": b"[PARSER]\n    Name third\n    Format json\n",
}


def candidate_of(files: dict[str, str]) -> Candidate:
    references = {path: Reference(path, sha(content), content) for path, content in SOURCES.items()}
    candidate = assemble(replace(make_snapshot(files), references=references), make_frame()).candidate
    assert candidate is not None
    return candidate


def said(message: str) -> Finding:
    return Finding(Severity.ERROR, "dry-run", message)


def copy_of(candidate: Candidate, source: str) -> str:
    return next(copy.name for copy in candidate.copies if copy.source == source)


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("[parser:line] Invalid regex pattern ^(?<1st>it's .*)$", ("platform/a.yaml", 4)),
        ("[parser:short] Invalid regex pattern (", ("platform/a.yaml", 7)),
        ("[parser:till] Invalid format csv", ("platform/b.conf", 3)),
        ("[multiline parser: blocks] error creating rule", ("platform/b.conf", 5)),
        ("[multiline_parser] invalid type 'beginning'", ("platform/a.yaml", 10)),
        ("[parser:dump] a multiline parser is no parser", ("", None)),
        ("[parser:till] Invalid time format %d", ("", None)),
    ],
)
def test_a_parser_is_found_by_its_name(message: str, where: tuple[str, int | None]) -> None:
    finding = attributed(said(message), candidate_of(PARSERS))

    assert (finding.snippet, finding.line) == where


def test_two_parsers_of_one_name_or_type_blame_nobody() -> None:
    candidate = candidate_of({"a.conf": PARSERS["b.conf"], "b.conf": PARSERS["b.conf"]})

    assert not attributed(said("[parser:till] Invalid format csv"), candidate).snippet
    assert not attributed(said("[multiline_parser] invalid type 'equals'"), candidate).snippet


def test_a_parser_in_a_file_of_its_own_stands_where_the_file_is_named() -> None:
    text = "[SERVICE]\n    Parsers_File /etc/more.conf\n    Parsers_File /etc/parsers.conf\n[INPUT]\n    name dummy\n"

    finding = attributed(said("[parser:odd] Invalid format xml"), candidate_of({"a.conf": text}))

    message = "[parser:odd] Invalid format xml (/etc/parsers.conf, line 6)"
    assert (finding.message, finding.snippet, finding.line) == (message, "platform/a.conf", 3)


def test_a_parsers_file_that_is_named_as_a_whole_is_told_by_the_path_that_its_author_knows() -> None:
    candidate = candidate_of({"a.conf": "[SERVICE]\n    flush 1\n    Parsers_File /etc/parsers.conf\n"})
    path = f"/run/candidate/{copy_of(candidate, '/etc/parsers.conf')}"

    finding = attributed(said(f"[parser] no parser 'format' found for 'y' in file '{path}'"), candidate)

    message = "[parser] no parser 'format' found for 'y' in file '/etc/parsers.conf'"
    assert (finding.message, finding.snippet, finding.line) == (message, "platform/a.conf", 3)


def test_the_unit_whose_condition_says_it_is_meant() -> None:
    lines = (
        "[processor] invalid condition operator 'all', must be 'and' or 'or'",
        "[processor] failed to set condition for processor 'content_modifier'",
    )

    findings = traced(map(said, lines), candidate_of({"a.yaml": CONDITIONS}))

    assert [(f.message, f.snippet, f.line) for f in findings] == [(lines[0], "platform/a.yaml", 19)]


@pytest.mark.parametrize("directory", ["/run/trial/config/", "...rial/config/"])
def test_a_script_that_fails_is_found_by_its_path(directory: str) -> None:
    candidate = candidate_of({"a.yaml": SCRIPTS})
    words = "[luajit] invalid lua content, error=2: {}:1: attempt to call global 'lookup' (a nil value)"

    finding = attributed(said(words.format(directory + copy_of(candidate, "/etc/lookup.lua"))), candidate)

    assert (finding.message, finding.line) == (words.format("/etc/lookup.lua"), 7)


def test_a_script_is_found_though_lua_tells_only_the_end_of_its_name() -> None:
    words = "[luajit] invalid lua content, error=2: {}:1: attempt to call global 'y' (a nil value)"

    finding = attributed(said(words.format(f"...{LONG[-50:]}")), candidate_of({"a.yaml": SCRIPTS}))

    assert (finding.message, finding.line) == (words.format(f"/etc/{LONG}"), 11)


def test_of_many_scripts_the_line_that_follows_names_the_one_and_is_not_told() -> None:
    lua = "[FILTER]\n    name lua\n    match *\n    call f\n    code {}\n"
    whole = "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match *\n"
    files = {"a.conf": whole + lua.format("f()"), "b.conf": lua.format("f("), "c.conf": lua.format("g()")}
    lines = (
        "[luajit] error loading buffer: [string \"fluentbit.lua\"]:1: unexpected symbol near '<eof>'",
        "Failed pre_run callback on filter lua.1",
    )

    findings = traced(map(said, lines), candidate_of(files))

    assert [(f.message, f.snippet, f.line) for f in findings] == [(lines[0], "platform/b.conf", 5)]


def test_a_line_that_names_only_the_instance_is_told_when_there_is_no_other() -> None:
    files = {"a.yaml": SCRIPTS}

    (finding,) = traced([said("Failed pre_run callback on filter lua.1")], candidate_of(files))

    assert (finding.snippet, finding.line) == ("platform/a.yaml", 9)


@pytest.mark.parametrize("key", ["alias", "tag"])
def test_a_property_that_is_told_to_be_unknown_is_meant_itself(key: str) -> None:
    files = {"a.conf": f"[INPUT]\n    name dummy\n    dummy {{}}\n    {key} ${{NOPE}}\n"}

    finding = attributed(said(f"[config] dummy: unknown configuration property '{key}'."), candidate_of(files))

    assert finding.line == 4


def test_a_long_text_is_found_whatever_quotes_it_holds_and_though_its_end_is_cut_off() -> None:
    pattern = "^(?<1a>it's a 'dummy' of many words) " + "x" * 700
    files = {"a.conf": f"[FILTER]\n    name grep\n    match *\n    logical_op and\n    regex log {pattern}\n"}
    message = f"[filter:grep:grep.0] could not compile regex pattern 'log {pattern}"[:599] + "…"

    assert attributed(said(message), candidate_of(files)).line == 5
