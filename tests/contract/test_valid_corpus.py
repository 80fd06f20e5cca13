"""Do we leave alone what is right?

Every file of `corpus/valid` is a config as a careful user would write it, and the real binary takes it. What we say of
it must hold no error: neither as a platform snippet nor as a base, neither by the text alone nor with the binary's own
schema, dry-run and trial start, also where it names machines and clouds that are not there. At least one of them uses
each plugin that the binary has.

Relative paths in them mean the corpus itself, so a copy of it is the working directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import REAL

from supervisor import prepare
from supervisor.adapters.fluent_bit import FluentBit
from supervisor.adapters.process import Processes
from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.adapters.trial import Trial
from supervisor.config.parse import parse
from supervisor.config.schema import Schema, read_schema
from supervisor.core.service import Frame
from supervisor.model import (
    Accepted,
    Finding,
    Group,
    Inconclusive,
    Kind,
    Node,
    Rejected,
    Scalar,
    Sequence,
    Snapshot,
    Trust,
    Verdict,
)
from supervisor.settings import SourcesSettings

CORPUS = Path(__file__).parent.parent / "corpus" / "valid"
CONFIGS = sorted(path.name for path in CORPUS.iterdir() if path.suffix in (".conf", ".yaml"))
HTTP_PORT = 18999  # named in no config of the corpus, so that our own server is nobody's conflict

CRASH_THE_DRY_RUN = {
    "output-azure-blob-append.yaml",
    "output-azure-blob-buffered.conf",
    "output-kafka-rest.conf",
    "output-nats.yaml",
}
"""Fluent Bit 5.1.1 dies by SIGSEGV while it checks an output of these kinds, and runs all of them when started."""

NEVER_START = {"output-lib.yaml"}
"""Takes a function of the program that Fluent Bit is linked into; a dry-run takes it, a start cannot."""

LISTS = {
    Kind.INPUT: "inputs",
    Kind.FILTER: "filters",
    Kind.OUTPUT: "outputs",
    Kind.CUSTOM: "customs",
}


@dataclass(frozen=True)
class Bench:
    """What is needed to judge, once for all files: starting it takes longer than judging."""

    runner: asyncio.Runner
    cwd: Path
    text_only: prepare.Examiner
    dry_run: prepare.Examiner
    trial: prepare.Examiner

    def judge(self, config: str, trust: Trust, examiner: prepare.Examiner) -> tuple[tuple[Finding, ...], Verdict]:
        """The errors that are found, and the verdict."""

        async def judged() -> tuple[tuple[Finding, ...], Verdict]:
            snapshot = await self._read(config)
            examined = await examiner.examine(snapshot if trust is Trust.BASE else of_platform(snapshot), None)
            assert examined.assembled.candidate is not None, examined.findings
            return prepare.errors(examined.findings), examined.verdict

        return self.runner.run(judged())

    async def _read(self, config: str) -> Snapshot:
        sources = Sources(
            layers=(),
            base=str(self.cwd / config),
            cwd=str(self.cwd),
            secrets_directory="",
            settings=SourcesSettings(),
            report=print,
        )
        return await sources.read(settle=False)


def of_platform(snapshot: Snapshot) -> Snapshot:
    """The same files, written by the platform's people: their mistakes are errors, where a base only gets warnings."""
    snippets = tuple(
        replace(snippet, name=f"platform/{Path(snippet.path).name}", layer="platform", trust=Trust.PLATFORM)
        for snippet in snapshot.snippets
    )
    return replace(snapshot, snippets=snippets, base=None)


