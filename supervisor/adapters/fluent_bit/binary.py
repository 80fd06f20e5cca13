"""How does a conversation with Fluent Bit go: check this, start, reload, how are you?

Waiting is here, and nothing else: what to do about an answer is decided elsewhere. All limits and deadlines are
seconds from the call.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from supervisor.adapters.fluent_bit import command, messages
from supervisor.adapters.fluent_bit.monitoring import Monitoring
from supervisor.adapters.process import Child, Completed, Processes, Sandbox, describe_exit, lacked_rights, limit_met
from supervisor.config.schema import Schema, read_schema
from supervisor.model import Endpoint, Finding, Inconclusive, Observation, ProcessError, Rejected, Verdict

_STEP = 0.02  # seconds between two questions while waiting for an outcome
_ANSWER_LIMIT = 0.5  # seconds for one of them: a frozen process accepts connections and never answers
_OBSERVE_LIMIT = 2.0  # seconds for all questions of one observation
_DECLINED_STAYS = 1.0  # seconds that the count must stay after words of refusal: such words can be forged by a config
_DROPPED_AGAIN = 2.0  # seconds after which a dropped signal is sent again though the other reload has not succeeded
_METRICS_STALE = 5.0  # seconds; the engine takes them every second, a stuck one never (seen on 5.1.1)
_CLOCKS_DIFFER = 2.0  # seconds; Fluent Bit counts whole ones
_OUTPUT_LIMIT = 256 * 1024  # bytes of a dry-run's output
_SCHEMA_LIMIT = 16 * 1024 * 1024  # bytes of a schema; 5.1.1 prints 0.7 MB

_BARE = Sandbox()
_VERSION = re.compile(r"^Fluent Bit v(\d+)\.(\d+)(\S*)", re.MULTILINE)
_TOLD_TO_STOP = re.compile(r"caught signal \(SIG(?:TERM|INT|QUIT)\)")
_FIRST_WITH_RELOAD = (2, 1)
_BAD_PROPERTY = ("-D", "-i", "dummy", "-p", "a_property_that_no_plugin_has=1", "-o", "null")


@dataclass(frozen=True, slots=True)
class Binary:
    """What the self-test at start found out."""

    path: str
    version: str = ""  # '5.1.1'
    identity: str = ""  # digest of path, size, mtime and inode: another one, another judgement
    checks_properties: bool = False  # whether a dry-run finds unknown properties; older versions only parse
    reloads: bool = False  # whether it can hot reload
    error: str = ""  # why it cannot be used; then nothing else is told but the path


@dataclass(frozen=True, slots=True)
class Ready:
    """The child itself answers on its monitoring address."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The reload was carried out, by the same process."""

    count: int


