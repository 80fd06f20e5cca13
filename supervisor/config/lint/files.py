"""Which files does the config refer to that are not there?

How Fluent Bit 5.1.1 takes it was tried for each kind: most make the whole start fail, and a few are only missed.
"""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.config.lint.nouns import Context, Referred
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.texts import Values, boolean, finding, plugin_of, value_of
from supervisor.config.names import lower, shown
from supervisor.model import Finding, Kind, Scalar, Section

RULES: tuple[Rule, ...] = (
    mistake("file-missing", "a file that Fluent Bit does not start without (parsers, Lua, TLS, credentials, …)"),
    doubt("file-not-used", "a file that is not there, and that Fluent Bit goes on without"),
)

_ALWAYS = frozenset(
    {"parsers_file", "plugins_file", "lua_script", "upstream_file", "env_file", "plugin", "wasm", "credentials"}
)
_LOOKUPS = frozenset({(Kind.FILTER, "geoip2"), (Kind.INPUT, "collectd"), (Kind.FILTER, "tensorflow")})
_TLS_FILES = frozenset({"tls.ca_file", "tls.crt_file", "tls.key_file"})
_WORDS = {"env_file": "value of a variable", "tls": "TLS file", "plugin": "shared object", "lookup": "file"}


def lint_files(context: Context) -> Iterator[Finding]:
    """Files that were looked for and are not there."""
    for referred in context.referred:
        reference, wanted = referred.reference, referred.wanted
        if reference is None or reference.digest is not None:
            continue
        if reference.problem != "is not there" and not reference.problem.startswith("cannot be read"):
            continue
        where = " or ".join(dict.fromkeys(wanted.candidates))
        what = _WORDS.get(wanted.kind, wanted.kind.replace("_", " "))
        snippet = referred.place.snippet
        if _is_needed(referred, context.variables):
            message = f"the {what} {where} {reference.problem}: Fluent Bit would not start"
            yield finding(snippet, wanted.line, "file-missing", message, "put it there, or correct the path")
        else:
            message = f"the {what} {where} {reference.problem}: Fluent Bit would go on without it"
            yield finding(snippet, wanted.line, "file-not-used", message, "put it there, or correct the path")


def _is_needed(referred: Referred, values: Values) -> bool:
    section, wanted = referred.place.section, referred.wanted
    match wanted.kind:
        case "credentials":
            return plugin_of(section, values) != "http"  # its key files count at the first request only
        case "lookup":
            return (section.kind, plugin_of(section, values)) in _LOOKUPS
        case "tls":
            key = _key_of(section, wanted.written, wanted.line)
            return key in _TLS_FILES and boolean(value_of(section, "tls", values)) is True
        case kind:
            return kind in _ALWAYS


def _key_of(section: Section, written: str, line: int) -> str:
    for entry in section.entries:
        if isinstance(entry.value, Scalar) and entry.value.text == written and entry.value.line == line:
            return lower(shown(entry.key))
    return ""
