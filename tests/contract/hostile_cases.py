"""What do hostile tenants write, and between whom?

`tests/corpus/hostile/THEME/NAME.{conf,yaml}`, with an `expected.yaml` for each theme: the rule that must refuse the
text, and the line. What is in the theme `tamed` is let through, and must be harmless all the same. Every text holds the
word MARKER, for which each run puts in a word of its own: wherever that turns up, something of the text has come.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from supervisor.settings import Settings, resolve

CORPUS = Path(__file__).parent.parent / "corpus" / "hostile"
PLACE = b"MARKER"


@dataclass(frozen=True)
class Case:
    theme: str
    name: str
    suffix: str  # conf | yaml
    rule: str | None  # None: let through
    line: int | None
    tenant: str
    content: bytes  # with PLACE in it
    beside: frozenset[str] = frozenset()  # what else is said of it, of the very same fault

    @property
    def id(self) -> str:
        return f"{self.theme}/{self.name}.{self.suffix}"

    @property
    def file(self) -> str:
        return f"{self.theme}--{self.name}.{self.suffix}"

    @property
    def snippet(self) -> str:
        return f"tenants/{self.tenant}/{self.file}"


@cache
def corpus() -> tuple[Case, ...]:
    return tuple(case for theme in sorted(CORPUS.iterdir()) if theme.is_dir() for case in _theme(theme))


def attacks() -> tuple[Case, ...]:
    return tuple(case for case in corpus() if case.rule is not None)


def accepted() -> tuple[Case, ...]:
    return tuple(case for case in corpus() if case.rule is None)


def _theme(folder: Path) -> list[Case]:
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    cases = []
    for path in sorted(folder.glob("*.[cy]*")):
        suffix = path.suffix[1:]
        if path.name == "expected.yaml":
            continue
        said = expected[path.stem]
        rule = said["rule"][suffix] if isinstance(said["rule"], dict) else said["rule"]
        line = said.get("line", {}).get(suffix)
        default = "malvolio" if rule is None and suffix == "conf" else "mallory"  # else the two would be in conflict
        tenant, beside = said.get("tenant", default), frozenset(said.get("beside", ()))
        cases.append(Case(folder.name, path.stem, suffix, rule, line, tenant, path.read_bytes(), beside))
    return cases


# --- the neighbours -----------------------------------------------------------------------------------------------

PLATFORM = """\
pipeline:
  inputs:
    - {name: tail, tag: audit, path: /var/log/audit/a.log, alias: platform-audit-in}
    - {name: dummy, tag: kube.x, alias: platform-in, dummy: '{"log":"MARKER","kubernetes":{"namespace_name":"shop"}}'}
  filters:
    - {name: record_modifier, match: 'kube.*', alias: platform-filter, record: cluster MARKER}
  outputs:
    - {name: 'null', match: '*', alias: platform-out}
    - {name: http, match: audit, alias: platform-audit, host: audit.example.com, header: 'Token ${SINK_PASSWORD}'}
parsers:
  - {name: platform-json, format: json}
"""
SHOP = """\
[INPUT]
    name   tail
    path   /var/log/shop/a.log
    tag    app
    parser own
[FILTER]
    name   record_modifier
    match  *
    record mark MARKER
[OUTPUT]
    name        http
    match       app
    host        sink.example.com
    http_user   shop
    http_passwd ${TOKEN}
[OUTPUT]
    name  null
    match kube.*
[PARSER]
    name   own
    format json
"""
BANK = """\
pipeline:
  inputs:
    - {name: tail, path: '/var/log/bank/*.log', tag: app}
  filters:
    - {name: record_modifier, match: '*', record: mark MARKER}
  outputs:
    - {name: http, match: '*', host: sink.example.com, header: 'Authorization Bearer ${TOKEN}', alias: out}
"""
OWN = """\
pipeline:
  inputs:
    - {name: tail, path: '/var/log/mallory/*.log', tag: a}
    - {name: tail, path: '/var/log/mallory/*.log', tag: access}
    - {name: tail, path: '/var/log/mallory/*.log', tag: debug.log}
    - {name: tail, path: '/var/log/mallory/*.log', tag: systemd.log}
    - {name: tail, path: '/var/log/mallory/*.log', tag: tenant-log}
    - {name: tail, path: '/var/log/mallory/*.log', tag: app.web.error}
    - {name: tail, path: '/var/log/mallory/*.log', tag: k.kube.x}
  filters:
    - {name: record_modifier, match: a, record: mark MARKER}
  outputs:
    - {name: 'null', match: '*', alias: own}
