"""What is a house with tenants, from outside: a platform, teams that log and write snippets, and back-ends of all?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from e2e.ledger import TAKES, Account, Flow, Log, Record, Sink, save
from running import Running

QUICK = {"--apply-deadline": "3s", "--fluent-bit-grace": "1s", "--sources-resync": "2s"}
NAMESPACES = ("a", "ab", "ba", "evil", "shop", "")  # of the platform's records; "" stands for none


class World:
    """A platform, its tenants, and what they log. To be used in a `with`."""

    def __init__(self, home: Path, real: str, tenants: Sequence[str]) -> None:
        self.home, self.real = home, real
        self.grants: dict[str, dict[str, Any]] = {tenant: {} for tenant in tenants}
        self.platform, self.tenants, self.secrets = home / "platform.d", home / "tenants.d", home / "secrets"
        self.logs, self.settings = home / "logs", home / "settings.yaml"
        for directory in (self.platform, self.tenants, self.secrets, self.logs, self.secrets / "platform"):
            directory.mkdir(parents=True)
        for tenant in tenants:
            for place in (self.tenants, self.secrets, self.logs):
                (place / tenant).mkdir()
        self.running: Running | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def sink(self, kind: str = "http", mode: str = TAKES) -> Sink:
        return self._stack.enter_context(Sink(kind, mode))

    def flow(self, *logs: Log, each: int = 10) -> Flow:
        return Flow(logs, each=each)

    def start(self, *, env: Mapping[str, str] | None = None, **settings: str) -> Running:
        """With the grants as they are now."""
        layers = [
            {"name": "platform", "directory": str(self.platform), "trust": "platform"},
            {"name": "tenants", "directory": str(self.tenants), "trust": "tenant"},
        ]
        text = {"layers": layers, "secrets": {"directory": str(self.secrets)}, "tenants": self.grants}
        self.settings.write_text(json.dumps(text))  # JSON is YAML, too
        named = {f"--{name.replace('_', '-')}": value for name, value in settings.items()}
        arguments = ("--settings", str(self.settings))
        running = Running(self.home, self.real, *arguments, settings={**QUICK, **named}, env=env, layer=False)
        self.running = self._stack.enter_context(running)
        return self.running

    # --- what teams do ----------------------------------------------------------------------------------------

    def puts(self, tenant: str, name: str, text: str | bytes) -> None:
        save(self.tenants / tenant / name, text)

    def removes(self, tenant: str, name: str) -> None:
        (self.tenants / tenant / name).unlink()

    def secret(self, tenant: str, key: str, value: str) -> None:
        save(self.secrets / tenant / key, value)

    def until_live(self, *names: str, limit: float = 30.0) -> dict[str, Any]:
        """Until the newest of these is what runs, proven."""
        assert self.running is not None

        def live(status: dict[str, Any]) -> bool:
            states = {one["name"]: one["state"] for one in status["snippets"]}
            return all(states.get(name) == "live" for name in names) and status["phase"] == "steady"

        return self.running.until(live, limit)

    def until_settled(self, limit: float = 30.0) -> dict[str, Any]:
        """Until what lies there now was looked at, and runs or is refused."""
        assert self.running is not None
        return self.running.until(lambda s: s["intake"] == "settled" and s["phase"] == "steady", limit)


def states(status: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in status["snippets"]}


def errors(status: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Who was told which rule, at which line."""
    return [(f["snippet"], f["rule"], f["line"]) for f in status["findings"] if f["severity"] == "error"]


def allow(*sinks: Sink) -> dict[str, Any]:
    return {"allow": [f"127.0.0.1:{sink.port}" for sink in sinks]}


# --- the platform -----------------------------------------------------------------------------------------------------


def platform_log(world: World) -> Log:
    """Records of several namespaces, one without any."""

    def line(number: int, text: str) -> str:
        return json.dumps(platform_record(number, text))

    return Log("platform", world.logs / "kube.log", line)


def platform_record(number: int, text: str) -> dict[str, Any]:
    namespace = NAMESPACES[number % len(NAMESPACES)]
    where = {"kubernetes": {"namespace_name": namespace}} if namespace else {}
    return {"owner": "platform", "n": number, "text": text, **where}


def platform_config(world: World, sink: Sink, match: str = "match: '*'") -> str:
    """An output for everything, and the parser `app` as the platform understands it."""
    return f"""\
service:
  flush: 0.2
parsers:
  - name: app
    format: json
pipeline:
  inputs:
    - name: tail
      tag: kube.app
      path: {world.logs}/kube.log
      db: {world.home}/kube.db
      read_from_head: on
      refresh_interval: 1
      parser: app
      storage.type: filesystem
    - name: dummy
      tag: kube.beat
      dummy: '{{"owner":"platform","beat":true,"kubernetes":{{"namespace_name":"evil"}}}}'
      rate: 5
  outputs:
    - name: http
      {match}
      host: 127.0.0.1
      port: {sink.port}
      format: json
      json_date_key: false
      retry_limit: no_limits
"""


def is_beat(record: Record) -> bool:
    return record.get("beat") is True and record.get("owner") == "platform"


def platform_account(log: Log, sink: Sink) -> Account:
    def expected() -> dict[int, Record]:
        return {number: platform_record(number, log.text(number)) for number in range(log.written)}

    return Account(sink, expected, is_beat)


# --- honest tenants ---------------------------------------------------------------------------------------------------


def shop_log(world: World) -> Log:
    return Log("shop", world.logs / "shop/app.log", lambda number, text: f"shop {number} {text}")


