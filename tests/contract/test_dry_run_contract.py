"""What the dry-run of the double and of the real binary both find, and what both miss."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract.conversation import BAD_REGEX, ENV, NULL, Conversation, conversation

from supervisor.adapters.fluent_bit import messages
from supervisor.model import Accepted, Inconclusive, Rejected


@pytest.fixture
async def talk(fluent_bit: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(fluent_bit, tmp_path) as conversing:
        yield conversing


PASSES = {
    "a good config": {},
    "an unknown section with a map in it": {"more": "inputz: {name: dummy}"},
    "an unknown service key": {"service": "flsh: 3"},
    "a bad regex of grep": {"filters": (BAD_REGEX,)},
    "no output at all": {"outputs": ()},
    "an include that matches nothing": {"more": "includes: ['nothing-*.yaml']"},
    "a TLS file that is missing": {"outputs": ("{name: http, match: '*', tls: on, tls.ca_file: /nonexistent.crt}",)},
    "two inputs on one port": {"inputs": ("{name: tcp, port: 29871}", "{name: tcp, port: 29871}")},
    "an unset variable": {"inputs": ("{name: dummy, tag: 'a${NOT_SET_AT_ALL}'}",)},
    "an output without match": {"outputs": ("{name: 'null'}", NULL)},
}
REFUSED = {
    "an unknown plugin": ({"inputs": ("{name: nosuch}",)}, "section 'nosuch' tried to instance a plugin name"),
    "an unknown property": ({"inputs": ("{name: dummy, nosuch: 1}",)}, "unknown configuration property 'nosuch'"),
    "no name": ({"inputs": ("{tag: x}",)}, "section 'input' is missing the 'name' property"),
    "a filter without match": ({"filters": ("{name: grep, regex: a b}",)}, "NO match rule for grep.0 filter instance"),
    "a flush that is no number": ({"service": "flush: abc"}, "invalid flush value, aborting."),
    "a flush of zero": ({"service": "flush: 0"}, "invalid flush value, aborting."),
    "a bad size": ({"inputs": ("{name: dummy, mem_buf_limit: big}",)}, "could not configure property 'mem_buf_limit'"),
    "a missing include": ({"more": "includes: [nothing.yaml]"}, "including file 'nothing.yaml'"),
    "a second service": ({"more": "service: {flush: 1}"}, "duplicated definition of 'service'"),
    "an unknown section with a list in it": ({"more": "inputz:\n  - a"}, "env list is only allowed in env section"),
    "an unknown part of the pipeline": ({"more": "pipeline:\n  foo: []"}, "the pipeline component 'foo' is not valid"),
    "an unclosed list": ({"more": "includes: ["}, "invalid YAML in file"),
    "a missing secret": ({"more": "env: {A: 'file:///nonexistent'}"}, "[env] file /nonexistent not found"),
    "a bad parser": ({"more": "parsers:\n  - {name: p, format: regex, regex: '('}"}, "Invalid regex pattern ("),
    "a parser twice": (
        {"more": "parsers:\n  - {name: p, format: json}\n  - {name: p, format: json}"},
        "parser named 'p' already exists",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", PASSES)
async def test_dry_run_passes(talk: Conversation, fault: str) -> None:
    path = talk.write(talk.config(**PASSES[fault]))

    done = await talk.run("-D", "-c", path)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("configuration test is successful\n")


@pytest.mark.parametrize("fault", REFUSED)
async def test_dry_run_refuses(talk: Conversation, fault: str) -> None:
    change, words = REFUSED[fault]
    path = talk.write(talk.config(**change))

    done = await talk.run("-D", "-c", path)
    verdict = messages.verdict(done.returncode, done.stderr, ENV)

    assert (done.returncode, done.stdout) == (1, "")
    assert "configuration test is successful" not in done.stderr
    assert isinstance(verdict, Rejected)
    assert words in verdict.findings[0].message


async def test_a_syntax_error_names_its_file_and_line(talk: Conversation) -> None:
    (talk.directory / "part.yaml").write_text("pipeline:\n  inputs:\n    - name: dummy\n     tag: x\n")

    verdict = await talk.dry_run("includes:\n  - part.yaml\n")

    assert isinstance(verdict, Rejected)
    assert [(os.path.basename(finding.path), finding.line) for finding in verdict.findings] == [("part.yaml", 4)]


async def test_a_missing_include_names_who_includes_it(talk: Conversation) -> None:
    verdict = await talk.dry_run("includes:\n  - nothing.yaml\n")

    assert isinstance(verdict, Rejected)
    assert [(os.path.basename(finding.path), finding.line) for finding in verdict.findings] == [("main.yaml", 2)]
    assert "No such file or directory (including file 'nothing.yaml')" in verdict.findings[0].message


@pytest.mark.parametrize(
    ("part", "included", "yaml"),
    [("pipeline:\n  inputs:\n    - name: nosuch\n", 0, 0), ("pipeline:\n  inputs:\n    - name: [\n", 1, 1)],
    ids=["unknown plugin", "bad YAML"],
)
async def test_only_what_cannot_be_read_says_where_it_was_included(
    talk: Conversation, part: str, included: int, yaml: int
) -> None:
    (talk.directory / "part.yaml").write_text(part)

    done = await talk.run("-D", "-c", talk.write("includes:\n  - part.yaml\n"))

    assert done.returncode == 1
    assert done.stderr.count("including file") == included
    assert done.stderr.count("[error] yaml error") == yaml


async def test_a_missing_main_file_is_refused(talk: Conversation) -> None:
    done = await talk.run("-D", "-c", "nothing.yaml")

    assert done.returncode == 1
    assert "could not open configuration file, aborting." in done.stderr


async def test_with_daemon_on_a_dry_run_ends_with_0_and_without_its_sentence(talk: Conversation) -> None:
    path = talk.write(talk.config(service="daemon: on", inputs=("{name: dummy, nosuch: 1}",)))

    done = await talk.run("-D", "-c", path)
    verdict = await talk.fluent_bit.dry_run(path, ENV)

    assert done.returncode == 0
    assert "configuration test is successful" not in done.stderr
    assert isinstance(verdict, Rejected)
    assert "daemon on" in verdict.findings[0].message


async def test_a_dry_run_with_a_nats_output_crashes_and_says_nothing_about_the_config(talk: Conversation) -> None:
    verdict = await talk.dry_run(talk.config(outputs=("{name: nats, match: '*'}",)))

    assert verdict == Inconclusive("the dry-run crashed: killed by SIGABRT (6)", crashed=True)


async def test_a_dry_run_that_waits_for_a_fifo_is_ended_and_blames_nobody(fluent_bit: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "part.yaml")
    async with conversation(fluent_bit, tmp_path, limit=1) as talk:
        verdict = await talk.dry_run("includes:\n  - part.yaml\n")

    assert verdict == Inconclusive("the dry-run did not end within 1 s")


async def test_a_pipeline_on_the_command_line_is_checked_with_the_file(fluent_bit: str, tmp_path: Path) -> None:
    for plugin, verdict in (("dummy", Accepted), ("nosuch", Rejected)):
        async with conversation(fluent_bit, tmp_path, arguments=("-i", plugin, "-o", "stdout", "-m", "*")) as talk:
            assert isinstance(await talk.dry_run(talk.config()), verdict)
