"""How do base and snippets become one candidate?

Every text is parsed into sections; included ones are put where the include stands (filters run in load order); paths
are resolved, variables and secrets found, all of it linted. What comes of it is written by `candidate`: nothing of an
author's text is passed through.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from supervisor.config.lint import Located, lint_snippet, lint_whole, variables_of, weigh, without_output
from supervisor.config.parse import is_yaml, parse, parse_as_yaml
from supervisor.config.paths import REREAD_KINDS, Wanted, resolve
from supervisor.core.candidate import Parts, make_candidate, slug
from supervisor.core.lone_pair import with_route
from supervisor.core.selection import INCLUDED_AS_CLASSIC, roots_of
from supervisor.core.service import Frame, expand, is_said, merge_service
from supervisor.core.surroundings import surroundings
from supervisor.core.tenancy import deliver, secret_of
from supervisor.core.tenants import granted
from supervisor.model import (
    EXPANDS,
    GENERATION_ROOT,
    Candidate,
    CopiedFile,
    Document,
    Entry,
    Finding,
    Group,
    Kind,
    Reference,
    Scalar,
    Section,
    Severity,
    Snapshot,
    Snippet,
    Trust,
)

_INCLUDE_DEPTH = 50
_INCLUDE = re.compile(rb"^(@include\s|includes\s*:)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Assembled:
    """What came of a snapshot. Without a candidate, the findings say why; with one, they may still hold errors."""

    candidate: Candidate | None
    findings: tuple[Finding, ...]
    parts: Parts | None = None  # what the candidate was made of; a trial start makes another of it
    trace: str = ""  # of a fault of our own, for our log

    @property
    def refused(self) -> bool:
        """Whether the candidate must not run: there is none, or a snippet that is in it is at fault."""
        return self.candidate is None or any(finding.severity is Severity.ERROR for finding in self.findings)


@dataclass(slots=True)
class _Assembly:
    """The work bench of one call."""

    snapshot: Snapshot
    frame: Frame
    roots: Mapping[str, str]  # included file → the file that its including began with
    documents: dict[str, Document] = field(default_factory=dict)  # by path of the snippet
    findings: list[Finding] = field(default_factory=list)
    copies: dict[str, CopiedFile] = field(default_factory=dict)
    watched: dict[str, str] = field(default_factory=dict)  # path → digest of what is only referred to
    referred: list[str] = field(default_factory=list)  # of these, what tenants refer to
    known: dict[str, str] = field(default_factory=dict)  # values of variables, as far as they can be known


def assemble(snapshot: Snapshot, frame: Frame, *, newcomers: frozenset[str] | None = None) -> Assembled:
    """The candidate for a snapshot, with all that lint has to say. Pure: the same input gives the same digest.

    `newcomers`: snippets whose version does not run yet: of two in conflict the newcomer is told to yield. None: all.
    """
    bench = _Assembly(snapshot, frame, roots_of(snapshot), findings=list(snapshot.findings))
    for snippet in snapshot.snippets:
        _read(bench, snippet, bench.roots.get(snippet.path, snippet.path))
    tenancy = granted(snapshot, frame, bench.documents, newcomers)
    bench.findings += tenancy.findings
    bench.documents |= tenancy.documents
    if tenancy.refused or any(each.path not in bench.documents for each in snapshot.snippets):
        return Assembled(None, tuple(bench.findings))
    located = list(_linear(bench, snapshot.snippets))
    env = list(_variables(bench, located))
    known, unread = _set_values(env, frame.environment)
    bench.known = {**frame.environment, **known}
    resolved = [replace(place, section=_resolved(bench, place)) for place in located]
    if not is_said(resolved, "storage.path") and "storage.path" not in dict(frame.service_defaults):
        resolved = with_route(frame.arguments, resolved)
    outlets = deliver(resolved, frame.policy)
    bench.findings += outlets.findings
    resolved = list(outlets.located)
    service = merge_service(frame, resolved, known)
    bench.findings += service.findings
    variables = {**frame.environment, **dict.fromkeys(snapshot.secrets), **known, **dict.fromkeys(unread)}
    context = surroundings(
        snapshot,
        frame,
        located,
        variables,
        newcomers,
        service=service,
        conf_dir=lambda snippet: _conf_dir(bench, snippet),
    )
    bench.findings += [weigh(finding, _trust_of(snapshot, finding)) for finding in lint_whole(located, context)]
    bench.findings += _unusable_secrets(bench, located)
    if without_output(located) and not frame.pipeline:
        bench.findings.append(_no_output(located))
    members = {snippet.name: snippet.digest for snippet in snapshot.snippets}
    parts = Parts(tuple(resolved), tuple(env), service, members, bench.copies, bench.watched, tuple(bench.referred))
    return Assembled(make_candidate(parts, frame), tuple(bench.findings), parts)


# --- reading ------------------------------------------------------------------------------------------------------


def _read(bench: _Assembly, snippet: Snippet, root: str) -> None:
    if root == snippet.path:
        parsed = parse(snippet.content, snippet.path)
    else:
        parsed = parse_as_yaml(snippet.content) if is_yaml(root) else parse(snippet.content, INCLUDED_AS_CLASSIC)
    said = [replace(finding, snippet=snippet.name, path=snippet.path) for finding in parsed.findings]
    if snippet.trust is Trust.TENANT:
        said = [replace(finding, severity=Severity.ERROR) for finding in said]
        bench.findings += said
        said = []
        if parsed.findings:
            return
    if parsed.document is None:
        bench.findings += said  # the real binary would not read it either: an error whoever wrote it
        return
    said += lint_snippet(snippet, parsed.document, bench.frame.schema)
    bench.findings += [weigh(finding, snippet.trust) for finding in said]
    bench.documents[snippet.path] = parsed.document


def _linear(bench: _Assembly, snippets: tuple[Snippet, ...]) -> Iterator[Located]:
    """All sections in load order, an included file's where the include stands."""
    by_path = {snippet.path: snippet for snippet in snippets}
    edges = {(include.includer, include.line): include.targets for include in bench.snapshot.includes}
    included = {target for targets in edges.values() for target in targets}

    def walk(snippet: Snippet, depth: int) -> Iterator[Located]:
        for section in bench.documents[snippet.path].sections:
            if section.kind is not Kind.INCLUDE:
                yield Located(snippet, section)
                continue
            for entry in section.entries:
                for target in edges.get((snippet.path, entry.line), ()):
                    if target in by_path and target in bench.documents and depth < _INCLUDE_DEPTH:
                        yield from walk(by_path[target], depth + 1)
                if (snippet.path, entry.line) not in edges:
                    bench.findings.append(_not_followed(snippet, entry))

    for snippet in snippets:
        if snippet.path == bench.snapshot.base or snippet.path not in included:
            yield from walk(snippet, 0)


