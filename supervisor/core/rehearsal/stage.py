"""How are the parts of a candidate made into a pipeline that does nothing?

The rehearsal has the same sections, in the same order and from the same lines, so what Fluent Bit says about it is led
back to its authors as if it were said about the real one. It is safe wherever it runs: it needs no namespace.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from supervisor.config.lint import variables_of
from supervisor.config.names import lower
from supervisor.config.ports import WILDCARDS, listener, listens
from supervisor.core.candidate import Parts, make_candidate
from supervisor.core.rehearsal.plugins import (
    FILTERS,
    INPUTS,
    KEPT,
    NEEDED,
    OUTPUTS,
    PROCESSORS,
    STAND_INS,
    Act,
    Place,
)
from supervisor.core.rehearsal.resources import expand_known, known_variables
from supervisor.core.service import Frame
from supervisor.core.tenancy import secret_of
from supervisor.model import Candidate, Entry, Group, Kind, Needed, Node, Scalar, Section, Sequence

_GONE = frozenset({Kind.SERVICE, Kind.ENV, Kind.CUSTOM, Kind.PLUGINS})
"""What a candidate's parts hold apart, and what would run code that is not Fluent Bit's own."""

_SERVICE = {
    "http_server": "off",
    "hot_reload": "off",
    "daemon": "off",
    "log_level": "info",  # the line that says ready has this level
    "flush": "3600",
    "grace": "1",
}
_SILENCED = frozenset({"log_file", "http_listen", "http_port", "health_check", "plugins_file", *_SERVICE})
PLACEHOLDER = "placeholder"
_LOOPBACK = "127.0.0.1"
_VOID = "void"
_TRIES = 100
_ACTS: Mapping[Kind, Mapping[str, Act]] = {
    Kind.INPUT: INPUTS,
    Kind.FILTER: dict.fromkeys(FILTERS, Act()),
    Kind.OUTPUT: OUTPUTS,
}


def rehearse(parts: Parts, frame: Frame, *, directory: str, free_port: Callable[[], int]) -> Candidate:
    """The same pipeline made harmless: no live port, no database, no file but below `directory`, no command, no record.

    `directory` is where everything goes that the pipeline writes; `Candidate.directories` names what has to be there.
    `free_port` gives a port that nobody listens on, another one at each call. Sections that would bind one address bind
    one address here, so that their conflict shows. What plugins load from files and run at start (Lua) they do here
    too. A pipeline on the command line is no part of it.
    """
    parts = with_placeholders(parts)
    stage = _Stage(directory, free_port, known_variables(parts, frame.environment))
    stage.look_at_addresses(place.section for place in parts.located)
    located = tuple(
        replace(place, section=stage.section(place.section))
        for place in parts.located
        if place.section.kind not in _GONE
    )
    service = replace(parts.service, entries=tuple(_service(parts, directory)), grace=1.0)
    bare = replace(frame, arguments=(), pipeline=False)
    made = make_candidate(replace(parts, located=located, service=service), bare)
    named = {
        name for place in parts.located for entry in place.section.entries for name, _, _ in variables_of(entry.value)
    }
    void = Needed(posixpath.join(directory, _VOID), "")
    return replace(made, variables=made.variables | named, directories=(*made.directories, void))


def with_placeholders(parts: Parts) -> Parts:
    """The parts without the secrets of tenants: for what is only tried out, any text will do."""
    env = tuple(
        (snippet, Entry(entry.key, Scalar(PLACEHOLDER, entry.line), entry.line) if secret_of(entry.key) else entry)
        for snippet, entry in parts.env
    )
    return parts if env == parts.env else replace(parts, env=env)


def _service(parts: Parts, directory: str) -> Iterator[tuple[str, Entry]]:
    for key, value in _SERVICE.items():
        yield "", Entry(key, Scalar(value, 0), 0)
    for snippet, entry in parts.service.entries:
        key = lower(entry.key)
        if key == "storage.path":
            yield snippet, replace(entry, value=Scalar(posixpath.join(directory, "storage"), entry.line))
        elif key not in _SILENCED:
            yield snippet, entry


@dataclass(slots=True)
class _Stage:
    directory: str
    free_port: Callable[[], int]
    known: Mapping[str, str]
    _everywhere: set[tuple[str, int]] = field(default_factory=set)  # (protocol, port) that somebody binds on all hosts
    _ports: dict[tuple[str, str, int], int] = field(default_factory=dict)  # by protocol, host and port
    _given: set[int] = field(default_factory=set)
    _files: dict[tuple[Place, str], str] = field(default_factory=dict)  # by what its author wrote

    def look_at_addresses(self, sections: Iterator[Section]) -> None:
        for section in sections:
            found = listener(section, self.expand)
            if found is not None and found.host in WILDCARDS:
                self._everywhere.add((found.protocol, found.port))

    def expand(self, text: str) -> str:
        return expand_known(text, self.known)

    def section(self, section: Section) -> Section:
        """The section as it may start, or a stand-in."""
        name = section.get("name")
        if section.kind not in _ACTS or name is None:
            return section
        plugin = lower(self.expand(name.text))
        act = _ACTS[section.kind].get(plugin) or self._starved(section, plugin)
        changed = self._stand_in(section) if act is None else self._acting(section, act)
        entries = tuple(
            replace(entry, value=_processors(entry.value)) if lower(entry.key) == "processors" else entry
            for entry in changed.entries
        )
        return replace(changed, entries=entries)

    def _starved(self, section: Section, plugin: str) -> Act | None:
        """A plugin that lacks what it needs ends at once, and shall say so itself."""
        needed = NEEDED.get((section.kind, plugin))
        said = {lower(entry.key) for entry in section.entries}
        return Act() if needed is not None and not needed & said else None

    def _stand_in(self, section: Section) -> Section:
        plugin, told = STAND_INS[section.kind]
        kept = KEPT[section.kind]
        named = [replace(entry, value=Scalar(plugin, entry.line)) for entry in section.entries if _is(entry, "name")]
        entries = [entry for entry in section.entries if lower(entry.key) in kept]
        return _saying(replace(section, entries=(named[0], *entries)), told)

    def _acting(self, section: Section, act: Act) -> Section:
        said = {lower(entry.key): entry for entry in section.entries}
        told = {**act.said, **{key: text for key, text in act.instead.items() if key in said}}
        told |= {key: self._place(place, key) for key, place in act.placed.items()}
        for key, place in act.moved.items():
            if key in said:
                told[key] = self._place(place, _text_of(said[key]))
        if "db" in told:
            told |= {key: text for key, text in act.with_database.items() if key not in said}
        if how := listens(section, self.expand):
            told |= {how.key: _LOOPBACK, "port": str(self._port(section))}
        kept = tuple(entry for entry in section.entries if lower(entry.key) not in act.dropped)
        return _saying(replace(section, entries=kept), told)

    def _port(self, section: Section) -> int:
        found = listener(section, self.expand)
        if found is None:  # it cannot be told, so nobody is in its way
            return self._another_port()
        everywhere = (found.protocol, found.port) in self._everywhere
        address = (found.protocol, "" if everywhere else found.host, found.port)
        if address not in self._ports:
            self._ports[address] = self._another_port()
        return self._ports[address]

    def _another_port(self) -> int:
        """A port that no other section has: a kernel may give the same one again."""
        for _ in range(_TRIES):
            if (port := self.free_port()) not in self._given:
                break
        self._given.add(port)
        return port

    def _place(self, place: Place, written: str) -> str:
        join = posixpath.join
        match place:
            case Place.EMPTY:
                return join(self.directory, _VOID, "*")
            case Place.VOID:
                return join(self.directory, _VOID)
            case Place.RECORDS:
                return join(self.directory, "records")
            case Place.RECORD_FILE:
                return join(self.directory, "records", "r")
            case Place.DATABASE | Place.SOCKET:
                name = f"{len(self._files)}.{'db' if place is Place.DATABASE else 's'}"
                return self._files.setdefault((place, written), join(self.directory, name))


def _saying(section: Section, told: Mapping[str, str]) -> Section:
    """The section with these properties, each once: in the place of its author's, or at the end."""
    entries: list[Entry] = []
    left = dict(told)
    for entry in section.entries:
        key = lower(entry.key)
        if key not in told:
            entries.append(entry)
        elif key in left:
            entries.append(Entry(key, Scalar(left.pop(key), entry.line), entry.line))
    entries += [Entry(key, Scalar(text, section.line), section.line) for key, text in left.items()]
    return replace(section, entries=tuple(entries))


def _processors(node: Node) -> Node:
    """Processors without those that are not known to be harmless. A filter may be one; the stand-in is a filter too."""
    if not isinstance(node, Group):
        return node
    return replace(node, entries=tuple(replace(signal, value=_units(signal.value)) for signal in node.entries))


def _units(node: Node) -> Node:
    if not isinstance(node, Sequence):
        return node
    return replace(node, items=tuple(_unit(item) if isinstance(item, Group) else item for item in node.items))


def _unit(unit: Group) -> Group:
    name = next((entry for entry in unit.entries if _is(entry, "name")), None)
    if name is None or lower(_text_of(name)) in PROCESSORS | FILTERS:
        return unit
    plugin, _ = STAND_INS[Kind.FILTER]
    return replace(unit, entries=(replace(name, value=Scalar(plugin, name.line, plain=True)),))


def _is(entry: Entry, key: str) -> bool:
    return lower(entry.key) == key and isinstance(entry.value, Scalar)


def _text_of(entry: Entry) -> str:
    return entry.value.text if isinstance(entry.value, Scalar) else repr(entry.value)
