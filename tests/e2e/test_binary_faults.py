"""A Fluent Bit that is missing, unusable, something else, or too old: it is told, and the supervisor stays up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import waits_until
from e2e.faults import Faulty, flow, supervise


def unusable(kind: str, program: Path) -> str:
    """Make the program unusable in that way; returns what must be said of it."""
    match kind:
        case "missing":
            return f"cannot use {program} as Fluent Bit: No such file or directory"
        case "not-executable":
            program.write_text("#!/bin/sh\n")
            program.chmod(0o644)
            return f"cannot start '{program}': not executable"
        case "not-a-program":
            program.write_bytes(b"\x7fELF or so")
            program.chmod(0o755)
            return f"cannot start '{program}': neither a program for this machine nor a script"
        case "something-else":
            program.write_text("#!/bin/sh\necho 'something else 1.0'\nexit 1\n")
            program.chmod(0o755)
            return f"{program} is not Fluent Bit: no version from -V (exit status 1)"
        case _:
            program.mkdir()
            return f"cannot start '{program}': it is a directory"


@pytest.mark.parametrize("kind", ["missing", "not-executable", "not-a-program", "something-else", "directory"])
def test_an_unusable_binary_is_told_blames_nobody_and_is_used_as_soon_as_it_is_right(
    tmp_path: Path, double: str, kind: str
) -> None:
    program = tmp_path / "fluent-bit"
    words = unusable(kind, program)
    with supervise(tmp_path, str(program)) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        waits_until(lambda: supervisor.events("candidate.inconclusive"))
        status = supervisor.status()

        assert words in supervisor.events("binary.unusable")[0]["message"]
        assert words in status["reason"]
        assert (status["phase"], status["ready"]) == ("down", False)
        assert [one for one in status["findings"] if one["severity"] == "error"] == []

        put_right(program, double)
        status = supervisor.until_live("a.yaml", flow("one"), 60)
        assert status["child"]["version"] == "5.1.1"
        supervisor.save("a.yaml", flow("two"))
        assert supervisor.until_live("a.yaml", flow("two"))["last_apply"]["method"] == "reload"


def put_right(program: Path, double: str) -> None:
    if program.is_dir():
        shutil.rmtree(program)
    beside = program.with_name("beside")
    beside.write_text(f'#!/bin/sh\nexec "{double}" "$@"\n')
    beside.chmod(0o755)
    beside.rename(program)


def test_a_version_without_hot_reload_is_restarted(tmp_path: Path, fluent_bit: str) -> None:
    program = Faulty(tmp_path, fluent_bit)
    program.plant("version", "echo 'Fluent Bit v2.0.14'; exit 0")
    with supervise(tmp_path, program.path) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", flow("two"))
        after = supervisor.until_live("a.yaml", flow("two"))

        assert after["child"]["version"] == "2.0.14"
        assert after["last_apply"]["method"] == "restart"
        assert after["child"]["pid"] != before["child"]["pid"]
        assert supervisor.events("reload.requested") == []
        (told,) = supervisor.events("binary.restarts")
        assert "Fluent Bit 2.0.14 cannot reload" in told["message"]


def test_a_binary_that_vanishes_keeps_no_running_pipeline_from_running(tmp_path: Path, double: str) -> None:
    program = tmp_path / "fluent-bit"
    put_right(program, double)
    with supervise(tmp_path, str(program)) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        program.unlink()
        supervisor.save("a.yaml", flow("two"))
        status = supervisor.until(lambda s: str(program) in s["reason"])

        assert [one for one in status["findings"] if one["severity"] == "error"] == []
        assert status["child"] == before["child"]
        supervisor.until_records("one", after=len(supervisor.records()))

        put_right(program, double)
        supervisor.until_live("a.yaml", flow("two"), 60)
