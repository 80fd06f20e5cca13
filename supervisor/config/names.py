"""How does Fluent Bit understand the names and the blanks of a config?

All of it is byte-wise and ASCII only, as in the C locale that Fluent Bit runs in. Sources: its `flb_config_format.c`
(section types, key translation) and `flb_sds.c` (trim), each rule tried on 5.1.1.
"""

from __future__ import annotations

import re

from supervisor.model import Kind

BLANKS = " \t"
SPACES = " \t\n\v\f\r"

_SHOWN = re.compile(r"[\w.@*\[\]-]{0,40}")
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

# In Fluent Bit's order: the first of which the title is a prefix gives the type.
_SECTIONS: tuple[tuple[str, Kind], ...] = (
    ("service", Kind.SERVICE),
    ("parser", Kind.PARSER),
    ("multiline_parser", Kind.MULTILINE_PARSER),
    ("stream_processor", Kind.STREAM_TASK),
    ("plugins", Kind.PLUGINS),
    ("upstream_servers", Kind.UPSTREAM),
    ("customs", Kind.CUSTOM),
    ("inputs", Kind.INPUT),
    ("filters", Kind.FILTER),
    ("outputs", Kind.OUTPUT),
)

PLUGIN_KINDS = frozenset({Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM})
"""Sections that instance a plugin: their properties may repeat and may be lists."""


def lower(text: str) -> str:
    """ASCII lower case: what C's tolower does to a name."""
    return text.translate(_LOWER)


def trim(text: str) -> str:
    """Without the white space (C's isspace) around it, as Fluent Bit trims keys and values."""
    return text.strip(SPACES)


def section_kind(title: str) -> Kind:
    """What a section title stands for: any prefix of a known name, without case (`[I]` is an input on 5.1.1)."""
    wanted = lower(title)
    return next((kind for name, kind in _SECTIONS if name.startswith(wanted)), Kind.UNKNOWN)


def yaml_key(key: str) -> str:
    """A key of a YAML section as Fluent Bit stores it: `memBufLimit` becomes `mem_buf_limit`.

    A key that does not begin with a small letter stays as it is; one with an underscore is only lowered.
    """
    if not ("a" <= key[:1] <= "z"):
        return trim(key)
    if "_" in key:
        return trim(lower(key))
    return trim("".join("_" + lower(char) if "A" <= char <= "Z" else char for char in key))


def shown(text: str) -> str:
    """Enough of an author's text to find it again in a message: a name, never the value that may stand behind it."""
    found = _SHOWN.match(trim(text))
    name = found.group() if found else ""
    return name if name == trim(text) else name + "…"
