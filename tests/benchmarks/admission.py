"""How many questions, and how long, until the culprits among many changes are found? Needs a real Fluent Bit.

    python tests/benchmarks/admission.py [SNIPPETS ...]     10 100 1000 without a number

N snippets run, all of them change at one instant, and 1, 2 or 5 of them are bad. Who is bad is told by lint, by a
message of the dry-run, or by nobody: Fluent Bit only says that the whole config is wrong. Beside it stands what it
costs to try each snippet alone (dry-run and trial start), measured on a few of them; that would not even find those
who only disagree. Nothing is asserted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import find_real_binary

from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.process import Processes
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial
from supervisor.config.schema import read_schema
from supervisor.core.service import Frame
from supervisor.model import Snapshot, Snippet, Trust
from supervisor.prepare import Examiner, Judgement

BINARY = find_real_binary() or sys.exit("no real Fluent Bit found: nothing can be measured")
SAMPLE = 20  # snippets that are tried alone
BAD = (1, 2, 5)

GOOD = """\
pipeline:
  inputs:
    - name: dummy
      tag: t{number}
  filters:
    - name: grep
      match: t{number}
      exclude: log {word}
  outputs:
    - name: http
      match: t{number}
      host: h{number}.example
"""
FAULTS: Mapping[str, str] = {
    "lint": GOOD.replace("exclude", "exclud"),
    "a message": GOOD.replace(
        "    - name: grep", "    - {{name: lua, match: t{number}, call: f, code: 'f('}}\n    - name: grep"
    ),
    "nobody": "parsers:\n  - {{name: p{number}, format: json, time_key: t, time_format: '%s', time_offset: cet}}\n"
    + GOOD,
}
"""Bad snippets, by who tells."""


@dataclass(frozen=True)
class Bench:
    examiner: Examiner
    judgement: Judgement


def snapshot(texts: Mapping[int, str], word: str) -> Snapshot:
    snippets = []
    for number, text in sorted(texts.items()):
        content = text.format(number=number, word=word).encode()
        name = f"{number:04}.yaml"
        digest = hashlib.sha256(content).hexdigest()
        snippets.append(Snippet(f"platform/{name}", "platform", Trust.PLATFORM, f"/etc/{name}", content, digest))
    return Snapshot(hashlib.sha256(repr(snippets).encode()).hexdigest(), tuple(snippets))


def make_bench(directory: Path, processes: Processes) -> Bench:
    told = subprocess.run([BINARY, "-J"], capture_output=True, text=True, check=True, timeout=30).stdout
    cwd = str(directory)
    fluent_bit = FluentBit(
        processes=processes, binary=BINARY, cwd=cwd, arguments=(), validate_timeout=60.0, secrets=dict
    )
    trial = Trial(
        processes=processes,
        binary=BINARY,
        cwd=cwd,
        directory=str(directory / "trial"),
        lay_out=lay_out,
        timeout=60.0,
    )
    frame = Frame(cwd, {"PATH": os.defpath}, http_port=18997, schema=read_schema(told))
    examiner = Examiner(
        frame=frame, fluent_bit=fluent_bit, scratch=str(directory / "candidate"), trial=trial, looks=False
    )
    return Bench(examiner, Judgement(examiner))


async def search(directory: Path, count: int, culprits: frozenset[int], fault: str) -> str:
    """What it takes from the change to the verdict on everybody, all rounds together."""
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    try:
        bench = make_bench(directory, processes)
        accepted = snapshot(dict.fromkeys(range(count), GOOD), "before")
        newest = snapshot({n: FAULTS[fault] if n in culprits else GOOD for n in range(count)}, "after")
        began, rounds, questions = time.perf_counter(), 0, 0
        refused: frozenset[str] = frozenset()
        while True:
            versions = bench.judgement.versions(newest, accepted)
            judged = await bench.judgement.judge(newest, versions=versions)
            rounds, questions, refused = rounds + 1, questions + judged.questions, judged.refused
            if not judged.waiting:
                break
            accepted = judged.selected
        seconds = time.perf_counter() - began
        right = refused == {f"platform/{number:04}.yaml" for number in culprits}
        found = "all found" if right else f"WRONG: {sorted(refused)}"
        examiner = bench.examiner
        return f"{examiner.dry_runs:9} {examiner.trials:7} {questions:11} {rounds:7} {seconds:8.2f}   {found}"
    finally:
        await processes.stop_everything()
        processes.detach()


async def alone(directory: Path, count: int) -> float:
    """Seconds to try each snippet by itself, going by a few of them."""
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    try:
        bench = make_bench(directory, processes)
        tried = min(SAMPLE, count)
        began = time.perf_counter()
        for number in range(tried):
            await bench.examiner.examine(snapshot({number: GOOD}, "alone"), None)
        return (time.perf_counter() - began) / tried * count
    finally:
        await processes.stop_everything()
        processes.detach()


def main(counts: list[int]) -> None:
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="admission-") as home:
        for count in counts:
            seconds = asyncio.run(alone(Path(home), count))
            print(f"\n{count} snippets; trying each alone: {count} dry-runs, {count} trials, {seconds:.1f} s")
            print("  bad    told by  dry-runs  trials  selections  rounds  seconds")
            for fault in FAULTS:
                for bad in BAD:
                    culprits = frozenset(dice.sample(range(count), bad))
                    row = asyncio.run(search(Path(home), count, culprits, fault))
                    print(f"{bad:5} {fault:>10} {row}", flush=True)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [10, 100, 1000])
