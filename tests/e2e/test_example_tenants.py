"""The example with two teams, by the very commands of its documents, from a copy of what is in the repository."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = Path("examples/tenants")
NEEDED = ("examples", "supervisor", "pyproject.toml", "README.md", "LICENSE")

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The repository as somebody else would get it: no ignored file, nothing left from earlier runs."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *NEEDED]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / "clone" / name)
    return tmp_path / "clone"


def environment(clone: Path, fluent_bit: str) -> dict[str, str]:
    """Of a user who has installed the clone, and whose scripts find that it is."""
    programs, made = clone.parent / "bin", clone.parent / "environment"
    (made / "bin").mkdir(parents=True)
    programs.mkdir()
    interpreter = f'#!/bin/sh\nPYTHONPATH="{clone}" exec "{sys.executable}" "$@"\n'
    for path, text in (
        (made / "bin" / "python", interpreter),
        (programs / "fluent-bit-supervisor", interpreter.replace('"$@"', '-m supervisor "$@"')),
    ):
        path.write_text(text)
        path.chmod(0o755)
    checksum = subprocess.run(
        ["cksum"], input=(clone / "pyproject.toml").read_bytes(), capture_output=True, check=True
    ).stdout.decode()
    (made / "made-from").write_text(f"{sys.executable}  {checksum.strip()}\n")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FBS_")}
    return {
        **ours,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHON_FOR_ENVIRONMENT": sys.executable,
        "ENVIRONMENT_DIRECTORY": str(made),
        "FLUENT_BIT": fluent_bit,
        "FBS_FLUENT_BIT_BINARY": fluent_bit,
        "TMPDIR": short_place().name,
    }


@functools.cache
def short_place() -> tempfile.TemporaryDirectory[str]:
    """The path of a unix socket has room for 107 bytes, of which pytest's own directories take most."""
    return tempfile.TemporaryDirectory(prefix="fbs-")


def commands(document: str) -> list[str]:
    """What a reader is told to type, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / EXAMPLE / document).read_text(), re.MULTILINE | re.DOTALL)


def typed(block: str, clone: Path, env: dict[str, str]) -> Done:
    """As typed at the top of the clone; the first command that fails ends it."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=clone,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def block_with(document: str, words: str) -> str:
    (block,) = [block for block in commands(document) if words in block]
    return block


def test_every_block_of_commands_is_tried_here() -> None:
    assert len(commands("PLATFORM.md")) == 2
    assert len(commands("TENANT.md")) == 1


@pytest.mark.real
def test_the_example_runs_and_refuses_what_is_hostile_while_all_others_go_on(clone: Path, real: str) -> None:
    done = typed(block_with("PLATFORM.md", "run.sh"), clone, environment(clone, real))

    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = re.split(r"\n\x1b\[1m[23]\. ", done.stdout)
    for part in (first, second.partition("and still, a record of each:")[2]):
        assert re.search(r'"message":"order placed".*"arrived_at":"shop"', part)
        assert re.search(r'"log":"transfer booked".*"team":"payments".*"arrived_at":"payments"', part)
    status, _, log = second.partition("\nthe log:\n")
    assert re.search(r"^tenants/payments/hostile\.yaml +refused +- ", status, re.MULTILINE)
    assert re.search(r"^tenants/payments/containers\.conf +live ", status, re.MULTILINE)
    assert re.search(r"^tenants/shop/orders\.yaml +live ", status, re.MULTILINE)
    assert re.search(r"hostile\.yaml:\d+: error plugin-not-granted: the input 'exec'", status)
    assert re.search(r"^\d\d:\d\d:\d\d error +candidate\.refused .*payments/hostile\.yaml", log)
    assert third.split("\n")[1] == "none"
    assert '"log":"cart is full"' not in done.stdout, "a team that subscribed got the records of another namespace"
    assert "example-token" not in done.stdout + done.stderr
    assert not list(Path(short_place().name).glob("fbs-tenants.*")), "it cleans up"


def test_the_verdict_is_the_same_without_a_fluent_bit_and_names_each_missing_grant(clone: Path) -> None:
    done = typed(block_with("PLATFORM.md", "--no-dry-run"), clone, environment(clone, "/nonexistent/fluent-bit"))

    assert done.returncode == 0, done.stderr
    told = re.findall(r"^(?:.*/)?([\w./]+):\d+: error ([\w-]+):", done.stdout, re.MULTILINE)
    assert [rule for _file, rule in told] == [
        "path-not-granted",
        "plugin-not-granted",
        "match-missing",
        "property-not-granted",
        "address-not-granted",
    ]
    assert {Path(file).name for file, _rule in told} == {"hostile.yaml"}
    assert "something was refused, as it should be" in done.stdout


@pytest.mark.real
def test_a_team_checks_its_file_as_its_document_says(clone: Path, real: str) -> None:
    block = block_with("TENANT.md", "--tenant shop")
    env = environment(clone, real)

    assert typed(block, clone, env).stdout == "accepted\n"

    orders = clone / EXAMPLE / "tenants.d/shop/orders.yaml"
    orders.write_text(orders.read_text().replace("/var/log/teams/shop/", "/var/log/teams/payments/"))
    refused = typed(block, clone, env)

    assert refused.returncode == 1
    assert re.search(r"orders\.yaml:13: error path-not-granted: ", refused.stdout)
    assert refused.stdout.endswith("rejected\n")


def test_what_the_example_calls_hostile_is_kept_out_of_what_would_run(clone: Path) -> None:
    env = environment(clone, "/nonexistent/fluent-bit")
    layers = "--layer platform=platform.d --layer tenants=tenants.d:tenant"
    wanted = f"--no-dry-run --settings supervisor.yaml --secrets-directory secrets {layers}"
    block = f"cd {EXAMPLE}\nfluent-bit-supervisor render {wanted}"

    done = typed(block, clone, env)

    assert done.returncode == 1
    assert "tenant.payments.containers.conf.splunk.1" in done.stdout
    assert not any(word in done.stdout for word in ("stolen", "hostile", "169.254", "environ", "example-token"))
