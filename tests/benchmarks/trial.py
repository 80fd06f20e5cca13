"""What does a trial start cost beside a bare start of the same config? Figures of one run; nothing is asserted.

    python tests/benchmarks/trial.py

The bare start is what a restart costs: spawned by the same hands, up to the ready line, with databases, threads and
inotify as the author has them. A trial is everything: make the rehearsal, write it, start it, read it, kill it, clear
it away. Both in turn, so that a loaded machine loads both. The goal is a ratio of at most 2.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import find_real_binary
from trying import ENV, Trying, parts_of, trying

from supervisor.adapters.process import Sandbox
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial.signs import READY
from supervisor.core.candidate import Parts, make_candidate
from supervisor.model import Accepted

BINARY = find_real_binary() or sys.exit("no real Fluent Bit found: nothing can be measured")
SIZES = (2, 100, 400)
ROUNDS = 11
STEP = 0.002  # seconds between two looks, as in a trial


def sections(count: int, directory: Path) -> Iterator[str]:
    """A mixture as in a cluster: inputs that read files, filters, outputs to a back-end; two: one in, one out."""
    inotify = "" if count <= 300 else "    inotify_watcher off\n"  # a user has 128 instances, so 400 need this
    for number in range(count // 3 or 1):
        yield f"[INPUT]\n    name tail\n    path {directory}/logs-{number}/*.log\n    tag t{number}\n"
        yield f"    db {directory}/{number}.db\n{inotify}"
        if count > 2:
            yield f"[FILTER]\n    name grep\n    match t{number}\n    regex log ok\n"
        yield f"[OUTPUT]\n    name http\n    match t{number}\n    host backend-{number}.example\n"


async def bare_start(bench: Trying, parts: Parts, directory: Path) -> float:
    """Seconds from the spawn to the ready line, with databases that are new."""
    config = lay_out(make_candidate(parts, bench.frame), str(directory / "config"))
    for database in directory.glob("*.db*"):
        database.unlink()
    began = time.perf_counter()
    child = bench.processes.spawn([BINARY, "-c", config], env=ENV, cwd=None, echo_stderr=False, sandbox=Sandbox())
    try:
        while READY not in child.stderr_since(0):
            assert not await child.ended_within(STEP), child.stderr_since(0)
        return time.perf_counter() - began
    finally:
        child.signal_group(9)
        await child.ended_within(2)


async def measure(count: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="trial-benchmark-"))
    try:
        async with trying(BINARY, directory, buffers=str(directory / "buffers")) as bench:
            files = {"a.conf": "".join(sections(count, directory))}
            parts = parts_of(files, bench.frame)
            bare, tried = [], []
            for _ in range(ROUNDS):
                bare.append(await bare_start(bench, parts, directory))
                began = time.perf_counter()
                verdict = await bench.start_parts(parts)
                tried.append(time.perf_counter() - began)
                assert verdict == Accepted(), verdict
        told = [f"{1000 * statistics.median(each):7.1f} ms" for each in (bare, tried)]
        ratio = statistics.median(tried) / statistics.median(bare)
        print(f"{count:4} sections: bare start {told[0]}, trial {told[1]}, ratio {ratio:.2f}", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def main() -> None:
    for count in SIZES:
        await measure(count)


if __name__ == "__main__":
    asyncio.run(main())
