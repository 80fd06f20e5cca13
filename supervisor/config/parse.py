"""What does the content of a file say, whichever format it is in?

The door of this storey for reading: chooses the format as Fluent Bit does, looks at the raw bytes, then asks the room
of that format. A document comes back whenever Fluent Bit itself would take the text; findings of severity error stand
beside it where the text should be refused all the same, and the caller weighs them by trust.

Bytes of a classic file that are not UTF-8 survive in the document as Python's surrogate escapes.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from supervisor.config.classic import parse_classic
from supervisor.config.names import lower
from supervisor.config.yaml_format import parse_yaml
from supervisor.model import Finding, Parsed, Severity

_REMEMBERED = 64 * 1024  # bytes; larger texts are read each time, so that what is remembered stays bounded
_LONE_CR = re.compile(rb"\r(?!\n)")


def is_yaml(path: str) -> bool:
    """Whether Fluent Bit reads a file of that name as YAML: by what follows the last dot, without case."""
    return lower(path[path.rfind(".") :]) in (".yaml", ".yml") if "." in path else False


def parse(content: bytes, path: str) -> Parsed:
    """The document that `content` is, read by the format that `path` stands for. Never raises."""
    return _remembered(content, is_yaml(path)) if len(content) <= _REMEMBERED else _parse(content, is_yaml(path))


def parse_as_yaml(content: bytes) -> Parsed:
    """As `parse`, for a file that a YAML `includes:` names: read as YAML whatever its extension."""
    return _remembered(content, True) if len(content) <= _REMEMBERED else _parse(content, True)


@lru_cache(maxsize=1024)
def _remembered(content: bytes, yaml: bool) -> Parsed:
    return _parse(content, yaml)


def _parse(content: bytes, yaml: bool) -> Parsed:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if not yaml:
            return Parsed(None, (_finding("invalid-utf8", "UTF-16 text", "save it as UTF-8", content, 0),))
        content = content.decode("utf-16", "replace").encode()
    content = content.removeprefix(codecs.BOM_UTF8)
    findings = _bytes_findings(content, yaml)
    text = content.decode("utf-8", "surrogateescape")
    if yaml:
        if any(finding.rule in ("nul-byte", "invalid-utf8") for finding in findings):
            return Parsed(None, findings)
        parsed = parse_yaml(text)
    else:
        parsed = parse_classic(text)
    return Parsed(parsed.document, (*findings, *parsed.findings))


def _bytes_findings(content: bytes, yaml: bool) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    if (at := content.find(b"\0")) >= 0:
        effect = "Fluent Bit cannot read the file" if yaml else "Fluent Bit joins this line with the next"
        findings.append(_finding("nul-byte", f"NUL at byte {at}: {effect}", "remove it", content, at))
    if (match := _LONE_CR.search(content)) is not None:
        effect = "is a line end in YAML only" if yaml else "does not end a line: what follows may vanish"
        message = f"carriage return without line feed at byte {match.start()}: it {effect}"
        findings.append(_finding("lone-cr", message, "save the file with LF or CRLF line ends", content, match.start()))
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} (0x{content[error.start]:02x}) is not UTF-8"
        findings.append(_finding("invalid-utf8", message, "save the file as UTF-8", content, error.start))
    return tuple(findings)


def _finding(rule: str, message: str, hint: str, content: bytes, at: int) -> Finding:
    return Finding(Severity.ERROR, rule, message, hint, line=content.count(b"\n", 0, at) + 1)
