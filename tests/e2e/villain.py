"""What would a tenant write who is careless, or wants to harm the others?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from e2e.ledger import HANGS, RATIONS, REFUSES, Log, no_port_at_all
from e2e.tenants import World, allow

EVIL = """\
pipeline:
  inputs:
    - {{name: tail, tag: app, path: {logs}/evil/*.log, read_from_head: on, refresh_interval: 1, buffer_max_size: 4M}}
    - {{name: dummy, tag: kube.app, rate: 20, dummy: '{{"owner":"evil","n":1}}'}}
{more}
  outputs:
    - {{name: http, match: '*', host: 127.0.0.1, port: {port}, format: json, json_date_key: false{output}}}
"""


class Villain:
    """A tenant who tries everything: what policy lets through and is bad for him, and what it does not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.taking, self.hanging = world.sink(), world.sink(mode=HANGS)
        self.refusing, self.rationing = world.sink(mode=REFUSES), world.sink(mode=RATIONS)
        self.dead = no_port_at_all()
        self.log = Log("evil", world.logs / "evil/app.log", lambda number, text: f"{number} {text}")
        self.log.path.touch()

    @property
    def grants(self) -> dict[str, Any]:
        network = allow(self.taking, self.hanging, self.refusing, self.rationing)
        return {
            "plugins": {"inputs": ["dummy"]},
            "paths": [f"{self.world.logs}/evil/*.log"],
            "network": {"allow": [*network["allow"], f"127.0.0.1:{self.dead}"]},
            "subscribe": [{"match": "kube.*", "namespaces": ["evil"]}],
            # or most of what follows would not be tried:
            "limits": {"changes": 1_000_000, "snippets": 2000, "total": 100_000},
        }

    def shouts(self) -> None:
        """One line of a megabyte, which slow expressions are slow with."""
        with self.log.path.open("a") as file:
            file.write("w" + "xyz" * 333_333 + "\n")

    def text(self, *filters: str, port: int | None = None, output: str = "", more: str = "") -> str:
        """`output`: more properties of the first output; `more`: further outputs, or sections of another kind."""
        rows = ["  filters:", *(f"    - {{{each}}}" for each in filters)] if filters else []
        told = f", {output}" if output else ""
        made = EVIL.format(logs=self.world.logs, port=port or self.taking.port, more="\n".join(rows), output=told)
        return made + more

    def permitted(self) -> Iterator[tuple[str, str]]:
        """What every check lets through, by what is bad about it."""
        yield "everything dropped", self.text("name: grep, match: '*', regex: owner nobody")
        ports = (self.hanging.port, self.refusing.port, self.rationing.port)
        yield (
            "back-ends that are dead, never answer, answer 503, and 429",
            self.text(port=self.dead, more="".join(map(self.output, ports))),
        )
        yield (
            "records turned over and over, and names of others",
            self.text(
                "name: parser, match: '*', key_name: log, parser: app",
                "name: nest, match: '*', operation: nest, wildcard: '*', nest_under: all",
                "name: modify, match: '*', remove_wildcard: n, set: owner shop",
                "name: record_modifier, match: '*', record: n 5, uuid_key: owner",
                output=ALIAS,
                more=NAMES,
            ),
        )
        yield (
            "records of the platform's, changed and dropped",
            self.text(
                "name: modify, match: 'kube.*', set: [seen_by evil, log shop]",
                "name: grep, match: 'kube.*', exclude: beat true",
                more=self.output(self.taking.port, "kube.*"),
            ),
        )
        yield (
            "a line that never ends, little let through, and slowly",
            MULTILINE
            + self.text(
                "name: multiline, match: app, multiline.parser: all",
                "name: throttle, match: '*', rate: 1, window: 2, interval: 1s",
                *(f"name: grep, match: '*', exclude: 'log {each}'" for each in SLOW),
            ),
        )
        yield "as many sections as granted", self.many()

    def output(self, port: int, match: str = "*") -> str:
        words = f"name: http, match: '{match}', host: 127.0.0.1, port: {port}, format: json, json_date_key: false"
        return f"    - {{{words}}}\n"

    def many(self) -> str:
        rows = [f"    - {{name: dummy, tag: t{number}, rate: 50}}" for number in range(24)]
        rows += ["  outputs:", *(f"    - {{name: 'null', match: '*', workers: 2, alias: a{n}}}" for n in range(26))]
        return "pipeline:\n  inputs:\n" + "\n".join(rows) + "\n"

    def forbidden(self) -> Iterator[tuple[str, str]]:
        """What nothing of may run, by the rule that keeps it out."""
        to = f"name: http, host: 127.0.0.1, port: {self.taking.port}"
        other = f"{self.world.logs}/shop/app.log"
        yield "property-not-granted", self.text(more=f"    - {{{to}, match_regex: '.*'}}\n")
        yield "foreign-tag", self.text(more=f"    - {{{to}, match: 'tenant.shop.*'}}\n")
        yield "foreign-tag", self.text("name: grep, match: 'tenant.shop.app', exclude: n .")
        yield "match-missing", self.text(more=f"    - {{{to}}}\n")
        yield "path-not-granted", self.text().replace(f"{self.world.logs}/evil/*.log", other)
        yield "path-not-granted", self.text().replace("evil/*.log", "evil/../shop/*.log")
        yield "plugin-not-granted", self.text("name: rewrite_tag, match: '*', rule: $n . tenant.shop.app false")
        yield "plugin-not-granted", self.text("name: lua, match: '*', call: f, code: 'os.exit(0)'")
        yield "property-not-granted", self.text(output="processors: {logs: [{name: sql, query: 'SELECT 1;'}]}")
        yield "section-not-granted", "service:\n  flush: 60\n" + self.text()
        yield "section-not-granted", "includes:\n  - /etc/passwd\n" + self.text()
        yield "section-not-granted", "env:\n  PASSWORD: mine\n" + self.text()
        yield "address-not-granted", self.text(port=1)
        yield "dangerous-regex", self.text("name: grep, match: '*', regex: 'log ^(a+)+$'")
        yield "secret-unusable", self.text(output="header: 'X ${NOTHING}'")
        yield "syntax", self.text() + "  - ]\n"


MULTILINE = """\
multiline_parsers:
  - name: all
    type: regex
    flush_timeout: 600000
    rules:
      - {state: start_state, regex: '/./', next_state: cont}
      - {state: cont, regex: '/./', next_state: cont}
"""
ALIAS = "alias: tenant.shop.s.yaml.http.2"
NAMES = """\
parsers:
  - {name: app, format: regex, regex: '^(?<owner>.)'}
"""
SLOW = (".*x.*w", "(x|y)*z{3}")