def _not_followed(snippet: Snippet, entry: Entry) -> Finding:
    message = "this include was not followed, so what it names would be missing"
    return Finding(Severity.ERROR, "include-not-followed", message, "", snippet.name, snippet.path, entry.line)


def _trust_of(snapshot: Snapshot, finding: Finding) -> Trust:
    return next((s.trust for s in snapshot.snippets if s.name == finding.snippet), Trust.BASE)


def _no_output(located: list[Located]) -> Finding:
    first = next(place for place in located if place.section.kind is Kind.INPUT)
    message = "records come in, and there is no output at all: nothing is ever delivered"
    snippet = first.snippet
    return Finding(
        Severity.WARNING, "no-output", message, "add an output", snippet.name, snippet.path, first.section.line
    )


# --- variables ----------------------------------------------------------------------------------------------------


def _variables(bench: _Assembly, located: list[Located]) -> Iterator[tuple[str, Entry]]:
    """What goes into `env:`: secrets that the text names, then what the text itself sets, in order."""
    named = {name for place in located for entry in place.section.entries for name, _, _ in variables_of(entry.value)}
    for name, secret in sorted(bench.snapshot.secrets.items()):
        if name in named and _is_usable(secret) and secret.digest is not None:
            bench.watched[secret.path] = secret.digest
            yield "", Entry(name, Group((Entry("uri", Scalar(f"file://{secret.path}", 0), 0),), 0), 0)
    for place in located:
        if place.section.kind is Kind.ENV:
            for entry in _resolved(bench, place).entries:
                yield place.snippet.name, entry


