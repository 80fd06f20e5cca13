"""Which records does which output get?

A tenant's copy of platform records comes from the tenant's own output on the platform's tag: what may pass is chosen by
a processor of that output, and the tenant's filters are its further processors. So no record gets another tag, and
whatever the platform's outputs match, they get what they got before (re-tagging gave them some twice: 5.1.1).

A tenant's own records carry tags that the platform's wildcards would match, too. Where tenants may have records,
such a pattern is written as a regular expression that leaves them out; a pattern that names them is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.config.lint import Located
from supervisor.config.names import lower
from supervisor.core.policy.words import refusal
from supervisor.core.tenancy.names import subscription
from supervisor.core.tenancy.patterns import covers, overlap
from supervisor.model import Entry, Finding, Group, Kind, Scalar, Section, Severity, Trust
from supervisor.model import Sequence as NodeSequence
from supervisor.settings import PREFIX, Grants, Policy, Subscription

PROCESSORS = frozenset({"grep", "modify", "nest", "parser", "record_modifier", "throttle", "type_converter"})
"""Filters that do as a processor of an output what they do as a filter (tried on 5.1.1)."""

MOST_PAIRS = 2500  # of an output and a filter of one tenant
MOST_COPIED = 1024 * 1024  # characters of one tenant's filters, each counted for every output that has it
_NOT_A_PROPERTY = frozenset({"match", "alias", "log_level", "log_suppress_interval"})
_REGEX_WITH_FLAGS = re.compile(r"/(.*)/([imxoun]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Outlets:
    """What runs, and what is said about it."""

    located: tuple[Located, ...]
    findings: tuple[Finding, ...] = ()


def deliver(located: Sequence[Located], policy: Policy) -> Outlets:
    """The sections as they run. Nothing changes where nothing is granted to any tenant."""
    if not policy.grants_anything:
        return Outlets(tuple(located))
    findings: list[Finding] = []
    filters = _subscribing_filters(located, policy)
    walled = _wall(policy)
    delivered: list[Located] = []
    spent: dict[str, _Spent] = {}
    for place in located:
        section, trust = place.section, place.snippet.trust
        if trust is not Trust.TENANT:
            delivered.append(replace(place, section=_without_tenants(section, walled)))
            findings += _reserved(place)
            continue
        grants = policy.of(place.snippet.tenant or "")
        match = _match(section)
        if grants is None or match is None or _number(grants, match) is None:
            delivered.append(place)
        elif section.kind is Kind.OUTPUT:
            mine = filters.get(place.snippet.tenant or "", [])
            if not spent.setdefault(place.snippet.tenant or "", _Spent()).affords(match, mine):
                findings.append(_too_much(place))
                continue
            findings += _partly(place, match, mine)
            delivered.append(replace(place, section=_subscribed(section, grants, match, mine)))
    findings += _unusable(filters)
    return Outlets(tuple(delivered), tuple(findings))


@dataclass(slots=True)
class _Spent:
    """What the copies of one tenant's filters come to: many filters for many outputs grow with the square."""

    pairs: int = 0
    copied: int = 0

    def affords(self, match: str, filters: Sequence[Located]) -> bool:
        self.pairs += len(filters)
        if self.pairs <= MOST_PAIRS:
            self.copied += sum(_size(each.section) for each in filters if covers(_match(each.section) or "", match))
        return self.pairs <= MOST_PAIRS and self.copied <= MOST_COPIED


def _size(section: Section) -> int:
    return sum(len(entry.key) + len(repr(entry.value)) for entry in section.entries)


def _too_much(place: Located) -> Finding:
    message = "each output on records that you subscribe to has a copy of your filters, and that has become too much"
    hint = "use fewer such outputs, or fewer and smaller filters"
    return refusal(place.snippet, place.section.line, "subscription-size", message, hint)


def _match(section: Section) -> str | None:
    found = section.get("match") if section.kind in (Kind.FILTER, Kind.OUTPUT) else None
    return None if found is None else found.text


def _number(grants: Grants, match: str) -> int | None:
    return None if match.startswith(PREFIX) else subscription(grants, match)


# --- platform records for tenants ---------------------------------------------------------------------------------


def _subscribing_filters(located: Sequence[Located], policy: Policy) -> Mapping[str, list[Located]]:
    """Each tenant's filters on records that it subscribes to, in load order."""
    found: dict[str, list[Located]] = {}
    for place in located:
        tenant = place.snippet.tenant
        if place.snippet.trust is not Trust.TENANT or tenant is None or place.section.kind is not Kind.FILTER:
            continue
        grants, match = policy.of(tenant), _match(place.section)
        if grants is not None and match is not None and _number(grants, match) is not None:
            found.setdefault(tenant, []).append(place)
    return found


def _subscribed(section: Section, grants: Grants, match: str, filters: Sequence[Located]) -> Section:
    """The output with what may pass, and what the tenant does with it."""
    number = _number(grants, match)
    assert number is not None
    units = [*_choosing(grants, grants.subscribe[number], match, section.line)]
    units += [
        _unit(place.section)
        for place in filters
        if covers(_match(place.section) or "", match) and _plugin(place.section) in PROCESSORS
    ]
    if not units:
        return section
    logs = Entry("logs", NodeSequence(tuple(units), section.line), section.line)
    group = Group((logs, *_nothing_else(section.line)), section.line)
    return replace(section, entries=(*section.entries, Entry("processors", group, section.line)))


