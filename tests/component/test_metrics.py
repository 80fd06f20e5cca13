"""What machines read about us: names, meanings, and bounds whatever authors call their files."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor.adapters.metrics import MAX_SNIPPETS, OVERFLOW, Metrics
from supervisor.model import (
    ChildStatus,
    GenerationStatus,
    Observation,
    SnippetState,
    SnippetStatus,
    Status,
)

OURS = "fluentbit_supervisor_"


def snippet(name: str, state: SnippetState = SnippetState.LIVE, **changes: str | None) -> SnippetStatus:
    """A tenant's snippet when its name has three parts, else a platform's; digests as its state implies."""
    parts = name.split("/")
    running = {SnippetState.LIVE: "new", SnippetState.PREVIOUS: "old"}.get(state)
    plain = SnippetStatus(name, parts[0], parts[1] if len(parts) == 3 else None, state, "new", running)
    return replace(plain, **changes)  # type: ignore[arg-type]


def status(*snippets: SnippetStatus, **changes: object) -> Status:
    """All is well with generation 7, but for what is said."""
    seven = GenerationStatus(7, "ab" * 32)
    plain = Status(
        phase="steady",
        intake="settled",
        in_sync=True,
        ready=True,
        frozen=False,
        reason="",
        degraded=(),
        desired=seven,
        current=seven,
        good=seven,
        last_apply=None,
        child=ChildStatus(42, 1000.0, 0, "5.1.1"),
        snippets=snippets,
        findings=(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def read(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The exposition as Prometheus' own parser reads it; a series that stands there twice is a failure."""
    series: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in series
            series[key] = sample.value
    return series


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return read(metrics).get((name, frozenset(labels.items())))


def shown(*snippets: SnippetStatus, **changes: object) -> Metrics:
    metrics = Metrics("1.2.3")
    metrics.show(status(*snippets, **changes))
    return metrics


def test_every_promised_name_is_there_after_the_first_status() -> None:
    metrics = shown(snippet("platform/a.conf"), watch_mode="polling")
    metrics.observed(Observation(alive=True, answering=True, resident_bytes=5, cpu_seconds=2.5))

    names = {name for name, _ in read(metrics)}

    promised = """
        config_last_reload_successful config_last_reload_success_timestamp_seconds config_in_sync config_generation
        config_hash applies_total reverts_total validations_total validation_duration_seconds_bucket
        apply_duration_seconds_bucket snippet_accepted snippets child_up child_starts_total child_exits_total
        child_resident_memory_bytes child_cpu_seconds_total watch_mode watch_errors_total loop_lag_seconds_bucket
        build_info
    """
    assert {OURS + name for name in promised.split()} <= names
    assert {"reloader_last_reload_successful", "reloader_last_reload_success_timestamp_seconds"} <= names


def test_nothing_is_exported_that_was_not_promised_but_our_own_process() -> None:
    metrics = shown()

    strangers = {name for name, _ in read(metrics) if not name.startswith((OURS, "process_", "reloader_last_reload_"))}

    assert strangers == set()
    assert not any(name.endswith("_created") for name, _ in read(metrics))


def test_two_registries_live_side_by_side() -> None:
    first, second = Metrics("1"), Metrics("2")

    first.watch_error()

    assert value(first, OURS + "watch_errors_total") == 1
    assert value(second, OURS + "watch_errors_total") == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (status(snippet("base/main"), snippet("platform/a.conf")), 1),
        (status(snippet("base/main", SnippetState.PREVIOUS), in_sync=False), 0),
        (status(snippet("base/main", SnippetState.REFUSED), in_sync=False), 0),
        (status(snippet("platform/a.conf", SnippetState.PENDING), in_sync=False), 0),
        (status(snippet("platform/a.conf", digest=None), in_sync=False), 0),
        (status(snippet("tenants/shop/a.conf", SnippetState.REFUSED), in_sync=False), 1),
        (status(snippet("tenants/shop/a.conf", SnippetState.PREVIOUS), in_sync=False), 1),
        (status(snippet("platform/a.conf"), reverted=True), 0),
        (status(), 1),
    ],
    ids=[
        "all live",
        "base refused, its last version runs",
        "base refused",
        "platform not yet live",
        "platform removed, still runs",
        "tenant refused",
        "tenant on its last version",
        "reverted, no commit since",
        "nothing configured",
    ],
)
def test_success_is_a_state_of_base_and_platform_content(given: Status, expected: float) -> None:
    metrics = Metrics("1.2.3")

    metrics.show(given)

    assert value(metrics, OURS + "config_last_reload_successful") == expected
    assert value(metrics, "reloader_last_reload_successful") == expected


def test_the_time_of_the_last_commit_is_told_under_both_names() -> None:
    metrics = shown(committed_at=1234.5)

    assert value(metrics, OURS + "config_last_reload_success_timestamp_seconds") == 1234.5
    assert value(metrics, "reloader_last_reload_success_timestamp_seconds") == 1234.5


def test_what_runs_is_told_by_number_and_digest() -> None:
    metrics = shown(current=GenerationStatus(6, "cd" * 32), in_sync=False)

    assert value(metrics, OURS + "config_generation") == 6
    assert value(metrics, OURS + "config_hash", sha256="cd" * 32) == 1
    assert value(metrics, OURS + "config_hash", sha256="ab" * 32) is None
    assert value(metrics, OURS + "config_in_sync") == 0
    assert value(metrics, OURS + "build_info", version="1.2.3", fluent_bit_version="5.1.1") == 1


