"""Can a repetition match the same text in more than one way? Then the ways multiply with its length.

The positions of the repeated part become an automaton (Glushkov's); two walks through it that part and meet again on
the same characters are the proof. What is matched once for all (atomic groups, recursion) is one position of its own,
and as its length is not known, nothing beside it may begin alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from supervisor.config.shapes.regexes.nodes import (
    Atomic,
    Back,
    Call,
    Chars,
    Choice,
    Edge,
    Look,
    Node,
    Repeat,
    Row,
    children,
)
from supervisor.config.shapes.regexes.walks import LOOP, Intricate, Sight, is_loop

POSITIONS = 3000
PAIRS = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part of the automaton is entered and left."""

    first: tuple[int, ...] = ()
    last: tuple[int, ...] = ()
    empty: bool = True


@dataclass(slots=True)
class Automaton:
    """Positions with their characters, and how often each may follow another."""

    sight: Sight
    masks: list[int] = field(default_factory=list)
    opaque: set[int] = field(default_factory=set)
    follow: list[list[int]] = field(default_factory=list)
    steps: int = 0

    def position(self, mask: int, opaque: bool, empty: bool = False) -> Part:
        number = len(self.masks)
        if number >= POSITIONS:
            raise Intricate
        self.masks.append(mask)
        self.follow.append([])
        if opaque:
            self.opaque.add(number)
        return Part((number,), (number,), empty)

    def link(self, last: Iterable[int], first: tuple[int, ...]) -> None:
        for position in last:
            self.steps += len(first)
            if self.steps > PAIRS:
                raise Intricate
            self.follow[position].extend(first)

    def build(self, node: Node) -> Part:
        sight = self.sight
        match node:
            case Chars(mask):
                return self.position(mask, opaque=False)
            case Row(items):
                return self.joined(map(self.build, items))
            case Choice(branches):
                parts = [self.build(branch) for branch in branches]
                first = tuple(position for part in parts for position in part.first)
                last = tuple(position for part in parts for position in part.last)
                return Part(first, last, any(part.empty for part in parts))
            case Repeat():
                return self.repeated(node)
            case Call(name) if name not in sight.recursive:
                return self.build(sight.target(node))
            case Atomic() | Call() | Back():
                return self.position(sight.first(node), opaque=True, empty=sight.nullable(node))
            case Edge() | Look():
                return Part()

    def joined(self, parts: Iterable[Part]) -> Part:
        whole = Part()
        for part in parts:
            self.link(whole.last, part.first)
            whole = Part(
                whole.first + part.first if whole.empty else whole.first,
                whole.last + part.last if part.empty else part.last,
                whole.empty and part.empty,
            )
        return whole

    def repeated(self, node: Repeat) -> Part:
        body, least, most = node.body, node.least, node.most
        if most == 0:
            return Part()
        if is_loop(node):
            head = self.build(body) if least > 1 and most is None else Part()
            part = self.build(body)
            self.link(part.last, part.first)
            return self.joined((head, Part(part.first, part.last, part.empty or least != 1)))
        extra = 0 if most is None else min(most - least, LOOP if not isinstance(body, Chars) else 2)
        copies = [self.build(body) for _ in range(min(least, LOOP if not isinstance(body, Chars) else 2))]
        optional = Part()
        for _ in range(extra):
            joined = self.joined((self.build(body), optional))
            optional = Part(joined.first, joined.last, True)
        return self.joined((*copies, optional))

    # --- the question ---------------------------------------------------------------------------------------------

    def forks(self) -> Iterator[tuple[int, int]]:
        """Two ways on from one position, over the same character."""
        for following in self.follow:
            for one, position in enumerate(following):
                for other in following[one + 1 :]:
                    self.steps += 1
                    if self.steps > PAIRS:
                        raise Intricate
                    if self.masks[position] & self.masks[other]:
                        yield position, other

    def ambiguous(self) -> bool:
        """Whether two different walks begin and end at the same position over the same text."""
        pending, seen = [], set()
        for pair in self.forks():
            if pair[0] == pair[1] or self.opaque:
                return True
            pending.append(pair)
        while pending:
            pair = pending.pop()
            if pair in seen:
                continue
            seen.add(pair)
            for one in self.follow[pair[0]]:
                for other in self.follow[pair[1]]:
                    self.steps += 1
                    if self.steps > PAIRS * 10:
                        raise Intricate
                    if self.masks[one] & self.masks[other]:
                        if one == other:
                            return True
                        pending.append((min(one, other), max(one, other)))
        return False


def ambiguous(loop: Repeat, sight: Sight) -> bool:
    """Whether a repetition can match the same text in more than one way. Raises Intricate."""
    automaton = Automaton(sight)
    part = automaton.build(loop.body)
    automaton.link(part.last, part.first)
    return automaton.ambiguous()


def undetermined(name: str, sight: Sight) -> bool:
    """Whether a group that calls itself leaves a choice that the next character does not decide. Raises Intricate."""
    if not sight.opening(name):
        return True
    automaton = Automaton(sight)
    part = automaton.build(sight.expression.groups[name])
    return any(automaton.follow[position] for position in part.last) or next(automaton.forks(), None) is not None


def outermost_loops(node: Node) -> Iterator[Repeat]:
    """The repetitions that stand in no other; not those of atomic parts and looks, which are judged on their own."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, Repeat) and is_loop(node):
            yield node
        elif not isinstance(node, Atomic | Look):
            stack += children(node)
