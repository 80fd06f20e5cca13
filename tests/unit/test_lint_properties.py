"""Which plugins, properties and values are told to be wrong, on which line; and which are let be."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from making import make_snippet

from supervisor.config.lint.properties import RULES, lint_instance
from supervisor.config.parse import parse
from supervisor.config.schema import Schema, read_schema
from supervisor.model import Finding, Kind, Severity

_PLUGINS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "customs": {"calyptia": {"api_key": "string"}},
    "inputs": {
        "dummy": {"dummy": "string", "rate": "integer", "copies": "integer", "flush_on_startup": "boolean"},
        "tail": {
            "path": "multiple comma delimited strings",
            "buffer_max_size": "size",
            "rotate_wait": "time",
            "db.sync": "string",
            "parser_": "prefixed string",
            "read_from_head": "boolean",
        },
        "http": {"success_header": "space delimited strings (minimum 1)", "tag_key": "string"},
    },
    "filters": {
        "grep": {"regex": "string", "exclude": "string", "logical_op": "string"},
        "modify": {"Set": "string", "Remove": "string", "Rename": "string", "Condition": "string"},
        "nest": {"Operation": "string", "Wildcard": "string"},
        "parser": {"Key_Name": "string", "Parser": "string", "Unescape_key": "deprecated"},
        "record_modifier": {"record": "space delimited strings (minimum 2)", "uuid_key": "string"},
        "throttle": {"rate": "double", "interval": "string"},
        "type_converter": {"int_key": "space delimited strings (minimum 3)"},
        "lua": {"script": "string", "code": "string", "call": "string"},
    },
    "outputs": {
        "null": {"format": "string"},
        "stdout": {"format": "string"},
        "http": {"uri": "string", "header": "space delimited strings (minimum 1)", "compress": "string"},
        "kafka": {"brokers": "string", "rdkafka.": "prefixed string"},
        "s3": {"bucket": "string", "total_file_size": "size"},
        "splunk": {"splunk_token": "string", "http_user": "string"},
        "es": {"compress": "string"},
    },
    "processors": {
        "content_modifier": {"action": "string", "key": "string", "value": "string"},
        "labels": {"insert": "space delimited strings (minimum 1)"},
        "sampling": {"type": "string", "sampling_settings": "variant"},
    },
}
_NETWORKED = ("http", "kafka", "s3", "splunk", "es")
_KINDS = (Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM)


def make_schema(version: str = "5.1.1") -> Schema:
    """A small binary's: what `-J` would print for it."""

    def listed(properties: Mapping[str, str]) -> list[dict[str, str | None]]:
        return [{"name": name, "description": "", "default": None, "type": kind} for name, kind in properties.items()]

    told: dict[str, object] = {"fluent-bit": {"version": version, "schema_version": "1", "os": "linux"}}
    for kinds, plugins in _PLUGINS.items():
        told[kinds] = [
            {"type": kinds[:-1], "name": name, "properties": {"options": listed(properties)}}
            | (
                {
                    "properties": {
                        "options": listed(properties),
                        "networking": listed({"net.keepalive": "boolean"}),
                        "network_tls": listed({"tls": "boolean"}),
                    }
                }
                if name in _NETWORKED
                else {}
            )
            for name, properties in plugins.items()
        ]
    schema = read_schema(json.dumps(told))
    assert schema is not None
    return schema


def lint(
    text: str,
    values: Mapping[str, str | None] | None = None,
    *,
    schema: Schema | None = None,
    name: str = "a.yaml",
    external: bool = False,
) -> list[Finding]:
    document = parse(text.encode(), name).document
    assert document is not None, text
    snippet = make_snippet(name, text)
    return [
        finding
        for section in document.sections
        if section.kind in _KINDS
        for finding in lint_instance(snippet, section, schema or make_schema(), values or {}, external=external)
    ]


def one(kind: str, *lines: str) -> str:
    """A text with one instance, whose properties begin on line 3."""
    return f"pipeline:\n  {kind}s:\n    - " + "\n      ".join(lines) + "\n"


def unit(*lines: str, signal: str = "logs") -> str:
    """A text with one processor, whose name is on line 6."""
    head = f"pipeline:\n  inputs:\n    - name: dummy\n      processors:\n        {signal}:\n          - "
    return head + "\n            ".join(lines) + "\n"


