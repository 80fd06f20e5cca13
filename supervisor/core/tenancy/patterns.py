"""What do two tag patterns have in common? (`*` stands for anything, dots included; nothing else is special.)"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def covers(wide: str, narrow: str) -> bool:
    """Whether every tag that matches `narrow` matches `wide`.

    A `*` of the narrow one is a letter that only a `*` of the wide one takes: there are tags with every letter.
    """
    return _form(wide).fullmatch(narrow.replace("*", "\0")) is not None


@lru_cache(maxsize=4096)
def _form(pattern: str) -> re.Pattern[str]:
    # Lazy and atomic pieces between the stars: matched from left to right, so it takes no more than a square of time.
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        return re.compile(re.escape(first), re.DOTALL)
    *middle, last = rest
    pieces = "".join(f"(?>.*?{re.escape(piece)})" for piece in middle)
    return re.compile(f"{re.escape(first)}{pieces}.*{re.escape(last)}", re.DOTALL)


@lru_cache(maxsize=4096)
def overlap(one: str, other: str) -> bool:
    """Whether some tag matches both. Places in `other` are bits: so it takes a step for each sign of `one`."""
    other = re.sub(r"\*+", "*", other)
    places: dict[str, int] = {}
    for number, sign in enumerate(other):
        places[sign] = places.get(sign, 0) | 1 << number
    stars = places.pop("*", 0)
    end = 1 << len(other)
    reached = 1 | (1 & stars) << 1
    for sign in one:
        if sign == "*":
            reached = (end << 1) - (reached & -reached)  # whatever stands behind the first of them
        else:
            reached = reached & stars | (reached & places.get(sign, 0)) << 1
            reached |= (reached & stars) << 1
        if not reached:
            return False
    return bool(reached & end)
