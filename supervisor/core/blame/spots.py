"""Where in the candidate could a message come from?

A `Spot` is a section, or a unit among its processors. Fluent Bit names an instance by its alias or by PLUGIN.N, where N
counts (each tried on 5.1.1):

- inputs, filters and outputs of all plugins together, each kind for itself, in load order, those of the command line
  first;
- for a processor that is a filter the filters that were read before: those of the command line for one of an input,
  all of them for one of an output; so two units and a filter may have one name;
- for other processors nothing: always 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from supervisor.config.names import lower
from supervisor.config.parse import parse
from supervisor.model import Candidate, Entry, Group, Kind, Node, Origin, RenderedFile, Scalar, Section
from supervisor.model import Sequence as Listing

_OPTIONS = {Kind.INPUT: ("-i", "--input"), Kind.FILTER: ("-F", "--filter"), Kind.OUTPUT: ("-o", "--output")}


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A section, or one unit of the processors of a section."""

    kind: Kind
    plugin: str
    names: frozenset[str]  # what Fluent Bit may call it
    entries: tuple[Entry, ...]
    line: int  # in the emitted file
    file: RenderedFile
    section: int  # equal for a section and its units
    unit: bool = False

    def origin(self, line: int) -> Origin | None:
        """Who says that line. In what all share, only who says that very line."""
        if self.kind in (Kind.SERVICE, Kind.ENV):
            return self.file.origins[line - 1] if 0 < line <= len(self.file.origins) else None
        return at_or_above(self.file, line)

    def texts(self) -> Iterator[tuple[str, Scalar]]:
        """Every key with each text that it is given; processors apart."""
        for entry in self.entries:
            if lower(entry.key) not in ("processors", "condition"):
                for scalar in _scalars(entry.value):
                    yield lower(entry.key), scalar


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
        plugin = _text(section.entries, "name")
        if section.kind in counts:
            names = {f"{plugin}.{counts[section.kind]}", _text(section.entries, "alias")} - {""}
            counts[section.kind] += 1
        spots.append(Spot(section.kind, plugin, frozenset(names), section.entries, section.line, file, number))
        spots += _units(file, section, number, before.get(section.kind, 0))
    return tuple(spots)


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
    document = parse(file.text.encode("utf-8", "surrogateescape"), file.name).document
    return document.sections if document is not None else ()


def _units(file: RenderedFile, section: Section, number: int, filters: int) -> Iterator[Spot]:
    for entry in section.entries:
        if lower(entry.key) != "processors" or not isinstance(entry.value, Group):
            continue
        for signal in entry.value.entries:
            for unit in signal.value.items if isinstance(signal.value, Listing) else ():
                if isinstance(unit, Group):
                    plugin = _text(unit.entries, "name")
                    names = {f"{plugin}.{filters}", f"{plugin}.0", _text(unit.entries, "alias")} - {""}
                    line = unit.entries[0].line if unit.entries else unit.line
                    yield Spot(Kind.FILTER, plugin, frozenset(names), unit.entries, line, file, number, unit=True)


def _text(entries: tuple[Entry, ...], key: str) -> str:
    for entry in entries:
        if lower(entry.key) == key and isinstance(entry.value, Scalar):
            return lower(entry.value.text) if key == "name" else entry.value.text
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