S3 = ("name: s3", "bucket: b")
WRONG = [
    ("unknown-plugin", 3, one("input", "name: dumy")),
    ("unknown-plugin", 3, one("output", "name: stduot")),
    ("unknown-plugin", 3, "\ncustoms:\n  - name: nosuch\n"),
    ("unknown-plugin", 6, unit("name: content_modifer")),
    ("unknown-property", 4, one("input", "name: dummy", "raet: 1")),
    ("unknown-property", 4, one("filter", "name: grep", "regexp: log x", "match: '*'")),
    ("unknown-property", 4, one("output", "name: 'null'", "net.keepaliv: on")),
    ("unknown-property", 4, one("input", "name: dummy", "net.keepalive: on")),  # a dry-run of 5.1.1 crashes on it
    ("unknown-property", 4, one("output", "name: kafka", "rdkafka.: x", "brokers: a")),
    ("unknown-property", 4, one("output", "name: http", "routes: x")),
    ("unknown-property", 8, unit("name: content_modifier", "action: insert", "keyy: x")),
    ("unknown-property", 7, unit("name: grep", "regexp: log x")),
    ("missing-property", 2, "pipeline:\n  inputs: [{name: tail}]\n"),
    ("missing-property", 3, one("filter", "name: lua", "script: a.lua", "match: '*'")),
    ("missing-property", 3, one("output", "name: splunk", "splunk_token: ''")),
    ("missing-property", 6, unit("name: content_modifier", "key: x")),
    ("empty-property", 4, one("input", "name: dummy", "tag: ''")),
    ("repeated-property", 4, "[INPUT]\n  Name dummy\n  Tag a\n  tag b\n"),
    ("repeated-property", 3, "[INPUT]\n  Name dummy\n  Name tail\n"),
    ("repeated-property", 5, one("output", "name: stdout", "match:", "  - a", "  - b")),
    ("set-twice", 4, "[INPUT]\n  Name dummy\n  Rate 1\n  rate 2\n"),
    ("set-twice", 4, "[OUTPUT]\n  Name stdout\n  format json\n  format json\n"),
    ("list-for-scalar", 4, one("input", "name: dummy", "rate: [1, 2]")),
    ("list-for-scalar", 4, one("input", "name: dummy", "rate: []")),
    ("list-for-scalar", 4, one("input", "name: dummy", "rate: {a: b}")),
    ("list-for-scalar", 7, unit("name: labels", "insert: [a b]", signal="metrics")),
    ("list-for-scalar", 7, unit("name: grep", "regex: {a: b}")),
    ("too-few-words", 4, one("filter", "name: record_modifier", "record: alone", "match: '*'")),
    ("bad-boolean", 4, one("input", "name: dummy", "flush_on_startup: maybe")),
    ("bad-boolean", 4, one("input", "name: dummy", "threaded: maybe")),
    ("odd-boolean", 4, one("output", "name: http", "tls.verify: 1")),
    ("bad-integer", 4, one("input", "name: dummy", "rate: many")),
    ("bad-integer", 4, one("output", "name: http", "workers: two")),
    ("bad-number", 4, one("filter", "name: throttle", "rate: fast", "match: '*'")),
    ("trailing-text", 4, one("input", "name: dummy", "rate: 5/s")),
    ("bad-size", 4, one("output", *S3[:1], "total_file_size: 10Q", S3[1])),
    ("bad-size", 4, one("input", "name: dummy", "mem_buf_limit: 5MiB")),
    ("bad-size", 4, one("output", "name: http", "storage.total_limit_size: much")),
    ("bad-time", 5, one("input", "name: tail", "path: /a", "rotate_wait: 10parsecs")),
    ("bad-time", 5, one("input", "name: tail", "path: /a", "rotate_wait: 500ms")),
    ("bad-time", 5, one("input", "name: tail", "path: /a", "rotate_wait: 5min")),
    ("bad-port", 4, one("output", "name: http", "port: 99999")),
    ("bad-port", 4, one("output", "name: http", "port: https")),
    ("bad-retry-limit", 4, one("output", "name: http", "retry_limit: banana")),
    ("bad-retry-limit", 4, one("output", "name: http", "retry_limit: 0")),
    ("bad-value", 4, one("input", "name: dummy", "storage.type: disk")),
    ("bad-value", 4, one("output", "name: stdout", "log_level: loud")),
    ("bad-value", 4, one("output", "name: http", "compress: gunzip")),
    ("bad-value", 4, one("output", "name: es", "compress: zstd")),
    ("bad-value", 4, one("filter", "name: nest", "operation: Nest", "match: '*'")),
    ("bad-value", 4, one("filter", "name: modify", "set: a b c", "match: '*'")),
    ("bad-value", 4, one("filter", "name: modify", "condition: key_exist a", "match: '*'")),
    ("bad-value", 4, one("filter", "name: type_converter", "int_key: a b text", "match: '*'")),
    ("bad-value", 7, unit("name: content_modifier", "action: add", "key: a")),
    ("no-tls", 4, one("output", "name: stdout", "tls: on")),
    ("bad-alias", 4, one("input", "name: dummy", 'alias: "a\\nb"')),
    ("unclosed-variable", 4, one("input", "name: dummy", "tag: 'a.${HOST'")),
    ("deprecated-property", 4, one("filter", "name: parser", "unescape_key: on", "key_name: a", "parser: b")),
    ("trailing-comment", 3, "[INPUT]\n  Name dummy\n  Tag foo # the tag\n"),
    ("indented-include", 3, "[INPUT]\n  Name dummy\n  @INCLUDE a.conf\n"),
]


