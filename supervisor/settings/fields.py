"""Which single values can be set, by which names, and what do they mean?"""

from __future__ import annotations

from dataclasses import dataclass

from supervisor.model import Layer, Trust
from supervisor.settings import values
from supervisor.settings.nouns import (
    ApiSettings,
    ApplySettings,
    FluentBitSettings,
    HealthSettings,
    LogSettings,
    SourcesSettings,
    StateSettings,
    ValidateSettings,
)
from supervisor.settings.values import Kind

ROOMS = {
    "fluent_bit": FluentBitSettings,
    "state": StateSettings,
    "sources": SourcesSettings,
    "validate": ValidateSettings,
    "apply": ApplySettings,
    "health": HealthSettings,
    "api": ApiSettings,
    "log": LogSettings,
}
"""Top-level keys that are values of their own in `Settings`, and their types. The defaults are those of the types."""

_FLAT = {
    "secrets.directory": "/fluent-bit/secrets",
    "buffers.directory": "/var/lib/fluent-bit-supervisor/buffers",
    "run.directory": "/run/fluent-bit-supervisor",
}

DEFAULT_LAYERS = (
    Layer("platform", "/fluent-bit/etc/platform.d", Trust.PLATFORM),
    Layer("tenants", "/fluent-bit/etc/tenants.d", Trust.TENANT),
)

OPAQUE = {
    "policy": "what is granted to every tenant, see [Tenants](#tenants); without it nothing",
    "tenants": "what is granted to single tenants, besides",
}
"""Mappings that only the file can say; `granting` reads them."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value that can be set. `path` is its key in the file; the other names follow from it."""

    path: str
    kind: Kind
    meaning: str

    @property
    def environment(self) -> str:
        return "FBS_" + self.path.upper().replace(".", "_")

    @property
    def flag(self) -> str:
        return "--" + self.path.replace(".", "-").replace("_", "-")

    @property
    def default(self) -> object:
        room, _, leaf = self.path.partition(".")
        return getattr(ROOMS[room](), leaf) if room in ROOMS else _FLAT[self.path]

    def write(self, value: object) -> str:
        """The value as a person would write it into the file."""
        match value:
            case None:
                return "off" if self.kind is values.ADDRESS else "null"
            case bool():
                return str(value).lower()
            case float():
                return values.written_duration(value)
            case _:
                return str(value)


FIELDS = (
    Field("fluent_bit.binary", values.PROGRAM, "the Fluent Bit to run; a bare name is looked up on PATH"),
    Field("fluent_bit.config", values.FILE, "main file of the base (`-c`)"),
    Field("fluent_bit.http_port", values.PORT, "port of Fluent Bit's monitoring server where the base names none"),
    Field("fluent_bit.grace", values.DURATION, "time to flush at stop; the base's counts where it is longer"),
    Field("secrets.directory", values.DIRECTORY, "secrets, one file per key: `platform/KEY` and `TENANT/KEY`"),
    Field("buffers.directory", values.DIRECTORY, "Fluent Bit's `storage.path` where the base names none"),
    Field("state.directory", values.DIRECTORY, "generations, last accepted versions, quarantine"),
    Field("state.keep", values.KEPT, "generations to keep"),
    Field("run.directory", values.DIRECTORY, "admin socket and what need not survive a reboot"),
    Field("sources.quiet", values.DURATION, "files must stand still for so long before they are read"),
    Field("sources.max_wait", values.POSITIVE_DURATION, "the longest that a burst of changes may hold up reading"),
    Field("sources.resync", values.POSITIVE_DURATION, "look again at least this often, whatever the watcher says"),
    Field("sources.vanish_grace", values.DURATION, "an empty directory counts as emptied on purpose after this"),
    Field("validate.timeout", values.POSITIVE_DURATION, "limit of one dry-run"),
    Field("validate.trial", values.BOOLEAN, "start every candidate in a sandbox before it goes live"),
    Field(
        "apply.method",
        values.one_of("auto", "reload", "restart"),
        "`reload`, `restart`, or `auto`: restart while an output fails",
    ),
    Field("apply.deadline", values.POSITIVE_DURATION, "a reload that takes longer is ended by force"),
    Field("apply.min_gap", values.DURATION, "shortest time between two changes of the running config"),
    Field("health.probation", values.POSITIVE_DURATION, "health must hold for so long after every change"),
    Field("health.interval", values.POSITIVE_DURATION, "time between two looks at the child"),
    Field("api.metrics", values.ADDRESS, "address of `/metrics`, `/-/healthy` and `/-/ready`, or `off`"),
    Field("api.page", values.ADDRESS, "address of the JSON API, or `off`"),
    Field("api.token_file", values.SECRET_FILE, "file with the token that allows changes over TCP"),
    Field("log.level", values.one_of("debug", "info", "warning", "error"), "how much the supervisor itself says"),
    Field("log.format", values.one_of("json", "text"), "one JSON object a line, or plain text"),
)


def settings_table() -> str:
    """The README's table: path, default, meaning, and environment variable of every setting, as Markdown."""
    rows = [
        "| setting | default | meaning | environment |",
        "| --- | --- | --- | --- |",
        "| `layers` | `platform`, `tenants` | directories of snippets: name, directory, trust | `FBS_LAYERS` |",
    ]
    rows += [f"| `{f.path}` | `{f.write(f.default)}` | {f.meaning} | `{f.environment}` |" for f in FIELDS]
    rows += [f"| `{path}` | `{{}}` | {meaning} | |" for path, meaning in OPAQUE.items()]
    return "\n".join(rows) + "\n"
