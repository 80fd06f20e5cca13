"""Which characters does a class name stand for? As Onigmo's Ruby syntax has it: `\\w` and its like are ASCII only."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

from supervisor.config.shapes.regexes.nodes import ASCII, UNNAMED


def bits(characters: Iterable[str]) -> int:
    mask = 0
    for character in characters:
        mask |= 1 << ord(character)
    return mask


_LETTERS, _DIGITS, _PUNCTUATION = bits(string.ascii_letters), bits(string.digits), bits(string.punctuation)
_SPACE = bits(" \t\n\v\f\r")
_CONTROL = bits(map(chr, range(32))) | 1 << 127

SHORT = {"d": _DIGITS, "w": _LETTERS | _DIGITS | bits("_"), "s": _SPACE, "h": bits(string.hexdigits)}
"""`\\d`, `\\w`, `\\s`, `\\h`; in capitals what they leave."""

ESCAPES = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "a": 7, "e": 27}
"""Code points of the escapes with a letter."""

_NAMED: dict[str, tuple[int, bool]] = {  # the ASCII part, and whether there are others
    "alpha": (_LETTERS, True),
    "digit": (_DIGITS, True),
    "alnum": (_LETTERS | _DIGITS, True),
    "upper": (bits(string.ascii_uppercase), True),
    "lower": (bits(string.ascii_lowercase), True),
    "punct": (_PUNCTUATION, True),
    "space": (_SPACE, True),
    "blank": (bits(" \t"), True),
    "cntrl": (_CONTROL, True),
    "graph": (_LETTERS | _DIGITS | _PUNCTUATION, True),
    "print": (_LETTERS | _DIGITS | _PUNCTUATION | bits(" "), True),
    "word": (SHORT["w"], True),
    "xdigit": (SHORT["h"], False),
    "ascii": (ASCII, False),
    "latin": (_LETTERS, True),
    "han": (0, True),
    "greek": (0, True),
    "cyrillic": (0, True),
    "arabic": (0, True),
    "hebrew": (0, True),
    "hiragana": (0, True),
    "katakana": (0, True),
    "hangul": (0, True),
    "thai": (0, True),
}
_CATEGORIES = {"l": _LETTERS, "n": _DIGITS, "p": _PUNCTUATION, "s": _PUNCTUATION, "z": bits(" "), "m": 0}


def named(name: str, full: int) -> int:
    """The set of `[:name:]` or `\\p{name}`; all characters where the name is not known here."""
    plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
    if plain in _NAMED:
        mask, others = _NAMED[plain]
    elif len(plain) <= 2 and plain[:1] in _CATEGORIES:
        mask, others = _CATEGORIES[plain[0]], True
    else:
        return full
    return mask | (full & ~ASCII if others else 0)


_UPPER, _LOWER = bits(string.ascii_uppercase), bits(string.ascii_lowercase)
_BY_NUMBER = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x\{([0-9a-fA-F]{1,6})\})")


class Alphabet:
    """The characters that one expression tells apart: ASCII, the others that it names (64 of them), and the rest."""

    def __init__(self, pattern: str) -> None:
        codes = {int(found[1] or found[2], 16) for found in _BY_NUMBER.finditer(pattern)}
        named = {character for character in pattern if character > "\x7f"}
        named |= {chr(code) for code in codes if 127 < code < 0x110000}
        self._bit = {character: 129 + number for number, character in enumerate(sorted(named)[:64])}
        self.full = (1 << (129 + len(self._bit))) - 1

    def fold(self, mask: int) -> int:
        """The set together with the other case of its characters; all of them where one folds to several."""
        mask |= (mask & _UPPER) << 32 | (mask & _LOWER) >> 32
        if mask & UNNAMED:  # a range or a class: who knows whose other case is in it
            mask |= self.full & ~ASCII | bits("ksKS")
        for character, number in self._bit.items():
            kin = {character.lower(), character.upper(), character.casefold()}
            if any(len(other) > 1 for other in kin):
                mask = self.full if mask >> number & 1 else mask
                continue
            same = 1 << number
            for other in kin:
                same |= self.of(ord(other)) & ~UNNAMED
            mask |= same if mask & same else 0
        return mask

    def of(self, code: int) -> int:
        """The set of one character."""
        if code < 128:
            return 1 << code
        number = self._bit.get(chr(code)) if code < 0x110000 else None
        return UNNAMED if number is None else 1 << number

    def between(self, low: int, high: int) -> int:
        """The set of a range."""
        mask = ((1 << (min(high, 127) + 1)) - 1) & ~((1 << low) - 1) if low < 128 else 0
        if high > 127:
            mask |= UNNAMED
            for character, number in self._bit.items():
                mask |= 1 << number if low <= ord(character) <= high else 0
        return mask
