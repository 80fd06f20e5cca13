"""Whom does this message point at?

Fluent Bit speaks of the files that we emitted, of instances by number, or of nothing at all. Here its words are led
back to the author's file and line: by the emitted line where it names one, else by the instance that it names, else by
words that only one place in the candidate says. Two places that fit: nobody is pointed at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from supervisor.config.lint import did_you_mean
from supervisor.core.blame.files import with_sources
from supervisor.core.blame.lines import line_within
from supervisor.core.blame.spots import Spot, at_or_above, spots_of
from supervisor.core.blame.words import ECHO, UNKNOWN_PROPERTY, fitting
from supervisor.model import Candidate, Finding, RenderedFile

__all__ = ["attributed", "named_snippets", "traced"]

_EVERYWHERE = (
    *("tag", "match", "match_regex", "alias", "log_level", "log_suppress_interval", "mem_buf_limit", "storage.type"),
    *("threaded", "retry_limit", "workers", "storage.total_limit_size", "processors", "routes", "host", "port", "tls"),
)
"""Properties that Fluent Bit takes beside those of the plugin, and does not list in its message."""


def attributed(finding: Finding, candidate: Candidate, arguments: Sequence[str] = ()) -> Finding:
    """The finding, told in the author's file and line as far as it can be known from its own words.

    `arguments` are the pipeline on the command line of who said it, if there is one: its instances are counted first.
    A finding that names its snippet is left as it is.
    """
    if finding.snippet:
        return finding
    return _told(_Cause([finding], fitting(finding.message, spots_of(candidate, arguments))), candidate)


def traced(findings: Iterable[Finding], candidate: Candidate, arguments: Sequence[str] = ()) -> tuple[Finding, ...]:
    """What one start says, each cause once and in the words that came first, with its place.

    An init that fails is told from the inside to the outside: what is wrong, the unit, the instance, the engine. So the
    later lines may name what the first ones leave open, and say nothing new. What names its snippet or file already is
    told as it is.
    """
    spots = spots_of(candidate, arguments)
    causes: list[_Cause] = []
    for finding in reversed(tuple(findings)):
        fits = frozenset[Spot]() if finding.snippet else fitting(finding.message, spots)
        if causes and not finding.snippet and causes[0].takes(fits):
            causes[0].add(finding, fits)
        else:
            causes.insert(0, _Cause([finding], fits, finding.message if fits else ""))
    telling = [cause for cause in causes if not ECHO.match(cause.lines[0].message)] or causes
    return tuple(dict.fromkeys(_told(cause, candidate) for cause in telling))


def named_snippets(findings: Iterable[Finding], candidate: Candidate, arguments: Sequence[str] = ()) -> frozenset[str]:
    """The snippets that the errors of a start, or of a running child, point at."""
    return frozenset(found.snippet for found in traced(findings, candidate, arguments) if found.snippet)


@dataclass(slots=True)
class _Cause:
    """Lines that tell of one thing, first line first, and the spots that fit all that name any."""

    lines: list[Finding]
    fits: frozenset[Spot] = field(default_factory=frozenset)
    naming: str = ""  # the earliest line that fits somewhere

    def takes(self, fits: frozenset[Spot]) -> bool:
        """Whether an earlier line may tell of the same: it does not point elsewhere, and nothing is told of a file."""
        first = self.lines[0]
        return not first.snippet and not first.path and (not fits or not self.fits or bool(self.fits & fits))

    def add(self, earlier: Finding, fits: frozenset[Spot]) -> None:
        self.lines.insert(0, earlier)
        self.naming = earlier.message if fits else self.naming
        self.fits = self.fits & fits if self.fits and fits else self.fits or fits

    def spot(self) -> Spot | None:
        """The one that is meant. A section that fits together with its own units is meant itself."""
        if len(self.fits) == 1:
            return next(iter(self.fits))
        whole = [spot for spot in self.fits if not spot.unit]
        return whole[0] if len({spot.section for spot in self.fits}) == 1 and len(whole) == 1 else None


def _told(cause: _Cause, candidate: Candidate) -> Finding:
    if cause.lines[0].snippet:
        return cause.lines[0]
    finding = _with_meant(cause.lines[0])
    finding = replace(finding, message=with_sources(finding.message, candidate.copies))
    if (spot := cause.spot()) is not None:
        line = line_within(spot, [said.message for said in cause.lines])
        origin = spot.origin(line)
        if origin is not None:
            message = finding.message
            if spot.inside:
                message = f"{message} ({spot.inside}, line {line})"
            if cause.naming not in ("", cause.lines[0].message) and not ECHO.match(cause.naming):
                message = f"{message}; {cause.naming}"  # the first words say what, these say where
            return replace(finding, message=message, snippet=origin.snippet, path="", line=origin.line, column=None)
    return _by_file(finding, candidate)


def _by_file(finding: Finding, candidate: Candidate) -> Finding:
    """By the file and line that Fluent Bit names, if it names any."""
    if not finding.path:
        return finding
    file = _emitted(finding.path, candidate)
    if file is None:
        name = posixpath.basename(finding.path)
        source = next((copy.source for copy in candidate.copies if posixpath.basename(copy.name) == name), None)
        return finding if source is None else replace(finding, path=source)
    origin = at_or_above(file, finding.line)
    if origin is None:
        return replace(finding, path="", line=None, column=None)
    return replace(finding, snippet=origin.snippet, path="", line=origin.line, column=None)


def _emitted(path: str, candidate: Candidate) -> RenderedFile | None:
    name = posixpath.basename(path)
    return next((file for file in candidate.files if posixpath.basename(file.name) == name), None)


def _with_meant(finding: Finding) -> Finding:
    """For an unknown property, what was probably meant instead of the whole list of what is allowed."""
    found = UNKNOWN_PROPERTY.search(finding.message)
    _, allowed, names = finding.hint.partition("allowed: ")
    if found is None or not allowed:
        return finding
    known = [name.strip(" .") for name in names.replace(", and ", ", ").split(",")]
    meant = did_you_mean(found["key"].lower(), [*known, *_EVERYWHERE])
    return replace(finding, hint=meant) if meant else finding
