"""Whatever lies in a directory: it is a candidate or a reason, and nothing of it becomes structure of ours."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import make_base, make_frame, make_snapshot

from supervisor.config.parse import parse
from supervisor.core.assemble import Assembled, assemble
from supervisor.model import MAIN_FILE, Kind, Severity, Snapshot

OURS = {Kind.SERVICE, Kind.ENV, Kind.INCLUDE}
FRAME = make_frame(environment={"PATH": "/bin", "SET": "a\nb: c"})
MANY = settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))


def check(snapshot: Snapshot) -> Assembled:
    """Assemble, and hold what comes out against the promises."""
    assembled = assemble(snapshot, FRAME)

    assert assembled == assemble(snapshot, FRAME)
    if assembled.candidate is None:
        assert any(finding.severity is Severity.ERROR for finding in assembled.findings)
        return assembled
    names = [file.name for file in assembled.candidate.files]
    assert names[0] == MAIN_FILE
    assert len(set(names)) == len(names)
    for file in assembled.candidate.files:
        read = parse(file.text.encode("utf-8", "surrogateescape"), file.name)
        assert read.document is not None, (read.findings, file.text)
        kinds = {section.kind for section in read.document.sections}
        assert kinds <= OURS if file.name == MAIN_FILE else not kinds & OURS, file.text
        assert not {"yaml-anchor", "yaml-tag", "yaml-alias"} & {finding.rule for finding in read.findings}
        assert len(file.origins) == len(file.text.splitlines())
    return assembled


# --- bytes ----------------------------------------------------------------------------------------------------

CLASSIC = [
    *(b"[SERVICE]", b"[INPUT]", b"[FILTER]", b"[OUTPUT]", b"[PARSER]", b"[MULTILINE_PARSER]", b"[STREAM_TASK]", b"[]"),
    *(b"[UPSTREAM]", b"[NODE]", b"[CUSTOM]", b"[PLUGINS]", b"[O", b"[I]x", b"[outputs]", b"@SET a=b", b"@INCLUDE *"),
    *(b"@SET", b"@", b"@INCLUDE  a ", b"# x", b"    name dummy", b"    match *", b"    tag ${SET}", b"    alias ${"),
    *(b"    parsers_file p", b"    script a.lua", b"    rule \"a\" \"/b/\" \"c\"", b"    [rule x]", b"        state a"),
    *(b"    http_port 99999", b"    http_listen x", b"    grace -1", b"    storage.path /a", b"    db /a/b", b"\tx y"),
    *(b"    processors x", b"    routes x", b"    name", b"  a b", b"", b" ", b"\xff", b"\0", b"\xef\xbb\xbf", b"x"),
    *(b"    service: x", b"pipeline:"),
]  # fmt: skip
YAML = [
    *(b"service:", b"env:", b"includes:", b"pipeline:", b"inputs:", b"filters:", b"outputs:", b"customs:", b"plugins:"),
    *(b"parsers:", b"multiline_parsers:", b"stream_processor:", b"upstream_servers:", b"rules:", b"nodes:", b"routes:"),
    *(b"processors:", b"logs:", b"- name: dummy", b"- a", b"match: '*'", b"- {}"),
    *(b"tag: ${SET}", b"- []", b"a: {b: [c]}"),
    *(b"x: &a y", b"z: *a", b"<<: {a: b}", b"? x", b": y", b"- !!str x", b"a: |", b"b: >-"),
    *(b"---", b"...", b"%YAML 1.1"),
    *(b"uri: file:///x", b"value: '", b'"', b"#", b"\t", b"", b"{", b"}]", b"\xff", b"\0", b"\xc2\x85"),
    *(b"\xe2\x80\xa8", b"null"),
    *(b"script: a.lua", b"parsers_file: [a, b]", b"http_port: 1e3", b"grace: .inf", b"name: [a]", b"alias: {a: b}"),
]  # fmt: skip


def lines_of(words: list[bytes]) -> st.SearchStrategy[bytes]:
    ends = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r", b""])
    line = st.tuples(st.integers(0, 5).map(lambda n: b"  " * n), st.sampled_from(words), ends).map(b"".join)
    return st.lists(line | st.tuples(st.sampled_from(words), ends).map(b"".join), max_size=14).map(b"".join)


SOUND = [
    b"[SERVICE]\n    flush 1\n[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name grep\n    match *\n    regex a b\n"
    b"[OUTPUT]\n    name null\n    match *\n@SET a=b\n",
    b"env:\n  A: b\npipeline:\n  inputs:\n    - name: dummy\n      tag: 'a'\n      processors:\n        logs:\n"
    b'          - name: modify\n            add: [x y, "z \\u0041"]\n'
    b"  outputs:\n    - name: stdout\n      match: '*'\n",
    b"parsers:\n  - name: p\n    format: json\nmultiline_parsers:\n  - name: m\n    type: regex\n    rules:\n"
    b"      - state: start_state\n        regex: '/^a/'\n        next_state: b\n",
]


def spliced(sound: bytes, at: int, over: int, junk: bytes) -> bytes:
    """A sound text with something else in one place."""
    at %= len(sound)
    return sound[:at] + junk + sound[at + over :]


JUNK = st.binary(max_size=4) | st.sampled_from(CLASSIC + YAML)


def spliced_of(sound: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.builds(spliced, st.sampled_from(sound), st.integers(0, 400), st.integers(0, 3), JUNK)


ANYTHING = st.one_of(st.binary(max_size=60), lines_of(CLASSIC + YAML))
FILES = st.one_of(
    st.tuples(st.sampled_from(["a.conf", "d .conf", "../e.conf", "none"]), spliced_of(SOUND[:1]) | lines_of(CLASSIC)),
    st.tuples(st.sampled_from(["b.yaml", "c.yml", "é.yaml", "-.yaml"]), spliced_of(SOUND[1:]) | lines_of(YAML)),
    st.tuples(st.sampled_from(["f.conf", "g.yaml"]), ANYTHING),
)


@MANY
@given(st.lists(FILES, min_size=1, max_size=2).map(dict))
def test_any_bytes_as_snippets_give_a_candidate_or_a_reason(files: dict[str, bytes]) -> None:
    check(make_snapshot(files))


@MANY
@given(FILES)
def test_any_bytes_as_base_give_a_candidate_or_a_reason(file: tuple[str, bytes]) -> None:
    name, content = file

    check(make_base(content, name))


# --- the right shape with the wrong things in it ----------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *("name", "Name", "match", "tag", "alias", "dummy", "null", "processors", "logs", "routes", "rules", "nodes"),
        *("value", "uri", "path", "script", "storage.path", "http_port", "grace", "db", "parsers_file", "type", "*"),
        *("${SET}", "${NOT}", "${", "a: b", "- x", "#", "'", '"', "\\", "\n", "a\nservice:\n  x: y\n"),
        *("\u2028", "\x85", ""),
        *("file:///x", "!!x", "&a", "*a", "<<", "?", "|", "{", "]", "%", "@INCLUDE x"),
        *("0x10", "1e9", "-1", "~", "yes", " a "),
    ]
)  # fmt: skip
TEXTS = WORDS | st.text(max_size=6) | st.none() | st.booleans() | st.integers()
NESTED: st.SearchStrategy[Any] = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
PAIRS = st.dictionaries(
    WORDS.filter(lambda word: word not in ("processors", "routes", "rules", "nodes")), TEXTS, max_size=4
)
ODD = st.dictionaries(WORDS, NESTED, max_size=3)
PROCESSORS = st.fixed_dictionaries({"logs": st.lists(st.dictionaries(WORDS, NESTED, max_size=3), max_size=2)})
SPECIAL = st.one_of(
    st.fixed_dictionaries({"processors": PROCESSORS}),
    st.fixed_dictionaries({"routes": st.dictionaries(WORDS, NESTED, max_size=2)}),
    st.dictionaries(WORDS, st.lists(TEXTS, max_size=3) | PAIRS, max_size=2),
    st.just({}),
)
PLUGIN = st.builds(lambda pairs, special: {**pairs, **special}, PAIRS, SPECIAL)


def listed(item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A list of such items; now and then with something in it that does not belong there."""
    return st.lists(st.one_of(item, item, item, item, ODD), max_size=2)


