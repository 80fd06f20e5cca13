"""Which matches are surely out of reach: and whenever that is not sure, nothing is said."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_frame, make_snapshot

from supervisor.config.lint.tags import Patterns
from supervisor.core.assemble import assemble
from supervisor.model import Finding

NULL = "[OUTPUT]\n    name null\n    match "


def told(text: str, name: str = "a.conf", **frame: object) -> list[Finding]:
    findings = assemble(make_snapshot({name: text}), make_frame(**frame)).findings
    return [finding for finding in findings if finding.rule in ("unreachable-match", "undelivered-input")]


def unreached(inputs: str, match: str) -> bool:
    return "unreachable-match" in {finding.rule for finding in told(f"{inputs}{NULL}{match}\n{NULL}*\n")}


@pytest.mark.parametrize(
    ("tag", "match", "reached"),
    [
        ("app.web", "app.*", True),
        ("app.web", "*.web", True),
        ("app.web", "a*.w*b", True),
        ("app.web", "app", False),
        ("app.web", "App.*", False),
        ("app.web", "app.*.x", False),
        ("kube.*", "kube.var.log", True),
        ("kube.*", "k*", True),
        ("kube.*", "kub", False),
        ("kube.*.x", "*.y", False),
    ],
)
def test_a_star_stands_for_any_text_on_both_sides(tag: str, match: str, reached: bool) -> None:
    assert unreached(f"[INPUT]\n    name tail\n    path x\n    tag {tag}\n", match) is not reached


@pytest.mark.parametrize(
    "inputs",
    [
        "[INPUT]\n    name forward\n",
        "[INPUT]\n    name http\n    tag a\n",
        "[INPUT]\n    name opentelemetry\n    tag a\n",
        "[INPUT]\n    name mine\n    tag a\n",
        "[INPUT]\n    name dummy\n    tag ${NOWHERE}\n",
        "[INPUT]\n    name tcp\n    tag a\n    tag_key x\n",
        "[INPUT]\n    name tail\n    tag_regex (?<a>.*)\n    tag <a>.x\n",
        "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name rewrite_tag\n    match *\n    rule $a x b.$TAG false\n",
        "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name rewrite_tag\n    match *\n    rule nonsense\n",
        "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name log_to_metrics\n    match *\n    tag b.x\n",
        "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name of_mine\n    match *\n",
        "[INPUT]\n    name dummy\n    tag a\n[CUSTOM]\n    name calyptia\n",
        "[INPUT]\n    name dummy\n    tag a\n[SERVICE]\n    streams_file x\n",
        "[INPUT]\n    name dummy\n    tag a\n[STREAM_PROCESSOR]\n    name t\n    exec SELECT * FROM TAG:'a';\n",
    ],
)
def test_where_a_tag_may_come_from_elsewhere_nothing_is_said(inputs: str) -> None:
    assert not unreached(inputs, "b.x")


def test_a_tag_that_was_not_given_is_the_plugins_name() -> None:
    assert not unreached("[INPUT]\n    name cpu\n", "cpu.0")
    assert unreached("[INPUT]\n    name cpu\n", "mem.0")


def test_a_filter_that_makes_one_tag_makes_no_other() -> None:
    inputs = "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name rewrite_tag\n    match *\n    rule $a x b false\n"

    assert unreached(inputs, "c")


@pytest.mark.parametrize(
    ("regex", "reached"),
    [("^app\\.", True), ("web", False), (".*web$", True), ("\\h+", True), ("(?i)APP.*", True), ("[[:alpha:]]", True)],
)
def test_a_regular_expression_counts_from_the_beginning(regex: str, reached: bool) -> None:
    text = f"[INPUT]\n    name dummy\n    tag app.web\n[OUTPUT]\n    name null\n    match_regex {regex}\n{NULL}*\n"

    assert bool(told(text)) is not reached


def test_a_pipeline_on_the_command_line_may_give_any_tag() -> None:
    text = f"[INPUT]\n    name dummy\n    tag a\n{NULL}b\n"

    assert told(text)
    assert not told(text, pipeline=True, arguments=("-i", "cpu"))


def test_an_output_that_a_route_leads_to_needs_no_tag() -> None:
    text = """
pipeline:
  inputs:
    - name: dummy
      tag: a
      routes: {logs: [{name: r, condition: {default: true}, to: {outputs: [sink]}}]}
  outputs:
    - {name: stdout, alias: sink, match: b}
    - {name: "null", match: '*'}
"""
    assert not told(text, "a.yaml")


def test_outputs_alone_wait_for_the_inputs_of_others() -> None:
    assert not told(f"{NULL}b\n[FILTER]\n    name grep\n    match c\n")


def test_the_tags_that_there_are_help() -> None:
    found = next(f for f in told(f"[INPUT]\n    name dummy\n    tag right\n{NULL}wrong\n{NULL}*\n"))

    assert found.hint == "the tags are: right"


TEXTS = st.text("ab*", max_size=4)


@given(TEXTS, st.lists(TEXTS, max_size=4))
def test_two_patterns_meet_if_and_only_if_one_text_fits_both(asked: str, texts: list[str]) -> None:
    fillings = ["", "a", "b", "ab", "ba", "aab", "abb", "bab", "aba"]
    grown = {text.replace("*", filling) for text in (asked, *texts) for filling in fillings}
    common = [g for g in grown for t in texts if fnmatch.fnmatchcase(g, asked) and fnmatch.fnmatchcase(g, t)]

    met = Patterns(texts).meet(asked)

    assert met or not common, "what fits both is found"
    if met and "*" not in asked:
        assert any(fnmatch.fnmatchcase(asked, text) for text in texts)


def test_what_a_variable_holds_is_not_told() -> None:
    text = f"[INPUT]\n    name dummy\n    tag x.${{PATH}}\n{NULL}y.*\n"

    found = told(text)

    assert {finding.rule for finding in found} == {"unreachable-match", "undelivered-input"}
    assert all("/bin" not in finding.message + finding.hint for finding in found)


@pytest.mark.parametrize("dear", ["(a+)+$", "a*a*a*a*a*b"])
def test_no_expression_keeps_us_busy(dear: str) -> None:
    text = f"[INPUT]\n    name dummy\n    tag {'a' * 5000}\n[OUTPUT]\n    name null\n    match_regex {dear}\n{NULL}*\n"

    assert not told(text)


def test_no_pattern_keeps_us_busy() -> None:
    tag, match = "a" * 5000, "*a" * 1000 + "b"

    assert unreached(f"[INPUT]\n    name dummy\n    tag {tag}\n", match)
