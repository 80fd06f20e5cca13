"""What of a text must nobody read?

Pure. Values are known by name: `NAME` is a variable of the environment, `PLACE/NAME` a file of secrets. Each is looked
for as it is, and as it looks in JSON, in a URL and in base64, wherever in a longer text it begins there. Of a value of
several lines every line is looked for by itself, because that is how it reaches a log.

Not hidden, because a log without these words says nothing: pieces of less than four bytes, numbers of up to four
digits, words such as `true` and `error`, short lines of a value of many, variables whose name says that they are public
(PATH, KUBERNETES_…), and variables that hold a port number.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus

SHORTEST = 4  # bytes of a piece that is hidden
_SEGMENT = 32  # bytes: of a longer spelling each segment is found by itself, and what follows it as far as it goes on
_CUT = 4000  # bytes: the end of a longer line may be missing, because Fluent Bit cuts them at 4085 (5.1.1)
_MOST_HELD = 16 * 1024  # bytes of a stream that may wait for what comes next
_MOST_PIECES = 500  # of one value, the longest: each of them is looked for in some thirty spellings
_STARS = b"***"
_MANY_LINES, _MOST_LINES, _SHORTEST_OF_MANY = 50, 500, 8
"""Of a value of many lines only the longest are looked for, and none of a few bytes: its owner decides how much work
it makes."""
_YEAR = re.compile(rb"\d{1,4}$")

_PUBLIC_NAME = re.compile(
    r"(?:PATH|HOME|PWD|OLDPWD|SHELL|SHLVL|USER|LOGNAME|HOSTNAME|TERM|TZ|LANG|LANGUAGE|LC_\w+|KUBERNETES_\w+"
    r"|AWS_(?:DEFAULT_)?REGION|\w+_SERVICE_(?:HOST|PORT\w*)|\w+_PORT(?:_\d+_(?:TCP|UDP)\w*)?)$"
)
_PUBLIC_VALUES = frozenset(
    b"true false none null error warn info debug trace yaml json warning stdout stderr engine input output filter http "
    b"tail live steady pending previous refused committed reverted probation starting reloading tenant platform "
    b"fluent-bit snippet".split()
)
_PORT = re.compile(r"\d{1,5}$")
_LINE_ENDS = re.compile(rb"[\r\n]+")
_RARE = (re.compile(rb"[^0-9 \[\]:./_a-z-]"), re.compile(rb"[^a-z]"))  # bytes in a log, the rarest first
_URL_SAFE = ("", "/", "!*'()", "!$&'()*+,;=:@/", ",:/?@-._~!$&'()*+;=")  # what encoders leave as it is


@dataclass(frozen=True, slots=True)
class _Segment:
    text: bytes
    anchor: int  # where the four bytes are by which it is found
    spelling: bytes
    end: int  # its own, in the spelling
    name: str


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    name: str
    open: bool  # it may go on behind the end of the data


class Redaction:
    """Hides some values. Immutable: any number of threads may use it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        segments: dict[tuple[bytes, bytes], _Segment] = {}
        for name, value in values.items():
            if _is_hidden(name, value):
                for spelling in _spellings(value.encode("utf-8", "surrogateescape")):
                    for segment in _segments(spelling, name):
                        # The first of its kind in a spelling has the longest rest: the others add nothing.
                        segments.setdefault((segment.text, spelling[segment.end :] and spelling), segment)
        self._found_by: dict[bytes, list[_Segment]] = {}
        for segment in segments.values():
            fragment = segment.text[segment.anchor : segment.anchor + SHORTEST]
            self._found_by.setdefault(fragment, []).append(segment)
        self._texts = sorted({segment.text for segment in segments.values()})
        self._hint = _any_of(self._found_by)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def text(self, text: str) -> str:
        """The text with `${NAME}` in the place of each value."""
        if not self._texts:
            return text
        data = text.encode("utf-8", "surrogatepass")
        shown = bytearray()
        at = 0
        for span in self._spans(data):
            start, end = _whole_characters(data, span)
            shown += data[at : max(at, start)] + _variable(span.name)
            at = max(at, end)
        return text if at == 0 else (shown + data[at:]).decode("utf-8", "surrogatepass")

    def within(self, thing: object) -> object:
        """A thing that is to become JSON, with all its texts but the keys redacted."""
        match thing:
            case str():
                return self.text(thing)
            case None | bool() | int() | float():
                return thing
            case Mapping():
                return {key: self.within(value) for key, value in thing.items()}
            case list() | tuple() | set() | frozenset():
                return [self.within(each) for each in thing]
            case _:
                return self.text(str(thing))

    def split(self, data: bytes, *, ended: bool = False) -> tuple[bytes, bytes]:
        """The next piece of a stream: what of it may be shown now, and what has to be put before the next piece.

        However a stream is cut, no value is shown. Only the end of an unfinished line ever waits, when a value may just
        have begun there; nothing once the stream has `ended`. What looks like the beginning of a value is hidden there,
        and at the end of a line that was cut. Secrets become `***`, variables `${NAME}`.
        """
        if not self._texts:
            return data, b""
        begun = self._begun(data, len(data))
        broken_off = [(self._begun(data, end), end) for end in _cut_lines(data)]
        if ended:
            broken_off.append((begun, len(data)))
        parts = [_Span(start, end, "/", False) for start, end in broken_off if end - start >= SHORTEST]
        spans = _merged([*self._spans(data), *parts])
        hold = len(data) if ended else _held(spans, begun, len(data))
        shown = bytearray()
        at = 0
        for span in spans:
            if span.start >= hold:
                break
            shown += data[at : span.start] + (_STARS if "/" in span.name else _variable(span.name))
            at = min(span.end, hold)
        return bytes(shown + data[at:hold]), data[hold:]

    def _spans(self, data: bytes) -> list[_Span]:
        """Where values are; what overlaps is one span, named after the first and longest."""
        found: list[_Span] = []
        at = 0
        while hit := self._hint.search(data, at):
            at = hit.start() + 1
            for segment in self._found_by.get(data[hit.start() : hit.start() + SHORTEST], ()):
                start = hit.start() - segment.anchor
                if start >= 0 and data.startswith(segment.text, start):
                    end = start + len(segment.text)
                    end += _agreement(data, end, segment)
                    goes_on = end == len(data) and end - start < len(segment.text) + len(segment.spelling) - segment.end
                    found.append(_Span(start, end, segment.name, goes_on))
        return _merged(found)

    def _begun(self, data: bytes, end: int) -> int:
        """Where a value may have begun that the end of the data, or of a line, cut off; that end when nowhere."""
        line = max(data.rfind(b"\n", 0, end), data.rfind(b"\r", 0, end)) + 1
        for start in range(max(line, end - _SEGMENT + 1), end):
            suffix = data[start:end]
            place = bisect_left(self._texts, suffix)
            if self._texts[place : place + 1] == [suffix]:
                place += 1  # it is one; is it the beginning of another?
            if place < len(self._texts) and self._texts[place].startswith(suffix):
                return start
        return end


