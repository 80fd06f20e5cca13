"""The command line of stock Fluent Bit means with us what it means there."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from conftest import waits_until
from e2e.drop_in import LAUNCHER, DropIn, Stock, copies, errors, quick_environment
from e2e.dubious_bases import CLASSIC, INPUT, OUTPUT, YAML, adding, parser, parsing, service
from running import free_port

TO_FILE = b"[OUTPUT]\n    name file\n    match *\n    file out.txt\n    format plain\n"
FILES = {
    "main.conf": CLASSIC + TO_FILE,
    "main.yaml": YAML,
    "bare.conf": INPUT + OUTPUT,
    "needs.conf": INPUT + parsing("one") + OUTPUT,
    "quiet.conf": service("log_level warn", "http_server off", "http_port @PORT@") + INPUT + OUTPUT,
    "p.conf": parser("one"),
    "here.conf": adding("where here"),
    "includes.conf": CLASSIC + b"@INCLUDE here.conf\n",
    "sub/main.conf": CLASSIC.replace(b"hello", b"below") + TO_FILE,
    "sub/p.conf": parser("one"),
    "sub/needs.conf": INPUT + parsing("one") + OUTPUT,
    "sub/includes.conf": CLASSIC + b"@INCLUDE here.conf\n",
    "sub/here.conf": adding("where below"),
    "sub/tail.conf": CLASSIC[: CLASSIC.index(b"[INPUT]")]
    + b"[INPUT]\n    name tail\n    path *.log\n    db pos.db\n    read_from_head on\n"
    + OUTPUT,
    "sub/a.log": b"below\n",
    "a.log": b"here\n",
}
DUMMY = "-i dummy -p samples=3 -p rate=20"
LINES = "-p format=json_lines"


@dataclass(frozen=True)
class Line:
    """One command line, in blanks; `PORT` stands for a free port, another for each of the two."""

    text: str
    records: int = 3

    def arguments(self) -> tuple[list[str], int]:
        port = free_port()
        return self.text.replace("PORT", str(port)).split(), port


LINES_OF_STOCK = {
    "config": Line("-c main.conf"),
    "config=": Line("--config=main.conf"),
    "config-blank": Line("--config main.yaml"),
    "abbreviated": Line("--conf main.conf"),
    "path-repeated": Line("/fluent-bit/bin/fluent-bit -c main.conf"),
    "pipeline": Line(f"{DUMMY} -o stdout {LINES} -f 0.2"),
    "pipeline-in-long-forms": Line(
        "--input=dummy --prop samples=3 --tag=x --filter record_modifier --match=x --prop=remove_key=no "
        "--output stdout --match x --prop=format=json_lines --flush=0.2"
    ),
    "pipeline-with-match": Line(f"{DUMMY} -t x -o stdout -m x {LINES} -o null -m * -f 0.2"),
    "pipeline-beside-a-config": Line(f"-c main.conf {DUMMY} -t cli -o null -m cli"),
    "standard-input": Line(f"-i stdin -o stdout {LINES} -f 0.2", records=1),
    "parsers": Line("-R p.conf -c needs.conf -f 0.2"),
    "parsers-long-and-workdir": Line("--parser=p.conf --workdir=sub --config=needs.conf --flush 0.2"),
    "workdir": Line("-w sub -c main.conf"),
    "workdir-and-relative-tail": Line("--workdir sub -c tail.conf", records=1),
    "config-elsewhere": Line("-c sub/main.conf"),
    "tail-db-of-config-elsewhere": Line("-c sub/tail.conf", records=1),
    "include-of-config-elsewhere": Line("-c sub/includes.conf"),
    "verbose": Line("-v -c main.conf"),
    "quiet": Line("-q -c main.conf"),
    "server": Line("-c main.conf -H -P PORT"),
    "server-long": Line("--config=main.conf --http_server --http_port=PORT --http_listen=127.0.0.1"),
    "server-port-blank": Line("-c main.conf --http_server --port PORT -L 127.0.0.2"),
    "server-off-in-the-file": Line("-H -P PORT -v -c quiet.conf -f 0.2"),
    "hot-reload": Line("-Y -W -c main.conf"),
    "hot-reload-long": Line("--enable-hot-reload --disable-thread-safety-on-hot-reload -c main.conf"),
    "storage-path": Line("-b buffers -c main.conf"),
    "storage-path-below-workdir": Line("--storage_path=buffers -w sub -c main.conf"),
    "flush": Line("-f 0.2 -c bare.conf"),
    "log-file": Line("-l fluent.log -c main.conf"),
    "log-file-below-workdir": Line("--log_file=fluent.log --workdir=sub -c main.conf"),
    "stack-size": Line("-s 49152 -c main.conf"),
    "bundled": Line("-vHP PORT -cmain.conf"),
}


@pytest.mark.real
@pytest.mark.parametrize("line", LINES_OF_STOCK.values(), ids=LINES_OF_STOCK)
def test_a_command_line_of_stock_does_the_same(tmp_path: Path, real: str, line: Line) -> None:
    theirs, ours = copies(tmp_path, FILES)
    (their_arguments, their_port), (our_arguments, our_port) = line.arguments(), line.arguments()
    given = b'{"message":"given"}\n'

    with (
        Stock(real, their_arguments, tmp_path / "stock", cwd=theirs, stdin=given) as stock,
        DropIn(real, our_arguments, tmp_path / "ours", cwd=ours, stdin=given) as drop_in,
    ):
        stock.until_records(line.records)
        drop_in.until_records(line.records)
        status = drop_in.until_up()

        assert errors(status) == []
        assert status["child"]["restarts"] == 0
        assert drop_in.records() == stock.records()
        assert drop_in.files() == stock.files()
        expected = {(host, our_port if port == their_port else port) for host, port in stock.listens()}
        assert drop_in.listens() == expected or (
            not expected and {host for host, _ in drop_in.listens()} == {"127.0.0.1"}
        )
        assert ("[ info]" in drop_in.log(), "[debug]" in drop_in.log()) == (
            "[ info]" in stock.log(),
            "[debug]" in stock.log(),
        )


def test_the_shortest_pipeline_of_all_delivers(tmp_path: Path, fluent_bit: str) -> None:
    with DropIn(fluent_bit, ["-i", "dummy", "-o", "stdout", "-f", "1"], tmp_path / "ours") as drop_in:
        drop_in.until_records(2)
        status = drop_in.until_up()

    assert errors(status) == []


@pytest.mark.real
def test_the_pipeline_of_every_first_try_delivers(tmp_path: Path, real: str) -> None:
    with DropIn(real, ["-i", "cpu", "-o", "stdout"], tmp_path / "ours") as drop_in:
        drop_in.until_records(2)

        assert "[0] cpu.0: [" in drop_in.text()


@pytest.mark.parametrize(
    ("line", "named", "reason"),
    [
        ("-d -c main.conf", "-d", "stays in the foreground"),
        ("--daemon -c main.conf", "--daemon", "stays in the foreground"),
        ("--supervisor -c main.conf", "--supervisor", "two would fight"),
        ("-vd -c main.conf", "-d", "stays in the foreground"),
        ("-x -c main.conf", "-x", "no such option"),
        ("--workdir", "--workdir", "missing"),
    ],
)
def test_what_cannot_be_supervised_is_refused_by_name_with_the_reason(
    tmp_path: Path, double: str, line: str, named: str, reason: str
) -> None:
    env = quick_environment(double, tmp_path)
    argv = [sys.executable, "-I", str(LAUNCHER), *line.split()]

    done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 2
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    assert told.startswith(f"fluent-bit-supervisor: {named}: ")
    assert reason in told


@pytest.mark.real
def test_a_missing_shared_object_is_named(tmp_path: Path, real: str) -> None:
    _, ours = copies(tmp_path, FILES)

    with DropIn(real, ["-e", "/no/such.so", "-c", "main.conf"], tmp_path / "ours", cwd=ours) as drop_in:
        status = drop_in.until_status(lambda status: errors(status))

        assert (status["phase"], status["ready"]) == ("down", False)
        assert "/no/such.so: cannot open shared object file" in status["reason"]
        assert drop_in.stop() == 0


@pytest.mark.real
def test_a_base_that_is_missing_is_named_and_taken_up_as_soon_as_it_is_there(tmp_path: Path, real: str) -> None:
    _, ours = copies(tmp_path, {})

    with DropIn(real, ["-c", "late.conf"], tmp_path / "ours", cwd=ours) as drop_in:
        status = drop_in.until_status(lambda status: errors(status))
        assert f"{ours}/late.conf is not there" in status["reason"]

        (ours / "late.conf").write_bytes(CLASSIC)
        drop_in.until_records(3)
        drop_in.until_up()


@pytest.mark.real
@pytest.mark.parametrize(("line", "level"), [("-c bare.conf", "debug"), ("-v -c bare.conf", "error")])
def test_the_log_level_of_the_environment_counts_as_with_stock(
    tmp_path: Path, real: str, line: str, level: str
) -> None:
    theirs, ours = copies(tmp_path, FILES)
    env = {"FLB_LOG_LEVEL": level}

    with (
        Stock(real, line.split(), tmp_path / "stock", cwd=theirs, env=env) as stock,
        DropIn(real, line.split(), tmp_path / "ours", cwd=ours, env=env) as drop_in,
    ):
        stock.until_records(3)
        drop_in.until_records(3)
        drop_in.until_up()

        for word in ("[debug]", "[ info]"):
            assert (word in drop_in.log()) == (word in stock.log()), word


def test_the_child_gets_the_environment_without_what_is_ours(tmp_path: Path, fluent_bit: str) -> None:
    _, ours = copies(tmp_path, {"main.conf": CLASSIC})
    env = {"MY_VALUE": "mine", "HOSTNAME": "pod", "FLB_LOG_LEVEL": "info"}

    with DropIn(fluent_bit, ["-c", "main.conf"], tmp_path / "ours", cwd=ours, env=env) as drop_in:
        child = psutil.Process(drop_in.fluent_bit())
        drop_in.until_up()
        given = child.environ()

    assert {"MY_VALUE": "mine", "HOSTNAME": "pod", "TZ": "UTC"}.items() <= given.items()
    assert [name for name in given if name.startswith(("FBS_", "FLB_"))] == []


@pytest.mark.real
def test_a_pipeline_of_the_command_line_survives_a_change_by_restart(tmp_path: Path, real: str) -> None:
    _, ours = copies(tmp_path, {"main.conf": CLASSIC})
    line = [
        "-c",
        "main.conf",
        "-i",
        "dummy",
        "-t",
        "cli",
        "-p",
        "rate=20",
        "-o",
        "stdout",
        "-m",
        "cli",
        "-p",
        "format=json_lines",
    ]

    with DropIn(real, line, tmp_path / "ours", cwd=ours) as drop_in:
        first = drop_in.until_up()
        (ours / "new.conf").write_bytes(CLASSIC.replace(b"hello", b"changed"))
        (ours / "new.conf").rename(ours / "main.conf")

        waits_until(lambda: "changed" in drop_in.text(), 20)
        second = drop_in.until_status(
            lambda status: status["phase"] == "steady" and status["current"] != first["current"]
        )
        flowing = len(drop_in.text())
        waits_until(lambda: '"dummy"' in drop_in.text()[flowing:], 20)

    assert second["last_apply"]["method"] == "restart"
    assert second["last_apply"]["outcome"] == "committed"


@pytest.mark.real
def test_a_stop_leaves_as_stock_does(tmp_path: Path, real: str) -> None:
    theirs, ours = copies(tmp_path, FILES)

    with (
        Stock(real, ["-c", "main.conf"], tmp_path / "stock", cwd=theirs) as stock,
        DropIn(real, ["-c", "main.conf"], tmp_path / "ours", cwd=ours) as drop_in,
    ):
        stock.until_records(3)
        drop_in.until_up()
        child = drop_in.fluent_bit()
        began = time.monotonic()

        assert (stock.stop(), drop_in.stop()) == (0, 0)

    assert not psutil.pid_exists(child)
    assert time.monotonic() - began < 15
    assert "[engine] service has stopped" in drop_in.log()