def shop_config(world: World, sink: Sink, more: str = "") -> str:
    """`app` is a regular expression here; the back-end wants a password."""
    return f"""\
parsers:
  - name: app
    format: regex
    regex: '^(?<owner>[^ ]+) (?<n>[0-9]+) (?<text>.*)$'
    types: n:integer
pipeline:
  inputs:
    - name: tail
      tag: app
      path: {world.logs}/shop/*.log
      read_from_head: on
      refresh_interval: 1
      parser: app
  filters:
    - name: record_modifier
      match: '*'
      record: team shop
{more}  outputs:
    - name: http
      match: app
      host: 127.0.0.1
      port: {sink.port}
      format: json
      json_date_key: false
      http_user: shop
      http_passwd: ${{PASSWORD}}
"""


def shop_account(log: Log, sink: Sink) -> Account:
    def expected() -> dict[int, Record]:
        return {n: {"owner": "shop", "n": n, "text": log.text(n), "team": "shop"} for n in range(log.written)}

    return Account(sink, expected)


def bank_log(world: World) -> Log:
    return Log("bank", world.logs / "bank/app.log", lambda number, text: f"{text}|{number}")


def bank_config(world: World, sink: Sink) -> str:
    """Classic, with another `app`, and over plain TCP."""
    return f"""\
[PARSER]
    name   app
    format regex
    regex  ^(?<text>.*)\\|(?<n>[0-9]+)$
    types  n:integer
[INPUT]
    name             tail
    tag              app
    path             {world.logs}/bank/*.log
    read_from_head   on
    refresh_interval 1
    parser           app
[FILTER]
    name  modify
    match *
    set   owner bank
[OUTPUT]
    name          tcp
    match         *
    host          127.0.0.1
    port          {sink.port}
    format        json_lines
    json_date_key false
"""


def bank_account(log: Log, sink: Sink) -> Account:
    def expected() -> dict[int, Record]:
        return {n: {"owner": "bank", "n": n, "text": log.text(n)} for n in range(log.written)}

    return Account(sink, expected)


def subscriber_config(sink: Sink, who: str = "bank", match: str = "kube.*") -> str:
    """A copy of the platform's records, with a mark of its own."""
    return f"""\
pipeline:
  filters:
    - name: record_modifier
      match: '{match}'
      record: seen_by {who}
  outputs:
    - name: http
      match: '{match}'
      host: 127.0.0.1
      port: {sink.port}
      format: json
      json_date_key: false
"""


def subscriber_account(log: Log, sink: Sink, namespaces: Sequence[str], who: str = "bank") -> Account:
    def expected() -> dict[int, Record]:
        return {
            number: {**platform_record(number, log.text(number)), "seen_by": who}
            for number in range(log.written)
            if NAMESPACES[number % len(NAMESPACES)] in namespaces
        }

    def besides(record: Record) -> bool:
        return is_beat(record) and "evil" in namespaces and record.get("seen_by") == who

    return Account(sink, expected, besides)


# --- any tenant -------------------------------------------------------------------------------------------------------


def own_log(world: World, tenant: str) -> Log:
    return Log(tenant, world.logs / f"{tenant}/app.log", lambda n, text: json.dumps(own_record(tenant, n, text)))


def own_record(tenant: str, number: int, text: str) -> dict[str, Any]:
    return {"owner": tenant, "n": number, "text": text}


def own_config(world: World, tenant: str, sink: Sink, output: str = "") -> str:
    """JSON lines to a back-end; `output`: a further property."""
    return f"""\
parsers:
  - {{name: app, format: json}}
pipeline:
  inputs:
    - name: tail
      tag: app
      path: {world.logs}/{tenant}/*.log
      read_from_head: on
      refresh_interval: 1
      parser: app
  outputs:
    - name: http
      match: '*'
      host: 127.0.0.1
      port: {sink.port}
      format: json
      json_date_key: false
      {output}
"""


def own_account(log: Log, sink: Sink) -> Account:
    def expected() -> dict[int, Record]:
        return {number: own_record(log.owner, number, log.text(number)) for number in range(log.written)}

    return Account(sink, expected)


# --- bases ------------------------------------------------------------------------------------------------------------

LONE_PAIR = """\
service:
  flush: 0.2
parsers:
  - {{name: app, format: json}}
pipeline:
  inputs:
    - name: tail
      tag: kube.app
      path: {logs}/kube.log
      db: {home}/kube.db
      read_from_head: on
      refresh_interval: 1
      parser: app
  outputs:
    - name: http
      host: 127.0.0.1
      port: {port}
      format: json
      json_date_key: false
"""
"""One input and one output without a match: then all goes there, unasked."""


def classic_base(world: World, sink: Sink, match: str) -> str:
    """The same as `platform_config`, without the beat, in the other format; with a file of parsers beside it."""
    (world.home / "parsers.conf").write_text("[PARSER]\n    name   app\n    format json\n")
    key, _, value = match.partition(": ")
    return f"""\
[SERVICE]
    flush        0.2
    parsers_file parsers.conf
[INPUT]
    Name             tail
    Tag              kube.app
    Path             {world.logs}/kube.log
    DB               {world.home}/kube.db
    Read_From_Head   on
    Refresh_Interval 1
    Parser           app
    Storage.Type     filesystem
[OUTPUT]
    Name          http
    {key}         {value.strip("'")}
    Host          127.0.0.1
    Port          {sink.port}
    Format        json
    Json_Date_Key false
"""
