"""How does Fluent Bit split a value into words?

The quoting of `flb_slist.c`: words end at a blank; one that begins with a double quote runs to the next double quote
that has no backslash before it, and `\\"` inside means `"`. Other backslashes stay.
"""

from __future__ import annotations


def split_tokens(text: str, limit: int) -> list[str]:
    """The words of `text`; after `limit` words the rest comes as one more. Empty words end the list, as in C."""
    words: list[str] = []
    rest: str | None = text
    while rest is not None:
        word, rest = _token(rest)
        if not word and rest is None:
            break
        words.append(word)
        if rest is not None and len(words) >= limit > 0:
            if tail := rest.lstrip(" "):
                words.append(tail)
            break
    return words


def _token(text: str) -> tuple[str, str | None]:
    """The first word, and what follows it (None: nothing does)."""
    text = text.lstrip(" ")
    if text.startswith('"'):
        end = text.find('"', 1)
        while end > 0 and text[end - 1] == "\\":
            end = text.find('"', end + 1)
        if end < 0:
            return text[1:], None
        return text[1:end].replace('\\"', '"'), text[end + 1 :].lstrip(" ")
    end = text.find(" ")
    return (text, None) if end < 0 else (text[:end], text[end + 1 :].lstrip(" "))
