"""What does a Fluent Bit config in YAML say? As much of it as the test double needs; quick to import.

Errors are told in the words that 5.1.1 uses for them.
"""

from __future__ import annotations

import glob
import os
import re
from typing import Any

from fake_yaml import Malformed, parse

_INPUT = "tag log_level routable alias mem_buf_limit storage.type storage.pause_on_chunks_overlimit threaded"
_FILTER = "match match_regex alias log_level"
_OUTPUT = "match match_regex alias log_level retry_limit"
_NETWORK = (
    "host port tls tls.verify tls.ca_file tls.ca_path tls.crt_file tls.key_file tls.key_passwd tls.vhost net.keepalive "
    "net.connect_timeout net.io_timeout net.max_worker_connections"
)
_NOT_IN_HELP = "workers storage.total_limit_size processors routes"  # accepted, though `-J` does not list them
_PLUGINS = {
    "inputs": {
        "dummy": f"{_INPUT} dummy metadata rate interval_sec interval_nsec copies samples flush_on_startup",
        "tail": f"{_INPUT} path exclude_path path_key offset_key read_from_head refresh_interval db db.sync db.locking "
        "db.journal_mode parser rotate_wait skip_long_lines skip_empty_lines buffer_chunk_size buffer_max_size "
        "inotify_watcher key",
        "tcp": f"{_INPUT} listen host port format separator chunk_size buffer_size",
    },
    "filters": {
        "grep": f"{_FILTER} regex exclude logical_op",
        "modify": f"{_FILTER} set add remove rename copy condition",
        "record_modifier": f"{_FILTER} record remove_key allowlist_key uuid_key",
    },
    "outputs": {
        "null": f"{_OUTPUT} format json_date_format json_date_key",
        "stdout": f"{_OUTPUT} format json_date_format json_date_key",
        "file": f"{_OUTPUT} path file format mkdir delimiter template",
        "exit": f"{_OUTPUT} flush_count record_count time_count",
        "http": f"{_OUTPUT} {_NETWORK} uri format header http_user http_passwd compress json_date_format json_date_key "
        "http.response_timeout allow_duplicated_headers header_tag log_response_payload",
        "nats": f"{_OUTPUT} host port",
    },
}
PROPERTIES = {
    kind: {name: tuple(words.split()) for name, words in plugins.items()} for kind, plugins in _PLUGINS.items()
}
_KINDS = {"inputs": "input", "filters": "filter", "outputs": "output"}


class ConfigError(Exception):
    """Carries the error lines, without time stamp and level."""


class Instance:
    def __init__(self, kind: str, plugin: str, number: int, properties: dict[str, Any]) -> None:
        self.kind = kind  # inputs, filters, outputs
        self.plugin = plugin
        self.number = number  # among those of its kind, whatever their plugin (5.1.1)
        self.properties = properties

    @property
    def name(self) -> str:
        return str(self.properties.get("alias") or f"{self.plugin}.{self.number}")

    def get(self, key: str, default: str = "") -> str:
        value = self.properties.get(key, default)
        return str(value[-1] if isinstance(value, list) else value)

    def all(self, key: str) -> list[str]:
        value = self.properties.get(key, [])
        return [str(item) for item in (value if isinstance(value, list) else [value])]


class Config:
    def __init__(self) -> None:
        self.service: dict[str, Any] = {}
        self.instances: list[Instance] = []
        self.parsers: list[str] = []
        self.env: dict[str, str] = {}
        self.warnings: list[str] = []

    def of(self, kind: str) -> list[Instance]:
        return [instance for instance in self.instances if instance.kind == kind]

    def on(self, key: str, default: str = "off") -> bool:
        return str(self.service.get(key, default)).lower() in ("on", "true", "yes")

    def number(self, key: str, default: float) -> float:
        try:
            return float(self.service.get(key, default))
        except ValueError:
            return default

    @property
    def markers(self) -> dict[str, float]:
        """`double.NAME` or `double.NAME=NUMBER` in any alias."""
        aliases = " ".join(str(instance.properties.get("alias", "")) for instance in self.instances)
        return {name: float(value or 1) for name, value in re.findall(r"double\.([a-z-]+)(?:=([\d.]*\d))?", aliases)}


