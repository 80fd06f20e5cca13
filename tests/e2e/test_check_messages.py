"""What `check` says to somebody who made a mistake: where, what, what to do; all of it in one run, each thing once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from e2e.test_commands import Done, command
from running import pipeline

GOOD = pipeline("good", "g")

LINT = pipeline("lint", "l").replace("json_lines", "jsn_lines")  # line 11
DRY_RUN = """\
[INPUT]
    name dummy
    tag d
[FILTER]
    name lua
    match d
    call f
    code function f( retrun 1 end
[OUTPUT]
    name null
    match d
"""
TRIAL = (
    DRY_RUN.replace("tag d", "tag t").replace("match d", "match t").replace("function f( retrun 1 end", "error('oh')")
)

MISTAKES = {  # file → its text, and the line of its only mistake
    "assigned.conf": ("[INPUT]\n    name dummy\n    tag = a\n    rate = 3\n[OUTPUT]\n    name null\n    match *\n", 4),
    "bracket.conf": ("[INPUT\n    name dummy\n", 1),
    "indent.yaml": ("pipeline:\n  inputs:\n    - name: dummy\n     tag: a\n", 4),
    "tab.yaml": ("pipeline:\n\tinputs:\n    - name: dummy\n", 2),
    "map.yaml": ("pipeline:\n  inputs:\n    name: dummy\n", 3),
    "singular.yaml": ("pipeline:\n  input:\n    - name: dummy\n", 2),
    "alias.yaml": ("pipeline:\n  inputs:\n    - name: dummy\n      tag: *tag\n", 4),
    "twice.yaml": (pipeline("x").replace("tag: a\n", "tag: a\n      tag: b\n", 1), 5),
    "section.conf": ("[OUTPT]\n    name null\n    match *\n", 1),
    "unnamed.conf": ("[OUTPUT]\n    match *\n", 1),
    "plugin.conf": ("[OUTPUT]\n    name stdot\n    match *\n", 2),
    "property.yaml": (pipeline("x").replace("rate:", "rte:"), 6),
    "processor.yaml": (
        "pipeline:\n  inputs:\n    - name: dummy\n      processors:\n        logs:\n        - name: content_modifer\n",
        6,
    ),
    "boolean.conf": ("[INPUT]\n    name tail\n    path /x/*\n    read_from_head mabe\n", 4),
    "parser.conf": ("[FILTER]\n    name parser\n    match *\n    key_name log\n    parser nosuch\n", 5),
    "regex.conf": ("[PARSER]\n    name r\n    format regex\n    regex ^(?<a>.*\n", 4),
    "script.conf": ("[FILTER]\n    name lua\n    match *\n    call f\n    script nothere.lua\n", 5),
    "tls.conf": ("[OUTPUT]\n    name http\n    match *\n    tls on\n    tls.ca_file /nowhere/ca.pem\n", 5),
    "required.conf": ("[INPUT]\n    name exec\n    tag a\n", 1),
    "silent.conf": ("[OUTPUT]\n    name null\n", 1),
}


def check(here: Path, files: Mapping[str, str], *arguments: str, form: str = "json") -> Done:
    """The files, checked as the directory that they lie in."""
    (here / "conf").mkdir()
    for name, text in files.items():
        (here / "conf" / name).write_text(text)
    return command("check", "--format", form, *arguments, "conf", cwd=here)


def found(done: Done) -> list[tuple[str, int | None, str, str]]:
    findings = json.loads(done.stdout)["findings"]
    return [(one["path"], one["line"], one["severity"], one["rule"]) for one in findings]


# --- all mistakes of all files ----------------------------------------------------------------------------------


@pytest.mark.real
def test_mistakes_that_show_at_different_stages_show_in_one_run(tmp_path: Path, real: str) -> None:
    files = {"a.conf": TRIAL, "b.conf": DRY_RUN, "c.yaml": LINT, "d.yaml": GOOD}

    done = check(tmp_path, files, "--fluent-bit", real)

    assert done.returncode == 1
    assert [(path, severity, rule) for path, _, severity, rule in found(done)] == [
        ("conf/a.conf", "error", "start"),
        ("conf/b.conf", "error", "dry-run"),
        ("conf/c.yaml", "error", "bad-value"),
    ]
    assert [line for _, line, _, _ in found(done)][1:] == [8, 11]


@pytest.mark.real
def test_every_mistake_is_told_once_on_its_line_and_with_what_to_do(tmp_path: Path, real: str) -> None:
    done = check(tmp_path, {name: text for name, (text, _) in MISTAKES.items()}, "--fluent-bit", real)
    findings = json.loads(done.stdout)["findings"]
    errors = [one for one in findings if one["severity"] == "error"]

    assert sorted((one["path"], one["line"]) for one in errors) == sorted(
        (f"conf/{name}", line) for name, (_, line) in MISTAKES.items()
    )
    assert [one["path"] for one in errors if not one["hint"]] == []
    assert {(one["path"], one["line"]) for one in findings if one["severity"] == "warning"}.isdisjoint(
        (one["path"], one["line"]) for one in errors
    )


@pytest.mark.real
def test_habits_of_other_formats_are_told_by_what_to_leave_out(tmp_path: Path, real: str) -> None:
    files = {
        "assigned.conf": "[OUTPUT]\n    name = null\n    match *\n",
        "coloned.conf": "[OUTPUT]\n    name: null\n    match: *\n",
        "quoted.conf": '[OUTPUT]\n    name "null"\n    match *\n',
    }

    done = check(tmp_path, files, "--fluent-bit", real)
    hints = [(one["path"], one["hint"]) for one in json.loads(done.stdout)["findings"]]

    assert hints == [
        ("conf/assigned.conf", "write only null, without '=' or quotes"),
        ("conf/coloned.conf", "the classic format has no ':' behind a key"),
        ("conf/quoted.conf", "write only null, without '=' or quotes"),
    ]


def test_findings_stand_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    wrong = "[OUTPT]\n    name null\n\n[FILTR]\n    name null\n"

    done = check(tmp_path, {"b.conf": wrong, "a.conf": wrong, "c.conf": wrong}, "--no-dry-run")

    assert [(path, line) for path, line, _, _ in found(done)] == [
        (f"conf/{name}.conf", line) for name in "abc" for line in (1, 4)
    ]


@pytest.mark.real
def test_what_is_said_of_the_whole_config_stands_last(tmp_path: Path, real: str) -> None:
    crashing = "[OUTPUT]\n    name nats\n    match *\n"  # the dry-run of 5.1.1 dies of it, whatever else there is
    doubtful = GOOD.replace("tag: g", "tag: g\n      alias: x${NOT_SET_ANYWHERE}")

    done = check(tmp_path, {"a.conf": crashing, "b.yaml": doubtful}, "--no-trial", "--fluent-bit", real)

    assert done.returncode == 0
    assert [(path, rule) for path, _, _, rule in found(done)] == [
        ("conf/b.yaml", "unset-variable"),
        ("", "dry-run-crashed"),
    ]


# --- one cause, one finding -------------------------------------------------------------------------------------


def test_who_uses_what_a_wrong_file_defines_made_no_mistake(tmp_path: Path) -> None:
    files = {
        "a-parsers.conf": "[PARSER]\n    name mine\n    format json\n[OUTPT]\n    name null\n",
        "b-user.conf": "[FILTER]\n    name parser\n    match *\n    key_name log\n    parser mine\n",
    }

    done = check(tmp_path, files, "--no-dry-run")

    assert done.returncode == 1
    assert found(done) == [
        ("conf/a-parsers.conf", 4, "error", "unknown-section"),
        ("conf/b-user.conf", 5, "info", "unknown-parser"),
    ]


def test_nobody_is_warned_of_what_a_wrong_file_would_have_given(tmp_path: Path) -> None:
    files = {
        "a.conf": "[INPUT]\n    name dummy\n    tag app\n[OUTPT]\n    name null\n",
        "b.conf": "[OUTPUT]\n    name null\n    match app\n",
        "c.conf": "[INPUT]\n    name dummy\n    tag other\n",
        "d.conf": "[OUTPUT]\n    name null\n    match other\n[FILTR]\n    name null\n",
    }

    done = check(tmp_path, files, "--no-dry-run")

    assert [(path, rule) for path, _, _, rule in found(done)] == [
        ("conf/a.conf", "unknown-section"),
        ("conf/d.conf", "unknown-section"),
    ]


def test_what_may_stand_in_a_file_that_cannot_be_read_is_told_with_that_doubt(tmp_path: Path) -> None:
    files = {
        "parsers.conf": "[PARSER\n    name mine\n    format json\n",
        "user.conf": "[FILTER]\n    name parser\n    match *\n    key_name log\n    parser mine\n",
    }

    done = check(tmp_path, files, "--no-dry-run")
    user = next(one for one in json.loads(done.stdout)["findings"] if one["rule"] == "unknown-parser")

    assert "perhaps it stands in parsers.conf, which cannot be read" in user["hint"]


@pytest.mark.real
def test_what_we_know_of_the_line_that_fluent_bit_refuses_is_its_hint(tmp_path: Path, real: str) -> None:
    base = tmp_path / "base.conf"
    base.write_text("[INPUT]\n    name dummy\n    tag a\n[OUTPUT]\n    name nulll\n    match a\n")

    done = command("check", "--fluent-bit", real, "-c", str(base), "--layer", f"none={tmp_path}/none", cwd=tmp_path)
    told, shown, hint, verdict = done.stdout.splitlines()

    assert told.startswith(f"{base}:5: error dry-run: Fluent Bit says: ")
    assert shown == "    name nulll"
    assert hint.startswith("    hint: unknown-plugin: ")
    assert hint.endswith("did you mean 'null'?")
    assert verdict == "rejected"


# --- how it looks -----------------------------------------------------------------------------------------------


@pytest.mark.real
def test_fluent_bits_own_words_are_told_as_such_in_every_text(tmp_path: Path, real: str) -> None:
    text = check(tmp_path, {"a.conf": DRY_RUN}, "--fluent-bit", real, form="text")
    others = {
        form: command("check", "--format", form, "--fluent-bit", real, "conf", cwd=tmp_path).stdout
        for form in ("github", "sarif", "json")
    }

    assert re.match(r"conf/a\.conf:8: error dry-run: Fluent Bit says: .*luajit", text.stdout)
    assert "::Fluent Bit says: " in others["github"]
    assert '"text": "Fluent Bit says: ' in others["sarif"]
    assert "Fluent Bit says" not in others["json"], "there the rule says it"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("pipeline:\n\tinputs:\n", ["    \\tinputs:", "    ^"]),
        ("pipeline:\n  input: []\n", ["    input: []", "    ^"]),
        (
            "pipeline: {inputs: [], inputs: []}\n",
            ["    pipeline: {inputs: [], inputs: []}", "                           ^"],
        ),
        ("é: &x\n", ["    é: &x", "       ^"]),
    ],
)
def test_the_column_is_marked_below_the_line(tmp_path: Path, content: str, shown: list[str]) -> None:
    done = check(tmp_path, {"a.yaml": content}, "--no-dry-run", form="text")
    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("conf/a.yaml:"))

    assert lines[place + 1 : place + 3] == shown
