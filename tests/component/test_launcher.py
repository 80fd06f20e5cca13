"""The launcher in the image, as a program in front of a stand-in for the real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / "image" / "launcher"
REAL = '#!/bin/sh\necho "real: $*"\ngrep SigIgn /proc/$$/status\nexit 7\n'
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
    command = [sys.executable, "-I", str(launcher), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)


def supervise(launcher: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start it with a stand-in for the supervisor that tells its arguments."""
    command = [sys.executable, "-I", "-c", SUPERVISE, str(launcher), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("line", ["-V", "--help", "-J", "-D -c /a.conf", "-i tail -h", "/fluent-bit/bin/fluent-bit -V"])
def test_questions_for_the_real_program_reach_it_unchanged(launcher: Path, line: str) -> None:
    answer = launch(launcher, *line.split())

    assert answer.stdout.splitlines()[0] == f"real: {line}"
    assert (answer.returncode, answer.stderr) == (7, "")


def test_the_real_program_is_started_with_default_signals(launcher: Path) -> None:
    ignored = int(launch(launcher, "-V").stdout.split()[-1], 16)

    assert ignored & (1 << 12) == 0, "SIGPIPE"
    assert ignored & (1 << 24) == 0, "SIGXFSZ"


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
