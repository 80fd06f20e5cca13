"""What the sandbox makes of a hostile or hungry config on the real binary, and that it refuses no good one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from contract.trial_cases import section
from trying import ENV, trying

from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.process import Isolation, Network, Processes, Sandbox, find_isolation
from supervisor.adapters.store import lay_out
from supervisor.model import Accepted, Inconclusive, Rejected, Verdict

pytestmark = pytest.mark.real
HERE = find_isolation()
own_user = pytest.mark.skipif(HERE.user is None, reason="no other user can be had here")


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where another user can get to; the directories of pytest are closed to all but us."""
    path = Path(tempfile.mkdtemp(prefix="sandbox-contract-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


class Tight(Isolation):
    """What can be had here, with tighter limits than are usual."""

    limits: ClassVar[dict[str, int]] = {}

    def sandbox(self, *, seconds: float, lines: int, reads: Iterable[str]) -> Sandbox:
        return replace(super().sandbox(seconds=seconds, lines=lines, reads=reads), **self.limits)


def tight(**limits: int) -> Isolation:
    kind = type("Tight", (Tight,), {"limits": limits})
    return kind(HERE.user, HERE.network, HERE.rights)


def lua(code: str) -> dict[str, str]:
    return {"script.yaml": section("filters", f"name: lua\nmatch: x\ncall: f\ncode: {code}")}


def reasons(verdict: Verdict) -> str:
    assert isinstance(verdict, Rejected), verdict
    return " ".join(finding.message for finding in verdict.findings)


@own_user
async def test_a_script_in_a_trial_is_nobody_without_new_privileges(real: str, directory: Path) -> None:
    asks = 'error(io.popen("id -u; grep NoNewPrivs /proc/self/status | tr -d \'\\t\'"):read("*a"):gsub("%s", ";"))'

    async with trying(real, directory) as bench:
        said = reasons(await bench.start(lua(f"'{asks.replace(chr(39), chr(39) * 2)}'")))

    assert f"{HERE.user};NoNewPrivs:1" in said


@pytest.mark.skipif(HERE.network is Network.SHARED, reason="no other network can be had here")
async def test_a_script_in_a_trial_has_a_network_of_its_own(real: str, directory: Path) -> None:
    async with trying(real, directory) as bench:
        said = reasons(await bench.start(lua("""'error(io.popen("readlink /proc/self/ns/net"):read("*a"))'""")))

    assert "net:[" in said
    assert os.readlink("/proc/self/ns/net") not in said


@own_user
async def test_a_key_that_only_we_can_read_is_no_reason_to_refuse(real: str, directory: Path) -> None:
    key = directory / "key.txt"
    key.write_text("a\n")
    text = section("filters", f"name: checklist\nmatch: x\nlookup_key: a\nfile: {key}\nrecord: a b")

    async with trying(real, directory) as bench:
        for mode in (0o600, 0o644):
            key.chmod(mode)
            assert HERE.may_read([str(key)]) == (mode == 0o644)
            assert await bench.start({"a.yaml": text}) == Accepted()


async def test_a_script_that_eats_memory_is_ended_and_is_no_answer(real: str, directory: Path) -> None:
    eats = 'local t = {} for i = 1, 1e9 do t[i] = string.rep("x" .. i, 1048576) end function f() return 0 end'

    async with trying(real, directory, isolation=tight(address_space=512 * 1024 * 1024)) as bench:
        assert await bench.start(lua(f"'{eats}'")) == Inconclusive("the trial start ran out of memory")


async def test_a_script_that_fills_the_disk_is_ended_and_is_no_answer(real: str, directory: Path) -> None:
    target = directory / "open" / "big"
    target.parent.mkdir()
    target.parent.chmod(0o777)
    fills = f'local h = io.open("{target}", "w") local s = string.rep("x", 1048576) while true do h:write(s) end'

    async with trying(real, directory) as bench:
        verdict = await bench.start(lua(f"'{fills}'"))

    assert verdict == Inconclusive("the trial start wrote a larger file than it may")
    assert target.stat().st_size <= 64 * 1024 * 1024


async def test_a_script_that_takes_all_processor_time_is_as_a_time_out(real: str, directory: Path) -> None:
    async with trying(real, directory, isolation=tight(cpu_seconds=1)) as bench:
        verdict = await bench.start(lua("while true do end"))

    assert verdict == Inconclusive("the trial start took more processor time than it may", timed_out=True)


@own_user
async def test_a_script_that_forks_without_end_is_bounded_and_leaves_nobody(real: str, directory: Path) -> None:
    forks = 'for i = 1, 400 do os.execute("sleep 601 &") end function f() return 0 end'

    async with trying(real, directory, isolation=tight(processes=60)) as bench:
        await bench.start(lua(f"'{forks}'"))

    owners = [path.stat().st_uid for path in Path("/proc").iterdir() if path.name.isdecimal() and path.exists()]
    assert HERE.user not in owners


async def test_threads_for_which_there_is_no_address_space_are_no_hang_of_the_config(
    real: str, directory: Path
) -> None:
    threads = "".join(f"[INPUT]\n    name dummy\n    tag x{n}\n    threaded on\n" for n in range(60))

    async with trying(real, directory, timeout=3, isolation=tight(address_space=200 * 1024 * 1024)) as bench:
        verdict = await bench.start({"a.conf": threads + "[OUTPUT]\n    name null\n    match *\n"})

    assert isinstance(verdict, Inconclusive)
    assert not verdict.timed_out
    assert "ran out of" in verdict.reason


async def test_400_sections_with_threads_of_their_own_have_room(real: str, directory: Path) -> None:
    threads = "".join(f"[INPUT]\n    name dummy\n    tag x{n}\n    threaded on\n" for n in range(400))

    async with trying(real, directory) as bench:
        assert await bench.start({"a.conf": threads + "[OUTPUT]\n    name null\n    match *\n"}) == Accepted()


@own_user
async def test_a_dry_run_is_let_in_and_passes_as_the_stranger(real: str, directory: Path) -> None:
    run = directory / "run"
    run.mkdir(mode=0o700)
    scratch, seen = str(run / "candidate"), []

    async with trying(real, directory) as bench:

        class Noting(Processes):
            async def run(self, *arguments, **named):
                seen.append(named["sandbox"].user)
                return await super().run(*arguments, **named)

        bench.processes.__class__ = Noting
        fluent_bit = FluentBit(processes=bench.processes, binary=real, cwd="/", validate_timeout=10)
        main = lay_out(bench.rehearsal(lua("function f() return 0 end")), scratch)
        verdict = await fluent_bit.dry_run(main, ENV, scratch=scratch, lines=9)
        await fluent_bit.close()

    assert verdict == Accepted()
    assert seen == [HERE.user]
