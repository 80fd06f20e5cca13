"""How is a candidate written, once it is clear what is in it?

One YAML file for each stretch of one snippet, under a main file that alone holds `service:` and `env:` and lists the
others in order; and what has to be known of it later: digest, outputs, directories, what a reload cannot change.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.config.classic import runs_in_main
from supervisor.config.lint import Located, plain, variables_of
from supervisor.config.paths import writable_directories
from supervisor.config.render import render_main, render_sections
from supervisor.core.service import Frame, Service
from supervisor.model import (
    Candidate,
    CopiedFile,
    Entry,
    Group,
    Kind,
    Needed,
    Node,
    OutputInstance,
    RenderedFile,
    Scalar,
    Section,
    Snippet,
)
from supervisor.settings import PREFIX

_VARIABLE = re.compile(r"\$\{([^}:]*)((?::-[^}]*)?\})")
_PIPELINE = {Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM, Kind.STREAM_TASK}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a candidate is made of."""

    located: tuple[Located, ...]  # all sections in load order, paths resolved
    env: tuple[tuple[str, Entry], ...]  # each with the snippet that says it, or "" when it is ours
    service: Service
    members: Mapping[str, str]  # snippet → digest
    copies: Mapping[str, CopiedFile]  # by name within the generation
    watched: Mapping[str, str]  # path → digest of what is only referred to
    referred: tuple[str, ...] = ()  # of these, what tenants refer to


def make_candidate(parts: Parts, frame: Frame) -> Candidate:
    """The parts, written; pure."""
    parts = concealed(parts, frame)
    located, service, copies, watched = parts.located, parts.service, parts.copies, parts.watched
    rendered = list(_stretches(located))
    main = render_main(service.entries, list(parts.env), [file.name for file in rendered])
    files = (main, *rendered)
    kinds = {place.section.kind for place in located}
    return Candidate(
        digest=_digest(files, copies, watched, frame),
        files=files,
        copies=tuple(copies[name] for name in sorted(copies)),
        members=dict(parts.members),
        endpoint=service.endpoint,
        restart_key=_restart_key(service, frame),
        grace=service.grace,
        variables=frozenset(
            name for place in located for entry in place.section.entries for name, _, _ in variables_of(entry.value)
        ),
        directories=tuple(_directories(located, service, frame)),
        outputs=tuple(_outputs(located, frame)),
        idle=not (kinds & _PIPELINE) and not frame.pipeline and not service.asked_for_server,
        storage=_storage(service, frame),
        secrets=tuple(_secrets(parts)),
        referred=parts.referred,
    )


def concealed(parts: Parts, frame: Frame) -> Parts:
    """The parts with names for the secrets that nobody can guess.

    What stands in the file of a secret is expanded once more when Fluent Bit puts it into a property (5.1.1): whoever
    writes one secret could name another in it. What is named elsewhere, too, keeps its name: set by the config itself,
    or named in a file that is copied, or on the command line.
    """
    elsewhere = [*(copy.content for copy in parts.copies.values()), " ".join(frame.arguments).encode(errors="replace")]
    said = {entry.key for snippet, entry in parts.env if snippet}
    names = {entry.key for snippet, entry in parts.env if not snippet} - said
    names = {name for name in names if not any(f"${{{name}".encode() in text for text in elsewhere)}
    if not names:
        return parts
    into = {name: f"{name}.{hashlib.sha256(f'{frame.salt}{name}'.encode()).hexdigest()[:24]}" for name in names}

    def renamed(found: re.Match[str]) -> str:
        return f"${{{into.get(found[1], found[1])}{found[2]}"

    def node(value: Node) -> Node:
        match value:
            case Scalar(text=text) if "${" in text:
                return replace(value, text=_VARIABLE.sub(renamed, text))
            case Scalar():
                return value
            case Group(entries=entries):
                return replace(value, entries=tuple(replace(each, value=node(each.value)) for each in entries))
            case _:
                return replace(value, items=tuple(map(node, value.items)))

    def entry(value: Entry) -> Entry:
        return replace(value, value=node(value.value))

    located = (
        replace(place, section=replace(place.section, entries=tuple(map(entry, place.section.entries))))
        for place in parts.located
    )
    env = ((s, entry(each) if s else replace(each, key=into.get(each.key, each.key))) for s, each in parts.env)
    said_service = tuple((snippet, entry(each)) for snippet, each in parts.service.entries)
    return replace(parts, located=tuple(located), env=tuple(env), service=replace(parts.service, entries=said_service))


