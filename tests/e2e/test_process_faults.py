"""A Fluent Bit that will not start, dies, freezes or will not go: it is told, nothing is lost, and it runs again."""

from __future__ import annotations

import os
import re
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import waits_until
from e2e.faults import BLOCKED, ENDS_A_START, Faulty, below, flow, is_double, runs, stranger, supervise, with_words
from running import Running, free_port

# --- it never starts ------------------------------------------------------------------------------------------


def test_a_child_that_dies_at_its_first_start_is_told_and_its_fix_is_live_at_once(
    tmp_path: Path, fluent_bit: str
) -> None:
    with supervise(tmp_path, fluent_bit, validate_trial="false") as supervisor:
        supervisor.save("a.yaml", flow("one", filters=ENDS_A_START))
        waits_until(lambda: len(supervisor.events("child.exited")) >= 2, 30)
        status = supervisor.until(lambda s: s["phase"] == "backoff")

        assert not status["ready"]
        assert "could not compile regex pattern" in status["reason"]
        assert "exit status 255" in supervisor.events("child.exited")[0]["message"]
        assert {event.get("back_to") for event in supervisor.events("generation.reverted")} <= {None}
        assert supervisor.events("snippet.quarantined") == [], "alone it is tried again, as a container would be"

        supervisor.save("a.yaml", flow("two"))
        assert supervisor.until_live("a.yaml", flow("two"))["ready"]
        supervisor.until_records("two")


def test_who_ends_the_first_start_is_left_out_and_the_others_run(tmp_path: Path, fluent_bit: str) -> None:
    other = flow("beside").replace(" a,", " b,").replace("tick=0.1", "tick=0.1 b")
    with supervise(tmp_path, fluent_bit, validate_trial="false", sources_quiet="500ms") as supervisor:
        supervisor.save("a.yaml", flow("one", filters=ENDS_A_START))
        supervisor.save("b.yaml", other)
        supervisor.until_records("beside", limit=30)
        status = supervisor.until(lambda s: s["phase"] == "steady" and s["findings"], 30)

        (finding,) = [one for one in status["findings"] if one["severity"] == "error"]
        assert (finding["rule"], finding["snippet"], finding["line"]) == ("quarantined", "platform/a.yaml", 6)
        assert "could not compile regex pattern" in finding["message"]
        assert [one["state"] for one in status["snippets"]] == ["refused", "live"]
        assert status["ready"]
        assert '"one"' not in supervisor.records()


def test_who_cannot_start_is_found_before_the_first_start(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one", filters=ENDS_A_START))
        status = supervisor.until_refused()

        (finding,) = status["findings"]
        assert (finding["rule"], finding["snippet"], finding["line"]) == ("start", "platform/a.yaml", 6)
        assert (status["phase"], status["ready"]) == ("down", False)
        assert "could not compile regex pattern" in status["reason"]
        assert supervisor.events("child.started") == []

        supervisor.save("a.yaml", flow("two"))
        assert supervisor.until_live("a.yaml", flow("two"))["ready"]


def test_every_way_to_end_at_the_first_start_is_told_and_survived(tmp_path: Path, double: str) -> None:
    ends = {
        "exit 0": "exit status 0",
        "exit 1": "exit status 1",
        "exit 126": "exit status 126",
        "exit 127": "exit status 127",
        "kill -SEGV $$": "killed by SIGSEGV (11)",
    }
    program = Faulty(tmp_path, double)
    with supervise(tmp_path, program.path) as supervisor:
        for number, (script, words) in enumerate(ends.items()):
            program.plant("run", script)
            supervisor.save("a.yaml", flow(f"message {number}"))
            status = supervisor.until(lambda s, words=words: words in s["reason"] and s["phase"] == "backoff")
            assert not status["ready"]

        program.mend("run")
        supervisor.save("a.yaml", flow("mended"))
        assert supervisor.until_live("a.yaml", flow("mended"))["reason"] == ""


def test_a_stranger_on_the_port_is_never_taken_for_the_child(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.until_in_sync()
        with stranger(supervisor.port):
            supervisor.save("a.yaml", flow("one"))
            waits_until(lambda: len(supervisor.events("child.exited")) >= 2, 30)
            status = supervisor.until(lambda s: s["phase"] == "backoff")

            assert f"could not bind address 127.0.0.1:{supervisor.port}" in status["reason"]
            assert not status["in_sync"]
            assert supervisor.events("generation.committed") == []
            assert phases(supervisor) <= {"down", "starting", "backoff"}

        supervisor.until_live("a.yaml", flow("one"), 60)
        supervisor.until_records("one")


def test_a_child_that_does_not_answer_is_not_well_because_a_stranger_does(tmp_path: Path, double: str) -> None:
    program = Faulty(tmp_path, double)
    program.plant("run", "exec sleep 600")
    with supervise(tmp_path, program.path, apply_deadline="1s") as supervisor:
        supervisor.until_in_sync()
        with stranger(supervisor.port):
            supervisor.save("a.yaml", flow("one"))
            waits_until(lambda: len(supervisor.events("start.unresponsive")) >= 2, 30)
            words = f"another process answers on 127.0.0.1:{supervisor.port}"

            assert words in supervisor.events("start.unresponsive")[0]["message"]
            assert words in supervisor.status()["reason"]
            assert phases(supervisor) <= {"down", "starting", "replacing", "backoff"}
            program.mend("run")

        supervisor.until_live("a.yaml", flow("one"), 60)


def test_a_stranger_on_the_port_that_nobody_asked_for_is_told_and_avoided(tmp_path: Path, fluent_bit: str) -> None:
    supervisor = supervise(tmp_path, fluent_bit)
    with stranger(supervisor.port), supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))

        assert f"port {supervisor.port} is taken" in supervisor.events("start.degraded")[0]["message"]
        assert f"tcp_port={supervisor.port}" not in supervisor.log()
        supervisor.until_records("one")


