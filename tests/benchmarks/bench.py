"""Figures, each as a ratio or difference within one run; nothing is asserted. Needs a real Fluent Bit.

    python tests/benchmarks/bench.py [latency|idle|thousand|storm|ledger ...]     all of them without a name

A loaded machine shifts absolute times: compare only what one run printed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import find_real_binary
from running import Running, free_port

from supervisor.adapters.fluent_bit import FluentBit, dry_run_environment
from supervisor.adapters.process import Processes
from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.core.assemble import assemble
from supervisor.core.service import Frame
from supervisor.model import Accepted, Layer, Trust
from supervisor.settings import SourcesSettings

LIMIT = 30.0  # seconds after which something counts as not having happened
PROBATION = {
    "--health-probation": "500ms",
    "--apply-min-gap": "2s",
    "--sources-quiet": "300ms",
    "--sources-max-wait": "3s",
}
BINARY = find_real_binary() or sys.exit("no real Fluent Bit found: nothing can be measured")


def snippet(message: str, port: int | None = None) -> str:
    service = f"service:\n  flush: 0.1\n  http_server: on\n  hot_reload: on\n  http_port: {port}\n" if port else ""
    return (
        service
        + f"""\
pipeline:
  inputs:
    - name: dummy
      tag: a
      dummy: '{{"message":"{message}"}}'
      rate: 100
  outputs:
    - name: stdout
      match: a
      format: json_lines
"""
    )


def seconds_until(condition: Callable[[], object], began: float) -> float | None:
    while time.perf_counter() - began < LIMIT:
        if condition():
            return time.perf_counter() - began
        time.sleep(0.005)
    return None


class Tail:
    """What was appended to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, 0

    def has(self, text: bytes) -> bool:
        with self._path.open("rb") as file:
            file.seek(self._seen)
            fresh = file.read()
        self._seen += max(0, len(fresh) - len(text))
        return text in fresh


def by_hand(home: Path, rounds: int) -> list[float]:
    """Write the same file, and send SIGHUP at once."""
    config, port = home / "fluent-bit.yaml", free_port()
    config.write_text(snippet("first", port))
    out = home / "records"
    with out.open("wb") as records:
        child = subprocess.Popen([BINARY, "-q", "-c", str(config)], stdout=records, stderr=subprocess.DEVNULL)
    times = []
    try:
        tail = Tail(out)
        seconds_until(lambda: tail.has(b'"first"'), time.perf_counter())
        for number in range(rounds):
            time.sleep(2.0 + number % 7 / 7)  # at rest, and at changing moments of Fluent Bit's one-second tick
            began = time.perf_counter()
            config.write_text(snippet(f"hand-{number}", port))
            child.send_signal(signal.SIGHUP)
            took = seconds_until(lambda n=number: tail.has(f'"hand-{n}"'.encode()), began)  # type: ignore[misc]
            times += [] if took is None else [took]
    finally:
        child.kill()
        child.wait()
    return times


def bench_latency(home: Path, rounds: int = 20, updates: int = 200) -> None:
    """Change on disk → first record of the new pipeline, against a hand that signals at once; and no update lost."""
    hand = by_hand(home, rounds)
    with Running(home / "s", BINARY, settings=PROBATION) as supervisor:
        supervisor.save("service.yaml", "service:\n  flush: 0.1\n")
        supervisor.save("a.yaml", snippet("first"))
        supervisor.until_records("first")
        supervisor.until_in_sync()
        tail, ours, lost = Tail(supervisor.out), [], 0
        for number in range(rounds):
            time.sleep(2.0 + number % 7 / 7)
            began = time.perf_counter()
            supervisor.save("a.yaml", snippet(f"ours-{number}"))
            took = seconds_until(lambda n=number: tail.has(f'"ours-{n}"'.encode()), began)  # type: ignore[misc]
            ours += [] if took is None else [took]
        for who, times in (("by hand", hand), ("supervisor", ours)):
            spread = f"min {min(times):.3f}, max {max(times):.3f}, {len(times)} of {rounds}"
            print(f"  {who:<11} median {statistics.median(times):.3f} s  ({spread})")
        print(f"  above by hand: {statistics.median(ours) - statistics.median(hand):+.3f} s (median)")
        for number in range(updates):
            began = time.perf_counter()
            supervisor.save("a.yaml", snippet(f"update-{number}"))
            lost += seconds_until(lambda n=number: tail.has(f'"update-{n}"'.encode()), began) is None  # type: ignore[misc]
        print(f"  updates lost: {lost} of {updates}")


def bench_idle(home: Path, length: float = 60.0) -> None:
    """Memory and processor time of the supervisor at rest; time to a running child."""
    began = time.perf_counter()
    (home / "snippets").mkdir(parents=True)
    (home / "snippets" / "a.yaml").write_text(snippet("x"))
    settings = {
        "--health-probation": "10s",
        "--health-interval": "1s",
        "--sources-resync": "15s",
        "--sources-quiet": "300ms",
    }
    with Running(home, BINARY, settings=settings) as supervisor:
        started = seconds_until(lambda: supervisor.process is not None and supervisor.children(), began)
        supervisor.until_in_sync(60)
        print(f"  start to a running child: first start {started:.2f} s" if started else "  no child")
        pid = supervisor.process.pid if supervisor.process else 0
        before, at = cpu_seconds(pid), time.perf_counter()
        time.sleep(length)
        share = (cpu_seconds(pid) - before) / (time.perf_counter() - at)
        print(f"  at rest: {resident_mib(pid):.1f} MiB resident, {share:.2%} of a core over {length:.0f} s")
        assert supervisor.process is not None
        supervisor.stop()
        began = time.perf_counter()
        supervisor.start()
        started = seconds_until(lambda: supervisor.children(), began)
        print(f"  start to a running child: from good {started:.2f} s" if started else "  no child")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def bench_thousand(home: Path, count: int = 1000) -> None:
    """Read, assemble, lint and dry-run many snippets, against the dry-run alone."""
    directory = home / "snippets"
    directory.mkdir(parents=True)
    for number in range(count):
        text = snippet(f"m{number}").replace("tag: a", f"tag: t{number}").replace("match: a", f"match: t{number}")
        (directory / f"{number:04d}.yaml").write_text(text)
    asyncio.run(_thousand(directory, home / "candidate"))


