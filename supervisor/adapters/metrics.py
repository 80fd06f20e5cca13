"""What do machines read about us? The only room that knows prometheus_client.

What is true now (gauges) is computed from the last `Status` when somebody scrapes, so a snippet that went away leaves
no series behind. What happened (counters, histograms) is told by small methods, one an event.

Every label comes from a closed list, from a counted set, or (snippets) is made printable and capped: the whole
exposition stays below 2,000 series whatever authors name their files. A word that is not on its list is `other`.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from typing import ClassVar, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from supervisor.model import Observation, SnippetState, SnippetStatus, Status

PREFIX: Final = "fluentbit_supervisor_"
OTHER: Final = "other"

METHODS: Final = ("start", "reload", "restart")
RESULTS: Final = ("committed", "refused", "reverted", "degraded", "superseded")
REVERT_REASONS: Final = ("exited", "declined", "deadline", "unhealthy")
STAGES: Final = ("policy", "lint", "dry-run", "trial")
VERDICTS: Final = ("accepted", "rejected", "inconclusive")
START_REASONS: Final = ("start", "restart", "revert", "crash")
WATCH_MODES: Final = ("inotify", "polling", "timer", "off")
EXITS: Final = ("0", "1", "255", "SIGABRT", "SIGKILL", "SIGSEGV", "SIGTERM")  # always shown; others when they come

MAX_SNIPPETS: Final = 1000
MAX_TENANTS: Final = 500
OVERFLOW: Final = "overflow"  # never a snippet's name: those have a slash
MAX_LABEL: Final = 200  # characters

_QUICK = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    """All series of this process, in a registry of its own.

    `text()` is the exposition, to be sent as `content_type`. Nothing here raises for a label, a name or a number.
    """

    content_type: ClassVar[str] = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, version: str) -> None:
        # Else the text format gives each counter a second series, of when it began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # our own memory, CPU and descriptors: process_…
        self._now = _Now(version)
        registry.register(self._now)

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(PREFIX + name, says, labels, registry=registry)

        def histogram(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(PREFIX + name, says, labels, buckets=buckets, registry=registry)

        self._applies = counter("applies", "Changes of what runs, by how they ended.", "method", "result")
        self._reverts = counter("reverts", "Applies that were undone.", "reason")
        self._validations = counter("validations", "Checks of a candidate.", "stage", "result")
        self._starts = counter("child_starts", "Starts of Fluent Bit.", "reason")
        self._exits = counter("child_exits", "Ends of Fluent Bit, by exit code or signal.", "status")
        self._watch_errors = counter("watch_errors", "Errors of the directory watch.")
        self._validating = histogram("validation_duration_seconds", "Time a check took.", _QUICK, "stage")
        self._applying = histogram("apply_duration_seconds", "Time from change seen to live.", _SLOW)
        self._lag = histogram("loop_lag_seconds", "How late the event loop was.", _LAG)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """A series that first appears with 1 shows no increase: what may be alerted on is there from the start."""
        for method in METHODS:
            for result in RESULTS:
                self._applies.labels(method, result)
        for stage in STAGES:
            self._validating.labels(stage)
            for verdict in VERDICTS:
                self._validations.labels(stage, verdict)
        for reason in (*REVERT_REASONS, OTHER):
            self._reverts.labels(reason)
        for reason in (*START_REASONS, OTHER):
            self._starts.labels(reason)
        for status in EXITS:
            self._exits.labels(status)

    def show(self, status: Status) -> None:
        """From now on this is the present; what it no longer names has no series any more."""
        self._now.status = status
        if status.watch_mode:
            self.watched(status.watch_mode)

    def applied(self, method: str, result: str, seconds: float) -> None:
        """An attempt to change what runs ended, `seconds` after its change was seen."""
        self._applies.labels(_word(method, METHODS), _word(result, RESULTS)).inc()
        if result == "committed":
            self._applying.observe(max(0.0, seconds))

    def reverted(self, reason: str) -> None:
        self._reverts.labels(_word(reason, REVERT_REASONS)).inc()

    def validated(self, stage: str, result: str, seconds: float) -> None:
        stage = _word(stage, STAGES)
        self._validations.labels(stage, _word(result, VERDICTS)).inc()
        self._validating.labels(stage).observe(max(0.0, seconds))

    def child_started(self, reason: str) -> None:
        self._starts.labels(_word(reason, START_REASONS)).inc()

    def child_exited(self, status: int) -> None:
        """`status` as the standard library gives it: an exit code, or a signal's number with a minus."""
        self._exits.labels(_exit_label(status)).inc()

    def observed(self, observation: Observation) -> None:
        self._now.observation = observation

    def watched(self, mode: str) -> None:
        """How directories are watched at present."""
        self._now.watch_mode = _word(mode, WATCH_MODES)

    def watch_error(self) -> None:
        self._watch_errors.inc()

    def lagged(self, seconds: float) -> None:
        self._lag.observe(max(0.0, seconds))

    def text(self) -> bytes:
        """The exposition in Prometheus' text format."""
        return generate_latest(self._registry)


