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

_LATE_STAYS = 600.0  # seconds in which a crash without those who were convicted for a late one acquits them


class Convicting:
    """Quarantine and parole. Every method may raise `StoreError`; then it holds in memory all the same."""

    def __init__(
        self, *, store: Store, journal: Journal, on_disk: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._store, self._journal, self._on_disk = store, journal, on_disk
        self._late: tuple[str, ...] = ()  # convicted for a crash after probation: acquitted if it happens without them
        self._late_since = 0.0

    async def judge(
        self,
        changed: Collection[str],
        words: Sequence[Finding],
        keys: Mapping[str, str],
        reason: str,
        *,
        late: bool,
        alone: bool,
    ) -> bool:
        """Convict whoever is to blame, or put all who changed on parole. False: there is nobody whom that would help.

        `words` point at snippets; `keys`: snippet → key of its version. `alone`: nothing was ever good, and nothing
        but those who changed was to run: then it is tried again, as a container that does not come up would be.
        """
        memory = self._store.memory
        found = sentence(changed, {finding.snippet for finding in words})
        if not changed or (alone and set(found.guilty) == set(changed) and not set(memory.parole) - set(changed)):
            return False
        await self._record(found, words, keys, reason)
        self._late, self._late_since = (found.guilty if late else ()), time.monotonic()
        return True

    async def _record(self, found: Sentence, words: Sequence[Finding], keys: Mapping[str, str], reason: str) -> None:
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
        await self._remember(quarantine, parole)

    async def committed(self, keys: Mapping[str, str]) -> bool:
        """These versions proved themselves. True: it is the next one's turn."""
        self._late = ()
        memory = self._store.memory
        free = sorted(name for name, key in memory.parole.items() if keys.get(name) == key)
        if free:
            self._journal.say("info", "parole.ended", f"tried alone and well: {', '.join(free)}")
            await self._remember(memory.quarantine, {n: key for n, key in memory.parole.items() if n not in free})
        return bool(free)

    async def acquit(self) -> bool:
        """It crashed again without those who were convicted for a late crash: they are free. False: nobody was."""
        names, self._late = self._late, ()
        if not names or time.monotonic() - self._late_since > _LATE_STAYS:
            return False
        self._journal.say("info", "snippet.acquitted", f"it happens without them as well: {', '.join(names)}")
        memory = self._store.memory
        await self._remember({n: each for n, each in memory.quarantine.items() if n not in names}, memory.parole)
        return True

    async def release(self, name: str) -> bool:
        """Give a snippet another chance at once. False: it was not kept out."""
        memory = self._store.memory
        if name not in memory.quarantine and name not in memory.parole:
            return False
        self._journal.say("info", "snippet.released", f"{name} gets another chance", snippet=name)
        quarantine = {each: found for each, found in memory.quarantine.items() if each != name}
        await self._remember(quarantine, {each: key for each, key in memory.parole.items() if each != name})
        return True

    async def _remember(self, quarantine: Mapping[str, Conviction], parole: Mapping[str, str]) -> None:
        await self._on_disk(lambda: self._store.judge_snippets(quarantine, parole))
