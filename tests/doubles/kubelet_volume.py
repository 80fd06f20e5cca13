"""A ConfigMap, Secret or projected volume, written in the order of steps in which the kubelet writes it.

`update` gives the whole new content. `steps` does the same and pauses after every step that touched the disk, so that
a test can look at the volume in between; a generator that is dropped half-way is a kubelet that was killed.

Keys may have one directory in front (`items` with a path): then the visible link is the directory's.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_numbers = itertools.count(1)


class KubeletVolume:
    """`new_links_first`: older kubelets showed new keys before they switched, newer ones after."""

    def __init__(self, path: Path, *, new_links_first: bool = False) -> None:
        self.path = path
        self.new_links_first = new_links_first
        path.mkdir(parents=True, exist_ok=True)

    def update(self, content: Mapping[str, str | bytes]) -> None:
        for _ in self.steps(content):
            pass

    def steps(self, content: Mapping[str, str | bytes]) -> Iterator[str]:
        wanted = {key: text.encode() if isinstance(text, str) else text for key, text in content.items()}
        data = self.path / "..data"
        old = self.path / os.readlink(data) if data.is_symlink() else None
        before = _content(old) if old else None
        if before == wanted:
            return
        new = self.path / f"..2026_11_22_10_00_00.{next(_numbers):09d}"
        new.mkdir()
        yield "directory"
        for key, text in wanted.items():
            (new / key).parent.mkdir(exist_ok=True)
            (new / key).write_bytes(text)
            yield "file"
        tops = {key.split("/")[0] for key in wanted}
        if self.new_links_first:
            yield from self._show(tops)
        (self.path / "..data_tmp").symlink_to(new.name)
        yield "prepared"
        (self.path / "..data_tmp").rename(data)
        yield "switched"
        yield from self._show(tops)
        for gone in {key.split("/")[0] for key in before or {}} - tops:
            (self.path / gone).unlink()
            yield "hidden"
        if old is not None:
            for path in sorted(old.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
                yield "removing"
            shutil.rmtree(old)
            yield "removed"

    def _show(self, tops: set[str]) -> Iterator[str]:
        for top in sorted(tops):
            if not (self.path / top).is_symlink():
                (self.path / top).symlink_to(f"..data/{top}")
                yield "shown"


def _content(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