@pytest.mark.parametrize(("rule", "line", "text"), WRONG)
def test_a_fault_is_told_once_with_its_line(rule: str, line: int, text: str) -> None:
    name = "a.conf" if text.startswith("[") else "a.yaml"

    told = [(finding.rule, finding.line) for finding in lint(text, name=name)]

    assert told == [(rule, line)]


RIGHT = {
    "unknown-plugin": one("input", "name: DUMMY"),
    "unknown-property": one("output", "name: kafka", "rdkafka.queue.size: 1", "brokers: a", "net.keepalive: on"),
    "missing-property": one("filter", "name: lua", "code: x", "call: f", "match: '*'"),
    "empty-property": one("input", "name: dummy", "dummy: ''"),
    "repeated-property": one("input", "name: dummy", "tag: [a]"),
    "set-twice": "[FILTER]\n  Name grep\n  Match *\n  Regex a b\n  Regex c d\n",
    "list-for-scalar": unit("name: sampling", "type: tail", "sampling_settings: {a: [1]}", signal="traces"),
    "too-few-words": one("filter", "name: record_modifier", "record: [a b, 'c d e']", "match: '*'"),
    "bad-boolean": one("input", "name: dummy", "flush_on_startup: YES"),
    "odd-boolean": one("input", "name: dummy", "routable: 'Off'"),
    "bad-integer": one("input", "name: dummy", "rate: ' 5'", "copies: '-1'"),
    "bad-number": one("filter", "name: throttle", "rate: 1.5e3", "match: '*'"),
    "trailing-text": one("input", "name: dummy", "rate: 5.0"),
    "bad-size": one("output", *S3, "total_file_size: 1.5gb", "storage.total_limit_size: off"),
    "bad-time": one("input", "name: tail", "path: /a", "rotate_wait: 10 seconds"),
    "bad-port": one("output", "name: http", "port: 65535"),
    "bad-retry-limit": one("output", "name: http", "retry_limit: No_Limits"),
    "bad-value": one("output", "name: http", "compress: GZIP", "log_level: Warn"),
    "no-tls": one("output", "name: http", "tls: on", "tls.verify: off"),
    "bad-alias": one("input", "name: dummy", "alias: 'ä b'"),
    "unclosed-variable": one("input", "name: dummy", "tag: '${A}$x{'"),
    "deprecated-property": one("filter", "name: parser", "key_name: a", "parser: b", "match: '*'"),
    "trailing-comment": "[INPUT]\n  Name dummy\n  Tag foo#bar\n",
    "indented-include": "[INPUT]\n  Name dummy\n@INCLUDE a.conf\n",
}


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_what_is_right_is_let_be(rule: str) -> None:
    text = RIGHT[rule]

    assert lint(text, name="a.conf" if text.startswith("[") else "a.yaml") == []


