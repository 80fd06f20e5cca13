"""Is the child well, compared with before?

Pure judging of observations; `Judge` for the time after an apply, `Liveness` for all the time after that. The rule
behind all others: a fault that was there before, or cannot be told from a quiet day, blames nobody. UNKNOWN only asks
for another look: it is no reason to undo anything, however long it lasts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.model import Health, Observation, OutputCounters, OutputInstance, Reading

SILENT_LIMIT = 3  # observations in a row without an answer: frozen, or blocked for good
METRICS_GRACE = 5.0  # seconds after a load; 5.1.1 answers 404 for about one
BLIND_LIMIT = 3  # observations in a row without fresh metrics: the engine does not turn, as in an endless filter
FAILING_GRACE = 5.0  # seconds; a back-end may need a moment to take a new connection
FAILING_LIMIT = 3  # observations with ever more failures and no success: two might still be one bad moment
STARVED_LIMIT = 3  # observations in a row
STARVED_SHARE = 0.25  # of all records: a smaller output may have got nothing by chance
STARVED_RECORDS = 30  # that the output should have got by now
LONGEST_FLUSH = 15.0  # seconds until an output that stands alone can be called starved: its flush may be that slow
WINDOW = 60.0  # seconds of steady state that the next apply is compared with


def congested(observation: Observation) -> bool:
    """Whether some output fails or may hold chunks to retry: then a reload would wait without limit; restart instead.

    Fluent Bit tells how often it retried since the last load, not what still waits (a retry may wait for half an
    hour), so one retry is enough.
    """
    return any(is_failing(counters) or counters.retries > 0 for counters in (observation.outputs or {}).values())


def is_failing(counters: OutputCounters) -> bool:
    """Trouble and no success since the counters began. An idle output does not fail."""
    return counters.records == 0 and _trouble(counters) > 0


def _trouble(counters: OutputCounters) -> int:
    # Each kind alone misses something: with `no_retries` only `dropped` grows, with unlimited retries only `retries`.
    return counters.errors + counters.retries + counters.retries_failed + counters.dropped


class _Vitals:
    """Process, monitoring server and engine: what must hold whatever the config is."""

    def __init__(self) -> None:
        self._silent = 0
        self._blind = 0

    def judge(self, observation: Observation, seconds: float) -> Reading | None:
        """None when all of them are well. `seconds` since the last load."""
        if not observation.alive:
            return Reading(Health.UNWELL, observation.detail or "the process is gone")
        if not observation.answering:
            self._silent += 1
            detail = observation.detail or "the monitoring server does not answer"
            return Reading(_after(self._silent, SILENT_LIMIT), f"{detail} ({self._silent} times in a row)")
        self._silent = 0
        if observation.outputs is None:
            self._blind += 1
            is_overdue = seconds > METRICS_GRACE and self._blind >= BLIND_LIMIT
            detail = observation.detail or "no metrics"
            return Reading(
                Health.UNWELL if is_overdue else Health.UNKNOWN, f"{detail} ({seconds:.0f} s after the load)"
            )
        self._blind = 0
        return None


def _after(count: int, limit: int) -> Health:
    return Health.UNWELL if count >= limit else Health.UNKNOWN


# --- after an apply ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Case:
    """One output of the new pipeline, what is known of it from before, and what was seen since."""

    output: OutputInstance
    is_new: bool
    is_changed: bool
    before: OutputCounters | None
    trouble: int = 0
    setbacks: int = 0  # observations with more trouble than the one before, and no success
    starved: int = 0  # observations in a row

    @property
    def delivered_before(self) -> bool:
        """Without any trouble: one that was half failing proves nothing when it fails wholly."""
        return self.before is not None and self.before.records > 0 and _trouble(self.before) == 0

    def __str__(self) -> str:
        return f"output {self.output.name} of {self.output.snippet}"


class Judge:
    """Judges the observations after one apply.

    `before` should hold the counters of a recent stretch of time (`Liveness.baseline`): when they reach back days, an
    output with a single retry in them is not judged. None at boot: then outputs that fail are warnings.
    """

    def __init__(
        self,
        *,
        before: Observation | None,
        old_outputs: Sequence[OutputInstance],
        new_outputs: Sequence[OutputInstance],
    ) -> None:
        self._before = before
        self._vitals = _Vitals()
        known = before.outputs if before and before.outputs else {}
        self._cases = [
            _Case(
                output=output,
                is_new=old is None,
                is_changed=old is not None and old.fingerprint != output.fingerprint,
                before=known.get(old.name) if old else None,
            )
            for output, old in _paired(new_outputs, old_outputs)
        ]

    def judge(self, observation: Observation, seconds: float) -> Reading:
        """A reading of the child, `seconds` after the apply. To be asked once for each observation, in order."""
        reading = self._vitals.judge(observation, seconds)
        if reading is not None or observation.outputs is None:
            return reading or Reading(Health.UNKNOWN)
        readings = [
            self._judge_output(case, observation.outputs[case.output.name], observation, seconds)
            for case in self._cases
            if case.output.name in observation.outputs
        ]
        return _together(readings)

    def _judge_output(self, case: _Case, now: OutputCounters, observation: Observation, seconds: float) -> Reading:
        if is_failing(now):
            return self._judge_failing(case, now, seconds)
        case.trouble, case.setbacks = _trouble(now), 0
        if now.records == 0 and case.delivered_before and not case.is_changed:
            return self._judge_quiet(case, observation, seconds)
        return Reading(Health.WELL)

    def _judge_failing(self, case: _Case, now: OutputCounters, seconds: float) -> Reading:
        trouble = _trouble(now)
        case.setbacks = case.setbacks + 1 if trouble > case.trouble else case.setbacks
        case.trouble = trouble
        case.starved = 0
        if not case.delivered_before:
            since = "is new and" if case.is_new else "as before," if case.before else "as far as is known"
            return Reading(Health.WELL, warnings=(f"{case} {since} cannot deliver ({_shown(now)})",))
        sure = seconds >= FAILING_GRACE and case.setbacks >= FAILING_LIMIT
        change = "was changed: it" if case.is_changed else "was not changed: it"
        detail = f"{case} {change} delivered before and now fails every flush ({_shown(now)})"
        suspects = (case.output.snippet,) if case.is_changed else ()  # else somebody else's change broke it
        return Reading(Health.UNWELL if sure else Health.UNKNOWN, detail, suspects=suspects)

    def _judge_quiet(self, case: _Case, observation: Observation, seconds: float) -> Reading:
        """It delivered before, and since the apply neither delivered nor failed: idle, or cut off?"""
        if seconds < FAILING_GRACE:
            return Reading(Health.UNKNOWN, f"{case} has not flushed yet")
        flushed = any(each.records or _trouble(each) for each in (observation.outputs or {}).values())
        expected = self._expected(case, observation)
        is_starved = expected >= STARVED_RECORDS and (flushed or seconds >= LONGEST_FLUSH)
        case.starved = case.starved + 1 if is_starved else 0
        if not is_starved:
            return Reading(Health.WELL)
        detail = f"{case} gets nothing any more; going by its share before, it should have got {expected:.0f} records"
        return Reading(_after(case.starved, STARVED_LIMIT), detail)

    def _expected(self, case: _Case, observation: Observation) -> float:
        """Records that it should have got by now, going by its share of what the same inputs took in before."""
        old = self._before.inputs if self._before and self._before.inputs else {}
        taken = sum(old.values())
        if case.before is None or taken == 0 or case.before.records < STARVED_SHARE * taken:
            return 0.0
        if old.keys() - (observation.inputs or {}).keys():  # an input is gone, and perhaps it was this output's
            return 0.0
        return case.before.records / taken * sum(n for name, n in (observation.inputs or {}).items() if name in old)


def _paired(
    new: Iterable[OutputInstance], old: Iterable[OutputInstance]
) -> list[tuple[OutputInstance, OutputInstance | None]]:
    """Each new output with what it was before: the very same one, else the one of that name in its snippet.

    Names like `http.1` count through the whole pipeline and shift when another snippet gains an output. Among what the
    snippet has left of that plugin the order decides then.
    """
    left = list(old)
    pairs: dict[int, OutputInstance] = {}
    rules: tuple[Callable[[OutputInstance, OutputInstance], object], ...] = (
        lambda a, b: a.fingerprint == b.fingerprint and a.snippet == b.snippet,
        lambda a, b: a.fingerprint == b.fingerprint,
        lambda a, b: a.snippet == b.snippet and a.name == b.name,
        lambda a, b: a.snippet == b.snippet and _counted(a.name) and _counted(a.name) == _counted(b.name),
    )
    outputs = list(new)
    for rule in rules:
        for index, output in enumerate(outputs):
            match = next((each for each in left if index not in pairs and rule(output, each)), None)
            if match is not None:
                pairs[index] = match
                left.remove(match)
    return [(output, pairs.get(index)) for index, output in enumerate(outputs)]


def _counted(name: str) -> str:
    """The plugin in `http.0`; nothing for an alias."""
    plugin, _, number = name.rpartition(".")
    return plugin if number.isdigit() else ""


def _shown(counters: OutputCounters) -> str:
    return (
        f"errors {counters.errors}, retries {counters.retries}, given up {counters.retries_failed}, "
        f"records dropped {counters.dropped}"
    )


def _together(readings: Sequence[Reading]) -> Reading:
    """The worst health, with the details of all that share it, and every warning."""
    worst = next(
        (health for health in (Health.UNWELL, Health.UNKNOWN) if any(each.health is health for each in readings)),
        Health.WELL,
    )
    details = [each.detail for each in readings if each.health is worst and each.detail]
    more = f" (and {len(details) - 3} more)" if len(details) > 3 else ""
    warnings = tuple(warning for each in readings for warning in each.warnings)
    suspects = tuple(name for each in readings if each.health is worst for name in each.suspects)
    return Reading(worst, "; ".join(details[:3]) + more, warnings, suspects)


# --- steady state --------------------------------------------------------------------------------------------


class Liveness:
    """Judges the observations of one child in steady state, and remembers the latest minute for the next apply.

    Outputs are never a reason to act here, whatever they do: nothing was changed. They show as warnings.
    """

    def __init__(self) -> None:
        self.failures = 0  # observations in a row that were not well
        self._vitals = _Vitals()
        self._history: deque[tuple[float, Observation]] = deque()

    def judge(self, observation: Observation, at: float) -> Reading:
        """`at`: seconds of a monotonic clock. UNKNOWN is a reason to look again soon."""
        reading = self._vitals.judge(observation, observation.uptime or 0.0)
        if reading is None:
            self._remember(observation, at)
            recent = self.baseline()
            failing = {name: each for name, each in ((recent and recent.outputs) or {}).items() if is_failing(each)}
            warnings = tuple(f"output {name} cannot deliver ({_shown(each)})" for name, each in failing.items())
            reading = Reading(Health.WELL, warnings=warnings)
        self.failures = 0 if reading.health is Health.WELL else self.failures + 1
        return reading

    def baseline(self) -> Observation | None:
        """The latest observation with what was counted in the last minute only; None while nothing was seen."""
        if not self._history:
            return None
        latest, oldest = self._history[-1][1], self._history[0][1]
        if latest is oldest:
            return latest
        return replace(
            latest,
            outputs=_since(oldest.outputs or {}, latest.outputs or {}),
            inputs={name: count - (oldest.inputs or {}).get(name, 0) for name, count in (latest.inputs or {}).items()},
        )

    def _remember(self, observation: Observation, at: float) -> None:
        if self._history and _was_reloaded(self._history[-1][1], observation):
            self._history.clear()  # its counters began anew
        self._history.append((at, observation))
        while len(self._history) > 2 and at - self._history[1][0] >= WINDOW:
            self._history.popleft()


def _was_reloaded(before: Observation, now: Observation) -> bool:
    return before.reloads != now.reloads or (now.uptime or 0.0) + 1 < (before.uptime or 0.0)


def _since(old: Mapping[str, OutputCounters], now: Mapping[str, OutputCounters]) -> dict[str, OutputCounters]:
    nothing = OutputCounters()
    return {name: _difference(old.get(name, nothing), counters) for name, counters in now.items()}


def _difference(old: OutputCounters, now: OutputCounters) -> OutputCounters:
    return OutputCounters(
        records=now.records - old.records,
        errors=now.errors - old.errors,
        retries=now.retries - old.retries,
        retries_failed=now.retries_failed - old.retries_failed,
        dropped=now.dropped - old.dropped,
    )