def load(path: str, command_line: list[tuple[str, str, dict[str, str]]]) -> Config:
    """Read the main file, what it includes, and the pipeline on the command line. Raises `ConfigError`."""
    config = Config()
    if path:
        if not os.path.exists(path):
            raise ConfigError("could not open configuration file, aborting.")
        try:
            _read_file(path, config, set())
        except ConfigError as error:
            raise ConfigError(*error.args, "configuration file contains errors, aborting.") from None
    for kind, plugin, properties in command_line:
        _add(config, kind, {"name": plugin, **properties})
    return config


def property_errors(config: Config) -> list[str]:
    """What a dry-run and a reload check after loading; a start finds it too, a second before it ends."""
    for instance in config.instances:
        allowed = PROPERTIES[instance.kind][instance.plugin]
        for key in instance.properties:
            if key not in allowed and key not in _NOT_IN_HELP.split():
                return [
                    f"[config] {instance.plugin}: unknown configuration property '{key}'. The following properties are "
                    f"allowed: {', '.join(allowed[:-1])}, and {allowed[-1]}.",
                    f"[reload] check properties for {_KINDS[instance.kind]} plugins is failed",
                ]
        if instance.kind == "filters" and not (instance.get("match") or instance.get("match_regex")):
            return [
                f"[filter] NO match rule for {instance.plugin}.{instance.number} filter instance, halting to reload.",
                "[reload] check properties and additonal vaildations for filter plugins is failed",
            ]
    return []


def _read_file(path: str, config: Config, seen: set[str]) -> None:
    seen.add(path)
    with open(path, encoding="utf-8", errors="replace") as file:  # a FIFO makes this wait, as it does the real one
        text = file.read()
    try:
        tree = parse(text)
    except Malformed as error:
        raise ConfigError(
            f"[config] invalid YAML in file {path} at line {error.line}, column 1: {error.message}", "yaml error"
        ) from None
    for key, value, line in tree:
        _section(path, key, value, line, config, seen, text)


def _section(path: str, key: str, value: Any, line: int, config: Config, seen: set[str], text: str) -> None:
    def fail(message: str) -> ConfigError:
        name = os.path.basename(path)
        return ConfigError(
            f'[config] YAML error found in file "{name}", line {line}, column 0: {message}', "yaml error"
        )

    match key, value:
        case "service", dict():
            if config.service:
                raise fail("duplicated definition of 'service'")
            config.service = {name.lower(): _expand(config, item) for name, item in value.items()}
            config.service.setdefault("flush", "1")
            _check_service(config)
        case "env", dict():
            for name, item in value.items():
                _set(config, name, item)
        case "env", list():
            for item in value:
                _set(config, item["name"], item.get("uri") or item.get("value", ""))
        case "includes", list():
            for number, pattern in enumerate(value):
                _include(path, pattern, number, config, seen, text)
        case "parsers", list():
            for parser in value:
                _add_parser(config, parser)
        case "pipeline", dict():
            for kind, entries in value.items():
                if kind not in (*PROPERTIES, "customs"):
                    raise fail(
                        f"the pipeline component '{kind}' is not valid. Try one of these values: customs, inputs, "
                        "filters or outputs."
                    )
                for entry in entries:
                    _add(config, kind, entry)
        case "service" | "env" | "includes" | "pipeline" | "parsers", _:
            raise fail(f"unexpected value of '{key}'")
        case _, list():
            error = fail("unexpected event 'sequence-start-event' (7) in state 'other' (9).")
            raise ConfigError("env list is only allowed in env section", *error.args)
        case _:
            pass  # an unknown section with anything else in it is ignored in silence


