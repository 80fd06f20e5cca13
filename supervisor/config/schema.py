"""Which plugins and properties does this very binary have?

What `fluent-bit -J` prints, as nouns, together with what the binary takes although `-J` does not list it (read in the
source of 5.1.1: what `flb_input_set_property` and its sisters look at before the plugin's own map). A kind of plugin
that is not in it at all is unknown, not empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from supervisor.model import Kind

LISTS: Mapping[Kind, str] = {
    Kind.INPUT: "inputs",
    Kind.FILTER: "filters",
    Kind.OUTPUT: "outputs",
    Kind.CUSTOM: "customs",
}
"""Under which name a kind of section is listed."""

PROCESSORS = "processors"
_LISTS = (*LISTS.values(), PROCESSORS)

_PREFIXED = "prefixed string"  # the name of such a property is only the beginning of the key
_ANYWHERE = ("active", "condition")  # passed over by every check of 5.1.1
_DEBUG = "_debug.http."  # outputs take these where the binary was built for it, which -J does not tell
_OTHER_NAMES = {("outputs", "elasticsearch"): "es"}  # since 5.1

_TLS = {
    "tls": "boolean",
    "tls.verify": "boolean",
    "tls.verify_hostname": "boolean",
    "tls.debug": "integer",
    "tls.vhost": "string",
    "tls.ca_path": "string",
    "tls.ca_file": "string",
    "tls.crt_file": "string",
    "tls.key_file": "string",
    "tls.key_passwd": "string",
    "tls.min_version": "string",
    "tls.max_version": "string",
    "tls.ciphers": "string",
}
_EVERYWHERE = {"alias": "string", "log_level": "string"}
_MATCHED = {**_EVERYWHERE, "log_suppress_interval": "time", "match": "string", "match_regex": "string"}

_TAKEN: Mapping[str, Mapping[str, str]] = {
    "inputs": {
        **_EVERYWHERE,
        **_TLS,
        "log_suppress_interval": "time",
        "tag": "string",
        "routable": "boolean",
        "mem_buf_limit": "size",
        "listen": "string",
        "host": "string",
        "port": "integer",
        "ipv6": "boolean",
        "tls.verify_client_cert": "boolean",
        "storage.type": "string",
        "storage.pause_on_chunks_overlimit": "boolean",
        "threaded": "boolean",
        "thread.ring_buffer.capacity": "integer",
        "thread.ring_buffer.window": "integer",
    },
    "filters": _MATCHED,
    "outputs": {
        **_MATCHED,
        **_TLS,
        "host": "string",
        "port": "integer",
        "ipv6": "boolean",
        "retry_limit": "string",
        "tls.proxy.verify": "boolean",
        "tls.proxy.verify_hostname": "boolean",
        "tls.proxy.ca_path": "string",
        "tls.proxy.ca_file": "string",
        "storage.total_limit_size": "size",
        "workers": "integer",
    },
    "customs": _EVERYWHERE,
    PROCESSORS: _EVERYWHERE,
}
"""What Fluent Bit itself takes for each plugin of a list; of several the last one wins."""

_OAUTH2_CLIENT = (
    *("enable", "token_url", "client_id", "client_secret", "user_agent", "scope", "audience", "resource"),
    *(
        "auth_method",
        "jwt_key_file",
        "jwt_cert_file",
        "jwt_aud",
        "jwt_header",
        "jwt_ttl_seconds",
        "refresh_skew_seconds",
    ),
    *("refresh_skew_seconds", "timeout", "connect_timeout"),
)
_OAUTH2_SERVER = ("validate", "issuer", "jwks_url", "allowed_audience", "allowed_clients", "jwks_refresh_interval")
_OAUTH2 = {"outputs": _OAUTH2_CLIENT, "inputs": _OAUTH2_SERVER}


@dataclass(frozen=True, slots=True)
class Property:
    name: str  # lower-case
    type: str  # as printed: string, boolean, integer, double, time, size, deprecated, …
    default: str | None = None
    common: bool = False  # Fluent Bit itself takes it, not the plugin: of several the last one wins


@dataclass(frozen=True, slots=True)
class Plugin:
    name: str  # lower-case
    properties: Mapping[str, Property] = field(default_factory=dict)  # by name
    closed: bool = True  # False: it declares no properties of its own, and Fluent Bit checks none
    tls: bool = False  # whether it can use TLS

    def find(self, key: str) -> Property | None:
        """The property of that key (lower-case), also where only the beginning of the key is fixed (`rdkafka.`)."""
        if (exact := self.properties.get(key)) is not None and exact.type != _PREFIXED:
            return exact
        begun = (one for one in self.properties.values() if one.type == _PREFIXED)
        return next((one for one in begun if key.startswith(one.name) and key != one.name), None)

    def takes(self, key: str) -> bool:
        """Whether Fluent Bit takes a property of that key (lower-case); yes where it cannot be known."""
        return not self.closed or key in _ANYWHERE or key.startswith(_DEBUG) or self.find(key) is not None


@dataclass(frozen=True, slots=True)
class Schema:
    version: str  # of Fluent Bit
    plugins: Mapping[str, Mapping[str, Plugin]] = field(default_factory=dict)
    """`inputs`, `filters`, `outputs`, `processors`, `customs` → name → plugin; a list that is absent is unknown."""

    def find(self, kinds: str, name: str) -> Plugin | None:
        """The plugin that a name (in any case, perhaps with an address: `tcp://…`) stands for in a list."""
        listed = self.plugins.get(kinds, {})
        wanted = name.partition("://")[0].lower() if kinds in ("inputs", "outputs") else name.lower()
        return listed.get(wanted) or listed.get(_OTHER_NAMES.get((kinds, wanted), wanted))


def read_schema(text: str) -> Schema | None:
    """What `-J` printed, or None when that is no schema. A list that holds anything odd counts as absent."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    about = told.get("fluent-bit") if isinstance(told, dict) else None
    version = about.get("version") if isinstance(about, dict) else None
    if not isinstance(version, str):
        return None
    networks = _networking(told.get("outputs"))
    lists = {kinds: _plugins(kinds, told.get(kinds), networks) for kinds in _LISTS}
    return Schema(version, {kinds: plugins for kinds, plugins in lists.items() if plugins})


