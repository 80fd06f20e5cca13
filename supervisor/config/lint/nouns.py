"""What does lint look at?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.config.paths import Wanted
from supervisor.config.schema import Schema
from supervisor.model import Reference, Section, Snippet


@dataclass(frozen=True, slots=True)
class Located:
    """A section and the snippet that says it."""

    snippet: Snippet
    section: Section


@dataclass(frozen=True, slots=True)
class Referred:
    """A file that a section refers to, and what was found there."""

    place: Located
    wanted: Wanted
    reference: Reference | None  # None: nobody looked


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Where Fluent Bit's monitoring server listens."""

    listen: str
    port: int


@dataclass(frozen=True, slots=True)
class Context:
    """What is known around the sections when they are judged together."""

    variables: Mapping[str, str | None] = field(default_factory=dict)  # that have a value; None: a secret, not read
    schema: Schema | None = None  # None: no binary was asked
    newcomers: frozenset[str] | None = None  # snippets in a version that does not run yet; None: all of them
    cwd: str = "/"  # Fluent Bit's working directory
    referred: tuple[Referred, ...] = ()  # in load order
    unseen_parsers: bool = False  # the command line names parsers files, whose content nobody read
    unseen_plugins: bool = False  # shared objects are loaded: there are plugins that the schema does not know
    unseen_pipeline: bool = False  # the command line holds inputs, filters or outputs
    monitoring: Monitoring | None = None
    promised: frozenset[str] = frozenset()  # patterns of tags that the operator says there are
    reaching: frozenset[str] = frozenset()  # tenants whose records the platform's outputs get, too
    storage_path: bool = True  # there is one, said or given
