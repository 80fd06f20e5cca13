"""Does a grant for paths cover what a tenant wants to read?

Grants: absolute; `*` and `?` within a segment, `**` as a whole segment for any number of segments, also none. What is
wanted is a pattern of in_tail, which gives it to glob(3) with GLOB_TILDE (5.1.1): `*` and `?` do not match a slash,
nor a dot at the begin of a segment. The rest of its language (brackets, tilde, backslash) is not judged. Grants
and real paths are held to the same rule for dots: a hidden file is granted only by a pattern that says the dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

_ANY, _ONE, _OTHER = -1, -2, 0x110000
"""`*`, `?`, and a character that no pattern names; other signs are code points."""
_DOT: Final = ord(".")
_STATES: Final = 3_000
"""Pairs that are looked at for one segment; beyond, nothing is covered."""

_Segment: TypeAlias = tuple[int, ...]
_Grant: TypeAlias = tuple[_Segment | None, ...]  # None: `**`

_FORBIDDEN: Final = {
    "~": "a '~'",
    "{": "braces",
    "}": "braces",
    "[": "a bracket",
    "]": "a bracket",
    "\\": "a backslash",
}
LONGEST: Final = 4096
"""Characters of a path, as PATH_MAX."""


def path_fault(path: str) -> str:
    """Why a path or pattern is not to be judged, as a clause; empty when it is. Total."""
    if not path:
        return "it is empty"
    if any(not " " <= character <= "~" for character in path):
        return "it has characters that are not printable ASCII"
    if path != path.strip():
        return "it begins or ends with a blank"
    if len(path) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    for sign, name in _FORBIDDEN.items():
        if sign in path:
            return f"it has {name}"
    if not path.startswith("/"):
        return "it is not absolute"
    if path.endswith("/"):
        return "it ends in '/': a directory is no file"
    segments = path[1:].split("/")
    if "" in segments:
        return "it has '//'"
    if "." in segments or ".." in segments:
        return "it has '.' or '..' as a segment"
    return ""


def split_paths(text: str) -> tuple[str, ...]:
    """The patterns of a `path` or `exclude_path`: by commas, blanks around each dropped, empty ones too (5.1.1)."""
    return tuple(part for piece in text.split(",") if (part := piece.strip(" ")))


@lru_cache(maxsize=4096)
def covers(granted: str, wanted: str) -> bool:
    """Whether every path that the pattern `wanted` can match is matched by the grant; False when not to be judged."""
    if path_fault(granted) or path_fault(wanted):
        return False
    return _covers(_segments(granted), [_squeezed(segment) for segment in wanted[1:].split("/")])


def matches(granted: str, path: str) -> bool:
    """Whether one real path, absolute and normalised, is granted. Signs in the path stand for themselves."""
    if path_fault(granted) or not path.startswith("/") or "\0" in path:
        return False
    segments = path[1:].split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return False
    return _covers(_segments(granted), [tuple(map(ord, segment)) for segment in segments])


def _squeezed(segment: str) -> tuple[int, ...]:
    """A segment as characters and wild signs, each run of `*` as one."""
    out: list[int] = []
    for character in segment:
        sign = {"*": _ANY, "?": _ONE}.get(character, ord(character))
        if sign != _ANY or not out or out[-1] != _ANY:
            out.append(sign)
    return tuple(out)


def _segments(granted: str) -> _Grant:
    return tuple(None if segment == "**" else _squeezed(segment) for segment in granted[1:].split("/"))


def _covers(granted: _Grant, wanted: Sequence[_Segment]) -> bool:
    """Segments against segments: the places in the grant that are reached after each wanted segment."""
    places = _opened({0}, granted)
    for segment in wanted:
        following: set[int] = set()
        for place in places:
            grant = granted[place] if place < len(granted) else ()
            if grant is None:
                following |= {place} if _segment_covers((_ANY,), segment) else set()
            elif _segment_covers(grant, segment):
                following.add(place + 1)
        places = _opened(following, granted)
    return len(granted) in places


def _opened(places: set[int], granted: _Grant) -> set[int]:
    """The places, and those behind each `**`, which may span nothing."""
    reached = set(places)
    for place in places:
        while place < len(granted) and granted[place] is None:
            place += 1
            reached.add(place)
    return reached


def _segment_covers(grant: _Segment, wanted: _Segment) -> bool:
    """Whether each name that `wanted` matches is matched by `grant`: all pairs of a place there and places here.

    Of the characters only those that the grant names matter, and one that stands for all others.
    """
    characters = {sign for sign in grant if sign >= 0} | {_OTHER}
    start = (0, True, _closed({0}, grant))
    seen, pending = {start}, [start]
    while pending:
        at, first, places = pending.pop()
        if at == len(wanted):
            if not first and len(grant) not in places:
                return False
            continue
        sign = wanted[at]
        following = [(at + 1, first, places)] if sign == _ANY else []
        for character in (sign,) if sign >= 0 else characters:
            if not (first and character == _DOT) or (sign == _DOT and at == 0):
                after = at if sign == _ANY else at + 1
                following.append((after, False, _step(places, character, first, grant)))
        for state in following:
            if not state[2] or len(seen) > _STATES:
                return False
            if state not in seen:
                seen.add(state)
                pending.append(state)
    return True


def _step(places: frozenset[int], character: int, first: bool, grant: _Segment) -> frozenset[int]:
    """Where the grant stands after one more character."""
    following = set()
    hidden = first and character == _DOT  # only a pattern that begins with a dot matches one there, not `*.log`
    for place in ({0} & places) if hidden else places:
        sign = grant[place] if place < len(grant) else None
        if sign is not None and sign < 0 and not hidden:
            following.add(place if sign == _ANY else place + 1)
        elif sign == character:
            following.add(place + 1)
    return _closed(following, grant)


def _closed(places: set[int], grant: _Segment) -> frozenset[int]:
    return frozenset(places | {place + 1 for place in places if place < len(grant) and grant[place] == _ANY})
