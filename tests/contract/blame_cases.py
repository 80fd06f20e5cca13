"""What does a case of the blame corpus say, and how does it come to lie on disk?

A folder `NAME/{before/,change/,expected.yaml}`: `change` is laid over `before`, which may be missing (a first start).
Below both: `base/` (main file `fluent-bit.conf` or `.yaml`), `platform.d/`, `secrets/platform/`, and files that a text
refers to. Nothing of it is real but the binary: hosts end in `.example`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from supervisor.model import Finding

CORPUS = Path(__file__).parent.parent / "corpus" / "blame"


@dataclass(frozen=True)
class Refusal:
    """One cause for which one snippet is refused."""

    snippet: str
    rule: str
    line: int | None
    says: str = ""  # part of message or hint

    def fits(self, finding: Finding) -> bool:
        said = f"{finding.message} {finding.hint}"
        return (self.snippet, self.rule, self.line) == (finding.snippet, finding.rule, finding.line) and (
            self.says in said
        )


@dataclass(frozen=True)
class Case:
    name: str
    stage: str | list[str]  # lint | dry-run | trial | conflict; several when several are at fault
    refused: tuple[Refusal, ...]
    live: Mapping[str, str]  # new | old | out
    removed: tuple[str, ...] = ()
    names: str = ""  # the other one of a conflict, with its place
    check: tuple[Refusal, ...] | None = None  # what `check` says, when it differs for want of a past
    trial_seconds: float = 10.0  # what an endless loop is told by
    neighbours: int = 0  # innocents, every other one new and the rest changed
    names_count: bool = False  # whether the order of the names decides, or a text names another snippet's file
    double: bool = False  # whether it is known well enough to the double: few plugins, and nothing of the schema

    @property
    def folder(self) -> Path:
        return CORPUS / self.name

    @property
    def stages(self) -> list[str]:
        return [self.stage] if isinstance(self.stage, str) else self.stage

    @property
    def by_text(self) -> bool:
        """Whether the text alone shows who is at fault."""
        return set(self.stages) <= {"lint", "conflict"}


def refusals(said: list[dict[str, Any]] | None) -> tuple[Refusal, ...] | None:
    return None if said is None else tuple(Refusal(**each) for each in said)


def read_case(folder: Path) -> Case:
    said = yaml.safe_load((folder / "expected.yaml").read_text())
    said.pop("about")
    return Case(
        folder.name,
        refused=refusals(said.pop("refused")) or (),
        check=refusals(said.pop("check", None)),
        removed=tuple(said.pop("removed", ())),
        **said,
    )


CASES = [read_case(folder) for folder in sorted(CORPUS.iterdir()) if folder.is_dir()]


# --- the files --------------------------------------------------------------------------------------------------


@dataclass
class Layout:
    """The files of one case on disk, perhaps under other names."""

    root: Path
    case: Case
    dice: random.Random
    renamed: bool
    given: dict[str, str] = field(default_factory=dict)  # name of a platform file → the name that it was given

    def write(self, part: str) -> None:
        folder = self.case.folder / part
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        contents = {name: path.read_bytes() for name, path in files.items()} | self._neighbours(part)
        for name in self.dice.sample(sorted(contents), len(contents)):
            path = self.root / self._named(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[name])

    def remove(self) -> None:
        for name in self.case.removed:
            (self.root / self._named(name)).unlink()

    def snippet(self, name: str) -> str:
        """The identity of a snippet, as it is now called, of the one in the corpus."""
        layer, _, rest = name.partition("/")
        return f"{layer}/{self.given.get(rest, rest)}" if layer == "platform" else name

    def refusal(self, wanted: Refusal) -> Refusal:
        """The same, with the names as they are now."""
        says = wanted.says
        for name, given in self.given.items():
            says = says.replace(f"platform/{name}", f"platform/{given}")
        return replace(wanted, snippet=self.snippet(wanted.snippet), says=says)

    def _named(self, name: str) -> str:
        directory, file = os.path.split(name)
        if not self.renamed or directory != "platform.d" or file.startswith("."):
            return name
        if file not in self.given:
            self.given[file] = f"{self.dice.randrange(1000):03}-{file}"
        return f"{directory}/{self.given[file]}"

    def _neighbours(self, part: str) -> dict[str, bytes]:
        numbers = range(self.case.neighbours)
        if part == "before":
            return {neighbour(n): team(n, "before") for n in numbers if n % 2}
        return {neighbour(n): team(n, "after") for n in numbers}


def neighbour(number: int) -> str:
    """Half of them sort before everybody else, half behind."""
    return f"platform.d/{'0' if number % 4 < 2 else 'zz'}-team-{number:02}.{'conf' if number % 3 else 'yaml'}"


def team(number: int, index: str) -> bytes:
    """A small pipeline of its own."""
    if number % 3:
        return (
            f"[INPUT]\n    Name tail\n    Path /var/log/team-{number}/*.log\n    Tag team{number}.*\n"
            f"    Mem_Buf_Limit 5M\n\n[FILTER]\n    Name grep\n    Match team{number}.*\n    Exclude log healthz\n\n"
            f"[OUTPUT]\n    Name http\n    Match team{number}.*\n    Host logs-{number}.example\n    Uri /{index}\n"
        ).encode()
    return (
        f"pipeline:\n  inputs:\n    - name: dummy\n      tag: team{number}\n  outputs:\n    - name: http\n"
        f"      match: team{number}\n      host: logs-{number}.example\n      uri: /{index}\n      format: json\n"
    ).encode()


def snippets_of(case: Case) -> set[str]:
    """Every file of the folder that is a snippet."""
    found = {
        path.relative_to(case.folder / part)
        for part in ("before", "change")
        for path in case.folder.glob(f"{part}/*/*.*")
    }
    layers = {"platform.d": "platform", "base": "base"}
    return {f"{layers[str(path.parent)]}/{path.name}" for path in found if str(path.parent) in layers}


def dice_for(case: Case, more: str = "") -> random.Random:
    return random.Random(f"{case.name} {more}")
