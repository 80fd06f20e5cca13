"""A reload that hangs, dies, is declined, is outrun: the newest good content wins, by one signal at a time."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import waits_until
from e2e.faults import (
    ENDLESS_START,
    LIVE,
    PATIENT,
    Endpoint,
    Faulty,
    answers,
    backend,
    fatal,
    flow,
    is_double,
    lose,
    runs,
    supervise,
)
from running import Running


def delivering(supervisor: Running, target: Endpoint, message: str) -> str:
    """A snippet that also delivers to the target, live and delivering."""
    snippet = flow(message, outputs=PATIENT.format(target.port))
    supervisor.save("a.yaml", snippet)
    supervisor.until_live("a.yaml", snippet)
    waits_until(lambda: target.asked)
    return snippet


def reload_count(supervisor: Running) -> int:
    """As the child itself counts."""
    with closing(http.client.HTTPConnection("127.0.0.1", supervisor.port, timeout=5)) as connection:
        connection.request("GET", "/api/v2/reload")
        return int(json.loads(connection.getresponse().read())["hot_reload_count"])


def test_a_reload_that_hangs_ends_in_a_restart_with_the_new_content_and_blames_nobody(
    tmp_path: Path, fluent_bit: str
) -> None:
    # Between two looks at the outputs: a failing one that is known of is a reason not to reload in the first place.
    with backend() as target, supervise(tmp_path, fluent_bit, health_interval="60s", apply_deadline="2s") as supervisor:
        old = delivering(supervisor, target, "one")
        before = supervisor.status()
        lose(supervisor, target)
        new = old.replace("one", "two")
        supervisor.save("a.yaml", new)
        supervisor.until(lambda s: s["phase"] == "reloading")
        assert answers(supervisor.port), "a hanging reload looks well from outside"
        after = supervisor.until_live("a.yaml", new, 40)

        assert "the reload count stays at 0" in supervisor.events("reload.unresponsive")[0]["message"]
        assert len(supervisor.events("child.killed")) == 1, "TERM is not heard meanwhile"
        assert supervisor.events("generation.reverted") == []
        assert [one for one in after["findings"] if one["severity"] == "error"] == []
        assert after["current"]["generation"] == before["current"]["generation"] + 1
        assert after["child"]["restarts"] == 1
        assert not runs(before["child"]["pid"])
        assert after["reason"] == ""
        supervisor.until_records("two")


def test_a_failing_output_that_is_known_of_is_a_reason_to_restart_and_not_to_reload(
    tmp_path: Path, fluent_bit: str
) -> None:
    with backend() as target, supervise(tmp_path, fluent_bit) as supervisor:
        old = delivering(supervisor, target, "one")
        target.close()
        waits_until(lambda: supervisor.events("output.failing") or supervisor.status()["warnings"], 90)
        new = old.replace("one", "two")
        supervisor.save("a.yaml", new)
        status = supervisor.until_live("a.yaml", new, 40)

        assert status["last_apply"]["method"] == "restart"
        assert supervisor.events("reload.requested") == []


def test_a_child_that_is_killed_in_a_reload_blames_nobody(tmp_path: Path, fluent_bit: str) -> None:
    """Not even whom the old pipeline complained of while it was ending."""
    with backend() as target, supervise(tmp_path, fluent_bit, health_interval="60s") as supervisor:
        old = delivering(supervisor, target, "one")
        before = supervisor.status()
        lose(supervisor, target)
        new = old.replace("one", "two")
        supervisor.save("a.yaml", new)
        supervisor.until(lambda s: s["phase"] == "reloading" and s["last_apply"]["outcome"] == "applying")

        flowing = len(supervisor.records())
        os.kill(before["child"]["pid"], signal.SIGKILL)
        supervisor.until_records("one", after=flowing)
        status = supervisor.until_live("a.yaml", new, 60)

        assert "killed by SIGKILL (9)" in supervisor.events("child.exited")[0]["message"]
        assert supervisor.events("snippet.quarantined") == [], "on parole at most: it is tried once more"
        assert [one for one in status["findings"] if one["severity"] == "error"] == []
        supervisor.until_records("two")


@pytest.mark.real
def test_what_the_old_pipeline_says_while_it_ends_convicts_nobody(tmp_path: Path, real: str) -> None:
    """Two are new; one of them complains of its back-end for as long as the old pipeline drains, the other is fatal."""

    def beside(text: str) -> str:
        return text.replace(" a,", " b,").replace("tick=0.1", "tick=0.1 b")

    patient = {"health_interval": "60s", "apply_deadline": "40s", "sources_quiet": "300ms"}
    with backend() as target, supervise(tmp_path, real, environment=LIVE, **patient) as supervisor:
        supervisor.save("b.yaml", beside(flow("beside")))
        old = flow("one", outputs=PATIENT.format(target.port).replace("no_limits", "2"))
        supervisor.save("a.yaml", old)
        supervisor.until_live("b.yaml", beside(flow("beside")))
        supervisor.until_live("a.yaml", old)
        waits_until(lambda: target.asked)
        lose(supervisor, target)

        new = old.replace("one", "two")
        supervisor.save("a.yaml", new)
        supervisor.save("b.yaml", beside(fatal("worse", real)))
        status = supervisor.until(
            lambda s: s["phase"] == "steady" and [one["state"] for one in s["snippets"]] == ["live", "previous"],
            60,
        )

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"]) == ("quarantined", "platform/b.yaml")
        assert [event["snippet"] for event in supervisor.events("snippet.quarantined")] == ["platform/b.yaml"]
        assert (
            "changed were: platform/a.yaml, platform/b.yaml" in supervisor.events("generation.reverted")[0]["message"]
        )
        supervisor.until_records("two")


def test_after_a_declined_reload_the_old_pipeline_goes_on_and_a_fix_is_live(tmp_path: Path, fluent_bit: str) -> None:
    """Nothing but Fluent Bit itself knows the property here: no schema, no trial, and a dry-run that lies."""
    program = Faulty(tmp_path, fluent_bit)
    program.plant("schema", "exit 1")
    with supervise(tmp_path, program.path, validate_trial="false") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        program.plant("dry-run", "echo 'configuration test is successful' >&2; exit 0")

        supervisor.save("a.yaml", flow("two", outputs="name: 'null', match: a, no_such_property: 1"))
        status = supervisor.until(lambda s: s["last_apply"]["outcome"] == "reverted" and s["phase"] == "steady", 30)
        supervisor.until_records("one", after=len(supervisor.records()))
        supervisor.client.reload(wait=5)

        assert "unknown configuration property 'no_such_property'" in status["reason"]
        (finding,) = [one for one in supervisor.status()["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"], finding["line"]) == ("quarantined", "platform/a.yaml", 7)
        assert status["current"] == before["current"]
        assert status["child"] == before["child"], "the process was not touched"
        assert len(supervisor.events("reload.declined")) == len(supervisor.events("reload.requested")) == 1
        assert "two" not in supervisor.records()

        program.mend("dry-run")
        supervisor.save("a.yaml", flow("three"))
        assert supervisor.until_live("a.yaml", flow("three"))["child"]["pid"] == before["child"]["pid"]


def hanging(message: str, binary: str) -> str:
    """A snippet with which Fluent Bit never comes up."""
    return flow(message, markers="slow-start=600", filters="" if is_double(binary) else ENDLESS_START)


def test_a_start_that_would_hang_is_seen_in_a_trial_and_what_runs_is_not_touched(
    tmp_path: Path, fluent_bit: str
) -> None:
    with supervise(tmp_path, fluent_bit, validate_timeout="1s") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", hanging("two", fluent_bit))
        status = supervisor.until_refused(40)

        (finding,) = status["findings"]
        assert (finding["rule"], finding["snippet"]) == ("start", "platform/a.yaml")
        assert "was not ready within 1 s, and an empty pipeline" in finding["message"]
        assert status["child"] == before["child"]
        assert status["snippets"][0]["state"] == "previous"
        supervisor.until_records("one", after=len(supervisor.records()))
        supervisor.save("a.yaml", flow("three"))
        assert supervisor.until_live("a.yaml", flow("three"))["child"]["pid"] == before["child"]["pid"]


def test_a_start_that_hangs_twice_is_ended_and_what_was_good_runs_again(tmp_path: Path, fluent_bit: str) -> None:
    method = "restart" if is_double(fluent_bit) else "auto"  # the real one hangs in the reload first
    untried = {"apply_method": method, "apply_deadline": "1500ms", "validate_trial": "false"}
    with supervise(tmp_path, fluent_bit, **untried) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", hanging("two", fluent_bit))
        status = supervisor.until(
            lambda s: s["phase"] == "steady" and "quarantined" in {one["rule"] for one in s["findings"]}, 60
        )

        assert status["current"] == status["good"] == before["good"]
        assert status["last_apply"]["outcome"] == "reverted"
        assert "it did not start within its deadline" in status["reason"]
        assert [(one["rule"], one["snippet"]) for one in status["findings"]] == [("quarantined", "platform/a.yaml")]
        assert [event["message"].rpartition(": ")[2] for event in supervisor.events("parole.begun")] == [
            "platform/a.yaml"
        ]
        assert len(supervisor.events("generation.reverted")) == 2, "once may be the machine's fault"
        supervisor.until_records("one", after=len(supervisor.records()))


def test_a_start_that_hangs_once_convicts_nobody(tmp_path: Path, fluent_bit: str) -> None:
    program = Faulty(tmp_path, fluent_bit)
    slow = {"apply_method": "restart", "apply_deadline": "1500ms"}
    with supervise(tmp_path, program.path, **slow) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))
        program.plant("run", f"[ -e '{tmp_path}/hung' ] || {{ touch '{tmp_path}/hung'; exec sleep 600; }}")
        supervisor.save("a.yaml", flow("two"))
        status = supervisor.until_live("a.yaml", flow("two"), 40)

        assert len(supervisor.events("start.unresponsive")) == 1
        assert supervisor.events("snippet.quarantined") == status["findings"] == []
        assert status["reason"] == ""
        supervisor.until_records("two")


def test_a_first_start_that_hangs_is_told_and_its_fix_is_live(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit, apply_deadline="1s", validate_trial="false") as supervisor:
        supervisor.save("a.yaml", hanging("one", fluent_bit))
        waits_until(lambda: supervisor.events("start.unresponsive"), 30)
        status = supervisor.until(lambda s: "nothing answers on" in s["reason"])
        assert not status["ready"]

        supervisor.save("a.yaml", flow("two"))
        supervisor.until_live("a.yaml", flow("two"), 30)


def test_a_change_during_a_reload_is_not_lost(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one", markers="tick=1"))
        before = supervisor.until_live("a.yaml", flow("one", markers="tick=1"))
        supervisor.save("a.yaml", flow("two", markers="tick=1"))
        supervisor.until(lambda s: s["phase"] == "reloading")

        supervisor.save("a.yaml", flow("three"))
        after = supervisor.until_live("a.yaml", flow("three"))

        assert after["child"]["pid"] == before["child"]["pid"]
        assert reload_count(supervisor) == len(supervisor.events("reload.requested")) == 2
        supervisor.until_records("three")


def test_a_burst_becomes_few_applies_and_no_signal_overtakes_another(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit, apply_min_gap="100ms") as supervisor:
        supervisor.save("a.yaml", flow("first", markers="tick=1"))
        before = supervisor.until_live("a.yaml", flow("first", markers="tick=1"))

        for number in range(50):
            supervisor.save("a.yaml", flow(f"burst {number}", markers="tick=1"))
        supervisor.until_live("a.yaml", flow("burst 49", markers="tick=1"))
        after_burst = len(supervisor.events("reload.requested"))
        for number in range(30):
            supervisor.save("a.yaml", flow(f"quick {number}", markers="tick=1"))
            time.sleep(0.15)  # a pace, not a wait: some of these come while a reload is under way
        after = supervisor.until_live("a.yaml", flow("quick 29", markers="tick=1"))

        assert 1 <= after_burst <= 5
        assert after["child"] == before["child"], "no restart was needed"
        assert reload_count(supervisor) == len(supervisor.events("reload.requested")), "each signal was one reload"
        assert "reloading in progress" not in supervisor.log()
        supervisor.until_records("quick 29")
