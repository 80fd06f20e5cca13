"""What is wrong with the properties that one instance of a plugin was given?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from supervisor.config.lint import values as judges
from supervisor.config.lint.enumerations import (
    CLOSED,
    LEVELS,
    READ_IN,
    REPEATABLE,
    REQUIRED,
    STOPS,
    STORAGE,
    Closed,
)
from supervisor.config.lint.plugin_rules import plugin_faults
from supervisor.config.lint.texts import Values, did_you_mean, finding, known, scalars
from supervisor.config.lint.values import Fault
from supervisor.config.names import lower, shown
from supervisor.config.schema import PROCESSORS, Plugin, Property, Schema
from supervisor.model import Entry, Finding, Group, Kind, Scalar, Section, Sequence, Severity, Snippet

_STRUCTURED = {
    Kind.INPUT: ("processors", "routes", "telemetry"),
    Kind.OUTPUT: ("processors",),
    Kind.FILTER: ("processors",),  # Fluent Bit only says that it ignores them
    Kind.CUSTOM: (),
}
_WANTS_TEXT = (
    *("tag", "log_level", "log_suppress_interval", "routable", "alias", "mem_buf_limit", "ipv6", "storage.type"),
    *("threaded", "storage.total_limit_size", "workers", "match_regex", "tls", "tls.verify"),
)
"""Common properties of inputs and outputs that are unknown ones for 5.1.1 when their value is empty."""

_UNCHECKED = (
    *("routable", "ipv6", "tls", "tls.verify", "tls.verify_hostname"),
    *("tls.proxy.verify", "tls.proxy.verify_hostname"),
)
"""Common booleans that 5.1.1 takes whatever they say; it does not start for a bad one of the others."""

_SECRET = ("pass", "token", "secret", "key", "auth", "credential", "cert", "user", "header")
YAML_TITLES = ("inputs", "filters", "outputs", "customs")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a plugin, in the pipeline or within `processors:`."""

    snippet: Snippet
    section: Section
    kinds: str  # the list that its plugin stands in
    plugin: Plugin
    entries: tuple[Entry, ...]
    line: int
    schema: Schema
    values: Values
    processor: bool = False

    @property
    def is_read(self) -> bool:
        """Whether the tables were read from this line of versions: of another one only what `-J` says is certain."""
        return self.schema.version.startswith(f"{READ_IN}.")

    @property
    def said(self) -> str:
        kind = "processor" if self.processor else self.section.kind
        return f"the {kind} '{self.plugin.name}'"

    def say(self, line: int | None, rule: str, message: str, hint: str = "") -> Finding:
        return finding(self.snippet, line, rule, message, hint)

    def fault(self, key: str, value: Scalar, fault: Fault) -> Finding:
        message = f"{self.said} has {key}{_quoted(key, value.text)}: {fault.effect}"
        return self.say(value.line, fault.rule, message, fault.hint)


def judged(instance: Instance) -> Iterator[Finding]:
    """Every property of the instance, and what it should have; unweighed."""
    structured = () if instance.processor else _STRUCTURED[instance.section.kind]
    given: dict[str, str | None] = {}
    for entry in instance.entries:
        key = lower(entry.key)
        if key == "name" or key == "@include" or (key in structured and not isinstance(entry.value, Scalar)):
            continue
        if isinstance(entry.value, Group) and not _is_yaml(instance):
            continue  # a classic group, of which the reader speaks
        texts = [known(value.text, instance.values) for value in scalars(entry.value)]
        given[key] = texts[0] if texts else ""
        if not instance.plugin.takes(key):
            yield _unknown_property(instance, entry, key)
            continue
        declared = instance.plugin.find(key)
        if declared is not None:
            yield from _shape(instance, entry, declared)
            yield from _texts(instance, entry, key, declared)
    yield from _repeated(instance)
    yield from _missing(instance, given)


def _is_yaml(instance: Instance) -> bool:
    return instance.processor or instance.section.title.lower() in YAML_TITLES


def _unknown_property(instance: Instance, entry: Entry, key: str) -> Finding:
    message = f"{instance.said} has no property '{shown(entry.key)}': {STOPS}"
    wanted = [name for name, declared in instance.plugin.properties.items() if declared.type != "deprecated"]
    return instance.say(entry.line, "unknown-property", message, did_you_mean(key, wanted))


def _shape(instance: Instance, entry: Entry, declared: Property) -> Iterator[Finding]:
    """Maps and lists: Fluent Bit sets a list's items one after the other."""
    node = entry.value
    if isinstance(node, Scalar) or declared.type == "variant":
        return
    line, what = node.line, "a map" if isinstance(node, Group) else "a list"
    native = instance.processor and instance.kinds == PROCESSORS
    if isinstance(node, Group) or native or not _is_of_texts(node, instance):
        message = f"{instance.said} takes one text for {entry.key}, and this is {what}: {STOPS}"
        yield instance.say(line, "list-for-scalar", message, "write one text")
    elif len(node.items) > 1 and _is_single(instance, declared) and not declared.common:
        message = f"{instance.said} takes one {entry.key}, and this is a list of {len(node.items)}: {STOPS}"
        yield instance.say(line, "list-for-scalar", message, "write one text")
    elif len(node.items) > 1 and declared.common:
        message = f"{instance.said} takes one {entry.key}: of this list Fluent Bit takes the last"
        yield instance.say(line, "repeated-property", message, "write one text")


