"""The commands as a person or a pipeline runs them: what they print, and the exit status that scripts rely on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DOUBLE, waits_until
from e2e.mounts import bound_by_permissions, mounted
from running import Running, free_port, pipeline

GOOD = pipeline("good")
BAD = GOOD.replace("stdout", "stdoutt")  # line 9
DOUBTFUL = GOOD.replace("tag: a", "tag: a\n      alias: x${NOT_SET_ANYWHERE}")  # line 5
WRONG = "[OUTPT]\n    name null\n"  # needs no Fluent Bit to be found

Done = subprocess.CompletedProcess[str]


def command(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Done:
    """As typed, with nothing of ours in the environment but what is asked for."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FBS_")}
    done = subprocess.run(
        [sys.executable, "-m", "supervisor", *arguments],
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(Path(__file__).parents[2]), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def complaints(done: Done) -> list[str]:
    """What it says is wrong, a line each; nothing else may be on stderr, and nothing on stdout."""
    lines = done.stderr.splitlines()
    assert done.stdout == ""
    assert all(line.startswith("fluent-bit-supervisor: ") for line in lines), done.stderr
    return [line.removeprefix("fluent-bit-supervisor: ") for line in lines]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Snippets as they lie in a team's repository."""
    (tmp_path / "conf").mkdir()
    for name, text in {"good": GOOD, "bad": BAD, "doubtful": DOUBTFUL}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "conf" / "a.yaml").write_text(GOOD)
    return tmp_path


# --- check ------------------------------------------------------------------------------------------------------


def test_a_clean_file_is_accepted_in_every_format(here: Path, fluent_bit: str) -> None:
    def check(form: str) -> Done:
        return command("check", "--fluent-bit", fluent_bit, "--format", form, "good.yaml", cwd=here)

    assert (check("text").stdout, check("text").returncode) == ("accepted\n", 0)
    assert json.loads(check("json").stdout) == {"findings": [], "verdict": "accepted"}
    assert check("github").stdout == ""
    assert json.loads(check("sarif").stdout)["runs"][0]["results"] == []


def test_a_mistake_is_told_with_path_line_and_the_line_itself(here: Path, fluent_bit: str) -> None:
    done = command("check", "--fluent-bit", fluent_bit, "bad.yaml", cwd=here)
    first, shown, hint, verdict = done.stdout.splitlines()

    assert done.returncode == 1
    assert first.startswith("bad.yaml:9: error unknown-plugin: ")
    assert "stdoutt" in first
    assert shown == "    - name: stdoutt"
    assert hint == "    hint: did you mean 'stdout'?"
    assert verdict == "rejected"
    assert done.stderr == ""


def test_json_has_exactly_the_documented_shape(here: Path, fluent_bit: str) -> None:
    done = command("check", "--format", "json", "--fluent-bit", fluent_bit, "bad.yaml", "./doubtful.yaml", cwd=here)
    document = json.loads(done.stdout)
    error, warning = sorted(document["findings"], key=lambda finding: finding["severity"])

    assert done.returncode == 1
    assert set(document) == {"findings", "verdict"}
    assert document["verdict"] == "rejected"
    assert [set(finding) for finding in document["findings"]] == [
        {"severity", "rule", "message", "hint", "path", "snippet", "line", "column"}
    ] * len(document["findings"])
    assert (error["severity"], error["path"], error["line"]) == ("error", "bad.yaml", 9)
    assert error["snippet"] == "platform/bad.yaml"
    assert (warning["severity"], warning["path"], warning["line"]) == ("warning", "./doubtful.yaml", 5)
    assert warning["rule"] == "unset-variable"


