"""What Fluent Bit accepts in silence, and we do not."""

from __future__ import annotations

import pytest
from making import make_base, make_frame, make_snapshot, make_snippet

from supervisor.core.assemble import assemble
from supervisor.model import Finding, Severity, Snapshot, Trust

GOOD = "pipeline:\n  inputs:\n    - name: dummy\n      tag: a\n  outputs:\n    - name: stdout\n      match: a\n"


def found(snapshot: Snapshot, rule: str, **frame: object) -> list[Finding]:
    return [finding for finding in assemble(snapshot, make_frame(**frame)).findings if finding.rule == rule]


# rule, file name, text that must be flagged, its line, text that must not, severity for the platform
CASES = [
    ("unknown-section", "a.conf", "[INPUT]\n    name dummy\n[OUTPT]\n    name stdout\n    match *\n", 3,
     "[INPUT]\n    name dummy\n[OUTP]\n    name stdout\n    match *\n", Severity.ERROR),
    ("unknown-section", "a.yaml", "pipelines:\n  x: y\n" + GOOD, 1, GOOD, Severity.ERROR),
    ("no-output", "a.conf", "\n[INPUT]\n    name dummy\n", 2,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match *\n", Severity.WARNING),
    ("empty-snippet", "a.conf", "# nothing yet\n", 1, "[FILTER]\n    name stdout\n    match *\n", Severity.WARNING),
    ("output-without-match", "a.conf",
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n[OUTPUT]\n    name stdout\n    match *\n", 3,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match_regex x\n[OUTPUT]\n    name stdout\n    match *\n",
     Severity.ERROR),
    ("torn-file", "a.conf", "[INPUT]\n    name dummy\n[OUTPUT]", 3,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name stdout\n    match *", Severity.ERROR),
    ("missing-name", "a.yaml", "pipeline:\n  inputs:\n    - tag: a\n", 3, GOOD, Severity.ERROR),
    ("filter-without-match", "a.conf", "[FILTER]\n    name grep\n", 1,
     "[FILTER]\n    name grep\n    match *\n", Severity.ERROR),
    ("unset-variable", "a.conf", "[INPUT]\n    name dummy\n    tag ${NOWHERE}\n", 3,
     "[INPUT]\n    name dummy\n    tag ${NOWHERE:-x}${PATH}\n", Severity.WARNING),
    ("duplicate-alias", "a.conf",
     "[INPUT]\n    name dummy\n    alias x\n[INPUT]\n    name cpu\n    alias x\n", 6,
     "[INPUT]\n    name dummy\n    alias x\n[FILTER]\n    name grep\n    match *\n    alias x\n", Severity.WARNING),
    ("unknown-service-key", "a.yaml", "service:\n  flsh: 1\n", 2, "service:\n  flush: 1\n", Severity.WARNING),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "bad", "line", "good", "severity"), CASES)
def test_each_rule_flags_its_fault_with_its_line_and_nothing_else(
    rule: str, name: str, bad: str, line: int, good: str, severity: Severity
) -> None:
    flagged = found(make_snapshot({name: bad}), rule)

    assert [(finding.line, finding.severity) for finding in flagged] == [(line, severity)]
    assert flagged[0].snippet == f"platform/{name}"
    assert flagged[0].path
    assert not found(make_snapshot({name: good}), rule)


@pytest.mark.parametrize(("rule", "name", "bad", "line", "good", "severity"), CASES)
def test_what_stock_runs_is_at_most_a_warning_in_the_base(
    rule: str, name: str, bad: str, line: int, good: str, severity: Severity
) -> None:
    flagged = found(make_base(bad, name), rule)

    assert [finding.severity for finding in flagged] == [Severity.WARNING]


def test_a_misspelt_section_comes_with_what_was_meant() -> None:
    (finding,) = found(make_snapshot({"a.conf": "[OUTPT]\n    name stdout\n"}), "unknown-section")

    assert "OUTPUT" in finding.hint


def test_a_single_pair_needs_no_match() -> None:
    """Fluent Bit routes it by itself."""
    snapshot = make_snapshot({"a.conf": "[INPUT]\n    name dummy\n[OUTPUT]\n    name stdout\n"})

    assert not found(snapshot, "output-without-match")


def test_an_output_reached_by_a_conditional_route_needs_no_match() -> None:
    text = """
pipeline:
  inputs:
    - name: dummy
      routes:
        logs:
          - name: all
            condition: {default: true}
            to:
              outputs: [sink]
    - name: cpu
  outputs:
    - name: stdout
      alias: sink
    - name: "null"
      match: '*'
"""
    assert not found(make_snapshot({"a.yaml": text}), "output-without-match")


@pytest.mark.parametrize("text", ["env:\n  X: 1\n", ""])
def test_a_variable_that_the_config_sets_is_set(text: str) -> None:
    used = "pipeline:\n  inputs:\n    - name: dummy\n      tag: ${X}\n"

    flagged = found(make_snapshot({"a.yaml": text + used}), "unset-variable")

    assert bool(flagged) is not bool(text)


def test_tenants_are_left_out_and_told_while_the_others_go_on() -> None:
    tenant = make_snippet("a.conf", "[INPUT]\n    name dummy\n", Trust.TENANT)
    platform = make_snippet("b.yaml", GOOD)
    assembled = assemble(Snapshot("d", (platform, tenant)), make_frame())

    assert not assembled.refused
    assert assembled.candidate is not None
    assert set(assembled.candidate.members) == {"platform/b.yaml"}
    assert [finding.rule for finding in assembled.findings if finding.snippet == tenant.name] == ["tenant-not-granted"]
