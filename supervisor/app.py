"""How is everything built and connected, and who ends it?

One TaskGroup holds the controller, the sources, the doors to the outside and the clock that watches over the loop.
Signal handlers stand before the first process is started.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import time
import traceback
from dataclasses import replace

from supervisor import __version__
from supervisor.adapters.api import Api
from supervisor.adapters.fluent_bit import Binary, FluentBit
from supervisor.adapters.journal import Journal
from supervisor.adapters.metrics import Metrics
from supervisor.adapters.process import Child, Processes
from supervisor.adapters.process.leftover import end_leftover, remember
from supervisor.adapters.secrets import KnownSecrets, write_no_core
from supervisor.adapters.sources import Sources, WatchReport
from supervisor.adapters.store import Store, lay_out, take_lock
from supervisor.adapters.trial import Trial
from supervisor.arguments import Invocation
from supervisor.controller import Controller
from supervisor.core.events import Terminate
from supervisor.desk import Desk
from supervisor.model import Accepted, StoreError
from supervisor.places import bounding, find_places, granting, make_frame, monitoring_port
from supervisor.prepare import Examiner, Judgement
from supervisor.settings import Settings

EXIT_BUG = 70
BEAT = 1.0  # seconds between two looks at the loop's own lag
READ_AGAIN = 5.0  # seconds after a fault of our own in reading
LOCK_PAUSE = 1.0  # seconds between two tries to become the owner of the state directory
LOOP_STUCK = 10.0  # seconds without a beat: the loop does not turn
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Supervisor:
    """The whole, built from settings and command line."""

    def __init__(self, settings: Settings, invocation: Invocation, cwd: str, journal: Journal) -> None:
        self._settings, self._invocation, self._cwd, self._journal = settings, invocation, cwd, journal
        self._places = find_places(settings)
        self._known = KnownSecrets(settings.secrets_directory)
        self._processes = Processes()
        self._processes.redaction = self._journal.redaction = self._known.redaction
        self._frame = make_frame(settings, invocation, cwd, self._places.buffers, self._places.state)
        self._metrics = Metrics(__version__)
        self._store = Store(self._places.state, keep=settings.state.keep)
        self._beat = time.monotonic()
        self._stop_wanted = asyncio.Event()
        self._controller: Controller | None = None
        self._run_lock: int | None = None
        self._unusable = ""  # why the operator's directories cannot be used
        self.born = asyncio.Event()  # there are controller and sources
        self._sources: Sources | None = None

    async def run(self) -> int:
        """Until told to stop. 0, or 70 when a fault of our own ended it; then the child is stopped first."""
        loop = asyncio.get_running_loop()
        self._processes.attach(loop)
        self._listen_to_signals(loop)
        self._tell_the_start()
        for problem in (*self._places.problems, *self._invocation.notes):
            self._journal.say("warning", "start.degraded", problem)
        api = self._make_api()
        try:
            for problem in await api.start():
                self._journal.say("error", "api.shut", problem)
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._keep_time(api), name="beat")]
                try:
                    await self._supervise(group, helpers)
                finally:
                    for helper in helpers:
                        helper.cancel()
        except Exception as failed:  # a group of them, mostly
            message = "a fault of the supervisor itself: stopping"
            self._journal.say("error", "internal.error", message, trace=_trace(failed))
            if self._controller is not None:
                self._controller.suspect_newcomer()
            return EXIT_BUG
        finally:
            await self._leave(api)
        if self._unusable:
            raise StoreError(self._unusable)
        return 0

    def _tell_the_start(self) -> None:
        settings = self._settings
        layers = {layer.name: layer.directory for layer in settings.layers}
        facts = {
            "base": settings.fluent_bit.config,
            "layers": layers,
            "state": self._places.state,
            "run": self._places.run,
        }
        self._journal.say("info", "start", f"fluent-bit-supervisor {__version__}", **facts)
        for layer in settings.layers:
            if not os.path.isdir(layer.directory):
                message = f"{layer.directory} of layer {layer.name} is not there: waiting for it to appear"
                self._journal.say("info", "layer.missing", message)

    async def _supervise(self, group: asyncio.TaskGroup, helpers: list[asyncio.Task[None]]) -> None:
        try:
            if not await self._own_the_state():
                return
        except StoreError as error:
            self._unusable = str(error)
            return
        if (pid := await end_leftover(self._child_note, self._settings.fluent_bit.grace)) is not None:
            self._journal.say(
                "warning", "child.leftover", f"a Fluent Bit of an earlier supervisor was stopped: pid {pid}"
            )
        port, problem = monitoring_port(self._settings.fluent_bit.http_port)
        if problem:
            self._journal.say("warning", "start.degraded", problem)
        self._frame = replace(self._frame, http_port=port, salt=self._store.secret_key().hex())
        sources = self._sources = self._make_sources()
        fluent_bit = self._make_fluent_bit()
        binary = await fluent_bit.identify()
        if binary.error:
            self._journal.say("error", "binary.unusable", binary.error)
        elif not binary.reloads:
            message = f"Fluent Bit {binary.version} cannot reload: every change is a restart"
            self._journal.say("warning", "binary.restarts", message)
        self._journal.say("info", "sandbox", self._processes.isolation.told())
        made_by = self._made_by(binary)
        self._frame = replace(self._frame, schema=await fluent_bit.schema())
        judgement = self._make_judgement(fluent_bit)
        controller = self._controller = Controller(
            settings=self._settings,
            fluent_bit=fluent_bit,
            store=self._store,
            judgement=judgement,
            metrics=self._metrics,
            journal=self._journal,
            made_by=made_by,
            restart_always=self._invocation.pipeline or self._invocation.trace,
            arguments=self._invocation.arguments,
            watch_mode=lambda: sources.mode,
            remember_child=self._remember_child,
            degraded=self._places.problems,
        )
        self.born.set()
        await self._boot(controller, sources, judgement, made_by)
        if self._stop_wanted.is_set():
            controller.post(Terminate())
        helpers.append(group.create_task(self._follow_sources(controller, sources), name="sources"))
        try:
            await controller.run()
        finally:
            await fluent_bit.close()

    async def _own_the_state(self) -> bool:
        """Wait until state and run directory are ours. False: told to stop meanwhile."""
        told = False
        while not self._stop_wanted.is_set():
            if self._run_lock is None:
                self._run_lock = take_lock(os.path.join(self._places.run, "lock"))
            if self._run_lock is not None and self._store.lock():
                self._store.load()
                for remark in self._store.remarks:
                    self._journal.say("warning", "state.repaired", remark)
                return True
            if not told:
                told = True
                where = self._places.run if self._run_lock is None else self._places.state
                message = f"another supervisor owns {where}: waiting until it is gone"
                self._journal.say("warning", "state.locked", message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOCK_PAUSE):
                    await self._stop_wanted.wait()
        return False

    async def _boot(self, controller: Controller, sources: Sources, judgement: Judgement, made_by: str) -> None:
        """Logs flow in the first second: what was good starts before anything is read."""
        good = self._store.good()
        if good is None:
            return
        snapshot = self._store.snapshot(good.number)
        if snapshot is not None:
            sources.seed(snapshot)
        if good.made_by == made_by:
            controller.boot_from(good, proven=True)
            return
        if snapshot is None:
            return
        self._journal.say("info", "boot.rechecked", "binary, version or settings differ from last time: checking again")
        judged = await judgement.judge(snapshot)
        if isinstance(judged.verdict, Accepted) and judged.candidate is not None and not judged.candidate.idle:
            with contextlib.suppress(StoreError):
                versions = {name: version.key for name, version in judged.versions.items()}
                fresh = self._store.keep_candidate(judged.candidate, judged.selected, made_by, versions)
                controller.boot_from(fresh, proven=False)

    async def _follow_sources(self, controller: Controller, sources: Sources) -> None:
        """Hand on what is read. A fault of our own in reading stops no child: what runs goes on, and we read again."""
        while True:
            try:
                async with contextlib.aclosing(sources.snapshots()) as snapshots:
                    async for snapshot in snapshots:
                        for alarm in snapshot.alarms:
                            self._journal.say("warning", "source.alarm", alarm)
                        controller.offer(snapshot)
            except Exception as failed:
                self._metrics.watch_error()
                message = "a fault of the supervisor itself while reading: what runs goes on, reading again soon"
                self._journal.say("error", "internal.error", message, trace=_trace(failed))
            await asyncio.sleep(READ_AGAIN)

    async def _keep_time(self, api: Api) -> None:
        """See how late the loop is, and try the doors that could not be opened."""
        while True:
            due = time.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._beat = time.monotonic()
            self._metrics.lagged(self._beat - due)
            await api.retry()

    def _make_sources(self) -> Sources:
        return Sources(
            layers=self._settings.layers,
            base=self._settings.fluent_bit.config,
            cwd=self._cwd,
            secrets_directory=self._settings.secrets_directory,
            settings=self._settings.sources,
            report=self._watch_reported,
            granted=granting(self._settings),
            bounds=bounding(self._settings),
            digest_key=self._store.secret_key(),
        )

    def _make_fluent_bit(self) -> FluentBit:
        return FluentBit(
            processes=self._processes,
            binary=self._settings.fluent_bit.binary,
            cwd=self._cwd,
            arguments=self._invocation.arguments,
            child_only=("-q",) if self._invocation.quiet else (),
            validate_timeout=self._settings.validate.timeout,
            secrets=self._known.values,
            learn=self._known.learn,
        )

    def _make_judgement(self, fluent_bit: FluentBit) -> Judgement:
        trial = Trial(
            processes=self._processes,
            binary=self._settings.fluent_bit.binary,
            cwd=self._cwd,
            directory=os.path.join(self._places.run, "trial"),
            lay_out=lay_out,
            timeout=self._settings.validate.timeout,
            secrets=self._known.values,
        )
        examiner = Examiner(
            frame=self._frame,
            fluent_bit=fluent_bit,
            scratch=os.path.join(self._places.run, "candidate"),
            trial=trial if self._settings.validate.trial else None,
            held_ports=lambda: self._controller.held_ports() if self._controller is not None else frozenset(),
            heard=self._metrics.validated,
        )
        return Judgement(examiner)

    def _make_api(self) -> Api:
        token_file = self._settings.api.token_file
        return Api(
            desk=Desk(self, self._known.redaction),
            metrics=self._metrics,
            metrics_address=self._settings.api.metrics,
            page_address=self._settings.api.page,
            socket_path=os.path.join(self._places.run, "admin.sock"),
            token=None if token_file is None else lambda: _read_token(token_file),
        )

    def _made_by(self, binary: Binary) -> str:
        frame = replace(self._frame, environment={}, schema=None)
        facts = repr((binary.identity, __version__, frame))
        return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()

    def _remember_child(self, child: Child | None) -> None:
        remember(self._child_note, None if child is None else child.pid)

    @property
    def _child_note(self) -> str:
        return os.path.join(self._places.run, "child.json")

    # --- signals ----------------------------------------------------------------------------------------------

    def _listen_to_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._look_again)
        loop.add_signal_handler(signal.SIGCONT, self._continue)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(number, lambda: None)  # they kill Fluent Bit, and would kill us

    def _stop(self, number: signal.Signals) -> None:
        self._journal.say("info", "signal", f"{signal.Signals(number).name}: stopping")
        self._stop_wanted.set()
        if self._controller is not None:
            self._controller.post(Terminate())

    def _look_again(self) -> None:
        self._journal.say("info", "signal", "SIGHUP: looking again")
        if self._sources is not None:
            self._sources.look_again()

    def _continue(self) -> None:
        if self._controller is not None:
            self._controller.pass_on(signal.SIGCONT)

    # --- looking in -------------------------------------------------------------------------------------------

    @property
    def controller(self) -> Controller | None:
        return self._controller

    @property
    def sources(self) -> Sources | None:
        return self._sources

    def turns(self) -> bool:
        return time.monotonic() - self._beat < LOOP_STUCK

    def _watch_reported(self, report: WatchReport) -> None:
        if report.error:
            self._metrics.watch_error()
            self._journal.say("warning", "watch.failed", report.error)
        self._metrics.watched(report.mode)

    async def _leave(self, api: Api) -> None:
        if self._controller is not None:
            await self._controller.stop_child_now()
        await self._processes.stop_everything()
        await api.close()
        self._store.unlock()
        if self._run_lock is not None:
            os.close(self._run_lock)
        self._processes.detach()


async def supervise(settings: Settings, invocation: Invocation, cwd: str, journal: Journal) -> int:
    """Run until told to stop; returns the exit status."""
    write_no_core()
    return await Supervisor(settings, invocation, cwd, journal).run()


def _trace(failed: BaseException) -> str:
    return "".join(traceback.format_exception(failed, limit=-6))


def _read_token(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(4096).strip() or None
    except OSError:
        return None
