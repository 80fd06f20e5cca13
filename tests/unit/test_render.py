"""The renderer's promises: nothing an author writes becomes structure, and reading back gives the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.config.names import PLUGIN_KINDS, lower, trim, yaml_key
from supervisor.config.parse import parse
from supervisor.config.render import render_main, render_sections
from supervisor.model import (
    Entry,
    Group,
    Kind,
    Node,
    Origin,
    RenderedFile,
    Scalar,
    Section,
    Sequence,
)

# --- any section that can be read -------------------------------------------------------------------------------------

NASTY = st.sampled_from(
    [
        *(
            "- a",
            "a: b",
            "a #b",
            '"',
            "'",
            "\\",
            "{",
            "[",
            "*",
            "&a",
            "!t",
            "|",
            ">",
            "%",
            "@",
            "---",
            "...",
            "<<",
            "~",
        ),
        *("?", "null", "true", "0x10", "1e3", "-", "a\nb: c", "\r\n", "\t", "\x07", "\x7f", "\x85", "\u2028", "\u202e"),
        *("\ufeff", "\ufffe", "\U0001f600", "\ue000", "${A}", "${A:-b}", "a'b\"c", "x" * 1500),
    ]
)
ANY = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
TEXT = st.one_of(NASTY, ANY, st.builds("".join, st.lists(NASTY | ANY, max_size=3)))
VALUE = TEXT.map(trim)
KEY = st.one_of(TEXT, st.sampled_from(["tag", "match", "rule", "tls.verify"])).map(lambda text: trim(lower(text)))
OWN = ("name", "alias", "processors", "routes", "telemetry", "rule", "rules", "nodes", "path")
PROPERTY_KEY = KEY.filter(lambda key: key and key not in OWN and yaml_key(key) == key)
TYPED = st.sampled_from(
    ["null", "true", "false", "0", "-1", "+5", "1.5", "1e9", "inf", "-nan", "0x1p3", "99999999999999999999"]
)


def scalar(text: str, plain: bool = False) -> Scalar:
    return Scalar(text, 1, plain=plain)


def group(entries: list[tuple[str, Node]]) -> Group:
    return Group(tuple(Entry(key, value, 1) for key, value in entries), 1)


SCALARS = VALUE.map(scalar)
# An empty list as a property is refused by Fluent Bit, so none is ever read.
LISTS = st.lists(TEXT.map(scalar), min_size=1, max_size=4).map(lambda items: Sequence(tuple(items), 1))
LEAVES = TEXT.map(scalar) | TYPED.map(lambda text: scalar(text, plain=True))
NESTED: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: Sequence(tuple(items), 1)),
        st.lists(st.tuples(TEXT, inner), max_size=3).map(group),
    ),
    max_leaves=8,
)
UNITS = st.lists(st.lists(st.tuples(TEXT, NESTED), max_size=3).map(group), max_size=3)
PROCESSORS = st.lists(st.tuples(st.sampled_from(["logs", "metrics", "traces"]), UNITS), max_size=2).map(
    lambda signals: group([(signal, Sequence(tuple(units), 1)) for signal, units in signals])
)
PAIRS = st.lists(st.tuples(PROPERTY_KEY, SCALARS), max_size=5)


def section(kind: Kind, pairs: list[tuple[str, Node]]) -> Section:
    return Section(kind, "", tuple(Entry(key, value, 1) for key, value in pairs), 1)


PLUGIN_PAIRS = st.lists(
    st.one_of(
        st.tuples(PROPERTY_KEY, SCALARS | LISTS),
        st.tuples(st.just("name"), SCALARS),
        st.tuples(st.just("processors"), PROCESSORS),
        st.tuples(st.just("routes"), NESTED.filter(lambda node: not isinstance(node, Scalar))),
    ),
    max_size=6,
)
PLUGINS = st.builds(section, st.sampled_from(sorted(PLUGIN_KINDS)), PLUGIN_PAIRS)
PLAIN_SECTIONS = st.builds(section, st.sampled_from([Kind.PARSER, Kind.STREAM_TASK]), PAIRS)
GROUPS = st.lists(PAIRS.map(group), min_size=1, max_size=3).map(lambda items: Sequence(tuple(items), 1))
WITH_GROUPS = st.one_of(
    st.builds(lambda pairs, rules: section(Kind.MULTILINE_PARSER, [*pairs, ("rules", rules)]), PAIRS, GROUPS),
    st.builds(lambda pairs, nodes: section(Kind.UPSTREAM, [*pairs, ("nodes", nodes)]), PAIRS, GROUPS),
)
SHARED_OBJECTS = st.lists(VALUE.filter(lambda text: bool(text) and yaml_key(text) == text), min_size=1, max_size=3).map(
    lambda paths: section(Kind.PLUGINS, [("path", scalar(path)) for path in paths])
)
SECTIONS = st.lists(st.one_of(PLUGINS, PLAIN_SECTIONS, WITH_GROUPS, SHARED_OBJECTS), max_size=5)


# --- the same, lines aside --------------------------------------------------------------------------------------------


def plainly(node: Node) -> object:
    """Without lines; with style, as types are guessed from it."""
    match node:
        case Scalar(text=text, plain=plain):
            return ("plain", text) if plain else text
        case Sequence(items=items):
            return [plainly(item) for item in items]
        case Group(entries=entries):
            return tuple((entry.key, plainly(entry.value)) for entry in entries)


def said(item: Section) -> tuple[Kind, list[object]]:
    """What Fluent Bit makes of a section: a list of texts is its key repeated, and style means nothing."""
    result: list[object] = []
    lists = {Kind.MULTILINE_PARSER: "rules", Kind.UPSTREAM: "nodes"}
    for entry in item.entries:
        match entry.value:
            case Scalar() if entry.key.lower() == lists.get(item.kind):
                pass  # a list that was written as a property: Fluent Bit makes nothing of it
            case Scalar(text=text):
                result.append((entry.key, text))
            case Sequence(items=items) if (
                items and all(isinstance(one, Scalar) for one in items) and entry.key != "routes"
            ):
                result += [(entry.key, one.text) for one in items if isinstance(one, Scalar)]
            case Sequence(items=items) if entry.key in ("nodes", "rules"):
                result.append((entry.key, [said(Section(Kind.UNKNOWN, "", one.entries, 1)) for one in items]))  # type: ignore[union-attr]
            case node:
                result.append((entry.key, plainly(node)))
    return item.kind, result


def in_order(sections: list[Section]) -> dict[Kind, list[object]]:
    """By kind: the order between kinds means nothing. Neighbouring shared objects are one list."""
    found: dict[Kind, list[object]] = {}
    for item in sections:
        kind, content = said(item)
        if kind is Kind.PLUGINS:
            found.setdefault(kind, []).extend(content)
        else:
            found.setdefault(kind, []).append(content)
    return found


def read_back(file: RenderedFile) -> list[Section]:
    parsed = parse(file.text.encode(), file.name)
    assert parsed.document is not None, parsed.findings
    return list(parsed.document.sections)


@settings(max_examples=150, deadline=None)
@given(SECTIONS)
def test_what_is_written_reads_back_as_the_same(sections: list[Section]) -> None:
    file = render_sections("a.yaml", [("s", item) for item in sections])

    assert in_order(read_back(file)) == in_order(sections)


@settings(max_examples=80, deadline=None)
@given(SECTIONS)
def test_writing_again_what_was_read_back_changes_nothing(sections: list[Section]) -> None:
    once = render_sections("a.yaml", [("s", item) for item in sections])

    twice = render_sections("a.yaml", [("s", item) for item in read_back(once)])

    assert twice.text == once.text


@settings(max_examples=50, deadline=None)
@given(SECTIONS)
def test_every_line_has_its_origin_slot_and_holds_no_control_character(sections: list[Section]) -> None:
    file = render_sections("a.yaml", [("s", item) for item in sections])

    assert file.text.count("\n") == len(file.origins)
    assert all(char == "\n" or char.isprintable() for char in file.text)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(PROPERTY_KEY, SCALARS), max_size=5),
    st.lists(st.tuples(TEXT, TEXT), max_size=5),
    st.lists(TEXT, max_size=4),
)
def test_the_main_file_reads_back_as_the_same(
    service: list[tuple[str, Scalar]], env: list[tuple[str, str]], includes: list[str]
) -> None:
    file = render_main(
        [Entry(key, value, 1) for key, value in service],
        [("s", Entry(name, scalar(value), 1)) for name, value in env],
        includes,
    )

    sections = {item.kind: [(entry.key, entry.value) for entry in item.entries] for item in read_back(file)}

    def texts(kind: Kind) -> list[tuple[str, object]]:
        return [(key, value.text) for key, value in sections.get(kind, []) if isinstance(value, Scalar)]

    assert texts(Kind.SERVICE) == [(key, value.text) for key, value in service]
    assert texts(Kind.ENV) == env
    assert texts(Kind.INCLUDE) == [("include", path) for path in includes]


# --- how it is written ------------------------------------------------------------------------------------------------


def written(text: str, name: str = "a.conf") -> str:
    parsed = parse(text.encode(), name)
    assert parsed.document is not None, parsed.findings
    return render_sections("out.yaml", [("s", item) for item in parsed.document.sections]).text


def test_repeated_neighbours_become_a_list() -> None:
    text = written("[FILTER]\n  Name modify\n  Match *\n  Add a 1\n  Add b 2\n")

    assert '      add:\n        - "a 1"\n        - "b 2"\n' in text


def test_the_order_of_rules_under_several_keys_is_kept() -> None:
    text = written("[FILTER]\n  name modify\n  set a 1\n  rename a b\n  set a 2\n")

    assert [line.split(":")[0].strip() for line in text.splitlines()[3:]] == ["set", "rename", "set"]


def test_a_repeated_name_stays_a_repeated_key() -> None:
    assert written("[INPUT]\n  name dummy\n  name other\n").count("name:") == 2


def test_multiline_rule_lines_become_rules() -> None:
    text = written('[MULTILINE_PARSER]\n  name m\n  rule "start_state" "/^\\"a\\"/" "cont"\n  rule cont "/x/" cont\n')

    assert "rule:" not in text
    assert 'regex: "/^\\"a\\"/"' in text
    assert text.count("next_state: cont") == 2


@pytest.mark.parametrize("rule", ['"a" "/x/ " "b"', '"a" "/x/"', '"a" "/x/" "b" "c"'])
def test_a_rule_that_a_group_cannot_say_keeps_all_rules_as_lines(rule: str) -> None:
    text = written(f'[MULTILINE_PARSER]\n  name m\n  rule {rule}\n  rule "a" "/y/" "b"\n')

    assert "rules:" not in text
    assert text.count("rule: ") == 2


def test_a_list_is_never_written_where_fluent_bit_takes_none() -> None:
    text = written("[PARSER]\n  name p\n  decode_field json a\n  decode_field json b\n")

    assert text.count("decode_field: ") == 2


def test_style_is_kept_where_types_are_guessed() -> None:
    yaml = "pipeline: {inputs: [{name: a, processors: {logs: [{name: x, y: [1, '1', true, 'true']}]}}]}"

    lines = [line.strip() for line in written(yaml, "a.yaml").splitlines()]

    assert lines[-4:] == ["- 1", '- "1"', "- true", '- "true"']


def test_what_fluent_bit_ignores_is_left_out() -> None:
    assert written("[OUTPT]\n  name stdout\n") == ""


def test_a_section_without_properties_stays_one() -> None:
    assert written("[INPUT]\n[INPUT]\n  name dummy\n") == "pipeline:\n  inputs:\n    - {}\n    - name: dummy\n"


def test_bytes_that_are_not_utf8_become_the_character_of_that_number() -> None:
    parsed = parse(b"[INPUT]\n  tag caf\xe9\n", "a.conf")
    assert parsed.document is not None

    text = render_sections("a.yaml", [("s", parsed.document.sections[0])]).text

    assert 'tag: "caf\\xe9"' in text


@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.ENV, Kind.INCLUDE])
def test_what_belongs_in_the_main_file_is_not_lost_in_silence(kind: Kind) -> None:
    with pytest.raises(ValueError, match="main file"):
        render_sections("a.yaml", [("s", section(kind, []))])


def test_a_variable_from_a_file_has_its_uri_only() -> None:
    value = group([("value", scalar("v")), ("uri", scalar("file:///s")), ("refresh_interval", scalar("5m"))])

    text = render_main([], [Entry("TOKEN", value, 1)], []).text

    assert text == 'env:\n  - name: TOKEN\n    uri: "file:///s"\n    refresh_interval: 5m\n'


def test_every_line_is_traced_to_the_line_of_its_author() -> None:
    parsed = parse(b"[INPUT]\n    name dummy\n\n    tag a\n", "a.conf")
    assert parsed.document is not None

    file = render_sections("a.yaml", [("platform/a.conf", parsed.document.sections[0])])

    assert file.origins == (None, None, Origin("platform/a.conf", 2), Origin("platform/a.conf", 4))


def test_an_entry_without_a_snippet_is_ours() -> None:
    file = render_main([Entry("flush", scalar("1"), 3), ("base/x", Entry("grace", scalar("2"), 7))], [], ["a.yaml"])

    assert file.origins == (None, None, Origin("base/x", 7), None, None)
