"""What of that is finished, and what was only lost from sight?

No clock and no file here: every moment comes as a `Tick`. The rules, for one file in a plain directory:

- New content (or absence) counts after two equal readings, once the file has stood still for `quiet`. The time before
  the first reading counts too, as far as the file's own stamps tell it and cannot be lying: not longer than the
  time since the directory was looked at before. The two readings are never closer than a third of `quiet`.
- Content that does not end in a line feed may be a torn first part: it must stand still for `torn` (2 s). An empty
  file is such content too: it is what a truncate-and-write leaves for a moment.
- A file that moves holds the others back, because they may belong together, but not longer than `max_wait`; then they
  go on and it keeps its last settled content. One that stands still and only lacks its line feed holds nobody.

What comes out of a volume's generation is complete by construction and counts at once, removals too.

Not seen is not removed. The last settled content stays, with an alarm, for as long as the directory is missing,
unreadable, no longer mounted, or covered by another, empty one; and for `vanish_grace` when it became empty, or when
a snippet that was accepted before our start is not there yet. Removing one file beside others counts like any change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.adapters.sources.disk import Stand, State, View
from supervisor.adapters.sources.files import Seen, Trouble, missing
from supervisor.model import Finding


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment by both clocks, in seconds."""

    now: float  # monotonic
    wall: float  # since the epoch; only ever compared with the stamps of files


@dataclass(frozen=True, slots=True)
class Rules:
    """All in seconds. `at_once`: take everything as it is read (for a single reading without waiting)."""

    quiet: float
    max_wait: float
    vanish_grace: float
    torn: float = 2.0
    at_once: bool = False


@dataclass(slots=True)
class Notes:
    """What one look gathers besides content."""

    findings: list[Finding] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    moving: bool = False  # something that others should wait for
    pending: bool = False  # something is not settled yet
    due: float | None = None  # when to look again without being told, monotonic
    watched: dict[str, set[str] | None] = field(default_factory=dict)  # directory → names that matter; None: all

    def look_at(self, moment: float) -> None:
        self.due = moment if self.due is None else min(self.due, moment)

    def watch(self, directory: str, name: str | None = None) -> None:
        if name is None:
            self.watched[directory] = None
        elif (names := self.watched.setdefault(directory, set())) is not None:
            names.add(name)


@dataclass(slots=True)
class Held:
    """What is remembered of one file."""

    accepted: Seen | None = None  # last settled content; None: not there
    pending: Seen | None = None
    first_read: float = 0.0  # of the pending one
    still_since: float = 0.0
    restless_since: float | None = None
    looked_at: float | None = None
    seeded: bool = False  # accepted before our start, and not seen since
    missing_since: float | None = None

    def take(self, seen: Seen, tick: Tick, rules: Rules, notes: Notes, looked_at: float | None) -> None:
        """Judge one reading. `looked_at`: when this place was read before, monotonic; None: never."""
        if (self.accepted or _ABSENT).same(seen):
            self._rest(self.accepted)
        elif rules.at_once or seen.whole:
            self._rest(seen)
        else:
            self._wait(seen, tick, rules, notes, looked_at)

    def _rest(self, seen: Seen | None) -> None:
        self.accepted = None if seen is None or seen.trouble is Trouble.MISSING else seen
        self.pending = self.restless_since = self.missing_since = None
        self.seeded = False

    def _wait(self, seen: Seen, tick: Tick, rules: Rules, notes: Notes, looked_at: float | None) -> None:
        if self.restless_since is None:
            self.restless_since = tick.now
        if self.pending is None or not self.pending.same(seen) or _rewritten(self.pending, seen):
            self.pending, self.first_read = seen, tick.now
            self.still_since = tick.now - _credit(seen, tick, looked_at)
        again = self.first_read + rules.quiet / 3
        still = max(self.still_since + rules.quiet, again)
        due = still if seen.ended else max(self.still_since + rules.torn, again)
        if tick.now >= due:
            self._rest(seen)
            return
        notes.pending = True
        notes.look_at(due)
        if tick.now < still and tick.now < self.restless_since + rules.max_wait:
            notes.moving = True


_ABSENT = missing()


def _rewritten(before: Seen, seen: Seen) -> bool:
    """Equal content with other stamps: it did not stand still, and may have been anything in between."""
    return seen.trouble is None and before.changed_at != seen.changed_at


