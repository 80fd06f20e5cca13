"""What do Fluent Bit's words at a start mean?

Pure. Every pattern was taken from output of 5.1.1; the contract tests hold the refusing ones against the real binary.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import replace

from supervisor.adapters.fluent_bit import messages
from supervisor.adapters.process import describe_exit, limit_met
from supervisor.model import Finding, Inconclusive, Rejected, Severity, Verdict

COMPLAINT_RULE = "start-complaint"
READY = "[sp] stream processor started"

_FAILED = re.compile(
    r"\[engine\] (?:(?:input|filter|output) initialization failed|storage creation failed|router failed)"
    r"|configuration file contains errors, aborting"
)
_NEVER_READY = "[engine] could not initialize stream processor"
_COMPLAINTS = re.compile(
    r"\[input:tail:[^\]]*\] (?:parser '.*' is not registered|invalid 'tag_regex' config value"
    r"|invalid database 'db\.sync' value)"
    r"|\[output:[^\]]*\] unrecognized '(?:format|json_date_format)' option"
    r"|\[filter:checklist:[^\]]*\] (?:could not open file: |option 'file' is not set)"
    r"|\[sp\] (?:invalid query on task |cannot open configuration file: )"
    rf"|{re.escape(_NEVER_READY)}"
)
"""Errors that Fluent Bit lives on with, though what is complained of does not work: no parsing, another format, no
streams."""

_WORLD = re.compile(
    r"\[?net\]?:? getaddrinfo\(|\[(?:aws_credentials|imds|oauth2|http_client|upstream|io)\] "
    r"|metadata (?:server|connection)|[Cc]onnection (?:#\S+ )?(?:error|failed|refused|timed out)"
)
_SHORTAGE = re.compile(
    r"\[\S+\.[ch]:\d+ errno=(?:5|11|12|23|24|28)\] "  # EIO EAGAIN ENOMEM ENFILE EMFILE ENOSPC
    r"|Too many open files|Cannot allocate memory|No space left on device|could not create (?:thread|engine thread)"
    r"|\[lib\] could not create |could not create manager channels"
)
_MEMORY = re.compile(r"Cannot allocate memory|\bmmap \(12\)|not enough memory")
"""Said somewhere, mostly without a time stamp, before a crash for want of address space; the last by Lua."""
_BIND = re.compile(r"(?:could not bind address|can't bind to|failed to bind to|server on) \S+:(\d+)")
_CRASHES = "Fluent Bit crashes when it starts with this config"
_KILLS_FROM_OUTSIDE = (-9, -15, 137, 143)
_NO_PROGRAM = (126, 127)


def has_failed(said: str) -> bool:
    """Whether it says that it will end. It takes a second more to do so, in which nothing else is learnt."""
    return any(line.level == "error" and _FAILED.match(line.text) for line in messages.lines(said))


def complaints(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those errors among the findings of a start that count though Fluent Bit lives on."""
    return tuple(_as_complaint(finding) for finding in found if _COMPLAINTS.match(finding.message))


def _as_complaint(finding: Finding) -> Finding:
    return replace(finding, rule=COMPLAINT_RULE) if _COMPLAINTS.match(finding.message) else finding


def is_last(complaint: Finding) -> bool:
    """Whether nothing more is to be waited for: without its streams Fluent Bit never says that it is ready."""
    return _NEVER_READY in complaint.message


def of_failure(returncode: int | None, said: str, room: str, shared: frozenset[int], env: Mapping[str, str]) -> Verdict:
    """What a start that failed shows. `returncode`: None when it has not ended yet, but said that it would.

    `room` is the directory of the rehearsal, `shared` its ports that more than one section binds: trouble with our own
    places is nobody's fault.
    """
    found = tuple(_with_reason(_as_complaint(each)) for each in messages.start_errors(said, env))
    if returncode in _KILLS_FROM_OUTSIDE:
        return Inconclusive(f"the trial start was ended from outside: {describe_exit(_signalled(returncode or 0))}")
    if returncode in _NO_PROGRAM:
        return Inconclusive(f"the Fluent Bit binary could not be run ({describe_exit(returncode or 0)})")
    if limit := limit_met(returncode or 0):
        return Inconclusive(f"the trial start {limit}", timed_out=_signalled(returncode or 0) == -signal.SIGXCPU)
    if _MEMORY.search(said):
        return Inconclusive("the trial start ran out of memory")
    for line in messages.lines(said):
        if line.level in ("error", "warn") and (reason := _not_the_authors(line.text, room, shared)):
            return Inconclusive(f"the trial start {reason}: {messages.redacted(line.text, env)}")
    if returncode is not None and (returncode < 0 or 128 <= returncode < 255):
        ended = f"{_CRASHES} ({describe_exit(_signalled(returncode))})"
        return Rejected((*found, _error(ended)))
    silence = f"Fluent Bit ended before it was ready ({describe_exit(returncode or 0)})"
    return Rejected(found or (_error(silence),))


def is_crash(verdict: Verdict) -> bool:
    """Whether Fluent Bit crashed. Some of its last words may be missing then: its logger is a thread (5.1.1)."""
    return isinstance(verdict, Rejected) and verdict.findings[-1].message.startswith(_CRASHES)


def shared_ports(texts: Iterable[str]) -> frozenset[int]:
    """Ports that stand in more than one section of a rehearsal."""
    said = [int(port) for text in texts for port in re.findall(r'^ +(?:- )?port: "?(\d+)"?$', text, re.MULTILINE)]
    return frozenset(port for port in said if said.count(port) > 1)


def _not_the_authors(text: str, room: str, shared: frozenset[int]) -> str:
    if _SHORTAGE.search(text):
        return "ran out of resources"
    if _WORLD.search(text):
        return "needs the network"
    if room in text:
        return "could not use its own directory"
    bind = _BIND.search(text)
    if bind is not None and int(bind[1]) not in shared:
        return "lost its own port to another program"
    return ""


def _with_reason(finding: Finding) -> Finding:
    """The port in the message is none that an author knows."""
    if not _BIND.search(finding.message):
        return finding
    hint = "another section listens on the same address; the trial start gave both the port that is named here"
    return replace(finding, hint=hint)


def _signalled(returncode: int) -> int:
    return returncode if returncode < 128 else 128 - returncode  # wrappers report 128 + signal


def _error(message: str) -> Finding:
    return Finding(Severity.ERROR, messages.START_RULE, message)
