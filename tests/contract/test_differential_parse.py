"""Do our `Document` of a text and the real binary agree: on whether it can be read, on the line, and on the values?

Texts are generated, the same each time; HYPOTHESIS_PROFILE=exploring draws twenty times as many. What the binary
understood is seen in the one record of a short run. Where we differ on purpose, `STRICTER` and `MORE_LENIENT` say it.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generating import NASTY, VOID_TITLES, YAML_TEXTS, classic_texts
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from showing import SHOWING_CLASSIC, SHOWING_YAML, SYSINFO_KEYS

from supervisor.config.names import lower, trim
from supervisor.config.parse import parse
from supervisor.config.render import render_main, render_sections
from supervisor.config.tokens import split_tokens
from supervisor.model import Document, Entry, Kind, Node, Parsed, Scalar, Section, Sequence

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CORPUS = Path(__file__).parent.parent / "corpus"
LIMIT = 20.0  # seconds for one run of the binary
_DRAWN = settings.default.max_examples if settings.default is not None else 100


def drawn(times: float) -> Any:
    """So many times the examples of the profile, and no limit of time for one."""
    return settings(
        max_examples=int(times * _DRAWN),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


# --- what the binary says -----------------------------------------------------------------------------------------

_READING = re.compile(r"error in \S+:(\d+): |\[error\] yaml error|invalid YAML in file")
"""What it says when it cannot read; of what it has read it complains in other words."""


def dry_run(binary: str, directory: Path, name: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.defpath}
    command = [binary, "-D", "-q", "-c", name]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, timeout=LIMIT, check=False)


def could_read(done: subprocess.CompletedProcess[bytes]) -> bool:
    return done.returncode in (0, 1) and _READING.search(done.stderr.decode(errors="replace")) is None


def record_of(binary: str, main: Path) -> list[tuple[str, Any]] | str:
    """Key and value of the first record that a config delivers, repeated keys kept; or why it delivers none."""
    command = [binary, "-q", "-c", main.name]
    with subprocess.Popen(
        command, cwd=main.parent, env={"PATH": os.defpath}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        os.set_blocking(child.stderr.fileno(), False)
        try:
            while (line := child.stdout.readline()) and not line.startswith(b"{"):
                pass
            if not line:
                child.wait(LIMIT)
                return (child.stderr.read() or b"").decode(errors="replace")
        finally:
            child.kill()
    pairs: list[tuple[str, Any]] = json.loads(line, object_pairs_hook=list)
    return pairs


# --- what our document says ---------------------------------------------------------------------------------------


def expected(document: Document) -> list[tuple[str, str | None]]:
    """The keys of the record, with the value where an author gave it."""
    variables = {
        entry.key: entry.value.text if isinstance(entry.value, Scalar) else ""
        for section in document.sections
        if section.kind is Kind.ENV
        for entry in section.entries
    }
    found: list[tuple[str, str | None]] = [("message", "dummy")]
    for section in document.sections:
        plugin = section.get("name")
        if section.kind is not Kind.FILTER or plugin is None:
            continue
        texts = [(lower(entry.key), text) for entry in section.entries for text in texts_of(entry.value)]
        values = [(key, put_in(text, variables)) for key, text in texts]
        if plugin.text == "sysinfo":
            found += [(text, None) for key, text in values if key in SYSINFO_KEYS]
        else:
            words = [split_tokens(text, 2) for key, text in values if key == "record"]
            found += [(name, value) for name, value in words]
    return sorted(found, key=lambda pair: pair[0])


def put_in(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables as 5.1.1 puts them in: not behind a brace that is closed before one is opened."""
    done, at = "", 0
    while (start := text.find("${", at)) >= 0 and (end := text.find("}", at)) > start + 2:
        done += text[at:start] + variables.get(text[start + 2 : end], "")
        at = end + 1
    return done + text[at:]


def texts_of(node: Node) -> list[str]:
    match node:
        case Scalar(text=text):
            return [text]
        case Sequence(items=items):
            return [text for item in items for text in texts_of(item)]
        case _:
            return []


