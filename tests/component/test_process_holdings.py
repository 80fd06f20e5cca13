"""What one process holds: ports, memory, time; and the real binary as such a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator

import pytest
from component.process_table import ENV, attached, children, gone, python, said
from conftest import eventually

from supervisor.adapters.process import Processes, Sandbox


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    async with attached() as owner:
        yield owner


# --- what it holds ---------------------------------------------------------------------------------------------------

LISTENER = """
import socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], 0), family=family) as server:
    print("port", server.getsockname()[1], file=sys.stderr, flush=True)
    time.sleep(600)
"""


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on this machine")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "0.0.0.0", pytest.param("::1", marks=IPV6), pytest.param("::", marks=IPV6)]
)
async def test_a_listener_of_its_own_is_seen(processes: Processes, address: str) -> None:
    child = processes.spawn(python(LISTENER, address), env=ENV, cwd=None, echo_stderr=False)
    port = int(await said(child, r"port (\d+)\n"))

    assert child.listens_on(port) is True

    child.signal(signal.SIGKILL)
    await child.wait()
    assert child.listens_on(port) is False


REOPENS = """
import signal, socket, sys
server = socket.create_server(("127.0.0.1", 0))
address = server.getsockname()
def close(*_):
    server.close()
    print("closed", file=sys.stderr, flush=True)
def reopen(*_):
    global server
    server = socket.create_server(address)
    print("reopened", file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, close)
signal.signal(signal.SIGUSR2, reopen)
print("port", address[1], file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


async def test_a_listener_that_is_closed_and_opened_again_is_followed(processes: Processes) -> None:
    child = processes.spawn(python(REOPENS), env=ENV, cwd=None, echo_stderr=False)
    port = int(await said(child, r"port (\d+)\n"))
    assert [child.listens_on(port), child.listens_on(port)] == [True, True]

    child.signal(signal.SIGUSR1)
    await said(child, "closed\n")
    with socket.create_server(("127.0.0.1", port)):
        assert child.listens_on(port) is False
    child.signal(signal.SIGUSR2)
    await said(child, "reopened\n")

    assert child.listens_on(port) is True


async def test_a_listener_of_somebody_else_is_not_its_own(processes: Processes) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)

    with socket.create_server(("127.0.0.1", 0)) as foreign:
        assert child.listens_on(foreign.getsockname()[1]) is False


async def test_a_port_that_nobody_listens_on_is_not_its_own(processes: Processes) -> None:
    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)
    with socket.create_server(("127.0.0.1", 0)) as former:
        port = former.getsockname()[1]

    assert child.listens_on(port) is False


async def test_a_connection_is_not_a_listener(processes: Processes) -> None:
    script = "import socket, sys, time\nc = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
    script += "print('port', c.getsockname()[1], file=sys.stderr, flush=True)\ntime.sleep(600)"
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = processes.spawn(python(script, server.getsockname()[1]), env=ENV, cwd=None, echo_stderr=False)
        port = int(await said(child, r"port (\d+)\n"))

        assert child.listens_on(port) is False
        assert child.listens_on(server.getsockname()[1]) is False


SECRETIVE = """
import asyncio, os, re, sys
from supervisor.adapters.process import Processes
listen = "import ctypes, socket, sys, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); "
listen += "s = socket.create_server(('127.0.0.1', 0)); "
listen += "print('port', s.getsockname()[1], file=sys.stderr, flush=True); time.sleep(600)"
async def main():
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    child = processes.spawn([sys.executable, "-c", listen], env=dict(os.environ), cwd=None, echo_stderr=False)
    while not (port := re.search("port ([0-9]+)\\n", child.stderr_since(0))):
        await asyncio.sleep(0.01)
    print(child.listens_on(int(port[1])), child.alive(), child.signal(9))
    await processes.stop_everything()
asyncio.run(main())
"""


def test_what_cannot_be_told_is_not_denied() -> None:
    # A process that is not dumpable hides its descriptors from all but the mighty.
    weak = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    answered = subprocess.run([*weak, *python(SECRETIVE)], stdout=subprocess.PIPE, text=True, timeout=60, check=False)

    assert answered.stdout.split() == ["None", "True", "True"]


async def test_usage_grows_with_the_work_done(processes: Processes) -> None:
    script = (
        "import sys\ndata = bytearray(b'x') * 50_000_000\nprint('ready', file=sys.stderr, flush=True)\nwhile True: pass"
    )
    child = processes.spawn(python(script), env=ENV, cwd=None, echo_stderr=False)
    await said(child, "ready")
    first = child.usage()
    assert first is not None

    await eventually(lambda: (now := child.usage()) and now.cpu_seconds > first.cpu_seconds)

    assert first.resident_bytes > 50_000_000


async def test_the_time_of_the_start_is_known(processes: Processes) -> None:
    before = time.time()

    child = processes.spawn(["sleep", "600"], env=ENV, cwd=None)

    assert before <= child.started_at <= time.time()


# --- the real binary -------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.real
async def test_fluent_bit_runs_listens_and_stops(processes: Processes, real: str) -> None:
    port = _free_port()
    argv = [real, "-H", "-P", str(port), "-i", "dummy", "-o", "null"]
    child = processes.spawn(argv, env=ENV, cwd=None, echo_stderr=False, sandbox=Sandbox())

    await eventually(lambda: child.listens_on(port))
    usage = child.usage()
    child.signal(signal.SIGTERM)

    assert await child.wait() == 0
    assert usage is not None
    assert usage.resident_bytes > 1_000_000
    assert "caught signal (SIGTERM)" in child.stderr_since(0)


@pytest.mark.real
async def test_a_killed_fluent_bit_leaves_no_command_that_holds_its_port(processes: Processes, real: str) -> None:
    port = _free_port()
    argv = [real, "-H", "-P", str(port), "-i", "exec", "-p", "command=sleep 600", "-p", "interval_sec=1", "-o", "null"]
    child = processes.spawn(argv, env=ENV, cwd=None, echo_stderr=False, sandbox=Sandbox())
    await eventually(lambda: child.listens_on(port))
    await eventually(lambda: any(children(shell) for shell in children(child.pid)))
    [shell] = children(child.pid)
    [sleep] = children(shell)

    child.signal(signal.SIGKILL)
    await child.wait()

    await eventually(lambda: gone(shell) and gone(sleep))
    second = processes.spawn(argv, env=ENV, cwd=None, echo_stderr=False, sandbox=Sandbox())
    await eventually(lambda: second.listens_on(port))


@pytest.mark.real
async def test_a_dry_run_of_fluent_bit_is_captured(processes: Processes, real: str) -> None:
    completed = await processes.run([real, "--dry-run", "-i", "dummy", "-o", "null"], env=ENV, cwd=None, timeout=30)

    assert completed.returncode == 0
    assert "configuration test is successful" in completed.stderr
