"""What does the text of one setting mean?

Every value arrives as text: from a flag, from the environment, or as the scalar that stands in the file. So there is
one reader per kind of value, whatever the source. A reader returns the value, or raises `ValueError` with a hint
(which may be empty); who asked for it adds where the text came from, and what was expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from supervisor.model import Layer, Trust

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d{1,15}(?:\.\d{1,9})?(?:ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"([\d.]+)(ms|s|m|h|d)")
_SIZES = {
    "": 1,
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}
_SIZE = re.compile(r"(\d{1,12})\s?([A-Za-z]*)", re.ASCII)
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_YEAR = 365 * 86400.0


def read_duration(text: str) -> float:
    """Seconds of `10s`, `300ms` or `1m30s`. A bare number is refused, except 0."""
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        bare = re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text)
        raise ValueError(f"the unit is missing, say {text}s" if bare else "")
    seconds = math.fsum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if seconds > _YEAR:
        raise ValueError("that is more than a year")
    return seconds


def read_size(text: str) -> int:
    """Bytes of `64KiB`, `10MiB` or `512`."""
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _SIZES:
        raise ValueError("units are B, KiB, MiB, GiB, kB, MB and GB")
    return int(match[1]) * _SIZES[match[2]]


def _positive_size(text: str) -> int:
    size = read_size(text)
    if size <= 0:
        raise ValueError("zero is too small")
    return size


def _buffer_size(text: str) -> int:
    size = read_size(text)
    if size < 8 << 20:
        raise ValueError("a chunk may have 2 MiB and more: below that records would be dropped while all is well")
    return size


def _positive_duration(text: str) -> float:
    seconds = read_duration(text)
    if seconds <= 0:
        raise ValueError("zero is too short")
    return seconds


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError("")
        return int(text)

    return read


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in ("true", "false", "on", "off", "yes", "no"):
        raise ValueError("")
    return word in ("true", "on", "yes")


def _address(text: str) -> str | None:
    """The text itself; None for `off`. Port 0 is any free port."""
    if text.lower() == "off":
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None:
        if text.isascii() and text.isdigit():
            raise ValueError(f"a port alone is written :{text}")
        raise ValueError("an IPv6 address stands in brackets" if text.count(":") > 1 else "")
    if int(match["port"]) > 65535:
        raise ValueError("a port is at most 65535")
    return text


def _path(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("")
    return text


def _choice(words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(did_you_mean(text, words))
        return text

    return read


def is_label(text: str) -> bool:
    """A DNS label: lower-case letters, digits and hyphens, at most 63, no hyphen at the ends."""
    return _LABEL.fullmatch(text) is not None


def did_you_mean(word: str, known: tuple[str, ...] | list[str]) -> str:
    """`did you mean 'x'?`, or nothing when no known word resembles this one."""
    near = get_close_matches(word, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]!r}?" if near else ""


LAYER_EXPECTED = "NAME=DIRECTORY or NAME=DIRECTORY:TRUST, such as platform=/etc/platform.d or teams=/etc/teams.d:tenant"


def read_layer(text: str) -> Layer:
    """`NAME=DIRECTORY[:TRUST]`. Without a trust it is `platform`: whoever types it owns the machine.

    A directory with a colon in its last part needs the trust spelled out.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        raise ValueError("")
    directory, colon, trust = rest.rpartition(":")
    if not colon or "/" in trust:
        directory, trust = rest, Trust.PLATFORM.value
    return layer_of(name, directory, trust)


def layer_of(name: str, directory: str, trust: str) -> Layer:
    """A layer from its three words; `ValueError` says which of them cannot be."""
    if not is_label(name):
        raise ValueError("a layer's name has lower-case letters, digits and hyphens, at most 63")
    if name == Trust.BASE:
        raise ValueError("the name 'base' stands for the files of the base")
    if trust not in (Trust.PLATFORM, Trust.TENANT):
        raise ValueError(f"trust is 'platform' or 'tenant', found {shown(trust)}")
    return Layer(name, _path(directory), Trust(trust))


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of value is read, what to say when it cannot be, and whether it may be left empty (`null`)."""

    read: Callable[[str], object]
    expected: str
    empty: bool = False
    shown: bool = True  # False: never repeat the text, a secret may stand there by mistake


DURATION = Kind(read_duration, "a duration such as 10s, 300ms or 1m30s")
POSITIVE_DURATION = Kind(_positive_duration, "a duration above zero such as 10s, 300ms or 1m30s")
PORT = Kind(_integer(1, 65535), "a port from 1 to 65535 such as 2020")
KEPT = Kind(_integer(2, 1000), "a whole number from 2 to 1000 such as 10")
COUNT = Kind(_integer(1, 1_000_000), "a whole number from 1 to 1000000")
BUFFER = Kind(_buffer_size, "a size of at least 8MiB such as 100MiB")
SIZE = Kind(_positive_size, "a size such as 64KiB or 10MiB")
BOOLEAN = Kind(_boolean, "true or false")
ADDRESS = Kind(_address, "HOST:PORT, :PORT or off, such as 127.0.0.1:9534", empty=True)
DIRECTORY = Kind(_path, "a directory such as /var/lib/fluent-bit-supervisor")
PROGRAM = Kind(_path, "the path of a program such as /usr/bin/fluent-bit")
FILE = Kind(_path, "a path such as /fluent-bit/etc/fluent-bit.conf", empty=True)
SECRET_FILE = Kind(
    _path, "the path of a file that holds the token, such as /run/secrets/token", empty=True, shown=False
)


def one_of(*words: str) -> Kind:
    return Kind(_choice(words), f"one of {', '.join(words)}")


def shown(text: str) -> str:
    """A found text, fit for one line of a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def written_duration(seconds: float) -> str:
    """The shortest way to write it: 0.3 is `300ms`, 90.0 is `90s`."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:.9g}ms"
    return f"{seconds:.12g}s"
