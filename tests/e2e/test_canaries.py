"""Fifty secrets are planted, in every place where one may lie, and used in every place where Fluent Bit repeats it.

Whatever a supervisor then writes, says or shows is searched for each of them, in every spelling: nothing is found.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import string
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from conftest import waits_until
from doubles.kubelet_volume import KubeletVolume
from running import Running, free_port

PAGES = ("/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/api/v1/snippets", "/api/v1/generations")
MORE_PAGES = ("/api/v1/snippets/platform/live.yaml", "/api/v1/generations/1", "/api/v1/diff", "/api/v1/diff?from=1")
pytestmark = pytest.mark.real


def canary(number: int) -> str:
    """A value like a password; some have what needs to be escaped in JSON or in a URL."""
    chance = random.Random(number)
    word = "".join(chance.choices(string.ascii_letters + string.digits, k=14))
    return f"c{number:02d}{word}" + ("", "/+=", '"\\é', "%&?", "")[number % 5]


@dataclass
class Planted:
    """Fifty canaries: in flat and in mounted files, in deeper ones, in variables, and those of a rotation."""

    home: Path
    files: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    rotated: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory = self.home / "secrets"
        self.volume = KubeletVolume(self.directory / "platform")
        self.files = {f"P{n:02d}": canary(n) for n in range(20)}
        self.files["PEM"] = f"-----BEGIN-----\n{canary(20)}\n{canary(21)}\n-----END-----\n"
        self.volume.update(self.files)
        self.shop = KubeletVolume(self.directory / "shop")
        self.shop.update({f"S{n:02d}": canary(n) for n in range(22, 32)})
        deeper = self.directory / "bank" / "nested"
        deeper.mkdir(parents=True)
        for n in range(32, 36):
            (deeper / f"B{n}").write_text(canary(n) + "\n")
        self.variables = {f"BASE_{n}": canary(n) for n in range(36, 45)}

    def rotate(self) -> None:
        """The second values of what is in use."""
        self.rotated = [canary(n) for n in range(45, 50)]
        names = ("P01", "P02", "P03", "P04", "P05")
        self.volume.update({**self.files, **dict(zip(names, self.rotated, strict=True))})

    @property
    def of_files(self) -> list[str]:
        return [canary(n) for n in (*range(36), *range(45, 50))]

    @property
    def all(self) -> list[str]:
        return [canary(n) for n in range(50)]


def spellings(value: str) -> set[bytes]:
    raw = value.encode()
    found = {raw, json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()}
    found |= {each.encode() for each in (quote(value), quote(value, safe=""), quote_plus(value))}
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        found.add(base64.b64encode(bytes(before) + raw)[first:last])
    return found | {each.lower() for each in found if b"%" in each}


def hits(where: Mapping[str, bytes], values: list[str]) -> list[str]:
    """Where which value shows, and in what company."""
    found = []
    for value in values:
        for spelling in spellings(value):
            for place, data in where.items():
                if (at := data.find(spelling)) >= 0:
                    found.append(f"{place}: {data[max(0, at - 80) : at + 60]!r}")
    return found


@contextmanager
def mirror() -> Iterator[int]:
    """A back end that refuses everything, and repeats what it was sent: Fluent Bit logs such an answer."""

    class Mirror(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = "".join([self.path, *(f"\n{name}: {value}" for name, value in self.headers.items())]).encode(
                "latin-1"
            )
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def shipping(port: int, header: str, password: str, uri: str, *, tag: str = "a", more: str = "") -> str:
    """A snippet that is well, and whose back end repeats header, password and path."""
    return f"""\
