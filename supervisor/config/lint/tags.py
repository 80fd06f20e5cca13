"""Which tags can there be, and which match can no record reach?

A tag that is not fixed is a pattern with `*`; whatever is decided outside the text makes it `*` alone, and then
nothing is said: a false alarm is worse than none. The matching is that of Fluent Bit's router (5.1.1): `*` for any
text, a regular expression from the beginning of the tag.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, doubt
from supervisor.config.lint.structure import has_match, is_sound
from supervisor.config.lint.texts import (
    Values,
    boolean,
    finding,
    has,
    known,
    last,
    plugin_of,
    scalars,
    value_of,
    with_units,
)
from supervisor.config.names import lower, shown
from supervisor.model import Finding, Group, Kind, Node, Scalar, Section, Trust
from supervisor.model import Sequence as Listing

RULES: tuple[Rule, ...] = (
    doubt("unreachable-match", "a match that no tag can reach, so the output or filter gets nothing"),
    doubt(
        "undelivered-input", "an input whose tag no output (a tenant's: no own one) matches: its records are dropped"
    ),
)

ANY = "*"

# These put every record under the tag they were given; the others take tags from what they receive.
_FIXED = frozenset(
    {
        *("blob", "collectd", "cpu", "disk", "docker", "docker_events", "dummy", "exec", "exec_wasi"),
        *("fluentbit_logs", "fluentbit_metrics", "gpu_metrics", "head", "health", "kafka", "kmsg"),
        *("kubernetes_events", "mem", "mqtt", "netif", "nginx_metrics", "node_exporter_metrics", "podman_metrics"),
        *("proc", "process_exporter_metrics", "prometheus_scrape", "prometheus_textfile", "random", "serial"),
        *("statsd", "stdin", "syslog", "systemd", "tail", "tcp", "thermal", "udp", "winevtlog", "winlog", "winstat"),
    }
)
# These leave the tag alone; a filter that is neither here nor below may do anything.
_QUIET = frozenset(
    {
        *("alter_size", "aws", "checklist", "ecs", "expect", "geoip2", "grep", "kubernetes", "lua", "modify"),
        *("multiline", "nest", "nightfall", "parser", "record_modifier", "stdout", "sysinfo", "tensorflow"),
        *("throttle", "throttle_size", "type_converter", "wasm"),
    }
)
_TAG_KEYS = frozenset({"tag_key", "tag_from_uri", "tag_prefix", "tag_from_record"})
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_PLACEHOLDER = re.compile(r"<[^>]*>")
_RULE = re.compile(r"\s*\S+\s+(?:\"[^\"]*\"|\S+)\s+(?P<tag>\S+)\s+\S+\s*")
_REPETITIONS = 2
_SAME_IN_PYTHON = re.compile(r"[\w./^$*+?|()\[\]-]*", re.ASCII)


def lint_tags(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """Matches that nothing reaches, and inputs that nobody takes."""
    if context.unseen_pipeline or not any(place.section.kind is Kind.INPUT for place in sections):
        return
    inputs = {id(p.section): tag_of(p.section, context.variables) for p in sections if p.section.kind is Kind.INPUT}
    made = set(_made(sections, context))
    tags = frozenset(inputs.values()) | made | context.promised
    if ANY not in tags and not any(place.section.kind in (Kind.UNKNOWN, Kind.CUSTOM) for place in sections):
        yield from _unreachable(sections, tags, context)
    if not made:
        yield from _undelivered(sections, inputs, context)
    yield from _kept_by_nobody(sections, inputs, context)


def tag_of(section: Section, values: Values) -> str:
    """The pattern of tags that an input gives."""
    plugin = plugin_of(section, values)
    if plugin not in _FIXED or any(lower(entry.key) in _TAG_KEYS for entry in section.entries):
        return ANY
    tag = last(section, "tag")
    if tag is None:
        return ANY if has(section, "tag") else f"{plugin}.*"
    return _PLACEHOLDER.sub(ANY, pattern_of(tag.text, values))


def pattern_of(text: str, values: Values) -> str:
    """The text with its variables filled in; what is not known can be anything."""

    def fill(found: re.Match[str]) -> str:
        filled = known(found[0], values)
        return ANY if filled is None else filled

    return _VARIABLE.sub(fill, text)


class Patterns:
    """Texts in which `*` stands for any text, and which of them can be the same as another.

    Sorted and by their beginnings, because thousands are asked about thousands.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = frozenset(texts)
        self.exact = sorted(text for text in self.texts if "*" not in text)
        self.wild = [_Wild(text) for text in sorted(self.texts) if "*" in text]
        self._by_head: dict[str, list[_Wild]] = {}
        for wild in self.wild:
            self._by_head.setdefault(wild.head, []).append(wild)

    def meet(self, text: str) -> bool:
        """Whether one of them and that one can stand for the same tag."""
        if "*" not in text:
            heads = (text[:length] for length in range(len(text) + 1))
            return text in self.texts or any(w.fits(text) for head in heads for w in self._by_head.get(head, ()))
        asked = _Wild(text)
        for exact in self.exact[bisect_left(self.exact, asked.head) :]:
            if not exact.startswith(asked.head):
                break
            if asked.fits(exact):
                return True
        return any(asked.meets(wild) for wild in self.wild)


