"""What was read?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.model.words import Finding, Trust


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
