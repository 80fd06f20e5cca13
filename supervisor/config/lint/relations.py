"""What is wrong with the sections together?

Every room of rules is asked in turn. A section that does not even name its plugin is left out: what is wrong with it
has been said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from supervisor.config.lint.conflicts import lint_conflicts
from supervisor.config.lint.files import lint_files
from supervisor.config.lint.multiline import lint_multiline
from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.parsers import lint_parsers
from supervisor.config.lint.properties import lint_instance
from supervisor.config.lint.regexes import lint_regexes
from supervisor.config.lint.routes import lint_routes
from supervisor.config.lint.rules import Rule, doubt, mistake
from supervisor.config.lint.service import lint_values
from supervisor.config.lint.streams import lint_streams
from supervisor.config.lint.structure import has_match, is_sound
from supervisor.config.lint.tags import is_target, lint_tags, targets_of_routes
from supervisor.config.lint.texts import boolean, finding, plugin_of, value_of, variables_of
from supervisor.config.names import PLUGIN_KINDS, lower
from supervisor.model import Finding, Kind, Trust

RULES: tuple[Rule, ...] = (
    mistake("output-without-match", "an output that no record can reach, for want of `match`"),
    doubt("unset-variable", "a variable that has no value"),
    mistake("storage-without-path", "`storage.type filesystem`, and no `storage.path` is given"),
    mistake("tls-without-certificate", "an input with `tls on` and no certificate: Fluent Bit does not start"),
)

_SERVERS = frozenset(
    {
        *("elasticsearch", "forward", "http", "mqtt", "opentelemetry", "prometheus_remote_write"),
        *("splunk", "syslog", "tcp"),
    }
)


def lint_whole(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    """What can be said of the sections together; unweighed."""
    sound = [place for place in sections if is_sound(place.section)]
    yield from _outputs_without_match(sections, context)
    yield from _unset_variables(sound, frozenset(context.variables))
    for place in sound:
        yield from lint_values(place, context)
        yield from _storage(place, context)
        yield from _certificate(place, context)
        if place.section.kind in PLUGIN_KINDS:
            yield from lint_instance(
                place.snippet, place.section, context.schema, context.variables, external=context.unseen_plugins
            )
    yield from lint_conflicts(sound, context)
    yield from lint_files(context)
    yield from lint_parsers(sound, context)
    yield from lint_multiline(sound, context)
    yield from lint_regexes(sound, context)
    yield from lint_routes(sections, context)
    yield from lint_streams(sound, context)
    yield from lint_tags(sections, context)


def without_output(sections: Iterable[Located]) -> bool:
    """Whether records come in and none can go out. A section that is not understood may be the missing one."""
    kinds = {located.section.kind for located in sections}
    return Kind.INPUT in kinds and not kinds & {Kind.OUTPUT, Kind.UNKNOWN}


def _outputs_without_match(sections: Sequence[Located], context: Context) -> Iterator[Finding]:
    kinds = [place.section.kind for place in sections if place.snippet.trust is not Trust.TENANT]
    if (kinds.count(Kind.INPUT), kinds.count(Kind.OUTPUT)) == (1, 1) or context.unseen_pipeline:
        return  # Fluent Bit routes a single pair by itself (5.1.1)
    routed = targets_of_routes(sections)
    for place in sections:
        section = place.section
        if section.kind is not Kind.OUTPUT or not is_sound(section) or has_match(section):
            continue
        if is_target(section, routed, context.variables):
            continue
        message = "this output has no 'match', so no record ever reaches it"
        yield finding(place.snippet, section.line, "output-without-match", message, "add: match *, or a tag pattern")


def _unset_variables(sections: Sequence[Located], known: frozenset[str]) -> Iterator[Finding]:
    for located in sections:
        said: set[str] = set()
        for entry in located.section.entries:
            for name, has_default, line in variables_of(entry.value):
                if name and name not in known and not has_default and name not in said:
                    said.add(name)
                    message = f"the variable {name} has no value: Fluent Bit puts nothing in its place"
                    hint = f"set it in the environment, or put a secret file named {name} in place"
                    yield finding(located.snippet, line, "unset-variable", message, hint)


def _storage(place: Located, context: Context) -> Iterator[Finding]:
    section = place.section
    kind = value_of(section, "storage.type", context.variables) or ""
    if section.kind is Kind.INPUT and lower(kind) == "filesystem" and not context.storage_path:
        message = "storage.type is filesystem, and there is no storage.path: Fluent Bit would not start"
        hint = "set storage.path in the service section, or give the supervisor a directory for buffers"
        yield finding(place.snippet, section.line, "storage-without-path", message, hint)


def _certificate(place: Located, context: Context) -> Iterator[Finding]:
    section, values = place.section, context.variables
    if section.kind is not Kind.INPUT or plugin_of(section, values) not in _SERVERS:
        return
    if boolean(value_of(section, "tls", values)) is not True:
        return
    keys = {lower(entry.key) for entry in section.entries}
    missing = [key for key in ("tls.crt_file", "tls.key_file") if key not in keys]
    if missing:
        message = f"this input takes TLS, and has no {' and no '.join(missing)}: Fluent Bit would not start"
        yield finding(place.snippet, section.line, "tls-without-certificate", message, "name certificate and key")
