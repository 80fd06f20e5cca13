"""A supervisor as a user runs it: a process of its own, asked over its socket, with short times and free ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conftest import waits_until

from supervisor.adapters.client import AdminClient

QUICK = {
    "--health-probation": "500ms",
    "--health-interval": "200ms",
    "--apply-min-gap": "300ms",
    "--sources-quiet": "50ms",
    "--sources-max-wait": "500ms",
    "--sources-resync": "1s",
    "--sources-vanish-grace": "2s",
    "--api-metrics": "127.0.0.1:0",
    "--api-page": "off",
    "--fluent-bit-grace": "1s",
}
"""Settings with which a test need not wait for what a person would."""


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Running:
    """One supervisor below a directory of its own. Use as a context; what it started is gone at the end."""

    def __init__(
        self,
        home: Path,
        binary: str,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        layer: bool = True,
        wrap: Callable[[list[str]], list[str]] = lambda argv: argv,
    ) -> None:
        self.home, self.port = home, free_port()
        self.snippets = home / "snippets"
        self.run_directory = home / "run"
        self.state = home / "state"
        if layer:
            self.snippets.mkdir(parents=True, exist_ok=True)
        wanted = {"--fluent-bit-http-port": str(self.port), **QUICK, **(settings or {})}
        argv = [sys.executable, "-m", "supervisor", "run", "--fluent-bit", binary]
        argv += ["--state-dir", str(self.state), "--run-dir", str(self.run_directory), "--log-level", "debug"]
        argv += ["--layer", f"platform={self.snippets}"] if layer else []
        argv += [word for pair in wanted.items() for word in pair] + list(arguments)
        self.argv = wrap(argv)
        self._env = {**os.environ, **(env or {})}
        self.client = AdminClient(str(self.run_directory / "admin.sock"))
        self.process: subprocess.Popen[bytes] | None = None
        self.out, self.err = home / "stdout", home / "stderr"

    def __enter__(self) -> Running:
        return self.start()

    def start(self) -> Running:
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self._env, start_new_session=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, limit: float = 15.0) -> int:
        """TERM, and its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)

    # --- what it says -----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return dict(self.client.status()[0])

    def until(self, condition: Callable[[dict[str, Any]], object], limit: float = 20.0) -> dict[str, Any]:
        """The first status for which the condition holds."""
        end = time.monotonic() + limit
        while True:
            status = self.status()
            if "error" not in status and condition(status):
                return status
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                raise AssertionError(f"not within {limit} s; last {json.dumps(status, indent=1)}\n{self.log()[-6000:]}")
            time.sleep(0.02)

    def until_in_sync(self, limit: float = 20.0) -> dict[str, Any]:
        return self.until(lambda status: status["in_sync"] and status["intake"] == "settled", limit)

    def until_live(self, name: str, content: str | bytes, limit: float = 20.0) -> dict[str, Any]:
        """Until exactly this content of the snippet is what runs, proven."""
        import hashlib

        data = content.encode() if isinstance(content, str) else content
        digest = hashlib.sha256(data).hexdigest()

        def live(status: dict[str, Any]) -> bool:
            mine = [one for one in status["snippets"] if one["name"] == f"platform/{name}"]
            return bool(mine) and mine[0]["running_digest"] == digest and status["in_sync"]

        return self.until(live, limit)

    def until_refused(self, limit: float = 20.0) -> dict[str, Any]:
        """Until the newest content was looked at and is kept out."""

        def refused(status: dict[str, Any]) -> bool:
            errors = [finding for finding in status["findings"] if finding["severity"] == "error"]
            return bool(errors) and not status["in_sync"] and status["intake"] == "settled"

        return self.until(refused, limit)

    def log(self) -> str:
        return self.err.read_text(errors="replace") if self.err.exists() else ""

    def events(self, event: str) -> list[dict[str, Any]]:
        """Our own log lines of that event."""
        lines = [line for line in self.log().splitlines() if line.startswith('{"ts"')]
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def records(self) -> str:
        """What outputs wrote to stdout."""
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    def until_records(self, text: str, after: int = 0, limit: float = 15.0) -> None:
        """Until stdout, beyond its first `after` characters, has the text."""
        waits_until(lambda: text in self.records()[after:], limit)

    # --- what a team does -------------------------------------------------------------------------------------

    def save(self, name: str, content: str | bytes) -> None:
        """As a careful editor does: written beside, and renamed."""
        data = content.encode() if isinstance(content, str) else content
        beside = self.snippets / f".{name}.new"
        beside.write_bytes(data)
        beside.rename(self.snippets / name)

    def children(self) -> list[int]:
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


def pipeline(message: str, tag: str = "a", *, plugin: str = "dummy", more: str = "") -> str:
    """A snippet whose records carry `message` and go to stdout as JSON lines."""
    return f"""\
pipeline:
  inputs:
    - name: {plugin}
      tag: {tag}
      dummy: '{{"message":"{message}"}}'
      rate: 10
{more}
  outputs:
    - name: stdout
      match: {tag}
      format: json_lines
"""