@pytest.fixture(scope="module")
def cwd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the corpus, so that nothing is ever left in the original."""
    return Path(shutil.copytree(CORPUS, tmp_path_factory.mktemp("valid") / "corpus"))


@pytest.fixture(scope="module")
def bench(cwd: Path) -> Iterator[Bench]:
    """Where there is no binary, what it would be asked for says nothing; those tests are skipped."""
    scratch = cwd.parent
    processes = Processes()
    binary, room = REAL or "", str(scratch / "trial")
    fluent_bit = FluentBit(processes=processes, binary=binary, cwd=str(cwd), validate_timeout=10.0)
    trial = Trial(processes=processes, binary=binary, cwd=str(cwd), directory=room, lay_out=lay_out, timeout=10.0)
    unasked = Frame(str(cwd), {"PATH": os.defpath}, http_port=HTTP_PORT)
    asked = replace(unasked, schema=schema_of(binary) if binary else None)
    with asyncio.Runner() as runner:
        processes.attach(runner.get_loop())
        yield Bench(
            runner,
            cwd,
            text_only=prepare.Examiner(frame=unasked, fluent_bit=None, scratch=str(scratch / "text")),
            dry_run=prepare.Examiner(frame=asked, fluent_bit=fluent_bit, scratch=str(scratch / "dry-run")),
            trial=prepare.Examiner(frame=asked, fluent_bit=fluent_bit, scratch=str(scratch / "real"), trial=trial),
        )
        runner.run(fluent_bit.close())
        processes.detach()


def schema_of(binary: str) -> Schema:
    schema = read_schema(told_by(binary))
    assert schema is not None
    return schema


def told_by(binary: str) -> str:
    return subprocess.run([binary, "-J"], capture_output=True, text=True, check=True, timeout=30).stdout


# --- the binary ---------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("config", CONFIGS)
def test_the_binary_takes_it(config: str, real: str, cwd: Path) -> None:
    environment = {"PATH": os.defpath}

    done = subprocess.run([real, "-D", "-c", config], cwd=cwd, env=environment, capture_output=True, timeout=30)

    said = done.stderr.decode(errors="replace")
    if config in CRASH_THE_DRY_RUN:
        assert done.returncode < 0, "it does not crash any more: take it out of the list"
        assert "[error]" not in said
    else:
        assert (done.returncode, "configuration test is successful" in said) == (0, True), said


@pytest.mark.real
def test_every_plugin_of_the_binary_is_used(real: str) -> None:
    told = json.loads(told_by(real))
    has = {(kinds, one["name"]) for kinds in (*LISTS.values(), "processors") for one in told[kinds]}

    used = {plugin for config in CONFIGS for plugin in plugins_of(config)}

    assert has - used == set()


def plugins_of(config: str) -> Iterator[tuple[str, str]]:
    document = parse((CORPUS / config).read_bytes(), config).document
    assert document is not None
    for section in document.sections:
        name = section.get("name")
        if section.kind in LISTS and name is not None:
            yield LISTS[section.kind], name.text.lower()
        for entry in section.entries:
            if entry.key == "processors":
                yield from (("processors", text) for text in names_in(entry.value))


def names_in(node: Node) -> Iterator[str]:
    match node:
        case Sequence():
            for item in node.items:
                yield from names_in(item)
        case Group():
            for entry in node.entries:
                if entry.key == "name" and isinstance(entry.value, Scalar):
                    yield entry.value.text
                yield from names_in(entry.value)


# --- what we say of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trust", [Trust.PLATFORM, Trust.BASE])
@pytest.mark.parametrize("config", CONFIGS)
def test_the_text_alone_gives_no_error(config: str, trust: Trust, bench: Bench) -> None:
    found, verdict = bench.judge(config, trust, bench.text_only)

    assert found == ()
    assert verdict == Accepted()


@pytest.mark.real
@pytest.mark.parametrize("config", CONFIGS)
def test_as_a_base_it_is_accepted(config: str, real: str, bench: Bench) -> None:
    found, verdict = bench.judge(config, Trust.BASE, bench.dry_run)

    assert found == ()
    if config in CRASH_THE_DRY_RUN:
        assert isinstance(verdict, Inconclusive)
        assert verdict.crashed
    else:
        assert verdict == Accepted()


@pytest.mark.real
@pytest.mark.parametrize("config", [config for config in CONFIGS if config not in NEVER_START])
def test_as_a_platform_snippet_it_is_accepted_after_a_trial_start(config: str, real: str, bench: Bench) -> None:
    found, verdict = bench.judge(config, Trust.PLATFORM, bench.trial)

    assert found == ()
    assert not isinstance(verdict, Rejected)
    if config not in CRASH_THE_DRY_RUN:
        assert verdict == Accepted()


@pytest.mark.real
@pytest.mark.parametrize("config", sorted(NEVER_START))
def test_the_text_of_what_only_a_program_can_start_is_no_error(config: str, real: str, bench: Bench) -> None:
    found, verdict = bench.judge(config, Trust.PLATFORM, bench.dry_run)

    assert found == ()
    assert verdict == Accepted()


def test_both_formats_are_there() -> None:
    classic = sum(config.endswith(".conf") for config in CONFIGS)

    assert len(CONFIGS) >= 160
    assert 0.4 <= classic / len(CONFIGS) <= 0.6
