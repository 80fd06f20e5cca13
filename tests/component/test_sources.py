"""What the layers' directories hold: whole, settled, and never less than what was only lost from sight."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from conftest import eventually
from watched import SNIPPET, following, names, rules, sources_in, text

from supervisor.adapters.sources import Limits, digest_of
from supervisor.model import Severity, Trust


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("platform.d", "tenants.d", "secrets"):
        (tmp_path / name).mkdir()
    return tmp_path


# --- what counts ------------------------------------------------------------------------------------------------


async def test_snippets_are_the_conf_and_yaml_files_of_both_layers_sorted_by_name(root: Path) -> None:
    (root / "tenants.d/team-a").mkdir()
    for name in ("platform.d/b.yaml", "platform.d/a.conf", "tenants.d/team-a/x.yml"):
        (root / name).write_text(SNIPPET)
    for name in ("platform.d/notes.txt", "platform.d/.a.conf.swp", "platform.d/.hidden.conf"):
        (root / name).write_text("no\n")

    snapshot = await sources_in(root).read()

    assert names(snapshot) == ["platform/a.conf", "platform/b.yaml", "tenants/team-a/x.yml"]
    assert snapshot.findings == ()
    tenant = snapshot.snippets[-1]
    assert (tenant.tenant, tenant.trust, tenant.layer) == ("team-a", Trust.TENANT, "tenants")
    assert tenant.path == str(root / "tenants.d/team-a/x.yml")


async def test_equal_content_gives_an_equal_digest_whatever_the_stamps_say(root: Path) -> None:
    (root / "platform.d/a.conf").write_text(SNIPPET)
    before = await sources_in(root).read()

    (root / "platform.d/a.conf").unlink()
    (root / "platform.d/a.conf").write_text(SNIPPET)
    os.utime(root / "platform.d/a.conf", (1, 1))
    same = await sources_in(root).read()
    (root / "platform.d/a.conf").write_text(SNIPPET + "# more\n")
    other = await sources_in(root).read()

    assert before.digest == same.digest == digest_of(same)
    assert other.digest != before.digest


async def test_a_reading_without_settling_takes_a_file_as_it_is(root: Path) -> None:
    (root / "platform.d/a.conf").write_text("no line feed")

    snapshot = await sources_in(root, quiet=30.0, torn=30.0, max_wait=60.0).read(settle=False)

    assert text(snapshot, "platform/a.conf") == "no line feed"


@pytest.mark.parametrize("tenant", ["platform", "Team", "a_b", "-a", "a" * 64])
async def test_a_directory_that_names_no_tenant_is_a_finding(root: Path, tenant: str) -> None:
    (root / "tenants.d" / tenant).mkdir()
    (root / "tenants.d" / tenant / "x.conf").write_text(SNIPPET)

    snapshot = await sources_in(root).read()

    assert names(snapshot) == []
    assert rules(snapshot) == ["reserved-tenant" if tenant == "platform" else "tenant-name"]


async def test_a_file_beside_the_tenants_directories_is_a_finding(root: Path) -> None:
    (root / "tenants.d/x.conf").write_text(SNIPPET)

    assert rules(await sources_in(root).read()) == ["no-tenant"]


async def test_a_tenants_link_is_not_followed_and_the_platforms_is(root: Path) -> None:
    (root / "secret.conf").write_text("password\n")
    (root / "tenants.d/team-a").mkdir()
    (root / "tenants.d/team-a/x.conf").symlink_to(root / "secret.conf")
    (root / "tenants.d/team-b").symlink_to(root / "secrets")
    (root / "platform.d/p.conf").symlink_to(root / "secret.conf")

    snapshot = await sources_in(root).read()

    assert names(snapshot) == ["platform/p.conf"]
    assert rules(snapshot) == ["symbolic-link", "symbolic-link"]


async def test_a_link_called_data_that_leads_elsewhere_is_no_volume(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "elsewhere/x.conf").write_text("password\n")
    (root / "tenants.d/team-a").mkdir()
    (root / "tenants.d/team-a/..data").symlink_to(root / "elsewhere")
    (root / "tenants.d/team-a/x.conf").symlink_to("..data/x.conf")

    snapshot = await sources_in(root).read()

    assert names(snapshot) == []
    assert rules(snapshot) == ["symbolic-link"]


# --- odd things -------------------------------------------------------------------------------------------------


async def test_what_is_not_a_regular_file_is_a_finding_and_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "platform.d/pipe.conf")
    (root / "platform.d/directory.conf").mkdir()
    (root / "platform.d/device.conf").symlink_to("/dev/zero")
    (root / "platform.d/good.conf").write_text(SNIPPET)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "platform.d/socket.conf"))

        snapshot = await asyncio.wait_for(sources_in(root).read(), 5)

    assert names(snapshot) == ["platform/good.conf"]
    assert rules(snapshot) == ["not-a-file"] * 4
    assert {f.snippet for f in snapshot.findings} >= {"platform/pipe.conf", "platform/socket.conf"}


async def test_a_huge_file_is_refused_without_being_read(root: Path) -> None:
    (root / "platform.d/huge.conf").touch()
    os.truncate(root / "platform.d/huge.conf", 1 << 30)

    began = time.process_time()
    snapshot = await sources_in(root).read()

    assert rules(snapshot) == ["too-large"]
    assert time.process_time() - began < 1


async def test_a_snippet_that_grew_too_large_keeps_its_last_content(root: Path) -> None:
    snippet = root / "platform.d/a.conf"
    snippet.write_text(SNIPPET)

    async with following(sources_in(root, limits=Limits(snippet=100))) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == SNIPPET)
        snippet.write_text("x" * 101)
        snapshot = await seen.until(lambda s: rules(s) == ["too-large"])

    assert text(snapshot, "platform/a.conf") == SNIPPET
    assert "last version stays" in snapshot.findings[0].message


@pytest.mark.parametrize("name", [b"caf\xe9.conf", b"new\nline.conf", b"esc\x1b[31m.conf", b"x" * 245 + b".conf"])
async def test_an_odd_name_is_a_finding_that_can_be_shown(root: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(root / "platform.d") + b"/" + name)).write_text(SNIPPET)
    (root / "platform.d/good.conf").write_text(SNIPPET)

    snapshot = await sources_in(root).read()

    assert names(snapshot) == ["platform/good.conf"]
    (finding,) = snapshot.findings
    assert finding.rule == "odd-name"
    assert (finding.message + finding.snippet + finding.path).isprintable()


async def test_a_flood_of_odd_names_gives_a_bounded_number_of_findings(root: Path) -> None:
    for number in range(300):
        (root / f"platform.d/odd\n{number}.conf").write_text("")

    snapshot = await sources_in(root).read()

    assert len(snapshot.findings) < 60


async def test_more_files_than_allowed_are_left_out_and_said(root: Path) -> None:
    for number in range(5):
        (root / f"platform.d/{number}.conf").write_text(SNIPPET)

    snapshot = await sources_in(root, limits=Limits(files=3)).read()

    assert len(snapshot.snippets) == 3
    assert rules(snapshot) == ["too-many-files"] * 2


UNREADABLE = """
    from pathlib import Path
    from watched import following, rules, sources_in, text
    root = Path({root!r})

    async def main():
        async with following(sources_in(root)) as seen:
            await seen.until(lambda s: text(s, "platform/a.conf") == "one\\n")
            await seen.until(lambda s: "tenants/t/b.conf" in [x.name for x in s.snippets])
            (root / "platform.d/a.conf").chmod(0)
            (root / "tenants.d/t").chmod(0)
            snapshot = await seen.until(lambda s: len(s.alarms) == 2)
            assert text(snapshot, "platform/a.conf") == "one\\n", snapshot
            assert text(snapshot, "tenants/t/b.conf") == "b\\n", snapshot
            assert rules(snapshot) == ["unreadable"], snapshot
            (root / "platform.d/a.conf").chmod(0o644)
            (root / "tenants.d/t").chmod(0o755)
            (root / "platform.d/a.conf").write_text("two\\n")
            await seen.until(lambda s: text(s, "platform/a.conf") == "two\\n" and not s.alarms)
        print("done")

    asyncio.run(main())
