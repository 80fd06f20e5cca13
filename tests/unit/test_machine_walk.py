"""Every state that the machine can reach, in every order of events that a world can offer.

The world is small: is a child alive, what does it run, what is on disk. It answers each question in every way that is
possible, at any time, also late. The invariants are asserted on each of the steps. Numbers that only serve to tell
questions apart are taken out of the key, so the walk is finite.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from supervisor.core import events as e
from supervisor.core.machine import Intake, Phase, State, step

GENERATIONS = (1, 2, 3)
PREPARED = (*GENERATIONS, None)
Stepper = Callable[[State, e.Event], tuple[State, tuple[e.Action, ...]]]


@dataclass(frozen=True)
class World:
    alive: bool = False
    runs: int | None = None  # what the child really runs
    disk: int | None = None  # where `current` points
    asked: int | None = None  # a reload is under way to this one
    doomed: bool = False  # TERM or KILL was sent
    stale: bool = False  # the disk refused: `disk` does not say what runs
    deaf: bool = False  # a reload was declined a moment ago: signals are swallowed


Node = tuple[State, World]


def answers(state: State, world: World) -> Iterator[tuple[e.Event, World]]:
    """Whatever the world may say now, and how it looks when it has been said."""
    yield e.Changed(), world
    yield e.Terminate(), world
    yield e.Observed(not state.congested), world
    if state.intake is Intake.PREPARING:
        yield e.Refused(state.serial), world
        for number in PREPARED:
            for restart in (False, True):
                yield e.Prepared(state.serial, e.Ready(number, restart)), world
    if world.alive:
        yield e.Exited(state.incarnation), World(disk=world.disk, stale=world.stale)
        if state.phase in (Phase.STEADY, Phase.PROBATION, Phase.STARTING):  # elsewhere it makes no difference
            yield e.Exited(state.incarnation, outside=True), World(disk=world.disk, stale=world.stale)
    match state.phase:
        case Phase.STARTING:
            yield e.Exited(state.incarnation, outside=True, unstarted=True), World(disk=world.disk, stale=world.stale)
            yield e.Started(state.incarnation), world
            yield e.Unresponsive(state.epoch), world
        case Phase.RELOADING | Phase.REVERTING:
            yield e.Acknowledged(state.epoch), replace(world, runs=world.asked, asked=None)
            yield e.Declined(state.epoch), replace(world, asked=None, deaf=True)
            yield e.Unresponsive(state.epoch), world
        case Phase.PROBATION:
            yield e.Passed(state.epoch), world
            yield e.Failed(state.epoch), world
            yield e.GapElapsed(state.epoch), replace(world, deaf=False)
        case Phase.STEADY:
            yield e.Failed(state.epoch), world
            yield e.Grown(state.epoch), world
            yield e.GapElapsed(state.epoch), replace(world, deaf=False)
        case Phase.BACKOFF:
            yield e.TimerElapsed(state.epoch), world
        case Phase.REPLACING | Phase.STOPPING:
            yield e.GraceElapsed(state.epoch), world


def strangers(state: State) -> Iterator[e.Event]:
    """Answers to questions that were asked before the last one."""
    yield e.Prepared(state.serial - 1, e.Ready(1, False))
    yield e.Refused(state.serial - 1)
    yield e.Started(state.incarnation - 1)
    yield e.Exited(state.incarnation - 1)
    for kind in (e.Acknowledged, e.Declined, e.Unresponsive, e.InstallFailed, e.Passed, e.Failed):
        yield kind(state.epoch - 1)
    for kind in (e.GapElapsed, e.TimerElapsed, e.GraceElapsed, e.Grown):
        yield kind(state.epoch - 1)


def perform(before: State, after: State, world: World, actions: tuple[e.Action, ...]) -> World:
    """Do what the machine asks for, and insist that it may be asked for."""
    for action in actions:
        match action:
            case e.Install(number):
                assert number in GENERATIONS
                world = replace(world, disk=number, stale=False)
            case e.Spawn(number, incarnation):
                assert not world.alive, "never two children"
                assert world.disk == number, "the disk says what is spawned"
                assert incarnation == after.incarnation
                world = replace(world, alive=True, runs=number, asked=None, doomed=False)
            case e.Reload(number):
                assert world.alive, "never a signal to nobody"
                assert world.asked is None, "never two signals in flight"
                assert not world.doomed
                assert not world.deaf, "a signal too soon after a declined reload is swallowed"
                assert before.phase in (Phase.STEADY, Phase.PROBATION), "no signal before the child is ready"
                assert world.disk == number, "the disk says what is reloaded"
                world = replace(world, asked=number)
            case e.Stop():
                assert world.alive
                assert not world.doomed, "one TERM is enough"
                world = replace(world, doomed=True)
            case e.Kill():
                assert world.alive
                world = replace(world, doomed=True)
            case e.Commit(number):
                assert before.phase is Phase.PROBATION, "only probation proves"
                assert world.runs == number == after.good
            case e.Blame(number):
                fell_back = before.fallback is not None and after.good == before.fallback
                assert number != before.good or fell_back, "what was good is never blamed, unless it is young"
                first_start = before.good is None and before.attempt == 0
                assert not first_start or before.phase is Phase.RELOADING, "what runs alone gets a second start"
            case e.FallBack(number):
                assert number == before.fallback == after.good
                assert after.fallback is None, "there is nothing more to fall back to"
            case e.Prepare(serial):
                assert serial == after.serial
    return world


def check(state: State, world: World) -> None:
    gone = state.phase in (Phase.DOWN, Phase.BACKOFF, Phase.STOPPED)
    assert gone != world.alive, "the phase tells whether there is a child"
    if state.phase is Phase.STEADY:
        assert state.current == state.good == world.runs
        assert world.stale or world.disk == world.runs
    if state.phase is Phase.PROBATION:
        assert state.current == world.runs
    if state.phase in (Phase.STEADY, Phase.DOWN, Phase.BACKOFF) and not state.cooling:
        assert state.ready is None, "what is ready never waits while the child is free"
    if state.intake is Intake.SETTLED:
        assert state.wanted == state.serial, "nothing asked for is forgotten"
        assert state.ready is None
    if state.idle and state.phase is Phase.DOWN:
        assert state.current is None


def key(state: State, world: World) -> Node:
    """The node without what only tells questions apart: counters, and which generation has which number."""
    names: dict[int | None, int | None] = {None: None}
    numbers = (state.good, state.current, state.before, state.after, state.fallback)
    for number in (*numbers, world.runs, world.disk, world.asked):
        names.setdefault(number, len(names))
    ready = state.ready
    if ready is not None:
        ready = replace(ready, generation=names.setdefault(ready.generation, len(names)))
    plain = replace(
        state,
        wanted=min(state.wanted - state.serial, 1),
        serial=0,
        incarnation=0,
        epoch=0,
        attempt=min(state.attempt, 1) if state.good is None else 0,  # it counts only until something is good
        ready=ready,
        **{name: names[getattr(state, name)] for name in ("good", "current", "before", "after", "fallback")},
    )
    return plain, replace(world, **{name: names[getattr(world, name)] for name in ("runs", "disk", "asked")})


def successors(stepper: Stepper, state: State, world: World) -> Iterator[tuple[e.Event, State, World]]:
    for event, said in answers(state, world):
        after, actions = stepper(state, event)
        yield event, after, perform(state, after, said, actions)
        for number, action in enumerate(actions):
            if isinstance(action, e.Install):  # the disk may refuse at that very moment: nothing after it is done
                failed = replace(perform(state, after, said, actions[:number]), stale=True)
                refused, more = stepper(after, e.InstallFailed(after.epoch))
                yield event, refused, perform(after, refused, failed, more)


def walk(stepper: Stepper) -> dict[Node, set[Node]]:
    """Breadth first over everything that can be reached; returns the graph."""
    first = (State(), World())
    graph: dict[Node, set[Node]] = {}
    queue = deque([first])
    seen = {key(*first)}
    while queue:
        state, world = queue.popleft()
        edges = graph.setdefault(key(state, world), set())
        for stranger in strangers(state):
            assert stepper(state, stranger) == (state, ()), f"{stranger} is none of our business in {state}"
        for event, after, after_world in successors(stepper, state, world):
            check(after, after_world)
            assert after.good is not None or state.good is None, "good is never forgotten"
            if after.good != state.good and after.good != state.fallback:
                assert state.phase is Phase.PROBATION, "good is only ever replaced by what was proven"
                assert after.good == state.current
            if isinstance(event, e.Exited) and event.outside and not state.newcomer:
                assert after.good == state.good, "a signal from outside is nobody's fault"
            assert after.fallback is None or after.fallback != after.good
            node = key(after, after_world)
            edges.add(node)
            if node not in seen:
                seen.add(node)
                queue.append((after, after_world))
    return graph


@pytest.fixture(scope="module")
def graph() -> dict[Node, set[Node]]:
    return walk(step)


def test_every_phase_is_reached_and_no_invariant_breaks(graph: dict[Node, set[Node]]) -> None:
    assert {state.phase for state, _ in graph} == set(Phase)
    assert len(graph) > 1000


def test_a_cooperative_world_leads_from_anywhere_to_rest(graph: dict[Node, set[Node]]) -> None:
    """From each state there is a way to running what is good, to being idle, or to having stopped."""
    rest = {
        node
        for node in graph
        if (node[0].phase in (Phase.STEADY, Phase.DOWN) and node[0].intake is Intake.SETTLED)
        or node[0].phase is Phase.STOPPED
    }
    backwards: dict[Node, set[Node]] = {}
    for node, edges in graph.items():
        for edge in edges:
            backwards.setdefault(edge, set()).add(node)
    reached, queue = set(rest), deque(rest)
    while queue:
        for node in backwards.get(queue.popleft(), ()):
            if node not in reached:
                reached.add(node)
                queue.append(node)

    assert reached == set(graph)


def _forgets_to_install(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    return after, tuple(a for a in actions if not isinstance(a, e.Install))


def _listens_to_strangers(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    return step(state, replace(event, epoch=state.epoch) if isinstance(event, e.Failed) else event)


def _spawns_beside(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    if state.phase is Phase.STEADY and isinstance(event, e.Failed):
        return replace(after, phase=Phase.STARTING), (e.Spawn(state.good or 1, after.incarnation),)
    return after, actions


def _blames_the_good(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    if state.phase is Phase.STEADY and isinstance(event, e.Exited) and state.good:
        return after, (*actions, e.Blame(state.good, ""))
    return after, actions


def _commits_at_once(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    if state.phase is Phase.RELOADING and after.phase is Phase.PROBATION:
        return replace(after, phase=Phase.STEADY, good=after.current), (*actions, e.Commit(after.current or 1))
    return after, actions


def _forgets_a_change(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    if isinstance(event, e.Changed) and state.phase is Phase.RELOADING and state.intake is Intake.SETTLED:
        return replace(state, wanted=state.wanted + 1), ()
    return step(state, event)


def _signals_twice(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    if state.phase is Phase.REPLACING and isinstance(event, e.Terminate):
        return after, (*actions, e.Stop())
    return after, actions


def _blames_the_killed(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    return step(state, replace(event, outside=False) if isinstance(event, e.Exited) else event)


def _falls_back_again_and_again(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    fell_back = any(isinstance(action, e.FallBack) for action in actions)
    return replace(after, fallback=state.good) if fell_back else after, actions


def _blames_the_first_start(state: State, event: e.Event) -> tuple[State, tuple[e.Action, ...]]:
    after, actions = step(state, event)
    if isinstance(event, e.Exited) and state.phase is Phase.STARTING and state.good is None and state.current:
        return after, (*actions, e.Blame(state.current, ""))
    return after, actions


@pytest.mark.parametrize(
    "faulty",
    [
        _blames_the_killed,
        _falls_back_again_and_again,
        _blames_the_first_start,
        _forgets_to_install,
        _listens_to_strangers,
        _spawns_beside,
        _blames_the_good,
        _commits_at_once,
        _forgets_a_change,
        _signals_twice,
    ],
)
def test_the_walk_bites(faulty: Stepper) -> None:
    """A machine with a planted fault does not survive the walk."""
    with pytest.raises(AssertionError):
        walk(faulty)
