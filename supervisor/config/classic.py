"""What does a classic (`.conf`) text say, and on which line?

The reading is that of Fluent Bit 5.1.1 (`flb_cf_fluentbit.c`), oddities included, because a base that runs today must
run tomorrow:

- the first indented line of a file fixes the indent of all its lines; exactly the double is taken as well;
- a comment stands alone on its line; a `#` after a value belongs to the value;
- `@INCLUDE` and `@SET` count in the first column only and do not end the section around them;
- key and value are separated by a blank, never by a tab;
- a group header `[name]` inside a section is only read when a blank stands somewhere behind it, and what is in a group
  means something in multiline parsers only (each group is a rule): elsewhere it is ignored, and a warning here;
- `[STREAM_TASK]` counts in a streams file only; in a main file just the longer `[STREAM_PROCESSOR]` (or a beginning of
  it) runs. Both become `Kind.STREAM_TASK`; the title tells them apart (`runs_in_main`);
- the `[NODE]` sections of an upstream file become the entry `nodes` of its `[UPSTREAM]`, as in YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from supervisor.config.names import BLANKS, SPACES, lower, section_kind, shown, trim
from supervisor.model import (
    Document,
    Entry,
    Finding,
    Group,
    Kind,
    Parsed,
    Scalar,
    Section,
    Sequence,
    Severity,
)

PROPERTIES_LIMIT = 200_000  # sections and properties of one file; keeps junk from costing more than a second or two

_CONTENT = re.compile(r"^[^#\n].*", re.MULTILINE)  # every line that is neither empty nor a comment
_AFTER_NUL = re.compile(r"\x00[^\n]*\n?")  # C strings end at a NUL: the rest of the line, line end included, is lost


class _Fault(Exception):
    """What Fluent Bit would refuse; never leaves this module."""

    def __init__(self, line: int, message: str, hint: str = "", rule: str = "syntax") -> None:
        super().__init__(message)
        self.finding = Finding(Severity.ERROR, rule, message, hint, line=line)


@dataclass(slots=True)
class _Group:
    name: str
    line: int
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class _Section:
    title: str
    line: int
    kind: Kind
    content: list[Entry | _Group] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """The state that Fluent Bit keeps while it reads one file."""

    sections: list[_Section] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    section: _Section | None = None  # the one that takes properties
    group: _Group | None = None
    indent: str | None = None
    keys: int = 0  # in the present section or group
    size: int = 0

    def grow(self, number: int) -> None:
        self.size += 1
        if self.size > PROPERTIES_LIMIT:
            message = f"more than {PROPERTIES_LIMIT} sections and properties"
            raise _Fault(number, message, "is this a config at all?", "over-size")


def runs_in_main(section: Section) -> bool:
    """Whether a stream task of a classic main file is run: `[STREAM_TASK]` is only known in a streams file."""
    return section.kind is not Kind.STREAM_TASK or lower(section.title) != "stream_task"


def parse_classic(text: str) -> Parsed:
    """The sections of a classic text in their order. Never raises; stops at what Fluent Bit would stop at."""
    reader = _Reader()
    try:
        for number, line in _lines(text):
            _read_line(reader, number, line)
    except _Fault as fault:
        return Parsed(None, (*reader.findings, fault.finding))
    return Parsed(Document(_finished(reader), "classic"), tuple(reader.findings))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines with content, joined and cut where a NUL does that to C strings."""
    # A line end that is lost still counts for our line numbers: a NUL marks it.
    joined = _AFTER_NUL.sub(lambda match: "\0" if match.group().endswith("\n") else "", text)
    if joined.endswith("\0") and text.endswith("\n"):
        joined = joined[
            : joined.rfind("\n") + 1
        ]  # Fluent Bit waits for the rest of that line, and forgets it at the end
    text = joined
    number, position = 1, 0
    for match in _CONTENT.finditer(text):
        number += text.count("\n", position, match.start()) + text.count("\0", position, match.start())
        position = match.start()
        line = match.group()
        if line.endswith("\r") and match.end() < len(text):
            line = line[:-1]
        line = line.replace("\0", "")
        if line and not line.startswith("#"):
            yield number, line


def _read_line(reader: _Reader, number: int, line: str) -> None:
    reader.grow(number)
    if line.startswith("@") and _read_directive(reader, number, line):
        return
    if line.startswith("["):
        _open_section(reader, number, line)
        return
    line = _first_byte_apart(line)
    if reader.indent is None:
        # As in C: the first byte counts as indent whatever it is.
        rest = line[1:].lstrip(BLANKS)
        reader.indent = line[: len(line) - len(rest)]
        if not rest:
            return
    level = _level(reader, number, line)
    content = line[level:]
    if not content or content.startswith("#"):
        return
    key, blank, value = content.partition(" ")
    if not blank:
        raise _Fault(number, f"'{shown(content)}' has no value", "write KEY, a blank, VALUE; a tab does not separate")
    if key.startswith("["):
        _open_group(reader, number, content)
        return
    _add(reader, number, key, value, level)


def _first_byte_apart(line: str) -> str:
    """The line with the bytes of a first character beyond ASCII (a no-break space, say) as surrogate escapes."""
    if line[0].isascii():
        return line
    return line[0].encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape") + line[1:]


