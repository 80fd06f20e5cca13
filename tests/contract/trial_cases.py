"""Configs for trial starts: what the real binary does not start with, complains of, or starts only with the world.

A fault is a text, the line of it that is to blame, and words of what Fluent Bit 5.1.1 says of it.
"""

from __future__ import annotations

CROWD = "".join(
    f"""
[INPUT]
    name tail
    path /var/log/nothing-{number}/*.log
    tag t{number}
[FILTER]
    name grep
    match t{number}
    regex log ok
[OUTPUT]
    name http
    match t{number}
    host backend-{number}.example
"""
    for number in range(15)
)
"""Neighbours of the same plugins, before and after the guilty one."""


def section(kind: str, body: str) -> str:
    """A snippet with one section; the first line of `body` is its third."""
    return f"pipeline:\n  {kind}:\n    - " + "\n      ".join(body.splitlines()) + "\n"


def processor(body: str) -> str:
    """A snippet with an input that has one processor; the first line of `body` is its seventh."""
    unit = "\n      ".join(body.splitlines())
    return section("inputs", f"name: dummy\ntag: u\nprocessors:\n  logs:\n    - {unit}")


OWN_PARSER = "parsers:\n  - {name: NAME, format: json}\n"

GUILTY = {
    "an unknown property in a processor": (processor("name: grep\nregx: a b"), 8, "unknown configuration property"),
    "an unknown property in a native processor": (
        processor("name: content_modifier\nacton: insert"),
        8,
        "unknown configuration property 'acton'",
    ),
    "a bad value in a processor": (processor("name: content_modifier\naction: nosuch"), 8, "unknown action 'nosuch'"),
    "a Lua syntax error in a processor": (
        processor("name: lua\ncall: f\ncode: function f("),
        9,
        "error loading buffer",
    ),
    "two words for one": (processor("name: labels\ninsert: a"), 8, "expects a key and a value"),
    "a bad pattern in a processor of an output": (
        section("outputs", "name: http\nmatch: u\nprocessors:\n  logs:\n    - name: grep\n      regex: 'a ('"),
        8,
        "could not compile regex pattern '('",
    ),
    "a bad bool of an input": (section("inputs", "name: tail\npath: /x/*\nread_from_head: maybe"), 5, "boolean"),
    "a bad bool of an output": (section("outputs", "name: http\nmatch: x\nallow_duplicated_headers: maybe"), 5, "bool"),
    "a buffer above its maximum": (
        section("inputs", "name: tail\npath: /x/*\nbuffer_chunk_size: 1M\nbuffer_max_size: 32k"),
        6,
        "buffer_max_size must be >= buffer_chunk",
    ),
    "no bucket for s3": (section("outputs", "name: s3\nmatch: x"), 3, "'bucket' is a required parameter"),
    "no token for splunk": (section("outputs", "name: splunk\nmatch: x"), 3, "splunk_token"),
    "no brokers for kafka": (section("outputs", "name: kafka\nmatch: x"), 3, "no brokers defined"),
    "no brokers for a kafka input": (section("inputs", "name: kafka\ntag: x"), 3, "no brokers defined"),
    "no command for exec": (section("inputs", "name: exec\ntag: x"), 3, "no input 'command' was given"),
    "no path for tail": (section("inputs", "name: tail\ntag: x"), 3, "no input 'path' was given"),
    "a bad compression": (section("outputs", "name: http\nmatch: x\ncompress: nosuch"), 5, "invalid compress option"),
    "a bad operation of nest": (section("filters", "name: nest\nmatch: x\noperation: nosuch"), 5, "invalid value"),
    "four words for set": (section("filters", "name: modify\nmatch: x\nset: a b c d"), 5, "Invalid config for set"),
    "one word for record": (section("filters", "name: record_modifier\nmatch: x\nrecord: a"), 5, "expects 2 values"),
    "an unknown parser in a filter": (
        section("filters", "name: parser\nmatch: x\nkey_name: log\nparser: nosuch"),
        6,
        "requested parser 'nosuch' not found",
    ),
    "an unknown multiline parser of tail": (
        section("inputs", "name: tail\npath: /x/*\nmultiline.parser: nosuch"),
        5,
        "parser 'nosuch' not registered",
    ),
    "an unknown multiline parser in a filter": (
        section("filters", "name: multiline\nmatch: x\nmultiline.key_content: log\nmultiline.parser: nosuch"),
        6,
        "parser 'nosuch' not registered",
    ),
    "an unknown parser of syslog": (section("inputs", "name: syslog\nmode: tcp\nparser: nosuch"), 5, "parser not set"),
    "two inputs on one port": (section("inputs", "name: tcp\nport: 5170") + "    - name: tcp\n", 5, "could not bind"),
    "a TLS file that is missing": (
        section("outputs", "name: http\nmatch: x\ntls: on\ntls.ca_file: /nonexistent.crt"),
        6,
        "ca_file '/nonexistent.crt'",
    ),
    "a TLS input without certificate": (section("inputs", "name: http\ntls: on"), 4, "certificate file missing"),
    "a Lua function that is not there": (
        section("filters", "name: lua\nmatch: x\ncall: g\ncode: function f() end"),
        5,
        "function g is not found",
    ),
    "a Lua script that fails": (
        section("filters", "name: lua\nmatch: x\ncall: g\ncode: error('oh')"),
        6,
        "invalid lua content",
    ),
    "a bad pattern of rewrite_tag": (
        section("filters", "name: rewrite_tag\nmatch: x\nrule: $log ( y false"),
        5,
        "could not compile regex pattern '('",
    ),
    "a bad pattern of grep": (section("filters", "name: grep\nmatch: x\nregex: log ("), 5, "could not compile regex"),
    "a bad pattern of grep with an alias": (
        section("filters", "name: grep\nalias: mine\nmatch: x\nregex: log ("),
        6,
        "[filter:grep:mine] could not compile",
    ),
    "a bad record accessor": (section("filters", "name: grep\nmatch: x\nregex: '$log[ a'"), 5, "[record accessor]"),
    "an upstream file that is missing": (
        section("outputs", "name: forward\nmatch: x\nupstream: /nonexistent.conf"),
        5,
        "cannot load Upstream file",
    ),
    "an unknown type, at which Fluent Bit crashes": (
        section("filters", "name: type_converter\nmatch: x\nint_key: a b nosuch"),
        5,
        "unknown to str nosuch",
    ),
    "a geoip2 database that is missing": (
        section("filters", "name: geoip2\nmatch: x\nlookup_key: ip\ndatabase: /nonexistent.mmdb"),
        6,
        "Cannot open geoip2 database",
    ),
    "an output that is only for programs": (section("outputs", "name: lib\nmatch: x"), 3, "Callback is not set"),
}
COMPLAINED = {
    "an unknown parser of tail": (
        section("inputs", "name: tail\npath: /x/*\nparser: nosuch"),
        5,
        "parser 'nosuch' is not registered",
    ),
    "a bad tag_regex": (
        section("inputs", "name: tail\npath: /x/*\ntag: x.<a>\ntag_regex: '(?<a'"),
        6,
        "invalid 'tag_regex' config value",
    ),
    "a bad db.sync": (
        section("inputs", "name: tail\npath: /x/*\ndb: /x/a.db\ndb.sync: nosuch"),
        6,
        "invalid database 'db.sync' value",
    ),
    "a bad format": (section("outputs", "name: http\nmatch: x\nformat: nosuch"), 5, "unrecognized 'format' option"),
    "a bad date format": (
        section("outputs", "name: http\nmatch: x\njson_date_format: nosuch"),
        5,
        "unrecognized 'json_date_format' option",
    ),
    "a checklist that is missing": (
        section("filters", "name: checklist\nmatch: x\nlookup_key: a\nfile: /nonexistent.txt"),
        6,
        "could not open file: /nonexistent.txt",
    ),
    "a stream task that is no SQL": ("stream_processor:\n  - name: s\n    exec: SELCT x\n", 3, "invalid query on task"),
    "a streams file that is missing": ("service:\n  streams_file: /nonexistent.conf\n", 2, "cannot open configuration"),
}
HARMLESS = {
    "kubernetes": section("filters", "name: kubernetes\nmatch: kube.*\nkube_url: https://k.invalid:443\nlabels: on"),
    "aws": section("filters", "name: aws\nmatch: x\nimds_version: v2"),
    "ecs": section("filters", "name: ecs\nmatch: x\nadd: cluster $ClusterName"),
    "nightfall": section("filters", "name: nightfall\nmatch: x\nnightfall_api_key: k\npolicy_id: p"),
    "kubernetes in a processor": processor("name: kubernetes\nkube_url: https://k.invalid:443"),
    "a script in a processor": processor("name: lua\ncall: f\ncode: function f(t, s, r) return 0, s, r end"),
    "stackdriver": section("outputs", "name: stackdriver\nmatch: x\nresource: global"),
    "bigquery": section("outputs", "name: bigquery\nmatch: x\nproject_id: p\ndataset_id: d\ntable_id: t"),
    "chronicle": section("outputs", "name: chronicle\nmatch: x\nproject_id: p\ncustomer_id: c\nlog_type: t"),
    "gcs": section("outputs", "name: gcs\nmatch: x\nbucket: b\nstore_dir: /nowhere/gcs"),
    "s3": section("outputs", "name: s3\nmatch: x\nbucket: b\nregion: eu-west-1\nstore_dir: /nowhere/s3"),
    "logs": section("outputs", "name: cloudwatch_logs\nmatch: x\nregion: r\nlog_group_name: g\nlog_stream_name: n"),
    "kinesis": section("outputs", "name: kinesis_streams\nmatch: x\nregion: r\nstream: s"),
    "firehose": section("outputs", "name: kinesis_firehose\nmatch: x\nregion: r\ndelivery_stream: s"),
    "kafka": section("outputs", "name: kafka\nmatch: x\nbrokers: k1.invalid:9092,k2.invalid:9092\ntopics: t"),
    "kafka input": section("inputs", "name: kafka\nbrokers: k1.invalid:9092\ntopics: t"),
    "es": section("outputs", "name: es\nmatch: x\nhost: es.invalid\nindex: i"),
    "es on AWS": section("outputs", "name: es\nmatch: x\nhost: e.invalid\naws_auth: on\naws_region: r\ntls: on"),
    "opensearch on AWS": section("outputs", "name: opensearch\nmatch: x\nhost: o.invalid\naws_auth: on\naws_region: r"),
    "azure": section("outputs", "name: azure\nmatch: x\ncustomer_id: c\nshared_key: a2V5a2V5"),
    "azure_blob": section(
        "outputs", "name: azure_blob\nmatch: x\naccount_name: a\nshared_key: a2V5a2V5\ncontainer_name: c"
    ),
    "azure_kusto": section(
        "outputs",
        "name: azure_kusto\nmatch: x\ntenant_id: t\nclient_id: c\nclient_secret: s\n"
        "ingestion_endpoint: https://i.invalid\ndatabase_name: d\ntable_name: t",
    ),
    "azure_logs_ingestion": section(
        "outputs",
        "name: azure_logs_ingestion\nmatch: x\ntenant_id: t\nclient_id: c\nclient_secret: s\n"
        "dce_url: https://d.invalid\ndcr_id: d\ntable_name: t",
    ),
    "nats": section("outputs", "name: nats\nmatch: x\nhost: n.invalid"),
    "kafka-rest": section("outputs", "name: kafka-rest\nmatch: x\nhost: k.invalid\ntopic: t"),
    "datadog": section("outputs", "name: datadog\nmatch: x\nhost: d.invalid\napikey: k"),
    "loki": section("outputs", "name: loki\nmatch: x\nhost: l.invalid\nlabels: job=x"),
    "splunk": section("outputs", "name: splunk\nmatch: x\nhost: s.invalid\nsplunk_token: t\ntls: on"),
    "forward": section("outputs", "name: forward\nmatch: x\nhost: f.invalid\nshared_key: k"),
    "forward to a socket": section("outputs", "name: forward\nmatch: x\nunix_path: /nowhere/peer.sock"),
    "http by a proxy": section("outputs", "name: http\nmatch: x\nhost: h.invalid\nproxy: http://p.invalid:3128"),
    "a threaded input": section("inputs", "name: tail\npath: /nowhere/*.log\nthreaded: on\ntag: nowhere.*"),
    "slack": section("outputs", "name: slack\nmatch: x\nwebhook: https://s.invalid/x"),
    "influxdb": section("outputs", "name: influxdb\nmatch: x\nhost: i.invalid"),
    "websocket": section("outputs", "name: websocket\nmatch: x\nhost: w.invalid"),
    "many workers": section("outputs", "name: tcp\nmatch: x\nhost: t.invalid\nworkers: 9"),
    "opentelemetry": section("outputs", "name: opentelemetry\nmatch: x\nhost: o.invalid"),
    "prometheus_remote_write": section("outputs", "name: prometheus_remote_write\nmatch: x\nhost: p.invalid"),
    "prometheus_exporter": section("outputs", "name: prometheus_exporter\nmatch: x"),
    "vivo_exporter": section("outputs", "name: vivo_exporter\nmatch: x"),
    "http with OAuth": section(
        "outputs",
        "name: http\nmatch: x\nhost: h.invalid\noauth2.enable: on\noauth2.token_url: https://t.invalid/x\n"
        "oauth2.client_id: c\noauth2.client_secret: s",
    ),
    "syslog by UDP": section("outputs", "name: syslog\nmatch: x\nhost: s.invalid\nmode: udp"),
    "gelf": section("outputs", "name: gelf\nmatch: x\nhost: g.invalid"),
    "udp": section("outputs", "name: udp\nmatch: x\nhost: u.invalid"),
    "exit": section("outputs", "name: exit\nmatch: x"),
    "file": section("outputs", "name: file\nmatch: x\npath: /nowhere/records\nfile: a.log\nmkdir: on"),
    "plot": section("outputs", "name: plot\nmatch: x\nfile: /nowhere/plot"),
    "tail": section("inputs", "name: tail\npath: /nowhere/*.log\nexclude_path: /nowhere/b*\ndb: /nowhere/tail.db"),
    "systemd": section("inputs", "name: systemd\npath: /nowhere/journal\ndb: /nowhere/systemd.db"),
    "exec": section("inputs", "name: exec\ncommand: touch /tmp/executed-by-a-trial-start"),
    "docker_events": section("inputs", "name: docker_events"),
    "kubernetes_events": section("inputs", "name: kubernetes_events\ndb: /nowhere/events.db"),
    "prometheus_scrape": section("inputs", "name: prometheus_scrape\nhost: p.invalid\nport: 9100"),
    "health": section("inputs", "name: health\nhost: h.invalid\nport: 80"),
    "nginx_metrics": section("inputs", "name: nginx_metrics\nhost: n.invalid"),
    "node_exporter_metrics": section("inputs", "name: node_exporter_metrics"),
    "fluentbit_logs": section("inputs", "name: fluentbit_logs\ntag: self"),
    "cpu": section("inputs", "name: cpu\nprocessors:\n  metrics:\n    - name: labels\n      insert: a b"),
    "stdin": section("inputs", "name: stdin"),
    "statsd": section("inputs", "name: statsd"),
    "forward on a socket": section("inputs", "name: forward\nunix_path: /nowhere/forward.sock"),
    "forward on a port": section("inputs", "name: forward\nport: 24224"),
    "http input": section("inputs", "name: http"),
    "opentelemetry input": section("inputs", "name: opentelemetry"),
    "elasticsearch input": section("inputs", "name: elasticsearch"),
    "splunk input": section("inputs", "name: splunk"),
    "remote write input": section("inputs", "name: prometheus_remote_write"),
    "mqtt": section("inputs", "name: mqtt"),
    "udp input": section("inputs", "name: udp\nport: 5171"),
    "syslog by TCP": section("inputs", "name: syslog\nmode: tcp\nparser: own") + OWN_PARSER.replace("NAME", "own"),
    "syslog on a socket": section("inputs", "name: syslog\npath: /nowhere/syslog.sock\nparser: other")
    + OWN_PARSER.replace("NAME", "other"),
    "a rewritten tag": section(
        "filters", "name: rewrite_tag\nmatch: x\nrule: $log a y false\nemitter_storage.type: filesystem"
    ),
    "a stream": "stream_processor:\n  - name: s\n    exec: CREATE STREAM y AS SELECT * FROM TAG:'x';\n",
    "a log file": "service:\n  log_file: /nowhere/fluent-bit.log\n  log_level: error\n  http_port: 2020\n",
    "metrics from the logs": section(
        "filters",
        "name: log_to_metrics\nmatch: x\ntag: m\nmetric_mode: counter\nmetric_name: n\nmetric_description: d",
    ),
}  # fmt: skip
