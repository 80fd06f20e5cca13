"""The door of the storey: format by name, bytes looked at before words."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.parse import is_yaml, parse, parse_as_yaml
from supervisor.config.tokens import split_tokens
from supervisor.model import Kind, Scalar, Severity

CLASSIC = b"[INPUT]\n    name dummy\n"
YAML = b"pipeline:\n  inputs:\n    - name: dummy\n"


@pytest.mark.parametrize(
    ("path", "yaml"),
    [
        ("a.yaml", True),
        ("a.YML", True),
        ("/x.yaml/a.conf", False),
        ("a.yaml.bak", False),
        ("a", False),
        ("yaml", False),
        (".yaml", True),
        ("/x.yaml/a", False),
        ("a.json", False),
        ("", False),
    ],
)
def test_the_last_extension_alone_chooses_the_format(path: str, yaml: bool) -> None:
    assert is_yaml(path) is yaml


def test_both_formats_say_the_same_thing() -> None:
    for content, path in ((CLASSIC, "a.conf"), (YAML, "a.yaml")):
        document = parse(content, path).document
        assert document is not None
        assert [(section.kind, section.get("name")) for section in document.sections] == [
            (
                Kind.INPUT,
                Scalar("dummy", 2 if path == "a.conf" else 3, 10 if path == "a.conf" else 13, path == "a.yaml"),
            )
        ]


def test_an_included_file_is_yaml_whatever_its_name() -> None:
    assert parse(YAML, "a.conf").document is None
    assert parse_as_yaml(YAML).document is not None


@pytest.mark.parametrize(("content", "path"), [(CLASSIC, "a.conf"), (YAML, "a.yaml")])
def test_a_byte_order_mark_and_crlf_are_of_no_account(content: bytes, path: str) -> None:
    windows = codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n")

    assert parse(windows, path) == parse(content, path)


def test_utf16_is_read_in_yaml_as_fluent_bit_does_and_refused_in_classic() -> None:
    assert parse(YAML.decode().encode("utf-16"), "a.yaml") == parse(YAML, "a.yaml")

    parsed = parse(CLASSIC.decode().encode("utf-16"), "a.conf")
    assert parsed.document is None
    assert parsed.findings[0].rule == "invalid-utf8"


@pytest.mark.parametrize(
    ("content", "rule", "line"),
    [
        (b"[INPUT]\n    name dum\0my\n", "nul-byte", 2),
        (b"[INPUT]\n    name caf\xe9\n", "invalid-utf8", 2),
        (b"[INPUT]\n    name a\rb\n", "lone-cr", 2),
        (b"[INPUT]\r\n    name dummy\r\n    tag a\r", "lone-cr", 3),
    ],
)
def test_bytes_that_classic_survives_are_an_error_beside_the_document(content: bytes, rule: str, line: int) -> None:
    parsed = parse(content, "a.conf")

    assert parsed.document is not None
    assert [(finding.rule, finding.line, finding.severity) for finding in parsed.findings] == [
        (rule, line, Severity.ERROR)
    ]


@pytest.mark.parametrize(("content", "rule"), [(b"# \0\n", "nul-byte"), (b"# \xe9\n", "invalid-utf8")])
def test_bytes_that_yaml_does_not_survive_give_no_document(content: bytes, rule: str) -> None:
    parsed = parse(content, "a.yaml")

    assert parsed.document is None
    assert [(finding.rule, finding.line) for finding in parsed.findings] == [(rule, 1)]


def test_a_lone_carriage_return_ends_a_line_in_yaml_and_is_told() -> None:
    parsed = parse(b"env:\r  A: b\r", "a.yaml")

    assert parsed.document is not None
    assert [finding.rule for finding in parsed.findings] == ["lone-cr"]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["a.conf", "a.yaml"]))
def test_any_bytes_give_a_document_or_a_reason(content: bytes, path: str) -> None:
    parsed = parse(content, path)

    assert parsed.document is not None or any(finding.severity is Severity.ERROR for finding in parsed.findings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b c", ["a", "b", "c"]),
        ("  a   b ", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ('"a \\" b" c', ['a " b', "c"]),
        ('"a\\d" c', ["a\\d", "c"]),
        ('a"b c" d', ['a"b', 'c"', "d"]),
        ('"open end', ["open end"]),
        ("a b c d e", ["a", "b", "c", "d e"]),
        ("", []),
    ],
)
def test_words_are_split_as_fluent_bit_splits_them(text: str, words: list[str]) -> None:
    assert split_tokens(text, 3) == words