def test_a_doubt_alone_is_told_and_accepted(here: Path, double: str) -> None:
    done = command("check", "--fluent-bit", double, "doubtful.yaml", cwd=here)

    assert done.returncode == 0
    assert re.match(r"doubtful\.yaml:5: warning unset-variable: .*NOT_SET_ANYWHERE", done.stdout)
    assert done.stdout.endswith("\naccepted\n")
    assert (
        command("check", "--fluent-bit", double, "doubtful.yaml", cwd=here, env={"NOT_SET_ANYWHERE": "x"}).stdout
        == "accepted\n"
    )


def test_github_and_sarif_put_the_finding_on_its_line(here: Path, double: str) -> None:
    (here / "a b%.yaml").write_text(BAD)
    github = command("check", "--format", "github", "--fluent-bit", double, "a b%.yaml", cwd=here)
    sarif = command("check", "--format", "sarif", "--fluent-bit", double, "a b%.yaml", cwd=here)
    document = json.loads(sarif.stdout)
    (result,) = document["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]

    assert github.returncode == sarif.returncode == 1
    assert github.stdout.startswith("::error file=a b%25.yaml,line=9,title=unknown-plugin::")
    assert len(github.stdout.splitlines()) == 1
    assert (document["version"], result["level"], result["ruleId"]) == ("2.1.0", "error", "unknown-plugin")
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("a%20b%25.yaml", 9)
    assert {rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]} == {"unknown-plugin"}


def test_a_directory_is_checked_whole_and_named_as_it_was_given(here: Path, double: str) -> None:
    (here / "conf" / "b.conf").write_text(WRONG)
    (here / "conf" / "notes.txt").write_text("[not a snippet\n")

    below = command("check", "--format", "json", "--fluent-bit", double, "conf", cwd=here)
    inside = command("check", "--format", "json", "--fluent-bit", double, ".", cwd=here / "conf")
    absolute = command("check", "--format", "json", "--fluent-bit", double, str(here / "conf"), cwd=here)

    def places(done: Done) -> list[tuple[str, int]]:
        assert done.returncode == 1
        return [(finding["path"], finding["line"]) for finding in json.loads(done.stdout)["findings"]]

    assert places(below) == [("conf/b.conf", 1)]
    assert places(inside) == [("b.conf", 1)]
    assert places(absolute) == [(str(here / "conf" / "b.conf"), 1)]


def test_what_breaks_only_together_is_found_only_together(here: Path, real: str) -> None:
    for name in ("p.yaml", "q.yaml"):
        (here / name).write_text("parsers:\n  - name: same\n    format: json\n")

    alone = [command("check", "--fluent-bit", real, name, cwd=here).returncode for name in ("p.yaml", "q.yaml")]
    together = command("check", "--fluent-bit", real, "p.yaml", "q.yaml", cwd=here)

    assert alone == [0, 0]
    assert together.returncode == 1
    assert "same" in together.stdout


def test_parsers_alone_are_checked_too(here: Path, real: str) -> None:
    """There is nothing to run in them, and still something to be wrong."""
    (here / "p.yaml").write_text("parsers:\n  - name: p\n    format: nosuch\n")
    done = command("check", "--fluent-bit", real, "p.yaml", cwd=here)

    assert done.returncode == 1
    assert "nosuch" in done.stdout


def test_the_layout_of_run_is_checked_base_and_layers_together(here: Path, fluent_bit: str) -> None:
    base = "[SERVICE]\n    flush 1\n[INPUT]\n    name dummy\n    tag a\n@INCLUDE more.conf\n"
    (here / "base.conf").write_text(base)
    (here / "more.conf").write_text("[OUTPUT]\n    name null\n    match a\n")
    layout = ["--fluent-bit", fluent_bit, "-c", "base.conf", "--layer", f"platform={here / 'conf'}", "-w", str(here)]
    clean = command("check", *layout, cwd=here)
    (here / "more.conf").write_text("[OUTPUT]\n    name nulll\n    match a\n")
    (here / "conf" / "b.conf").write_text(WRONG)
    wrong = command("check", "--format", "json", *layout, cwd=here)
    (here / "conf" / "b.conf").unlink()
    only_base = command("check", "--format", "json", *layout, cwd=here)

    def found(done: Done) -> list[tuple[str, str, int]]:
        findings = json.loads(done.stdout)["findings"]
        return [(one["snippet"], one["path"], one["line"]) for one in findings if one["severity"] == "error"]

    assert (clean.stdout, clean.returncode) == ("accepted\n", 0)
    assert found(wrong) == [
        ("platform/b.conf", str(here / "conf" / "b.conf"), 1),
        ("base/more.conf", str(here / "more.conf"), 2),
    ]
    assert found(only_base) == [("base/more.conf", str(here / "more.conf"), 2)]
    assert wrong.returncode == only_base.returncode == 1


