"""Files that are written slowly, vanish or may not be read, and a disk that refuses: through the whole supervisor.

What one reading of a directory, or one call of the store, makes of such faults is shown beside those rooms; here it is
what becomes of the pipeline.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import waits_until
from doubles.kubelet_volume import KubeletVolume
from e2e.mounts import bound_by_permissions, inside, mounted
from running import Running, pipeline

from supervisor.adapters.client import AdminClient

PROMPT = {"--sources-quiet": "50ms", "--sources-max-wait": "300ms"}
SERVICE = "service:\n  flush: 0.2\n"


def flowing(message: str, tag: str = "a") -> str:
    """A pipeline of its own; the one with the tag `a` makes the double prompt."""
    return pipeline(message, tag).replace("tag: a\n", "tag: a\n      alias: double.tick=0.2\n", 1)


ONE, TWO = SERVICE + flowing("one"), SERVICE + flowing("two")


def until_flows(supervisor: Running, message: str) -> None:
    """Until a record comes out that was not out before."""
    supervisor.until_records(f'"{message}"', after=len(supervisor.records()))


def accepted(supervisor: Running, name: str) -> list[str]:
    """Every content of the snippet that was ever made a generation of, oldest first, by digest."""
    generations = sorted((supervisor.state / "generations").glob("[0-9]*/generation.json"))
    members = [json.loads(path.read_bytes())["generation"]["members"] for path in generations]
    return [one[f"platform/{name}"] for one in members if f"platform/{name}" in one]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- a reading in the middle of a writing ---------------------------------------------------------------

CLASSIC = """\
[SERVICE]
    flush 0.2
[INPUT]
    name dummy
    tag a
    alias double.tick=0.2
    dummy {"message":"%s"}
[OUTPUT]
    name stdout
    match a
    format json_lines
