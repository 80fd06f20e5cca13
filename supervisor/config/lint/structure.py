"""What is wrong that Fluent Bit would accept in silence?

Each rule answers for one fault that neither a dry-run nor a start of Fluent Bit 5.1.1 complains about (or complains
about without a line). A rule gives the severity that a *tenant's* text would get, or a warning where it only doubts;
`weigh` turns that into what the trust of the author makes of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.schema import Schema
from supervisor.model import Document, Entry, Finding, Group, Kind, Node, Scalar, Section, Severity, Snippet
from supervisor.model import Sequence as Listing

SERVICE_KEYS = frozenset(
    [
        "flush",
        "flush.adaptive",
        "flush.adaptive.min_interval",
        "flush.adaptive.max_interval",
        "flush.adaptive.low_pressure",
        "flush.adaptive.medium_pressure",
        "flush.adaptive.high_pressure",
        "flush.adaptive.up_steps",
        "flush.adaptive.down_steps",
        "grace",
        "daemon",
        "log_file",
        "log_level",
        "parsers_file",
        "plugins_file",
        "streams_file",
        "sp.convert_from_str_to_num",
        "json.convert_nan_to_null",
        "json.escape_unicode",
        "security.fips_mode",
        "http_server",
        "http_listen",
        "http_port",
        "health_check",
        "hc_errors_count",
        "hc_retry_failure_count",
        "hc_period",
        "enable_chunk_trace",
        "hot_reload",
        "hot_reload.ensure_thread_safety",
        "hot_reload.timeout",
        "windows.maxstdio",
        "dns.mode",
        "dns.resolver",
        "dns.prefer_ipv4",
        "dns.prefer_ipv6",
        "storage.path",
        "storage.sync",
        "storage.metrics",
        "storage.checksum",
        "storage.backlog.mem_limit",
        "storage.backlog.flush_on_shutdown",
        "storage.max_chunks_up",
        "storage.delete_irrecoverable_chunks",
        "storage.trim_files",
        "storage.type",
        "storage.inherit",
        "storage.keep.rejected",
        "storage.rejected.path",
        "storage.rejected.limit",
        "coro_stack_size",
        "multiline_buffer_limit",
        "scheduler.cap",
        "scheduler.base",
    ]
)
"""Every key that a service section of Fluent Bit 5.1.1 knows; the others it ignores without a word."""

SECTION_TITLES: dict[str, tuple[str, ...]] = {
    "classic": (
        *("SERVICE", "INPUT", "FILTER", "OUTPUT", "CUSTOM"),
        *("PARSER", "MULTILINE_PARSER", "STREAM_TASK", "UPSTREAM", "PLUGINS"),
    ),
    "yaml": (
        *("service", "env", "includes", "plugins", "pipeline", "inputs", "filters", "outputs", "customs"),
        *("parsers", "multiline_parsers", "stream_processor", "upstream_servers"),
    ),
}

_VARIABLE = re.compile(r"\$\{([^}:]*)(:-[^}]*)?\}")
_PLUGIN_KINDS = {Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM}


def lint_snippet(snippet: Snippet, document: Document, schema: Schema | None = None) -> Iterator[Finding]:
    """What can be said of one snippet by itself; unweighed."""
    if not document.sections:
        yield _at(
            snippet,
            1,
            "empty-snippet",
            "the file configures nothing",
            "if it should, it was perhaps cut off while it was written",
        )
    for section in document.sections:
        match section.kind:
            case Kind.UNKNOWN:
                yield _unknown_section(snippet, document, section)
            case Kind.SERVICE:
                yield from _service(snippet, section)
            case Kind.INPUT | Kind.FILTER | Kind.OUTPUT | Kind.CUSTOM:
                yield from _instance(snippet, document, section)


def lint_whole(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """What can be said of the sections together; unweighed."""
    yield from _outputs_without_match(sections)
    yield from _duplicate_aliases(sections)
    yield from _unset_variables(sections, frozenset(context.variables))


def without_output(sections: Iterable[Located]) -> bool:
    """Whether records come in and none can go out."""
    kinds = {located.section.kind for located in sections}
    return Kind.INPUT in kinds and Kind.OUTPUT not in kinds


def variables_of(node: Node) -> Iterator[tuple[str, bool, int]]:
    """Every `${NAME}` in a value: name, whether it has a default, line."""
    match node:
        case Scalar():
            for found in _VARIABLE.finditer(node.text):
                yield found[1], found[2] is not None, node.line
        case Listing():
            for item in node.items:
                yield from variables_of(item)
        case Group():
            for entry in node.entries:
                yield from variables_of(entry.value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def _at(snippet: Snippet, line: int | None, rule: str, message: str, hint: str = "") -> Finding:
    return Finding(Severity.ERROR, rule, message, hint, snippet.name, snippet.path, line)


def _unknown_section(snippet: Snippet, document: Document, section: Section) -> Finding:
    titles = SECTION_TITLES[document.format]
    written = f"[{section.title}]" if document.format == "classic" else f"'{section.title}:'"
    wanted = section.title.upper() if document.format == "classic" else section.title.lower()
    hint = did_you_mean(wanted, titles) or f"known are: {', '.join(titles)}"
    message = f"{written} is not a section that Fluent Bit knows: it would ignore it without a word"
    return _at(snippet, section.line, "unknown-section", message, hint)


def _service(snippet: Snippet, section: Section) -> Iterator[Finding]:
    for entry in section.entries:
        key = entry.key.lower()
        if key not in SERVICE_KEYS and not key.startswith("http_server."):
            message = f"'{entry.key}' is not a service key that Fluent Bit knows: it would ignore it without a word"
            yield _at(snippet, entry.line, "unknown-service-key", message, did_you_mean(key, SERVICE_KEYS))


def _instance(snippet: Snippet, document: Document, section: Section) -> Iterator[Finding]:
    name = section.get("name")
    whole = snippet.content.endswith(b"\n")
    if not section.entries and section is document.sections[-1] and not whole:
        message = f"the file ends in the middle of a section ({section.title})"
        yield _at(snippet, section.line, "torn-file", message, "write the file beside its place and rename it")
    elif name is None:
        message = f"this {section.kind} has no 'name', so Fluent Bit does not know which plugin is meant"
        yield _at(snippet, section.line, "missing-name", message, "add the name of the plugin")
    if section.kind is Kind.FILTER and not _matches(section) and section.entries:
        message = "this filter has neither 'match' nor 'match_regex'"
        yield _at(snippet, section.line, "filter-without-match", message, "add: match *")


def _matches(section: Section) -> bool:
    return section.get("match") is not None or section.get("match_regex") is not None


def _outputs_without_match(sections: Sequence[Located]) -> Iterator[Finding]:
    inputs = [located.section for located in sections if located.section.kind is Kind.INPUT]
    outputs = [located for located in sections if located.section.kind is Kind.OUTPUT]
    if len(inputs) == 1 and len(outputs) == 1:
        return  # Fluent Bit routes a single pair by itself (5.1.1)
    routed = {text for section in inputs for text in _routed_to(section)}
    for located in outputs:
        section = located.section
        alias = section.get("alias") or section.get("name")
        if _matches(section) or (alias is not None and alias.text in routed) or not section.entries:
            continue
        message = "this output has no 'match', so no record ever reaches it"
        yield _at(located.snippet, section.line, "output-without-match", message, "add: match *, or a tag pattern")


def _routed_to(section: Section) -> Iterator[str]:
    """Names of outputs in an input's conditional `routes`."""
    for entry in section.entries:
        if entry.key.lower() == "routes":
            yield from _texts(entry.value)


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield node.text
        case Listing():
            for item in node.items:
                yield from _texts(item)
        case Group():
            for entry in node.entries:
                yield from _texts(entry.value)