def test_a_port_of_a_snippet_that_is_taken_is_tried_again_until_it_is_free(tmp_path: Path, real: str) -> None:
    port = free_port()
    listening = flow("one", inputs=f"name: tcp, listen: 127.0.0.1, port: {port}, tag: a")
    beside = flow("beside").replace(" a,", " b,").replace("tick=0.1", "tick=0.1 b")
    with supervise(tmp_path, real) as supervisor:
        with stranger(port):
            supervisor.save("a.yaml", listening)
            supervisor.save("b.yaml", beside)
            supervisor.until_records("beside")
            status = supervisor.until_refused()

            (finding,) = status["findings"]
            assert (finding["rule"], finding["snippet"], finding["line"]) == ("port-taken", "platform/a.yaml", 5)
            assert f"tcp port {port} on 127.0.0.1 cannot be had" in finding["message"]
            assert [one["state"] for one in status["snippets"]] == ["refused", "live"]

        supervisor.until_live("a.yaml", listening, 60)
        supervisor.until_records('"one"')
        assert len(supervisor.events("child.started")) == 1
        assert supervisor.events("generation.reverted") == []


# --- it ends in steady state ----------------------------------------------------------------------------------


def test_a_killed_child_comes_back_with_what_it_ran_and_not_with_what_was_refused(
    tmp_path: Path, fluent_bit: str
) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", "pipeline: [broken\n")
        supervisor.until_refused()

        fault = "SIGSEGV (11)" if is_double(fluent_bit) else "SIGABRT (6)"  # the real one aborts itself then
        for number, words in ((signal.SIGKILL, "killed by SIGKILL (9)"), (signal.SIGSEGV, f"killed by {fault}")):
            pid, restarts = supervisor.status()["child"]["pid"], supervisor.status()["child"]["restarts"]
            os.kill(pid, number)
            after = supervisor.until(
                lambda s, restarts=restarts: s["phase"] == "steady" and s["child"]["restarts"] == restarts + 1
            )
            flowing = len(supervisor.records())
            supervisor.until_records("one", after=flowing)

            assert words in supervisor.events("child.exited")[-1]["message"]
            assert after["current"] == after["good"] == before["current"]
            assert after["child"]["pid"] != pid
            assert after["ready"]
        assert supervisor.events("generation.reverted") == []
        assert [each["level"] for each in supervisor.events("child.exited")] == ["error", "error"]


def test_exit_0_that_nobody_asked_for_is_a_crash(tmp_path: Path, fluent_bit: str) -> None:
    snippet = flow("one", outputs="name: exit, match: a, time_count: 2")
    with supervise(tmp_path, fluent_bit, health_interval="1s") as supervisor:
        supervisor.save("a.yaml", snippet)
        before = supervisor.until_live("a.yaml", snippet)
        waits_until(lambda: supervisor.events("child.exited"), 30)
        after = supervisor.until(lambda s: s["phase"] == "steady" and s["child"]["restarts"] >= 1)

        assert "Fluent Bit ended: exit status 0" in supervisor.events("child.exited")[0]["message"]
        assert supervisor.events("child.exited")[0]["level"] == "error"
        assert after["current"] == before["current"]
        flowing = len(supervisor.records())
        supervisor.until_records("one", after=flowing)


def test_in_a_crash_loop_each_pause_is_longer_and_the_end_of_the_cause_is_the_end_of_it(
    tmp_path: Path, double: str
) -> None:
    program = Faulty(tmp_path, double)
    with supervise(tmp_path, program.path, health_probation="2s") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        good = supervisor.until_live("a.yaml", flow("one"))["good"]
        program.plant("run", "(sleep 0.4; kill -KILL $$) &")
        os.kill(supervisor.status()["child"]["pid"], signal.SIGKILL)
        waits_until(lambda: len(supervisor.events("child.exited")) >= 4, 60)
        status = supervisor.status()

        ended = [moment(event) for event in supervisor.events("child.exited")]
        started = [moment(event) for event in supervisor.events("child.started")][1:]
        pauses = [start - end for start, end in zip(started, ended, strict=False)]
        assert all(pause >= 0.98 * least for pause, least in zip(pauses, (0.25, 0.5, 1.0), strict=False)), pauses
        assert status["good"] == good, "what once was good is not blamed"

        program.mend("run")
        supervisor.until(lambda s: s["phase"] == "steady" and s["in_sync"], 60)
        supervisor.until_records("one", after=len(supervisor.records()))


# --- it does not end, or does not turn ------------------------------------------------------------------------


def test_a_frozen_child_is_found_and_replaced(tmp_path: Path, fluent_bit: str) -> None:
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))

        os.kill(before["child"]["pid"], signal.SIGSTOP)
        after = supervisor.until(lambda s: s["child"]["restarts"] == 1 and s["phase"] == "steady", 60)

        assert after["current"] == before["current"]
        assert not runs(before["child"]["pid"])
        assert "nothing answers on" in supervisor.events("child.unhealthy")[0]["message"]
        assert len(supervisor.events("child.killed")) >= 1
        assert supervisor.events("generation.reverted") == []
        supervisor.until_records("one", after=len(supervisor.records()))