"""


def test_a_snippet_written_in_pieces_never_goes_live_as_a_part(tmp_path: Path, fluent_bit: str) -> None:
    """Every part is a config that Fluent Bit takes. None ends in a line feed, so none counts for two seconds."""
    versions = [CLASSIC % f"number {number}" for number in range(3)]
    with Running(tmp_path, fluent_bit, settings=PROMPT) as supervisor:
        supervisor.save("a.conf", versions[0])
        supervisor.until_live("a.conf", versions[0])

        for text in versions[1:]:
            with (supervisor.snippets / "a.conf").open("wb", buffering=0) as file:
                lines = text.encode().splitlines(keepends=True)
                for number, line in enumerate(lines):
                    file.write(line[:-2])
                    time.sleep(0.01)  # a slow writer; no outcome is waited for
                    file.write(line[-2:-1] if number < len(lines) - 1 else line[-2:])
                    file.write(b"\n" if number < len(lines) - 1 else b"")
            supervisor.until_live("a.conf", text)
            until_flows(supervisor, text.split('"')[3])

        assert accepted(supervisor, "a.conf") == [digest(text) for text in versions]


def test_swaps_of_a_volume_go_live_whole_and_the_last_one_stays(tmp_path: Path, double: str) -> None:
    def content(number: int) -> dict[str, str]:
        return {name: SERVICE * (name == "a.yaml") + flowing(f"{name} {number}", name) for name in ("a.yaml", "b.yaml")}

    volume = KubeletVolume(tmp_path / "snippets")
    volume.update(content(0))
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.until_live("a.yaml", content(0)["a.yaml"])
        for number in range(1, 60):
            volume.update(content(number))
            time.sleep(0.005)  # the pace of the swaps; no outcome is waited for
        supervisor.until_live("a.yaml", content(59)["a.yaml"])
        supervisor.until_live("b.yaml", content(59)["b.yaml"])
        until_flows(supervisor, "b.yaml 59")

        by_digest = {digest(text): number for number in range(60) for text in content(number).values()}
        pairs = zip(accepted(supervisor, "a.yaml"), accepted(supervisor, "b.yaml"), strict=True)
        assert all(by_digest[a] == by_digest[b] for a, b in pairs), "no generation mixes two of the volume"


# --- directories --------------------------------------------------------------------------------------


def test_nothing_configured_is_idle_and_ready_and_live_as_soon_as_something_comes(
    tmp_path: Path, fluent_bit: str
) -> None:
    with Running(tmp_path, fluent_bit, settings=PROMPT) as supervisor:
        status = supervisor.until_in_sync()
        assert (status["phase"], status["ready"], status["reason"]) == ("down", True, "nothing is configured")
        assert status["child"]["pid"] is None
        assert not supervisor.children()

        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)
        until_flows(supervisor, "one")


def test_a_directory_that_is_missing_replaced_or_away_for_a_while_loses_nothing(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.snippets.rmdir()
        assert supervisor.until_in_sync()["ready"]

        supervisor.snippets.mkdir()
        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)

        supervisor.snippets.rename(tmp_path / "away")
        status = supervisor.until(lambda status: status["warnings"] and status["in_sync"])
        assert "is not there; what was read last stays" in status["warnings"][0]
        until_flows(supervisor, "one")

        supervisor.snippets.mkdir()
        supervisor.save("a.yaml", TWO)
        status = supervisor.until_live("a.yaml", TWO)
        until_flows(supervisor, "two")
        assert not status["warnings"]
        (supervisor.snippets / "a.yaml").write_text(ONE)
        supervisor.until_live("a.yaml", ONE)


@pytest.mark.namespaces
def test_without_a_watch_changes_are_seen_by_looking(tmp_path: Path, double: str) -> None:
    def wrap(argv: list[str]) -> list[str]:
        mounted("true")  # skips where there are no namespaces
        deaf = 'echo 0 > /proc/sys/user/max_inotify_watches && exec "$@"'
        return ["unshare", "--user", "--map-root-user", "sh", "-c", deaf, "sh", *argv]

    with Running(tmp_path, double, settings=PROMPT, wrap=wrap) as supervisor:
        supervisor.save("a.yaml", ONE)
        status = supervisor.until_live("a.yaml", ONE)
        supervisor.save("a.yaml", TWO)
        supervisor.until_live("a.yaml", TWO)

        assert status["watch_mode"] != "inotify"
        assert supervisor.events("watch.failed")


def test_a_removed_snippet_is_removed_and_its_neighbour_flows_on(tmp_path: Path, double: str) -> None:
    two = flowing("two", "b")
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.save("b.yaml", two)
        supervisor.until_live("b.yaml", two)
        until_flows(supervisor, "two")

        (supervisor.snippets / "b.yaml").unlink()
        status = supervisor.until(lambda status: len(status["snippets"]) == 1 and status["in_sync"])
        after = len(supervisor.records())
        for _ in range(3):
            until_flows(supervisor, "one")

        assert '"two"' not in supervisor.records()[after:]
        assert not status["findings"]


def test_an_output_less_rest_waits_until_somebody_says_that_it_is_meant(tmp_path: Path, double: str) -> None:
    source = SERVICE + 'pipeline:\n  inputs:\n    - name: dummy\n      tag: a\n      dummy: \'{"message":"one"}\'\n'
    sink = "pipeline:\n  outputs:\n    - name: stdout\n      match: a\n      format: json_lines\n"
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", source)
        supervisor.save("b.yaml", sink)
        live = supervisor.until_live("b.yaml", sink)

        (supervisor.snippets / "b.yaml").unlink()
        status = supervisor.until_refused()
        until_flows(supervisor, "one")
        document, code = supervisor.client.reload(wait=10)

        assert (code, document["outcome"]) == (1, "refused")
        assert "no output" in document["reason"]
        assert status["current"] == live["current"]

        document, code = supervisor.client.reload(wait=15, allow_empty=True)
        assert (code, document["outcome"]) == (0, "committed")
        assert not [one for one in supervisor.status()["snippets"] if one["name"] == "platform/b.yaml"]


# --- files that cannot be read ----------------------------------------------------------------------


def test_a_snippet_that_may_not_be_read_is_not_a_deleted_one(tmp_path: Path, double: str) -> None:
    two = flowing("two", "b")
    with Running(tmp_path, double, settings=PROMPT, wrap=bound_by_permissions) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.save("b.yaml", two)
        live = supervisor.until_live("b.yaml", two)

        (supervisor.snippets / "b.yaml").chmod(0)
        status = supervisor.until(lambda status: status["warnings"] and status["intake"] == "settled")
        until_flows(supervisor, "two")
        assert "b.yaml cannot be read (permission denied); its last version stays" in status["warnings"][0]
        (said,) = status["findings"]
        assert (said["snippet"], said["rule"]) == ("platform/b.yaml", "unreadable")
        assert status["current"] == live["current"]

        assert supervisor.stop() == 0
        supervisor.start()
        until_flows(supervisor, "two")
        assert supervisor.until(lambda status: status["warnings"])["current"] == live["current"]

        (supervisor.snippets / "b.yaml").chmod(0o644)
        status = supervisor.until_in_sync()
        assert not status["warnings"]
        assert status["current"] == live["current"]


def test_a_directory_that_may_not_be_read_is_not_an_empty_one(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double, settings=PROMPT, wrap=bound_by_permissions) as supervisor:
        supervisor.save("a.yaml", ONE)
        live = supervisor.until_live("a.yaml", ONE)

        supervisor.snippets.chmod(0)
        status = supervisor.until(lambda status: status["warnings"] and status["intake"] == "settled")
        assert "cannot be read (permission denied)" in status["warnings"][0]
        supervisor.client.reload(wait=5)
        until_flows(supervisor, "one")
        assert supervisor.status()["current"] == live["current"]

        supervisor.snippets.chmod(0o755)
        supervisor.save("a.yaml", TWO)
        supervisor.until_live("a.yaml", TWO)


def test_what_is_no_file_is_named_and_never_opened(tmp_path: Path, double: str) -> None:
    (tmp_path / "elsewhere.yaml").write_text(flowing("link", "l"))
    with Running(tmp_path, double, settings=PROMPT) as supervisor, socket.socket(socket.AF_UNIX) as listener:
        supervisor.save("a.yaml", ONE)
        live = supervisor.until_live("a.yaml", ONE)
        here = os.getcwd()
        os.mkfifo(supervisor.snippets / "fifo.conf")
        os.chdir(supervisor.snippets)  # the name of a socket must be short
        try:
            listener.bind("socket.conf")
        finally:
            os.chdir(here)
        (supervisor.snippets / "directory.conf").mkdir()
        (supervisor.snippets / "zero.conf").symlink_to("/dev/zero")
        (supervisor.snippets / "loop.conf").symlink_to("loop.conf")
        names = {"fifo.conf", "socket.conf", "directory.conf", "zero.conf", "loop.conf"}

        def named(status: dict[str, Any]) -> bool:
            said = {one["snippet"].removeprefix("platform/") for one in status["findings"]}
            return names <= said and bool(status["intake"] == "settled")

        status = supervisor.until(named)
        until_flows(supervisor, "one")
        assert status["current"] == live["current"]
        assert {one["rule"] for one in status["findings"]} == {"not-a-file", "unreadable"}
        assert all(
            one["path"] == str(tmp_path / one["snippet"].replace("platform", "snippets")) for one in status["findings"]
        )

        for name in names:
            path = supervisor.snippets / name
            path.rmdir() if path.is_dir() else path.unlink()
        (supervisor.snippets / "link.yaml").symlink_to("../elsewhere.yaml")
        supervisor.until_live("link.yaml", flowing("link", "l"))


# --- the state directory while it is used -------------------------------------------------------------------

FULL = ("cat /dev/zero > {0}/fill || true", "rm {0}/fill")
READ_ONLY = ("mount --bind {0} {0} && mount -o remount,bind,ro {0}", "umount {0}")
REFUSALS = [pytest.param(FULL, id="full"), pytest.param(READ_ONLY, id="read-only")]


def on_small_disk(home: Path, binary: str, **settings: str) -> Running:
    (home / "state").mkdir()
    wrap = mounted(f"mount -t tmpfs -o size=256k tmpfs '{home}/state'")
    return Running(home, binary, settings=PROMPT | settings, wrap=wrap)


@pytest.mark.namespaces
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_state_directory_that_refuses_stops_nothing_and_is_used_again_when_it_can_be(
    tmp_path: Path, double: str, refusal: tuple[str, str]
) -> None:
    break_it, mend_it = (f"cd /; {script}".format(tmp_path / "state") for script in refusal)
    with on_small_disk(tmp_path, double) as supervisor:
        supervisor.save("a.yaml", ONE)
        live = supervisor.until_live("a.yaml", ONE)

        inside(supervisor, break_it)
        supervisor.save("a.yaml", TWO)
        status = supervisor.until(lambda status: "cannot write generation" in status["reason"])
        assert status["current"] == live["current"]
        assert status["ready"]
        assert not status["in_sync"]
        until_flows(supervisor, "one")

        os.kill(live["child"]["pid"], signal.SIGKILL)
        supervisor.until(lambda status: status["child"]["pid"] not in (None, live["child"]["pid"]))
        until_flows(supervisor, "one")

        inside(supervisor, mend_it)
        status = supervisor.until_live("a.yaml", TWO)
        until_flows(supervisor, "two")
        assert not status["degraded"]
        assert supervisor.stop() == 0


@pytest.mark.namespaces
def test_what_became_good_while_the_disk_refused_is_remembered_when_it_takes_it(tmp_path: Path, double: str) -> None:
    break_it, mend_it = (f"cd /; {script}".format(tmp_path / "state") for script in FULL)
    with on_small_disk(tmp_path, double, **{"--health-probation": "2s"}) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)
        supervisor.save("a.yaml", TWO)
        supervisor.until(lambda status: status["phase"] == "probation" and status["current"]["generation"] == 2)

        inside(supervisor, break_it)
        status = supervisor.until_live("a.yaml", TWO)
        status = supervisor.until(lambda status: status["degraded"])
        assert "cannot remember generation 2 as good" in status["degraded"][0]
        assert status["ready"]
        until_flows(supervisor, "two")

        inside(supervisor, mend_it)
        supervisor.until(lambda status: not status["degraded"])
        saved = tmp_path / "saved.json"
        inside(supervisor, f"cat '{tmp_path}/state/state.json' > '{saved}'")
        assert json.loads(saved.read_text())["body"]["good"] == 2


def test_without_any_writable_state_directory_it_runs_and_says_what_is_missing(tmp_path: Path, fluent_bit: str) -> None:
    (tmp_path / "state").write_text("a file where the directory should be\n")
    with Running(tmp_path, fluent_bit, settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", ONE)
        status = supervisor.until_live("a.yaml", ONE)
        until_flows(supervisor, "one")
        supervisor.save("a.yaml", TWO)
        supervisor.until_live("a.yaml", TWO)

        assert status["ready"]
        state, buffers = status["degraded"]
        assert str(tmp_path / "state") in state
        assert "remembers nothing" in state
        assert "what is not delivered is lost" in buffers
        assert len(supervisor.events("start.degraded")) == 2
        assert supervisor.stop() == 0


@pytest.mark.namespaces
def test_with_nothing_writable_but_memory_it_runs_and_says_what_is_missing(tmp_path: Path, double: str) -> None:
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets" / "a.yaml").write_text(ONE)
    barren = [f"mount --bind '{tmp_path}' '{tmp_path}'", f"mount -o remount,bind,ro '{tmp_path}'"]
    wrap = mounted("; ".join(["mount -t tmpfs tmpfs /dev/shm", *barren, "mount -o remount,bind,ro /"]))
    with Running(tmp_path, double, settings=PROMPT, wrap=wrap) as supervisor:
        assert supervisor.process is not None
        memory = Path(f"/proc/{supervisor.process.pid}/root/dev/shm")
        waits_until(lambda: list(memory.glob("*/run/admin.sock")))
        supervisor.client = AdminClient(str(next(memory.glob("*/run/admin.sock"))))
        status = supervisor.until_live("a.yaml", ONE)
        until_flows(supervisor, "one")

        told = status["degraded"]
        assert [event["message"] for event in supervisor.events("start.degraded")] == told
        assert status["ready"]
        assert [message.split(":")[0] for message in told] == [
            "no run directory",
            "no state directory",
            "no buffers on disk",
        ]
        assert supervisor.stop() == 0


# --- the state directory at the start ------------------------------------------------------------


def tear(state: Path) -> None:
    for path in state.glob("state.json*"):
        path.write_bytes(path.read_bytes()[:40])


def flip(state: Path) -> None:
    for path in state.glob("state.json*"):
        path.write_bytes(path.read_bytes().replace(b'"good":1', b'"good":7'))


def make_newer(state: Path) -> None:
    for path in state.glob("state.json*"):
        path.write_text('{"version": 99, "wisdom": "of the future"}')


def remove(state: Path) -> None:
    for path in state.glob("state.json*"):
        path.unlink()


@pytest.mark.parametrize("fault", [tear, flip, make_newer, remove])
def test_a_state_that_cannot_be_used_is_set_aside_and_the_last_good_config_starts(
    tmp_path: Path, double: str, fault: Callable[[Path], None]
) -> None:
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)
        assert supervisor.stop() == 0
        fault(supervisor.state)
        damaged = {path.read_bytes() for path in supervisor.state.glob("state.json*")}
        supervisor.save("a.yaml", "pipeline: [broken\n")

        supervisor.start()
        until_flows(supervisor, "one")
        status = supervisor.until(lambda status: status["phase"] == "steady" and status["findings"])

        assert status["good"]["generation"] == 1
        assert supervisor.events("state.repaired")
        kept = {path.read_bytes() for path in supervisor.state.glob("state.json*")}
        assert damaged <= kept, "set aside, not destroyed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("names", [["lock"], ["lock", "generations", "state.json", "state.json.previous", "key"]])
def test_a_state_of_another_user_is_said_and_done_without(tmp_path: Path, double: str, names: list[str]) -> None:
    with Running(tmp_path, double, settings=PROMPT, wrap=bound_by_permissions) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)
        supervisor.save("a.yaml", TWO)
        supervisor.until_live("a.yaml", TWO)
        assert supervisor.stop() == 0
        for name in names:
            os.chown(supervisor.state / name, 65532, 65532)

        supervisor.start()
        status = supervisor.until_live("a.yaml", TWO)
        until_flows(supervisor, "two")

        (said,) = status["degraded"]
        assert f"cannot write to {supervisor.state / 'lock'}" in said


def test_a_state_directory_full_of_rubbish_still_lets_us_start_from_the_files(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double, settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", ONE)
        supervisor.until_live("a.yaml", ONE)
        assert supervisor.stop() == 0
        for path in supervisor.state.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.write_bytes(os.urandom(200))

        supervisor.start()
        status = supervisor.until_live("a.yaml", ONE)
        until_flows(supervisor, "one")

        assert status["good"]["generation"] == 2


def test_a_second_supervisor_waits_unready_and_takes_over_when_the_first_is_gone(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double, settings=PROMPT) as first:
        first.save("a.yaml", ONE)
        live = first.until_live("a.yaml", ONE)
        same = PROMPT | {"--fluent-bit-http-port": str(first.port)}
        second = Running(tmp_path, double, "--run-dir", str(tmp_path / "run2"), settings=same)
        second.client = AdminClient(str(tmp_path / "run2" / "admin.sock"))
        second.out, second.err = tmp_path / "stdout2", tmp_path / "stderr2"
        with second:
            status = second.until(lambda status: second.events("state.locked"))
            assert (status["ready"], status["phase"]) == (False, "down")
            assert "another one" in status["reason"]
            assert not second.children()
            assert first.status()["child"]["pid"] == live["child"]["pid"]

            first.kill()
            status = second.until_live("a.yaml", ONE)
            until_flows(second, "one")
            assert status["ready"]
            assert status["current"] == live["current"]
            waits_until(lambda: not Path(f"/proc/{live['child']['pid']}").exists())
            assert second.stop() == 0


# --- Fluent Bit's own disk ---------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.namespaces
def test_a_full_disk_of_buffers_takes_no_good_config_back(tmp_path: Path, real: str) -> None:
    buffers = tmp_path / "buffers"
    buffers.mkdir()
    stored = ONE.replace("tag: a\n", "tag: a\n      storage.type: filesystem\n")
    wrap = mounted(f"mount -t tmpfs -o size=1m tmpfs '{buffers}'")
    with Running(tmp_path, real, "--buffers-directory", str(buffers), settings=PROMPT, wrap=wrap) as supervisor:
        supervisor.save("a.yaml", stored)
        live = supervisor.until_live("a.yaml", stored)
        until_flows(supervisor, "one")

        inside(supervisor, f"cat /dev/zero > '{buffers}/fill' || true")
        other = flowing("two", "b")
        supervisor.save("b.yaml", other)
        supervisor.until(lambda status: status["intake"] == "settled" and len(status["snippets"]) == 2)
        until_flows(supervisor, "two")
        status = supervisor.until_live("b.yaml", other)
        assert not supervisor.events("generation.reverted")
        assert status["good"]["generation"] == live["good"]["generation"] + 1

        inside(supervisor, f"rm '{buffers}/fill'")
        until_flows(supervisor, "one")
        assert not supervisor.events("generation.reverted")


# --- what a config refers to ------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("volume", [False, True], ids=["plain-file", "secret-volume"])
def test_a_secret_that_rotates_goes_live_by_reload_and_is_never_said(tmp_path: Path, real: str, volume: bool) -> None:
    secrets = tmp_path / "secrets" / "platform"
    kubelet = KubeletVolume(secrets)

    def rotate(value: str) -> None:
        kubelet.update({"TOKEN": value}) if volume else (secrets / "TOKEN").write_text(f"{value}\n")

    with_token = "  filters:\n    - name: modify\n      match: a\n      add: token ${TOKEN}\n  outputs:"
    text = ONE.replace("  outputs:", with_token)
    rotate("first-s3cret")
    with Running(
        tmp_path, real, "--secrets-directory", str(tmp_path / "secrets"), settings=PROMPT, env={"TOKEN": "environment"}
    ) as supervisor:
        supervisor.save("a.yaml", text)
        live = supervisor.until_live("a.yaml", text)
        supervisor.until_records('"token":"first-s3cret"')

        rotate("second-s3cret")
        supervisor.until_records('"token":"second-s3cret"')
        status = supervisor.until_in_sync()

        assert status["last_apply"]["method"] == "reload"
        assert status["child"]["pid"] == live["child"]["pid"]
        told = [json.dumps(status), supervisor.log()]
        told += [path.read_text(errors="replace") for path in supervisor.state.rglob("*") if path.is_file()]
        assert not [text for text in told if "s3cret" in text]


@pytest.mark.real
@pytest.mark.parametrize("emptied", [True, False], ids=["empty", "gone"])
def test_a_secret_without_a_value_changes_nothing_and_is_named_on_the_line_that_uses_it(
    tmp_path: Path, real: str, emptied: bool
) -> None:
    secret = tmp_path / "secrets" / "platform" / "TOKEN"
    secret.parent.mkdir(parents=True)
    secret.write_text("first-s3cret\n")
    text = ONE.replace("      rate: 10\n", '      rate: 10\n      metadata: \'{"token":"${TOKEN}"}\'\n')
    with Running(tmp_path, real, "--secrets-directory", str(tmp_path / "secrets"), settings=PROMPT) as supervisor:
        supervisor.save("a.yaml", text)
        live = supervisor.until_live("a.yaml", text)
        assert not live["findings"]

        secret.write_text("") if emptied else secret.unlink()
        status = supervisor.until_refused()
        until_flows(supervisor, "one")

        (said,) = status["findings"]
        assert (said["rule"], said["snippet"]) == ("secret-unusable", "platform/a.yaml")
        assert text.splitlines()[said["line"] - 1].strip().startswith("metadata")
        assert "TOKEN" in said["message"]
        assert status["current"] == live["current"]

        secret.write_text("second-s3cret\n")
        status = supervisor.until_in_sync()
        until_flows(supervisor, "one")
        assert not status["findings"]


@pytest.mark.real
def test_a_script_and_a_parsers_file_that_change_are_reloaded(tmp_path: Path, real: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "fluent-bit.conf").write_text(
        "[SERVICE]\n    flush 0.2\n    parsers_file parsers.conf\n"
        '[INPUT]\n    name dummy\n    tag a\n    dummy {"log":"k=v"}\n'
        "[FILTER]\n    name parser\n    match a\n    key_name log\n    parser p\n    reserve_data on\n"
        "[FILTER]\n    name lua\n    match a\n    script mark.lua\n    call mark\n"
        "[OUTPUT]\n    name stdout\n    match a\n    format json_lines\n"
    )

    def script(word: str) -> None:
        code = f'function mark(tag, ts, record) record["mark"] = "{word}" return 2, ts, record end\n'
        (base / "mark.lua").write_text(code)

    def parsers(name: str) -> None:
        (base / "parsers.conf").write_text(f"[PARSER]\n    name p\n    format regex\n    regex ^(?<{name}>.*)$\n")

    script("one")
    parsers("before")
    with Running(tmp_path, real, "-c", str(base / "fluent-bit.conf"), settings=PROMPT, layer=False) as supervisor:
        supervisor.until_records('"mark":"one"')
        live = supervisor.until_in_sync()

        script("two")
        supervisor.until_records('"mark":"two"')
        parsers("after")
        supervisor.until_records('"after":"k=v"')
        status = supervisor.until_in_sync()
        assert status["last_apply"]["method"] == "reload"
        assert status["child"]["pid"] == live["child"]["pid"]

        (base / "mark.lua").write_text("function mark(\n")
        status = supervisor.until_refused()
        until_flows_on = len(supervisor.records())
        supervisor.until_records('"mark":"two"', after=until_flows_on)
        assert status["current"] == supervisor.status()["good"]
