"""A base that stock Fluent Bit runs, we run: the same records and files, at worst with warnings."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from e2e.drop_in import DropIn, Stock, copies, errors
from e2e.dubious_bases import BASES, CLASSIC, INPUT, OUTPUT, Base, service

pytestmark = pytest.mark.real


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_what_stock_runs_we_run_with_the_same_records(tmp_path: Path, real: str, base: Base) -> None:
    theirs, ours = copies(tmp_path, base.files)
    arguments, env = ["-c", base.main], base.environment

    with (
        Stock(real, arguments, tmp_path / "stock", cwd=theirs, env=env) as stock,
        DropIn(real, arguments, tmp_path / "ours", cwd=ours, env=env) as drop_in,
    ):
        stock.until_records(base.records)
        drop_in.until_records(base.records)
        status = drop_in.until_up()
        assert stock.process.poll() is None, f"stock does not run it: {stock.log()}"

        assert errors(status) == []
        assert {one["rule"] for one in status["findings"] if one["severity"] == "warning"} == set(base.said)
        assert status["last_apply"]["outcome"] == "committed"
        assert status["child"]["restarts"] == 0
        assert drop_in.records() == stock.records()
        assert drop_in.files() == stock.files()
        assert {host for host, _ in stock.listens()} <= {host for host, _ in drop_in.listens()}
        for host, _ in drop_in.listens() if not stock.listens() else ():
            assert ipaddress.ip_address(host).is_loopback, "what stock keeps closed is open to nobody else"


def test_a_base_that_goes_to_the_background_is_kept_in_the_foreground(tmp_path: Path, fluent_bit: str) -> None:
    _, ours = copies(tmp_path, {"main.conf": service("daemon on") + INPUT + OUTPUT})

    with DropIn(fluent_bit, ["-c", "main.conf"], tmp_path / "ours", cwd=ours) as drop_in:
        drop_in.until_records(3)
        status = drop_in.until_up()

    assert errors(status) == []
    assert "daemon" in {one["rule"] for one in status["findings"]}


def test_a_log_level_in_base_and_environment_is_no_failure(tmp_path: Path, real: str) -> None:
    """5.1.1 refuses every config then; its other versions let the file win."""
    theirs, ours = copies(tmp_path, {"main.conf": service("log_level error") + INPUT + OUTPUT})
    env = {"FLB_LOG_LEVEL": "debug"}

    with (
        Stock(real, ["-c", "main.conf"], tmp_path / "stock", cwd=theirs, env=env) as stock,
        DropIn(real, ["-c", "main.conf"], tmp_path / "ours", cwd=ours, env=env) as drop_in,
    ):
        drop_in.until_records(3)
        drop_in.until_up()

        assert stock.process.wait(20) == 1
        assert "[debug]" not in drop_in.log()


def test_a_base_without_server_runs_beside_another_that_has_our_port(tmp_path: Path, real: str) -> None:
    _, ours = copies(tmp_path, {"main.conf": CLASSIC})

    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        env = {"FBS_FLUENT_BIT_HTTP_PORT": str(taken)}
        with DropIn(real, ["-c", "main.conf"], tmp_path / "ours", cwd=ours, env=env) as drop_in:
            drop_in.until_records(3)
            drop_in.until_up()

            assert f"port {taken} is taken" in drop_in.log()
            assert {host for host, _ in drop_in.listens()} == {"127.0.0.1"}


def test_what_stock_starts_with_no_pipeline_is_idle_and_ready(tmp_path: Path, fluent_bit: str) -> None:
    _, ours = copies(tmp_path, {"main.conf": b"[SERVICE]\n    flush 1\n"})

    with DropIn(fluent_bit, ["-c", "main.conf"], tmp_path / "ours", cwd=ours) as drop_in:
        status = drop_in.until_status(lambda status: status["ready"] and status["snippets"])

        assert status["phase"] == "down"
        assert status["in_sync"]
        assert errors(status) == []
