"""What can happen to the machine, and what can it ask for?

An event is past, an action imperative. Each answer carries the number of the question: the serial of a preparation,
the incarnation of a child, the epoch of a phase.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ready:
    """A prepared generation; None as number means that nothing at all is configured."""

    generation: int | None
    restart: bool  # a reload cannot bring it in


# --- events: past ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """There is something to look at: a new snapshot, or somebody asked."""


@dataclass(frozen=True, slots=True)
class Prepared:
    serial: int
    ready: Ready


@dataclass(frozen=True, slots=True)
class Refused:
    """The preparation gave nothing that may run."""

    serial: int


@dataclass(frozen=True, slots=True)
class Started:
    """The child answers: from now on it can be signalled."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The child is gone (or could not be spawned)."""

    incarnation: int
    reason: str = ""
    outside: bool = False  # not by a fault of its own: somebody's signal, or it could not be started at all
    unstarted: bool = False  # there never was a process


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The reload count rose, and it is the same process."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Declined:
    """Fluent Bit refused the reload; what ran before still runs."""

    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unresponsive:
    """The deadline of a start or reload passed without an answer."""

    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InstallFailed:
    """The generation could not be put in place; the child was not told anything."""

    epoch: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    epoch: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The child is up, and not well."""

    epoch: int
    reason: str = ""
    suspects: tuple[str, ...] = ()  # snippets whose own outputs show it
    stalled: bool = False  # it answers, and its engine does not turn


@dataclass(frozen=True, slots=True)
class Grown:
    """What was committed lately is no longer young: from now on it is not suspected by itself."""

    epoch: int


@dataclass(frozen=True, slots=True)
class GapElapsed:
    epoch: int


@dataclass(frozen=True, slots=True)
class TimerElapsed:
    epoch: int


@dataclass(frozen=True, slots=True)
class GraceElapsed:
    epoch: int


@dataclass(frozen=True, slots=True)
class Observed:
    congested: bool


@dataclass(frozen=True, slots=True)
class Terminate:
    """Asked to stop; asked again, the grace is cut short."""


Event = (
    Changed
    | Prepared
    | Refused
    | Started
    | Exited
    | Acknowledged
    | Declined
    | Unresponsive
    | InstallFailed
    | Passed
    | Failed
    | Grown
    | GapElapsed
    | TimerElapsed
    | GraceElapsed
    | Observed
    | Terminate
)


# --- actions: imperative; performed in order, short, never cancelled ------------------------------------------


@dataclass(frozen=True, slots=True)
class Prepare:
    serial: int


@dataclass(frozen=True, slots=True)
class Install:
    generation: int


@dataclass(frozen=True, slots=True)
class Spawn:
    generation: int
    incarnation: int


@dataclass(frozen=True, slots=True)
class Reload:
    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """TERM to the group."""


@dataclass(frozen=True, slots=True)
class Kill:
    """KILL to the group."""


@dataclass(frozen=True, slots=True)
class Commit:
    generation: int


@dataclass(frozen=True, slots=True)
class Blame:
    """The newcomer proved unhealthy: keep it out until it changes."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class FallBack:
    """What was good lately is not: the one before it is good again."""

    generation: int


Action = Prepare | Install | Spawn | Reload | Stop | Kill | Commit | Blame | FallBack
