"""Which plugins may start in a rehearsal, and what is changed so that they do no harm?

A plugin is on a list here only after its init callback was read, and run under a trace of system calls (5.1.1): with
these changes it neither connects nor looks up a name, binds nothing but the port that it is given, and writes nowhere
but below the rehearsal's directory. Every other plugin is played by a stand-in, one that is not known here included.

Lua filters start for real, top-level code and all: that is what finds a broken script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from supervisor.model import Kind


class Place(Enum):
    """Where a property that names a place points to instead."""

    EMPTY = auto()  # a pattern that finds no file
    VOID = auto()  # a directory that is and stays empty
    DATABASE = auto()  # a file of its own; the same for who wrote the same
    SOCKET = auto()  # likewise, with a short name: an address ends at 108 bytes
    RECORDS = auto()  # a directory that nothing is ever written to
    RECORD_FILE = auto()  # a file in it that is never made


@dataclass(frozen=True, slots=True)
class Act:
    """How a plugin starts for real."""

    said: Mapping[str, str] = field(default_factory=dict)  # whatever its author says
    instead: Mapping[str, str] = field(default_factory=dict)  # in the place of what its author says, if anything
    placed: Mapping[str, Place] = field(default_factory=dict)  # as `said`
    moved: Mapping[str, Place] = field(default_factory=dict)  # as `instead`
    with_database: Mapping[str, str] = field(default_factory=dict)  # when there is one and its author says nothing
    dropped: frozenset[str] = frozenset()


_FAR = "86400"  # seconds: a rehearsal is over long before
_SILENT = {"interval_sec": _FAR, "interval_nsec": "0", "flush_on_startup": "false"}
_CHEAP_DATABASE = {"db.sync": "off", "db.journal_mode": "MEMORY"}  # it is thrown away: 2 ms for each saved
_NO_WORKERS = {"workers": "0"}  # threads and descriptors, for records that never come
_NOWHERE = {**_NO_WORKERS, "host": "127.0.0.1"}  # they look the name up, and `connect` a socket that sends nothing
_NO_AWS = {"aws_auth": "off"}  # credentials are fetched from the network at init

INPUTS: Mapping[str, Act] = {
    "dummy": Act(said=_SILENT, dropped=frozenset({"rate"})),
    "systemd": Act(placed={"path": Place.VOID}, moved={"db": Place.DATABASE}, with_database={"db.sync": "off"}),
    "tail": Act(
        # inotify instances are few (128 for each user), and the running child needs them.
        said={"inotify_watcher": "off"},
        moved={"path": Place.EMPTY, "db": Place.DATABASE},
        with_database=_CHEAP_DATABASE,
        dropped=frozenset({"exclude_path"}),
    ),
    "forward": Act(moved={"unix_path": Place.SOCKET}),
    "syslog": Act(moved={"path": Place.SOCKET}),
    **dict.fromkeys(
        (
            *("collectd", "elasticsearch", "http", "mqtt", "opentelemetry", "prometheus_remote_write"),
            *("splunk", "statsd", "tcp", "udp"),
        ),
        Act(),
    ),
}

FILTERS: frozenset[str] = frozenset(
    {
        *("alter_size", "checklist", "expect", "geoip2", "grep", "log_to_metrics", "lua", "modify", "multiline"),
        *("nest", "parser", "record_modifier", "rewrite_tag", "stdout", "sysinfo", "throttle", "type_converter"),
    }
)

PROCESSORS: frozenset[str] = frozenset(
    {
        *("content_modifier", "cumulative_to_delta", "labels", "metrics_selector", "opentelemetry_envelope"),
        *("sampling", "sql", "tda"),
    }
)

OUTPUTS: Mapping[str, Act] = {
    "file": Act(
        said=_NO_WORKERS,
        moved={
            **dict.fromkeys(("path", "fallback_path"), Place.RECORDS),
            **dict.fromkeys(("file", "fallback_file"), Place.RECORD_FILE),
        },
    ),
    "plot": Act(said=_NO_WORKERS, moved={"file": Place.RECORD_FILE}),
    **dict.fromkeys(("gelf", "syslog", "udp"), Act(said=_NOWHERE)),
    **dict.fromkeys(
        ("es", "http", "opensearch", "opentelemetry", "prometheus_remote_write"),
        Act(said=_NO_WORKERS, instead=_NO_AWS),
    ),
    **dict.fromkeys(
        (
            *("azure", "counter", "datadog", "flowcounter", "forward", "influxdb", "kafka-rest", "lib", "logdna"),
            *("loki", "nats", "nrlogs", "null", "prometheus_exporter", "skywalking", "slack", "splunk", "stdout"),
            *("tcp", "td", "vivo_exporter", "websocket"),
        ),
        Act(said=_NO_WORKERS),
    ),
}

NEEDED: Mapping[tuple[Kind, str], frozenset[str]] = {
    (Kind.INPUT, "blob"): frozenset({"path"}),
    (Kind.INPUT, "exec"): frozenset({"command"}),
    (Kind.INPUT, "health"): frozenset({"host"}),
    (Kind.INPUT, "kafka"): frozenset({"brokers", "rdkafka.bootstrap.servers", "rdkafka.metadata.broker.list"}),
    (Kind.INPUT, "netif"): frozenset({"interface"}),
    (Kind.INPUT, "proc"): frozenset({"proc_name"}),
    (Kind.INPUT, "serial"): frozenset({"file"}),
    (Kind.FILTER, "nightfall"): frozenset({"nightfall_api_key"}),
    (Kind.OUTPUT, "azure_blob"): frozenset({"account_name"}),
    (Kind.OUTPUT, "cloudwatch_logs"): frozenset({"log_group_name"}),
    (Kind.OUTPUT, "gcs"): frozenset({"bucket"}),
    (Kind.OUTPUT, "kafka"): frozenset({"brokers", "rdkafka.bootstrap.servers", "rdkafka.metadata.broker.list"}),
    (Kind.OUTPUT, "kinesis_firehose"): frozenset({"delivery_stream"}),
    (Kind.OUTPUT, "kinesis_streams"): frozenset({"stream"}),
    (Kind.OUTPUT, "s3"): frozenset({"bucket"}),
}
"""Plugins that are played by a stand-in, and what each must be told. Told none of it, one starts for real: it ends with
an error before it does anything else."""

KEPT: Mapping[Kind, frozenset[str]] = {
    Kind.INPUT: frozenset(
        {
            *("tag", "alias", "routable", "mem_buf_limit", "storage.type", "storage.pause_on_chunks_overlimit"),
            *("processors", "routes"),
        }
    ),
    Kind.FILTER: frozenset({"match", "match_regex", "alias"}),
    Kind.OUTPUT: frozenset(
        {"match", "match_regex", "alias", "retry_limit", "storage.total_limit_size", "processors"},
    ),
}
"""What a stand-in takes over."""

STAND_INS: Mapping[Kind, tuple[str, Mapping[str, str]]] = {
    Kind.INPUT: ("dummy", _SILENT),
    Kind.FILTER: ("record_modifier", {}),
    Kind.OUTPUT: ("null", {}),
}
"""The plugin that does nothing, for each kind, and what it is told."""
