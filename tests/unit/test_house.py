"""Imports go downwards, pure rooms stay pure, and each library is known by one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "supervisor"
STOREYS = (
    ("model", "settings", "arguments", "__init__"),
    ("config",),
    ("core",),
    ("adapters",),
    ("reports", "places", "prepare"),
    ("controller",),
    ("desk",),
    ("app", "offline"),
    ("cli",),
    ("__main__",),
)
DOORS = {
    ("adapters.fluent_bit", "adapters.process"),
    ("adapters.trial", "adapters.process"),
    ("adapters.trial", "adapters.fluent_bit"),
}
LIBRARIES = {
    "watchfiles": {"adapters.sources"},
    "psutil": {"adapters.process"},
    "aiohttp": {"adapters.api", "adapters.fluent_bit"},
    "prometheus_client": {"adapters.metrics"},
    "yaml": {"config.yaml_format", "settings"},
}
IMPURE = {"asyncio", "os", "pathlib", "time", "logging", "random", "socket", "subprocess", "threading", "io", "sys"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(dotted: str) -> str:
    """`adapters.api.doors` is in the room `adapters.api`."""
    parts = dotted.split(".")
    if parts[0] in ("config", "core", "adapters"):
        return ".".join(parts[:2])
    return parts[0]


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "supervisor" or node.module in ("supervisor.core", "supervisor.adapters"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def storey(dotted: str) -> int:
    first = dotted.split(".")[0]
    return next(number for number, rooms in enumerate(STOREYS) if first in rooms)


def own(imported: str) -> str | None:
    return imported.removeprefix("supervisor.") if imported.startswith("supervisor.") else None


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_downwards_and_rooms_keep_to_themselves(path: Path) -> None:
    here = name_of(path)

    for imported in filter(None, map(own, imports_of(path))):
        if imported == "__version__":
            continue
        assert storey(imported) <= storey(here), f"{here} must not look up to {imported}"
        mine, theirs = room_of(here), room_of(imported)
        if mine.startswith("adapters.") and theirs.startswith("adapters.") and mine != theirs:
            assert (mine, theirs) in DOORS, f"{mine} must not know {theirs}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_each_library_is_known_by_one_room(path: Path) -> None:
    room = room_of(name_of(path))

    for imported in imports_of(path):
        rooms = LIBRARIES.get(imported.split(".")[0])
        assert rooms is None or room in rooms, f"{room} must not know {imported}"


@pytest.mark.parametrize("path", [path for path in modules() if storey(name_of(path)) <= 2], ids=name_of)
def test_pure_rooms_import_nothing_that_acts(path: Path) -> None:
    for imported in imports_of(path):
        root = imported.split(".")[0]
        assert root not in IMPURE, f"{name_of(path)} is pure: no {imported}"
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("open", "print", "input"), f"{name_of(path)} is pure"
