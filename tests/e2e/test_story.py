"""The promise, told as one story: live, refused, fixed, taken back; and logs flow on."""

from __future__ import annotations

from pathlib import Path

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


def test_what_passes_dry_run_and_dies_is_taken_back_and_not_tried_again(tmp_path: Path, fluent_bit: str) -> None:
    with Running(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", pipeline("one"))
        supervisor.until_live("a.yaml", pipeline("one"))

        supervisor.save("a.yaml", pipeline("two", more=GREP.format("(")))
        status = supervisor.until(lambda s: s["last_apply"]["outcome"] == "reverted" and s["phase"] == "steady", 30)
        flowing = len(supervisor.records())
        supervisor.until_records("one", after=flowing)
        supervisor.client.reload(wait=10)

        assert status["good"]["generation"] == 1
        assert "could not compile regex" in status["reason"] or "regex" in status["reason"]
        assert len(supervisor.events("generation.reverted")) == 1
        assert status["snippets"][0]["state"] == "previous"

        supervisor.save("a.yaml", pipeline("three"))
        supervisor.until_live("a.yaml", pipeline("three"))


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
