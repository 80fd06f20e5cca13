"""What does the one service section of the candidate say?

Fluent Bit merges every classic `[SERVICE]` into one, later keys win, and refuses a second YAML `service:`. So all of
them become one here: what the command line says comes first, then base and platform text in load order, then what the
supervisor needs for itself. What it changes is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from supervisor.config.lint import Located
from supervisor.config.schema import Schema
from supervisor.core.lone_pair import is_routed_unasked
from supervisor.model import Endpoint, Entry, Finding, Kind, Scalar, Severity, Trust
from supervisor.settings import Policy

_REPEATABLE = ("parsers_file", "plugins_file", "streams_file")  # each one named is loaded, none overrides another
_SERVER = ("http_server", "http_listen", "http_port")
_TRUE = ("on", "true", "yes")
_LEVELS = ("off", "error", "warn", "warning", "info", "debug", "trace")  # others in FLB_LOG_LEVEL are ignored (5.1.1)
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_VARIABLE = re.compile(r"\$\{([^}:]*)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Frame:
    """What the operator's settings, command line and environment put around the snippets."""

    cwd: str
    environment: Mapping[str, str] = field(default_factory=dict)
    service_defaults: tuple[tuple[str, str], ...] = ()  # from the command line: any file's key wins over them
    parsers_files: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()  # handed to Fluent Bit as they are
    pipeline: bool = False  # the arguments hold a pipeline
    http_port: int = 2020
    grace: float = 5.0  # seconds
    buffers: str | None = None  # None: no place for them
    policy: Policy = field(default_factory=Policy)  # what tenants are granted
    offsets: str | None = None  # directory for how far the inputs of tenants have read; None: there is none
    closed_ports: frozenset[int] = frozenset()  # of the supervisor itself: no destination for tenants
    salt: str = field(default="", repr=False)  # with which the names of secrets are made
    schema: Schema | None = field(default=None, repr=False, compare=False)  # of the binary; None: it was not asked


@dataclass(frozen=True, slots=True)
class Service:
    entries: tuple[tuple[str, Entry], ...]  # each with the snippet that says it, or "" when it is ours
    endpoint: Endpoint
    grace: float
    asked_for_server: bool  # somebody wants the monitoring server, not only we
    findings: tuple[Finding, ...]

    def value(self, key: str) -> str | None:
        for _snippet, entry in self.entries:
            if entry.key == key and isinstance(entry.value, Scalar):
                return entry.value.text
        return None


def merge_service(frame: Frame, located: Sequence[Located], variables: Mapping[str, str]) -> Service:
    """One service section out of all. `variables` are those that the config itself sets."""
    values = {key.lower(): ("", Scalar(value, 0)) for key, value in frame.service_defaults}
    repeated = [("", Entry("parsers_file", Scalar(path, 0), 0)) for path in frame.parsers_files]
    for place in located:
        if place.section.kind is Kind.SERVICE:
            _take(place, values, repeated)
    known = {**frame.environment, **variables}

    def said(key: str) -> str | None:
        return expand(values[key][1].text, known) if key in values else None

    asked = is_true(said("http_server"))
    host = said("http_listen") if asked else None
    host = host or ("0.0.0.0" if asked else "127.0.0.1")
    port, complaint = _port(said("http_port"), frame.http_port, asked)
    findings = [*_forced(located, known), *complaint]
    ours = {
        "http_server": "on",
        "http_listen": host,
        "http_port": str(port),
        "hot_reload": "on",
        "daemon": "off",
    }
    if "storage.path" not in values and frame.buffers is not None and not is_routed_unasked(frame.arguments, located):
        ours["storage.path"] = frame.buffers
    level = frame.environment.get("FLB_LOG_LEVEL", "")
    if level.lower() in _LEVELS and not is_said(located, "log_level"):  # it counts more than the command line (5.1.1)
        ours["log_level"] = level
    if "grace" not in values:
        ours["grace"] = f"{max(1, round(frame.grace))}"
    merged = {**values, **{key: ("", Scalar(value, 0)) for key, value in ours.items()}}
    entries = (*((snippet, Entry(key, value, value.line)) for key, (snippet, value) in merged.items()), *repeated)
    grace = max(frame.grace, _seconds(said("grace")) or 0.0)
    return Service(entries, Endpoint(_WILDCARDS.get(host, host), port), grace, asked, tuple(findings))


def is_said(located: Sequence[Located], key: str) -> bool:
    """Whether a service section has that key (lower-case)."""
    sections = (place.section for place in located if place.section.kind is Kind.SERVICE)
    return any(section.get(key) is not None for section in sections)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME}` and `${NAME:-default}` as Fluent Bit puts them in; an unset one is nothing."""
    return _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2] or "", text)


def is_true(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _TRUE


def _take(place: Located, values: dict[str, tuple[str, Scalar]], repeated: list[tuple[str, Entry]]) -> None:
    for entry in place.section.entries:
        key = entry.key.lower()
        if not isinstance(entry.value, Scalar) or _is_the_bases(key, place):
            continue
        if key in _REPEATABLE:
            repeated.append((place.snippet.name, Entry(key, entry.value, entry.line)))
        else:
            values[key] = (place.snippet.name, entry.value)


def _is_the_bases(key: str, place: Located) -> bool:
    """Where the monitoring server answers is the base's word alone: a snippet must not move probes and scrapes."""
    return key in _SERVER and place.snippet.trust is not Trust.BASE


def _port(text: str | None, default: int, asked: bool) -> tuple[int, tuple[Finding, ...]]:
    """The port of the monitoring server: the text's when it asks for the server, else ours.

    Fluent Bit refuses a bad one only when it is to listen there (5.1.1).
    """
    if text is None:
        return default, ()
    if text.strip().isdecimal() and 0 < int(text) < 65536:
        return (int(text) if asked else default), ()
    severity = Severity.ERROR if asked else Severity.WARNING
    message = f"http_port '{text}' is not a port number"
    return default, (Finding(severity, "bad-http-port", message, "use a number from 1 to 65535"),)


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _forced(located: Sequence[Located], variables: Mapping[str, str]) -> Iterable[Finding]:
    """What somebody asked for and does not get."""
    for place in located:
        if place.section.kind is not Kind.SERVICE:
            continue
        for entry in place.section.entries:
            text = expand(entry.value.text, variables) if isinstance(entry.value, Scalar) else ""
            key = entry.key.lower()
            severity, rule = Severity.INFO, "forced-service-key"
            if _is_the_bases(key, place):
                severity = Severity.WARNING
                message = f"{key} counts in the base only: probes and scrapes rely on where the server answers"
            elif key == "daemon" and is_true(text):
                rule = "daemon"
                message = "daemon is kept off: a Fluent Bit in the background could be neither checked nor watched"
            elif key in ("hot_reload", "http_server") and not is_true(text):
                message = f"{key} is kept on: the supervisor needs it to apply and to prove a change"
            else:
                continue
            snippet = place.snippet
            yield Finding(severity, rule, message, "", snippet.name, snippet.path, entry.line)
