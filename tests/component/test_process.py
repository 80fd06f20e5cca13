"""Who ends, how it is told, and what becomes of those that are left: with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from component.process_table import ENV, attached, children, gone, numbers_in, python, sh, state, zombies
from conftest import eventually, waits_until

from supervisor.adapters.process import Processes, describe_exit


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with attached() as owner:
        yield owner


# --- how it ended ----------------------------------------------------------------------------------------------------


async def test_every_exit_status_arrives(processes: Processes) -> None:
    spawned = [processes.spawn(sh(f"exit {status}"), env=ENV, cwd=None) for status in range(256)]

    assert [await child.wait() for child in spawned] == list(range(256))


@pytest.mark.parametrize("sig", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 6])
async def test_a_death_by_signal_is_a_negative_status(processes: Processes, sig: int) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)

    assert child.signal(sig)

    assert await child.wait() == -sig
    assert child.returncode == -sig


async def test_several_can_wait_and_a_cancelled_wait_harms_nobody(processes: Processes) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)
    impatient, patient = asyncio.create_task(child.wait()), asyncio.create_task(child.wait())
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    child.signal(signal.SIGTERM)

    assert impatient.cancelled()
    assert await patient == -signal.SIGTERM
    assert await child.wait() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "exit status 0"),
        (255, "exit status 255"),
        (-9, "killed by SIGKILL (9)"),
        (-6, "killed by SIGABRT (6)"),
        (-40, "killed by signal 40"),
    ],
)
def test_an_end_is_told_in_words(returncode: int, words: str) -> None:
    assert describe_exit(returncode) == words


# --- orphans ---------------------------------------------------------------------------------------------------------


async def test_orphans_never_take_the_status_of_a_child(processes: Processes) -> None:
    spawned = [processes.spawn(sh(f"(true &); exit {n}"), env=ENV, cwd=None) for n in range(100)]

    statuses = [await child.wait() for child in spawned]

    assert statuses == list(range(100))
    await eventually(lambda: processes.orphans_reaped == 100)
    assert zombies() == []


async def test_a_flood_of_orphans_is_reaped_and_the_loop_goes_on(processes: Processes) -> None:
    stalls: list[float] = []

    async def watch_the_loop() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            stalls.append(time.perf_counter() - before - 0.002)

    watch = asyncio.create_task(watch_the_loop())
    child = processes.spawn(sh("i=0; while [ $i -lt 10000 ]; do (true &); i=$((i+1)); done"), env=ENV, cwd=None)

    assert await child.wait() == 0

    await eventually(lambda: processes.orphans_reaped == 10_000)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert zombies() == []
    print(f"10,000 orphans: longest stall of the loop {max(stalls) * 1000:.1f} ms in {len(stalls)} turns")


CROWD = """
import os
outlet, inlet = os.pipe()
for _ in range(500):
    if os.fork() == 0:
        os.setsid()
        os.close(inlet)
        os.read(outlet, 1)
        os._exit(0)
"""


async def test_many_orphans_that_die_in_one_moment_are_reaped(processes: Processes) -> None:
    # Each waits for the end of one pipe, which the parent alone holds open.
    child = processes.spawn(python(CROWD), env=ENV, cwd=None)

    assert await child.wait() == 0

    await eventually(lambda: processes.orphans_reaped == 500)
    assert zombies() == []


@pytest.fixture
def elder_zombie() -> int:
    """A child of ours that is dead already, and not reaped."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


async def test_a_zombie_that_was_there_before_us_is_reaped_too(elder_zombie: int) -> None:
    owner = Processes()

    owner.attach(asyncio.get_running_loop())

    await eventually(lambda: owner.orphans_reaped == 1)
    owner.detach()
    assert state(elder_zombie) == ""


# --- signals and identity --------------------------------------------------------------------------------------------


