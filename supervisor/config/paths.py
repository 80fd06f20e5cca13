"""Which properties are paths, and what does a relative one mean?

A table of (kind, plugin, key) says for each path-valued property how Fluent Bit 5.1.1 resolves it and what becomes of
it when the config moves into a generation. Sources are the plugins' own code; the two ways were tried on the binary:

- parsers, plugins and streams files, Lua scripts and upstream files: as written, so relative to the working directory,
  and if nothing is there, beside the main file (its real directory, symbolic links resolved);
- everything else: relative to the working directory.

Text that makes up the pipeline is copied; secrets, certificates and look-up files stay where they are and are watched;
what is written to is named absolutely. Left as written are inputs that read files, because a tag `x.*` and `path_key`
carry the path as written, and unix sockets, because their addresses end at 108 bytes. Both go on meaning the same, as
the child keeps the working directory.

A value with `${` is left as it is, as the binary fills it in; only a file that might lie beside the main file has to be
found before, because the main file moves: for those the caller may say what the text comes to (`expand`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from posixpath import dirname, isabs, join

from supervisor.config.names import PLUGIN_KINDS, lower
from supervisor.config.path_rules import REREAD_KINDS, TABLE, Rule, Use
from supervisor.model import Document, Entry, Group, Kind, Node, Scalar, Section, Sequence

__all__ = ["REREAD_KINDS", "TABLE", "Expand", "Rule", "Use", "Wanted", "resolve", "wanted", "writable_directories"]

_FILE_URI = "file://"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that the config refers to and that has to be looked at."""

    written: str  # the path as its author wrote it, variables filled in
    candidates: tuple[str, ...]  # absolute, in the order Fluent Bit tries them
    copy: bool  # the text is part of the pipeline: it goes into the generation
    kind: str  # `parsers_file`, `lua_script`, `tls`, `env_file`, …
    line: int


Expand = Callable[[str], str | None]
"""What a text with variables comes to; None when that is not known."""


def wanted(document: Document, cwd: str, conf_dir: str, expand: Expand | None = None) -> tuple[Wanted, ...]:
    """Every file that the document refers to and that is copied or watched, each spelling once, in order.

    `cwd` is Fluent Bit's working directory, `conf_dir` the real directory of the main file.
    """
    found: dict[tuple[str, str], Wanted] = {}

    def note(want: Wanted) -> str:
        found.setdefault((want.kind, want.written), want)
        return want.written

    for section in document.sections:
        resolve(section, cwd, conf_dir, note, expand)
    return tuple(found.values())


def resolve(
    section: Section, cwd: str, conf_dir: str, place: Callable[[Wanted], str], expand: Expand | None = None
) -> Section:
    """The section with paths that do not depend on where it stands.

    What is copied or watched becomes what `place` answers, what is written becomes absolute, the rest stays.
    """
    resolver = _Resolver(cwd, conf_dir, place, expand)
    if section.kind is Kind.ENV:
        return replace(section, entries=tuple(map(resolver.variable, section.entries)))
    return replace(section, entries=resolver.entries(section.kind, section.entries))


def writable_directories(section: Section, cwd: str) -> tuple[str, ...]:
    """Absolute directories that Fluent Bit writes to for this section; unknown ones (`${`, `$`, `%`) are left out.

    That of `log_file` too: without it Fluent Bit stays on stderr (5.1.1), and to make it would take the log from there.
    """
    directories: list[str] = []
    plugin = _plugin(section.kind, section.entries)
    for entry in section.entries:
        rule = _rule(section.kind, plugin, entry, section.entries)
        if rule is None or rule.use not in (Use.FILE, Use.DIRECTORY) or rule.kind == "log_file":
            continue
        for path in _texts(entry.value):
            if _is_path(path) and "$" not in path and "%" not in path:
                absolute = path if isabs(path) else join(cwd, path)
                directories.append(dirname(absolute) if rule.use is Use.FILE else absolute)
    return tuple(dict.fromkeys(directories))


