"""At which of a spot's lines is the fault?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from supervisor.config.names import lower
from supervisor.core.blame.files import is_named
from supervisor.core.blame.spots import Spot
from supervisor.core.blame.words import BAD_PROPERTY, BOOLEAN, CONDITION, PARTS, UNKNOWN_PROPERTY
from supervisor.model import Scalar

_BRACKET = re.compile(r"^\[[^\]]*\] ")
_QUOTED = re.compile(r"'(?P<text>[^']+)'|function (?P<name>\S+) is not found")
_WORD = re.compile(r"(?P<name>)(?P<text>[\w./$-]{3,})")
_CODE = re.compile(r'\[string "fluentbit\.lua"\]:')  # what Lua calls a text that stands in the config
_NAMES = frozenset({"name", "alias", "tag", "match"})  # of other things than the fault
_LONG = 8  # characters that nobody says by chance
_SHOWN = 200  # of a long text; the end of a long message is cut off


def line_within(spot: Spot, messages: Sequence[str]) -> int:
    """The emitted line of the one property that the messages quote, or else name, and that of the spot if they do not.

    First a property that is meant for sure, then a value word for word. Then what stands in quotes: as a value, as a
    key, as part of a value. Then single words likewise.
    """
    of_condition = any(map(CONDITION.search, messages))
    said = [(k, scalar) for k, scalar in (spot.conditions() if of_condition else spot.texts()) if k not in _NAMES]
    for way in (_lines_of_key, _lines_of_whole):
        for message in messages:
            if len(lines := way(message, spot, said)) == 1:
                return lines.pop()
    for find in (_QUOTED, _WORD):
        for message in messages:
            told = [found["text"] or found["name"] for found in find.finditer(_BRACKET.sub("", message))]
            for fits in (_is_said, _is_key, _is_part):
                lines = {scalar.line for key, scalar in said if any(fits(text, key, scalar.text) for text in told)}
                if len(lines) == 1:
                    return lines.pop()
    return spot.line


def _lines_of_key(message: str, spot: Spot, said: Sequence[tuple[str, Scalar]]) -> set[int]:
    patterns = (UNKNOWN_PROPERTY, BAD_PROPERTY, BOOLEAN, PARTS)
    found = next((match for pattern in patterns if (match := pattern.search(message))), None)
    key = "code" if _CODE.search(message) else lower(found["key"]) if found is not None else ""
    return {entry.line for entry in spot.entries if lower(entry.key) == key}


def _lines_of_whole(message: str, spot: Spot, said: Sequence[tuple[str, Scalar]]) -> set[int]:
    """Of the longest value that is told as it is, and of a file of ours that is named."""
    told = [scalar for _, scalar in said if _is_whole(message, scalar.text) or is_named(message, scalar.text)]
    longest = max((len(scalar.text) for scalar in told), default=0)
    return {scalar.line for scalar in told if len(scalar.text) == longest}


def _is_whole(message: str, value: str) -> bool:
    text = value.partition("\n")[0]  # of a log message we see one line
    if len(text) >= _LONG and text[:_SHOWN] in message:
        return True
    return (len(text) > 2 or not text.isalnum()) and bool(text) and message.endswith(f" {text}")


def _is_said(text: str, key: str, value: str) -> bool:
    return text in (value, f"{key}={value}")


def _is_key(text: str, key: str, value: str) -> bool:
    return lower(text) == key


def _is_part(text: str, key: str, value: str) -> bool:
    return text in value.split() if text.isalnum() else text in value  # `(` is part of a pattern, `is` of any text