def _secrets(parts: Parts) -> Iterator[str]:
    """Paths of the tenants' secrets."""
    for snippet, entry in parts.env:
        if not snippet and entry.key.startswith(PREFIX) and isinstance(entry.value, Group):
            said = {each.key: each.value.text for each in entry.value.entries if isinstance(each.value, Scalar)}
            yield said.get("uri", "").removeprefix("file://")


def _directories(located: Sequence[Located], service: Service, frame: Frame) -> Iterator[Needed]:
    named: set[str] = set()
    for place in located:
        for path in writable_directories(place.section, frame.cwd):
            if path not in named:
                named.add(path)
                yield Needed(path, place.snippet.name, place.section.line)
    if (storage := _storage(service, frame)) and storage not in named:
        yield Needed(storage, "")


def _storage(service: Service, frame: Frame) -> str:
    """Where chunks lie; empty when they lie nowhere, or where variables say. The command line's may be relative."""
    path = service.value("storage.path")
    return posixpath.join(frame.cwd, path) if path and "${" not in path else ""


def _stretches(located: Sequence[Located]) -> Iterator[RenderedFile]:
    """One file for each run of sections that stand together and come from one snippet."""
    stretch: list[Section] = []
    owner: Snippet | None = None
    count = 0
    for place in [*located, None]:
        if owner is not None and (place is None or place.snippet is not owner) and stretch:
            count += 1
            name = f"snippets/{count:04d}-{slug(owner.name)}.yaml"
            yield render_sections(name, [(owner.name, section) for section in stretch])
            stretch = []
        if place is None:
            return
        owner = place.snippet
        if place.section.kind not in (Kind.SERVICE, Kind.ENV, Kind.UNKNOWN) and runs_in_main(place.section):
            stretch.append(place.section)


def slug(name: str) -> str:
    """A file name that says whose it is and can do no harm; the number before it makes it unique."""
    return re.sub(r"[^A-Za-z0-9._-]+|\.\.+", "-", name).strip(".-")[-80:] or "snippet"


def _digest(
    files: tuple[RenderedFile, ...], copies: Mapping[str, CopiedFile], watched: Mapping[str, str], frame: Frame
) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{file.text}\0".encode("utf-8", "surrogateescape"))
    for name in sorted(copies):
        whole.update(f"{name}\0{hashlib.sha256(copies[name].content).hexdigest()}\0".encode())
    for path in sorted(watched):
        whole.update(f"{path}\0{watched[path]}\0".encode("utf-8", "surrogateescape"))
    whole.update("\0".join(frame.arguments).encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _restart_key(service: Service, frame: Frame) -> str:
    """What a hot reload cannot change: FIPS mode is fixed at process start (5.1.1), and so are arguments."""
    fixed = (service.value("security.fips_mode") or "", *frame.arguments)
    return hashlib.sha256("\0".join(fixed).encode("utf-8", "surrogateescape")).hexdigest()


def _outputs(located: Sequence[Located], frame: Frame) -> Iterator[OutputInstance]:
    """The outputs under the names that Fluent Bit gives them: the alias, else PLUGIN.N.

    N counts all outputs, whatever their plugin, in load order; those of the command line come first (5.1.1).
    """
    number = outputs_of_arguments(frame.arguments)
    for place in located:
        if place.section.kind is Kind.OUTPUT:
            plugin, alias = place.section.get("name"), place.section.get("alias")
            name = alias.text if alias else f"{plugin.text.lower() if plugin else '?'}.{number}"
            number += 1
            fingerprint = hashlib.sha256(_text_of(place.section).encode("utf-8", "surrogateescape")).hexdigest()
            yield OutputInstance(name, place.snippet.name, fingerprint)


def outputs_of_arguments(arguments: tuple[str, ...]) -> int:
    """How many outputs the command line has."""
    return sum(argument in ("-o", "--output") or argument.startswith("--output=") for argument in arguments)


def _text_of(section: Section) -> str:
    return repr([(entry.key.lower(), plain(entry.value)) for entry in section.entries])
