"""A reaper that is PID 1 keeps every status, leaves no zombie, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import waits_until
from e2e.namespace import Namespace, skip_where_refused

pytestmark = pytest.mark.namespaces

Start = Callable[..., Namespace]


@pytest.fixture(params=[False, True], ids=["as-we-are", "in-a-user-namespace"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a Python program as PID 1; `main` is what its loop runs, with `processes` attached and `ENV` at hand."""
    user: bool = request.param
    skip_where_refused(user)
    with ExitStack() as opened:

        def start_one(main: str, *arguments: object) -> Namespace:
            argv = [sys.executable, "-c", PROGRAM + main + END, *map(str, arguments)]
            return opened.enter_context(Namespace(argv, user=user))

        yield start_one


PROGRAM = """
import asyncio, os, signal, sys, time
from supervisor.adapters.process import Processes
ENV = {"PATH": os.environ["PATH"]}
def sh(script):
    return ["sh", "-c", script]
async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)
async def main(processes):
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    processes.attach(loop)
    assert os.getpid() == 1
"""

END = """
    print("done", flush=True)
    await told.wait()
asyncio.run(main(Processes()))
"""


def test_orphans_never_take_the_status_of_a_child(start: Start) -> None:
    first = start("""
    spawned = [processes.spawn(sh(f"(true &); exit {n}"), env=ENV, cwd=None) for n in range(100)]
    print([await child.wait() for child in spawned] == list(range(100)))
    await until(lambda: processes.orphans_reaped == 100)
""")

    first.says("done")

    assert first.stdout() == "True\ndone\n"
    assert len(first.states()) == 1
    assert first.zombies() == []
    first.send(signal.SIGTERM)
    assert first.wait() == 0


def test_a_flood_of_orphans_leaves_no_zombie_and_the_loop_goes_on(start: Start) -> None:
    first = start("""
    flood = "i=0; while [ $i -lt 10000 ]; do (true &); i=$((i+1)); done"
    child = processes.spawn(sh(flood), env=ENV, cwd=None)
    longest = 0
    while processes.orphans_reaped < 10000:
        before = time.perf_counter()
        await asyncio.sleep(0.002)
        longest = max(longest, time.perf_counter() - before - 0.002)
    print("longest stall", longest * 1000, "ms")
    print("status", await child.wait())
""")

    first.says("done", limit=60)

    assert "status 0\n" in first.stdout()
    assert len(first.states()) == 1
    print(first.stdout())


def test_no_other_signal_is_lost_while_orphans_die_and_the_loop_is_busy(start: Start) -> None:
    first = start("""
    flood = processes.spawn(sh("i=0; while [ $i -lt 2000 ]; do (true &); i=$((i+1)); done"), env=ENV, cwd=None)
    while flood.alive():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)
    print("status", await flood.wait())
    await until(lambda: processes.orphans_reaped == 2000)
""")

    first.says("done", limit=60)

    assert first.wait() == 0
    assert first.stdout() == "status 0\ndone\n"
    assert first.stderr() == ""


def test_an_orphan_that_left_its_group_is_adopted_and_reaped(start: Start, tmp_path: Path) -> None:
    first = start(
        """
    os.mkfifo(sys.argv[1])
    escape = f"setsid sh -c 'echo escaped > {sys.argv[1]}; exec sleep 600' & read word < {sys.argv[1]}; exit 3"
    child = processes.spawn(sh(escape), env=ENV, cwd=None)
    print("status", await child.wait(), flush=True)
    await until(lambda: processes.orphans_reaped == 1)
""",
        tmp_path / "escaped",
    )
    first.says("status 3")
    waits_until(lambda: list(first.command_lines().values()).count("sleep 600") == 1)
    [orphan] = [pid for pid, line in first.command_lines().items() if line == "sleep 600"]

    os.kill(orphan, signal.SIGKILL)

    first.says("done")
    assert len(first.states()) == 1


def test_a_pid_given_to_another_process_gets_no_signal_meant_for_the_former(start: Start) -> None:
    first = start("""
    former = processes.spawn(["true"], env=ENV, cwd=None)
    await former.wait()
    for attempt in range(100):
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(former.pid - 1 - attempt % 3))  # a thread takes a number, too
        later = processes.spawn(["sleep", "600"], env=ENV, cwd=None)
        if later.pid == former.pid:
            break
        later.signal(signal.SIGKILL)
        await later.wait()
    print("same number", later.pid == former.pid)
    print("former", former.alive(), former.signal(signal.SIGKILL), former.signal_group(signal.SIGKILL), former.usage())
    print("later", later.alive(), later.returncode, later.signal(signal.SIGTERM), await later.wait())
""")

    first.says("done")

    assert first.stdout().splitlines() == [
        "same number True",
        "former False False False None",
        "later True None True -15",
        "done",
    ]


def test_stopping_everything_leaves_pid_1_alone(start: Start) -> None:
    first = start("""
    for n in range(5):
        processes.spawn(sh("trap '' TERM; (setsid sleep 600 &); sleep 600 & sleep 600"), env=ENV, cwd=None)
    print("spawned", flush=True)
    await told.wait()
    await processes.stop_everything()
    told.clear()
""")
    first.says("spawned")
    waits_until(lambda: list(first.command_lines().values()).count("sleep 600") == 15)

    first.send(signal.SIGTERM)

    first.says("done")
    assert len(first.states()) == 1


def test_nothing_survives_a_killed_pid_1(start: Start) -> None:
    first = start("""
    processes.spawn(sh("(setsid sleep 600 &); sleep 600"), env=ENV, cwd=None)
""")
    first.says("done")
    waits_until(lambda: list(first.command_lines().values()).count("sleep 600") == 2)
    inside = first.states()

    first.send(signal.SIGKILL)

    assert first.wait() != 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in inside)


# --- that these tests can fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_the_exit_status_of_pid_1_arrives(status: int) -> None:
    skip_where_refused()
    with Namespace(["sh", "-c", f"exit {status}"]) as first:
        assert first.wait() == status


def test_a_pid_1_that_does_not_reap_is_seen_to_have_zombies() -> None:
    skip_where_refused()
    orphan = 'while [ "$(cat /proc/1/comm)" = sh ]; do :; done'  # ends when PID 1 is no longer a shell, which reaps
    with Namespace(["sh", "-c", f"({orphan} &); exec sleep 600"]) as first:
        waits_until(lambda: len(first.zombies()) == 1)


def test_a_signal_without_a_handler_is_dropped_for_pid_1() -> None:
    skip_where_refused()
    with Namespace(["sh", "-c", "trap 'echo heard' USR1; echo ready; while :; do sleep 0.01; done"]) as first:
        first.says("ready")

        first.send(signal.SIGTERM)
        first.send(signal.SIGUSR1)

        first.says("heard")
        assert not first.ended()
