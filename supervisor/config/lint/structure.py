"""What is wrong with the sections of one text, before anybody asks what is in them?

Each rule answers for one fault that neither a dry-run nor a start of Fluent Bit 5.1.1 complains about (or complains
about without a line).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from supervisor.config.classic import runs_in_main
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.service import lint_keys
from supervisor.config.lint.texts import did_you_mean, finding
from supervisor.config.names import PLUGIN_KINDS, lower
from supervisor.config.schema import Schema
from supervisor.model import Document, Entry, Finding, Kind, Section, Snippet

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

RULES: tuple[Rule, ...] = (
    doubt("empty-snippet", "a file that configures nothing"),
    mistake("unknown-section", "a section that Fluent Bit does not know and ignores"),
    mistake("torn-file", "a file that ends in the middle of a section"),
    mistake("missing-name", "a plugin section without `name`"),
    mistake("filter-without-match", "a filter with neither `match` nor `match_regex`"),
    doubt("ignored-stream-task", "a `[STREAM_TASK]` outside a streams file, where Fluent Bit ignores it"),
)


def lint_snippet(snippet: Snippet, document: Document, schema: Schema | None = None) -> Iterator[Finding]:
    """What can be said of one snippet by itself; unweighed."""
    if not document.sections:
        hint = "if it should, it was perhaps cut off while it was written"
        yield finding(snippet, 1, "empty-snippet", "the file configures nothing", hint)
    for section in document.sections:
        match section.kind:
            case Kind.UNKNOWN:
                yield _unknown_section(snippet, document, section)
            case Kind.SERVICE:
                yield from lint_keys(snippet, section)
            case Kind.INPUT | Kind.FILTER | Kind.OUTPUT | Kind.CUSTOM:
                yield from _instance(snippet, document, section)
            case Kind.STREAM_TASK if not runs_in_main(section):
                message = f"[{section.title}] counts in a streams file only: here Fluent Bit would ignore it"
                hint = "write [STREAM_PROCESSOR], or name the file by streams_file"
                yield finding(snippet, section.line, "ignored-stream-task", message, hint)


def is_sound(section: Section) -> bool:
    """Whether it can be asked what the section means: a plugin that is not named answers for all else."""
    return section.kind not in PLUGIN_KINDS or section.get("name") is not None


def has_match(section: Section) -> bool:
    return any(lower(entry.key) in ("match", "match_regex") for entry in section.entries)


def names_set(entries: Iterable[Entry]) -> Iterator[str]:
    """Variable names that an env section defines."""
    for entry in entries:
        yield entry.key


def _unknown_section(snippet: Snippet, document: Document, section: Section) -> Finding:
    titles = SECTION_TITLES[document.format]
    written = f"[{section.title}]" if document.format == "classic" else f"'{section.title}:'"
    wanted = section.title.upper() if document.format == "classic" else section.title.lower()
    hint = did_you_mean(wanted, titles) or f"known are: {', '.join(titles)}"
    message = f"{written} is not a section that Fluent Bit knows: it would ignore it without a word"
    return finding(snippet, section.line, "unknown-section", message, hint)


def _instance(snippet: Snippet, document: Document, section: Section) -> Iterator[Finding]:
    whole = snippet.content.endswith(b"\n")
    if not section.entries and section is document.sections[-1] and not whole:
        message = f"the file ends in the middle of a section ({section.title})"
        yield finding(snippet, section.line, "torn-file", message, "write the file beside its place and rename it")
    elif not is_sound(section):
        message = f"this {section.kind} has no 'name', so Fluent Bit does not know which plugin is meant"
        has_colon = any(entry.key.lower() == "name:" for entry in section.entries)
        hint = "the classic format has no ':' behind a key" if has_colon else "add the name of the plugin"
        yield finding(snippet, section.line, "missing-name", message, hint)
    elif section.kind is Kind.FILTER and not has_match(section):
        message = "this filter has neither 'match' nor 'match_regex'"
        yield finding(snippet, section.line, "filter-without-match", message, "add: match *")
