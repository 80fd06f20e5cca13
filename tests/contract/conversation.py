"""A Fluent Bit, real or double, in a directory of its own, with somebody to talk to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from supervisor.adapters.fluent_bit import FluentBit, Ready, ReloadOutcome
from supervisor.adapters.process import Child, Completed, Processes
from supervisor.model import Endpoint, Verdict

ENV = {"PATH": os.environ["PATH"]}

DUMMY = "{name: dummy, tag: t, alias: in}"
NULL = "{name: 'null', match: '*', alias: sink}"
BAD_REGEX = "{name: grep, match: '*', regex: 'message ('}"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Conversation:
    """Writes configs, runs the binary on them, waits for outcomes. Its monitoring server gets a free port."""

    def __init__(self, processes: Processes, binary: str, directory: Path, arguments: tuple[str, ...], limit: float):
        self.processes = processes
        self.binary = binary
        self.is_double = binary.endswith(".py")
        self.directory = directory
        self.endpoint = Endpoint("127.0.0.1", free_port())
        self.fluent_bit = FluentBit(
            processes=processes, binary=binary, cwd=str(directory), arguments=arguments, validate_timeout=limit
        )

    def config(
        self,
        *,
        inputs: tuple[str, ...] = (DUMMY,),
        filters: tuple[str, ...] = (),
        outputs: tuple[str, ...] = (NULL,),
        service: str = "",
        more: str = "",
    ) -> str:
        """A config in YAML; sections are given as flow mappings."""
        common = f"http_server: on, http_listen: 127.0.0.1, http_port: {self.endpoint.port}, hot_reload: on"
        flush = "" if "flush:" in service else "flush: 0.2, "
        pipeline = {"inputs": inputs, "filters": filters, "outputs": outputs}
        rows = [f"service: {{{flush}{common}{service and ', '}{service}}}", "pipeline:"]
        for kind, sections in pipeline.items():
            rows += [f"  {kind}:", *(f"    - {section}" for section in sections)] if sections else []
        return "\n".join([*rows, more]) + "\n"

    def write(self, text: str, name: str = "main.yaml") -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    async def run(self, *arguments: str) -> Completed:
        return await self.processes.run(
            [self.binary, *arguments], env=ENV, cwd=str(self.directory), timeout=10, output_limit=1024 * 1024
        )

    async def dry_run(self, text: str) -> Verdict:
        return await self.fluent_bit.dry_run(self.write(text), ENV)

    async def ready(self, text: str) -> Child:
        """A child that answers."""
        child = self.fluent_bit.spawn(self.write(text), ENV)
        outcome = await self.fluent_bit.ready(child, self.endpoint, 10)
        assert outcome == Ready(), outcome
        return child

    async def reload(self, child: Child, text: str, deadline: float = 10) -> ReloadOutcome:
        before = await self.fluent_bit.reload_count(self.endpoint)
        assert before is not None
        mark = child.stderr_mark()
        self.write(text)
        assert self.fluent_bit.reload(child)
        return await self.fluent_bit.acknowledged(child, self.endpoint, before, mark, deadline)

    def lines(self, name: str) -> list[str]:
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def conversation(
    binary: str, directory: Path, *, arguments: tuple[str, ...] = (), limit: float = 10
) -> AsyncIterator[Conversation]:
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    talk = Conversation(processes, binary, directory, arguments, limit)
    try:
        yield talk
    finally:
        await talk.fluent_bit.close()
        await processes.stop_everything()
        processes.detach()


async def ignores_term(child: Child) -> None:
    """Half as long again after a TERM as an idle one takes at most to end, the process is still there."""
    child.signal(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(1.5):
            await child.wait()
    assert child.alive()
