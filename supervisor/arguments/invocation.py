"""What do the single options say together?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from posixpath import join

from supervisor.arguments.nouns import Invocation
from supervisor.arguments.options import Effect
from supervisor.arguments.scan import Flaw, Item, Ours, Theirs
from supervisor.arguments.usage import LAYOUT
from supervisor.settings.fields import FIELDS

_PATH_OF = {each.flag: each.path for each in FIELDS} | {
    "--state-dir": "state.directory",
    "--run-dir": "run.directory",
    "--fluent-bit": "fluent_bit.binary",
}

RUN_OPTIONS = {name: value for name, (value, _) in LAYOUT.items()} | {each.flag: "VALUE" for each in FIELDS}
"""Our own options of `run`, each with what its value is called."""

_OFF, _INFO, _TRACE = 0, 3, 5
_LEVELS = {1: "error", 2: "warning", 3: "info", 4: "debug", 5: "trace"}


@dataclass(slots=True)
class _Gathering:
    """What was said so far."""

    flags: dict[str, object] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    settings_file: str | None = None
    config: str | None = None
    workdir: str | None = None
    service: dict[str, str] = field(default_factory=dict)
    parsers_files: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    verbosity: int = _INFO
    begun: bool = False  # a plugin, that -p, -t and -m can belong to
    pipeline: bool = False
    trace: bool = False
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def gather(items: Sequence[Item], cwd: str) -> tuple[Invocation, tuple[str, ...]]:
    """The invocation, and the problems because of which it cannot be used. Words are the caller's."""
    so_far = _Gathering()
    for item in items:
        match item:
            case Flaw(message):
                so_far.problems.append(message)
            case Ours(name, value):
                _add_ours(so_far, name, value or "", cwd)
            case Theirs():
                _add_theirs(so_far, item, cwd)
            case _:
                pass
    return _finished(so_far, cwd), tuple(so_far.problems)


def _add_ours(so_far: _Gathering, name: str, value: str, cwd: str) -> None:
    match name:
        case "--layer":
            so_far.layers.append(value)
        case "--settings":
            so_far.settings_file = join(cwd, value)
        case _:
            so_far.flags[_PATH_OF[name]] = value


def _add_theirs(so_far: _Gathering, item: Theirs, cwd: str) -> None:
    option = item.option
    match option.effect:
        case Effect.BASE:
            so_far.config = item.value
        case Effect.WORKDIR:
            so_far.workdir = item.value
        case Effect.PARSERS:
            so_far.parsers_files.append(item.value)
        case Effect.SERVICE:
            key, constant = option.service
            so_far.service[key] = constant or item.value
        case Effect.LOUDER:
            so_far.verbosity += 1
        case Effect.QUIET:
            so_far.verbosity = _OFF
        case Effect.EXTERNAL:
            # read before the change of directory; a bare name is looked up by the dynamic linker
            so_far.arguments += [option.name, join(cwd, item.value) if "/" in item.value else item.value]
        case Effect.INSTANCE:
            so_far.begun = so_far.pipeline = True
            so_far.arguments += item.words
        case Effect.DETAIL:
            _add_detail(so_far, item)
        case Effect.TASK:
            so_far.arguments += item.words
        case Effect.TRACE:
            so_far.trace = True
            so_far.arguments += item.words
        case Effect.REFUSED:
            so_far.problems.append(f"{item.typed}: {option.becomes}")
        case Effect.ANSWER | Effect.REPORT:
            pass  # decided before the options are gathered


def _add_detail(so_far: _Gathering, item: Theirs) -> None:
    if so_far.begun:
        so_far.arguments += item.words
    elif item.option.short == "m":
        so_far.notes.append(f"{item.typed} {item.value}: stands before any plugin and is ignored, as Fluent Bit does")
    else:  # seen on 5.1.1: SIGSEGV
        so_far.problems.append(
            f"{item.typed}: stands before any plugin; Fluent Bit would crash; put it after -i, -F or -o"
        )


def _finished(so_far: _Gathering, cwd: str) -> Invocation:
    flags = dict(so_far.flags)
    base = None
    if so_far.config is not None:
        base = join(cwd, so_far.workdir or "", so_far.config) if so_far.config else ""
        flags["fluent_bit.config"] = base
    if so_far.layers:
        flags["layers"] = tuple(so_far.layers)
    if so_far.verbosity not in (_OFF, _INFO):
        so_far.service["log_level"] = _LEVELS[min(so_far.verbosity, _TRACE)]
    return Invocation(
        flags=flags,
        settings_file=so_far.settings_file,
        base=base,
        workdir=None if so_far.workdir is None else join(cwd, so_far.workdir),
        service_defaults=tuple(so_far.service.items()),
        parsers_files=tuple(so_far.parsers_files),
        arguments=tuple(so_far.arguments),
        pipeline=so_far.pipeline,
        trace=so_far.trace,
        quiet=so_far.verbosity == _OFF,
        notes=tuple(so_far.notes),
    )
