"""How many repetitions in a row compete for the same characters?

A text of n such characters that fails at last is cut in about n to the power of that number ways. Weights are bits:
an unbounded repetition counts `UNBOUNDED`, whatever takes a bounded choice the logarithm of its ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log2

from supervisor.config.shapes.regexes.nodes import Atomic, Back, Call, Chars, Choice, Edge, Look, Node, Repeat, Row
from supervisor.config.shapes.regexes.walks import Intricate, Sight, every

UNBOUNDED = 4.0
HEAVY = 4 * UNBOUNDED
"""Four competing repetitions: 1000 bytes take 5.1.1 longer than anybody waits. Three are met in parsers that everybody
uses, apache's for one; with those it takes some 4000 bytes that only they could want, so they pass."""
VISITS = 400_000
_CAP = 10_000.0


@dataclass(frozen=True, slots=True)
class Run:
    """The weight across a part (None: the characters do not get across), at its begin, its end, and within."""

    whole: float | None = 0.0
    prefix: float = 0.0
    suffix: float = 0.0
    best: float = 0.0


def _then(one: Run, other: Run) -> Run:
    prefix = one.prefix if one.whole is None else max(one.prefix, one.whole + other.prefix)
    suffix = other.suffix if other.whole is None else max(other.suffix, other.whole + one.suffix)
    whole = None if one.whole is None or other.whole is None else one.whole + other.whole
    best = max(one.best, other.best, one.suffix + other.prefix, whole or 0.0)
    return Run(whole, prefix, suffix, best)


def _evenly(weight: float | None, within: Run) -> Run:
    """A part that weighs the same from whatever side, with what stands within it."""
    if weight is None:
        return Run(None, within.prefix, within.suffix, within.best)
    weight = min(weight, _CAP)
    whole = max(weight, within.prefix), max(weight, within.suffix), max(weight, within.best)
    return Run(weight, *whole)


@dataclass(slots=True)
class _Scale:
    """Weighs for one set of characters; a set of one character is exact, a larger one counts repetitions only."""

    sight: Sight
    wanted: int
    exact: bool
    runs: dict[Node, Run] = field(default_factory=dict)

    def weigh(self, node: Node) -> Run:
        if node not in self.runs:
            self.runs[node] = self._weigh(node)
        return self.runs[node]

    def _weigh(self, node: Node) -> Run:
        match node:
            case Chars(mask):
                return Run() if mask & self.wanted else Run(None)
            case Row(items):
                run = Run()
                for item in items:
                    run = _then(run, self.weigh(item))
                return run
            case Choice(branches):
                runs = [self.weigh(branch) for branch in branches]
                ways = [run.whole for run in runs if run.whole is not None]
                whole = max(ways) + (log2(len(ways)) if self.exact else 0.0) if ways else None
                within = Run(None, max(r.prefix for r in runs), max(r.suffix for r in runs), max(r.best for r in runs))
                return _evenly(whole, within)
            case Repeat():
                return self._repeat(node)
            case Atomic(body):
                return Run() if self.sight.nullable(body) or self.weigh(body).whole is not None else Run(None)
            case Call(name):
                return Run() if name in self.sight.recursive else self.weigh(self.sight.target(node))
            case Edge() | Look() | Back():
                return Run()

    def _repeat(self, node: Repeat) -> Run:
        body = self.weigh(node.body)
        again = node.most is None or node.most > 1
        within = Run(None, body.prefix, body.suffix, max(body.best, body.prefix + body.suffix if again else 0.0))
        if body.whole is None or node.most == 0:
            return _evenly(0.0 if node.least == 0 else None, within if node.most != 0 else Run())
        if node.most is None:
            competes = not isinstance(node.body, Chars) or node.body.mask & self.wanted == self.wanted
            return _evenly(body.whole * max(1, node.least) + (UNBOUNDED if competes else 0.0), within)
        ways = log2(node.most - node.least + 1) if self.exact else 0.0
        return _evenly(body.whole * node.most + min(UNBOUNDED, ways), within)


def heaviest(node: Node, sight: Sight) -> float:
    """The weight of the heaviest chain in a part that can fail. Raises Intricate."""
    if _Everything(sight).total(node) < HEAVY:
        return 0.0
    parts = list(every(node))
    loops = {part.body.mask for part in parts if isinstance(part, Repeat) and isinstance(part.body, Chars)}
    masks = {part.mask for part in parts if isinstance(part, Chars)}
    scales = [(mask, False) for mask in loops if mask]
    scales += [(region, True) for region in _regions(masks, sight.expression.full)]
    if len(scales) * len(parts) > VISITS:
        raise Intricate
    return max((_Scale(sight, wanted, exact).weigh(node).best for wanted, exact in scales), default=0.0)


def _regions(masks: set[int], full: int) -> Iterator[int]:
    """One character of each kind that the sets tell apart."""
    kinds = [full]
    for mask in sorted(masks):
        split = [part for kind in kinds for part in (kind & mask, kind & ~mask) if part]
        kinds = split
    for kind in kinds:
        yield kind & -kind


@dataclass(slots=True)
class _Everything:
    """The weight of all parts together: a bound that is cheap."""

    sight: Sight
    totals: dict[Node, float] = field(default_factory=dict)

    def total(self, node: Node) -> float:
        if node not in self.totals:
            self.totals[node] = min(self._total(node), _CAP)
        return self.totals[node]

    def _total(self, node: Node) -> float:
        match node:
            case Row(items):
                return sum(map(self.total, items))
            case Choice(branches):
                return sum(map(self.total, branches)) + log2(len(branches))
            case Repeat(body, least, None):
                return self.total(body) * max(2, least) + UNBOUNDED
            case Repeat(body, least, most) if most:
                return self.total(body) * max(2, most) + min(UNBOUNDED, log2(most - least + 1))
            case Call(name) if name not in self.sight.recursive:
                return self.total(self.sight.target(node))
            case _:
                return 0.0