def test_a_tenants_file_is_judged_as_that_tenants(here: Path, double: str) -> None:
    done = command("check", "--format", "json", "--tenant", "shop", "--fluent-bit", double, "good.yaml", cwd=here)
    (finding,) = json.loads(done.stdout)["findings"]

    assert done.returncode == 1
    assert (finding["snippet"], finding["rule"]) == ("tenants/shop/good.yaml", "tenant-not-granted")


def test_without_a_binary_no_dry_run_must_be_said_and_the_answer_says_so(here: Path) -> None:
    (without,) = complaints(command("check", "--fluent-bit", "/nowhere/fluent-bit", "good.yaml", cwd=here))
    (other,) = complaints(command("check", "--fluent-bit", "/bin/true", "good.yaml", cwd=here))
    said = command("check", "--fluent-bit", "/nowhere/fluent-bit", "--no-dry-run", "good.yaml", cwd=here)
    bad = command("check", "--no-dry-run", "--format", "json", "bad.yaml", cwd=here)
    wrong = command("check", "--no-dry-run", "conf", cwd=here / "conf" / "..")
    (here / "conf" / "b.conf").write_text(WRONG)
    found = command("check", "--no-dry-run", "conf", cwd=here)

    assert "/nowhere/fluent-bit" in without
    assert without.endswith("say --no-dry-run to check without it")
    assert "/bin/true is not Fluent Bit" in other
    assert (said.stdout, said.returncode) == ("accepted (not dry-run)\n", 0)
    assert json.loads(bad.stdout) == {"findings": [], "verdict": "accepted"}, "only Fluent Bit knows its plugins"
    assert bad.stderr == "fluent-bit-supervisor: not dry-run, because --no-dry-run was said\n"
    assert wrong.returncode == 0
    assert found.returncode == 1
    assert found.stdout.endswith("rejected (not dry-run)\n")


def test_what_cannot_be_checked_is_2_and_one_line(here: Path, double: str) -> None:
    missing = command("check", "--fluent-bit", double, "good.yaml", "nowhere.yaml", cwd=here)
    slow = GOOD.replace("tag: a", "tag: a\n      alias: double.slow-dry-run=20")
    (here / "slow.yaml").write_text(slow)
    timed_out = command("check", "--fluent-bit", double, "--validate-timeout", "700ms", "slow.yaml", cwd=here)

    assert (complaints(missing), missing.returncode) == (["nowhere.yaml: no such file or directory"], 2)
    assert timed_out.returncode == 2
    assert timed_out.stdout == "inconclusive: the dry-run did not end within 0.7 s\n"


def test_a_directory_that_may_not_be_read_is_not_an_empty_one(here: Path, double: str) -> None:
    (here / "conf").chmod(0)
    argv = [sys.executable, "-m", "supervisor", "check", "--fluent-bit", double, str(here / "conf")]
    done = subprocess.run(bound_by_permissions(argv), capture_output=True, text=True, timeout=60, check=False)
    (here / "conf").chmod(0o755)
    (here / "conf" / "a.yaml").unlink()
    empty = command("check", "--fluent-bit", double, "conf", cwd=here)

    assert done.returncode == 2
    assert "cannot be read (permission denied)" in complaints(done)[0]
    assert (empty.stdout, empty.returncode) == ("accepted: there is nothing to check\n", 0)


