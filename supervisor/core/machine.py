"""Given state and event, what next? Every decision about the child is made here, and none is made elsewhere.

There are two machines and one joint rule. The *intake* prepares: it only reads, so it may be outdated at any moment.
The *child* acts: its steps are never interrupted. They meet in `_join`, when a prepared generation waits and the child
is free. Every event carries the number of what started it (the serial of a preparation, the incarnation of a child,
the epoch of a phase), and `step` drops strangers first, so nobody else needs to think about late answers.

A *newcomer* is a current generation that is not good yet. Only newcomers are blamed: what once passed probation is
never held responsible for a bad day of the machine it runs on.

Generations are plain numbers here; what they contain is of no interest to this room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from supervisor.core.events import (
    Acknowledged,
    Action,
    Blame,
    Changed,
    Commit,
    Declined,
    Event,
    Exited,
    Failed,
    FallBack,
    GapElapsed,
    GraceElapsed,
    Grown,
    Install,
    InstallFailed,
    Kill,
    Observed,
    Passed,
    Prepare,
    Prepared,
    Ready,
    Refused,
    Reload,
    Spawn,
    Started,
    Stop,
    Terminate,
    TimerElapsed,
    Unresponsive,
)


class Phase(StrEnum):
    """What the child is doing."""

    DOWN = "down"  # no child: nothing configured (idle), or nothing acceptable
    STARTING = "starting"  # spawned, not yet answering; no signal may be sent
    PROBATION = "probation"  # runs; health must hold
    STEADY = "steady"  # runs what is good
    RELOADING = "reloading"  # told to reload to a newcomer
    REVERTING = "reverting"  # told to reload back to good
    REPLACING = "replacing"  # being stopped, so that another can start
    BACKOFF = "backoff"  # no child; waiting before the next start
    STOPPING = "stopping"
    STOPPED = "stopped"


class Intake(StrEnum):
    SETTLED = "settled"
    PREPARING = "preparing"
    READY = "ready"  # an accepted generation waits for the child to be free
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class State:
    intake: Intake = Intake.SETTLED
    wanted: int = 0  # serial of the newest request to look
    serial: int = 0  # serial being prepared, or prepared last
    skipped: bool = False  # one outdated result was dropped: the next one is taken, so a storm cannot starve us
    ready: Ready | None = None

    phase: Phase = Phase.DOWN
    current: int | None = None  # what the child was told to run
    good: int | None = None  # what last passed probation
    fallback: int | None = None  # what is good for sure, as long as what is good now is young
    before: int | None = None  # while reloading: what it ran until then
    after: int | None = None  # while replacing: what to start next
    idle: bool = False  # nothing is configured: no child is wanted
    restart_back: bool = False  # a reload cannot bring back what was good
    congested: bool = False  # an output fails or retries: a reload would wait for it without limit
    gap_open: bool = False  # a newcomer in probation has had its least time: a newer one may take its place
    cooling: bool = False  # Fluent Bit has just declined a reload, and swallows signals for a while (1 s seen on 5.1.1)
    hurried: bool = False  # the grace is cut short
    attempt: int = 0  # starts since the last full healthy probation
    incarnation: int = 0  # number of the child
    epoch: int = 0  # number of the phase entered

    @property
    def newcomer(self) -> bool:
        return self.current is not None and self.current != self.good


Step = tuple[State, tuple[Action, ...]]

_GONE = (Phase.DOWN, Phase.BACKOFF, Phase.STOPPED)
_SETTLING = (Phase.STARTING, Phase.RELOADING, Phase.PROBATION, Phase.STEADY)


def step(state: State, event: Event) -> Step:
    """The next state, and what to do. An event that does not concern the state changes nothing, on purpose."""
    if state.phase is Phase.STOPPED or _is_stranger(state, event):
        return state, ()
    state, actions = _react(state, event)
    joined, more = _join(state)
    return joined, actions + more


def _is_stranger(state: State, event: Event) -> bool:
    """Whether the event answers a question that is no longer asked."""
    match event:
        case Prepared(serial=serial) | Refused(serial=serial):
            return serial != state.serial or state.intake is not Intake.PREPARING
        case Started(incarnation=incarnation) | Exited(incarnation=incarnation):
            return incarnation != state.incarnation or state.phase in _GONE
        case Changed() | Observed() | Terminate():
            return False
        case _:
            return event.epoch != state.epoch


def _react(state: State, event: Event) -> Step:
    match event:
        case Changed():
            return _look(replace(state, wanted=state.wanted + 1))
        case Prepared():
            return _prepared(state, event.ready)
        case Refused():
            return _look(replace(state, intake=Intake.READY if state.ready else Intake.SETTLED))
        case Observed():
            watched = state.phase in (Phase.PROBATION, Phase.STEADY)
            return replace(state, congested=event.congested and watched), ()
        case Terminate():
            return _terminate(state)
        case Exited():
            return _exited(state, event)
        case InstallFailed():
            return _install_failed(state)
        case _:
            return _progress(state, event)


# --- the intake -----------------------------------------------------------------------------------------------


def _look(state: State) -> Step:
    """Start the next preparation, unless one is under way or everything asked for was looked at."""
    if state.intake in (Intake.PREPARING, Intake.CLOSED) or state.wanted == state.serial:
        return state, ()
    return replace(state, intake=Intake.PREPARING, serial=state.wanted), (Prepare(state.wanted),)


def _prepared(state: State, ready: Ready) -> Step:
    if state.wanted != state.serial and not state.skipped:
        return _look(replace(state, intake=Intake.SETTLED, skipped=True))
    return _look(replace(state, intake=Intake.READY, ready=ready, skipped=False))


def _join(state: State) -> Step:
    """The joint rule: a prepared generation meets a child that is free."""
    ready = state.ready
    if ready is None or state.phase is Phase.STOPPING:
        return state, ()
    if ready.generation is not None and ready.generation == state.current and state.phase in _SETTLING:
        return _take(state), ()
    match state.phase:
        case Phase.DOWN | Phase.BACKOFF if ready.generation is None:
            return _enter(_take(state), Phase.DOWN, idle=True, current=None), ()
        case Phase.BACKOFF if ready.generation == state.current:
            return _take(state), ()
        case Phase.DOWN | Phase.BACKOFF:
            return _start(_take(state), ready.generation)
        case Phase.STEADY if not state.cooling:
            return _apply(_take(state), ready)
        case Phase.PROBATION if state.gap_open and not state.cooling:
            return _apply(_take(state), ready)
        case _:
            return state, ()


def _take(state: State) -> State:
    intake = Intake.SETTLED if state.intake is Intake.READY else state.intake
    return replace(state, ready=None, intake=intake)


def _apply(state: State, ready: Ready) -> Step:
    if ready.generation is None:
        return _replace_child(state, None, idle=True)
    back = ready.restart or (state.restart_back and state.newcomer)
    if ready.restart or state.congested:
        return _replace_child(state, ready.generation, restart_back=back)
    state = _enter(state, Phase.RELOADING, before=state.current, current=ready.generation, restart_back=back)
    return state, (Install(ready.generation), Reload(ready.generation))


# --- the child ------------------------------------------------------------------------------------------------


def _enter(state: State, phase: Phase, **changes: object) -> State:
    return replace(state, phase=phase, epoch=state.epoch + 1, gap_open=False, **changes)  # type: ignore[arg-type]


def _start(state: State, generation: int | None) -> Step:
    """Spawn `generation`; with none, there is nothing acceptable to run."""
    if generation is None:
        return _enter(state, Phase.DOWN, current=None, after=None), ()
    number = state.incarnation + 1
    state = _enter(
        state,
        Phase.STARTING,
        incarnation=number,
        current=generation,
        after=None,
        idle=False,
        congested=False,
        cooling=False,
    )
    return state, (Install(generation), Spawn(generation, number))


def _replace_child(state: State, after: int | None, **changes: object) -> Step:
    return _enter(state, Phase.REPLACING, after=after, congested=False, cooling=False, **changes), (Stop(),)


def _back_off(state: State) -> Step:
    return _enter(state, Phase.BACKOFF, attempt=state.attempt + 1, after=None), ()


def _blame(state: State, reason: str) -> Step:
    """Hold the newcomer responsible, and look again at what may run without it."""
    if not state.newcomer or state.current is None:
        return state, ()
    intake = Intake.SETTLED if state.intake is Intake.READY else state.intake
    # What waits, or is under way, was prepared as if the newcomer could stay: nothing of it holds any more.
    state, actions = _look(replace(state, wanted=state.wanted + 1, intake=intake, ready=None, skipped=False))
    return state, (Blame(state.current, reason), *actions)  # type: ignore[arg-type]


def _fall_back(state: State, reason: str) -> Step:
    """What was committed lately is at fault after all: once, and only as long as it is young. What was good for sure
    before is good again; if that fails too, nothing is left to fall back to."""
    before = state.fallback
    assert before is not None
    state = replace(state, good=before, fallback=None)
    state, blamed = _blame(state, reason)
    return state, (*blamed, FallBack(before))


def _exited(state: State, event: Exited) -> Step:
    reason = event.reason
    match state.phase:
        case Phase.STOPPING:
            return _enter(state, Phase.STOPPED), ()
        case Phase.REPLACING if state.idle:
            return _enter(state, Phase.DOWN, current=None, hurried=False), ()
        case Phase.REPLACING if state.after is not None:
            return _start(replace(state, hurried=False), state.after)
        case Phase.REPLACING:
            return _back_off(replace(state, hurried=False))
        case Phase.REVERTING:
            return _start(state, state.good)
    if event.unstarted:  # nobody's config, and nothing else could be started either
        return _back_off(state)
    if state.fallback is not None and not state.newcomer and not event.outside:
        state, blamed = _fall_back(state, reason)
        state, actions = _start(state, state.good)
        return state, blamed + actions
    if state.newcomer and state.good is None and state.attempt > 0 and not event.outside:
        state, blamed = _blame(state, reason)
        state, actions = _back_off(state)
        return state, blamed + actions
    if not state.newcomer or state.good is None:
        return _back_off(state)
    state, blamed = _blame(state, reason)
    state, actions = _start(state, state.good)
    return state, blamed + actions


def _install_failed(state: State) -> Step:
    """It could not be put in place, or the child could not be told: what runs goes on, and nobody is blamed."""
    match state.phase:
        case Phase.STARTING:
            return _back_off(state)
        case Phase.RELOADING:
            phase = Phase.STEADY if state.before == state.good else Phase.PROBATION
            return _enter(state, phase, current=state.before, before=None), ()
        case Phase.REVERTING:  # what runs is not well: better a start from good as soon as the disk allows it
            return _replace_child(state, state.good, before=None)
    return state, ()  # after a declined reload: what ran runs on, and is installed anew before its next start


def _progress(state: State, event: Event) -> Step:
    match state.phase, event:
        case Phase.STARTING, Started():
            return _enter(state, Phase.PROBATION), ()
        case Phase.STARTING, Unresponsive():
            return _give_up(state, f"it did not start within its deadline: {event.reason}", hurried=True)

        case ((Phase.RELOADING | Phase.REVERTING), Acknowledged()):
            return _enter(state, Phase.PROBATION, before=None), ()
        case Phase.RELOADING, Declined():
            return _declined(state, event.reason)
        case Phase.RELOADING, Unresponsive():
            # Nobody is blamed: a reload waits without limit for outputs that do not drain. A restart does not.
            return _replace_child(state, state.current, hurried=True, before=None)
        case Phase.REVERTING, (Declined() | Unresponsive()):
            return _replace_child(state, state.good, hurried=True, before=None)

        case ((Phase.PROBATION | Phase.STEADY), GapElapsed()):
            return replace(state, gap_open=True, cooling=False), ()
        case Phase.PROBATION, Passed():
            return _passed(state)
        case Phase.PROBATION, Failed():
            return _give_up(state, event.reason)
        case Phase.STEADY, Failed():
            return _give_up(state, event.reason)
        case Phase.STEADY, Grown():
            return replace(state, fallback=None), ()

        case ((Phase.REPLACING | Phase.STOPPING), GraceElapsed()):
            return state, (Kill(),)
        case Phase.BACKOFF, TimerElapsed():
            return _start(state, state.current if state.good is None else state.good)
    return state, ()


def _passed(state: State) -> Step:
    newcomer, current = state.newcomer, state.current
    if current is None:
        return state, ()
    fallback = (state.fallback or state.good) if newcomer else state.fallback
    fallback = None if fallback == current else fallback
    state = _enter(state, Phase.STEADY, good=current, fallback=fallback, attempt=0, restart_back=False)
    return state, (Commit(current),) if newcomer else ()


def _declined(state: State, reason: str) -> Step:
    """The old pipeline still runs: the disk follows the truth, and what ran goes on where it was."""
    state, blamed = _blame(state, reason)
    before = state.before
    if before is None:  # cannot be: a reload needs a child that runs something
        return _replace_child(state, state.good, hurried=True)
    phase = Phase.STEADY if before == state.good else Phase.PROBATION
    back = state.restart_back and before != state.good
    state = _enter(state, phase, current=before, before=None, restart_back=back, cooling=True)
    return state, (*blamed, Install(before))


def _give_up(state: State, reason: str, *, hurried: bool = False) -> Step:
    """The child is up and not well: go back to good, by the gentlest way that works."""
    if state.fallback is not None and not state.newcomer:
        state, blamed = _fall_back(state, reason)
        state, actions = _replace_child(state, state.good, hurried=hurried)
        return state, blamed + actions
    if state.newcomer and state.good is None and state.attempt > 0:
        state, blamed = _blame(state, reason)
        state, actions = _replace_child(state, None, hurried=hurried)
        return state, blamed + actions
    if not state.newcomer or state.good is None:
        return _replace_child(state, state.good if state.phase is Phase.STEADY else None, hurried=hurried)
    state, blamed = _blame(state, reason)
    good = state.good
    if hurried or state.restart_back or state.congested or state.cooling or good is None:
        state, actions = _replace_child(state, good, hurried=hurried, restart_back=False)
        return state, blamed + actions
    state = _enter(state, Phase.REVERTING, before=state.current, current=good)
    return state, (*blamed, Install(good), Reload(good))


def _terminate(state: State) -> Step:
    closed = replace(state, intake=Intake.CLOSED, ready=None)
    match state.phase:
        case Phase.DOWN | Phase.BACKOFF:
            return _enter(closed, Phase.STOPPED), ()
        case Phase.STOPPING if state.hurried:
            return closed, (Kill(),)
        case Phase.STOPPING:
            return _enter(closed, Phase.STOPPING, hurried=True), ()
        case Phase.REPLACING:  # TERM is on its way already: a second one would be lost in the first
            return _enter(closed, Phase.STOPPING), ()
        case _:
            return _enter(closed, Phase.STOPPING, hurried=False), (Stop(),)
