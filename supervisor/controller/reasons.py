"""Why did it fail, and why was it started, in a word?"""

from __future__ import annotations

from supervisor.core import events as e
from supervisor.core.machine import Phase, State


def is_doubtful(event: e.Event, before: State) -> bool:
    """Whether the config need not be the cause at all."""
    match event:
        case e.Exited(outside=outside):
            return outside
        case e.Unresponsive():
            return before.phase is Phase.STARTING
        case e.Failed(stalled=stalled):
            return stalled  # a line of anybody's log may have come just then: one engine serves all
        case _:
            return False


def start_reason(before: State, state: State, *, first: bool) -> str:
    if first:
        return "start"
    if state.newcomer:
        return "restart"
    return "crash" if before.phase in (Phase.BACKOFF, Phase.STEADY) else "revert"
