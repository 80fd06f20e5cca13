"""Does the real Fluent Bit cut and judge a command line as we do?"""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import waits_until

from supervisor.arguments import HandOver, Invocation, Refusal, parse_command_line
from supervisor.arguments.options import BY_LONG, OPTIONS

pytestmark = pytest.mark.real

BASE = "[SERVICE]\n    flush 1\n[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match *\n"


def ask(real: str, where: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A dry-run of that command line, so that nothing is started. `-D` comes last: it needs no value."""
    command = [real, *shlex.split(line), "-D"]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    (tmp_path / "a.conf").write_text(BASE)
    (tmp_path / "p.conf").write_text("[PARSER]\n    name p\n    format json\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "-c a.conf",
        "-ca.conf",
        "--config=a.conf",
        "--conf a.conf",
        "-vvqc a.conf",
        "-HYWZc a.conf -P2021 -L ::",
        "--http --http_server --po 2021",
        "--disable --enable-h",
        "-R p.conf -c a.conf",
        "-w . -c a.conf",
        "-b st -f 0.5 -l log -s 65536",
        "words -c a.conf in between",
        "-i dummy -t x -p rate=5 -F grep -m '*' -p 'regex=a b' -o null -m '*'",
        "-idummy --prop=rate=5 --output null --match x",
        "-i dummy -o null -m '*' -T 'CREATE STREAM x AS SELECT * FROM TAG:\"a\";'",
        "--trace 'input=dummy.0 output=stdout' --trace-input dummy.0 --trace-output stdout --trace-output-property a=b",
        "-m x -c a.conf",
        "- -c a.conf",
    ],
)
def test_what_we_take_the_real_one_takes(real: str, where: Path, line: str) -> None:
    assert isinstance(parse_command_line(["run", *shlex.split(line)]), Invocation)

    answer = ask(real, where, line)

    assert (answer.returncode, "configuration test is successful" in answer.stderr) == (0, True), answer.stderr


@pytest.mark.parametrize(
    "line",
    [
        "-x",
        "-vx",
        "-M 512",
        "--http_",
        "--p x",
        "--ver",
        "--http=on",
        "--nosuch",
        "--disable-thread-safety-on-hot-reloading",
        "-c=a.conf",
        "-p a=b",
        "-t a",
    ],
)
def test_what_we_cannot_read_the_real_one_cannot_either(real: str, where: Path, line: str) -> None:
    assert isinstance(parse_command_line(["run", *shlex.split(line)]), Refusal)

    assert ask(real, where, line).returncode != 0


@pytest.mark.parametrize("line", ["-V", "--vers", "-h", "-J", "-i tail -h", "-F lua -J", "-V -x", "words -V"])
def test_what_we_hand_over_the_real_one_answers(real: str, where: Path, line: str) -> None:
    argv = shlex.split(line)
    assert parse_command_line(["run", "-v", *argv]) == HandOver(("-v", *argv))

    answer = subprocess.run([real, *argv], cwd=where, capture_output=True, text=True, timeout=30, check=False)

    assert answer.returncode == 0
    assert answer.stdout


def test_the_table_has_every_option_that_the_help_of_the_real_one_names(real: str, where: Path) -> None:
    text = subprocess.run([real, "-h"], capture_output=True, text=True, timeout=30, check=True).stdout
    listed = {
        word.split("=")[0].strip(",")
        for line in text.partition("Inputs")[0].splitlines()
        for word in line.split()[:2]
        if word.startswith("-")
    }

    # Glued to their descriptions, or misspelt, in the real one's help.
    known = {f"-{o.short}" for o in OPTIONS if o.short} | {f"--{name}" for name in BY_LONG}
    odd = {"--enable-chunk-traceenable", "--disable-thread-safety-on-hot-reloadingdisable"}
    assert listed - odd <= known
    assert len(listed) > 40


def test_an_option_loses_against_the_file(real: str, where: Path) -> None:
    """`flush 0` is an error at start: on the command line it does no harm where the file says 1."""
    (where / "silent.conf").write_text(BASE.replace("    flush 1\n", "    grace 1\n"))

    assert ask(real, where, "-f 0 -c a.conf").returncode == 0
    assert ask(real, where, "-f 0 -c silent.conf").returncode == 1


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [("-f", "flush", "0"), ("-s", "coro_stack_size", "10"), ("-R", "parsers_file", "/nosuch")],
)
def test_an_option_is_refused_for_the_same_value_as_its_key(
    real: str, where: Path, option: str, key: str, value: str
) -> None:
    (where / "b.conf").write_text(f"[SERVICE]\n    {key} {value}\n")

    assert ask(real, where, f"{option} {value}").returncode == 1
    assert ask(real, where, "-c b.conf").returncode == 1


@pytest.mark.parametrize("by", ["options", "the keys that we make of them", "neither"])
def test_options_do_what_the_keys_do_that_we_make_of_them(real: str, where: Path, by: str) -> None:
    server, rest = f"-H -L 127.0.0.1 -P {free_port()}", "-Y -Z -b st -l log"
    both = parse_command_line(["run", *shlex.split(f"{server} {rest}")])
    assert isinstance(both, Invocation)
    (where / "b.conf").write_text("[SERVICE]\n" + "".join(f"    {k} {v}\n" for k, v in both.service_defaults))
    line = {"options": f"{server} {rest}", "neither": server}.get(by, "-c b.conf")

    seen = observe(real, where, line, int(server.split()[-1]))

    on = by != "neither"
    assert seen == {"reload": "done" if on else "not enabled", "trace": on, "storage": on, "log": on}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def observe(real: str, where: Path, line: str, port: int) -> dict[str, object]:
    """What a Fluent Bit that was started like this shows to the outside."""
    child = subprocess.Popen([real, *shlex.split(line)], cwd=where, stderr=subprocess.DEVNULL)
    try:
        waits_until(lambda: fetch(port, "/api/v1/uptime")[0] == 200)
        return {
            "trace": fetch(port, "/api/v1/traces/")[0] != 404,
            "storage": (where / "st").is_dir(),
            "log": (where / "log").is_file(),
            "reload": json.loads(fetch(port, "/api/v2/reload", "POST")[1])["reload"],
        }
    finally:
        child.kill()
        child.wait(30)


def fetch(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body; status 0 while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
