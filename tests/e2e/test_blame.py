"""Who is at fault, when it only shows once it runs? And how do the others fare meanwhile?

Teams share one volume, as a ConfigMap: what changes, changes at one instant. What is planted here passes lint, dry-run
and trial start, unless the test is about them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import waits_until
from doubles.kubelet_volume import KubeletVolume
from e2e.faults import backend
from running import Running, free_port

Status = dict[str, Any]

LASTING = {"--health-probation": "3s"}


def team(name: str, message: str = "one", more: str = "") -> str:
    """A small pipeline of its own; its records go to stdout."""
    return f"""\
pipeline:
  inputs:
    - name: dummy
      tag: {name}
      rate: 5
      dummy: '{{"{name}":"{message}"}}'
  outputs:
    - name: stdout
      match: {name}
      format: json_lines
{more}"""


def crashing(name: str, seconds: int, message: str = "two") -> str:
    """It ends Fluent Bit some seconds after its first flush, and nothing that is said then names it."""
    return team(name, message, f"    - name: exit\n      match: {name}\n      time_count: {seconds}\n")


def dying(name: str, home: Path, message: str = "two") -> str:
    """It passes the trial start, which has databases of its own; the real start finds a directory in the way."""
    (home / "taken").mkdir(exist_ok=True)
    tail = f"    - name: tail\n      path: {home}/nothing.log\n      tag: {name}.file\n      db: {home}/taken\n"
    return team(name, message).replace("  outputs:", f"{tail}  outputs:")


def states(status: Status) -> dict[str, str]:
    return {one["name"].removeprefix("platform/"): one["state"] for one in status["snippets"]}


def not_live(status: Status) -> dict[str, str]:
    return {name: state for name, state in states(status).items() if state != "live"}


def faults(status: Status) -> list[tuple[str, str, int | None]]:
    errors = [each for each in status["findings"] if each["severity"] == "error"]
    return [(each["snippet"].removeprefix("platform/"), each["rule"], each["line"]) for each in errors]


def settled(status: Status) -> bool:
    return bool(status["phase"] == "steady" and status["intake"] == "settled")


def until_kept_out(supervisor: Running, wanted: Mapping[str, str], limit: float = 30.0) -> Status:
    """Until exactly these are not live, and all has come to rest."""
    return supervisor.until(lambda status: settled(status) and not_live(status) == wanted, limit)


class Teams:
    """What lies in the volume."""

    def __init__(self, supervisor: Running, content: Mapping[str, str]) -> None:
        self._volume = KubeletVolume(supervisor.snippets)
        self.content = dict(content)
        self._volume.update(self.content)

    def change(self, content: Mapping[str, str | None]) -> None:
        """All of it at one instant; None: it goes."""
        self.content.update({name: text for name, text in content.items() if text is not None})
        for name in [name for name, text in content.items() if text is None]:
            del self.content[name]
        self._volume.update(self.content)


def three() -> dict[str, str]:
    return {f"{name}.yaml": team(name) for name in ("anna", "ben", "carl")}


@contextmanager
def teamwork(home: Path, binary: str, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Running, Teams]]:
    """Three teams, whose snippets are live."""
    supervisor = Running(home, binary, settings=settings)
    teams = Teams(supervisor, three())
    with supervisor:
        supervisor.until_in_sync()
        yield supervisor, teams


def commits(supervisor: Running) -> int:
    return len(supervisor.events("generation.committed"))


# --- one of many --------------------------------------------------------------------------------------------------

CROWD = {f"team-{number:02}.yaml": team(f"t{number:02}") for number in range(100)}
BAD = "team-42.yaml"


def changed_crowd() -> dict[str, str]:
    changed = {name: text.replace("one", "two") for name, text in CROWD.items()}
    return changed | {BAD: changed[BAD].replace("rate: 5", "raet: 5")}


def test_of_a_hundred_that_change_one_breaks_and_the_others_go_live_in_one_apply(
    tmp_path: Path, fluent_bit: str
) -> None:
    supervisor = Running(tmp_path, fluent_bit)
    teams = Teams(supervisor, CROWD)
    with supervisor:
        supervisor.until_in_sync(30)
        before = commits(supervisor)

        teams.change(changed_crowd())

        status = until_kept_out(supervisor, {BAD: "previous"})
        assert commits(supervisor) == before + 1
        (finding,) = [each for each in status["findings"] if each["severity"] == "error"]
        assert finding["snippet"] == f"platform/{BAD}"
        assert finding["rule"] in ("unknown-property", "dry-run")
        assert finding["line"] == 5
        assert "raet" in finding["message"]
        assert "rate" in finding["hint"]
        supervisor.until_records('"t41":"two"')
        supervisor.until_records('"t42":"one"', after=len(supervisor.records()))


@pytest.mark.parametrize("way_out", ["fixed", "deleted", "restored"])
def test_a_bad_snippet_is_forgiven_at_once_when_it_is(way_out: str, tmp_path: Path, fluent_bit: str) -> None:
    supervisor = Running(tmp_path, fluent_bit)
    teams = Teams(supervisor, three())
    bad = team("ben", "two").replace("name: stdout", "name: stdoutt")
    with supervisor:
        supervisor.until_in_sync()
        teams.change({"ben.yaml": bad})
        until_kept_out(supervisor, {"ben.yaml": "previous"})

        teams.change({"ben.yaml": {"fixed": team("ben", "three"), "deleted": None, "restored": team("ben")}[way_out]})

        status = supervisor.until_in_sync()
        assert not_live(status) == {}
        assert faults(status) == []
        assert ("ben.yaml" in states(status)) == (way_out != "deleted")


def test_a_pod_that_restarts_while_a_snippet_is_bad_comes_up_the_same_way(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        teams.change({"ben.yaml": team("ben", "two").replace("rate:", "raet:"), "carl.yaml": team("carl", "two")})
        before = until_kept_out(supervisor, {"ben.yaml": "previous"})
        supervisor.stop()
        start = len(supervisor.records())

        supervisor.start()

        after = until_kept_out(supervisor, {"ben.yaml": "previous"})
        assert faults(after) == faults(before)
        for record in ('"anna":"one"', '"ben":"one"', '"carl":"two"'):
            supervisor.until_records(record, after=start)


def test_without_its_state_it_comes_up_without_the_bad_snippet(tmp_path: Path, fluent_bit: str) -> None:
    supervisor = Running(tmp_path, fluent_bit)
    Teams(supervisor, three() | {"ben.yaml": team("ben").replace("rate:", "raet:")})
    with supervisor:
        status = until_kept_out(supervisor, {"ben.yaml": "refused"})

        supervisor.until_records('"carl":"one"')
        assert [(name, line) for name, _, line in faults(status)] == [("ben.yaml", 5)]


# --- what only the real start shows -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["reload", "restart"])
def test_who_ends_the_real_start_is_named_and_the_others_go_live(method: str, tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit, {"--apply-method": method}) as (supervisor, teams):
        teams.change(
            {"anna.yaml": team("anna", "two"), "ben.yaml": dying("ben", tmp_path), "carl.yaml": team("carl", "two")}
        )

        status = until_kept_out(supervisor, {"ben.yaml": "previous"})
        assert faults(status) == [("ben.yaml", "quarantined", 10)]
        for record in ('"anna":"two"', '"ben":"one"', '"carl":"two"'):
            supervisor.until_records(record)


def test_a_newcomer_that_ends_the_real_start_stays_out(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        teams.change({"dora.yaml": dying("dora", tmp_path), "emil.yaml": team("emil")})

        status = until_kept_out(supervisor, {"dora.yaml": "refused"})
        assert faults(status) == [("dora.yaml", "quarantined", 10)]
        supervisor.until_records('"emil":"one"')


# --- late ---------------------------------------------------------------------------------------------------------


def test_a_single_change_that_crashes_late_is_taken_back_once(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        before = commits(supervisor)

        teams.change({"ben.yaml": crashing("ben", 2)})

        supervisor.until(lambda status: commits(supervisor) > before)
        status = until_kept_out(supervisor, {"ben.yaml": "previous"})
        assert faults(status) == [("ben.yaml", "quarantined", None)]
        assert len(supervisor.events("generation.reverted")) == 1
        supervisor.until_records('"ben":"one"', after=len(supervisor.records()))


def test_of_three_changes_the_one_that_crashes_in_probation_is_found_by_parole(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit, LASTING) as (supervisor, teams):
        teams.change(
            {name: text.replace("one", "two") for name, text in three().items()} | {"ben.yaml": crashing("ben", 1)}
        )

        status = until_kept_out(supervisor, {"ben.yaml": "previous"}, 60)
        assert faults(status) == [("ben.yaml", "quarantined", None)]
        assert len(supervisor.events("parole.begun")) == 1
        assert [each["snippet"] for each in supervisor.events("snippet.quarantined")] == ["platform/ben.yaml"]
        supervisor.until_records('"carl":"two"')


def test_of_three_changes_the_one_that_crashes_late_is_found_by_parole(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit, LASTING) as (supervisor, teams):
        teams.change(
            {
                name: crashing("ben", 4) if name == "ben.yaml" else text.replace("one", "two")
                for name, text in three().items()
            }
        )

        status = until_kept_out(supervisor, {"ben.yaml": "previous"}, 90)
        assert faults(status) == [("ben.yaml", "quarantined", None)]
        assert len(supervisor.events("parole.begun")) == 1
        assert [each["snippet"] for each in supervisor.events("snippet.quarantined")] == ["platform/ben.yaml"]


def test_a_late_crash_that_happens_again_without_the_suspect_acquits_it(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        teams.change({"ben.yaml": team("ben", "two")})
        supervisor.until_live("ben.yaml", team("ben", "two"))
        crash(supervisor)
        until_kept_out(supervisor, {"ben.yaml": "previous"})

        crash(supervisor)

        status = supervisor.until_live("ben.yaml", team("ben", "two"), 30)
        assert not_live(status) == {}
        assert len(supervisor.events("snippet.acquitted")) == 1


def crash(supervisor: Running) -> None:
    """As a fault in its own code would end it."""
    pid = supervisor.until(settled)["child"]["pid"]
    os.kill(pid, signal.SIGABRT)
    waits_until(lambda: any(each["pid"] == pid for each in supervisor.events("child.exited")))


def test_who_kills_the_child_from_outside_convicts_nobody(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        teams.change({"ben.yaml": team("ben", "two")})
        pid = supervisor.until_live("ben.yaml", team("ben", "two"))["child"]["pid"]
        supervisor.until(settled)

        os.kill(pid, signal.SIGKILL)

        status = supervisor.until(lambda status: settled(status) and status["child"]["pid"] not in (None, pid))
        assert not_live(status) == {}
        assert supervisor.events("generation.reverted") == []
        assert supervisor.events("snippet.quarantined") == []


# --- the sentence -------------------------------------------------------------------------------------------------


def test_quarantine_outlives_a_restart_and_a_new_text_frees(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        teams.change({"ben.yaml": dying("ben", tmp_path)})
        before = until_kept_out(supervisor, {"ben.yaml": "previous"})
        supervisor.stop()

        supervisor.start()

        after = until_kept_out(supervisor, {"ben.yaml": "previous"})
        assert faults(after) == faults(before)
        assert len(supervisor.events("snippet.quarantined")) == 1
        teams.change({"ben.yaml": team("ben", "three")})
        supervisor.until_live("ben.yaml", team("ben", "three"))


def test_whoever_is_convicted_again_has_to_wait_and_release_shortens_it(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit) as (supervisor, teams):
        for message in ("two", "three"):
            teams.change({"ben.yaml": dying("ben", tmp_path, message)})
            supervisor.until(lambda status: settled(status) and ("ben.yaml", "quarantined", 10) in faults(status))
            teams.change({"ben.yaml": team("ben", f"after {message}")})
            if message == "two":
                supervisor.until_live("ben.yaml", team("ben", "after two"))

        status = until_kept_out(supervisor, {"ben.yaml": "pending"})
        (held,) = [each for each in status["findings"] if each["rule"] == "held-down"]
        assert held["snippet"] == "platform/ben.yaml"
        assert "failed 2 times" in held["message"]
        _, code = supervisor.client.release("platform/ben.yaml")
        assert code == 0
        supervisor.until_live("ben.yaml", team("ben", "after three"), 5)


# --- what does not flow -------------------------------------------------------------------------------------------


@pytest.mark.real
def test_an_expression_that_a_line_makes_endless_is_found_as_a_stall(tmp_path: Path, real: str) -> None:
    log = tmp_path / "app.log"
    log.write_text("a" * 60 + "b\n")
    greedy = team("ben", "two").replace(
        "  outputs:",
        f"    - name: tail\n      path: {log}\n      tag: ben.file\n      read_from_head: true\n"
        "  filters:\n    - name: grep\n      match: ben.file\n      regex: log ^(a+)+$\n  outputs:",
    )
    settings = {"--health-probation": "15s", "--apply-deadline": "3s"}
    supervisor = Running(tmp_path, real, settings={"--health-probation": "1s"})
    teams = Teams(supervisor, three())
    with supervisor:
        supervisor.until_in_sync()
    with Running(tmp_path, real, settings=settings) as supervisor:
        supervisor.until(settled, 40)

        teams.change({"ben.yaml": greedy})

        status = supervisor.until(lambda status: ("ben.yaml", "quarantined", None) in faults(status), 40)
        assert not_live(status) == {"ben.yaml": "previous"}
        supervisor.until_records('"anna":"one"', after=len(supervisor.records()))


def shipping(name: str, port: int) -> str:
    output = f"""\
    - name: http
      alias: ship-{name}
      match: {name}
      host: 127.0.0.1
      port: {port}
      retry_limit: no_retries