class _Wild:
    """A text with at least one `*`."""

    __slots__ = ("_inner", "head", "tail")

    def __init__(self, text: str) -> None:
        self.head, *self._inner, self.tail = text.split("*")

    def fits(self, text: str) -> bool:
        """Whether it may stand for that text. Each part is taken where it comes first: no pattern makes this slow."""
        if not text.startswith(self.head) or not text.endswith(self.tail):
            return False
        position, end = len(self.head), len(text) - len(self.tail)
        for part in self._inner:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return position <= end

    def meets(self, other: _Wild) -> bool:
        heads = self.head.startswith(other.head) or other.head.startswith(self.head)
        return heads and (self.tail.endswith(other.tail) or other.tail.endswith(self.tail))


def targets_of_routes(sections: Iterable[Located]) -> frozenset[str]:
    """Names of outputs in the conditional `routes` of all inputs; of `PLUGIN.N` the plugin as well."""
    names = frozenset(
        name.text
        for place in sections
        if place.section.kind is Kind.INPUT
        for entry in place.section.entries
        if lower(entry.key) == "routes"
        for name in outputs_in(entry.value)
    )
    return names | {name.partition(".")[0] for name in names}


def is_target(section: Section, routed: frozenset[str], values: Values) -> bool:
    """Whether a route leads to that output."""
    alias = section.get("alias")
    return (alias is not None and alias.text in routed) or plugin_of(section, values) in routed


def outputs_in(node: Node) -> Iterator[Scalar]:
    """The names under every `to:` of a `routes` value, fallbacks as well."""
    match node:
        case Group():
            for entry in node.entries:
                if entry.key == "to":
                    yield from scalars(entry.value)
                else:
                    yield from outputs_in(entry.value)
        case Listing():
            for item in node.items:
                yield from outputs_in(item)


def _made(sections: Sequence[Located], context: Context) -> Iterator[str]:
    """Patterns of tags that are made on the way."""
    for place in with_units(sections):
        section = place.section
        if section.kind is Kind.STREAM_TASK:
            yield ANY
        elif section.kind is Kind.SERVICE:
            if has(section, "streams_file") or has(section, "enable_chunk_trace"):
                yield ANY
        elif section.kind is Kind.FILTER:
            yield from _made_by_filter(section, context.variables)


def _made_by_filter(section: Section, values: Values) -> Iterator[str]:
    plugin = plugin_of(section, values)
    if plugin == "log_to_metrics":
        yield pattern_of(value_of(section, "tag", values) or ANY, values)
    elif plugin == "rewrite_tag":
        for entry in section.entries:
            if lower(entry.key) == "rule":
                for scalar in scalars(entry.value):
                    found = _RULE.fullmatch(scalar.text)
                    yield pattern_of(found["tag"], values).partition("$")[0] + ANY if found else ANY
    elif plugin not in _QUIET and not section.title.startswith("processors"):
        yield ANY


def _unreachable(sections: Sequence[Located], tags: frozenset[str], context: Context) -> Iterator[Finding]:
    routed, patterns = targets_of_routes(sections), Patterns(tags)
    names = sorted({shown(tag.text) for tag in map(_said_tag, sections) if tag is not None})
    hint = f"the tags are: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else ""
    for place in sections:
        section = place.section
        if section.kind not in (Kind.FILTER, Kind.OUTPUT) or not is_sound(section) or not has_match(section):
            continue
        if is_target(section, routed, context.variables):
            continue
        match, regex = _wishes(section, context.variables)
        if (match is not None and patterns.meet(match)) or (regex is not None and _may_match(regex, patterns)):
            continue
        said = last(section, "match") or last(section, "match_regex")
        line = said.line if said is not None else section.line
        message = f"no record reaches this {section.kind}: no input gives a tag that it matches"
        yield finding(place.snippet, line, "unreachable-match", message, hint)


