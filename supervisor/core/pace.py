"""How fast may one tenant change what runs?

Every change that goes live costs everybody a reload and a probation. So each tenant has a number of them within ten
minutes; what comes after waits, and the newest of it goes live when there is room again. Rotated secrets count, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from supervisor.core.selection import Version
from supervisor.model import Finding, Severity

WINDOW = 600.0  # seconds

Moments = Mapping[str, Sequence[float]]
"""Tenant → when changes of his went live, in seconds since the epoch, the latest last."""


def waits(
    changed: Mapping[str, Version], moments: Moments, limit_of: Callable[[str], int], now: float
) -> dict[str, Finding]:
    """Which changes are not to be tried now, and why. `limit_of`: what a tenant was granted."""
    found: dict[str, Finding] = {}
    for name, version in changed.items():
        tenant = version.snippet.tenant
        if tenant is None or (moment := _free_at(moments.get(tenant, ()), limit_of(tenant), now)) is None:
            continue
        limit = limit_of(tenant)
        message = f"{limit} changes of the tenant '{tenant}' went live within ten minutes, so this one waits"
        hint = f"the newest version goes live after {datetime.fromtimestamp(moment, UTC):%H:%M:%S} UTC"
        found[name] = Finding(Severity.WARNING, "limit-changes", message, hint, name)
    return found


def counted(moments: Moments, tenants: Iterable[str], now: float) -> dict[str, tuple[float, ...]]:
    """The moments with one more for each of these tenants; those that are over are forgotten."""
    recent = {tenant: tuple(each for each in past if _counts(each, now)) for tenant, past in moments.items()}
    for tenant in set(tenants):
        recent[tenant] = (*recent.get(tenant, ()), now)
    return {tenant: past for tenant, past in recent.items() if past}


def next_free(changed: Iterable[Version], moments: Moments, limit_of: Callable[[str], int], now: float) -> float | None:
    """Seconds until one of these may be tried; None: none of them waits for that."""
    return min((moment - now for moment in _moments(changed, moments, limit_of, now)), default=None)


def _moments(
    changed: Iterable[Version], moments: Moments, limit_of: Callable[[str], int], now: float
) -> Iterator[float]:
    for tenant in {version.snippet.tenant for version in changed} - {None}:
        assert tenant is not None
        moment = _free_at(moments.get(tenant, ()), limit_of(tenant), now)
        if moment is not None:
            yield moment


def _free_at(past: Sequence[float], limit: int, now: float) -> float | None:
    """When there is room for another one; None: there is."""
    recent = [each for each in past if _counts(each, now)]
    return recent[-limit] + WINDOW if len(recent) >= limit else None


def _counts(moment: float, now: float) -> bool:
    return 0 <= now - moment < WINDOW  # a clock that was set back frees
