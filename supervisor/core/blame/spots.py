"""Where in the candidate could a message come from?

A `Spot` is a section, or a unit among its processors. Fluent Bit names an instance by its alias or by PLUGIN.N, where N
counts (each tried on 5.1.1):

- inputs, filters and outputs of all plugins together, each kind for itself, in load order, those of the command line
  first;
- for a processor that is a filter the filters that were read before: those of the command line for one of an input,
  all of them for one of an output; so two units and a filter may have one name;
- for other processors nothing: always 0.

A parser has the name that it is given. One in a file of its own stands, for us, where that file is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from supervisor.config.names import lower
from supervisor.config.parse import parse
from supervisor.model import Candidate, Entry, Group, Kind, Node, Origin, RenderedFile, Scalar, Section
from supervisor.model import Sequence as Listing

_OPTIONS = {Kind.INPUT: ("-i", "--input"), Kind.FILTER: ("-F", "--filter"), Kind.OUTPUT: ("-o", "--output")}
_PARSERS = frozenset((Kind.PARSER, Kind.MULTILINE_PARSER))
_FILE_OF_PARSERS = re.compile(r"^ *parsers_file: .*/(?P<name>files/[^/\"']+)[\"']?$")


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A section, or one unit of the processors of a section."""

    kind: Kind
    plugin: str
    names: frozenset[str]  # what Fluent Bit may call it
    entries: tuple[Entry, ...]
    line: int  # in the emitted file, or in `inside`
    file: RenderedFile
    section: int  # equal for a section and its units
    unit: bool = False
    inside: str = ""  # path of the parsers file that it stands in
    named_at: int = 0  # the emitted line that names that file

    def origin(self, line: int) -> Origin | None:
        """Who says that line. In what all share, only who says that very line."""
        if self.inside or self.kind in (Kind.SERVICE, Kind.ENV):
            said_at = self.named_at or line
            return self.file.origins[said_at - 1] if 0 < said_at <= len(self.file.origins) else None
        return at_or_above(self.file, line)

    def texts(self) -> Iterator[tuple[str, Scalar]]:
        """Every key with each text that it is given; processors and conditions apart."""
        for entry in self.entries:
            if lower(entry.key) not in ("processors", "condition"):
                for scalar in _scalars(entry.value):
                    yield lower(entry.key), scalar

    def conditions(self) -> Iterator[tuple[str, Scalar]]:
        """The same of the condition under which a unit works."""
        for entry in self.entries:
            if lower(entry.key) == "condition":
                yield from _keyed(entry.value)


def spots_of(candidate: Candidate, arguments: Sequence[str] = ()) -> tuple[Spot, ...]:
    """All of them in load order. `arguments` are the pipeline on the command line, which counts and is nobody's."""
    first = {kind: sum(_is_option(each, names) for each in arguments) for kind, names in _OPTIONS.items()}
    sections = [(file, section) for file in candidate.files for section in _sections(file)]
    filters = first[Kind.FILTER] + sum(section.kind is Kind.FILTER for _, section in sections)
    before = {Kind.INPUT: first[Kind.FILTER], Kind.OUTPUT: filters}
    counts = dict(first)
    spots: list[Spot] = []
    for number, (file, section) in enumerate(sections):
        names = set[str]()
        plugin = lower(_text(section.entries, "name"))
        if section.kind in counts:
            names = {f"{plugin}.{counts[section.kind]}", _text(section.entries, "alias")} - {""}
            counts[section.kind] += 1
        elif section.kind in _PARSERS:
            names = {_text(section.entries, "name")} - {""}
        spots.append(Spot(section.kind, plugin, frozenset(names), section.entries, section.line, file, number))
        spots += _units(file, section, number, before.get(section.kind, 0))
    return (*spots, *_in_parsers_files(candidate, len(sections)))


def at_or_above(file: RenderedFile, line: int | None) -> Origin | None:
    """The nearest line at or above that has an author; else the first that has one."""
    if line is not None:
        for index in range(min(line, len(file.origins)) - 1, -1, -1):
            if (origin := file.origins[index]) is not None:
                return origin
    return next((origin for origin in file.origins if origin is not None), None)


def _is_option(argument: str, names: tuple[str, str]) -> bool:
    return argument in names or argument.startswith(f"{names[1]}=")


def _sections(file: RenderedFile) -> tuple[Section, ...]:
    return _parsed(file.text.encode("utf-8", "surrogateescape"), file.name)


def _parsed(content: bytes, name: str) -> tuple[Section, ...]:
    document = parse(content, name).document
    return document.sections if document is not None else ()


def _in_parsers_files(candidate: Candidate, number: int) -> Iterator[Spot]:
    """The parsers of each file that we copied, once for everybody who names it. `number`: the first section's."""
    copies = {copy.name: copy for copy in candidate.copies}
    main = candidate.files[0]  # it alone has a service section
    for line, text in enumerate(main.text.split("\n"), 1):
        found = _FILE_OF_PARSERS.match(text)
        if found is None or (copy := copies.get(found["name"])) is None:
            continue
        for section in _parsed(copy.content, copy.source):
            names = frozenset((_text(section.entries, "name"),)) - {""}
            if section.kind in _PARSERS:
                spot = Spot(section.kind, "", names, section.entries, section.line, main, number)
                yield replace(spot, inside=copy.source, named_at=line)
                number += 1


def _units(file: RenderedFile, section: Section, number: int, filters: int) -> Iterator[Spot]:
    for entry in section.entries:
        if lower(entry.key) != "processors" or not isinstance(entry.value, Group):
            continue
        for signal in entry.value.entries:
            for unit in signal.value.items if isinstance(signal.value, Listing) else ():
                if isinstance(unit, Group):
                    plugin = lower(_text(unit.entries, "name"))
                    names = {f"{plugin}.{filters}", f"{plugin}.0", _text(unit.entries, "alias")} - {""}
                    line = unit.entries[0].line if unit.entries else unit.line
                    yield Spot(Kind.FILTER, plugin, frozenset(names), unit.entries, line, file, number, unit=True)


def _text(entries: tuple[Entry, ...], key: str) -> str:
    for entry in entries:
        if lower(entry.key) == key and isinstance(entry.value, Scalar):
            return entry.value.text
    return ""


def _scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Listing(items=items):
            for item in items:
                yield from _scalars(item)
        case Group(entries=entries):
            for entry in entries:
                yield from _scalars(entry.value)


def _keyed(node: Node) -> Iterator[tuple[str, Scalar]]:
    match node:
        case Group(entries=entries):
            for entry in entries:
                if isinstance(entry.value, Scalar):
                    yield lower(entry.key), entry.value
                else:
                    yield from _keyed(entry.value)
        case Listing(items=items):
            for item in items:
                yield from _keyed(item)
        case Scalar():
            yield "", node
