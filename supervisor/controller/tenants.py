"""How does each tenant stand? Pure: how many of its snippets are in which state, and what of it waits on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from supervisor.model import Backlog, Backlogs, SnippetState, SnippetStatus, TenantStatus

MOST_STRANDED = 500  # names that are told
REST = "other"  # the sum of those beyond

_NOTHING = Backlog(0, 0)


def tenants_of(
    snippets: Iterable[SnippetStatus], named: Iterable[str], backlogs: Backlogs | None
) -> tuple[TenantStatus, ...]:
    """Those with snippets, and those `named` in the settings; by name."""
    counts: dict[str, Counter[SnippetState]] = {tenant: Counter() for tenant in named}
    for snippet in snippets:
        if snippet.tenant:
            counts.setdefault(snippet.tenant, Counter())[snippet.state] += 1
    return tuple(
        TenantStatus(tenant, {state.value: counts[tenant][state] for state in SnippetState}, _of(tenant, backlogs))
        for tenant in sorted(counts)
    )


def stranded_of(known: Iterable[TenantStatus], backlogs: Backlogs | None) -> Mapping[str, Backlog]:
    """What waits for tenants that nobody knows any more: the largest by name, the rest summed."""
    if backlogs is None:
        return {}
    names = {tenant.name for tenant in known}
    unknown = [(name, backlog) for name, backlog in backlogs.tenants.items() if name not in names]
    unknown.sort(key=lambda one: (-one[1].bytes, one[0]))
    told = dict(unknown[:MOST_STRANDED])
    if rest := [backlog for _name, backlog in unknown[MOST_STRANDED:]]:
        told[REST] = total([told.get(REST, _NOTHING), *rest])
    return told


def needs_a_close_look(snippets: Iterable[SnippetStatus], warnings: Iterable[str]) -> bool:
    """Whether a backlog may be growing: some tenant's snippet is not what its author wants, or something fails."""
    kept_out = (SnippetState.REFUSED, SnippetState.PREVIOUS)
    return any(one.tenant and one.state in kept_out for one in snippets) or any(warnings)


def remarks_on(backlogs: Backlogs) -> Iterator[str]:
    """What is wrong with the backlogs themselves."""
    if backlogs.problem:
        yield backlogs.problem
    if backlogs.unreadable:
        yield f"{backlogs.unreadable} files among the buffers hold no whole chunk: nothing of them can be delivered"


def total(backlogs: Iterable[Backlog]) -> Backlog:
    each = list(backlogs)
    return Backlog(sum(one.chunks for one in each), sum(one.bytes for one in each))


def _of(tenant: str, backlogs: Backlogs | None) -> Backlog | None:
    """Nothing seen is nothing there only if all was looked at."""
    if backlogs is None:
        return None
    return backlogs.tenants.get(tenant, None if backlogs.problem else _NOTHING)