def test_a_wild_file_is_told_without_breaking_the_terminal_or_the_format(here: Path, double: str) -> None:
    name = "\x1b[31m\n.conf"
    (here / "wild").mkdir()
    (here / "wild" / name).write_bytes(b"\xff\xfe\x00[\x1b[2J\n")
    (here / "wild" / "b.conf").write_bytes(b"[INPUT]\n    name dummy\n    tag \x1b[31m\xff\n    broken\n")
    for form in ("text", "json", "github", "sarif"):
        done = command("check", "--format", form, "--fluent-bit", double, "wild", cwd=here)
        assert done.returncode == 1
        assert "\x1b" not in done.stdout
        assert "b.conf" in done.stdout


def test_check_touches_nothing_and_leaves_nothing(
    here: Path, double: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    temporary = tmp_path_factory.mktemp("temporary")
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}

    command("check", "--fluent-bit", double, ".", cwd=here, env={"TMPDIR": str(temporary)})
    command("render", "--fluent-bit", double, ".", cwd=here, env={"TMPDIR": str(temporary)})

    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before
    assert not list(temporary.iterdir())


@pytest.mark.namespaces
def test_check_works_where_only_memory_can_be_written_to(here: Path, double: str) -> None:
    barren = f"mount -t tmpfs tmpfs /dev/shm; mount --bind '{here}' '{here}'; mount -o remount,bind,ro '{here}'"
    wrap = mounted(f"{barren}; mount -o remount,bind,ro /; cd '{here}'")
    argv = wrap([sys.executable, "-m", "supervisor", "check", "--fluent-bit", double, "bad.yaml"])

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("bad.yaml:9: error unknown-plugin: ")


# --- render -----------------------------------------------------------------------------------------------------


def written_out(printed: str, directory: Path) -> Path:
    """The printed files, each under its name; the main file's path."""
    names = []
    for part in printed.split("# file: ")[1:]:
        name, _, text = part.partition("\n")
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        names.append(path)
    return names[0]


