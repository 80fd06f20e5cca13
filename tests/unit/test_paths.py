"""Where a relative path leads, and which paths keep their spelling."""

from __future__ import annotations

import pytest

from supervisor.config.parse import parse
from supervisor.config.paths import REREAD_KINDS, TABLE, Use, Wanted, resolve, wanted, writable_directories
from supervisor.model import Document, Entry, Group, Node, Scalar, Sequence


def document(text: str, name: str = "a.conf") -> Document:
    parsed = parse(text.encode(), name)
    assert parsed.document is not None, parsed.findings
    return parsed.document


def placed(text: str, name: str = "a.conf") -> list[str]:
    """All texts of the first section after resolving, with `@` in front of what `place` answered."""
    section = resolve(document(text, name).sections[0], "/cwd", "/conf", lambda wanted: "@" + wanted.written)
    return [text for entry in section.entries for text in texts(entry)]


def texts(entry: Entry) -> list[str]:
    def of(node: Node) -> list[str]:
        match node:
            case Scalar(text=text):
                return [text]
            case Sequence(items=items):
                return [text for item in items for text in of(item)]
            case Group(entries=entries):
                return [text for inner in entries for text in of(inner.value)]

    return of(entry.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[SERVICE]\n  Parsers_File x\n", "parsers_file"),
        ("[SERVICE]\n  plugins_file x\n", "plugins_file"),
        ("[SERVICE]\n  streams_file x\n", "streams_file"),
        ("[FILTER]\n  name lua\n  Script x\n", "lua_script"),
        ("[OUTPUT]\n  name forward\n  upstream x\n", "upstream_file"),
        ("[OUTPUT]\n  name es\n  upstream x\n", "upstream_file"),
    ],
)
def test_text_of_the_pipeline_is_sought_in_the_working_directory_then_beside_the_main_file(
    text: str, kind: str
) -> None:
    line = text.count("\n")

    assert wanted(document(text), "/cwd", "/conf") == (Wanted("x", ("/cwd/x", "/conf/x"), True, kind, line),)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[OUTPUT]\n  name http\n  tls.ca_file x\n", "tls"),
        ("[INPUT]\n  name tcp\n  tls.key_file x\n", "tls"),
        ("[FILTER]\n  name geoip2\n  database x\n", "lookup"),
        ("[FILTER]\n  name kubernetes\n  kube_ca_file x\n", "tls"),
        ("[FILTER]\n  name kubernetes\n  kube_token_file x\n", "rotating_token"),
        ("[OUTPUT]\n  name kafka\n  rdkafka.ssl.ca.location x\n", "credentials"),
        ("[UPSTREAM]\n  name u\n[NODE]\n  tls.crt_file x\n", "tls"),
        ("@SET A=file://x\n", "env_file"),
    ],
)
def test_secrets_and_look_up_files_stay_where_they_are(text: str, kind: str) -> None:
    line = text.count("\n")

    assert wanted(document(text), "/cwd", "/conf") == (Wanted("x", ("/cwd/x",), False, kind, line),)


def test_an_absolute_path_has_one_candidate() -> None:
    found = wanted(document("[SERVICE]\n  parsers_file /etc/p.conf\n"), "/cwd", "/conf")

    assert [want.candidates for want in found] == [("/etc/p.conf",)]


def test_repeated_files_are_wanted_each_and_the_same_one_once() -> None:
    text = "[SERVICE]\n  parsers_file a\n  parsers_file b\n  parsers_file a\n"

    assert [want.written for want in wanted(document(text), "/cwd", "/conf")] == ["a", "b"]


def test_a_list_has_a_file_in_each_item() -> None:
    text = "pipeline: {filters: [{name: lua, script: [a, b]}]}"

    assert [want.written for want in wanted(document(text, "a.yaml"), "/cwd", "/conf")] == ["a", "b"]


def test_processors_have_the_paths_of_their_filters() -> None:
    text = "pipeline: {inputs: [{name: tail, processors: {logs: [{name: lua, script: a.lua}, {name: x, script: b}]}}]}"

    assert placed(text, "a.yaml") == ["tail", "lua", "@a.lua", "x", "b"]


def test_variables_from_files_are_rewritten_behind_their_scheme() -> None:
    yaml = "env: [{name: A, uri: 'file://s/a'}, {name: B, value: 'file:///b'}, {name: C, value: 'http://c'}]"

    assert placed(yaml, "a.yaml")[1:] == ["file://@s/a", "file://@/b", "http://c"]


