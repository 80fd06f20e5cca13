"""Who may stop the engine although everything was proven?

One engine serves all: a line of log on which a regular expression never ends silences everybody, starts after every
restart with the same line again, and nobody is new. When what is good stands still a second time, all that tenants
wrote is left out. If the rest holds, each of their snippets is tried alone, as after any failure that names nobody; if
it does not, none of them was at fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from supervisor.core import events as e
from supervisor.core.machine import State
from supervisor.core.selection import Version, Versions
from supervisor.model import Trust

REASON = "stalled"  # of the apply that leaves them out
WINDOW = 600.0  # seconds within which it must happen twice, and after which it may be tried once more


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
    old = versions.old.items()
    suspects = {name: key_of(version) for name, version in old if version.snippet.trust is Trust.TENANT}
    return replace(versions, old={name: version for name, version in old if name not in suspects}), suspects