def with_list(name: str) -> st.SearchStrategy[Any]:
    return st.builds(lambda pairs, inner: {**pairs, name: inner}, PAIRS, st.lists(PAIRS, max_size=2))


SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "pipeline": st.dictionaries(st.sampled_from(["inputs", "filters", "outputs"]), listed(PLUGIN), max_size=3),
        "customs": listed(PLUGIN),
        "parsers": listed(PAIRS),
        "stream_processor": listed(PAIRS),
        "multiline_parsers": listed(with_list("rules")),
        "upstream_servers": listed(with_list("nodes")),
        "service": PAIRS,
        "env": PAIRS,
        "plugins": st.lists(TEXTS, max_size=2),
        "odd": PAIRS,
    },
)


@MANY
@given(SHAPED, st.booleans(), st.booleans())
def test_any_values_in_a_config_of_the_right_shape_stay_values(
    shape: dict[str, Any], flow: bool, as_base: bool
) -> None:
    text = yaml.safe_dump(shape, default_flow_style=flow, allow_unicode=True, sort_keys=False)

    check(make_base(text, "fluent-bit.yaml") if as_base else make_snapshot({"a.yaml": text}))


@MANY
@given(st.lists(st.tuples(st.sampled_from(CLASSIC[:14]), st.lists(st.tuples(WORDS, WORDS), max_size=4)), max_size=4))
def test_any_values_in_classic_sections_stay_values(sections: list[tuple[bytes, list[tuple[str, str]]]]) -> None:
    text = "".join(
        title.decode() + "\n" + "".join(f"    {key} {value}\n" for key, value in pairs) for title, pairs in sections
    )

    check(make_snapshot({"a.conf": text}))