def test_what_is_written_to_becomes_absolute() -> None:
    assert placed("[SERVICE]\n  log_file l\n  storage.path s\n  flush 1\n") == ["/cwd/l", "/cwd/s", "1"]
    assert placed("[INPUT]\n  name tail\n  db d\n") == ["tail", "/cwd/d"]
    assert placed("[OUTPUT]\n  name file\n  path p\n  file f\n") == ["file", "/cwd/p", "f"]
    assert placed("[OUTPUT]\n  name file\n  file f\n") == ["file", "/cwd/f"]


@pytest.mark.parametrize(
    "text",
    [
        "[INPUT]\n  name tail\n  path logs/*.log, more/*\n",
        "[INPUT]\n  name head\n  file f\n",
        "[INPUT]\n  name syslog\n  path s.sock\n",
        "[SERVICE]\n  parsers_file ${DIR}/p.conf\n",
        "[INPUT]\n  name tail\n  db ${DIR}/d\n",
        "[INPUT]\n  name tail\n  db :memory:\n",
        "[OUTPUT]\n  name file\n  path $dir\n",
        "[OUTPUT]\n  name es\n  path prefix\n",
        "[OUTPUT]\n  name http\n  script x\n",
        "@SET A=file.txt\n",
        "@SET A=file://\n",
    ],
)
def test_some_paths_keep_their_spelling(text: str) -> None:
    original = [text for entry in document(text).sections[0].entries for text in texts(entry)]

    assert placed(text) == original


def test_a_file_beside_the_main_file_is_found_through_variables_when_their_values_are_told() -> None:
    section = document("[SERVICE]\n  parsers_file ${P}.conf\n  parsers_file ${Q}\n").sections[0]

    def expand(text: str) -> str | None:
        return "p.conf" if text == "${P}.conf" else None

    resolved = resolve(section, "/cwd", "/conf", lambda want: want.candidates[-1], expand)

    assert [texts(entry) for entry in resolved.entries] == [["/conf/p.conf"], ["${Q}"]]


def test_a_shared_object_without_a_directory_is_left_to_the_dynamic_linker() -> None:
    assert placed("plugins: [flb-x.so, ./flb-y.so]", "a.yaml") == ["flb-x.so", "@./flb-y.so"]


def test_names_are_compared_without_case_and_an_address_names_its_plugin() -> None:
    assert placed("[OUTPUT]\n  Name Forward://1.2.3.4\n  Upstream u\n")[1] == "@u"


def test_only_the_first_name_counts() -> None:
    assert placed("[FILTER]\n  name grep\n  name lua\n  script s\n")[-1] == "s"


def test_resolving_keeps_lines_and_everything_else() -> None:
    section = document("[SERVICE]\n  flush 1\n  log_file /l\n").sections[0]

    assert resolve(section, "/cwd", "/conf", lambda want: want.written) == section


@pytest.mark.parametrize(
    ("text", "directories"),
    [
        ("[SERVICE]\n  log_file l/x.log\n  storage.path s\n", ("/cwd/s",)),
        ("[INPUT]\n  name tail\n  db /var/d/x.db\n", ("/var/d",)),
        ("[OUTPUT]\n  name s3\n  store_dir b\n", ("/cwd/b",)),
        ("[OUTPUT]\n  name file\n  path p\n  file f\n", ("/cwd/p",)),
        ("[OUTPUT]\n  name file\n  file f\n", ("/cwd",)),
        ("[OUTPUT]\n  name file\n  path logs/$app\n", ()),
        ("[OUTPUT]\n  name file\n  path logs/%Y\n", ()),
        ("[INPUT]\n  name tail\n  db ${D}/x\n", ()),
        ("[INPUT]\n  name tail\n  path /var/log/*\n", ()),
    ],
)
def test_directories_that_fluent_bit_writes_to(text: str, directories: tuple[str, ...]) -> None:
    assert writable_directories(document(text).sections[0], "/cwd") == directories


def test_keys_of_the_table_are_spelled_as_they_are_compared() -> None:
    assert all(plugin == plugin.lower() and key == key.lower() for _, plugin, key in TABLE)
    assert {rule.kind for rule in TABLE.values() if rule.use is Use.REREAD} == REREAD_KINDS
