"""What does this expression say, in Onigmo's Ruby syntax, and in which order is it tried?"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from supervisor.config.shapes.regexes.nodes import (
    NEWLINE,
    Atomic,
    Back,
    Call,
    Chars,
    Edge,
    Expression,
    Look,
    Node,
    Repeat,
    choice,
    row,
)
from supervisor.config.shapes.regexes.sets import ESCAPES, SHORT, Alphabet, named

DEEPEST = 50
"""Groups, classes and repetitions within each other that are followed."""

_FLAGGED = re.compile(r"/(.*)/([imox]+)", re.DOTALL)
_INTERVAL = re.compile(r"\{(\d{0,9})(,?)(\d{0,9})\}")
_OPTIONS = re.compile(r"\(\?([a-z]*)(?:-([a-z]*))?([:)])")
_NAMED_GROUP = re.compile(r"\(\?(?:<([^\W\d][^>]*)>|'([^\W\d][^']*)')")
_REFERENCE = re.compile(r"\\([kg])(?:<([^>]+)>|'([^']+)')")
_PROPERTY = re.compile(r"\\([pP])\{(\^?)([^}]*)\}")
_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")
_HEX = re.compile(r"\\(?:x\{([0-9a-fA-F]{1,8})\}|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4}))")
_OCTAL = re.compile(r"\\([0-7]{1,3})")
_NUMBER = re.compile(r"\\([1-9]\d{0,4})")
_CONTROL = re.compile(r"\\(?:c|C-|M-)(?:\\?.)", re.DOTALL)
_BYTE = "it names a byte above 7F by its number"
_BLANKS = re.compile(r"(?:[ \t\n\v\f\r]+|#[^\n]*(?:\n|$))+")


class Unreadable(Exception):
    """The expression breaks the syntax; the message is a clause."""


@dataclass(frozen=True, slots=True)
class Options:
    fold: bool = False
    dot_all: bool = False
    spaced: bool = False
    unicode: bool = False


def read(pattern: str) -> Expression:
    """The expression, without the slashes and options that Fluent Bit allows around it. Raises Unreadable."""
    text, options = pattern, Options()
    if (found := _FLAGGED.fullmatch(pattern)) and set(found[2]) != {"o"}:
        text = found[1]
        options = Options(fold="i" in found[2], dot_all="m" in found[2], spaced="x" in found[2])
    elif len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        text = pattern[1:-1]
    return _Reader(text).whole(options)


class _Reader:
    """One walk over the text, from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._alphabet = Alphabet(text)
        self._groups: dict[str, Node] = {}
        self._count = 0

    def whole(self, options: Options) -> Expression:
        root = self._choice(options)
        if self._at < len(self._text):
            raise Unreadable("a ')' closes nothing")
        self._groups.setdefault("0", root)
        return Expression(root, self._alphabet.full, self._groups)

    # --- structure ------------------------------------------------------------------------------------------------

    def _choice(self, options: Options) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(f"it is nested deeper than {DEEPEST}")
        branches = [self._row(options)]
        while self._take("|"):
            branches.append(self._row(options))
        self._depth -= 1
        return choice(branches)

    def _row(self, options: Options) -> Node:
        items: list[Node] = []
        while True:
            self._skip(options)
            if self._at >= len(self._text) or self._text[self._at] in "|)":
                return row(items)
            if self._text[self._at] in "*+?":
                raise Unreadable(f"a '{self._text[self._at]}' repeats nothing")
            items.append(self._repeated(self._atom(options), options))

    def _skip(self, options: Options) -> None:
        while self._text.startswith("(?#", self._at):
            end = self._text.find(")", self._at)
            if end < 0:
                raise Unreadable("a comment never ends")
            self._at = end + 1
        if options.spaced and (found := _BLANKS.match(self._text, self._at)):
            self._at = found.end()
            self._skip(options)

    def _repeated(self, node: Node, options: Options) -> Node:
        for _ in range(DEEPEST):
            self._skip(options)
            sign = self._text[self._at : self._at + 1]
            if sign and sign in "*+?":
                self._at += 1
                node = Repeat(node, 1 if sign == "+" else 0, 1 if sign == "?" else None)
                node = Atomic(node) if self._take("+") else node
                self._take("?")
            elif sign == "{" and (found := _INTERVAL.match(self._text, self._at)) and (found[1] or found[3]):
                self._at = found.end()
                least = int(found[1] or 0)
                most = least if not found[2] else int(found[3]) if found[3] else None
                node = Repeat(node, least, most if most is None else max(least, most))
                if self._take("?") and not found[2]:
                    node = Repeat(node, 0, 1)  # `a{3}?` is `(?:a{3})?` in this syntax
            else:
                return node
        raise Unreadable(f"more than {DEEPEST} repetitions stand on one another")

    def _take(self, text: str) -> bool:
        found = self._text.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _until(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def _atom(self, options: Options) -> Node:
        character = self._text[self._at]
        match character:
            case "(":
                return self._group(options)
            case "[":
                return Chars(self._class(options))
            case ".":
                self._at += 1
                return Chars(self._alphabet.full & (-1 if options.dot_all else ~NEWLINE))
            case "^" | "$":
                self._at += 1
                return Edge(end=character == "$")
            case "\\":
                return self._escape(options)
        self._at += 1
        return Chars(self._one(ord(character), options))

    def _one(self, code: int, options: Options) -> int:
        mask = self._alphabet.of(code)
        return self._alphabet.fold(mask) if options.fold else mask

    # --- groups ---------------------------------------------------------------------------------------------------

    def _group(self, options: Options) -> Node:
        if found := self._until(_NAMED_GROUP):
            self._count += 1
            number = str(self._count)
            node = self._closed(options)
            self._groups[number] = self._groups[found[1] or found[2]] = node
            return node
        for sign in ("(?=", "(?!", "(?<=", "(?<!"):
            if self._take(sign):
                return Look(self._closed(options))
        if self._take("(?>"):
            return Atomic(self._closed(options))
        if self._take("(?~"):
            return row([Look(self._closed(options)), Repeat(Chars(self._alphabet.full), 0, None)])
        if self._take("(?("):
            if (end := self._text.find(")", self._at)) < 0:
                raise Unreadable("a condition never ends")
            self._at = end + 1
            return self._closed(options)
        if found := self._until(_OPTIONS):
            inner = _changed(options, found[1], found[2] or "")
            return self._closed(inner) if found[3] == ":" else self._choice(inner)  # `a(?i)b|c` is `a(?i:b|c)`
        if self._text.startswith("(?", self._at):
            raise Unreadable(f"'{self._text[self._at : self._at + 4]}' opens no group that is known")
        self._at += 1
        self._count += 1
        number = str(self._count)
        node = self._groups[number] = self._closed(options)
        return node

    def _closed(self, options: Options) -> Node:
        node = self._choice(options)
        if not self._take(")"):
            raise Unreadable("a '(' is never closed")
        return node

    # --- escapes and classes --------------------------------------------------------------------------------------

    def _escape(self, options: Options) -> Node:
        if found := self._until(_REFERENCE):
            name = found[2] or found[3]
            return Back() if found[1] == "k" else Call(self._absolute(name))
        if (found := _NUMBER.match(self._text, self._at)) and int(found[1]) <= max(9, self._count):
            self._at = found.end()
            return Back()
        sign = self._text[self._at + 1 : self._at + 2]
        if sign and sign in "AbBGKzZ":
            self._at += 2
            return Edge(end=sign in "zZ")
        if sign == "R":
            self._at += 2
            return Atomic(Repeat(Chars(SHORT["s"] | self._alphabet.full & ~((1 << 128) - 1)), 1, 2))
        if sign == "X":
            self._at += 2
            return Atomic(Repeat(Chars(self._alphabet.full), 1, None))
        return Chars(self._escaped_set(options)[0])

    def _absolute(self, name: str) -> str:
        """`\\g<-1>` is the last group that was opened, `\\g<+1>` the next."""
        if re.fullmatch(r"[-+]\d{1,4}", name):
            step = int(name)
            return str(self._count + step + (1 if step < 0 else 0))
        return name

    def _escaped_set(self, options: Options) -> tuple[int, int | None]:
        """What a backslash and the next stand for: the set, and the code point when it is one character."""
        full = self._alphabet.full
        if found := self._until(_PROPERTY):
            mask = named(found[3], full)
            return (full & ~mask if (found[1] == "P") != bool(found[2]) else mask), None
        if found := self._until(_HEX):
            code = int(found[1] or found[2] or found[3], 16)
            if found[2] and code > 127:
                raise Unreadable(_BYTE)
            return self._one(code, options), code
        if found := self._until(_OCTAL):
            code = int(found[1], 8)
            if code > 127:
                raise Unreadable(_BYTE)
            return self._one(code, options), code
        if self._until(_CONTROL):
            return full, None
        sign = self._text[self._at + 1 : self._at + 2]
        if not sign:
            raise Unreadable("it ends in a lone backslash")
        self._at += 2
        if sign.lower() in SHORT:
            mask = SHORT[sign.lower()] | (full & ~((1 << 128) - 1) if options.unicode else 0)
            return (full & ~mask if sign.isupper() else mask), None
        code = ESCAPES.get(sign, ord(sign))
        return self._one(code, options), code

    def _class(self, options: Options) -> int:
        """The set of a bracket, with ranges, names, brackets within and `&&`."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable(f"it is nested deeper than {DEEPEST}")
        self._at += 1
        negated = self._take("^")
        both, mask, first = self._alphabet.full, 0, True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise Unreadable("a '[' is never closed")
            if self._take("&&"):
                both, mask = both & mask, 0
            else:
                mask |= self._member(options)
            first = False
        self._at += 1
        self._depth -= 1
        mask = self._alphabet.fold(mask) if options.fold else mask
        return self._alphabet.full & ~(both & mask) if negated else both & mask

    def _member(self, options: Options) -> int:
        full = self._alphabet.full
        if found := self._until(_POSIX):
            mask = named(found[2], full)
            return full & ~mask if found[1] else mask
        if self._text.startswith("[", self._at):
            return self._class(options)
        mask, low = self._single(options)
        following = self._text[self._at + 1 : self._at + 2]
        if low is None or not self._text.startswith("-", self._at) or following in ("", "]"):
            return mask
        before = self._at
        self._at += 1
        if following == "[":
            self._at = before  # a hyphen before another class is a hyphen
            return mask
        last, high = self._single(options)
        if high is None or high < low:
            return mask | last | self._alphabet.of(ord("-"))
        return self._alphabet.between(low, high)

    def _single(self, options: Options) -> tuple[int, int | None]:
        if self._text.startswith("\\b", self._at):
            self._at += 2
            return self._alphabet.of(8), 8
        if self._text.startswith("\\", self._at):
            return self._escaped_set(options)
        code = ord(self._text[self._at])
        self._at += 1
        return self._alphabet.of(code), code


def _changed(options: Options, on: str, off: str) -> Options:
    names = {"i": "fold", "m": "dot_all", "x": "spaced", "u": "unicode"}
    for letters, value in ((on, True), (off, False)):
        for letter in letters:
            if letter in names:
                options = replace(options, **{names[letter]: value})
            elif letter not in "ad":
                raise Unreadable(f"the option '{letter}' is not known")
    return options
