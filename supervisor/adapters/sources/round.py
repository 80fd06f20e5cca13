"""How are many directories read as of one instant?

A config's files lie in several directories, and each may be a volume that switches. So a round opens each directory
once, reads through that handle only, and in the end asks every one whether it is still as it was when it was opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType

from supervisor.adapters.sources.disk import Directory, canonical
from supervisor.adapters.sources.files import Seen, Trouble, missing

_Action = Callable[[Directory, str], Seen]


class Round:
    """One reading of files by path. A context manager; `Moved` may leave every method."""

    def __init__(self) -> None:
        self._open: dict[str, Directory | OSError] = {}

    def __enter__(self) -> Round:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for directory in self._open.values():
            if isinstance(directory, Directory):
                directory.close()

    def unchanged(self) -> bool:
        return all(d.unchanged() for d in self._open.values() if isinstance(d, Directory))

    def directory(self, path: str) -> Directory:
        """Raises OSError as os.open does."""
        if path not in self._open:
            try:
                self._open[path] = Directory.open(path)
            except OSError as error:
                self._open[path] = error
        found = self._open[path]
        if isinstance(found, OSError):
            raise found
        return found

    def read(self, path: str, cap: int) -> Seen:
        return self._at(path, lambda directory, name: directory.read(name, cap))

    def digest(self, path: str, key: bytes) -> Seen:
        return self._at(path, lambda directory, name: directory.digest(name, key))

    def exists(self, path: str) -> bool:
        seen = self.read(path, 0)  # opens nothing but empty files
        return seen.trouble is not Trouble.MISSING

    def _at(self, path: str, action: _Action) -> Seen:
        real = canonical(path)
        try:
            directory = self.directory(os.path.dirname(real))
        except (FileNotFoundError, NotADirectoryError):
            return missing()
        except OSError as error:
            return Seen(trouble=Trouble.UNREADABLE, detail=(error.strerror or str(error)).lower())
        return action(directory, os.path.basename(real))
