"""What flows through the test double: inputs make records, filters change them, outputs deliver, retry or drop them."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from fake_config import Config, Instance, broken_regex, property_errors

Record = dict[str, Any]
Log = Callable[[str, str], None]

_COUNTERS = ("proc_records", "errors", "retries", "retries_failed", "dropped_records")
_FIRST_RETRY = 6  # ticks; between 5 and 10 in the real one


class InitError(Exception):
    """Carries the error lines. The real one ends with 255 a second later."""


class Task:
    """One chunk on its way to one output."""

    def __init__(self, output: Instance, tag: str, records: list[Record], due: float) -> None:
        self.output = output
        self.tag = tag
        self.records = records
        self.due = due
        self.attempts = 0
        self.result: list[str] = []  # filled by the thread of a network delivery
        self.running = False


class Pipeline:
    def __init__(self, config: Config, tick: float, log: Log) -> None:
        self.config = config
        self.tick = tick
        self.log = log
        self.paused = False
        self.born = time.monotonic()
        self.last_flush = self.born
        self.chunks: dict[tuple[str, str], list[Record]] = {}
        self.tasks: list[Task] = []
        self.taken: dict[str, int] = {each.name: 0 for each in config.of("inputs")}
        self.counters = {each.name: dict.fromkeys(_COUNTERS, 0) for each in config.of("outputs")}
        self.made: dict[int, int] = {}
        self.offsets: dict[str, int] = {}
        self.sockets: dict[int, socket.socket] = {}
        self.connections: list[tuple[Instance, socket.socket, bytearray]] = []
        self.flushes = 0
        self.flushed_records = 0
        try:
            self.initialize()
        except InitError:
            self.close()
            raise

    # --- start ---

    def initialize(self) -> None:
        if errors := property_errors(self.config):
            raise InitError(errors[0], "[engine] input initialization failed")
        storage = str(self.config.service.get("storage.path", ""))
        if storage:
            try:
                os.makedirs(storage, exist_ok=True)
            except OSError:
                raise InitError(
                    f"[storage] [chunkio] cannot initialize root path {storage}", "[engine] storage creation failed"
                ) from None
        for each in self.config.of("inputs"):
            self.log("info", f"[input:{each.plugin}:{each.name}] initializing")
            self.initialize_input(each)
        for each in self.config.of("filters"):
            for rule in (*each.all("regex"), *each.all("exclude")):
                pattern = rule.partition(" ")[2]
                if each.plugin == "grep" and broken_regex(pattern):
                    raise InitError(
                        f"[filter:grep:{each.name}] could not compile regex pattern '{pattern}'",
                        f"Failed initialize filter {each.name}",
                        "[engine] filter initialization failed",
                    )
        for each in self.config.of("outputs"):
            ca_file = each.get("tls.ca_file")
            if ca_file and each.get("tls") == "on" and not os.path.exists(ca_file):
                raise InitError(
                    f"[tls] ca_file '{ca_file}' 268435584: error:80000002:system library::No such file or directory",
                    f"[output] failed to initialize '{each.plugin}' plugin",
                    "[engine] output initialization failed",
                )
            if not self.matches(each, None):
                self.log("warn", f"[router] NO match for {each.name} output instance")

    def initialize_input(self, each: Instance) -> None:
        if each.plugin == "tcp":
            host, port = each.get("listen", "0.0.0.0"), int(each.get("port", "5170"))
            self.sockets[id(each)] = listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                raise InitError(
                    f"[downstream] could not bind address {host}:{port}. Aborting",
                    f"[input:tcp:{each.name}] could not initialize downstream on {host}:{port}. Aborting",
                    f"failed initialize input {each.name}",
                    "[engine] input initialization failed",
                ) from None
            listener.listen()
            listener.setblocking(False)
        if each.plugin == "tail":
            parser = each.get("parser")
            if parser and parser not in self.config.parsers:
                self.log("error", f"[input:tail:{each.name}] parser '{parser}' is not registered")
            if not each.get("path"):
                raise InitError(f"failed initialize input {each.name}", "[engine] input initialization failed")
            if each.get("db"):
                self.open_offsets(each)
            if each.get("read_from_head").lower() not in ("on", "true", "yes"):
                for path in glob.glob(each.get("path")):
                    self.offsets.setdefault(path, os.path.getsize(path))

    def open_offsets(self, each: Instance) -> None:
        try:
            with open(each.get("db"), "a+", encoding="utf-8") as file:
                file.seek(0)
                self.offsets.update(json.loads(file.read() or "{}"))
        except OSError:
            raise InitError(
                f"[sqldb] cannot open database {each.get('db')}",
                f"[input:tail:{each.name}] could not open/create database",
                f"failed initialize input {each.name}",
                "[engine] input initialization failed",
            ) from None

    def close(self) -> None:
        for each in (*self.sockets.values(), *(connection for _, connection, _ in self.connections)):
            each.close()

    # --- one look at everything ---

    def step(self, now: float) -> bool:
        """True when an output of the kind `exit` says that it is enough."""
        if not self.paused:
            for each in self.config.of("inputs"):
                self.take_in(each, now)
        if now - self.last_flush >= self.config.number("flush", 1) or self.paused:
            self.last_flush = now
            self.dispatch(now)
        for task in [task for task in self.tasks if task.running or now >= task.due]:
            self.attempt(task, now)
        return any(self.is_enough(each, now) for each in self.config.of("outputs") if each.plugin == "exit")

    def is_enough(self, each: Instance, now: float) -> bool:
        reached = {
            "flush_count": self.flushes,
            "record_count": self.flushed_records,
            "time_count": now - self.born if self.flushes else 0,
        }
        return any(0 < float(each.get(key, "-1")) <= value for key, value in reached.items())

    def take_in(self, each: Instance, now: float) -> None:
        records: list[Record] = []
        if each.plugin == "dummy":
            period = float(each.get("interval_sec", "0")) or 1 / float(each.get("rate", "1"))
            wanted = min(int((now - self.born) / period), int(each.get("samples", "0")) or sys.maxsize)
            body = json.loads(each.get("dummy", '{"message":"dummy"}'))
            records = [dict(body) for _ in range(wanted - self.made.get(id(each), 0))]
            self.made[id(each)] = max(wanted, self.made.get(id(each), 0))
        elif each.plugin == "tail":
            records = [{"log": line} for path in sorted(glob.glob(each.get("path"))) for line in self.new_lines(path)]
            if records and each.get("db"):
                with open(each.get("db"), "w", encoding="utf-8") as file:
                    json.dump(self.offsets, file)
        elif each.plugin == "tcp":
            records = self.received(each)
        tag = each.get("tag") or each.name
        self.taken[each.name] += len(records)
        kept = [record for record in (self.filtered(tag, record) for record in records) if record is not None]
        if kept:
            self.chunks.setdefault((each.name, tag), []).extend(kept)

    def new_lines(self, path: str) -> list[str]:
        start = self.offsets.get(path, 0)
        with contextlib.suppress(OSError), open(path, "rb") as file:
            file.seek(start if os.path.getsize(path) >= start else 0)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self.offsets[path] = file.tell() - len(data) + len(whole)
            return whole.decode(errors="replace").splitlines()
        return []

    def received(self, each: Instance) -> list[Record]:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self.sockets[id(each)].accept()
            connection.setblocking(False)
            self.connections.append((each, connection, bytearray()))
        records = []
        for owner, connection, buffer in self.connections:
            if owner is each:
                with contextlib.suppress(OSError):
                    buffer += connection.recv(65536)
                *lines, rest = bytes(buffer).split(b"\n")
                buffer[:] = rest
                for line in lines:
                    with contextlib.suppress(ValueError):
                        records.append(json.loads(line))
        return records

    def filtered(self, tag: str, record: Record) -> Record | None:
        for each in self.config.of("filters"):
            if not self.matches(each, tag):
                continue
            if each.plugin == "grep":
                if any(not found(rule, record) for rule in each.all("regex")):
                    return None
                if any(found(rule, record) for rule in each.all("exclude")):
                    return None
            for key in ("add", "set", "record"):
                for rule in each.all(key):
                    name, _, value = rule.partition(" ")
                    record = record if key == "add" and name in record else {**record, name: value}
        return record

    def matches(self, each: Instance, tag: str | None) -> bool:
        """Whether it takes that tag; with None, whether it could take any."""
        if each.get("match_regex"):
            return tag is None or re.search(each.get("match_regex"), tag) is not None
        pattern = each.get("match")
        if not pattern and len(self.config.of("inputs")) == len(self.config.of("outputs")) == 1:
            pattern = "*"
        if tag is None:
            return bool(pattern)
        return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None

    # --- delivery ---

    def dispatch(self, now: float) -> None:
        for (_, tag), records in self.chunks.items():
            for output in self.config.of("outputs"):
                if self.matches(output, tag):
                    self.tasks.append(Task(output, tag, records, due=now))
        self.chunks = {}

    def pending(self) -> int:
        return len(self.tasks)

    def hanging(self) -> bool:
        return any(task.running for task in self.tasks)

    def attempt(self, task: Task, now: float) -> None:
        if task.output.plugin in ("http", "nats"):
            if not task.running:
                task.running, task.result = True, []
                threading.Thread(target=post, args=(task,), daemon=True).start()
                return
            if not task.result:
                return
            task.running = False
            result = task.result[0]
        else:
            result = self.deliver(task)
        self.settle(task, result, now)

    def settle(self, task: Task, result: str, now: float) -> None:
        counters = self.counters[task.output.name]
        limit = {"no_retries": 0, "no_limits": sys.maxsize, "false": sys.maxsize, "off": sys.maxsize}
        wanted = task.output.get("retry_limit", "1").lower()
        retries = limit.get(wanted, int(wanted) if wanted.isdigit() else 1)
        if result == "ok":
            counters["proc_records"] += len(task.records)
        elif result == "error":
            counters["errors"] += 1
            counters["dropped_records"] += len(task.records)
        elif task.attempts < retries:
            task.attempts += 1
            counters["retries"] += 1
            # While it stops or reloads, every retry comes after one tick.
            task.due = now + self.tick * (1 if self.paused else _FIRST_RETRY)
            self.log("warn", f"[engine] failed to flush chunk, retry: output={task.output.name}")
            return
        else:
            counters["retries_failed"] += 1 if retries else 0
            counters["dropped_records"] += len(task.records)
            self.log("error", f"[engine] chunk cannot be retried: output={task.output.name}")
        self.tasks.remove(task)

    def deliver(self, task: Task) -> str:
        output, stamp = task.output, time.time()
        if output.plugin == "exit":
            self.flushes += 1
            self.flushed_records += len(task.records)
        elif output.plugin == "stdout":
            for number, record in enumerate(task.records):
                if output.get("format").startswith("json"):
                    print(json.dumps({"date": stamp, **record}, separators=(",", ":")), flush=True)
                else:
                    inner = ", ".join(f'"{key}"=>{json.dumps(value)}' for key, value in record.items())
                    print(f"[{number}] {task.tag}: [[{stamp:.9f}, {{}}], {{{inner}}}]", flush=True)
        elif output.plugin == "file":
            path = os.path.join(output.get("path"), output.get("file") or task.tag)
            try:
                if output.get("mkdir").lower() in ("on", "true", "yes"):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "a", encoding="utf-8") as file:
                    for record in task.records:
                        body = json.dumps(record, separators=(",", ":"))
                        plain = output.get("format") == "plain"
                        file.write(f"{body}\n" if plain else f"{task.tag}: [{stamp:.9f}, {body}]\n")
            except OSError:
                self.log("error", f"[output:file:{output.name}] error opening: {path}")
                return "error"
        return "ok"

    # --- metrics ---

    def metrics(self) -> str:
        lines = [
            "# TYPE fluentbit_uptime counter",
            f'fluentbit_uptime{{hostname="double"}} {int(time.monotonic() - self.born)}',
        ]
        families = [("input_records", self.taken, "Number of input records.")]
        for counter in _COUNTERS:
            values = {name: counters[counter] for name, counters in self.counters.items()}
            families.append((f"output_{counter}", values, "Number of output events."))
        for family, values, words in families:
            lines.append(f"# HELP fluentbit_{family}_total {words}")
            lines.append(f"# TYPE fluentbit_{family}_total counter")
            for name, value in values.items():
                escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                lines.append(f'fluentbit_{family}_total{{name="{escaped}"}} {value}')
        return "\n".join(lines) + "\n"


def found(rule: str, record: Record) -> bool:
    name, _, pattern = rule.partition(" ")
    return re.search(pattern, str(record.get(name.removeprefix("$"), ""))) is not None


def post(task: Task) -> None:
    """Ship a chunk over HTTP; an endpoint that never answers holds it for a minute, as in the real one."""
    host, port = task.output.get("host", "127.0.0.1"), int(task.output.get("port", "80"))
    body = json.dumps([{"date": time.time(), **record} for record in task.records]).encode()
    limit = float(task.output.get("http.response_timeout", "60s").rstrip("s"))
    try:
        with socket.create_connection((host, port), timeout=limit) as connection:
            head = (
                f"POST {task.output.get('uri', '/')} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            status = connection.recv(64).split(b" ")[1:2]
        task.result.append("ok" if status and status[0].startswith(b"2") else "retry")
    except OSError:
        task.result.append("retry")
