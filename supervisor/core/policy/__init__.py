"""May this tenant say that?

The answer is no for everything that was not granted: unknown sections, plugins, properties and ways of writing are
refused like forbidden ones. A snippet is taken whole or not at all, and what is said to one tenant never depends on
what another one wrote. Nothing of a refused snippet goes any further: policy comes before any Fluent Bit process,
because already a dry-run executes code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from supervisor.config.lint.enumerations import REPEATABLE
from supervisor.config.lint.tags import outputs_in
from supervisor.config.names import PLUGIN_KINDS, lower, shown
from supervisor.config.ports import listens
from supervisor.core.policy.sorts import NEVER, PARSER_KEYS, Sort, sort_of
from supervisor.core.policy.values import VARIABLE, Asked, judge_value
from supervisor.core.policy.words import ASK, grant, key_shown, refusal
from supervisor.model import Document, Entry, Finding, Group, Kind, Node, Scalar, Section, Snippet
from supervisor.model import Sequence as NodeSequence
from supervisor.settings import Grants

__all__ = ["VARIABLE", "Sort", "beyond_the_total", "judge", "leads_out", "nothing_granted", "sort_of", "too_many"]

_TITLES = {
    "classic": {
        "input": Kind.INPUT,
        "filter": Kind.FILTER,
        "output": Kind.OUTPUT,
        "parser": Kind.PARSER,
        "multiline_parser": Kind.MULTILINE_PARSER,
    },
    "yaml": {
        "inputs": Kind.INPUT,
        "filters": Kind.FILTER,
        "outputs": Kind.OUTPUT,
        "parsers": Kind.PARSER,
        "multiline_parsers": Kind.MULTILINE_PARSER,
    },
}
_PLUGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,79}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LOCAL_UNLESS_SAID = frozenset(
    ("es", "forward", "gelf", "http", "influxdb", "kafka-rest", "loki", "nats", "opensearch", "opentelemetry")
) | {*("prometheus_remote_write", "skywalking", "splunk", "syslog", "tcp", "udp", "websocket")}
"""Outputs that ship to this very machine when no `host` is given (5.1.1)."""


def nothing_granted(snippet: Snippet) -> Finding:
    """What is told to a tenant whom the settings do not know."""
    message = f"nothing was granted to the tenant '{snippet.tenant}', so this file is left out; everybody else goes on"
    hint = grant(snippet.tenant or "", "paths: [...]")
    return refusal(snippet, 1, "tenant-not-granted", message, hint)


def too_many(snippet: Snippet, limit: int) -> Finding:
    """What is told about a file beyond the number that a tenant may have."""
    message = f"more than {limit} files of the tenant '{snippet.tenant}'"
    return refusal(snippet, 1, "limit-snippets", message, f"use fewer, or {ASK} a higher limit (limits.snippets)")


def beyond_the_total(snippet: Snippet, total: int, limit: int) -> Finding:
    """What is told about a file with which the tenant has too much in all."""
    message = f"with this file the tenant '{snippet.tenant}' has {total} sections in all: {limit} are granted"
    return refusal(snippet, 1, "limit-total", message, f"use fewer, or {ASK} a higher limit (limits.total)")


def leads_out(snippet: Snippet, line: int, problem: str) -> Finding:
    """What is told about a granted path behind which something else lies."""
    message = f"one of the files there {problem}"
    hint = f"remove the link, or {ASK} what it leads to"
    return refusal(snippet, line, "path-not-granted", message, hint)


def judge(
    snippet: Snippet, document: Document, grants: Grants, closed_ports: frozenset[int] = frozenset()
) -> tuple[Finding, ...]:
    """Everything in the snippet that its tenant may not say; empty: it may go further."""
    found = list(_sizes(snippet, document, grants))
    if not found:
        for section in document.sections:
            found += _section(snippet, document, section, grants, closed_ports)
    return tuple(found)


def _sizes(snippet: Snippet, document: Document, grants: Grants) -> Iterator[Finding]:
    limits = grants.limits
    if len(snippet.content) > limits.snippet:
        message = f"the file has {len(snippet.content)} bytes: {limits.snippet} are granted"
        yield refusal(snippet, 1, "limit-size", message, f"split it, or {ASK} a higher limit (limits.snippet)")
    if len(document.sections) > limits.sections:
        line = document.sections[limits.sections].line
        message = f"{len(document.sections)} sections in one file: {limits.sections} are granted"
        yield refusal(snippet, line, "limit-sections", message, f"split it, or {ASK} a higher limit (limits.sections)")


def _section(
    snippet: Snippet, document: Document, section: Section, grants: Grants, closed_ports: frozenset[int]
) -> list[Finding]:
    titles = _TITLES[document.format]
    if titles.get(lower(section.title)) is not section.kind:
        return [_not_for_tenants(snippet, document, section)]
    said = sum(len(e.value.items) if isinstance(e.value, NodeSequence) else 1 for e in section.entries)
    if said > grants.limits.properties:
        message = f"{said} properties in one section: {grants.limits.properties} are granted"
        hint = f"{ASK} a higher limit (limits.properties)"
        return [refusal(snippet, section.line, "limit-properties", message, hint)]
    if found := [*_keys(snippet, section)]:
        return found
    plugin = ""
    if section.kind in PLUGIN_KINDS:
        if found := [*_plugin(snippet, section, grants)]:
            return found
        plugin = lower(section.get("name").text)  # type: ignore[union-attr]  # just looked at
    else:
        found = [*_parser_name(snippet, section)]
    found += _missing(snippet, document, section, plugin, grants)
    beside = {lower(e.key): e.value.text for e in section.entries if isinstance(e.value, Scalar)}
    for entry in section.entries:
        sort = sort_of(section.kind, plugin, lower(entry.key))
        found += _property(snippet, section, plugin, entry, sort)
        for scalar, its_sort in _scalars(section.kind, entry, sort):
            found += judge_value(Asked(snippet, entry, scalar, its_sort, plugin, grants, closed_ports, beside))
    return found


def _not_for_tenants(snippet: Snippet, document: Document, section: Section) -> Finding:
    written = f"[{shown(section.title)}]" if document.format == "classic" else f"'{shown(section.title)}:'"
    if section.kind in _TITLES[document.format].values():
        full = next(title for title, kind in _TITLES[document.format].items() if kind is section.kind)
        message = f"{written} is not written out"
        return refusal(snippet, section.line, "section-not-granted", message, f"write {full}")
    known = ", ".join(_TITLES["yaml"])
    message = f"{written} is not for tenants: it concerns everybody"
    return refusal(snippet, section.line, "section-not-granted", message, f"a tenant may have {known}")


def _keys(snippet: Snippet, section: Section) -> Iterator[Finding]:
    """Keys that are not plain words, or stand there twice: what Fluent Bit makes of those differs."""
    counted = Counter(lower(entry.key) for entry in section.entries)
    for entry in section.entries:
        key = lower(entry.key)
        if not _KEY.fullmatch(entry.key):
            message = f"'{shown(entry.key)}' is not a property that a tenant may use"
            hint = "use letters, digits, and . _ - in the names of properties"
            yield refusal(snippet, entry.line, "property-not-granted", message, hint)
        elif counted[key] > 1 and not _may_repeat(section, key):
            counted[key] = 0
            message = f"{key_shown(key)} is given more than once, and only one of them would count"
            yield refusal(snippet, entry.line, "repeated-property", message, "keep one")


def _may_repeat(section: Section, key: str) -> bool:
    if section.kind is Kind.MULTILINE_PARSER:
        return key == "rule"
    return section.kind in PLUGIN_KINDS and key in REPEATABLE


def _plugin(snippet: Snippet, section: Section, grants: Grants) -> Iterator[Finding]:
    name = section.get("name")
    if name is None or not _PLUGIN.fullmatch(name.text):
        message = f"this {section.kind} does not name its plugin in plain letters"
        line = name.line if name is not None else section.line
        yield refusal(snippet, line, "plugin-not-granted", message, "write: name PLUGIN")
        return
    granted = {Kind.INPUT: grants.inputs, Kind.FILTER: grants.filters, Kind.OUTPUT: grants.outputs}[section.kind]
    plugin = lower(name.text)
    if why := NEVER.get((section.kind, plugin)):
        message = f"the {section.kind} {plugin} is for no tenant: {why}"
        hint = "let the platform receive these records, and ask to subscribe to them"
        yield refusal(snippet, name.line, "plugin-not-granted", message, hint)
    elif plugin not in granted:
        message = f"the {section.kind} '{plugin}' was not granted; granted: {', '.join(sorted(granted)) or 'none'}"
        hint = grant(snippet.tenant or "", f"plugins: {{{section.kind}s: [{plugin}]}}")
        yield refusal(snippet, name.line, "plugin-not-granted", message, hint)


def _parser_name(snippet: Snippet, section: Section) -> Iterator[Finding]:
    name = section.get("name")
    if name is None or not _NAME.fullmatch(name.text):
        message = "a parser needs a name of letters, digits, and . _ -, at most 64"
        yield refusal(snippet, name.line if name is not None else section.line, "bad-name", message, "give it one")


def _missing(snippet: Snippet, document: Document, section: Section, plugin: str, grants: Grants) -> Iterator[Finding]:
    keys = {lower(entry.key) for entry in section.entries}
    if section.kind in (Kind.FILTER, Kind.OUTPUT) and "match" not in keys and not _is_routed_to(document, section):
        message = f"this {section.kind} does not say which records it is for"
        yield refusal(snippet, section.line, "match-missing", message, "add: match *, for all of your own")
    if section.kind is Kind.OUTPUT and plugin in _LOCAL_UNLESS_SAID and "host" not in keys:
        message = f"without a host the output {plugin} ships to this very machine"
        yield refusal(snippet, section.line, "address-not-granted", message, "add: host NAME")
    listening = listens(section) if section.kind is Kind.INPUT and "port" not in keys else None
    if listening is not None and listening.port not in grants.ports:
        hint = f"add: port NUMBER, one that was granted; or {grant(snippet.tenant or '', f'ports: [{listening.port}]')}"
        message = f"the input {plugin} listens on port {listening.port} when no other one is said: it was not granted"
        yield refusal(snippet, section.line, "port-not-granted", message, hint)


def _is_routed_to(document: Document, section: Section) -> bool:
    alias = section.get("alias")
    if section.kind is not Kind.OUTPUT or alias is None:
        return False
    inputs = [each for each in document.sections if each.kind is Kind.INPUT]
    routes = [entry.value for each in inputs for entry in each.entries if lower(entry.key) == "routes"]
    return any(name.text == alias.text for node in routes for name in outputs_in(node))


def _property(snippet: Snippet, section: Section, plugin: str, entry: Entry, sort: Sort) -> Iterator[Finding]:
    """What is said of a property whatever its value; of several values only those that may be several are taken."""
    key = key_shown(entry.key)
    match sort:
        case Sort.CLOSED | Sort.UNLISTED:
            message = f"{key} is not for tenants" if sort is Sort.CLOSED else f"{key} is not known to be harmless"
            hint = _INSTEAD.get(lower(entry.key), "leave it out")
            yield refusal(snippet, entry.line, "property-not-granted", message, hint)
        case Sort.DATA_TAG:
            message = f"with {key} whoever sends the records chooses their tag, and so who gets them"
            yield refusal(snippet, entry.line, "tag-from-data", message, "use: tag NAME")
        case Sort.IDENTITY:
            message = f"{key} would use the rights of the node, not your own"
            yield refusal(snippet, entry.line, "property-not-granted", message, "use credentials of your own")
        case Sort.ROUTES:
            for odd in _odd_in_routes(entry.value):
                message = f"{key_shown(odd.key)} in a route is not known to be harmless"
                hint = f"use {', '.join(sorted(_ROUTE_KEYS))}"
                yield refusal(snippet, odd.line, "property-not-granted", message, hint)
        case _ if not _is_flat(section, entry):
            message = f"{key} holds a list or a map where one text is expected"
            yield refusal(snippet, entry.line, "nested-value", message, "write one text")


_ROUTE_KEYS = frozenset(("logs", "metrics", "traces", "any", "name", "condition", "to", "outputs", "fallback")) | {
    *("default", "op", "rules", "field", "value", "context", "per_record_routing")
}
"""What a route is made of; it may have processors, too, and those run code already at a dry-run (5.1.1)."""


def _odd_in_routes(node: Node) -> Iterator[Entry]:
    match node:
        case Scalar():
            return
        case NodeSequence(items=items):
            for item in items:
                yield from _odd_in_routes(item)
        case Group(entries=entries):
            for entry in entries:
                if entry.key not in _ROUTE_KEYS:
                    yield entry
                else:
                    yield from _odd_in_routes(entry.value)


_INSTEAD = {
    "match_regex": "use match, with * for anything",
    "processors": "write filters of your own: they come to the same",
    "upstream": "use host and port",
    "cloud_id": "use host, port 443 and tls on",
}


def _is_flat(section: Section, entry: Entry) -> bool:
    key = lower(entry.key)
    match entry.value:
        case Scalar():
            return True
        case NodeSequence(items=items):
            if section.kind is Kind.MULTILINE_PARSER and key == "rules":
                return all(isinstance(item, Group) and _is_rule(item) for item in items)
            return _may_repeat(section, key) and all(isinstance(item, Scalar) for item in items)
        case Group():
            return section.kind is Kind.MULTILINE_PARSER and key in ("rule", "rules") and _is_rule(entry.value)


def _is_rule(group: Group) -> bool:
    keys = [lower(entry.key) for entry in group.entries]
    known = ("state", "regex", "next_state")
    return all(isinstance(e.value, Scalar) for e in group.entries) and sorted(keys) == sorted(known)


def _scalars(kind: Kind, entry: Entry, sort: Sort) -> Iterator[tuple[Scalar, Sort]]:
    """Every text in the value, with what it is."""

    def walk(node: Node, its: Sort) -> Iterator[tuple[Scalar, Sort]]:
        match node:
            case Scalar():
                yield node, Sort.FIXED if its is Sort.ROUTES else its
            case NodeSequence():
                for item in node.items:
                    yield from walk(item, its)
            case Group():
                for inner in node.entries:
                    yield from walk(inner.value, _within(kind, its, lower(inner.key)))

    yield from walk(entry.value, sort)


def _within(kind: Kind, its: Sort, key: str) -> Sort:
    """What stands under that key of a map: of a route, or of a rule."""
    if its is Sort.ROUTES and key in ("to", "value"):
        return Sort.ALIAS if key == "to" else Sort.REGEX  # an operator may make an expression of the value
    if its in (Sort.ROUTES, Sort.ALIAS):
        return its
    return PARSER_KEYS.get(kind, {}).get(key, Sort.FIXED)
