"""What is done with each path-valued property?

Every rule names its plugin and key as Fluent Bit 5.1.1 knows them; the sources are the plugins' own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from supervisor.config.names import PLUGIN_KINDS
from supervisor.model import Kind


class Use(Enum):
    COPIED = auto()  # text of the pipeline
    WATCHED = auto()  # read by Fluent Bit at start; a change is a reason to apply
    REREAD = auto()  # Fluent Bit reads it again by itself: a change is no reason
    FILE = auto()  # written; its directory must exist
    DIRECTORY = auto()  # written
    AS_WRITTEN = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    use: Use
    kind: str
    beside_main: bool = False  # also looked for in the directory of the main file
    without: str = ""  # only a path of its own while this other property is not there


REREAD_KINDS = frozenset({"rotating_token"})
"""Kinds of `Wanted` that Fluent Bit reads again on its own (Kubernetes rotates them hourly): need not be watched."""

_SOURCE = Rule(Use.AS_WRITTEN, "source")
_SOCKET = Rule(Use.AS_WRITTEN, "socket")
_TLS = Rule(Use.WATCHED, "tls")
_CREDENTIALS = Rule(Use.WATCHED, "credentials")
_LOOKUP = Rule(Use.WATCHED, "lookup")
_TOKEN = Rule(Use.REREAD, "rotating_token")
_DATABASE = Rule(Use.FILE, "database")
_BUFFER = Rule(Use.DIRECTORY, "buffer")
_UPSTREAM = Rule(Use.COPIED, "upstream_file", beside_main=True)

_TLS_KEYS = ("tls.ca_file", "tls.ca_path", "tls.crt_file", "tls.key_file", "tls.proxy.ca_file", "tls.proxy.ca_path")
_RDKAFKA_KEYS = (
    "rdkafka.ssl.ca.location",
    "rdkafka.ssl.certificate.location",
    "rdkafka.ssl.key.location",
    "rdkafka.ssl.crl.location",
    "rdkafka.ssl.keystore.location",
    "rdkafka.sasl.kerberos.keytab",
)
_KUBE = {
    "kube_ca_file": _TLS,
    "kube_ca_path": _TLS,
    "kube_namespace_file": _LOOKUP,
    "kube_token_file": _TOKEN,
}

# Plugin `*` stands for every plugin of the kind.
_BY_PLUGIN: Mapping[tuple[Kind, str], Mapping[str, Rule]] = {
    (Kind.SERVICE, ""): {
        "parsers_file": Rule(Use.COPIED, "parsers_file", beside_main=True),
        "plugins_file": Rule(Use.COPIED, "plugins_file", beside_main=True),
        "streams_file": Rule(Use.COPIED, "streams_file", beside_main=True),
        "log_file": Rule(Use.FILE, "log_file"),
        "storage.path": Rule(Use.DIRECTORY, "storage"),
    },
    **{(kind, "*"): dict.fromkeys(_TLS_KEYS, _TLS) for kind in PLUGIN_KINDS},
    (Kind.INPUT, "blob"): {"path": _SOURCE, "database_file": _DATABASE},
    (Kind.INPUT, "collectd"): {"typesdb": _LOOKUP},
    (Kind.INPUT, "docker_events"): {"unix_path": _SOCKET},
    (Kind.INPUT, "exec_wasi"): {"wasi_path": Rule(Use.WATCHED, "wasm")},
    (Kind.INPUT, "forward"): {"unix_path": _SOCKET},
    (Kind.INPUT, "head"): {"file": _SOURCE},
    (Kind.INPUT, "kafka"): dict.fromkeys(_RDKAFKA_KEYS, _CREDENTIALS),
    (Kind.INPUT, "kubernetes_events"): {**_KUBE, "db": _DATABASE},
    (Kind.INPUT, "prometheus_textfile"): {"path": _SOURCE},
    (Kind.INPUT, "serial"): {"file": _SOURCE},
    (Kind.INPUT, "syslog"): {"path": _SOCKET},
    (Kind.INPUT, "systemd"): {"path": _SOURCE, "db": _DATABASE},
    (Kind.INPUT, "tail"): {"path": _SOURCE, "exclude_path": _SOURCE, "db": _DATABASE},
    (Kind.INPUT, "unix_socket"): {"socket_path": _SOCKET},
    (Kind.FILTER, "checklist"): {"file": _LOOKUP},
    (Kind.FILTER, "geoip2"): {"database": _LOOKUP},
    (Kind.FILTER, "kubernetes"): {
        **_KUBE,
        "aws_pod_association_host_server_ca_file": _TLS,
        "aws_pod_association_host_client_cert_file": _TLS,
        "aws_pod_association_host_client_key_file": _TLS,
    },
    (Kind.FILTER, "lua"): {"script": Rule(Use.COPIED, "lua_script", beside_main=True)},
    (Kind.FILTER, "tensorflow"): {"model_file": _LOOKUP},
    (Kind.FILTER, "wasm"): {"wasm_path": Rule(Use.WATCHED, "wasm")},
    (Kind.OUTPUT, "azure_blob"): {"database_file": _DATABASE, "buffer_dir": _BUFFER},
    (Kind.OUTPUT, "azure_kusto"): {"workload_identity_token_file": _TOKEN, "buffer_dir": _BUFFER},
    (Kind.OUTPUT, "bigquery"): {"google_service_credentials": _CREDENTIALS},
    (Kind.OUTPUT, "chronicle"): {"google_service_credentials": _CREDENTIALS},
    (Kind.OUTPUT, "es"): {"upstream": _UPSTREAM},
    (Kind.OUTPUT, "file"): {
        "path": Rule(Use.DIRECTORY, "records"),
        "file": Rule(Use.FILE, "records", without="path"),
        "fallback_path": Rule(Use.DIRECTORY, "records"),
        "fallback_file": Rule(Use.FILE, "records", without="fallback_path"),
    },
    (Kind.OUTPUT, "forward"): {"upstream": _UPSTREAM, "unix_path": _SOCKET},
    (Kind.OUTPUT, "gcs"): {"google_service_credentials": _CREDENTIALS, "store_dir": _BUFFER},
    (Kind.OUTPUT, "http"): {"oauth2.jwt_key_file": _CREDENTIALS, "oauth2.jwt_cert_file": _CREDENTIALS},
    (Kind.OUTPUT, "kafka"): dict.fromkeys(_RDKAFKA_KEYS, _CREDENTIALS),
    (Kind.OUTPUT, "loki"): {"label_map_path": _LOOKUP},
    (Kind.OUTPUT, "oracle_log_analytics"): {"config_file_location": _CREDENTIALS},
    (Kind.OUTPUT, "plot"): {"file": Rule(Use.FILE, "records")},
    (Kind.OUTPUT, "s3"): {"store_dir": _BUFFER, "blob_database_file": _DATABASE},
    (Kind.OUTPUT, "stackdriver"): {"google_service_credentials": _CREDENTIALS},
    (Kind.CUSTOM, "calyptia"): {"store_path": _BUFFER, "fleet.config_dir": _BUFFER},
    (Kind.UPSTREAM, ""): dict.fromkeys(_TLS_KEYS, _TLS),
    (Kind.PLUGINS, ""): {"path": Rule(Use.WATCHED, "plugin")},
}

TABLE: Mapping[tuple[Kind, str, str], Rule] = {
    (kind, plugin, key): rule for (kind, plugin), keys in _BY_PLUGIN.items() for key, rule in keys.items()
}
"""(kind, plugin or `*` or nothing, key) → what is done with that path."""
