"""A child of an earlier supervisor is found and stopped, and nobody else is."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import waits_until

from supervisor.adapters.process.leftover import end_leftover, remember


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


async def test_the_noted_process_is_stopped(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note = str(tmp_path / "child.json")
    remember(note, sleeper.pid)

    assert await end_leftover(note, 2.0) == sleeper.pid

    assert sleeper.wait(5) == -signal.SIGTERM


async def test_another_process_with_that_pid_is_left_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note = tmp_path / "child.json"
    remember(str(note), sleeper.pid)
    note.write_text(json.dumps({**json.loads(note.read_text()), "created": 1.0e9}))

    assert await end_leftover(str(note), 2.0) is None
    assert sleeper.poll() is None


@pytest.fixture
def orphan(tmp_path: Path) -> tuple[int, int]:
    """The pid of a leader that is gone and noted, and of a process that it left in its session."""
    pid_file = tmp_path / "pid"
    script = f"set -m; sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait"
    leader = subprocess.Popen(["bash", "-c", script], start_new_session=True)
    waits_until(pid_file.exists)
    remember(str(tmp_path / "child.json"), leader.pid)
    leader.kill()
    leader.wait()
    return leader.pid, int(pid_file.read_text())


async def test_what_is_left_of_its_session_goes_too(orphan: tuple[int, int], tmp_path: Path) -> None:
    leader, left = orphan

    assert await end_leftover(str(tmp_path / "child.json"), 2.0) == leader

    waits_until(lambda: not Path(f"/proc/{left}").exists() or " Z " in Path(f"/proc/{left}/stat").read_text())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "created": 1}', '{"pid": 999999999, "created": 1}'])
async def test_a_note_that_says_nothing_stops_nobody(text: str, tmp_path: Path) -> None:
    (tmp_path / "child.json").write_text(text)

    assert await end_leftover(str(tmp_path / "child.json"), 1.0) is None
