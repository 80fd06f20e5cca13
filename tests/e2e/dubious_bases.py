"""Which configs does stock Fluent Bit run although one may doubt them?

Each was tried on 5.1.1. `@PORT@` stands for a free port.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INPUT = b"""\
[INPUT]
    name dummy
    tag a
    samples 3
    rate 20
    dummy {"message":"hello"}
"""
OUTPUT = b"""\
[OUTPUT]
    name stdout
    match *
    format json_lines
"""
SERVICE = b"""\
[SERVICE]
    flush 0.2
"""
CLASSIC = SERVICE + INPUT + OUTPUT
YAML_INPUT = b"""\
pipeline:
  inputs:
    - name: dummy
      tag: a
      samples: 3
      rate: 20
      dummy: '{"message":"hello"}'
"""
YAML_OUTPUT = b"""\
  outputs:
    - name: stdout
      match: '*'
      format: json_lines
"""
YAML_SERVICE = b"service:\n  flush: 0.2\n"
YAML = YAML_SERVICE + YAML_INPUT + YAML_OUTPUT
JSON = (
    b'{"service": {"flush": 0.2}, "pipeline": {"inputs": [{"name": "dummy", "samples": 3, "rate": 20}],'
    b' "outputs": [{"name": "stdout", "match": "*", "format": "json_lines"}]}}\n'
)
TO_FILE = b"[OUTPUT]\n    name file\n    match *\n    format plain\n"
TAIL = b"[INPUT]\n    name tail\n    path in/*.log\n    tag t.*\n    read_from_head on\n"
LUA = b"[FILTER]\n    name lua\n    match *\n    call f\n"
LUA_CODE = b"function f(tag, time, record) record['tag'] = tag return 2, time, record end\n"
STREAM = b"[STREAM_TASK]\n    name t\n    exec CREATE STREAM s WITH (tag='s') AS SELECT message FROM TAG:'a';\n"


def parser(name: str) -> bytes:
    return f"[PARSER]\n    name {name}\n    format json\n".encode()


def parsing(name: str) -> bytes:
    return f"[FILTER]\n    name parser\n    match *\n    key_name message\n    parser {name}\n".encode()


def adding(text: str, match: str = "*") -> bytes:
    return f"[FILTER]\n    name record_modifier\n    match {match}\n    record {text}\n".encode()


def service(*lines: str, yaml: bool = False) -> bytes:
    return (YAML_SERVICE if yaml else SERVICE) + "".join(f"  {'' if yaml else '  '}{line}\n" for line in lines).encode()


@dataclass(frozen=True)
class Base:
    files: Mapping[str, bytes]
    main: str = "main.conf"
    records: int = 3
    environment: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()  # rules of the warnings that we must give


def one(content: bytes, *said: str, records: int = 3, **environment: str) -> Base:
    return Base({"main.conf": content}, "main.conf", records, environment, said)


def yaml(content: bytes, *said: str, main: str = "main.yaml") -> Base:
    return Base({main: content}, main, said=said)


BASES: dict[str, Base] = {
    "unknown-section": one(CLASSIC + b"[OUTPT]\n    name nosuch\n", "unknown-section"),
    "blanks-in-a-title": one(CLASSIC + b"[ INPUT ]\n    name nosuch\n", "unknown-section"),
    "unknown-service-key": one(service("nosuch_key 5", "http_sever on") + INPUT + OUTPUT, "unknown-service-key"),
    "unset-variable": one(CLASSIC.replace(b"hello", b"hello ${NO_SUCH}"), "unset-variable"),
    "default-of-a-variable": one(CLASSIC.replace(b"hello", b"hello ${NO_SUCH:-word}")),
    "second-output-without-match": one(CLASSIC + b"[OUTPUT]\n    name null\n", "output-without-match"),
    "lone-pair-without-match": one(CLASSIC.replace(b"    match *\n", b"")),
    "duplicate-alias": one(
        CLASSIC + b"    alias same\n[OUTPUT]\n    name null\n    match *\n    alias same\n", "duplicate-alias"
    ),
    "missing-tail-path": one(CLASSIC + b"[INPUT]\n    name tail\n    path /no/such/directory/*.log\n"),
    "bad-retry-limit": one(CLASSIC + b"    retry_limit banana\n", "bad-retry-limit"),
    "bad-workers": one(CLASSIC + b"    workers abc\n", "bad-integer"),
    "bad-match-regex": one(CLASSIC + b"[OUTPUT]\n    name null\n    match_regex (\n", "bad-match-regex"),
    "unreachable-output": one(CLASSIC + b"[OUTPUT]\n    name tcp\n    match *\n    host 127.0.0.1\n    port 1\n"),
    "no-output": one(SERVICE + INPUT, "no-output", records=0),
    "no-input": one(SERVICE + OUTPUT, records=0),
    "only-a-server": one(service("http_server on", "http_port @PORT@"), records=0),
    "prefixes-as-titles": one(
        CLASSIC.replace(b"SERVICE", b"S").replace(b"INPUT", b"i").replace(b"OUTPUT", b"Outp"),
    ),
    "odd-casing": one(CLASSIC.replace(b"INPUT", b"iNpUt").replace(b"name d", b"NAME D").replace(b"match", b"Match")),
    "several-services": one(
        b"[SERVICE]\n    flush 60\n    log_level error\n" + CLASSIC + b"[SERVICE]\n    log_level info\n"
    ),
    "two-parsers-files": Base(
        {
            "main.conf": service("parsers_file p1.conf", "parsers_file p2.conf")
            + (INPUT + parsing("one") + parsing("two") + OUTPUT),
            "p1.conf": parser("one"),
            "p2.conf": parser("two") + b"[NOSUCH]\n    a b\n",
        }
    ),
    "files-beside-the-main-file": Base(
        {
            "conf/main.conf": service("parsers_file p.conf")
            + INPUT
            + parsing("one")
            + LUA
            + b"    script f.lua\n"
            + OUTPUT,
            "conf/p.conf": parser("one"),
            "conf/f.lua": LUA_CODE,
        },
        "conf/main.conf",
    ),
    "set-and-includes": Base(
        {
            "conf/main.conf": b"@SET WORD=hello\n@INCLUDE in.conf\n" + SERVICE + b"@INCLUDE out/*.conf\n",
            "conf/in.conf": b"[INPUT]\n    name lib\n",
            "in.conf": INPUT.replace(b"hello", b"${WORD}"),  # the working directory comes before the main file's
            "conf/out/o.conf": OUTPUT,
        },
        "conf/main.conf",
    ),
    "indented-include": one(service("@INCLUDE nothing.conf") + INPUT + OUTPUT, "unknown-service-key"),
    "variable-from-a-file": Base(
        {"main.conf": b"@SET WORD=file://word\n" + CLASSIC.replace(b"hello", b"${WORD}"), "word": b"hello\n"}
    ),
    "variable-of-the-environment": one(CLASSIC.replace(b"hello", b"${MY_VALUE}"), MY_VALUE="from the environment"),
    "log-level-of-nobody": one(CLASSIC, FLB_LOG_LEVEL="nonsense"),
    "log-level-of-the-environment": one(CLASSIC, FLB_LOG_LEVEL="debug"),
    "port-in-a-variable": one(
        service("http_server on", "http_listen 127.0.0.1", "http_port ${MY_PORT:-@PORT@}") + INPUT + OUTPUT
    ),
    "port-by-set": one(
        b"@SET P=@PORT@\n" + service("http_server on", "http_port ${P}", "health_check on") + INPUT + OUTPUT
    ),
    "bad-port-and-no-server": one(service("http_server off", "http_port banana") + INPUT + OUTPUT, "bad-http-port"),
    "server-maybe": one(service("http_server maybe", "http_port @PORT@") + INPUT + OUTPUT),
    "ipv6-server": one(service("http_server on", "http_listen ::", "http_port @PORT@") + INPUT + OUTPUT),
    "named-address": one(service("http_server on", "http_listen localhost", "http_port @PORT@") + INPUT + OUTPUT),
    "hot-reload-off": one(service("hot_reload off") + INPUT + OUTPUT),
    "bad-grace": one(service("grace abc", "health_check maybe", "flush 0.2s") + INPUT + OUTPUT, "bad-service-value"),
    "trailing-comment": one(
        CLASSIC.replace(b"tag a", b"tag a # x") + adding("seen yes # really", "a # x"), "trailing-comment"
    ),
    "crlf": one(CLASSIC.replace(b"\n", b"\r\n")),
    "nul-in-a-comment": one(b"# \0\n[PARSER]\n" + CLASSIC, "nul-byte"),
    "latin-1-in-a-comment": one(b"# caf\xe9\n" + CLASSIC, "invalid-utf8"),
    "latin-1-in-a-tag": one(CLASSIC.replace(b"tag a", b"tag caf\xe9"), "invalid-utf8"),
    "no-line-end": one(CLASSIC.rstrip(b"\n")),
    "tabs-as-indent": one(CLASSIC.replace(b"    ", b"\t")),
    "no-extension": Base({"main": CLASSIC}, "main"),
    "duplicate-keys": one(CLASSIC.replace(b"tag a", b"tag x\n    tag a") + b"    name null\n", "repeated-property"),
    "relative-tail-and-db": Base(
        {"main.conf": SERVICE + TAIL + b"    db pos.db\n    parser nosuch\n" + LUA + b"    code " + LUA_CODE + OUTPUT}
        | {"in/a.log": b"hello\n"},
        records=1,
        said=("unknown-parser",),
    ),
    "relative-storage": one(service("storage.path buffers") + INPUT + b"    storage.type filesystem\n" + OUTPUT),
    "relative-log-file": one(service("log_file fluent.log") + INPUT + OUTPUT),
    "relative-file-outputs": one(CLASSIC + TO_FILE + TO_FILE + b"    path .\n    file x\n" + TO_FILE + b"    file y\n"),
    "file-output-that-makes-its-directory": one(CLASSIC + TO_FILE + b"    path made/below\n    mkdir on\n"),
    "empty-plugins-file": Base(
        {"main.conf": service("plugins_file p.conf") + INPUT + OUTPUT, "p.conf": b"[PLUGINS]\n    # Path /x.so\n"}
    ),
    "streams-file": Base({"main.conf": service("streams_file s.conf") + INPUT + OUTPUT, "s.conf": STREAM}, records=6),
    "broken-streams-file": Base(
        {
            "main.conf": service("streams_file s.conf") + INPUT + OUTPUT,
            "s.conf": STREAM.replace(b"SELECT", b"NONSENSE"),
        },
        said=("start-complaint",),
    ),
    "missing-streams-file": Base(
        {"main.conf": service("streams_file s.conf", "streams_file nosuch.conf") + INPUT + OUTPUT, "s.conf": STREAM},
        said=("file-not-used",),
    ),
    "upstream-file": Base(
        {
            "main.conf": CLASSIC + b"[OUTPUT]\n    name forward\n    match *\n    upstream up.conf\n",
            "up.conf": b"[UPSTREAM]\n    name u\n[NODE]\n    name n\n    host 127.0.0.1\n    port 1\n",
        }
    ),
    "json-as-yaml": yaml(JSON),
    "yaml-bom": yaml(b"\xef\xbb\xbf" + YAML),
    "yaml-crlf-and-marks": yaml((b"# c\n---\n" + YAML + b"...\n").replace(b"\n", b"\r\n"), main="main.YML"),
    "yaml-utf-16": yaml(YAML.decode().encode("utf-16")),
    "yaml-unknown-section": yaml(YAML + b"nosuch:\n  a: b\n", "unknown-section"),
    "yaml-two-documents": yaml(YAML_SERVICE + YAML_INPUT + b"---\npipeline:\n" + YAML_OUTPUT),
    "yaml-includes": Base(
        {
            "main.yaml": YAML_SERVICE + b"includes:\n  - sub/*.yaml\n  - none/*.yaml\n" + YAML_INPUT,
            "sub/o.yaml": b"pipeline:\n" + YAML_OUTPUT,
        },
        "main.yaml",
    ),
    "yaml-booleans": yaml(
        service("http_server: true", "http_port: @PORT@", "daemon: no", yaml=True) + YAML_INPUT + YAML_OUTPUT
    ),
    "yaml-env-and-classic-parsers": Base(
        {
            "main.yaml": b"env:\n  WORD: hello\n"
            + service("parsers_file: p.conf", yaml=True)
            + (YAML_INPUT + YAML_OUTPUT).replace(b"hello", b"${WORD}"),
            "p.conf": parser("one"),
        },
        "main.yaml",
    ),
}
