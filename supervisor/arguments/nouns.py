"""What can a command line mean?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Invocation:
    """What `run`, `check` and `render` are to work on.

    Seen on 5.1.1: instances and SQL tasks of the command line survive a reload beside the new content of the file; they
    stand first, so numbered names (`stdout.0`) are counted from them. A chunk trace (`--trace…`) ends with a reload.
    An environment variable FLB_LOG_LEVEL counts more than `-v` and `-q`, which count less than the base's log_level.
    """

    flags: Mapping[str, object]  # path of the settings key → text, for `settings.resolve`; -c is among them
    settings_file: str | None = None
    base: str | None = None  # relative to the working directory, as Fluent Bit takes it
    workdir: str | None = None
    service_defaults: tuple[tuple[str, str], ...] = ()  # in front of the base's `service`, whose word counts more
    parsers_files: tuple[str, ...] = ()  # as written; each is found as a `parsers_file` of the base would be
    arguments: tuple[str, ...] = ()  # for dry-run and child, in this order
    pipeline: bool = False  # instances on the command line: even without any snippet there is something to run
    trace: bool = False  # a reload would end it: restart
    quiet: bool = False  # -q for the child only; a dry-run or trial would fail without a word
    notes: tuple[str, ...] = ()  # what was ignored, a sentence each


@dataclass(frozen=True, slots=True)
class Check:
    invocation: Invocation  # --trial and --no-trial are among its flags
    paths: tuple[str, ...] = ()  # none: the layout of `run`
    format: str = "text"  # text | json | sarif | github
    tenant: str | None = None
    dry_run: bool = True


@dataclass(frozen=True, slots=True)
class Render:
    invocation: Invocation
    paths: tuple[str, ...] = ()
    tenant: str | None = None
    dry_run: bool = True
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    flags: Mapping[str, object] = field(default_factory=dict)  # where the admin socket is
    settings_file: str | None = None
    json: bool = False


@dataclass(frozen=True, slots=True)
class Snippets:
    flags: Mapping[str, object] = field(default_factory=dict)
    settings_file: str | None = None
    json: bool = False
    name: str | None = None  # None: all


@dataclass(frozen=True, slots=True)
class Reload:
    flags: Mapping[str, object] = field(default_factory=dict)
    settings_file: str | None = None
    wait: float | None = None  # seconds; None: do not wait for the outcome
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    name: str  # identity of the snippet
    flags: Mapping[str, object] = field(default_factory=dict)
    settings_file: str | None = None
    wait: float | None = None  # seconds; None: do not wait for what becomes of it
    json: bool = False


@dataclass(frozen=True, slots=True)
class HandOver:
    """The real program is to answer this itself."""

    argv: tuple[str, ...]  # without the program's name


@dataclass(frozen=True, slots=True)
class Help:
    text: str
    exit_code: int = 0  # 2 when it was not asked for


@dataclass(frozen=True, slots=True)
class Version:
    """The supervisor's own version is wanted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The command line cannot be used: a line for each reason. Exit code 2."""

    problems: tuple[str, ...]


CommandLine = Invocation | Check | Render | Status | Snippets | Reload | Release | HandOver | Help | Version | Refusal
