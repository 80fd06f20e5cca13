"""Which of the files that we copied is this path?

Fluent Bit knows only our copy, in a directory of ours; the author knows his own file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from supervisor.model import GENERATION_ROOT, CopiedFile

_FILE = re.compile(  # Lua leaves out the beginning of a long path
    r"(?:\.\.\.|/)(?P<tail>[^\s'\"]*?)(?=:\d+:|[\s,'\"]|$)"
)
_LEAST = 8  # characters of the end of a path


def with_sources(message: str, copies: Iterable[CopiedFile]) -> str:
    """The message with the author's path instead of ours."""
    for copy in copies:
        for found in _FILE.finditer(message):
            if _is_path_of(found, copy.name):
                message = message.replace(found[0], copy.source)
                break
    return message


def is_named(message: str, value: str) -> bool:
    """Whether the value is the path of a copy, and the message speaks of it."""
    return value.startswith(GENERATION_ROOT) and any(_is_path_of(path, value) for path in _FILE.finditer(message))


def _is_path_of(found: re.Match[str], name: str) -> bool:
    """Whether these words are the path, or the end of the path, of that file in some directory of ours."""
    tail = found["tail"]
    return tail.endswith(f"files/{posixpath.basename(name)}") or (
        found[0].startswith("...") and len(tail) >= _LEAST and name.endswith(tail)
    )
