"""Of two that want the same, who yields, and what he is told."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_base, make_frame, make_snapshot, make_snippet

from supervisor.config.lint.conflicts import Claim, contested
from supervisor.config.lint.ports import Listener
from supervisor.core.assemble import assemble
from supervisor.model import Finding, Severity

OUTPUT = "[OUTPUT]\n    name null\n    match *\n"
TCP = "[INPUT]\n    name tcp\n    tag a\n    port 5555\n" + OUTPUT
PARSER = "parsers:\n  - name: p\n    format: json\n"
# rule, format, text that two snippets cannot both have, the line of it
FAMILIES = [
    ("duplicate-port", "conf", TCP, 4),
    ("duplicate-db", "conf", "[INPUT]\n    name tail\n    tag a\n    db /x.db\n" + OUTPUT, 4),
    ("duplicate-alias", "conf", "[OUTPUT]\n    name null\n    match *\n    alias x\n", 4),
    ("duplicate-parser", "yaml", PARSER, 2),
    ("duplicate-multiline-parser", "yaml", "multiline_parsers:\n  - name: m\n    type: regex\n", 2),
]


def told(files: dict[str, str], newcomers: frozenset[str] | None = None, rule: str = "") -> list[Finding]:
    findings = assemble(make_snapshot(files), make_frame(), newcomers=newcomers).findings
    return [finding for finding in findings if finding.rule == (rule or finding.rule)]


@pytest.mark.parametrize(("rule", "ending", "text", "line"), FAMILIES)
def test_among_equals_the_later_yields_and_the_other_is_named(rule: str, ending: str, text: str, line: int) -> None:
    (found,) = told({f"a.{ending}": text, f"b.{ending}": text}, rule=rule)

    assert (found.snippet, found.line) == (f"platform/b.{ending}", line)
    assert f"platform/a.{ending}:{line}" in found.message


@pytest.mark.parametrize(("rule", "ending", "text", "line"), FAMILIES)
def test_an_incumbent_never_yields_to_a_newcomer(rule: str, ending: str, text: str, line: int) -> None:
    files = {f"a.{ending}": text, f"b.{ending}": text}

    (found,) = told(files, frozenset({f"platform/a.{ending}"}), rule)

    assert (found.snippet, found.line) == (f"platform/a.{ending}", line)
    assert f"platform/b.{ending}:{line}" in found.message


@pytest.mark.parametrize(("rule", "ending", "text", "line"), FAMILIES)
def test_alone_nobody_is_in_conflict(rule: str, ending: str, text: str, line: int) -> None:
    assert told({f"a.{ending}": text}, rule=rule) == []


def test_within_one_file_the_line_is_enough() -> None:
    (found,) = told({"a.conf": TCP + TCP}, rule="duplicate-port")

    assert found.line == 11
    assert "line 4 of this file" in found.message


def test_a_platform_snippet_yields_to_the_base() -> None:
    base = make_base(TCP)
    snapshot = replace(base, snippets=(*base.snippets, make_snippet("a.conf", TCP)))

    findings = [f for f in assemble(snapshot, make_frame()).findings if f.rule == "duplicate-port"]

    assert [(found.snippet, found.severity) for found in findings] == [("platform/a.conf", Severity.ERROR)]


def test_nobody_gets_the_port_of_the_monitoring_server() -> None:
    """It is there whoever was first, or nothing could be proved."""
    text = TCP.replace("5555", "2020")

    (found,) = told({"a.conf": text}, frozenset(), "duplicate-port")

    assert "monitoring server" in found.message


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("localhost", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("::1", "::1", True),
    ],
)
def test_addresses_overlap_as_the_kernel_has_it(one: str, other: str, clash: bool) -> None:
    def at(listen: str) -> Listener:
        return Listener("tcp", "tcp", listen, 1, False, None)

    assert at(one).overlaps(at(other)) is at(other).overlaps(at(one)) is clash


def test_a_port_that_is_not_known_is_nobodys() -> None:
    text = TCP.replace("5555", "${NOWHERE}")

    assert told({"a.conf": text, "b.conf": text}, rule="duplicate-port") == []


def test_a_port_from_a_variable_is_understood() -> None:
    text = "@SET P=5555\n" + TCP.replace("5555", "${P}")

    assert len(told({"a.conf": text, "b.conf": TCP}, rule="duplicate-port")) == 1


def test_a_plugin_that_does_not_listen_has_no_port() -> None:
    forward = "[OUTPUT]\n    name forward\n    match *\n    port 5555\n"
    socket = "[INPUT]\n    name forward\n    tag a\n    unix_path /x\n    port 5555\n"

    assert told({"a.conf": TCP, "b.conf": forward, "c.conf": socket}, rule="duplicate-port") == []


def test_who_has_yielded_takes_nothing_from_a_third() -> None:
    def at(listen: str) -> str:
        return TCP.replace("port 5555", f"port 5555\n    listen {listen}")

    found = told({"a.conf": at("127.0.0.1"), "b.conf": at("0.0.0.0"), "c.conf": at("127.0.0.2")}, rule="duplicate-port")

    assert [finding.snippet for finding in found] == ["platform/b.conf"]


class TestVariables:
    def test_a_variable_that_another_snippet_sets_otherwise(self) -> None:
        (found,) = told({"a.conf": "@SET X=1\n" + TCP, "b.yaml": "env:\n  X: 2\n"}, rule="duplicate-env")

        assert (found.snippet, found.line, found.severity) == ("platform/b.yaml", 2, Severity.WARNING)
        assert "platform/a.conf:1" in found.message

    def test_to_the_same_value_or_by_the_same_snippet_is_no_matter(self) -> None:
        assert told({"a.conf": "@SET X=1\n" + TCP, "b.yaml": "env:\n  X: 1\n"}, rule="duplicate-env") == []
        assert told({"a.conf": "@SET X=1\n@SET X=2\n" + TCP}, rule="duplicate-env") == []


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=5),
)
def test_every_thing_has_exactly_one_holder_and_it_is_an_incumbent_if_there_is_one(
    wishes: list[tuple[str, bool]],
) -> None:
    snippets = [make_snippet(f"{number}.conf", "") for number in range(len(wishes))]
    claims = [Claim(thing, None, snippet, 1) for (thing, _), snippet in zip(wishes, snippets, strict=True)]
    new = frozenset(snippet.name for (_, is_new), snippet in zip(wishes, snippets, strict=True) if is_new)

    yielding = {snippet.name for _, snippet, _ in contested(claims, new, lambda one, other: True)}

    for thing in {thing for thing, _ in wishes}:
        wanting = [claim.snippet.name for claim in claims if claim.key == thing and claim.snippet]
        (holder,) = [name for name in wanting if name not in yielding]
        assert holder not in new or all(name in new for name in wanting)


def test_who_is_asked_about_first_makes_no_difference() -> None:
    files = {"a.conf": TCP, "b.conf": TCP, "c.conf": TCP}

    answers = {
        tuple(sorted((f.snippet, f.message) for f in told(dict(order), frozenset({"platform/a.conf"}))))
        for order in permutations(files.items())
    }

    assert len(answers) == 1