def _duplicate_aliases(sections: Sequence[Located]) -> Iterator[Finding]:
    aliased: list[tuple[tuple[Kind, str], Scalar, Snippet]] = []
    for located in sections:
        alias = located.section.get("alias")
        if alias is not None and located.section.kind in _PLUGIN_KINDS:
            aliased.append(((located.section.kind, alias.text), alias, located.snippet))
    first: dict[tuple[Kind, str], str] = {}
    for taken, alias, snippet in aliased:
        where = f"{snippet.name}:{alias.line}"
        other = first.setdefault(taken, where)
        if other != where:
            message = f"the alias '{alias.text}' is taken by another {taken[0]} ({other}): their metrics would be one"
            yield _at(snippet, alias.line, "duplicate-alias", message, "give each its own alias")


def _unset_variables(sections: Sequence[Located], known: frozenset[str]) -> Iterator[Finding]:
    for located in sections:
        said: set[str] = set()
        for entry in located.section.entries:
            for name, has_default, line in variables_of(entry.value):
                if name and name not in known and not has_default and name not in said:
                    said.add(name)
                    message = f"the variable {name} has no value: Fluent Bit puts nothing in its place"
                    hint = f"set it in the environment, or put a secret file named {name} in place"
                    yield _at(located.snippet, line, "unset-variable", message, hint)


def names_set(entries: Iterable[Entry]) -> Iterator[str]:
    """Variable names that an env section defines."""
    for entry in entries:
        yield entry.key
