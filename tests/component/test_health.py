"""Health compares with before, and blames only what it can be sure of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from supervisor.adapters.health import Judge, Liveness, congested
from supervisor.model import Health, Observation, OutputCounters, OutputInstance, Reading

WELL = Observation(alive=True, answering=True, uptime=60.0, reloads=1, outputs={}, inputs={})
DELIVERING = OutputCounters(records=100)
IDLE = OutputCounters()


def seen(inputs: int = 0, **outputs: OutputCounters) -> Observation:
    return replace(WELL, outputs=outputs, inputs={"in": inputs})


def retrying(times: int) -> OutputCounters:
    return OutputCounters(retries=times)


def output(name: str, *, snippet: str = "platform/a.yaml", text: str = "same") -> OutputInstance:
    return OutputInstance(name, snippet, f"{name}:{text}")


def judge_of(
    before: Observation | None, *, old: list[OutputInstance] | None = None, new: list[OutputInstance] | None = None
) -> Judge:
    return Judge(before=before, old_outputs=old or [output("es")], new_outputs=new or [output("es")])


def over_time(judge: Judge, observations: list[Observation]) -> list[Reading]:
    """One observation a second, the first of them two seconds after the apply."""
    return [judge.judge(observation, second) for second, observation in enumerate(observations, 2)]


# --- process, server and engine ---


def test_a_process_that_is_gone_is_unwell_at_once() -> None:
    judge = judge_of(seen(es=DELIVERING))

    reading = judge.judge(Observation(alive=False, answering=False, detail="the process is gone"), 1.0)

    assert reading == Reading(Health.UNWELL, "the process is gone")


def test_a_server_is_called_frozen_only_after_three_silent_observations_in_a_row() -> None:
    judge = judge_of(seen(es=DELIVERING))
    silent = replace(WELL, answering=False)

    readings = over_time(judge, [silent, silent, seen(es=DELIVERING), silent, silent, silent])

    assert [reading.health for reading in readings] == [
        Health.UNKNOWN, Health.UNKNOWN, Health.WELL, Health.UNKNOWN, Health.UNKNOWN, Health.UNWELL
    ]  # fmt: skip


def test_missing_metrics_are_normal_for_five_seconds_and_an_engine_that_does_not_turn_after_that() -> None:
    judge = judge_of(seen(es=DELIVERING))
    blind = replace(WELL, outputs=None, detail="it answers, but has no metrics")

    readings = over_time(judge, [blind] * 5)

    assert [reading.health for reading in readings] == [*[Health.UNKNOWN] * 4, Health.UNWELL]
    assert readings[-1].detail == "it answers, but has no metrics (6 s after the load)"


# --- outputs that fail ---


def test_an_unchanged_output_that_delivered_and_now_fails_every_flush_is_unwell() -> None:
    judge = judge_of(seen(es=DELIVERING))

    readings = over_time(judge, [seen(es=retrying(n)) for n in (1, 2, 3, 4)])

    assert [reading.health for reading in readings] == [*[Health.UNKNOWN] * 3, Health.UNWELL]
    assert "output es of platform/a.yaml was not changed" in readings[-1].detail


def test_a_changed_output_that_delivered_and_now_fails_every_flush_is_unwell() -> None:
    judge = judge_of(seen(es=DELIVERING), new=[output("es", text="other host")])

    readings = over_time(judge, [seen(es=retrying(n)) for n in (1, 2, 3, 4)])

    assert readings[-1].health is Health.UNWELL
    assert "output es of platform/a.yaml was changed" in readings[-1].detail


@pytest.mark.parametrize("kind", ["errors", "retries", "retries_failed", "dropped"], ids=lambda kind: f"growing-{kind}")
def test_every_kind_of_trouble_counts(kind: str) -> None:
    judge = judge_of(seen(es=DELIVERING))

    readings = over_time(judge, [seen(es=OutputCounters(**{kind: n})) for n in (10, 20, 30, 40)])

    assert readings[-1].health is Health.UNWELL


def test_one_bad_moment_is_not_enough() -> None:
    judge = judge_of(seen(es=DELIVERING))

    readings = over_time(judge, [seen(es=retrying(2))] * 20)

    assert {reading.health for reading in readings} == {Health.UNKNOWN}


def test_a_single_delivery_ends_the_suspicion() -> None:
    judge = judge_of(seen(es=DELIVERING))

    readings = over_time(judge, [*[seen(es=retrying(n)) for n in (1, 2, 3)], seen(es=OutputCounters(3, retries=3))])

    assert readings[-1] == Reading(Health.WELL)


def test_an_output_that_failed_before_blames_nobody_and_is_a_warning() -> None:
    judge = judge_of(seen(es=retrying(30)), new=[output("es", text="changed")])

    readings = over_time(judge, [seen(es=retrying(n)) for n in range(1, 10)])

    assert {reading.health for reading in readings} == {Health.WELL}
    assert "output es of platform/a.yaml as before, cannot deliver" in readings[-1].warnings[0]


def test_an_output_that_was_half_failing_before_blames_nobody() -> None:
    judge = judge_of(seen(es=OutputCounters(records=100, retries=20)))

    readings = over_time(judge, [seen(es=retrying(n)) for n in range(1, 10)])

    assert {reading.health for reading in readings} == {Health.WELL}


def test_a_new_output_that_cannot_deliver_is_a_warning() -> None:
    judge = judge_of(seen(es=DELIVERING), new=[output("es"), output("loki", snippet="tenants/a/b.yaml")])

    readings = over_time(judge, [seen(es=DELIVERING, loki=retrying(n)) for n in range(1, 10)])

    assert {reading.health for reading in readings} == {Health.WELL}
    assert readings[-1].warnings[0].startswith("output loki of tenants/a/b.yaml is new and cannot deliver")


def test_without_a_baseline_failing_outputs_are_warnings() -> None:
    judge = Judge(before=None, old_outputs=[], new_outputs=[output("es")])

    readings = over_time(judge, [seen(es=retrying(n)) for n in range(1, 10)])

    assert {reading.health for reading in readings} == {Health.WELL}
    assert len(readings[-1].warnings) == 1


def test_counters_that_begin_anew_in_between_are_no_evidence() -> None:
    judge = judge_of(seen(es=DELIVERING))

    readings = over_time(judge, [seen(es=retrying(n)) for n in (1, 2, 1, 1, 1, 1)])

    assert Health.UNWELL not in {reading.health for reading in readings}


# --- who is who ---


def test_an_output_is_known_again_by_its_text_when_its_number_shifts() -> None:
    old = [OutputInstance("http.0", "tenants/b/x.yaml", "B")]
    new = [OutputInstance("http.0", "tenants/a/x.yaml", "A"), OutputInstance("http.1", "tenants/b/x.yaml", "B")]
    judge = Judge(before=seen(**{"http.0": DELIVERING}), old_outputs=old, new_outputs=new)

    readings = over_time(judge, [seen(**{"http.0": retrying(n), "http.1": DELIVERING}) for n in range(1, 10)])

    assert readings[-1].health is Health.WELL
    assert "tenants/a/x.yaml is new" in readings[-1].warnings[0]


def test_an_edited_output_without_an_alias_is_known_again_by_its_snippet() -> None:
    old = [OutputInstance("http.0", "tenants/b/x.yaml", "B")]
    new = [OutputInstance("null.0", "tenants/a/x.yaml", "A"), OutputInstance("http.1", "tenants/b/x.yaml", "B2")]
    judge = Judge(before=seen(**{"http.0": DELIVERING}), old_outputs=old, new_outputs=new)

    readings = over_time(judge, [seen(**{"http.1": retrying(n)}) for n in range(1, 6)])

    assert readings[-1].health is Health.UNWELL


# --- outputs that get nothing ---


def test_an_output_that_has_not_flushed_yet_is_unknown_and_an_idle_one_is_well() -> None:
    judge = judge_of(seen(es=DELIVERING, inputs=100))

    readings = over_time(judge, [seen(es=IDLE, inputs=0)] * 30)

    assert [reading.health for reading in readings] == [*[Health.UNKNOWN] * 3, *[Health.WELL] * 27]


def test_an_output_that_gets_nothing_while_its_inputs_take_in_as_before_is_unwell() -> None:
    outputs = [output("es"), output("sink")]
    judge = judge_of(seen(es=DELIVERING, sink=DELIVERING, inputs=100), old=outputs, new=outputs)

    readings = over_time(judge, [seen(es=IDLE, sink=DELIVERING, inputs=40 * n) for n in range(1, 9)])

    assert readings[-1].health is Health.UNWELL
    assert "output es of platform/a.yaml gets nothing any more" in readings[-1].detail


def test_a_small_share_of_the_records_proves_nothing_when_it_stays_away() -> None:
    outputs = [output("es"), output("sink")]
    judge = judge_of(seen(es=DELIVERING, sink=DELIVERING, inputs=10_000), old=outputs, new=outputs)

    readings = over_time(judge, [seen(es=IDLE, sink=DELIVERING, inputs=10_000 * n) for n in range(1, 30)])

    assert Health.UNWELL not in {reading.health for reading in readings}


def test_a_slow_flush_of_the_only_output_is_given_fifteen_seconds() -> None:
    judge = judge_of(seen(es=DELIVERING, inputs=100))

    readings = over_time(judge, [seen(es=IDLE, inputs=100 * n) for n in range(1, 13)])

    assert Health.UNWELL not in {reading.health for reading in readings}


def test_inputs_that_were_not_there_before_do_not_count() -> None:
    outputs = [output("es"), output("sink")]
    judge = judge_of(seen(es=DELIVERING, sink=DELIVERING, inputs=100), old=outputs, new=outputs)
    noisy_newcomer = replace(seen(es=IDLE, sink=DELIVERING), inputs={"in": 1, "other": 100_000})

    readings = over_time(judge, [noisy_newcomer] * 20)

    assert readings[-1].health is Health.WELL


# --- reload or restart ---


@pytest.mark.parametrize("counters", [retrying(1), OutputCounters(records=9, retries=1), OutputCounters(dropped=1)])
def test_a_pipeline_with_retries_or_a_failing_output_is_congested(counters: OutputCounters) -> None:
    assert congested(seen(sink=DELIVERING, es=counters))


def test_a_pipeline_that_delivers_or_idles_is_not_congested() -> None:
    assert not congested(seen(sink=DELIVERING, es=IDLE, file=OutputCounters(records=5, errors=1)))
    assert not congested(replace(WELL, outputs=None))


# --- steady state ---


def test_in_steady_state_failing_outputs_are_warnings_however_long_they_fail() -> None:
    liveness = Liveness()

    readings = [liveness.judge(seen(es=retrying(n)), at=5.0 * n) for n in range(1, 100)]

    assert {reading.health for reading in readings} == {Health.WELL}
    assert readings[-1].warnings[0].startswith("output es cannot deliver")


def test_in_steady_state_failures_in_a_row_are_counted_and_a_good_one_ends_the_row() -> None:
    liveness = Liveness()
    silent = replace(WELL, answering=False)
    counted = []

    for at, observation in enumerate([silent, silent, WELL, silent, silent, silent]):
        reading = liveness.judge(observation, float(at))
        counted.append(liveness.failures)

    assert counted == [1, 2, 0, 1, 2, 3]
    assert reading.health is Health.UNWELL


def test_the_baseline_is_the_latest_minute_and_not_what_was_counted_before_it() -> None:
    liveness = Liveness()

    for n in range(100):
        liveness.judge(seen(es=OutputCounters(records=1000 + 10 * n, retries=7), inputs=20 * n), at=5.0 * n)

    baseline = liveness.baseline()
    assert baseline is not None
    assert baseline.outputs == {"es": OutputCounters(records=120)}
    assert baseline.inputs == {"in": 240}


def test_the_baseline_begins_anew_with_a_reload() -> None:
    liveness = Liveness()
    liveness.judge(seen(es=OutputCounters(records=1000)), at=0.0)

    liveness.judge(replace(seen(es=OutputCounters(records=5)), reloads=2, uptime=1.0), at=5.0)

    baseline = liveness.baseline()
    assert baseline is not None
    assert baseline.outputs == {"es": OutputCounters(records=5)}


def test_there_is_no_baseline_before_anything_was_seen() -> None:
    liveness = Liveness()

    liveness.judge(replace(WELL, outputs=None), at=0.0)

    assert liveness.baseline() is None
