"""Is the culprit found, and nobody else?

Each folder of `corpus/blame` is what was accepted (`before`, perhaps nothing), what changed at one instant (`change`,
laid over it, and `removed`), and the verdict that is expected: who is refused by which rule at which line in which
words, and which version of every snippet is in. The real binary is asked in all cases, its double in those that lint
decides; files are written in a shuffled order, and where names decide nothing also under other names.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from contract.blame_cases import CASES, Case, Layout, Refusal, dice_for, snippets_of
from contract.test_valid_corpus import schema_of

from supervisor import offline, prepare
from supervisor.adapters.fluent_bit import Binary, FluentBit
from supervisor.adapters.process import Processes
from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial
from supervisor.arguments import Invocation
from supervisor.config.schema import Schema
from supervisor.core.selection import Versions
from supervisor.core.service import Frame
from supervisor.model import Finding, Layer, Snapshot, Trust
from supervisor.prepare import Judged, Judgement, errors
from supervisor.settings import SourcesSettings, resolve

HTTP_PORT = 18998
STAGES = {"dry-run": "dry-run", "start": "trial", "start-complaint": "trial"}
"""At which stage the rules of Fluent Bit's own words speak; all others are told by the text."""


# --- the rooms that judge ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    root: Path
    judgement: Judgement
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
    examiner = prepare.Examiner(
        frame=frame,
        fluent_bit=fluent_bit if asked else None,
        scratch=str(scratch / "candidate"),
        trial=trial if real else None,
        looks=False,
    )
    try:
        yield Bench(root, Judgement(examiner), base_of(root))
    finally:
        await fluent_bit.close()
        await processes.stop_everything()
        processes.detach()


class Remembering(FluentBit):
    """Asks the binary only once what it is: that takes longer than a verdict."""

    known: ClassVar[tuple[Binary, Schema | None] | None] = None

    async def identify(self) -> Binary:
        if Remembering.known is None:
            Remembering.known = await super().identify(), await super().schema()
        self.identified = Remembering.known[0]
        return self.identified

    async def schema(self) -> Schema | None:
        return Remembering.known[1] if Remembering.known else None


@dataclass(frozen=True)
class Outcome:
    judged: Judged
    before: Judged | None
    versions: Versions


async def outcome(
    case: Case, layout: Layout, scratch: Path, binary: str, *, real: bool, again: bool = False
) -> Outcome:
    """What comes of the change, after what was there before was accepted.

    `again`: that it runs is known, and Fluent Bit is asked only where its words decide.
    """

    def bench(*, asked: bool = True) -> AbstractAsyncContextManager[Bench]:
        return bench_in(layout.root, scratch, binary, real=real, seconds=case.trial_seconds, asked=asked)

    layout.root.mkdir()
    (layout.root / "platform.d").mkdir()
    layout.write("before")
    accepted: Judged | None = None
    if (case.folder / "before").is_dir():
        async with bench(asked=not again) as before:
            accepted = await before.judgement.judge(await before.read())
            assert errors(accepted.findings) == (), "what was there before is at fault"
            assert accepted.candidate is not None
    layout.write("change")
    layout.remove()
    async with bench(asked=not again or not case.by_text) as after:
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
    if case.by_text:
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
        validate=replace(settings.validate, timeout=case.trial_seconds, trial=not case.by_text),
    )

    told = await offline.judge_offline(settings, Invocation({}), str(root), (), None, dry_run=True)

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
    culprits = [each.snippet for case in CASES for each in case.refused]
    classic = sum(name.endswith(".conf") for name in culprits)

    assert len(CASES) >= 130
    assert 0.4 <= classic / len(culprits) <= 0.6
    for case in CASES:
        assert set(case.live) == snippets_of(case), case.name


@pytest.mark.real
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_culprit_is_named_and_nobody_else(
    case: Case, real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "FluentBit", Remembering)
    layout = Layout(tmp_path / "root", case, dice_for(case), renamed=False)

    found = await outcome(case, layout, tmp_path, real, real=True)

    verify(case, layout, found)
    await verify_check(case, layout, real)


@pytest.mark.real
@pytest.mark.parametrize("case", [case for case in CASES if not case.names_count], ids=lambda case: case.name)
async def test_other_names_and_another_order_change_nothing(case: Case, real: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root", case, dice_for(case, "renamed"), renamed=True)

    found = await outcome(case, layout, tmp_path, real, real=True, again=True)

    verify(case, layout, found)


@pytest.mark.parametrize("case", [case for case in CASES if case.double], ids=lambda case: case.name)
async def test_lint_alone_names_the_culprit(case: Case, double: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "root", case, dice_for(case), renamed=False)

    found = await outcome(case, layout, tmp_path, double, real=False)

    verify(case, layout, found)
