"""Who is kept out for what happened at run time, and for how long?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.quarantine import (
    FORGOTTEN_AFTER,
    HOLD_CAP,
    Sentence,
    convicted,
    next_moment,
    sentence,
    whose_turn,
    withheld,
)
from supervisor.model import Conviction, Severity

NAMES = st.sets(st.sampled_from("abcdefg"))


@given(NAMES, NAMES)
def test_only_who_changed_is_guilty_or_suspected(changed: set[str], named: set[str]) -> None:
    found = sentence(changed, named)

    assert {*found.guilty, *found.suspects} <= changed
    assert not (found.guilty and found.suspects)
    assert bool(found.guilty or found.suspects) is bool(changed)


def test_who_is_named_is_guilty_and_the_others_are_free() -> None:
    assert sentence({"a", "b", "c"}, {"b", "z"}) == Sentence(guilty=("b",))


def test_the_only_change_is_guilty_without_being_named() -> None:
    assert sentence({"a"}, set()) == Sentence(guilty=("a",))


def test_several_of_whom_nobody_is_named_are_suspects() -> None:
    assert sentence({"b", "a"}, {"z"}) == Sentence(suspects=("a", "b"))


def test_who_failed_before_is_suspected_before_anybody_else() -> None:
    assert sentence({"a", "b"}, set(), paroled={"b"}) == Sentence(guilty=("b",))
    assert sentence({"a", "b", "c"}, set(), paroled={"b", "c"}) == Sentence(suspects=("b", "c"))


def test_the_first_fix_is_tried_at_once_and_whoever_fails_again_waits_longer_each_time() -> None:
    found: Conviction | None = None
    holds = []
    now = 1000.0
    for _ in range(12):
        found = convicted(found, "key", "it died", None, now)
        holds.append(max(0.0, found.until - now))
        now += holds[-1] + 1

    assert holds[:4] == [0.0, 10.0, 20.0, 40.0]
    assert max(holds) == HOLD_CAP
    assert holds == sorted(holds)


def test_after_a_long_time_without_a_fault_it_counts_as_the_first_again() -> None:
    first = convicted(None, "key", "it died", None, 0.0)

    assert convicted(first, "key", "it died", None, FORGOTTEN_AFTER + 1).count == 1


def held(count: int = 1, until: float = 0.0) -> Conviction:
    return Conviction("bad", "it died", 0.0, count, until, 7)


def test_the_convicted_version_stays_out_with_its_reason_and_another_one_is_free() -> None:
    found = withheld(["a", "b"], {"a": "bad", "b": "fixed"}.__getitem__, {"a": held(), "b": held()}, {}, 1.0)

    assert set(found) == {"a"}
    assert (found["a"].severity, found["a"].rule, found["a"].line) == (Severity.ERROR, "quarantined", 7)
    assert found["a"].message == "this version ran and was taken back: it died"
    assert "release a" in found["a"].hint


@pytest.mark.parametrize(("now", "waits"), [(5.0, True), (50.0, False)])
def test_during_the_hold_down_no_version_is_tried(now: float, waits: bool) -> None:
    found = withheld(["a"], lambda name: "fixed", {"a": held(2, until=20.0)}, {}, now)

    assert [finding.rule for finding in found.values()] == (["held-down"] if waits else [])


def test_the_suspects_are_tried_one_at_a_time_in_order() -> None:
    keys = {"a": "1", "b": "2", "c": "3", "d": "4"}

    found = withheld(["a", "b", "c", "d"], keys.__getitem__, {}, {"b": "2", "c": "3", "d": "other"}, 0.0)

    assert set(found) == {"c"}
    assert (found["c"].severity, found["c"].rule) == (Severity.WARNING, "on-parole")
    assert "b" in found["c"].message


def test_the_next_moment_is_that_of_the_shortest_hold_down() -> None:
    quarantine = {"a": held(2, 30.0), "b": held(2, 20.0), "c": held()}

    assert next_moment(quarantine, ["a", "b", "c"], 5.0) == 15.0
    assert next_moment(quarantine, ["c"], 5.0) is None


def test_a_failure_that_need_not_be_the_configs_makes_no_one_guilty_the_first_time() -> None:
    assert sentence({"a"}, set(), doubtful=True) == Sentence(suspects=("a",))
    assert sentence({"a"}, set(), doubtful=True, paroled={"a"}) == Sentence(guilty=("a",))
    assert sentence({"a"}, set(), doubtful=True, paroled={"b"}) == Sentence(suspects=("a",))
    assert sentence({"a", "b"}, {"a"}, doubtful=True) == Sentence(guilty=("a",))


PAROLE = {"a": "1", "b": "2", "c": "3"}


def test_whoever_has_the_turn_keeps_it_while_he_runs_and_is_not_proven() -> None:
    found = withheld(["b", "c"], PAROLE.__getitem__, {}, PAROLE, 0.0, on_trial="a")

    assert set(found) == {"b", "c"}
    assert all("a is tried before" in finding.message for finding in found.values())


def test_who_cannot_run_alone_gives_the_turn_to_the_next_one() -> None:
    found = withheld(["a", "b", "c"], PAROLE.__getitem__, {}, PAROLE, 0.0, passed_over={"a"})

    assert set(found) == {"a", "c"}
    assert whose_turn(["a", "b", "c"], PAROLE.__getitem__, PAROLE, found) == "b"


def test_a_hold_down_that_a_clock_of_the_future_gave_does_not_last() -> None:
    later = {"a": held(2, until=HOLD_CAP + 1000.0)}

    assert withheld(["a"], lambda name: "fixed", later, {}, 0.0) == {}
    assert next_moment(later, ["a"], 0.0) is None
