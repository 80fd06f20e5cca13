"""How is what was found told, to whom, and each thing once?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from supervisor.core.admission import Admission, Failed
from supervisor.core.selection import Pick
from supervisor.model import Finding, Severity, Snapshot
from supervisor.prepare.causes import each_once

_UNTRIED = "so many changes fail that this one was not tried yet; it is as soon as the others are settled"


def with_paths(findings: Iterable[Finding], snapshot: Snapshot) -> tuple[Finding, ...]:
    """Findings that name a snippet, with the path that its author knows."""
    paths: Mapping[str, str] = {snippet.name: snippet.path for snippet in snapshot.snippets}
    return tuple(
        replace(finding, path=paths[finding.snippet]) if not finding.path and finding.snippet in paths else finding
        for finding in findings
    )


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By place, each thing said once; what is said of one place stays in its order, first cause first."""
    return tuple(sorted(each_once(findings), key=lambda f: (f.path, f.snippet, f.line or 0, f.rule)))


def told_of(admission: Admission, newest: Snapshot, withheld: Mapping[str, Finding]) -> tuple[Finding, ...]:
    """What is to be said of everybody who is not in with his newest version, and of what could not be read."""
    said: list[Finding] = []
    for name, failed in (*admission.refused.items(), *admission.dropped.items()):
        said += _own(name, failed)
    said += withheld.values()
    said += [Finding(Severity.WARNING, "not-tried-yet", _UNTRIED, snippet=name) for name in admission.untried]
    said += [f for f in newest.findings if admission.picks.get(f.snippet) is not Pick.NEW]
    return tuple(dict.fromkeys(said))


def _own(name: str, failed: Failed) -> list[Finding]:
    """Why this one is out. When the failure does not speak of it, its words are told all the same."""
    own = [finding for finding in failed.findings if finding.snippet == name]
    if errors(own):
        return own
    conflicts = [finding for finding in own if finding.rule.startswith("duplicate-")]
    if conflicts:  # of a base it is only a doubt, until it is seen to be the cause
        return [replace(finding, severity=Severity.ERROR) for finding in conflicts]
    causes = errors(failed.findings)
    unnamed = [replace(cause, snippet=name, path="", line=None) for cause in causes if not cause.snippet]
    if unnamed:
        return unnamed
    return [_breaks(name, cause) for cause in causes[:1]]


def _breaks(name: str, cause: Finding) -> Finding:
    where = cause.snippet if cause.line is None else f"{cause.snippet}:{cause.line}"
    message = f"with this version {where} cannot run any more: {cause.message}"
    return Finding(Severity.ERROR, "breaks-another", message, "change both together, or leave what is used", name)
