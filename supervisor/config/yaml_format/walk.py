"""How is a YAML text walked, event by event, in safety?

No objects are built, so tags do nothing and aliases cannot grow; what is not read need not be feared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from supervisor.config.names import shown, trim
from supervisor.model import Entry, Finding, Group, Node, Scalar, Section, Sequence, Severity

DEPTH_LIMIT = 20  # maps and lists within each other; a real config needs less than ten
_DEPTH_READ = 100  # deeper than this is not even read
_EVENTS_LIMIT = 200_000  # keeps junk from costing more than a second or two
_FINDINGS_LIMIT = 100


class Fault(Exception):
    """What Fluent Bit would refuse; never leaves this module."""

    def __init__(self, rule: str, message: str, line: int | None, column: int | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.finding = Finding(Severity.ERROR, rule, message, hint, line=line, column=column)


@dataclass(slots=True)
class Reader:
    events: Iterator[Any]
    size: int = 0
    depth: int = 0
    too_deep: bool = False
    findings: list[Finding] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    services: int = 0

    def next(self) -> Any:
        """Step to the next event; an alias is refused wherever it stands."""
        event = next(self.events)
        self.size += 1
        if self.size > _EVENTS_LIMIT:
            raise Fault("over-size", f"more than {_EVENTS_LIMIT} keys and values", *at(event))
        if isinstance(event, yaml.AliasEvent):
            raise Fault("yaml-alias", "Fluent Bit does not read YAML aliases", *at(event), "write the value out")
        if isinstance(event, yaml.NodeEvent):
            self._look_at(event)
        return event

    def _look_at(self, event: Any) -> None:
        if event.anchor is not None:
            self.say("yaml-anchor", "YAML anchors have no use in Fluent Bit", event, "remove the &NAME")
        if event.tag is not None:
            self.say("yaml-tag", "YAML tags are ignored by Fluent Bit", event, "remove the !TAG; quote text")
        if isinstance(event, yaml.CollectionStartEvent):
            self.depth += 1
            if self.depth > DEPTH_LIMIT and not self.too_deep:
                self.too_deep = True
                self.say("too-deep", f"more than {DEPTH_LIMIT} levels within each other", event, "flatten it")
            if self.depth > _DEPTH_READ:
                raise Fault("too-deep", f"more than {_DEPTH_READ} levels within each other", *at(event), "flatten it")

    def say(self, rule: str, message: str, event: Any, hint: str = "") -> None:
        if len(self.findings) < _FINDINGS_LIMIT:
            line, column = at(event)
            self.findings.append(Finding(Severity.ERROR, rule, message, hint, line=line, column=column))

    def scalar(self, what: str, event: Any, *, trimmed: bool = True) -> Scalar:
        """The event as a scalar; anything else is refused as Fluent Bit would."""
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, f"{what} must be one value, not a {shape(event)}", "write one text")
        text = str(event.value)
        if "\0" in text:
            self.say("nul-byte", "Fluent Bit cuts a text at a NUL", event, "remove the \\0")
            text = text.partition("\0")[0]
        line, column = at(event)
        return Scalar(trim(text) if trimmed else text, line, column, plain=not event.style)

    def refuse(self, event: Any, message: str, hint: str = "") -> NoReturn:
        raise Fault("syntax", message, *at(event), hint)

    def items(self, what: str, event: Any) -> Iterator[Any]:
        """First events of the items of a list; the caller reads each item to its end."""
        if not isinstance(event, yaml.SequenceStartEvent):
            self.refuse(event, f"{what} must be a list, not a {shape(event)}", "begin each item with '- '")
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            yield event
        self.depth -= 1

    def pairs(self, what: str, event: Any) -> Iterator[tuple[Scalar, Any]]:
        """Key and first event of the value for each pair of a map; the caller reads the value to its end."""
        if not isinstance(event, yaml.MappingStartEvent):
            self.refuse(event, f"{what} must be a map, not a {shape(event)}", "write KEY: VALUE")
        seen: set[str] = set()
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.scalar(f"a key of {what}", event, trimmed=False)
            if key.text == "<<" and key.plain:
                self.say("yaml-merge-key", "Fluent Bit does not know merge keys", event, "write the pairs out")
            elif key.text in seen:
                self.say(
                    "duplicate-key",
                    f"'{shown(key.text)}' stands twice in {what}",
                    event,
                    "keep one; several values are written as a list",
                )
            seen.add(key.text)
            yield key, self.next()
        self.depth -= 1

    def value(self, what: str, event: Any) -> Node:
        """Any value, with its structure and untrimmed, as Fluent Bit keeps it inside processors and routes."""
        line = at(event)[0]
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self.value(what, item) for item in self.items(what, event)), line)
        if isinstance(event, yaml.MappingStartEvent):
            pairs = self.pairs(what, event)
            return Group(tuple(Entry(key.text, self.value(key.text, first), key.line) for key, first in pairs), line)
        return self.scalar(what, event, trimmed=False)


def at(event: Any) -> tuple[int, int]:
    """Line and column of an event, from 1."""
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def shape(event: Any) -> str:
    match event:
        case yaml.SequenceStartEvent():
            return "list"
        case yaml.MappingStartEvent():
            return "map"
        case yaml.ScalarEvent(value="", style="" | None):
            return "nothing"
        case _:
            return "single value"