async def _thousand(directory: Path, scratch: Path) -> None:
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    fluent_bit = FluentBit(processes=processes, binary=BINARY, cwd="/", validate_timeout=60.0)
    sources = Sources(
        layers=[Layer("platform", str(directory), Trust.PLATFORM)],
        base=None,
        cwd="/",
        secrets_directory="/nowhere",
        settings=SourcesSettings(),
        report=lambda report: None,
    )
    marks = [time.perf_counter()]
    snapshot = await sources.read(settle=False)
    marks.append(time.perf_counter())
    assembled = assemble(snapshot, Frame(cwd="/", environment=dict(os.environ), http_port=free_port()))
    marks.append(time.perf_counter())
    assert assembled.candidate is not None
    main = lay_out(assembled.candidate, str(scratch))
    marks.append(time.perf_counter())
    verdict = await fluent_bit.dry_run(main, dry_run_environment(os.environ, ()))
    marks.append(time.perf_counter())
    assert isinstance(verdict, Accepted), verdict
    took = [later - earlier for earlier, later in itertools.pairwise(marks)]
    print("  read {:.2f} s, assemble and lint {:.2f} s, write {:.2f} s, dry-run {:.2f} s".format(*took))
    count, ratio = len(snapshot.snippets), sum(took) / took[3]
    print(f"  together {sum(took):.2f} s for {count} snippets, {ratio:.1f} times the dry-run alone")
    await fluent_bit.close()
    processes.detach()


def bench_storm(home: Path, rate: int = 100, length: float = 60.0) -> None:
    """Changes in quick succession: few applies, and the last content live soon after."""
    settings = {**PROBATION, "--health-probation": "10s", "--health-interval": "1s"}
    with Running(home, BINARY, settings=settings) as supervisor:
        supervisor.save("a.yaml", snippet("first"))
        supervisor.until_in_sync(60)
        before = supervisor.status()["current"]["generation"]
        began, number = time.perf_counter(), 0
        while time.perf_counter() - began < length:
            supervisor.save("a.yaml", snippet(f"storm-{number}"))
            number += 1
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        over, tail = time.perf_counter(), Tail(supervisor.out)
        live = seconds_until(lambda: tail.has(f'"storm-{number - 1}"'.encode()), over)
        applies = supervisor.status()["current"]["generation"] - before
        shown = "never" if live is None else f"{live:.2f} s after the last"
        print(f"  {number} changes in {over - began:.0f} s: {applies} applies; last content live {shown}")


def bench_ledger(home: Path, reloads: int = 100, rate: int = 2000) -> None:
    """Every line of a tail with DB over many real reloads: lost and repeated."""
    log, database = home / "app.log", home / "tail.db"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    stop, written = threading.Event(), [0]

    def write() -> None:
        began = time.perf_counter()
        with log.open("a", buffering=1) as file:
            while not stop.is_set():
                due = int((time.perf_counter() - began) * rate)
                if due > written[0]:
                    file.write("".join(f"{number}\n" for number in range(written[0], due)))
                    written[0] = due
                time.sleep(0.005)

    tailing = f"""\
pipeline:
  inputs:
    - name: tail
      tag: app
      path: {log}
      db: {database}
      read_from_head: on
      refresh_interval: 1
      storage.type: filesystem
  outputs:
    - name: stdout
      match: app
      format: json_lines
"""
    with Running(home / "s", BINARY, settings=PROBATION) as supervisor:
        supervisor.save("tail.yaml", tailing)
        supervisor.save(
            "b.yaml", snippet("first").replace("rate: 100", "rate: 1").replace("name: stdout", "name: 'null'")
        )
        supervisor.until_in_sync(60)
        writer = threading.Thread(target=write)
        writer.start()
        pid = supervisor.status()["child"]["pid"]
        for number in range(reloads):
            text = snippet(f"r{number}").replace("rate: 100", "rate: 1").replace("name: stdout", "name: 'null'")
            supervisor.save("b.yaml", text)
            supervisor.until_live("b.yaml", text, 60)
        stop.set()
        writer.join()
        last = f'"{written[0] - 1}"'.encode()
        tail = Tail(supervisor.out)
        seconds_until(lambda: tail.has(last), time.perf_counter())
        same = supervisor.status()["child"]["pid"] == pid
        supervisor.stop()
        seen = Counter(
            int(json.loads(line)["log"])
            for line in supervisor.records().splitlines()
            if line.startswith('{"date"') and '"log"' in line
        )
    lost = sum(number not in seen for number in range(written[0]))
    repeated = sum(count - 1 for count in seen.values())
    print(f"  {written[0]} lines over {reloads} reloads (same process: {same}): {lost} lost, {repeated} repeated")


def main() -> None:
    benches = {name.removeprefix("bench_"): bench for name, bench in globals().items() if name.startswith("bench_")}
    wanted = sys.argv[1:] or list(benches)
    for name in wanted:
        home = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        print(f"{name}: {benches[name].__doc__.splitlines()[0]}", flush=True)
        try:
            benches[name](home)
        finally:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
