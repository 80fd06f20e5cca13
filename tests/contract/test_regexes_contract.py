"""What is said of regular expressions holds on the real engine: it stalls on the ones, and gets through the others."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import waits_until
from contract.regexes import HARMLESS, STALLING

CONFIG = """\
[SERVICE]
    flush 0.2
    grace 1
    log_level error
[INPUT]
    name tail
    path {text}
    read_from_head on
    buffer_max_size 1M
    parser json
[FILTER]
    name grep
    match *
    exclude log {pattern}
[OUTPUT]
    name stdout
    match *
    format json_lines
"""
PARSER = "[PARSER]\n    name json\n    format json\n"
BUSY = 1.5
"""Seconds of processor time; a whole run without a stall takes a tenth of it."""


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stalls(binary: str, directory: Path, pattern: str, text: str) -> bool:
    """Whether the record comes out, or the processor time goes up first."""
    (directory / "in.json").write_text(json.dumps({"log": text}, ensure_ascii=False) + "\n")
    (directory / "parsers.conf").write_text(PARSER)
    config = directory / "fluent-bit.conf"
    config.write_text(CONFIG.format(text=directory / "in.json", pattern=pattern))
    output = directory / "out"
    with output.open("wb") as stream:
        command = [binary, "-c", str(config), "-R", str(directory / "parsers.conf")]
        child = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:

        def told() -> str:
            assert child.poll() is None, output.read_text()
            if '"log"' in output.read_text():
                return "out"
            return "busy" if processor_seconds(child.pid) > BUSY else ""

        return waits_until(told, limit=60) == "busy"
    finally:
        child.kill()
        child.wait()


@pytest.mark.real
@pytest.mark.parametrize(("pattern", "text"), STALLING)
def test_the_real_engine_stalls_on_what_is_told_dangerous(real: str, tmp_path: Path, pattern: str, text: str) -> None:
    assert stalls(real, tmp_path, pattern, text)


@pytest.mark.real
@pytest.mark.parametrize(("pattern", "text"), HARMLESS)
def test_the_real_engine_gets_through_what_is_left_alone(real: str, tmp_path: Path, pattern: str, text: str) -> None:
    assert not stalls(real, tmp_path, pattern, text)


# --- every expression of the corpora ------------------------------------------------------------------------------
