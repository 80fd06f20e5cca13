"""What may be said about a snippet, and what may go wrong?"""

from __future__ import annotations

from dataclasses import dataclass
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
