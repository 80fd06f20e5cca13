"""Texts and documents that nobody would write by hand: what Hypothesis draws them from.

`DOCUMENTS` are documents of every kind of section. `CLASSIC_TEXTS` and `YAML_TEXTS` are sources, sound and broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

from supervisor.config.names import PLUGIN_KINDS, lower, trim, yaml_key
from supervisor.model import Document, Entry, Group, Kind, Node, Scalar, Section, Sequence

# --- texts ------------------------------------------------------------------------------------------------------------

NASTY = (
    *("\n[OUTPUT]\n    name file\n", "\n  - name: file\n", "\nservice:\n  flush: 9\n", "x\r[OUTPUT]\r", "- a", "a: b"),
    *("a #b", "#", '"', "'", "\\", "\\n", "{", "}", "[", "]", ",", "*", "*a", "&a", "!t", "!!str", "|", ">-", "%", "@"),
    *("`", "---", "...", "<<", "~", "?", "=", "-", ": ", "null", "true", "0x10", "1e3", "1.5", "\t", "\r\n", "\x07"),
    *("\x1b[2J", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\ufeff", "\ufffe", "\U0001f600", "\ue000", "\u00a0"),
    *("${A}", "${A:-b}", "${", "@INCLUDE /x", "@SET a=b", "  a", "a  ", "x" * 1500, "%YAML 1.1", "é", "\u0130"),
)
_ANY = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
TEXT = st.one_of(
    st.sampled_from(NASTY), _ANY, st.lists(st.sampled_from(NASTY) | _ANY, min_size=2, max_size=3).map("".join)
)
"""Any text but one with a NUL, which no text of C can hold."""
VALUE = TEXT.filter(lambda text: not text or trim(text) != "").map(trim)
"""What a single value of a property can be: Fluent Bit trims it."""

# --- documents --------------------------------------------------------------------------------------------------------

_OWN = ("name", "alias", "processors", "routes", "telemetry", "rule", "rules", "nodes", "path")
_KEY = st.one_of(st.sampled_from(["tag", "match", "tls.verify", "mem_buf_limit"]), TEXT.map(lambda t: trim(lower(t))))
PROPERTY_KEY = _KEY.filter(lambda key: bool(key) and key not in _OWN and yaml_key(key) == key)


def scalar(text: str, *, plain: bool = False) -> Scalar:
    return Scalar(text, 1, plain=plain)


def group(entries: list[tuple[str, Node]]) -> Group:
    return Group(tuple(Entry(key, value, 1) for key, value in entries), 1)


def sequence(items: list[Any]) -> Sequence:
    return Sequence(tuple(items), 1)


def section(kind: Kind, pairs: list[tuple[str, Node]]) -> Section:
    return Section(kind, str(kind), tuple(Entry(key, value, 1) for key, value in pairs), 1)


_SCALARS = VALUE.map(scalar)
_PAIRS = st.lists(st.tuples(PROPERTY_KEY, _SCALARS), max_size=4)
_TYPED = st.sampled_from(["null", "true", "false", "0", "-1", "1.5", "1e9", "inf", "-nan"])
NESTED: st.SearchStrategy[Node] = st.recursive(
    TEXT.map(scalar) | _TYPED.map(lambda text: scalar(text, plain=True)) | _TYPED.map(scalar),
    lambda inner: (
        st.lists(inner, max_size=3).map(sequence)
        | st.lists(st.tuples(TEXT.filter(lambda key: key != "processors"), inner), max_size=3).map(group)
    ),
    max_leaves=6,
)
_UNITS = st.lists(
    st.lists(st.tuples(TEXT.filter(lambda key: key != "processors"), NESTED), max_size=3).map(group), max_size=2
)
PROCESSORS = st.lists(
    st.tuples(st.sampled_from(["logs", "metrics", "traces"]), _UNITS.map(sequence)),
    max_size=2,
    unique_by=lambda p: p[0],
).map(group)
_PLUGIN_PAIRS = st.lists(
    st.one_of(
        st.tuples(PROPERTY_KEY, _SCALARS | st.lists(TEXT.map(scalar), min_size=1, max_size=3).map(sequence)),
        st.tuples(st.just("name"), _SCALARS),
        st.tuples(st.just("processors"), PROCESSORS),
        st.tuples(st.just("routes"), NESTED.filter(lambda node: not isinstance(node, Scalar))),
    ),
    max_size=5,
)
_GROUPS = st.lists(_PAIRS.map(group), min_size=1, max_size=2).map(sequence)
_FILE_VALUES = st.tuples(TEXT, TEXT).map(lambda pair: group([("uri", scalar(pair[0])), ("x", scalar(pair[1]))][:1]))
_SECTIONS: dict[Kind, st.SearchStrategy[Section]] = {
    **{kind: _PLUGIN_PAIRS.map(lambda pairs, kind=kind: section(kind, pairs)) for kind in sorted(PLUGIN_KINDS)},  # type: ignore[misc]
    Kind.PARSER: _PAIRS.map(lambda pairs: section(Kind.PARSER, [*pairs])),
    Kind.STREAM_TASK: _PAIRS.map(lambda pairs: section(Kind.STREAM_TASK, [*pairs])),
    Kind.MULTILINE_PARSER: st.tuples(_PAIRS, _GROUPS).map(
        lambda both: section(Kind.MULTILINE_PARSER, [*both[0], ("rules", both[1])])
    ),
    Kind.UPSTREAM: st.tuples(_PAIRS, _GROUPS).map(lambda both: section(Kind.UPSTREAM, [*both[0], ("nodes", both[1])])),
    Kind.PLUGINS: st.lists(
        VALUE.filter(lambda text: bool(text) and yaml_key(text) == text), min_size=1, max_size=2
    ).map(lambda paths: section(Kind.PLUGINS, [("path", scalar(path)) for path in paths])),
    Kind.SERVICE: _PAIRS.map(lambda pairs: section(Kind.SERVICE, [*pairs])),
    Kind.ENV: st.lists(st.tuples(TEXT, TEXT.map(scalar) | _FILE_VALUES), max_size=3).map(
        lambda pairs: section(Kind.ENV, pairs)
    ),
    Kind.INCLUDE: st.lists(st.tuples(st.just("include"), TEXT.map(scalar)), max_size=2).map(
        lambda pairs: section(Kind.INCLUDE, [*pairs])
    ),
}
TENANT_KINDS = (Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.PARSER, Kind.MULTILINE_PARSER)


def documents(kinds: tuple[Kind, ...] = tuple(_SECTIONS)) -> st.SearchStrategy[Document]:
    """Documents of these kinds of sections. A document has one service at most."""
    any_section = st.one_of([_SECTIONS[kind] for kind in kinds])
    return st.lists(any_section, max_size=4).map(
        lambda sections: Document(
            tuple(
                one
                for number, one in enumerate(sections)
                if one.kind is not Kind.SERVICE or all(other.kind is not Kind.SERVICE for other in sections[:number])
            ),
            "yaml",
        )
    )


# --- classic sources --------------------------------------------------------------------------------------------------

VOID_TITLES = (
    *("[X]", "[X]", "[SERVICE]", "[serv]", "[]", "[ INPUT ]", "[INPUTX]", "[x]y]", "[[X]]", "[X] # here", "[X", "[é]"),
)
"""Sections in which Fluent Bit takes any property, so that it has only the reading to complain of."""
TITLES = ("[SERVICE]", "[INPUT]", "[i]", "[Filter]", "[OUTPUTS]", "[PARSER]", "[MULTILINE_PARSER]", "[CUSTOM]")
_CLASSIC_LINES = (
    *(
        "",
        "",
        "#",
        "# x",
        " ",
        "    ",
        "\t",
        "  # x",
        "    # x",
        "\t# x",
        "      # x",
        "@SET a=b",
        "@set  a = b ",
        "@SET",
    ),
    *("@SET a", "@SET\ta=b", "@ set a=b", "@\t set a=b", "@X y", "@X", "@", "  @SET a=b", "    key value"),
    *("    key value", "    key  value  ", "  key value", "\tkey value", "\t\tkey value", " key value", "key value"),
    *("        key value", "      key value", "    \tkey value", "    key\tvalue", "    key \tvalue\t", "    key"),
    *("    key ", "    key   ", "    key \t", "    key v # c", "    # key v", '    key "v"', "    kéY é", "    [x] "),
    *("    [x]", "    [x] y", "    [] x", "    [x y", "        [x] y", "    key v\rw", "    key \x0bv\x0c", "x", "x y"),
    *(
        "    \x0bkey v",
        "    \u00a0 v",
        "\u00a0 key v",
        "\u00a0key v",
        "    k\x00 v",
        "    key v\x00w",
        "\x00",
        "\x0b v",
    ),
)
_ENDS = st.sampled_from(["\n"] * 8 + ["\r\n", "\r\n", "\r", "", "\n\n", "\r\r\n"])


def classic_texts(titles: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    line = st.tuples(st.sampled_from(_CLASSIC_LINES) | st.sampled_from(titles), _ENDS).map("".join)
    lines = st.tuples(st.sampled_from(titles), _ENDS, st.lists(line, max_size=7).map("".join)).map("".join)
    strange = st.tuples(lines, st.sampled_from([b"", b"", b"", b"    caf\xe9 \xff\n", b"\xc2key v\n"]))
    return strange.map(lambda parts: parts[0].encode() + parts[1])


CLASSIC_TEXTS = classic_texts(TITLES + VOID_TITLES)

# --- YAML sources -----------------------------------------------------------------------------------------------------

_YAML_SCALARS = (
    *NASTY,
    *(
        "",
        " ",
        "\t",
        "\n",
        "x\ny",
        "\0",
        "a\0b",
        "yes",
        "no",
        "0b1",
        "1:20",
        "1_000",
        "memBufLimit",
        "NAME",
        "x\r",
        "\x0bx",
    ),
)
_YAML_KEYS = (
    *(
        "name",
        "match",
        "tag",
        "alias",
        "a",
        "memBufLimit",
        "Mem_Buf",
        "mem_bufLimit",
        "aÉB",
        "a.b",
        "1",
        " a",
        "a ",
        "",
    ),
    *("processors", "routes", "telemetry", "Routes", "Processors", "rules", "nodes", "rule", "logs", "metrics", "Name"),
    *("value", "uri", "refresh_interval", "<<", "condition"),
)
_PLAIN = st.sampled_from(_YAML_SCALARS) | _ANY
_YKEY = st.one_of([st.sampled_from(_YAML_KEYS)] * 5 + [_PLAIN])
Tree = Any  # str, list of trees, or tuple of pairs (key, tree): keys repeat, so no dict
_TREES: st.SearchStrategy[Tree] = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=2) | st.lists(st.tuples(_YKEY, inner), max_size=2).map(tuple),
    max_leaves=5,
)


def _mostly(wanted: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.one_of([wanted] * 11 + [_TREES])


_YPAIRS = st.lists(st.tuples(_YKEY, _mostly(_PLAIN)), max_size=3).map(tuple)
_YUNITS = st.lists(_mostly(st.lists(st.tuples(_YKEY, _TREES), max_size=2).map(tuple)), max_size=2)
_YPROCESSORS = st.lists(
    st.tuples(st.sampled_from(["logs", "LOGS", "metrics", "traces", "profiles"]), _mostly(_YUNITS)), max_size=2
).map(tuple)
_YPLUGIN = st.lists(
    st.one_of(
        st.tuples(_YKEY, _PLAIN),
        st.tuples(_YKEY, _mostly(st.lists(_PLAIN, max_size=2))),
        st.tuples(_YKEY, _YPAIRS),
        st.tuples(st.just("processors"), _mostly(_YPROCESSORS)),
        st.tuples(st.sampled_from(["routes", "telemetry", "processors"]), _TREES),
    ),
    max_size=3,
).map(tuple)


def _listed(item: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return _mostly(st.lists(_mostly(item), max_size=2))


def _with(name: str) -> st.SearchStrategy[Tree]:
    return st.tuples(_YPAIRS, _listed(_YPAIRS)).map(lambda both: (*both[0], (name, both[1])))


_VARIABLES = st.lists(
    st.tuples(st.sampled_from(["name", "value", "uri", "refresh_interval", "Name", "A"]), _mostly(_PLAIN)), max_size=3
).map(tuple)
_TOP: tuple[tuple[str, st.SearchStrategy[Tree]], ...] = (
    *[
        (
            "pipeline",
            st.lists(
                st.tuples(st.sampled_from(["inputs", "filters", "outputs", "INPUTS", "customs"]), _listed(_YPLUGIN)),
                max_size=2,
            ).map(tuple),
        )
    ]
    * 3,
    *(("Pipeline", st.just(())), ("customs", _listed(_YPLUGIN)), ("plugins", _listed(_PLAIN)), ("serv", _YPAIRS)),
    *(
        ("parsers", _listed(_YPAIRS)),
        ("stream_processor", _listed(_YPAIRS)),
        ("env", _YPAIRS),
        ("Env", _listed(_VARIABLES)),
    ),
    *(("multiline_parsers", _listed(_with("rules"))), ("upstream_servers", _listed(_with("nodes")))),
    *(("service", _YPAIRS), ("service", _with("telemetry")), ("extensions", _with("x")), ("nonsense", _YPAIRS)),
    *(("pars", _YPAIRS), ("inputs", _YPAIRS), ("", _YPAIRS)),
)
_TOPS = st.one_of([st.tuples(st.just(name), _mostly(body)) for name, body in _TOP])
_STYLES = st.sampled_from([None, None, "'", '"', "|", ">"])


def _events(tree: Tree, draw: Any, flow: bool) -> Iterator[yaml.Event]:
    flow = flow or draw(st.integers(0, 3)) == 0
    match tree:
        case str():
            style = draw(_STYLES)
            yield yaml.ScalarEvent(None, None, (True, True), tree, style="'" if flow and style in ("|", ">") else style)
        case list():
            yield yaml.SequenceStartEvent(None, None, True, flow_style=flow)
            for item in tree:
                yield from _events(item, draw, flow)
            yield yaml.SequenceEndEvent()
        case _:
            yield yaml.MappingStartEvent(None, None, True, flow_style=flow)
            for key, value in tree:
                yield from _events(key, draw, True)
                yield from _events(value, draw, flow)
            yield yaml.MappingEndEvent()


def written(trees: list[Tree], draw: Any) -> str:
    """Documents as YAML, in styles, widths and line ends as they come."""

    def events() -> Iterator[yaml.Event]:
        yield yaml.StreamStartEvent()
        for tree in trees:
            yield yaml.DocumentStartEvent(explicit=len(trees) > 1 or draw(st.booleans()))
            yield from _events(tree, draw, False)
            yield yaml.DocumentEndEvent(explicit=draw(st.booleans()))
        yield yaml.StreamEndEvent()

    width, ends = draw(st.sampled_from([20, 80, 1000])), draw(st.sampled_from(["\n", "\n", "\r\n"]))
    indent, unicode = draw(st.integers(2, 4)), draw(st.booleans())
    return str(yaml.emit(events(), allow_unicode=unicode, indent=indent, width=width, line_break=ends))


_SLIPS = (
    *(b" ", b"  ", b"\t", b"\n", b":", b"- ", b"#", b" # c\n", b"'", b'"', b"|\n", b"{", b"}", b"[", b"]", b",", b"? "),
    *(b"&a ", b"*a", b"!t ", b"!!str ", b"\r", b"\0", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"---\n"),
    *(b"...\n", b"%YAML 1.1\n", b"\\", b"@", b"`", b"\x7f", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbf\xbe", b"--- a\n"),
)


@st.composite
def yaml_texts(draw: Any) -> bytes:
    trees = draw(st.lists(st.lists(_TOPS, min_size=1, max_size=2).map(tuple), min_size=1, max_size=2))
    content = written(trees, draw).encode("utf-8", "surrogateescape")
    for slip in draw(st.lists(st.sampled_from(_SLIPS), max_size=2)):
        at = draw(st.integers(0, len(content)))
        content = content[:at] + slip + content[at + draw(st.integers(0, 2)) :]
    return content


YAML_TEXTS = yaml_texts()
