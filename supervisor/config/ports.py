"""Where does a section listen?

The plugins that open a port, with the defaults in their own source; each was started on 5.1.1 without properties to see
what it binds. A port of 0 means the default to all of them, and a text is read as C's `atoi` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor.config.names import lower
from supervisor.model import Kind, Section

WILDCARDS = frozenset({"0.0.0.0", "::", "*"})
_HIGHEST = 65535
_NUMBER = re.compile(r"\s*\+?(\d+)")


@dataclass(frozen=True, slots=True)
class Listens:
    """How a plugin listens when nothing is said."""

    port: int
    protocol: str = "tcp"  # or `udp`
    key: str = "listen"  # the property that names the address


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that Fluent Bit binds for a section."""

    host: str  # as written, variables filled in
    port: int
    protocol: str  # `tcp` or `udp`
    line: int  # where the port is said, else where the section begins


LISTENERS: Mapping[tuple[Kind, str], Listens] = {
    (Kind.INPUT, "collectd"): Listens(25826, "udp"),
    (Kind.INPUT, "elasticsearch"): Listens(9200),
    (Kind.INPUT, "forward"): Listens(24224),
    (Kind.INPUT, "http"): Listens(9880),
    (Kind.INPUT, "mqtt"): Listens(1883),
    (Kind.INPUT, "opentelemetry"): Listens(4318),
    (Kind.INPUT, "prometheus_remote_write"): Listens(8080),
    (Kind.INPUT, "splunk"): Listens(8088),
    (Kind.INPUT, "statsd"): Listens(8125, "udp"),
    (Kind.INPUT, "syslog"): Listens(5140),
    (Kind.INPUT, "tcp"): Listens(5170),
    (Kind.INPUT, "udp"): Listens(5170, "udp"),
    (Kind.OUTPUT, "prometheus_exporter"): Listens(2021, key="host"),
    (Kind.OUTPUT, "vivo_exporter"): Listens(2025, key="host"),
}
"""(kind, plugin) → how it listens. `forward` and `syslog` may listen on a unix socket instead."""


def _as_written(text: str) -> str:
    return text


def listens(section: Section, expand: Callable[[str], str] = _as_written) -> Listens | None:
    """How the section listens on the network, if it does. `expand` fills in variables."""
    name = section.get("name")
    found = LISTENERS.get((section.kind, lower(expand(name.text)))) if name is not None else None
    if found is None or name is None:
        return None
    match lower(expand(name.text)):
        case "forward" if section.kind is Kind.INPUT and section.get("unix_path") is not None:
            return None
        case "syslog" if section.kind is Kind.INPUT:
            mode = section.get("mode")
            said = lower(expand(mode.text)) if mode is not None else "unix_udp"
            return Listens(found.port, said) if said in ("tcp", "udp") else None
        case _:
            return found


def listener(section: Section, expand: Callable[[str], str] = _as_written) -> Listener | None:
    """The address that the section binds; None when it binds none, or when it cannot be told.

    It cannot be told with a variable that `expand` does not know, nor beyond 65535, where Fluent Bit takes what is left
    in 16 bits.
    """
    how = listens(section, expand)
    if how is None:
        return None
    port, host = section.get("port"), section.get(how.key)
    said = expand(port.text) if port is not None else ""
    address = expand(host.text) if host is not None else ""
    number = _NUMBER.match(said)
    value = int(number[1]) if number else 0
    if "${" in said or "${" in address or value > _HIGHEST:
        return None
    return Listener(address or "0.0.0.0", value or how.port, how.protocol, (port or section).line)
