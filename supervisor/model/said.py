"""What does a text say?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from supervisor.model.words import Finding


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. Fluent Bit knows text only, but guesses types of unquoted YAML in some places: so the style stays."""

    text: str
    line: int
    column: int = 1
    plain: bool = False  # True: unquoted YAML scalar


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One property. Keys may repeat within their section."""

    key: str  # as written
    value: Node
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping inside a value (processors, routes …), or classic group content."""

    entries: tuple[Entry, ...]
    line: int


Node = Scalar | Sequence | Group


class Kind(StrEnum):
    """What a section is, whatever the format calls it."""

    SERVICE = "service"
    ENV = "env"
    INCLUDE = "include"  # one entry per directive; its value is the pattern as written
    INPUT = "input"
    FILTER = "filter"
    OUTPUT = "output"
    CUSTOM = "custom"
    PARSER = "parser"
    MULTILINE_PARSER = "multiline_parser"
    STREAM_TASK = "stream_task"
    UPSTREAM = "upstream"
    PLUGINS = "plugins"  # shared objects to load
    UNKNOWN = "unknown"  # Fluent Bit ignores it in silence


@dataclass(frozen=True, slots=True)
class Section:
    kind: Kind
    title: str  # as written: `INPUT`, `inputs`, `OUTPT`
    entries: tuple[Entry, ...]
    line: int

    def get(self, key: str) -> Scalar | None:
        """The first scalar of that key (lower-case), or None; Fluent Bit compares keys without case."""
        for entry in self.entries:
            if entry.key.lower() == key and isinstance(entry.value, Scalar):
                return entry.value
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """What one text says, whichever format it was written in: sections in their order."""

    sections: tuple[Section, ...]
    format: str  # "classic" or "yaml"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document, or the findings that say why there is none (then it is None). Findings may also be warnings."""

    document: Document | None
    findings: tuple[Finding, ...] = ()  # without snippet and path: the caller knows them
