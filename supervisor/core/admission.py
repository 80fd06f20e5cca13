"""Which changes can go in together?

The unit is a change (a snippet that is new, or in another version) against what was accepted. A search for the largest
set of changes that passes, as a generator: it yields a selection to try and is sent what came of it. So it knows no
clock, no file and no process, and can be tested against the walk that tries one change after the other.

The rules. All at once first. Whoever a failure names is taken out, who is wrong by himself before who is at odds with
others. If it names nobody (or nobody who changed), incumbents come first, and then the changes in order: a run that
passes joins whole, one that fails is halved. Who was refused is tried again as long as somebody else went in after it.
A removal is not a change: it is honoured, and whoever depended on what is gone is taken out like anybody else.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.core.selection import Pick, Picks
from supervisor.model import Finding

BUDGET = 64  # selections tried for one snapshot; what is left then waits for the next round, and nothing is asked twice


@dataclass(frozen=True, slots=True)
class Passed:
    """The selection may run."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The selection may not run."""

    findings: tuple[Finding, ...]
    at_fault: frozenset[str] = frozenset()  # snippets that are wrong whatever the others say
    at_odds: frozenset[str] = frozenset()  # snippets that have to yield to another one, or lack one


Answer = Passed | Failed


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of the search."""

    picks: Picks
    refused: Mapping[str, Failed] = field(default_factory=dict)  # changes that stay out, and what they failed with
    dropped: Mapping[str, Failed] = field(default_factory=dict)  # incumbents that cannot stay
    untried: tuple[str, ...] = ()  # changes for which the budget was too small


Search = Generator[Picks, Answer, Admission]


@dataclass(slots=True)
class _Bench:
    """The work bench of one search."""

    budget: int
    picks: dict[str, Pick] = field(default_factory=dict)  # what is in, for sure
    seen: dict[frozenset[tuple[str, Pick]], Answer] = field(default_factory=dict)
    refused: dict[str, Failed] = field(default_factory=dict)
    dropped: dict[str, Failed] = field(default_factory=dict)
    out_since: dict[tuple[str, Pick], int] = field(default_factory=dict)  # count of moves when it was
    moves: int = 0  # who joins or is dropped changes what others may do
    tried: int = 0
    base_is_sure: bool = False  # the incumbents alone were tried

    def ask(self, picks: Mapping[str, Pick]) -> Generator[Picks, Answer, Answer | None]:
        """The answer, from memory if it was asked before; None when the budget is used up."""
        key = frozenset(picks.items())
        if key not in self.seen:
            if self.tried >= self.budget:
                return None
            self.tried += 1
            self.seen[key] = yield dict(picks)
        return self.seen[key]

    def take_in(self, run: Sequence[str], pick: Pick) -> None:
        self.picks.update(dict.fromkeys(run, pick))
        self.moves += len(run)
        for name in run:
            self.dropped.pop(name, None)
            if pick is Pick.NEW:
                self.refused.pop(name, None)

    def keep_out(self, name: str, pick: Pick, failure: Failed) -> None:
        self.moves += pick is Pick.OLD and name not in self.dropped
        (self.refused if pick is Pick.NEW else self.dropped)[name] = failure
        if name in failure.at_fault:
            self.out_since.pop((name, pick), None)  # others do not change that
        else:
            self.out_since[name, pick] = self.moves

    def out(self, incumbents: Sequence[str], changes: Sequence[str]) -> list[tuple[str, Pick]]:
        """Who is out, and may not be any more because somebody joined or was dropped since."""
        old = [(name, Pick.OLD) for name in incumbents if name in self.dropped]
        new = [(name, Pick.NEW) for name in changes if name in self.refused]
        return [each for each in old + new if self.out_since.get(each, self.moves) < self.moves]


def admit(
    incumbents: Sequence[str],
    changes: Sequence[str],
    *,
    budget: int = BUDGET,
    before: Mapping[str, Failed] | None = None,
) -> Search:
    """Search for the largest acceptable selection.

    `incumbents`: accepted snippets that were not removed; `changes`: those that are new or in a newer version; both in
    order of precedence. A changed incumbent is in both. `before`: changes that an earlier round refused, when its
    budget was too small for all: they come last, so that each round gets further.
    """
    bench = _Bench(budget, dict.fromkeys(incumbents, Pick.OLD))
    for name, failed in (before or {}).items():
        bench.refused[name] = failed
        bench.out_since[name, Pick.NEW] = -1
    left = yield from _join(bench, [name for name in changes if name not in bench.refused], Pick.NEW)
    if not left and frozenset(bench.picks.items()) not in bench.seen:
        yield from _settle(bench)
    while not left:
        moves = bench.moves
        for name, pick in bench.out([*incumbents], [*changes]):
            left += yield from _join(bench, [name], pick)
        if bench.moves == moves:
            break
    untried = tuple(name for name in left if name not in bench.refused and name not in bench.dropped)
    return Admission(dict(bench.picks), dict(bench.refused), dict(bench.dropped), untried)


def _join(bench: _Bench, run: list[str], pick: Pick) -> Generator[Picks, Answer, list[str]]:
    """Let the run join, as far as it can. Returns whom the budget left out."""
    while run:
        answer = yield from bench.ask({**bench.picks, **dict.fromkeys(run, pick)})
        if answer is None:
            return run
        if isinstance(answer, Passed):
            bench.take_in(run, pick)
            return []
        named = set(run) & answer.at_fault or set(run) & answer.at_odds
        if not named:
            return (yield from _divide(bench, run, pick, answer))
        for name in named:
            bench.keep_out(name, pick, answer)
        run = [name for name in run if name not in named]
    return []


def _divide(bench: _Bench, run: list[str], pick: Pick, failure: Failed) -> Generator[Picks, Answer, list[str]]:
    if pick is Pick.NEW and not bench.base_is_sure:
        before = dict(bench.picks)
        yield from _settle(bench)
        if bench.picks != before:
            return (yield from _join(bench, run, pick))
    if len(run) == 1:
        bench.keep_out(run[0], pick, failure)
        return []
    middle = (len(run) + 1) // 2
    left = yield from _join(bench, run[:middle], pick)
    return left + (yield from _join(bench, run[middle:], pick))


def _settle(bench: _Bench) -> Generator[Picks, Answer, None]:
    """Make sure of what is in before any more joins: incumbents may have lost what they depended on."""
    bench.base_is_sure = True
    answer = yield from bench.ask(bench.picks)
    if not isinstance(answer, Failed):
        return
    mine = list(bench.picks.items())
    bench.picks.clear()
    for pick in (Pick.OLD, Pick.NEW):
        yield from _join(bench, [name for name, picked in mine if picked is pick], pick)
