"""How is a document written as Fluent Bit YAML, with a line map?

What is written is a function of the values alone: every text is quoted and escaped unless it is an unquoted YAML scalar
of harmless characters, so nothing that an author writes can become structure. Reading it back gives the same sections.

Where YAML and classic differ, the emission that behaves alike on 5.1.1 (each tried on the binary):

- repeated properties of a plugin: neighbours become a list, which Fluent Bit sets one by one exactly as it does
  repeated lines; the same key with others between stays a repeated key (legal for Fluent Bit), because `modify` and
  `grep` work their rules off in the order written. `name` counts once (the first), and `alias` is looked up as one
  text: no lists;
- parsers, multiline parsers, streams, upstream nodes and the service take no lists at all: keys are repeated;
- classic `rule` lines become `rules` when each has exactly three words without white space around them (the group form
  is trimmed), else they stay `rule` keys, which YAML accepts too; never both, as Fluent Bit reads `rules` first;
- keys are written in lower case: YAML would turn capitals into `_x`, classic does not;
- inside processors, routes and telemetry the binary guesses types of unquoted scalars: there the style is kept;
- bytes that are no UTF-8 cannot be said in YAML: they come out as the character of the same number (Latin-1);
- sections that Fluent Bit ignores are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from supervisor.config.names import PLUGIN_KINDS, lower, trim
from supervisor.config.tokens import split_tokens
from supervisor.model import (
    MAIN_FILE,
    Entry,
    Group,
    Kind,
    Node,
    Origin,
    RenderedFile,
    Scalar,
    Section,
)
from supervisor.model import Sequence as NodeSequence

Sourced = Entry | tuple[str, Entry]
"""A property with the identity of the snippet that says it; alone, it is ours."""

_PLAIN = re.compile(r"[-+]?[A-Za-z0-9_.][A-Za-z0-9_.+()/-]*")  # covers all that Fluent Bit guesses a type from
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LONG_KEY = 500  # libyaml wants the ':' of a simple key within 1024 bytes
_ONE_TEXT = frozenset({"name", "alias", "routes", "processors", "telemetry"})
_TYPED = frozenset({"routes", "processors", "telemetry"})
_STRUCTURES = _TYPED | {"rules", "nodes"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": ""}

_PIPELINE = ((Kind.INPUT, "inputs"), (Kind.FILTER, "filters"), (Kind.OUTPUT, "outputs"))
_LISTS = (
    (Kind.PARSER, "parsers"),
    (Kind.MULTILINE_PARSER, "multiline_parsers"),
    (Kind.STREAM_TASK, "stream_processor"),
    (Kind.UPSTREAM, "upstream_servers"),
    (Kind.CUSTOM, "customs"),
)
_MAIN_ONLY = frozenset({Kind.SERVICE, Kind.ENV, Kind.INCLUDE})


@dataclass(slots=True)
class _Writer:
    lines: list[str] = field(default_factory=list)
    origins: list[Origin | None] = field(default_factory=list)
    snippet: str = ""
    typed: bool = False  # inside a value whose unquoted scalars get a type

    def put(self, depth: int, text: str, line: int | None = None) -> None:
        self.lines.append("  " * depth + text)
        self.origins.append(Origin(self.snippet, line) if line is not None and self.snippet else None)

    def map(self, depth: int, entries: Sequence[Entry], prefix: str = "") -> None:
        """A block map; `prefix` (`- `) stands before its first key and is part of the indent of the others."""
        for number, entry in enumerate(entries):
            key = entry.key if _PLAIN_KEY.fullmatch(entry.key) else quote(Scalar(entry.key, 0))
            indent = "  " * depth
            lead = indent + (prefix if number == 0 else " " * len(prefix))
            if len(key) > _LONG_KEY:
                self.put(0, f"{lead}? {key}", entry.line)
                lead, key = indent + " " * len(prefix), ""
            typed, self.typed = self.typed, self.typed or entry.key in _TYPED
            self.value(depth + len(prefix) // 2, f"{lead}{key}:", entry.value, entry.line)
            self.typed = typed

    def value(self, depth: int, lead: str, node: Node, line: int) -> None:
        """A key, with what follows it; `lead` is complete with its indent."""
        match node:
            case Scalar():
                self.put(0, f"{lead} {quote(node, typed=self.typed)}", line)
            case Group(entries=()):
                self.put(0, f"{lead} {{}}", line)
            case NodeSequence(items=()):
                self.put(0, f"{lead} []", line)
            case Group():
                self.put(0, lead, line)
                self.map(depth + 1, node.entries)
            case NodeSequence():
                self.put(0, lead, line)
                self.list(depth + 1, node.items)

    def list(self, depth: int, items: Iterable[Node]) -> None:
        for item in items:
            match item:
                case Group(entries=(_, *_)):
                    self.map(depth, item.entries, "- ")
                case _:
                    self.value(depth, "  " * depth + "-", item, item.line)

    def file(self, name: str) -> RenderedFile:
        return RenderedFile(name, "".join(line + "\n" for line in self.lines), tuple(self.origins))


def render_sections(name: str, sections: Sequence[tuple[str, Section]]) -> RenderedFile:
    """One file with everything but `service`, `env` and includes; order within each kind is kept.

    The order between kinds means nothing to Fluent Bit. Raises ValueError for the three kinds that belong in the main
    file: they must not get lost in silence.
    """
    if any(section.kind in _MAIN_ONLY for _, section in sections):
        raise ValueError("service, env and includes belong in the main file")
    writer = _Writer()
    paths = [(snippet, path) for snippet, section in sections for path in _plugin_paths(section)]
    if paths:
        writer.put(0, "plugins:")
        for writer.snippet, path in paths:
            writer.put(1, f"- {quote(path, typed=False)}", path.line)
    for kind, title in _LISTS:
        _write_list(writer, 0, title, [item for item in sections if item[1].kind is kind])
    if any(section.kind is kind for _, section in sections for kind, _ in _PIPELINE):
        writer.put(0, "pipeline:")
        for kind, title in _PIPELINE:
            _write_list(writer, 1, title, [item for item in sections if item[1].kind is kind])
    return writer.file(name)


def render_main(
    service: Sequence[Sourced], env: Sequence[Sourced], includes: Sequence[str], name: str = MAIN_FILE
) -> RenderedFile:
    """The main file: the only place of `env:`, `service:` and of `includes:`, whose order is the load order.

    `service` may repeat keys: each is set in turn, so the last one counts, and every `parsers_file` and `plugins_file`
    is loaded. A variable's value is a scalar, or a group with `value`, `uri`, `refresh_interval`; of several
    definitions the last counts. Paths in `includes` are relative to the main file's directory.
    """
    writer = _Writer()
    if env:
        writer.put(0, "env:")
        for writer.snippet, entry in map(_sourced, env):
            writer.map(1, _variable(entry), "- ")
    if service:
        writer.put(0, "service:")
        for writer.snippet, entry in map(_sourced, service):
            writer.typed = not isinstance(entry.value, Scalar)
            writer.map(1, [Entry(lower(entry.key), entry.value, entry.line)])
    if includes:
        writer.snippet = ""
        writer.put(0, "includes:")
        for path in includes:
            writer.put(1, f"- {quote(Scalar(path, 0), typed=False)}")
    return writer.file(name)


def quote(scalar: Scalar, *, typed: bool = True) -> str:
    """One scalar as YAML: in double quotes with escapes, unless its characters are harmless and so is its type.

    `typed`: Fluent Bit would guess a type where this stands, so only what was unquoted may be.
    """
    if (scalar.plain or not typed) and _PLAIN.fullmatch(scalar.text):
        return scalar.text
    return '"' + "".join(map(_escape, scalar.text)) + '"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that was no UTF-8
        number -= 0xDC00
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _sourced(item: Sourced) -> tuple[str, Entry]:
    return ("", item) if isinstance(item, Entry) else item


def _variable(entry: Entry) -> list[Entry]:
    name = Entry("name", Scalar(entry.key, entry.line), entry.line)
    if not isinstance(entry.value, Group):
        return [name, Entry("value", entry.value, entry.line)]
    keys = {item.key for item in entry.value.entries}
    return [name, *(item for item in entry.value.entries if item.key != "value" or "uri" not in keys)]


def _plugin_paths(section: Section) -> Iterator[Scalar]:
    """The shared objects of a plugins section: the values of `path`, else the keys, as Fluent Bit takes them."""
    for entry in section.entries if section.kind is Kind.PLUGINS else ():
        if lower(entry.key) == "path" and isinstance(entry.value, Scalar):
            yield entry.value
        else:
            yield Scalar(lower(entry.key), entry.line)


def _write_list(writer: _Writer, depth: int, title: str, sections: Sequence[tuple[str, Section]]) -> None:
    if not sections:
        return
    writer.put(depth, f"{title}:")
    for writer.snippet, section in sections:
        entries = _properties(section)
        if entries:
            writer.map(depth + 1, entries, "- ")
        else:
            writer.put(depth + 1, "- {}", section.line)


def _properties(section: Section) -> list[Entry]:
    entries = [Entry(_written_key(entry), entry.value, entry.line) for entry in section.entries]
    if section.kind in PLUGIN_KINDS:
        return [merged for key, run in groupby(entries, lambda entry: entry.key) for merged in _merged(key, list(run))]
    if section.kind is Kind.MULTILINE_PARSER:
        return _with_rules([entry for entry in entries if not _is_one_text(entry, "rules")])
    if section.kind is Kind.UPSTREAM:
        entries = [entry for entry in entries if not _is_one_text(entry, "nodes")]
    return [_lowered(entry) for entry in entries]


def _written_key(entry: Entry) -> str:
    """In lower case, unless that would make a structure of what is none: `Routes: {...}` routes nothing (5.1.1)."""
    key = lower(entry.key)
    return key if isinstance(entry.value, Scalar) or key not in _STRUCTURES else entry.key


def _is_one_text(entry: Entry, key: str) -> bool:
    """A list that was written as a property: classic takes it and makes nothing of it, YAML refuses it (5.1.1)."""
    return entry.key == key and isinstance(entry.value, Scalar)


def _merged(key: str, run: list[Entry]) -> Iterator[Entry]:
    """Neighbours with the same key as one list."""
    if len(run) == 1 or key in _ONE_TEXT or any(isinstance(entry.value, Group) for entry in run):
        yield from run
        return
    items: list[Node] = []
    for entry in run:
        match entry.value:
            case Scalar(text=text, line=line, column=column, plain=plain):
                items.append(Scalar(trim(text), line, column, plain))  # in a list Fluent Bit does not trim
            case NodeSequence(items=more):
                items.extend(more)
    yield Entry(key, NodeSequence(tuple(items), run[0].line), run[0].line)


def _with_rules(entries: list[Entry]) -> list[Entry]:
    """Rules of all spellings as one `rules` list where that says the same, else as they were."""
    groups: list[Node] = []
    lines: list[Group] = []
    for entry in entries:
        if isinstance(entry.value, Group):
            groups.append(_lowered(entry).value)
        elif entry.key == "rules" and isinstance(entry.value, NodeSequence):
            groups.extend(_lowered(entry).value.items)  # type: ignore[union-attr]
        elif entry.key == "rule" and isinstance(entry.value, Scalar):
            lines.append(_rule(entry.value))
    convertible = all(len(line.entries) == 3 for line in lines)
    rest = [entry for entry in entries if isinstance(entry.value, Scalar) and not (convertible and entry.key == "rule")]
    rules = (*groups, *lines) if convertible else tuple(groups)
    return [*rest, Entry("rules", NodeSequence(rules, rules[0].line), rules[0].line)] if rules else rest


def _rule(value: Scalar) -> Group:
    """A classic rule line as a group; without entries when a group cannot say it."""
    words = split_tokens(value.text, 3)
    if len(words) != 3 or any(word != trim(word) or not word for word in words):
        return Group((), value.line)
    keys = ("state", "regex", "next_state")
    entries = (Entry(key, Scalar(word, value.line), value.line) for key, word in zip(keys, words, strict=True))
    return Group(tuple(entries), value.line)


def _lowered(entry: Entry) -> Entry:
    """The keys within a `nodes` or `rules` list in lower case, as those of the section itself."""
    match entry.value:
        case NodeSequence(items=items, line=line):
            groups = tuple(_lowered_group(item) if isinstance(item, Group) else item for item in items)
            return Entry(entry.key, NodeSequence(groups, line), entry.line)
        case Group() as group:
            return Entry(entry.key, _lowered_group(group), entry.line)
        case _:
            return entry


def _lowered_group(group: Group) -> Group:
    return Group(tuple(Entry(lower(entry.key), entry.value, entry.line) for entry in group.entries), group.line)
