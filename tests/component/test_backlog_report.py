"""Whose backlog is told, and when is it looked at?"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from component.chunks import NOBODY, chunk, lay
from conftest import eventually

from supervisor.adapters import backlog
from supervisor.adapters.api.replies import json_reply
from supervisor.adapters.metrics import MAX_TENANTS, Metrics
from supervisor.controller.backlogs import BacklogWatch
from supervisor.controller.report import NOTHING_YET
from supervisor.controller.tenants import MOST_STRANDED, needs_a_close_look, remarks_on, stranded_of, tenants_of
from supervisor.model import Backlog, Backlogs, SnippetState, SnippetStatus, Status, TenantStatus

# --- who has how much ---


def snippet(tenant: str | None, state: SnippetState = SnippetState.LIVE) -> SnippetStatus:
    return SnippetStatus(f"tenants/{tenant}/a.conf", "tenants", tenant, state, "d", "d")


def test_a_tenant_is_told_with_its_snippets_and_its_backlog() -> None:
    snippets = [snippet("a"), snippet("a", SnippetState.REFUSED), snippet("b", SnippetState.PENDING), snippet(None)]
    seen = Backlogs({"a": Backlog(2, 300), "gone": Backlog(1, 5)}, Backlog(9, 9))

    tenants = tenants_of(snippets, ["named"], seen)

    none = {"live": 0, "previous": 0, "refused": 0, "pending": 0}
    assert tenants == (
        TenantStatus("a", {**none, "live": 1, "refused": 1}, Backlog(2, 300)),
        TenantStatus("b", {**none, "pending": 1}, Backlog(0, 0)),
        TenantStatus("named", none, Backlog(0, 0)),
    )
    assert stranded_of(tenants, seen) == {"gone": Backlog(1, 5)}


def test_what_was_not_looked_at_is_not_known_to_be_nothing() -> None:
    half = Backlogs({"a": Backlog(2, 300)}, Backlog(0, 0), problem="there are more than 20000 files")

    assert [one.backlog for one in tenants_of([snippet("a"), snippet("b")], [], half)] == [Backlog(2, 300), None]
    assert [one.backlog for one in tenants_of([snippet("a")], [], None)] == [None]
    assert stranded_of((), None) == {}


def test_the_stranded_are_bounded_and_nothing_of_the_sum_is_lost() -> None:
    crowd = Backlogs({f"t{number}": Backlog(1, number) for number in range(2000)}, Backlog(0, 0))

    told = stranded_of((), crowd)

    assert len(told) == MOST_STRANDED + 1
    assert (sum(one.chunks for one in told.values()), sum(one.bytes for one in told.values())) == (2000, 1999 * 1000)
    assert "t1999" in told


@pytest.mark.parametrize(
    ("snippets", "warnings", "closely"),
    [
        ([snippet("a")], [], False),
        ([snippet("a", SnippetState.REFUSED)], [], True),
        ([snippet("a", SnippetState.PREVIOUS)], [], True),
        ([snippet(None, SnippetState.REFUSED)], [], False),
        ([], ["output es cannot deliver"], True),
    ],
)
def test_it_is_looked_at_closely_while_a_backlog_may_grow(
    snippets: list[SnippetStatus], warnings: list[str], closely: bool
) -> None:
    assert needs_a_close_look(snippets, warnings) is closely


def test_what_is_wrong_with_the_buffers_is_told() -> None:
    assert list(remarks_on(NOBODY)) == []
    assert list(remarks_on(replace(NOBODY, unreadable=2, problem="p"))) == [
        "p",
        "2 files among the buffers hold no whole chunk: nothing of them can be delivered",
    ]


def test_the_status_document_has_it() -> None:
    tenants = (TenantStatus("a", {"live": 1}, Backlog(2, 300)), TenantStatus("b", {"live": 1}, None))
    status = replace(NOTHING_YET, tenants=tenants, stranded={"gone": Backlog(1, 5)})

    document = json.loads(bytes(json_reply(status).body))  # type: ignore[arg-type]

    assert document["tenants"] == [
        {"name": "a", "snippets": {"live": 1}, "backlog": {"chunks": 2, "bytes": 300}},
        {"name": "b", "snippets": {"live": 1}, "backlog": None},
    ]
    assert document["stranded"] == {"gone": {"chunks": 1, "bytes": 5}}


# --- as metrics ---


def series(status: Status) -> dict[tuple[str, str], float]:
    metrics = Metrics("1")
    metrics.show(status)
    pattern = re.compile(
        r'^fluentbit_supervisor_tenant_backlog_(chunks|bytes)\{tenant="([^"]*)"\} (\S+)$', re.MULTILINE
    )
    return {(found[1], found[2]): float(found[3]) for found in pattern.finditer(metrics.text().decode())}


def test_each_known_tenant_has_its_series_and_the_rest_is_summed() -> None:
    tenants = (
        TenantStatus("a", {}, Backlog(2, 300)),
        TenantStatus("b", {}, Backlog(0, 0)),
        TenantStatus("c", {}, None),
    )
    stranded = {"gone": Backlog(1, 5), "lost": Backlog(2, 7)}

    assert series(replace(NOTHING_YET, tenants=tenants, stranded=stranded)) == {
        ("chunks", "a"): 2,
        ("chunks", "b"): 0,
        ("chunks", "other"): 3,
        ("bytes", "a"): 300,
        ("bytes", "b"): 0,
        ("bytes", "other"): 12,
    }


def test_a_tenant_that_is_called_other_makes_no_second_series() -> None:
    status = replace(NOTHING_YET, tenants=(TenantStatus("other", {}, Backlog(1, 1)),), stranded={"gone": Backlog(1, 5)})

    assert series(status) == {("chunks", "other"): 2, ("bytes", "other"): 6}


def test_a_crowd_of_tenants_is_capped_and_the_largest_are_seen() -> None:
    crowd = tuple(TenantStatus(f"t{number:04d}", {}, Backlog(1, number)) for number in range(3000))

    shown = series(replace(NOTHING_YET, tenants=crowd))

    assert len(shown) == 2 * (MAX_TENANTS + 1)
    assert ("bytes", "t2999") in shown
    assert sum(value for (what, _), value in shown.items() if what == "chunks") == 3000


# --- when ---


class Watched:
    """A watch that runs, with short times."""

    def __init__(self, directory: str, *, soon: float, seldom: float) -> None:
        self.directory = directory
        self.now = NOTHING_YET
        self.shown: list[Status] = []
        self.watch = BacklogWatch(
            lambda: self.directory, status=lambda: self.now, show=self.shown.append, soon=soon, seldom=seldom
        )

    async def __aenter__(self) -> Watched:
        self.task = asyncio.create_task(self.watch.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_a_look_is_taken_at_once_and_told(tmp_path: Path) -> None:
    lay(tmp_path, {"t.0/a": chunk(b"tenant.shop.x")})

    async with Watched(str(tmp_path), soon=60, seldom=60) as watched:
        await eventually(lambda: watched.shown)

        assert watched.watch.latest == Backlogs({"shop": Backlog(1, 7)}, Backlog(0, 0))


async def test_a_close_look_is_repeated_soon_another_is_not(tmp_path: Path) -> None:
    async with Watched(str(tmp_path), soon=0.01, seldom=600) as watched:
        await eventually(lambda: watched.shown)
        watched.now = replace(NOTHING_YET, warnings=("output es cannot deliver",))
        await eventually(lambda: len(watched.shown) > 5)
        watched.now = NOTHING_YET
        asked = []
        watched.watch._status = lambda: asked.append(1) or NOTHING_YET  # type: ignore[func-returns-value]
        await eventually(lambda: len(asked) > 20)
        looks = len(watched.shown)
        await eventually(lambda: len(asked) > 40)

        assert len(watched.shown) == looks


async def test_it_is_seldom_but_not_never_looked_at_when_all_is_well(tmp_path: Path) -> None:
    async with Watched(str(tmp_path), soon=0.01, seldom=0.05) as watched:
        await eventually(lambda: len(watched.shown) > 2)


async def test_another_directory_is_looked_at_soon(tmp_path: Path) -> None:
    lay(tmp_path / "b", {"t.0/a": chunk(b"tenant.shop.x")})

    async with Watched(str(tmp_path / "a"), soon=0.01, seldom=600) as watched:
        await eventually(lambda: watched.shown)
        watched.directory = str(tmp_path / "b")
        await eventually(lambda: watched.watch.latest is not None and watched.watch.latest.tenants)


async def test_without_a_directory_nothing_is_known(tmp_path: Path) -> None:
    async with Watched("", soon=0.01, seldom=0.01) as watched:
        await asyncio.sleep(0)
        assert watched.watch.latest is None
        watched.directory = str(tmp_path)
        await eventually(lambda: watched.watch.latest == NOBODY)


async def test_a_fault_of_our_own_is_no_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(backlog, "_Tally", broken)

    async with Watched(str(tmp_path), soon=0.01, seldom=0.01) as watched:
        await eventually(lambda: len(watched.shown) > 1)

        assert watched.watch.latest is not None
        assert watched.watch.latest.problem == f"what waits in {tmp_path} cannot be told: RuntimeError"
