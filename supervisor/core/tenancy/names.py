"""Into which names are those of a tenant turned?

The turning is injective, so that no tenant can come upon the name of another one, or of the platform's. What Fluent Bit
would leave open (a tag, an alias, a limit of retries) is always said.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from supervisor.config.lint import Located
from supervisor.config.lint.values import bytes_of
from supervisor.config.names import PLUGIN_KINDS, lower
from supervisor.core.policy import VARIABLE, Sort, sort_of
from supervisor.core.policy.words import key_shown
from supervisor.core.tenancy.patterns import covers
from supervisor.model import Document, Entry, Finding, Group, Kind, Node, Scalar, Section, Severity, Snippet
from supervisor.model import Sequence as NodeSequence
from supervisor.settings import PREFIX, Grants
from supervisor.settings.grants import OUTPUTS

_TYPE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Names:
    """The parsers that a tenant defines, in whichever of its files; names as written."""

    parsers: frozenset[str] = frozenset()
    multiline: frozenset[str] = frozenset()  # in lower case: Fluent Bit does not tell these apart

    @classmethod
    def of(cls, documents: Iterable[Document]) -> Names:
        sections = [section for document in documents for section in document.sections]
        named = [(section.kind, name.text) for section in sections if (name := section.get("name")) is not None]
        return cls(
            frozenset(text for kind, text in named if kind is Kind.PARSER),
            frozenset(lower(text) for kind, text in named if kind is Kind.MULTILINE_PARSER),
        )


def secret_name(tenant: str, key: str) -> str:
    """The variable that stands for a tenant's secret. A tenant's name has no dots, so no other gives the same."""
    return f"{PREFIX}{tenant}.{key}"


def secret_of(variable: str) -> tuple[str, str] | None:
    """Tenant and key of such a variable; None for any other."""
    if not variable.startswith(PREFIX):
        return None
    tenant, _, key = variable[len(PREFIX) :].partition(".")
    return (tenant, key) if key else None


def private_sections(
    snippet: Snippet, document: Document, grants: Grants, names: Names, *, offsets: str | None, buffers: bool
) -> tuple[tuple[Located, ...], tuple[Finding, ...]]:
    """The sections of a snippet that policy let through, in the tenant's name space, and what is said about that.

    `offsets`: directory for the position files of inputs; None: there is none. `buffers`: records can be kept on disk.
    """
    turning = _Turning(snippet, grants, names, offsets, buffers, [])
    sections = [turning.section(number, section) for number, section in enumerate(document.sections)]
    return tuple(Located(snippet, section) for section in sections), tuple(turning.said)


@dataclass(frozen=True, slots=True)
class _Turning:
    snippet: Snippet
    grants: Grants
    names: Names
    offsets: str | None
    buffers: bool
    said: list[Finding]

    @property
    def tenant(self) -> str:
        return self.snippet.tenant or ""

    @property
    def prefix(self) -> str:
        return f"{PREFIX}{self.tenant}."

    def section(self, number: int, section: Section) -> Section:
        plugin = lower(section.get("name").text) if section.kind in PLUGIN_KINDS else ""  # type: ignore[union-attr]
        entries = tuple(self.entry(section, plugin, entry) for entry in section.entries)
        turned = replace(section, entries=entries)
        match section.kind:
            case Kind.PARSER | Kind.MULTILINE_PARSER:
                return _saying(turned, [("name", self.prefix + section.get("name").text)])  # type: ignore[union-attr]
            case Kind.INPUT:
                return _saying(turned, [*self._named(number, section, plugin), *self._kept(section, plugin)])
            case Kind.OUTPUT:
                return _saying(turned, [*self._named(number, section, plugin), *self._bounded(section, plugin)])
            case _:
                return _saying(turned, self._named(number, section, plugin))

    def entry(self, section: Section, plugin: str, entry: Entry) -> Entry:
        sort = sort_of(section.kind, plugin, lower(entry.key))
        return replace(entry, value=self.node(section, plugin, entry, entry.value, sort))

    def node(self, section: Section, plugin: str, entry: Entry, node: Node, sort: Sort) -> Node:
        match node:
            case Scalar():
                return replace(node, text=self.text(section, plugin, entry, node.text, sort))
            case NodeSequence():
                items = tuple(self.node(section, plugin, entry, item, sort) for item in node.items)
                return replace(node, items=items)
            case Group():  # rules of a multiline parser name nothing; what is under `to` of a route names outputs
                return replace(node, entries=tuple(self.routed(inner, sort) for inner in node.entries))

    def routed(self, entry: Entry, sort: Sort) -> Entry:
        to = Sort.ALIAS if sort is Sort.ALIAS or (sort is Sort.ROUTES and lower(entry.key) == "to") else sort
        return replace(entry, value=self.targets(entry.value, to))

    def targets(self, node: Node, sort: Sort) -> Node:
        match node:
            case Scalar():
                return replace(node, text=self.prefix + node.text) if sort is Sort.ALIAS else node
            case NodeSequence():
                return replace(node, items=tuple(self.targets(item, sort) for item in node.items))
            case Group():
                return replace(node, entries=tuple(self.routed(inner, sort) for inner in node.entries))

    def text(self, section: Section, plugin: str, entry: Entry, text: str, sort: Sort) -> str:
        match sort:
            case Sort.TAG:
                return self.tag(text)
            case Sort.MATCH:
                return self.pattern(text)
            case Sort.ALIAS:
                return self.prefix + text
            case Sort.PARSER:
                return self.parsers(text, multiline=lower(entry.key) == "multiline.parser")
            case Sort.TEXT:
                return VARIABLE.sub(lambda found: f"${{{secret_name(self.tenant, found[1])}}}", text)
            case Sort.RULE:
                return self.rewriting(text)
            case _:
                return text

    def tag(self, text: str) -> str:
        return text if text.startswith(self.prefix) else self.prefix + text

    def pattern(self, text: str) -> str:
        """A pattern that a subscription covers means the platform's records, any other one the tenant's own."""
        if text.startswith(self.prefix) or subscription(self.grants, text) is not None:
            return text
        return self.prefix + text

    def parsers(self, text: str, *, multiline: bool) -> str:
        words = [word.strip() for word in text.split(",")] if multiline else [text]
        own = self.names.multiline if multiline else self.names.parsers
        return ",".join(self.prefix + w if (lower(w) if multiline else w) in own else w for w in words)

    def rewriting(self, text: str) -> str:
        """A rule of `rewrite_tag`: key, regular expression, new tag, whether to keep."""
        words = text.split(" ")
        words = [word for word in words if word]
        if len(words) >= 3:
            words[2] = self.tag(words[2])
        return " ".join(words)

    # --- what is always said ----------------------------------------------------------------------------------

    def _named(self, number: int, section: Section, plugin: str) -> list[tuple[str, str]]:
        said: list[tuple[str, str]] = []
        keys = {lower(entry.key) for entry in section.entries}
        if "alias" not in keys:
            said.append(("alias", f"{self.prefix}{_file(self.snippet)}.{plugin}.{number}"))
        if section.kind is Kind.INPUT and "tag" not in keys:
            said.append(("tag", f"{self.prefix}{plugin}"))
        return said

    def _kept(self, section: Section, plugin: str) -> Iterator[tuple[str, str]]:
        """An input's records on disk, and how far it has read."""
        if self.buffers:
            self._forced(section, "storage.type", "filesystem")
            yield "storage.type", "filesystem"
        told = [_text(section, key) for key in ("db", "path", "tag")]
        if plugin == "tail" and (self.offsets is not None or told[0]):
            name = hashlib.sha256("\0".join(told[:1] if told[0] else told).encode()).hexdigest()[:16]
            private = f"{self.prefix}{name}.db"  # so that no tenant comes into conflict with another one
            yield "db", private if self.offsets is None else posixpath.join(self.offsets, self.tenant, f"{name}.db")

    def _bounded(self, section: Section, plugin: str) -> Iterator[tuple[str, str]]:
        """How often an output tries again, and how much waits for it on disk."""
        limits = self.grants.limits
        retries = _text(section, "retry_limit")
        wanted = lower(retries)
        if wanted != "no_retries":
            number = int(retries) if re.fullmatch(r"[0-9]{1,9}", retries) else 0
            count = str(min(number, limits.retries) or limits.retries)
            if retries:
                self._forced(section, "retry_limit", count)
            yield "retry_limit", count
        asked = bytes_of(_text(section, "storage.total_limit_size")) or 0
        whole = str(min(asked, limits.buffer) or limits.buffer)
        if asked != int(whole):
            self._forced(section, "storage.total_limit_size", whole)
        yield "storage.total_limit_size", whole
        yield from self._threads(section, plugin)

    def _threads(self, section: Section, plugin: str) -> Iterator[tuple[str, str]]:
        """At least one of its own: without, it works in the thread of all, which waits with it (oauth2, 5.1.1)."""
        written, most = _text(section, "workers"), max(1, self.grants.limits.workers)
        if re.fullmatch("0+", written):
            self._forced(section, "workers", "1")
            yield "workers", "1"
        elif not written and (most < 2 or plugin not in OUTPUTS):
            yield "workers", "1"

    def _forced(self, section: Section, key: str, value: str) -> None:
        """Say so, where somebody asked for something else."""
        for entry in section.entries:
            if lower(entry.key) == key and isinstance(entry.value, Scalar) and lower(entry.value.text) != value:
                message = f"{key_shown(key)} is {value} here, not '{entry.value.text}': more is not granted"
                snippet = self.snippet
                found = Finding(Severity.INFO, "forced-property", message, "", snippet.name, snippet.path, entry.line)
                self.said.append(found)


def subscription(grants: Grants, match: str) -> int | None:
    """Which subscription gives the records of that pattern: the first that covers it."""
    return next((n for n, each in enumerate(grants.subscribe) if covers(each.match, match)), None)


def _saying(section: Section, told: Iterable[tuple[str, str]]) -> Section:
    """The section with these properties in place of the author's."""
    left = dict(told)
    entries = [
        Entry(lower(entry.key), Scalar(left.pop(lower(entry.key)), entry.line), entry.line)
        if lower(entry.key) in left
        else entry
        for entry in section.entries
    ]
    entries += [Entry(key, Scalar(text, section.line), section.line) for key, text in left.items()]
    return replace(section, entries=tuple(entries))


def _text(section: Section, key: str) -> str:
    found = section.get(key)
    return found.text if found is not None else ""


def _file(snippet: Snippet) -> str:
    """The name of the file as part of an alias; another file gives another one."""
    name = posixpath.basename(snippet.name)
    plain = _TYPE.sub("-", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
