"""A tenant who changes his files again and again cannot keep everybody in probation."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from e2e.tenants import World, states

TEXT = "pipeline:\n  inputs:\n    - {{name: dummy, tag: a{0}}}\n  outputs:\n    - {{name: 'null', match: a{0}}}\n"


@pytest.mark.real
def test_who_changed_too_much_waits_and_nobody_else_does(tmp_path: Path, real: str) -> None:
    with World(tmp_path, real, ("busy", "calm")) as world:
        for tenant in ("busy", "calm"):
            world.grants[tenant] = {"plugins": {"inputs": ["dummy"]}, "limits": {"changes": 2}}
        world.puts("busy", "a.yaml", TEXT.format(1))
        world.puts("calm", "a.yaml", TEXT.format(1))
        running = world.start(health_probation="1s", apply_min_gap="500ms")
        world.until_live("tenants/busy/a.yaml", "tenants/calm/a.yaml")
        world.puts("busy", "a.yaml", TEXT.format(2))
        running.until(lambda s: runs(s, "tenants/busy/a.yaml") == digest(2) and s["phase"] == "steady", 30.0)

        world.puts("busy", "a.yaml", TEXT.format(3))
        running.until(lambda s: told(s, "tenants/busy/a.yaml") == ["limit-changes"], 20.0)
        world.puts("calm", "a.yaml", TEXT.format(2))
        end = running.until(lambda s: runs(s, "tenants/calm/a.yaml") == digest(2) and s["phase"] == "steady", 30.0)

        assert runs(end, "tenants/busy/a.yaml") == digest(2)
        assert told(end, "tenants/busy/a.yaml") == ["limit-changes"]
        assert states(end)["tenants/busy/a.yaml"] == "pending"


def digest(number: int) -> str:
    return hashlib.sha256(TEXT.format(number).encode()).hexdigest()


def runs(status: dict[str, Any], name: str) -> str | None:
    return next((one["running_digest"] for one in status["snippets"] if one["name"] == name), None)


def told(status: dict[str, Any], name: str) -> list[str]:
    return [finding["rule"] for one in status["snippets"] if one["name"] == name for finding in one["findings"]]
