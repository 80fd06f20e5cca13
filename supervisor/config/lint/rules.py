"""What is a rule?

Each module of rules exports its own as `RULES`; `table` gathers them and says how severe each is for whom. Base: what
the real binary starts is at most a warning. Platform: sure mistakes are errors, doubtful ones warnings. Tenant: both
are errors. Information stays information.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.model import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that may be said about a snippet, and how severe it is by the trust of the author.

    A severity of None: it does not arise for such an author.
    """

    id: str  # stable, lower-case with hyphens
    says: str  # one line for the table of rules
    base: Severity | None
    platform: Severity | None
    tenant: Severity | None


def mistake(rule_id: str, says: str) -> Rule:
    """Surely wrong: an error, but for a base that runs."""
    return Rule(rule_id, says, Severity.WARNING, Severity.ERROR, Severity.ERROR)


def doubt(rule_id: str, says: str) -> Rule:
    """Probably not meant: an error for tenants only."""
    return Rule(rule_id, says, Severity.WARNING, Severity.WARNING, Severity.ERROR)


def warning(rule_id: str, says: str) -> Rule:
    """Worth a word to everybody, and never a reason to refuse."""
    return Rule(rule_id, says, Severity.WARNING, Severity.WARNING, Severity.WARNING)


def refusal(rule_id: str, says: str) -> Rule:
    """Nothing that could be used: an error whoever wrote it."""
    return Rule(rule_id, says, Severity.ERROR, Severity.ERROR, Severity.ERROR)


def remark(rule_id: str, says: str) -> Rule:
    """For information."""
    return Rule(rule_id, says, Severity.INFO, Severity.INFO, Severity.INFO)
