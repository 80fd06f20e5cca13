"""A YAML text is read as Fluent Bit reads it, and no text can hurt; the contract tests hold it against the binary."""

from __future__ import annotations

import tracemalloc

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config import yaml_format
from supervisor.config.yaml_format import DEPTH_LIMIT, parse_yaml, walk
from supervisor.model import Entry, Group, Kind, Node, Scalar, Section, Sequence, Severity


def sections(text: str) -> tuple[Section, ...]:
    parsed = parse_yaml(text)
    assert parsed.document is not None, parsed.findings
    return parsed.document.sections


def plain(node: Node) -> object:
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Group(entries=entries):
            return said(entries)


def said(entries: tuple[Entry, ...]) -> list[tuple[str, object]]:
    return [(entry.key, plain(entry.value)) for entry in entries]


def rules(text: str) -> list[tuple[str, int | None]]:
    return [(finding.rule, finding.line) for finding in parse_yaml(text).findings]


EVERYTHING = """\
service: {flush: 1, hcPeriod: 5, telemetry: {metrics: {}}}
env: {A: b}
includes:
  - a.yaml
  - "b*.yaml"
plugins: [/x.so]
parsers:
  - {name: p, timeFormat: "%s"}
multiline_parsers:
  - name: m
    rules:
      - {state: a, regex: /b/, nextState: c}
stream_processor:
  - {name: s, exec: SELECT}
upstream_servers:
  - name: u
    nodes: [{name: n, tls.verify: off}]
customs:
  - {name: c}
pipeline:
  inputs:
    - name: i
      memBufLimit: 5M
      Tag: t
      processors: {LOGS: [{name: x, camelCase: {A: [1, "1"]}}]}
      routes: {logs: [{name: r}]}
      telemetry: {metrics: {}}
  filters: [{name: f, record: [a 1, " b 2"]}]
  outputs: [{name: o, header: " padded "}]
pipeline:
  outputs: [{name: o2}]
---
nonsense: {a: b}
outp: {name: o3}
"""


def test_every_kind_of_section_is_read_in_order() -> None:
    found = sections(EVERYTHING)

    assert [(section.kind, section.line) for section in found] == [
        (Kind.SERVICE, 1),
        (Kind.ENV, 2),
        (Kind.INCLUDE, 3),
        (Kind.PLUGINS, 6),
        (Kind.PARSER, 8),
        (Kind.MULTILINE_PARSER, 10),
        (Kind.STREAM_TASK, 14),
        (Kind.UPSTREAM, 16),
        (Kind.CUSTOM, 19),
        (Kind.INPUT, 22),
        (Kind.FILTER, 28),
        (Kind.OUTPUT, 29),
        (Kind.OUTPUT, 31),
        (Kind.UNKNOWN, 33),
        (Kind.OUTPUT, 34),
    ]


def test_keys_become_snake_case_where_fluent_bit_does_it() -> None:
    found = sections(EVERYTHING)

    assert [entry.key for entry in found[0].entries] == ["flush", "hc_period", "telemetry"]
    assert said(found[4].entries) == [("name", "p"), ("time_format", "%s")]
    assert said(found[5].entries)[1] == ("rules", [[("state", "a"), ("regex", "/b/"), ("next_state", "c")]])
    assert [entry.key for entry in found[9].entries][1:3] == ["mem_buf_limit", "Tag"]


def test_what_is_inside_processors_stays_as_written() -> None:
    processors = sections(EVERYTHING)[9].entries[3]

    assert plain(processors.value) == [("logs", [[("name", "x"), ("camelCase", [("A", ["1", "1"])])]])]


def test_style_is_known() -> None:
    entries = sections("env: {A: 1, B: '1', C: \"1\", D: 1 2}")[0].entries

    assert [entry.value.plain for entry in entries if isinstance(entry.value, Scalar)] == [True, False, False, True]


def test_single_values_are_trimmed_and_items_of_lists_are_not() -> None:
    found = sections(EVERYTHING)

    assert said(found[10].entries)[1] == ("record", ["a 1", " b 2"])
    assert said(found[11].entries)[1] == ("header", "padded")


def test_the_list_form_of_variables() -> None:
    entries = sections(
        "env:\n"
        "  - {name: A, value: ' a '}\n"
        "  - {name: B, uri: 'file:///b', refresh_interval: 5m}\n"
        "  - C: c\n"
        "  - {name: D}\n"
    )[0].entries

    assert said(entries) == [
        ("A", " a "),
        ("B", [("value", ""), ("uri", "file:///b"), ("refresh_interval", "5m")]),
        ("C", "c"),
        ("D", ""),
    ]


def test_a_variable_without_a_name_is_an_error_beside_the_document() -> None:
    parsed = parse_yaml("env:\n  - {value: a}\n")

    assert parsed.document is not None
    assert [finding.line for finding in parsed.findings] == [2]


