"""The launcher in the image, as a program in front of a stand-in for the real one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / "image" / "launcher"
HELD_BACK = LAUNCHER.read_text().split("\n", 1)[0].removeprefix("#!").replace(" -S", "").split()[:-2]
"""What the first line of the launcher starts Python with."""
REAL = """#!/bin/sh
echo "real: $*"
while read -r name value; do
    case $name in SigBlk: | SigIgn:) echo "$name $value" ;; esac
done < /proc/$$/status
exit 7
"""
"""Reads its own state without starting anything: a shell holds all signals back around the start of a command."""
SUPERVISE = """
import runpy, sys, types
cli = types.ModuleType("supervisor.cli")
cli.main = lambda arguments: print("supervised:", *arguments, "heavy:", "yaml" in sys.modules) or 5
sys.modules["supervisor.cli"] = cli
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """The launcher at its place in a layout like the image's, with a script as the real program."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "libexec").mkdir()
    real = tmp_path / "libexec" / "fluent-bit"
    real.write_text(REAL)
    real.chmod(0o755)
    return Path(shutil.copy(LAUNCHER, tmp_path / "bin" / "fluent-bit"))


def launch(launcher: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Start it as its first line does, with this interpreter."""
    environment = {"PATH": os.environ["PATH"], **environ}
    command = [*HELD_BACK, sys.executable, "-I", str(launcher), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)


def supervise(launcher: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start it with a stand-in for the supervisor that tells its arguments."""
    command = [*HELD_BACK, sys.executable, "-I", "-c", SUPERVISE, str(launcher), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("line", ["-V", "--help", "-J", "-D -c /a.conf", "-i tail -h", "/fluent-bit/bin/fluent-bit -V"])
def test_questions_for_the_real_program_reach_it_unchanged(launcher: Path, line: str) -> None:
    answer = launch(launcher, *line.split())

    assert answer.stdout.splitlines()[0] == f"real: {line}"
    assert (answer.returncode, answer.stderr) == (7, "")


def test_the_real_program_is_started_with_default_signals(launcher: Path) -> None:
    _name, _blocked, blocked, _ignored, ignored = launch(launcher, "-V").stdout.replace("real: ", "").split()

    assert int(blocked, 16) == 0
    assert int(ignored, 16) & (1 << 12) == 0, "SIGPIPE"
    assert int(ignored, 16) & (1 << 24) == 0, "SIGXFSZ"


def test_the_first_line_holds_signals_back_while_python_starts() -> None:
    command = [*HELD_BACK, "grep", "SigBlk", "/proc/self/status"]

    blocked = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1], 16)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        assert blocked & (1 << (number - 1)), number


def test_another_real_program_can_be_named(launcher: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho other\n")
    other.chmod(0o755)

    assert launch(launcher, "-V", FBS_FLUENT_BIT_BINARY=str(other)).stdout == "other\n"


def test_it_never_becomes_itself(launcher: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(launcher)

    for itself in (launcher, link):
        assert launch(launcher, "-V", FBS_FLUENT_BIT_BINARY=str(itself)).returncode == 7


def test_a_missing_real_program_is_named_in_one_line(launcher: Path, tmp_path: Path) -> None:
    (tmp_path / "libexec" / "fluent-bit").unlink()

    answer = launch(launcher, "-V")

    assert answer.stderr == f"fluent-bit: cannot start {tmp_path}/libexec/fluent-bit: No such file or directory\n"
    assert answer.returncode == 127


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-c /a.conf", "-c /a.conf"),
        ("--workdir=/etc --config=/etc/a.conf", "--workdir=/etc --config=/etc/a.conf"),
        ("", "run"),
        ("check --help", "check --help"),
        ("-D --layer a=/b", "-D --layer a=/b"),
    ],
)
def test_everything_else_is_supervised(launcher: Path, line: str, told: str) -> None:
    answer = supervise(launcher, *line.split())

    assert answer.stdout == f"supervised: {told} heavy: False\n", answer.stderr
    assert answer.returncode == 5


LOADING = """
import runpy, sys, types
def load(name):
    print("loading", flush=True)
    sys.stdin.readline()
    raise SystemExit("loaded")
supervisor = types.ModuleType("supervisor.arguments")
supervisor.__getattr__ = load
sys.modules["supervisor.arguments"] = supervisor
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def loading(launcher: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the launcher with libraries that load until a line is typed; comes back when they have begun."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [*HELD_BACK, sys.executable, "-I", "-c", LOADING, str(launcher), *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("line", ["", "run", "-c /a.conf", "/fluent-bit/bin/fluent-bit -c /a.conf"])
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_told_to_stop_while_it_loads_it_ends_with_0(
    loading: Callable[..., subprocess.Popen[str]], line: str, sent: signal.Signals
) -> None:
    process = loading(*line.split())

    process.send_signal(sent)

    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0


def test_told_to_look_again_while_it_loads_it_goes_on(loading: Callable[..., subprocess.Popen[str]]) -> None:
    process = loading("run")

    process.send_signal(signal.SIGHUP)

    assert process.communicate("go on\n", timeout=10)[1] == "loaded\n"


def test_a_check_that_is_broken_off_is_no_success(loading: Callable[..., subprocess.Popen[str]]) -> None:
    process = loading("check")

    process.send_signal(signal.SIGTERM)

    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
