"""Which values, which properties must there be, for this plugin or that?

What `-J` does not tell: closed lists of values, properties without which a plugin does not start, properties that may
be given several times. All of it was read in the source of 5.1.1, and tried on the binary where no cloud is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STOPS = "Fluent Bit would not start"
NO_COMPRESSION = "Fluent Bit sends uncompressed, without a word"


@dataclass(frozen=True, slots=True)
class Closed:
    """The only values that a property has, in any case of letters."""

    values: tuple[str, ...]
    effect: str = STOPS  # what Fluent Bit makes of another value
    quiet: tuple[str, ...] = ()  # other values, with which the effect is surely what is meant

    def has(self, text: str) -> bool:
        return text.lower() in (*self.values, *self.quiet)


_GZIP = Closed(("gzip",), NO_COMPRESSION, ("none", "off", "false", "no", "identity"))
_DATES = ("double", "iso8601", "epoch", "epoch_ms", "epoch_millis", "epoch_milliseconds", "java_sql_timestamp")
_PACKED = ("msgpack", "json", "json_stream", "json_lines", "otlp_json", "otlp_json_pretty")
_FORMAT = Closed(_PACKED, "Fluent Bit sends msgpack instead")
_DATE = Closed(_DATES, "Fluent Bit writes its default format instead")
_JSON_OR_NONE = Closed(("json", "none"))
_SYNC = Closed(("extra", "full", "normal", "off"), "Fluent Bit takes its default instead")
_JOURNAL = Closed(("delete", "truncate", "persist", "memory", "wal", "off"))
_WRITE = Closed(("index", "create", "update", "upsert"))
_EMITTER = Closed(("memory", "filesystem"))

LEVELS = Closed(("off", "error", "warn", "warning", "info", "debug", "trace"))
STORAGE = Closed(("filesystem", "memory", "memrb"))

CLOSED: Mapping[tuple[str, str, str], Closed] = {
    ("inputs", "kafka", "format"): _JSON_OR_NONE,
    ("inputs", "kubernetes_events", "db.sync"): _SYNC,
    ("inputs", "kubernetes_events", "db.journal_mode"): _JOURNAL,
    ("inputs", "syslog", "mode"): Closed(("unix_tcp", "unix_udp", "tcp", "udp")),
    ("inputs", "systemd", "systemd_filter_type"): Closed(("and", "or")),
    ("inputs", "systemd", "db.sync"): _SYNC,
    ("inputs", "tail", "db.sync"): _SYNC,
    ("inputs", "tail", "db.journal_mode"): _JOURNAL,
    ("inputs", "tcp", "format"): _JSON_OR_NONE,
    ("inputs", "udp", "format"): _JSON_OR_NONE,
    ("filters", "checklist", "mode"): Closed(("exact", "partial"), "Fluent Bit takes 'exact' instead"),
    ("filters", "expect", "action"): Closed(("warn", "exit", "result_key")),
    ("filters", "grep", "logical_op"): Closed(("and", "or", "legacy"), "Fluent Bit takes 'legacy' instead"),
    ("filters", "log_to_metrics", "metric_mode"): Closed(("counter", "gauge", "histogram")),
    ("filters", "multiline", "mode"): Closed(("parser", "partial_message")),
    ("filters", "multiline", "emitter_storage.type"): _EMITTER,
    ("filters", "rewrite_tag", "emitter_storage.type"): _EMITTER,
    ("outputs", "azure_blob", "auth_type"): Closed(("key", "sas")),
    ("outputs", "azure_blob", "blob_type"): Closed(("appendblob", "blockblob")),
    ("outputs", "azure_blob", "compress"): Closed(("gzip", "zstd")),
    ("outputs", "datadog", "compress"): _GZIP,
    ("outputs", "es", "compress"): _GZIP,
    ("outputs", "es", "write_operation"): _WRITE,
    ("outputs", "file", "format"): Closed(("csv", "ltsv", "plain", "msgpack", "template", "out_file")),
    ("outputs", "forward", "compress"): Closed(("text", "gzip")),
    ("outputs", "gcs", "compression"): Closed(("gzip", "none")),
    ("outputs", "gelf", "mode"): Closed(("tcp", "tls", "udp")),
    ("outputs", "http", "compress"): Closed(("gzip", "snappy", "zstd")),
    ("outputs", "http", "format"): Closed(("gelf", *_PACKED), _FORMAT.effect),
    ("outputs", "http", "http_method"): Closed(("post", "put")),
    ("outputs", "http", "json_date_format"): _DATE,
    ("outputs", "loki", "compress"): _GZIP,
    ("outputs", "loki", "drop_single_key"): Closed(("raw", "true", "false", "on", "off", "yes", "no")),
    ("outputs", "loki", "line_format"): Closed(("json", "key_value")),
    ("outputs", "nrlogs", "compress"): _GZIP,
    ("outputs", "opensearch", "compress"): _GZIP,
    ("outputs", "opensearch", "write_operation"): _WRITE,
    ("outputs", "opentelemetry", "compress"): Closed(("gzip", "zstd")),
    ("outputs", "s3", "compression"): Closed(("gzip", "zstd", "snappy", "arrow", "parquet", "none")),
    ("outputs", "splunk", "compress"): _GZIP,
    ("outputs", "stackdriver", "compress"): _GZIP,
    ("outputs", "stdout", "format"): _FORMAT,
    ("outputs", "stdout", "json_date_format"): _DATE,
    ("outputs", "syslog", "mode"): Closed(("tcp", "tls", "udp", "dtls")),
    ("outputs", "syslog", "syslog_format"): Closed(("rfc3164", "rfc5424")),
    ("outputs", "tcp", "format"): _FORMAT,
    ("outputs", "tcp", "json_date_format"): _DATE,
    ("outputs", "td", "region"): Closed(("us", "jp")),
    ("outputs", "udp", "format"): _FORMAT,
    ("outputs", "udp", "json_date_format"): _DATE,
    ("outputs", "websocket", "format"): _FORMAT,
    ("outputs", "websocket", "json_date_format"): _DATE,
    ("processors", "content_modifier", "action"): Closed(
        ("insert", "upsert", "delete", "rename", "hash", "extract", "convert")
    ),
    ("processors", "content_modifier", "converted_type"): Closed(("string", "boolean", "int", "double")),
    ("processors", "sampling", "type"): Closed(("test", "probabilistic", "tail")),
}
"""Values by list, plugin and property."""

CONDITIONS = (
    *("key_exists", "key_does_not_exist", "a_key_matches", "no_key_matches"),
    *("key_value_equals", "key_value_does_not_equal", "key_value_matches", "key_value_does_not_match"),
    *("matching_keys_have_matching_values", "matching_keys_do_not_have_matching_values"),
)
"""What a condition of `modify` may ask."""

MODIFY_WORDS: Mapping[str, int] = {
    **dict.fromkeys(("set", "add", "rename", "hard_rename", "copy", "hard_copy"), 2),
    **dict.fromkeys(("remove", "remove_wildcard", "remove_regex", "move_to_start", "move_to_end"), 1),
}
"""How many words a rule of `modify` has; with another number Fluent Bit does not start."""

TYPES = ("int", "uint", "float", "hex", "string", "bool")
"""What `type_converter` converts to; a beginning of one counts. Another one makes 5.1.1 crash at start."""

REQUIRED: Mapping[tuple[str, str], tuple[tuple[str, ...], ...]] = {
    ("inputs", "blob"): (("path",),),
    ("inputs", "exec"): (("command",),),
    ("inputs", "health"): (("host",),),
    ("inputs", "kafka"): (("brokers",), ("topics",)),
    ("inputs", "netif"): (("interface",),),
    ("inputs", "proc"): (("proc_name",),),
    ("inputs", "serial"): (("file",), ("bitrate",)),
    ("inputs", "tail"): (("path",),),
    ("filters", "geoip2"): (("database",),),
    ("filters", "log_to_metrics"): (("tag",), ("metric_description",)),
    ("filters", "lua"): (("script", "code"), ("call",)),
    ("filters", "nightfall"): (("nightfall_api_key",), ("policy_id",)),
    ("filters", "parser"): (("key_name",), ("parser",)),
    ("filters", "type_converter"): (("int_key", "uint_key", "float_key", "str_key"),),
    ("outputs", "azure"): (("customer_id",), ("shared_key",)),
    ("outputs", "azure_blob"): (("account_name",), ("container_name",)),
    ("outputs", "cloudwatch_logs"): (("log_group_name",), ("log_stream_name", "log_stream_prefix"), ("region",)),
    ("outputs", "datadog"): (("apikey",),),
    ("outputs", "gcs"): (("bucket",),),
    ("outputs", "kafka"): (("brokers",),),
    ("outputs", "kinesis_firehose"): (("delivery_stream",), ("region",)),
    ("outputs", "kinesis_streams"): (("stream",), ("region",)),
    ("outputs", "logdna"): (("api_key",),),
    ("outputs", "nrlogs"): (("api_key", "license_key"),),
    ("outputs", "s3"): (("bucket",),),
    ("outputs", "slack"): (("webhook",),),
    ("outputs", "splunk"): (("splunk_token", "http_user"),),
    ("outputs", "td"): (("api",), ("database",), ("table",)),
    ("processors", "content_modifier"): (("action",),),
    ("processors", "sampling"): (("type",),),
    ("processors", "sql"): (("query",),),
}
"""Without one property of each group the plugin does not start."""

REPEATABLE = frozenset(
    [
        *("add", "add_label", "add_option", "allowlist_key", "bucket", "condition", "context", "copy", "delete"),
        *("enable_collector", "event_field", "exclude", "float_key", "hard_copy", "hard_rename", "hash", "header"),
        *("http_header", "insert", "int_key", "key_exists", "key_not_exists", "key_val_eq", "key_val_is_not_null"),
        *("key_val_is_null", "label", "label_field", "logs_body_key", "lookup_key", "metric_name", "move_to_end"),
        *("move_to_start", "multiline.parser", "oauth2.allowed_clients", "oci_la_global_metadata", "oci_la_metadata"),
        *("parser", "performancecounter", "record", "regex", "remove", "remove_key", "remove_regex"),
        *("remove_wildcard", "rename", "rule", "security.users", "set", "str_key", "success_header", "syslog_sd_key"),
        *("systemd_filter", "trace", "uint_key", "update", "upsert", "whitelist_key", "wildcard"),
    ]
)
"""Properties that at least one plugin takes several times; of any other a second one is fatal."""

READ_IN = "5.1"
"""The line of versions that was read: of another one only what `-J` itself says is certain."""
