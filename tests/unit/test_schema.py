"""What is made of what a binary tells of its plugins."""

from __future__ import annotations

import json

import pytest

from supervisor.config.schema import Schema, read_schema


def told(**lists: object) -> str:
    return json.dumps({"fluent-bit": {"version": "5.1.1", "schema_version": "1", "os": "linux"}, **lists})


def plugin(name: str, *options: tuple[str, str], **groups: list[tuple[str, str]]) -> dict[str, object]:
    listed = {
        title: [{"name": key, "description": "", "default": None, "type": kind} for key, kind in properties]
        for title, properties in {"options": list(options), **groups}.items()
    }
    return {"type": "output", "name": name, "description": "", "properties": listed}


def read(**lists: object) -> Schema:
    schema = read_schema(told(**lists))
    assert schema is not None
    return schema


@pytest.mark.parametrize("text", ["", "Fluent Bit v1.9", "[]", "{}", '{"fluent-bit": {}}', "null", "[" * 100_000])
def test_what_is_no_schema_tells_nothing(text: str) -> None:
    assert read_schema(text) is None


def test_a_list_that_is_not_told_is_unknown() -> None:
    schema = read(outputs=[plugin("null")])

    assert set(schema.plugins) == {"outputs"}


@pytest.mark.parametrize("odd", [None, {}, "x", [], [1], [{"name": 1}], [plugin("null"), {}]])
def test_a_list_that_cannot_be_read_is_unknown(odd: object) -> None:
    assert "inputs" not in read(inputs=odd, outputs=[plugin("null")]).plugins


def test_names_are_found_in_any_case() -> None:
    schema = read(filters=[plugin("Modify", ("Set", "string"))])

    found = schema.find("filters", "MODIFY")

    assert found is not None
    assert found.takes("set")
    assert not found.takes("nosuch")


def test_an_address_is_no_part_of_the_name() -> None:
    schema = read(outputs=[plugin("tcp")], filters=[plugin("grep")])

    assert schema.find("outputs", "tcp://127.0.0.1:5170") is not None
    assert schema.find("filters", "grep://x") is None


def test_another_name_stands_for_a_plugin() -> None:
    schema = read(outputs=[plugin("es")], inputs=[plugin("elasticsearch"), plugin("dummy")])

    assert schema.find("outputs", "ElasticSearch") is schema.plugins["outputs"]["es"]
    assert schema.find("inputs", "es") is None


@pytest.mark.parametrize(
    ("kinds", "key"),
    [
        *(("inputs", key) for key in ("tag", "port", "storage.type", "threaded", "mem_buf_limit", "tls.crt_file")),
        *(("outputs", key) for key in ("workers", "storage.total_limit_size", "match_regex", "host", "oauth2.scope")),
        *(("filters", key) for key in ("match", "alias", "log_level")),
        *(("processors", key) for key in ("alias", "log_level", "condition")),
        ("customs", "alias"),
        ("inputs", "active"),
        ("outputs", "_debug.http.request_headers"),
    ],
)
def test_what_fluent_bit_itself_takes_is_known_though_it_is_not_told(kinds: str, key: str) -> None:
    schema = read(**{kinds: [plugin("one", ("own", "string"))]})

    assert schema.plugins[kinds]["one"].takes(key)


def test_every_output_takes_the_network_properties_of_one() -> None:
    schema = read(outputs=[plugin("null"), plugin("http", networking=[("net.keepalive", "boolean")])])

    assert schema.plugins["outputs"]["null"].takes("net.keepalive")


def test_an_input_takes_only_its_own_network_properties() -> None:
    networked = plugin("http", networking=[("net.keepalive", "boolean")])
    schema = read(inputs=[plugin("dummy"), networked], outputs=[networked])

    assert schema.plugins["inputs"]["http"].takes("net.keepalive")
    assert not schema.plugins["inputs"]["dummy"].takes("net.keepalive")


def test_of_a_prefixed_property_only_the_beginning_is_fixed() -> None:
    kafka = read(outputs=[plugin("kafka", ("rdkafka.", "prefixed string"))]).plugins["outputs"]["kafka"]

    assert kafka.takes("rdkafka.queue.buffering.max.ms")
    assert not kafka.takes("rdkafka.")


def test_a_plugin_that_declares_nothing_takes_anything() -> None:
    schema = read(inputs=[{"type": "input", "name": "lib", "properties": {"global_options": []}}])

    assert schema.plugins["inputs"]["lib"].takes("anything")


def test_a_property_of_fluent_bit_itself_is_told_from_the_plugins_own() -> None:
    http = read(outputs=[plugin("http", ("port", "integer"), ("uri", "string"))]).plugins["outputs"]["http"]

    port, uri = http.find("port"), http.find("uri")

    assert port is not None
    assert port.common
    assert uri is not None
    assert not uri.common
