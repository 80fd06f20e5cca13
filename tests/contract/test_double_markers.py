"""Every marker of the double, and what the real binary does to the same effect."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import eventually
from contract.conversation import DUMMY, Conversation, conversation, ignores_term

from supervisor.adapters.fluent_bit import Unresponsive
from supervisor.model import Accepted


@pytest.fixture
async def talk(fluent_bit: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(fluent_bit, tmp_path) as conversing:
        yield conversing


def marked(talk: Conversation, marker: str, **recipe: tuple[str, ...]) -> str:
    """The config with the marker for the double, or with the recipe for the real one."""
    if talk.is_double:
        return talk.config(inputs=(f"{{name: dummy, tag: t, alias: 'double.{marker}'}}",))
    return talk.config(**recipe)  # type: ignore[arg-type]


def command(text: str) -> tuple[str, ...]:
    return (f"{{name: exec, tag: x, oneshot: true, command: '{text}'}}", DUMMY)


def lua(code: str) -> tuple[str, ...]:
    return (f"{{name: lua, match: '*', call: f, code: '{code}'}}",)


async def test_hang_on_reload(double: str, tmp_path: Path) -> None:
    """The real one does it with an output that never gives up: `test_fluent_bit_contract`."""
    async with conversation(double, tmp_path) as talk:
        child = await talk.ready(marked(talk, "hang-on-reload"))

        outcome = await talk.reload(child, talk.config(), deadline=1.5)

        assert outcome == Unresponsive("no outcome within 1.5 s: the reload count stays at 0")
        await ignores_term(child)


async def test_ignore_term(talk: Conversation) -> None:
    child = await talk.ready(
        marked(talk, "ignore-term", inputs=(DUMMY, "{name: exec, command: sleep 60, interval_sec: 1}"))
    )
    await eventually(lambda: talk.is_double or _has_children(child.pid))

    await ignores_term(child)


def _has_children(pid: int) -> bool:
    return any(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))


async def test_crash_after(talk: Conversation) -> None:
    child = await talk.ready(marked(talk, "crash-after=0.3", inputs=command("sleep 0.3; kill -SEGV $PPID")))

    assert await child.wait() == -signal.SIGABRT


async def test_freeze_after(talk: Conversation) -> None:
    child = await talk.ready(marked(talk, "freeze-after=0.3", inputs=command("sleep 0.3; kill -STOP $PPID")))

    await eventually(lambda: _state(child.pid) == "T")
    outcome = await talk.fluent_bit.ready(child, talk.endpoint, 0.1)

    assert isinstance(outcome, Unresponsive)
    assert "nothing answers" in outcome.reason


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


async def test_stuck_engine(talk: Conversation) -> None:
    child = await talk.ready(
        marked(
            talk,
            "stuck-engine",
            inputs=("{name: dummy, rate: 1000}",),
            filters=lua("function f(a, b, c) while true do end end"),
        )
    )
    end = time.monotonic() + 1.6

    while time.monotonic() < end:
        seen = await talk.fluent_bit.observe(child, talk.endpoint)
        assert seen.answering
        assert seen.outputs is None
        await asyncio.sleep(0.1)


async def test_slow_start(talk: Conversation) -> None:
    began = time.monotonic()

    await talk.ready(
        marked(
            talk,
            "slow-start=1",
            filters=lua("while os.clock() < 1 do end function f(a, b, c) return 0, b, c end"),
        )
    )

    assert time.monotonic() - began > 0.9


async def test_orphans(talk: Conversation) -> None:
    """They are in the session of the child, but not in its process group, and hold its listening socket: a second child
    could not start while they live."""
    child = await talk.ready(marked(talk, "orphans=1", inputs=command("sleep 60 > /dev/null 2>&1 &")))

    await eventually(lambda: [name for _, name, _ in _session(child.pid)].count("sleep") == 1)

    ((orphan, group),) = [(pid, group) for pid, name, group in _session(child.pid) if name == "sleep"]
    assert group != child.pid
    assert _sockets(orphan) & _sockets(child.pid)


def _session(leader: int) -> list[tuple[int, str, int]]:
    """Pid, name and process group of all that are in a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            before, _, after = stat.read_text().rpartition(") ")
            group, session = after.split()[2:4]
            if int(session) == leader:
                found.append((int(stat.parent.name), before.partition("(")[2], int(group)))
    return found


def _sockets(pid: int) -> set[str]:
    return {link for fd in Path(f"/proc/{pid}/fd").iterdir() if (link := os.readlink(fd)).startswith("socket:")}


async def test_slow_dry_run(talk: Conversation) -> None:
    os.mkfifo(talk.directory / "late.yaml")
    if not talk.is_double:

        def write_late() -> None:
            with (talk.directory / "late.yaml").open("w") as file:
                time.sleep(1)
                file.write("pipeline: {inputs: [{name: dummy}]}\n")

        threading.Thread(target=write_late, daemon=True).start()
    began = time.monotonic()

    text = marked(talk, "slow-dry-run=1") if talk.is_double else talk.config(more="includes: [late.yaml]")
    verdict = await talk.dry_run(text)

    assert verdict == Accepted()
    assert time.monotonic() - began > 0.9


async def test_noisy_dry_run(talk: Conversation) -> None:
    noise = "\n".join(f"  - {{name: dummy, tag: '${{{'X' * 3000}{n}}}a'}}" for n in range(200))
    text = (
        marked(talk, "noisy-dry-run=600000")
        if talk.is_double
        else talk.config(inputs=(DUMMY,), more=f"pipeline:\n  inputs:\n{noise.replace('  -', '    -')}")
    )

    done = await talk.run("-D", "-c", talk.write(text))

    assert done.returncode == 0
    assert len(done.stderr) > 500_000
