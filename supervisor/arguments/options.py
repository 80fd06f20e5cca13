"""Which options does Fluent Bit's own command line have, and what becomes of each under the supervisor?

The table is that of 5.1.1 on Linux; each row was tried on the real binary. An option that becomes a key of `service`
stands first in that section there, so that the config file's word counts more; and so it does here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Effect(Enum):
    BASE = auto()  # the base's main file
    WORKDIR = auto()
    PARSERS = auto()  # a parsers file in front of those of the base
    SERVICE = auto()  # a key of `service`, overruled by the base's
    LOUDER = auto()
    QUIET = auto()
    EXTERNAL = auto()  # a shared object, loaded by dry-run and child
    INSTANCE = auto()  # begins a plugin of a pipeline on the command line
    DETAIL = auto()  # belongs to the plugin before it
    TASK = auto()
    TRACE = auto()
    ANSWER = auto()  # the real program answers as soon as it reads this
    REPORT = auto()  # the real program answers after it read everything
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Option:
    short: str  # one letter, or empty
    long: tuple[str, ...]
    value: str  # what its value is called, or empty: it takes none
    effect: Effect
    becomes: str  # for people; of a refused one: the reason, and what to do instead
    service: tuple[str, str] = ("", "")  # key, and the value of an option that takes none

    @property
    def name(self) -> str:
        """One way to write it."""
        return f"-{self.short}" if self.short else f"--{self.long[0]}"


E = Effect
_TO_DRY_RUN = "given to dry-run and child, in this order"
_TO_REAL = "answered by Fluent Bit itself"

OPTIONS = (
    Option("c", ("config",), "FILE", E.BASE, "main file of the base, read and watched with all that it includes"),
    Option("w", ("workdir",), "DIR", E.WORKDIR, "directory that relative paths of the config are relative to, and -c"),
    Option("R", ("parser",), "FILE", E.PARSERS, "parsers file in front of those that the base names"),
    Option("e", ("plugin",), "FILE", E.EXTERNAL, "shared object, loaded by dry-run and child"),
    Option("v", ("verbose",), "", E.LOUDER, "log_level debug; twice: trace; the base's log_level counts more"),
    Option("q", ("quiet",), "", E.QUIET, "no banner, and log_level off unless the base has one"),
    Option("H", ("http", "http_server"), "", E.SERVICE, "http_server on (is always on)", ("http_server", "on")),
    Option("L", ("http_listen",), "HOST", E.SERVICE, "http_listen, unless the base has one", ("http_listen", "")),
    Option("P", ("port", "http_port"), "PORT", E.SERVICE, "http_port, unless the base has one", ("http_port", "")),
    Option("Y", ("enable-hot-reload",), "", E.SERVICE, "hot_reload on (is always on)", ("hot_reload", "on")),
    Option(
        "W",
        ("disable-thread-safety-on-hot-reload",),
        "",
        E.SERVICE,
        "hot_reload.ensure_thread_safety off, unless the base says otherwise",
        ("hot_reload.ensure_thread_safety", "off"),
    ),
    Option("b", ("storage_path",), "DIR", E.SERVICE, "storage.path, unless the base has one", ("storage.path", "")),
    Option("f", ("flush",), "SECONDS", E.SERVICE, "flush, unless the base has one", ("flush", "")),
    Option("l", ("log_file",), "FILE", E.SERVICE, "log_file, unless the base has one", ("log_file", "")),
    Option(
        "s",
        ("coro_stack_size",),
        "BYTES",
        E.SERVICE,
        "coro_stack_size, unless the base has one",
        ("coro_stack_size", ""),
    ),
    Option(
        "Z",
        ("enable-chunk-trace",),
        "",
        E.SERVICE,
        "enable_chunk_trace on, unless the base says otherwise",
        ("enable_chunk_trace", "on"),
    ),
    Option(
        "",
        ("enable-fips",),
        "",
        E.SERVICE,
        "security.fips_mode on, unless the base says otherwise",
        ("security.fips_mode", "on"),
    ),
    Option("i", ("input",), "PLUGIN", E.INSTANCE, _TO_DRY_RUN),
    Option("F", ("filter",), "PLUGIN", E.INSTANCE, _TO_DRY_RUN),
    Option("o", ("output",), "PLUGIN", E.INSTANCE, _TO_DRY_RUN),
    Option("C", ("custom",), "PLUGIN", E.INSTANCE, _TO_DRY_RUN),
    Option("r", ("processor",), "PLUGIN", E.INSTANCE, _TO_DRY_RUN),
    Option("p", ("prop",), "KEY=VALUE", E.DETAIL, _TO_DRY_RUN),
    Option("t", ("tag",), "TAG", E.DETAIL, _TO_DRY_RUN),
    Option("m", ("match",), "PATTERN", E.DETAIL, _TO_DRY_RUN),
    Option("T", ("sp-task",), "SQL", E.TASK, _TO_DRY_RUN),
    Option(
        "", ("trace",), "SETUP", E.TRACE, "given to the child; changes go live by restart, a reload would end the trace"
    ),
    Option("", ("trace-input",), "NAME", E.TRACE, "as --trace"),
    Option("", ("trace-output",), "NAME", E.TRACE, "as --trace"),
    Option("", ("trace-output-property",), "KEY=VALUE", E.TRACE, "as --trace"),
    Option("V", ("version",), "", E.ANSWER, _TO_REAL),
    Option("h", ("help",), "", E.ANSWER, f"{_TO_REAL}; `run --help` is this text"),
    Option("J", ("help-json",), "", E.ANSWER, _TO_REAL),
    Option("D", ("dry-run",), "", E.REPORT, f"{_TO_REAL}; `check` looks at layers too"),
    Option("S", ("sosreport",), "", E.REPORT, _TO_REAL),
    Option(
        "d",
        ("daemon",),
        "",
        E.REFUSED,
        "a supervised Fluent Bit stays in the foreground; leave it out, the supervisor restarts it",
    ),
    Option("", ("supervisor",), "", E.REFUSED, "this is a supervisor already, two would fight; leave it out"),
)

BY_SHORT = {option.short: option for option in OPTIONS if option.short}
BY_LONG = {name: option for option in OPTIONS for name in option.long}
