"""A dry-run that misbehaves says nothing about anybody's config, and does no harm to what runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import waits_until
from e2e.faults import ENDS_A_START, Faulty, flow, highest_memory, supervise, with_words
from running import Running, free_port

MEBIBYTE = 1024 * 1024


def errors(supervisor: Running) -> list[str]:
    return [finding["message"] for finding in supervisor.status()["findings"] if finding["severity"] == "error"]


def test_a_dry_run_that_hangs_blames_nobody_and_a_fix_saved_meanwhile_goes_live(
    tmp_path: Path, fluent_bit: str
) -> None:
    words = f"sleep 8{free_port()}"
    program = Faulty(tmp_path, fluent_bit)
    program.plant("dry-run", f'if grep -rq wedged "$config"; then {words} & trap "" TERM; {words}; fi')
    with supervise(tmp_path, program.path, validate_timeout="1s") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", flow("wedged"))
        status = supervisor.until(lambda s: "the dry-run did not end within 1 s" in s["reason"])
        waits_until(lambda: len(supervisor.events("candidate.inconclusive")) >= 2)  # it is asked again

        assert errors(supervisor) == []
        assert status["snippets"][0]["state"] == "pending"
        assert status["child"] == before["child"]
        assert status["ready"]
        supervisor.until_records("one", after=len(supervisor.records()))

        supervisor.save("a.yaml", flow("two"))
        supervisor.until_live("a.yaml", flow("two"))
        waits_until(lambda: not with_words(words))


def test_a_dry_run_that_stops_hanging_is_enough_for_the_change_to_go_live(tmp_path: Path, double: str) -> None:
    program = Faulty(tmp_path, double)
    program.plant("dry-run", "sleep 600")
    with supervise(tmp_path, program.path, validate_timeout="500ms") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        status = supervisor.until(lambda s: "the dry-run did not end" in s["reason"])
        assert (status["phase"], status["ready"]) == ("down", False)

        program.mend("dry-run")
        supervisor.until_live("a.yaml", flow("one"))


def test_a_slow_loud_or_forking_dry_run_and_one_that_crashes_or_is_killed_once_do_no_harm(
    tmp_path: Path, fluent_bit: str
) -> None:
    left, once = f"sleep 9{free_port()}", "[ -e {0} ] || {{ touch {0}; kill -{1} $$; }}"
    program = Faulty(tmp_path, fluent_bit)
    with supervise(tmp_path, program.path) as supervisor:
        assert supervisor.process is not None
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        memory = highest_memory(supervisor.process.pid)

        for name, script in {
            "slow": "sleep 1",
            "loud": "head -c 100000000 /dev/zero | tr '\\0' x >&2; head -c 100000000 /dev/zero",
            "forking": f"{left} & {left} & setsid {left} &",
            "crashing": once.format(tmp_path / "crashed", "SEGV"),
            "killed": once.format(tmp_path / "killed", "KILL"),  # as the kernel does when memory runs out
        }.items():
            program.plant("dry-run", script)
            supervisor.save("a.yaml", flow(name))
            supervisor.until_live("a.yaml", flow(name))
            assert supervisor.status()["findings"] == []
        status = supervisor.status()

        assert (tmp_path / "crashed").exists()
        assert (tmp_path / "killed").exists()
        assert status["child"] == before["child"]
        assert status["current"]["generation"] == 6
        assert highest_memory(supervisor.process.pid) - memory < 16 * MEBIBYTE
        assert supervisor.stop(20) == 0
        waits_until(lambda: not with_words(left))


@pytest.mark.parametrize("trial", [True, False], ids=["trial", "no-trial"])
def test_a_dry_run_that_always_crashes_leaves_the_judgement_to_a_start(
    tmp_path: Path, fluent_bit: str, trial: bool
) -> None:
    """So it is with 5.1.1 and a valid `nats` output. A trial start settles it; without one, only probation does."""
    snippet = flow("two", outputs=f"name: nats, match: a, host: 127.0.0.1, port: {free_port()}")
    with supervise(tmp_path, fluent_bit, validate_trial=str(trial).lower()) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", snippet)
        status = supervisor.until_live("a.yaml", snippet)

        crashed = [one for one in status["findings"] if one["rule"] == "dry-run-crashed"]
        assert [one["severity"] for one in crashed] == ([] if trial else ["warning"])
        assert all("the dry-run crashed" in one["message"] for one in crashed)
        assert errors(supervisor) == []
        supervisor.until_records("two")


def test_a_dry_run_that_crashes_lets_nothing_pass_that_cannot_start(tmp_path: Path, fluent_bit: str) -> None:
    output = f"name: nats, match: a, host: 127.0.0.1, port: {free_port()}"
    with supervise(tmp_path, fluent_bit) as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        supervisor.save("a.yaml", flow("two", filters=ENDS_A_START, outputs=output))
        status = supervisor.until_refused()

        (told,) = errors(supervisor)
        assert "could not compile regex pattern" in told
        assert status["child"] == before["child"]
        assert status["current"] == before["current"]
        supervisor.until_records("one", after=len(supervisor.records()))


def test_a_trial_that_hangs_or_is_killed_says_nothing_about_anybody(tmp_path: Path, fluent_bit: str) -> None:
    """Unlike a config that hangs while an empty pipeline starts: here it is the machine, and probation decides."""
    words = f"sleep 8{free_port()}"
    program = Faulty(tmp_path, fluent_bit)
    with supervise(tmp_path, program.path, validate_timeout="1s") as supervisor:
        supervisor.save("a.yaml", flow("one"))
        before = supervisor.until_live("a.yaml", flow("one"))
        for name, script in {
            "wedged": f'{words} & trap "" TERM; {words}',
            "killed": "kill -KILL $$",
            "loud": "head -c 50000000 /dev/zero | tr '\\0' x >&2",
        }.items():
            program.plant("trial", script)
            supervisor.save("a.yaml", flow(name))
            status = supervisor.until_live("a.yaml", flow(name), 30)
            assert status["findings"] == []
            assert status["child"] == before["child"]
            waits_until(lambda: not with_words(words))
