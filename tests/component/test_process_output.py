"""Where the bytes of a program go, whatever it does with them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from component.process_table import ENV, attached, children, gone, numbers_in, python, said, sh
from conftest import eventually

from supervisor.adapters.process import Processes


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with attached() as owner:
        yield owner


# --- stderr ----------------------------------------------------------------------------------------------------------


async def test_the_last_words_are_there_when_the_wait_ends(processes: Processes) -> None:
    spawned = [
        processes.spawn(sh(f"echo the last words of {n} >&2; exit 3"), env=ENV, cwd=None, echo_stderr=False)
        for n in range(50)
    ]

    for n, child in enumerate(spawned):
        assert await child.wait() == 3
        assert child.stderr_since(0) == f"the last words of {n}\n"


def escaping(fifo: Path) -> str:
    """A piece of shell: starts a process that leaves the group and keeps the streams, and goes on when it has left."""
    os.mkfifo(fifo)
    return f"setsid sh -c 'echo escaped > {fifo}; exec sleep 600' & read word < {fifo}"


async def test_a_descendant_that_keeps_stderr_open_does_not_hold_up_the_wait(
    processes: Processes, tmp_path: Path
) -> None:
    script = f"{escaping(tmp_path / 'fifo')}; echo bye >&2; exit 3"
    child = processes.spawn(sh(script), env=ENV, cwd=None, echo_stderr=False)

    assert await asyncio.wait_for(child.wait(), 20) == 3

    assert child.stderr_since(0) == "bye\n"


async def test_a_mark_tells_later_words_from_earlier_ones(processes: Processes, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    child = processes.spawn(
        sh(f"echo before >&2; cat {tmp_path}/go; echo after >&2"), env=ENV, cwd=None, echo_stderr=False
    )
    await said(child, "before\n")

    mark = child.stderr_mark()
    (tmp_path / "go").write_text("")
    await child.wait()

    assert child.stderr_since(mark) == "after\n"
    assert child.stderr_since(0) == "before\nafter\n"
    assert child.stderr_since(child.stderr_mark()) == ""


async def test_the_latest_64_kib_of_stderr_are_kept(processes: Processes) -> None:
    lines = "".join(f"line {n}\n" for n in range(30_000))
    script = "import sys\nfor n in range(30_000): print('line', n, file=sys.stderr)"
    child = processes.spawn(python(script), env=ENV, cwd=None, echo_stderr=False)

    await child.wait()

    assert child.stderr_since(0) == lines[-64 * 1024 :]
    assert child.stderr_mark() == len(lines)
    assert child.stderr_since(len(lines) - 5) == lines[-5:]


ECHO = """
import asyncio, os, sys
from supervisor.adapters.process import Processes
async def main():
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    write = "import os; data = bytes(range(256)) * 4096\\nwhile data: data = data[os.write(2, data):]"
    child = processes.spawn([sys.executable, "-c", write], env=dict(os.environ), cwd=None)
    for _ in range(100):
        await asyncio.sleep(0.005)
    assert child.alive(), "the child is held up by the pipe that nobody reads"
    print("turned", flush=True)
    print(await child.wait(), flush=True)
asyncio.run(main())
"""


def test_a_blocked_stderr_stops_the_child_not_the_loop_and_loses_no_byte() -> None:
    echoing = subprocess.Popen(python(ECHO), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert echoing.stdout is not None

    assert echoing.stdout.readline() == b"turned\n"

    stdout, stderr = echoing.communicate(timeout=60)
    assert stdout == b"0\n"
    assert stderr == bytes(range(256)) * 4096


LATE = """
import asyncio, os, sys
from supervisor.adapters.process import Processes
async def main():
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    write = "import os, time; os.write(2, bytes(80 * 1024)); time.sleep(0.2); os.write(2, b'last words')"
    child = processes.spawn([sys.executable, "-c", write], env=dict(os.environ), cwd=None)
    while child.returncode is None:
        await asyncio.sleep(0.01)
    print("dead", flush=True)
    await child.wait()
    print(child.stderr_since(0)[-10:], flush=True)
