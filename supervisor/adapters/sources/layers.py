"""Which snippets do the layers' directories hold?

Platform: `*.conf`, `*.yaml` and `*.yml` right in the directory. Tenants: the same, one directory deeper, where the
directory's name is the tenant: a DNS label, and not `platform`. Names that begin with a dot are nobody's business;
any other odd name is a finding that shows it escaped. A tenant's symbolic links are never followed, save the ones
that the kubelet makes; the platform's are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from supervisor.adapters.sources.disk import TRIES, Directory, Moved, State, View, failed_view, view
from supervisor.adapters.sources.files import Seen, Trouble, shown
from supervisor.adapters.sources.settle import Notes, Place, Rules, Tick
from supervisor.model import Finding, Layer, Severity, Snippet, Trust

SUFFIXES = (".conf", ".yaml", ".yml")
RESERVED = "platform"
SHOWN = 50  # findings on the names of one directory; the rest is a number
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_HINTS = {
    Trouble.UNREADABLE: "give the supervisor's user the right to read it",
    Trouble.TOO_LARGE: "split it",
    Trouble.NOT_A_FILE: "a snippet is a regular file",
    Trouble.LINK: "put the file itself there: links of tenants are not followed",
    Trouble.ODD_NAME: "rename it",
    Trouble.TOO_MANY: "use fewer, larger files",
}


def wanted(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")


def is_tenant(name: str) -> bool:
    return _LABEL.fullmatch(name) is not None and name != RESERVED


class LayerReader:
    """One layer and what is remembered of it. Blocking; one thread at a time.

    `bounds` says for a tenant how many bytes of one file, and how many files, are read at all.
    """

    def __init__(
        self,
        layer: Layer,
        *,
        cap: int,
        limit: int,
        bounds: Callable[[str], tuple[int, int]],
    ) -> None:
        self.layer = layer
        self._cap = cap
        self._limit = limit
        self._bounds = bounds
        self._top = Place()  # for a tenants' layer: the directory above the places
        self._places: dict[str, Place] = {} if layer.trust is Trust.TENANT else {"": self._top}

    def seed(self, snippet: Snippet) -> None:
        place = self._places.setdefault(snippet.tenant or "", Place())
        place.seed(os.path.basename(snippet.name), Seen(snippet.content, snippet.digest))

    def read(self, tick: Tick, rules: Rules, notes: Notes) -> list[Snippet]:
        """What counts now, sorted by name; troubles and what is still pending go to `notes`."""
        directory = self.layer.directory
        notes.watch(os.path.dirname(os.path.abspath(directory)), os.path.basename(os.path.abspath(directory)))
        if self.layer.trust is Trust.TENANT:
            self._read_tenants(tick, rules, notes)
        else:
            seen = view(lambda: Directory.open(directory), wanted, self._cap, follow=True, limit=self._limit)
            self._judge("", seen, tick, rules, notes)
        snippets = [
            Snippet(
                name=self._identity(tenant, name),
                layer=self.layer.name,
                trust=self.layer.trust,
                path=os.path.join(directory, tenant, name),
                content=seen.content,
                digest=seen.digest,
                tenant=tenant or None,
            )
            for tenant, place in self._places.items()
            for name, seen in place.accepted().items()
        ]
        return sorted(snippets, key=lambda snippet: snippet.name)

    def _identity(self, tenant: str, name: str) -> str:
        return "/".join(filter(None, (self.layer.name, tenant, shown(name))))

    def _judge(self, tenant: str, seen: View, tick: Tick, rules: Rules, notes: Notes) -> None:
        directory = os.path.join(self.layer.directory, tenant) if tenant else self.layer.directory
        place = self._places.setdefault(tenant, Place())
        if seen.state is State.PRESENT:
            notes.watch(seen.watched)
        troubles = place.take(seen, tick, rules, notes, shown(directory))
        kept = place.accepted()
        for name, trouble in list(troubles.items())[:SHOWN]:
            notes.findings.append(self._finding(tenant, name, trouble, name in kept))
            if trouble.trouble is Trouble.UNREADABLE:
                stays = "; its last version stays" if name in kept else ""
                notes.alarms.append(f"{shown(os.path.join(directory, name))} cannot be read ({trouble.detail}){stays}")
        if len(troubles) > SHOWN:
            message = f"{len(troubles) - SHOWN} more files in {shown(directory)} are not usable"
            notes.findings.append(Finding(Severity.ERROR, Trouble.TOO_MANY, message, path=shown(directory)))

    def _finding(self, tenant: str, name: str, seen: Seen, kept: bool) -> Finding:
        assert seen.trouble is not None
        what = (
            f"cannot be read: {seen.detail}" if seen.trouble is Trouble.UNREADABLE else f"was not read: {seen.detail}"
        )
        after = "its last version stays" if kept else "it is left out"
        path = shown(os.path.join(self.layer.directory, tenant, name))
        message = f"{shown(name)} {what}; {after}"
        hint = _HINTS.get(seen.trouble, "")
        return Finding(Severity.ERROR, seen.trouble, message, hint, self._identity(tenant, name), path)

    # --- the tenants' directories -----------------------------------------------------------------------------

    def _read_tenants(self, tick: Tick, rules: Rules, notes: Notes) -> None:
        above, views, findings = self._views()
        known = any(place.known for place in self._places.values())
        title = shown(self.layer.directory)
        if reason := self._top.lost(above, known, not views):
            if above.state is State.RESTLESS:
                notes.moving = notes.pending = True
                notes.look_at(tick.now + rules.quiet)
            else:
                notes.alarms.append(f"{title} {reason}" + ("; what was read last stays" if known else ""))
            return
        if above.state is State.PRESENT:
            notes.watch(above.watched)
        notes.findings.extend(findings)
        for tenant, seen in views.items():
            self._judge(tenant, seen, tick, rules, notes)
        others = any(seen.files for seen in views.values())
        for tenant in [name for name in self._places if name not in views]:
            if above.volume and others and not rules.at_once:
                del self._places[tenant]  # one generation of one volume: this is an answer, not a loss
                continue
            gone = View(State.PRESENT, stand=None, volume=True, files={})
            self._judge_gone(tenant, gone, tick, rules, notes)
        self._places = {name: place for name, place in self._places.items() if name in views or place.known}

    def _judge_gone(self, tenant: str, gone: View, tick: Tick, rules: Rules, notes: Notes) -> None:
        """A tenant's directory that is not there any more counts as one that became empty."""
        title = shown(os.path.join(self.layer.directory, tenant))
        self._places[tenant].take(gone, tick, rules, notes, title)

    def _views(self) -> tuple[View, dict[str, View], list[Finding]]:
        """All tenants' directories; of one generation when the layer is a volume."""
        for _ in range(TRIES):
            try:
                with Directory.open(self.layer.directory) as top:
                    names = top.names()
                    tenants = [name for name in names if is_tenant(name) and top.is_directory(name)]
                    views = {name: self._view(top, name) for name in tenants}
                    findings = self._strangers(top, set(names) - set(tenants))
                    above = View(State.PRESENT, stand=top.stand(), volume=top.volume, watched=top.watched)
                    if top.unchanged():
                        return above, views, findings
            except Moved:
                continue
            except OSError as error:
                return failed_view(error), {}, []
        return View(State.RESTLESS), {}, []

    def _view(self, top: Directory, tenant: str) -> View:
        size, files = self._bounds(tenant)
        cap, limit = min(self._cap, size), min(self._limit, files)
        return view(lambda: top.inside(tenant), wanted, cap, follow=False, limit=limit)

    def _strangers(self, top: Directory, names: set[str]) -> list[Finding]:
        """What lies beside the tenants' directories and looks as if somebody expected it to count."""
        findings = []
        for name in sorted(names):
            path = shown(os.path.join(self.layer.directory, name))
            if top.is_directory(name) or top.is_link(name):
                rule, why = self._stranger(top, name)
                message = f"directory {shown(name)} is left out: {why}"
                findings.append(Finding(Severity.ERROR, rule, message, "rename it", path=path))
            elif wanted(name):
                message = f"{shown(name)} is left out: it lies beside the tenants' directories"
                hint = "move it into the directory of its tenant"
                findings.append(Finding(Severity.ERROR, "no-tenant", message, hint, path=path))
        if len(findings) > SHOWN:
            more = f"{len(findings) - SHOWN} more names in {shown(self.layer.directory)} are not usable"
            findings[SHOWN:] = [Finding(Severity.ERROR, Trouble.TOO_MANY, more, path=shown(self.layer.directory))]
        return findings

    def _stranger(self, top: Directory, name: str) -> tuple[str, str]:
        if name == RESERVED:
            return "reserved-tenant", "the name is reserved"
        if top.is_link(name):
            return Trouble.LINK, "it is a symbolic link, and those of tenants are not followed"
        return "tenant-name", "a tenant is named by a DNS label (a-z, 0-9 and hyphens, at most 63)"
