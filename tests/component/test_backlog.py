"""Whose chunks lie on disk, and how much is in them? Told from their headers, whatever else lies there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from component.chunks import NOBODY, chunk, lay
from hypothesis import given
from hypothesis import strategies as st

from supervisor.adapters.backlog import BacklogReader, Chunk, chunk_of, set_aside
from supervisor.model import Backlog, Backlogs


@contextmanager
def counted_opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of all that is opened meanwhile."""
    opened: list[str] = []
    real_open = os.open

    def noted(path: str, *arguments: int, **more: int | None) -> int:
        opened.append(str(path))
        return real_open(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noted)
        yield opened


# --- the reader ---


def test_chunks_and_bytes_of_content_are_summed_by_tenant(tmp_path: Path) -> None:
    files = {
        "tail.0/1-1.1.flb": chunk(b"tenant.shop.web", b"x" * 100),
        "tail.0/1-1.2.flb": chunk(b"tenant.team-a.x", b"x" * 7, kind=1),
        "dummy.7/1-1.3.flb": chunk(b"tenant.shop.db", b"x" * 30, kind=2, room=0),
        "dummy.7/whatever": chunk(b"tenant.shop.db.2", b"x" * 3),
        "tail.1/1-1.4.flb": chunk(b"kube.var.log", b"x" * 50),
    }

    seen = BacklogReader().read(str(lay(tmp_path, files)))

    assert seen == Backlogs({"shop": Backlog(3, 133), "team-a": Backlog(1, 7)}, Backlog(1, 50))


@pytest.mark.parametrize(
    ("tag", "tenant"),
    [
        (b"tenant.shop.x", "shop"),
        (b"tenant.shop.x\0\0\x0a routes that were stored with it", "shop"),
        (b"tenant." + b"a" * 63 + b".x", "a" * 63),
        (b"tenant." + b"a" * 64 + b".x", None),
        (b"tenant.shop", None),
        (b"tenant..x", None),
        (b"tenant.-a.x", None),
        (b"tenant.Shop.x", None),
        (b"tenant.a/../b.x", None),
        (b"tenants.shop.x", None),
        (b"xtenant.shop.x", None),
        (b"", None),
    ],
)
@pytest.mark.parametrize("magic", [True, False], ids=["since 1.9", "before 1.9"])
def test_the_tag_says_whose_a_chunk_is(tag: bytes, tenant: str | None, magic: bool) -> None:
    whole = chunk(tag, magic=magic)

    assert chunk_of(whole[:256], len(whole), lambda at: whole[at : at + 1]) == Chunk(tenant, 7)


def test_a_length_that_was_not_written_down_is_the_rest_of_the_file() -> None:
    def read(content: bytes) -> Chunk | None:
        whole = bytearray(chunk(b"tenant.shop.x", content, room=0))
        whole[10:14] = bytes(4)
        return chunk_of(bytes(whole[:256]), len(whole), lambda at: bytes(whole[at : at + 1]))

    assert read(b"\x92" * 500) == Chunk("shop", 500)
    assert read(b"\0" * 500) == Chunk("shop", 0), "room for what was never written"


def test_what_is_no_whole_chunk_is_counted_apart(tmp_path: Path) -> None:
    good = chunk(b"tenant.shop.x", b"x" * 100, room=0)
    files = {
        "tail.0/cut-in-the-content": good[:-1],
        "tail.0/cut-in-the-tag": good[:30],
        "tail.0/cut-in-the-header": good[:20],
        "tail.0/foreign": b"hello world, this is no chunk at all",
        "tail.0/good": good,
    }

    seen = BacklogReader().read(str(lay(tmp_path, files)))

    assert seen == Backlogs({"shop": Backlog(1, 100)}, Backlog(0, 0), unreadable=4)


def test_what_is_just_being_made_and_what_is_empty_are_nothing(tmp_path: Path) -> None:
    files = {
        "a.0/new": b"",
        "a.0/room": bytes(4096),
        "a.0/started": chunk(b"", b""),
        "a.0/d": chunk(b"tenant.a.x", b""),
    }

    assert BacklogReader().read(str(lay(tmp_path, files))) == NOBODY


def test_what_fluent_bit_does_not_take_for_a_chunk_is_no_backlog(tmp_path: Path) -> None:
    good = chunk(b"tenant.shop.x")
    files = {"tail.0/.hidden": good, ".tail.0/a": good, "rejected/a": good, "loose": good, "tail.0/sub/a": good}

    assert BacklogReader().read(str(lay(tmp_path, files))) == NOBODY