@lru_cache(maxsize=8)
def _redaction(values: frozenset[tuple[str, str]]) -> Redaction:
    return Redaction(dict(sorted(values)))


def redaction_of(values: Mapping[str, str]) -> Redaction:
    """The redaction of these values by name; the same one for the same values."""
    return _redaction(frozenset(values.items()))


def _is_hidden(name: str, value: str) -> bool:
    return "/" in name or not (_PUBLIC_NAME.match(name) or _PORT.match(value))


def _variable(name: str) -> bytes:
    return b"${" + name.rpartition("/")[2].encode("utf-8", "surrogatepass") + b"}"


# --- how a value may be spelled ------------------------------------------------------------------------------


def _spellings(value: bytes) -> Iterator[bytes]:
    lines = {value, value.replace(b"\\n", b"\n"), value.decode("utf-8", "replace").encode()}
    pieces = {piece.strip() for text in lines for piece in _LINE_ENDS.split(text)}
    whole = value.strip()
    if len(pieces) > _MANY_LINES:
        pieces = set(sorted((piece for piece in pieces if len(piece) >= _SHORTEST_OF_MANY), key=len)[-_MOST_LINES:])
    for piece in sorted({*pieces, whole}):
        if len(piece) >= SHORTEST and piece.lower() not in _PUBLIC_VALUES and not _YEAR.match(piece):
            spelled = {piece, *_in_json(piece), *_in_a_url(piece), *_in_base64(piece)}
            yield from sorted(each for each in spelled if len(each) >= SHORTEST and not _LINE_ENDS.search(each))


