"""Does a rendered config do what the original does?

Every directory of `corpus/equivalence` is a small config with the records that it delivers (`expected.jsonl`). The
original and what we render from it run side by side in the real binary, each in a working directory of its own.
`@PORT@` in a text stands for a free port. The last tests hold our reading against the binary's: what it refuses has no
document, what it takes has one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from supervisor.adapters.sources import Sources
from supervisor.adapters.store import lay_out
from supervisor.config.parse import parse
from supervisor.config.render import render_main, render_sections
from supervisor.core.assemble import assemble
from supervisor.core.service import Frame
from supervisor.model import Entry, Kind, Parsed, Scalar, Section
from supervisor.settings import SourcesSettings

pytestmark = pytest.mark.real

CORPUS = Path(__file__).parent.parent / "corpus" / "equivalence"
CASES = sorted(path.name for path in CORPUS.iterdir())
MAINS = ("main.conf", "main.yaml", "main.txt", "conf/main.yaml")
LIMIT = 15.0  # seconds for one run to deliver its records


# --- what we make of it -----------------------------------------------------------------------------------------------


def rendered(main: Path, cwd: Path, target: Path) -> Path:
    """Read, assembled and written as the supervisor does it, with the original as base."""
    sources = Sources(
        layers=(), base=str(main), cwd=str(cwd), secrets_directory="", settings=SourcesSettings(), report=print
    )
    snapshot = asyncio.run(sources.read(settle=False))
    environment = {"PATH": os.defpath, "TZ": "UTC"}
    assembled = assemble(snapshot, Frame(str(cwd), environment, http_port=free_port(), grace=1.0))
    assert assembled.candidate is not None, assembled.findings
    assert not assembled.refused, assembled.findings
    for file in assembled.candidate.files:
        assert file.text.count("\n") == len(file.origins)
    return Path(lay_out(assembled.candidate, str(target)))


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    records: list[str]  # normalised, sorted
    files: list[str]  # what it left in its working directory
    log: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def working_copy(case: str, where: Path) -> Path:
    shutil.copytree(CORPUS / case, where)
    port = str(free_port()).encode()
    for path in where.rglob("*"):
        if path.is_file() and b"@PORT@" in (content := path.read_bytes()):
            path.write_bytes(content.replace(b"@PORT@", port))
    return where


def run(binary: str, main: Path | str, cwd: Path, expected: int) -> Outcome:
    """Run until the expected records are there (or the limit is), then ask it to stop."""
    before = {path for path in cwd.rglob("*") if path.is_file()}
    out, log = cwd.with_suffix(".out"), cwd.with_suffix(".log")
    environment = {"PATH": os.defpath, "TZ": "UTC"}
    with out.open("wb") as stdout, log.open("wb") as stderr:
        child = subprocess.Popen([binary, "-c", str(main)], cwd=cwd, stdout=stdout, stderr=stderr, env=environment)
        try:
            end = time.monotonic() + LIMIT
            while out.read_bytes().count(b"\n") < expected and time.monotonic() < end and child.poll() is None:
                time.sleep(0.02)
            child.terminate()
            child.wait(LIMIT)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    left = sorted(
        str(path.relative_to(cwd))
        for path in cwd.rglob("*")
        if path.is_file() and path not in before and "chunks" not in path.parts
    )
    return Outcome(sorted(map(normalised, out.read_text().splitlines())), left, log.read_text(errors="replace"))


def normalised(line: str) -> str:
    """A record as text, with moments in time taken out."""
    record = json.loads(line)
    moments = (key for key, value in record.items() if isinstance(value, float) and value > 1e9)
    return json.dumps(record | dict.fromkeys(moments, "a moment"), sort_keys=True)


@dataclass(frozen=True)
class Pair:
    original: Outcome
    rendered: Outcome


def run_pair(binary: str, case: str, where: Path) -> Pair:
    where.mkdir()
    expected = len((CORPUS / case / "expected.jsonl").read_text().splitlines())
    first, second = working_copy(case, where / "original"), working_copy(case, where / "second")
    name = next(name for name in MAINS if (first / name).exists())
    original = run(binary, name, first, expected)
    ours = run(binary, rendered(second / name, second, where / "rendered"), second, expected)
    return Pair(original, ours)


@pytest.fixture(scope="module")
def pairs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Pair]]]:
    """All pairs that are asked for, running beside each other."""
    from conftest import REAL

    if REAL is None:
        pytest.skip("no real Fluent Bit binary")
    where = tmp_path_factory.mktemp("pairs")
    cases = dict.fromkeys(
        item.callspec.params["case"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "case" in item.fixturenames
    )
    with ThreadPoolExecutor(8) as pool:
        yield {case: pool.submit(run_pair, REAL, case, where / case) for case in cases}


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_delivers_what_the_original_delivers(case: str, pairs: dict[str, Future[Pair]]) -> None:
    expected = (CORPUS / case / "expected.jsonl").read_text().splitlines()

    pair = pairs[case].result()

    assert pair.original.records == expected, pair.original.log
    assert pair.rendered.records == expected, pair.rendered.log
    assert pair.rendered.files == pair.original.files


# --- reading ----------------------------------------------------------------------------------------------------------

INPUT_Y = "pipeline: {inputs: [{name: dummy}]}\n"

TEXTS: dict[str, bytes] = {
    "a property without indent.conf": b"[SERVICE]\nxflush 1\n",
    "a property with one character of indent.conf": b"[INPUT]\n name dummy\n",
    "a shorter indent.conf": b"[INPUT]\n    name dummy\n  tag a\n",
    "a longer indent.conf": b"[INPUT]\n    name dummy\n      tag a\n",
    "the doubled indent.conf": b"[INPUT]\n  name dummy\n    tag a\n",
    "tab after blanks.conf": b"[INPUT]\n    name dummy\n\ttag a\n",
    "a blank line of fewer blanks.conf": b"[INPUT]\n    name dummy\n  \n    tag a\n",
    "a blank line of the indent.conf": b"[INPUT]\n    name dummy\n    \n    tag a\n",
    "a blank line first.conf": b"[INPUT]\n  \n  name dummy\n",
    "a tab between key and value.conf": b"[INPUT]\n    name\tdummy\n",
    "a key alone.conf": b"[INPUT]\n    name dummy\n    tag\n",
    "a value of blanks.conf": b"[INPUT]\n    name dummy\n    tag    \n",
    "a value of tabs.conf": b"[INPUT]\n    name dummy\n    tag \t\t\n",
    "a property before any section.conf": b"    name dummy\n[INPUT]\n    name dummy\n",
    "an unclosed title.conf": b"[INPUT\n    name dummy\n",
    "an empty title.conf": b"[]\n    name dummy\n",
    "text behind a title.conf": b"[INPUT] # here\n    name dummy\n",
    "a title with blanks.conf": b"[ INPUT ]\n    name nosuch\n",
    "an indented title.conf": b"[INPUT]\n    name dummy\n  [OUTPUT]\n",
    "a group.conf": b"[INPUT]\n    name dummy\n    [x] \n        a b\n",
    "a group without a blank behind.conf": b"[INPUT]\n    name dummy\n    [x]\n        a b\n",
    "an unclosed group.conf": b"[INPUT]\n    name dummy\n    [x a\n",
    "a group before any section.conf": b"    [x] \n",
    "two groups without content.conf": b"[INPUT]\n    name dummy\n    [x] \n    [y] \n",
    "two deep groups without content.conf": b"[INPUT]\n    name dummy\n    [x] \n        [y] \n",
    "an unnamed group.conf": b"[INPUT]\n    name dummy\n    [] \n    tag a\n",
    "an unknown directive.conf": b"@NOSUCH thing\n[INPUT]\n    name dummy\n",
    "a directive without a blank.conf": b"@NOSUCH\n[INPUT]\n    name dummy\n",
    "a short directive.conf": b"@X\n[INPUT]\n    name dummy\n",
    "set without value.conf": b"@SET \n[INPUT]\n    name dummy\n",
    "set of blanks.conf": b"@SET    \n[INPUT]\n    name dummy\n",
    "set without equals.conf": b"@SET A\n[INPUT]\n    name dummy\n",
    "include without a path.conf": b"@INCLUDE \n[INPUT]\n    name dummy\n",
    "include by tab.conf": b"@INCLUDE\tx.conf\n[INPUT]\n    name dummy\n",
    "a comment after the indent.conf": b"[INPUT]\n    # x\n    name dummy\n",
    "a deep comment.conf": b"[INPUT]\n    name dummy\n      # x\n",
    "a comment of other indent.conf": b"[INPUT]\n    name dummy\n  # x\n",
    "a lone carriage return.conf": b"[SERVICE]\r    flush 1\r",
    "no end of line.conf": b"[INPUT]\n    name dummy",
    "latin-1.conf": b"[INPUT]\n    name dummy\n    tag caf\xe9\n",
    "nothing.conf": b"",
    "nothing.yaml": b"",
    "only a comment.yaml": b"# x\n",
    "an empty document.yaml": b"---\n",
    "a scalar.yaml": b"hello\n",
    "a list.yaml": b"- a\n",
    "an alias.yaml": b"env: {A: &a x, B: *a}\n",
    "an anchor.yaml": b"env: {A: &a x}\n",
    "a tag.yaml": b"env: {A: !!int x}\n",
    "a merge key.yaml": b"env: {<<: x}\n",
    "a key twice.yaml": b"env: {A: x, A: y}\n",
    "service twice.yaml": b"service: {flush: 1}\nservice: {grace: 1}\n",
    "service in two documents.yaml": b"service: {flush: 1}\n---\nservice: {grace: 1}\n",
    "service and a part of its name.yaml": b"service: {flush: 1}\nserv: {grace: 1}\n",
    "service of nothing.yaml": b"service:\n",
    "service with a list.yaml": b"service: {flush: [1]}\n",
    "service with a map.yaml": b"service: {telemetry: {}}\n",
    "env with a map.yaml": b"env: {A: {b: c}}\n",
    "env with a list.yaml": b"env: {A: [b]}\n",
    "env as a list of texts.yaml": b"env: [A]\n",
    "env as a list of maps.yaml": b"env: [{name: A, value: b}, {C: d}]\n",
    "env as a text.yaml": b"env: A\n",
    "includes as a text.yaml": b"includes: a.yaml\n",
    "includes of nothing.yaml": b"includes: []\n",
    "includes with a map.yaml": b"includes: [{a: b}]\n",
    "an unknown map.yaml": b"nonsense: {a: b}\n",
    "an unknown list.yaml": b"nonsense: [a]\n",
    "an unknown text.yaml": b"nonsense: a\n",
    "an unknown nested map.yaml": b"nonsense: {a: {b: c}}\n",
    "extensions.yaml": b"extensions: {a: [b, {c: d}]}\n",
    "customs under pipeline.yaml": b"pipeline: {customs: []}\n",
    "a pipeline of nothing.yaml": b"pipeline:\n",
    "an empty pipeline.yaml": b"pipeline: {}\n",
    "inputs of nothing.yaml": b"pipeline: {inputs: }\n",
    "inputs as a map.yaml": b"pipeline: {inputs: {name: dummy}}\n",
    "inputs with a text.yaml": b"pipeline: {inputs: [dummy]}\n",
    "inputs twice.yaml": b"pipeline: {inputs: [{name: dummy}], inputs: []}\n",
    "capitals in titles.yaml": b"Pipeline: {INPUTS: [{name: dummy}]}\n",
    "a nested list.yaml": b"pipeline: {inputs: [{name: dummy, tag: [[a]]}]}\n",
    "a map in a list.yaml": b"pipeline: {inputs: [{name: dummy, tag: [{a: b}]}]}\n",
    "processors of an unknown signal.yaml": b"pipeline: {inputs: [{name: dummy, processors: {nosuch: []}}]}\n",
    "profiles.yaml": b"pipeline: {inputs: [{name: dummy, processors: {profiles: []}}]}\n",
    "processors as a map.yaml": b"pipeline: {inputs: [{name: dummy, processors: {logs: {name: a}}}]}\n",
    "processors of texts.yaml": b"pipeline: {inputs: [{name: dummy, processors: {logs: [a]}}]}\n",
    "empty processors.yaml": b"pipeline: {inputs: [{name: dummy, processors: {}}]}\n",
    "parsers as a map.yaml": b"parsers: {name: a, format: json}\n",
    "a parser with a list.yaml": b"parsers: [{name: a, format: json, decode_field: [json a]}]\n",
    "a parser.yaml": b"parsers: [{name: a, format: json}]\n",
    "rules as a map.yaml": b"multiline_parsers: [{name: a, type: regex, rules: {state: a}}]\n",
    "upstreams with nodes.yaml": b"upstream_servers: [{name: a, nodes: [{name: b}]}]\n",
    "upstreams with a nested node.yaml": b"upstream_servers: [{name: a, nodes: [{name: {b: c}}]}]\n",
    "a stream with a list.yaml": b"stream_processor: [{name: a, exec: [b]}]\n",
    "plugins as a map.yaml": b"plugins: {a: b}\n",
    "no plugins.yaml": b"plugins: []\n",
    "byte order mark.yaml": b"\xef\xbb\xbf" + INPUT_Y.encode(),
    "utf-16.yaml": INPUT_Y.encode("utf-16"),
    "latin-1.yaml": b"# caf\xe9\n",
    "nul.yaml": b"# \0\n",
    "a control character.yaml": b"# \x01\n",
    "an escaped nul.yaml": b'env: {A: "a\\0b"}\n',
    "tabs.yaml": b"pipeline:\n\tinputs: []\n",
    "a lone carriage return.yaml": b"env: {A: b}\r",
    "thirty levels.yaml": b"service: {telemetry: {}}\nextensions: {a: " + b"[" * 30 + b"]" * 30 + b"}\n",
}


def our_reading(name: str) -> Parsed:
    return parse(TEXTS[name], name)


@pytest.mark.parametrize("name", TEXTS)
def test_what_the_binary_reads_has_a_document_and_nothing_else_has(name: str, real: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(TEXTS[name])

    verdict = subprocess.run([real, "-D", "-c", name], cwd=tmp_path, capture_output=True, timeout=LIMIT, check=False)

    assert (our_reading(name).document is not None) == (verdict.returncode == 0), verdict.stderr.decode()[-500:]


def test_a_thousand_includes_load_in_the_order_of_their_list(real: str, tmp_path: Path) -> None:
    names = [f"{(number * 7919) % 1000:03d}.yaml" for number in range(1000)]
    for number, name in enumerate(names):
        entries = (Entry("name", Scalar("modify", 1), 1), Entry("match", Scalar("*", 1), 1))
        entries += (Entry("set", Scalar(f"last {number}", 1), 1),)
        file = render_sections(name, [("s", Section(Kind.FILTER, "filters", entries, 1))])
        (tmp_path / name).write_text(file.text)
    (tmp_path / "pipeline.yaml").write_text(
        "pipeline:\n  inputs: [{name: dummy, samples: 1}]\n"
        "  outputs: [{name: stdout, match: '*', format: json_lines, json_date_key: false}]\n"
    )
    service = [Entry("flush", Scalar("0.2", 1), 1), Entry("grace", Scalar("1", 1), 1)]
    (tmp_path / "main.yaml").write_text(render_main(service, [], [*names, "pipeline.yaml"]).text)

    outcome = run(real, "main.yaml", tmp_path, 1)

    assert outcome.records == ['{"last": "999", "message": "dummy"}'], outcome.log[-500:]