def test_links_are_not_followed_and_pipes_not_waited_for(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", {"a": chunk(b"tenant.shop.x")})
    buffers = lay(tmp_path / "buffers", {"tail.0/good": chunk(b"tenant.shop.x", b"1")})
    (buffers / "tail.1").symlink_to(outside)
    (buffers / "tail.0" / "link").symlink_to(outside / "a")
    os.mkfifo(buffers / "tail.0" / "pipe")

    assert BacklogReader().read(str(buffers)) == Backlogs({"shop": Backlog(1, 1)}, Backlog(0, 0))


def test_a_link_that_took_the_place_of_a_file_is_not_followed_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = lay(tmp_path / "outside", {"a": chunk(b"tenant.shop.x")})
    buffers = lay(tmp_path / "buffers", {"tail.0/a": chunk(b"tenant.shop.x")})
    real_open = os.open

    def swapped(path: str, *arguments: int, **more: int | None) -> int:
        if path == "a":
            (buffers / "tail.0" / "a").unlink()
            (buffers / "tail.0" / "a").symlink_to(outside / "a")
        return real_open(path, *arguments, **more)

    monkeypatch.setattr(os, "open", swapped)
    seen = BacklogReader().read(str(buffers))

    assert seen.tenants == {}
    assert "tail.0/a: Too many levels of symbolic links" in seen.problem


def test_a_chunk_that_is_delivered_meanwhile_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = lay(tmp_path, {"tail.0/a": chunk(b"tenant.shop.x"), "tail.0/b": chunk(b"tenant.shop.x")})
    real_open = os.open

    def late(path: str, *arguments: int, **more: int | None) -> int:
        if path == "a":
            (buffers / "tail.0" / "a").unlink()
        return real_open(path, *arguments, **more)

    monkeypatch.setattr(os, "open", late)

    assert BacklogReader().read(str(buffers)) == Backlogs({"shop": Backlog(1, 7)}, Backlog(0, 0))


def test_nothing_buffered_yet_is_no_problem_but_what_cannot_be_read_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    reader = BacklogReader()

    assert reader.read(str(tmp_path / "missing")) == NOBODY
    for path, why in (("file", "Not a directory"), ("a\0b", "null byte")):
        seen = reader.read(str(tmp_path / path))
        assert (seen.tenants, seen.others) == ({}, Backlog(0, 0))
        assert why in seen.problem


def test_no_more_files_are_looked_at_than_the_limit_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffers = lay(tmp_path, {f"tail.{i % 3}/{i}": chunk(b"tenant.shop.x") for i in range(30)})

    with counted_opens(monkeypatch) as opened:
        seen = BacklogReader(limit=10).read(str(buffers))

    assert 0 < len(opened) <= 11
    assert 0 < seen.tenants["shop"].chunks < 10
    assert seen.problem == f"not all that waits in {buffers} could be looked at: there are more than 10 files"


def test_what_has_settled_is_not_opened_again_what_may_still_grow_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffers = lay(tmp_path, {"t.0/old": chunk(b"tenant.shop.x", b"1"), "t.0/young": chunk(b"tenant.shop.x", b"22")})
    os.utime(buffers / "t.0" / "old", (1000, 1000))
    os.utime(buffers / "t.0" / "young", (2000, 2000))
    reader = BacklogReader(now=lambda: 2030.0)
    first = reader.read(str(buffers))

    with (buffers / "t.0" / "young").open("r+b") as file:  # as a mapping does: neither size nor time changes
        file.write(chunk(b"tenant.shop.x", b"333")[:200])
    os.utime(buffers / "t.0" / "young", (2000, 2000))
    with counted_opens(monkeypatch) as opened:
        second = reader.read(str(buffers))

    assert (first.tenants["shop"], second.tenants["shop"]) == (Backlog(2, 3), Backlog(2, 4))
    assert "young" in opened
    assert "old" not in opened


def test_what_is_gone_is_forgotten(tmp_path: Path) -> None:
    buffers = lay(tmp_path, {"t.0/old": chunk(b"tenant.shop.x")})
    os.utime(buffers / "t.0" / "old", (1000, 1000))
    reader = BacklogReader()
    reader.read(str(buffers))

    (buffers / "t.0" / "old").unlink()

    assert reader.read(str(buffers)) == NOBODY
    assert reader._known == {}


# --- out of the way ---


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_symlink() or path.is_file()}


def test_tenants_chunks_are_set_aside_and_nothing_else_is_touched(tmp_path: Path) -> None:
    mine, theirs = chunk(b"tenant.shop.x"), chunk(b"kube.x")
    names = {"tail.0/a": mine, "tail.1/b": mine, "tail.1/p": theirs, "tail.1/torn": mine[:30], "rejected/r": mine}
    buffers = lay(tmp_path / "buffers", {**names, "tail.1/.hidden": mine, "loose": mine, "tenants/old": mine})
    outside = lay(tmp_path / "outside", {"o": mine})
    (buffers / "tail.2").symlink_to(outside)
    (buffers / "tail.1" / "link").symlink_to(outside / "o")
    before = BacklogReader().read(str(buffers))

    assert (set_aside(str(buffers)), set_aside(str(buffers))) == (2, 0)

    stay = {"tail.1/p", "tail.1/torn", "tail.1/link", "tail.1/.hidden", "rejected/r", "loose", "tail.2"}
    assert files_below(buffers) == {"tenants/a", "tenants/b", "tenants/old", *stay}
    assert files_below(outside) == {"o"}
    assert BacklogReader().read(str(buffers)) == before


def test_no_chunk_takes_the_place_of_another(tmp_path: Path) -> None:
    first, second = chunk(b"tenant.shop.x", b"1"), chunk(b"tenant.shop.x", b"2")
    buffers = lay(tmp_path, {"tenants/a": first, "tail.0/a": second})

    assert set_aside(str(buffers)) == 0
    assert ((buffers / "tenants/a").read_bytes(), (buffers / "tail.0/a").read_bytes()) == (first, second)


def test_what_cannot_be_set_aside_stays_and_is_no_fault(tmp_path: Path) -> None:
    lay(tmp_path, {"tail.0/a": chunk(b"tenant.shop.x"), "tenants": b"a file"})

    assert [set_aside(str(tmp_path / name)) for name in ("", "missing", "tenants", "a\0b")] == [0, 0, 0, 0]
    assert files_below(tmp_path) == {"tail.0/a", "tenants"}


@given(head=st.binary(max_size=256), size=st.integers(0, 2**33), more=st.binary(max_size=1))
def test_no_bytes_raise(head: bytes, size: int, more: bytes) -> None:
    found = chunk_of(head, size, lambda _at: more)
    also = chunk_of(b"\xc1\0" + head, size, lambda _at: more)

    for one in (found, also):
        assert one is None or 0 <= one.size <= size
