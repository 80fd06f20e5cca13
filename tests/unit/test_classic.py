"""A classic text is read as Fluent Bit reads it; the contract tests hold the same sentences against the binary."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config import classic
from supervisor.config.classic import parse_classic, runs_in_main
from supervisor.model import Entry, Group, Kind, Scalar, Section, Sequence, Severity


def sections(text: str) -> tuple[Section, ...]:
    parsed = parse_classic(text)
    assert parsed.document is not None, parsed.findings
    return parsed.document.sections


def pairs(entries: tuple[Entry, ...]) -> list[tuple[str, str]]:
    return [(entry.key, entry.value.text) for entry in entries if isinstance(entry.value, Scalar)]


def refusal(text: str) -> tuple[str, int | None]:
    parsed = parse_classic(text)
    assert parsed.document is None
    return parsed.findings[-1].rule, parsed.findings[-1].line


def test_sections_keep_their_order_and_lines() -> None:
    found = sections("# top\n\n[SERVICE]\n    flush 1\n[INPUT]\n    name dummy\n")

    assert [(section.kind, section.title, section.line) for section in found] == [
        (Kind.SERVICE, "SERVICE", 3),
        (Kind.INPUT, "INPUT", 5),
    ]
    assert found[1].entries == (Entry("name", Scalar("dummy", 6, 10), 6),)


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("S", Kind.SERVICE),
        ("serv", Kind.SERVICE),
        ("P", Kind.PARSER),
        ("PL", Kind.PLUGINS),
        ("m", Kind.MULTILINE_PARSER),
        ("STREAM_TASK", Kind.STREAM_TASK),
        ("st", Kind.STREAM_TASK),
        ("UPSTREAM", Kind.UPSTREAM),
        ("customs", Kind.CUSTOM),
        ("Inputs", Kind.INPUT),
        ("f", Kind.FILTER),
        ("OUT", Kind.OUTPUT),
        ("OUTPT", Kind.UNKNOWN),
        ("INPUTX", Kind.UNKNOWN),
        (" INPUT", Kind.UNKNOWN),
    ],
)
def test_a_title_is_known_by_its_beginning_without_case(title: str, kind: Kind) -> None:
    assert sections(f"[{title}]\n")[0].kind is kind


def test_an_empty_title_is_an_unknown_section() -> None:
    assert [section.kind for section in sections("[]\n a b\n")] == [Kind.UNKNOWN]


def test_a_hash_behind_a_value_belongs_to_the_value() -> None:
    assert pairs(sections("[INPUT]\n    tag foo # bar \n")[0].entries) == [("tag", "foo # bar")]


def test_keys_stay_as_written_and_may_repeat() -> None:
    found = sections("[FILTER]\n  Record a 1\n  record b  2\t\n")

    assert pairs(found[0].entries) == [("Record", "a 1"), ("record", "b  2")]


def test_the_first_character_counts_as_indent_whatever_it_is() -> None:
    assert pairs(sections("[X]\nname dummy\nnext one\n")[0].entries) == [("ame", "dummy"), ("ext", "one")]


def test_the_doubled_indent_is_the_same_section() -> None:
    assert pairs(sections("[X]\n  a 1\n    b 2\n  c 3\n")[0].entries) == [("a", "1"), ("b", "2"), ("c", "3")]


def test_directives_do_not_end_the_section_around_them() -> None:
    found = sections("[INPUT]\n    name dummy\n@SET A=b\n@INCLUDE x*.conf \n    tag t\n")

    assert [section.kind for section in found] == [Kind.INPUT, Kind.ENV, Kind.INCLUDE]
    assert pairs(found[0].entries) == [("name", "dummy"), ("tag", "t")]


def test_a_variable_has_everything_behind_the_first_equals_sign() -> None:
    assert pairs(sections("@set  A = b=c \n")[0].entries) == [("A ", " b=c")]


def test_an_include_pattern_keeps_its_trailing_blanks() -> None:
    assert sections("@include a.conf  \n")[0].entries[0].value == Scalar("a.conf  ", 1, 10)


def test_an_indented_include_is_a_property() -> None:
    assert pairs(sections("[INPUT]\n    @INCLUDE a.conf\n")[0].entries) == [("@INCLUDE", "a.conf")]


def test_an_unknown_directive_is_a_warning() -> None:
    parsed = parse_classic("@SETT A=b\n")

    assert parsed.document is not None
    assert [(finding.rule, finding.severity, finding.line) for finding in parsed.findings] == [
        ("unknown-directive", Severity.WARNING, 1)
    ]


def test_groups_are_rules_in_a_multiline_parser() -> None:
    found = sections("[MULTILINE_PARSER]\n  name m\n  [rule] 1\n    state a\n    regex b\n  [rule] 2\n    state c\n")

    groups = [entry.value for entry in found[0].entries if isinstance(entry.value, Group)]
    assert [pairs(group.entries) for group in groups] == [[("state", "a"), ("regex", "b")], [("state", "c")]]


def test_a_group_ends_at_the_plain_indent_and_is_ignored_elsewhere() -> None:
    parsed = parse_classic("[INPUT]\n  name dummy\n  [x] \n    tag lost\n  tag kept\n")

    assert parsed.document is not None
    assert pairs(parsed.document.sections[0].entries) == [("name", "dummy"), ("tag", "kept")]
    assert [(finding.rule, finding.line) for finding in parsed.findings] == [("group-ignored", 3)]


def test_nodes_belong_to_the_upstream_of_their_file() -> None:
    found = sections("[UPSTREAM]\n  name u\n[NODE]\n  name a\n  Port 1\n[node]\n  name b\n")

    nodes = found[0].entries[1].value
    assert len(found) == 1
    assert isinstance(nodes, Sequence)
    assert [pairs(node.entries) for node in nodes.items if isinstance(node, Group)] == [
        [("name", "a"), ("Port", "1")],
        [("name", "b")],
    ]


def test_a_node_without_an_upstream_is_unknown() -> None:
    assert [section.kind for section in sections("[NODE]\n  name a\n")] == [Kind.UNKNOWN]


def test_a_stream_task_runs_from_a_streams_file_only() -> None:
    found = sections("[STREAM_TASK]\n  name a\n[STREAM_PROCESSOR]\n  name b\n[INPUT]\n  name c\n")

    assert [runs_in_main(section) for section in found] == [False, True, True]


def test_crlf_and_a_missing_last_line_end_change_nothing() -> None:
    assert sections("[INPUT]\r\n    name dummy\r\n    tag t") == sections("[INPUT]\n    name dummy\n    tag t\n")


def test_a_nul_joins_its_line_with_the_next_and_lines_stay_right() -> None:
    found = sections("[INPUT]\n  name dum\0lost\nmy\n  tag t\n")

    assert pairs(found[0].entries) == [("name", "dummy"), ("tag", "t")]
    assert found[0].entries[1].line == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[INPUT\n", 1),
        ("    name dummy\n", 1),
        ("[INPUT]\n    name dummy\n  tag a\n", 3),
        ("[INPUT]\n    name dummy\n      tag a\n", 3),
        ("[INPUT]\n    name dummy\n\ttag a\n", 3),
        ("[INPUT]\n    name dummy\n  \n", 3),
        ("[INPUT]\n    name\tdummy\n", 2),
        ("[INPUT]\n    name   \n", 2),
        ("[INPUT]\n    [x]\n", 2),
        ("[INPUT]\n    [x a\n", 2),
        ("    [x] \n", 1),
        ("\n@SET\n", 2),
        ("@INCLUDE \n", 1),
    ],
)
def test_what_fluent_bit_refuses_is_refused_on_its_line(text: str, line: int) -> None:
    assert refusal(text) == ("syntax", line)


@pytest.mark.parametrize("line", ["http_passwd\ts3cr3t", "http_passwd=s3cr3t", "http_passwd s3cr3t", "[x\ts3cr3t y"])
def test_a_refusal_never_quotes_a_value(line: str) -> None:
    parsed = parse_classic(f"    {line}\n")

    assert parsed.document is None
    assert all("s3cr3t" not in finding.message + finding.hint for finding in parsed.findings)


def test_junk_without_end_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classic, "PROPERTIES_LIMIT", 100)

    assert refusal("[A]\n" * 200) == ("over-size", 101)


LINES = st.sampled_from(
    [
        *("[INPUT]", "[", "[]", "[x] ", "  [x] ", "    a b", "  a b", "\ta b", " ", "  ", "#", "  # c", "  a\tb"),
        *("@SET A=b", "@INCLUDE x", "@X", "\0", "a\0b", "\r", '  rule "a" "b"'),
        *("[NODE]", "[UPSTREAM]", "[MULTILINE_PARSER]"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES | st.text(max_size=8), max_size=12).map("\n".join))
def test_any_text_gives_a_document_or_a_reason(text: str) -> None:
    parsed = parse_classic(text)

    assert parsed.document is not None or parsed.findings[-1].severity is Severity.ERROR
    for section in parsed.document.sections if parsed.document else ():
        assert 1 <= section.line <= text.count("\n") + 1
        assert all(
            section.line <= entry.line <= text.count("\n") + 1 for entry in section.entries if entry.key != "nodes"
        )
