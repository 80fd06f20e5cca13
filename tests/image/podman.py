"""How does the image behave as a container?

Everything goes through podman's command line. Containers have names of their own and are removed with all they hold.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conftest import waits_until

ROOT = Path(__file__).parents[2]
BASES = ("docker.io/library/python:3.13-slim-trixie", "docker.io/fluent/fluent-bit:5.1.1")
TAG = "localhost/fluent-bit-supervisor:test"
PLATFORM = "/fluent-bit/etc/platform.d"
STATE, RUN = "/var/lib/fluent-bit-supervisor", "/run/fluent-bit-supervisor"
QUICK = {
    "FBS_HEALTH_PROBATION": "500ms",
    "FBS_HEALTH_INTERVAL": "200ms",
    "FBS_APPLY_MIN_GAP": "300ms",
    "FBS_SOURCES_QUIET": "50ms",
    "FBS_FLUENT_BIT_GRACE": "1s",
}
"""Settings with which a test need not wait for what a person would."""
HARDENED = (
    *("--read-only", "--read-only-tmpfs=false", "--user", "65532:65532"),  # podman's own tmpfs would hide what we lack
    *("--cap-drop=all", "--security-opt=no-new-privileges"),
)
PUBLISHED = tuple(word for port in (2020, 9533) for word in ("-p", f"127.0.0.1::{port}"))
_LOCK = "fluent-bit-supervisor-image.lock"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


@functools.cache
def refusal() -> str:
    """Why this machine cannot try the image; empty when it can."""
    if shutil.which("podman") is None:
        return "no podman"
    if os.geteuid() != 0:
        return "podman is tried as root only"
    for image in BASES:
        if podman("image", "exists", image, fine=False).returncode != 0:
            return f"no image {image}: pull it, or let tests/image/stand_in_bases.sh make a stand-in"
    return ""


def podman(*arguments: str, fine: bool = True, limit: float = 60) -> subprocess.CompletedProcess[str]:
    """One command. With `fine`, what does not end well is a failure that shows the last lines of what was said."""
    command = ["podman", *arguments]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0 or not fine, (
        f"{' '.join(command)}: {done.returncode}\n{_end(done.stdout + done.stderr)}"
    )
    return done


def build() -> str:
    """The image of this tree, by id. What did not change since the last time comes from podman's cache."""
    with tempfile.TemporaryDirectory() as scratch, open(Path(tempfile.gettempdir(), _LOCK), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several who want it at once the first one builds it
        former = podman("image", "inspect", TAG, "--format", "{{.Id}}", fine=False).stdout.strip()
        options = ["--pull=never", "--network=host", "--layers"]
        if _CA_BUNDLE.exists():
            # pip in the build trusts what this machine trusts; neither the Dockerfile nor the image know of it
            Path(scratch, "pip.conf").write_text("[global]\ncert = /run/host-ca.crt\n")
            options += ["-v", f"{_CA_BUNDLE}:/run/host-ca.crt:ro", "-v", f"{scratch}/pip.conf:/etc/pip.conf:ro"]
        where = ["--iidfile", f"{scratch}/id", "-t", TAG, "-f", str(ROOT / "image/Dockerfile"), str(ROOT)]
        podman("build", *options, *where, limit=500)
        image = Path(scratch, "id").read_text().removeprefix("sha256:")
        if former and former != image:
            podman("rmi", former, fine=False)  # it may still be used by a run of the tests beside this one
    return image


class Container:
    """One container. Use as a context; nothing of it is left at the end."""

    def __init__(
        self, image: str, *arguments: str, options: Sequence[str] = (), environment: Mapping[str, str] = QUICK
    ) -> None:
        self.name = f"fluent-bit-supervisor-{uuid.uuid4().hex[:12]}"
        variables = [word for name, value in environment.items() for word in ("-e", f"{name}={value}")]
        fixed = ["--detach", "--name", self.name, "--log-driver=k8s-file", "--pull=never"]
        self._log: Path | None = None
        self._command = ["run", *fixed, *variables, *options, image, *arguments]

    def __enter__(self) -> Self:
        try:
            podman(*self._command)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def logs(self) -> str:
        """Both streams, all that was written so far. Read from podman's own file: asking podman costs much more."""
        if not self._log:
            told = podman("inspect", self.name, "--format", "{{.HostConfig.LogConfig.Path}}").stdout.strip()
            self._log = Path(told)
        if not self._log.exists():
            return ""  # nothing was written yet
        pieces = []
        for line in self._log.read_text(errors="replace").splitlines():
            _at, _stream, whole, text = line.split(" ", 3)  # F: a full line, P: a part of one
            pieces.append(text + ("\n" if whole == "F" else ""))
        return "".join(pieces)

    def lines(self) -> list[dict[str, Any]]:
        """What the supervisor logged."""
        return [json.loads(line) for line in self.logs().splitlines() if line.startswith('{"ts"')]

    def says(self, text: str, limit: float = 20.0) -> None:
        """Wait until a text is in the log; a failure shows the log."""
        try:
            waits_until(lambda: text in self.logs() or self._has_ended(), limit)
            assert text in self.logs(), "it ended"
        except AssertionError as late:
            raise AssertionError(f"{text!r}: {late}; the log:\n{self.logs()}") from None

    def exec(self, *command: str, fine: bool = True) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.name, *command, fine=fine)

    def status(self) -> dict[str, Any]:
        """What the supervisor tells of itself; empty while it is not reachable."""
        told = self.exec("fluent-bit-supervisor", "status", "--json", fine=False).stdout
        document: dict[str, Any] = json.loads(told) if told else {}
        return {} if "error" in document else document

    def until(self, key: str, value: object, limit: float = 20.0) -> dict[str, Any]:
        """Wait until the status says so; returns all of it."""
        seen: list[dict[str, Any]] = [{}]

        def so() -> bool:
            seen.append(self.status())
            return seen[-1].get(key) == value

        try:
            waits_until(so, limit)
        except AssertionError:
            raise AssertionError(f"{key} is not {value!r} within {limit} s: {seen[-1]}\n{self.logs()}") from None
        return seen[-1]

    def get(self, port: int, path: str) -> tuple[int, str]:
        """Status and body; 0 when there is no answer. The port must have been published, with `PUBLISHED`."""
        address = podman("port", self.name, str(port)).stdout.split()[0]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""

    def stop(self, seconds: int = 10) -> int:
        """TERM, and KILL after some seconds; the exit code."""
        podman("stop", "--time", str(seconds), self.name)
        return self.wait()

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return int(podman("wait", self.name).stdout)

    def processes(self) -> dict[int, tuple[int, str, str]]:
        """pid → (parent, state, program), as seen inside. Without those that only look."""
        found = {}
        script = "for p in /proc/[0-9]*; do cat $p/stat; done 2>/dev/null"
        for line in self.exec("sh", "-c", script, fine=False).stdout.splitlines():
            pid, _, rest = line.partition(" (")
            program, _, fields = rest.rpartition(") ")
            state, parent = fields.split()[:2]
            found[int(pid)] = (int(parent), state, program)
        return {pid: each for pid, each in found.items() if each[2] not in ("sh", "cat")}

    def _has_ended(self) -> bool:
        return podman("inspect", self.name, "--format", "{{.State.Status}}").stdout.strip() == "exited"

    def _remove(self) -> None:
        podman("rm", "--force", "--volumes", "--time", "0", self.name, fine=False)


def mount(source: Path, target: str, mode: str = "ro") -> tuple[str, str]:
    return ("-v", f"{source}:{target}:{mode}")


def pipeline(message: str, output: str = "stdout") -> str:
    """A snippet whose records carry that message."""
    return f"""pipeline:
  inputs:
    - name: dummy
      tag: here
      dummy: '{{"message": "{message}"}}'
  outputs:
    - name: {output}
      match: here
"""


def ready(container: Container) -> None:
    """Wait until it says so to a probe; its ports must be published."""
    waits_until(lambda: container.get(9533, "/readyz")[0] == 200, 20)


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-40:])


@functools.cache
def _environment() -> dict[str, str]:
    """Ours, with a configuration for podman that suits the machine, unless one is named already."""
    if "CONTAINERS_CONF" in os.environ:
        return dict(os.environ)
    text = subprocess.run([str(Path(__file__).with_name("containers_conf.sh"))], capture_output=True, check=True).stdout
    keep = tempfile.NamedTemporaryFile(prefix="containers-", suffix=".conf")  # noqa: SIM115
    keep.write(text)
    keep.flush()
    _kept.append(keep)
    return {**os.environ, "CONTAINERS_CONF": keep.name}


_kept: list[Any] = []  # open until the end of the process, which removes them
