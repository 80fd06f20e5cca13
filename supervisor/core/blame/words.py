"""Which spots fit these words?

Each pattern stands for words that 5.1.1 was seen to say; a message that fits none fits nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from supervisor.config.names import lower
from supervisor.config.ports import listener
from supervisor.core.blame.spots import Spot
from supervisor.model import Kind, Section

_PLUGIN_KINDS = {Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM}
_KINDS = {"input": Kind.INPUT, "filter": Kind.FILTER, "output": Kind.OUTPUT, "custom": Kind.CUSTOM}

_NAMED = re.compile(r"\[(?P<kind>input|filter|output|custom):(?P<plugin>[^:\]]+):(?P<name>[^\]]+)\]")
_NATIVE = re.compile(r"\[processor:(?P<plugin>[^:\]]+):[^\]]+\]|failed initialize processor (?P<named>\S+)\.0$")
_UNIT = re.compile(
    r"\[processor\] (?:error initializing unit (?:filter|native processor) (?P<plugin>\S+)"
    r"|initialization of processor unit '(?P<named>[^']*)' failed)"
)
_INSTANCES = (
    re.compile(r"^\[(?P<kind>input|output) (?P<name>[^\]]+)\] "),
    re.compile(r"^[Ff]ailed initialize (?P<kind>input|filter) (?P<name>\S+)$"),
    re.compile(r"^Failed pre_run callback on (?P<kind>filter) (?P<name>\S+)"),
    re.compile(r"NO match rule for (?P<name>\S+) (?P<kind>filter) instance"),
)
_WITH_PROCESSORS = re.compile(
    r"^failed initialize processors for (?P<kind>input) (?P<name>\S+)"
    r"|^\[(?P<out>output) (?P<named>[^\]]+)\] error initializing processor"
)
_STORAGE = re.compile(
    r"\[storage\] (?:instance '(?P<a>[^']*)' requested|could not create storage for instance: (?P<b>\S+))"
)
_EMITTER = re.compile(r"^emitter_for_(?P<name>\S+)$")
_DELIVERY = re.compile(r"input=\S+ > output=(?P<name>\S+)")
_OF_PLUGIN = re.compile(r"^\[output\] failed to initialize '(?P<plugin>[^']+)' plugin")
_UNKNOWN_PLUGIN = re.compile(r"section '(?P<plugin>[^']*)' tried to instance a plugin name that doesn't exist")
UNKNOWN_PROPERTY = re.compile(r"(?P<plugin>[A-Za-z0-9_-]+): unknown configuration property '(?P<key>[^']*)'")
_BAD_PROPERTY = re.compile(
    r"could not configure property '(?P<key>[^']*)' on \w+ plugin with section name '(?P<plugin>[^']*)'"
)
_BOOLEAN = re.compile(r"invalid value for boolean property '(?P<key>[^'=]+)=(?P<value>.*)'")
_PARTS = re.compile(r"\[config map\] property '(?P<key>[^']+)' expects \d+ values")
_MULTILINE = re.compile(r"\[multiline\] parser '(?P<value>[^']*)' not registered")
_TASK = re.compile(r"\[sp\] invalid query on task '(?P<name>[^']*)'")
_BIND = re.compile(r"(?:bind address|can't bind to|failed to bind to|server on) \S+:(?P<port>\d+)")
_SPEAKERS = {
    "luajit": (Kind.FILTER, "lua"),
    "filter_lua": (Kind.FILTER, "lua"),
    "in_syslog": (Kind.INPUT, "syslog"),
    "serial": (Kind.INPUT, "serial"),
}
_SPEAKER = re.compile(r"^\[(?P<who>\w+)\] ")
_BRACKET = re.compile(r"^\[[^\]]*\] ")
_PLACE = re.compile(r"(?<![\w./])/[^\s,'\"]+")
_QUOTED = re.compile(r"'(?P<text>[^']+)'|function (?P<name>\S+) is not found")
_WORD = re.compile(r"(?P<name>)(?P<text>[\w./$-]{3,})")
_NAMES = frozenset({"name", "alias", "tag", "match"})  # of other things than the fault


def fitting(message: str, spots: Sequence[Spot]) -> frozenset[Spot]:
    """Every spot that the message may be about; none when its words say nothing of a place.

    A section that is named fits together with its processors.
    """
    for rule in _RULES:
        if (found := rule(message, spots)) is not None:
            return frozenset(found)
    return frozenset()


def line_within(spot: Spot, messages: Sequence[str]) -> int:
    """The emitted line of the one property that the messages quote, or else name, and that of the spot if they do not.

    First what stands in quotes: as a value, as a key, as part of a value. Then single words likewise.
    """
    said = [(key, scalar) for key, scalar in spot.texts() if key not in _NAMES]
    for find in (_QUOTED, _WORD):
        for message in messages:
            told = [found["text"] or found["name"] for found in find.finditer(_BRACKET.sub("", message))]
            for fits in (_is_said, _is_key, _is_part):
                lines = {scalar.line for key, scalar in said if any(fits(text, key, scalar.text) for text in told)}
                if len(lines) == 1:
                    return lines.pop()
    return spot.line


def _is_said(text: str, key: str, value: str) -> bool:
    return text in (value, f"{key}={value}")


def _is_key(text: str, key: str, value: str) -> bool:
    return lower(text) == key


def _is_part(text: str, key: str, value: str) -> bool:
    return text in value.split() if text.isalnum() else text in value  # `(` is part of a pattern, `is` of any text


# --- one rule for each way of speaking: None when it does not apply ----------------------------------------------

_Rule = Callable[[str, Sequence[Spot]], "list[Spot] | None"]


def _by_delivery(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = _DELIVERY.search(message)
    return _called(spots, Kind.OUTPUT, found["name"]) if found else None


def _by_plugin_and_name(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = _NAMED.search(message)
    if found is None:
        return None
    named = [spot for spot in _called(spots, _KINDS[found["kind"]], found["name"]) if spot.plugin == found["plugin"]]
    return _with_units(named, spots)


def _by_native(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = _NATIVE.search(message) or _UNIT.search(message)
    if found is None:
        return None
    plugin = found["plugin"] or found["named"]
    return [spot for spot in spots if spot.unit and spot.plugin == lower(plugin)]


def _by_processors(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = _WITH_PROCESSORS.search(message)
    if found is None:
        return None
    kind, name = _KINDS[found["kind"] or found["out"]], found["name"] or found["named"]
    return [spot for spot in _with_units(_called(spots, kind, name), spots) if spot.unit]


def _by_instance(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = next((match for pattern in _INSTANCES if (match := pattern.search(message))), None)
    return _with_units(_called(spots, _KINDS[found["kind"]], found["name"]), spots) if found else None


def _by_storage(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = _STORAGE.search(message)
    if found is None:
        return None
    name = found["a"] or found["b"]
    emitter = _EMITTER.match(name)  # the input that a filter makes for what it sends on
    return _called(spots, Kind.FILTER, emitter["name"]) if emitter else _called(spots, Kind.INPUT, name)


def _by_property(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    patterns = (_UNKNOWN_PLUGIN, UNKNOWN_PROPERTY, _BAD_PROPERTY)
    found = next((match for pattern in patterns if (match := pattern.search(message))), None)
    if found is None:
        return None
    plugin, key = lower(found["plugin"]), lower(found.groupdict().get("key") or "name")
    return [
        spot
        for spot in spots
        if spot.kind in _PLUGIN_KINDS and spot.plugin == plugin and any(lower(e.key) == key for e in spot.entries)
    ]


def _by_value(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    if found := _BOOLEAN.search(message):
        wanted = (lower(found["key"]), found["value"])
        return [spot for spot in spots if any((key, scalar.text) == wanted for key, scalar in spot.texts())]
    if found := _PARTS.search(message):
        return [spot for spot in spots if any(key == lower(found["key"]) for key, _ in spot.texts())]
    if found := _MULTILINE.search(message):
        value = found["value"]
        return [
            spot for spot in spots if any(k == "multiline.parser" and _lists(s.text, value) for k, s in spot.texts())
        ]
    if found := _TASK.search(message):
        return [spot for spot in spots if spot.kind is Kind.STREAM_TASK and _says(spot, "name", found["name"])]
    if found := _BIND.search(message):
        return [spot for spot in spots if _binds(spot, int(found["port"]))]
    return None


def _by_plugin(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    if found := _OF_PLUGIN.search(message):
        return [spot for spot in spots if spot.kind is Kind.OUTPUT and spot.plugin == found["plugin"]]
    found = _SPEAKER.match(message)
    who = _SPEAKERS.get(found["who"]) if found else None
    return None if who is None else [spot for spot in spots if (spot.kind, spot.plugin) == who]


def _by_place(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    """An absolute path that is somebody's value, word for word."""
    told = set(_PLACE.findall(message))
    return [
        spot for spot in spots if any(key != "name" and scalar.text in told for key, scalar in spot.texts())
    ] or None


_RULES: tuple[_Rule, ...] = (
    *(_by_delivery, _by_property, _by_storage, _by_processors, _by_plugin_and_name, _by_native, _by_instance),
    *(_by_value, _by_plugin, _by_place),
)


def _called(spots: Sequence[Spot], kind: Kind, name: str) -> list[Spot]:
    return [spot for spot in spots if spot.kind is kind and name in spot.names]


def _with_units(named: Sequence[Spot], spots: Sequence[Spot]) -> list[Spot]:
    sections = {spot.section for spot in named if not spot.unit}
    return [*named, *(spot for spot in spots if spot.unit and spot.section in sections and spot not in named)]


def _says(spot: Spot, key: str, value: str) -> bool:
    return any(said == key and scalar.text == value for said, scalar in spot.texts())


def _binds(spot: Spot, port: int) -> bool:
    """Whether the section listens there: one that sends to a port of that number is not in the way."""
    bound = None if spot.unit else listener(Section(spot.kind, "", spot.entries, spot.line))
    return bound is not None and bound.port == port


def _lists(text: str, value: str) -> bool:
    return value in re.split(r"[,\s]+", text)
