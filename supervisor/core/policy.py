"""May this layer or tenant say that?

In this version the answer for tenants is no: nothing is granted to them yet, and what is not granted is refused before
any Fluent Bit process sees a byte of it. Base and platform may say everything.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.model import Finding, Severity, Snippet, Trust


def refuse_tenants(snippets: Iterable[Snippet]) -> tuple[tuple[Snippet, ...], tuple[Finding, ...]]:
    """The snippets that may be read on, and what is said to those that may not."""
    admitted: list[Snippet] = []
    findings: list[Finding] = []
    for snippet in snippets:
        if snippet.trust is not Trust.TENANT:
            admitted.append(snippet)
            continue
        message = "this version grants nothing to tenants, so this file is left out; everybody else goes on"
        hint = "put it into a layer with trust 'platform' if its author may change the whole pipeline"
        findings.append(Finding(Severity.ERROR, "tenant-not-granted", message, hint, snippet.name, snippet.path, 1))
    return tuple(admitted), tuple(findings)
