"""What is told of plugins, properties and values is what the real binary does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import pytest
from conftest import REAL, waits_until
from contract.conversation import ENV, Conversation, conversation
from making import make_snippet

from supervisor.config.lint.enumerations import REPEATABLE, REQUIRED
from supervisor.config.lint.properties import lint_instance
from supervisor.config.parse import parse
from supervisor.config.schema import Schema, read_schema
from supervisor.model import Kind

pytestmark = pytest.mark.real

_HEADS = {"inputs": ("-i", "{}"), "outputs": ("-i", "dummy", "-o", "{}", "-m", "x")}
_CRASHES = {"azure_blob", "nats", "kafka-rest"}  # a dry-run of 5.1.1 dies of them
_KINDS = (Kind.INPUT, Kind.FILTER, Kind.OUTPUT, Kind.CUSTOM)


@pytest.fixture
async def talk(real: str, tmp_path: Path) -> AsyncIterator[Conversation]:
    async with conversation(real, tmp_path) as conversing:
        yield conversing


@pytest.fixture(scope="module")
def schema() -> Schema:
    if REAL is None:
        pytest.skip("no real Fluent Bit binary")
    found = read_schema(subprocess.run([REAL, "-J"], capture_output=True, text=True, timeout=30, check=True).stdout)
    assert found is not None
    return found


async def test_the_schema_has_every_plugin_and_property_that_the_binary_lists(talk: Conversation) -> None:
    schema = await talk.fluent_bit.schema()
    listed = json.loads(await talk_json(talk))

    assert schema is not None
    assert schema.version == talk.fluent_bit.identified.version
    for kinds in ("customs", "inputs", "processors", "filters", "outputs"):
        assert set(schema.plugins[kinds]) == {one["name"].lower() for one in listed[kinds]}
        for one in listed[kinds]:
            plugin = schema.plugins[kinds][one["name"].lower()]
            names = {each["name"].lower() for group in one["properties"].values() for each in group}
            assert names <= set(plugin.properties)


async def talk_json(talk: Conversation) -> str:
    run = talk.processes.run
    done = await run([talk.binary, "-J"], env=ENV, cwd=str(talk.directory), timeout=10, output_limit=1 << 24)
    return done.stdout


async def test_the_schema_is_asked_once_for_one_binary(talk: Conversation) -> None:
    assert await talk.fluent_bit.schema() is await talk.fluent_bit.schema()


def dry_run(real: str, arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    call = [real, "-q", "-D", *arguments]
    return subprocess.run(call, capture_output=True, text=True, timeout=30, cwd=cwd, env=ENV, errors="replace")


def of_plugin(kinds: str, plugin: str, key: str, value: str) -> list[str]:
    if kinds == "filters":
        return ["-i", "dummy", "-F", plugin, "-m", "*", "-p", f"{key}={value}", "-o", "null"]
    if kinds == "inputs":
        return ["-i", plugin, "-p", f"{key}={value}", "-o", "null"]
    return ["-i", "dummy", "-o", plugin, "-m", "x", "-p", f"{key}={value}"]


def samples(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """Properties that one plugin has and another does not, a few for each plugin."""
    for kinds in ("inputs", "filters", "outputs"):
        names = sorted({key for plugin in schema.plugins[kinds].values() for key in plugin.properties})
        for place, (name, plugin) in enumerate(sorted(schema.plugins[kinds].items())):
            if name not in _CRASHES and not (kinds == "filters" and name == "lua"):
                strange = [key for key in names if not plugin.takes(key) and not key.startswith(("oauth2", "net."))]
                yield from ((kinds, name, key) for key in islice(strange[place % 7 :: 11], 2))


def test_what_is_called_unknown_the_binary_does_not_know_either(real: str, schema: Schema, tmp_path: Path) -> None:
    wrong = [
        sample
        for sample in samples(schema)
        if "unknown configuration property" not in dry_run(real, of_plugin(*sample, "1"), tmp_path).stderr
    ]

    assert wrong == []


@pytest.mark.parametrize("kinds", ["inputs", "filters", "outputs"])
def test_what_is_added_to_the_list_the_binary_takes(real: str, schema: Schema, tmp_path: Path, kinds: str) -> None:
    name = {"inputs": "dummy", "filters": "grep", "outputs": "null"}[kinds]
    values = {"storage.type": "memory", "log_level": "info", "rate_gate.resume_ratio": "0.5"}
    taken = [key for key, known in schema.plugins[kinds][name].properties.items() if known.common]
    booleans = {key: "off" for key in taken if schema.plugins[kinds][name].properties[key].type == "boolean"}
    values = {**booleans, **values}
    taken = [key for key in taken if not key.startswith("tls.windows.")]

    refused = [
        key
        for key in (*taken, "active", "condition")
        if "successful" not in dry_run(real, of_plugin(kinds, name, key, values.get(key, "1")), tmp_path).stderr
    ]

    assert refused == []


def test_tls_is_refused_exactly_where_the_schema_has_none(real: str, schema: Schema, tmp_path: Path) -> None:
    for kinds in ("inputs", "outputs"):
        for name, plugin in schema.plugins[kinds].items():
            said = dry_run(real, of_plugin(kinds, name, "tls", "on"), tmp_path).stderr
            assert ("does not support TLS" in said) is not plugin.tls, (kinds, name)


def test_a_second_value_is_refused_where_it_is_said_so(real: str, schema: Schema, tmp_path: Path) -> None:
    wrong = []
    for kinds in ("inputs", "filters", "outputs"):
        for name, plugin in sorted(schema.plugins[kinds].items()):
            if name in _CRASHES or name == "lua" or not plugin.closed:
                continue
            single = [
                known.name
                for known in plugin.properties.values()
                if known.type in ("string", "boolean") and not known.common and known.name not in REPEATABLE
                if not known.name.startswith(("oauth2.", "http_server.", "tls.")) and known.name != "http2"
            ]
            if single:
                arguments = of_plugin(kinds, name, single[-1], "a")
                place = arguments.index("-p")
                arguments[place:place] = ["-p", f"{single[-1]}=b"]
                if "is set 2 times" not in dry_run(real, arguments, tmp_path).stderr:
                    wrong.append((kinds, name, single[-1]))

    assert wrong == []


# --- what only a start shows --------------------------------------------------------------------------------------


def start(real: str, text: str, directory: Path) -> str:
    """What it says until it is ready, or has failed."""
    config, said = directory / "start.yaml", directory / "said"
    config.write_text(text)
    with said.open("wb") as err:
        child = subprocess.Popen(
            [real, "-c", str(config)], stderr=err, stdout=subprocess.DEVNULL, cwd=directory, env=ENV
        )
        try:

            def is_decided() -> bool:
                words = said.read_text(errors="replace")
                return child.poll() is not None or "stream processor started" in words or failed(words)

            waits_until(is_decided)
        finally:
            child.kill()
            child.wait()
    return said.read_text(errors="replace")


def failed(said: str) -> bool:
    return any(words in said for words in ("initialization failed", "failed init", "caught signal", "contains errors"))


def pipeline(inputs: str = "{name: dummy}", filters: str = "", outputs: str = "{name: 'null', match: '*'}") -> str:
    listed = f"  filters:\n    - {filters}\n" if filters else ""
    return f"pipeline:\n  inputs:\n    - {inputs}\n{listed}  outputs:\n    - {outputs}\n"


def processor(unit: str, signal: str = "logs") -> str:
    return pipeline(f"{{name: dummy, processors: {{{signal}: [{unit}]}}}}")


def rules(text: str, schema: Schema) -> set[str]:
    document = parse(text.encode(), "a.yaml").document
    assert document is not None, text
    found = make_snippet("a.yaml", text)
    sections = [section for section in document.sections if section.kind in _KINDS]
    return {finding.rule for section in sections for finding in lint_instance(found, section, schema, {})}


FATAL = [
    ("unknown-property", processor("{name: content_modifier, action: insert, key: a, value: b, keyy: c}")),
    ("unknown-property", processor("{name: grep, regexp: log x}")),
    ("unknown-plugin", processor("{name: nosuch}")),
    ("list-for-scalar", processor("{name: labels, insert: [a b]}", "metrics")),
    ("list-for-scalar", processor("{name: grep, regex: {a: b}}")),
    ("list-for-scalar", pipeline("{name: dummy, rate: [1, 2]}")),
    ("list-for-scalar", pipeline("{name: dummy, rate: []}")),
    ("list-for-scalar", pipeline("{name: dummy, rate: {a: b}}")),
    ("too-few-words", pipeline(filters="{name: record_modifier, match: '*', record: alone}")),
    ("bad-boolean", pipeline("{name: dummy, flush_on_startup: maybe}")),
    ("bad-boolean", pipeline("{name: tail, path: /nonexistent, read_from_head: 1}")),
    ("empty-property", pipeline("{name: dummy, tag: ''}")),
    ("empty-property", pipeline(outputs="{name: 'null', match: '*', workers: ''}")),
    ("bad-size", pipeline("{name: dummy, mem_buf_limit: 5MiB}")),
    ("bad-value", pipeline("{name: dummy, storage.type: disk}")),
    ("bad-value", pipeline(outputs="{name: 'null', match: '*', log_level: loud}")),
    ("bad-value", pipeline("{name: tcp, port: 0, format: nosuch}")),
    ("bad-value", pipeline("{name: tail, path: /nonexistent, db.journal_mode: nosuch}")),
    ("bad-value", pipeline(filters="{name: nest, match: '*', operation: Nest}")),
    ("bad-value", pipeline(filters="{name: modify, match: '*', set: a b c d}")),
    ("bad-value", pipeline(filters="{name: modify, match: '*', set: a}")),
    ("bad-value", pipeline(filters="{name: modify, match: '*', remove: a b}")),
    ("bad-value", pipeline(filters="{name: modify, match: '*', condition: key_exist a, set: a b}")),
    ("bad-value", pipeline(filters="{name: type_converter, match: '*', int_key: a b nosuch}")),
    ("bad-value", pipeline(filters="{name: expect, match: '*', action: nosuch, key_exists: a}")),
    ("bad-value", pipeline(filters="{name: multiline, match: '*', mode: nosuch, multiline.parser: go}")),
    ("bad-value", pipeline(filters="{name: rewrite_tag, match: x, emitter_storage.type: disk, rule: $a ^b$ c false}")),
    ("bad-value", pipeline(outputs="{name: http, match: x, compress: nosuch}")),
    ("bad-value", pipeline(outputs="{name: http, match: x, http_method: get}")),
    ("bad-value", pipeline(outputs="{name: file, match: x, format: json}")),
    ("bad-value", pipeline(outputs="{name: forward, match: x, compress: zstd}")),
    ("bad-value", pipeline(outputs="{name: gelf, match: x, mode: nosuch}")),
    ("bad-value", pipeline(outputs="{name: loki, match: x, line_format: nosuch}")),
    ("bad-value", pipeline(outputs="{name: loki, match: x, drop_single_key: nosuch}")),
    ("bad-value", pipeline(outputs="{name: es, match: x, write_operation: nosuch}")),
    ("bad-value", pipeline(outputs="{name: opensearch, match: x, write_operation: nosuch}")),
    ("bad-value", pipeline(outputs="{name: opentelemetry, match: x, compress: nosuch}")),
    ("bad-value", pipeline(outputs="{name: syslog, match: x, mode: nosuch}")),
    ("bad-value", pipeline(outputs="{name: syslog, match: x, syslog_format: nosuch}")),
    ("bad-value", pipeline(outputs="{name: td, match: x, api: a, database: b, table: c, region: eu}")),
    ("bad-value", processor("{name: content_modifier, action: nosuch, key: a}")),
    ("bad-value", processor("{name: content_modifier, action: convert, key: a, converted_type: nosuch}")),
    ("bad-value", processor("{name: sampling, type: nosuch}", "traces")),
    ("no-tls", pipeline(outputs="{name: 'null', match: '*', tls: on}")),
]


@pytest.mark.parametrize(("rule", "text"), FATAL)
def test_what_is_said_to_stop_it_stops_it(real: str, schema: Schema, tmp_path: Path, rule: str, text: str) -> None:
    assert rules(text, schema) == {rule}

    said = start(real, text, tmp_path)

    assert failed(said), said


UNTRIED = {"nightfall", "geoip2", "chronicle"}  # they look for their file or service before anything else


@pytest.mark.parametrize(("kinds", "plugin"), [key for key in REQUIRED if key[1] not in UNTRIED])
def test_without_what_is_required_it_does_not_start(
    real: str, schema: Schema, tmp_path: Path, kinds: str, plugin: str
) -> None:
    texts = {
        "inputs": pipeline(f"{{name: {plugin}}}"),
        "filters": pipeline(filters=f"{{name: {plugin}, match: '*'}}"),
        "outputs": pipeline(outputs=f"{{name: {plugin}, match: x}}"),
        "processors": processor(f"{{name: {plugin}}}", "traces" if plugin == "sampling" else "logs"),
    }
    assert rules(texts[kinds], schema) == {"missing-property"}

    said = start(real, texts[kinds], tmp_path)

    assert failed(said), said


def test_a_rule_of_modify_with_three_words_renames(real: str, tmp_path: Path) -> None:
    inputs = """{name: dummy, samples: 1, dummy: '{"a":"1"}'}"""
    config = tmp_path / "a.yaml"
    config.write_text(pipeline(inputs, "{name: modify, match: '*', set: a b c}", "{name: stdout, match: '*'}"))

    with (tmp_path / "out").open("wb") as out:
        child = subprocess.Popen([real, "-q", "-f", "0.1", "-c", str(config)], stdout=out, stderr=out, env=ENV)
        try:
            waits_until(lambda: '{"c"=>"1"}' in (tmp_path / "out").read_text(errors="replace"))
        finally:
            child.kill()
            child.wait()


HARMLESS = [
    pipeline("{name: dummy, rate: 1, TAG: a, memBufLimit: 5MB, storage.type: MemRB, threaded: ON, log_level: Warning}"),
    pipeline(
        outputs="{name: 'null', match: '*', retry_limit: False, storage.total_limit_size: off, net.keepalive: no}"
    ),
    pipeline(filters="{name: modify, match: '*', SET: a b, Condition: 'Key_Exists a', remove: [a, b]}"),
    pipeline(filters="{name: modify, match: '*', set: 'a \"b c\"'}"),
    pipeline(filters="{name: type_converter, match: '*', int_key: a b str}"),
    pipeline(filters="{name: record_modifier, match: '*', record: [a b c]}"),
    pipeline(filters="{name: nest, match: '*', operation: nesting, wildcard: [a*, b*], nest_under: c}"),
    pipeline(filters="{name: multiline, match: '*', mode: partial_message, multiline.key_content: log}"),
    pipeline("{name: dummy, tls.vhost: x, host: y, port: 99, ipv6: on, active: on}"),
    pipeline("{name: tcp, port: 0, net.io_timeout: 5s, net.share_port: on}"),
    processor("{name: labels, insert: a b}", "metrics"),
    processor("{name: record_modifier, record: [a b, c d]}"),
    processor(
        "{name: content_modifier, action: DELETE, key: a, condition: {op: or, rules: [{field: $a, op: eq, value: b}]}}"
    ),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_let_be_starts(real: str, schema: Schema, tmp_path: Path, text: str) -> None:
    assert rules(text, schema) == set()

    said = start(real, text, tmp_path)

    assert not failed(said), said
