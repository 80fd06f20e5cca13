"""Which spots fit these words?

Each pattern stands for words that 5.1.1 was seen to say; a message that fits none fits nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from supervisor.config.names import lower
from supervisor.config.ports import listener
from supervisor.core.blame.files import is_named
from supervisor.core.blame.spots import Spot
from supervisor.model import Kind, Section

_PLUGIN_KINDS = {Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM}
_KINDS = {"input": Kind.INPUT, "filter": Kind.FILTER, "output": Kind.OUTPUT, "custom": Kind.CUSTOM}

_NAMED = re.compile(r"\[(?P<kind>input|filter|output|custom):(?P<plugin>[^:\]]+):(?P<name>[^\]]+)\]")
_NATIVE = re.compile(r"\[processor:(?P<plugin>[^:\]]+):[^\]]+\]|failed initialize processor (?P<named>\S+)\.0$")
_UNIT = re.compile(
    r"\[processor\] (?:error initializing unit (?:filter|native processor) (?P<plugin>\S+)"
    r"|(?:initialization of processor unit|error creating processor) '(?P<named>[^']*)')"
)
CONDITION = re.compile(
    r"^\[processor\] (?:(?:error creating )?condition |invalid (?:condition|rule) operator '(?P<text>[^']*)'"
    r"|rule missing |each rule must |array values |'in' and 'not_in' |unsupported value type |error adding rule "
    r"|failed to set condition for processor '(?P<plugin>[^']*)')"
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
BAD_PROPERTY = re.compile(
    r"could not configure property '(?P<key>[^']*)' on \w+ plugin with section name '(?P<plugin>[^']*)'"
)
BOOLEAN = re.compile(r"invalid value for boolean property '(?P<key>[^'=]+)=(?P<value>.*)'")
PARTS = re.compile(r"\[config map\] property '(?P<key>[^']+)' expects \d+ values")
_MULTILINE = re.compile(r"\[multiline\] parser '(?P<value>[^']*)' not registered")
_TASK = re.compile(r"\[sp\] invalid query on task '(?P<name>[^']*)'")
_PARSER = re.compile(  # what a parser says of a record that it reads is no fault of its own
    r"^\[(?P<multiline>multiline )?parser: ?(?P<name>.+?)\] (?!invalid time format)", re.IGNORECASE
)
_TYPE = re.compile(r"^\[multiline_parser\] invalid type '(?P<value>[^']*)'")
_BIND = re.compile(r"(?:bind address|can't bind to|failed to bind to|server on) \S+:(?P<port>\d+)")
_SPEAKERS = {
    "luajit": (Kind.FILTER, "lua"),
    "filter_lua": (Kind.FILTER, "lua"),
    "in_syslog": (Kind.INPUT, "syslog"),
    "serial": (Kind.INPUT, "serial"),
}
_SPEAKER = re.compile(r"^\[(?P<who>\w+)\] ")
_PLACE = re.compile(r"(?<![\w./])/[^\s,'\"]+")
ECHO = re.compile(r"^Failed pre_run callback on filter ")
"""Says where, and never what: the line before it does."""


def fitting(message: str, spots: Sequence[Spot]) -> frozenset[Spot]:
    """Every spot that the message may be about; none when its words say nothing of a place.

    A section that is named fits together with its processors.
    """
    for rule in _RULES:
        if (found := rule(message, spots)) is not None:
            return frozenset(found)
    return frozenset()


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
    patterns = (_UNKNOWN_PLUGIN, UNKNOWN_PROPERTY, BAD_PROPERTY)
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
    if found := BOOLEAN.search(message):
        wanted = (lower(found["key"]), found["value"])
        return [spot for spot in spots if any((key, scalar.text) == wanted for key, scalar in spot.texts())]
    if found := PARTS.search(message):
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


def _by_condition(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    found = CONDITION.search(message)
    if found is None:
        return None
    plugin, text = found["plugin"], found["text"]
    return [
        spot
        for spot in spots
        if (plugin is None or spot.plugin == lower(plugin))
        and any(text is None or scalar.text == text for _, scalar in spot.conditions())
    ]


def _by_parser(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    if found := _PARSER.search(message):
        return _called(spots, Kind.MULTILINE_PARSER if found["multiline"] else Kind.PARSER, found["name"])
    if found := _TYPE.search(message):
        value = found["value"]
        return [spot for spot in spots if spot.kind is Kind.MULTILINE_PARSER and _says(spot, "type", value)]
    return None


def _by_copy(message: str, spots: Sequence[Spot]) -> list[Spot] | None:
    """A file that we copied, by whoever refers to it."""
    return [spot for spot in spots if any(is_named(message, scalar.text) for _, scalar in spot.texts())] or None


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
    *(_by_condition, _by_parser, _by_value, _by_copy, _by_plugin, _by_place),
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