"""
    return "service:\n  flush: 0.3\n" + team(name, more=output)


def test_a_new_output_whose_back_end_is_down_is_a_warning(tmp_path: Path, fluent_bit: str) -> None:
    with teamwork(tmp_path, fluent_bit, {"--health-probation": "4s"}) as (supervisor, teams):
        new = shipping("dora", free_port())

        teams.change({"dora.yaml": new})

        status = supervisor.until_live("dora.yaml", new, 30)
        assert not_live(status) == {}
        supervisor.until(lambda status: any("cannot deliver" in warning for warning in status["warnings"]))
        assert supervisor.events("generation.reverted") == []


def test_a_changed_output_that_delivered_before_and_fails_now_is_taken_back(tmp_path: Path, fluent_bit: str) -> None:
    with backend() as target:
        good = shipping("dora", target.port)
        supervisor = Running(tmp_path, fluent_bit, settings={"--health-probation": "8s"})
        teams = Teams(supervisor, three() | {"dora.yaml": good})
        with supervisor:
            supervisor.until(settled, 40)
            waits_until(lambda: target.asked)

            teams.change({"dora.yaml": shipping("dora", free_port()), "anna.yaml": team("anna", "two")})

            status = supervisor.until(lambda status: faults(status) and settled(status), 60)
            assert faults(status) == [("dora.yaml", "quarantined", None)]
            assert not_live(status) == {"dora.yaml": "previous"}
            (finding,) = [each for each in status["findings"] if each["severity"] == "error"]
            assert "delivered before and now fails every flush" in finding["message"]
            supervisor.until_records('"anna":"two"')
