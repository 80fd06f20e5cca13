"""What Fluent Bit accepts in silence, and we do not."""

from __future__ import annotations

import pytest
from making import make_base, make_frame, make_snapshot, make_snippet

from supervisor.core.assemble import assemble
from supervisor.model import Finding, Severity, Snapshot, Trust

GOOD = "pipeline:\n  inputs:\n    - name: dummy\n      tag: a\n  outputs:\n    - name: stdout\n      match: a\n"


def found(snapshot: Snapshot, rule: str, **frame: object) -> list[Finding]:
    return [finding for finding in assemble(snapshot, make_frame(**frame)).findings if finding.rule == rule]


PAIR = "[INPUT]\n    name dummy\n    tag a\n[OUTPUT]\n    name null\n    match *\n"
ROUTED = """\
pipeline:
  inputs:
    - name: dummy
      routes:
        {signal}:
          - name: first
            condition: {condition}
            to: {{outputs: [{output}]}}
  outputs:
    - name: stdout
      alias: sink
      match: dummy.*
"""


def routed(signal: str = "logs", condition: str = "{default: true}", output: str = "sink") -> str:
    return ROUTED.format(signal=signal, condition=condition, output=output)


def rule_of(field: str = "$level", op: str = "eq", value: str = "error") -> str:
    return routed(condition="{rules: [{field: " + field + ", op: " + op + ", value: " + value + "}]}")


def listening(first: str, second: str) -> str:
    return f"[INPUT]\n    name {first}\n    tag a\n[INPUT]\n    name {second}\n    tag a\n" + OUTPUT


OUTPUT = "[OUTPUT]\n    name null\n    match *\n"
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

