"""What does the running supervisor say? The command line's way to the admin socket, and how it is told to people.

Standard library only: a command must answer at once. Each question gives the document as the API sent it, and the exit
status that scripts rely on; the functions below it turn a document into text. Names and messages come from files that
anybody may have written, so nothing in them that is not printable reaches a terminal as it is.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

DONE: Final = 0  # in sync; done
NOT_DONE: Final = 1  # out of sync; refused, reverted, or not over in the time given
UNREACHABLE: Final = 3

Document = Mapping[str, Any]
"""JSON as it came. `{"error": SENTENCE}` when there is no other."""

_ITS_WORDS: Final = ("dry-run", "start", "start-complaint")  # rules under which Fluent Bit is quoted
_OUR_WORDS: Final = ("Fluent Bit ", "the trial start ")  # as we begin when it said nothing that could be quoted
_PATIENCE: Final = 10.0  # seconds for an answer that needs no waiting


class AdminClient:
    """Asks the supervisor that listens at `socket_path`. Never raises: no answer is a document with `error`, and 3."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    def status(self) -> tuple[Document, int]:
        """All that is shown of it. 0 in sync, 1 out of sync, 3 not reachable."""
        code, document = self._ask("GET", "/api/v1/status")
        return document, _exit(code, fine=bool(document.get("in_sync")))

    def snippets(self, name: str | None = None) -> tuple[Document, int]:
        """All snippets, or the one of that identity. 0 when what is told is live in its newest version."""
        if name is None:
            code, document = self._ask("GET", "/api/v1/snippets")
            told = document.get("snippets", [])
        else:
            # A file name need not be UTF-8: what Python made of such bytes goes over as these bytes.
            code, document = self._ask("GET", "/api/v1/snippets/" + quote(os.fsencode(name)))
            told = [document]
        return document, _exit(code, fine=all(one.get("state") == "live" for one in told))

    def reload(self, wait: float | None = None, allow_empty: bool = False) -> tuple[Document, int]:
        """Have it look again and apply; with `wait`, wait that many seconds for the outcome.

        0 committed, unchanged, or (when nobody wants to wait) accepted. 1 refused, reverted, frozen, or not over yet.
        """
        wishes = {} if wait is None else {"wait": f"{wait:.3f}s"}
        if allow_empty:
            wishes["allow_empty"] = "true"
        code, document = self._ask("POST", f"/-/reload?{urlencode(wishes)}", _PATIENCE + (wait or 0.0))
        return document, _exit(code, fine=code == 200 or (code == 202 and wait is None))

    def release(self, name: str, wait: float | None = None) -> tuple[Document, int]:
        """Have a snippet tried again that is kept out; with `wait`, wait that many seconds for what becomes of it.

        0 released, and with `wait` live. 1 it was not kept out, is refused or taken back again, or not over yet.
        """
        target = "/api/v1/release" + ("" if wait is None else f"?wait={wait:.3f}s")
        code, document = self._ask("POST", target, _PATIENCE + (wait or 0.0), {"name": name})
        return document, _exit(code, fine=code == 200)

    def _ask(
        self, method: str, target: str, patience: float = _PATIENCE, body: Document | None = None
    ) -> tuple[int, Document]:
        """HTTP status and document; status 0 when there was no answer to understand."""
        connection = _UnixConnection(self._path, patience)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, target, sent, {"Content-Type": "application/json"} if sent else {})
            response = connection.getresponse()
            document = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as problem:
            why = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            return 0, {"error": f"no answer from a supervisor at {self._path}: {why}"}
        finally:
            connection.close()
        if not isinstance(document, dict):
            return 0, {"error": f"what answers at {self._path} is no supervisor"}
        return response.status, document


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _exit(code: int, *, fine: bool) -> int:
    if code == 0 or code >= 500:
        return UNREACHABLE
    return DONE if fine and code < 300 else NOT_DONE


# --- for people -----------------------------------------------------------------------------------------------


def status_text(document: Document, now: float | None = None) -> str:
    """The status on one screen: what runs, what does not and why. `now` in seconds since the epoch."""
    if problem := _problem(document):
        return problem
    now = time.time() if now is None else now
    findings = [one for one in document["findings"] if one["severity"] != "info"]
    lines = [*_columns(_facts(document, now)), ""]
    lines += _columns([("SNIPPET", "STATE", "RUNS", "NEWEST"), *map(_snippet_row, document["snippets"])])
    if findings:
        lines += ["", *_findings_lines(findings)]
    return _joined(lines)


