"""Who is kept out for what happened at run time, and for how long?

Only changes can be guilty: what once passed probation is not punished for a bad day of the machine. Who is named by
Fluent Bit's own words is guilty; else the only one who changed; else all who changed are on parole: they are tried one
at a time, each through a whole probation, and the one with which it fails again is guilty.

A conviction holds for that very version. The first fix goes live at once; who is convicted again and again has to wait
before yet another version is tried, each time twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from supervisor.model import Conviction, Finding, Severity

HOLD_FIRST = 10.0  # seconds after the second conviction; doubles with each one more
HOLD_CAP = 600.0
FORGOTTEN_AFTER = 3600.0  # seconds without another conviction

QUARANTINED = "quarantined"
HELD_DOWN = "held-down"
ON_PAROLE = "on-parole"


@dataclass(frozen=True, slots=True)
class Sentence:
    """What comes of a failure at run time."""

    guilty: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()  # nobody knows which of them


def sentence(changed: Collection[str], named: Collection[str]) -> Sentence:
    """`changed`: who differs from what was good, removals aside; `named`: whom messages or health pointed at."""
    pointed_at = sorted(set(changed) & set(named))
    if pointed_at:
        return Sentence(guilty=tuple(pointed_at))
    if len(changed) == 1:
        return Sentence(guilty=tuple(changed))
    return Sentence(suspects=tuple(sorted(changed)))


def convicted(before: Conviction | None, key: str, reason: str, line: int | None, now: float) -> Conviction:
    """The conviction of a snippet; `before`: its last one. `now`: seconds since the epoch."""
    recent = before is not None and now - before.at < FORGOTTEN_AFTER
    count = before.count + 1 if before is not None and recent else 1
    hold = 0.0 if count == 1 else min(HOLD_CAP, HOLD_FIRST * 2.0 ** min(count - 2, 30))
    return Conviction(key, reason, now, count, now + hold if hold else 0.0, line)


def withheld(
    changes: Iterable[str],
    key_of: Callable[[str], str],
    quarantine: Mapping[str, Conviction],
    parole: Mapping[str, str],
    now: float,
) -> dict[str, Finding]:
    """Changes that are not to be tried now, and why.

    `changes` in order of precedence; `now`: seconds since the epoch.
    """
    found: dict[str, Finding] = {}
    turn = ""
    for name in changes:
        conviction = quarantine.get(name)
        if conviction is not None and conviction.key == key_of(name):
            hint = f"change it, or: fluent-bit-supervisor release {name}"
            found[name] = Finding(Severity.ERROR, QUARANTINED, conviction.reason, hint, name, "", conviction.line)
        elif conviction is not None and now < conviction.until:
            moment = f"{datetime.fromtimestamp(conviction.until, UTC):%H:%M:%S} UTC"
            message = f"it failed {conviction.count} times at run time, so no other version is tried before {moment}"
            hint = f"or at once: fluent-bit-supervisor release {name}"
            found[name] = Finding(Severity.WARNING, HELD_DOWN, message, hint, name)
        elif parole.get(name) == key_of(name):
            if not turn:
                turn = name
                continue
            message = f"it failed together with others, so each is tried alone; {turn} is tried before"
            found[name] = Finding(Severity.WARNING, ON_PAROLE, message, "", name)
    return found


def next_moment(quarantine: Mapping[str, Conviction], names: Iterable[str], now: float) -> float | None:
    """Seconds until the next of these may be tried; None: none of them waits for time to pass."""
    moments = [quarantine[name].until - now for name in names if name in quarantine and quarantine[name].until > now]
    return min(moments, default=None)
