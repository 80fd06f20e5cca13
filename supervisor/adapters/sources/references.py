"""Which other files does that config depend on, and what do they hold?

Text that is copied into the generation is read whole, by the rules that hold for snippets. Everything else (TLS files,
credentials, look-up tables, secrets) is only watched: its content never leaves the reading, and its digest is keyed, so
that a short secret cannot be found by trying. With the same key it is the same after a restart.

- `${NAME}` in base and platform text is the platform's secret when that file exists, else the environment's business.
- `${NAME}` of a tenant is a file in the tenant's own secrets, and is noted by its path, there or not.
- Any other path that a tenant names is looked at only when it was granted, by its name and by where it really leads.
- What Fluent Bit reads again by itself (rotating tokens) has a constant digest: a change is no reason to apply.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from supervisor.adapters.sources.files import Seen, Trouble, shown
from supervisor.adapters.sources.round import Round
from supervisor.adapters.sources.settle import Held, Notes, Rules, Tick
from supervisor.config.parse import parse
from supervisor.config.paths import REREAD_KINDS, Wanted, wanted
from supervisor.config.shapes.globs import split_paths
from supervisor.model import EXPANDS, LEADS_OUT, Document, Group, Kind, Node, Reference, Scalar, Snippet, Trust

ROTATING = "rotating"
WRITING = "is still being written"
GLOB_LIMIT = 20_000  # files of one tenant that are looked at in one round
NAMES_LIMIT = 200_000  # names in directories that are read for it, whether they match or not
_NO_FILE = "was not read: a "  # named pipe, socket, device
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_][A-Za-z0-9_.-]*?)(?::-[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Needs:
    """What one text refers to."""

    files: tuple[Wanted, ...] = ()
    variables: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()  # of files that inputs read


@dataclass(slots=True)
class _Effort:
    """What was spent on the patterns of one tenant. Links to `.` make any number of directories out of one."""

    files: int = 0
    names: int = 0

    def matching(self, pattern: str) -> Iterator[str]:
        """What glob(3) finds, in any order, as long as there is effort left."""
        parts = pattern.split("/")[1:]
        wild = [re.compile(fnmatch.translate(part)) if set(part) & set("*?") else None for part in parts]
        waiting = [("", 0)]
        while waiting and self.names <= NAMES_LIMIT:
            above, at = waiting.pop()
            self.names += 1
            while at < len(parts) and wild[at] is None:
                above, at = f"{above}/{parts[at]}", at + 1
            if at < len(parts):
                names = self._names(above or "/", hidden=parts[at].startswith("."))
                waiting += ((f"{above}/{name}", at + 1) for name in names if wild[at].match(name))  # type: ignore[union-attr]
            elif os.path.lexists(above):
                yield above

    def _names(self, directory: str, *, hidden: bool) -> Iterator[str]:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    self.names += 1
                    if self.names > NAMES_LIMIT:
                        return
                    if hidden or not entry.name.startswith("."):
                        yield entry.name
        except OSError:
            return


class ReferenceReader:
    """Files that are referred to and what is remembered of them. Blocking; one thread at a time."""

    def __init__(self, *, cwd: str, secrets: str, cap: int, key: bytes, granted: Callable[[str, str], bool]) -> None:
        self._cwd = cwd
        self._secrets = os.path.abspath(secrets)
        self._cap = cap
        self._key = key
        self._granted = granted
        self._held: dict[str, Held] = {}
        self._needs: dict[tuple[str, str, str], Needs] = {}
        self._fresh: dict[tuple[str, str, str], Needs] = {}
        self._visited: set[str] = set()
        self._efforts: dict[str, _Effort] = {}  # by tenant
        self._once_there: set[str] = set()  # platform secrets that were read at some time

    def seed(self, reference: Reference) -> None:
        if reference.digest is not None:
            if os.path.dirname(reference.path) == os.path.join(self._secrets, "platform"):
                self._once_there.add(reference.path)
            seen = Seen(reference.content or b"", reference.digest)
            self._held.setdefault(reference.path, Held(seen))

    def begin(self) -> None:
        """Before each pass over all texts; `end` after it, when it was whole."""
        self._fresh = {}
        self._visited = set()
        self._efforts = {}

    def end(self) -> None:
        self._needs = self._fresh
        self._held = {path: held for path, held in self._held.items() if path in self._visited}

    def needs(self, snippet: Snippet, conf_dir: str, document: Document | None = None) -> Needs:
        """Parsing is the dear part of a look, so the answer is kept for as long as the text is the same."""
        key = (snippet.digest, snippet.path, conf_dir)
        if key not in self._fresh:
            known = self._needs.get(key)
            self._fresh[key] = known if known is not None else self._needs_of(snippet, conf_dir, document)
        return self._fresh[key]

    def _needs_of(self, snippet: Snippet, conf_dir: str, document: Document | None) -> Needs:
        if document is None:
            document = parse(snippet.content, snippet.path).document
        if document is None:
            return Needs()
        names = frozenset(_variables(document)) if b"${" in snippet.content else frozenset[str]()
        patterns = tuple(_tailed(document)) if snippet.trust is Trust.TENANT else ()
        return Needs(wanted(document, self._cwd, conf_dir), names, patterns)

    # --- files ------------------------------------------------------------------------------------------------

    def files(
        self, snippet: Snippet, needs: Needs, files: Round, tick: Tick, rules: Rules, notes: Notes
    ) -> Iterator[Reference]:
        for want in needs.files:
            paths = [path for path in map(os.path.normpath, want.candidates) if self._may(snippet, path)]
            if not paths:
                continue
            for path in paths:
                notes.watch(os.path.dirname(path), os.path.basename(path))
            path = next((path for path in paths if files.exists(path)), paths[0])
            found = self._reference(path, want, files, tick, rules, notes)
            if snippet.trust is Trust.TENANT and found.problem.startswith(_NO_FILE):
                # Fluent Bit would wait for whoever writes into a pipe: nobody's records would go on (5.1.1).
                found = Reference(path, None, problem=f"{LEADS_OUT}: {shown(path)} {found.problem}")
            yield found
        for pattern in needs.patterns if snippet.trust is Trust.TENANT else ():
            if self._granted(snippet.tenant or "", pattern) and (problem := self._leads_out(snippet, pattern)):
                yield Reference(pattern, None, problem=problem)

    def _leads_out(self, snippet: Snippet, pattern: str) -> str:
        """What a tenant's tail would follow to a place that was not granted, at this moment."""
        effort = self._efforts.setdefault(snippet.tenant or "", _Effort())
        for path in effort.matching(pattern):
            effort.files += 1
            if effort.files > GLOB_LIMIT:
                break
            real = os.path.realpath(path)
            if real != path and not self._granted(snippet.tenant or "", real):
                return f"{LEADS_OUT}: {shown(path)} is a link to {shown(real)}"
        if effort.files > GLOB_LIMIT or effort.names > NAMES_LIMIT:
            return f"{LEADS_OUT}, for all that is known: to find what {shown(pattern)} is takes too long"
        return ""

    def _may(self, snippet: Snippet, path: str) -> bool:
        if snippet.trust is not Trust.TENANT:
            return True
        tenant = snippet.tenant or ""
        return self._granted(tenant, path) and self._granted(tenant, os.path.realpath(path))

    def _reference(self, path: str, want: Wanted, files: Round, tick: Tick, rules: Rules, notes: Notes) -> Reference:
        if want.kind in REREAD_KINDS:
            there = files.exists(path)
            return Reference(path, ROTATING if there else None, problem="" if there else "is not there")
        seen = files.read(path, self._cap) if want.copy else files.digest(path, self._key)
        kept, problem = self._judge(path, seen, tick, rules, notes)
        if kept is None:
            return Reference(path, None, problem=problem)
        return Reference(path, kept.digest, kept.content if want.copy else None, problem)

    def _judge(self, path: str, seen: Seen, tick: Tick, rules: Rules, notes: Notes) -> tuple[Seen | None, str]:
        """What counts, and what is to be said about it. Only what cannot be read is kept; what is gone is gone."""
        self._visited.add(path)
        held = self._held.setdefault(path, Held())
        looked_at, held.looked_at = held.looked_at, tick.now
        match seen.trouble:
            case None | Trouble.MISSING:
                held.take(seen, tick, rules, notes, looked_at)
                if held.accepted is None:
                    return None, "is not there" if seen.trouble else WRITING
                return held.accepted, held.accepted.detail
            case Trouble.UNREADABLE if held.accepted is not None:
                notes.alarms.append(f"{shown(path)} cannot be read ({seen.detail}); what was read last stays")
                return held.accepted, f"cannot be read: {seen.detail}"
            case Trouble.UNREADABLE:
                return None, f"cannot be read: {seen.detail}"
            case _:
                return None, f"was not read: {seen.detail}"

    # --- secrets ----------------------------------------------------------------------------------------------

    def platform_secret(self, name: str, files: Round, tick: Tick, rules: Rules, notes: Notes) -> Reference | None:
        """None: there is no such file, so the variable comes from the environment."""
        path = os.path.join(self._secrets, "platform", name)
        reference = self._secret(path, files, tick, rules, notes)
        if reference.problem == WRITING:
            notes.moving = True  # worth waiting for: without it the variable would be empty
        if reference.digest is None and reference.problem == "is not there":
            return Reference(path, None, problem="is gone") if path in self._once_there else None
        self._once_there.add(path)
        return reference

    def tenant_secret(self, tenant: str, name: str, files: Round, tick: Tick, rules: Rules, notes: Notes) -> Reference:
        """There or not: for a tenant there is no other place that it could come from."""
        path = os.path.join(self._secrets, tenant, name)
        reference = self._secret(path, files, tick, rules, notes)
        if reference.problem == WRITING:
            notes.moving = True
        accepted = self._held[path].accepted if path in self._held else None
        if reference.digest is not None and accepted is not None and accepted.expands:
            return Reference(path, None, problem=EXPANDS)
        return reference

    def _secret(self, path: str, files: Round, tick: Tick, rules: Rules, notes: Notes) -> Reference:
        directory = os.path.dirname(path)
        notes.watch(directory)
        notes.watch(os.path.dirname(directory), os.path.basename(directory))
        kept, problem = self._judge(path, files.digest(path, self._key), tick, rules, notes)
        return Reference(path, kept.digest if kept else None, problem=problem)


def _tailed(document: Document) -> Iterator[str]:
    for section in document.sections:
        if section.kind is Kind.INPUT:
            for entry in section.entries:
                if entry.key.lower() == "path" and isinstance(entry.value, Scalar):
                    yield from split_paths(entry.value.text)


def _variables(document: Document) -> Iterator[str]:
    for section in document.sections:
        for entry in section.entries:
            yield from _in_node(entry.value)


def _in_node(node: Node) -> Iterator[str]:
    match node:
        case Scalar():
            yield from _VARIABLE.findall(node.text)
        case Group():
            for entry in node.entries:
                yield from _in_node(entry.value)
        case _:
            for item in node.items:
                yield from _in_node(item)
