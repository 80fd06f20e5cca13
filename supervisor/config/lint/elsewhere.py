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
    Rule("tenant-not-granted", "a tenant says what it was not granted", None, None, Severity.ERROR),
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

RULES: tuple[Rule, ...] = (*_READING, *_LOOKING, *_ASSEMBLING, *_TRYING)
