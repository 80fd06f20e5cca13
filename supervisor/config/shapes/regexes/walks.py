"""What can be asked of any part of an expression: may it be empty, what can it begin with, how does it recurse?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from supervisor.config.shapes.regexes.nodes import (
    NEWLINE,
    Atomic,
    Back,
    Call,
    Chars,
    Choice,
    Edge,
    Expression,
    Look,
    Node,
    Repeat,
    Row,
    children,
    row,
)

_NOTHING = Row()  # one and the same, as walks tell nodes apart by identity
LOOP = 8
"""From so many repetitions on, a bounded repetition is as good as an unbounded one."""


def every(node: Node) -> Iterator[Node]:
    """The node and all below it; calls are not followed."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node)


def is_loop(node: Node) -> bool:
    """Whether it repeats often enough that ways to match multiply."""
    if not isinstance(node, Repeat):
        return False
    return node.most is None or (node.most >= LOOP and not isinstance(node.body, Chars))


class Intricate(Exception):
    """More than is looked at: levels, positions, pairs, or parts times characters."""


HIGHEST = 120
"""Levels of an expression, calls followed."""


@dataclass(slots=True)
class Sight:
    """The expression, with what was found out about its parts."""

    expression: Expression
    recursive: frozenset[str] = frozenset()
    _empty: dict[Node, bool] = field(default_factory=dict)
    _first: dict[Node, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        calls = {name: self._called(node) for name, node in self.expression.groups.items()}
        self.recursive = frozenset(name for name in calls if name in _reached(name, calls))
        self._measure()

    def _measure(self) -> None:
        """Raises Intricate where a walk down the expression would be too long."""
        heights: dict[Node, int] = {}
        stack = [self.expression.root]
        while stack:
            below = self.below(stack[-1])
            if waiting := [node for node in below if node not in heights]:
                stack += waiting
            else:
                height = 1 + max((heights[node] for node in below), default=0)
                if height > HIGHEST:
                    raise Intricate
                heights[stack.pop()] = height

    def below(self, node: Node) -> tuple[Node, ...]:
        """What it is made of; what a call stands for, unless that calls itself."""
        if isinstance(node, Call):
            return () if node.name in self.recursive else (self.target(node),)
        return children(node)

    @staticmethod
    def _called(node: Node) -> set[str]:
        return {part.name for part in every(node) if isinstance(part, Call)}

    def target(self, call: Call) -> Node:
        """What a call that does not recurse stands for."""
        return self.expression.groups.get(call.name, _NOTHING)

    def nullable(self, node: Node) -> bool:
        if node not in self._empty:
            self._empty[node] = self._nullable(node)
        return self._empty[node]

    def _nullable(self, node: Node) -> bool:
        match node:
            case Chars():
                return False
            case Row(items):
                return all(map(self.nullable, items))
            case Choice(branches):
                return any(map(self.nullable, branches))
            case Repeat(body, least, _):
                return least == 0 or self.nullable(body)
            case Atomic(body):
                return self.nullable(body)
            case Call(name):
                return name not in self.recursive and self.nullable(self.target(node))
            case Edge() | Look() | Back():
                return True

    def first(self, node: Node) -> int:
        """The characters that it can begin with."""
        if node not in self._first:
            self._first[node] = self._begins(node)
        return self._first[node]

    def _begins(self, node: Node) -> int:
        match node:
            case Chars(mask):
                return mask
            case Row(items):
                mask = 0
                for item in items:
                    mask |= self.first(item)
                    if not self.nullable(item):
                        break
                return mask
            case Choice(branches):
                mask = 0
                for branch in branches:
                    mask |= self.first(branch)
                return mask
            case Repeat(body, _, most):
                return 0 if most == 0 else self.first(body)
            case Atomic(body):
                return self.first(body)
            case Call(name):
                return self.opening(name) if name in self.recursive else self.first(self.target(node))
            case Back():
                return self.expression.full
            case Edge() | Look():
                return 0

    def opening(self, name: str) -> int:
        """The characters that a group which calls itself begins with; 0 when it does not begin with a set of them."""
        node = self.expression.groups[name]
        head = node.items[0] if isinstance(node, Row) and node.items else node
        return head.mask if isinstance(head, Chars) else 0

    def trimmed(self, node: Node) -> Node:
        """The part that can fail: without the tail that matches whatever comes."""
        match node:
            case Row(items):
                kept = list(items)
                if len(kept) > 1 and isinstance(kept[-1], Edge) and kept[-1].end and self._takes_the_rest(kept[-2]):
                    kept.pop()
                while kept and self._certain(kept[-1]):
                    kept.pop()
                return row([*kept[:-1], self.trimmed(kept[-1])]) if kept else Row()
            case Choice(branches):
                return Choice(tuple(map(self.trimmed, branches)))
            case Repeat(body, 1, _):
                return self.trimmed(body)
            case Repeat(body, least, _) if least > 1:
                return row([Repeat(body, least - 1, least - 1), self.trimmed(body)])
            case _ if self._certain(node):
                return Row()
            case _:
                return node

    def _takes_the_rest(self, node: Node) -> bool:
        match node:
            case Repeat(Chars(mask), _, None):
                return mask | NEWLINE == self.expression.full
            case _:
                return False

    def _certain(self, node: Node) -> bool:
        """Whether it matches anywhere, if only nothing."""
        match node:
            case Repeat(_, 0, _):
                return True
            case Row(items):
                return all(map(self._certain, items))
            case Choice(branches):
                return any(map(self._certain, branches))
            case Repeat(body, _, _) | Atomic(body):
                return self._certain(body)
            case _:
                return False


def _reached(start: str, calls: dict[str, set[str]]) -> set[str]:
    """The groups that a group calls, also through others."""
    reached: set[str] = set()
    stack = list(calls[start])
    while stack:
        name = stack.pop()
        if name not in reached:
            reached.add(name)
            stack += calls.get(name, ())
    return reached
