#!/usr/bin/env -S python3 -ES
"""A program with Fluent Bit's command line, for tests: it dry-runs, runs, reloads and delivers a small set of plugins.

It does what 5.1.1 was seen to do, in its words and with its exit codes; `tests/contract` runs the same tests against
both. What it knows of plugins is in `fake_config`: like a build with few plugins, it refuses all others.

Faults that the real one shows only with a lot of machinery are asked for by a marker in any `alias`, as `double.NAME`
or `double.NAME=NUMBER`. The contract tests show each of them on the real binary by other means.

    tick=SECONDS             the engine's tick, which rules all waiting: 1 s in the real one
    hang-on-reload           a reload never ends, and TERM is ignored meanwhile
    ignore-term              TERM is ignored always
    slow-start=SECONDS       before it answers for the first time
    stuck-engine             it answers, but has no metrics, and delivers nothing
    crash-after=SECONDS      it aborts
    freeze-after=SECONDS     it stops itself, as by SIGSTOP
    orphans=NUMBER           commands that outlive it, in groups of their own, and keep its port
    slow-dry-run=SECONDS     the dry-run takes that long
    noisy-dry-run=BYTES      the dry-run says that much
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NoReturn

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from fake_config import PROPERTIES, Config, ConfigError, load, property_errors
from fake_pipeline import InitError, Pipeline

VERSION = "5.1.1"
BANNER = f"""Fluent Bit v{VERSION}
* This is a test double, not Fluent Bit.

