"""A rehearsal is the same pipeline, from the same lines, with nothing in it that touches the world."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from making import make_frame
from trying import parts_of, ports

from supervisor.config.ports import LISTENERS
from supervisor.core.blame import attributed
from supervisor.core.rehearsal import Listening, real_resources, rehearse
from supervisor.core.rehearsal.plugins import FILTERS, INPUTS, KEPT, NEEDED, OUTPUTS, STAND_INS
from supervisor.core.service import Frame
from supervisor.model import Candidate, Finding, Kind, Severity

ROOM = "/room"


def rehearsed(files: Mapping[str, str], frame: Frame | None = None) -> Candidate:
    frame = frame or make_frame(buffers="/var/buffers")
    return rehearse(parts_of(files, frame), frame, directory=ROOM, free_port=ports())


def text_of(candidate: Candidate) -> str:
    return "".join(file.text for file in candidate.files)


def one(kind: str, body: str) -> str:
    return f"pipeline:\n  {kind}:\n    - " + "\n      ".join(body.splitlines()) + "\n"


# --- the service ------------------------------------------------------------------------------------------------------


def test_the_service_is_silent_reachable_by_nobody_and_flushes_nothing() -> None:
    service = (
        "service:\n  flush: 1\n  http_server: on\n  http_port: 2020\n  log_file: /var/log/fb.log\n  log_level: off\n"
    )

    said = text_of(rehearsed({"a.yaml": service + one("inputs", "name: dummy")}))

    assert "http_server: off" in said
    assert "log_level: info" in said
    assert "flush: 3600" in said
    assert 'storage.path: "/room/storage"' in said
    assert "/var/" not in said
    assert "2020" not in said
    assert said.count("flush:") == said.count("log_level:") == said.count("hot_reload:") == 1


def test_what_the_service_says_of_parsers_stays() -> None:
    classic = "[SERVICE]\n    parsers_file /etc/a.conf\n    parsers_file /etc/b.conf\n    scheduler.cap 9\n"

    said = text_of(rehearsed({"a.conf": classic}))

    assert said.count("parsers_file:") == 2
    assert "scheduler.cap: 9" in said


def test_without_a_storage_path_there_is_none_in_the_rehearsal_either() -> None:
    said = text_of(rehearsed({"a.yaml": one("inputs", "name: dummy\nstorage.type: filesystem")}, make_frame()))

    assert "storage.path" not in said
    assert "storage.type: filesystem" in said


def test_shared_objects_and_customs_are_left_out() -> None:
    text = "plugins:\n  - /opt/own.so\ncustoms:\n  - name: calyptia\n    api_key: k\n"

    said = text_of(rehearsed({"a.yaml": text}))

    assert "own.so" not in said
    assert "calyptia" not in said


def test_a_pipeline_on_the_command_line_is_no_part_of_it() -> None:
    frame = make_frame(arguments=("-i", "cpu", "-o", "stdout"), pipeline=True)

    candidate = rehearsed({"a.yaml": one("outputs", "name: null\nmatch: x")}, frame)

    assert [output.name for output in candidate.outputs] == ["null.0"]


# --- plugins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "gone"),
    [
        ("inputs", "name: exec\ncommand: rm -rf /", "rm -rf"),
        ("inputs", "name: kubernetes_events\nkube_url: https://k", "https://k"),
        ("inputs", "name: ${PLUGIN}\ncommand: rm -rf /", "rm -rf"),
        ("inputs", "name: tcp://0.0.0.0:5170", "5170"),
        ("inputs", "name: not_known_to_us\nurl: x", "not_known"),
        ("filters", "name: kubernetes\nmatch: x\nkube_url: https://k", "https://k"),
        ("outputs", "name: s3\nmatch: x\nbucket: b", "bucket"),
        ("outputs", "name: EXIT\nmatch: x", "exit"),
    ],
)
def test_what_is_not_known_to_be_harmless_is_played_by_a_stand_in(kind: str, body: str, gone: str) -> None:
    said = text_of(rehearsed({"a.yaml": one(kind, body)}))

    plugin = {"inputs": "dummy", "filters": "record_modifier", "outputs": "null"}[kind]
    assert gone not in said.lower()
    assert f"- name: {plugin}\n" in said


def test_a_stand_in_keeps_what_others_rely_on() -> None:
    said = text_of(
        rehearsed({"a.yaml": one("inputs", "name: exec\ncommand: x\ntag: t\nalias: a\nstorage.type: filesystem")})
    )

    assert "tag: t" in said
    assert "alias: a" in said
    assert "storage.type: filesystem" in said
    assert "command" not in said


@pytest.mark.parametrize(("kind", "plugin"), NEEDED)
def test_a_plugin_without_what_it_needs_says_so_itself(kind: Kind, plugin: str) -> None:
    title = {Kind.INPUT: "inputs", Kind.FILTER: "filters", Kind.OUTPUT: "outputs"}[kind]

    starved = text_of(rehearsed({"a.yaml": one(title, f"name: {plugin}\nmatch: x")}))
    key = min(NEEDED[kind, plugin])
    fed = text_of(rehearsed({"a.yaml": one(title, f"name: {plugin}\nmatch: x\n{key}: something")}))

    assert f"name: {plugin}\n" in starved
    assert f"name: {plugin}\n" not in fed


def test_nothing_of_a_list_is_on_another() -> None:
    """What starts for real needs no list of what it must be told, and a stand-in starts for real itself."""
    assert not {plugin for kind, plugin in NEEDED if plugin in {Kind.INPUT: INPUTS, Kind.OUTPUT: OUTPUTS}.get(kind, {})}
    assert not {plugin for kind, plugin in NEEDED if kind is Kind.FILTER and plugin in FILTERS}
    assert STAND_INS[Kind.INPUT][0] in INPUTS
    assert STAND_INS[Kind.FILTER][0] in FILTERS
    assert STAND_INS[Kind.OUTPUT][0] in OUTPUTS
    assert set(KEPT) == set(STAND_INS)


def test_every_plugin_that_listens_starts_for_real() -> None:
    for kind, plugin in LISTENERS:
        assert plugin in (INPUTS if kind is Kind.INPUT else OUTPUTS)


def test_a_processor_that_needs_the_world_is_played_too() -> None:
    units = (
        "processors:\n  logs:\n    - name: kubernetes\n      kube_url: https://k\n    - name: grep\n      regex: a b"
    )

    said = text_of(rehearsed({"a.yaml": one("inputs", f"name: dummy\n{units}")}))

    assert "https://k" not in said
    assert "- name: record_modifier\n" in said
    assert 'regex: "a b"' in said


def test_credentials_are_not_fetched() -> None:
    said = text_of(rehearsed({"a.yaml": one("outputs", "name: es\nmatch: x\naws_auth: on\naws_region: r")}))

    assert "aws_auth: off" in said
    assert "aws_region: r" in said


def test_a_host_is_not_looked_up_for_udp() -> None:
    said = text_of(rehearsed({"a.yaml": one("outputs", "name: gelf\nmatch: x\nhost: gelf.example")}))

    assert "gelf.example" not in said


# --- places -----------------------------------------------------------------------------------------------------------


def test_everything_that_is_written_lies_in_the_room() -> None:
    text = "\n".join(
        (
            "pipeline:\n  inputs:",
            "    - {name: tail, path: '/var/log/*.log', exclude_path: /var/log/x, db: /var/db/tail.db}",
            "    - {name: systemd, path: /var/journal, db: /var/db/journal.db}",
            "    - {name: syslog, path: /var/run/syslog.sock, parser: p}",
            "    - {name: forward, unix_path: /var/run/forward.sock}",
            "  outputs:",
            "    - {name: file, match: x, path: /var/records, file: a, fallback_path: /var/fall}",
            "    - {name: plot, match: x, file: /var/plot}",
        )
    )

    candidate = rehearsed({"a.yaml": text})

    assert "/var/" not in text_of(candidate)
    assert {needed.path for needed in candidate.directories} >= {
        "/room/void",
        "/room",
        "/room/storage",
        "/room/records",
    }
    assert all(needed.path.startswith(ROOM) for needed in candidate.directories)


def test_systemd_never_reads_the_journal_of_the_machine() -> None:
    assert 'path: "/room/void"' in text_of(rehearsed({"a.yaml": one("inputs", "name: systemd")}))


def test_two_that_share_a_database_go_on_sharing_it() -> None:
    body = "name: tail\npath: /x/*\ndb: {}"
    text = one("inputs", body.format("/var/a.db")) + one("inputs", body.format("/var/a.db"))

    shared = re.findall(r' db: "(.*)"', text_of(rehearsed({"a.yaml": text})))
    apart = re.findall(r' db: "(.*)"', text_of(rehearsed({"a.yaml": text.replace("a.db", "b.db", 1)})))

    assert len(shared) == len(apart) == 2
    assert len(set(shared)) == 1
    assert len(set(apart)) == 2


def test_a_database_is_cheap_unless_its_author_says_how_it_is() -> None:
    said = text_of(rehearsed({"a.yaml": one("inputs", "name: tail\npath: /x/*\ndb: /x.db\ndb.sync: full")}))

    assert "db.sync: full" in said
    assert "db.journal_mode: MEMORY" in said


def test_a_key_in_capitals_or_said_twice_is_said_once() -> None:
    classic = "[INPUT]\n    Name tcp\n    Port 1\n    Listen 0.0.0.0\n    PORT 2\n"

    said = text_of(rehearsed({"a.conf": classic}))

    assert re.findall(r"(?:port|listen): \S+", said) == ["port: 40000", "listen: 127.0.0.1"]


# --- ports ------------------------------------------------------------------------------------------------------------


def ports_in(candidate: Candidate) -> list[str]:
    return re.findall(r" port: (\d+)", text_of(candidate))


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("name: tcp\nport: 7", "name: tcp\nport: 7", True),
        ("name: tcp\nport: 7", "name: http\nport: 7\nlisten: 127.0.0.1", True),
        ("name: tcp", "name: tcp\nport: 5170", True),
        ("name: tcp", "name: tcp\nport: 0", True),
        ("name: tcp\nport: 7\nlisten: 127.0.0.1", "name: tcp\nport: 7\nlisten: 10.0.0.1", False),
        ("name: tcp\nport: 7", "name: udp\nport: 7", False),
        ("name: tcp\nport: 7", "name: tcp\nport: 8", False),
        ("name: tcp\nport: ${P}", "name: tcp\nport: ${P}", False),
        ("name: syslog\nmode: udp\nparser: p", "name: udp\nport: 5140", True),
    ],
)
def test_two_that_cannot_both_bind_cannot_here(first: str, second: str, together: bool) -> None:
    text = one("inputs", first) + one("inputs", second)

    given = ports_in(rehearsed({"a.yaml": text}))

    assert len(given) == 2
    assert (len(set(given)) == 1) is together


def test_a_port_that_is_given_twice_is_not_taken_twice() -> None:
    numbers = iter([5, 5, 6])
    frame = make_frame()
    text = one("inputs", "name: tcp\nport: 1") + one("inputs", "name: tcp\nport: 2")

    candidate = rehearse(parts_of({"a.yaml": text}, frame), frame, directory=ROOM, free_port=lambda: next(numbers))

    assert ports_in(candidate) == ["5", "6"]


def test_a_unix_socket_needs_no_port() -> None:
    assert ports_in(rehearsed({"a.yaml": one("inputs", "name: forward\nunix_path: /run/f")})) == []


def test_real_resources_name_every_port_and_who_wants_it() -> None:
    text = (
        "env:\n  P: 8125\n"
        + one("inputs", "name: statsd\nport: ${P}\nlisten: 127.0.0.1")
        + one("inputs", "name: forward\nunix_path: /run/f")
    )
    more = one("outputs", "name: prometheus_exporter\nmatch: x\nhost: 10.0.0.1") + one(
        "inputs", "name: tcp\nport: ${Q}"
    )
    frame = make_frame()

    found = real_resources(parts_of({"a.yaml": text, "b.yaml": more}, frame), {"Q": "9"})

    assert found == (
        Listening("127.0.0.1", 8125, "udp", "platform/a.yaml", 6),
        Listening("10.0.0.1", 2021, "tcp", "platform/b.yaml", 3),
        Listening("0.0.0.0", 9, "tcp", "platform/b.yaml", 9),
        Listening("127.0.0.1", 2020, "tcp", ""),
    )


def test_a_port_that_cannot_be_told_is_left_out() -> None:
    for port in ("${UNKNOWN}", "99999"):
        text = {"a.yaml": one("inputs", f"name: tcp\nport: {port}")}
        assert len(real_resources(parts_of(text, make_frame()))) == 1


# --- authors ----------------------------------------------------------------------------------------------------------


def test_words_about_the_rehearsal_lead_to_the_authors_line() -> None:
    files = {
        "a.conf": "[INPUT]\n    name exec\n    command x\n[FILTER]\n    name aws\n    match *\n",
        "b.conf": "[FILTER]\n    name grep\n    match *\n    regex log (\n",
    }
    message = "[filter:grep:grep.1] could not compile regex pattern '('"

    finding = attributed(Finding(Severity.ERROR, "start", message), rehearsed(files))

    assert (finding.snippet, finding.line) == ("platform/b.conf", 4)


def test_the_same_parts_give_the_same_rehearsal() -> None:
    files = {"a.yaml": one("inputs", "name: tcp"), "b.yaml": one("outputs", "name: null\nmatch: x")}

    assert rehearsed(files) == rehearsed(files)


def test_a_variable_of_what_is_left_out_is_still_named() -> None:
    """The environment of a trial is that of a dry-run."""
    assert rehearsed({"a.yaml": one("inputs", "name: exec\ncommand: ${RUN}")}).variables == {"RUN"}
