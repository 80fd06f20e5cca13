"""What do the base's main file and its includes hold, and what does a platform snippet include?

Includes are followed as Fluent Bit resolves them (tried on 5.1.1):

- Classic: a name without `*` is looked for in the working directory, then in the main file's real directory; a
  pattern with `*` in the latter only. A pattern that matches nothing, a file that is missing or read twice: refused.
- YAML: both start at the directory of the including file. A relative pattern that matches nothing is only a warning,
  everything else is refused as above; "twice" goes by the spelling of the path.
- Only `*` makes a pattern, then `?` and `[..]` count too; names that begin with a dot need one in the pattern.
  `${NAME}` is not expanded. What is included is read in the format of the main file, whatever its name ends in.

Matches are sorted here (Fluent Bit takes them in the order of the directory, which differs from copy to copy).
What is gone from sight is kept: a file that is named, for as long as it is still named; the files of a pattern by
the rules that hold for a layer's directory.
"""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass

from supervisor.adapters.sources.disk import Directory, State, View, canonical, failed_view, is_odd
from supervisor.adapters.sources.files import Seen, Trouble, shown
from supervisor.adapters.sources.round import Round
from supervisor.adapters.sources.settle import Held, Notes, Place, Rules, Tick
from supervisor.config.parse import is_yaml, parse, parse_as_yaml
from supervisor.model import Finding, Include, Kind, Parsed, Scalar, Severity, Snippet, Trust

CLASSIC_LIMIT = 1000  # Fluent Bit's own, main file included
YAML_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class BaseFile:
    snippet: Snippet
    parsed: Parsed


@dataclass(frozen=True, slots=True)
class BaseReading:
    files: tuple[BaseFile, ...] = ()
    includes: tuple[Include, ...] = ()
    directory: str = ""  # the main file's real directory


class BaseReader:
    """A main file and all that it includes, and what is remembered of them. Blocking; one thread at a time.

    The main file is the base's, or (with `follow`) a snippet that includes other files.
    """

    def __init__(self, main: str, cwd: str, *, cap: int, layer: str = "base", trust: Trust = Trust.BASE) -> None:
        self.main = os.path.join(cwd, main)
        self.cwd = cwd
        self.layer, self.trust = layer, trust
        self._cap = cap
        self._yaml = is_yaml(self.main)
        self._held: dict[str, Held] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self._seeds: dict[str, Seen] = {}

    def seed(self, snippet: Snippet) -> None:
        self._seeds[snippet.path] = Seen(snippet.content, snippet.digest)
        self._held.setdefault(snippet.path, Held(self._seeds[snippet.path]))

    def read(self, files: Round, tick: Tick, rules: Rules, notes: Notes) -> BaseReading:
        """Raises `Moved` when a volume switched meanwhile: read again, with a new round."""
        notes.watch(os.path.dirname(self.main), os.path.basename(self.main))
        directory = os.path.dirname(canonical(self.main))
        notes.watch(directory, os.path.basename(canonical(self.main)))
        walk = _Walk(self, files, tick, rules, notes, directory)
        walk.main()
        return self._reading(walk)

    def follow(self, content: Seen, files: Round, tick: Tick, rules: Rules, notes: Notes) -> BaseReading:
        """As `read`, for a main file that somebody else has read and settled."""
        walk = _Walk(self, files, tick, rules, notes, os.path.dirname(canonical(self.main)))
        walk.begin(content)
        return self._reading(walk)

    def _reading(self, walk: _Walk) -> BaseReading:
        self._held = {path: held for path, held in self._held.items() if path in walk.visited or not walk.sure}
        return BaseReading(tuple(walk.files), tuple(walk.includes), walk.directory)

    def parse(self, content: bytes, path: str) -> Parsed:
        return parse_as_yaml(content) if self._yaml else parse(content, "base.conf" if is_yaml(path) else path)

    def name_of(self, path: str, directory: str) -> str:
        for beside in (os.path.dirname(self.main), directory):
            if path.startswith(beside.rstrip("/") + "/"):
                return f"{self.layer}/{shown(os.path.relpath(path, beside))}"
        return f"{self.layer}/{shown(path.lstrip('/'))}"

    # --- memory -----------------------------------------------------------------------------------------------

    def file(self, path: str, walk: _Walk) -> tuple[Seen | None, Seen]:
        """What counts for a file that is named, and what was seen."""
        held = self._held.setdefault(path, Held())
        seen = walk.round.read(path, self._cap)
        looked_at, held.looked_at = held.looked_at, walk.tick.now
        if seen.trouble is None:
            held.take(seen, walk.tick, walk.rules, walk.notes, looked_at)
        else:
            held.pending = held.restless_since = None
        return held.accepted, seen

    def remembers(self, path: str) -> bool:
        held = self._held.get(path)
        return held is not None and held.accepted is not None

    def matches(self, directory: str, pattern: str, walk: _Walk) -> dict[str, Seen]:
        """The files of one directory that match, by name."""
        place = self._place(directory, pattern)
        title = f"{shown(directory)} (for {shown(pattern)})"
        troubles = place.take(self._look(directory, pattern, walk), walk.tick, walk.rules, walk.notes, title)
        for name, trouble in troubles.items():
            walk.trouble(os.path.join(directory, name), trouble, name in place.accepted())
        return place.accepted()

    def _place(self, directory: str, pattern: str) -> Place:
        key = (directory, pattern)
        if key not in self._places:
            self._places[key] = Place()
            for path, seen in self._seeds.items():
                if os.path.dirname(path) == directory and _matching(os.path.basename(path), pattern):
                    self._places[key].seed(os.path.basename(path), seen)
        return self._places[key]

    def _look(self, directory: str, pattern: str, walk: _Walk) -> View:
        try:
            opened = walk.round.directory(canonical(directory))
            names = [name for name in opened.names_with_dots() if _matching(name, pattern)]
            changed_at = opened.changed_at()
            files = {name: self._entry(opened, name) for name in names[:YAML_LIMIT]}
            walk.notes.watch(opened.watched)
            kept = {n: s for n, s in files.items() if self._yaml or s.detail != "a directory"}
            return View(
                State.PRESENT,
                stand=opened.stand(),
                volume=opened.volume,
                changed_at=changed_at,
                watched=opened.watched,
                files=kept,
            )
        except OSError as error:
            walk.notes.watch(os.path.dirname(directory), os.path.basename(directory))
            return failed_view(error)

    def _entry(self, directory: Directory, name: str) -> Seen:
        if is_odd(name):
            return Seen(trouble=Trouble.ODD_NAME, detail="a name that is not printable UTF-8 of at most 240 bytes")
        return directory.read(name, self._cap)


