"""What does the settings file grant to tenants, and is it something that can be granted?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from supervisor.settings import values
from supervisor.settings.document import Leaf, Listing, Table, Value, kind_of
from supervisor.settings.grants import PREFIX, Grants, Limits, Policy, Subscription, named
from supervisor.settings.values import did_you_mean, shown

Complain = Callable[[str, int, str], None]  # path of the key, line, what is wrong

_KEYS = ("plugins", "paths", "ports", "subscribe", "network", "platform_outputs", "limits")
_SIZES = ("snippet", "value", "buffer")
_TENANT = re.compile(r"(?<![*?])\{tenant\}(?![*?A-Za-z0-9-])")  # names have letters, digits and hyphens
_PLUGIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MATCH = re.compile(r"[A-Za-z0-9_.*{}-]{1,200}")
_KEY = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*(\['[A-Za-z0-9_./-]{1,64}'\]){0,8}")
_NETWORK = re.compile(
    r"(\*\.)?[A-Za-z0-9._{}-]+(/\d{1,2})?(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?|[0-9A-Fa-f:.]+(/\d{1,3})?"
)


@dataclass(frozen=True, slots=True)
class _At:
    """A value, the path of its key, and where complaints about it go."""

    path: str
    line: int
    value: Value
    complain: Complain

    def wrong(self, expected: str, hint: str = "") -> None:
        found = shown(self.value.text) if isinstance(self.value, Leaf) and self.value.text else kind_of(self.value)
        self.complain(self.path, self.line, f"found {found}, expected {expected}{'; ' if hint else ''}{hint}")

    def inner(self, key: str, line: int, value: Value) -> _At:
        return _At(f"{self.path}.{key}", line, value, self.complain)

    def items(self, expected: str) -> Iterator[_At]:
        """The items of a list; complains when it is none."""
        if isinstance(self.value, Leaf) and self.value.empty:
            return
        if not isinstance(self.value, Listing):
            self.wrong(expected)
            return
        for number, item in enumerate(self.value.items):
            yield _At(f"{self.path}[{number}]", item.line, item, self.complain)

    def entries(self, known: tuple[str, ...], expected: str) -> Iterator[tuple[str, _At]]:
        """The entries of a mapping; complains of unknown keys, and when it is none."""
        if isinstance(self.value, Leaf) and self.value.empty:
            return
        if not isinstance(self.value, Table):
            self.wrong(expected)
            return
        for key, (line, value) in self.value.entries.items():
            if key in known:
                yield key, self.inner(key, line, value)
            else:
                hint = did_you_mean(key, known) or f"known are {', '.join(known)}"
                self.complain(f"{self.path}.{key}", line, f"no such grant; {hint}")


def read_policy(policy: Value | None, tenants: Value | None, complain: Complain) -> Policy:
    """Who is granted what. What cannot be granted is told to `complain`, and left out."""
    everybody = None
    if policy is not None and not (isinstance(policy, Leaf) and policy.empty):
        everybody = _grants(_At("policy", policy.line, policy, complain), Grants(), replaces=True)
    by_name: dict[str, Grants] = {}
    if tenants is not None and not (isinstance(tenants, Leaf) and tenants.empty):
        if not isinstance(tenants, Table):
            _At("tenants", tenants.line, tenants, complain).wrong("a mapping such as `tenants: {shop: {paths: [...]}}`")
            return Policy(everybody)
        for name, (line, value) in tenants.entries.items():
            if not values.is_label(name) or name == "platform":
                expected = "a tenant's name: lower-case letters, digits and hyphens, at most 63; 'platform' is reserved"
                complain("tenants", line, f"found {shown(name)}, expected {expected}")
                continue
            own = _grants(_At(f"tenants.{name}", line, value, complain), everybody or Grants(), replaces=False)
            by_name[name] = named(own, name)
    return Policy(everybody, by_name)


def _grants(at: _At, start: Grants, *, replaces: bool) -> Grants:
    """The grants of a mapping. Lists add to those of `start`; the policy's own plugins replace the built-in ones."""
    made = start
    for key, each in at.entries(_KEYS, "a mapping with what is granted"):
        match key:
            case "plugins":
                made = _plugins(each, made, replaces)
            case "paths":
                made = replace(made, paths=(*made.paths, *_paths(each)))
            case "ports":
                made = replace(made, ports=made.ports | frozenset(_ports(each)))
            case "subscribe":
                made = replace(made, subscribe=(*made.subscribe, *_subscriptions(each)))
            case "network":
                made = replace(made, network=(*made.network, *_network(each)))
            case "platform_outputs":
                made = replace(made, platform_outputs=bool(_single(each, values.BOOLEAN, False)))
            case _:
                made = replace(made, limits=_limits(each, made.limits))
    return made


