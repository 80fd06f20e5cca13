"""A trial start of the real binary finds what a dry-run misses, refuses nothing that works, and touches nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import waits_until
from contract.trial_cases import COMPLAINED, CROWD, GUILTY, HARMLESS, section
from trying import ENV, Trying, trying

from supervisor.adapters.store import lay_out
from supervisor.adapters.trial.signs import COMPLAINT_RULE, READY
from supervisor.model import Accepted, Candidate, Inconclusive, Rejected

pytestmark = pytest.mark.real


@pytest.fixture
async def bench(real: str, tmp_path: Path) -> AsyncIterator[Trying]:
    async with trying(real, tmp_path) as ready:
        yield ready


@pytest.mark.parametrize("fault", GUILTY)
async def test_what_ends_a_start_is_led_to_its_author(bench: Trying, fault: str) -> None:
    text, line, words = GUILTY[fault]

    findings = await bench.blamed({"a.conf": CROWD, "guilty.yaml": text, "z.conf": CROWD.replace(" t", " u")})

    assert [(finding.snippet, finding.line) for finding in findings] == [("platform/guilty.yaml", line)]
    assert words in findings[0].message
    assert findings[0].rule == "start"


@pytest.mark.parametrize("fault", COMPLAINED)
async def test_what_a_start_only_complains_of_is_led_to_its_author_too(bench: Trying, fault: str) -> None:
    text, line, words = COMPLAINED[fault]

    findings = await bench.blamed({"a.conf": CROWD, "guilty.yaml": text})

    assert [(finding.snippet, finding.line) for finding in findings] == [("platform/guilty.yaml", line)]
    assert words in findings[0].message
    assert findings[0].rule == COMPLAINT_RULE


@pytest.mark.parametrize("kind", HARMLESS)
async def test_what_needs_the_world_is_not_refused(bench: Trying, kind: str) -> None:
    assert await bench.start({"good.yaml": HARMLESS[kind]}) == Accepted()


async def test_storage_of_the_filesystem_without_a_path_is_found(real: str, tmp_path: Path) -> None:
    text = section("inputs", "name: dummy\nstorage.type: filesystem")

    async with trying(real, tmp_path, buffers=None) as bench:
        findings = await bench.blamed({"a.conf": CROWD, "guilty.yaml": text})

    assert [(finding.snippet, finding.line) for finding in findings] == [("platform/guilty.yaml", 4)]


async def test_two_faults_are_found_one_after_the_other_and_complaints_at_once(bench: Trying) -> None:
    complaint, fault = COMPLAINED["an unknown parser of tail"][0], GUILTY["a bad pattern of grep"][0]

    findings = await bench.blamed({"a.yaml": complaint, "b.yaml": fault, "c.yaml": complaint})

    assert [finding.snippet for finding in findings] == ["platform/a.yaml", "platform/c.yaml", "platform/b.yaml"]


async def test_a_script_that_never_ends_is_a_time_out_and_nobodys_fault(real: str, tmp_path: Path) -> None:
    endless = section("filters", "name: lua\nmatch: x\ncall: f\ncode: while true do end")

    async with trying(real, tmp_path, timeout=0.5) as bench:
        verdict = await bench.start({"endless.yaml": endless})

    assert verdict == Inconclusive("the trial start was not ready within 0.5 s", timed_out=True)


async def test_nothing_is_left_of_a_trial(bench: Trying) -> None:
    verdict = await bench.start({"good.yaml": HARMLESS["tail"], "more.yaml": HARMLESS["forward on a socket"]})

    assert verdict == Accepted()
    assert not bench.directory.exists()


# --- what it touches ----------------------------------------------------------------------------------------------

MET = re.compile(r"sin_port=htons\((\d+)\), sin_addr=inet_addr\(\"([^\"]+)\"|(sun_path=.*)")
BOUND_TO_A_PEER = {("514", "127.0.0.1", ""), ("12201", "127.0.0.1", ""), ("5170", "127.0.0.1", "")}
"""The outputs for UDP connect their socket at init: that sends nothing, and here it is to nobody."""
TRACED = "trace=connect,bind,sendto,sendmsg,sendmmsg,execve,openat,open,creat,mkdir,mkdirat,unlink,unlinkat,rename"
ALL_AT_ONCE = [text for name, text in HARMLESS.items() if not name.startswith("syslog on")]


def traced_start(real: str, bench: Trying, rehearsal: Candidate, record: Path) -> Iterator[str]:
    """The system calls of one start, up to its ready line."""
    config = lay_out(rehearsal, str(bench.directory / "config"))
    for needed in rehearsal.directories:
        if needed.path.startswith(str(bench.directory)):
            os.makedirs(needed.path, exist_ok=True)
    log = record.with_suffix(".log").open("wb")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(record), "-e", TRACED, real, "-c", config],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        env={**ENV, "PATH": os.environ["PATH"]},
        cwd=bench.directory.parent,
    )
    try:
        said = record.with_suffix(".log")
        waits_until(lambda: READY in said.read_text(errors="replace") or tracer.poll() is not None, 60)
        assert READY in said.read_text(errors="replace")
    finally:
        with suppress(OSError):
            for pid in Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        tracer.wait(10)
        log.close()
    yield from record.read_text(errors="replace").splitlines()


@pytest.mark.skipif(not any(os.access(f"{d}/strace", os.X_OK) for d in os.get_exec_path()), reason="no strace")
async def test_a_trial_touches_nothing_but_its_own_directory(real: str, bench: Trying, tmp_path: Path) -> None:
    rehearsal = bench.rehearsal({f"{number:02}.yaml": text for number, text in enumerate(ALL_AT_ONCE)})
    own_ports = {int(p) for file in rehearsal.files for p in re.findall(r'^ +(?:- )?port: "?(\d+)"?$', file.text, re.M)}

    calls = list(traced_start(real, bench, rehearsal, tmp_path / "calls"))

    executed = [call for call in calls if "execve(" in call]
    bound = [int(port) for call in calls if " bind(" in call for port in re.findall(r"sin6?_port=htons\((\d+)\)", call)]
    sockets = [path for call in calls if " bind(" in call for path in re.findall(r'sun_path="([^"]+)"', call)]
    written = [
        path
        for call in calls
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT| (?:creat|mkdir|mkdirat|unlink|unlinkat|rename)\(", call)
        for path in re.findall(r'"([^"]+)"', call)[:1]
        if path != "/dev/null"
    ]
    met = {found for call in calls if " connect(" in call for found in MET.findall(call)}

    assert len(executed) == 1
    assert real in executed[0]
    assert bound
    assert set(bound) <= own_ports | {0}
    assert sockets
    assert [path for path in (*written, *sockets) if not path.startswith(bench.trial.room)] == []
    assert met == BOUND_TO_A_PEER
    assert [call for call in calls if re.search(r" (?:sendto|sendmsg|sendmmsg)\(", call)] == []
    assert not Path("/tmp/executed-by-a-trial-start").exists()


async def test_a_refused_trial_ends_with_its_whole_session(bench: Trying) -> None:
    verdict = await bench.start({"guilty.yaml": GUILTY["a bad pattern of grep"][0]})

    assert isinstance(verdict, Rejected)
    assert not bench.directory.exists()
    assert bench.processes.orphans_reaped == 0
