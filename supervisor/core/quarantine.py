"""Who is kept out for what happened at run time, and for how long?

Only changes can be guilty: what once passed probation is not punished for a bad day of the machine. Who is named by
Fluent Bit's own words is guilty; else the only one who changed; else all who changed are on parole: they are tried one
at a time, each through a whole probation, and the one with which it fails again is guilty. So is it with a failure that
need not be the config's doing (killed from outside, not started in time): nobody is guilty of the first one.

A conviction holds for that very version. The first fix goes live at once; who is convicted again and again has to wait
before yet another version is tried, each time twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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


def sentence(
    changed: Collection[str], named: Collection[str], *, doubtful: bool = False, paroled: Collection[str] = ()
) -> Sentence:
    """`changed`: who differs from what was good, removals aside; `named`: whom messages or health pointed at.

    `doubtful`: the config need not be the cause; `paroled`: who failed before in the very version that failed now.
    """
    pointed_at = sorted(set(changed) & set(named))
    if pointed_at:
        return Sentence(guilty=tuple(pointed_at))
    failed_before = set(changed) & set(paroled)
    suspects = tuple(sorted(failed_before or changed))
    if len(suspects) == 1 and (failed_before or not doubtful):
        return Sentence(guilty=suspects)
    return Sentence(suspects=suspects)


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
    *,
    on_trial: str = "",
    passed_over: Collection[str] = (),
) -> dict[str, Finding]:
    """Changes that are not to be tried now, and why.

    `changes` in order of precedence; `now`: seconds since the epoch. `on_trial`: who on parole runs already and has not
    passed its probation; `passed_over`: who may not run alone, so that the turn is another one's.
    """
    found: dict[str, Finding] = {}
    turn = on_trial
    for name in changes:
        conviction = quarantine.get(name)
        if conviction is not None and conviction.key == key_of(name):
            hint = f"change it, or: fluent-bit-supervisor release {name}"
            message = f"this version ran and was taken back: {conviction.reason}"
            found[name] = Finding(Severity.ERROR, QUARANTINED, message, hint, name, "", conviction.line)
        elif conviction is not None and 0 < conviction.until - now <= HOLD_CAP:  # more: a clock was set back
            moment = f"{datetime.fromtimestamp(conviction.until, UTC):%H:%M:%S} UTC"
            message = f"it failed {conviction.count} times at run time, so no other version is tried before {moment}"
            hint = f"or at once: fluent-bit-supervisor release {name}"
            found[name] = Finding(Severity.WARNING, HELD_DOWN, message, hint, name)
        elif parole.get(name) == key_of(name):
            if not turn and name not in passed_over:
                turn = name
                continue
            whose = f"{turn} is tried before" if turn else "others are tried before"
            message = f"it failed together with others, so each is tried alone; {whose}"
            found[name] = Finding(Severity.WARNING, ON_PAROLE, message, "", name)
    return found


def waiting_for(on_trial: str, changes: Iterable[str]) -> Iterator[tuple[str, Finding]]:
    """What is told to everybody else while one is tried alone."""
    message = f"{on_trial} is tried alone at this moment, so this waits until that is over"
    for name in changes:
        if name != on_trial:
            yield name, Finding(Severity.WARNING, ON_PAROLE, message, "", name)


def whose_turn(
    changes: Iterable[str], key_of: Callable[[str], str], parole: Mapping[str, str], withheld: Collection[str]
) -> str:
    """Who of those on parole is tried now; empty: nobody is."""
    return next((n for n in changes if parole.get(n) == key_of(n) and n not in withheld), "")


def next_moment(quarantine: Mapping[str, Conviction], names: Iterable[str], now: float) -> float | None:
    """Seconds until the next of these may be tried; None: none of them waits for time to pass."""
    moments = [quarantine[name].until - now for name in names if name in quarantine]
    return min((moment for moment in moments if 0 < moment <= HOLD_CAP), default=None)
