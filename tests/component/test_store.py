"""What is on disk is whole at every instant, and is found again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from making import make_candidate, make_snapshot

from supervisor.adapters.store import Store, lay_out, usable_directory
from supervisor.adapters.store.directory import CONVICTED_KEPT
from supervisor.model import GENERATION_ROOT, Conviction, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "state"), keep=3)
    assert store.lock()
    store.load()
    return store


def reopened(store: Store) -> Store:
    store.unlock()
    again = Store(str(store.directory), keep=store.keep)
    assert again.lock()
    again.load()
    return again


def test_a_candidate_is_kept_whole_and_found_again(store: Store) -> None:
    candidate, snapshot = make_candidate("one"), make_snapshot({"a.yaml": b"pipeline: {}\n"})

    kept = store.keep_candidate(candidate, snapshot, "v1")

    found = reopened(store).find(candidate.digest)
    assert found == kept
    assert Path(kept.path, "fluent-bit.yaml").read_text() == candidate.files[0].text


def test_the_snapshot_comes_back_byte_by_byte(store: Store) -> None:
    snapshot = make_snapshot({"a.yaml": b"x: \xff\xfe\r\n", "b.conf": b""})

    number = store.keep_candidate(make_candidate("one"), snapshot, "v1").number

    assert store.snapshot(number) == snapshot


def test_the_place_of_a_generation_is_written_into_its_text(store: Store) -> None:
    kept = store.keep_candidate(make_candidate(f"script: {GENERATION_ROOT}/files/a.lua"), make_snapshot({}), "v1")

    assert Path(kept.path, "fluent-bit.yaml").read_text().endswith(f"script: {kept.path}/files/a.lua\n")


def test_install_is_one_rename(store: Store) -> None:
    first = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    second = store.keep_candidate(make_candidate("two"), make_snapshot({}), "v1")

    store.install(first)
    assert os.path.realpath(store.config_path) == os.path.join(os.path.realpath(first.path), "fluent-bit.yaml")
    store.install(second)
    assert os.path.realpath(store.config_path) == os.path.join(os.path.realpath(second.path), "fluent-bit.yaml")


def test_good_and_refused_are_remembered_over_a_restart(store: Store) -> None:
    generation = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(generation.number)
    store.refuse("0123", "it died")

    memory = reopened(store).memory

    assert memory.good == generation.number
    assert memory.refused == {"0123": "it died"}


def test_what_was_cleared_away_cannot_be_installed(store: Store) -> None:
    generation = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    shutil.rmtree(generation.path)

    with pytest.raises(StoreError, match="No such file"):
        store.install(generation)


def test_a_refusal_is_about_the_values_of_variables_too(store: Store) -> None:
    candidate = replace(make_candidate("one"), variables=frozenset({"RX"}))

    keys = {store.refusal_key(candidate, "v1", {"RX": value, "OTHER": value}) for value in ("(", "x")}
    same = {store.refusal_key(candidate, "v1", {"RX": "(", "OTHER": value}) for value in ("1", "2")}

    assert len(keys) == 2
    assert len(same) == 1
    assert store.refusal_key(candidate, "v2", {"RX": "("}) not in keys


def test_numbers_are_never_given_twice(store: Store) -> None:
    first = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")

    second = reopened(store).keep_candidate(make_candidate("two"), make_snapshot({}), "v1")

    assert second.number > first.number


def test_old_generations_are_pruned_but_never_good_or_current(store: Store) -> None:
    first = store.keep_candidate(make_candidate("0"), make_snapshot({}), "v1")
    store.install(first)
    generations = [store.keep_candidate(make_candidate(f"{n}"), make_snapshot({}), "v1") for n in range(1, 6)]
    store.commit(generations[-1].number)

    left = sorted(p.name for p in Path(store.directory, "generations").iterdir())

    assert [int(name[:6]) for name in left] == [1, 4, 5, 6]


def test_a_state_file_torn_anywhere_is_survived(store: Store) -> None:
    """Cut at each byte: the one before, or the marks on disk, say what was good; the torn one is set aside."""
    generation = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(generation.number)
    store.save()
    whole = Path(store.directory, "state.json").read_bytes()

    for length in range(len(whole)):
        Path(store.directory, "state.json").write_bytes(whole[:length])
        again = reopened(store)
        assert again.memory.good == generation.number
        assert again.remarks
        Path(store.directory, "state.json").write_bytes(whole)
        store = again


def test_a_bit_flipped_anywhere_is_noticed(store: Store) -> None:
    generation = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(generation.number)
    store.save()
    whole = Path(store.directory, "state.json").read_bytes()

    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        Path(store.directory, "state.json").write_bytes(flipped)
        store = reopened(store)
        assert store.memory.good == generation.number
        Path(store.directory, "state.json").write_bytes(whole)


def test_without_any_state_file_the_newest_good_mark_counts(store: Store) -> None:
    first = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(first.number)
    store.keep_candidate(make_candidate("two"), make_snapshot({}), "v1")
    for name in ("state.json", "state.json.previous"):
        Path(store.directory, name).unlink(missing_ok=True)

    assert reopened(store).memory.good == first.number


def test_a_newer_state_is_set_aside_and_not_destroyed(store: Store) -> None:
    newer = json.dumps({"version": 99, "checksum": "", "body": {}})
    Path(store.directory, "state.json").write_text(newer)

    again = reopened(store)

    assert Path(store.directory, "state.json.newer-99").read_text() == newer
    assert any("newer version" in remark for remark in again.remarks)


def test_a_generation_that_was_tampered_with_is_not_whole(store: Store) -> None:
    kept = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    Path(kept.path, "fluent-bit.yaml").write_text("something else\n")

    assert store.generation(kept.number) is None
    assert store.find(kept.digest) is None


def test_when_good_is_damaged_the_one_before_is_used(store: Store) -> None:
    first = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(first.number)
    second = store.keep_candidate(make_candidate("two"), make_snapshot({}), "v1")
    store.commit(second.number)
    Path(second.path, "fluent-bit.yaml").write_text("torn")

    assert reopened(store).good() == first


def test_a_tampered_file_is_not_shared_with_the_next_generation(store: Store) -> None:
    first = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    Path(first.path, "snippets/0001-a.yaml").write_text("torn")

    second = store.keep_candidate(make_candidate("two"), make_snapshot({}), "v1")

    assert store.generation(second.number) == second


def test_unfinished_generations_of_a_killed_supervisor_are_cleared(store: Store) -> None:
    left = Path(store.directory, "generations", ".000009-abc.unfinished")
    left.mkdir()

    reopened(store)

    assert not left.exists()


def test_the_directory_has_one_owner(store: Store) -> None:
    other = Store(str(store.directory), keep=3)

    assert not other.lock()
    store.unlock()
    assert other.lock()


def test_a_disk_that_refuses_changes_nothing_and_says_why(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    good = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.install(good)
    store.commit(good.number)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.keep_candidate(make_candidate("two"), make_snapshot({}), "v1")

    again = reopened(store)
    assert again.memory.good == good.number
    assert again.generation(good.number) == good
    assert sorted(p.name for p in Path(store.directory, "generations").iterdir()) == [Path(good.path).name]


def test_nobody_else_may_read_it(store: Store) -> None:
    kept = store.keep_candidate(make_candidate("one"), make_snapshot({}), "v1")
    store.commit(kept.number)

    for path in Path(store.directory).rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path


def test_laid_out_for_a_look_it_is_the_same_text(tmp_path: Path) -> None:
    candidate = make_candidate(f"script: {GENERATION_ROOT}/files/a.lua")

    main = lay_out(candidate, str(tmp_path / "look"))

    assert Path(main).read_text().endswith(f"script: {tmp_path}/look/files/a.lua\n")


def test_the_first_directory_that_can_be_written_is_used(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    used, problem = usable_directory(str(blocked / "state"), [str(tmp_path / "spare")])

    assert used == str(tmp_path / "spare")
    assert f"uid {os.geteuid()}" in problem
    assert str(blocked / "state") in problem


def test_convictions_and_parole_outlive_a_restart_and_the_oldest_convictions_are_let_go(tmp_path: Path) -> None:
    first = Store(str(tmp_path), keep=3)
    assert first.lock()
    first.load()
    many = {f"platform/{n}": Conviction("key", "it died", float(n), 2, n + 10.0, 7) for n in range(CONVICTED_KEPT + 5)}
    first.judge_snippets(many, {"platform/a": "1", "platform/b": "2"}, ["platform/b", "platform/gone"])
    first.unlock()

    second = Store(str(tmp_path), keep=3)
    assert second.lock()
    memory = second.load()
    second.unlock()

    assert memory.quarantine == dict(list(many.items())[5:])
    assert memory.parole == {"platform/a": "1", "platform/b": "2"}
    assert memory.late == {"platform/b"}
