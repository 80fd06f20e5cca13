"""Values for tests: small, whole, and with as few words as possible."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from supervisor.core.service import Frame
from supervisor.model import (
    Candidate,
    CopiedFile,
    Endpoint,
    Layer,
    OutputInstance,
    RenderedFile,
    Snapshot,
    Snippet,
    Trust,
)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_snippet(name: str, content: bytes | str, trust: Trust = Trust.PLATFORM, path: str | None = None) -> Snippet:
    data = content.encode() if isinstance(content, str) else content
    layer = {Trust.BASE: "base", Trust.PLATFORM: "platform", Trust.TENANT: "tenants"}[trust]
    tenant = "shop" if trust is Trust.TENANT else None
    identity = f"{layer}/{tenant}/{name}" if tenant else f"{layer}/{name}"
    return Snippet(identity, layer, trust, path or f"/etc/{identity}", data, sha(data), tenant)


def make_snapshot(files: Mapping[str, bytes | str]) -> Snapshot:
    """A snapshot of platform snippets."""
    snippets = tuple(make_snippet(name, content) for name, content in sorted(files.items()))
    return Snapshot(sha(repr(snippets).encode()), snippets)


def make_base(content: bytes | str, name: str = "fluent-bit.conf", **others: object) -> Snapshot:
    """A snapshot with only a base."""
    snippet = make_snippet(name, content, Trust.BASE, f"/etc/{name}")
    return Snapshot(snippet.digest, (snippet,), base=snippet.path, **others)  # type: ignore[arg-type]


def make_frame(**changes: object) -> Frame:
    return Frame(**{"cwd": "/", "environment": {"PATH": "/bin"}, "http_port": 2020, **changes})  # type: ignore[arg-type]


def make_candidate(text: str) -> Candidate:
    """A candidate whose main file ends in `text`."""
    files = (
        RenderedFile("fluent-bit.yaml", f"# main\n{text}\n"),
        RenderedFile("snippets/0001-a.yaml", "pipeline: {}\n"),
    )
    return Candidate(
        digest=sha(text.encode()),
        files=files,
        copies=(CopiedFile("files/a.lua", b"return 1\n", "/etc/a.lua"),),
        members={"platform/a.yaml": sha(text.encode())},
        endpoint=Endpoint("127.0.0.1", 2020),
        restart_key="",
        grace=5.0,
        variables=frozenset(),
        directories=(),
        outputs=(OutputInstance("null.0", "platform/a.yaml", "f"),),
        idle=False,
    )


def make_layer(directory: object, name: str = "platform", trust: Trust = Trust.PLATFORM) -> Layer:
    return Layer(name, str(directory), trust)
