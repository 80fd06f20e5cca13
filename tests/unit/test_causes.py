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
