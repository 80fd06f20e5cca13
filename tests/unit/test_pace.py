"""One tenant cannot keep everybody in probation."""

from __future__ import annotations

from dataclasses import replace

from making import make_snippet

from supervisor.core.pace import WINDOW, counted, next_free, waits
from supervisor.core.selection import Version
from supervisor.model import Severity, Trust

NOW = 1_000_000.0
SHOP = Version(make_snippet("a.yaml", "a", Trust.TENANT), "k")
BANK = Version(replace(SHOP.snippet, name="tenants/bank/a.yaml", tenant="bank"), "k")
PLATFORM = Version(make_snippet("p.yaml", "p"), "k")
ALL = {version.snippet.name: version for version in (SHOP, BANK, PLATFORM)}


def three(tenant: str) -> int:
    return 3


def test_who_had_his_number_of_changes_waits_and_nobody_else() -> None:
    held = waits(ALL, {"shop": (NOW - 30, NOW - 20, NOW - 10)}, three, NOW)

    assert list(held) == [SHOP.snippet.name]
    assert held[SHOP.snippet.name].severity is Severity.WARNING
    assert held[SHOP.snippet.name].rule == "limit-changes"


def test_below_the_number_nobody_waits() -> None:
    assert not waits(ALL, {"shop": (NOW - 20, NOW - 10)}, three, NOW)


def test_he_goes_on_as_soon_as_the_oldest_of_them_is_over() -> None:
    moments = {"shop": (NOW - WINDOW + 5, NOW - 20, NOW - 10)}

    assert next_free(ALL.values(), moments, three, NOW) == 5
    assert waits(ALL, moments, three, NOW + 4.9)
    assert not waits(ALL, moments, three, NOW + 5)


def test_a_clock_that_was_set_back_frees() -> None:
    assert not waits(ALL, {"shop": (NOW + 10, NOW + 20, NOW + 30)}, three, NOW)


def test_each_tenant_is_counted_once_for_one_apply_and_what_is_over_is_forgotten() -> None:
    moments = counted({"shop": (NOW - WINDOW - 1,), "bank": (NOW - 1,)}, ["shop", "shop"], NOW)

    assert moments == {"shop": (NOW,), "bank": (NOW - 1,)}
    assert counted(moments, [], NOW + WINDOW) == {}
