"""Who is left out when what is good stands still again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_snippet

from supervisor.controller.reasons import is_doubtful
from supervisor.controller.stalls import Stalls, without_suspects
from supervisor.core import events as e
from supervisor.core.machine import Phase, State
from supervisor.core.selection import Version, Versions
from supervisor.model import Snapshot, Trust

GOOD = State(phase=Phase.STEADY, current=1, good=1, epoch=7)
STALLED = e.Failed(7, "the engine does not turn", stalled=True)


def test_it_takes_a_second_time() -> None:
    stalls = Stalls()

    assert not stalls.hear(STALLED, GOOD)
    assert stalls.hear(STALLED, GOOD)


def test_right_after_that_nobody_is_left_out_again() -> None:
    stalls = Stalls()

    heard = [stalls.hear(STALLED, GOOD) for _ in range(6)]

    assert heard == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (e.Failed(7, "an output fails"), GOOD),
        (e.Failed(6, "of a phase that is over", stalled=True), GOOD),
        (STALLED, replace(GOOD, current=2)),  # a newcomer: he is blamed without that
        (e.Exited(1, "gone"), GOOD),
    ],
    ids=["another trouble", "outdated", "newcomer", "a crash"],
)
def test_nothing_else_counts(event: e.Event, state: State) -> None:
    stalls = Stalls()

    assert not any(stalls.hear(event, state) for _ in range(5))


def test_what_tenants_wrote_is_suspected_and_nothing_of_the_platforms() -> None:
    everybody = [make_snippet("p.conf", "x"), make_snippet("a.yaml", "x", Trust.TENANT)]
    old = {one.name: Version(one, f"key of {one.name}") for one in everybody}

    rest, suspects = without_suspects(
        Versions(Snapshot("d", ()), None, {}, old, frozenset()), lambda version: version.key
    )

    assert suspects == {"tenants/shop/a.yaml": "key of tenants/shop/a.yaml"}
    assert set(rest.old) == {"platform/p.conf"}


@pytest.mark.parametrize("stalled", [True, False])
def test_who_changed_last_need_not_be_who_stops_the_engine(stalled: bool) -> None:
    probation = State(phase=Phase.PROBATION, current=2, good=1, epoch=7)

    assert is_doubtful(e.Failed(7, "no metrics", stalled=stalled), probation) is stalled