def records_of(real: str, main: Path, cwd: Path) -> list[dict[str, Any]]:
    """What comes out while the config runs until it has delivered all that its inputs make."""
    process = subprocess.Popen(
        [real, "-c", str(main)], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    try:
        while len(lines) < 6:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            lines.append(line)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    found = [json.loads(line) for line in lines]
    return sorted(
        ({k: v for k, v in one.items() if k != "date"} for one in found),
        key=lambda one: json.dumps(one, sort_keys=True),
    )


@pytest.mark.real
@pytest.mark.parametrize("explain", [True, False])
def test_what_render_prints_runs_and_gives_the_same_records(tmp_path: Path, real: str, explain: bool) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "parsers.conf").write_text(
        "[PARSER]\n    name p\n    format regex\n    regex ^(?<k>[^=]+)=(?<v>.*)$\n"
    )
    (tmp_path / "conf" / "mark.lua").write_text(
        'function mark(t, ts, r) r["mark"] = "#: \\"%d\\"" return 2, ts, r end\n'
    )
    (tmp_path / "conf" / "more.conf").write_text(
        '[INPUT]\n    name dummy\n    tag b\n    samples 3\n    rate 50\n    dummy {"log":"x # y: \'z\' \\\\"}\n'
    )
    original = tmp_path / "conf" / "fluent-bit.conf"
    original.write_text(
        "[SERVICE]\n    flush 0.2\n    parsers_file parsers.conf\n@SET WORD=set#value:x\n"
        '[INPUT]\n    name dummy\n    tag a\n    samples 3\n    rate 50\n    dummy {"log":"key=ünï ☃"}\n'
        "@INCLUDE more.conf\n"
        "[FILTER]\n    name parser\n    match a\n    key_name log\n    parser p\n"
        "[FILTER]\n    name lua\n    match *\n    script mark.lua\n    call mark\n"
        "[FILTER]\n    name modify\n    match *\n    add word ${WORD}\n    add other 010\n"
        "[OUTPUT]\n    name stdout\n    match *\n    format json_lines\n"
    )
    flags = ["--fluent-bit", real, "-c", str(original), "--fluent-bit-http-port", str(free_port())]
    flags += ["--buffers-directory", str(tmp_path / "buffers"), *(["--explain"] if explain else [])]
    done = command("render", *flags, cwd=tmp_path)
    main = written_out(done.stdout, tmp_path / "out")
    dry_run = subprocess.run([real, "-D", "-c", str(main)], cwd=tmp_path / "out", capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert main.name == "fluent-bit.yaml"
    assert "configuration test is successful" in dry_run.stderr, dry_run.stderr
    records = records_of(real, main, tmp_path / "out")
    assert records == records_of(real, original, tmp_path / "conf")
    assert {record["word"] for record in records} == {"set#value:x"}
    assert ("# base/fluent-bit.conf:9" in done.stdout) is explain


def test_render_says_where_each_line_came_from(here: Path, double: str) -> None:
    (here / "conf" / "b.conf").write_text("[OUTPUT]\n\n    name null\n    match b\n")
    done = command("render", "--explain", "--fluent-bit", double, "conf", cwd=here)
    origins = re.findall(r"^ *(?:- )?(\S+): .*  # platform/conf/(\S+):(\d+)$", done.stdout, re.MULTILINE)

    assert done.returncode == 0
    assert ("match", "b.conf", "4") in origins
    for key, name, line in origins:
        assert key in (here / "conf" / name).read_text().splitlines()[int(line) - 1]
    assert len(origins) == 9
    files = re.findall(r"^# file: (.+)$", done.stdout, re.MULTILINE)
    assert files[0] == "fluent-bit.yaml"
    assert [f"  - {name}" in done.stdout for name in files[1:]] == [True, True]
    assert "# platform" not in command("render", "--fluent-bit", double, "conf", cwd=here).stdout


def test_render_of_a_mistake_says_it_on_stderr_and_is_1(here: Path, double: str) -> None:
    (here / "broken.yaml").write_text("pipeline: [\n")
    done = command("render", "--fluent-bit", double, "bad.yaml", "good.yaml", cwd=here)
    nothing = command("render", "--fluent-bit", double, "broken.yaml", cwd=here)

    assert done.returncode == nothing.returncode == 1
    assert "bad.yaml:9: error unknown-plugin" in done.stderr
    assert done.stderr.endswith("\nfluent-bit-supervisor: left out: bad.yaml\n")
    assert done.stdout.startswith("# file: fluent-bit.yaml\n")
    assert "stdoutt" not in done.stdout
    assert "- name: stdout\n" in done.stdout
    assert nothing.stdout == ""
    assert nothing.stderr.endswith("left out: broken.yaml; nothing is left that would run\n")
    assert "broken.yaml:" in nothing.stderr


def test_no_secret_is_rendered(here: Path, double: str) -> None:
    (here / "secrets" / "platform").mkdir(parents=True)
    (here / "secrets" / "platform" / "TOKEN").write_text("s3cret-of-the-file\n")
    (here / "s.yaml").write_text(GOOD.replace("tag: a", "tag: ${TOKEN}${OTHER}"))
    flags = ["--fluent-bit", double, "--secrets-directory", str(here / "secrets"), "s.yaml"]
    env = {"OTHER": "s3cret-of-the-environment"}
    done = [command(*words, *flags, cwd=here, env=env) for words in (["render", "--explain"], ["check"])]

    assert [one.returncode for one in done] == [0, 0]
    assert not [one for one in done if "s3cret" in one.stdout + one.stderr]
    assert f"file://{here}/secrets/platform/TOKEN" in done[0].stdout


# --- the running supervisor -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"--sources-quiet": "50ms", "--sources-max-wait": "300ms"}
    with Running(tmp_path_factory.mktemp("commands"), str(DOUBLE), settings=settings) as supervisor:
        text = GOOD.replace("tag: a\n", "tag: a\n      alias: double.tick=0.2\n", 1)
        supervisor.save("a.yaml", text)
        supervisor.until_live("a.yaml", text)
        yield supervisor


@pytest.fixture
def supervisor(running: Running) -> Iterator[Running]:
    yield running
    for path in running.snippets.iterdir():
        if path.name != "a.yaml":
            path.unlink()
    running.until_in_sync()


def ask(supervisor: Running, *arguments: str) -> Done:
    return command(*arguments, "--run-dir", str(supervisor.run_directory))


def test_status_tells_what_runs_and_whether_it_is_the_newest(supervisor: Running) -> None:
    fine, as_json = ask(supervisor, "status"), ask(supervisor, "status", "--json")
    supervisor.save("b.yaml", BAD)
    supervisor.until_refused()
    refused, refused_json = ask(supervisor, "status"), ask(supervisor, "status", "--json")

    assert (fine.returncode, as_json.returncode, refused.returncode, refused_json.returncode) == (0, 0, 1, 1)
    assert "steady (in sync, ready)" in fine.stdout
    assert re.search(r"^platform/a\.yaml +live ", fine.stdout, re.MULTILINE)
    document = json.loads(as_json.stdout)
    wanted = {
        "phase",
        "in_sync",
        "ready",
        "frozen",
        "desired",
        "current",
        "good",
        "last_apply",
        "child",
        "snippets",
        "tenants",
    }
    assert wanted <= set(document)
    assert {"pid", "started_at", "restarts", "version"} == set(document["child"])
    assert {"name", "layer", "tenant", "state", "digest", "running_digest", "findings"} == set(document["snippets"][0])
    assert {"generation", "method", "outcome", "reason", "at", "seconds"} == set(document["last_apply"])
    assert "out of sync" in refused.stdout
    assert f"{supervisor.snippets / 'b.yaml'}:9: error unknown-plugin: " in refused.stdout
    assert json.loads(refused_json.stdout)["current"] == document["current"]


def test_snippets_tells_of_all_or_of_one(supervisor: Running) -> None:
    supervisor.save("b.yaml", BAD)
    supervisor.until_refused()
    every, bad = ask(supervisor, "snippets"), ask(supervisor, "snippets", "platform/b.yaml")
    good = ask(supervisor, "snippets", "platform/a.yaml", "--json")
    nobody = ask(supervisor, "snippets", "platform/nobody.yaml")

    assert (every.returncode, bad.returncode, good.returncode, nobody.returncode) == (1, 1, 0, 1)
    assert re.search(r"^platform/b\.yaml +refused ", every.stdout, re.MULTILINE)
    assert ":9: error unknown-plugin: " in bad.stdout
    assert bad.stdout.endswith("    hint: did you mean 'stdout'?\n")
    assert "platform/a.yaml" not in bad.stdout
    assert json.loads(good.stdout)["state"] == "live"
    assert "there is no snippet platform/nobody.yaml" in nobody.stderr


def test_reload_waits_for_the_outcome_and_says_it_by_its_exit_status(supervisor: Running) -> None:
    unchanged = ask(supervisor, "reload", "--wait")
    more = pipeline("more", "b")
    (supervisor.snippets / "b.yaml").write_text(more)
    committed = ask(supervisor, "reload", "--wait=30s")
    live = supervisor.status()
    (supervisor.snippets / "c.yaml").write_text(BAD)
    refused = ask(supervisor, "reload", "--wait=30s")
    (supervisor.snippets / "c.yaml").unlink()
    at_once = ask(supervisor, "reload")

    assert (unchanged.returncode, committed.returncode, refused.returncode, at_once.returncode) == (0, 0, 1, 0)
    assert unchanged.stdout.startswith("unchanged (generation ")
    assert committed.stdout == f"committed (generation {live['current']['generation']})\n"
    assert {one["name"]: one["state"] for one in live["snippets"]} == {
        "platform/a.yaml": "live",
        "platform/b.yaml": "live",
    }
    assert "stdoutt" in refused.stdout + refused.stderr
    assert f"{supervisor.snippets / 'c.yaml'}:9" in refused.stdout + refused.stderr
    assert at_once.stdout == "accepted\n"


def test_a_reload_that_dies_is_told_as_reverted(supervisor: Running) -> None:
    dying = pipeline("dying", "b").replace("tag: b\n", "tag: b\n      alias: double.crash-after=0\n", 1)
    (supervisor.snippets / "b.yaml").write_text(dying)

    done = ask(supervisor, "reload", "--wait=40s")

    assert done.returncode == 1
    assert "taken back" in done.stdout + done.stderr


def test_who_was_kept_out_for_what_happened_at_run_time_is_released_by_name(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double) as supervisor:
        supervisor.save("a.yaml", GOOD)
        supervisor.until_live("a.yaml", GOOD)
        dying = pipeline("dying", "b").replace("tag: b\n", "tag: b\n      alias: double.crash-after=0\n", 1)
        supervisor.save("b.yaml", dying)
        supervisor.until(lambda status: "quarantined" in {one["rule"] for one in status["findings"]})
        told = ask(supervisor, "snippets", "platform/b.yaml")
        good = ask(supervisor, "release", "platform/a.yaml")
        unnamed = ask(supervisor, "release", "b.yaml")
        again = ask(supervisor, "release", "platform/b.yaml", "--wait=40s")
        at_once = ask(supervisor, "release", "platform/b.yaml", "--json")

    assert told.returncode == 1
    assert f"{supervisor.snippets / 'b.yaml'}: error quarantined: " in told.stdout
    assert "hint: change it, or: fluent-bit-supervisor release platform/b.yaml" in told.stdout
    assert (good.returncode, unnamed.returncode, again.returncode, at_once.returncode) == (1, 1, 1, 0)
    assert complaints(good) == ["platform/a.yaml is neither in quarantine nor on parole"]
    assert complaints(unnamed) == ["there is no snippet b.yaml; did you mean platform/b.yaml?"]
    assert complaints(again)[0].startswith("reverted: ")
    assert json.loads(at_once.stdout)["outcome"] == "released"
    released = supervisor.events("snippet.released")
    assert [event["snippet"] for event in released] == ["platform/b.yaml", "platform/b.yaml"]


@pytest.mark.real
def test_a_release_is_done_when_that_snippet_is_live_whoever_else_is_refused(tmp_path: Path, real: str) -> None:
    trouble = tmp_path / "trouble"
    trouble.touch()
    code = f"function f(t, ts, r) if io.open('{trouble}') then os.exit(3) end return 0, ts, r end"
    moody = pipeline("moody", "b", more=f'  filters:\n    - {{name: lua, match: b, call: f, code: "{code}"}}')
    with Running(tmp_path, real) as supervisor:
        supervisor.save("a.yaml", GOOD)
        supervisor.until_live("a.yaml", GOOD)
        supervisor.save("b.yaml", moody)
        supervisor.until(lambda status: "quarantined" in {one["rule"] for one in status["findings"]}, 40)
        supervisor.save("c.yaml", BAD)
        supervisor.until(lambda status: "unknown-plugin" in {one["rule"] for one in status["findings"]})
        trouble.unlink()

        done = ask(supervisor, "release", "platform/b.yaml", "--wait=40s", "--json")
        states = {one["name"]: one["state"] for one in supervisor.status()["snippets"]}

    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "committed")
    assert states == {"platform/a.yaml": "live", "platform/b.yaml": "live", "platform/c.yaml": "refused"}


