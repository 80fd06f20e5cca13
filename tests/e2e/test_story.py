"""The promise, told as one story: live, refused, fixed, taken back; and logs flow on."""

from __future__ import annotations

from pathlib import Path

from e2e.faults import LIVE, fatal, flow, is_double
from running import Running, pipeline

GREP = "  filters:\n    - name: grep\n      match: a\n      regex: message {}\n"


def test_a_snippet_goes_live_and_a_change_replaces_it(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", pipeline("one"))
        first = supervisor.until_live("a.yaml", pipeline("one"))
        supervisor.until_records("one")

        supervisor.save("a.yaml", pipeline("two"))
        second = supervisor.until_live("a.yaml", pipeline("two"))
        supervisor.until_records("two")

        assert second["current"]["generation"] == first["current"]["generation"] + 1
        assert second["child"]["pid"] == first["child"]["pid"], "a reload keeps the process"
        assert second["last_apply"]["method"] == "reload"
        assert supervisor.stop() == 0


def test_a_broken_snippet_is_refused_with_its_line_while_logs_flow_on(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", pipeline("one"))
        live = supervisor.until_live("a.yaml", pipeline("one"))

        supervisor.save("a.yaml", pipeline("two").replace("match: a", "match: a\n   broken"))
        status = supervisor.until_refused()
        flowing = len(supervisor.records())
        supervisor.until_records("one", after=flowing)

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert finding["snippet"] == "platform/a.yaml"
        assert finding["line"] == 11
        assert status["current"] == live["current"]
        assert status["snippets"][0]["state"] == "previous"

        supervisor.save("a.yaml", pipeline("three"))
        supervisor.until_live("a.yaml", pipeline("three"))
        supervisor.until_records("three")


def test_what_only_a_start_shows_is_refused_with_its_line_and_never_meets_what_runs(
    tmp_path: Path, fluent_bit: str
) -> None:
    with Running(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", pipeline("one"))
        live = supervisor.until_live("a.yaml", pipeline("one"))

        broken = pipeline("two", more=GREP.format("[z-a]"))
        supervisor.save("a.yaml", broken)
        status = supervisor.until_refused()
        flowing = len(supervisor.records())
        supervisor.until_records("one", after=flowing)

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"]) == ("start", "platform/a.yaml")
        assert broken.splitlines()[finding["line"] - 1].strip() == "regex: message [z-a]"
        assert "could not compile regex pattern '[z-a]'" in finding["message"]
        assert status["snippets"][0]["state"] == "previous"
        assert status["child"] == live["child"]
        assert supervisor.events("reload.requested") == supervisor.events("generation.reverted") == []

        supervisor.save("a.yaml", pipeline("three"))
        assert not supervisor.until_live("a.yaml", pipeline("three"))["findings"]


def test_what_passes_every_check_and_dies_is_taken_back_and_not_tried_again(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit, env=LIVE) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.save("b.yaml", pipeline("beside", "b"))
        supervisor.until_live("a.yaml", flow("one"))
        good = supervisor.until_live("b.yaml", pipeline("beside", "b"))["good"]

        supervisor.save("a.yaml", fatal("two", fluent_bit))
        status = supervisor.until(
            lambda s: s["last_apply"]["outcome"] == "reverted" and s["phase"] == "steady" and s["findings"], 30
        )
        flowing = len(supervisor.records())
        supervisor.until_records("one", after=flowing)
        supervisor.until_records("beside", after=flowing)
        supervisor.client.reload(wait=10)

        ended = "killed by SIGABRT (6)" if is_double(fluent_bit) else "exit status 7"
        (finding,) = supervisor.status()["findings"]
        assert (finding["rule"], finding["snippet"]) == ("quarantined", "platform/a.yaml")
        assert ended in finding["message"]
        assert ended in status["reason"]
        assert status["good"] == good
        assert len(supervisor.events("generation.reverted")) == 1
        assert [one["state"] for one in status["snippets"]] == ["previous", "live"]

        supervisor.save("a.yaml", flow("three"))
        supervisor.until_live("a.yaml", flow("three"))


def test_a_restarted_supervisor_boots_from_good(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", pipeline("one"))
        supervisor.until_live("a.yaml", pipeline("one"))
        assert supervisor.stop() == 0
        supervisor.save("a.yaml", "pipeline: [broken\n")
        flowing = len(supervisor.records())

        supervisor.start()
        supervisor.until_records("one", after=flowing)
        status = supervisor.until(lambda s: s["phase"] == "steady" and s["findings"])

        assert status["ready"]
        assert not status["in_sync"]
        assert status["good"]["generation"] == 1