def _is_usable(secret: Reference) -> bool:
    """Whether its file may be named. One that cannot be read just now stays what it was."""
    return secret.digest is not None and (not secret.problem or secret.problem.startswith("cannot be read"))


def _unusable_secrets(bench: _Assembly, located: list[Located]) -> Iterator[Finding]:
    """A secret that is gone, empty or half-written would reach its user as an empty text, in silence."""
    bad = {
        name: secret
        for name, secret in bench.snapshot.secrets.items()
        if not _is_usable(secret) and name not in bench.frame.environment
    }
    for place in located if bad else ():
        for entry in place.section.entries:
            for name, _default, line in variables_of(entry.value):
                if name in bad:
                    shown = secret[1] if (secret := secret_of(name)) is not None else name
                    message = f"the secret {shown} cannot be used: {bad[name].path} {bad[name].problem}"
                    hint = "put the value into the file, or remove what refers to it"
                    snippet = place.snippet
                    rule = "secret-unusable"
                    if bad[name].problem == EXPANDS:
                        rule, hint = "secret-not-taken", "choose a value without ${"
                    found = Finding(Severity.ERROR, rule, message, hint, snippet.name, snippet.path, line)
                    yield weigh(found, snippet.trust)


def _set_values(env: list[tuple[str, Entry]], environment: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """The values that the config sets; and the names of those that stand in a file, which is not read."""
    known: dict[str, str] = {}
    unread: set[str] = set()
    for _snippet, entry in env:
        text = ""
        match entry.value:
            case Scalar():
                text = entry.value.text
            case Group(entries=inner):
                said = {item.key: item.value.text for item in inner if isinstance(item.value, Scalar)}
                text = said.get("value", "") or said.get("uri", "")
        if text.startswith("file://"):
            unread.add(entry.key)
            known.pop(entry.key, None)
        else:
            unread.discard(entry.key)
            known[entry.key] = expand(text, {**environment, **known})
    return known, unread


# --- references ---------------------------------------------------------------------------------------------------


def _resolved(bench: _Assembly, place: Located) -> Section:
    """The section with every path absolute, and the text it refers to taken over."""
    directory = _conf_dir(bench, place.snippet)
    expanded = None if not bench.known else lambda text: expand(text, bench.known)
    return resolve(place.section, bench.frame.cwd, directory, lambda w: _place(bench, place.snippet, w), expanded)


def _conf_dir(bench: _Assembly, snippet: Snippet) -> str:
    """What a relative path of the snippet may be relative to, besides the working directory.

    That of the file that the including began with, as for Fluent Bit's main file.
    """
    base = bench.snapshot.base if snippet.trust is Trust.BASE else None
    return posixpath.dirname(base or bench.roots.get(snippet.path, snippet.path))


def _place(bench: _Assembly, snippet: Snippet, wanted: Wanted) -> str:
    kept = bench.snapshot.kept.get(snippet.name, {})
    for candidate in map(posixpath.normpath, wanted.candidates):
        reference = kept.get(candidate) or bench.snapshot.references.get(candidate)
        if reference is None or reference.digest is None:
            continue
        if wanted.kind in REREAD_KINDS:
            return candidate
        if not wanted.copy or reference.content is None or _INCLUDE.search(reference.content):
            # A file that includes others finds them beside itself: it stays where it is.
            bench.watched[candidate] = reference.digest
            if snippet.trust is Trust.TENANT:
                bench.referred.append(candidate)
            return candidate
        name = f"files/{reference.digest[:12]}-{slug(posixpath.basename(candidate))}"
        bench.copies[name] = CopiedFile(name, reference.content, candidate)
        return f"{GENERATION_ROOT}/{name}"
    return wanted.candidates[0] if wanted.candidates else wanted.written
