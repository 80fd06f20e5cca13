"""What is a property, seen from who guards others: a text of one's own, or a name, an address, a path, a measure?

For the plugins that a tenant may use without being granted them by name, every property that is allowed is listed here
(those of 5.1.1, read with `-J` and in the sources); what a later version adds is refused until somebody has looked at
it. For a plugin that was granted by name the platform vouches; there, what looks like a path or an address is judged
as one all the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto

from supervisor.config.path_rules import TABLE as PATHS
from supervisor.config.path_rules import Use
from supervisor.model import Kind


class Sort(Enum):
    TEXT = auto()  # means nothing to anybody else; may hold secrets
    FIXED = auto()  # as TEXT, but written out: no variables
    TAG = auto()
    MATCH = auto()
    ALIAS = auto()
    PLUGIN = auto()  # `name`
    PARSER = auto()  # names of parsers
    REGEX = auto()  # one regular expression
    REGEXES = auto()  # words, among them regular expressions
    ADDRESS = auto()  # a destination: host, host and port, URL, or several of them
    PORT = auto()  # of a destination
    LISTEN = auto()  # a port of ours
    GLOBS = auto()  # files to read, as `tail` has it
    PATH = auto()
    DATABASE = auto()  # a file of our own making: what is written only tells one from another
    MEMORY = auto()  # a size
    PACE = auto()  # a time between two rounds of work, not below a second
    COUNT = auto()  # a number with an end of its own (`MOST`)
    RULE = auto()  # of `rewrite_tag`: key, expression, tag, whether to keep
    MECHANISM = auto()  # how to log in: with user and password
    WORKERS = auto()
    RETRIES = auto()  # forced to be finite
    BUFFER = auto()  # forced to have an end
    STORAGE = auto()  # forced to be on disk
    LEVEL = auto()  # how much it may write into the common log
    ROUTES = auto()  # a map that names outputs
    DATA_TAG = auto()  # lets the data choose a tag
    IDENTITY = auto()  # credentials of the node or the pod
    CLOSED = auto()  # for no tenant
    UNLISTED = auto()  # of a plugin that is listed here, and not in its list


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


_AWS = re.compile(r"aws_.*|role_arn|sts_endpoint|external_id|profile|workload_identity.*|use_managed_identity")
_LOOKS_LIKE_A_PATH = re.compile(r"(.*[._-])?(file|files|path|paths|dir|directory|database|socket|script|location)")
_LOOKS_LIKE_AN_ADDRESS = re.compile(
    r"(.*[._-])?(host|hosts|hostname|url|urls|uri|endpoint|endpoints|proxy|server|servers|brokers|webhook)"
)

_COMMON: Mapping[Kind, Mapping[str, Sort]] = {
    Kind.INPUT: {
        "tag": Sort.TAG,
        "mem_buf_limit": Sort.MEMORY,
        "storage.type": Sort.STORAGE,
        "port": Sort.LISTEN,
        "tag_key": Sort.DATA_TAG,
        "tag_from_uri": Sort.DATA_TAG,
        "tag_prefix": Sort.DATA_TAG,
        "routes": Sort.ROUTES,
        "exit_on_eof": Sort.CLOSED,  # ends the whole process
        "test_hang_on_exit": Sort.CLOSED,
    },
    Kind.FILTER: {
        "tag": Sort.TAG,
        "match": Sort.MATCH,
        "match_regex": Sort.CLOSED,
        "emitter_name": Sort.CLOSED,
        "debug_flush": Sort.CLOSED,  # writes records into the common log
    },
    Kind.OUTPUT: {
        "match": Sort.MATCH,
        "match_regex": Sort.CLOSED,
        "retry_limit": Sort.RETRIES,
        "storage.total_limit_size": Sort.BUFFER,
        "workers": Sort.WORKERS,
        "host": Sort.ADDRESS,
        "port": Sort.PORT,
        "upstream": Sort.CLOSED,  # a file that names destinations, which nobody would judge
        "cloud_id": Sort.CLOSED,  # a destination in disguise
        "trace_output": Sort.CLOSED,  # writes records into the common log
        "trace_error": Sort.CLOSED,  # writes there whatever the destination answers, line by line
    },
}
_EVERYWHERE: Mapping[str, Sort] = {
    "name": Sort.PLUGIN,
    "alias": Sort.ALIAS,
    "log_level": Sort.LEVEL,
    "processors": Sort.CLOSED,
    "telemetry": Sort.CLOSED,
}
_SPECIAL: Mapping[tuple[Kind, str, str], Sort] = {
    (Kind.INPUT, "tail", "path"): Sort.GLOBS,
    (Kind.INPUT, "tail", "exclude_path"): Sort.FIXED,
    (Kind.INPUT, "tail", "tag_regex"): Sort.REGEX,
    (Kind.INPUT, "tail", "refresh_interval"): Sort.PACE,
    (Kind.INPUT, "tail", "watcher_interval"): Sort.PACE,
    (Kind.INPUT, "tail", "progress_check_interval"): Sort.PACE,
    (Kind.INPUT, "dummy", "rate"): Sort.COUNT,
    (Kind.INPUT, "dummy", "copies"): Sort.COUNT,
    (Kind.INPUT, "dummy", "samples"): Sort.COUNT,
    (Kind.FILTER, "throttle", "interval"): Sort.PACE,  # below it never sleeps, and holds what all of them wait for
    (Kind.FILTER, "throttle", "window"): Sort.COUNT,  # walked for every record
    (Kind.FILTER, "rewrite_tag", "rule"): Sort.RULE,
    (Kind.FILTER, "grep", "regex"): Sort.REGEXES,
    (Kind.FILTER, "grep", "exclude"): Sort.REGEXES,
    (Kind.FILTER, "modify", "condition"): Sort.REGEXES,
    (Kind.FILTER, "modify", "remove_regex"): Sort.REGEX,
    (Kind.OUTPUT, "http", "oauth2.token_url"): Sort.ADDRESS,
    (Kind.OUTPUT, "nrlogs", "base_uri"): Sort.ADDRESS,
    (Kind.OUTPUT, "kafka", "brokers"): Sort.ADDRESS,
    (Kind.OUTPUT, "forward", "tag"): Sort.TEXT,  # under which the receiver gets them
    (Kind.OUTPUT, "kafka", "rdkafka.sasl.mechanism"): Sort.MECHANISM,
    (Kind.OUTPUT, "kafka", "rdkafka.sasl.mechanisms"): Sort.MECHANISM,
    **{(Kind.OUTPUT, plugin, "proxy"): Sort.ADDRESS for plugin in ("datadog", "http", "opentelemetry")},
    **{(Kind.OUTPUT, plugin, "path"): Sort.TEXT for plugin in ("es", "opensearch")},  # of the URL
}
MOST: Mapping[str, int] = {"rate": 1000, "copies": 1000, "samples": 10_000_000, "window": 1000}
_MEMORY = _words(
    "buffer_chunk_size buffer_max_size buffer_size chunk_size receive_buffer_size http_buffer_size buffer_limit",
    "emitter_mem_buf_limit static_batch_size event_batch_size http_server.buffer_max_size",
    "http_server.buffer_chunk_size http_server.ingress_queue_byte_limit syslog_maxsize packet_size",
)
_PARSERS = _words("parser multiline.parser parser_firstline docker_mode_parser")

_NET_OUT = _words(
    "net.dns.mode net.dns.prefer_ipv4 net.dns.prefer_ipv6 net.keepalive net.keepalive_idle_timeout net.tcp_keepalive",
    "net.tcp_keepalive_time net.tcp_keepalive_interval net.tcp_keepalive_probes net.io_timeout net.connect_timeout",
    "net.connect_timeout_log_error net.keepalive_max_recycle net.proxy_env_ignore ipv6",
)
_TLS = _words(
    "tls tls.verify tls.verify_hostname tls.verify_client_cert tls.ca_file tls.ca_path tls.crt_file tls.key_file",
    "tls.key_passwd tls.vhost tls.min_version tls.max_version tls.ciphers tls.proxy.ca_file tls.proxy.ca_path",
    "tls.proxy.verify tls.proxy.verify_hostname",
)
_ANY = {
    Kind.INPUT: _words(
        "name tag alias log_level log_suppress_interval mem_buf_limit storage.type",
        "storage.pause_on_chunks_overlimit threaded routable rate_window routes",
    ),
    Kind.FILTER: _words("name match alias log_level log_suppress_interval"),
    Kind.OUTPUT: _words(
        "name match alias log_level log_suppress_interval retry_limit workers storage.total_limit_size host port",
    )
    | _NET_OUT
    | _TLS,
}
_JSON = "format json_date_format json_date_key"
_OTLP = (
    "logs_uri grpc_logs_uri metrics_uri grpc_metrics_uri traces_uri grpc_traces_uri profiles_uri grpc_profiles_uri "
    "logs_max_resources logs_max_scopes logs_body_key logs_body_key_attributes logs_metadata_key "
    "logs_observed_timestamp_metadata_key logs_timestamp_metadata_key logs_severity_text_metadata_key "
    "logs_severity_number_metadata_key logs_trace_flags_metadata_key logs_span_id_metadata_key "
    "logs_trace_id_metadata_key logs_attributes_metadata_key logs_instrumentation_scope_metadata_key "
    "logs_resource_metadata_key logs_span_id_message_key logs_trace_id_message_key logs_severity_text_message_key "
    "logs_severity_number_message_key"
)
_ELASTIC = (
    "index type suppress_type_name http_user http_passwd http_api_key compress cloud_auth logstash_format "
    "logstash_prefix logstash_prefix_separator logstash_prefix_key logstash_dateformat time_key time_key_format "
    "time_key_nanos include_tag_key tag_key buffer_size path pipeline generate_id write_operation id_key replace_dots "
    "current_time_index"
)
_GELF = "gelf_timestamp_key gelf_host_key gelf_short_message_key gelf_full_message_key gelf_level_key"

NEVER: Mapping[tuple[Kind, str], str] = {
    (Kind.INPUT, "http"): "whoever posts to it chooses the tag by the path of the request",
    (Kind.INPUT, "prometheus_remote_write"): "whoever posts to it chooses the tag by the path of the request",
}
"""Plugins that cannot be kept within the tags of one tenant (5.1.1), whatever was granted."""

LISTED: Mapping[tuple[Kind, str], frozenset[str]] = {
    (Kind.INPUT, "tail"): _words(
        "path exclude_path key read_from_head read_newly_discovered_files_from_head refresh_interval",
        "watcher_interval progress_check_interval rotate_wait docker_mode",
        "docker_mode_flush docker_mode_parser path_key offset_key ignore_older ignore_active_older_files",
        "buffer_chunk_size buffer_max_size static_batch_size event_batch_size skip_long_lines skip_empty_lines",
        "truncate_long_lines file_cache_advise inotify_watcher parser tag_regex db db.sync db.locking",
        "db.journal_mode db.compare_filename multiline multiline_flush parser_firstline multiline.parser",
        "unicode.encoding generic.encoding",
    ),
    (Kind.INPUT, "dummy"): _words(
        "samples dummy metadata rate interval_sec copies start_time_sec start_time_nsec",
        "fixed_timestamp flush_on_startup",
    ),
    (Kind.FILTER, "grep"): _words("regex exclude logical_op"),
    (Kind.FILTER, "modify"): _words(
        "set add remove remove_wildcard remove_regex move_to_start move_to_end rename hard_rename copy hard_copy",
        "condition",
    ),
    (Kind.FILTER, "multiline"): _words(
        "buffer mode flush_ms multiline.parser multiline.key_content emitter_storage.type",
        "emitter_mem_buf_limit",
    ),
    (Kind.FILTER, "nest"): _words("operation wildcard nest_under nested_under add_prefix remove_prefix"),
    (Kind.FILTER, "parser"): _words("key_name parser preserve_key reserve_data unescape_key"),
    (Kind.FILTER, "record_modifier"): _words("record remove_key allowlist_key whitelist_key uuid_key"),
    (Kind.FILTER, "throttle"): _words("rate window interval print_status"),
    (Kind.FILTER, "type_converter"): _words("int_key uint_key float_key str_key"),
    (Kind.OUTPUT, "datadog"): _words(
        "compress header apikey dd_service dd_source dd_tags dd_hostname proxy include_tag_key tag_key",
        "dd_message_key json_date_key",
    ),
    (Kind.OUTPUT, "es"): _words(_ELASTIC),
    (Kind.OUTPUT, "opensearch"): _words(_ELASTIC),
    (Kind.OUTPUT, "forward"): _words(
        "time_as_integer retain_metadata_in_forward_mode shared_key self_hostname empty_shared_key send_options",
        "require_ack_response username password tag compress fluentd_compat add_option",
    ),
    (Kind.OUTPUT, "gelf"): _words("mode gelf_tag_key packet_size compress", _GELF),
    (Kind.OUTPUT, "http"): _words(
        "proxy allow_duplicated_headers log_response_payload http.response_timeout http.read_idle_timeout http_user",
        "http_passwd oauth2.enable oauth2.token_url oauth2.client_id oauth2.client_secret oauth2.user_agent",
        "oauth2.scope oauth2.audience oauth2.resource oauth2.auth_method oauth2.timeout oauth2.connect_timeout",
        "oauth2.refresh_skew_seconds header_tag compress header uri http_method body_key headers_key",
        _JSON,
        _GELF,
    ),
    (Kind.OUTPUT, "kafka"): _words(
        "topic_key dynamic_topic format message_key message_key_field timestamp_key timestamp_format",
        "queue_full_retries topics brokers client_id group_id raw_log_key otlp_logs_partition_by_resource",
        "rdkafka.security.protocol rdkafka.sasl.mechanism rdkafka.sasl.mechanisms rdkafka.sasl.username",
        "rdkafka.sasl.password rdkafka.compression.codec rdkafka.compression.type rdkafka.compression.level",
        "rdkafka.acks rdkafka.request.required.acks rdkafka.message.timeout.ms rdkafka.request.timeout.ms",
        "rdkafka.linger.ms rdkafka.batch.size rdkafka.batch.num.messages rdkafka.message.max.bytes",
        "rdkafka.client.id rdkafka.enable.idempotence rdkafka.enable.ssl.certificate.verification",
        "rdkafka.ssl.endpoint.identification.algorithm rdkafka.ssl.ca.location rdkafka.ssl.certificate.location",
        "rdkafka.ssl.key.location rdkafka.ssl.key.password",
        _GELF,
    ),
    (Kind.OUTPUT, "loki"): _words(
        "uri tenant_id tenant_id_key tenant_id_key_error_handling labels structured_metadata",
        "structured_metadata_map_keys auto_kubernetes_labels drop_single_key label_keys remove_keys line_format",
        "label_map_path http_user http_passwd buffer_size bearer_token header compress",
    ),
    (Kind.OUTPUT, "nrlogs"): _words("base_uri api_key license_key compress"),
    (Kind.OUTPUT, "null"): _words(_JSON),
    (Kind.OUTPUT, "opentelemetry"): _words(
        "add_label http2 grpc proxy http_user http_passwd header batch_size compress log_response_payload", _OTLP
    ),
    (Kind.OUTPUT, "splunk"): _words(
        "compress http_user http_passwd http_buffer_size event_key event_host event_source event_sourcetype",
        "event_sourcetype_key event_index event_index_key event_field splunk_token splunk_send_raw",
        "auto_extract_timestamp channel",
    ),
    (Kind.OUTPUT, "syslog"): _words(
        "mode syslog_format syslog_maxsize syslog_severity_key syslog_severity_preset syslog_facility_key",
        "syslog_facility_preset syslog_hostname_key syslog_hostname_preset syslog_appname_key syslog_appname_preset",
        "syslog_procid_key syslog_procid_preset syslog_msgid_key syslog_msgid_preset syslog_sd_key syslog_message_key",
        "allow_longer_sd_id",
    ),
    (Kind.OUTPUT, "tcp"): _words("raw_message_key", _JSON),
}
"""(kind, plugin) → its own properties that a tenant may set."""

PARSER_KEYS: Mapping[Kind, Mapping[str, Sort]] = {
    Kind.PARSER: {
        "regex": Sort.REGEX,
        **dict.fromkeys(
            _words(
                "name format time_key time_format time_keep time_offset time_strict time_system_timezone types",
                "decode_field decode_field_as skip_empty_values logfmt_no_bare_keys",
            ),
            Sort.FIXED,
        ),
    },
    Kind.MULTILINE_PARSER: {
        "parser": Sort.PARSER,
        "match_string": Sort.REGEX,
        "rule": Sort.REGEXES,
        "rules": Sort.FIXED,
        "state": Sort.FIXED,
        "regex": Sort.REGEX,
        "next_state": Sort.FIXED,
        **dict.fromkeys(_words("name type key_content key_group key_pattern flush_timeout negate"), Sort.FIXED),
    },
}


def sort_of(kind: Kind, plugin: str, key: str) -> Sort:
    """The sort of a property; `plugin` and `key` in lower case."""
    if kind in PARSER_KEYS:
        return PARSER_KEYS[kind].get(key, Sort.UNLISTED)
    known = _SPECIAL.get((kind, plugin, key)) or _COMMON[kind].get(key) or _EVERYWHERE.get(key)
    if known is not None:
        return known
    if _AWS.fullmatch(key):
        return Sort.IDENTITY
    listed = LISTED.get((kind, plugin))
    if listed is not None and key not in listed | _ANY[kind]:
        return Sort.UNLISTED
    if key in _MEMORY:
        return Sort.MEMORY
    if key in _PARSERS or (kind is Kind.INPUT and key.startswith("parser_")):
        return Sort.PARSER
    path = PATHS.get((kind, plugin, key)) or PATHS.get((kind, "*", key))
    if path is not None:
        return Sort.DATABASE if path.use is Use.FILE and path.kind == "database" else Sort.PATH
    if listed is None and _LOOKS_LIKE_A_PATH.fullmatch(key):
        return Sort.PATH
    if listed is None and kind is not Kind.INPUT and _LOOKS_LIKE_AN_ADDRESS.fullmatch(key):
        return Sort.ADDRESS
    return Sort.TEXT
