"""What does lint look at?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.config.schema import Schema
from supervisor.model import Section, Snippet


@dataclass(frozen=True, slots=True)
class Located:
    """A section and the snippet that says it."""

    snippet: Snippet
    section: Section


@dataclass(frozen=True, slots=True)
class Context:
    """What is known around the sections when they are judged together."""

    variables: Mapping[str, str | None] = field(default_factory=dict)  # that have a value; None: a secret, not read
    schema: Schema | None = None  # None: no binary was asked
    newcomers: frozenset[str] | None = None  # snippets in a version that does not run yet; None: all of them