def _plugins(kinds: str, listed: object, networks: Mapping[str, Property]) -> Mapping[str, Plugin] | None:
    if not isinstance(listed, list):
        return None
    plugins: dict[str, Plugin] = {}
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            return None
        plugin = _plugin(kinds, one["name"].lower(), one.get("properties"), networks)
        plugins[plugin.name] = plugin
    return plugins


def _plugin(kinds: str, name: str, told: object, networks: Mapping[str, Property]) -> Plugin:
    groups = told if isinstance(told, dict) else {}
    properties: dict[str, Property] = {}
    for title, listed in groups.items():
        for one in _properties(listed, common=title == "global_options"):
            properties[one.name] = one
    properties |= networks if kinds in ("outputs", "customs") else {}
    for key in _OAUTH2.get(kinds, ()):
        properties.setdefault(f"oauth2.{key}", Property(f"oauth2.{key}", "string"))
    for key, kind in _TAKEN[kinds].items():
        listed_as = properties.get(key)
        properties[key] = Property(key, kind, listed_as.default if listed_as else None, common=True)
    return Plugin(name, properties, closed=isinstance(groups.get("options"), list), tls="network_tls" in groups)


def _networking(outputs: object) -> dict[str, Property]:
    """Every output and custom takes the `net.…` of all (5.1.1); `-J` lists them only where they are of use."""
    found: dict[str, Property] = {}
    for one in outputs if isinstance(outputs, list) else ():
        groups = one.get("properties") if isinstance(one, dict) else None
        listed = groups.get("networking") if isinstance(groups, dict) else None
        found |= {each.name: each for each in _properties(listed, common=False)}
    return found


def _properties(listed: object, *, common: bool) -> Iterator[Property]:
    for one in listed if isinstance(listed, Iterable) else ():
        match one:
            case {"name": str(name), "type": str(kind)}:
                default = one.get("default")
                yield Property(name.lower(), kind, default if isinstance(default, str) else None, common)
