"""What would we run, and what runs?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from supervisor.model.words import Finding

GENERATION_ROOT = "/.fluent-bit-supervisor-generation"
"""Stands in rendered text for the directory that the candidate will lie in, known only when it is written."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an emitted line came from."""

    snippet: str
    line: int


@dataclass(frozen=True, slots=True)
class RenderedFile:
    name: str  # relative to the generation
    text: str
    origins: tuple[Origin | None, ...] = ()  # one per line of text; None: ours


@dataclass(frozen=True, slots=True)
class CopiedFile:
    name: str  # relative to the generation
    content: bytes
    source: str  # absolute path it was read from


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where Fluent Bit's monitoring server answers."""

    host: str  # address to connect to (a wildcard listen address becomes loopback)
    port: int


MAIN_FILE = "fluent-bit.yaml"


@dataclass(frozen=True, slots=True)
class OutputInstance:
    """One output of the pipeline, as Fluent Bit's metrics will name it, and whose it is."""

    name: str  # the alias, else PLUGIN.N counted in load order
    snippet: str
    fingerprint: str  # digest of the section's text: equal means the very same output


@dataclass(frozen=True, slots=True)
class Needed:
    """A directory that Fluent Bit must be able to write to, and who asks for it."""

    path: str
    snippet: str  # empty: we do
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete config tree in memory, with the map from emitted line to snippet line."""

    digest: str  # over files, copies and watched references: equal digest, same pipeline
    files: tuple[RenderedFile, ...]  # the main file (`MAIN_FILE`) first
    copies: tuple[CopiedFile, ...]
    members: Mapping[str, str]  # snippet identity → digest
    endpoint: Endpoint
    restart_key: str  # settings that a reload cannot change, digested: when it differs, restart
    grace: float  # seconds the base gives Fluent Bit to flush at stop
    variables: frozenset[str]  # names that base and platform text reads from the environment
    directories: tuple[Needed, ...]  # storage, logs, DBs: made before the start where they are missing
    outputs: tuple[OutputInstance, ...]
    idle: bool  # nothing at all is configured: no child is wanted
    secrets: tuple[str, ...] = ()  # paths of tenants' secrets that its text names
    referred: tuple[str, ...] = ()  # paths of other files that tenants' text names and Fluent Bit opens at start
    storage: str = ""  # absolute path of what waits on disk; empty: none, or not to be told


@dataclass(frozen=True, slots=True)
class Accepted:
    """Fluent Bit itself took it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """No answer. Says nothing about anybody's config, and blames nobody."""

    reason: str
    crashed: bool = False  # the question itself made Fluent Bit crash: only a real start can answer it
    timed_out: bool = False  # it was not answered in time; asked again, it would not be either


Verdict = Accepted | Rejected | Inconclusive


@dataclass(frozen=True, slots=True)
class Generation:
    """An accepted candidate, numbered, on disk."""

    number: int
    digest: str  # of the candidate
    path: str  # its directory
    members: Mapping[str, str]
    endpoint: Endpoint
    restart_key: str
    grace: float
    directories: tuple[str, ...]
    outputs: tuple[OutputInstance, ...]
    created_at: float  # seconds since the epoch, for display only
    variables: tuple[str, ...] = ()  # names that its text reads from the environment
    made_by: str = ""  # digest of binary, version and settings that it was made and checked with
    versions: Mapping[str, str] = field(default_factory=dict)  # snippet identity → key of its version
    secrets: tuple[str, ...] = ()  # paths of tenants' secrets that its text names
    referred: tuple[str, ...] = ()  # paths of other files that tenants' text names and Fluent Bit opens at start
    storage: str = ""  # as the candidate's


@dataclass(frozen=True, slots=True)
class Conviction:
    """A version of a snippet that proved unhealthy at run time. Another version is free, after the hold-down."""

    key: str  # of the version, keyed
    reason: str
    at: float  # seconds since the epoch
    count: int  # how often this snippet was convicted lately, this time included
    until: float  # seconds since the epoch until which no other version is tried either; 0: no hold-down
    line: int | None = None  # where it is wrong, if that is known


# --- what runs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutputCounters:
    """Cumulative counters of one output instance since the last (re)load."""

    records: int = 0
    errors: int = 0
    retries: int = 0
    retries_failed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the monitoring API and the process table said about the child, at one moment."""

    alive: bool  # the process (pid and start time) is there and not a zombie
    answering: bool  # the monitoring server of *this* process answered
    uptime: float | None = None  # seconds, as Fluent Bit counts them; falls at a reload
    reloads: int | None = None  # hot_reload_count
    outputs: Mapping[str, OutputCounters] | None = None  # None: metrics not there (404 for a second after each load)
    inputs: Mapping[str, int] | None = None  # records taken in, by instance name
    resident_bytes: int = 0
    cpu_seconds: float = 0.0
    detail: str = ""  # why it is not well, for people


class Health(StrEnum):
    WELL = "well"
    UNKNOWN = "unknown"  # not yet to be said
    UNWELL = "unwell"


@dataclass(frozen=True, slots=True)
class Reading:
    """A judgement of one observation, compared with before."""

    health: Health
    detail: str = ""
    warnings: tuple[str, ...] = ()  # e.g. outputs that fail now and failed before, or are new
    suspects: tuple[str, ...] = ()  # snippets whose own outputs show that it is not well
