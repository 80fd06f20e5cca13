"""What can be wrong with the world of a supervisor? Programs with a planted fault, back-ends that die, strangers.

Everything here is real: programs, sockets, pids. Nothing reaches into the supervisor.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import psutil
from conftest import waits_until
from running import Running

ENDS_A_START = "name: grep, match: a, regex: 'message [z-a]'"
"""A filter that lint and dry-run let pass, and that ends Fluent Bit a second after its start: the trial sees it."""

_ENDS_WHERE_LIVE = "name: lua, match: a, call: f, code: 'if os.getenv(\"LIVE\") then os.exit(7) end {}'"
_PASSES = "function f(tag, time, record) return 0, time, record end"
LIVE = {"LIVE": "yes"}
"""What only the environment of the running child has: neither a dry-run nor a trial is given it."""

ENDLESS_START = "name: lua, match: a, call: f, code: 'while true do end'"
ENDLESS_FILTER = "name: lua, match: a, call: f, code: 'function f(a, b, c) while true do end end'"
"""Only the real one has Lua; the double has markers for the same."""

PATIENT = "name: http, match: a, host: 127.0.0.1, port: {}, format: json, retry_limit: no_limits"
"""An output that a reload waits for without limit once its back-end is gone."""

BLOCKED = "name: exec, tag: b, command: '{}', interval_sec: 1"
"""An input whose command does not end in time: the real one does not hear TERM while it runs."""


def flow(message: str, *, markers: str = "", inputs: str = "", filters: str = "", outputs: str = "") -> str:
    """A snippet whose records carry `message` and go to stdout as JSON lines; one more section of each kind as a flow
    mapping without its braces; `markers` are for the double (`ignore-term slow-start=2`), which is always quick."""
    alias = " ".join(f"double.{marker}" for marker in ("tick=0.1", *markers.split()))
    first = f"name: dummy, tag: a, alias: '{alias}', rate: 10, dummy: '{{\"message\":\"{message}\"}}'"
    rows = ["service: {flush: 0.2}", "pipeline:"]
    for kind, sections in (
        ("inputs", (first, inputs)),
        ("filters", (filters,)),
        ("outputs", ("name: stdout, match: a, format: json_lines", outputs)),
    ):
        given = [section for section in sections if section]
        rows += [f"  {kind}:", *(f"    - {{{section}}}" for section in given)] if given else []
    return "\n".join(rows) + "\n"


def fatal(message: str, binary: str) -> str:
    """A snippet that no check can see through: it ends Fluent Bit where it is to live, which has `LIVE`."""
    if is_double(binary):
        return flow(message, markers="crash-after=0.4")
    return flow(message, filters=_ENDS_WHERE_LIVE.format(_PASSES))


def supervise(
    home: Path,
    program: str,
    *,
    environment: Mapping[str, str] | None = None,
    kind: type[Running] = Running,
    **settings: str,
) -> Running:
    """A supervisor in a hurry; `apply_deadline="1s"` and the like as settings."""
    named = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
    return kind(home, program, settings={"--health-probation": "200ms", **named}, env=environment)


def is_double(binary: str) -> bool:
    return binary.endswith(".py")


class Faulty:
    """A program that is `binary`, but first does what was planted for that kind of call, in the shell's words.

    Calls: `version`, `schema`, `dry-run` and `trial` (of a candidate), `run`.
    """

    def __init__(self, home: Path, binary: str) -> None:
        self._home = home / "faulty"
        self._home.mkdir()
        self._program = self._home / "fluent-bit"
        self._program.write_text(f"""\
