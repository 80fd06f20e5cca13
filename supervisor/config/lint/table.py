"""Which rules are there, and how severe is each for whom?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from supervisor.config.lint import (
    conflicts,
    elsewhere,
    files,
    multiline,
    parsers,
    properties,
    regexes,
    relations,
    routes,
    service,
    streams,
    structure,
    tags,
)
from supervisor.config.lint.rules import Rule
from supervisor.model import Finding, Severity, Trust

_MODULES = (
    *(structure, service, properties, relations, conflicts, files, parsers, multiline, regexes, routes, streams, tags),
    elsewhere,
)

TABLE: Mapping[str, Rule] = {rule.id: rule for module in _MODULES for rule in module.RULES}
"""Every rule by its id."""

_ORDER = (Severity.INFO, Severity.WARNING, Severity.ERROR)


def weigh(finding: Finding, trust: Trust) -> Finding:
    """The finding with the severity that its rule has for an author of that trust.

    Never more than the finding has by itself: a rule may be less sure in one case than in another. What the base's text
    says is at most a warning here. A rule that is not in the table is a fault of ours, which a test finds.
    """
    rule = TABLE.get(finding.rule)
    if rule is None:
        return finding
    by_trust = {Trust.BASE: rule.base, Trust.PLATFORM: rule.platform, Trust.TENANT: rule.tenant}
    severity = min(finding.severity, by_trust[trust] or finding.severity, key=_ORDER.index)
    if trust is Trust.BASE:
        severity = min(severity, Severity.WARNING, key=_ORDER.index)
    return replace(finding, severity=severity)


def rule_table() -> str:
    """The table of rules, in Markdown."""
    rows = ["| rule | finds | base | platform | tenant |", "| --- | --- | --- | --- | --- |"]
    for rule in sorted(TABLE.values(), key=lambda rule: rule.id):
        weights = " | ".join(
            severity.value if severity else "–" for severity in (rule.base, rule.platform, rule.tenant)
        )
        rows.append(f"| `{rule.id}` | {rule.says} | {weights} |")
    return "\n".join(rows) + "\n"