def snippets_text(document: Document) -> str:
    """All snippets in columns, or one with everything that was said about it."""
    if problem := _problem(document):
        return problem
    many = document.get("snippets")
    told = [document] if many is None else many
    lines = _columns([("SNIPPET", "STATE", "RUNS", "NEWEST"), *map(_snippet_row, told)])
    findings = [finding for one in told for finding in one["findings"]]
    if findings:
        lines += ["", *_findings_lines(findings)]
    waiting = [one for one in told if one.get("waits_for")]
    if waiting:
        lines += ["", *(f"{one['name']} is {one['state']} and waits for: {one['waits_for']}" for one in waiting)]
    return _joined(lines)


def outcome_text(document: Document) -> str:
    """One sentence on what became of it."""
    if "outcome" not in document:
        return _problem(document)
    outcome, number, reason = document["outcome"], document.get("generation"), document.get("reason")
    if outcome == "not-kept-out":
        return _joined([str(reason)])
    which = f" (generation {number})" if number is not None else ""
    why = f": {reason}" if reason else ""
    return _joined([f"{outcome}{which}{why}"])


def _problem(document: Document) -> str:
    return _joined([str(document["error"])]) if "error" in document else ""


def _facts(document: Document, now: float) -> Iterator[Sequence[str]]:
    yield "phase", _phase(document)
    if document["reason"]:
        yield "because", document["reason"]
    for trouble in document["degraded"]:
        yield "degraded", trouble
    for warning in document["warnings"]:
        yield "warning", warning
    for name in ("desired", "current", "good"):
        yield name, _generation(document[name])
    if last := document["last_apply"]:
        how = f"generation {last['generation']} {last['outcome']} by {last['method']}"
        why = f": {last['reason']}" if last["reason"] else ""
        yield "last apply", f"{how} after {last['seconds']:.1f}s, {_ago(last['at'], now)}{why}"
    child = document["child"]
    if child["pid"] is not None:
        since = f", started {_ago(child['started_at'], now)}" if child["started_at"] else ""
        version = f"Fluent Bit {child['version']}, " if child["version"] else ""
        yield "child", f"{version}pid {child['pid']}{since}, {child['restarts']} restarts"
    else:
        yield "child", "none"


def _phase(document: Document) -> str:
    flags = [
        "in sync" if document["in_sync"] else "out of sync",
        "ready" if document["ready"] else "not ready",
        *(["frozen"] if document["frozen"] else []),
    ]
    return f"{document['phase']} ({', '.join(flags)})"


def _generation(one: Document) -> str:
    if one["generation"] is None:
        return "none"
    return f"generation {one['generation']}  {_short(one['digest'])}"


def _snippet_row(one: Document) -> Sequence[str]:
    return one["name"], one["state"], _short(one["running_digest"]), _short(one["digest"])


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "-"


def _ago(moment: float, now: float) -> str:
    seconds = max(0.0, now - moment)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit} ago"
    return f"{seconds:.0f}s ago"


def _findings_lines(findings: Sequence[Document]) -> Iterator[str]:
    """`PATH:LINE: SEVERITY RULE: MESSAGE`, as compilers and editors have it; the hint below."""
    for one in findings:
        where = one["path"] or one["snippet"]
        line = f":{one['line']}" if one["line"] is not None else ""
        place = f"{where}{line}: " if where else ""
        yield f"{place}{one['severity']} {one['rule']}: {quoted(one['rule'], one['message'])}"
        if one["hint"]:
            yield f"    hint: {one['hint']}"


def quoted(rule: str, message: str) -> str:
    """The message, said to be Fluent Bit's where it is in Fluent Bit's own words."""
    return f"Fluent Bit says: {message}" if rule in _ITS_WORDS and not message.startswith(_OUR_WORDS) else message


def _columns(rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> list[str]:
    clean = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in clean) for column in range(len(clean[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in clean
    ]


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{_printable(line).rstrip()}\n" for line in lines)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
