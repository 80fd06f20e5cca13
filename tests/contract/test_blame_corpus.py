"""Is the culprit found, and nobody else?

Each folder of `corpus/blame` is what was accepted (`before`, perhaps nothing), what changed at one instant (`change`,
laid over it, and `removed`), and the verdict that is expected: who is refused by which rule at which line in which
words, and which version of every snippet is in. The real binary is asked in all cases, its double in those that lint
decides; files are written in a shuffled order, and where names decide nothing also under other names.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract.test_valid_corpus import schema_of

from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.process import Processes
from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial
from supervisor.arguments import Invocation
from supervisor.config.schema import Schema
from supervisor.core.selection import Versions
from supervisor.core.service import Frame
from supervisor.model import Finding, Layer, Rejected, Snapshot, Trust
from supervisor.offline import judge_offline
from supervisor.prepare import Judged, Judgement, Testing, errors, with_paths
from supervisor.settings import SourcesSettings, resolve

CORPUS = Path(__file__).parent.parent / "corpus" / "blame"
HTTP_PORT = 18998
STAGES = {"dry-run": "dry-run", "start": "trial", "start-complaint": "trial"}
"""At which stage the rules of Fluent Bit's own words speak; all others are told by the text."""


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


# --- the rooms that judge ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    root: Path
    judgement: Judgement
    testing: Testing
    base: str | None

    async def read(self) -> Snapshot:
        sources = Sources(
            layers=(Layer("platform", str(self.root / "platform.d"), Trust.PLATFORM),),
            base=self.base,
            cwd=str(self.root),
            secrets_directory=str(self.root / "secrets"),
            settings=SourcesSettings(),
            report=lambda report: None,
        )
        return await sources.read(settle=False)


def base_of(root: Path) -> str | None:
    found = [root / "base" / name for name in ("fluent-bit.conf", "fluent-bit.yaml")]
    return next((str(path) for path in found if path.exists()), None)


@cache
def known_schema(binary: str) -> Schema:
    return schema_of(binary)


@asynccontextmanager
async def bench_in(
    root: Path, scratch: Path, binary: str, *, real: bool, seconds: float, asked: bool = True
) -> AsyncIterator[Bench]:
    """`asked`: whether Fluent Bit has a word at all."""
    processes = Processes()
    processes.attach(asyncio.get_running_loop())
    fluent_bit = FluentBit(
        processes=processes, binary=binary, cwd=str(root), arguments=(), validate_timeout=10.0, secrets=dict
    )
    trial = Trial(
        processes=processes,
        binary=binary,
        cwd=str(root),
        directory=str(scratch / "trial"),
        lay_out=lay_out,
        timeout=seconds,
    )
    frame = Frame(
        str(root),
        {"PATH": os.defpath},
        http_port=HTTP_PORT,
        buffers=str(root / "buffers"),
        schema=known_schema(binary) if real else None,
    )
    testing = Testing(
        frame=frame,
        fluent_bit=fluent_bit if asked else None,
        scratch=str(scratch / "candidate"),
        trial=trial if real else None,
        looks=False,
    )
    try:
        yield Bench(root, Judgement(testing), testing, base_of(root))
    finally:
        await fluent_bit.close()
        await processes.stop_everything()
        processes.detach()


@dataclass(frozen=True)
class Outcome:
    judged: Judged
    before: Judged | None
    versions: Versions


async def outcome(
    case: Case, layout: Layout, scratch: Path, binary: str, *, real: bool, proven: bool = False
) -> Outcome:
    """What comes of the change, after what was there before was accepted. `proven`: Fluent Bit is known to take that."""

    def bench(*, asked: bool = True) -> AbstractAsyncContextManager[Bench]:
        return bench_in(layout.root, scratch, binary, real=real, seconds=case.trial_seconds, asked=asked)

    layout.root.mkdir()
    (layout.root / "platform.d").mkdir()
    layout.write("before")
    accepted: Judged | None = None
    if (case.folder / "before").is_dir():
        async with bench(asked=not proven) as before:
            accepted = await before.judgement.judge(await before.read())
            assert errors(accepted.findings) == (), "what was there before is at fault"
            assert accepted.candidate is not None
    layout.write("change")
    layout.remove()
    async with bench() as after:
        newest = await after.read()
        versions = after.judgement.versions(newest, accepted.selected if accepted else None)
        digest = accepted.candidate.digest if accepted and accepted.candidate else ""
        judged = await after.judgement.judge(newest, versions=versions, proven=digest)
    return Outcome(judged, accepted, versions)


