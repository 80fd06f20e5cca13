"""What does Fluent Bit make of the text of a value?

Each judge follows the function of 5.1.1 that reads such values (`flb_utils_bool`, `flb_utils_size_to_bytes`,
`flb_utils_time_to_seconds`, C's `atoi` and `atof`) and tells what is wrong with a text, or nothing. A text that is
read as what its author most likely meant is right, however it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from supervisor.config.names import lower
from supervisor.model import Severity

_VARIABLE = re.compile(r"\$\{[^}]*\}")
_UNCLOSED = re.compile(r"\$\{[A-Za-z_][^}]*$")
_INTEGER = re.compile(r"\s*([+-]?\d+)(.*)", re.DOTALL)
_DOUBLE = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+|inf|nan)(.*)", re.DOTALL | re.IGNORECASE)
_TIME = re.compile(r"\s*[+-]?\d+(?:\.0+)?\s*(?:s|sec|secs|second|seconds|m|h|d)?\s*", re.IGNORECASE)
_SIZE = re.compile(r"(.*?)(\D*)", re.DOTALL)
_PLAIN_SIZE = re.compile(r"([0-9]{1,12})([kmgKMG]?)[bB]?")
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")
_UNLIMITED = ("no_limits", "no_retries", "false", "off")
_SIZE_LIMIT = {"K": 9223372036854775, "M": 9223372036853, "G": 9223372035}
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a value: which rule, what Fluent Bit makes of it, what to write instead."""

    rule: str
    effect: str
    hint: str
    severity: Severity = Severity.ERROR


def unclosed(text: str) -> bool:
    """Whether a `${NAME` is never closed: Fluent Bit leaves it as it stands."""
    return _UNCLOSED.search(_VARIABLE.sub("", text)) is not None


def judge(kind: str, text: str, *, checked: bool) -> Fault | None:
    """What is wrong with a text for a property of that type (as `-J` prints it).

    `checked`: whether Fluent Bit refuses to start for a boolean that is none; of some common properties it does not.
    """
    if kind == "boolean":
        return boolean(text, checked)
    judged = _JUDGES.get(kind)
    return judged(text) if judged is not None else None


def boolean(text: str, checked: bool) -> Fault | None:
    if text.lower() in (*_TRUE, *_FALSE):
        return None
    if not checked:
        effect = "Fluent Bit takes it as neither, without a word"
        return Fault("odd-boolean", effect, "write true or false")
    return Fault("bad-boolean", "Fluent Bit would not start", "write true or false")


def integer(text: str) -> Fault | None:
    found = _INTEGER.fullmatch(text)
    if found is None:
        return Fault("bad-integer", "Fluent Bit reads it as 0", "write a whole number")
    if _is_rest(found[2]):
        return Fault("trailing-text", f"Fluent Bit reads it as {_shortened(found[1])}", "write the number alone")
    return None


def double(text: str) -> Fault | None:
    found = _DOUBLE.match(text)
    if found is None:
        return Fault("bad-number", "Fluent Bit reads it as 0", "write a number")
    rest = found[1]
    if rest.strip() and not re.fullmatch(r"[eE][+-]?\d+\s*", rest):
        return Fault("trailing-text", "Fluent Bit reads only the number before it", "write the number alone")
    return None


def time(text: str) -> Fault | None:
    if _TIME.fullmatch(text) or not text:
        return None
    hint = "write whole seconds, or a whole number followed by s, m, h or d"
    return Fault("bad-time", f"Fluent Bit reads it as {_seconds(text)} s", hint)


def size(text: str) -> Fault | None:
    if text.lower() == "false" or re.fullmatch(r"-\d+", text):
        return None
    hint = "write a number of bytes, or a number followed by K, M or G"
    found = _SIZE.fullmatch(text)
    number, unit = (found[1], found[2].upper()) if found else ("", text)
    if not number or (unit and not re.fullmatch(r"[KMG]B?", unit)):
        return Fault("bad-size", "Fluent Bit cannot read it as a size", hint)
    if not re.fullmatch(r"\s*\+?(?:\d+(?:\.\d*)?|\.\d+)(?:e\d+)?", number, re.IGNORECASE):
        return Fault("bad-size", "Fluent Bit cannot read it as a size", hint)
    if unit and float(number) >= _SIZE_LIMIT[unit[0]]:
        return Fault("bad-size", "it is larger than Fluent Bit can count", hint)
    return None


def bytes_of(text: str) -> int | None:
    """The bytes of a size that is written plainly, `5M` or `64kb`; K is 1000, as Fluent Bit counts (5.1.1)."""
    found = _PLAIN_SIZE.fullmatch(text)
    return int(found[1]) * _UNITS[lower(found[2])] if found else None


def limit_size(text: str) -> Fault | None:
    """`storage.total_limit_size`, which may also be switched off."""
    return None if text.lower() in _FALSE else size(text)


def port(text: str) -> Fault | None:
    hint = f"write a number from 0 to {_HIGHEST_PORT}"
    found = _INTEGER.fullmatch(text)
    if found is None:
        return Fault("bad-port", "Fluent Bit reads it as 0, which stands for the plugin's own port", hint)
    if len(found[1]) > 7 or not 0 <= int(found[1]) <= _HIGHEST_PORT:
        return Fault("bad-port", "there is no such port", hint)
    if _is_rest(found[2]):
        return Fault("trailing-text", f"Fluent Bit reads it as {found[1]}", "write the number alone")
    return None


def retry_limit(text: str) -> Fault | None:
    hint = "write a number above 0, no_limits or no_retries"
    if text.lower() in _UNLIMITED or not text:
        return None
    found = _INTEGER.fullmatch(text)
    if found is None or int(found[1][:12]) <= 0:
        return Fault("bad-retry-limit", "Fluent Bit takes its default, 1, instead", hint)
    if _is_rest(found[2]):
        return Fault("trailing-text", f"Fluent Bit reads it as {_shortened(found[1])}", hint)
    return None


def _is_rest(text: str) -> bool:
    """Whether something stands behind the number; a fraction of nothing does not count."""
    return bool(text.strip()) and re.fullmatch(r"\.0*\s*", text) is None


def _seconds(text: str) -> str:
    """What `flb_utils_time_to_seconds` makes of it."""
    found = _INTEGER.match(text)
    if found is None:
        return "0"
    factor = {"d": 86400, "h": 3600, "m": 60}.get(text[-1].lower(), 1)
    return _shortened(str(int(found[1][:12]) * factor))


def _shortened(number: str) -> str:
    return number if len(number) <= 12 else "something else"


_JUDGES: Mapping[str, Callable[[str], Fault | None]] = {
    "integer": integer,
    "double": double,
    "time": time,
    "size": size,
}
