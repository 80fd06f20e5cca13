"""What does Fluent Bit's standard error mean?

Pure. Every pattern was taken from output of 5.1.1; the contract tests hold them against the real binary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from supervisor.adapters.process import describe_exit
from supervisor.core.redaction import redaction_of
from supervisor.model import Accepted, Finding, Inconclusive, Rejected, Severity, Verdict

RULE = "dry-run"
START_RULE = "start"
PASSED = "configuration test is successful"
_LONGEST = 600  # characters of a message; Fluent Bit cuts its lines at 4096 bytes, so such a cut never shows
_MOST = 20  # findings

_STAMPED = re.compile(r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?\] (?:\[ *(\w+)\] )?(.*)")
_SOURCE = re.compile(r"\[\S+\.[ch]:\d+ errno=(\d+)\] ")
_SHORTAGE = re.compile(
    r"\[\S+\.[ch]:\d+ errno=(?:5|11|12|23|24|28)\] "  # EIO EAGAIN ENOMEM ENFILE EMFILE ENOSPC
    r"|pipe: .*, errno=2[34] at |\[lib\] could not create "
)
_ALLOWED = " The following properties are allowed: "
_ECHO = re.compile(  # says only that an earlier line was an error
    r"yaml error$|configuration file contains errors, aborting|\[reload\] check properties"
    r"|Error binding socket$|\[reload\] reloaded config .*is invalid|failed to load '\w+' processors$"
)
_PLACES = (  # pattern, number of its first column
    (re.compile(r'YAML error found in file "([^"]+)", line (\d+), column (\d+)'), 0),
    (re.compile(r"invalid YAML in file (.+?) at line (\d+), column (\d+)"), 1),
    (re.compile(r"error in (.+?):(\d+)():"), 1),
    (re.compile(r"error loading script: (\S+?):(\d+)():"), 1),
)
_INCLUDING = re.compile(r"\[config\] (including file '[^']+') at (.+):(\d+)$")
_HINT = re.compile(r"\[config\] hint: (.*)")
RELOADED = "[reload] start everything"
_UNTESTED = (
    "Fluent Bit ended its dry-run without testing, as it does with `daemon on`: it must not leave its supervisor"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of Fluent Bit's log without its time stamp. The level is empty where the line has none."""

    level: str
    text: str


def lines(said: str) -> list[Line]:
    """The stamped lines; banner, stack traces and dumps are left out."""
    matches = (_STAMPED.match(line.rstrip()) for line in said.splitlines())
    return [Line((match[1] or "").lower(), match[2]) for match in matches if match]


def verdict(returncode: int, said: str, environment: Mapping[str, str]) -> Verdict:
    """What a dry-run that ended showed. `said` is its standard error.

    Passed only with status 0 *and* the sentence: with `daemon on` the status is 0 whatever the config says (seen on
    5.1.1). A crash is no answer: valid `nats`, `kafka-rest` and `azure_blob` outputs crash it (seen on 5.1.1).
    """
    if returncode == 0:
        return Accepted() if PASSED in said else Rejected((_error(_UNTESTED),))
    if returncode < 0 or 128 <= returncode < 255:
        signalled = returncode if returncode < 0 else 128 - returncode  # wrappers report 128 + signal
        return Inconclusive(f"the dry-run crashed: {describe_exit(signalled)}", crashed=True)
    if returncode in (126, 127):
        return Inconclusive(f"the Fluent Bit binary could not be run ({describe_exit(returncode)})")
    if shortage := _shortage(said):
        return Inconclusive(f"the dry-run ran out of resources: {redacted(shortage, environment)}")
    silence = _error(f"Fluent Bit refused the config without saying why ({describe_exit(returncode)})")
    return Rejected(findings(said, environment) or (silence,))


def findings(said: str, environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """The error lines as findings, in Fluent Bit's own words; path and line where it names them.

    The path is the emitted file as Fluent Bit wrote it: sometimes only the last part of it (seen on 5.1.1). Values of
    the environment are redacted in message and hint.
    """
    found: list[Finding] = []
    echoes: list[Finding] = []
    for line in lines(said):
        if line.level != "error":
            continue
        if hint := _HINT.match(line.text):
            if found:
                found[-1] = replace(found[-1], hint=hint[1])
        elif including := _INCLUDING.match(line.text):
            if found and not found[-1].path:
                message = f"{found[-1].message} ({including[1]})"
                found[-1] = replace(found[-1], message=message, path=including[2], line=int(including[3]))
        else:
            (echoes if _ECHO.match(line.text) else found).append(_located(line.text))
    hide = redaction_of(environment).text
    return tuple(
        replace(finding, message=_short(hide(finding.message)), hint=_short(hide(finding.hint)))
        for finding in (found or echoes)[:_MOST]
    )


def start_errors(said: str, environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """The error lines of the latest (re)load, first cause first: what the old pipeline said before is no part of it."""
    loading = said.rpartition(RELOADED)[2]
    return tuple(replace(finding, rule=START_RULE) for finding in findings(loading, environment))


def _located(text: str) -> Finding:
    source = _SOURCE.match(text)
    text, _, allowed = text[source.end() if source else 0 :].partition(_ALLOWED)
    finding = _error(text, hint=f"allowed: {allowed}" if allowed else "")
    for pattern, first_column in _PLACES:
        if place := pattern.search(text):
            column = int(place[3]) + 1 - first_column if place[3] else None
            return replace(finding, path=place[1], line=int(place[2]), column=column)
    return finding


def _error(message: str, hint: str = "") -> Finding:
    return Finding(Severity.ERROR, RULE, message, hint)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _shortage(said: str) -> str:
    """The first error line that speaks of the machine and not of the config. Only its beginning is looked at, where no
    text of a config can stand."""
    return next((line.text for line in lines(said) if line.level == "error" and _SHORTAGE.match(line.text)), "")


# --- what it says about a reload -----------------------------------------------------------------------------

_STOPPING = re.compile(r"\[reload\] stop everything of the old context|\[engine\] service will shutdown when all")
_DROPPED = "reloading in progress, aborting"
_REFUSING = re.compile(
    r"\[reload\] (?:reloaded config .*halted|hot reloading is not enabled|check properties)"
    r"|reloading in progress, aborting|yaml error$|could not open |configuration file contains errors"
    r"|\[(?:config|env|filter|processor|luajit|parser:[^\]]*)\] "
)


def refusal(said: str, environment: Mapping[str, str]) -> str:
    """Why a reload was declined; empty when these lines do not say that it was.

    The first telling line decides. A parse error ends without a word about the reload (seen on 5.1.1), so errors of the
    config reader count too, but not once the old pipeline is being stopped: from there Fluent Bit finishes or exits.
    Those words may be hidden by `log_level`, so a refusal must be confirmed by a count that stays.
    """
    for line in lines(said):
        if _STOPPING.match(line.text):
            return ""
        if _REFUSING.match(line.text) and (line.level == "error" or "not enabled" in line.text):
            told = (finding.message for finding in findings(said, environment))
            return next(told, "") or _short(redacted(line.text, environment))
    return ""


def is_dropped(said: str) -> bool:
    """Whether the signal found another reload under way: then it is lost, and nobody's config was refused (5.1.1)."""
    return any(line.level == "error" and line.text.startswith(_DROPPED) for line in lines(said))


# --- secrets -------------------------------------------------------------------------------------------------


def redacted(text: str, environment: Mapping[str, str]) -> str:
    """The text with each of these values shown as `${NAME}`, as `Redaction` says; short and public ones stay."""
    return redaction_of(environment).text(text)
