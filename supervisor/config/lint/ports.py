"""Which section listens on which port?

A plugin that may or may not listen, or one whose address
or port is not known for sure, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from supervisor.config.lint.nouns import Located
from supervisor.config.lint.texts import Values, boolean, has, last, plugin_of, value_of
from supervisor.config.names import lower
from supervisor.config.ports import LISTENERS
from supervisor.model import Section


@dataclass(frozen=True, slots=True)
class Listener:
    plugin: str
    protocol: str  # tcp or udp
    listen: str
    port: int
    shares: bool  # lets another that shares have the port as well
    line: int | None

    def overlaps(self, other: Listener) -> bool:
        """Whether only one of the two, both on one port, can be there."""
        return _same_place(self.listen, other.listen) and not (self.shares and other.shares)


def listeners(place: Located, values: Values) -> Iterator[Listener]:
    """The port that the section listens on, if it surely does on one."""
    section = place.section
    plugin = plugin_of(section, values)
    server, name = LISTENERS.get((section.kind, plugin)), section.get("name")
    if server is None or name is None or "://" in name.text:
        return
    protocol = _syslog(section, values) if plugin == "syslog" else server.protocol
    if not protocol:
        return
    if plugin == "forward" and has(section, "unix_path"):
        return
    listen = _said(section, server.key, "0.0.0.0", values)
    port = _said(section, "port", str(server.port), values)
    if listen is None or port is None or not port.isdecimal() or not int(port) < 65536:
        return
    shares = boolean(value_of(section, "net.share_port", values)) is True
    said = last(section, "port")
    number = int(port) or server.port  # 0 means the default (5.1.1)
    yield Listener(plugin, protocol, listen, number, shares, said.line if said else section.line)


def _said(section: Section, key: str, default: str, values: Values) -> str | None:
    return value_of(section, key, values) if has(section, key) else default


def _syslog(section: Section, values: Values) -> str:
    """A syslog input listens on a port only when its mode says so; without one it is a socket."""
    mode = lower(value_of(section, "mode", values) or "")
    return mode if mode in ("tcp", "udp") else ""


def _same_place(one: str, other: str) -> bool:
    one, other = _address(one), _address(other)
    if one == other or "::" in (one, other):
        return True  # `::` takes IPv4 as well
    wild, rest = (one, other) if one == "0.0.0.0" else (other, one)
    return wild == "0.0.0.0" and ":" not in rest


def _address(listen: str) -> str:
    return "127.0.0.1" if lower(listen) == "localhost" else lower(listen)
