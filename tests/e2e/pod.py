"""How does a pod look from inside: the image's files at their places, volumes, a network of its own, PID 1?

Made of namespaces. `stand` is the directory that stands for whatever the pod does not have of this machine: its
`fluent-bit`, `var` and `run` are those of the pod, and so are the files in its `etc`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from conftest import waits_until
from doubles.kubelet_volume import KubeletVolume
from e2e.drop_in import LAUNCHER
from e2e.namespace import Namespace, skip_where_refused

from supervisor.adapters.client import AdminClient

ADDRESS = "10.244.0.7"
BACKEND = "10.244.0.8"
_PARSERS = """\
[PARSER]
    name        docker
    format      json
    time_key    time
    time_format %Y-%m-%dT%H:%M:%S.%L
[PARSER]
    name   stock_json
    format json
"""
_HOSTS = f"127.0.0.1 localhost\n{BACKEND} elasticsearch-master\n"
_ETC = {"machine-id": "0123456789abcdef0123456789abcdef\n", "hosts": _HOSTS, "resolv.conf": "nameserver 127.0.0.1\n"}
_ENTER = """
set -e
stand=$1 root=$2 binary=$3 address=$4 backend=$5 place=$6
shift 6
ip link set lo up
ip address add $address/32 dev lo
ip address add $backend/32 dev lo
mount -t tmpfs none $root
mkdir $root/etc $root/fluent-bit $root/var $root/run
cp -a /etc/. $root/etc/ 2>/dev/null || true
for each in hosts resolv.conf machine-id; do
    rm -f $root/etc/$each
    cp $stand/etc/$each $root/etc/$each