def _said_tag(place: Located) -> Scalar | None:
    return last(place.section, "tag") if place.section.kind is Kind.INPUT else None


def _undelivered(sections: Sequence[Located], inputs: dict[int, str], context: Context) -> Iterator[Finding]:
    sections = [place for place in sections if place.snippet.trust is not Trust.TENANT]
    inputs = {id(place.section): inputs[id(place.section)] for place in sections if id(place.section) in inputs}
    outputs = [place.section for place in sections if place.section.kind is Kind.OUTPUT]
    if not outputs or any(place.section.kind in (Kind.UNKNOWN, Kind.CUSTOM) for place in sections):
        return
    if len(inputs) == 1 and len(outputs) == 1 and not has_match(outputs[0]):
        return  # Fluent Bit routes a single pair by itself (5.1.1)
    wishes = [_wishes(output, context.variables) for output in outputs]
    matches = Patterns(match for match, _ in wishes if match is not None)
    regexes = [regex for _, regex in wishes if regex is not None]
    for place in sections:
        section = place.section
        if section.kind is not Kind.INPUT or not is_sound(section) or has(section, "routes"):
            continue
        tag = inputs[id(section)]
        if tag == ANY or boolean(value_of(section, "routable", context.variables)) is False or matches.meet(tag):
            continue
        if not any(_may_match(regex, Patterns([tag])) for regex in regexes):
            yield _dropping(place)


def _dropping(place: Located) -> Finding:
    said = last(place.section, "tag")
    named = f" ({shown(said.text)})" if said is not None else ""
    message = f"no output matches the tag of this input{named}: its records are dropped without a word"
    line = said.line if said is not None else place.section.line
    hint = "add an output for it, or correct its tag"
    return finding(place.snippet, line, "undelivered-input", message, hint)


def _kept_by_nobody(sections: Sequence[Located], inputs: dict[int, str], context: Context) -> Iterator[Finding]:
    """Inputs of tenants without an output of the same tenant.

    Such an input stays out as long as its output does: what it took in meanwhile would be dropped, and what it does
    not take in waits where it is.
    """
    matches: dict[str, list[str]] = {}
    for place in sections:
        if place.snippet.trust is Trust.TENANT and place.section.kind is Kind.OUTPUT:
            match, _ = _wishes(place.section, context.variables)
            matches.setdefault(place.snippet.tenant or "", []).append(match or "")
    for place in sections:
        tenant = place.snippet.tenant or ""
        if place.snippet.trust is not Trust.TENANT or tenant in context.reaching or id(place.section) not in inputs:
            continue
        own = Patterns(matches.get(tenant, ()))
        if not has(place.section, "routes") and not own.meet(inputs[id(place.section)]):
            yield _dropping(place)


def _wishes(section: Section, values: Values) -> tuple[str | None, str | None]:
    """The pattern and the regular expression that an output or a filter matches; an unknown one is `*`."""
    match, regex = last(section, "match"), last(section, "match_regex")
    if match is None and regex is None:
        return (ANY if has_match(section) else None), None
    text = known(regex.text, values) if regex is not None else None
    if regex is not None and text is None:
        return ANY, None
    return (pattern_of(match.text, values) if match is not None else None), text


def _is_dear(regex: str) -> bool:
    """Whether trying it could take long: a repeated group, or more repetitions than two."""
    return any(f"){sign}" in regex for sign in "*+?") or sum(map(regex.count, "*+?")) > _REPETITIONS


def _may_match(regex: str, tags: Patterns) -> bool:
    """Whether the expression may match one of the tags; only one that means the same in Python is asked."""
    if tags.wild or _SAME_IN_PYTHON.fullmatch(regex) is None or "[[" in regex or _is_dear(regex):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            form = re.compile(regex)
    except (re.error, RecursionError, OverflowError):
        return True
    return any(form.match(tag) for tag in tags.exact)
