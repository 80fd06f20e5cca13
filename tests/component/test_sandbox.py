"""What a program that is only tried out may take, and with which rights it runs: told by programs of that kind."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from component.process_table import ENV, attached, sh

from supervisor.adapters.process import (
    Isolation,
    Network,
    Processes,
    Sandbox,
    find_isolation,
    lacked_rights,
    limit_met,
)

PYTHON = "/usr/bin/python3"  # that any user may run: the one of the tests may lie in a home directory
TELLS = """
import json, os, re, resource, socket
status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
names = ("CPU", "AS", "FSIZE", "CORE", "NPROC", "STACK")
with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    with socket.create_connection(listener.getsockname(), 5):
        connected = True
print(json.dumps({
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names},
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": status["Groups"].split(),
    "capabilities": status["CapEff"],
    "no_new_privileges": status["NoNewPrivs"], "network": os.readlink("/proc/self/ns/net"), "connected": connected,
    "environment": dict(os.environ), "session": os.getsid(0) == os.getpid(),
    "routes": len(open("/proc/net/route").readlines()) - 1,
}))
"""
HERE = find_isolation()
OURS = "/proc/self/ns/net"

pytestmark = pytest.mark.skipif(not os.access(PYTHON, os.X_OK), reason=f"no {PYTHON}")
own_user = pytest.mark.skipif(HERE.user is None, reason="no other user can be had here")
own_network = pytest.mark.skipif(HERE.network is Network.SHARED, reason="no other network can be had here")


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with attached() as owner:
        yield owner


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory for us alone in a place that anybody can reach; those of pytest lie in one that nobody can."""
    path = Path(tempfile.mkdtemp(prefix="sandbox-test-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


async def told(processes: Processes, sandbox: Sandbox) -> dict:
    completed = await processes.run([PYTHON, "-c", TELLS], env=ENV, cwd="/", timeout=30, sandbox=sandbox)
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


async def test_it_is_held_to_its_limits(processes: Processes) -> None:
    sandbox = HERE.sandbox(seconds=10, lines=100, reads=())

    limits = (await told(processes, sandbox))["limits"]

    assert sandbox.cpu_seconds is not None
    assert limits["CPU"] == [sandbox.cpu_seconds, sandbox.cpu_seconds + 1]
    assert limits["AS"] == [sandbox.address_space] * 2
    assert limits["FSIZE"] == [64 * 1024 * 1024] * 2
    assert limits["CORE"] == [0, 0]
    assert limits["STACK"] == [8 * 1024 * 1024] * 2
    ours = list(resource.getrlimit(resource.RLIMIT_NPROC))
    assert limits["NPROC"] == (ours if sandbox.user is None else [sandbox.processes] * 2)


async def test_it_has_no_privileges_to_come_and_nothing_but_what_it_was_given(processes: Processes) -> None:
    said = await told(processes, Sandbox())

    assert said["no_new_privileges"] == "1"
    assert {name for name in said["environment"] if name != "LC_CTYPE"} == {"PATH"}
    assert said["session"]


@own_user
async def test_it_is_a_user_without_groups_and_capabilities(processes: Processes) -> None:
    said = await told(processes, HERE.sandbox(seconds=10, lines=1, reads=()))

    assert set(said["uids"]) == set(said["gids"]) == {HERE.user}
    assert said["groups"] == []
    assert int(said["capabilities"], 16) == 0


@own_network
async def test_its_network_is_another_with_loopback_alone(processes: Processes) -> None:
    said = await told(processes, HERE.sandbox(seconds=10, lines=1, reads=()))

    assert said["network"] != os.readlink(OURS)
    assert said["connected"]
    assert said["routes"] == 0


@pytest.mark.parametrize("network", [Network.OWN, Network.OWN_AS_STRANGER])
async def test_either_way_to_a_network_has_loopback(processes: Processes, network: Network) -> None:
    if network is Network.OWN and HERE.network is not Network.OWN:
        pytest.skip("needs CAP_SYS_ADMIN")
    if HERE.network is Network.SHARED:
        pytest.skip("no other network can be had here")

    said = await told(processes, Sandbox(user=HERE.user, network=network))

    assert said["network"] != os.readlink(OURS)
    assert said["connected"]
    assert int(said["capabilities"], 16) == 0 or HERE.user is None


async def test_where_nothing_can_be_had_it_runs_all_the_same(processes: Processes) -> None:
    nothing = Isolation(user=None, network=Network.SHARED, rights=False)

    said = await told(processes, nothing.sandbox(seconds=10, lines=1, reads=("/etc/shadow",)))

    assert said["network"] == os.readlink(OURS)
    assert said["uids"][0] == os.getuid()
    assert "shares our network" in nothing.told()


async def test_a_program_that_stays_leaves_no_core_and_has_no_other_limit(processes: Processes) -> None:
    child = processes.spawn(sh("ulimit -c >&2; ulimit -v >&2; ulimit -t >&2"), env=ENV, cwd=None, echo_stderr=False)

    await child.wait()

    ours = resource.getrlimit(resource.RLIMIT_AS)[0]
    assert child.stderr_since(0).split() == ["0", "unlimited" if ours < 0 else str(ours // 1024), "unlimited"]


async def test_it_dies_with_us_whoever_it_is(processes: Processes) -> None:
    ask = "import ctypes; s = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(s)); print(s.value)"
    sandbox = HERE.sandbox(seconds=10, lines=1, reads=())

    completed = await processes.run([PYTHON, "-c", ask], env=ENV, cwd="/", timeout=30, sandbox=sandbox)

    assert completed.stdout.strip() == str(int(signal.SIGKILL))


async def test_it_is_ended_at_the_time_limit_whoever_it_is(processes: Processes) -> None:
    sandbox = HERE.sandbox(seconds=10, lines=1, reads=())

    completed = await processes.run(["/bin/sleep", "600"], env=ENV, cwd="/", timeout=0.3, sandbox=sandbox)

    assert completed.timed_out
    assert completed.returncode == -signal.SIGKILL


@own_user
async def test_a_fork_bomb_is_bounded(processes: Processes) -> None:
    bomb = "i=0; while [ $i -lt 200 ]; do sleep 60 & i=$((i+1)); done; echo all"
    sandbox = Sandbox(user=HERE.user, processes=50)

    completed = await asyncio.wait_for(
        processes.run(["/bin/sh", "-c", bomb], env=ENV, cwd="/", timeout=5, sandbox=sandbox), 30
    )

    assert "all" not in completed.stdout
    assert "fork" in completed.stderr


@pytest.mark.parametrize(
    ("sandbox", "script", "number"),
    [
        (Sandbox(cpu_seconds=1), "while True: pass", signal.SIGXCPU),
        (
            Sandbox(file_size=1024),
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('{}/f', 'w').write('x' * 9999)",
            signal.SIGXFSZ,
        ),
    ],
)
async def test_the_death_by_a_limit_is_known(
    processes: Processes, tmp_path: Path, sandbox: Sandbox, script: str, number: int
) -> None:
    argv = [PYTHON, "-c", script.replace("{}", str(tmp_path))]

    completed = await processes.run(argv, env=ENV, cwd="/", timeout=30, sandbox=sandbox)

    assert completed.returncode == -number
    assert limit_met(completed.returncode) == limit_met(128 + number) != ""
    assert limit_met(-signal.SIGSEGV) == limit_met(0) == limit_met(255) == ""


def test_no_config_is_so_long_that_a_buffer_of_100_gib_is_to_be_had() -> None:
    longest = HERE.sandbox(seconds=10, lines=10**6, reads=()).address_space
    usual = HERE.sandbox(seconds=10, lines=1600, reads=()).address_space

    assert usual is not None
    assert longest is not None
    assert 20 * 2**30 < usual < longest < 100 * 2**30


# --- whose rights -----------------------------------------------------------------------------------------------------

STRANGER = Isolation(user=65533, network=Network.OWN, rights=True)


@pytest.mark.parametrize(("mode", "allowed"), [(0o644, True), (0o600, False), (0o640, False), (0o755, True)])
def test_a_file_that_is_closed_to_strangers_keeps_our_rights(reachable: Path, mode: int, allowed: bool) -> None:
    reachable.chmod(0o755)
    key = reachable / "tls.key"
    key.write_text("")
    key.chmod(mode)
    (reachable / "link").symlink_to(key)

    for path in (key, reachable / "link"):
        sandbox = STRANGER.sandbox(seconds=10, lines=1, reads=(str(path),))
        assert sandbox.user == (65533 if allowed else None)
        assert sandbox.network is Network.OWN
        assert sandbox.address_space


def test_a_closed_directory_above_keeps_our_rights(reachable: Path) -> None:
    (reachable / "open").mkdir(mode=0o755)
    (reachable / "open" / "file").write_text("")

    assert not STRANGER.may_read([str(reachable / "open" / "file")])
    assert STRANGER.may_read([str(reachable / "open" / "missing" / "file"), "/etc/passwd", "/"])


def test_the_rights_that_a_user_name_space_takes_count_too(reachable: Path) -> None:
    (reachable / "file").write_text("")
    (reachable / "file").chmod(0)

    reads = (str(reachable / "file"),)

    with_rights = Isolation(None, Network.OWN_AS_STRANGER, rights=True).sandbox(seconds=1, lines=1, reads=reads)
    without = Isolation(None, Network.OWN_AS_STRANGER, rights=False).sandbox(seconds=1, lines=1, reads=reads)
    assert with_rights.network is Network.SHARED
    assert without.network is Network.OWN_AS_STRANGER  # it has none to lose


@own_user
async def test_the_stranger_reads_what_it_was_let_in_to_and_writes_in_its_own_part_alone(
    processes: Processes, reachable: Path
) -> None:
    run = reachable / "run"
    (run / "trial" / "config" / "deep").mkdir(parents=True)
    (run / "trial" / "room" / "storage").mkdir(parents=True)
    config = run / "trial" / "config" / "deep" / "a.yaml"
    for path in (config, run / "secret"):
        path.write_text("text")
        path.chmod(0o600)
    reachable.chmod(0o711)
    run.chmod(0o700)

    assert HERE.let_in(str(run / "trial"), str(config), own=str(run / "trial" / "room"))
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o007 for path in (run, *(run / "trial").rglob("*.yaml")))

    script = (
        f"cat {config}; echo >{run}/trial/room/storage/x && echo wrote; echo x >>{config}; cat {run}/secret; ls {run}"
    )
    completed = await processes.run(
        ["/bin/sh", "-c", script], env=ENV, cwd="/", timeout=30, sandbox=Sandbox(user=HERE.user)
    )
    assert completed.stdout == "textwrote\n"
    assert completed.stderr.count("ermission denied") == 3


@own_user
def test_who_cannot_be_let_in_is_not(reachable: Path) -> None:
    (reachable / "closed" / "run" / "trial").mkdir(parents=True)
    (reachable / "closed").chmod(0o700)
    entry = reachable / "closed" / "run" / "trial" / "a"
    entry.write_text("")

    assert not HERE.let_in(str(entry.parent), str(entry))
    assert stat.S_IMODE((reachable / "closed").stat().st_mode) == 0o700


def test_words_of_missing_rights_are_known() -> None:
    assert lacked_rights("[tls] could not open /etc/key: Permission denied")
    assert lacked_rights("[/src/flb.c:12 errno=13] x")
    assert not lacked_rights("[/src/flb.c:12 errno=130] unknown property")