pipeline:
  inputs:
    - name: dummy
      tag: {tag}
      rate: 10
  outputs:
    - name: http
      match: {tag}
      host: 127.0.0.1
      port: {port}
      uri: "/x/{uri}"
      header: "X-Key {header}"
      http_user: me
      http_passwd: "{password}"
      retry_limit: no_retries
{more}"""


def base(port: int) -> str:
    return "service:\n  flush: 0.2\n" + shipping(port, "${BASE_36}${BASE_37}", "${BASE_38}", "${BASE_39}", tag="base")


REFUSED = {
    "boolean": "      allow_duplicated_headers: ${P06}\n",
    "number": "      workers: ${P07}\n",
    "format": "      format: ${P08}\n",
    "compress": "      compress: ${P09}\n",
    "proxy": '      proxy: "${P10}"\n',
    "variable": "      tls: ${BASE_40}\n",
    "unknown-key": "      ${P11}: x\n      no_such_key: ${P11}\n",
}
FILTERS = {
    "regex": "{name: grep, match: a, regex: 'message [z-a]${P12}'}",
    "plugin": "{name: '${P13}', match: a}",
    "script": "{name: lua, match: a, call: f, script: '/nowhere/${P14}.lua'}",
    "parser": "{name: parser, match: a, key_name: log, parser: '${P15}'}",
    "several-lines": "{name: grep, match: a, regex: 'message [z-a]${PEM}'}",
    "variable-regex": "{name: grep, match: a, regex: 'message [z-a]${BASE_41}'}",
}


def refused(port: int) -> dict[str, str]:
    """Snippets that some check refuses, most of them with a message that repeats a canary."""
    snippets = {name: shipping(port, "x", "y", "z", more=more) for name, more in REFUSED.items()}
    for name, section in FILTERS.items():
        plain = shipping(port, "x", "y", "z")
        snippets[name] = plain.replace("  outputs:\n", f"  filters:\n    - {section}\n  outputs:\n")
    return snippets


# --- what Fluent Bit does by itself -----------------------------------------------------------------------------------


def alone(home: Path, real: str, text: str, planted: Planted, until: str) -> bytes:
    """What Fluent Bit prints with that config, until it prints a certain word or ends."""
    sources = "".join(
        f"  - name: {name}\n    uri: file://{planted.directory}/platform/{name}\n" for name in planted.files
    )
    config, said = home / "alone.yaml", home / "alone.log"
    config.write_text(f"env:\n{sources}{text}")
    environment = {**os.environ, **planted.variables}
    with said.open("wb") as log:
        process = subprocess.Popen([real, "-c", str(config)], env=environment, stdout=subprocess.DEVNULL, stderr=log)
    try:
        waits_until(lambda: until.encode() in said.read_bytes() or process.poll() is not None, 20)
    finally:
        process.kill()
        process.wait()
    return said.read_bytes()


def test_fluent_bit_itself_prints_these_canaries(tmp_path: Path, real: str) -> None:
    """Else the other test would show nothing."""
    planted = Planted(tmp_path)
    with mirror() as port:
        live = shipping(port, "${P01}", "${P02}", "${P03}")
        printed = {"live": alone(tmp_path, real, live, planted, "X-Key")}
        for name, text in refused(port).items():
            printed[name] = alone(tmp_path, real, text, planted, "stream processor started")

    told = {name for name in printed for value in planted.all if hits({name: printed[name]}, [value])}
    assert hits({"live": printed["live"]}, [canary(1)]), "a header"
    assert hits({"live": printed["live"]}, [canary(2)]), "a password in base64"
    assert hits({"live": printed["live"]}, [canary(3)]), "a path of a URL"
    assert told >= {"live", "boolean", "regex", "variable-regex"}


# --- the supervisor ---------------------------------------------------------------------------------------------------


class Watched:
    """A supervisor among the canaries, and all that it ever says."""

    def __init__(self, home: Path, real: str, planted: Planted, port: int, *, trial: bool) -> None:
        self.home, self.planted, self.heard = home, planted, dict[str, bytes]()
        self.temporary, self.tenants = home / "tmp", home / "tenants.d"
        self.temporary.mkdir()
        (self.tenants / "shop").mkdir(parents=True)
        (home / "base.yaml").write_text(base(port))
        settings = home / "settings.yaml"
        grants = {"shop": {"plugins": {"inputs": ["dummy"]}, "network": {"allow": [f"127.0.0.1:{port}"]}}}
        settings.write_text(json.dumps({"tenants": grants}))
        self.page = free_port()
        named = {
            "--secrets-directory": str(planted.directory),
            "--validate-trial": str(trial).lower(),
            "--api-page": f"127.0.0.1:{self.page}",
            "--settings": str(settings),
        }
        self.environment = {**planted.variables, "TMPDIR": str(self.temporary)}
        arguments = ("--layer", f"tenants={self.tenants}:tenant", "-c", str(home / "base.yaml"))
        self.supervisor = Running(home, real, *arguments, settings=named, env=self.environment)
        self.layout = [
            *("--fluent-bit", real, "--settings", str(settings), "--secrets-directory", str(planted.directory)),
            *("--layer", f"platform={self.supervisor.snippets}", *arguments),
            *("--state-dir", str(self.supervisor.state), "--run-dir", str(self.supervisor.run_directory)),
        ]

    def look(self, when: str) -> None:
        """At everything that can be looked at while it runs."""
        for page in (*PAGES, *MORE_PAGES):
            self.heard[f"{when}: {page}"] = self._asked(page)
        for words in (["status"], ["status", "--json"], ["snippets"], ["snippets", "--json"], ["history"], ["diff"]):
            self.heard[f"{when}: {' '.join(words)}"] = self._command(
                *words, "--run-dir", str(self.supervisor.run_directory)
            )
        assert self.supervisor.process is not None
        for pid in (self.supervisor.process.pid, *self.supervisor.children()):
            for place in ("cmdline", "environ"):
                with suppress(OSError):
                    self.heard[f"{when}: /proc/{pid}/{place}"] = Path(f"/proc/{pid}/{place}").read_bytes()
        self.files(when)

    def files(self, when: str) -> None:
        """What it wrote: state, run directory, what it made in the place for temporary files."""
        for directory in (self.supervisor.state, self.supervisor.run_directory, self.temporary):
            for path in directory.rglob("*"):
                with suppress(OSError):
                    self.heard[f"{when}: {path} (its name)"] = os.fsencode(path)
                    if path.is_file():
                        self.heard[f"{when}: {path}"] = path.read_bytes()

    def judge(self, when: str) -> None:
        """`check` and `render`, in all their forms."""
        for form in ("text", "json", "sarif", "github"):
            self.heard[f"{when}: check as {form}"] = self._command("check", *self.layout, "--format", form)
        self.heard[f"{when}: render"] = self._command("render", *self.layout, "--explain")

    def streams(self) -> None:
        self.heard["stdout"], self.heard["stderr"] = self.supervisor.out.read_bytes(), self.supervisor.err.read_bytes()

    def _command(self, *words: str) -> bytes:
        argv = [sys.executable, "-m", "supervisor", *words]
        environment = {**os.environ, **self.environment}
        return subprocess.run(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def _asked(self, page: str) -> bytes:
        import urllib.error
        import urllib.request

        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page}{page}", timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return error.read()


def tenant_snippet(port: int) -> str:
    return shipping(port, "${S22}", "${S23}", "${S24}", tag="own")


@pytest.mark.parametrize("trial", [True, False], ids=["trial", "no-trial"])
def test_no_canary_is_in_anything_that_is_written_said_or_shown(tmp_path: Path, real: str, trial: bool) -> None:
    planted = Planted(tmp_path)
    with mirror() as port:
        watched = Watched(tmp_path, real, planted, port, trial=trial)
        supervisor = watched.supervisor
        bad = refused(port)
        with supervisor:
            supervisor.save("live.yaml", shipping(port, "${P01}", "${P02}", "${P03}"))
            (watched.tenants / "shop" / "a.yaml").write_text(tenant_snippet(port))
            (watched.tenants / "shop" / "bad.yaml").write_text(tenant_snippet(port) + "      tls: ${S25}\n")
            supervisor.until(ran("platform/live.yaml"))
            waits_until(lambda: said(supervisor, "X-Key") >= 5, 20)
            watched.look("live")

            planted.rotate()
            supervisor.until(lambda s: s["current"]["generation"] > 1 and s["phase"] == "steady", 40)
            answers = said(supervisor, "X-Key")
            waits_until(lambda: said(supervisor, "X-Key") > answers + 3, 20)

            for name in bad if trial else ("boolean", "plugin", "regex", "variable-regex"):
                supervisor.save(f"{name}.yaml", bad[name])
            supervisor.until(lambda s: s["findings"] and s["intake"] == "settled" and s["phase"] == "steady", 90)
            watched.look("refused")

            (child,) = supervisor.children()
            os.kill(child, signal.SIGABRT)
            supervisor.until(lambda s: s["child"]["pid"] not in (None, child) and s["phase"] == "steady", 60)
            watched.look("crashed")
            assert supervisor.stop() == 0
        watched.judge("offline")
        watched.files("stopped")
        watched.streams()

    heard = watched.heard
    assert len(heard) > 80
    assert all(heard[f"live: {page}"] for page in ("/", "/metrics", "/api/v1/status"))
    assert b"***" in heard["stderr"], "Fluent Bit repeated some of them, and they were hidden"
    of_programs = {place: data for place, data in heard.items() if "/environ" in place}
    assert hits(of_programs, planted.of_files) == []
    assert hits({place: data for place, data in heard.items() if place not in of_programs}, planted.all) == []


def said(supervisor: Running, word: str) -> int:
    return supervisor.err.read_bytes().count(word.encode())


def ran(name: str) -> Any:
    def runs(status: dict[str, Any]) -> bool:
        return any(one["name"] == name and one["state"] == "live" for one in status["snippets"])

    return runs
