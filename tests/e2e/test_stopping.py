"""Told to stop, it stops: with status 0, within its grace, whatever it is doing, and the next start is a clean one.

Most of a scene is waiting, so all are played at once; each test looks at how one of them ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import DOUBLE, REAL, waits_until
from e2e.faults import (
    BLOCKED,
    ENDLESS_FILTER,
    ENDLESS_START,
    PATIENT,
    Endpoint,
    Faulty,
    backend,
    below,
    flow,
    is_double,
    lose,
    runs,
    supervise,
    with_words,
)
from running import Running, free_port

GRACE = 1.0  # seconds, as the harness sets it
LATE = 8.0  # seconds: two more than the grace, and what a busy machine may take for itself
LONG = "120s"  # longer than any scene: what ends here is ended by the signal


@dataclass
class Stage:
    """One supervisor and what is wrong around it."""

    binary: str
    program: Faulty
    supervisor: Running
    target: Endpoint
    faults: list[str] = field(default_factory=list)

    def plant(self, call: str, script: str) -> None:
        self.program.plant(call, script)
        self.faults.append(call)

    def live(self, snippet: str = flow("one")) -> dict[str, Any]:
        self.supervisor.save("a.yaml", snippet)
        return self.supervisor.until_live("a.yaml", snippet, 60)

    def until(self, phase: str) -> dict[str, Any]:
        return self.supervisor.until(lambda status: status["phase"] == phase, 60)

    def term(self) -> None:
        assert self.supervisor.process is not None
        self.supervisor.process.send_signal(signal.SIGTERM)


def preparing(stage: Stage) -> None:
    stage.live()
    stage.plant("dry-run", "trap '' TERM; sleep 600 & sleep 600")
    stage.supervisor.save("a.yaml", flow("two"))
    stage.supervisor.until(lambda status: status["intake"] == "preparing")


def trying(stage: Stage) -> None:
    stage.live()
    stage.plant("trial", "trap '' TERM; sleep 600 & sleep 600")
    stage.supervisor.save("a.yaml", flow("two"))
    assert stage.supervisor.process is not None
    waits_until(lambda: len(below(stage.supervisor.process.pid)) > 2, 30)  # type: ignore[union-attr]


def starting(stage: Stage) -> None:
    hung = flow("one", markers="slow-start=600", filters="" if is_double(stage.binary) else ENDLESS_START)
    stage.supervisor.save("a.yaml", hung)
    stage.until("starting")


def probation(stage: Stage) -> None:
    stage.supervisor.save("a.yaml", flow("one"))
    stage.until("probation")


def steady(stage: Stage) -> None:
    """With an output that hangs: the real one then ignores TERM for a minute."""
    hanging = f"name: http, match: a, host: 127.0.0.1, port: {stage.target.port}, format: json"
    stage.target.fall_silent()
    stage.live(flow("one", outputs=hanging))
    waits_until(lambda: stage.target.asked)


def reloading(stage: Stage) -> None:
    snippet = flow("one", outputs=PATIENT.format(stage.target.port))
    stage.live(snippet)
    waits_until(lambda: stage.target.asked)
    lose(stage.supervisor, stage.target)
    stage.supervisor.save("a.yaml", snippet.replace("one", "two"))
    stage.until("reloading")


def reverting(stage: Stage) -> None:
    stage.live()
    stuck = "" if is_double(stage.binary) else ENDLESS_FILTER
    stage.supervisor.save("a.yaml", flow("two", markers="stuck-engine hang-on-reload", filters=stuck))
    stage.until("reverting")


def replacing(stage: Stage) -> None:
    command = f"sleep 5{free_port()}"
    hung = "" if is_double(stage.binary) else BLOCKED.format(command)
    stage.live(flow("one", markers="ignore-term", inputs=hung))
    waits_until(lambda: not hung or with_words(command), 30)
    stage.supervisor.save("a.yaml", flow("two"))
    stage.until("replacing")


def frozen(stage: Stage) -> None:
    os.kill(stage.live()["child"]["pid"], signal.SIGSTOP)


def backoff(stage: Stage) -> None:
    stage.plant("run", "exit 1")
    stage.supervisor.save("a.yaml", flow("one"))
    waits_until(lambda: len(stage.supervisor.events("child.exited")) >= 4, 60)
    stage.until("backoff")


def down(stage: Stage) -> None:
    stage.supervisor.save("a.yaml", "pipeline: [broken\n")
    stage.supervisor.until_refused()


def idle(stage: Stage) -> None:
    stage.supervisor.until_in_sync()


BOTH = ("double", "real")
SCENES: dict[str, tuple[Callable[[Stage], None], tuple[str, ...], dict[str, str]]] = {
    "preparing": (preparing, BOTH, {"validate_timeout": LONG}),
    "trying": (trying, BOTH, {"validate_timeout": LONG}),
    "starting": (starting, BOTH, {"validate_trial": "false"}),
    "probation": (probation, BOTH, {"health_probation": LONG}),
    "steady": (steady, BOTH, {}),
    "reloading": (reloading, BOTH, {"health_interval": LONG}),
    "reverting": (reverting, BOTH, {"health_probation": "4s"}),
    "replacing": (replacing, BOTH, {"apply_method": "restart"}),
    "frozen": (frozen, BOTH, {"health_interval": LONG}),
    "backoff": (backoff, ("double",), {}),
    "down": (down, ("double",), {}),
    "idle": (idle, ("double",), {}),
}
LEFT = {"preparing": "steady", "trying": "steady", "frozen": "steady", "idle": "down"}
"""The child's phase that is left by the signal, where the scene has another name."""