def test_every_rule_has_a_case_that_must_be_told() -> None:
    assert {rule for rule, _line, _text in WRONG} == {rule.id for rule in RULES}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (one("input", "name: dumy"), "did you mean 'dummy'?"),
        (one("input", "name: dummy", "raet: 1"), "did you mean 'rate'?"),
        (one("output", "name: http", "retry_limt: 1"), "did you mean 'retry_limit'?"),
        (unit("name: content_modifier", "acton: insert", "action: insert"), "did you mean 'action'?"),
        (one("input", "name: dummy", "storage.type: filesytem"), "did you mean 'filesystem'?"),
    ],
)
def test_a_misspelt_word_is_told_what_was_meant(text: str, hint: str) -> None:
    assert [finding.hint for finding in lint(text)] == [hint]


@pytest.mark.parametrize("value", ["${RATE}", "${RATE}0", "${SECRET}"])
def test_a_variable_without_a_known_value_is_not_judged(value: str) -> None:
    assert lint(one("input", "name: dummy", f"rate: {value}"), {"SECRET": None}) == []


def test_a_variable_is_judged_by_its_value() -> None:
    text = one("input", "name: dummy", "rate: ${RATE}")

    assert lint(text, {"RATE": "5"}) == []
    assert [finding.rule for finding in lint(text, {"RATE": "many"})] == ["bad-integer"]


def test_the_value_of_a_variable_is_not_told() -> None:
    (told,) = lint(one("input", "name: dummy", "rate: ${RATE}"), {"RATE": "hunter2"})

    assert "hunter2" not in told.message + told.hint


def test_a_value_that_may_be_a_secret_is_not_told() -> None:
    (told,) = lint(one("output", "name: http", "tls.key_passwd: [hunter2, hunter3]"))

    assert "hunter" not in told.message + told.hint


def test_a_plugin_of_a_shared_object_is_none_of_our_business() -> None:
    text = one("output", "name: from_go", "anything: goes")

    assert lint(text, external=True) == []


def test_a_list_that_the_binary_does_not_tell_says_nothing() -> None:
    schema = Schema("5.1.1", {"inputs": make_schema().plugins["inputs"]})

    assert lint(one("filter", "name: nosuch", "match: '*'"), schema=schema) == []
    assert lint(unit("name: nosuch"), schema=schema) == []


def test_without_a_schema_only_the_texts_are_judged() -> None:
    text = one("input", "name: nosuch", "tag: 'a${B'")
    document = parse(text.encode(), "a.yaml").document
    assert document is not None

    told = list(lint_instance(make_snippet("a.yaml", text), document.sections[0], None, {}))

    assert [finding.rule for finding in told] == ["unclosed-variable"]


@pytest.mark.parametrize(
    "text",
    [
        one("output", "name: stdout", "format: [json, json]"),
        one("output", "name: http", "compress: brotli"),
        one("output", "name: s3"),
        one("filter", "name: modify", "set: a b c", "match: '*'"),
    ],
)
def test_of_another_version_only_what_it_tells_itself_is_judged(text: str) -> None:
    assert lint(text) != []
    assert lint(text, schema=make_schema("6.0.0")) == []


def test_a_property_without_effect_is_only_mentioned() -> None:
    text = one("filter", "name: parser", "unescape_key: on", "key_name: a", "parser: b")

    assert [finding.severity for finding in lint(text)] == [Severity.INFO]


def test_a_condition_of_a_processor_is_let_be() -> None:
    rules = "condition: {op: and, rules: [{field: $a, op: eq, value: x}]}"

    assert lint(unit("name: content_modifier", "action: delete", "key: a", rules)) == []
    assert lint(unit("name: grep", "regex: log x", rules)) == []


def test_routes_and_telemetry_of_an_input_are_let_be() -> None:
    text = one("input", "name: dummy", "routes: {logs: [{name: r, to: {outputs: [o]}}]}", "telemetry: {a: {b: on}}")

    assert lint(text) == []


def test_an_address_in_the_name_is_no_part_of_it() -> None:
    assert lint(one("output", "name: 'http://127.0.0.1:80'")) == []


def test_the_other_name_of_a_plugin_stands_for_it() -> None:
    assert lint(one("output", "name: elasticsearch", "compress: gzip")) == []
