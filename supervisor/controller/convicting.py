"""Who is kept out for what happened at run time? Remembered on disk as soon as it is decided.

The decisions themselves are made in `core.quarantine`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from supervisor.adapters.journal import Journal
from supervisor.adapters.store import Store
from supervisor.core.quarantine import Sentence, convicted, sentence
from supervisor.model import Conviction, Finding

_DOUBT_STAYS = 600.0  # seconds in which a crash without those who were convicted unnamed acquits them


class Convicting:
    """Quarantine and parole. Every method may raise `StoreError`; then it holds in memory all the same."""

    def __init__(
        self, *, store: Store, journal: Journal, on_disk: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._store, self._journal, self._on_disk = store, journal, on_disk
        self._unnamed: tuple[str, ...] = ()  # convicted only for having changed: acquitted if it happens without them
        self._since = 0.0

    def with_paroled(self, changed: Collection[str], keys: Mapping[str, str]) -> list[str]:
        """Those who changed, and who is tried in the very version that is suspected: it may have been good before."""
        tried = [name for name, key in self._store.memory.parole.items() if keys.get(name) == key]
        return list(dict.fromkeys((*changed, *tried)))

    async def judge(
        self,
        changed: Collection[str],
        words: Sequence[Finding],
        keys: Mapping[str, str],
        reason: str,
        *,
        doubtful: bool,
        alone: bool,
        late: bool,
    ) -> bool:
        """Convict whoever is to blame, or put all who changed on parole. False: there is nobody whom that would help.

        `words` point at snippets; `keys`: snippet → key of its version. `doubtful`: the config need not be the cause:
        then nobody is guilty of the first failure, but tried again, alone. `alone`: nothing was ever good, and nothing
        but those who changed was to run: then it is tried again, as a container that does not come up would be.
        `late`: after a whole probation, which therefore proves nobody's innocence.
        """
        memory = self._store.memory
        paroled = {name for name, key in memory.parole.items() if keys.get(name) == key}
        named = {finding.snippet for finding in words}
        found = sentence(changed, named, doubtful=doubtful, paroled=paroled)
        if not changed or (alone and set(found.guilty) == set(changed) and not set(memory.parole) - set(changed)):
            return False
        await self._record(found, words, keys, reason, late)
        self._unnamed, self._since = tuple(name for name in found.guilty if name not in named), time.monotonic()
        return True

    async def _record(
        self, found: Sentence, words: Sequence[Finding], keys: Mapping[str, str], reason: str, late: bool
    ) -> None:
        memory, now = self._store.memory, time.time()
        quarantine, parole = dict(memory.quarantine), dict(memory.parole)
        for name in found.guilty:
            own = next((finding for finding in words if finding.snippet == name), None)
            told, line = (reason, None) if own is None else (own.message, own.line)
            quarantine[name] = convicted(quarantine.get(name), keys.get(name, ""), told, line, now)
            parole.pop(name, None)
            self._journal.say("error", "snippet.quarantined", f"{name} is kept out: {told}", snippet=name, line=line)
        if found.suspects:
            parole |= {name: keys.get(name, "") for name in found.suspects}
            names = ", ".join(found.suspects)
            self._journal.say("warning", "parole.begun", f"nothing tells who is at fault, each is tried alone: {names}")
        await self._remember(quarantine, parole, memory.late | set(found.suspects) if late else memory.late)

    async def committed(self, keys: Mapping[str, str], *, grown: bool = False) -> bool:
        """These versions held for a probation, or (`grown`) as long as anybody is held to be young.

        True: it may be the next one's turn.
        """
        self._unnamed = ()
        memory = self._store.memory
        free = sorted(
            name for name, key in memory.parole.items() if keys.get(name) == key and (grown or name not in memory.late)
        )
        if free:
            self._journal.say("info", "parole.ended", f"tried alone and well: {', '.join(free)}")
            await self._remember(memory.quarantine, {n: key for n, key in memory.parole.items() if n not in free})
        return bool(free) or bool(self._store.memory.parole)

    async def acquit(self) -> bool:
        """It crashed again without those who were convicted unnamed: they are free. False: nobody was."""
        names, self._unnamed = self._unnamed, ()
        if not names or time.monotonic() - self._since > _DOUBT_STAYS:
            return False
        self._journal.say("info", "snippet.acquitted", f"it happens without them as well: {', '.join(names)}")
        memory = self._store.memory
        await self._remember({n: each for n, each in memory.quarantine.items() if n not in names}, memory.parole)
        return True

    async def clear(self) -> None:
        """Nobody of those on parole was at fault."""
        names, memory = sorted(self._store.memory.parole), self._store.memory
        if names:
            self._journal.say("info", "snippet.acquitted", f"it happens without them as well: {', '.join(names)}")
            await self._remember(memory.quarantine, {})

    async def release(self, name: str) -> bool:
        """Give a snippet another chance at once. False: it was not kept out."""
        memory = self._store.memory
        if name not in memory.quarantine and name not in memory.parole:
            return False
        self._journal.say("info", "snippet.released", f"{name} gets another chance", snippet=name)
        quarantine = {each: found for each, found in memory.quarantine.items() if each != name}
        await self._remember(quarantine, {each: key for each, key in memory.parole.items() if each != name})
        return True

    async def _remember(
        self, quarantine: Mapping[str, Conviction], parole: Mapping[str, str], late: Collection[str] | None = None
    ) -> None:
        suspected = self._store.memory.late if late is None else late
        await self._on_disk(lambda: self._store.judge_snippets(quarantine, parole, suspected))
