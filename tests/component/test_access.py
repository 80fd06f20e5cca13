"""What may this uid do with a directory?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.adapters import access


def test_a_disk_with_room_is_nothing_to_speak_of(tmp_path: Path) -> None:
    assert access.short_of_space(str(tmp_path / "not" / "yet")) == ""


def test_a_disk_without_room_is_named_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "LEAST_SPACE", 1 << 62)

    said = access.short_of_space(str(tmp_path / "not" / "yet"))

    assert f"KiB are free on the disk of {tmp_path}" in said


def test_what_nobody_can_tell_is_no_complaint() -> None:
    assert access.short_of_space(os.path.join("/proc", "self", "nothing")) == ""