"""
HONEST = {
    "platform.d/p.yaml": PLATFORM,
    "tenants.d/shop/shop.conf": SHOP,
    "tenants.d/bank/bank.yaml": BANK,
    **{f"tenants.d/{tenant}/own.yaml": OWN for tenant in ("mallory", "malvolio", "trudy")},
}
"""Everybody's good files: those of whoever attacks, too."""
SECRETS = {
    "platform/SINK_PASSWORD": "platform-canary-5f21",
    "shop/TOKEN": "shop-canary-77aa",
    "bank/TOKEN": "bank-canary-9c03",
    "mallory/OWN": "mallory-canary-12de",
    "malvolio/OWN": "malvolio-canary-40bb",
}
_GRANTS = {"limits": {"snippets": 2000, "total": 1_000_000, "changes": 5000}}
SETTINGS = {
    "policy": {"plugins": {"inputs": ["tail", "dummy"]}, "paths": ["/var/log/{tenant}/*.log"]},
    "tenants": {
        "shop": {"subscribe": [{"match": "kube.*", "namespaces": ["shop"]}]},
        "bank": {},
        "mallory": {"subscribe": [{"match": "kube.*", "namespaces": ["mallory"]}], **_GRANTS},
        "malvolio": {
            "paths": ["/var/log/mallory/*.log"],
            "subscribe": [{"match": "kube.*", "namespaces": ["mallory"]}],
            **_GRANTS,
        },
        "trudy": {
            "paths": ["/var/log/mallory/*.log"],
            "plugins": {
                "inputs": ["tcp", "forward", "http", "opentelemetry"],
                "filters": ["rewrite_tag", "lua"],
                "outputs": ["file"],
            },
            "ports": [24225],
            "subscribe": [{"match": "kube.*", "namespaces": ["trudy"]}],
            **_GRANTS,
        },
    },
}


class Field:
    """A directory with a platform, two honest tenants, and whoever attacks them."""

    def __init__(self, root: Path, http_port: int = 2020) -> None:
        self.root, self.http_port = root, http_port
        self.markers: dict[str, bytes] = {}  # file below the root → what is looked for
        for name, value in SECRETS.items():
            self._write(f"secrets/{name}", value.encode())
        for name, text in HONEST.items():
            self.put(name, text.encode())
        (root / "settings.yaml").write_text(json.dumps(self.settings_text(), indent=1))

    def put(self, name: str, content: bytes) -> None:
        marker = f"mark{secrets.token_hex(8)}".encode()
        assert PLACE in content, name
        self.markers[name] = marker
        self._write(name, content.replace(PLACE, marker))

    def attack(self, cases: Sequence[Case]) -> None:
        for case in cases:
            self.put(f"tenants.d/{case.tenant}/{case.file}", case.content)

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def settings_text(self) -> Mapping[str, object]:
        root = self.root
        return {
            "layers": [
                {"name": "platform", "directory": str(root / "platform.d"), "trust": "platform"},
                {"name": "tenants", "directory": str(root / "tenants.d"), "trust": "tenant"},
            ],
            "secrets": {"directory": str(root / "secrets")},
            "buffers": {"directory": str(root / "buffers")},
            "fluent_bit": {"http_port": self.http_port},
            **SETTINGS,
        }

    def settings(self, binary: str = "") -> Settings:
        text = (self.root / "settings.yaml").read_text()
        flags = {"fluent_bit.binary": binary} if binary else {}
        return resolve(flags, {}, text, "settings.yaml", str(self.root)).settings

    def marked(self, *below: str) -> Mapping[str, bytes]:
        return {name: marker for name, marker in self.markers.items() if name.startswith(below)}


# --- what a process was given -------------------------------------------------------------------------------------

_RECORDER = """\
#!/bin/sh
# Keeps a copy of all that Fluent Bit is given, and becomes Fluent Bit.
into=$(mktemp -d '{into}/start.XXXXXX') || exit 97
printf '%s\\n' "$@" > "$into/argv" || exit 97
tr '\\0' '\\n' < /proc/self/environ > "$into/environ" || exit 97
before=
for word in "$@"; do
    case "$before" in -c|--config) cp -rL "$(dirname "$word")" "$into/config" || exit 97 ;; esac
    before=$word
done
exec '{binary}' "$@"
"""


class Recorder:
    """A program that is Fluent Bit, and remembers what it was given."""

    def __init__(self, directory: Path, binary: str) -> None:
        self.starts = directory / "starts"
        self.starts.mkdir(parents=True)
        self.starts.chmod(0o1777)  # a rehearsal may run as somebody else
        self.program = directory / "fluent-bit"
        self.program.write_text(_RECORDER.format(into=self.starts, binary=binary))
        self.program.chmod(0o755)

    def given(self) -> list[tuple[Path, bytes]]:
        """Every file of every start: its path as part of what is looked at, and its content."""
        found = []
        for directory, _, names in os.walk(self.starts):
            for name in names:
                path = Path(directory, name)
                found.append((path, os.fsencode(path) + b"\n" + path.read_bytes()))
        return found

    def with_config(self) -> list[Path]:
        return sorted(path.parent for path in self.starts.glob("*/config"))
