"""Can this regular expression keep the engine busy for ever?

Onigmo, as Fluent Bit 5.1.1 calls it, tries one way after the other, without memory and without a limit of time or
steps: `^(a+)+$` on thirty characters holds the whole pipeline. The expression is read with its own small parser and
never compiled. What cannot be read or is too intricate to be judged is refused as well.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from supervisor.config.shapes.regexes.ambiguity import ambiguous, outermost_loops, undetermined
from supervisor.config.shapes.regexes.chains import HEAVY, heaviest
from supervisor.config.shapes.regexes.nodes import (
    UNNAMED,
    Atomic,
    Back,
    Call,
    Chars,
    Choice,
    Look,
    Node,
    Repeat,
    Row,
    children,
)
from supervisor.config.shapes.regexes.reading import Unreadable, read
from supervisor.config.shapes.regexes.walks import Intricate, Sight, every, is_loop

LONGEST = 65_536
"""Characters; a longer expression is not read."""
LARGEST = 4096
"""Repetitions that are asked for in all; Onigmo itself takes 100000."""

__all__ = ["LARGEST", "LONGEST", "danger"]


@lru_cache(maxsize=1024)
def danger(pattern: str) -> str:
    """One clause why matching may take exponential or high polynomial time; empty when nothing speaks for it.

    The pattern is Onigmo's Ruby syntax, also as `/pattern/flags`. Total, and bounded in time and depth.
    """
    if len(pattern) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        sight = Sight(read(pattern))
        return _fault(sight)
    except Unreadable as unreadable:
        return f"it cannot be read: {unreadable}"
    except Intricate:
        return "it is too intricate to be judged"


def _fault(sight: Sight) -> str:
    root = sight.expression.root
    called = {part.name for part in every(root) if isinstance(part, Call)}
    if unknown := sorted(called - sight.expression.groups.keys()):
        return f"it calls a group that it does not have: {unknown[0][:40]!r}"
    for name in sorted(called & sight.recursive):
        if undetermined(name, sight):
            return "it recurses where the next character does not decide the way"
    if _most(root, sight, {}) > LARGEST:
        return f"it asks for more than {LARGEST} repetitions"
    for node in every(root):
        if isinstance(node, Repeat) and is_loop(node) and (fault := _of_loop(node, sight)):
            return fault
        if isinstance(node, Row) and _doubled(node):
            return "two unbounded repetitions of the same characters stand side by side"
    return _of_roots(root, sight)


def _of_loop(loop: Repeat, sight: Sight) -> str:
    body = sight.target(loop.body) if isinstance(loop.body, Call) else loop.body
    if any(isinstance(part, Back) for part in every(body)):
        return "it repeats a back reference"
    if sight.nullable(body):
        return "it repeats without bound what may be empty"
    if isinstance(body, Choice):
        taken = 0
        for branch in body.branches:
            if taken & sight.first(branch):
                return "it repeats alternatives that can begin alike"
            taken |= sight.first(branch)
    return ""


def _of_roots(root: Node, sight: Sight) -> str:
    """The whole, and on their own the parts that are matched once for all."""
    roots = [root]
    roots += [sight.trimmed(part.body) for part in every(root) if isinstance(part, Atomic | Look)]
    for node in roots:
        for loop in outermost_loops(node):
            if ambiguous(loop, sight):
                return "it repeats what can match the same text in more than one way, such as a repetition in another"
    for node in (sight.trimmed(root), *roots[1:]):
        if any(isinstance(part, Row) and _crowded(part) for part in _outside_atomic(node)):
            return "three unbounded repetitions side by side compete for the same characters"
        if heaviest(node, sight) >= HEAVY:
            return "too many repetitions in a row compete for the same characters"
    return ""


def _outside_atomic(node: Node) -> list[Node]:
    found, stack = [], [node]
    while stack:
        found.append(stack.pop())
        if not isinstance(found[-1], Atomic | Look):
            stack += children(found[-1])
    return found


def _span(node: Node) -> int:
    """The characters of an unbounded repetition of single ones, else none."""
    match node:
        case Repeat(Chars(mask), _, None):
            return mask
        case _:
            return 0


def _doubled(node: Row) -> bool:
    spans = [_span(item) for item in node.items]
    return any(one and one == other for one, other in pairwise(spans))


def _crowded(node: Row) -> bool:
    """Whether three compete; what takes nearly all characters often stands between blanks: chains count it."""
    spans = [span if (span := _span(item)) < UNNAMED else 0 for item in node.items]
    return any(a & b & c for a, b, c in zip(spans, spans[1:], spans[2:], strict=False))


def _most(node: Node, sight: Sight, known: dict[Node, int]) -> int:
    """How many repetitions within each other are asked for at most."""
    if node not in known:
        inner = [_most(part, sight, known) for part in sight.below(node)]
        asked = max((node.least, node.most or 0, 1)) if isinstance(node, Repeat) else 1
        known[node] = min(max(inner, default=1) * asked, LARGEST * 2)
    return known[node]
