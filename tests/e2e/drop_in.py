"""What does stock Fluent Bit do with a command line, and what do we?

Both are started alike: the same arguments, environment, standard input, and working directories with the same content.
What is ours alone is said by environment variables, as an operator who changes nothing but the image's name would.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
from conftest import waits_until
from running import QUICK, free_port

from supervisor.adapters.client import AdminClient

LAUNCHER = Path(__file__).parents[2] / "image" / "launcher"
UP = ("probation", "steady")
_TIME = re.compile(r'^\{"date":[0-9.]+,?')
_LOOPBACK = ("127.0.0.1", "::1")


def quick_environment(binary: str, home: Path) -> dict[str, str]:
    """Our own settings: short times, nothing at the usual places, no port that somebody else may have."""
    named = {"FBS_" + flag[2:].upper().replace("-", "_"): value for flag, value in QUICK.items()}
    return {
        **named,
        "FBS_FLUENT_BIT_BINARY": binary,
        "FBS_STATE_DIRECTORY": str(home / "state"),
        "FBS_RUN_DIRECTORY": str(home / "run"),
        "FBS_FLUENT_BIT_HTTP_PORT": str(free_port()),
        "FBS_LOG_LEVEL": "debug",
    }


class Started:
    """A process with its streams in files. To be used in a `with`; it is gone afterwards."""

    def __init__(
        self,
        argv: Sequence[str],
        home: Path,
        env: Mapping[str, str],
        *,
        cwd: Path | None = None,
        stdin: bytes = b"",
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.cwd = home, cwd or home
        self.out, self.err, given = home / "stdout", home / "stderr", home / "stdin"
        given.write_bytes(stdin)
        with self.out.open("wb") as out, self.err.open("wb") as err, given.open("rb") as into:
            self.process = subprocess.Popen(
                argv, cwd=self.cwd, env=dict(env), stdin=into, stdout=out, stderr=err, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, limit: float = 20.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)

    def fluent_bit(self) -> psutil.Process | None:
        """The real program of this run."""
        return psutil.Process(self.process.pid)

    def text(self) -> str:
        return self.out.read_text(errors="replace")

    def log(self) -> str:
        return self.err.read_text(errors="replace")

    def records(self) -> list[str]:
        """What was delivered to standard output as JSON lines, without the time, sorted."""
        return sorted(_TIME.sub("{", line) for line in self.text().splitlines() if line)

    def until(self, condition: Callable[[], object], limit: float = 20.0) -> object:
        try:
            return waits_until(lambda: condition() or self._ended(), limit)
        except AssertionError:
            raise AssertionError(f"{condition}\n{self.text()[-2000:]}\n{self.log()[-6000:]}") from None

    def _ended(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.log()[-6000:]}"
        return False

    def listens(self) -> set[tuple[str, int]]:
        """Where Fluent Bit listens."""
        process = self.fluent_bit()
        if process is None:
            return set()
        found = process.net_connections("tcp")
        return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}

    def files(self) -> set[str]:
        """All files below the working directory, by relative path."""
        return {str(path.relative_to(self.cwd)) for path in self.cwd.rglob("*") if path.is_file()}


class Stock(Started):
    """The real binary, as the official image starts it."""

    def __init__(self, binary: str, arguments: Sequence[str], home: Path, **more: Any) -> None:
        env = {"PATH": os.defpath, "TZ": "UTC", **more.pop("env", {})}
        super().__init__([binary, *arguments], home, env, **more)


class DropIn(Started):
    """Our launcher in the same place."""

    def __init__(self, binary: str, arguments: Sequence[str], home: Path, **more: Any) -> None:
        env = {"PATH": os.defpath, "TZ": "UTC", **quick_environment(binary, home), **more.pop("env", {})}
        super().__init__([sys.executable, "-I", str(LAUNCHER), *arguments], home, env, **more)
        self.client = AdminClient(str(home / "run" / "admin.sock"))

    def status(self) -> dict[str, Any]:
        return dict(self.client.status()[0])

    def fluent_bit(self) -> psutil.Process | None:
        pid = self.status().get("child", {}).get("pid")
        return psutil.Process(pid) if pid else None

    def until_status(self, condition: Callable[[dict[str, Any]], object], limit: float = 20.0) -> dict[str, Any]:
        end = time.monotonic() + limit
        while True:
            status = self.status()
            if "error" not in status and condition(status):
                return status
            over = time.monotonic() > end
            if over or self.process.poll() is not None:
                raise AssertionError(f"not so: {json.dumps(status, indent=1)}\n{self.log()[-6000:]}")
            time.sleep(0.02)

    def until_up(self) -> dict[str, Any]:
        """Until the child is up on what lies on disk, and that was proven."""
        return self.until_status(lambda status: status["phase"] == "steady" and status["in_sync"])


def copies(tmp_path: Path, content: Mapping[str, bytes]) -> tuple[Path, Path]:
    """Two working directories with the same files; `@PORT@` in them stands for a port, another in each."""
    homes = tmp_path / "stock" / "cwd", tmp_path / "ours" / "cwd"
    for home in homes:
        port = str(free_port()).encode()
        for name, text in content.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(text.replace(b"@PORT@", port))
        home.mkdir(parents=True, exist_ok=True)
    return homes


def errors(status: Mapping[str, Any]) -> list[str]:
    return [f"{one['rule']}: {one['message']}" for one in status["findings"] if one["severity"] == "error"]


def emptied(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
