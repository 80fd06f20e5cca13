"""Which rules are there, and how severe is each for whom?"""

from __future__ import annotations

from dataclasses import replace

from supervisor.model import Finding, Severity, Trust

_DOUBTFUL = {"unset-variable", "duplicate-alias", "unknown-service-key", "empty-snippet", "no-output"}


def weigh(finding: Finding, trust: Trust) -> Finding:
    """The finding with the severity that it has for an author of that trust.

    What the real binary runs is at most a warning for the base. Doubts are errors for tenants only.
    """
    if finding.severity is Severity.INFO:
        return finding
    if trust is Trust.BASE:
        return replace(finding, severity=Severity.WARNING)
    if finding.rule in _DOUBTFUL:
        return replace(finding, severity=Severity.ERROR if trust is Trust.TENANT else Severity.WARNING)
    return finding
