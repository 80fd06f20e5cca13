"""Which sections do the events of a YAML text make?

Each function reads one construct to its end, with the liberties that Fluent Bit 5.1.1 takes and no others.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import yaml

from supervisor.config.names import PLUGIN_KINDS, lower, section_kind, shown, trim, yaml_key
from supervisor.config.yaml_format.walk import Fault, Reader, at, shape
from supervisor.model import Entry, Group, Kind, Node, Scalar, Section, Sequence

_LISTS = {
    "parsers": Kind.PARSER,
    "multiline_parsers": Kind.MULTILINE_PARSER,
    "stream_processor": Kind.STREAM_TASK,
    "upstream_servers": Kind.UPSTREAM,
    "customs": Kind.CUSTOM,
}
_PIPELINE = {"inputs": Kind.INPUT, "filters": Kind.FILTER, "outputs": Kind.OUTPUT}
_TOP_LEVEL = ("pipeline", "service", "env", "includes", "plugins", *_LISTS)
_FORGIVING = frozenset({Kind.PARSER, Kind.MULTILINE_PARSER, Kind.STREAM_TASK})
_BLANK_HINT = "give it a value, or remove the line"
_SIGNALS = ("logs", "metrics", "traces")


def read_top_level(reader: Reader, key: Scalar, event: Any) -> None:
    name = lower(key.text)
    match name:
        case "pipeline":
            for category, first in reader.pairs(name, event):
                if lower(category.text) not in _PIPELINE:
                    message = f"'{shown(category.text)}' is no part of a pipeline"
                    hint = "inputs, filters or outputs; customs stand at the top level"
                    raise Fault("syntax", message, category.line, category.column, hint)
                _list(reader, _PIPELINE[lower(category.text)], category, first)
        case "env":
            _env(reader, key, event)
        case "includes":
            patterns = (reader.scalar("an include", item, trimmed=False) for item in reader.items(name, event))
            entries = tuple(Entry("include", pattern, pattern.line) for pattern in patterns)
            reader.sections.append(Section(Kind.INCLUDE, key.text, entries, key.line))
        case "plugins":
            paths = (reader.scalar("a plugin's path", item, trimmed=False) for item in reader.items(name, event))
            entries = tuple(Entry("path", _path_of_plugin(path), path.line) for path in paths)
            reader.sections.append(Section(Kind.PLUGINS, key.text, entries, key.line))
        case "service":
            _service(reader, key, event)
        case "extensions":
            pairs = reader.pairs(name, event)
            entries = tuple(Entry(_key(pair), reader.value(pair.text, first), pair.line) for pair, first in pairs)
            reader.sections.append(Section(Kind.UNKNOWN, key.text, entries, key.line))
        case _ if name in _LISTS:
            _list(reader, _LISTS[name], key, event)
        case _:
            _other(reader, key, event)


def _service(reader: Reader, key: Scalar, event: Any) -> None:
    reader.services += 1
    if reader.services > 1:
        hint = "put all its keys under one 'service:'"
        raise Fault("duplicate-service", "'service' is defined twice", key.line, key.column, hint)
    entries: list[Entry] = []
    for name, first in reader.pairs("service", event):
        if isinstance(first, yaml.MappingStartEvent):
            entries.append(Entry(_key(name), reader.value(name.text, first), name.line))
        else:
            entries += _forgiven(reader, name, first)
    reader.sections.append(Section(Kind.SERVICE, key.text, tuple(entries), key.line))


def _other(reader: Reader, key: Scalar, event: Any) -> None:
    """A top-level map that Fluent Bit has no reader for: a section all the same, named by its beginning."""
    kind = section_kind(key.text)
    try:
        pairs = reader.pairs(key.text, event)
        entries = [entry for name, first in pairs for entry in _forgiven(reader, name, first)]
    except Fault as fault:
        found = fault.finding
        raise Fault(found.rule, found.message, found.line, found.column, _meant(key.text) or found.hint) from None
    if kind is Kind.PLUGINS:
        entries = [Entry("path", Scalar(entry.key, entry.line), entry.line) for entry in entries]
    reader.sections.append(Section(kind, key.text, tuple(entries), key.line))


def _meant(title: str) -> str:
    """What the author of an unknown top-level key has in mind, perhaps."""
    if lower(title) in _PIPELINE:
        return f"'{lower(title)}' stands below 'pipeline:', indented"
    near = get_close_matches(lower(title), _TOP_LEVEL, n=1, cutoff=0.7)
    return f"'{shown(title)}' is no section; did you mean '{near[0]}'?" if near else ""


def _path_of_plugin(path: Scalar) -> Scalar:
    """Fluent Bit stores the path as a key, translation included: `libMy.so` is looked for as `lib_my.so`."""
    return Scalar(_key(path), path.line, path.column, path.plain)


def _property(reader: Reader, name: Scalar, event: Any) -> Entry:
    """One property of one value. A value of blanks alone is refused; an empty one is not."""
    value = reader.scalar(f"'{shown(name.text)}'", event, trimmed=False)
    if value.text and not trim(value.text):
        reader.refuse(event, f"'{shown(name.text)}' has a value of blanks alone", _BLANK_HINT)
    return Entry(_key(name), replace(value, text=trim(value.text)), name.line)


def _key(name: Scalar) -> str:
    key = yaml_key(name.text)
    if not key:
        raise Fault("syntax", "a property without a name", name.line, name.column, "write KEY: VALUE")
    return key


def _forgiven(reader: Reader, name: Scalar, event: Any) -> list[Entry]:
    """A property of a section where Fluent Bit drops one of blanks alone in silence."""
    value = reader.scalar(f"'{shown(name.text)}'", event, trimmed=False)
    key, text = yaml_key(name.text), trim(value.text)
    if key and (text or not value.text):
        return [Entry(key, replace(value, text=text), name.line)]
    reader.say("syntax", f"'{shown(name.text)}' has a name or a value of blanks alone and is lost", event, _BLANK_HINT)
    return []


def _env(reader: Reader, key: Scalar, event: Any) -> None:
    entries: list[Entry] = []
    if isinstance(event, yaml.SequenceStartEvent):
        entries = [entry for item in reader.items("env", event) if (entry := _env_item(reader, item)) is not None]
    else:
        for name, first in reader.pairs("env", event):
            value = reader.scalar(f"variable '{shown(name.text)}'", first, trimmed=False)
            entries.append(Entry(name.text, value, name.line))
    reader.sections.append(Section(Kind.ENV, key.text, tuple(entries), key.line))


def _env_item(reader: Reader, event: Any) -> Entry | None:
    """One variable of the list form: name with value, or a group with `uri` and `refresh_interval`."""
    line = at(event)[0]
    name: str | None = None
    value = Scalar("", line)
    more: list[Entry] = []
    for key, first in reader.pairs("a variable", event):
        scalar = reader.scalar(f"'{shown(key.text)}'", first, trimmed=False)
        match lower(key.text):
            case "name":
                name = scalar.text
            case "value":
                value = scalar
            case "uri" | "refresh_interval" as known:
                more.append(Entry(known, scalar, key.line))
            case _ if name is None:
                name, value = key.text, scalar
            case _:
                pass
    if name is None:
        reader.say("syntax", "a variable without a name", event, "write - name: NAME, value: VALUE")
        return None
    return Entry(name, Group((Entry("value", value, value.line), *more), line) if more else value, line)


def _list(reader: Reader, kind: Kind, title: Scalar, event: Any) -> None:
    for item in reader.items(title.text, event):
        line = at(item)[0]
        what = f"an item of {title.text}"
        entries = tuple(entry for key, first in reader.pairs(what, item) for entry in _entry(reader, kind, key, first))
        reader.sections.append(Section(kind, title.text, entries, line))


def _entry(reader: Reader, kind: Kind, key: Scalar, event: Any) -> list[Entry]:
    """One property of a listed section, read as that kind of section allows; none where it gets lost."""
    if kind in PLUGIN_KINDS:
        return [_plugin_entry(reader, kind, key, event)]
    nested = {Kind.MULTILINE_PARSER: "rules", Kind.UPSTREAM: "nodes"}.get(kind)
    if key.text != nested:
        return _forgiven(reader, key, event) if kind in _FORGIVING else [_property(reader, key, event)]
    groups: list[Node] = []
    for item in reader.items(key.text, event):
        pairs = reader.pairs(f"an item of {key.text}", item)
        line = at(item)[0]
        groups.append(Group(tuple(_property(reader, name, first) for name, first in pairs), line))
    return [Entry(key.text, Sequence(tuple(groups), key.line), key.line)]


def _plugin_entry(reader: Reader, kind: Kind, key: Scalar, event: Any) -> Entry:
    if key.text == "processors" and isinstance(event, yaml.MappingStartEvent):
        return Entry(key.text, _processors(reader, event), key.line)
    if isinstance(event, yaml.ScalarEvent):
        return _property(reader, key, event)
    mapped = isinstance(event, yaml.MappingStartEvent)
    if key.text in ("routes", "processors") or (key.text == "telemetry" and kind is Kind.INPUT and mapped):
        return Entry(key.text, reader.value(key.text, event), key.line)
    line = at(event)[0]
    if isinstance(event, yaml.SequenceStartEvent):
        what = f"an item of '{shown(key.text)}'"
        items = tuple(reader.scalar(what, item, trimmed=False) for item in reader.items(key.text, event))
        return Entry(_key(key), Sequence(items, line), key.line)
    entries = tuple(_property(reader, name, first) for name, first in reader.pairs(key.text, event))
    return Entry(_key(key), Group(entries, line), key.line)


def _processors(reader: Reader, event: Any) -> Group:
    line = at(event)[0]
    signals: list[Entry] = []
    for signal, first in reader.pairs("processors", event):
        name = lower(signal.text)
        if name not in _SIGNALS:
            message = f"'{shown(signal.text)}' is no kind of processors"
            raise Fault("syntax", message, signal.line, signal.column, f"one of {', '.join(_SIGNALS)}")
        units: list[Node] = []
        for item in reader.items(name, first):
            if not isinstance(item, yaml.MappingStartEvent):
                reader.refuse(item, f"an item of {name} must be a map, not a {shape(item)}", "write - name: NAME")
            units.append(_unit(reader, item))
        signals.append(Entry(name, Sequence(tuple(units), signal.line), signal.line))
    return Group(tuple(signals), line)


def _unit(reader: Reader, event: Any) -> Group:
    """One processor. Processors of a processor are read as those of the section, and lost (seen on 5.1.1)."""
    line = at(event)[0]
    entries: list[Entry] = []
    for key, first in reader.pairs("a processor", event):
        if key.text == "processors" and isinstance(first, yaml.MappingStartEvent):
            reader.say(
                "syntax", "a processor has no processors of its own: they are lost", first, "list them beside it"
            )
            _processors(reader, first)
        else:
            entries.append(Entry(key.text, reader.value(key.text, first), key.line))
    return Group(tuple(entries), line)