def _credit(seen: Seen, tick: Tick, looked_at: float | None) -> float:
    """How long it has stood still already, in seconds. A stamp older than our last look, which saw other content,
    lies (another machine's clock, a clock that was set) and earns nothing."""
    age = tick.wall - seen.changed_at
    if seen.changed_at <= 0 or age < 0:
        return 0.0
    return age if looked_at is None or age <= tick.now - looked_at else 0.0


class Place:
    """One directory as it was when it could last be read well."""

    def __init__(self) -> None:
        self.files: dict[str, Held] = {}
        self._stand: Stand | None = None
        self._looked_at: float | None = None
        self._empty_since: float | None = None

    def seed(self, name: str, seen: Seen) -> None:
        self.files.setdefault(name, Held(accepted=seen, seeded=True))

    @property
    def known(self) -> bool:
        return any(held.accepted is not None for held in self.files.values())

    def accepted(self) -> dict[str, Seen]:
        return {name: held.accepted for name, held in sorted(self.files.items()) if held.accepted is not None}

    def lost(self, seen: View, known: bool, empty: bool) -> str:
        """Why this reading says nothing about what the directory held; empty text when it does.

        A mount that is gone leaves the directory that it covered, whatever is in that: so the place counts as lost
        until something is mounted there again. A directory that was merely emptied, or removed and made again,
        is on the same mount as before.
        """
        match seen.state:
            case State.MISSING:
                return "is not there" if known else ""
            case State.UNREADABLE:
                return f"cannot be read ({seen.detail})"
            case State.RESTLESS:
                return "changes faster than it can be read"
            case State.PRESENT:
                before, now = self._stand, seen.stand
                if known and before is not None and now is not None and before != now:
                    if before.rooted and not now.rooted:
                        return "is no longer mounted"
                    if empty and not seen.volume and (before.rooted or now.rooted):
                        return "is covered by another, empty directory"
                self._stand = now
                return ""

    def take(self, seen: View, tick: Tick, rules: Rules, notes: Notes, title: str) -> dict[str, Seen]:
        """Judge one reading; afterwards `accepted()` is what counts. Gives the files that could not be read."""
        present = {n: s for n, s in seen.files.items() if s.trouble is not Trouble.MISSING}
        if reason := self.lost(seen, self.known, not present):
            if seen.state is State.RESTLESS:
                notes.moving = notes.pending = True
                notes.look_at(tick.now + rules.quiet)
            else:
                kept = "; what was read last stays" if self.known else ""
                notes.alarms.append(f"{title} {reason}{kept}")
            return {}
        looked_at, self._looked_at = self._looked_at, tick.now
        if present or not self.known or rules.at_once:
            self._empty_since = None
        elif self._graced(tick, rules, notes, title):
            return {}
        troubles = {}
        for name, file in present.items():
            held = self.files.setdefault(name, Held())
            held.seeded = False
            if file.trouble is None:
                held.take(file, tick, rules, notes, looked_at)
            else:
                troubles[name] = file
                held.pending = held.restless_since = None
        for name in set(self.files) - set(present):
            self._absent(name, seen, tick, rules, notes, looked_at, title)
        self.files = {n: h for n, h in self.files.items() if h.accepted or h.pending or n in troubles}
        return troubles

    def _graced(self, tick: Tick, rules: Rules, notes: Notes, title: str) -> bool:
        if self._empty_since is None:
            self._empty_since = tick.now
        end = self._empty_since + rules.vanish_grace
        if tick.now >= end:
            self._empty_since = None
            self.files.clear()
            return False
        notes.look_at(end)
        notes.alarms.append(
            f"{title} holds no snippet any more; what it held stays until it has been so for {rules.vanish_grace:g} s"
        )
        return True

    def _absent(
        self, name: str, seen: View, tick: Tick, rules: Rules, notes: Notes, looked_at: float | None, title: str
    ) -> None:
        held = self.files[name]
        if held.seeded and not rules.at_once:
            if held.missing_since is None:
                held.missing_since = tick.now
            end = held.missing_since + rules.vanish_grace
            if tick.now < end:
                notes.look_at(end)
                notes.alarms.append(
                    f"{name} was accepted before the start and is not in {title}; "
                    f"its accepted version stays until it has been missing for {rules.vanish_grace:g} s"
                )
                return
            held.accepted = None
            held.seeded = False
            return
        held.take(missing(seen.volume, seen.changed_at), tick, rules, notes, looked_at)
