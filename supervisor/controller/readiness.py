"""May traffic rely on the child?

Up on good, or on a candidate that started well, or idle. Once ready it stays so for a while without a child.
"""

from __future__ import annotations

import time

from supervisor.core.machine import Phase, State
from supervisor.model import Health, Reading

READY_WITHOUT_CHILD = 30.0  # seconds for which a child may be gone before readiness falls
_UP = (Phase.PROBATION, Phase.STEADY, Phase.RELOADING, Phase.REVERTING)


class Readiness:
    def __init__(self) -> None:
        self._was_ready = False
        self._childless_since: float | None = time.monotonic()

    def follow(self, state: State) -> None:
        """To be told of every phase that is entered."""
        self._childless_since = None if state.phase in _UP else self._childless_since or time.monotonic()

    def of(self, state: State, reading: Reading | None) -> bool:
        """Whether it is ready now, going by the latest reading."""
        well = reading is not None and reading.health is Health.WELL
        if state.phase in (Phase.STOPPING, Phase.STOPPED) or (state.phase is Phase.DOWN and not state.idle):
            self._was_ready = False
        elif state.phase in (Phase.DOWN, Phase.STEADY) or (
            state.phase is Phase.PROBATION and (well or not state.newcomer)
        ):
            self._was_ready = True
        elif self._childless_since is not None and time.monotonic() - self._childless_since > READY_WITHOUT_CHILD:
            self._was_ready = False
        return self._was_ready