# rule, file name, text that must be flagged, its line, text that must not, severity for the platform
CASES = [
    ("unknown-section", "a.conf", "[INPUT]\n    name dummy\n[OUTPT]\n    name stdout\n    match *\n", 3,
     "[INPUT]\n    name dummy\n[OUTP]\n    name stdout\n    match *\n", ERROR),
    ("unknown-section", "a.yaml", "pipelines:\n  x: y\n" + GOOD, 1, GOOD, ERROR),
    ("empty-snippet", "a.conf", "# nothing yet\n", 1, "[FILTER]\n    name stdout\n    match *\n", WARNING),
    ("torn-file", "a.conf", "[INPUT]\n    name dummy\n[OUTPUT]", 3,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name stdout\n    match *", ERROR),
    ("missing-name", "a.yaml", "pipeline:\n  inputs:\n    - tag: a\n", 3, GOOD, ERROR),
    ("filter-without-match", "a.conf", "[FILTER]\n    name grep\n", 1,
     "[FILTER]\n    name grep\n    match *\n", ERROR),
    ("ignored-stream-task", "a.conf", "[STREAM_TASK]\n    name t\n    exec SELECT * FROM TAG:'a';\n", 1,
     "[STREAM_PROCESSOR]\n    name t\n    exec SELECT * FROM TAG:'a';\n", WARNING),
    # --- service
    ("unknown-service-key", "a.yaml", "service:\n  flsh: 1\n", 2, "service:\n  flush: 1\n", WARNING),
    ("bad-service-value", "a.yaml", "service:\n  flush: 0\n", 2, "service:\n  flush: 0.5\n", ERROR),
    ("bad-service-value", "a.yaml", "service:\n  flush: often\n", 2, "service:\n  flush: 1s\n", ERROR),
    ("bad-service-value", "a.conf", "[SERVICE]\n    log_level loud\n", 2, "[SERVICE]\n    log_level WARN\n", ERROR),
    ("bad-service-value", "a.conf", "[SERVICE]\n    storage.sync half\n", 2,
     "[SERVICE]\n    storage.sync Full\n", ERROR),
    ("bad-service-value", "a.conf", "[SERVICE]\n    coro_stack_size 10\n", 2,
     "[SERVICE]\n    coro_stack_size 24576\n", ERROR),
    ("bad-service-value", "a.conf", "[SERVICE]\n    health_check maybe\n", 2,
     "[SERVICE]\n    health_check YES\n", WARNING),
    ("bad-service-value", "a.conf", "[SERVICE]\n    grace soon\n", 2, "[SERVICE]\n    grace -1\n", WARNING),
    ("bad-service-value", "a.conf", "[SERVICE]\n    storage.backlog.mem_limit 5Q\n", 2,
     "[SERVICE]\n    storage.backlog.mem_limit 5M\n", WARNING),
    ("bad-service-value", "a.conf", "[SERVICE]\n    flush.adaptive.low_pressure low\n", 2,
     "[SERVICE]\n    flush.adaptive.low_pressure .2\n", WARNING),
    ("daemon", "a.conf", "[SERVICE]\n    daemon on\n", 2, "[SERVICE]\n    daemon off\n", INFO),
    # --- sections together
    ("no-output", "a.conf", "\n[INPUT]\n    name dummy\n", 2, PAIR, WARNING),
    ("output-without-match", "a.conf", "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n" + OUTPUT, 3,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match_regex dummy.*\n" + OUTPUT, ERROR),
    ("unset-variable", "a.conf", "[INPUT]\n    name dummy\n    tag ${NOWHERE}\n", 3,
     "[INPUT]\n    name dummy\n    tag ${NOWHERE:-x}${PATH}\n", WARNING),
    ("storage-without-path", "a.conf", "[INPUT]\n    name dummy\n    storage.type filesystem\n" + OUTPUT, 1,
     "[SERVICE]\n    storage.path /s\n[INPUT]\n    name dummy\n    storage.type filesystem\n" + OUTPUT, ERROR),
    ("tls-without-certificate", "a.conf", "[INPUT]\n    name http\n    tls on\n" + OUTPUT, 1,
     "[INPUT]\n    name http\n    tls on\n    tls.crt_file /c\n    tls.key_file /k\n" + OUTPUT, ERROR),
    ("tls-without-certificate", "a.conf", "[INPUT]\n    name tcp\n    tls on\n    tls.crt_file /c\n" + OUTPUT, 1,
     "[INPUT]\n    name tcp\n    tls off\n" + OUTPUT, ERROR),
    # --- conflicts
    ("duplicate-port", "a.conf", listening("tcp", "tcp\n    port 05170"), 6,
     listening("tcp", "udp"), ERROR),
    ("duplicate-port", "a.conf", listening("http\n    listen 127.0.0.1\n    port 99", "opentelemetry\n    port 99"), 8,
     listening("http\n    listen 127.0.0.1\n    port 99", "splunk\n    listen 127.0.0.2\n    port 99"), ERROR),
    ("duplicate-port", "a.conf", listening("tcp", "syslog\n    mode tcp\n    port 5170\n    parser p"), 7,
     listening("tcp", "syslog\n    port 5170"), ERROR),
    ("duplicate-port", "a.conf", listening("tcp\n    port 2020", "dummy"), 3,
     listening("tcp\n    port 2020\n    listen 127.0.0.2", "dummy"), ERROR),
    ("duplicate-port", "a.conf", listening("tcp\n    net.share_port on", "tcp"), 5,
     listening("tcp\n    net.share_port on", "tcp\n    net.share_port on"), ERROR),
    ("duplicate-db", "a.conf", listening("tail\n    db x/../y.db", "tail\n    db /y.db"), 7,
     listening("tail\n    db :memory:", "tail\n    db :memory:"), ERROR),
    ("duplicate-db", "a.conf", listening("tail\n    db /y.db", "systemd\n    db /y.db"), 7,
     listening("tail\n    db /y.db", "dummy\n    db /y.db"), WARNING),
    ("duplicate-alias", "a.conf", listening("dummy\n    alias x", "cpu\n    alias x"), 7,
     "[INPUT]\n    name dummy\n    alias x\n[FILTER]\n    name grep\n    match *\n    alias x\n", WARNING),
    # --- parsers
    ("duplicate-parser", "a.yaml", "parsers:\n  - {name: p, format: json}\n  - {name: p, format: json}\n", 3,
     "parsers:\n  - {name: p, format: json}\n  - {name: P, format: json}\n", ERROR),
    ("duplicate-multiline-parser", "a.yaml",
     "multiline_parsers:\n  - {name: m, type: regex}\n  - {name: M, type: regex}\n", 3,
     "parsers:\n  - {name: m, format: json}\nmultiline_parsers:\n  - {name: m, type: regex}\n", WARNING),
    ("duplicate-multiline-parser", "a.yaml", "multiline_parsers:\n  - {name: Java, type: regex}\n", 2,
     "multiline_parsers:\n  - {name: my-java, type: regex}\n", WARNING),
    ("incomplete-parser", "a.yaml", "parsers:\n  - format: json\n", 2,
     "parsers:\n  - {name: p, format: json}\n", ERROR),
    ("incomplete-parser", "a.yaml", "parsers:\n  - name: p\n", 2, "parsers:\n  - {name: p, format: ltsv}\n", ERROR),
    ("incomplete-parser", "a.yaml", "parsers:\n  - {name: p, format: regex}\n", 2,
     "parsers:\n  - {name: p, format: regex, regex: '^(?<a>.*)$'}\n", ERROR),
    ("incomplete-parser", "a.yaml", "multiline_parsers:\n  - name: m\n", 2,
     "multiline_parsers:\n  - {name: m, type: endswith, match_string: x}\n", ERROR),
    ("unknown-parser", "a.conf", "[INPUT]\n    name tail\n    path x\n    parser nosuch\n" + OUTPUT, 4,
     "[PARSER]\n    name mine\n    format json\n[INPUT]\n    name tail\n    parser mine\n" + OUTPUT, ERROR),
    ("unknown-parser", "a.conf", "[FILTER]\n    name parser\n    match *\n    parser nosuch\n", 4,
     "[FILTER]\n    name grep\n    match *\n    parser nosuch\n", ERROR),
    ("unknown-parser", "a.conf", "[INPUT]\n    name tail\n    multiline.parser docker, nosuch\n" + OUTPUT, 3,
     "[INPUT]\n    name tail\n    multiline.parser Docker, cri\n" + OUTPUT, ERROR),
    ("unknown-parser", "a.conf", "[FILTER]\n    name multiline\n    match *\n    multiline.parser nosuch\n", 4,
     "[FILTER]\n    name multiline\n    match *\n    multiline.parser go\n", ERROR),
    ("unknown-parser", "a.conf", "[INPUT]\n    name syslog\n    mode udp\n" + OUTPUT, 1,
     "[PARSER]\n    name syslog-rfc5424\n    format json\n[INPUT]\n    name syslog\n    mode udp\n" + OUTPUT, ERROR),
    ("unknown-parser", "a.yaml",
     GOOD + "      processors:\n        logs:\n          - name: parser\n            parser: nosuch\n", 11,
     GOOD + "      processors:\n        logs:\n          - name: grep\n            regex: a b\n", ERROR),
    ("bad-multiline-rule", "a.yaml",
     "multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n"
     "      - {state: begin, regex: '/^a/', next_state: begin}\n", 5,
     "multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n"
     "      - {state: 'start_state, b', regex: '/^a/', next_state: b}\n", ERROR),
    ("bad-multiline-rule", "a.conf",
     '[MULTILINE_PARSER]\n    name m\n    type regex\n    rule "start_state" "/^a/" "b"\n', 4,
     '[MULTILINE_PARSER]\n    name m\n    type regex\n    rule "start_state" "/^\\"a/" "b"\n'
     '    rule "b" "/^ /" "b"\n', ERROR),
    # --- regular expressions
    ("bad-match-regex", "a.conf", "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match_regex (a\n" + OUTPUT, 5,
     "[INPUT]\n    name dummy\n[OUTPUT]\n    name null\n    match_regex (dummy).*\n" + OUTPUT, ERROR),
    ("bad-regex", "a.yaml", "parsers:\n  - name: p\n    format: regex\n    regex: '^(?<a>[^ ]*'\n", 4,
     "parsers:\n  - name: p\n    format: regex\n    regex: '/^(?<a>[^ ]*)\\)$/i'\n", ERROR),
    ("bad-regex", "a.conf", "[FILTER]\n    name grep\n    match *\n    exclude log *debug\n", 4,
     "[FILTER]\n    name grep\n    match *\n    exclude log .*debug\n", ERROR),
    ("bad-regex", "a.conf", "[FILTER]\n    name rewrite_tag\n    match *\n    rule $a ^[b x false\n", 4,
     "[FILTER]\n    name rewrite_tag\n    match *\n    rule $a ^[b]$ x false\n", ERROR),
    ("bad-regex", "a.yaml",
     "multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n"
     "      - {state: start_state, regex: '/^a)/', next_state: b}\n", 5,
     "multiline_parsers:\n  - name: m\n    type: regex\n    rules:\n"
     "      - {state: start_state, regex: '/^a\\)/', next_state: b}\n", ERROR),
    # --- routes
    ("unknown-route-output", "a.yaml", routed(output="snik"), 8, routed(output="stdout"), ERROR),
    ("bad-route", "a.yaml", routed(signal="logz"), 5, routed(signal="any"), ERROR),
    ("bad-route", "a.yaml", routed(condition="{default: maybe}"), 7, routed(condition="{default: true}"), ERROR),
    ("bad-route", "a.yaml", routed(condition="{op: and}"), 7, routed(), ERROR),
    ("bad-route-operator", "a.yaml", rule_of(op="is"), 7, rule_of(op="EQ"), ERROR),
    ("bad-route-operator", "a.yaml", routed(condition="{op: xor, default: true}"), 7,
     routed(condition="{op: or, default: true}"), ERROR),
    ("bad-route-value", "a.yaml", rule_of(op="gt", value="many"), 7, rule_of(op="gt", value="5"), ERROR),
    ("bad-route-value", "a.yaml", rule_of(op="in", value="a"), 7, rule_of(op="in", value="[a]"), ERROR),
    ("bad-route-value", "a.yaml", rule_of(op="eq", value="[a]"), 7, rule_of(op="eq", value="a"), ERROR),
    ("bad-route-value", "a.yaml", rule_of(op="regex", value="'(a'"), 7, rule_of(op="regex", value="'(a)'"), ERROR),
    ("bad-route-field", "a.yaml", rule_of(field="level"), 7, rule_of(field="$level"), ERROR),
    ("bad-route-field", "a.yaml", rule_of(field="$span.name"), 7, rule_of(field="$spanned"), ERROR),
    # --- streams and upstreams
    ("bad-stream-task", "a.yaml", GOOD + "stream_processor:\n  - name: s\n", 9,
     GOOD + "stream_processor:\n  - {name: s, exec: \"SELECT * FROM TAG:'a';\"}\n", ERROR),
    ("bad-stream-task", "a.yaml", GOOD + "stream_processor:\n  - {name: s, exec: SELEKT x;}\n", 9,
     GOOD + "stream_processor:\n  - {name: s, exec: 'select a from stream:x;'}\n", ERROR),
    ("bad-stream-task", "a.yaml", GOOD + "stream_processor:\n  - {name: s, exec: \"SELECT * FROM TAG:'a'\"}\n", 9,
     GOOD, ERROR),
    ("upstream-without-port", "a.yaml", "upstream_servers:\n  - name: u\n    nodes:\n      - {name: n, host: h}\n", 4,
     "upstream_servers:\n  - name: u\n    nodes:\n      - {name: n, host: h, port: 1}\n", WARNING),
    # --- tags
    ("unreachable-match", "a.conf",
     "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name grep\n    match b\n" + OUTPUT, 6,
     "[INPUT]\n    name dummy\n    tag a\n[FILTER]\n    name grep\n    match a*\n" + OUTPUT, WARNING),
    ("undelivered-input", "a.conf", "[INPUT]\n    name dummy\n    tag a\n[OUTPUT]\n    name null\n    match b\n", 3,
     "[INPUT]\n    name dummy\n    tag a\n    routable off\n[OUTPUT]\n    name null\n    match b\n", WARNING),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "bad", "line", "good", "severity"), CASES)
def test_each_rule_flags_its_fault_with_its_line_and_nothing_else(
    rule: str, name: str, bad: str, line: int, good: str, severity: Severity
) -> None:
    flagged = found(make_snapshot({name: bad}), rule)

    assert [(finding.line, finding.severity) for finding in flagged] == [(line, severity)]
    assert flagged[0].snippet == f"platform/{name}"
    assert flagged[0].path
    assert not found(make_snapshot({name: good}), rule)


@pytest.mark.parametrize(("rule", "name", "bad", "line", "good", "severity"), CASES)
def test_what_stock_runs_is_at_most_a_warning_in_the_base(
    rule: str, name: str, bad: str, line: int, good: str, severity: Severity
) -> None:
    flagged = found(make_base(bad, name), rule)

    assert [finding.severity for finding in flagged] == [INFO if severity is INFO else WARNING]


def test_a_misspelt_section_comes_with_what_was_meant() -> None:
    (finding,) = found(make_snapshot({"a.conf": "[OUTPT]\n    name stdout\n"}), "unknown-section")

    assert "OUTPUT" in finding.hint


def test_a_single_pair_needs_no_match() -> None:
    """Fluent Bit routes it by itself."""
    snapshot = make_snapshot({"a.conf": "[INPUT]\n    name dummy\n[OUTPUT]\n    name stdout\n"})

    assert not found(snapshot, "output-without-match")


def test_an_output_reached_by_a_conditional_route_needs_no_match() -> None:
    text = """
pipeline:
  inputs:
    - name: dummy
      routes:
        logs:
          - name: all
            condition: {default: true}
            to:
              outputs: [sink]
    - name: cpu
  outputs:
    - name: stdout
      alias: sink
    - name: "null"
      match: '*'
"""
    assert not found(make_snapshot({"a.yaml": text}), "output-without-match")


@pytest.mark.parametrize("text", ["env:\n  X: 1\n", ""])
def test_a_variable_that_the_config_sets_is_set(text: str) -> None:
    used = "pipeline:\n  inputs:\n    - name: dummy\n      tag: ${X}\n"

    flagged = found(make_snapshot({"a.yaml": text + used}), "unset-variable")

    assert bool(flagged) is not bool(text)


def test_a_file_of_a_tenant_is_refused_and_nothing_is_said_of_the_others() -> None:
    tenant = make_snippet("a.conf", "[INPUT]\n    name dummy\n", Trust.TENANT)
    platform = make_snippet("b.yaml", GOOD)
    assembled = assemble(Snapshot("d", (platform, tenant)), make_frame())

    assert [(finding.snippet, finding.rule) for finding in assembled.findings] == [(tenant.name, "tenant-not-granted")]


class TestOneCauseOneFinding:
    def test_a_misspelt_output_is_not_also_a_missing_one(self) -> None:
        text = "[INPUT]\n    name dummy\n    tag a\n[OUTPT]\n    name null\n    match *\n"

        assert rules_of(text) == ["unknown-section"]

    def test_a_filter_without_a_name_is_not_also_one_without_match(self) -> None:
        text = "[FILTER]\n    regex a ${NOWHERE}\n"

        assert rules_of(text) == ["missing-name"]

    def test_a_parser_that_is_not_complete_is_told_once(self) -> None:
        assert rules_of("parsers:\n  - format: regex\n", "a.yaml") == ["incomplete-parser"]

    def test_a_bad_operator_is_not_also_a_bad_value(self) -> None:
        assert rules_of(rule_of(op="is", value="[a]"), "a.yaml") == ["bad-route-operator"]

    def test_a_variable_of_nobody_is_not_also_an_unknown_parser(self) -> None:
        text = "[INPUT]\n    name tail\n    path x\n    tag a\n    parser ${NOWHERE}\n" + OUTPUT

        assert rules_of(text) == ["unset-variable"]


def rules_of(text: str, name: str = "a.conf") -> list[str]:
    return [finding.rule for finding in assemble(make_snapshot({name: text}), make_frame()).findings]
