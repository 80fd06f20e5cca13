"""Which version of each snippet is in?

A selection picks, for each snippet, its newest version, the one that was accepted last, or none; `selected` turns the
picks into a snapshot again, so that everything after it needs to know nothing of versions. A version is more than the
bytes of the file: what it refers to, and what reading it found, belong to it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from supervisor.config.lint import variables_of
from supervisor.config.parse import is_yaml, parse, parse_as_yaml
from supervisor.config.paths import wanted
from supervisor.core.tenancy.names import secret_name
from supervisor.model import Document, Finding, Include, Kind, Reference, Severity, Snapshot, Snippet, Trust

INCLUDED_AS_CLASSIC = "included.conf"  # a name that is read as classic


class Pick(Enum):
    NEW = auto()  # the newest version
    OLD = auto()  # the one that was accepted last


Picks = Mapping[str, Pick]
"""Snippet → version. Who is not in it is out."""


@dataclass(frozen=True, slots=True)
class Version:
    """One snippet as it was read, with what it refers to."""

    snippet: Snippet
    key: str  # equal: the same text, referring to the same texts, read with the same faults
    references: Mapping[str, Reference] = field(default_factory=dict)  # by path
    variables: frozenset[str] = frozenset()  # names that it reads from the environment
    secrets: tuple[str, ...] = ()  # digests of those that it names


@dataclass(frozen=True, slots=True)
class Versions:
    """The two snapshots that can be picked from: the newest, and the one that was accepted last (or is running)."""

    newest: Snapshot
    accepted: Snapshot | None
    new: Mapping[str, Version]
    old: Mapping[str, Version]
    unread: frozenset[str]  # snippets that are there and could not be read at all
    held: frozenset[str] = frozenset()  # removed, and kept until somebody says that it is meant

    @property
    def changed(self) -> tuple[str, ...]:
        """Snippets that are new, or in another version than accepted, in load order."""
        return tuple(n for n, v in self.new.items() if n not in self.old or self.old[n].key != v.key)

    @property
    def staying(self) -> tuple[str, ...]:
        """Accepted snippets that have not been removed, in load order."""
        here = {*self.new, *self.unread, *self.held}
        return tuple(name for name in self.old if name in here or self._is_held(name))

    @property
    def removed(self) -> tuple[str, ...]:
        staying = set(self.staying)
        return tuple(name for name in self.old if name not in staying)

    def reason(self, names: Iterable[str]) -> str:
        """What makes these snippets differ from what was accepted: `secret`, `file` (that they refer to), `snippet`."""
        found = {self._reason(name) for name in names}
        return next((reason for reason in ("snippet", "file", "secret") if reason in found), "")

    def _reason(self, name: str) -> str:
        new, old = self.new.get(name), self.old.get(name)
        if new is None or old is None or new.snippet.digest != old.snippet.digest:
            return "snippet"
        return "secret" if new.secrets != old.secrets and new.references == old.references else "file"

    def _is_held(self, name: str) -> bool:
        """Whether a file that is only there because another one includes it is still named by an accepted one."""
        assert self.accepted is not None
        path = self.old[name].snippet.path
        found = {(i.includer, i.pattern) for i in self.newest.includes if i.targets or "*" in i.pattern}
        holders = {v.snippet.path for n, v in self.old.items() if n in self.new or n in self.unread}
        return any(
            path in include.targets and include.includer in holders and (include.includer, include.pattern) not in found
            for include in self.accepted.includes
        )

    def delivering(self, names: Iterable[str]) -> frozenset[str]:
        """Which of these accepted snippets have outputs."""
        roots = roots_of(self.accepted) if self.accepted is not None else {}
        snippets = [self.old[name].snippet for name in names]
        documents = {each.name: _document(each, roots.get(each.path, each.path)) for each in snippets}
        return frozenset(
            name
            for name, document in documents.items()
            if document is not None and any(section.kind is Kind.OUTPUT for section in document.sections)
        )


def roots_of(snapshot: Snapshot) -> dict[str, str]:
    """For each included file the file that the including began with: its format is the format of all (5.1.1)."""
    roots: dict[str, str] = {}
    for include in snapshot.includes:
        for target in include.targets:
            roots.setdefault(target, roots.get(include.includer, include.includer))
    return roots


def document_of(snippet: Snippet, root: str) -> Document | None:
    """What the snippet says, read in the format of the file that its including began with."""
    if root == snippet.path:
        return parse(snippet.content, snippet.path).document
    read = parse_as_yaml(snippet.content) if is_yaml(root) else parse(snippet.content, INCLUDED_AS_CLASSIC)
    return read.document


def compare(newest: Snapshot, accepted: Snapshot | None, cwd: str) -> Versions:
    """What there is to choose from."""
    new = versions_of(newest, cwd)
    old = versions_of(accepted, cwd) if accepted is not None else {}
    unread = {f.snippet for f in newest.findings if f.snippet and f.severity is Severity.ERROR} - new.keys()
    return Versions(newest, accepted, new, old, frozenset(unread))


def versions_of(snapshot: Snapshot, cwd: str) -> dict[str, Version]:
    """Each snippet of the snapshot in its version, in load order."""
    roots = roots_of(snapshot)
    faults: dict[str, list[Finding]] = {}
    for finding in snapshot.findings:
        if finding.severity is Severity.ERROR:
            faults.setdefault(finding.snippet, []).append(finding)
    return {
        snippet.name: _version(snapshot, snippet, roots.get(snippet.path, snippet.path), faults, cwd)
        for snippet in snapshot.snippets
    }


def _version(snapshot: Snapshot, snippet: Snippet, root: str, faults: Mapping[str, list[Finding]], cwd: str) -> Version:
    document = _document(snippet, root)
    known = {**snapshot.references, **snapshot.kept.get(snippet.name, {})}
    main = snapshot.base if snippet.trust is Trust.BASE and snapshot.base else root
    references: dict[str, Reference] = {}
    for want in wanted(document, cwd, posixpath.dirname(main)) if document else ():
        for path in map(posixpath.normpath, want.candidates):
            if path in known:
                references[path] = known[path]
    told = [snippet.digest]
    told += [f"{path}={reference.digest}" for path, reference in sorted(references.items())]
    variables = _variables(document)
    if snippet.trust is Trust.TENANT:
        variables = frozenset(secret_name(snippet.tenant or "", name) for name in variables)
    secrets = tuple(f"${name}={digest}" for name, digest in _secrets(snapshot, variables))
    told += secrets
    told += [f"!{fault.rule}:{fault.line}:{fault.message}" for fault in faults.get(snippet.name, ())]
    whole = hashlib.sha256("\0".join(told).encode("utf-8", "surrogateescape")).hexdigest()
    return Version(snippet, whole, references, variables, secrets)


def _document(snippet: Snippet, root: str) -> Document | None:
    try:
        return document_of(snippet, root)
    except Exception:
        return None  # a fault of our own: assembling meets it too, and says so of this very snippet


def _variables(document: Document | None) -> frozenset[str]:
    return frozenset(
        name
        for section in (document.sections if document is not None else ())
        for entry in section.entries
        for name, _default, _line in variables_of(entry.value)
    )


def _secrets(snapshot: Snapshot, variables: frozenset[str]) -> Iterator[tuple[str, str]]:
    for name in sorted(variables & snapshot.secrets.keys()):
        secret = snapshot.secrets[name]
        yield name, f"{secret.digest}{secret.problem}"


# --- the snapshot of a selection ----------------------------------------------------------------------------------


def picked(versions: Versions, picks: Picks) -> dict[str, Version]:
    """The version of each snippet that is in."""
    return {n: versions.new[n] if pick is Pick.NEW else versions.old[n] for n, pick in picks.items()}


def selected(versions: Versions, picks: Picks) -> Snapshot:
    """The snapshot in which each snippet has the version that was picked."""
    newest = versions.newest
    chosen = _chosen(versions, picks)
    includes = tuple(_includes(versions, chosen, picks))
    reachable = _reachable(versions, chosen, includes)
    snippets = tuple(version.snippet for name, version in chosen.items() if name in reachable)
    paths = {snippet.path for snippet in snippets}
    kept: dict[str, Mapping[str, Reference]] = {}
    for name, version in chosen.items():
        if name in reachable and picks[name] is Pick.OLD and (references := _kept(versions, name, version)):
            kept[name] = references
    named = {v for name, version in chosen.items() if picks[name] is Pick.OLD for v in version.variables}
    before = versions.accepted.secrets if versions.accepted is not None else {}
    return replace(
        newest,
        secrets={**{name: secret for name, secret in before.items() if name in named}, **newest.secrets},
        digest=_digest(newest, chosen, reachable),
        snippets=snippets,
        includes=tuple(replace(i, targets=tuple(t for t in i.targets if t in paths)) for i in includes),
        findings=tuple(f for f in newest.findings if picks.get(f.snippet) is Pick.NEW),
        kept=kept,
        base=newest.base or (versions.accepted.base if versions.accepted is not None else None),
    )


def _chosen(versions: Versions, picks: Picks) -> dict[str, Version]:
    """The picked versions in load order; one that is only among the accepted stands behind its old neighbour."""
    order = list(versions.new)
    before = ""
    for name in versions.old:
        if name not in versions.new and name in picks:
            order.insert(order.index(before) + 1 if before in order else 0, name)
        before = name
    return {
        name: versions.new[name] if picks[name] is Pick.NEW else versions.old[name] for name in order if name in picks
    }


def _includes(versions: Versions, chosen: Mapping[str, Version], picks: Picks) -> Iterator[Include]:
    """The includes of what was picked. An older version's patterns stand for what they find now, if that is known."""
    old_ways = {
        version.snippet.path
        for name, version in chosen.items()
        if picks[name] is Pick.OLD
        and (name not in versions.new or version.snippet.digest != versions.new[name].snippet.digest)
    }
    found = {(include.includer, include.pattern): include.targets for include in versions.newest.includes}
    here = {version.snippet.path for version in chosen.values()}
    for include in versions.newest.includes:
        if include.includer in here and include.includer not in old_ways:
            yield _with_vanished(include, versions)
    for include in versions.accepted.includes if versions.accepted is not None else ():
        if include.includer in old_ways:
            yield replace(include, targets=found.get((include.includer, include.pattern), include.targets))


