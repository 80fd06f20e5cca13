"""What is written is canonical: reading and writing it again changes nothing, and no value becomes structure.

And of what is refused nothing is handed over, whoever stands beside it.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from generating import CLASSIC_TEXTS, TENANT_KINDS, TEXT, VALUE, YAML_TEXTS, documents, group, scalar, section, sequence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import make_frame, make_snippet, sha

from supervisor.config.parse import parse
from supervisor.config.render import render_main, render_sections
from supervisor.model import (
    Accepted,
    Document,
    Entry,
    Kind,
    Node,
    Scalar,
    Section,
    Sequence,
    Snapshot,
    Snippet,
    Trust,
    Verdict,
)
from supervisor.prepare import Examiner, Judgement

pytestmark = pytest.mark.timeout(1800)  # the exploring profile takes minutes

OURS = (Kind.SERVICE, Kind.ENV, Kind.INCLUDE)
STEADY = settings(
    max_examples=(settings.default or settings()).max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# --- reading and writing ------------------------------------------------------------------------------------------


def canonical(document: Document) -> tuple[str, str]:
    """A document as we write it: the main file, and everything else."""

    def entries(kind: Kind) -> list[Entry]:
        return [entry for one in document.sections if one.kind is kind for entry in one.entries]

    patterns = [entry.value.text for entry in entries(Kind.INCLUDE) if isinstance(entry.value, Scalar)]
    main = render_main(entries(Kind.SERVICE), entries(Kind.ENV), patterns)
    others = render_sections("a.yaml", [("s", one) for one in document.sections if one.kind not in OURS])
    return main.text, others.text


def read(texts: tuple[str, str]) -> Document:
    sections: list[Section] = []
    for text in texts:
        parsed = parse(text.encode(), "a.yaml")
        assert parsed.document is not None, (parsed.findings, text)
        sections += parsed.document.sections
    return Document(tuple(sections), "yaml")


@STEADY
@given(documents())
def test_a_document_that_is_written_read_and_written_again_is_the_same(document: Document) -> None:
    texts = canonical(document)

    assert canonical(read(texts)) == texts


@STEADY
@given(documents(TENANT_KINDS))
def test_what_a_tenant_may_write_is_written_as_no_other_kind_of_section(document: Document) -> None:
    found = read(canonical(document))

    assert sorted(one.kind for one in found.sections) == sorted(one.kind for one in document.sections)


@STEADY
@pytest.mark.parametrize("format", ["conf", "yaml"])
@given(data=st.data())
def test_a_source_that_is_read_and_written_is_written_the_same_again(format: str, data: st.DataObject) -> None:
    content = data.draw(CLASSIC_TEXTS if format == "conf" else YAML_TEXTS)
    parsed = parse(content, f"a.{format}")
    if parsed.document is None:
        return

    texts = canonical(parsed.document)
    if any(finding.rule == "invalid-utf8" for finding in parsed.findings):
        texts = canonical(read(texts))  # a byte that was no UTF-8 is a character like others from then on

    assert canonical(read(texts)) == texts


# --- a value is a value -------------------------------------------------------------------------------------------

Place = tuple[Kind, Any, Any]
"""A kind of section, how a value is put into its one entry, and what a YAML reader must then find there."""
ROUND: dict[str, Place] = {
    "a property": (Kind.OUTPUT, scalar, lambda v: v),
    "items of a list": (Kind.FILTER, lambda v: sequence([scalar(v), scalar("x")]), lambda v: [v, "x"]),
    "a map": (Kind.INPUT, lambda v: group([(v, scalar(v))]), lambda v: {v: v}),
    "a parser's property": (Kind.PARSER, scalar, lambda v: v),
    "a custom plugin's property": (Kind.CUSTOM, scalar, lambda v: v),
    "a task's property": (Kind.STREAM_TASK, scalar, lambda v: v),
    "processors": (
        Kind.OUTPUT,
        lambda v: group([("logs", sequence([group([(v, scalar(v)), ("x", sequence([scalar(v)]))])]))]),
        lambda v: {"logs": [{v: v, "x": [v]}]},
    ),
    "rules": (
        Kind.MULTILINE_PARSER,
        lambda v: sequence([group([("regex", scalar(v)), ("y", scalar("z"))])]),
        lambda v: [{"regex": v, "y": "z"}],
    ),
    "nodes": (
        Kind.UPSTREAM,
        lambda v: sequence([group([("host", scalar(v))]), group([("host", scalar("b"))])]),
        lambda v: [{"host": v}, {"host": "b"}],
    ),
}
TITLES = {
    Kind.INPUT: "inputs",
    Kind.FILTER: "filters",
    Kind.OUTPUT: "outputs",
    Kind.CUSTOM: "customs",
    Kind.PARSER: "parsers",
    Kind.MULTILINE_PARSER: "multiline_parsers",
    Kind.STREAM_TASK: "stream_processor",
    Kind.UPSTREAM: "upstream_servers",
}
KEYS = {"processors": "processors", "rules": "rules", "nodes": "nodes"}


@STEADY
@pytest.mark.parametrize("place", ROUND)
@given(value=TEXT.filter(bool))
def test_a_value_is_that_value_wherever_it_stands_and_nothing_beside_it(place: str, value: str) -> None:
    kind, put, found = ROUND[place]
    key, value = KEYS.get(place, "key"), value if value != "x" else "y"
    one = section(kind, [(key, put(value)), ("last", scalar("end"))])

    text = render_sections("a.yaml", [("s", one), ("s", one)]).text

    # Another reader than ours, which knows nothing of Fluent Bit.
    wanted: dict[str, Any] = {TITLES[kind]: [{key: found(value), "last": "end"}] * 2}
    if kind in (Kind.INPUT, Kind.FILTER, Kind.OUTPUT):
        wanted = {"pipeline": wanted}
    if kind in (Kind.MULTILINE_PARSER, Kind.UPSTREAM):
        wanted[TITLES[kind]] = [dict(sorted(each.items())) for each in wanted[TITLES[kind]]]
    assert yaml.load(text, yaml.BaseLoader) == wanted, text


@STEADY
@given(TEXT, TEXT, VALUE, TEXT)
def test_a_value_of_the_main_file_is_that_value_and_nothing_beside_it(
    name: str, value: str, service: str, include: str
) -> None:
    env = [("s", Entry(name, scalar(value), 1)), ("s", Entry("B", group([("uri", scalar(value))]), 1))]

    text = render_main([("s", Entry("flush", scalar(service), 1))], env, [include]).text

    assert yaml.load(text, yaml.BaseLoader) == {
        "env": [{"name": name, "value": value}, {"name": "B", "uri": value}],
        "service": {"flush": service},
        "includes": [include],
    }


def leaves(node: Node) -> list[str]:
    match node:
        case Scalar(text=text):
            return [text]
        case Sequence(items=items):
            return [text for item in items for text in leaves(item)]
        case _:
            return [text for entry in node.entries for text in leaves(entry.value)]


@STEADY
@given(documents(tuple(kind for kind in Kind if kind not in (Kind.ENV, Kind.UNKNOWN))))
def test_no_value_gets_lost_and_none_is_added(document: Document) -> None:
    def values(of: Document) -> list[str]:
        return sorted(text for one in of.sections for entry in one.entries for text in leaves(entry.value))

    assert values(read(canonical(document))) == values(document)


# --- what is no structure for Fluent Bit is none for us (each tried on 5.1.1) ------------------------------------


def written(text: str | bytes, name: str) -> str:
    parsed = parse(text if isinstance(text, bytes) else text.encode(), name)
    assert parsed.document is not None, parsed.findings
    return "".join(canonical(parsed.document))


@pytest.mark.parametrize("key", ["Routes", "Processors", "Telemetry", "PROCESSORS"])
def test_a_map_under_a_name_in_capitals_does_not_become_one_that_counts(key: str) -> None:
    text = f"pipeline: {{inputs: [{{name: dummy, {key}: {{logs: a}}}}]}}"

    assert f"      {key}:\n" in written(text, "a.yaml")


def test_processors_of_a_processor_are_lost_and_an_error() -> None:
    inner = "processors: {logs: [{name: lua}]}"
    text = f"pipeline: {{inputs: [{{name: dummy, processors: {{logs: [{{name: sql, {inner}}}]}}}}]}}"

    parsed = parse(text.encode(), "a.yaml")

    assert [finding.rule for finding in parsed.findings] == ["syntax"]
    assert "lua" not in written(text, "a.yaml")


@pytest.mark.parametrize("text", ["service: {grace: ' '}", "parsers: [{name: a, ' ': b}]", "nonsense: {a: '\t'}"])
def test_a_property_of_blanks_is_lost_and_an_error_where_fluent_bit_drops_it(text: str) -> None:
    parsed = parse(text.encode(), "a.yaml")

    assert parsed.document is not None
    assert [finding.rule for finding in parsed.findings] == ["syntax"]


@pytest.mark.parametrize(
    "text",
    [
        "pipeline: {inputs: [{name: ' '}]}",
        "pipeline: {inputs: [{'': a}]}",
        "customs: [{' ': [a]}]",
        "upstream_servers: [{name: ' '}]",
        "multiline_parsers: [{name: a, rules: [{state: ' '}]}]",
        "plugins: [' ']",
        "pipeline: {inputs: [{telemetry: [{a: b}]}]}",
    ],
)
def test_a_property_of_blanks_is_refused_where_fluent_bit_refuses_it(text: str) -> None:
    parsed = parse(text.encode(), "a.yaml")

    assert parsed.document is None
    assert [finding.rule for finding in parsed.findings] == ["syntax"]


def test_a_no_break_space_indents_nothing() -> None:
    text = written("[SERVICE]\n\u00a0grace 9\n", "a.conf")

    assert text == 'service:\n  "\\xa0grace": 9\n'


def test_a_directive_whose_name_is_blank_is_refused() -> None:
    assert parse(b"@\t set a=b\n", "a.conf").document is None


def test_the_path_of_a_shared_object_that_is_a_key_is_in_lower_case() -> None:
    assert written("[PLUGINS]\n    /opt/My.so x\n", "a.conf") == 'plugins:\n  - "/opt/my.so"\n'


def test_a_number_in_quotes_stays_a_text_in_every_map_of_the_service() -> None:
    text = written("service: {other: {a: '1', b: 1}}", "a.yaml")

    assert text == 'service:\n  other:\n    a: "1"\n    b: 1\n'


# --- nothing of what is refused -----------------------------------------------------------------------------------


class Witness:
    """Stands where Fluent Bit would, takes everything, and remembers what it was handed."""

    def __init__(self) -> None:
        self.handed: list[bytes] = []

    async def dry_run(self, main: str, environment: object) -> Verdict:
        directory = Path(main).parent
        self.handed += [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
        return Accepted()


GOOD = (
    ("conf", "[FILTER]\n    name grep\n    match *\n    regex a {marker}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: '*', regex: 'a {marker}'}}\n"),
    ("yaml", "parsers:\n  - {{name: {marker}, format: json}}\n"),
    ("conf", "[INPUT]\n    name dummy\n    tag {marker}\n[OUTPUT]\n    name null\n    match *\n"),
)
BAD = (
    ("conf", "[FILTER]\n    name grep\n    match *\n    regex a {marker}\n  broken {marker}\n"),
    ("conf", "[FILTER]\n    name grep\n    match *\n    {marker}\n"),
    ("conf", "[FILTR]\n    name grep\n    {marker} {marker}\n"),
    ("conf", "[OUTPUT]\n    name null\n    alias {marker}\n[INPUT]\n    name dummy\n    {marker} \x00x\n"),
    ("conf", "[SERVICE]\r    flush {marker}\r[INPUT]\n    name dummy\n    tag {marker}\n"),
    ("conf", "@INCLUDE /{marker}.conf\n[INPUT]\n    name dummy\n    tag {marker}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: '*', regex: &x 'a {marker}'}}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: '*', <<: {{a: {marker}}}}}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: '*', regex: !!str 'a {marker}'}}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: a, match: {marker}}}\n"),
    ("yaml", "pipeline:\n  filters:\n    - {{name: grep, match: '*', regex: 'a {marker}'}}\n  - {marker}\n"),
    ("yaml", "parsers:\n  - {{name: {marker}, format: json, regex: ' '}}\n"),
    ("yaml", "env: {{A: {marker}}}\nnonsense: {{{marker}: x}}\n"),
)


@st.composite
def mixtures(draw: Any) -> list[Snippet]:
    chosen = draw(st.lists(st.tuples(st.sampled_from(GOOD + BAD), st.sampled_from(list(Trust)[1:])), max_size=6))
    snippets = []
    for number, ((format, text), trust) in enumerate(chosen):
        snippets.append(make_snippet(f"s{number}.{format}", text.format(marker=marker(number)), trust))
    return sorted(snippets, key=lambda one: (one.trust is Trust.TENANT, one.name))


def marker(number: int) -> str:
    return f"mark{number}er"


def marker_of(snippet: Snippet) -> bytes:
    return marker(int(snippet.name.rpartition("/")[2][1])).encode()


@STEADY
@given(mixtures())
def test_no_byte_of_a_refused_snippet_is_in_any_file_that_is_handed_over(snippets: list[Snippet]) -> None:
    witness = Witness()
    snapshot = Snapshot(sha(repr(snippets).encode()), tuple(snippets))
    with tempfile.TemporaryDirectory() as scratch:
        examiner = Examiner(
            frame=make_frame(),
            fluent_bit=witness,  # type: ignore[arg-type]
            scratch=f"{scratch}/candidate",
            looks=False,
        )
        judged = asyncio.run(Judgement(examiner).judge(snapshot))

    handed = list(witness.handed)
    if judged.candidate is not None:
        handed += [file.text.encode() for file in judged.candidate.files]
        handed += [copy.content for copy in judged.candidate.copies]
    refused = [snippet for snippet in snippets if snippet.name in judged.refused]
    assert judged.refused <= {snippet.name for snippet in snippets}
    assert not [snippet.name for snippet in refused for content in handed if marker_of(snippet) in content]
    sound = [one for one in snippets if one.name not in judged.refused | judged.waiting]
    assert all(any(marker_of(snippet) in content for content in handed) for snippet in sound)


def test_the_bad_ones_are_refused_each_alone() -> None:
    for number, (format, text) in enumerate(BAD):
        snippet = make_snippet(f"s{number}.{format}", text.format(marker=marker(number)))
        examiner = Examiner(frame=make_frame(), fluent_bit=None, scratch="/nowhere", looks=False)

        judged = asyncio.run(Judgement(examiner).judge(Snapshot(snippet.digest, (snippet,))))

        assert judged.refused == {snippet.name}, text
