"""How is a verdict told, to people, to scripts and to CI?"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from supervisor.adapters.client import quoted
from supervisor.model import GENERATION_ROOT, Candidate, Finding, RenderedFile, Severity

_SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_text(findings: Iterable[Finding], verdict: str, contents: Mapping[str, bytes]) -> str:
    """`path:line: severity rule: message`, the line itself with its column marked, and a hint; the verdict last."""
    lines: list[str] = []
    for finding in findings:
        place = _place(finding)
        lines.append(f"{place}{finding.severity.value} {finding.rule}: {quoted(finding.rule, finding.message)}")
        lines += [f"    {line}" for line in _shown_line(finding, contents)]
        if finding.hint:
            lines.append(f"    hint: {finding.hint}")
    lines.append(verdict)
    return "\n".join(printable(line) for line in lines) + "\n"


def as_json(findings: Iterable[Finding], verdict: str) -> str:
    return json.dumps({"findings": [_document(finding) for finding in findings], "verdict": verdict}, indent=2) + "\n"


def as_github(findings: Iterable[Finding]) -> str:
    """Workflow commands, which become annotations on the changed lines."""
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
    lines = []
    for finding in findings:
        facts = {"file": finding.path, "line": finding.line, "col": finding.column, "title": finding.rule}
        told = ",".join(f"{name}={_escaped(str(fact), True)}" for name, fact in facts.items() if fact)
        message = _in_one(finding)
        lines.append(f"::{words[finding.severity]} {told}::{_escaped(message, False)}\n")
    return "".join(lines)


def as_sarif(findings: Iterable[Finding], version: str) -> str:
    """SARIF 2.1.0, one run."""
    found = list(findings)
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "fluent-bit-supervisor",
                        "version": version,
                        "rules": [{"id": rule} for rule in sorted({finding.rule for finding in found})],
                    }
                },
                "results": [_result(finding) for finding in found],
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def rendered(candidate: Candidate, *, explain: bool) -> str:
    """The candidate's files, each under a line that says its name; with `explain`, each line with its origin."""
    parts: list[str] = []
    for file in candidate.files:
        parts.append(f"# file: {file.name}\n")
        parts.extend(_lines(file, explain))
    for copy in candidate.copies:
        text = copy.content.decode("utf-8", "replace")
        note = f"# from {copy.source}\n" if explain else ""
        parts.append(f"# file: {copy.name}\n{note}{text}{'' if text.endswith(chr(10)) else chr(10)}")
    return "".join(parts)


def _lines(file: RenderedFile, explain: bool) -> Iterator[str]:
    # Written out, the files lie together: what is copied is then found beside the main file.
    for number, line in enumerate(file.text.replace(f"{GENERATION_ROOT}/", "").splitlines()):
        origin = file.origins[number] if number < len(file.origins) else None
        where = f"  # {printable(origin.snippet)}:{origin.line}" if explain and origin is not None else ""
        yield f"{line}{where}\n"


def _place(finding: Finding) -> str:
    path = finding.path or finding.snippet
    if not path:
        return ""
    column = f":{finding.column}" if finding.line is not None and finding.column is not None else ""
    line = f":{finding.line}" if finding.line is not None else ""
    return f"{path}{line}{column}: "


def _shown_line(finding: Finding, contents: Mapping[str, bytes]) -> Iterator[str]:
    if finding.line is None or finding.path not in contents:
        return
    lines = contents[finding.path].splitlines()
    if not 0 < finding.line <= len(lines):
        return
    whole = lines[finding.line - 1][:200].decode("utf-8", "replace").rstrip()
    indent = len(whole) - len(whole.lstrip())
    column = finding.column or 0
    start = min(indent, column - 1) if column else indent  # a wrong indent is shown as well
    if shown := printable(whole[start:]):
        yield shown
        if 0 < column <= len(whole):
            yield f"{' ' * len(printable(whole[start : column - 1]))}^"


def _document(finding: Finding) -> dict[str, object]:
    return {
        "severity": finding.severity.value,
        "rule": finding.rule,
        "message": finding.message,
        "hint": finding.hint,
        "path": finding.path,
        "snippet": finding.snippet,
        "line": finding.line,
        "column": finding.column,
    }


def _result(finding: Finding) -> dict[str, object]:
    message = _in_one(finding)
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": message},
    }
    if finding.path:
        place: dict[str, object] = {"artifactLocation": {"uri": _uri(finding.path)}}
        if finding.line is not None:
            region = {"startLine": finding.line}
            place["region"] = region if finding.column is None else {**region, "startColumn": finding.column}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _in_one(finding: Finding) -> str:
    message = quoted(finding.rule, finding.message)
    return f"{message} ({finding.hint})" if finding.hint else message


def _uri(path: str) -> str:
    escaped = quote(os.fsencode(path))
    return f"file://{escaped}" if path.startswith("/") else escaped


def _escaped(text: str, in_property: bool) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def printable(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