def _with_vanished(include: Include, versions: Versions) -> Include:
    """A file that is named outright stays in its accepted version though it is not there: its includer is kept, too."""
    if include.targets or "*" in include.pattern or versions.accepted is None:
        return include
    for other in versions.accepted.includes:
        if (other.includer, other.pattern) == (include.includer, include.pattern):
            return replace(include, targets=other.targets)
    return include


def _reachable(versions: Versions, chosen: Mapping[str, Version], includes: tuple[Include, ...]) -> frozenset[str]:
    """Who stands in a directory of a layer, or is included by somebody who is in."""
    accepted = versions.accepted.includes if versions.accepted is not None else ()
    included = {path for include in (*versions.newest.includes, *accepted) for path in include.targets}
    main = versions.newest.base or (versions.accepted.base if versions.accepted is not None else None)
    everybody = [version.snippet for version in (*versions.new.values(), *versions.old.values())]
    places = {posixpath.dirname(snippet.path) for snippet in everybody if snippet.path not in included}
    edges: dict[str, list[str]] = {}
    for include in includes:
        edges.setdefault(include.includer, []).extend(include.targets)

    def stands_alone(snippet: Snippet) -> bool:
        if snippet.path == main or snippet.path not in included:
            return True
        return snippet.trust is not Trust.BASE and posixpath.dirname(snippet.path) in places

    names = {version.snippet.path: name for name, version in chosen.items()}
    waiting = [version.snippet.path for version in chosen.values() if stands_alone(version.snippet)]
    reached: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in names and names[path] not in reached:
            reached.add(names[path])
            waiting += edges.get(path, [])
    return frozenset(reached)


def _kept(versions: Versions, name: str, version: Version) -> dict[str, Reference]:
    """What the older version refers to and is not the same now. What is not copied is taken as it lies on disk now."""
    kept = {}
    for path, reference in version.references.items():
        now = versions.newest.references.get(path)
        if now == reference or (reference.content is None and now is not None):
            continue
        kept[path] = reference
    return kept


def _digest(newest: Snapshot, chosen: Mapping[str, Version], reachable: frozenset[str]) -> str:
    whole = hashlib.sha256(newest.digest.encode())
    for name, version in chosen.items():
        if name in reachable:
            whole.update(f"{name}\0{version.key}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
