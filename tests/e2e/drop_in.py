"""What does stock Fluent Bit do with a command line, and what do we?

Both are started alike: the same arguments, environment, standard input, and working directories with the same content.
What is ours alone is said by environment variables, as an operator who changes nothing but the image's name would.
"""

from __future__ import annotations

import json
import os
import signal
import stat
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


def quick_environment(binary: str, home: Path) -> dict[str, str]:
    """Our own settings: short times, nothing at the usual places, no port that somebody else may have."""
    named = {"FBS_" + flag[2:].upper().replace("-", "_"): value for flag, value in QUICK.items()}
    return {
        **named,
        "FBS_HEALTH_PROBATION": "250ms",
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
        self.out, self.err = home / "stdout", home / "stderr"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                argv,
                cwd=self.cwd,
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(stdin)
        self.process.stdin.flush()  # and left open: at its end Fluent Bit would leave

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def stop(self, limit: float = 20.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)

    def fluent_bit(self) -> int:
        """Pid of the real program in this run."""
        return self.process.pid

    def text(self) -> str:
        return self.out.read_text(errors="replace")

    def log(self) -> str:
        return self.err.read_text(errors="replace")

    def records(self) -> list[str]:
        """What was delivered to standard output as JSON lines: without the time, keys and records sorted."""
        return sorted(map(_timeless, self.text().splitlines()))

    def until_records(self, number: int, limit: float = 20.0) -> None:
        """Until at least so many were delivered."""

        def there() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.log()[-6000:]}"
            return len(self.records()) >= number

        try:
            waits_until(there, limit)
        except AssertionError as late:
            raise AssertionError(f"{number} records: {late}\n{self.text()[-2000:]}\n{self.log()[-6000:]}") from None

    def listens(self) -> set[tuple[str, int]]:
        """Where Fluent Bit listens."""
        found = psutil.Process(self.fluent_bit()).net_connections("tcp")
        return {(one.laddr.ip, one.laddr.port) for one in found if one.status == psutil.CONN_LISTEN}

    def files(self) -> dict[str, str]:
        """All that lies below the working directory, by relative path, with who may do what with it."""
        return {str(path.relative_to(self.cwd)): stat.filemode(path.stat().st_mode) for path in self.cwd.rglob("*")}


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

    def fluent_bit(self) -> int:
        return int(self.until_status(lambda status: status["child"]["pid"])["child"]["pid"])

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


def _timeless(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if isinstance(record, dict):
        record.pop("date", None)
    return json.dumps(record, sort_keys=True)


def errors(status: Mapping[str, Any]) -> list[str]:
    return [f"{one['rule']}: {one['message']}" for one in status["findings"] if one["severity"] == "error"]
