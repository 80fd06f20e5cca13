"""Fluent Bit's words are led back to the author's file and line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_frame, make_snapshot

from supervisor.core.assemble import assemble
from supervisor.core.blame import attributed
from supervisor.model import Candidate, Finding, Severity

TWO = {
    "a.yaml": "pipeline:\n  inputs:\n    - name: dumy\n      tag: a\n  filters:\n    - name: grep\n      match: a\n",
    "b.conf": "[INPUT]\n    name dummy\n    rat 5\n[FILTER]\n    name grep\n    rgex x\n"
    "[OUTPUT]\n    name stdout\n    match *\n",
}


def candidate_of(files: dict[str, str]) -> Candidate:
    candidate = assemble(make_snapshot(files), make_frame()).candidate
    assert candidate is not None
    return candidate


def said(message: str, path: str = "", line: int | None = None) -> Finding:
    return Finding(Severity.ERROR, "fluent-bit", message, path=path, line=line)


@pytest.mark.parametrize(
    ("message", "snippet", "line"),
    [
        ("[config] section 'dumy' tried to instance a plugin name that doesn't exist", "platform/a.yaml", 3),
        ("[config] dummy: unknown configuration property 'rat'.", "platform/b.conf", 3),
        ("[config] grep: unknown configuration property 'rgex'.", "platform/b.conf", 6),
        (
            "[config] could not configure property 'rat' on input plugin with section name 'dummy'",
            "platform/b.conf",
            3,
        ),
        ("[filter] NO match rule for grep.1 filter instance, halting to reload.", "platform/b.conf", 5),
    ],
)
def test_words_that_fit_one_place_name_it(message: str, snippet: str, line: int) -> None:
    finding = attributed(said(message), candidate_of(TWO))

    assert (finding.snippet, finding.line) == (snippet, line)


def test_words_that_fit_two_places_blame_nobody() -> None:
    both = {"a.conf": TWO["b.conf"], "b.conf": TWO["b.conf"]}

    finding = attributed(said("[config] dummy: unknown configuration property 'rat'."), candidate_of(both))

    assert (finding.snippet, finding.line) == ("", None)


def test_an_emitted_line_is_told_in_the_authors_line() -> None:
    candidate = candidate_of(TWO)
    file = candidate.files[2]
    emitted = next(number for number, text in enumerate(file.text.splitlines(), 1) if "rat:" in text)

    finding = attributed(said("bad", path=f"/somewhere/else/{file.name}", line=emitted), candidate)

    assert (finding.snippet, finding.line) == ("platform/b.conf", 3)


def test_words_that_nobody_knows_stay_as_they_are() -> None:
    finding = said("something new went wrong")

    assert attributed(finding, candidate_of(TWO)) == finding


def test_an_unknown_property_comes_with_what_was_meant() -> None:
    finding = said("[config] dummy: unknown configuration property 'tagg'.")
    listed = replace(finding, hint="allowed: samples, dummy, and copies.")

    assert attributed(listed, candidate_of(TWO)).hint == "did you mean 'tag'?"
    assert (
        attributed(replace(listed, message=finding.message.replace("tagg", "zzz")), candidate_of(TWO)).hint
        == listed.hint
    )