class _Walk:
    """One pass from the main file through all includes, depth first."""

    def __init__(self, base: BaseReader, files: Round, tick: Tick, rules: Rules, notes: Notes, directory: str) -> None:
        self.base = base
        self.round = files
        self.tick = tick
        self.rules = rules
        self.notes = notes
        self.directory = directory
        self.files: list[BaseFile] = []
        self.includes: list[Include] = []
        self.visited: set[str] = set()
        self.sure = True  # every directive was seen, so what was not visited is not named any more
        self._real: dict[str, str] = {}  # canonical path → snippet, of all that was read
        self._spelled: set[str] = set()
        self._limit = YAML_LIMIT if is_yaml(base.main) else CLASSIC_LIMIT

    def main(self) -> None:
        path = self.base.main
        content, seen = self.base.file(path, self)
        if seen.trouble is not None:
            rule = "base-missing" if seen.trouble is Trouble.MISSING else seen.trouble.value
            self._unreadable(rule, path, seen, content is not None, Finding(Severity.ERROR, rule, ""))
        if content is None:
            self.sure = False
        else:
            self.begin(content)

    def begin(self, content: Seen) -> None:
        self._spelled.add(self.base.main)
        self._enter(self.base.main, content, ())

    def trouble(self, path: str, seen: Seen, kept: bool) -> None:
        rule = seen.trouble.value if seen.trouble else ""
        self._unreadable(rule, path, seen, kept, Finding(Severity.ERROR, rule, ""))

    def _unreadable(self, rule: str, path: str, seen: Seen, kept: bool, at: Finding) -> None:
        what = "is not there" if seen.trouble is Trouble.MISSING else f"cannot be read: {seen.detail}"
        stays = "; what was read last stays" if kept else ""
        name = self.base.name_of(path, self.directory)
        message = f"{shown(path)} {what}{stays}"
        self.notes.findings.append(Finding(at.severity, rule, message, snippet=name, path=shown(path)))
        self.notes.alarms.append(message)

    def _enter(self, path: str, content: Seen, chain: tuple[str, ...]) -> None:
        """Take one file in and follow its includes. `chain`: the files that led here, canonical."""
        real = canonical(path)
        if real in self._real:
            return  # YAML by another spelling: it counts once more, but there is nothing more to read
        name = self._name(path)
        self._real[real] = name
        self.visited.add(path)
        snippet = Snippet(name, self.base.layer, self.base.trust, path, content.content, content.digest)
        parsed = self.base.parse(content.content, path)
        self.files.append(BaseFile(snippet, parsed))
        if parsed.document is None:
            self.sure = False
            return
        for section in parsed.document.sections:
            if section.kind is not Kind.INCLUDE:
                continue
            for entry in section.entries:
                if isinstance(entry.value, Scalar):
                    self._include(snippet, entry.value, (*chain, real))

    def _name(self, path: str) -> str:
        name = self.base.name_of(path, self.directory)
        return name if name not in self._real.values() else f"{self.base.layer}/{shown(path.lstrip('/'))}"

    def _include(self, includer: Snippet, pattern: Scalar, chain: tuple[str, ...]) -> None:
        start = len(self.includes)
        found = self._found(includer, pattern)
        targets = [path for path, _ in found if self._allowed(includer, pattern, path, chain)]
        self.includes.append(Include(includer.path, pattern.line, pattern.text, tuple(targets)))
        for path, content in found:
            if path in targets and (content := content or self._content(includer, pattern, path)) is not None:
                self._enter(path, content, chain)
            elif path in targets:
                targets.remove(path)
        self.includes[start] = Include(includer.path, pattern.line, pattern.text, tuple(targets))

    def _content(self, includer: Snippet, pattern: Scalar, path: str) -> Seen | None:
        content, seen = self.base.file(path, self)
        self.visited.add(path)
        self.notes.watch(os.path.dirname(path), os.path.basename(path))
        if seen.trouble is Trouble.NOT_A_FILE and seen.detail == "a directory" and not is_yaml(self.base.main):
            return None  # classic reads a directory as an empty file
        if seen.trouble is Trouble.MISSING and content is None:
            self._complain(includer, pattern, "include-missing", f"{shown(path)} is not there")
        elif seen.trouble is not None:
            rule = "include-missing" if seen.trouble is Trouble.MISSING else seen.trouble.value
            self._unreadable(rule, path, seen, content is not None, Finding(Severity.ERROR, rule, ""))
        return content

    def _found(self, includer: Snippet, pattern: Scalar) -> list[tuple[str, Seen | None]]:
        """Paths in order; with their content where a whole directory was read."""
        yaml = is_yaml(self.base.main)
        beside = os.path.dirname(includer.path) if yaml else self.directory
        whole = os.path.join(beside, pattern.text)
        if "*" in pattern.text:
            found = self._expand(whole)
            if not found and (not yaml or pattern.text.startswith("/")):
                self._complain(includer, pattern, "include-missing", f"{shown(pattern.text)} matches no file")
            return found
        if yaml:
            return [(whole, None)]
        candidates = [os.path.join(self.base.cwd, pattern.text), whole]
        there = next((path for path in candidates if self.round.exists(path)), None)
        known = next((path for path in candidates if self.base.remembers(path)), None)
        for path in candidates:
            self.notes.watch(os.path.dirname(path), os.path.basename(path))
        return [(there or known or whole, None)]

    def _expand(self, pattern: str) -> list[tuple[str, Seen | None]]:
        above, last = os.path.split(pattern)
        directories = [above] if not _magic(above) else self._directories(above)
        if not _magic(last):
            return [(os.path.join(d, last), None) for d in directories if self.round.exists(os.path.join(d, last))]
        return [
            (os.path.join(directory, name), seen)
            for directory in directories
            for name, seen in self.base.matches(directory, last, self).items()
        ]

    def _directories(self, pattern: str) -> list[str]:
        above, last = os.path.split(pattern)
        places = [above] if not _magic(above) else self._directories(above)
        if not _magic(last):
            return [os.path.join(place, last) for place in places]
        found = []
        for place in places:
            self.notes.watch(place)
            try:
                names = self.round.directory(canonical(place)).names_with_dots()
            except OSError:
                continue
            paths = [os.path.join(place, name) for name in names if _matching(name, last)]
            found += [path for path in paths if os.path.isdir(path)]
        return found

    def _allowed(self, includer: Snippet, pattern: Scalar, path: str, chain: tuple[str, ...]) -> bool:
        real = canonical(path)
        if real in chain:
            self._complain(includer, pattern, "include-loop", f"{shown(path)} includes itself in the end")
            return False
        twice = path in self._spelled if is_yaml(self.base.main) else real in self._real or path in self._spelled
        if twice:
            self._complain(includer, pattern, "include-twice", f"{shown(path)} is included a second time")
            return False
        if len(self._spelled) >= self._limit:
            self._complain(includer, pattern, "include-limit", f"more than {self._limit} files")
            return False
        self._spelled.add(path)
        return True

    def _complain(self, includer: Snippet, pattern: Scalar, rule: str, what: str) -> None:
        message = f"include {shown(pattern.text)}: {what}; Fluent Bit refuses the whole config for that"
        finding = Finding(Severity.ERROR, rule, message, snippet=includer.name, path=includer.path, line=pattern.line)
        if rule != "include-limit" or all(other.rule != rule for other in self.notes.findings):
            self.notes.findings.append(finding)


def _magic(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _matching(name: str, pattern: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatchcase(name, pattern)