#!/bin/sh
case "$1 $2" in
    -V*) call=version ;;
    -J*) call=schema ;;
    "-D -c") call=dry-run ;;
    "-c "*/trial/*) call=trial ;;
    "-c "*) call=run ;;
    *) call=other ;;
esac
config=$(dirname "${{3:-$2}}")
[ -e "{self._home}/$call" ] && . "{self._home}/$call"
exec "{binary}" "$@"
""")
        self._program.chmod(0o755)

    @property
    def path(self) -> str:
        return str(self._program)

    def plant(self, call: str, script: str) -> None:
        """`$config` is the directory of the config that it was given."""
        beside = self._home / f".{call}"
        beside.write_text(script + "\n")
        beside.rename(self._home / call)

    def mend(self, call: str) -> None:
        (self._home / call).unlink()


# --- who answers on a port ------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        with suppress(ValueError):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        if self.server.silent.is_set():
            self.server.over.wait()
        self._answer()

    def _answer(self) -> None:
        body = self.server.pages.get(self.path, "{}").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, pages: dict[str, str]) -> None:
        self.pages, self.asked = pages, list[str]()
        self.silent, self.over = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: Any) -> None:
        pass  # who asked is gone: that is what the tests are about


class Endpoint:
    """An HTTP server on loopback that takes everything, until it falls silent or is closed."""

    def __init__(self, port: int = 0, pages: dict[str, str] | None = None) -> None:
        self._server = _Server(port, pages or {})
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self._open = True

    @property
    def asked(self) -> list[str]:
        """The paths that something was posted to."""
        return self._server.asked

    def fall_silent(self) -> None:
        """From now on it takes what is posted, and never answers."""
        self._server.silent.set()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._server.over.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


@contextmanager
def backend() -> Iterator[Endpoint]:
    """Somewhere to deliver to."""
    endpoint = Endpoint()
    try:
        yield endpoint
    finally:
        endpoint.close()


@contextmanager
def stranger(port: int) -> Iterator[Endpoint]:
    """Another program on that port, which answers as a Fluent Bit in the best of health would."""
    metrics = "\n# TYPE fluentbit_uptime counter\nfluentbit_uptime 5\n" + "".join(
        f'fluentbit_{family}_total{{name="stdout.0"}} {value}\n'
        for family, value in (("output_proc_records", 100), ("output_errors", 0), ("output_retries", 0))
    )
    pages = {
        "/api/v1/uptime": json.dumps({"uptime_sec": 1}),
        "/api/v2/reload": json.dumps({"hot_reload_count": 7}),
        "/api/v2/metrics/prometheus": metrics,
    }
    endpoint = Endpoint(port, pages)
    try:
        yield endpoint
    finally:
        endpoint.close()


def lose(supervisor: Running, target: Endpoint) -> None:
    """Close the back-end, and wait until the output has noticed: a flush failed."""
    before = supervisor.log().count("failed to flush chunk")
    target.close()
    waits_until(lambda: supervisor.log().count("failed to flush chunk") > before, 30)


def answers(port: int) -> bool:
    """Whether an HTTP server answers there, as a probe would find."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"GET /api/v1/uptime HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


# --- processes ------------------------------------------------------------------------------------------------


def below(pid: int) -> list[psutil.Process]:
    """All living processes that come from this one."""
    with suppress(psutil.NoSuchProcess):
        return [process for process in psutil.Process(pid).children(recursive=True) if runs(process.pid)]
    return []


def runs(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def with_words(words: str) -> list[int]:
    """Processes anywhere whose command line has these words."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if words in " ".join(process.cmdline()) and process.pid != os.getpid():
                found.append(process.pid)
    return found


def highest_memory(pid: int) -> int:
    """The most bytes that a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class AsFirst(Running):
    """A supervisor that is PID 1 of a pid namespace of its own."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        unshare = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child=SIGKILL"]
        as_user = ["--user", "--map-root-user"] if os.geteuid() != 0 else []
        super().__init__(*arguments, wrap=lambda argv: [*unshare, *as_user, "--", *argv], **named)

    @property
    def pid(self) -> int:
        """Of PID 1, as seen from outside."""
        assert self.process is not None
        unshare = self.process.pid

        def inside() -> int | None:
            for pid in Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split():
                with suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text().strip() != "unshare":
                        return int(pid)
            return None

        found = waits_until(inside)
        assert isinstance(found, int)
        return found

    def send(self, number: int) -> None:
        """To PID 1 itself: unshare passes nothing on."""
        os.kill(self.pid, number)

    def stop(self, limit: float = 15.0, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.send(number)
        return self.process.wait(limit)

    def __enter__(self) -> Self:
        self.start()
        return self