def _plugins(at: _At, start: Grants, replaces: bool) -> Grants:
    made = start
    for kind, each in at.entries(("inputs", "filters", "outputs"), "a mapping such as `{outputs: [http]}`"):
        listed: set[str] = set()
        for item in each.items("a list of plugins such as [http, es]"):
            if isinstance(item.value, Leaf) and _PLUGIN.fullmatch(item.value.text):
                listed.add(item.value.text)
            else:
                item.wrong("the name of a plugin, in lower case")
        whole = frozenset(listed) if replaces else getattr(start, kind) | listed
        named_so: dict[str, Any] = {kind: whole}
        made = replace(made, **named_so)
    return made


def _paths(at: _At) -> Iterator[str]:
    for item in at.items("a list of paths such as [/var/log/shop/*.log]"):
        text = item.value.text if isinstance(item.value, Leaf) else ""
        parts = text.split("/")[1:]
        sound = text.startswith("/") and text.isprintable() and all(parts) and not {".", ".."} & set(parts)
        sound = sound and _names_one_tenant(text) and not set(text) & set("[]\\~")
        if sound and all("**" not in part or part == "**" for part in parts):
            yield text
        else:
            item.wrong("an absolute path; * and ? stay within one directory, ** alone spans any number of them")


def _ports(at: _At) -> Iterator[int]:
    for item in at.items("a list of ports such as [9880]"):
        port = _single(item, values.PORT, None)
        if isinstance(port, int):
            yield port


def _subscriptions(at: _At) -> Iterator[Subscription]:
    for item in at.items('a list such as [{match: "kube.*", namespaces: [shop]}]'):
        match, namespaces, key, problems = "", [], Subscription("").key, False
        for name, each in item.entries(("match", "namespaces", "key"), 'a mapping such as {match: "kube.*"}'):
            text = each.value.text if isinstance(each.value, Leaf) else ""
            if name == "match":
                match = text
            elif name == "namespaces":
                listed = list(each.items("a list of namespaces such as [shop]"))
                if not listed:  # what was meant to be some must not become all
                    problems = True
                    each.wrong("at least one namespace; leave `namespaces` away to grant all that match")
                for namespace in listed:
                    word = namespace.value.text if isinstance(namespace.value, Leaf) else ""
                    if values.is_label(word.replace("{tenant}", "x")):
                        namespaces.append(word)
                    else:
                        problems = True
                        namespace.wrong("the name of a namespace: lower-case letters, digits and hyphens")
            elif _KEY.fullmatch(text):
                key = text
            else:
                problems = True
                each.wrong("a record accessor such as $kubernetes['namespace_name']")
        if not _MATCH.fullmatch(match) or not _names_one_tenant(match) or _reaches_tenants(match):
            reason = "one that can match what tenants send would give them each other's records"
            item.complain(item.path, item.line, f"found {shown(match)} as match, expected a tag pattern; {reason}")
        elif not problems:
            yield Subscription(match, tuple(namespaces), key)


def _names_one_tenant(text: str) -> bool:
    """Whether `{tenant}` is all that stands in braces, and no wildcard follows that would take longer names, too."""
    rest = _TENANT.sub("", text)
    return not set(rest) & set("{}")


def _reaches_tenants(match: str) -> bool:
    """Whatever name is put in for `{tenant}`."""
    start, star, _ = match.replace("{tenant}", "*").partition("*")
    return start.startswith(PREFIX) or (bool(star) and PREFIX.startswith(start))


def _network(at: _At) -> Iterator[str]:
    for _, each in at.entries(("allow",), "a mapping such as {allow: [10.0.0.5:9200]}"):
        for item in each.items("a list such as [10.0.0.5:9200, 10.1.0.0/16, *.example.com]"):
            text = item.value.text if isinstance(item.value, Leaf) else ""
            if _NETWORK.fullmatch(text):
                yield text
            else:
                item.wrong("HOST, HOST:PORT, an address range such as 10.1.0.0/16, or *.DOMAIN")


def _limits(at: _At, start: Limits) -> Limits:
    made = start
    known = tuple(each.name for each in fields(Limits))
    for name, each in at.entries(known, "a mapping such as {snippet: 64KiB, sections: 50}"):
        kind = values.BUFFER if name == "buffer" else values.SIZE if name in _SIZES else values.COUNT
        read: dict[str, Any] = {name: _single(each, kind, getattr(start, name))}
        made = replace(made, **read)
    return made


def _single(at: _At, kind: values.Kind, otherwise: object) -> object:
    if not isinstance(at.value, Leaf) or at.value.empty:
        at.wrong(kind.expected)
        return otherwise
    try:
        return kind.read(at.value.text)
    except ValueError as error:
        at.wrong(kind.expected, str(error))
        return otherwise