class _Now(Collector):
    """The gauges: computed at each scrape from the last status and the last observation."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.status: Status | None = None
        self.observation: Observation | None = None
        self.watch_mode = ""

    def collect(self) -> Iterator[Metric]:
        if self.status is not None:
            yield from self._of_status(self.status)
        yield from self._of_child()
        modes = _gauge("watch_mode", "1 for the way directories are watched at present.", "mode")
        for mode in (*WATCH_MODES, OTHER):
            modes.add_metric([mode], float(mode == self.watch_mode))
        yield modes
        build = _gauge("build_info", "Versions, as labels.", "version", "fluent_bit_version")
        running = self.status.child.version if self.status else ""
        build.add_metric([_label(self._version), _label(running)], 1.0)
        yield build

    def _of_status(self, status: Status) -> Iterator[Metric]:
        fine = float(trusted_content_runs(status))
        since = status.committed_at or 0.0
        says = "1 while the newest base and platform content runs and no revert awaits its next commit."
        says_since = "When an apply was committed last, seconds since the epoch; 0: not in this life."
        yield _gauge("config_last_reload_successful", says, value=fine)
        yield _gauge("config_last_reload_success_timestamp_seconds", says_since, value=since)
        yield GaugeMetricFamily("reloader_last_reload_successful", says, value=fine)
        yield GaugeMetricFamily("reloader_last_reload_success_timestamp_seconds", says_since, value=since)
        yield _gauge("config_in_sync", "1 while everything newest is what runs.", value=float(status.in_sync))
        number = status.current.generation or 0
        yield _gauge("config_generation", "The generation that runs; 0: none.", value=float(number))
        digest = _gauge("config_hash", "The digest of the generation that runs, as a label.", "sha256")
        if status.current.digest:
            digest.add_metric([_label(status.current.digest)], 1.0)
        yield digest
        states = _gauge("snippets", "Snippets by state.", "state")
        for state in SnippetState:
            states.add_metric([state.value], float(sum(one.state is state for one in status.snippets)))
        yield states
        accepted = _gauge("snippet_accepted", "0 while the newest version is refused.", "layer", "tenant", "snippet")
        for labels, value in _accepted(status.snippets).items():
            accepted.add_metric(labels, value)
        yield accepted
        yield from _backlogs(status)
        yield _gauge("child_up", "1 while Fluent Bit runs.", value=float(status.child.pid is not None))

    def _of_child(self) -> Iterator[Metric]:
        seen = self.observation
        if seen is None:
            return
        resident = float(seen.resident_bytes if seen.alive else 0)
        yield _gauge("child_resident_memory_bytes", "Resident memory of Fluent Bit.", value=resident)
        says = "CPU time of Fluent Bit; begins anew with each process."
        yield CounterMetricFamily(PREFIX + "child_cpu_seconds", says, value=seen.cpu_seconds)


def trusted_content_runs(status: Status) -> bool:
    """Whether the newest base and platform content is what runs, and no revert awaits its next commit.

    A state, not the result of the last attempt. What a tenant got refused does not count.
    """
    if status.in_sync:
        return not status.reverted
    trusted = (one for one in status.snippets if one.tenant is None)
    wanted = status.desired.digest
    return (
        not status.reverted
        and (wanted is None or wanted == status.current.digest)
        and all(one.digest == one.running_digest for one in trusted)
    )


def _accepted(snippets: tuple[SnippetStatus, ...]) -> dict[tuple[str, str, str], float]:
    """Series of `snippet_accepted`: refused ones first, so that the cap never hides one behind the accepted.

    A snippet that still waits for its first verdict has no series: nothing was refused yet.
    """
    judged = [one for one in snippets if one.state is not SnippetState.PENDING or one.running_digest]
    judged.sort(key=lambda one: (_is_accepted(one), one.name))
    series: dict[tuple[str, str, str], float] = {}
    for one in judged:
        labels = (_label(one.layer), _label(one.tenant or ""), _label(one.name))
        if labels not in series and len(series) >= MAX_SNIPPETS - 1:
            labels = ("", "", OVERFLOW)
        series[labels] = min(series.get(labels, 1.0), float(_is_accepted(one)))
    return series


def _backlogs(status: Status) -> Iterator[Metric]:
    """What waits on disk for each tenant that is known; `other` has the sum of the rest.

    The largest have a series of their own; a tenant of which it is not known has none.
    """
    known = [(one.name, one.backlog) for one in status.tenants if one.backlog is not None]
    known.sort(key=lambda one: (-one[1].bytes, one[0]))
    rest = [*(backlog for _name, backlog in known[MAX_TENANTS:]), *status.stranded.values()]
    series = [*known[:MAX_TENANTS], *((OTHER, backlog) for backlog in rest)]
    sums: dict[str, tuple[int, int]] = {}
    for name, backlog in series:
        chunks, size = sums.get(_label(name), (0, 0))
        sums[_label(name)] = chunks + backlog.chunks, size + backlog.bytes
    chunked = _gauge("tenant_backlog_chunks", "Chunks on disk that wait to be delivered.", "tenant")
    sized = _gauge("tenant_backlog_bytes", "Bytes of records in these chunks.", "tenant")
    for name, (chunks, size) in sums.items():
        chunked.add_metric([name], float(chunks))
        sized.add_metric([name], float(size))
    yield chunked
    yield sized


def _is_accepted(snippet: SnippetStatus) -> bool:
    return snippet.state in (SnippetState.LIVE, SnippetState.PENDING)


def _gauge(name: str, says: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, says, value=value, labels=labels or None)


def _word(text: str, known: tuple[str, ...]) -> str:
    text = text.replace("_", "-")
    return text if text in known else OTHER


def _exit_label(status: int) -> str:
    if 0 <= status <= 255:
        return str(status)
    try:
        return signal.Signals(-status).name
    except ValueError:
        return OTHER


def _label(text: str) -> str:
    """Printable and of bounded length, whatever a file was called; a long one ends in its own digest."""
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
    if len(plain) <= MAX_LABEL:
        return plain
    return plain[: MAX_LABEL - 9] + "-" + hashlib.sha256(plain.encode()).hexdigest()[:8]
