"""Whom does this message point at?

Fluent Bit speaks of the files that we emitted, or of no file at all. Here its words are led back to the author's file
and line: by the emitted line where it names one, else by the plugin and property that it complains about, if only one
place in the candidate says them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from supervisor.config.lint import did_you_mean
from supervisor.config.parse import parse
from supervisor.model import Candidate, Entry, Finding, Kind, Origin, RenderedFile, Section

_PLUGIN_KINDS = {Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM}
_UNKNOWN_PLUGIN = re.compile(r"section '(?P<plugin>[^']*)' tried to instance a plugin name that doesn't exist")
_UNKNOWN_PROPERTY = re.compile(r"(?P<plugin>[A-Za-z0-9_-]+): unknown configuration property '(?P<key>[^']*)'")
_BAD_PROPERTY = re.compile(
    r"could not configure property '(?P<key>[^']*)' on \w+ plugin with section name '(?P<plugin>[^']*)'"
)
_NO_MATCH = re.compile(r"NO match rule for (?P<plugin>[A-Za-z0-9_-]+)\.(?P<number>\d+) filter instance")
_EVERYWHERE = (
    *("tag", "match", "match_regex", "alias", "log_level", "log_suppress_interval", "mem_buf_limit", "storage.type"),
    *("threaded", "retry_limit", "workers", "storage.total_limit_size", "processors", "routes", "host", "port", "tls"),
)
"""Properties that Fluent Bit takes beside those of the plugin, and does not list in its message."""

_PATTERNS = (_UNKNOWN_PLUGIN, _UNKNOWN_PROPERTY, _BAD_PROPERTY)


def attributed(finding: Finding, candidate: Candidate) -> Finding:
    """The finding, told in the author's file and line as far as it can be known."""
    finding = _with_meant(finding)
    if (named := _by_words(finding.message, candidate)) is not None:
        return replace(finding, snippet=named.snippet, path="", line=named.line, column=None)
    if not finding.path:
        return finding
    file = _emitted(finding.path, candidate)
    if file is None:
        name = posixpath.basename(finding.path)
        source = next((copy.source for copy in candidate.copies if posixpath.basename(copy.name) == name), None)
        return finding if source is None else replace(finding, path=source)
    origin = _at_or_above(file, finding.line)
    if origin is None:
        return replace(finding, path="", line=None, column=None)
    return replace(finding, snippet=origin.snippet, path="", line=origin.line, column=None)


def _with_meant(finding: Finding) -> Finding:
    """For an unknown property, what was probably meant instead of the whole list of what is allowed."""
    found = _UNKNOWN_PROPERTY.search(finding.message)
    _, allowed, names = finding.hint.partition("allowed: ")
    if found is None or not allowed:
        return finding
    known = [name.strip(" .") for name in names.replace(", and ", ", ").split(",")]
    meant = did_you_mean(found["key"].lower(), [*known, *_EVERYWHERE])
    return replace(finding, hint=meant) if meant else finding


def _emitted(path: str, candidate: Candidate) -> RenderedFile | None:
    name = posixpath.basename(path)
    return next((file for file in candidate.files if posixpath.basename(file.name) == name), None)


def _at_or_above(file: RenderedFile, line: int | None) -> Origin | None:
    """The nearest line at or above that has an author; else the first that has one."""
    if line is not None:
        for index in range(min(line, len(file.origins)) - 1, -1, -1):
            if (origin := file.origins[index]) is not None:
                return origin
    return next((origin for origin in file.origins if origin is not None), None)


def _by_words(message: str, candidate: Candidate) -> Origin | None:
    """The one place that says what the message complains about. Two such places: nobody is pointed at."""
    found = next((match for pattern in _PATTERNS if (match := pattern.search(message))), None)
    if found is not None:
        places = set(_places(candidate, found["plugin"], found.groupdict().get("key")))
    elif (found := _NO_MATCH.search(message)) is not None:
        filters = list(_sections(candidate, Kind.FILTER, None))  # numbered all together, whatever their plugin
        number = int(found["number"])
        places = {_origin(*filters[number], None)} if number < len(filters) else set()
    else:
        return None
    return places.pop() if len(places) == 1 else None


def _places(candidate: Candidate, plugin: str, key: str | None) -> Iterator[Origin | None]:
    for kind in _PLUGIN_KINDS:
        for file, section in _sections(candidate, kind, plugin):
            for entry in section.entries:
                if entry.key.lower() == (key or "name").lower():
                    yield _origin(file, section, entry)


def _sections(candidate: Candidate, kind: Kind, plugin: str | None) -> Iterator[tuple[RenderedFile, Section]]:
    for file in candidate.files:
        document = parse(file.text.encode("utf-8", "surrogateescape"), file.name).document
        for section in document.sections if document is not None else ():
            name = section.get("name")
            if section.kind is kind and (plugin is None or (name is not None and _same(name.text, plugin))):
                yield file, section


def _same(name: str, plugin: str) -> bool:
    return name.lower() == plugin.lower()


def _origin(file: RenderedFile, section: Section, entry: Entry | None) -> Origin | None:
    return _at_or_above(file, entry.line if entry is not None else section.line)