@dataclass(frozen=True)
class Ended:
    """How a scene ended."""

    status: int  # exit status
    seconds: float  # from the signal on
    left: list[int]  # processes that outlived it
    phases: list[str]  # `from -> to`, all of them
    next_log: str  # of the start after that
    next_status: dict[str, Any]


def play(name: str, binary: str, home: Path) -> Ended:
    act, _, settings = SCENES[name]
    with ExitStack() as stack:
        target = stack.enter_context(backend())
        program = Faulty(home, binary)
        supervisor = stack.enter_context(supervise(home, program.path, apply_deadline=LONG, **settings))
        stage = Stage(binary, program, supervisor, target)
        act(stage)
        assert supervisor.process is not None
        family = below(supervisor.process.pid)
        began = time.monotonic()
        stage.term()
        status = supervisor.process.wait(30)
        seconds = time.monotonic() - began
        left = [process.pid for process in family if runs(process.pid)]
        entered = [event["message"] for event in supervisor.events("phase")]
        told = len(supervisor.log())
        for call in stage.faults:
            program.mend(call)
        supervisor.save("a.yaml", flow("next"))
        supervisor.argv += ["--health-probation", "200ms", "--health-interval", "200ms", "--apply-deadline", "2s"]
        supervisor.start()
        next_status = supervisor.until_live("a.yaml", flow("next"), 60)
        return Ended(status, seconds, left, entered, supervisor.log()[told:], next_status)


@pytest.fixture(scope="module")
def endings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[Ended]]]:
    """All scenes that are asked for, under way."""
    programs = {"double": str(DOUBLE), "real": REAL}
    asked = {(item.callspec.params["name"], item.callspec.params["program"]) for item in request.session.items
             if getattr(item, "callspec", None) and item.path == request.path}  # fmt: skip
    with ThreadPoolExecutor(5) as pool:
        yield {
            (name, kind): pool.submit(play, name, str(programs[kind]), tmp_path_factory.mktemp(f"{name}-{kind}"))
            for name, kind in sorted(asked)
            if programs[kind]
        }


@pytest.mark.parametrize(
    ("name", "program"),
    [
        pytest.param(name, kind, marks=[pytest.mark.real] if kind == "real" else [])
        for name, (_, kinds, _) in SCENES.items()
        for kind in kinds
    ],
)
def test_term_in_each_phase_ends_it_within_its_grace_and_the_next_start_is_clean(
    request: pytest.FixtureRequest, endings: dict[tuple[str, str], Future[Ended]], name: str, program: str
) -> None:
    request.getfixturevalue(program)  # skipped where there is no real one

    ended = endings[name, program].result()

    assert ended.status == 0
    assert ended.seconds < GRACE + LATE
    assert ended.left == []
    assert any(entry.startswith(f"{LEFT.get(name, name)} -> stop") for entry in ended.phases), ended.phases
    assert ended.phases[-1].endswith("-> stopped")
    assert ended.next_status["ready"]
    for trouble in ("child.leftover", "state.repaired", "state.locked", "internal.error", "start.degraded"):
        assert f'"{trouble}"' not in ended.next_log