done
for each in fluent-bit var run; do mount --rbind $stand/$each $root/$each; done
mount --bind $binary $root/$place
for each in /*; do
    name=$root$each
    if [ -e $name ]; then continue
    elif [ -L $each ]; then cp -P $each $name
    elif [ -d $each ]; then mkdir $name; mount --rbind $each $name
    fi
done
exec chroot $root "$@"
"""
_ASK = """
import sys, urllib.request, urllib.error
try:
    answer = urllib.request.urlopen(urllib.request.Request(sys.argv[2], method=sys.argv[1]), timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode(), sep="\\n", end="")
"""
_ELASTICSEARCH = """
import http.server, sys
class Bulk(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[2], "ab") as file:
            file.write(body)
        answer = b'{"took":1,"errors":false,"items":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((sys.argv[1], 9200), Bulk).serve_forever()
"""


def skip_without_pods() -> None:
    skip_where_refused()
    for tool in ("ip", "nsenter", "chroot", "mount"):
        if shutil.which(tool) is None:
            pytest.skip(f"no pods: {tool} is not here")


class Pod:
    """One container of the stock image, or of ours with nothing else changed. To be used in a `with`."""

    def __init__(
        self,
        tmp_path: Path,
        real: str,
        command: Sequence[str],
        config_map: Mapping[str, str],
        *,
        ours: bool,
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self._files = ExitStack()
        self.stand = tmp_path / ("ours" if ours else "stock")
        root = self.stand / "root"
        for place in ("fluent-bit/bin", "fluent-bit/libexec", "fluent-bit/etc", "var/log/containers", "etc", "run"):
            (self.stand / place).mkdir(parents=True)
        for place in ("var/lib/docker/containers", "var/lib/fluent-bit-supervisor", "run/fluent-bit-supervisor"):
            (self.stand / place).mkdir(parents=True)
        root.mkdir()
        for name, text in _ETC.items():
            (self.stand / "etc" / name).write_text(text)
        for name, text in {"parsers.conf": _PARSERS, "plugins.conf": "[PLUGINS]\n", **(files or {})}.items():
            (self.stand / "fluent-bit/etc" / name).write_text(text)
        self._log = self.stand / "var/log/containers" / f"web-6b7c_default_app-{'0123456789abcdef' * 4}.log"
        self._log.touch()  # there before the start: a new file may be found only at the next scan, a minute later
        self.config_map = KubeletVolume(self.stand / "fluent-bit/etc/conf")
        self.config_map.update(config_map)
        place = "fluent-bit/libexec/fluent-bit" if ours else "fluent-bit/bin/fluent-bit"
        (self.stand / place).touch()
        if ours:
            self._lay_launcher()
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME": "fluent-bit-x7k2p",
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            "FLUENT_BIT_VERSION": "5.1.1",
            **(env or {}),
        }
        enter = [str(self.stand), str(root), real, ADDRESS, BACKEND, place]
        self.namespace = self._files.enter_context(
            Namespace(["sh", "-c", _ENTER, "sh", *enter, *command], environment, ["--mount", "--net"])
        )
        self.pid = self.namespace.hostpid

    def _lay_launcher(self) -> None:
        launcher = self.stand / "fluent-bit/bin/fluent-bit"
        launcher.write_text(f"#!{sys.executable} -I\n" + LAUNCHER.read_text().partition("\n")[2])
        launcher.chmod(0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()

    # --- from outside -----------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        return dict(AdminClient(f"/proc/{self.pid}/root/run/fluent-bit-supervisor/admin.sock").status()[0])

    def until(self, condition: Callable[[dict[str, Any]], object], limit: float = 40.0) -> dict[str, Any]:
        """The first status for which the condition holds."""

        def so() -> dict[str, Any] | None:
            assert not self.namespace.ended(), self.namespace.stderr()
            status = self.status()
            return status if "error" not in status and condition(status) else None

        try:
            found = waits_until(so, limit)
        except AssertionError as late:
            status = json.dumps(self.status(), indent=1)
            raise AssertionError(f"{late}\n{status}\n{self.namespace.stderr()[-6000:]}") from None
        assert isinstance(found, dict)
        return found

    def get(self, path: str, port: int = 2020, *, method: str = "GET") -> tuple[int, str] | None:
        """Status and body, asked at the pod's address as the kubelet does; None when nobody answers."""
        with self._inside(_ASK, method, f"http://{ADDRESS}:{port}{path}") as done:
            out, _ = done.communicate(timeout=30)
        status, _, body = out.decode().partition("\n")
        return (int(status), body) if done.returncode == 0 else None

    def until_answer(self, path: str, status: int = 200, limit: float = 30.0) -> str:
        """The body, once the answer has this status."""
        answer = waits_until(lambda: (found := self.get(path)) and found[0] == status and found, limit)
        assert isinstance(answer, tuple)
        return str(answer[1])

    def listens(self) -> set[tuple[str, int]]:
        """Addresses and ports in the pod's own network, whoever holds them."""
        found = set()
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.pid}/net/{name}").read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A":
                    address, port = local.split(":")
                    found.add((".".join(str(byte) for byte in reversed(bytes.fromhex(address[:8]))), int(port, 16)))
        return found

    def elasticsearch(self) -> Path:
        """Starts a back end that takes everything; what it was sent is in the file."""
        taken = self.stand / "elasticsearch"
        taken.touch()
        server = self._files.enter_context(self._inside(_ELASTICSEARCH, BACKEND, str(taken)))
        self._files.callback(server.kill)
        return taken

    def log_line(self, text: str) -> None:
        """Of the container `app` in the pod `web-6b7c`, as a container runtime writes it."""
        with self._log.open("a") as file:
            file.write(f"2026-11-22T10:00:00.000000000Z stdout F {text}\n")

    def _inside(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A Python program in the pod's network."""
        user = [] if os.geteuid() == 0 else [f"--user=/proc/{self.pid}/ns/user", "--preserve-credentials"]
        enter = ["nsenter", *user, f"--net=/proc/{self.pid}/ns/net", sys.executable, "-I", "-c", program, *arguments]
        return subprocess.Popen(enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
