"""Which tenants' snippets may go on, and what do they say in their own name space?

What is refused here is never written for any Fluent Bit process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from supervisor.config.lint.texts import scalars
from supervisor.config.shapes.globs import split_paths
from supervisor.core import policy
from supervisor.core.service import Frame
from supervisor.core.tenancy import Names, private_sections
from supervisor.model import LEADS_OUT, Document, Finding, Kind, Snapshot, Snippet, Trust
from supervisor.settings import Grants

_Documents = Mapping[str, Document]  # by path of the snippet


@dataclass(frozen=True, slots=True)
class Tenancy:
    """What became of the tenants' snippets."""

    documents: _Documents = field(default_factory=dict)  # in the name spaces of their tenants; empty when refused
    findings: tuple[Finding, ...] = ()
    refused: bool = False


def granted(snapshot: Snapshot, frame: Frame, documents: _Documents, newcomers: frozenset[str] | None) -> Tenancy:
    """The tenants' documents as they may run, or what keeps them from it.

    `newcomers`: where there are too many of something, they are too many before those who run. None: all.
    """
    tenants: dict[str, list[Snippet]] = {}
    for snippet in snapshot.snippets:
        if snippet.trust is Trust.TENANT:
            tenants.setdefault(snippet.tenant or "", []).append(snippet)
    closed = frame.closed_ports | {frame.http_port} | _own_ports(documents) if tenants else frozenset[int]()
    refused: list[Finding] = []
    private: dict[str, Document] = {}
    said: list[Finding] = []
    for tenant, snippets in tenants.items():
        grants = frame.policy.of(tenant)
        if grants is None:
            refused += map(policy.nothing_granted, snippets)
            continue
        ranked = sorted(snippets, key=lambda each: newcomers is None or each.name in newcomers)
        refused += _too_much(ranked, documents, grants)
        read = [each for each in snippets if each.path in documents]
        for snippet in read:
            refused += policy.judge(snippet, documents[snippet.path], grants, closed)
            refused += _leading_out(snapshot, snippet, documents[snippet.path])
        if not refused:
            _make_private(read, documents, grants, frame, private, said)
    return Tenancy({}, tuple(refused), True) if refused else Tenancy(private, tuple(said))


def _too_much(ranked: Sequence[Snippet], documents: _Documents, grants: Grants) -> Iterator[Finding]:
    """Files beyond the number that the tenant may have, and those with which he has too many sections in all."""
    limits = grants.limits
    yield from (policy.too_many(each, limits.snippets) for each in ranked[limits.snippets :])
    total = 0
    for snippet in ranked:
        if snippet.path in documents:
            total += len(documents[snippet.path].sections)
            if total > limits.total:
                yield policy.beyond_the_total(snippet, total, limits.total)


def _make_private(
    snippets: Sequence[Snippet],
    documents: _Documents,
    grants: Grants,
    frame: Frame,
    private: dict[str, Document],
    said: list[Finding],
) -> None:
    names = Names.of(documents[snippet.path] for snippet in snippets)
    for snippet in snippets:
        document = documents[snippet.path]
        located, found = private_sections(
            snippet, document, grants, names, offsets=frame.offsets, buffers=frame.buffers is not None
        )
        private[snippet.path] = replace(document, sections=tuple(place.section for place in located))
        said += found


def _own_ports(documents: _Documents) -> frozenset[int]:
    """Where Fluent Bit's own server may listen, as base and platform say it."""
    sections = [section for document in documents.values() for section in document.sections]
    said = [section.get("http_port") for section in sections if section.kind is Kind.SERVICE]
    return frozenset(int(port.text) for port in said if port is not None and port.text.isdecimal())


def _leading_out(snapshot: Snapshot, snippet: Snippet, document: Document) -> Iterator[Finding]:
    """Files that were granted by name, and are links to something that was not."""
    for reference in snapshot.references.values():
        if reference.problem.startswith(LEADS_OUT):
            for section in document.sections:
                for entry in section.entries:
                    if any(reference.path in split_paths(scalar.text) for scalar in scalars(entry.value)):
                        yield policy.leads_out(snippet, entry.line, reference.problem)