def test_a_child_that_ignores_term_is_killed_with_all_of_its_group(tmp_path: Path, fluent_bit: str) -> None:
    words = f"sleep 7{free_port()}"  # unlike any other
    program = Faulty(tmp_path, fluent_bit)
    program.plant("run", f"{words} &")
    command = f"sleep 5{free_port()}"
    hung = "" if is_double(fluent_bit) else BLOCKED.format(command)
    snippet = flow("one", inputs=hung, markers="ignore-term")
    with supervise(tmp_path, program.path) as supervisor:
        supervisor.save("a.yaml", snippet)
        supervisor.until_live("a.yaml", snippet)
        assert with_words(words)
        waits_until(lambda: not hung or with_words(command))
        family = below(supervisor.process.pid) if supervisor.process else []

        assert supervisor.stop(20) == 0

        assert len(supervisor.events("child.killed")) == 1
        assert "killed by SIGKILL (9)" in supervisor.events("child.exited")[0]["message"]
        waits_until(lambda: not with_words(words) + with_words(command))
        waits_until(lambda: not any(runs(process.pid) for process in family))


def test_what_a_crashed_child_leaves_behind_does_not_keep_the_next_from_its_port(
    tmp_path: Path, fluent_bit: str
) -> None:
    left = "" if is_double(fluent_bit) else "name: exec, tag: b, oneshot: true, command: 'sleep 600 >/dev/null 2>&1 &'"
    snippet = flow("one", inputs=left, markers="orphans=1")
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", snippet)
        before = supervisor.until_live("a.yaml", snippet)
        assert supervisor.process is not None
        waits_until(lambda: len(below(supervisor.process.pid)) >= 2)  # type: ignore[union-attr]

        os.kill(before["child"]["pid"], signal.SIGKILL)

        supervisor.until(lambda s: s["child"]["restarts"] >= 1 and s["phase"] == "steady", 30)
        assert len(supervisor.events("child.exited")) == 1
        family = below(supervisor.process.pid)
        assert supervisor.stop(20) == 0
        waits_until(lambda: not any(runs(process.pid) for process in family))


# --- reading the log ------------------------------------------------------------------------------------------


def phases(supervisor: Running) -> set[str]:
    """All phases that were entered."""
    return {event["message"].rpartition(" -> ")[2] for event in supervisor.events("phase")}


def moment(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(re.sub("Z$", "+00:00", event["ts"])).timestamp()


def test_the_words_for_a_moment_are_read_as_seconds() -> None:
    assert moment({"ts": "1970-01-01T00:00:01.500Z"}) == pytest.approx(1.5)