"""
_WITH_VALUE = {
    "-c": "config", "-f": "flush", "-P": "port", "-R": "parser", "-e": "plugin", "-w": "workdir", "-l": "log_file",
    "-i": "inputs", "-F": "filters", "-o": "outputs", "-p": "prop", "-t": "tag", "-m": "match",
}  # fmt: skip
_LONG = {
    "--config": "-c", "--flush": "-f", "--input": "-i", "--filter": "-F", "--output": "-o", "--prop": "-p",
    "--tag": "-t", "--match": "-m", "--dry-run": "-D", "--version": "-V", "--help-json": "-J", "--quiet": "-q",
    "--verbose": "-v", "--http": "-H", "--port": "-P", "--enable-hot-reload": "-Y", "--workdir": "-w",
    "--parser": "-R", "--plugin": "-e",
}  # fmt: skip
_LOOK = 0.02  # seconds between two looks at everything


def log(level: str, text: str) -> None:
    now = time.time()
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now))
    print(f"[{stamp}.{int(now % 1 * 1000):03d}] [{level:>5}] {text}", file=sys.stderr, flush=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Options:
    def __init__(self, argv: list[str]) -> None:
        self.config = ""
        self.flags: set[str] = set()
        self.pipeline: list[tuple[str, str, dict[str, str]]] = []
        rest = list(argv)
        while rest:
            name, _, value = rest.pop(0).partition("=") if rest[0].startswith("--") else (rest.pop(0), "", "")
            name = _LONG.get(name, name)
            if name not in _WITH_VALUE:
                if name not in ("-D", "-V", "-J", "-q", "-v", "-vv", "-H", "-Y", "-W"):
                    say(f"fluent-bit: unrecognized option '{name}'")
                    sys.exit(1)
                self.flags.add(name)
                continue
            value = value or (rest.pop(0) if rest else "")
            meaning = _WITH_VALUE[name]
            if meaning == "config":
                self.config = value
            elif meaning == "workdir":
                os.chdir(value)
            elif meaning in PROPERTIES:
                self.pipeline.append((meaning, value, {}))
            elif meaning in ("prop", "tag", "match") and self.pipeline:
                key, value = value.split("=", 1) if meaning == "prop" else (meaning, value)
                self.pipeline[-1][2][key] = value


def read(options: Options) -> Config | None:
    """The config, or None after its errors were told."""
    try:
        config = load(options.config, options.pipeline)
    except ConfigError as error:
        for line in error.args:
            log("error", line)
        return None
    if "-H" in options.flags:
        config.service.setdefault("http_server", "on")
    if "-Y" in options.flags:
        config.service.setdefault("hot_reload", "on")
    for line in config.warnings:
        log("warn", line)
    return config


def dry_run(config: Config) -> int:
    marked = config.markers
    time.sleep(marked.get("slow-dry-run", 0))
    noise = int(marked.get("noisy-dry-run", 0))
    for _ in range(noise // 65536):
        log("warn", "[env] variable ${" + "X" * 65500 + "} is used but not set")
    if any(output.plugin == "nats" for output in config.of("outputs")):
        say(f"[{time.strftime('%Y/%m/%d %H:%M:%S')}] [engine] caught signal (SIGSEGV)")
        os.abort()
    errors = property_errors(config)
    for line in errors:
        log("error", line)
    if not errors:
        say("configuration test is successful")
    return 1 if errors else 0


def schema() -> str:
    def shown(kind: str, name: str) -> dict[str, Any]:
        options = [
            {"name": key, "description": "", "default": None, "type": "string"} for key in PROPERTIES[kind][name]
        ]
        return {"type": kind[:-1], "name": name, "description": "", "properties": {"options": options}}

    head = {"fluent-bit": {"version": VERSION, "schema_version": "1", "os": "linux"}, "customs": [], "processors": []}
    return json.dumps(head | {kind: [shown(kind, name) for name in names] for kind, names in PROPERTIES.items()})


class Double:
    """The running process: signals, monitoring server, and one pipeline after another."""

    def __init__(self, options: Options, config: Config) -> None:
        self.options = options
        self.config = config
        self.pipeline: Pipeline | None = None
        self.reloads = 0
        self.new: Config | None = None  # while a reload waits for the old pipeline to end
        self.asked: list[int] = []
        self.deaf_until = 0.0  # after a declined reload
        self.doomed: tuple[float, str] | None = None  # when, and the last words
        self.stopping = 0.0  # when it began
        self.started = 0.0
        self.metrics_from = 0.0
        self.ends_at = 0.0
        self.asked_later: list[int] = []  # while a reload was under way
        self.listener: socket.socket | None = None
        self.born = time.monotonic()

    @property
    def tick(self) -> float:
        return self.config.markers.get("tick", 1.0)

    def next_tick(self) -> float:
        """The engine's clock ticks at whole seconds of the machine's clock, not of the process's."""
        return math.floor(time.monotonic() / self.tick) * self.tick + self.tick

    def run(self) -> NoReturn:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, lambda received, _: self.asked.append(received))
        signal.signal(signal.SIGCONT, lambda *_: say("Fluent Bit Dump"))
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        self.start()
        self.spawn_orphans()
        while True:
            self.wait(wake)
            self.faults()
            for number in self.asked[:]:
                self.asked.remove(number)
                self.signalled(number)
            self.step()

    def wait(self, wake: int) -> None:
        listener = [self.listener] if self.listener else []
        readable, _, _ = select.select([wake, *listener], [], [], _LOOK)
        if wake in readable:
            os.read(wake, 512)
        if self.listener in readable and self.listener is not None:
            connection, _ = self.listener.accept()
            with connection:
                connection.settimeout(1)
                try:
                    request = connection.recv(65536).decode(errors="replace").split(" ")
                    connection.sendall(self.answer(request[0], request[1]))
                except (OSError, IndexError):
                    pass

    def faults(self) -> None:
        age = time.monotonic() - self.born
        marked = self.config.markers
        if age > marked.get("crash-after", math.inf):
            os.abort()
        if age > marked.get("freeze-after", math.inf):
            os.kill(os.getpid(), signal.SIGSTOP)

    def spawn_orphans(self) -> None:
        for _ in range(int(self.config.markers.get("orphans", 0))):
            if os.fork() == 0:
                if os.fork() == 0:
                    os.setpgid(0, 0)
                    os.execvp("sleep", ["sleep", "60"])
                os._exit(0)
            os.wait()

    # --- signals ---

    def signalled(self, number: int) -> None:
        if self.new is not None and number != signal.SIGHUP:
            self.asked_later.append(number)  # its main thread is busy with the reload
            return
        name = signal.Signals(number).name
        say(f"[{time.strftime('%Y/%m/%d %H:%M:%S')}] [engine] caught signal ({name})")
        if number == signal.SIGHUP:
            self.hang_up()
        elif "ignore-term" not in self.config.markers and not self.doomed:
            self.stop()

    def stop(self) -> None:
        if not self.stopping:
            self.stopping = time.monotonic()
            log("warn", f"[engine] service will shutdown in max {self.config.number('grace', 5):g} seconds")
            self.pause()

    def pause(self) -> None:
        log("info", "[engine] pausing all inputs..")
        if self.pipeline:
            self.pipeline.paused = True
        self.ends_at = self.next_tick()

    def hang_up(self) -> None:
        if self.new is not None or time.monotonic() < self.deaf_until or self.stopping:
            log("error", "reloading in progress, aborting.")
            return
        self.deaf_until = time.monotonic() + self.tick / 3
        if not self.config.on("hot_reload"):
            log("warn", "[reload] hot reloading is not enabled")
            return
        log("info", f"reloading instance pid={os.getpid()} tid=0x7f0000000000")
        config = read(self.options)
        if config is None:
            return
        if errors := property_errors(config):
            for line in errors:
                log("error", line)
            log("error", "[reload] reloaded config is invalid. Reloading is halted")
            return
        self.deaf_until = 0.0
        self.new = config
        log("info", "[reload] stop everything of the old context")
        log("warn", "[engine] service will shutdown when all remaining tasks are flushed")
        self.pause()

    # --- the life of a pipeline ---

    def start(self, *, again: bool = False) -> None:
        log("info", f"[fluent bit] version={VERSION}, commit=, pid={os.getpid()}")
        time.sleep(0 if again else self.config.markers.get("slow-start", 0))
        last_words = "[reload] loaded configuration contains error(s). Reloading is aborted" if again else ""
        try:
            self.pipeline = Pipeline(self.config, self.tick, log)
            self.listen()
        except InitError as error:
            for line in error.args:
                log("error", line)
            self.pipeline = None
            self.doomed = (time.monotonic() + self.tick, last_words)
            return
        log("info", "[sp] stream processor started")
        grace = self.config.number("grace", 5)
        log("info", f"[engine] Shutdown Grace Period={grace:g}, Shutdown Input Grace Period={grace // 2:g}")
        self.started = time.monotonic()
        self.metrics_from = self.next_tick()

    def listen(self) -> None:
        if not self.config.on("http_server"):
            return
        host = str(self.config.service.get("http_listen", "0.0.0.0"))
        port = int(self.config.number("http_port", 2020))
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind((host, port))
        except OSError:
            self.listener = None
            raise InitError(
                f"[downstream] could not bind address {host}:{port}. Aborting", "[engine] could not start HTTP server"
            ) from None
        self.listener.listen(64)
        self.listener.set_inheritable(True)
        log("info", f"[http_server] listen iface={host} tcp_port={port}")

    def step(self) -> None:
        now = time.monotonic()
        if self.doomed:
            if now >= self.doomed[0]:
                if self.doomed[1]:
                    log("error", self.doomed[1])
                    say("reloading is aborted and exit")
                os._exit(255)
            return
        if self.pipeline is None or (self.new is not None and "hang-on-reload" in self.config.markers):
            return
        if "stuck-engine" not in self.config.markers and self.pipeline.step(now):
            self.stop()
        if self.stopping and now >= self.ends_at:
            waited = now - self.stopping >= self.config.number("grace", 5)
            if (waited or not self.pipeline.pending()) and not self.pipeline.hanging():
                log("info", f"[engine] service has stopped ({self.pipeline.pending()} pending tasks)")
                os._exit(0)
        elif self.new is not None and now >= self.ends_at and not self.pipeline.pending():
            self.swap(self.new)

    def swap(self, config: Config) -> None:
        log("info", "[engine] service has stopped (0 pending tasks)")
        if self.listener:
            self.listener.close()
            self.listener = None
        assert self.pipeline is not None
        self.pipeline.close()
        log("info", "[reload] start everything")
        self.config, self.new = config, None
        self.start(again=True)
        if not self.doomed:
            self.reloads += 1
            log("info", "[reload] successful reload done.")
            self.asked += self.asked_later

    # --- the monitoring server ---

    def answer(self, method: str, path: str) -> bytes:
        status, body = self.resource(method, path.partition("?")[0])
        phrase = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}[status]
        head = f"HTTP/1.1 {status} {phrase}\r\nContent-Length: {len(body.encode())}\r\nConnection: close\r\n\r\n"
        return (head + body).encode()

    def resource(self, method: str, path: str) -> tuple[int, str]:
        uptime = int(time.monotonic() - self.started)
        has_metrics = time.monotonic() >= self.metrics_from and "stuck-engine" not in self.config.markers
        match path.rstrip("/"), method:
            case "", "GET":
                return 200, json.dumps({"fluent-bit": {"version": VERSION, "edition": "Community", "flags": []}})
            case "/api/v1/uptime", "GET":
                words = f"Fluent Bit has been running:  0 day, 0 hour, {uptime // 60} minute and {uptime % 60} seconds"
                return 200, json.dumps({"uptime_sec": uptime, "uptime_hr": words})
            case "/api/v2/reload", "GET":
                return 200, json.dumps({"hot_reload_count": self.reloads}, separators=(",", ":"))
            case "/api/v2/reload", "POST" | "PUT":
                return self.reload_request()
            case "/api/v2/reload", _:
                return 405, ""
            case "/api/v1/health", "GET" if self.config.on("health_check"):
                return 200, "ok\n"
            case "/api/v2/metrics/prometheus", "GET" if has_metrics and self.pipeline:
                return 200, self.pipeline.metrics()
            case _:
                return 404, ""

    def reload_request(self) -> tuple[int, str]:
        if not self.config.on("hot_reload"):
            return 200, '{"reload":"not enabled","status":-1}'
        if self.new is not None:
            return 400, '{"reload":"in progress","status":-2}'
        os.kill(os.getpid(), signal.SIGHUP)
        return 200, '{"reload":"done","status":0}'


def main() -> int:
    options = Options(sys.argv[1:])
    if "-V" in options.flags:
        print(f"Fluent Bit v{VERSION}\nGit commit: ")
        return 0
    if "-J" in options.flags:
        print(schema())
        return 0
    if "-q" not in options.flags:
        say(BANNER)
    config = read(options)
    if config is None:
        return 1
    if config.on("daemon"):
        log("info", f"switching to background mode (PID={os.getpid()})")
        return 0
    if "-D" in options.flags:
        return dry_run(config)
    return Double(options, config).run()


if __name__ == "__main__":
    sys.exit(main())
