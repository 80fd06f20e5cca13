"""The supervisor itself as a process: signals, exit statuses, orphans, and what becomes of Fluent Bit without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from conftest import waits_until
from e2e.faults import AsFirst, Faulty, below, flow, runs, supervise, with_words
from e2e.namespace import skip_where_refused
from running import free_port

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def first(home: Path, program: str, environment: Mapping[str, str] | None = None) -> AsFirst:
    skip_where_refused()
    supervisor = supervise(home, program, kind=AsFirst, environment=environment)
    assert isinstance(supervisor, AsFirst)
    return supervisor


# --- signals --------------------------------------------------------------------------------------------------


@pytest.mark.namespaces
def test_signals_that_are_no_reason_to_stop(tmp_path: Path, fluent_bit: str) -> None:
    with first(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))

        supervisor.send(signal.SIGUSR1)
        supervisor.send(signal.SIGUSR2)
        supervisor.send(signal.SIGHUP)
        supervisor.send(signal.SIGCONT)

        waits_until(lambda: "Fluent Bit Dump" in supervisor.log())
        waits_until(lambda: [event for event in supervisor.events("signal") if "SIGHUP" in event["message"]])
        supervisor.save("a.yaml", flow("two"))
        after = supervisor.until_live("a.yaml", flow("two"))
        assert after["child"] == before["child"]
        assert supervisor.stop() == 0


def test_hup_has_it_look_at_once(tmp_path: Path, double: str) -> None:
    with supervise(tmp_path, double, sources_resync="1h", sources_quiet="0s") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))
        seen = supervisor.snippets / "a.yaml"
        seen.chmod(0o000)
        seen.chmod(0o644)  # nothing to see in it: only a signal can be the reason for what follows
        assert supervisor.process is not None

        supervisor.process.send_signal(signal.SIGHUP)

        waits_until(lambda: supervisor.events("signal"))
        supervisor.save("a.yaml", flow("two"))
        supervisor.process.send_signal(signal.SIGHUP)
        supervisor.until_live("a.yaml", flow("two"))


@pytest.mark.namespaces
@pytest.mark.parametrize("number", STOPS)
def test_signals_that_stop_give_fluent_bit_its_time_and_end_with_0(
    tmp_path: Path, fluent_bit: str, number: signal.Signals
) -> None:
    with first(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))

        assert supervisor.stop(number=number) == 0

        assert supervisor.events("signal")[-1]["message"].startswith(number.name)
        assert "exit status 0" in supervisor.events("child.exited")[0]["message"]
        assert supervisor.events("child.killed") == []
        assert not (supervisor.run_directory / "admin.sock").exists()


@pytest.mark.parametrize("number", STOPS)
def test_a_second_signal_shortens_the_grace(tmp_path: Path, double: str, number: signal.Signals) -> None:
    with supervise(tmp_path, double, fluent_bit_grace="60s") as supervisor:
        supervisor.save("a.yaml", flow("one", markers="ignore-term"))
        supervisor.until_live("a.yaml", flow("one", markers="ignore-term"))
        assert supervisor.process is not None
        supervisor.process.send_signal(signal.SIGTERM)
        supervisor.until(lambda status: status["phase"] == "stopping" and not status["ready"])

        supervisor.process.send_signal(number)

        assert supervisor.process.wait(20) == 0
        assert len(supervisor.events("child.killed")) == 1


PLANTED_SIGNAL = """
import os, signal, sys
class Moment:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["PLANTED_AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Moment())
"""


@pytest.mark.namespaces
@pytest.mark.parametrize("module", ["supervisor.cli", "supervisor.app", "supervisor.adapters.sources"])
def test_a_stop_signal_that_comes_while_the_program_is_loaded_is_not_lost(
    tmp_path: Path, double: str, module: str
) -> None:
    """The kernel drops what comes to a PID 1 that neither handles nor blocks it."""
    (tmp_path / "sitecustomize.py").write_text(PLANTED_SIGNAL)
    environment = {"PYTHONPATH": f"{tmp_path}:{os.getcwd()}", "PLANTED_AT": module}
    with first(tmp_path, double, environment=environment) as supervisor:
        assert supervisor.process is not None

        assert supervisor.process.wait(20) == 0
        assert "Traceback" not in supervisor.log()


@pytest.mark.namespaces
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_a_stop_signal_in_the_first_moments_is_not_lost(tmp_path: Path, double: str, delay: float) -> None:
    with first(tmp_path, double) as supervisor:
        waits_until(lambda: is_heard(supervisor.pid, signal.SIGTERM))
        time.sleep(delay)  # the moment at which it comes, not a wait

        assert supervisor.stop(20) == 0
        assert supervisor.events("internal.error") == []
        assert "Traceback" not in supervisor.log()


def is_heard(pid: int, number: int) -> bool:
    """Whether a process blocks or handles a signal, so that the kernel does not drop it."""
    try:
        rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(row.split()[1], 16) for row in rows if row.startswith(("SigBlk:", "SigCgt:"))]
    return any(mask & (1 << (number - 1)) for mask in masks)


# --- exit statuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--apply-deadline", "soon"], "apply.deadline"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--settings", "/nowhere/settings.yaml"], "/nowhere/settings.yaml"),
        (["-w", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_used_ends_it_with_2_and_one_line(flags: list[str], words: str) -> None:
    command = [sys.executable, "-m", "supervisor", "run", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert words in line


PLANTED_FAULT = """
import os
from supervisor.controller import performer
perform = performer.Performer.perform
async def failing(self, action, *more):
    if type(action).__name__ == os.environ["PLANTED_AT"]:
        raise RuntimeError("planted")
    return await perform(self, action, *more)
performer.Performer.perform = failing
"""


@pytest.mark.parametrize(
    ("program", "action"),
    [("double", "Commit"), ("double", "Stop"), pytest.param("real", "Reload", marks=pytest.mark.real)],
)
def test_a_fault_of_our_own_stops_the_child_and_ends_it_with_70_and_the_next_start_boots_from_good(
    request: pytest.FixtureRequest, tmp_path: Path, program: str, action: str
) -> None:
    fluent_bit = str(request.getfixturevalue(program))
    planted = tmp_path / "planted"
    environment = {"PYTHONPATH": f"{planted}:{os.getcwd()}", "PLANTED_AT": action}
    with supervise(tmp_path, fluent_bit, environment=environment) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))
        assert supervisor.stop() == 0
        planted.mkdir()
        (planted / "sitecustomize.py").write_text(PLANTED_FAULT)
        supervisor.start()
        good = supervisor.until_live("a.yaml", flow("one"))["good"]["generation"]
        family = below(supervisor.process.pid) if supervisor.process else []
        assert family
        supervisor.save("a.yaml", flow("two"))
        if action == "Stop":
            good = supervisor.until_live("a.yaml", flow("two"))["good"]["generation"]
            supervisor.process.send_signal(signal.SIGTERM)

        assert supervisor.process.wait(30) == 70

        (told,) = supervisor.events("internal.error")
        assert "RuntimeError: planted" in told["trace"]
        assert not any(runs(process.pid) for process in family)

        (planted / "sitecustomize.py").unlink()
        flowing = len(supervisor.records())
        supervisor.start()
        supervisor.until_records("two" if action == "Stop" else "one", after=flowing)
        started = [event for event in supervisor.events("child.started") if event["ts"] > told["ts"]]
        assert started[0]["message"] == f"Fluent Bit started with generation {good}"
        if action == "Reload":  # what was being applied is a suspect, and is not tried again as it is
            status = supervisor.until(lambda s: any(f["rule"] == "taken-back" for f in s["findings"]))
            assert "the supervisor itself failed" in status["reason"]
        supervisor.save("a.yaml", flow("three"))
        supervisor.until_live("a.yaml", flow("three"))


# --- processes ------------------------------------------------------------------------------------------------


@pytest.mark.namespaces
def test_a_flood_of_orphans_is_reaped_while_it_goes_on_answering(tmp_path: Path, fluent_bit: str) -> None:
    program, left = Faulty(tmp_path, fluent_bit), f"sleep 6{free_port()}"
    program.plant("run", f"( (i=0; while [ $i -lt 2000 ]; do (true &); i=$((i+1)); done; setsid {left}) & )")
    with first(tmp_path, program.path) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"), 60)
        waits_until(lambda: with_words(left), 60)
        waits_until(lambda: zombies(supervisor.pid) == 0)
        supervisor.save("a.yaml", flow("two"))
        supervisor.until_live("a.yaml", flow("two"), 60)
        assert supervisor.stop() == 0


def zombies(pid: int) -> int:
    return len(psutil.Process(pid).children(recursive=True)) - len(below(pid))


def test_the_child_has_a_group_of_its_own(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        child = supervisor.until_live("a.yaml", flow("one"))["child"]["pid"]
        assert supervisor.process is not None

        assert os.getpgid(child) == os.getsid(child) == child
        assert os.getpgid(supervisor.process.pid) != child
        os.killpg(os.getpgid(supervisor.process.pid), signal.SIGINT)  # as Ctrl-C at a terminal
        assert supervisor.process.wait(20) == 0
        assert "exit status 0" in supervisor.events("child.exited")[0]["message"]


def test_a_killed_supervisor_leaves_no_fluent_bit_and_the_next_one_boots_from_good(
    tmp_path: Path, fluent_bit: str
) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", "pipeline: [broken\n")
        supervisor.until_refused()

        supervisor.kill()
        waits_until(lambda: not runs(before["child"]["pid"]))
        flowing = len(supervisor.records())
        supervisor.start()
        supervisor.until_records("one", after=flowing)
        status = supervisor.until(lambda s: s["phase"] == "steady" and s["findings"])

        assert status["current"] == status["good"] == before["good"]
        assert status["ready"]
        assert supervisor.events("state.repaired") == []