# --- the verdict ------------------------------------------------------------------------------------------------


def verify(case: Case, layout: Layout, found: Outcome) -> None:
    judged = found.judged
    said = errors(judged.findings)
    wanted = [layout.refusal(each) for each in case.refused]

    assert unexplained(wanted, said) == ([], [])
    assert judged.refused == {each.snippet for each in wanted}
    assert {name: version_of(layout.snippet(name), found) for name in case.live} == dict(case.live)
    assert innocents_out(case, layout, found) == []
    assert {STAGES[finding.rule] for finding in said if finding.rule in STAGES} <= set(case.stages)
    if case.stages in (["lint"], ["conflict"]):
        assert not any(finding.rule in STAGES for finding in said)
    for finding in said if case.names else ():
        assert layout.snippet(case.names) in f"{finding.message} {finding.hint}", finding


async def verify_check(case: Case, layout: Layout, binary: str) -> None:
    """`check` knows no past, so of two that conflict it may name the other one."""
    settings = resolve({"fluent_bit.binary": binary}, {}, None, None).settings
    root = layout.root
    settings = replace(
        settings,
        fluent_bit=replace(settings.fluent_bit, config=base_of(root), http_port=HTTP_PORT),
        layers=(Layer("platform", str(root / "platform.d"), Trust.PLATFORM),),
        secrets_directory=str(root / "secrets"),
        buffers_directory=str(root / "buffers"),
        validate=replace(settings.validate, timeout=case.trial_seconds),
    )

    told = await judge_offline(settings, Invocation({}), str(root), (), None, dry_run=True)

    assert unexplained(list(case.refused if case.check is None else case.check), errors(told.findings)) == ([], [])


def unexplained(wanted: list[Refusal], said: tuple[Finding, ...]) -> tuple[list[Refusal], list[Finding]]:
    """What was expected and not said, and what was said and not expected; each finding counts once."""
    missing, left = [], list(said)
    for each in wanted:
        fitting = next((finding for finding in left if each.fits(finding)), None)
        if fitting is None:
            missing.append(each)
        else:
            left.remove(fitting)
    return missing, left


def version_of(name: str, found: Outcome) -> str:
    chosen = found.judged.versions.get(name)
    if chosen is None:
        return "out"
    new, old = found.versions.new.get(name), found.versions.old.get(name)
    if new is not None and chosen.key == new.key:
        return "new"
    return "old" if old is not None and chosen.key == old.key else f"neither: {chosen}"


def innocents_out(case: Case, layout: Layout, found: Outcome) -> list[str]:
    """Neighbours, and whoever else the expectation does not speak of, that do not run in their newest version."""
    spoken_of = {layout.snippet(name) for name in case.live}
    return [n for n in found.versions.new if n not in spoken_of and version_of(n, found) != "new"]


def test_the_corpus_is_whole() -> None:
    counts = [len(list(case.folder.glob(f"*/**/*.{end}"))) for case in CASES for end in ("conf",)]
    classic = sum(map(bool, counts))

    assert len(CASES) >= 130
    assert 0.35 <= classic / len(CASES) <= 0.75
    for case in CASES:
        snippets = {
            str(path.relative_to(case.folder / part)).replace("platform.d/", "platform/")
            for part in ("before", "change")
            for layer in ("platform.d", "base")
            for path in (case.folder / part / layer).glob("*.*")
        }
        assert set(case.live) == {name for name in snippets if not Path(name).name.startswith(".")}, case.name


@pytest.mark.real
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_culprit_is_named_and_nobody_else(case: Case, real: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root", case, dice_for(case), renamed=False)

    found = await outcome(case, layout, tmp_path, real, real=True)

    verify(case, layout, found)
    await verify_check(case, layout, real)


@pytest.mark.real
@pytest.mark.parametrize("case", [case for case in CASES if not case.names_count], ids=lambda case: case.name)
async def test_other_names_and_another_order_change_nothing(case: Case, real: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root", case, dice_for(case, "renamed"), renamed=True)

    found = await outcome(case, layout, tmp_path, real, real=True, proven=True)

    verify(case, layout, found)


@pytest.mark.parametrize("case", [case for case in CASES if case.double], ids=lambda case: case.name)
async def test_lint_alone_names_the_culprit(case: Case, double: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root", case, dice_for(case), renamed=False)

    found = await outcome(case, layout, tmp_path, double, real=False)

    verify(case, layout, found)


def dice_for(case: Case, more: str = "") -> random.Random:
    return random.Random(f"{case.name} {more}")
