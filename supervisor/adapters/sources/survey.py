"""What is everything together, at one instant?

One look reads all layers, the base and whatever they refer to, and composes the snapshot of what counts. It blocks, so
it is made in a thread; it owns all memory of what was read before.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from supervisor.adapters.sources.base import BaseReader, BaseReading
from supervisor.adapters.sources.disk import TRIES, Moved
from supervisor.adapters.sources.files import Seen
from supervisor.adapters.sources.layers import LayerReader, wanted
from supervisor.adapters.sources.references import ReferenceReader
from supervisor.adapters.sources.round import Round
from supervisor.adapters.sources.settle import Notes, Rules, Tick
from supervisor.adapters.sources.watch import Spot
from supervisor.config.parse import parse
from supervisor.core.tenancy.names import secret_name
from supervisor.model import Kind, Layer, Reference, Snapshot, Snippet, Trust


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, except `files`: the number of snippets in one directory."""

    snippet: int = 1024 * 1024
    base: int = 16 * 1024 * 1024
    copied: int = 4 * 1024 * 1024
    files: int = 10_000


@dataclass(frozen=True, slots=True)
class Look:
    snapshot: Snapshot
    moving: bool  # not to be handed on yet: something that belongs to it is on its way
    pending: bool  # something is not settled yet
    due: float | None  # monotonic
    plan: Mapping[str, Spot]
    cpu_seconds: float  # what the look took


@dataclass(frozen=True, slots=True)
class _Rest:
    """Base, what platform snippets include, references and secrets."""

    base: BaseReading
    included: BaseReading  # by platform snippets
    references: dict[str, Reference]
    secrets: dict[str, Reference]
    notes: Notes


class Survey:
    def __init__(
        self,
        *,
        layers: Sequence[Layer],
        base: str | None,
        cwd: str,
        secrets: str,
        limits: Limits,
        key: bytes,
        granted: Callable[[str, str], bool],
        bounds: Callable[[str], tuple[int, int]],
    ) -> None:
        self._base = BaseReader(base, os.path.abspath(cwd), cap=limits.base) if base is not None else None
        self._layers = [LayerReader(layer, cap=limits.snippet, limit=limits.files, bounds=bounds) for layer in layers]
        self._references = ReferenceReader(
            cwd=os.path.abspath(cwd), secrets=secrets, cap=limits.copied, key=key, granted=granted
        )
        self._limits, self._cwd = limits, os.path.abspath(cwd)
        self._including: dict[str, BaseReader] = {}  # by path of the platform snippet that includes others
        self._last = _Rest(BaseReading(), BaseReading(), {}, {}, Notes())
        self._one_at_a_time = threading.Lock()  # a cancelled look goes on in its thread

    def seed(self, snapshot: Snapshot) -> None:
        readers = {reader.layer.name: reader for reader in self._layers}
        for snippet in snapshot.snippets:
            if snippet.trust is Trust.BASE:
                if self._base is not None:
                    self._base.seed(snippet)
            elif (reader := readers.get(snippet.layer)) and _is_own(snippet, reader.layer):
                reader.seed(snippet)
        for reference in (*snapshot.references.values(), *snapshot.secrets.values()):
            self._references.seed(reference)

    def look(self, rules: Rules) -> Look:
        with self._one_at_a_time:
            began = time.thread_time()
            tick = Tick(time.monotonic(), time.time())
            notes = Notes()
            snippets = [s for reader in self._layers for s in reader.read(tick, rules, notes)]
            rest = self._rest(snippets, tick, rules)
            if rest is None:
                notes.moving = notes.pending = True
                notes.look_at(tick.now + rules.quiet)
                rest = replace(self._last, notes=notes)
            else:
                self._last = rest
                _merge(notes, rest.notes)
            snapshot = _snapshot(self._base.main if self._base else None, snippets, rest, notes)
            spent = time.thread_time() - began
            return Look(snapshot, notes.moving, notes.pending, notes.due, _plan(notes), spent)

    def _rest(self, snippets: list[Snippet], tick: Tick, rules: Rules) -> _Rest | None:
        """None when a volume switched under every one of our readings."""
        for _ in range(TRIES):
            try:
                with Round() as files:
                    rest = self._read_rest(snippets, files, tick, rules)
                    if files.unchanged():
                        self._references.end()
                        return rest
            except Moved:
                continue
        return None

    def _read_rest(self, snippets: list[Snippet], files: Round, tick: Tick, rules: Rules) -> _Rest:
        notes = Notes()
        base = self._base.read(files, tick, rules, notes) if self._base else BaseReading()
        self._references.begin()
        references: dict[str, Reference] = {}
        variables: set[str] = set()
        of_tenants: set[tuple[str, str]] = set()
        followed = self._follow(snippets, files, tick, rules, notes)
        asked = [(file.snippet, base.directory, file.parsed.document) for file in base.files]
        asked += [(snippet, os.path.dirname(os.path.abspath(snippet.path)), None) for snippet in snippets]
        asked += [(file.snippet, each.directory, file.parsed.document) for each in followed for file in each.files]
        for snippet, directory, document in asked:
            needs = self._references.needs(snippet, directory, document)
            if snippet.trust is not Trust.TENANT:
                variables |= needs.variables
            elif snippet.tenant is not None:
                of_tenants |= {(snippet.tenant, name) for name in needs.variables}
            for reference in self._references.files(snippet, needs, files, tick, rules, notes):
                known = references.get(reference.path)
                if known is None or known.content is None:
                    references[reference.path] = reference
        secrets = {}
        for name in sorted(variables):
            secret = self._references.platform_secret(name, files, tick, rules, notes)
            if secret is not None:
                secrets[name] = secret
        for tenant, name in sorted(of_tenants):
            secrets[secret_name(tenant, name)] = self._references.tenant_secret(tenant, name, files, tick, rules, notes)
        return _Rest(base, _together(followed), dict(sorted(references.items())), secrets, notes)

    def _follow(
        self, snippets: list[Snippet], files: Round, tick: Tick, rules: Rules, notes: Notes
    ) -> list[BaseReading]:
        """What platform snippets include, without the snippets themselves and each file once."""
        known = {snippet.path for snippet in snippets}
        readers, self._including = self._including, {}
        followed: list[BaseReading] = []
        for snippet in snippets:
            if snippet.trust is not Trust.PLATFORM or not _includes(snippet):
                continue
            reader = readers.get(snippet.path) or BaseReader(
                snippet.path, self._cwd, cap=self._limits.snippet, layer=snippet.layer, trust=snippet.trust
            )
            self._including[snippet.path] = reader
            reading = reader.follow(Seen(snippet.content, snippet.digest), files, tick, rules, notes)
            fresh = tuple(file for file in reading.files if file.snippet.path not in known)
            known |= {file.snippet.path for file in fresh}
            followed.append(replace(reading, files=fresh))
        return followed


