"""Chunk files, as Fluent Bit 5.1.1 writes them."""

from __future__ import annotations

from pathlib import Path

from supervisor.model import Backlog, Backlogs

NOBODY = Backlogs({}, Backlog(0, 0))


def chunk(tag: bytes, content: bytes = b"records", *, room: int = 4096, kind: int = 0, magic: bool = True) -> bytes:
    """A chunk file as Fluent Bit writes it, with `room` bytes at its end that hold nothing."""
    metadata = (bytes((0xF1, 0x77, kind, 0)) if magic else b"") + tag
    sizes = len(content).to_bytes(4) + bytes(8) + len(metadata).to_bytes(2)
    return b"\xc1\0" + bytes(8) + sizes + metadata + content + bytes(room)


def lay(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory
