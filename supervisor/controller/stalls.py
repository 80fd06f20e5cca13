"""Who may stop the engine although everything was proven?

One engine serves all: a line of log on which a regular expression never ends silences everybody, starts after every
restart with the same line again, and nobody is new. When what is good stands still a second time, whatever of tenants
works on records is left out. If the rest holds, each of them is tried alone, as after any failure that names nobody;
if it does not, none of them was at fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from supervisor.config.parse import parse
from supervisor.core import events as e
from supervisor.core.machine import State
from supervisor.core.selection import Version, Versions
from supervisor.model import Kind, Trust

REASON = "stalled"  # of the apply that leaves them out
WINDOW = 600.0  # seconds within which it must happen twice, and after which it may be tried once more
_WORKS_ON_RECORDS = frozenset({Kind.INPUT, Kind.FILTER, Kind.PARSER, Kind.MULTILINE_PARSER})


class Stalls:
    """How often what is good stood still lately."""

    def __init__(self) -> None:
        self._at: list[float] = []
        self._quiet_until = 0.0

    def hear(self, event: e.Event, before: State) -> bool:
        """Whether it is time to leave somebody out."""
        if not isinstance(event, e.Failed) or not event.stalled or before.epoch != event.epoch or before.newcomer:
            return False
        now = time.monotonic()
        self._at = [*(moment for moment in self._at if now - moment < WINDOW), now]
        if len(self._at) < 2 or now < self._quiet_until:
            return False
        self._at, self._quiet_until = [], now + WINDOW
        return True


def without_suspects(versions: Versions, key_of: Callable[[Version], str]) -> tuple[Versions, dict[str, str]]:
    """The versions as if the suspects had not been accepted yet, and the suspects with their keys."""
    suspects = {name: key_of(version) for name, version in versions.old.items() if _may_stall(version)}
    old = {name: version for name, version in versions.old.items() if name not in suspects}
    return replace(versions, old=old), suspects


def _may_stall(version: Version) -> bool:
    snippet = version.snippet
    if snippet.trust is not Trust.TENANT:
        return False
    document = parse(snippet.content, snippet.path).document
    return document is None or any(section.kind in _WORKS_ON_RECORDS for section in document.sections)
