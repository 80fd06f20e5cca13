"""Right before Fluent Bit reads them, tenants' secrets are looked at once more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.adapters.secrets import blocking, unfit


@pytest.mark.parametrize("content", [b"pw", b"pw\n", b"$x", b"a$", b"{b}", b"$ {x}", b"\xff\xfe"])
def test_what_is_a_value_may_be_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "KEY").write_bytes(content)

    assert unfit([str(tmp_path / "KEY")]) == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\r", "is empty"),
        (b"x${HOME}", "holds ${"),
        (b"x" * 1_100_000, "holds"),
    ],
)
def test_what_would_fail_the_config_or_reach_for_another_value_may_not(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "good").write_bytes(b"pw")
    (tmp_path / "KEY").write_bytes(content)

    told = unfit([str(tmp_path / "good"), str(tmp_path / "KEY")])

    assert said in told
    assert str(tmp_path / "KEY") in told
    assert "HOME" not in told


def test_what_is_gone_may_not(tmp_path: Path) -> None:
    assert "is not there" in unfit([str(tmp_path / "gone")])


def test_a_named_pipe_is_told_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "plain").write_text("x")

    assert "no regular file" in unfit([str(tmp_path / "pipe")])
    assert blocking([str(tmp_path / "plain"), str(tmp_path), str(tmp_path / "gone")]) == ""
    assert blocking([str(tmp_path / "plain"), str(tmp_path / "pipe")]) == f"{tmp_path}/pipe is no regular file"
