"""One finding for one cause, and told to whoever can mend it."""

from __future__ import annotations

from dataclasses import replace

from supervisor.model import Finding, Severity
from supervisor.prepare.causes import each_once

DOUBT = Finding(Severity.WARNING, "unknown-plugin", "no such plugin", "did you mean null?", "base/a.conf", "/a.conf", 2)
REFUSED = Finding(Severity.ERROR, "dry-run", "[config] no such section", "", "base/a.conf", "/a.conf", 2)


def test_our_doubt_about_the_line_that_fluent_bit_refuses_becomes_its_hint() -> None:
    (told,) = each_once((REFUSED, DOUBT))

    assert told == replace(REFUSED, hint="unknown-plugin: no such plugin; did you mean null?")


def test_a_doubt_about_another_line_or_another_file_stays() -> None:
    elsewhere = (
        replace(DOUBT, line=3),
        replace(DOUBT, snippet="base/b.conf", path="/b.conf"),
        replace(DOUBT, line=None),
    )

    assert each_once((REFUSED, *elsewhere)) == (REFUSED, *elsewhere)


def test_of_two_doubts_about_a_line_none_is_taken_for_the_cause() -> None:
    other = replace(DOUBT, rule="unset-variable")

    assert each_once((REFUSED, DOUBT, other)) == (REFUSED, DOUBT, other)


def test_two_errors_on_one_line_are_both_told() -> None:
    other = replace(REFUSED, rule="bad-value")

    assert each_once((REFUSED, other)) == (REFUSED, other)


def test_a_key_that_stands_twice_is_told_once() -> None:
    twice = replace(DOUBT, rule="duplicate-key", severity=Severity.ERROR)
    repeated = replace(DOUBT, rule="repeated-property")

    assert each_once((twice, repeated)) == (twice,)
    assert each_once((repeated,)) == (repeated,)


def test_a_second_service_is_told_once() -> None:
    service = replace(DOUBT, rule="duplicate-service", severity=Severity.ERROR)
    key = replace(service, rule="duplicate-key")

    assert each_once((key, service)) == (service,)


def mistyped(line: int, key: str, snippet: str = "base/a.conf") -> Finding:
    return Finding(Severity.ERROR, "unknown-property", "no such property", f"did you mean '{key}'?", snippet, "", line)


def missing(line: int, rule: str = "output-without-match", key: str = "match") -> Finding:
    return Finding(Severity.ERROR, rule, f"it has no '{key}'", "", "base/a.conf", "", line)


def test_a_key_that_is_mistyped_is_not_told_to_be_missing_as_well() -> None:
    for wrong, lacking in (
        (mistyped(9, "match"), missing(7)),
        (mistyped(9, "match_regex"), missing(7, "filter-without-match")),
        (mistyped(7, "path"), missing(7, "missing-property", "path")),
    ):
        assert each_once((lacking, wrong)) == (wrong,)


def test_what_another_key_or_another_section_misses_is_told() -> None:
    for others in (
        (mistyped(9, "host"), missing(7)),
        (mistyped(9, "match"), missing(10)),
        (mistyped(9, "match", "base/b.conf"), missing(7)),
        (mistyped(9, "path"), missing(7), missing(7, "missing-property", "host")),
        (mistyped(9, "match"), missing(3), missing(7, "missing-property", "host")),
    ):
        assert each_once(others) == others


def test_only_the_section_with_the_mistyped_key_is_relieved() -> None:
    wrong = mistyped(14, "match")

    assert each_once((missing(7), missing(12), wrong)) == (missing(7), wrong)


def test_a_mistyped_tag_is_the_reason_why_nothing_goes_anywhere() -> None:
    typo = Finding(Severity.ERROR, "unknown-property", "no 'tagg'", "did you mean 'tag'?", "platform/a", "/a", 4)
    doubts = (
        Finding(Severity.WARNING, "undelivered-input", "no output", "", "platform/a", "/a", 3),
        Finding(Severity.WARNING, "unreachable-match", "no input", "", "platform/a", "/a", 8),
    )
    others = tuple(replace(doubt, snippet="platform/b") for doubt in doubts)

    assert each_once((typo, *doubts, *others)) == (typo, *others)
    assert each_once((replace(typo, hint="did you mean 'rate'?"), *doubts))[1:] == doubts
