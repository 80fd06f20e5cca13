"""Which of the given texts wins, and is it one that can be used?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from posixpath import join, normpath
from typing import Any

from supervisor.model import Layer, SettingsError
from supervisor.settings import values
from supervisor.settings.document import Leaf, Listing, Table, Unreadable, Value, kind_of, read_document
from supervisor.settings.fields import DEFAULT_LAYERS, FIELDS, OPAQUE, ROOMS, Field
from supervisor.settings.granting import read_policy
from supervisor.settings.grants import Policy
from supervisor.settings.nouns import Settings
from supervisor.settings.values import did_you_mean, shown

DEFAULT_FILE = "/fluent-bit/etc/supervisor.yaml"
_OTHER_VARIABLES = ("FBS_SETTINGS", "FBS_LAYERS", "FBS_LAUNCHER")
_SERVICE_LINK = re.compile(
    r"FBS_(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=(tcp|udp|sctp)://|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=).*"
)
"""What Kubernetes puts into every container of a namespace that has a service named `fbs` or `fbs-…`."""
_DIRECTORIES = ("secrets.directory", "buffers.directory", "state.directory", "run.directory")
_PATHS = (*_DIRECTORIES, "fluent_bit.binary", "fluent_bit.config", "api.token_file")
_SOCKET_LIMIT = 107  # bytes that the address of a unix socket has room for, on Linux


@dataclass(frozen=True, slots=True)
class Resolved:
    settings: Settings
    origins: Mapping[str, str]  # path of the key → `default`, `flag --x`, `environment FBS_X`, or `FILE:LINE`


@dataclass(frozen=True, slots=True)
class _Given:
    """A text that somebody gave for a key, and where."""

    value: Value
    origin: str


@dataclass(slots=True)
class _Reading:
    """One resolving: what was given so far, and every problem found, in the order of finding."""

    given: dict[str, _Given] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def complain(self, path: str, origin: str, found: str, expected: str, hint: str = "") -> None:
        self.problems.append(f"{path} ({origin}): found {found}, expected {expected}{'; ' if hint else ''}{hint}")


def settings_file(flag: str | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    """The settings file to read, and whether it was named (then it must be there)."""
    named = flag or environ.get("FBS_SETTINGS")
    return (named, True) if named else (DEFAULT_FILE, False)


def real_binary(launcher: str) -> str:
    """Where the image keeps the real program: `libexec/NAME` beside the directory of the launcher."""
    return normpath(join(launcher, "..", "..", "libexec", launcher.rpartition("/")[2]))


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    text: str | None,
    path: str | None,
    cwd: str | None = None,
) -> Resolved:
    """Settings from flags (by path of the key), environment, the text of the file (None: there is none), and defaults.

    `cwd` is what relative paths are relative to; without it they are refused. An empty environment variable counts as
    not set. Raises `SettingsError` with one line for each problem that was found.
    """
    reading = _Reading()
    if text is not None:
        _read_file(reading, text, path or "settings file")
    _read_environment(reading, environ)
    _read_flags(reading, flags)
    found = {each.path: _single(reading, each) for each in FIELDS}
    layers = _layers(reading)
    policy = _policy(reading)
    found = {key: _absolute(reading, key, value, cwd) for key, value in found.items()}
    layers = tuple(Layer(each.name, _joined(reading, each, cwd), each.trust) for each in layers)
    origins = {key: reading.given[key].origin if key in reading.given else "default" for key in _every_path()}
    _follow_state(found, origins)
    _past_the_launcher(found, origins, environ)
    _compare(reading, found, layers, origins)
    if reading.problems:
        raise SettingsError("\n".join(reading.problems))
    return Resolved(_settings(found, layers, policy), origins)


def _every_path() -> list[str]:
    return [*(each.path for each in FIELDS), "layers", *OPAQUE]


# --- what was given ------------------------------------------------------------------------------------------


def _read_file(reading: _Reading, text: str, path: str) -> None:
    try:
        top = read_document(text)
    except Unreadable as error:
        reading.problems.append(f"{path}{f':{error.line}' if error.line else ''}: {error}")
        return
    rooms = {each.path.partition(".")[0] for each in FIELDS}
    for key, (line, value) in top.entries.items():
        origin = f"{path}:{line}"
        if key in OPAQUE or key == "layers":
            reading.given[key] = _Given(value, origin)
        elif key not in rooms:
            _unknown(reading, key, origin, sorted(rooms | {"layers", *OPAQUE}))
        elif isinstance(value, Table):
            _read_room(reading, key, value, path)
        elif not (isinstance(value, Leaf) and value.empty):
            reading.complain(key, origin, kind_of(value), f"a mapping such as `{_example(key)}`")


def _read_room(reading: _Reading, room: str, table: Table, path: str) -> None:
    known = [each.path.partition(".")[2] for each in FIELDS if each.path.startswith(f"{room}.")]
    for key, (line, value) in table.entries.items():
        if key in known:
            reading.given[f"{room}.{key}"] = _Given(value, f"{path}:{line}")
        else:
            _unknown(reading, f"{room}.{key}", f"{path}:{line}", [f"{room}.{leaf}" for leaf in known])


def _unknown(reading: _Reading, key: str, origin: str, known: list[str]) -> None:
    leaf = key.rpartition(".")[2]
    elsewhere = [each.path for each in FIELDS if each.path.endswith(f".{leaf}")]
    hint = did_you_mean(key, known) or (
        f"did you mean {elsewhere[0]!r}?" if elsewhere else f"known are {', '.join(known)}"
    )
    reading.problems.append(f"{shown(key)[1:-1]} ({origin}): no such setting; {hint}")


def _read_environment(reading: _Reading, environ: Mapping[str, str]) -> None:
    by_name = {each.environment: each.path for each in FIELDS} | {"FBS_LAYERS": "layers"}
    for name, text in sorted(environ.items()):
        if not name.startswith("FBS_"):
            continue
        if name in by_name:
            if text:
                reading.given[by_name[name]] = _Given(Leaf(text, False, 0), f"environment {name}")
        elif name.removeprefix("FBS_").lower() in OPAQUE:
            reading.problems.append(f"{name} (environment): only the settings file can say `{name[4:].lower()}`")
        elif name not in _OTHER_VARIABLES and not _SERVICE_LINK.fullmatch(f"{name}={text}"):
            hint = did_you_mean(name, [*by_name, "FBS_SETTINGS"])
            reading.problems.append(f"{name} (environment): no such setting{'; ' if hint else ''}{hint}")


def _read_flags(reading: _Reading, flags: Mapping[str, object]) -> None:
    by_path = {each.path: each.flag for each in FIELDS} | {"layers": "--layer"}
    for path, value in flags.items():
        if path not in by_path:
            reading.problems.append(f"{path} (flag): no such setting; {did_you_mean(path, list(by_path))}")
        elif isinstance(value, str) or not isinstance(value, Iterable):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            reading.given[path] = _Given(Leaf(text, False, 0), f"flag {by_path[path]}")
        else:
            items = tuple(Leaf(str(item), False, 0) for item in value)
            reading.given[path] = _Given(Listing(items, 0), f"flag {by_path[path]}")


# --- what it means -------------------------------------------------------------------------------------------


def _single(reading: _Reading, each: Field) -> object:
    """The value of one field: the given one, or the default (also after a complaint, so that reading can go on)."""
    given = reading.given.get(each.path)
    if given is None:
        return each.default
    kind, value = each.kind, given.value
    if not isinstance(value, Leaf):
        reading.complain(each.path, given.origin, kind_of(value), kind.expected)
        return each.default
    if value.empty:
        if not kind.empty:
            reading.complain(each.path, given.origin, "nothing", kind.expected)
        return None if kind.empty else each.default
    try:
        return kind.read(value.text)
    except ValueError as error:
        found = shown(value.text) if kind.shown else "something else"
        reading.complain(each.path, given.origin, found, kind.expected, str(error))
        return each.default


def _layers(reading: _Reading) -> tuple[Layer, ...]:
    """The layers: those of flags replace all others, then those of the environment, of the file, the default ones."""
    given = reading.given.get("layers")
    if given is None:
        return DEFAULT_LAYERS
    match given.value:
        case Listing(items):
            found = [_layer(reading, item, index, given.origin) for index, item in enumerate(items)]
        case Leaf(text) if text and not given.value.empty:
            parts = [Leaf(part.strip(), False, 0) for part in text.split(",")]
            found = [_layer(reading, part, index, given.origin) for index, part in enumerate(parts)]
        case other:
            reading.complain("layers", given.origin, kind_of(other), "a list of layers; [] for none")
            return ()
    return tuple(layer for layer in found if layer is not None)


def _layer(reading: _Reading, value: Value, index: int, origin: str) -> Layer | None:
    path = f"layers[{index}]"
    try:
        match value:
            case Leaf(text):
                return values.read_layer(text)
            case Table(entries):
                origin = f"{origin.rpartition(':')[0]}:{value.line}"
                words = {key: inner.text for key, (_, inner) in entries.items() if isinstance(inner, Leaf)}
                if len(words) != len(entries) or set(words) != {"name", "directory", "trust"}:
                    raise ValueError("a layer has exactly a name, a directory and a trust, each a single word")
                return values.layer_of(words["name"], words["directory"], words["trust"])
            case _:
                raise ValueError("")
    except ValueError as error:
        found = shown(value.text) if isinstance(value, Leaf) else kind_of(value)
        in_file = "{name: teams, directory: /etc/teams.d, trust: tenant}"
        reading.complain(
            path, origin, found, in_file if isinstance(value, Table) else values.LAYER_EXPECTED, str(error)
        )
        return None


def _policy(reading: _Reading) -> Policy:
    given = {key: reading.given.get(key) for key in OPAQUE}
    origin = next((each.origin for each in given.values() if each is not None), "")
    path = origin.rpartition(":")[0]

    def complain(key: str, line: int, problem: str) -> None:
        reading.problems.append(f"{key} ({path}:{line}): {problem}")

    policy, tenants = (given[key].value if given[key] else None for key in ("policy", "tenants"))  # type: ignore[union-attr]
    return read_policy(policy, tenants, complain)


def _example(key: str) -> str:
    opaque = {"policy": "{plugins: {outputs: [http]}}", "tenants": "{shop: {paths: [/var/log/shop/*]}}"}
    if key in opaque:
        return f"{key}: {opaque[key]}"
    each = next(each for each in FIELDS if each.path.startswith(f"{key}."))
    return f"{key}: {{{each.path.partition('.')[2]}: {each.write(each.default)}}}"


# --- what must fit together ----------------------------------------------------------------------------------


def _absolute(reading: _Reading, key: str, value: object, cwd: str | None) -> object:
    if key not in _PATHS or not isinstance(value, str) or value.startswith("/"):
        return value
    if key == "fluent_bit.binary" and "/" not in value:
        return value  # a bare name: looked up on PATH
    if cwd is None:
        reading.problems.append(f"{key} ({reading.given[key].origin}): the path must be absolute")
        return value
    return join(cwd, value)


def _joined(reading: _Reading, layer: Layer, cwd: str | None) -> str:
    if cwd is None and not layer.directory.startswith("/"):
        reading.problems.append(
            f"layers ({reading.given['layers'].origin}): the directory of {layer.name!r} must be absolute"
        )
    return join(cwd or "/", layer.directory)


def _follow_state(found: dict[str, object], origins: dict[str, str]) -> None:
    """The buffers lie below the state directory, also where that one was moved, unless they were named themselves."""
    if origins["buffers.directory"] == "default" and origins["state.directory"] != "default":
        found["buffers.directory"] = join(str(found["state.directory"]), "buffers")
        origins["buffers.directory"] = "default, below state.directory"


def _past_the_launcher(found: dict[str, object], origins: dict[str, str], environ: Mapping[str, str]) -> None:
    """Never supervise ourselves: the path of the image's launcher stands for the program it is in front of."""
    launcher = environ.get("FBS_LAUNCHER")
    if launcher and normpath(str(found["fluent_bit.binary"])) == normpath(launcher):
        found["fluent_bit.binary"] = real_binary(launcher)
        origins["fluent_bit.binary"] += f", behind the launcher {launcher}"