def _is_own(snippet: Snippet, layer: Layer) -> bool:
    """Whether it is a file of its layer, and not there only because another one includes it."""
    place = os.path.join(layer.directory, snippet.tenant or "").rstrip("/")
    return os.path.dirname(snippet.path) == place and wanted(os.path.basename(snippet.path))


def _includes(snippet: Snippet) -> bool:
    document = parse(snippet.content, snippet.path).document
    return document is not None and any(section.kind is Kind.INCLUDE for section in document.sections)


def _together(readings: Sequence[BaseReading]) -> BaseReading:
    return BaseReading(
        tuple(file for reading in readings for file in reading.files),
        tuple(include for reading in readings for include in reading.includes),
    )


def _merge(into: Notes, other: Notes) -> None:
    into.findings.extend(other.findings)
    into.alarms.extend(other.alarms)
    into.moving |= other.moving
    into.pending |= other.pending
    if other.due is not None:
        into.look_at(other.due)
    for directory, names in other.watched.items():
        if names is None:
            into.watch(directory)
        else:
            for name in names:
                into.watch(directory, name)


def _snapshot(main: str | None, snippets: list[Snippet], rest: _Rest, notes: Notes) -> Snapshot:
    findings = tuple(dict.fromkeys(notes.findings))
    snapshot = Snapshot(
        digest="",
        snippets=(
            *(file.snippet for file in rest.base.files),
            *snippets,
            *(file.snippet for file in rest.included.files),
        ),
        base=main,
        includes=(*rest.base.includes, *rest.included.includes),
        references=rest.references,
        secrets=rest.secrets,
        findings=findings,
        alarms=tuple(dict.fromkeys(notes.alarms)),
    )
    return replace(snapshot, digest=digest_of(snapshot))


def digest_of(snapshot: Snapshot) -> str:
    """sha256, hex, over all that matters to what would run, and the findings; alarms are not part of it."""
    whole = hashlib.sha256()

    def add(*fields: object) -> None:
        for item in fields:
            text = repr(item).encode("utf-8", "surrogateescape")
            whole.update(b"%d:" % len(text) + text)

    add("base", snapshot.base)
    for snippet in snapshot.snippets:
        add(snippet.name, snippet.path, snippet.digest)
    for include in snapshot.includes:
        add("include", include.includer, include.line, include.pattern, include.targets)
    _add_references(add, "reference", snapshot.references.items())
    _add_references(add, "secret", snapshot.secrets.items())
    for finding in snapshot.findings:
        add("finding", finding.rule, finding.severity.value, finding.message, finding.snippet, finding.line)
    return whole.hexdigest()


def _add_references(add: Callable[..., None], word: str, items: Iterable[tuple[str, Reference]]) -> None:
    for name, reference in items:
        add(word, name, reference.path, reference.digest, reference.problem)


def _plan(notes: Notes) -> dict[str, Spot]:
    """What to watch, with the identity that each directory has now; what is not there is left to its parent."""
    plan = {}
    for directory, names in notes.watched.items():
        try:
            status = os.stat(directory)
        except OSError:
            continue
        if not os.access(directory, os.R_OK):
            continue  # one such directory would fail the watch of all
        plan[directory] = Spot(status.st_dev, status.st_ino, None if names is None else frozenset(names))
    return plan
