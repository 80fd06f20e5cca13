"""What does the settings file say, and on which line?

YAML without its traps: no aliases, anchors, tags or merge keys, no key twice, one document, nesting and size
bounded. Scalars stay text (so `10:30` is no number in base sixty); their readers decide what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LIMIT = 1 << 20
"""Characters that a settings file may have."""

_DEPTH = 20
_NULL = ("", "~", "null", "Null", "NULL")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Unreadable(Exception):
    """The text is not a settings file. Carries the 1-based line, if known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Leaf:
    text: str
    plain: bool  # not quoted
    line: int

    @property
    def empty(self) -> bool:
        return self.plain and self.text in _NULL


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Value, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    entries: dict[str, tuple[int, Value]]  # key → line of the key, value
    line: int


Value = Leaf | Listing | Table


def read_document(text: str) -> Table:
    """The top-level mapping; an empty file is an empty one. Raises `Unreadable`."""
    import yaml  # here, because the launcher imports this room for every `--version` and needs no YAML

    if len(text) > LIMIT:
        raise Unreadable(f"larger than {LIMIT >> 20} MiB")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = yaml.parse(text.removeprefix("\ufeff"), Loader=loader)
        found = list(_documents(events))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, UnicodeError):
        raise Unreadable("not YAML: a character that is not allowed there") from None
    if len(found) > 1:
        raise Unreadable("more than one document", found[1].line)
    if not found or (isinstance(found[0], Leaf) and found[0].empty):
        return Table({}, 1)
    if not isinstance(found[0], Table):
        raise Unreadable(f"found {kind_of(found[0])}, expected a mapping such as `log: {{level: info}}`", found[0].line)
    return found[0]


def _documents(events: Iterator[Any]) -> Iterator[Value]:
    for event in events:
        if type(event).__name__ == "DocumentStartEvent":
            yield _value(next(events), events, 0)


def _value(event: Any, events: Iterator[Any], depth: int) -> Value:
    """The value that begins with this event. Events are known by name, so that yaml need not be imported here."""
    line = event.start_mark.line + 1
    kind = type(event).__name__
    if kind == "AliasEvent" or event.anchor is not None:
        raise Unreadable("anchors and aliases are not allowed", line)
    if event.tag is not None:
        raise Unreadable("tags are not allowed", line)
    if depth > _DEPTH:
        raise Unreadable(f"nested deeper than {_DEPTH}", line)
    match kind:
        case "ScalarEvent":
            return Leaf(event.value, event.style is None or event.style == "", line)
        case "SequenceStartEvent":
            items: list[Value] = []
            while type(inner := next(events)).__name__ != "SequenceEndEvent":
                items.append(_value(inner, events, depth + 1))
            return Listing(tuple(items), line)
        case _:
            return _table(events, line, depth)


def _table(events: Iterator[Any], line: int, depth: int) -> Table:
    entries: dict[str, tuple[int, Value]] = {}
    while type(event := next(events)).__name__ != "MappingEndEvent":
        key = _value(event, events, depth + 1)
        if not isinstance(key, Leaf):
            raise Unreadable("a key must be a word", key.line)
        if key.plain and key.text == "<<":
            raise Unreadable("merge keys are not allowed", key.line)
        if key.text in entries:
            raise Unreadable(f"the key {key.text!r} stands there twice", key.line)
        entries[key.text] = key.line, _value(next(events), events, depth + 1)
    return Table(entries, line)


def kind_of(value: Value) -> str:
    """What was found, in a word, for messages."""
    match value:
        case Leaf():
            return "nothing" if value.empty else "a single value"
        case Listing():
            return "a list"
        case Table():
            return "a mapping"