asyncio.run(main())
"""


def test_a_wait_lets_a_slow_stderr_catch_up() -> None:
    echoing = subprocess.Popen(python(LATE), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert echoing.stdout is not None

    assert echoing.stdout.readline() == b"dead\n"

    stdout, stderr = echoing.communicate(timeout=60)
    assert stdout == b"last words\n"
    assert stderr == bytes(80 * 1024) + b"last words"


def test_a_closed_stderr_does_not_hold_up_the_child() -> None:
    closed = "import os; os.close(2); r, w = os.pipe(); os.dup2(w, 2); os.close(w); os.close(r)\n"
    script = closed + ECHO.replace("assert child.alive()", "assert not child.alive()")
    echoing = subprocess.run(python(script), stdout=subprocess.PIPE, timeout=60, check=False)

    assert echoing.stdout == b"turned\n0\n"


# --- secrets ---------------------------------------------------------------------------------------------------------

REDACTING = """
import asyncio, os, subprocess, sys, time
from supervisor.adapters.process.output import Echo
from supervisor.core.redaction import Redaction
class Known:
    redaction = Redaction({"platform/KEY": "s3cr3t-value", "shop/PEM": "first line\\nsecond line"})
async def main(program, look=lambda echo: None):
    outlet, inlet = os.pipe()
    echo = Echo(asyncio.get_running_loop(), outlet, True, lambda: Known.redaction)
    child = subprocess.Popen([sys.executable, "-c", program], stderr=inlet, stdin=subprocess.PIPE)
    os.close(inlet)
    await asyncio.to_thread(look, child)
    lag = 0.0
    while child.poll() is None:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        lag = max(lag, time.monotonic() - before)
    await echo.caught_up()
    print(echo.since(0)[-200:], lag, sep="\\n", end="")
"""


def redacting(program: str, more: str = "") -> tuple[bytes, str, float]:
    """What reaches our stderr of what a program writes, what is kept of it, and the longest turn of the loop (s)."""
    script = f"{REDACTING}\n{more or f'asyncio.run(main({program!r}))'}"
    done = subprocess.run(python(script), capture_output=True, timeout=60, check=True)
    kept, _, lag = done.stdout.decode().rpartition("\n")
    return done.stderr, kept, float(lag)


def test_a_secret_reaches_no_stderr_and_what_was_said_is_kept_to_be_understood() -> None:
    said = "x 's3cr3t-value' y\\nsecond line\\nczNjcjN0LXZhbHVl\\n"

    shown, kept, _ = redacting(f'import os; os.write(2, b"{said}")')

    assert shown == b"x '***' y\n***\n***\n"
    assert kept == "x 's3cr3t-value' y\nsecond line\nczNjcjN0LXZhbHVl\n"


def test_a_secret_that_is_written_byte_by_byte_is_hidden() -> None:
    text = b"x s3cr3t-value y s3cr3t s3cr3t-va"
    write = f"import os, time\nfor byte in {text}: os.write(2, bytes([byte])); time.sleep(0.002)"

    assert redacting(write)[0] == b"x *** y s3cr3t ***"


def test_a_line_without_a_secret_is_shown_while_the_program_waits() -> None:
    """The program goes on only when its first line has been read from our stderr."""
    program = "import os, sys\nos.write(2, b'ready: s3cr3\\n')\nsys.stdin.readline()\nos.write(2, b'gone\\n')"
    wait = f"""
def look(child):
    sys.stdin.readline()
    child.communicate(b"on\\n")
asyncio.run(main({program!r}, look))
"""
    echoing = subprocess.Popen(
        python(REDACTING + wait), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert echoing.stderr is not None
    first = echoing.stderr.readline()
    _, rest = echoing.communicate(b"on\n", timeout=30)

    assert (first, rest) == (b"ready: s3cr3\n", b"gone\n")


def test_a_secret_that_became_known_meanwhile_is_hidden() -> None:
    program = (
        "import os, sys\nos.write(2, b'new-value\\n')\nsys.stdin.readline()\nos.write(2, b's3cr3t-value new-value\\n')"
    )
    rotate = f"""
def look(child):
    Known.redaction = Redaction({{"platform/KEY": "new-value", "#1/platform/KEY": "s3cr3t-value"}})
    child.communicate(b"on\\n")
asyncio.run(main({program!r}, look))
"""
    assert redacting("", rotate)[0].endswith(b"*** ***\n")


def test_a_flood_is_redacted_without_a_stop_of_the_loop() -> None:
    """200 MB with a secret in every tenth line. The limit is far above what a busy machine needs for a turn."""
    flood = (
        "import os\nline = b'[error] could not connect to host, payload abcdefghijklmnopqrstuvwxyz 0123456789\\n'\n"
        "block = (line * 9 + b'[error] s3cr3t-value\\n') * 60\n"
        "for _ in range(200_000_000 // len(block)):\n    rest = block\n    while rest: rest = rest[os.write(2, rest):]"
    )

    shown, _, lag = redacting(flood)

    assert b"s3cr3t" not in shown
    assert shown.count(b"[error] ***\n") > 200_000
    assert lag < 2


def test_a_fault_while_redacting_shows_nothing_and_holds_up_nobody() -> None:
    fault = f"""