def test_nobody_there_is_3(tmp_path: Path) -> None:
    for words in (["status"], ["snippets"], ["reload"], ["reload", "--wait"], ["release", "a", "--wait"]):
        done = command(*words, "--run-dir", str(tmp_path))
        assert done.returncode == 3
        (line,) = complaints(done)
        assert line.startswith(f"no answer from a supervisor at {tmp_path}/admin.sock: ")
    as_json = command("status", "--json", "--run-dir", str(tmp_path))
    assert as_json.returncode == 3
    assert list(json.loads(as_json.stdout)) == ["error"]


def test_a_supervisor_that_was_killed_is_not_there(tmp_path: Path, double: str) -> None:
    with Running(tmp_path, double) as supervisor:
        supervisor.until_in_sync()
        supervisor.kill()
        waits_until(lambda: (supervisor.run_directory / "admin.sock").exists())

        assert ask(supervisor, "status").returncode == 3


# --- help, and what cannot be used ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "run", "check", "render", "status", "snippets", "reload", "release"])
def test_help_is_on_stdout_and_names_the_exit_codes(name: str) -> None:
    done = command(*filter(None, [name]), "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: fluent-bit-supervisor")
    assert "Exit codes: 0" in done.stdout or not name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "did you mean 'check'?"),
        (["frobnicate"], "no such command"),
        (["rollback"], "not in this version"),
        (["release"], "say which snippet"),
        (["check", "--format", "xml"], "expected one of text, json, sarif, github"),
        (["check", "--frobnicate"], "--frobnicate"),
        (["reload", "--wait=soon"], "expected a duration"),
        (["run", "--daemon"], "foreground"),
        (["run", "--workdir", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_an_argument_that_cannot_be_used_is_one_line_and_2(words: list[str], said: str) -> None:
    done = command(*words)
    (line,) = complaints(done)

    assert done.returncode == 2
    assert said in line


@pytest.mark.parametrize("name", ["run", "check", "status"])
def test_settings_that_cannot_be_used_are_2_with_a_line_for_each_problem(tmp_path: Path, name: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("apply:\n  method: fast\n  deadline: 10\nfrobnicate: yes\nlayers:\n  - {name: a}\n")
    done = command(name, "--settings", str(path), env={"FBS_STATE_KEEP": "many"})
    lines = complaints(done)

    assert done.returncode == 2
    for place in (f"apply.method ({path}:2)", f"apply.deadline ({path}:3)", f"frobnicate ({path}:4)", "FBS_STATE_KEEP"):
        assert len([line for line in lines if place in line]) == 1, (place, lines)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"apply: [\n", "settings.yaml"),
        (b"\xff\xfe", "not UTF-8"),
        (None, "No such file"),
        (b"x" * 2_000_000, "larger than"),
    ],
)
def test_a_settings_file_that_is_none_is_one_line_and_2(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "settings.yaml"
    if content is not None:
        path.write_bytes(content)
    done = command("run", env={"FBS_SETTINGS": str(path)})
    (line,) = complaints(done)

    assert done.returncode == 2
    assert said in line
    assert str(path) in line


@pytest.mark.namespaces
def test_where_nothing_at_all_can_be_written_to_it_is_one_line_and_2(tmp_path: Path, double: str) -> None:
    barren = [f"mount --bind '{tmp_path}' '{tmp_path}'", f"mount -o remount,bind,ro '{tmp_path}'"]
    barren += ["mount -t tmpfs -o ro tmpfs /dev/shm", "mount -t tmpfs -o ro tmpfs /mnt", "mount -o remount,bind,ro /"]
    argv = ["env", "TMPDIR=/mnt", sys.executable, "-m", "supervisor", "run", "--fluent-bit", double]
    argv += ["--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]

    done = subprocess.run(mounted("; ".join(barren))(argv), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2, done.stderr
    (line,) = complaints(done)
    assert str(tmp_path / "run") in line
    assert "Read-only file system" in line