def _include(path: str, pattern: str, number: int, config: Config, seen: set[str], text: str) -> None:
    full = os.path.join(os.path.dirname(path), pattern)
    names = glob.glob(full) if "*" in full else [full]
    if not names:
        config.warnings.append(f"[read_glob] glob: [{full}] no match")
    rows = [n for n, row in enumerate(text.splitlines(), 1) if row.strip().startswith("- ")]
    where = f"[config] including file '{pattern}' at {path}:{rows[number] if number < len(rows) else 1}"
    for name in names:
        if not os.path.exists(name):
            message = "[/src/config_format/flb_cf_yaml.c:3195 errno=2] No such file or directory"
            raise ConfigError(message, where, "yaml error")
        try:
            if name not in seen:
                _read_file(name, config, seen)
        except ConfigError as error:
            if error.args[-1] != "yaml error":
                raise  # found after reading, when nobody knows any more which file it came from
            raise ConfigError(*error.args[:-1], where, "yaml error") from None


def _check_service(config: Config) -> None:
    flush = str(config.service["flush"])
    if not re.fullmatch(r"\d+(\.\d+)?", flush) or float(flush) == 0:
        raise ConfigError("invalid flush value, aborting.")


def _set(config: Config, name: str, value: Any) -> None:
    text = str(value)
    if text.startswith("file://"):
        try:
            with open(text.removeprefix("file://"), encoding="utf-8") as file:
                text = file.read()
        except OSError:
            raise ConfigError(
                f"[env] file {text.removeprefix('file://')} not found",
                f"could not set config environment variable '{name}'",
            ) from None
        if not text:
            raise ConfigError(f"could not set config environment variable '{name}'")
        text = text[:-1] if text[-1] in "\r\n" else text
    config.env[name] = text


def _expand(config: Config, value: Any) -> Any:
    if isinstance(value, list):
        return [_expand(config, item) for item in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        name, dash, default = match[1].partition(":-")
        if name not in config.env and name not in os.environ and not dash:
            config.warnings.append(f"[env] variable ${{{name}}} is used but not set")
        return config.env.get(name, os.environ.get(name, default))

    return re.sub(r"\$\{([^}]+)\}", put, value)


def _add_parser(config: Config, parser: dict[str, Any]) -> None:
    name = str(parser.get("name", ""))
    if name in config.parsers:
        raise ConfigError(f"[parser] parser named '{name}' already exists, skip.")
    if parser.get("format") == "regex":
        pattern = str(parser.get("regex", ""))
        if broken_regex(pattern):
            raise ConfigError(f"[parser:{name}] Invalid regex pattern {pattern}")
    config.parsers.append(name)


def _add(config: Config, kind: str, entry: dict[str, Any]) -> None:
    properties = {key.lower(): _expand(config, value) for key, value in entry.items()}
    plugin = str(properties.pop("name", ""))
    if not plugin:
        raise ConfigError(f"[config] section '{_KINDS[kind]}' is missing the 'name' property")
    if plugin not in PROPERTIES[kind]:
        raise ConfigError(f"[config] section '{plugin}' tried to instance a plugin name that doesn't exist")
    for key in ("mem_buf_limit", "storage.total_limit_size"):
        if key in properties and not re.fullmatch(r"(?i)\d+(\.\d+)?[kmg]?b?|off", str(properties[key])):
            message = (
                f"[config] could not configure property '{key}' on {_KINDS[kind]} plugin with section name '{plugin}'"
            )
            raise ConfigError(message)
    number = sum(instance.kind == kind for instance in config.instances)
    config.instances.append(Instance(kind, plugin, number, properties))


def broken_regex(pattern: str) -> bool:
    try:
        re.compile(pattern.replace("(?<", "(?P<"))
    except re.error:
        return True
    return False