"""


def test_what_cannot_be_read_is_kept_with_an_alarm_and_read_again_when_it_can() -> None:
    user = os.geteuid() or 65532
    tests = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as directory:
        (root := Path(directory) / "etc").mkdir()
        for name, content in {"platform.d/a.conf": "one\n", "tenants.d/t/b.conf": "b\n"}.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(content)
        for path in [Path(directory), root, *root.rglob("*")]:
            os.chown(path, user, -1)
        # The interpreter's own files may be out of that user's reach: load all before the user is changed.
        program = f"""
            import asyncio, concurrent.futures.thread, os, sys
            sys.path[:0] = [{tests!r}]
            import watched
            if os.geteuid() == 0:
                os.setgroups([]); os.setgid({user}); os.setuid({user})
        """
        script = textwrap.dedent(program) + textwrap.dedent(UNREADABLE).format(root=str(root))

        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.stdout == "done\n", done.stderr


# --- settling ---------------------------------------------------------------------------------------------------


async def test_a_file_written_in_pieces_is_never_seen_half(root: Path) -> None:
    path = root / "platform.d/a.conf"
    versions = {"".join(f"{n} line {i}\n" for i in range(12)) for n in range(4)}

    async with following(sources_in(root, quiet=0.12, max_wait=5.0)) as seen:
        for whole in sorted(versions):
            await asyncio.to_thread(_write_slowly, path, whole.splitlines(keepends=True), 0.01)
            await seen.until(lambda s, whole=whole: text(s, "platform/a.conf") == whole)

    assert {text(s, "platform/a.conf") for s in seen.all} <= versions | {None}


def _write_slowly(path: Path, pieces: list[str], pause: float) -> None:
    """A writer that truncates, and takes its time."""
    with open(path, "w") as file:
        for piece in pieces:
            file.write(piece)
            file.flush()
            threading.Event().wait(pause)


async def test_a_file_that_is_truncated_and_written_again_later_is_never_seen_empty(root: Path) -> None:
    path = root / "platform.d/a.conf"
    path.write_text("old\n")

    async with following(sources_in(root, torn=1.0, max_wait=3.0)) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == "old\n")
        for number in range(3):
            await asyncio.to_thread(_write_slowly, path, ["", f"new {number}\n"], 0.2)
            await seen.until(lambda s, number=number: text(s, "platform/a.conf") == f"new {number}\n")

    assert "" not in [text(s, "platform/a.conf") for s in seen.all]


@pytest.mark.parametrize("content", ["[INPUT]\n    name dummy", ""])
async def test_a_file_without_a_last_line_feed_counts_only_after_it_stood_still(root: Path, content: str) -> None:
    path = root / "platform.d/a.conf"
    path.write_text("old\n")

    async with following(sources_in(root, torn=0.6)) as seen:
        await seen.until(lambda s: text(s, "platform/a.conf") == "old\n")
        path.write_text(content)
        written = time.monotonic()
        await seen.until(lambda s: text(s, "platform/a.conf") == content)

    assert time.monotonic() - written >= 0.59


async def test_a_file_without_a_last_line_feed_holds_nobody_else_back(root: Path) -> None:
    async with following(sources_in(root, torn=60.0, max_wait=60.0)) as seen:
        await seen.until(lambda s: True)
        (root / "platform.d/torn.conf").write_text("no line feed")
        (root / "platform.d/good.conf").write_text(SNIPPET)

        snapshot = await seen.until(names)

    assert names(snapshot) == ["platform/good.conf"]


async def test_files_written_one_after_the_other_arrive_together(root: Path) -> None:
    async with following(sources_in(root, quiet=0.3, max_wait=10.0)) as seen:
        await seen.until(lambda s: True)
        for number in range(10):
            await asyncio.to_thread(_write_slowly, root / f"platform.d/{number}.conf", [SNIPPET], 0.02)
        await seen.until(lambda s: len(names(s)) == 10)

    assert [len(names(s)) for s in seen.all] == [0, 10]


async def test_a_file_that_never_comes_to_rest_keeps_its_last_content_and_the_others_go_on(root: Path) -> None:
    restless = root / "platform.d/restless.conf"
    restless.write_text("settled\n")
    stop = threading.Event()

    def storm() -> None:
        number = 0
        while not stop.wait(0.005):
            number += 1
            restless.write_text(f"{number}\n")

    async with following(sources_in(root, quiet=0.2, max_wait=0.5)) as seen:
        await seen.until(lambda s: text(s, "platform/restless.conf") == "settled\n")
        thread = threading.Thread(target=storm)
        thread.start()
        try:
            (root / "platform.d/other.conf").write_text(SNIPPET)
            during = await seen.until(lambda s: "platform/other.conf" in names(s))
        finally:
            stop.set()
            thread.join()
        last = restless.read_text()
        await seen.until(lambda s: text(s, "platform/restless.conf") == last)

    assert text(during, "platform/restless.conf") == "settled\n"


async def test_a_file_that_is_removed_and_made_again_is_never_missed(root: Path) -> None:
    path = root / "platform.d/a.conf"
    path.write_text("0\n")
    (root / "platform.d/b.conf").write_text(SNIPPET)

    async with following(sources_in(root, quiet=0.2)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        for number in range(1, 4):
            path.unlink()
            await asyncio.to_thread(_write_slowly, path, [f"{number}\n"], 0.01)
            await seen.until(lambda s, number=number: text(s, "platform/a.conf") == f"{number}\n")

    assert all(len(names(s)) == 2 for s in seen.all)


async def test_touching_and_rewriting_the_same_content_is_no_change(root: Path) -> None:
    path = root / "platform.d/a.conf"
    path.write_text(SNIPPET)

    async with following(sources_in(root)) as seen:
        await seen.until(names)
        for _ in range(5):
            path.touch()
            path.chmod(0o600)
            (root / "platform.d/new").write_text(SNIPPET)
            (root / "platform.d/new").rename(path)
        (root / "platform.d/marker.conf").write_text(SNIPPET)
        await seen.until(lambda s: len(names(s)) == 2)

    assert len(seen.all) == 2


# --- not seen is not removed ------------------------------------------------------------------------------------


async def test_one_file_removed_beside_others_counts_at_once(root: Path) -> None:
    for name in ("a", "b"):
        (root / f"platform.d/{name}.conf").write_text(SNIPPET)

    async with following(sources_in(root, vanish_grace=60.0)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        (root / "platform.d/a.conf").unlink()
        snapshot = await seen.until(lambda s: len(names(s)) == 1)

    assert snapshot.alarms == ()


async def test_a_directory_that_became_empty_keeps_its_snippets_for_the_grace_with_an_alarm(root: Path) -> None:
    (root / "platform.d/a.conf").write_text(SNIPPET)

    async with following(sources_in(root)) as seen:
        first = await seen.until(names)
        (root / "platform.d/a.conf").unlink()
        kept = await seen.until(lambda s: s.alarms)
        gone = await seen.until(lambda s: not names(s))

    assert names(kept) == ["platform/a.conf"]
    assert kept.digest == first.digest
    assert gone.alarms == ()


async def test_a_tenants_directory_that_is_removed_counts_after_the_grace(root: Path) -> None:
    for tenant in ("a", "b"):
        (root / "tenants.d" / tenant).mkdir()
        (root / "tenants.d" / tenant / "x.conf").write_text(SNIPPET)

    async with following(sources_in(root)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        (root / "tenants.d/a/x.conf").unlink()
        (root / "tenants.d/a").rmdir()
        kept = await seen.until(lambda s: s.alarms)
        await seen.until(lambda s: names(s) == ["tenants/b/x.conf"])

    assert len(names(kept)) == 2


async def test_a_directory_that_is_missing_at_the_start_is_read_when_it_appears(tmp_path: Path) -> None:
    async with following(sources_in(tmp_path)) as seen:
        first = await seen.until(lambda s: True)
        (tmp_path / "platform.d").mkdir()
        (tmp_path / "platform.d/a.conf").write_text(SNIPPET)
        await seen.until(names)
        (tmp_path / "tenants.d/team-a").mkdir(parents=True)
        (tmp_path / "tenants.d/team-a/b.conf").write_text(SNIPPET)
        await seen.until(lambda s: len(names(s)) == 2)

    assert (names(first), first.alarms, first.findings) == ([], (), ())


@pytest.mark.parametrize("layer", ["platform.d", "tenants.d"])
async def test_a_directory_that_was_moved_away_keeps_its_snippets_for_as_long_as_it_lasts(
    root: Path, layer: str
) -> None:
    (root / "tenants.d/team-a").mkdir()
    (root / "tenants.d/team-a/a.conf").write_text(SNIPPET)
    (root / "platform.d/a.conf").write_text(SNIPPET)

    async with following(sources_in(root, vanish_grace=0.05)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        (root / layer).rename(root / "away")
        alarmed = await seen.until(lambda s: s.alarms)
        (root / "marker.conf").write_text(SNIPPET)
        other = "tenants.d/team-a" if layer == "platform.d" else "platform.d"
        (root / other / "marker.conf").write_text(SNIPPET)
        later = await seen.until(lambda s: len(names(s)) == 3)
        (root / "away").rename(root / layer)
        healed = await seen.until(lambda s: not s.alarms)

    assert "is not there" in alarmed.alarms[0]
    assert later.alarms == alarmed.alarms
    assert len(names(healed)) == 3


async def test_a_seeded_snippet_that_is_not_there_at_boot_stays_for_the_grace(root: Path) -> None:
    (root / "platform.d/a.conf").write_text("accepted\n")
    (root / "platform.d/b.conf").write_text(SNIPPET)
    accepted = await sources_in(root).read()
    (root / "platform.d/a.conf").unlink()
    sources = sources_in(root)
    sources.seed(accepted)

    async with following(sources) as seen:
        kept = await seen.until(lambda s: True)
        gone = await seen.until(lambda s: names(s) == ["platform/b.conf"])

    assert text(kept, "platform/a.conf") == "accepted\n"
    assert len(kept.alarms) == 1
    assert gone.alarms == ()


async def test_a_seeded_directory_that_is_missing_at_boot_stays(root: Path) -> None:
    (root / "platform.d/a.conf").write_text("accepted\n")
    accepted = await sources_in(root).read()
    (root / "platform.d/a.conf").unlink()
    (root / "platform.d").rmdir()
    sources = sources_in(root, vanish_grace=0.01)
    sources.seed(accepted)

    snapshot = await sources.read()

    assert text(snapshot, "platform/a.conf") == "accepted\n"
    assert "is not there" in snapshot.alarms[0]


async def test_a_seed_gives_way_to_what_is_on_disk(root: Path) -> None:
    (root / "platform.d/a.conf").write_text("accepted\n")
    accepted = await sources_in(root).read()
    (root / "platform.d/a.conf").write_text("newer\n")
    sources = sources_in(root)
    sources.seed(accepted)

    snapshot = await sources.read()

    assert text(snapshot, "platform/a.conf") == "newer\n"
    assert snapshot.alarms == ()


async def test_nothing_is_left_running_after_cancellation(root: Path) -> None:
    sources = sources_in(root)
    async with following(sources) as seen:
        await seen.until(lambda s: True)
        await eventually(lambda: sources.mode == "inotify")

    assert sources.mode == "off"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert "sources-watch" not in {thread.name for thread in threading.enumerate()}


async def test_an_error_for_an_author_is_of_severity_error(root: Path) -> None:
    (root / "platform.d/a.conf").mkdir()

    (finding,) = (await sources_in(root).read()).findings

    assert (finding.severity, finding.snippet) == (Severity.ERROR, "platform/a.conf")
    assert finding.path == str(root / "platform.d/a.conf")
