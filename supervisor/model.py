"""What nouns are there?

Frozen values only; nothing here acts. The words are those of the README's glossary. The exception tree:

    SupervisorError
    ├── SettingsError     the operator's settings cannot be used; told in one line at start, exit 2
    ├── StoreError        the state directory refused something
    └── ProcessError      a program could not be started

A fault of a snippet's author is never an exception: it is a `Finding`.
A fault of the world for the time being is `Inconclusive`, or a `Reading` that is not well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SupervisorError(Exception):
    """Root of the exceptions that this program raises on purpose."""


class SettingsError(SupervisorError):
    """The operator's settings, flags or environment cannot be used."""


class StoreError(SupervisorError):
    """The state directory could not be read or written."""


class ProcessError(SupervisorError):
    """A program could not be started at all."""


class Trust(StrEnum):
    """How far the author of a text is trusted, and so how strictly it is judged."""

    BASE = "base"  # the stock main file and what it includes: what the real binary runs is never an error
    PLATFORM = "platform"
    TENANT = "tenant"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing said about a snippet, for the eyes of its author."""

    severity: Severity
    rule: str  # stable id, lower-case with hyphens
    message: str
    hint: str = ""
    snippet: str = ""  # identity; empty when the whole config is meant
    path: str = ""  # the file as its author knows it
    line: int | None = None  # 1-based, in the author's file
    column: int | None = None  # 1-based


# --- what was read -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layer:
    """An ordered directory of snippets with one level of trust."""

    name: str
    directory: str
    trust: Trust


@dataclass(frozen=True, slots=True)
class Snippet:
    """One file as it was read, whole. Its version is the digest of its bytes."""

    name: str  # identity: LAYER/NAME, LAYER/TENANT/NAME, or base/NAME
    layer: str
    trust: Trust
    path: str  # the file as its author knows it
    content: bytes
    digest: str  # sha256 of the content, hex
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Include:
    """What one include directive of a base file stands for on disk, resolved as Fluent Bit would."""

    includer: str  # path of the file that says it
    line: int  # where it says it
    pattern: str  # as written
    targets: tuple[str, ...]  # absolute paths of files, sorted; empty when nothing was there


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that the config refers to: text to take over, or a secret to keep an eye on."""

    path: str  # absolute
    digest: str | None  # sha256 of the content; None when it cannot be read
    content: bytes | None = None  # only for text that is copied into the generation
    problem: str = ""  # why it cannot be read, for people


LEADS_OUT = "leads out of what was granted"
"""How the problem of a tenant's reference begins when it is a link to somewhere else."""

EXPANDS = "holds ${, and Fluent Bit would put the value of a variable there"
"""The problem of a tenant's secret that would reach for another one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All snippets at one instant, read whole; never a list of events."""

    digest: str  # over everything below: equal digest, nothing to do
    snippets: tuple[Snippet, ...]  # load order: base main file first, its includes, then layer by layer, sorted by name
    base: str | None = None  # path of the base's main file
    includes: tuple[Include, ...] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)  # by absolute path
    secrets: Mapping[str, Reference] = field(default_factory=dict)  # by variable name (a tenant's: its private one)
    findings: tuple[Finding, ...] = ()  # what reading itself has to say: too large, not a file, unreadable
    alarms: tuple[str, ...] = ()  # what is kept although it cannot be read at present, one sentence each
    kept: Mapping[str, Mapping[str, Reference]] = field(default_factory=dict)
    """For a snippet that stays in an older version: what that version refers to, by path, before `references`."""


# --- what it says --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. Fluent Bit knows text only, but guesses types of unquoted YAML in some places: so the style stays."""

    text: str
    line: int
    column: int = 1
    plain: bool = False  # True: unquoted YAML scalar


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One property. Keys may repeat within their section."""

    key: str  # as written
    value: Node
    line: int


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping inside a value (processors, routes …), or classic group content."""

    entries: tuple[Entry, ...]
    line: int


Node = Scalar | Sequence | Group


class Kind(StrEnum):
    """What a section is, whatever the format calls it."""

    SERVICE = "service"
    ENV = "env"
    INCLUDE = "include"  # one entry per directive; its value is the pattern as written
    INPUT = "input"
    FILTER = "filter"
    OUTPUT = "output"
    CUSTOM = "custom"
    PARSER = "parser"
    MULTILINE_PARSER = "multiline_parser"
    STREAM_TASK = "stream_task"
    UPSTREAM = "upstream"
    PLUGINS = "plugins"  # shared objects to load
    UNKNOWN = "unknown"  # Fluent Bit ignores it in silence


@dataclass(frozen=True, slots=True)
class Section:
    kind: Kind
    title: str  # as written: `INPUT`, `inputs`, `OUTPT`
    entries: tuple[Entry, ...]
    line: int

    def get(self, key: str) -> Scalar | None:
        """The first scalar of that key (lower-case), or None; Fluent Bit compares keys without case."""
        for entry in self.entries:
            if entry.key.lower() == key and isinstance(entry.value, Scalar):
                return entry.value
        return None


@dataclass(frozen=True, slots=True)
class Document:
    """What one text says, whichever format it was written in: sections in their order."""

    sections: tuple[Section, ...]
    format: str  # "classic" or "yaml"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document, or the findings that say why there is none (then it is None). Findings may also be warnings."""

    document: Document | None
    findings: tuple[Finding, ...] = ()  # without snippet and path: the caller knows them


# --- what we would run ---------------------------------------------------------------------------------------

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


# --- what runs -----------------------------------------------------------------------------------------------


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


# --- what people see -----------------------------------------------------------------------------------------


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
