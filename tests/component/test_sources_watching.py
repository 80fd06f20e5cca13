"""However watching fails, no change stays unseen for longer than the resync."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import eventually
from doubles.kubelet_volume import KubeletVolume
from watched import SNIPPET, following, names, sources_in, text

from supervisor.adapters.sources import WatchReport
from supervisor.adapters.sources.watch import Spot, Watch

TESTS = str(Path(__file__).parents[1])


def in_namespace(flags: list[str], before: str, program: str, root: Path) -> str:
    """Run a program in namespaces of its own, after the shell text `before`; its output.

    Skips where the kernel refuses them.
    """
    if os.geteuid() != 0 and "--user" not in flags:
        flags = ["--user", "--map-root-user", *flags]
    if shutil.which("unshare") is None or subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    preamble = f"""
        import asyncio, subprocess, sys
        sys.path[:0] = [{TESTS!r}]
        from pathlib import Path
        from conftest import eventually
        from watched import SNIPPET, following, names, sources_in, text
        root = Path({str(root)!r})

        def mount(*arguments):
            subprocess.run(["mount", *arguments], check=True)

        def umount(*arguments):
            subprocess.run(["umount", *arguments], check=True)
    """
    script = textwrap.dedent(preamble) + textwrap.dedent(program) + "\nasyncio.run(main())\n"
    command = ["unshare", *flags, "sh", "-c", f'{before}\nexec "$@"', "sh", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("platform.d", "tenants.d"):
        (tmp_path / name).mkdir()
    return tmp_path


async def test_a_change_is_hinted_and_does_not_wait_for_the_resync(root: Path) -> None:
    sources = sources_in(root, resync=300.0)

    async with following(sources) as seen:
        await eventually(lambda: sources.mode == "inotify")
        (root / "platform.d/a.conf").write_text(SNIPPET)
        await seen.until(names)
        (root / "tenants.d/team-a").mkdir()
        (root / "tenants.d/team-a/b.conf").write_text(SNIPPET)
        await seen.until(lambda s: len(names(s)) == 2)
        (root / "tenants.d/team-a/b.conf").write_text("two\n")
        await seen.until(lambda s: text(s, "tenants/team-a/b.conf") == "two\n")


async def test_a_directory_that_is_replaced_is_watched_again(root: Path) -> None:
    sources = sources_in(root, resync=300.0)
    (root / "platform.d/a.conf").write_text("1\n")

    async with following(sources) as seen:
        await seen.until(names)
        await eventually(lambda: sources.mode == "inotify")
        (root / "next").mkdir()
        (root / "next/a.conf").write_text("2\n")
        (root / "platform.d").rename(root / "away")
        (root / "next").rename(root / "platform.d")
        await seen.until(lambda s: text(s, "platform/a.conf") == "2\n")
        for number in range(3, 6):
            (root / "platform.d/a.conf").write_text(f"{number}\n")
            await seen.until(lambda s, number=number: text(s, "platform/a.conf") == f"{number}\n")
        shutil.rmtree(root / "platform.d")
        (root / "platform.d").mkdir()
        (root / "platform.d/b.conf").write_text("6\n")
        await seen.until(lambda s: text(s, "platform/b.conf") == "6\n")


async def test_a_watch_that_is_up_hints_once_because_of_what_it_may_have_missed(root: Path) -> None:
    hints: list[str] = []
    watch = Watch(lambda: hints.append(watch.mode), lambda report: None)
    status = (root / "platform.d").stat()

    watch.cover({str(root / "platform.d"): Spot(status.st_dev, status.st_ino, None)})
    await eventually(lambda: hints)
    await watch.close()

    assert hints == ["inotify"]


async def test_only_the_names_that_matter_are_hinted_at(root: Path) -> None:
    hints: list[str] = []
    watch = Watch(lambda: hints.append(watch.mode), lambda report: None)
    status = root.stat()
    watch.cover({str(root): Spot(status.st_dev, status.st_ino, frozenset({"wanted"}))})
    await eventually(lambda: hints)

    (root / "noise").write_text("")
    (root / "wanted").write_text("")
    await eventually(lambda: len(hints) > 1)
    (root / "noise").write_text("more")
    (root / "..data_tmp").write_text("")
    await eventually(lambda: len(hints) > 2)
    await watch.close()

    assert len(hints) == 3


async def test_look_again_reads_at_once(root: Path) -> None:
    (root / "elsewhere.conf").write_text("1\n")
    (root / "platform.d/a.conf").symlink_to(root / "elsewhere.conf")
    sources = sources_in(root, resync=300.0)

    async with following(sources) as seen:
        await seen.until(names)
        await eventually(lambda: sources.mode == "inotify")
        (root / "elsewhere.conf").write_text("2\n")  # a target outside: nothing tells of it
        sources.look_again()
        await seen.until(lambda s: text(s, "platform/a.conf") == "2\n")


async def test_a_name_that_kills_the_watch_leaves_nobody_blind(root: Path) -> None:
    reports: list[WatchReport] = []
    sources = sources_in(root, report=reports.append)

    async with following(sources) as seen:
        await eventually(lambda: sources.mode == "inotify")
        Path(os.fsdecode(os.fsencode(root / "platform.d") + b"/caf\xe9.conf")).write_text(SNIPPET)
        await seen.until(lambda s: [f.rule for f in s.findings] == ["odd-name"])
        await eventually(lambda: [r for r in reports if r.error])
        (root / "platform.d/good.conf").write_text(SNIPPET)
        await seen.until(lambda s: names(s) == ["platform/good.conf"])
        await eventually(lambda: sources.mode == "inotify")

    assert reports[-1] == WatchReport("off")


async def test_snapshots_follow_a_slow_taker_with_the_latest_only(root: Path) -> None:
    volume = KubeletVolume(root / "tenants.d/team-a")
    volume.update({"a.conf": "0"})
    sources = sources_in(root)
    snapshots = sources.snapshots()
    await anext(snapshots)
    for number in range(1, 20):
        volume.update({"a.conf": f"{number}"})

    snapshot = await asyncio.wait_for(anext(snapshots), 5)

    assert text(snapshot, "tenants/team-a/a.conf") == "19"
    await snapshots.aclose()


@pytest.mark.namespaces
def test_a_volume_that_is_unmounted_keeps_its_snippets_whatever_was_below(root: Path) -> None:
    (root / "platform.d/below.conf").write_text("below\n")
    (root / "source").mkdir()
    (root / "source/a.conf").write_text("1\n")
    program = """
        async def main():
            for kind in (["--bind", str(root / "source")], ["-t", "tmpfs", "tmpfs"]):
                mount(*kind, str(root / "platform.d"))
                (root / "platform.d/a.conf").write_text("1\\n")
                async with following(sources_in(root, vanish_grace=0.01)) as seen:
                    await seen.until(lambda s: text(s, "platform/a.conf") == "1\\n")
                    umount(str(root / "platform.d"))
                    kept = await seen.until(lambda s: s.alarms)
                    assert "no longer mounted" in kept.alarms[0], kept.alarms
                    assert names(kept)[0] == "platform/a.conf" and "platform/below.conf" not in names(kept), kept
                    (root / "tenants.d/t").mkdir(exist_ok=True)
                    (root / "tenants.d/t/marker.conf").write_text(" ".join(kind) + "\\n")
                    later = await seen.until(lambda s: s.snippets[-1].content.decode().strip() == " ".join(kind))
                    assert names(later)[0] == "platform/a.conf" and later.alarms, later
                    mount("--bind", str(root / "source"), str(root / "platform.d"))
                    (root / "platform.d/a.conf").write_text("2\\n")
                    await seen.until(lambda s: text(s, "platform/a.conf") == "2\\n" and not s.alarms)
                    (root / "platform.d/a.conf").write_text("3\\n")
                    await seen.until(lambda s: text(s, "platform/a.conf") == "3\\n")
                umount(str(root / "platform.d"))
            print("done")
    """

    assert in_namespace(["--mount", "--propagation", "private"], "", program, root) == "done\n"


@pytest.mark.namespaces
def test_a_directory_that_is_mounted_over_is_read_anew_unless_it_is_covered_by_nothing(root: Path) -> None:
    (root / "platform.d/a.conf").write_text("1\n")
    program = """
        async def main():
            async with following(sources_in(root, vanish_grace=0.01)) as seen:
                await seen.until(lambda s: text(s, "platform/a.conf") == "1\\n")
                mount("-t", "tmpfs", "tmpfs", str(root / "platform.d"))
                kept = await seen.until(lambda s: s.alarms)
                assert "covered by another, empty directory" in kept.alarms[0], kept.alarms
                assert text(kept, "platform/a.conf") == "1\\n"
                (root / "platform.d/b.conf").write_text("2\\n")
                await seen.until(lambda s: names(s) == ["platform/b.conf"] and not s.alarms)
                (root / "platform.d/b.conf").write_text("3\\n")
                await seen.until(lambda s: text(s, "platform/b.conf") == "3\\n")
            print("done")
    """

    assert in_namespace(["--mount", "--propagation", "private"], "", program, root) == "done\n"


@pytest.mark.namespaces
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_without_inotify_it_polls_and_says_so(root: Path, limit: str) -> None:
    program = """
        async def main():
            reports = []
            sources = sources_in(root, resync=0.5, report=reports.append)
            async with following(sources) as seen:
                await eventually(lambda: sources.mode == "polling")
                assert any(report.error for report in reports), reports
                (root / "platform.d/a.conf").write_text(SNIPPET)
                await seen.until(names)
            print("done")
    """
    before = f"echo 0 > /proc/sys/user/{limit}"

    assert in_namespace(["--user", "--map-root-user"], before, program, root) == "done\n"


async def test_a_queue_that_overflows_while_the_process_stands_still_hides_nothing(root: Path) -> None:
    script = f"""
        import asyncio, sys
        sys.path[:0] = [{TESTS!r}]
        from pathlib import Path
        from conftest import eventually
        from watched import following, sources_in, text
        root = Path({str(root)!r})

        async def main():
            sources = sources_in(root, resync=1.0)
            async with following(sources) as seen:
                await eventually(lambda: sources.mode == "inotify")
                print("watching", flush=True)
                await seen.until(lambda s: text(s, "platform/last.conf") == "last\\n", 30)
            print("seen", flush=True)

        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"watching\n"
        process.send_signal(signal.SIGSTOP)
        scratch = root / "platform.d/scratch.txt"
        for _ in range(9000):
            scratch.touch()
            scratch.unlink()
        (root / "platform.d/last.conf").write_text("last\n")
        process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"seen\n"
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("count", [1000])
async def test_a_thousand_snippets_are_read_and_one_change_among_them_is_seen(root: Path, count: int) -> None:
    for number in range(count):
        (root / f"platform.d/{number:04d}.conf").write_text(SNIPPET)

    async with following(sources_in(root, max_wait=5.0)) as seen:
        await seen.until(lambda s: len(names(s)) == count)
        (root / "platform.d/0500.conf").write_text("changed\n")
        await seen.until(lambda s: text(s, "platform/0500.conf") == "changed\n")
