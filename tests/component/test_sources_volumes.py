"""ConfigMap and Secret volumes: one generation or another, never a mixture, never a part."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from doubles.kubelet_volume import KubeletVolume
from watched import SNIPPET, following, names, sources_in, text

from supervisor.model import Snapshot

KEYS = [f"key-{number:02d}.conf" for number in range(20)]


def generation(number: int) -> dict[str, str]:
    """Every key tells the generation, and each generation has a key of its own."""
    return {**dict.fromkeys(KEYS, f"{number}\n"), f"only-{number}.conf": f"{number}\n"}


def assert_one_generation(snapshot: Snapshot) -> None:
    told = {snippet.content for snippet in snapshot.snippets}
    assert len(told) <= 1, "two generations at once"
    if told:
        number = int(told.pop())
        assert sorted(n.split("/")[-1] for n in names(snapshot)) == sorted(generation(number))


@pytest.mark.parametrize("where", ["platform.d", "tenants.d/team-a"])
@pytest.mark.parametrize("new_links_first", [False, True])
async def test_an_update_stopped_after_any_step_shows_one_whole_generation(
    tmp_path: Path, where: str, new_links_first: bool
) -> None:
    for name in ("platform.d", "tenants.d"):
        (tmp_path / name).mkdir()
    volume = KubeletVolume(tmp_path / where, new_links_first=new_links_first)
    volume.update(generation(1))
    sources = sources_in(tmp_path)
    before = await sources.read()

    seen = {before.digest: before}
    switched = False
    for step in volume.steps(generation(2)):
        switched = switched or step == "switched"
        snapshot = await sources.read()
        seen[snapshot.digest] = snapshot
        assert_one_generation(snapshot)
        assert {s.content for s in snapshot.snippets} == {b"2\n" if switched else b"1\n"}

    assert len(seen) == 2


async def test_200_rapid_swaps_are_never_mixed_and_the_last_one_arrives(tmp_path: Path) -> None:
    (tmp_path / "tenants.d").mkdir()
    volume = KubeletVolume(tmp_path / "platform.d")
    volume.update(generation(0))

    def swap() -> None:
        for number in range(1, 201):
            volume.update(generation(number))

    sources = sources_in(tmp_path)
    async with following(sources) as seen:
        await seen.until(names)
        swapping = threading.Thread(target=swap)
        swapping.start()
        readings = 0
        while swapping.is_alive():
            assert_one_generation(await sources.read())
            readings += 1
        swapping.join()
        await seen.until(lambda s: text(s, "platform/only-200.conf"))

    assert readings > 5
    for snapshot in seen.all:
        assert_one_generation(snapshot)
        assert names(snapshot)


async def test_what_comes_from_a_volume_needs_no_line_feed_and_no_quiet_time(tmp_path: Path) -> None:
    volume = KubeletVolume(tmp_path / "platform.d")
    volume.update({"a.conf": "no line feed"})

    async with following(sources_in(tmp_path, quiet=30.0, torn=30.0, max_wait=60.0)) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == "no line feed")
        volume.update({"a.conf": "", "b.conf": "new"})
        await seen.until(lambda s: text(s, "platform/a.conf") == "" and text(s, "platform/b.conf") == "new")


async def test_a_key_removed_beside_others_counts_at_once_and_an_emptied_volume_after_the_grace(
    tmp_path: Path,
) -> None:
    volume = KubeletVolume(tmp_path / "platform.d")
    volume.update({"a.conf": SNIPPET, "b.conf": SNIPPET})

    async with following(sources_in(tmp_path)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        volume.update({"b.conf": SNIPPET})
        assert not (await seen.until(lambda s: names(s) == ["platform/b.conf"])).alarms
        volume.update({})
        kept = await seen.until(lambda s: s.alarms)
        assert names(kept) == ["platform/b.conf"]
        await seen.until(lambda s: not names(s) and not s.alarms)


async def test_an_equal_update_is_no_change(tmp_path: Path) -> None:
    first = KubeletVolume(tmp_path / "platform.d")
    first.update({"a.conf": SNIPPET})

    async with following(sources_in(tmp_path)) as seen:
        await seen.until(names)
        for number in range(3):
            first.update({"a.conf": SNIPPET, "ignored.txt": str(number)})
        first.update({"a.conf": SNIPPET, "marker.conf": SNIPPET})
        await seen.until(lambda s: len(names(s)) == 2)

    assert len(seen.all) == 2


async def test_one_projected_volume_may_hold_all_tenants(tmp_path: Path) -> None:
    volume = KubeletVolume(tmp_path / "tenants.d")
    volume.update({"team-a/x.conf": "1\n", "team-b/y.conf": "1\n"})
    sources = sources_in(tmp_path, vanish_grace=60.0)

    async with following(sources) as seen:
        await seen.until(lambda s: names(s) == ["tenants/team-a/x.conf", "tenants/team-b/y.conf"])
        for _ in volume.steps({"team-b/y.conf": "2\n", "team-c/z.conf": "2\n"}):
            contents = {s.content for s in (await sources.read()).snippets}
            assert len(contents) == 1
        await seen.until(lambda s: names(s) == ["tenants/team-b/y.conf", "tenants/team-c/z.conf"])


async def test_a_layer_may_be_a_directory_inside_a_volume(tmp_path: Path) -> None:
    volume = KubeletVolume(tmp_path / "volume")
    volume.update({"platform.d/a.conf": "1\n", "platform.d/b.conf": "1\n"})
    (tmp_path / "platform.d").symlink_to("volume/platform.d")
    sources = sources_in(tmp_path)

    async with following(sources) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == "1\n")
        for _ in volume.steps({"platform.d/a.conf": "2\n", "platform.d/b.conf": "2\n"}):
            assert len({s.content for s in (await sources.read()).snippets}) == 1
        await seen.until(lambda s: text(s, "platform/a.conf") == "2\n")


async def test_a_plain_file_beside_a_volumes_keys_is_read_too(tmp_path: Path) -> None:
    KubeletVolume(tmp_path / "platform.d").update({"a.conf": SNIPPET})
    (tmp_path / "platform.d/b.conf").write_text(SNIPPET)

    assert names(await sources_in(tmp_path).read()) == ["platform/a.conf", "platform/b.conf"]


async def test_a_layer_directory_that_is_a_link_may_be_swapped(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"checkout-{number}").mkdir()
        (tmp_path / f"checkout-{number}/a.conf").write_text(f"{number}\n")
    (tmp_path / "platform.d").symlink_to("checkout-1")

    async with following(sources_in(tmp_path, resync=30.0)) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == "1\n")
        (tmp_path / "next").symlink_to("checkout-2")
        (tmp_path / "next").rename(tmp_path / "platform.d")
        await seen.until(lambda s: text(s, "platform/a.conf") == "2\n")
