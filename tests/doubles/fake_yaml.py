"""What does a YAML text hold? The part of YAML that configs for the test double are written in, without any library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any


class Malformed(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class _Row:
    def __init__(self, indent: int, text: str, line: int) -> None:
        self.indent = indent
        self.text = text
        self.line = line


_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'{\[&*!|>%@`#-][^:#]*?|-[^\s:][^:]*?)\s*:(?:\s+(.*))?$""")


def parse(text: str) -> list[tuple[str, Any, int]]:
    """Top-level keys with value and line, repeated ones too. Every scalar stays text. Raises `Malformed`.

    Block and flow style, quotes, block scalars.
    """
    lines = text.splitlines()
    rows = [
        _Row(len(line) - len(line.lstrip(" ")), line.strip(), number)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#") and line.strip() != "---"
    ]
    found, at = [], 0
    while at < len(rows):
        row = rows[at]
        match = _KEY.match(row.text)
        if row.indent or match is None:
            raise Malformed(row.line, "did not find expected <document start>")
        value, at = _value(rows, at, 0, (match[2] or "").strip(), lines)
        found.append((str(_scalar(match[1], row.line)), value, row.line))
    return found


def _block(rows: list[_Row], at: int, indent: int, lines: list[str]) -> tuple[Any, int]:
    if rows[at].text.startswith("- ") or rows[at].text == "-":
        return _sequence(rows, at, indent, lines)
    tree: dict[str, Any] = {}
    while at < len(rows) and rows[at].indent == indent:
        row = rows[at]
        match = _KEY.match(row.text)
        if match is None:
            raise Malformed(row.line, "could not find expected ':'")
        key = _scalar(match[1], row.line)
        tree[str(key)], at = _value(rows, at, indent, (match[2] or "").strip(), lines)
    if at < len(rows) and rows[at].indent > indent:
        raise Malformed(rows[at].line, "did not find expected key")
    return tree, at


def _sequence(rows: list[_Row], at: int, indent: int, lines: list[str]) -> tuple[list[Any], int]:
    items: list[Any] = []
    while at < len(rows) and rows[at].indent == indent and rows[at].text[:2] in ("- ", "-"):
        row = rows[at]
        rest = row.text[1:].strip()
        if rest and _KEY.match(rest) and rest[0] not in "{[":
            inner = indent + len(row.text) - len(row.text[1:].lstrip())
            rows[at] = _Row(inner, rest, row.line)
            item, at = _block(rows, at, inner, lines)
        else:
            item, at = _value(rows, at, indent, rest, lines)
        items.append(item)
    if at < len(rows) and rows[at].indent > indent:
        raise Malformed(rows[at].line, "did not find expected '-' indicator")
    return items, at


def _value(rows: list[_Row], at: int, indent: int, text: str, lines: list[str]) -> tuple[Any, int]:
    row, following = rows[at], at + 1
    text = re.sub(r"^#.*", "", text)
    if re.fullmatch(r"[|>][+-]?\d?", text):
        first, last = row.line, row.line
        while last < len(lines) and (not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) > indent):
            last += 1
        body = lines[first:last]
        margin = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
        joined = ("\n" if text[0] == "|" else " ").join(line[margin:] for line in body).rstrip()
        while following < len(rows) and rows[following].line <= last:
            following += 1
        return joined + ("" if "-" in text else "\n"), following
    if text:
        return _scalar(text, row.line), following
    if following < len(rows):
        deeper = rows[following].indent > indent
        if deeper or (
            rows[following].indent == indent and rows[following].text.startswith("- ") and row.text[0] != "-"
        ):
            return _block(rows, following, rows[following].indent, lines)
    return "", following


def _scalar(text: str, line: int) -> Any:
    value, rest = _flow(text, line) if text[0] in "{['\"" else (re.sub(r"\s+#.*", "", text), "")
    if rest.strip() and not rest.strip().startswith("#"):
        raise Malformed(line, "did not find expected key")
    if isinstance(value, str) and text[0] in "*&!%@`":
        raise Malformed(line, "unexpected alias event")
    return value


def _flow(text: str, line: int) -> tuple[Any, str]:
    """One flow value and the rest of the line."""
    text = text.lstrip()
    match text[:1]:
        case '"':
            quoted = re.match(r'"(?:[^"\\]|\\.)*"', text)
            if quoted is None:
                raise Malformed(line, "found unexpected end of stream")
            plain = re.sub(r"\\x([0-9A-Fa-f]{2})", r"\\u00\1", quoted[0]).replace("\t", "\\t")
            return json.loads(plain.replace("\\e", "\\u001b").replace("\\0", "\\u0000")), text[quoted.end() :]
        case "'":
            quoted = re.match(r"'((?:[^']|'')*)'", text)
            if quoted is None:
                raise Malformed(line, "found unexpected end of stream")
            return quoted[1].replace("''", "'"), text[quoted.end() :]
        case "{":
            return _flow_items(text, line, "}", {}, _flow_pair)
        case "[":
            return _flow_items(text, line, "]", [], _flow_item)
        case _:
            plain = re.match(r"[^,\]}]*", text)
            assert plain is not None
            return plain[0].strip(), text[plain.end() :]


def _flow_items(text: str, line: int, close: str, into: Any, read: Callable[[Any, str, int], str]) -> tuple[Any, str]:
    text = text[1:].lstrip()
    while not text.startswith(close):
        if not text:
            raise Malformed(line, f"did not find expected ',' or '{close}'")
        text = read(into, text, line).lstrip()
        if text.startswith(","):
            text = text[1:].lstrip()
        elif not text.startswith(close):
            raise Malformed(line, f"did not find expected ',' or '{close}'")
    return into, text[1:]


def _flow_pair(into: dict[str, Any], text: str, line: int) -> str:
    key = re.match(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^:,}\]]+):\s*""", text)
    if key is None:
        raise Malformed(line, "did not find expected key")
    into[str(_scalar(key[1].strip(), line))], rest = _flow(text[key.end() :], line)
    return rest


def _flow_item(into: list[Any], text: str, line: int) -> str:
    value, rest = _flow(text, line)
    into.append(value)
    return rest
