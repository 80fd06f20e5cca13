"""Which changes can go in together?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core.admission import Admission, Answer, Failed, Passed, admit
from supervisor.core.selection import Pick

Item = tuple[str, Pick]


@dataclass
class World:
    """What may run together: `clashes` are sets that must not be in as a whole, `needs` what one needs of others."""

    clashes: list[frozenset[Item]] = field(default_factory=list)
    needs: dict[Item, frozenset[str]] = field(default_factory=dict)
    telling: bool = False  # whether a failure names somebody
    order: tuple[str, ...] = ()
    asked: int = 0

    def answer(self, picks: Mapping[str, Pick]) -> Answer:
        self.asked += 1
        items = set(picks.items())
        wrong = [clash for clash in self.clashes if clash <= items]
        lacking = {name for (name, pick), needed in self.needs.items() if (name, pick) in items and needed - set(picks)}
        if not wrong and not lacking:
            return Passed()
        if not self.telling:
            return Failed(())
        alone = frozenset(name for clash in wrong if len(clash) == 1 for name, _ in clash)
        return Failed((), alone, frozenset({*lacking, *(self._last(clash) for clash in wrong if len(clash) > 1)}))

    def _last(self, clash: Iterable[Item]) -> str:
        """Newcomers yield to incumbents, and the later one to the earlier."""
        return max(clash, key=lambda item: (item[1] is Pick.NEW, self.order.index(item[0])))[0]

    def is_fine(self, picks: Mapping[str, Pick]) -> bool:
        return isinstance(self.answer(picks), Passed)


def search(
    world: World,
    incumbents: list[str],
    changes: list[str],
    budget: int = 10_000,
    before: Mapping[str, Failed] | None = None,
) -> Admission:
    world.order = tuple(dict.fromkeys([*incumbents, *changes]))
    work = admit(incumbents, changes, budget=budget, before=before)
    try:
        picks = next(work)
        while True:
            picks = work.send(world.answer(picks))
    except StopIteration as end:
        found: Admission = end.value
        return found


Fine = Callable[[Mapping[str, Pick]], bool]


def one_by_one(fine: Fine, incumbents: list[str], changes: list[str]) -> dict[str, Pick]:
    """The obvious walk: one after the other, again and again, until nobody joins any more."""
    picks: dict[str, Pick] = dict.fromkeys(incumbents, Pick.OLD)
    if not fine(picks):
        picks = {}
    again = True
    while again:
        again = False
        for name, pick in [*((n, Pick.OLD) for n in incumbents), *((n, Pick.NEW) for n in changes)]:
            is_in = picks.get(name) is Pick.NEW if pick is Pick.NEW else name in picks
            if not is_in and fine({**picks, name: pick}):
                picks[name] = pick
                again = True
    return picks


def names(count: int) -> list[str]:
    return [f"s{number:04d}" for number in range(count)]


NAMES = names(12)


@st.composite
def families(draw: st.DrawFn) -> tuple[list[str], list[str], list[frozenset[Item]]]:
    incumbents = NAMES[: draw(st.integers(0, 5))]
    changes = sorted(draw(st.sets(st.sampled_from(NAMES), max_size=10)))
    items = [(name, Pick.NEW) for name in changes] + [(name, Pick.OLD) for name in incumbents]
    if not items:
        return incumbents, changes, []
    clash = st.sets(st.sampled_from(items), min_size=1, max_size=3).map(frozenset)
    clashes = draw(st.lists(clash, max_size=6))
    return incumbents, changes, [c for c in clashes if len({name for name, _ in c}) == len(c)]


@given(families(), st.booleans())
@settings(max_examples=600, deadline=None)
def test_the_search_finds_what_the_walk_one_by_one_finds(
    family: tuple[list[str], list[str], list[frozenset[Item]]], telling: bool
) -> None:
    incumbents, changes, clashes = family
    world = World(clashes, telling=telling)

    found = search(world, incumbents, changes)

    assert dict(found.picks) == one_by_one(world.is_fine, incumbents, changes)


@given(families(), st.booleans(), st.data())
@settings(max_examples=400, deadline=None)
def test_what_is_found_passes_and_nobody_who_was_refused_could_still_join(
    family: tuple[list[str], list[str], list[frozenset[Item]]], telling: bool, data: st.DataObject
) -> None:
    incumbents, changes, clashes = family
    needs = data.draw(
        st.dictionaries(
            st.sampled_from([(name, Pick.NEW) for name in NAMES]),
            st.sets(st.sampled_from(NAMES), max_size=2).map(frozenset),
            max_size=3,
        )
    )
    world = World(clashes, needs, telling)

    found = search(world, incumbents, changes)

    assert world.is_fine(found.picks)
    for name in found.refused:
        assert not world.is_fine({**found.picks, name: Pick.NEW}), name
    for name in found.dropped:
        assert name not in found.picks
        assert not world.is_fine({**found.picks, name: Pick.OLD}), name
    assert set(found.refused) == {name for name in changes if found.picks.get(name) is not Pick.NEW}


def test_without_a_fault_one_question_is_enough() -> None:
    world = World()

    found = search(world, names(50), names(100))

    assert world.asked == 1
    assert all(pick is Pick.NEW for pick in found.picks.values())


@pytest.mark.parametrize("count", [2, 10, 100, 1000])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("edited", [True, False])
def test_one_bad_among_many_is_found_with_two_questions_a_halving_when_nothing_names_it(
    count: int, where: float, edited: bool
) -> None:
    changes = names(count)
    bad = changes[int(where * count)]
    world = World([frozenset({(bad, Pick.NEW)})])

    found = search(world, changes if edited else [], changes)

    assert set(found.refused) == {bad}
    assert found.picks.get(bad) is (Pick.OLD if edited else None)
    assert world.asked <= 2 * math.ceil(math.log2(count)) + 5


@pytest.mark.parametrize("bad", [1, 2, 5])
def test_each_bad_one_that_is_named_costs_at_most_one_more_question(bad: int) -> None:
    changes = names(100)
    world = World([frozenset({(name, Pick.NEW)}) for name in changes[10 : 10 + bad]], telling=True)

    found = search(world, [], changes)

    assert set(found.refused) == set(changes[10 : 10 + bad])
    assert world.asked <= 1 + bad


def test_an_incumbent_does_not_yield_to_a_newcomer_of_a_smaller_name() -> None:
    world = World([frozenset({("a", Pick.NEW), ("z", Pick.OLD)})])

    found = search(world, ["z"], ["a"])

    assert dict(found.picks) == {"z": Pick.OLD}
    assert set(found.refused) == {"a"}


def test_a_parser_and_its_user_come_together_though_a_third_is_bad() -> None:
    world = World([frozenset({("m", Pick.NEW)})], needs={("a", Pick.NEW): frozenset({"z"})})

    found = search(world, [], ["a", "m", "z"])

    assert set(found.picks) == {"a", "z"}


def test_whoever_depended_on_what_is_gone_is_taken_out_and_comes_back_with_another_one_of_it() -> None:
    needy = {("user", Pick.OLD): frozenset({"parser"})}

    without = search(World(needs=dict(needy)), ["other", "user"], [])
    renamed = search(World([frozenset({("bad", Pick.NEW)})], needs=dict(needy)), ["other", "user"], ["bad", "parser"])

    assert set(without.picks) == {"other"}
    assert set(without.dropped) == {"user"}
    assert set(renamed.picks) == {"other", "user", "parser"}
    assert not renamed.dropped


def test_a_change_that_breaks_an_incumbent_is_refused_though_the_failure_names_the_incumbent() -> None:
    class Misleading(World):
        def answer(self, picks: Mapping[str, Pick]) -> Answer:
            answer = super().answer(picks)
            return Failed((), frozenset({"user"})) if isinstance(answer, Failed) else answer

    found = search(Misleading([frozenset({("parser", Pick.NEW), ("user", Pick.OLD)})]), ["parser", "user"], ["parser"])

    assert dict(found.picks) == {"parser": Pick.OLD, "user": Pick.OLD}
    assert set(found.refused) == {"parser"}


def test_a_spent_budget_leaves_the_rest_untried_and_what_is_in_passes() -> None:
    changes = names(64)
    world = World([frozenset({(name, Pick.NEW)}) for name in changes[::2]])

    found = search(world, [], changes, budget=8)

    assert world.asked <= 8
    assert found.untried
    assert not set(found.untried) & set(found.picks)
    assert world.is_fine(found.picks)


@pytest.mark.parametrize("bad", [slice(0, 40), slice(None, None, 3), slice(160, 200)])
def test_round_after_round_everybody_is_tried(bad: slice) -> None:
    changes = names(200)
    world = World([frozenset({(name, Pick.NEW)}) for name in changes[bad]])
    incumbents: list[str] = []
    refused: dict[str, Failed] = {}

    for _ in range(20):  # what got in runs, and is an incumbent of the next round
        found = search(world, incumbents, [n for n in changes if n not in incumbents], budget=64, before=refused)
        incumbents, refused = list(found.picks), dict(found.refused)
        if not found.untried:
            break

    assert not found.untried
    assert set(found.refused) == set(changes[bad])
    assert set(found.picks) == set(changes) - set(changes[bad])
