"""What do people see?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from supervisor.model.words import Finding


class SnippetState(StrEnum):
    LIVE = "live"
    PREVIOUS = "previous"  # the newest is refused, its last accepted version runs
    REFUSED = "refused"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class SnippetStatus:
    name: str
    layer: str
    tenant: str | None
    state: SnippetState
    digest: str | None  # None: not there any more
    running_digest: str | None  # None: does not run
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits on disk to be delivered."""

    chunks: int
    bytes: int  # of content; the files are longer


@dataclass(frozen=True, slots=True)
class Backlogs:
    """Everybody's backlog at one moment, as far as it was looked at."""

    tenants: Mapping[str, Backlog]  # of those with one, whether or not they are known
    others: Backlog  # with tags that are no tenant's
    unreadable: int = 0  # files that hold no whole chunk: Fluent Bit delivers nothing of them either
    problem: str = ""  # why not all could be seen, so that there may be more of each; empty: all was seen


@dataclass(frozen=True, slots=True)
class TenantStatus:
    name: str
    snippets: Mapping[str, int]  # how many in each `SnippetState`
    backlog: Backlog | None  # None: not known


@dataclass(frozen=True, slots=True)
class GenerationStatus:
    generation: int | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class ApplyStatus:
    """The last attempt to change what runs, and how it ended."""

    generation: int
    method: str  # start | reload | restart
    outcome: str  # applying | committed | reverted | refused | degraded
    reason: str
    at: float  # seconds since the epoch
    seconds: float  # change seen → outcome


@dataclass(frozen=True, slots=True)
class ChildStatus:
    pid: int | None
    started_at: float | None
    restarts: int
    version: str


@dataclass(frozen=True, slots=True)
class Status:
    """All that is shown, computed in one place, so that log, API and metrics cannot disagree."""

    phase: str
    intake: str
    in_sync: bool
    ready: bool
    frozen: bool
    reason: str  # why it is not in sync or not ready; empty when all is well
    degraded: tuple[str, ...]  # lasting troubles, e.g. no writable state directory
    desired: GenerationStatus
    current: GenerationStatus
    good: GenerationStatus
    last_apply: ApplyStatus | None
    child: ChildStatus
    snippets: tuple[SnippetStatus, ...]
    findings: tuple[Finding, ...]  # all of them, also those of no snippet
    tenants: tuple[TenantStatus, ...] = ()  # those with files, running snippets, or grants of their own; by name
    stranded: Mapping[str, Backlog] = field(default_factory=dict)  # of tenants that have none of these any more
    warnings: tuple[str, ...] = ()  # e.g. outputs that cannot deliver
    watch_mode: str = ""
    reverted: bool = False  # an apply was undone (or could not be), and none has been committed since
    committed_at: float | None = None  # last commit, seconds since the epoch; None: none yet in this life