def _compare(
    reading: _Reading, found: Mapping[str, Any], layers: tuple[Layer, ...], origins: Mapping[str, str]
) -> None:
    def complain(path: str, problem: str) -> None:
        reading.problems.append(f"{path} ({origins[path]}): {problem}")

    if found["sources.max_wait"] < found["sources.quiet"]:
        complain("sources.max_wait", "shorter than sources.quiet")
    ports = {"fluent_bit.http_port": str(found["fluent_bit.http_port"])}
    for path in ("api.metrics", "api.page"):
        port = (found[path] or "").rpartition(":")[2]
        taken = next((other for other, used in ports.items() if port and int(port) and int(port) == int(used)), None)
        if taken:
            complain(path, f"the same port as {taken}")
        elif port:
            ports[path] = port
    if len(join(found["run.directory"], "admin.sock").encode()) > _SOCKET_LIMIT:
        complain("run.directory", "too long for a unix socket in it")
    for what, of in (
        ("name", [each.name for each in layers]),
        ("directory", [normpath(each.directory) for each in layers]),
    ):
        for twice in sorted({one for one in of if of.count(one) > 1}):
            complain("layers", f"two layers have the {what} {twice!r}")


def _settings(found: Mapping[str, object], layers: tuple[Layer, ...], policy: Policy) -> Settings:
    rooms: dict[str, Any] = {
        name: of(**{path.partition(".")[2]: value for path, value in found.items() if path.startswith(f"{name}.")})
        for name, of in ROOMS.items()
    }
    return Settings(
        **rooms,
        layers=layers,
        secrets_directory=str(found["secrets.directory"]),
        buffers_directory=str(found["buffers.directory"]),
        run_directory=str(found["run.directory"]),
        policy=policy,
    )


def describe(resolved: Resolved) -> str:
    """Every value with its origin, a line each. Of policy and grants only the keys."""
    settings, lines = resolved.settings, []
    for each in FIELDS:
        room, _, leaf = each.path.partition(".")
        value = getattr(getattr(settings, room), leaf) if room in ROOMS else getattr(settings, f"{room}_{leaf}")
        lines.append((each.path, each.write(value), resolved.origins[each.path]))
    for layer in settings.layers:
        lines.append((f"layers.{layer.name}", f"{layer.directory} ({layer.trust})", resolved.origins["layers"]))
    if not settings.layers:
        lines.append(("layers", "none", resolved.origins["layers"]))
    said = "none" if settings.policy.everybody is None else "given"
    lines.append(("policy", said, resolved.origins["policy"]))
    lines.append(("tenants", ", ".join(settings.policy.tenants) or "none", resolved.origins["tenants"]))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    return "".join(f"{path:<{widths[0]}}  {value:<{widths[1]}}  # {origin}\n" for path, value, origin in lines)