def shown(record: list[tuple[str, Any]], wanted: list[tuple[str, str | None]]) -> list[tuple[str, Any]]:
    """The record as `expected` writes it: what the machine itself filled in is left out."""
    ours = {key for key, value in wanted if value is None}
    return sorted(((key, None if key in ours else value) for key, value in record), key=lambda pair: pair[0])


# --- whether it can be read -----------------------------------------------------------------------------------------


@drawn(1.5)
@given(classic_texts(VOID_TITLES))
@example(b"[SERVICE]\n\xc2\xa0grace 9\n")
@example(b"@\t set a=b\n")
def test_a_classic_text_is_read_or_refused_by_both_and_on_the_same_line(
    real: str, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.conf").write_bytes(content)

    done = dry_run(real, tmp_path, "a.conf")
    parsed = parse(content, "a.conf")

    said = done.stderr.decode(errors="replace")
    assert (parsed.document is not None) == (done.returncode == 0), (parsed.findings, said)
    place = re.search(r"error in \S+:(\d+): ", said)
    if place is not None and b"\0" not in content:  # which loses it line ends, and not us
        assert parsed.findings[-1].line == int(place[1]), said


@drawn(2)
@given(YAML_TEXTS)
@example(b"pipeline: {inputs: [{name: dummy, tag: ' '}]}\n")
@example(b"upstream_servers: [{name: u, nodes: [{name: ' '}]}]\n")
@example(b"parsers: [{name: ' ', format: json}]\n")
@example(b"pipeline: {inputs: [{name: dummy, ' ': a}]}\n")
@example(b"pipeline: {inputs: [{name: dummy, telemetry: [{a: b}]}]}\n")
@example(b"pipeline: {inputs: [{name: dummy, processors: {logs: [{name: a, processors: {logs: b}}]}}]}\n")
def test_a_yaml_text_is_read_or_refused_by_both(real: str, tmp_path: Path, content: bytes) -> None:
    assume(b"includes" not in content.lower())
    (tmp_path / "a.yaml").write_bytes(content)

    done = dry_run(real, tmp_path, "a.yaml")
    parsed = parse(content, "a.yaml")

    assert (parsed.document is not None) == could_read(done), (parsed.findings, done.stderr.decode()[-800:])


MAINS = sorted(
    str(path.relative_to(CORPUS))
    for where in ("equivalence", "valid", "helm")
    for path in (CORPUS / where).rglob("*")
    if path.suffix in (".conf", ".yaml") and b"\0" not in path.read_bytes()[:3000] and "files" not in path.parts
)


def disturbed(content: bytes, rng: random.Random) -> bytes:
    """The text with another layout, which may have broken it."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines)) if lines else 0
    match rng.randrange(7):
        case 0:
            return content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        case 1:
            return content.replace(b"    ", b"\t")
        case 2 if lines:
            lines[at] = b" " + lines[at]
        case 3 if lines:
            lines[at] = lines[at].lstrip(b" ") or lines[at]
        case 4 if lines:
            lines.insert(at, lines[at])
        case 5 if lines:
            lines[at] = lines[at].rstrip(b"\r\n") + rng.choice(
                [b"  \n", b"\t\n", b" # x\n", b"\n\n", b"\n# x\n", b": \n"]
            )
        case _:
            return content.rstrip(b"\r\n")
    return b"".join(lines)


def test_texts_of_the_corpus_in_a_disturbed_layout_are_read_or_refused_by_both(real: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    corpus = Path(shutil.copytree(CORPUS, tmp_path / "corpus"))
    differing: list[str] = []

    for main in MAINS:
        path = corpus / main
        for _ in range(1 if _DRAWN <= 100 else 20):
            content = disturbed((CORPUS / main).read_bytes(), rng)
            beside = path.with_name(f"disturbed{path.suffix}")
            beside.write_bytes(content)
            if any(word in content.lower() for word in (b"include", b"env:", b"_file")):
                continue  # what those lead to may be unreadable itself
            done = dry_run(real, beside.parent, beside.name)
            if done.returncode not in (0, 1):
                continue  # some plugins crash a dry-run when all is read
            if (parse(content, main).document is not None) != could_read(done):
                differing.append(f"{main}: {done.stderr.decode(errors='replace')[-300:]}\n{content!r}")

    assert not differing, "\n\n".join(differing[:3])


# --- what it says -------------------------------------------------------------------------------------------------


def check_values(real: str, tmp_path: Path, content: bytes, name: str) -> None:
    main = tmp_path / name
    main.write_bytes(content)
    parsed: Parsed = parse(content, name)

    record = record_of(real, main)

    if parsed.document is None:
        assert isinstance(record, str), (parsed.findings, record)
        return
    wanted = expected(parsed.document)
    assert not isinstance(record, str), record
    assert shown(record, wanted) == wanted


@drawn(0.8)
@given(SHOWING_CLASSIC)
def test_the_values_of_a_classic_text_are_those_that_the_binary_understood(
    real: str, tmp_path: Path, content: bytes
) -> None:
    check_values(real, tmp_path, content, "a.conf")


@drawn(0.8)
@given(SHOWING_YAML)
def test_the_values_of_a_yaml_text_are_those_that_the_binary_understood(
    real: str, tmp_path: Path, content: bytes
) -> None:
    check_values(real, tmp_path, content, "a.yaml")


_PIECES = st.lists(st.sampled_from([piece for piece in NASTY if "$" not in piece]), max_size=3).map("".join)


@drawn(0.5)
@given(st.lists(st.tuples(_PIECES, _PIECES), min_size=1, max_size=12))
def test_a_rendered_value_is_the_value_in_the_binary_and_nothing_else(
    real: str, tmp_path: Path, values: list[tuple[str, str]]
) -> None:
    texts = [trim(f"{before}{number}{after}") for number, (before, after) in enumerate(values)]
    filters = [
        section(Kind.FILTER, ("name", "sysinfo"), ("match", "*"), (SYSINFO_KEYS[number % len(SYSINFO_KEYS)], text))
        for number, text in enumerate(texts)
    ]
    output = section(
        Kind.OUTPUT, ("name", "stdout"), ("match", "*"), ("format", "json_lines"), ("json_date_key", "false")
    )
    sections = [section(Kind.INPUT, ("name", "dummy"), ("samples", "1"), ("flush_on_startup", "on")), *filters, output]
    (tmp_path / "a.yaml").write_text(render_sections("a.yaml", [("s", one) for one in sections]).text)
    service = [("flush", "0.05"), ("grace", "1"), ("log_level", "error")]
    main = tmp_path / "main.yaml"
    main.write_text(render_main(section(Kind.SERVICE, *service).entries, [], ["a.yaml"]).text)

    record = record_of(real, main)

    assert not isinstance(record, str), record
    assert sorted(key for key, _ in record) == sorted(["message", *texts])


def section(kind: Kind, *pairs: tuple[str, str]) -> Section:
    return Section(kind, str(kind), tuple(Entry(key, Scalar(value, 1), 1) for key, value in pairs), 1)


# --- where we differ on purpose -----------------------------------------------------------------------------------

STRICTER = {  # the binary reads these, and we do not: rule
    "a hundred levels.yaml": (b"extensions: {a: " + b"[" * 101 + b"]" * 101 + b"}\n", "too-deep"),
    "too many properties.conf": (b"[X]\n" + b" a b\n" * 200_001, "over-size"),
    "too many values.yaml": (b"x: {" + b"a: b, " * 100_001 + b"}\n", "over-size"),
}
MORE_LENIENT = {  # the binary refuses these, and we read them as they are meant
    "byte order mark.conf": b"\xef\xbb\xbf[SERVICE]\n    flush 1\n",
}


@pytest.mark.parametrize("name", STRICTER)
def test_what_is_refused_though_the_binary_reads_it(name: str, real: str, tmp_path: Path) -> None:
    content, rule = STRICTER[name]
    (tmp_path / name).write_bytes(content)

    parsed = parse(content, name)

    assert could_read(dry_run(real, tmp_path, name))
    assert (parsed.document, parsed.findings[-1].rule) == (None, rule)


@pytest.mark.parametrize("name", MORE_LENIENT)
def test_what_is_read_though_the_binary_refuses_it(name: str, real: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(MORE_LENIENT[name])

    assert dry_run(real, tmp_path, name).returncode == 1
    assert parse(MORE_LENIENT[name], name).document is not None
