"""When does Fluent Bit route records without being told?

With exactly one input and one output in all, an output that names no match gets everything (seen on 5.1.1). A
`storage.path` ends that: it brings an input of its own, for what lies on disk, and the output gets nothing, without a
word. So whoever sets a storage path must write the route out, or leave the path away. What tenants add must not end it
either: their sections do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from supervisor.config.lint import Located
from supervisor.model import Entry, Kind, Scalar, Trust

_INPUTS = ("-i", "--input")
_OUTPUTS = ("-o", "--output")
_MATCHES = ("-m", "--match")


def is_routed_unasked(arguments: Sequence[str], located: Sequence[Located]) -> bool:
    """Whether all records go to the one output only because it is the one output.

    `arguments` are a pipeline on the command line, options and values in turn.
    """
    counted = [place for place in located if place.snippet.trust is not Trust.TENANT]
    kinds = [place.section.kind for place in counted]
    options = list(zip(arguments[::2], arguments[1::2], strict=False))
    named = [option for option, _ in options]
    inputs = kinds.count(Kind.INPUT) + sum(named.count(option) for option in _INPUTS)
    outputs = kinds.count(Kind.OUTPUT) + sum(named.count(option) for option in _OUTPUTS)
    if (inputs, outputs) != (1, 1):
        return False
    return not any(_is_matched(place) for place in counted) and not _names_match(options)


def with_route(arguments: Sequence[str], located: Sequence[Located]) -> list[Located]:
    """The sections with that route written out. One of the command line's pipeline cannot be: it stays as it is."""
    if not is_routed_unasked(arguments, located):
        return list(located)
    return [_matching_all(place) if _is_the_one(place) else place for place in located]


def _is_the_one(place: Located) -> bool:
    return place.section.kind is Kind.OUTPUT and place.snippet.trust is not Trust.TENANT


def _matching_all(place: Located) -> Located:
    section = place.section
    match = Entry("match", Scalar("*", section.line), section.line)
    return replace(place, section=replace(section, entries=(*section.entries, match)))


def _is_matched(place: Located) -> bool:
    section = place.section
    return section.kind is Kind.OUTPUT and any(
        entry.key.lower() in ("match", "match_regex") for entry in section.entries
    )


def _names_match(options: Sequence[tuple[str, str]]) -> bool:
    """Whether the output of the command line has a match; those of filters do not count."""
    of_output = False
    for option, value in options:
        if option.startswith(("-i", "--input", "-F", "--filter", "-o", "--output")):
            of_output = option in _OUTPUTS
        elif of_output and (option in _MATCHES or value.lower().startswith(("match=", "match_regex="))):
            return True
    return False