class Broken:
    def split(self, data, *, ended=False): raise RecursionError(data)
Known.redaction = Broken()
asyncio.run(main({"import os; os.write(2, b's3cr3t-value' * 100000)"!r}))
"""
    shown, _, _ = redacting("", fault)

    assert b"s3cr3t" not in shown
    assert b"bytes left out: RecursionError]" in shown


# --- run-once --------------------------------------------------------------------------------------------------------


async def test_a_run_captures_both_streams_apart(processes: Processes) -> None:
    completed = await processes.run(sh("cat; echo out; printf 'err\\377' >&2; exit 7"), env=ENV, cwd=None, timeout=10)

    assert (completed.returncode, completed.stdout, completed.stderr) == (7, "out\n", "err\N{REPLACEMENT CHARACTER}")
    assert not completed.timed_out
    assert not completed.truncated


async def test_a_run_that_takes_too_long_is_killed_with_its_descendants(processes: Processes, tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 600 & echo $$ > {tmp_path}/pids; echo $! >> {tmp_path}/pids; echo said; wait"

    completed = await processes.run(sh(script), env=ENV, cwd=None, timeout=0.5)

    assert completed.timed_out
    assert completed.returncode == -signal.SIGKILL
    assert completed.stdout == "said\n"
    pids = await numbers_in(tmp_path / "pids", 2)
    await eventually(lambda: all(gone(pid) for pid in pids))


async def test_a_run_that_hangs_in_an_open_is_killed(processes: Processes, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    completed = await processes.run(["cat", str(tmp_path / "fifo")], env=ENV, cwd=None, timeout=0.2)

    assert completed.timed_out


async def test_a_run_leaves_no_forked_survivor(processes: Processes, tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/pid; exit 0"

    completed = await processes.run(sh(script), env=ENV, cwd=None, timeout=60)

    assert (completed.returncode, completed.timed_out) == (0, False)
    [survivor] = await numbers_in(tmp_path / "pid", 1)
    await eventually(lambda: gone(survivor))


async def test_a_survivor_that_keeps_the_pipes_does_not_hold_up_the_run(processes: Processes, tmp_path: Path) -> None:
    completed = await processes.run(sh(f"{escaping(tmp_path / 'fifo')}; echo done"), env=ENV, cwd=None, timeout=60)

    assert (completed.returncode, completed.stdout, completed.timed_out) == (0, "done\n", False)


async def test_a_cancelled_run_leaves_nothing(processes: Processes, tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 600 & echo $$ > {tmp_path}/pids; echo $! >> {tmp_path}/pids; wait"
    descriptors = len(os.listdir("/proc/self/fd"))
    running = asyncio.create_task(processes.run(sh(script), env=ENV, cwd=None, timeout=600))
    pids = await numbers_in(tmp_path / "pids", 2)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert gone(pids[0])
    await eventually(lambda: children() == [])
    assert gone(pids[1])
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("stream", [1, 2])
async def test_a_flood_of_output_is_capped_and_costs_no_memory(processes: Processes, stream: int) -> None:
    script = f"(echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last) >&{stream}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    completed = await processes.run(sh(script), env=ENV, cwd=None, timeout=60, output_limit=64 * 1024)

    flood, other = (completed.stdout, completed.stderr)[:: 1 if stream == 1 else -1]
    assert (completed.returncode, completed.truncated, other) == (0, True, "")
    assert flood.startswith("first\nxxx")
    assert flood.endswith("xxx\nlast\n")
    assert f"[{100_000_012 - 64 * 1024} bytes left out]" in flood
    assert len(flood) < 65 * 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


@pytest.mark.parametrize("excess", [0, 1])
async def test_output_is_cut_only_beyond_the_limit(processes: Processes, excess: int) -> None:
    completed = await processes.run(
        sh(f"head -c {1001 + excess} /dev/zero | tr '\\0' x"), env=ENV, cwd=None, timeout=10, output_limit=1001
    )

    assert completed.truncated == bool(excess)
    assert completed.stdout.count("x") == 1001


async def test_runs_side_by_side_do_not_mix(processes: Processes) -> None:
    runs = [processes.run(sh(f"echo {n}; exit {n}"), env=ENV, cwd=None, timeout=30) for n in range(20)]

    completed = await asyncio.gather(*runs)

    assert [(each.returncode, each.stdout) for each in completed] == [(n, f"{n}\n") for n in range(20)]