def _read_directive(reader: _Reader, number: int, line: str) -> bool:
    """`@INCLUDE`, `@SET` and commands that Fluent Bit does not know; False when it would not see a directive."""
    if len(line) > 9 and lower(line[:9]) == "@include ":
        pattern = Entry(line[:8], Scalar(line[9:], number, 10), number)
        reader.sections.append(_Section(line[:8], number, Kind.INCLUDE, [pattern]))
        return True
    if len(line) <= 3:
        return False
    command, _, rest = line.partition(" ")
    parameters = trim(rest)
    if not parameters or (command != "@" and not trim(command[1:])):
        raise _Fault(number, f"'{shown(command)}' has no value", "write @SET NAME=VALUE or @INCLUDE PATH")
    name, equals, value = parameters.partition("=")
    if lower(trim(command[1:])) == "set" and equals:
        variable = Entry(name, Scalar(value, number, len(command) + 2), number)
        reader.sections.append(_Section(command, number, Kind.ENV, [variable]))
        return True
    message = f"'{shown(line)}' means nothing to Fluent Bit and is ignored"
    reader.findings.append(
        Finding(Severity.WARNING, "unknown-directive", message, "write @SET NAME=VALUE or @INCLUDE PATH", line=number)
    )
    return True


def _open_section(reader: _Reader, number: int, line: str) -> None:
    end = line.find("]")
    if end < 0:
        raise _Fault(number, f"section header '{shown(line)}' has no closing bracket", "write [NAME]")
    title = line[1:end] or line[1:]  # an empty name lets Fluent Bit take the rest of the line
    kind = section_kind(title)
    if lower(title) == "stream_task":
        kind = Kind.STREAM_TASK
    reader.section = _Section(title, number, kind)
    reader.sections.append(reader.section)
    reader.group = None
    reader.keys = 0


def _level(reader: _Reader, number: int, line: str) -> int:
    """How far the line is indented; a line at the plain level closes the group before it."""
    indent = reader.indent or ""
    if not line.startswith(indent):
        raise _Fault(
            number,
            "invalid indentation level: less than, or other blanks than, the first indented line of this file",
            "indent every property of a file alike",
        )
    rest = line[len(indent) :]
    extra = len(rest) - len(rest.lstrip(BLANKS))
    if extra == 0:
        reader.group = None
        return len(indent)
    if extra == len(indent):
        return len(indent) + extra
    raise _Fault(
        number,
        "invalid indentation level: deeper than the first indented line of this file",
        "indent every property of a file alike",
    )


def _open_group(reader: _Reader, number: int, content: str) -> None:
    end = content.find("]")
    if end < 0:
        raise _Fault(number, f"group header '{shown(content)}' has no closing bracket", "write [NAME]")
    if reader.section is None:
        raise _Fault(number, "a group stands before any section", "write the section header [NAME] first")
    if reader.group is not None and reader.keys == 0:
        raise _Fault(number, "the group before this one has no properties", "give it one, or remove it")
    if end == 1:
        return  # Fluent Bit makes no group without a name: what follows stays where it was
    reader.group = _Group(content[1:end], number)
    reader.section.content.append(reader.group)
    reader.keys = 0


def _add(reader: _Reader, number: int, key: str, value: str, level: int) -> None:
    name, text = trim(key), trim(value)
    if not text:
        raise _Fault(number, f"'{shown(key)}' has an empty value", "give it a value, or remove the line")
    if not name:
        raise _Fault(number, "a property without a name", "indent with blanks or tabs, not with both")
    if reader.section is None:
        message = f"property '{shown(name)}' stands before any section"
        raise _Fault(number, message, "write the section header, for example [INPUT], first")
    column = level + len(key) + 2 + len(value) - len(value.lstrip(SPACES))
    entry = Entry(name, Scalar(text, number, column), number)
    reader.keys += 1
    if reader.group is not None:
        reader.group.entries.append(entry)
    else:
        reader.section.content.append(entry)


def _finished(reader: _Reader) -> tuple[Section, ...]:
    nodes = [section for section in reader.sections if lower(section.title) == "node"]
    upstream = next((section for section in reader.sections if lower(section.title) == "upstream"), None)
    done: list[Section] = []
    for section in reader.sections:
        if upstream is not None and lower(section.title) == "node":
            continue
        entries = _entries(reader, section)
        if section is upstream and nodes:
            groups = tuple(Group(_entries(reader, node), node.line) for node in nodes)
            entries = (*entries, Entry("nodes", Sequence(groups, nodes[0].line), nodes[0].line))
        done.append(Section(section.kind, section.title, entries, section.line))
    return tuple(done)


def _entries(reader: _Reader, section: _Section) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for item in section.content:
        if isinstance(item, Entry):
            entries.append(item)
        elif section.kind is Kind.MULTILINE_PARSER:
            entries.append(Entry(item.name, Group(tuple(item.entries), item.line), item.line))
        else:
            message = f"the group [{shown(item.name)}] is ignored by Fluent Bit"
            hint = "only multiline parsers have groups in classic files; write processors in YAML"
            reader.findings.append(Finding(Severity.WARNING, "group-ignored", message, hint, line=item.line))
    return tuple(entries)