def _is_of_texts(node: Sequence, instance: Instance) -> bool:
    """Whether Fluent Bit can set each item; nothing to set is an error, but not within `processors:`."""
    return all(isinstance(item, Scalar) for item in node.items) and (bool(node.items) or instance.processor)


def _is_single(instance: Instance, declared: Property) -> bool:
    """Whether a second value is surely not taken."""
    if declared.type in ("boolean", "integer", "double", "size", "time"):
        return True
    return instance.is_read and declared.type == "string" and declared.name not in REPEATABLE


def _repeated(instance: Instance) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for entry in instance.entries:
        key = lower(entry.key)
        seen[key] += 1
        declared = instance.plugin.find(key)
        if seen[key] < 2:
            continue
        if key == "name" or (declared is not None and declared.common):
            taken = "the first" if key == "name" else "the last"
            message = f"{instance.said} has {entry.key} more than once: Fluent Bit takes {taken}"
            yield instance.say(entry.line, "repeated-property", message, "keep one")
        elif declared is not None and _is_single(instance, declared):
            message = f"{instance.said} has {entry.key} more than once: {STOPS}"
            yield instance.say(entry.line, "set-twice", message, "keep one")


def _missing(instance: Instance, given: Mapping[str, str | None]) -> Iterator[Finding]:
    """`given`: the value of each property; None where it is not known."""
    required = REQUIRED.get((instance.kinds, instance.plugin.name), ()) if instance.is_read else ()
    for group in required:
        if not instance.plugin.takes(group[0]) or any(given.get(key, "") != "" for key in group):
            continue
        wanted = " or ".join(f"'{key}'" for key in group)
        message = f"{instance.said} has no {wanted}: {STOPS}"
        yield instance.say(instance.line, "missing-property", message, f"add {wanted}")


# --- values -------------------------------------------------------------------------------------------------------


def _texts(instance: Instance, entry: Entry, key: str, declared: Property) -> Iterator[Finding]:
    node = entry.value
    for value in (node,) if isinstance(node, Scalar) else node.items if isinstance(node, Sequence) else ():
        if not isinstance(value, Scalar) or (text := known(value.text, instance.values)) is None:
            continue
        if declared.type == "deprecated":
            yield _deprecated(instance, entry)
        elif text:
            for fault in _faults(instance, key, declared, text):
                yield instance.fault(key, value, fault)
        elif instance.kinds in ("inputs", "outputs") and key in _WANTS_TEXT:
            message = f"{instance.said} has {entry.key} without a value: Fluent Bit calls it an unknown property"
            yield instance.say(entry.line, "empty-property", message, "give it a value, or remove it")


def _deprecated(instance: Instance, entry: Entry) -> Finding:
    message = f"{instance.said} has {entry.key}, which no longer does anything"
    return replace(instance.say(entry.line, "deprecated-property", message, "remove it"), severity=Severity.INFO)


def _faults(instance: Instance, key: str, declared: Property, text: str) -> Iterator[Fault]:
    fault = _common_fault(instance, key, declared, text) if declared.common else None
    if fault is None and not (declared.common and key in ("port", "retry_limit", "storage.total_limit_size")):
        if declared.type == "integer" and key.endswith((".port", "_port")):
            fault = judges.port(text)
        else:
            fault = judges.judge(declared.type, text, checked=not (declared.common and key in _UNCHECKED))
    closed = CLOSED.get((instance.kinds, instance.plugin.name, key)) if instance.is_read else None
    if fault is None and closed is not None:
        fault = _not_of(closed, text)
    if fault is not None:
        yield fault
    elif instance.is_read:
        yield from plugin_faults(instance.kinds, instance.plugin.name, key, declared, text)


def _common_fault(instance: Instance, key: str, declared: Property, text: str) -> Fault | None:
    match key:
        case "port":
            return judges.port(text)
        case "retry_limit":
            return judges.retry_limit(text)
        case "storage.total_limit_size":
            return judges.limit_size(text)
        case "log_level":
            return _not_of(LEVELS, text)
        case "storage.type":
            return _not_of(STORAGE, text)
        case "tls" if text.lower() in ("on", "true", "yes") and not instance.plugin.tls:
            return Fault("no-tls", "it does not support TLS, and Fluent Bit would not start", "remove it")
    return None


def _not_of(closed: Closed, text: str) -> Fault | None:
    if closed.has(text):
        return None
    hint = did_you_mean(text.lower(), closed.values) or f"it is one of: {', '.join(closed.values)}"
    return Fault("bad-value", closed.effect, hint)


def _quoted(key: str, text: str) -> str:
    """The value for people, unless it may be a secret."""
    if any(word in key for word in _SECRET) or not text.isprintable() or "://" in text:
        return ""
    return f" '{text}'" if len(text) <= 60 else f" '{text[:57]}…'"