def _in_json(piece: bytes) -> Iterator[bytes]:
    text = piece.decode("utf-8", "replace")
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for escaped in (once, once.replace("/", "\\/")):
            yield escaped.encode("utf-8", "replace")
            yield json.dumps(escaped, ensure_ascii=False)[1:-1].encode("utf-8", "replace")  # JSON in JSON


def _in_a_url(piece: bytes) -> Iterator[bytes]:
    for encoded in (*(quote(piece, safe=safe) for safe in _URL_SAFE), quote_plus(piece)):
        yield encoded.encode()
        yield re.sub(r"%..", lambda escape: escape[0].lower(), encoded).encode()


def _in_base64(piece: bytes) -> Iterator[bytes]:
    """What of the encoding of a text depends on this piece of it alone, for each place where the piece may begin."""
    yield base64.b64encode(piece).rstrip(b"=")
    yield base64.urlsafe_b64encode(piece).rstrip(b"=")
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(piece)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + piece)[first:last]


def _segments(spelling: bytes, name: str) -> Iterator[_Segment]:
    starts = [*range(0, len(spelling) - _SEGMENT, _SEGMENT), max(0, len(spelling) - _SEGMENT)]
    for start in starts:
        text = spelling[start : start + _SEGMENT]
        rare = (which.search(text, 0, len(text) - SHORTEST + 1) for which in _RARE)
        anchor = next((found.start() for found in rare if found), 0)
        yield _Segment(text, anchor, spelling, start + len(text), name)


# --- finding them --------------------------------------------------------------------------------------------


def _any_of(fragments: Iterable[bytes]) -> re.Pattern[bytes]:
    """Finds where one may begin. It looks at three bytes only: so it stays small with thousands of them, and at the
    first of them it passes over most of a log in one step of the matching engine."""
    tree: dict[bytes, dict[bytes, set[bytes]]] = {}
    for each in fragments:
        tree.setdefault(each[:1], {}).setdefault(each[1:2], set()).add(each[2:3])

    def one_of(these: Iterable[bytes]) -> bytes:
        return b"[" + b"".join(re.escape(each) for each in sorted(these)) + b"]"

    branches = []
    for first, seconds in sorted(tree.items()):
        followed = b"|".join(re.escape(second) + one_of(thirds) for second, thirds in sorted(seconds.items()))
        branches.append(re.escape(first) + b"(?:" + followed + b")")
    return re.compile(b"|".join(branches) or rb"(?!)", re.DOTALL)


def _agreement(data: bytes, at: int, segment: _Segment) -> int:
    """How many bytes from there on are those that follow the segment in its spelling."""
    rest, end = segment.spelling, segment.end
    low, high = 0, min(len(rest) - end, len(data) - at)
    while low < high:
        middle = (low + high + 1) // 2
        if data.startswith(rest[end + low : end + middle], at + low):
            low = middle
        else:
            high = middle - 1
    return low


def _cut_lines(data: bytes) -> Iterator[int]:
    """The ends of lines that are so long that they may have been cut."""
    at = 0
    while at + _CUT < len(data):
        last = data.rfind(b"\n", at, at + _CUT)
        if last < 0:
            last = data.find(b"\n", at + _CUT)
            if last < 0:
                return
            yield last
        at = last + 1


def _merged(found: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for span in sorted(found, key=lambda each: (each.start, -each.end)):
        last = merged[-1] if merged else None
        if last is not None and span.start < last.end:
            merged[-1] = _Span(last.start, max(last.end, span.end), last.name, last.open or span.open)
        else:
            merged.append(span)
    return merged


def _held(spans: list[_Span], begun: int, end: int) -> int:
    """From where on a stream has to wait: a span that may yet grow is not told, nor one that it may grow into."""
    hold = begun
    for span in reversed(spans):
        if not span.open and span.end <= hold:
            break
        hold = min(hold, span.start)
    return hold if end - hold <= _MOST_HELD else begun


def _whole_characters(data: bytes, span: _Span) -> tuple[int, int]:
    start, end = span.start, span.end
    while start > 0 and start < len(data) and data[start] & 0xC0 == 0x80:
        start -= 1
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end