def _choosing(grants: Grants, first: Subscription, match: str, line: int) -> Iterator[Group]:
    """A processor that lets the granted namespaces pass; none where all records were granted."""
    covering = [each for each in grants.subscribe if each.key == first.key and covers(each.match, match)]
    if all(each.namespaces for each in covering):
        namespaces = dict.fromkeys(namespace for each in covering for namespace in each.namespaces)
        regex = rf"{first.key} \A({'|'.join(map(re.escape, namespaces))})\z"
        yield _group([("name", "grep"), ("regex", regex)], line)


def _nothing_else(line: int) -> Iterator[Entry]:
    """Only logs can be told apart by their namespace: of what some outputs would take besides, nothing passes."""
    selector = [("name", "metrics_selector"), ("metric_name", "/./"), ("action", "exclude")]
    yield Entry("metrics", NodeSequence((_group(selector, line),), line), line)
    none = Group((Entry("sampling_percentage", Scalar("0", line, plain=True), line),), line)
    sampling = _group([("name", "sampling"), ("type", "probabilistic")], line)
    settings = Entry("sampling_settings", none, line)
    traces = replace(sampling, entries=(*sampling.entries, settings))
    yield Entry("traces", NodeSequence((traces,), line), line)


def _group(words: Sequence[tuple[str, str]], line: int) -> Group:
    return Group(tuple(Entry(key, Scalar(text, line), line) for key, text in words), line)


def _unit(section: Section) -> Group:
    entries = [replace(e, key=lower(e.key)) for e in section.entries if lower(e.key) not in _NOT_A_PROPERTY]
    return Group(tuple(sorted(entries, key=lambda entry: entry.key != "name")), section.line)


def _plugin(section: Section) -> str:
    name = section.get("name")
    return lower(name.text) if name is not None else ""


def _partly(place: Located, match: str, filters: Sequence[Located]) -> Iterator[Finding]:
    """A filter that is for some of the output's records only cannot be a processor of it."""
    for each in filters:
        other = _match(each.section) or ""
        if overlap(other, match) and not covers(other, match):
            message = f"this filter takes '{other}', which is only a part of what {_where(place, each)} takes"
            hint = f"write match {match} in both, or an output for '{other}' alone"
            yield refusal(each.snippet, each.section.line, "subscription-overlap", message, hint)


def _where(place: Located, seen_from: Located) -> str:
    if place.snippet is seen_from.snippet:
        return f"the output on line {place.section.line}"
    return f"{place.snippet.name}:{place.section.line}"


def _unusable(filters: Mapping[str, list[Located]]) -> Iterator[Finding]:
    for places in filters.values():
        for place in places:
            plugin = _plugin(place.section)
            conditional = any(lower(entry.key) == "condition" for entry in place.section.entries)
            if plugin not in PROCESSORS or conditional:  # a processor has a condition of another kind (5.1.1)
                what = f"{plugin} with a condition" if conditional else plugin
                message = f"the filter {what} cannot work on records of the platform's that you subscribe to"
                hint = f"use one of {', '.join(sorted(PROCESSORS))}"
                yield refusal(place.snippet, place.section.line, "subscription-filter", message, hint)


# --- records of tenants for the platform --------------------------------------------------------------------------


def _wall(policy: Policy) -> str:
    """The beginning of a regular expression that no tag of a tenant passes, but of those who were granted it."""
    prefix = re.escape(PREFIX)
    if policy.everybody is not None and policy.everybody.platform_outputs:
        shut = [tenant for tenant, grants in policy.tenants.items() if not grants.platform_outputs]
        inner = f"(?:{'|'.join(map(re.escape, sorted(shut)))})\\." if shut else "(?!)"
        return rf"\A(?!{prefix}{inner})"
    granted = sorted(tenant for tenant, grants in policy.tenants.items() if grants.platform_outputs)
    inner = f"(?!(?:{'|'.join(map(re.escape, granted))})\\.)" if granted else ""
    return rf"\A(?!{prefix}{inner})"


def _reserved(place: Located) -> Iterator[Finding]:
    """A tag of the platform's that looks like one of a tenant's: the platform's own wildcards leave it out."""
    tag = place.section.get("tag") if place.section.kind is Kind.INPUT else None
    if tag is not None and tag.text.startswith(PREFIX):
        message = f"the tags that begin with '{PREFIX}' are those of tenants: no wildcard of an output reaches this one"
        found = refusal(
            place.snippet, tag.line, "reserved-tag", message, "use another tag, or name it in full in a match"
        )
        yield replace(found, severity=Severity.WARNING)


def _without_tenants(section: Section, wall: str) -> Section:
    """An output whose patterns reach what tenants send, with patterns that do not."""
    if section.kind is not Kind.OUTPUT:
        return section
    return replace(section, entries=tuple(_walled(entry, wall) for entry in section.entries))


def _walled(entry: Entry, wall: str) -> Entry:
    key = lower(entry.key)
    if not isinstance(entry.value, Scalar) or key not in ("match", "match_regex"):
        return entry
    text = entry.value.text
    if key == "match":
        start, star, _ = text.partition("*")
        if not star or start.startswith(PREFIX) or not PREFIX.startswith(start):
            return entry
        regex = wall + (".+" if text == "*" else ".*".join(map(re.escape, text.split("*"))) + r"\z")
    elif (flags := _REGEX_WITH_FLAGS.fullmatch(text)) is not None:
        regex = f"/{wall}[\\s\\S]*?(?:{flags[1]})/{flags[2]}"
    else:
        regex = rf"{wall}[\s\S]*?(?:{text})"
    return Entry("match_regex", replace(entry.value, text=regex), entry.line)