def test_a_refused_newest_version_is_not_accepted_whether_an_older_one_runs_or_not() -> None:
    metrics = shown(
        snippet("tenants/shop/live.conf"),
        snippet("tenants/shop/old.conf", SnippetState.PREVIOUS),
        snippet("tenants/shop/out.conf", SnippetState.REFUSED),
        snippet("tenants/shop/new.conf", SnippetState.PENDING),
    )

    def accepted(name: str) -> float | None:
        labels = {"layer": "tenants", "tenant": "shop", "snippet": f"tenants/shop/{name}"}
        return value(metrics, OURS + "snippet_accepted", **labels)

    assert accepted("live.conf") == 1
    assert accepted("old.conf") == 0
    assert accepted("out.conf") == 0
    assert accepted("new.conf") is None
    assert value(metrics, OURS + "snippets", state="refused") == 1


def test_a_snippet_that_went_away_leaves_no_series() -> None:
    metrics = shown(snippet("platform/a.conf"), snippet("platform/b.conf"))

    metrics.show(status(snippet("platform/b.conf")))

    left = [dict(labels) for name, labels in read(metrics) if name == OURS + "snippet_accepted"]
    assert left == [{"layer": "platform", "tenant": "", "snippet": "platform/b.conf"}]


def test_ten_thousand_odd_names_stay_below_two_thousand_series_and_hide_no_refusal() -> None:
    odd = ['"quote"', "line\nfeed", "back\\slash", "\x1b[31mred", "\udc80byte", "é€😀", "x" * 255, "{a=1}", "%s"]
    live = [snippet(f"tenants/t{i}/{odd[i % len(odd)]}{i}.conf") for i in range(10_000)]
    refused = snippet("tenants/zz/zz.conf", SnippetState.REFUSED)

    metrics = shown(*live, refused)

    series = read(metrics)
    assert len(series) < 2000
    accepted = {dict(labels)["snippet"]: one for (name, labels), one in series.items() if "snippet_acc" in name}
    assert len(accepted) == MAX_SNIPPETS
    assert accepted["tenants/zz/zz.conf"] == 0
    assert accepted[OVERFLOW] == 1


def test_names_that_look_alike_once_made_printable_share_a_series_and_the_worse_wins() -> None:
    metrics = shown(snippet("platform/a\x01"), snippet("platform/a\\x01", SnippetState.REFUSED))

    labels = {"layer": "platform", "tenant": "", "snippet": "platform/a\\x01"}
    assert value(metrics, OURS + "snippet_accepted", **labels) == 0


def test_a_message_never_becomes_a_label() -> None:
    metrics = Metrics("1")
    secret = "password hunter2 was refused"

    metrics.applied(secret, secret, 1.0)
    metrics.reverted(secret)
    metrics.validated(secret, secret, 1.0)
    metrics.child_started(secret)
    metrics.watched(secret)
    metrics.child_exited(-4711)

    assert b"hunter2" not in metrics.text()
    assert b"4711" not in metrics.text()
    assert value(metrics, OURS + "reverts_total", reason="other") == 1
    assert value(metrics, OURS + "applies_total", method="other", result="other") == 1


def test_counters_that_alerts_watch_begin_at_zero() -> None:
    metrics = Metrics("1")

    assert value(metrics, OURS + "reverts_total", reason="unhealthy") == 0
    assert value(metrics, OURS + "applies_total", method="reload", result="reverted") == 0
    assert value(metrics, OURS + "validations_total", stage="dry-run", result="rejected") == 0
    assert value(metrics, OURS + "child_exits_total", status="255") == 0


def test_what_happened_is_counted() -> None:
    metrics = Metrics("1")

    metrics.applied("reload", "committed", 0.3)
    metrics.applied("restart", "reverted", 0.4)
    metrics.validated("dry_run", "rejected", 0.05)
    metrics.child_started("crash")
    metrics.child_exited(255)
    metrics.child_exited(-9)
    metrics.lagged(0.002)

    assert value(metrics, OURS + "applies_total", method="reload", result="committed") == 1
    assert value(metrics, OURS + "applies_total", method="restart", result="reverted") == 1
    assert value(metrics, OURS + "apply_duration_seconds_count") == 1  # only what went live took its time to live
    assert value(metrics, OURS + "validations_total", stage="dry-run", result="rejected") == 1
    assert value(metrics, OURS + "child_starts_total", reason="crash") == 1
    assert value(metrics, OURS + "child_exits_total", status="255") == 1
    assert value(metrics, OURS + "child_exits_total", status="SIGKILL") == 1
    assert value(metrics, OURS + "loop_lag_seconds_count") == 1


def test_only_the_present_watch_mode_is_one() -> None:
    metrics = Metrics("1")

    metrics.watched("inotify")
    metrics.watched("polling")

    assert value(metrics, OURS + "watch_mode", mode="polling") == 1
    assert value(metrics, OURS + "watch_mode", mode="inotify") == 0


def test_a_dead_child_holds_no_memory() -> None:
    metrics = Metrics("1")
    metrics.observed(Observation(alive=True, answering=True, resident_bytes=4096, cpu_seconds=1.5))
    before = value(metrics, OURS + "child_resident_memory_bytes")

    metrics.observed(Observation(alive=False, answering=False, resident_bytes=4096, cpu_seconds=1.5))

    assert before == 4096
    assert value(metrics, OURS + "child_resident_memory_bytes") == 0
    assert value(metrics, OURS + "child_cpu_seconds_total") == 1.5