async def test_a_signal_reaches_the_process_and_a_group_signal_its_family(processes: Processes, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    listen = "trap 'echo {0} >> {1}' USR1; echo {0} is ready >> {1}; while :; do sleep 0.01; done"
    family = f"({listen.format('son', heard)}) & {listen.format('parent', heard)}"
    child = processes.spawn(sh(family), env=ENV, cwd=None)
    await eventually(lambda: heard.exists() and heard.read_text().count("ready") == 2)

    assert child.signal(signal.SIGUSR1)
    await eventually(lambda: "parent\n" in heard.read_text())
    assert child.signal_group(signal.SIGUSR1)
    await eventually(lambda: heard.read_text().count("parent\n") == 2 and "son\n" in heard.read_text())

    assert heard.read_text().count("son\n") == 1


async def test_a_group_signal_takes_the_grandchildren(processes: Processes, tmp_path: Path) -> None:
    child = processes.spawn(sh(f"sleep 600 & echo $! > {tmp_path}/pid; wait"), env=ENV, cwd=None)
    [grandchild] = await numbers_in(tmp_path / "pid", 1)

    assert child.signal_group(signal.SIGKILL)

    assert await child.wait() == -signal.SIGKILL
    await eventually(lambda: gone(grandchild))


@pytest.mark.parametrize("how", ["exit 3", "kill -9 $$"])
async def test_what_is_left_of_a_group_goes_with_its_leader(processes: Processes, tmp_path: Path, how: str) -> None:
    child = processes.spawn(sh(f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/pid; {how}"), env=ENV, cwd=None)

    await child.wait()

    [grandchild] = await numbers_in(tmp_path / "pid", 1)
    await eventually(lambda: gone(grandchild))


LEAVES_ITS_GROUP = """
import os, sys, time
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execlp("sleep", "sleep", "600")
while os.getpgid(pid) != pid:
    time.sleep(0.001)
with open(sys.argv[1], "w") as file:
    print(pid, file=file)
"""


async def test_a_descendant_in_a_group_of_its_own_goes_with_the_session(processes: Processes, tmp_path: Path) -> None:
    completed = await processes.run(python(LEAVES_ITS_GROUP, tmp_path / "pid"), env=ENV, cwd=None, timeout=60)

    assert completed.returncode == 0
    [descendant] = await numbers_in(tmp_path / "pid", 1)
    await eventually(lambda: gone(descendant))


async def test_no_signal_is_sent_for_one_that_is_gone(processes: Processes) -> None:
    child = processes.spawn(["true"], env=ENV, cwd=None)
    await child.wait()

    assert not child.alive()
    assert not child.signal(0)
    assert not child.signal_group(0)
    assert child.usage() is None
    assert child.listens_on(1) is False


async def test_a_zombie_is_not_alive(processes: Processes) -> None:
    child = processes.spawn(["true"], env=ENV, cwd=None)

    waits_until(lambda: state(child.pid) == "Z")  # the loop does not turn meanwhile, so nobody has reaped it

    assert child.returncode is None
    assert not child.alive()
    assert not child.signal(signal.SIGKILL)
    assert not child.signal_group(signal.SIGKILL)
    assert child.usage() is None
    assert await child.wait() == 0


async def test_a_stopped_process_is_alive(processes: Processes) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)

    child.signal(signal.SIGSTOP)
    await eventually(lambda: state(child.pid) == "T")

    assert child.alive()
    assert child.signal_group(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL


# --- the death of the parent -----------------------------------------------------------------------------------------

PARENT = """
import asyncio, os
from supervisor.adapters.process import Processes
async def main():
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    child = processes.spawn(["sleep", "600"], env=dict(os.environ), cwd=None)
    running = asyncio.create_task(processes.run(["sleep", "601"], env=dict(os.environ), cwd=None, timeout=600))
    await asyncio.sleep(0)
    print(child.pid, *open("/proc/self/task/%d/children" % os.getpid()).read().split(), flush=True)
    await child.wait()
asyncio.run(main())
"""


def test_no_child_survives_a_killed_supervisor() -> None:
    parent = subprocess.Popen(python(PARENT), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = {int(word) for word in parent.stdout.readline().split()}
    assert len(pids) == 2
    assert not any(gone(pid) for pid in pids)

    parent.kill()
    parent.wait()

    waits_until(lambda: all(gone(pid) for pid in pids))
    parent.stdout.close()


# --- the way out -----------------------------------------------------------------------------------------------------


async def test_stopping_everything_takes_orphans_that_left_their_group(processes: Processes, tmp_path: Path) -> None:
    escape = f"setsid sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 600; done' & sleep 600"
    child = processes.spawn(sh(escape), env=ENV, cwd=None)
    [escaped] = await numbers_in(tmp_path / "pid", 1)
    child.signal_group(signal.SIGKILL)
    await child.wait()
    assert not gone(escaped)

    await processes.stop_everything()

    assert gone(escaped)
    assert children() == []


@pytest.fixture
def elder() -> Iterator[int]:
    """A child of ours that no `Processes` started."""
    with subprocess.Popen(["sleep", "600"]) as popen:
        yield popen.pid
        popen.kill()


async def test_stopping_everything_spares_who_was_there_before_us(elder: int) -> None:
    owner = Processes()
    owner.attach(asyncio.get_running_loop())
    child = owner.spawn(["sleep", "600"], env=ENV, cwd=None)

    await owner.stop_everything()

    assert child.returncode == -signal.SIGKILL
    assert not gone(elder)
    owner.detach()
