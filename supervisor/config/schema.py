"""Which plugins and properties does this very binary have?

What `fluent-bit -J` prints, as nouns. A kind of plugin that is not in it at all is unknown, not empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Property:
    name: str  # lower-case
    type: str  # as printed: string, boolean, integer, double, time, size, deprecated, …
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Plugin:
    name: str  # lower-case
    properties: Mapping[str, Property] = field(default_factory=dict)  # by name


@dataclass(frozen=True, slots=True)
class Schema:
    version: str  # of Fluent Bit
    plugins: Mapping[str, Mapping[str, Plugin]] = field(default_factory=dict)
    """`inputs`, `filters`, `outputs`, `processors`, `customs` → name → plugin; a list that is absent is unknown."""
