"""What may a tenant do? (Frozen values; nothing acts.)

What is not in the grants is refused. The platform team writes them in the settings: under `policy` for every tenant,
under `tenants.TENANT` for one, where lists add to the policy's and single values replace them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "tenant."
"""With which every tag of every tenant begins; then come the tenant's name and another dot."""

FILTERS = frozenset({"grep", "modify", "multiline", "nest", "parser", "record_modifier", "throttle", "type_converter"})
"""Filters that see records only: no file, no command, no network, no other tag."""

OUTPUTS = frozenset({"datadog", "es", "forward", "gelf", "http", "kafka", "loki", "nrlogs", "null", "opensearch"}) | {
    *("opentelemetry", "splunk", "syslog", "tcp"),
}
"""Outputs that ship records with credentials of their own, never with those of the node or the pod."""

INPUTS = frozenset({"tail"})
"""Inputs that can do nothing before something else is granted: here, paths."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Platform records of which a tenant gets a copy."""

    match: str  # tag pattern; cannot reach the tags of tenants
    namespaces: tuple[str, ...] = ()  # only records of these; empty: all that match
    key: str = "$kubernetes['namespace_name']"  # record accessor of the namespace


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a tenant writes; sizes in bytes."""

    snippet: int = 64 * 1024
    snippets: int = 50  # files of one tenant
    sections: int = 50  # of one snippet
    total: int = 200  # sections of all snippets of one tenant
    properties: int = 64  # of one section
    value: int = 16 * 1024  # of one property
    regex: int = 1024  # characters of one regular expression
    workers: int = 2  # of one output
    retries: int = 300  # of one chunk
    buffer: int = 100 * 1024 * 1024  # on disk, for one output
    changes: int = 20  # that go live within ten minutes


@dataclass(frozen=True, slots=True)
class Grants:
    """All that one tenant was granted."""

    inputs: frozenset[str] = INPUTS
    filters: frozenset[str] = FILTERS
    outputs: frozenset[str] = OUTPUTS
    paths: tuple[str, ...] = ()  # globs; `**` stands for any number of directories
    ports: frozenset[int] = frozenset()  # that inputs may listen on
    subscribe: tuple[Subscription, ...] = ()
    network: tuple[str, ...] = ()  # destinations that nobody else may name: HOST, HOST:PORT, CIDR, *.DOMAIN
    platform_outputs: bool = False  # whether the platform's own outputs get this tenant's records, too
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who was granted what."""

    everybody: Grants | None = None  # None: `policy` was not said, so whoever is not named has nothing
    tenants: Mapping[str, Grants] = field(default_factory=dict)

    def of(self, tenant: str) -> Grants | None:
        """What that tenant was granted, or None: nothing at all."""
        return self.tenants.get(tenant) or (None if self.everybody is None else named(self.everybody, tenant))

    @property
    def grants_anything(self) -> bool:
        return self.everybody is not None or bool(self.tenants)


def named(grants: Grants, tenant: str) -> Grants:
    """The grants with the tenant's name where they say `{tenant}`."""
    return Grants(
        inputs=grants.inputs,
        filters=grants.filters,
        outputs=grants.outputs,
        paths=tuple(path.replace("{tenant}", tenant) for path in grants.paths),
        ports=grants.ports,
        subscribe=tuple(
            Subscription(
                each.match.replace("{tenant}", tenant),
                tuple(namespace.replace("{tenant}", tenant) for namespace in each.namespaces),
                each.key,
            )
            for each in grants.subscribe
        ),
        network=tuple(each.replace("{tenant}", tenant) for each in grants.network),
        platform_outputs=grants.platform_outputs,
        limits=grants.limits,
    )
