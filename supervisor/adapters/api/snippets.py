"""What is told of one snippet: how it stands, and if its newest version does not run, what it waits for?"""

from __future__ import annotations

import dataclasses
from difflib import get_close_matches

from supervisor.model import Severity, SnippetState, SnippetStatus, Status

_CLOSE = 0.85  # how alike two names must be for one to be meant by the other


def snippet_document(snippet: SnippetStatus, status: Status) -> dict[str, object]:
    """The snippet as the status has it, and `waits_for`: a sentence, empty when it is live or its findings say it."""
    fields = {field.name: getattr(snippet, field.name) for field in dataclasses.fields(snippet)}
    return fields | {"waits_for": _waits_for(snippet, status)}


def unknown(name: str, status: Status) -> str:
    """That there is no such snippet, and which may be meant."""
    names = [snippet.name for snippet in status.snippets]
    near = [one for one in names if one.endswith(f"/{name}")] or get_close_matches(name, names, n=1, cutoff=_CLOSE)
    return f"there is no snippet {name}{f'; did you mean {near[0]}?' if near else ''}"


def _waits_for(snippet: SnippetStatus, status: Status) -> str:
    told = any(finding.severity is Severity.ERROR or finding.rule in _WAITING for finding in snippet.findings)
    if snippet.state is SnippetState.LIVE or told:
        return ""
    if status.intake == "preparing":
        return "it is being checked"
    of_all = [one for one in status.findings if one.severity is Severity.ERROR and not one.snippet]
    if of_all:
        hint = f" ({of_all[0].hint})" if of_all[0].hint else ""
        return f"something that concerns all changes at once: {of_all[0].message}{hint}"
    if status.phase == "steady":
        return status.reason
    return f"what is being done just now: {_DOING.get(status.phase, status.phase)}"


_WAITING = ("held-down", "on-parole", "not-tried-yet")  # rules of warnings that say what is waited for
_DOING = {
    "down": "nothing runs yet",
    "starting": "Fluent Bit starts",
    "probation": "the latest change is on probation",
    "reloading": "a change is being loaded",
    "reverting": "a change is being undone",
    "replacing": "Fluent Bit is being restarted",
    "backoff": "Fluent Bit ended, and is started again in a moment",
    "stopping": "the supervisor stops",
}
