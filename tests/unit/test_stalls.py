"""Who is left out when what is good stands still again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from making import make_snippet

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


def test_only_what_tenants_let_work_on_records_is_suspected() -> None:
    texts = {
        "in.yaml": "pipeline:\n  inputs:\n    - {name: dummy, tag: a}\n",
        "filter.conf": "[FILTER]\n    name grep\n    match a\n    regex log x\n",
        "parser.yaml": "parsers:\n  - {name: x, format: json}\n",
        "out.yaml": "pipeline:\n  outputs:\n    - {name: 'null', match: a}\n",
    }
    tenants = [make_snippet(name, text, Trust.TENANT) for name, text in texts.items()]
    everybody = [make_snippet("p.conf", texts["filter.conf"]), *tenants]
    old = {one.name: Version(one, f"key of {one.name}") for one in everybody}

    rest, suspects = without_suspects(
        Versions(Snapshot("d", ()), None, {}, old, frozenset()), lambda version: version.key
    )

    assert [name.rpartition("/")[2] for name in suspects] == ["in.yaml", "filter.conf", "parser.yaml"]
    assert all(suspects[name] == f"key of {name}" for name in suspects)
    assert set(rest.old) == {"platform/p.conf", "tenants/shop/out.yaml"}
