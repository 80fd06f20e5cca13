"""The base's main file and its includes, found as the real binary finds them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from doubles.kubelet_volume import KubeletVolume
from watched import following, names, rules, sources_in, text

from supervisor.adapters.sources import Sources
from supervisor.model import Layer, Trust
from supervisor.settings import SourcesSettings

MAIN = "[SERVICE]\n    flush 1\n"
PART = "[INPUT]\n    name dummy\n"


def lay(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def passes_dry_run(real: str, main: str, cwd: Path) -> bool:
    done = subprocess.run([real, "-D", "-c", main], cwd=cwd, capture_output=True, timeout=20)
    return done.returncode == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "platform.d").mkdir()
    (tmp_path / "tenants.d").mkdir()
    return tmp_path


async def test_the_main_file_comes_first_then_the_includes_as_they_are_met_then_the_layers(root: Path) -> None:
    lay(root, {
        "conf/main.conf": MAIN + "@INCLUDE z.conf\n@INCLUDE parts/*.conf\n",
        "conf/z.conf": "@INCLUDE nested.conf\n",
        "conf/nested.conf": PART,
        "conf/parts/b.conf": PART,
        "conf/parts/a.conf": PART,
        "conf/parts/.hidden.conf": PART,
        "platform.d/a.conf": PART,
    })  # fmt: skip

    snapshot = await sources_in(root, base="conf/main.conf").read()

    conf = root / "conf"
    assert names(snapshot) == [
        "base/main.conf",
        "base/z.conf",
        "base/nested.conf",
        "base/parts/a.conf",
        "base/parts/b.conf",
        "platform/a.conf",
    ]
    assert [(i.includer, i.line, i.pattern, i.targets) for i in snapshot.includes] == [
        (str(conf / "main.conf"), 3, "z.conf", (str(conf / "z.conf"),)),
        (str(conf / "z.conf"), 1, "nested.conf", (str(conf / "nested.conf"),)),
        (str(conf / "main.conf"), 4, "parts/*.conf", (str(conf / "parts/a.conf"), str(conf / "parts/b.conf"))),
    ]
    assert snapshot.base == str(conf / "main.conf")
    assert {s.trust for s in snapshot.snippets[:5]} == {Trust.BASE}
    assert snapshot.findings == ()


async def test_a_classic_name_is_looked_for_in_the_working_directory_first_and_a_pattern_is_not(root: Path) -> None:
    lay(root, {
        "conf/main.conf": "@INCLUDE part.conf\n@INCLUDE d/*.conf\n",
        "conf/part.conf": PART,
        "part.conf": PART,
        "d/a.conf": PART,
        "conf/d/a.conf": PART,
    })  # fmt: skip

    snapshot = await sources_in(root, base="conf/main.conf").read()

    targets = [include.targets for include in snapshot.includes]
    assert targets == [(str(root / "part.conf"),), (str(root / "conf/d/a.conf"),)]
    assert names(snapshot)[1] == "base" + str(root / "part.conf")


async def test_a_yaml_include_starts_at_the_file_that_says_it(root: Path) -> None:
    lay(root, {
        "conf/main.yaml": "includes:\n  - sub/one.yaml\n  - none*.yaml\n",
        "conf/sub/one.yaml": "includes:\n  - two.conf\n",
        "conf/sub/two.conf": "pipeline:\n  inputs:\n    - name: dummy\n",
        "two.conf": PART,
    })  # fmt: skip

    snapshot = await sources_in(root, base=str(root / "conf/main.yaml")).read()

    assert names(snapshot) == ["base/main.yaml", "base/sub/one.yaml", "base/sub/two.conf"]
    assert snapshot.findings == ()
    assert snapshot.includes[-1].targets == ()


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"main.conf": "@INCLUDE none.conf\n"}, "include-missing"),
        ({"main.conf": "@INCLUDE none*.conf\n"}, "include-missing"),
        ({"main.conf": "@INCLUDE main.conf\n"}, "include-loop"),
        ({"main.conf": "@INCLUDE a.conf\n@INCLUDE a.conf\n", "a.conf": PART}, "include-twice"),
        (
            {"main.conf": "@INCLUDE a.conf\n", "a.conf": "@INCLUDE b.conf\n", "b.conf": "@INCLUDE a.conf\n"},
            "include-loop",
        ),
        ({"main.yaml": "includes:\n  - none.yaml\n"}, "include-missing"),
        ({"main.yaml": "includes:\n  - main.yaml\n"}, "include-loop"),
        ({"main.yaml": "includes:\n  - ./main.yaml\n"}, "include-loop"),
        ({"main.yaml": "includes:\n  - a.yaml\n  - a.yaml\n", "a.yaml": "env:\n  a: b\n"}, "include-twice"),
    ],
)  # fmt: skip
async def test_an_include_that_fluent_bit_refuses_is_a_finding_with_its_line(
    root: Path, files: dict[str, str], rule: str
) -> None:
    lay(root, files)

    snapshot = await sources_in(root, base=next(iter(files))).read()

    (finding,) = snapshot.findings
    assert finding.rule == rule
    assert finding.line is not None


@pytest.mark.real
@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({"m.conf": MAIN + "@INCLUDE none*.conf\n"}, False),
        ({"m.conf": MAIN + "@INCLUDE d/*.conf\n", "d/.a.conf": PART}, False),
        ({"m.conf": MAIN + "@INCLUDE d/?.conf\n", "d/a.conf": PART}, False),
        ({"m.conf": MAIN + "@INCLUDE d/?*.conf\n", "d/a.conf": PART}, True),
        ({"m.conf": MAIN + "@INCLUDE d*/a.conf\n", "d1/a.conf": PART}, True),
        ({"m.conf": MAIN + "@INCLUDE m.conf\n"}, False),
        ({"m.conf": MAIN + "@INCLUDE d/one.conf\n", "d/one.conf": "@INCLUDE two.conf\n", "d/two.conf": PART}, False),
        ({"m.yaml": "includes:\n  - none*.yaml\n"}, True),
        ({"m.yaml": "includes: [d/1.yaml]\n", "d/1.yaml": "includes: [2.yaml]\n", "d/2.yaml": "env: {a: b}\n"}, True),
        ({"m.yaml": "includes:\n  - a.conf\n", "a.conf": "env:\n  a: b\n"}, True),
        ({"m.yaml": "includes:\n  - a.yaml\n  - a.yaml\n", "a.yaml": "env:\n  a: b\n"}, False),
    ],
)  # fmt: skip
async def test_includes_are_complained_about_exactly_where_the_real_binary_does(
    root: Path, real: str, files: dict[str, str], taken: bool
) -> None:
    lay(root, files)
    main = str(root / next(iter(files)))
    dry_run_passed = passes_dry_run(real, main, root)

    snapshot = await sources_in(root, base=main).read()

    assert dry_run_passed == taken
    assert (snapshot.findings == ()) == taken


async def test_more_than_a_thousand_classic_files_end_with_one_finding(root: Path) -> None:
    lay(root, {"main.conf": "@INCLUDE parts/*.conf\n", **{f"parts/{n:04d}.conf": PART for n in range(1005)}})

    snapshot = await sources_in(root, base="main.conf").read()

    assert len(snapshot.snippets) == 1000
    assert rules(snapshot) == ["include-limit"]


async def test_a_missing_main_file_is_a_finding_and_an_alarm_and_what_was_accepted_stays(root: Path) -> None:
    lay(root, {"main.conf": MAIN + "@INCLUDE a.conf\n", "a.conf": PART})
    accepted = await sources_in(root, base="main.conf").read()
    (root / "main.conf").unlink()
    sources = sources_in(root, base="main.conf")
    sources.seed(accepted)

    bare = await sources_in(root, base="main.conf").read()
    seeded = await sources.read()

    assert (names(bare), rules(bare), len(bare.alarms)) == ([], ["base-missing"], 1)
    assert names(seeded) == ["base/main.conf", "base/a.conf"]
    assert (rules(seeded), len(seeded.alarms)) == (["base-missing"], 1)


async def test_changes_of_main_file_and_includes_are_seen(root: Path) -> None:
    lay(root, {"etc/main.conf": MAIN + "@INCLUDE parts/*.conf\n", "etc/parts/a.conf": PART})

    async with following(sources_in(root, base="etc/main.conf", resync=300.0)) as seen:
        await seen.until(lambda s: len(names(s)) == 2)
        (root / "etc/parts/b.conf").write_text(PART)
        await seen.until(lambda s: "base/parts/b.conf" in names(s))
        (root / "etc/parts/a.conf").write_text(PART + "    tag x\n")
        await seen.until(lambda s: "tag x" in (text(s, "base/parts/a.conf") or ""))
        (root / "etc/main.conf").write_text(MAIN)
        await seen.until(lambda s: names(s) == ["base/main.conf"])


async def test_included_files_that_are_lost_from_sight_stay_with_an_alarm(root: Path) -> None:
    lay(root, {
        "main.conf": MAIN + "@INCLUDE one/a.conf\n@INCLUDE two/*.conf\n",
        "one/a.conf": PART,
        "two/b.conf": PART,
    })  # fmt: skip

    async with following(sources_in(root, base="main.conf", vanish_grace=0.01)) as seen:
        before = await seen.until(lambda s: len(names(s)) == 3)
        for name in ("one", "two"):
            (root / name).rename(root / f"{name}-away")
        kept = await seen.until(lambda s: len(s.alarms) == 2)

    assert names(kept) == names(before)
    assert kept.includes == before.includes


@pytest.mark.parametrize("new_links_first", [False, True])
async def test_a_base_in_a_volume_is_read_of_one_generation_at_every_step(root: Path, new_links_first: bool) -> None:
    volume = KubeletVolume(root / "etc", new_links_first=new_links_first)
    volume.update({"main.conf": "# 1\n@INCLUDE old.conf\n@INCLUDE x*.conf\n", "old.conf": "# 1\n", "x.conf": "# 1\n"})
    new = {"main.conf": "# 2\n@INCLUDE new.conf\n@INCLUDE x*.conf\n", "new.conf": "# 2\n", "x.conf": "# 2\n"}
    sources = sources_in(root, base="etc/main.conf")
    first = await sources.read()

    told = [first.digest]
    for _ in volume.steps(new):
        snapshot = await sources.read()
        told.append(snapshot.digest)
        assert len({s.content[:3] for s in snapshot.snippets}) == 1
        assert (len(snapshot.snippets), snapshot.findings, snapshot.alarms) == (3, (), ())

    assert names(first) == ["base/main.conf", "base/old.conf", "base/x.conf"]
    assert names(snapshot) == ["base/main.conf", "base/new.conf", "base/x.conf"]
    assert len(set(told)) == 2


async def test_what_a_platform_snippet_includes_is_read_once_and_follows_its_changes(tmp_path: Path) -> None:
    layer, parts = tmp_path / "platform", tmp_path / "parts"
    layer.mkdir()
    parts.mkdir()
    (layer / "a.conf").write_text("@INCLUDE ../parts/*.inc\n@INCLUDE b.conf\n")
    (layer / "b.conf").write_text("[SERVICE]\n    flush 1\n")
    (parts / "x.inc").write_text("[SERVICE]\n    grace 1\n")
    sources = Sources(
        layers=[Layer("platform", str(layer), Trust.PLATFORM)],
        base=None,
        cwd=str(tmp_path),
        secrets_directory="",
        settings=SourcesSettings(quiet=0.02),
        report=lambda report: None,
    )

    first = await sources.read(settle=False)
    (parts / "x.inc").write_text("[SERVICE]\n    grace 2\n")
    second = await sources.read(settle=False)

    names = [snippet.name for snippet in first.snippets]
    assert len(names) == len(set(names)) == 3
    assert {include.line: len(include.targets) for include in first.includes} == {1: 1, 2: 1}
    assert first.digest != second.digest
    assert not first.findings
