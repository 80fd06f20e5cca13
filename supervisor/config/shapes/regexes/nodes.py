"""What is a regular expression made of, as far as its running time goes?

Groups that only capture are transparent. A set of characters is an `int`: bit n is the ASCII character n, the bits
above are the other characters that the expression names, and one for all those that it does not name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

ASCII = (1 << 128) - 1
UNNAMED = 1 << 128
NEWLINE = 1 << 10


@dataclass(frozen=True, slots=True, eq=False)
class Chars:
    """One character of a set."""

    mask: int


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """An anchor: it takes no character."""

    end: bool = False  # holds at the end of the text, whatever came before


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One after the other; no row stands directly in a row."""

    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Repeat:
    body: Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Atomic:
    """What is matched once and not tried again: `(?>…)`, `a++`."""

    body: Node


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A look around, which takes no character."""

    body: Node


@dataclass(frozen=True, slots=True, eq=False)
class Back:
    """What a group matched, again."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a group would match, again: `\\g<name>`."""

    name: str


Node: TypeAlias = Chars | Edge | Row | Choice | Repeat | Atomic | Look | Back | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read: its groups by name and by number, and the set of all characters."""

    root: Node
    full: int
    groups: dict[str, Node] = field(default_factory=dict)


def row(items: Iterable[Node]) -> Node:
    """One after the other, without rows in rows."""
    flat: list[Node] = []
    for item in items:
        flat += item.items if isinstance(item, Row) else (item,)
    return flat[0] if len(flat) == 1 else Row(tuple(flat))


def choice(branches: list[Node]) -> Node:
    return branches[0] if len(branches) == 1 else Choice(tuple(branches))


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Row(items):
            return items
        case Choice(branches):
            return branches
        case Repeat(body) | Atomic(body) | Look(body):
            return (body,)
        case _:
            return ()
