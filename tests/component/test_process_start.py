"""How a program starts, or says why it does not."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from component.process_table import ENV, attached, children, sh
from conftest import eventually

from supervisor.adapters.process import Processes, Sandbox
from supervisor.model import ProcessError


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with attached() as owner:
        yield owner


@pytest.fixture
def odd_dispositions() -> Iterator[None]:
    """SIGUSR1 ignored, SIGUSR2 handled, SIGHUP blocked, as a careless parent could have left us."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.signal(signal.SIGUSR2, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGUSR1, before[0])
    signal.signal(signal.SIGUSR2, before[1])


OF_THE_LIBRARY = 0b11 << 31
"""Signals 32 and 33: the C library keeps them for itself, and whoever started us may have left one ignored."""


@pytest.mark.usefixtures("odd_dispositions")
async def test_a_program_starts_with_empty_mask_and_default_dispositions(processes: Processes) -> None:
    completed = await processes.run(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], env=ENV, cwd=None, timeout=10)

    masks = [int(line.split()[1], 16) & ~OF_THE_LIBRARY for line in completed.stdout.splitlines()]
    assert masks == [0, 0]
    assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN


async def test_a_program_leads_its_own_session_and_group(processes: Processes) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)

    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


async def test_environment_and_directory_are_the_given_ones(processes: Processes, tmp_path: Path) -> None:
    completed = await processes.run(sh("pwd -P; env"), env={**ENV, "A": "b=c"}, cwd=str(tmp_path), timeout=10)

    lines = completed.stdout.splitlines()
    assert lines[0] == str(tmp_path.resolve())
    assert {line for line in lines[1:] if not line.startswith(("PWD=", "_=", "SHLVL=", "OLDPWD="))} == {
        f"PATH={ENV['PATH']}",
        "A=b=c",
    }


async def test_a_program_in_a_sandbox_has_no_streams_no_core_and_is_killed_first(processes: Processes) -> None:
    script = (
        "seen=$(readlink /proc/$$/fd/0 /proc/$$/fd/1); echo $seen >&2; ulimit -c >&2; cat /proc/self/oom_score_adj >&2"
    )
    child = processes.spawn(sh(script), env=ENV, cwd=None, echo_stderr=False, sandbox=Sandbox())

    await child.wait()

    assert child.stderr_since(0).split() == ["/dev/null", "/dev/null", "0", "1000"]


async def test_a_program_that_stays_keeps_our_place_when_memory_runs_out(processes: Processes) -> None:
    child = processes.spawn(sh("cat /proc/self/oom_score_adj >&2"), env=ENV, cwd=None, echo_stderr=False)

    await child.wait()

    assert child.stderr_since(0).strip() == Path("/proc/self/oom_score_adj").read_text().strip()


def _missing(tmp_path: Path) -> tuple[str, str]:
    return str(tmp_path / "none"), "No such file or directory"


def _missing_in_path(tmp_path: Path) -> tuple[str, str]:
    return "no-such-program", "not found in PATH"


def _directory(tmp_path: Path) -> tuple[str, str]:
    return str(tmp_path), "it is a directory"


def _not_executable(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "file").write_text("#!/bin/sh\n")
    return str(tmp_path / "file"), f"not executable for uid {os.geteuid()}"


def _executable(tmp_path: Path, text: str) -> str:
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def _no_interpreter_line(tmp_path: Path) -> tuple[str, str]:
    return _executable(tmp_path, "echo hello\n"), "neither a program for this machine nor a script that begins with #!"


def _empty(tmp_path: Path) -> tuple[str, str]:
    return _executable(tmp_path, ""), "neither a program for this machine"


def _missing_interpreter(tmp_path: Path) -> tuple[str, str]:
    return _executable(tmp_path, "#!/no/such/shell\n"), "the interpreter or loader that it names is not"


def _zero_byte(tmp_path: Path) -> tuple[str, str]:
    return str(tmp_path) + "\0", "null byte"


_UNSTARTABLE = [
    _missing,
    _missing_in_path,
    _directory,
    _not_executable,
    _no_interpreter_line,
    _empty,
    _missing_interpreter,
    _zero_byte,
]


@pytest.mark.parametrize("case", _UNSTARTABLE)
async def test_a_program_that_cannot_start_says_why(processes: Processes, tmp_path: Path, case) -> None:
    program, reason = case(tmp_path)
    descriptors = len(os.listdir("/proc/self/fd"))

    with pytest.raises(ProcessError, match=re.escape(reason)) as spawned:
        processes.spawn([program], env=ENV, cwd=None)
    with pytest.raises(ProcessError, match=re.escape(reason)):
        await processes.run([program], env=ENV, cwd=None, timeout=5)

    assert repr(program) in str(spawned.value)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) == descriptors)
    assert children() == []


@pytest.mark.parametrize("directory", ["none", "file"])
async def test_an_unusable_working_directory_is_named(processes: Processes, tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ProcessError, match=f"working directory '.*{directory}' cannot be used"):
        processes.spawn(["true"], env=ENV, cwd=str(tmp_path / directory))


async def test_the_environment_is_not_told_when_a_start_fails(processes: Processes) -> None:
    with pytest.raises(ProcessError) as failed:
        processes.spawn(["no-such-program"], env={**ENV, "PASSWORD": "hunter2"}, cwd=None)

    assert "hunter2" not in str(failed.value)


async def test_only_the_main_thread_spawns(processes: Processes) -> None:
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(processes.spawn, ["true"], env=ENV, cwd=None)


def test_nothing_is_spawned_before_the_reaper_stands() -> None:
    with pytest.raises(RuntimeError, match="before the first spawn"):
        Processes().spawn(["true"], env=ENV, cwd=None)


async def test_descriptors_and_threads_are_given_back(processes: Processes) -> None:
    descriptors, threads = sorted(os.listdir("/proc/self/fd")), threading.active_count()

    for _ in range(20):
        await processes.spawn(sh("echo words >&2"), env=ENV, cwd=None, echo_stderr=False).wait()
        await processes.run(sh("echo words"), env=ENV, cwd=None, timeout=10)

    await eventually(lambda: threading.active_count() == threads)
    assert sorted(os.listdir("/proc/self/fd")) == descriptors
