"""What nouns are there?

Frozen values only; nothing here acts. The words are those of the README's glossary. The exception tree:

    SupervisorError
    ├── SettingsError     the operator's settings cannot be used; told in one line at start, exit 2
    ├── StoreError        the state directory refused something
    └── ProcessError      a program could not be started

A fault of a snippet's author is never an exception: it is a `Finding`.
A fault of the world for the time being is `Inconclusive`, or a `Reading` that is not well.
"""

from supervisor.model.read import EXPANDS, LEADS_OUT, Include, Layer, Reference, Snapshot, Snippet
from supervisor.model.runs import (
    GENERATION_ROOT,
    MAIN_FILE,
    Accepted,
    Candidate,
    Conviction,
    CopiedFile,
    Endpoint,
    Generation,
    Health,
    Inconclusive,
    Needed,
    Observation,
    Origin,
    OutputCounters,
    OutputInstance,
    Reading,
    Rejected,
    RenderedFile,
    Verdict,
)
from supervisor.model.said import Document, Entry, Group, Kind, Node, Parsed, Scalar, Section, Sequence
from supervisor.model.shown import (
    ApplyStatus,
    Backlog,
    Backlogs,
    ChildStatus,
    GenerationStatus,
    SnippetState,
    SnippetStatus,
    Status,
    TenantStatus,
)
from supervisor.model.words import Finding, ProcessError, SettingsError, Severity, StoreError, SupervisorError, Trust

__all__ = [
    "EXPANDS",
    "GENERATION_ROOT",
    "LEADS_OUT",
    "MAIN_FILE",
    "Accepted",
    "ApplyStatus",
    "Backlog",
    "Backlogs",
    "Candidate",
    "ChildStatus",
    "Conviction",
    "CopiedFile",
    "Document",
    "Endpoint",
    "Entry",
    "Finding",
    "Generation",
    "GenerationStatus",
    "Group",
    "Health",
    "Include",
    "Inconclusive",
    "Kind",
    "Layer",
    "Needed",
    "Node",
    "Observation",
    "Origin",
    "OutputCounters",
    "OutputInstance",
    "Parsed",
    "ProcessError",
    "Reading",
    "Reference",
    "Rejected",
    "RenderedFile",
    "Scalar",
    "Section",
    "Sequence",
    "SettingsError",
    "Severity",
    "Snapshot",
    "Snippet",
    "SnippetState",
    "SnippetStatus",
    "Status",
    "StoreError",
    "SupervisorError",
    "TenantStatus",
    "Trust",
    "Verdict",
]
