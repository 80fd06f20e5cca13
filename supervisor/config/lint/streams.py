"""Which stream task or upstream would be dropped without a word?

Fluent Bit 5.1.1 starts without a stream task that it cannot read, and with it without all others; one line in its log
is all. An upstream's node without a port is accepted for as long as no output uses it, and then the start fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.texts import finding, known
from supervisor.config.names import lower
from supervisor.config.parse import parse
from supervisor.model import Entry, Finding, Group, Kind, Scalar, Section
from supervisor.model import Sequence as Listing

RULES: tuple[Rule, ...] = (
    mistake("bad-stream-task", "a stream task without name, or without a query that can be one"),
    doubt("upstream-without-port", "a node of an upstream without name, host or port"),
)

_VERBS = ("create", "select", "flush")


def lint_streams(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """Stream tasks and upstreams that could not be used."""
    for place in sections:
        snippet, section = place.snippet, place.section
        if section.kind is Kind.STREAM_TASK and lower(section.title) != "stream_task":
            for line, fault in _task(section, context.variables):
                message = f"{fault}: Fluent Bit would go on without any stream task"
                yield finding(snippet, line, "bad-stream-task", message, "write name, and exec with a query")
        elif section.kind is Kind.UPSTREAM:
            for line, fault in _upstream(section):
                yield finding(snippet, line, "upstream-without-port", fault, "a node is name, host and port")
    for referred in context.referred:
        content = referred.reference.content if referred.reference is not None else None
        if referred.wanted.kind == "upstream_file" and content is not None:
            document = parse(content, referred.wanted.written).document
            for section in document.sections if document is not None else ():
                for line, fault in _upstream(section) if section.kind is Kind.UPSTREAM else ():
                    message = f"{fault} ({referred.wanted.written}:{line})"
                    where = referred.wanted.line
                    hint = "a node is name, host and port"
                    yield finding(referred.place.snippet, where, "upstream-without-port", message, hint)


def _task(section: Section, values: Mapping[str, str | None]) -> Iterator[tuple[int, str]]:
    if section.get("name") is None:
        yield section.line, "this stream task has no 'name'"
    query = section.get("exec")
    if query is None:
        yield section.line, "this stream task has no 'exec'"
        return
    text = known(query.text, values)
    if text is None:
        return
    if not lower(text).lstrip().startswith(_VERBS):
        yield query.line, "the query begins with neither CREATE, SELECT nor FLUSH"
    elif not text.rstrip().endswith(";"):
        yield query.line, "the query does not end in a semicolon"


def _upstream(section: Section) -> Iterator[tuple[int, str]]:
    for node in _nodes(section.entries):
        keys = {lower(entry.key) for entry in node.entries if isinstance(entry.value, Scalar)}
        missing = [key for key in ("name", "host", "port") if key not in keys]
        if missing:
            yield node.line, f"this node of an upstream has no {' and no '.join(missing)}, so nothing can be sent to it"


def _nodes(entries: Sequence[Entry]) -> Iterator[Group]:
    for entry in entries:
        if lower(entry.key) == "nodes" and isinstance(entry.value, Listing):
            yield from (node for node in entry.value.items if isinstance(node, Group))