@dataclass(frozen=True, slots=True)
class Declined:
    """Fluent Bit did not take the config; the old pipeline runs on. For two seconds it drops signals."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exited:
    returncode: int  # negative: the signal that ended it
    reason: str
    findings: tuple[Finding, ...] = ()  # its error lines, first cause first


@dataclass(frozen=True, slots=True)
class Unresponsive:
    """The deadline passed without an outcome."""

    reason: str


StartOutcome = Ready | Exited | Unresponsive
ReloadOutcome = Acknowledged | Declined | Exited | Unresponsive


class FluentBit:
    """Fluent Bit, as one binary, one working directory and one pipeline on the command line (mostly none)."""

    def __init__(
        self,
        *,
        processes: Processes,
        binary: str,
        cwd: str,
        arguments: tuple[str, ...] = (),
        child_only: tuple[str, ...] = (),  # e.g. -q, with which a dry-run would fail without a word
        validate_timeout: float,
        secrets: Callable[[], Mapping[str, str]] = dict,  # values that its messages must not leak, by name
        learn: Callable[[Mapping[str, str]], None] = lambda variables: None,  # told what the child is about to read
    ) -> None:
        self._processes = processes
        self._binary = binary
        self._cwd = cwd
        self._arguments, self._child_only = arguments, child_only
        self._validate_timeout = validate_timeout
        self._monitoring = Monitoring()
        self._environment: Mapping[str, str] = {}  # of the child, as far as its config names it
        self._secrets, self._learn = secrets, learn
        self._spawned_at = 0.0
        self.identified = Binary(binary)  # what the latest self-test found out
        self._schema: tuple[str, Schema | None] | None = None  # the identity of the binary that told it

    async def identify(self) -> Binary:
        """The self-test at start: is it there, is it Fluent Bit, what can it do? Takes some 40 ms; never raises."""
        self.identified = await self._identify()
        return self.identified

    async def _identify(self) -> Binary:
        try:
            status = os.stat(self._binary)
            version = await self._run(["-V"])
            told = _VERSION.search(version.stdout)
            if told is None:
                ended = "it did not end in time" if version.timed_out else describe_exit(version.returncode)
                return Binary(self._binary, error=f"{self._binary} is not Fluent Bit: no version from -V ({ended})")
            probe = await self._run(_BAD_PROPERTY)
        except OSError as error:
            reason = f"cannot use {self._binary} as Fluent Bit: {error.strerror}"
            return Binary(self._binary, error=reason)
        except ProcessError as error:
            return Binary(self._binary, error=str(error))
        facts = (self._binary, status.st_size, status.st_mtime_ns, status.st_ino)
        return Binary(
            path=self._binary,
            version=f"{told[1]}.{told[2]}{told[3]}",
            identity=hashlib.sha256(repr(facts).encode()).hexdigest(),
            checks_properties=probe.returncode == 1 and "unknown configuration property" in probe.stderr,
            reloads=(int(told[1]), int(told[2])) >= _FIRST_WITH_RELOAD,
        )

    async def schema(self) -> Schema | None:
        """Which plugins and properties it has, as it tells itself; asked once for each identity of the binary.

        None when it does not tell (a version without `-J`, no answer in time): then nothing is said that depends on it.
        Takes some 30 ms; never raises.
        """
        if not self.identified.identity and (await self.identify()).error:
            return None
        identity = self.identified.identity
        if self._schema is not None and self._schema[0] == identity:
            return self._schema[1]
        try:
            told = await self._run(["-J"], output_limit=_SCHEMA_LIMIT)
        except ProcessError:
            return None
        if told.timed_out:
            return None
        schema = read_schema(told.stdout)
        self._schema = (identity, schema)
        return schema

    async def dry_run(
        self, config: str, env: Mapping[str, str], *, scratch: str = "", reads: Iterable[str] = (), lines: int = 0
    ) -> Verdict:
        """Let Fluent Bit check a config without running it. Values of `env` are redacted in what is found.

        It is kept in a sandbox for so many `lines`. `scratch`: the directory around the config, if it was made for this
        call; a user of its own is let in. `reads`: what else Fluent Bit will read. Where a refusal may come of rights
        that this user has not, ours decide.
        A binary that could not be used is looked at again first: what is no Fluent Bit has no say about a config.
        """
        if self.identified.error and (await self.identify()).error:
            return Inconclusive(self.identified.error)
        isolation = self._processes.isolation
        named = (self._binary, self._cwd, *reads, *(() if scratch else (config,)))
        sandbox = isolation.sandbox(seconds=self._validate_timeout, lines=lines, reads=named)
        if sandbox.stranger and scratch and not await asyncio.to_thread(isolation.let_in, scratch, config):
            sandbox = sandbox.with_our_rights()
        answer = await self._dry_run(config, env, sandbox)
        if sandbox.stranger and lacked_rights(said_in(answer)):
            answer = await self._dry_run(config, env, sandbox.with_our_rights())
        return answer

    async def _dry_run(self, config: str, env: Mapping[str, str], sandbox: Sandbox) -> Verdict:
        try:
            done = await self._run(command.dry_run_arguments(config, self._arguments), env, sandbox=sandbox)
        except ProcessError as error:
            return Inconclusive(str(error))
        if done.timed_out:
            return Inconclusive(f"the dry-run did not end within {self._validate_timeout:g} s")
        if limit := limit_met(done.returncode):
            return Inconclusive(f"the dry-run {limit}")
        return messages.verdict(done.returncode, done.stderr, {**env, **self._secrets()})

    def spawn(self, config: str, env: Mapping[str, str], named: Iterable[str] = ()) -> Child:
        """Start it for good. Raises `ProcessError` when it cannot be started at all.

        `named`: variables that the config uses; their values are kept out of what is told of it.
        """
        arguments = [self._binary, *self._child_only, *command.child_arguments(config, self._arguments)]
        self._environment = {name: env[name] for name in named if name in env}
        self._learn(self._environment)
        self._spawned_at = time.monotonic()
        return self._processes.spawn(arguments, env=env, cwd=self._cwd)

    async def ready(self, child: Child, endpoint: Endpoint, deadline: float) -> StartOutcome:
        """Wait until this very process answers on its monitoring address. No signal may be sent to it before.

        An answer from a process that does not hold the port is somebody else's and does not count.
        """
        end = time.monotonic() + deadline
        silence = f"nothing answers on {_shown(endpoint)}"
        while child.alive():
            uptime = await self._monitoring.uptime(endpoint, _ANSWER_LIMIT)
            if uptime is not None and self._is_answered_by(child, endpoint, uptime):
                return Ready()
            if uptime is not None:
                silence = f"another process answers on {_shown(endpoint)}"
            if time.monotonic() >= end:
                return Unresponsive(f"not ready within {deadline:g} s: {silence}")
            await _pause(child)
        return await self.exit_of(child, 0)

    def reload(self, child: Child, named: Iterable[str] = ()) -> bool:
        """Ask it to read its config again. False when it is gone. Take `child.stderr_mark()` before.

        `named`: variables that the new config uses, as with `spawn`.
        """
        self._environment = {**self._environment, **{name: os.environ[name] for name in named if name in os.environ}}
        self._learn(self._environment)
        return child.signal(signal.SIGHUP)

    async def reload_count(self, endpoint: Endpoint) -> int | None:
        return await self._monitoring.reload_count(endpoint, _OBSERVE_LIMIT)

    async def acknowledged(
        self, child: Child, endpoint: Endpoint, before: int, mark: int, deadline: float
    ) -> ReloadOutcome:
        """Wait for the outcome of a reload that was asked for when the count was `before` and stderr stood at `mark`.

        The only proof is the count (POST says "done" to everything, and log lines can be forged through an alias). The
        server is away for a moment in between. A refusal takes a second longer than its words: the count must stay.
        Somebody else (a container that posts to Fluent Bit when a ConfigMap changes) may have been first: then our
        signal was dropped, the count that rises is of what was there before, and it is sent again.
        """
        end = time.monotonic() + deadline
        refusal, refused_at = "", 0.0
        dropped_at: float | None = None
        while child.alive():
            count = await self._monitoring.reload_count(endpoint, _ANSWER_LIMIT)
            risen = count is not None and count > before and child.listens_on(endpoint.port) is not False
            if risen:
                await _pause(child)  # a word about a dropped signal may still be on its way
            now = time.monotonic()
            if dropped_at is None and messages.is_dropped(child.stderr_since(mark)):
                dropped_at = now
            if dropped_at is not None:
                if risen or now - dropped_at >= _DROPPED_AGAIN:
                    before, mark, dropped_at = max(before, count or 0), child.stderr_mark(), None
                    self.reload(child)
            elif count is not None and risen:
                return Acknowledged(count)
            elif not refusal:
                refusal, refused_at = messages.refusal(child.stderr_since(mark), self._hidden()), now
            elif count == before and now - refused_at >= _DECLINED_STAYS:
                return Declined(refusal)
            if now >= end:
                silence = "its monitoring server is silent" if count is None else f"the reload count stays at {count}"
                return Unresponsive(f"no outcome within {deadline:g} s: {silence}")
            await _pause(child)
        return await self.exit_of(child, mark)

    async def observe(self, child: Child, endpoint: Endpoint) -> Observation:
        """Look once at everything that tells of its health; 2 s at most."""
        end = time.monotonic() + _OBSERVE_LIMIT
        usage = child.usage()
        if usage is None:
            return Observation(alive=False, answering=False, detail="the process is gone")
        seen = Observation(
            alive=True,
            answering=False,
            resident_bytes=usage.resident_bytes,
            cpu_seconds=usage.cpu_seconds,
            detail=f"nothing answers on {_shown(endpoint)}",
        )

        def left() -> float:
            return max(0.0, end - time.monotonic())

        uptime = await self._monitoring.uptime(endpoint, left())
        if not child.alive():
            return replace(seen, alive=False, detail="the process is gone")
        if uptime is None:
            return seen
        if not self._is_answered_by(child, endpoint, uptime):
            return replace(seen, detail=f"another process answers on {_shown(endpoint)}")
        seen = replace(seen, answering=True, uptime=uptime, detail="it answers, but has no metrics")
        seen = replace(seen, reloads=await self._monitoring.reload_count(endpoint, left()))
        counters = await self._monitoring.counters(endpoint, left())
        if counters is None:
            return seen
        if counters.uptime is not None and uptime - counters.uptime > _METRICS_STALE:
            return replace(
                seen, detail=f"its metrics are {uptime - counters.uptime:.0f} s old: the engine does not turn"
            )
        return replace(seen, outputs=counters.outputs, inputs=counters.inputs, detail="")

    async def close(self) -> None:
        await self._monitoring.close()

    def _is_answered_by(self, child: Child, endpoint: Endpoint, uptime: float) -> bool:
        listens = child.listens_on(endpoint.port)
        if listens is None:  # /proc is closed to us: then only an answer older than the child gives a stranger away
            return uptime <= time.monotonic() - self._spawned_at + _CLOCKS_DIFFER
        return listens

    async def exit_of(self, child: Child, mark: int) -> Exited:
        returncode = await child.wait()
        said = child.stderr_since(mark)
        found = messages.start_errors(said, self._hidden())
        reason = f"Fluent Bit ended: {describe_exit(returncode)}"
        return Exited(returncode, f"{reason}: {found[0].message}" if found else reason, found)

    def was_told_to_stop(self, child: Child) -> bool:
        """Whether it left because of a signal that somebody sent: it says so, and ends with status 0 (5.1.1)."""
        return _TOLD_TO_STOP.search(child.stderr_since(0)) is not None

    def began_anew(self, child: Child, mark: int) -> bool:
        """Whether it came as far as loading the new config, since stderr stood at `mark` and it was told to reload."""
        return messages.RELOADED in child.stderr_since(mark)

    def complaints(self, child: Child, mark: int) -> tuple[Finding, ...]:
        """The error lines of its latest load, since stderr stood at `mark`."""
        return messages.start_errors(child.stderr_since(mark), self._hidden())

    def _hidden(self) -> Mapping[str, str]:
        """What the child knows and nobody shall read in a message of ours."""
        return {**self._environment, **self._secrets()}

    async def _run(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str] | None = None,
        output_limit: int = _OUTPUT_LIMIT,
        sandbox: Sandbox = _BARE,
    ) -> Completed:
        return await self._processes.run(
            [self._binary, *arguments],
            env=command.dry_run_environment(os.environ, ()) if env is None else env,
            cwd=self._cwd,
            timeout=self._validate_timeout,
            output_limit=output_limit,
            sandbox=sandbox,
        )


def said_in(verdict: Verdict) -> str:
    """All that a verdict says against a config."""
    match verdict:
        case Rejected(findings=findings):
            return "\n".join(finding.message for finding in findings)
        case Inconclusive(reason=reason):
            return reason
        case _:
            return ""


def _shown(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


async def _pause(child: Child) -> None:
    """A step, or less when the child ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_STEP):
            await child.wait()
