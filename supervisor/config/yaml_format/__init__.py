"""What does a YAML text say, and on which line?

Read as Fluent Bit 5.1.1 reads it (`flb_cf_yaml.c`): a walk over the events of libyaml, never over objects, so that
no tag can build anything and no alias can grow. What Fluent Bit's own walk refuses gives no document. What it takes but
nobody should write (anchors, tags, merge keys, keys twice, deep nesting) gives a document and an error: the caller
weighs it.

Oddities kept because a base may live by them: any unknown top-level map whose name begins a section name is that
section (`serv: {...}` is a second service), and several documents in one file add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from supervisor.config.yaml_format.sections import read_top_level
from supervisor.config.yaml_format.walk import DEPTH_LIMIT, Fault, Reader
from supervisor.model import Document, Finding, Parsed, Severity

__all__ = ["DEPTH_LIMIT", "parse_yaml"]

_LOADER: Callable[[str], Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # only ever asked for events


def parse_yaml(text: str) -> Parsed:
    """The sections of a YAML text in their order. Never raises; stops at what Fluent Bit would stop at."""
    try:
        parser = _LOADER(text)
        try:
            reader = Reader(_events(parser))
            return _read(reader, text)
        finally:
            parser.dispose()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return Parsed(None, (Finding(Severity.ERROR, "invalid-utf8", "not UTF-8 text", "save it as UTF-8", line=line),))
    except yaml.YAMLError as error:
        return Parsed(None, (_syntax(error, text),))


def _events(parser: Any) -> Iterator[Any]:
    while (event := parser.get_event()) is not None:
        yield event


def _read(reader: Reader, text: str) -> Parsed:
    try:
        while not isinstance(event := reader.next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                for key, first in reader.pairs("the config", reader.next()):
                    read_top_level(reader, key, first)
    except Fault as fault:
        return Parsed(None, (*reader.findings, fault.finding))
    except yaml.YAMLError as error:
        return Parsed(None, (*reader.findings, _syntax(error, text)))
    return Parsed(Document(tuple(reader.sections), "yaml"), tuple(reader.findings))


def _syntax(error: yaml.YAMLError, text: str) -> Finding:
    """libyaml's own words, with its place; it never quotes values."""
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML")
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else None
        return Finding(Severity.ERROR, "syntax", f"invalid YAML: {problem}", line=line)
    hint = _hint(problem, str(getattr(error, "context", None) or ""), getattr(error, "context_mark", None), text, mark)
    return Finding(
        Severity.ERROR, "syntax", f"invalid YAML: {problem}", hint, line=mark.line + 1, column=mark.column + 1
    )


def _hint(problem: str, context: str, begun: Any, text: str, mark: Any) -> str:
    """What is likely meant by libyaml's words, each tried."""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    opened = f"in line {begun.line + 1}" if begun is not None else "above"
    match problem:
        case "found character that cannot start any token" if not line[: mark.column + 1].strip():
            return "indent with blanks: YAML allows no tab there"
        case "found character that cannot start any token":
            return "put the value between quotes: it begins with a character that has a meaning in YAML"
        case "mapping values are not allowed in this context":
            return "put a value with ': ' in it between quotes; else a ':' is missing above, or the indent is wrong"
        case "found unexpected end of stream" if "quoted" in context:
            return f"close the quote that is opened {opened}"
        case "found unknown escape character":
            return "write the value between single quotes, or each \\ twice"
        case _ if "flow" in context:
            return f"close the bracket that is opened {opened}, or look for a missing comma"
    return "look also at the line above: a missing ':' or a wrong indent"