def test_a_line_is_where_its_key_stands() -> None:
    section = sections("pipeline:\n  inputs:\n    -\n      name: a\n      tag:\n        b\n")[0]

    assert [(entry.line, entry.value.line) for entry in section.entries] == [(4, 4), (5, 6)]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("env:\n  A: &x b\n", "yaml-anchor", 2),
        ("env:\n  A: !!str b\n", "yaml-tag", 2),
        ("env:\n  <<: b\n", "yaml-merge-key", 2),
        ("env:\n  A: b\n  A: c\n", "duplicate-key", 3),
        ('env:\n  A: "b\\0c"\n', "nul-byte", 2),
        ("extensions: {a: " + "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT + "}\n", "too-deep", 1),
    ],
)
def test_what_fluent_bit_takes_but_nobody_should_write_is_an_error_beside_the_document(
    text: str, rule: str, line: int
) -> None:
    parsed = parse_yaml(text)

    assert parsed.document is not None
    assert [(finding.rule, finding.line, finding.severity) for finding in parsed.findings] == [
        (rule, line, Severity.ERROR)
    ]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("env:\n  B: *x\n", "yaml-alias", 2),
        ("service: {}\nservice: {}\n", "duplicate-service", 2),
        ("pipeline:\n  customs: []\n", "syntax", 2),
        ("pipeline:\n  inputs:\n    name: a\n", "syntax", 3),
        ("service:\n  flush: [1]\n", "syntax", 2),
        ("parsers: [{name: a, decode_field: [b]}]\n", "syntax", 1),
        ("nonsense: [a]\n", "syntax", 1),
        ("a: b: c\n", "syntax", 1),
        ("env:\n\tA: b\n", "syntax", 2),
        ("- a\n", "syntax", 1),
        ("---\n", "syntax", 2),
        ("env: {A: \x01}\n", "syntax", 1),
        ("env: {A: \ud800}\n", "invalid-utf8", 1),
    ],
)
def test_what_fluent_bit_refuses_has_no_document(text: str, rule: str, line: int) -> None:
    parsed = parse_yaml(text)

    assert parsed.document is None
    assert (parsed.findings[-1].rule, parsed.findings[-1].line) == (rule, line)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("env:\n\tA: b\n", "indent with blanks: YAML allows no tab there"),
        ("env:\n  A: @b\n", "between quotes"),
        ("env:\n  A: b: c\n", "put a value with ': ' in it between quotes"),
        ('env:\n  A: "b\n  C: d\n', "close the quote that is opened in line 2"),
        ("env:\n  A: 'b\n", "close the quote that is opened in line 2"),
        ('env:\n  A: "\\d"\n', "single quotes"),
        ("includes: [a\nenv: {}\n", "close the bracket that is opened in line 1"),
        ("env:\n  A: b\n C: d\n", "a wrong indent"),
        ("inputs:\n  - name: dummy\n", "'inputs' stands below 'pipeline:', indented"),
        ("pipelines:\n  inputs: []\n", "'pipelines' is no section; did you mean 'pipeline'?"),
        ("parser:\n  - name: a\n", "did you mean 'parsers'?"),
        ("nonsense: [a]\n", "write KEY: VALUE"),
    ],
)
def test_what_cannot_be_read_comes_with_what_is_likely_meant(text: str, hint: str) -> None:
    assert hint in parse_yaml(text).findings[-1].hint


def test_nothing_at_all_is_an_empty_document() -> None:
    assert sections("# only a comment\n") == ()


def test_a_duplicate_key_is_told_once_for_each_time() -> None:
    assert rules("env:\n  A: b\n  A: c\n  A: d\n") == [("duplicate-key", 3), ("duplicate-key", 4)]


BOMBS = {
    "aliases": "a: &a [x,x,x,x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{f'*{chr(97 + n)},' * 9}]\n" for n in range(20)),
    "5000 lists": "extensions: {a: " + "[" * 5000 + "]" * 5000 + "}",
    "5000 open lists": "pipeline: {inputs: [{name: a, routes: " + "[" * 5000,
    "5000 maps": "extensions: " + "{a: " * 5000 + "}" * 5000,
    "5000 block maps": "\n".join(" " * depth + "a:" for depth in range(1000)),
    "a long number": "service: {flush: " + "9" * 1_000_000 + "}",
    "a python object": "env: {A: !!python/object/apply:os.system [echo]}",
    "a thousand anchors": "env: {" + ",".join(f"A{n}: &a{n} x" for n in range(1000)) + "}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_grow(name: str) -> None:
    tracemalloc.start()

    parsed = parse_yaml(BOMBS[name])

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 1024 * 1024
    assert parsed.document is None or len(parsed.findings) <= 101


def test_junk_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_EVENTS_LIMIT", 1000)

    assert rules("env: {" + ",".join(f"A{n}: x" for n in range(600)) + "}") == [("over-size", 1)]


def test_it_reads_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    with_libyaml = parse_yaml(EVERYTHING)

    monkeypatch.setattr(yaml_format, "_LOADER", yaml.BaseLoader)

    assert parse_yaml(EVERYTHING) == with_libyaml


FRAGMENTS = st.sampled_from(
    [
        *("pipeline:", "  inputs:", "  - ", "- ", "name: a", "env:", "service:", "processors:", "logs:", "routes:"),
        *("rules:", "nodes:", "{", "}", "[", "]", ": ", "\n", "\n  ", "\n    ", "&a ", "*a", "!t ", "<<", "---\n"),
        *("|", ">", '"', "'", "\t", "\0"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENTS | st.text(max_size=5), max_size=20).map("".join))
def test_any_text_gives_a_document_or_a_reason(text: str) -> None:
    parsed = parse_yaml(text)

    assert parsed.document is not None or parsed.findings[-1].severity is Severity.ERROR
