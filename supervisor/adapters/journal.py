"""How are decisions told on stderr? One line each, JSON or text, with stable `event` words.

A reader that does not read must not stop us: lines go through a bounded queue to a thread of their own, and what does
not fit is counted and told as soon as there is room again. Secrets are hidden as soon as somebody is named who knows
them.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from supervisor.core.redaction import Redaction, redaction_of

LEVELS = ("debug", "info", "warning", "error")
_WAITING = 2000  # lines
_LAST_WORDS = 1.0  # seconds at most for what is still in the queue at the end


class Journal:
    """The supervisor's own log."""

    def __init__(self, *, level: str = "info", form: str = "json", descriptor: int = 2) -> None:
        self.redaction: Callable[[], Redaction] = lambda: redaction_of({})  # asked for each line
        self._least = LEVELS.index(level)
        self._form = form
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_on, name="journal", daemon=True)
        self._thread.start()

    def say(self, level: str, event: str, message: str, **facts: object) -> None:
        """Write one line. `event` is a word that dashboards may be built on; `message` is for people."""
        if LEVELS.index(level) < self._least:
            return
        if self._dropped and not self._lines.full():
            facts["dropped_lines"], self._dropped = self._dropped, 0
        redaction = self.redaction()
        message = redaction.text(message)
        facts = {name: redaction.within(fact) for name, fact in facts.items() if fact is not None}
        line = self._json(level, event, message, facts) if self._form == "json" else _text(level, event, message, facts)
        try:
            self._lines.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is still to be written, within a second."""
        try:
            self._lines.put(None, timeout=_LAST_WORDS)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS)

    def _json(self, level: str, event: str, message: str, facts: dict[str, object]) -> str:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"ts": moment, "level": level, "event": event, "message": message, **facts}
        return json.dumps(line, default=str, ensure_ascii=False)

    def _write_on(self) -> None:
        while (line := self._lines.get()) is not None:
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:
                    time.sleep(0.05)  # somebody made our stderr non-blocking, and it is full
                except OSError:
                    break  # nobody can hear us any more; the work goes on


def _text(level: str, event: str, message: str, facts: dict[str, object]) -> str:
    moment = datetime.now().astimezone().strftime("%H:%M:%S")
    told = " ".join(f"{name}={_plain(fact)}" for name, fact in facts.items())
    line = f"{moment} {level:<7} {event:<22} {message}"
    line = f"{line}  ({told})" if told else line
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _plain(fact: object) -> str:
    return json.dumps(fact, default=str, ensure_ascii=False) if isinstance(fact, (list, dict, tuple)) else str(fact)


def complain(message: str) -> None:
    """A last line before anything is set up, e.g. why the settings cannot be used."""
    sys.stderr.write(message.rstrip("\n") + "\n")
    sys.stderr.flush()
