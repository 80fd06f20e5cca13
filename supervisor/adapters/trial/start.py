"""How does one trial go?"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from supervisor.adapters.fluent_bit import messages
from supervisor.adapters.fluent_bit.binary import said_in
from supervisor.adapters.process import Child, Processes, Sandbox, lacked_rights, space_used_up
from supervisor.adapters.trial import signs
from supervisor.model import Accepted, Candidate, Finding, Inconclusive, ProcessError, Rejected, StoreError, Verdict

_STEP = 0.002  # seconds between two looks at what it says; a small config is ready after 10 ms
_BURIAL = 2.0  # seconds that SIGKILL may take
_CRASHES = 3  # starts, before a crash is believed, and for all that it says to arrive
_CONFIG, _ROOM = "config", "room"
_PATH = re.compile(r"(?<![^\s\"':,\[/])/(?!/)[^\s\"',\\]+")


class Trial:
    """Starts rehearsals, one at a time, in a directory of its own that nobody else uses."""

    def __init__(
        self,
        *,
        processes: Processes,
        binary: str,
        cwd: str,
        directory: str,
        lay_out: Callable[[Candidate, str], str],
        timeout: float,
        secrets: Callable[[], Mapping[str, str]] = dict,  # values that its messages must not leak, by name
    ) -> None:
        self._processes = processes
        self._binary = binary
        self._cwd = cwd
        self._directory = directory
        self._lay_out = lay_out
        self._timeout = timeout
        self._secrets = secrets

    @property
    def room(self) -> str:
        """What `rehearse` is to be given as `directory`."""
        return os.path.join(self._directory, _ROOM)

    async def start(self, rehearsal: Candidate, environment: Mapping[str, str]) -> Verdict:
        """Start it, see whether it becomes ready, and leave nothing of it behind.

        Refused only for an end before ready and for listed errors; findings are in Fluent Bit's own words. What comes
        of the network, of credentials, of a shortage or of the time limit (seconds, of the constructor) is
        inconclusive. A crash has to repeat, the last time with all the address space that there is. Where a failure may
        come of rights that a stranger has not, ours decide. Values of `environment` are redacted. Never raises for what
        the config says.
        """
        sandbox = self._sandbox(rehearsal)
        verdict = await self._once(rehearsal, environment, sandbox)
        if sandbox.stranger and lacked_rights(said_in(verdict)):
            sandbox = sandbox.with_our_rights()
            verdict = await self._once(rehearsal, environment, sandbox)
        for left in reversed(range(_CRASHES - 1)):
            if not signs.is_crash(verdict):
                return verdict
            roomy = sandbox if left else replace(sandbox, address_space=None)
            again = await self._once(rehearsal, environment, roomy)
            verdict = max(verdict, again, key=_words) if signs.is_crash(again) else again
        return verdict

    def _sandbox(self, rehearsal: Candidate) -> Sandbox:
        return self._processes.isolation.sandbox(
            seconds=self._timeout,
            lines=sum(len(file.origins) for file in rehearsal.files),
            reads=(self._binary, self._cwd, *self._named(rehearsal)),
        )

    def _named(self, rehearsal: Candidate) -> Iterator[str]:
        """The paths in its text that are there: all that it reads, but what is relative or has a blank in it."""
        for file in rehearsal.files:
            for path in _PATH.findall(file.text):
                if not path.startswith(self._directory) and os.path.exists(path):
                    yield path

    async def _once(self, rehearsal: Candidate, environment: Mapping[str, str], sandbox: Sandbox) -> Verdict:
        try:
            config, sandbox = await asyncio.to_thread(self._prepare, rehearsal, sandbox)
            argv = [self._binary, "-c", config]
            child = self._processes.spawn(argv, env=environment, cwd=self._cwd, echo_stderr=False, sandbox=sandbox)
        except (StoreError, ProcessError) as error:
            return Inconclusive(f"no trial start: {error}")
        except OSError as error:
            return Inconclusive(f"no trial start: cannot use {self._directory}: {error.strerror or error}")
        try:
            return await self._watch(child, rehearsal, {**environment, **self._secrets()}, sandbox)
        finally:
            child.signal_group(signal.SIGKILL)
            await child.ended_within(_BURIAL)
            await asyncio.to_thread(shutil.rmtree, self._directory, True)

    def _prepare(self, rehearsal: Candidate, sandbox: Sandbox) -> tuple[str, Sandbox]:
        shutil.rmtree(self._directory, ignore_errors=True)
        os.makedirs(self._directory, mode=0o700)
        config = self._lay_out(rehearsal, os.path.join(self._directory, _CONFIG))
        for needed in rehearsal.directories:
            if os.path.commonpath([self.room, needed.path]) == self.room:  # nothing outside is ours to make
                os.makedirs(needed.path, mode=0o700, exist_ok=True)
        if sandbox.stranger and not self._processes.isolation.let_in(self._directory, config, own=self.room):
            sandbox = sandbox.with_our_rights()
        return config, sandbox

    async def _watch(self, child: Child, rehearsal: Candidate, hidden: Mapping[str, str], sandbox: Sandbox) -> Verdict:
        end = time.monotonic() + self._timeout
        shared = signs.shared_ports(file.text for file in rehearsal.files)
        complained: dict[Finding, None] = {}
        seen = -1
        while True:
            ended = child.returncode is not None or await child.ended_within(_STEP)
            if ended:
                await child.wait()  # and for its last words
            mark = child.stderr_mark()
            if mark != seen or ended:
                seen, said = mark, child.stderr_since(0)
                said = said if ended else said[: said.rfind("\n") + 1]  # a line may still be on its way
                found = messages.start_errors(said, hidden)
                complained |= dict.fromkeys(signs.complaints(found))  # the earliest may be dropped by the next look
                if signs.READY in said:
                    return Rejected(tuple(complained)) if complained else Accepted()
                if ended or signs.has_failed(said):
                    return signs.of_failure(child.returncode, said, self.room, shared, hidden)
                if any(signs.is_last(finding) for finding in complained):
                    return Rejected(tuple(complained))
            if time.monotonic() >= end and space_used_up(child.pid, sandbox):
                return Inconclusive("the trial start ran out of memory")
            if time.monotonic() >= end:
                reason = f"the trial start was not ready within {self._timeout:g} s"
                return Inconclusive(reason, timed_out=True)


def _words(verdict: Verdict) -> int:
    return len(verdict.findings) if isinstance(verdict, Rejected) else 0
