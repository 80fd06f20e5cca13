"""What do two sections both want to have for themselves, and which of them has to yield?

An incumbent never yields to a newcomer; among equals the one that comes later in load order yields. Nothing else
counts, so the answer is the same whichever of them was read, changed or asked about first. What has already yielded
takes nothing away from a third.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import join, normpath
from typing import Generic, TypeVar

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.ports import Listener, listeners
from supervisor.config.lint.rules import Rule, doubt, mistake, warning
from supervisor.config.lint.texts import finding, last, milder, plain, plugin_of, value_of
from supervisor.config.names import PLUGIN_KINDS
from supervisor.model import Finding, Kind, Scalar, Snippet

RULES: tuple[Rule, ...] = (
    mistake("duplicate-port", "two that listen on one port: Fluent Bit does not start (5.1.1)"),
    mistake("duplicate-db", "two that keep their offsets in one database file"),
    doubt("duplicate-alias", "two of a kind under one alias: their metrics are one"),
    warning("duplicate-env", "a variable that two snippets set to different values"),
)

_DATABASES = {
    (Kind.INPUT, "tail"): "db",
    (Kind.INPUT, "systemd"): "db",
    (Kind.INPUT, "kubernetes_events"): "db",
    (Kind.INPUT, "blob"): "database_file",
    (Kind.OUTPUT, "azure_blob"): "database_file",
    (Kind.OUTPUT, "s3"): "blob_database_file",
}


Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Claim(Generic[Thing]):
    """One snippet's wish to have something for itself."""

    key: Hashable  # only claims of one key can clash
    thing: Thing
    snippet: Snippet | None  # None: the supervisor's own, which never yields
    line: int | None

    def seen_from(self, snippet: Snippet) -> str:
        """Where this is said, for the author of that snippet."""
        if self.snippet is None:
            return "the supervisor"
        if self.snippet.name == snippet.name:
            return f"line {self.line} of this file"
        return f"{self.snippet.name}:{self.line}"


def contested(
    claims: Iterable[Claim[Thing]], newcomers: frozenset[str] | None, clash: Callable[[Thing, Thing], bool]
) -> Iterator[tuple[Claim[Thing], Snippet, Claim[Thing]]]:
    """Each claim that has to yield, with its snippet, and the one it yields to. `claims` come in load order."""

    def rank(claim: Claim[Thing]) -> int:
        if claim.snippet is None:
            return 0
        return 2 if newcomers is None or claim.snippet.name in newcomers else 1

    held: dict[Hashable, list[Claim[Thing]]] = {}
    for claim in sorted(claims, key=rank):
        holders = held.setdefault(claim.key, [])
        holder = next((holder for holder in holders if clash(holder.thing, claim.thing)), None)
        if holder is None or claim.snippet is None:
            holders.append(claim)
        else:
            yield claim, claim.snippet, holder


def lint_conflicts(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """What two sections cannot both have; each finding on the one that has to yield."""
    yield from _ports(sections, context)
    yield from _databases(sections, context)
    yield from _aliases(sections, context)
    yield from _variables(sections, context)


def _ports(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    claims = [_port(listener, place.snippet) for place in sections for listener in listeners(place, context.variables)]
    if context.monitoring is not None:
        ours = Listener("monitoring server", "tcp", context.monitoring.listen, context.monitoring.port, False, None)
        claims.insert(0, _port(ours, None))
    for claim, snippet, holder in contested(claims, context.newcomers, Listener.overlaps):
        wanted, taken = claim.thing, holder.thing
        where = "the monitoring server" if holder.snippet is None else f"{taken.plugin} ({holder.seen_from(snippet)})"
        message = f"{wanted.plugin} wants {wanted.protocol} port {wanted.port}, which {where} listens on"
        hint = "give it another port; Fluent Bit would not start with both"
        yield finding(snippet, claim.line, "duplicate-port", message, hint)


def _port(listener: Listener, snippet: Snippet | None) -> Claim[Listener]:
    return Claim((listener.protocol, listener.port), listener, snippet, listener.line)


def _databases(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    claims: list[Claim[tuple[str, str]]] = []
    for place in sections:
        plugin = plugin_of(place.section, context.variables)
        key = _DATABASES.get((place.section.kind, plugin), "")
        said, path = last(place.section, key), value_of(place.section, key, context.variables)
        if said is not None and path and path != ":memory:":
            claims.append(Claim(normpath(join(context.cwd, path)), (plugin, said.text), place.snippet, said.line))
    for claim, snippet, holder in contested(claims, context.newcomers, lambda one, other: True):
        plugin, path = claim.thing
        message = (
            f"the database '{path}' is that of another {holder.thing[0]} ({holder.seen_from(snippet)}): "
            "each would take the other's offsets for stale"
        )
        found = finding(snippet, claim.line, "duplicate-db", message, "give each its own database file")
        yield found if plugin == holder.thing[0] else milder(found)


def _aliases(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    claims: list[Claim[Scalar]] = []
    for place in sections:
        alias = place.section.get("alias")
        if alias is not None and place.section.kind in PLUGIN_KINDS:
            claims.append(Claim((place.section.kind, alias.text), alias, place.snippet, alias.line))
    for claim, snippet, holder in contested(claims, context.newcomers, lambda one, other: True):
        kind = claim.key[0] if isinstance(claim.key, tuple) else ""
        where = holder.seen_from(snippet)
        message = f"the alias '{claim.thing.text}' is taken by another {kind} ({where}): their metrics would be one"
        yield finding(snippet, claim.line, "duplicate-alias", message, "give each its own alias")


def _variables(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    claims = [
        Claim(entry.key, (place.snippet.name, plain(entry.value)), place.snippet, entry.line)
        for place in sections
        if place.section.kind is Kind.ENV
        for entry in place.section.entries
    ]

    def clash(one: tuple[str, object], other: tuple[str, object]) -> bool:
        return one[0] != other[0] and one[1] != other[1]

    for claim, snippet, holder in contested(claims, context.newcomers, clash):
        message = (
            f"the variable {claim.key} is also set by {holder.seen_from(snippet)}, to another value: "
            "the last one in load order counts for everybody"
        )
        yield finding(snippet, claim.line, "duplicate-env", message, "give it a name of its own")
