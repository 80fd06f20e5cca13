"""Which rules are applied in other rooms, where texts are read, put together and tried?

They stand here so that the table of rules is whole. What keeps a text from being read at all is an error whoever wrote
it: the real binary would not read it either.
"""

from __future__ import annotations

from supervisor.config.lint.rules import Rule, mistake, refusal, remark, warning
from supervisor.model import Severity

_READING = (
    refusal("syntax", "the text cannot be read, by Fluent Bit neither"),
    refusal("over-size", "the text has more sections, keys or values than are read"),
    refusal("yaml-alias", "a YAML alias, which Fluent Bit does not read"),
    refusal("duplicate-service", "`service:` stands twice in one YAML text"),
    mistake("yaml-anchor", "a YAML anchor, which has no use"),
    mistake("yaml-tag", "a YAML tag, which Fluent Bit ignores"),
    mistake("yaml-merge-key", "a YAML merge key, which Fluent Bit does not know"),
    mistake("duplicate-key", "one key twice in one YAML map"),
    mistake("too-deep", "values within each other more than 20 levels deep"),
    mistake("nul-byte", "a NUL, which swallows what follows (YAML: cannot be read)"),
    mistake("lone-cr", "a carriage return without a line feed, behind which text vanishes"),
    mistake("invalid-utf8", "bytes that are not UTF-8 (YAML: cannot be read)"),
    warning("unknown-directive", "a line that begins with @ and is neither @INCLUDE nor @SET"),
    warning("group-ignored", "a classic group [name] where Fluent Bit ignores it"),
)

_LOOKING = (
    refusal("missing", "a file that was there is not there any more"),
    refusal("unreadable", "a file that cannot be read"),
    refusal("too-large", "a file above the size limit"),
    refusal("not-a-file", "a directory, device or pipe under the name of a snippet"),
    refusal("symbolic-link", "a symbolic link where none is followed"),
    refusal("odd-name", "a file name with characters that are not taken"),
    refusal("too-many-files", "more files or troubles than are taken up"),
    Rule("no-tenant", "a file beside the tenants' directories", None, None, Severity.ERROR),
    Rule("tenant-name", "a directory whose name is no tenant's", None, None, Severity.ERROR),
    Rule("reserved-tenant", "a tenant under a reserved name", None, None, Severity.ERROR),
    Rule("base-missing", "the base's main file is not there", Severity.ERROR, None, None),
    Rule("include-missing", "an include that finds no file", Severity.ERROR, None, None),
    Rule("include-loop", "a file that includes itself in the end", Severity.ERROR, None, None),
    Rule("include-twice", "a file that is included a second time", Severity.ERROR, None, None),
    Rule("include-limit", "more included files than Fluent Bit takes", Severity.ERROR, None, None),
)

_ASSEMBLING = (
    refusal("include-not-followed", "an include in a text whose includes are not followed"),
    mistake("secret-unusable", "a variable whose secret is gone, empty or half-written"),
    warning("no-output", "records come in, and there is no output at all"),
    mistake("bad-http-port", "`http_port` is no port number"),
    Rule(
        "forced-service-key",
        "a service key that the supervisor keeps at a value of its own",
        Severity.INFO,
        Severity.WARNING,
        None,
    ),
    remark("daemon", "`daemon on`, which is kept off"),
)


def _for_tenants(rule_id: str, says: str) -> Rule:
    return Rule(rule_id, says, None, None, Severity.ERROR)


_GRANTING = (
    _for_tenants("tenant-not-granted", "a tenant to whom nothing was granted"),
    _for_tenants("section-not-granted", "a section that concerns everybody, or one that is not written out"),
    _for_tenants("plugin-not-granted", "a plugin that was not granted"),
    _for_tenants("property-not-granted", "a property that is not for tenants, or not known to be harmless"),
    _for_tenants("nested-value", "a list or a map where one text is expected"),
    _for_tenants("unseen-characters", "characters that cannot be seen, with which something could be hidden"),
    _for_tenants("variable-not-granted", "a variable where none is taken, or not written `${NAME}`; `file://`"),
    _for_tenants("match-missing", "a filter or an output that does not say which records it is for"),
    _for_tenants("bad-tag", "a tag or a pattern with characters that are not taken"),
    _for_tenants("bad-name", "an alias or the name of a parser with characters that are not taken"),
    _for_tenants("foreign-tag", "a tag or a pattern of another tenant"),
    _for_tenants("tag-from-data", "a property by which whoever sends records chooses their tag"),
    _for_tenants("path-not-granted", "a path that was not granted, cannot be judged, or leads out of what was granted"),
    _for_tenants("address-not-granted", "a destination that is this machine, its network or its own services"),
    _for_tenants("port-not-granted", "a port to listen on that was not granted"),
    _for_tenants("dangerous-regex", "a regular expression that may take for ever on one line of log"),
    _for_tenants("limit-size", "a file with more bytes than were granted"),
    _for_tenants("limit-snippets", "more files than were granted"),
    _for_tenants("limit-sections", "more sections in one file than were granted"),
    _for_tenants("limit-total", "more sections in all files of a tenant than were granted"),
    _for_tenants("limit-properties", "more properties in one section than were granted"),
    _for_tenants("limit-value", "a longer value than was granted"),
    _for_tenants("limit-regex", "a longer regular expression than was granted"),
    _for_tenants("limit-memory", "a property that asks for too much memory"),
    _for_tenants("limit-pace", "a property that asks for work without a pause, or without an end"),
    _for_tenants("limit-workers", "more workers than were granted"),
    _for_tenants("secret-not-taken", "a secret that holds `${`: Fluent Bit would put the value of another one there"),
    _for_tenants("subscription-filter", "a filter that cannot work on records that are subscribed to"),
    _for_tenants("subscription-overlap", "a filter for a part of the records that an output subscribes to"),
    _for_tenants("subscription-size", "filters and outputs on records that are subscribed to, too many together"),
    Rule("limit-changes", "more changes within ten minutes than were granted; they wait", None, None, Severity.WARNING),
    Rule("reserved-tag", "a tag like those of tenants", Severity.WARNING, Severity.WARNING, None),
    Rule("forced-property", "a property that has another value than was asked for", None, None, Severity.INFO),
)

_TRYING = (
    refusal("dry-run", "Fluent Bit's own dry-run refuses it"),
    refusal("start", "Fluent Bit refused to start with it"),
    warning("dry-run-crashed", "Fluent Bit's dry-run crashes on it, so only a real start can tell"),
    refusal("start-complaint", "Fluent Bit came up in the trial start, and complained of it"),
    mistake("port-taken", "a port that something else on this machine listens on"),
    refusal("breaks-another", "a change without which another snippet runs, and with which it does not"),
    warning("includer-left-out", "a file that is only there by an include, and the file that includes it is left out"),
    warning("not-tried-yet", "a change that was not tried for want of time; it is tried next"),
    refusal("unhealthy", "what ran with it proved unhealthy, and that points at it"),
    refusal("internal-error", "a fault of the supervisor itself"),
    refusal("taken-back", "it was tried, proved unhealthy and was undone"),
    refusal("pipeline-without-output", "the change would leave the running pipeline without any output"),
    mistake("unusable-directory", "a directory that this user can neither write to nor make"),
    warning("disk-full", "a directory to write to on a disk that has no room left"),
)

GRANTS = frozenset(rule.id for rule in _GRANTING if rule.tenant is Severity.ERROR)
"""Rules about what a tenant was granted: who breaks one may not even go on running."""

RULES: tuple[Rule, ...] = (*_READING, *_LOOKING, *_ASSEMBLING, *_GRANTING, *_TRYING)
