"""What becomes of a fault of our own while a config is prepared? One snippet is left out for it; the others go on."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from supervisor import prepare
from supervisor.config.parse import parse
from supervisor.core import assemble as assembling
from supervisor.core import selection
from supervisor.core.assemble import Assembled
from supervisor.core.service import Frame
from supervisor.model import (
    Accepted,
    Finding,
    Include,
    Inconclusive,
    Parsed,
    Rejected,
    Severity,
    Snapshot,
    Snippet,
    Trust,
)
from supervisor.prepare import examining
from supervisor.prepare import judgement as judging

PIPELINE = "pipeline:\n  inputs:\n    - name: dummy\n      tag: {0}\n  outputs:\n    - name: 'null'\n      match: {0}\n"
CURSED = "cursed"


def snippet(tag: str) -> Snippet:
    content = PIPELINE.format(tag).encode()
    name = f"platform/{tag}.yaml"
    digest = hashlib.sha256(content).hexdigest()
    return Snippet(name, "platform", Trust.PLATFORM, f"/etc/{name}", content, digest)


def snapshot(*tags: str) -> Snapshot:
    return Snapshot("-".join(tags), tuple(map(snippet, tags)))


def judgement(directory: Path) -> prepare.Judgement:
    """Of the text alone: no binary is asked."""
    frame = Frame(str(directory), buffers=str(directory / "buffers"))
    return prepare.Judgement(
        prepare.Examiner(frame=frame, fluent_bit=None, scratch=str(directory / "scratch"), looks=False)
    )


def is_cursed(snapshot: Snapshot) -> bool:
    return any(CURSED in snippet.name for snippet in snapshot.snippets)


async def test_a_bug_in_assembling_leaves_out_the_one_snippet_that_it_comes_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assemble = examining.assemble

    def broken(snapshot: Snapshot, *args: Any, **kwargs: Any) -> Assembled:
        return 1 // 0 if is_cursed(snapshot) else assemble(snapshot, *args, **kwargs)  # type: ignore[return-value]

    monkeypatch.setattr(examining, "assemble", broken)

    judged = await judgement(tmp_path).judge(snapshot("a", "b", CURSED, "c"))

    assert judged.verdict == Accepted()
    assert judged.refused == {f"platform/{CURSED}.yaml"}
    assert set(judged.selected.snippets) == set(map(snippet, "abc"))
    assert [(f.rule, f.snippet) for f in judged.findings if f.severity is Severity.ERROR] == [
        ("internal-error", f"platform/{CURSED}.yaml")
    ]
    assert "ZeroDivisionError" in judged.assembled.trace


async def test_a_bug_after_assembling_does_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = prepare.Examiner._looked_at

    def broken(self: prepare.Examiner, assembled: Assembled, snapshot: Snapshot) -> tuple[Finding, ...]:
        return (1 // 0,) if is_cursed(snapshot) else looked_at(self, assembled, snapshot)  # type: ignore[return-value]

    monkeypatch.setattr(prepare.Examiner, "_looked_at", broken)

    judged = await judgement(tmp_path).judge(snapshot("a", CURSED, "b"))

    assert (judged.verdict, judged.refused) == (Accepted(), {f"platform/{CURSED}.yaml"})


async def test_a_bug_in_reading_a_text_does_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(content: bytes, path: str) -> Parsed:
        return 1 // 0 if CURSED in path else parse(content, path)  # type: ignore[return-value]

    monkeypatch.setattr(selection, "parse", broken)
    monkeypatch.setattr(assembling, "parse", broken)

    judged = await judgement(tmp_path).judge(snapshot("a", CURSED, "b"))

    assert (judged.verdict, judged.refused) == (Accepted(), {f"platform/{CURSED}.yaml"})


async def test_a_bug_in_telling_what_was_found_refuses_and_does_not_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> tuple[Finding, ...]:
        raise ZeroDivisionError

    monkeypatch.setattr(judging, "told_of", broken)

    judged = await judgement(tmp_path).judge(snapshot("a", "b"))

    assert isinstance(judged.verdict, Rejected)
    assert [finding.rule for finding in judged.findings] == ["internal-error"]
    assert "ZeroDivisionError" in judged.assembled.trace


async def test_a_shortage_of_descriptors_blames_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[Finding, ...]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(prepare.Examiner, "_looked_at", broken)

    judged = await judgement(tmp_path).judge(snapshot("a", "b"))

    assert isinstance(judged.verdict, Inconclusive)
    assert judged.refused == frozenset()


async def test_a_file_that_is_only_included_is_not_live_while_its_includer_is_left_out(tmp_path: Path) -> None:
    main = Snippet("base/main.yaml", "base", Trust.BASE, "/etc/base/main.yaml", b"a: [", "torn")
    inner = snippet("inner")
    part = replace(inner, name="base/inner.yaml", layer="base", trust=Trust.BASE, path="/etc/base/inner.yaml")
    include = Include(main.path, 1, "inner.yaml", (part.path,))
    newest = Snapshot("x", (main, part, snippet("a")), base=main.path, includes=(include,))

    judged = await judgement(tmp_path).judge(newest)

    assert judged.verdict == Accepted()
    assert set(judged.selected.snippets) == {snippet("a")}
    assert judged.refused == {main.name, part.name}
    assert set(judged.versions) == {"platform/a.yaml"}
    assert [finding.rule for finding in judged.findings if finding.snippet == part.name] == ["includer-left-out"]


class Hanging(prepare.Examiner):
    """Never sees the cursed one become ready."""

    asked = 0

    async def examine(
        self, snapshot: Snapshot, newcomers: frozenset[str] | None, *, proven: str = ""
    ) -> examining.Examined:
        examined = await super().examine(snapshot, newcomers, proven=proven)
        if not is_cursed(snapshot):
            return examined
        self.asked += 1
        findings = (Finding(Severity.ERROR, "start", "it was not ready in time", examining.HANGS),)
        return replace(examined, verdict=Rejected(findings), findings=findings)


async def test_what_hung_once_is_not_waited_for_again_until_it_changes(tmp_path: Path) -> None:
    frame = Frame(str(tmp_path), buffers=str(tmp_path / "buffers"))
    bench = Hanging(frame=frame, fluent_bit=None, scratch=str(tmp_path / "scratch"), looks=False)
    judgement = prepare.Judgement(bench)
    before = await judgement.judge(snapshot("a", CURSED))
    asked = bench.asked

    after = await judgement.judge(snapshot("a", CURSED, "b"))

    assert asked > 0
    assert bench.asked == asked
    assert before.refused == after.refused == {f"platform/{CURSED}.yaml"}
    assert set(after.selected.snippets) == {snippet("a"), snippet("b")}
    mended = replace(snippet(CURSED), content=PIPELINE.format("z").encode(), digest="z")
    await judgement.judge(Snapshot("mended", (snippet("a"), mended)))
    assert bench.asked > asked


async def test_the_removal_of_the_last_output_waits_and_nobody_else_does(tmp_path: Path) -> None:
    def part(tag: str, text: str) -> Snippet:
        return replace(snippet(tag), content=text.encode(), digest=hashlib.sha256(text.encode()).hexdigest())

    old = part("old", "pipeline:\n  inputs:\n    - name: dummy\n")
    only = part("only", "pipeline:\n  outputs:\n    - name: 'null'\n      match: '*'\n")
    new = part("new", "pipeline:\n  inputs:\n    - name: dummy\n      tag: new\n")
    judgement_ = judgement(tmp_path)
    versions = judgement_.versions(Snapshot("after", (new, old)), Snapshot("before", (old, only)))

    def veto(found: Assembled) -> Finding | None:
        empty = found.candidate is not None and not found.candidate.outputs
        return Finding(Severity.ERROR, "pipeline-without-output", "no output any more") if empty else None

    judged = await judgement_.judge(versions.newest, versions=versions, veto=veto)

    assert judged.verdict == Accepted()
    assert {each.name for each in judged.selected.snippets} == {new.name, old.name, only.name}
    assert judged.refused == {only.name}
    assert [f.snippet for f in judged.findings if f.severity is Severity.ERROR] == [only.name]
    assert judged.changed == {new.name}
