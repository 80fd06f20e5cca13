"""A trial start in a directory of its own, with somebody to write the snippets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from making import make_frame, make_snapshot

from supervisor.adapters.process import Isolation, Processes
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial, free_port
from supervisor.core.assemble import assemble
from supervisor.core.blame import traced
from supervisor.core.candidate import Parts
from supervisor.core.rehearsal import rehearse
from supervisor.core.service import Frame
from supervisor.model import Candidate, Finding, Rejected, Verdict

ENV = {"PATH": "/bin"}


def parts_of(files: Mapping[str, str], frame: Frame) -> Parts:
    assembled = assemble(make_snapshot(files), frame)
    assert assembled.parts is not None, assembled.findings
    return assembled.parts


def ports() -> Callable[[], int]:
    """Ports that nobody binds, one after the other."""
    numbers = iter(range(40000, 60000))
    return lambda: next(numbers)


@dataclass(frozen=True, slots=True)
class Trying:
    trial: Trial
    directory: Path
    frame: Frame
    processes: Processes

    def rehearsal(self, files: Mapping[str, str]) -> Candidate:
        return self._rehearsal(parts_of(files, self.frame))

    async def start(self, files: Mapping[str, str]) -> Verdict:
        return await self.start_parts(parts_of(files, self.frame))

    async def start_parts(self, parts: Parts) -> Verdict:
        return await self.trial.start(self._rehearsal(parts), ENV)

    def _rehearsal(self, parts: Parts) -> Candidate:
        return rehearse(parts, self.frame, directory=self.trial.room, free_port=free_port)

    async def blamed(self, files: Mapping[str, str]) -> tuple[Finding, ...]:
        """What the authors are told of a refusal."""
        rehearsal = self.rehearsal(files)
        verdict = await self.trial.start(rehearsal, ENV)
        assert isinstance(verdict, Rejected), verdict
        return traced(verdict.findings, rehearsal)


@asynccontextmanager
async def trying(
    binary: str,
    directory: Path,
    *,
    timeout: float = 10,
    buffers: str | None = "/nowhere/buffers",
    isolation: Isolation | None = None,
) -> AsyncIterator[Trying]:
    processes = Processes(isolation)
    processes.attach(asyncio.get_running_loop())
    sandbox = directory / "trial"
    trial = Trial(
        processes=processes,
        binary=binary,
        cwd=str(directory),
        directory=str(sandbox),
        lay_out=lay_out,
        timeout=timeout,
    )
    try:
        yield Trying(trial, sandbox, make_frame(cwd=str(directory), buffers=buffers), processes)
    finally:
        await processes.stop_everything()
        processes.detach()