@dataclass(frozen=True, slots=True)
class _Resolver:
    cwd: str
    conf_dir: str
    place: Callable[[Wanted], str]
    expand: Expand | None

    def entries(self, kind: Kind, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        plugin = _plugin(kind, entries)
        return tuple(self.entry(kind, plugin, entry, entries) for entry in entries)

    def entry(self, kind: Kind, plugin: str, entry: Entry, siblings: tuple[Entry, ...]) -> Entry:
        key = lower(entry.key)
        if key == "processors" and kind in PLUGIN_KINDS:
            return replace(entry, value=self.processors(entry.value))
        if key == "nodes" and kind is Kind.UPSTREAM:
            return replace(entry, value=self.groups(Kind.UPSTREAM, entry.value))
        rule = _rule(kind, plugin, entry, siblings)
        return entry if rule is None else replace(entry, value=self.node(rule, entry.value))

    def processors(self, node: Node) -> Node:
        """Processors built from filters have the filters' paths."""
        if not isinstance(node, Group):
            return node
        signals = (replace(entry, value=self.groups(Kind.FILTER, entry.value)) for entry in node.entries)
        return replace(node, entries=tuple(signals))

    def groups(self, kind: Kind, node: Node) -> Node:
        if not isinstance(node, Sequence):
            return node
        items = (
            replace(item, entries=self.entries(kind, item.entries)) if isinstance(item, Group) else item
            for item in node.items
        )
        return replace(node, items=tuple(items))

    def node(self, rule: Rule, node: Node) -> Node:
        match node:
            case Scalar():
                return self.scalar(rule, node)
            case Sequence():
                return replace(node, items=tuple(self.node(rule, item) for item in node.items))
            case _:
                return node

    def scalar(self, rule: Rule, scalar: Scalar) -> Scalar:
        path = scalar.text
        if "${" in path and rule.beside_main and self.expand is not None:
            path = self.expand(path) or path
        if not _is_path(path) or (rule.kind == "plugin" and "/" not in path):
            return scalar  # a shared object without a directory is looked for by the dynamic linker
        match rule.use:
            case Use.COPIED | Use.WATCHED | Use.REREAD:
                return replace(scalar, text=self.place(self.want(rule, scalar, path)))
            case Use.FILE | Use.DIRECTORY if not scalar.text.startswith("$"):
                return replace(scalar, text=join(self.cwd, scalar.text))
            case _:
                return scalar

    def want(self, rule: Rule, scalar: Scalar, path: str) -> Wanted:
        candidates = [join(self.cwd, path)]
        if rule.beside_main and not isabs(path):
            candidates.append(join(self.conf_dir, path))
        return Wanted(path, tuple(candidates), rule.use is Use.COPIED, rule.kind, scalar.line)

    def variable(self, entry: Entry) -> Entry:
        """A variable whose value is taken from a file: `file://` in front, for a value and for an `uri` alike."""
        match entry.value:
            case Scalar() as scalar:
                return replace(entry, value=self.file_uri(scalar))
            case Group() as group:
                entries = (
                    replace(item, value=self.file_uri(item.value)) if isinstance(item.value, Scalar) else item
                    for item in group.entries
                )
                return replace(entry, value=replace(group, entries=tuple(entries)))
            case _:
                return entry

    def file_uri(self, scalar: Scalar) -> Scalar:
        path = scalar.text.removeprefix(_FILE_URI)
        if path == scalar.text or not path:
            return scalar  # any other value is a value; variables are not expanded here
        want = self.want(Rule(Use.WATCHED, "env_file"), scalar, path)
        return replace(scalar, text=_FILE_URI + self.place(want))


def _plugin(kind: Kind, entries: tuple[Entry, ...]) -> str:
    """The plugin that a section instances, lower-case; the first `name` counts, and `NAME://…` is an address."""
    if kind not in PLUGIN_KINDS:
        return ""
    for entry in entries:
        if lower(entry.key) == "name" and isinstance(entry.value, Scalar):
            return lower(entry.value.text).partition("://")[0]
    return ""


def _rule(kind: Kind, plugin: str, entry: Entry, siblings: tuple[Entry, ...]) -> Rule | None:
    key = lower(entry.key)
    rule = TABLE.get((kind, plugin, key)) or TABLE.get((kind, "*", key))
    if rule is not None and rule.without and any(lower(sibling.key) == rule.without for sibling in siblings):
        return None
    return rule


def _is_path(text: str) -> bool:
    return bool(text) and "${" not in text and text != ":memory:"


def _texts(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield node.text
        case Sequence():
            for item in node.items:
                yield from _texts(item)
