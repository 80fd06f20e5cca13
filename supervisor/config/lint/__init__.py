"""What is wrong that Fluent Bit would accept in silence?

`structure` looks at one text, `relations` at all sections together, with a room for each matter; `table` gathers the
rules and says how severe each is for whom.
"""

from supervisor.config.lint.nouns import Context, Located, Monitoring, Referred
from supervisor.config.lint.relations import lint_whole, without_output
from supervisor.config.lint.rules import Rule
from supervisor.config.lint.service import SERVICE_KEYS
from supervisor.config.lint.structure import SECTION_TITLES, lint_snippet, names_set
from supervisor.config.lint.table import TABLE, rule_table, weigh
from supervisor.config.lint.texts import did_you_mean, plain, variables_of

__all__ = [
    "SECTION_TITLES",
    "SERVICE_KEYS",
    "TABLE",
    "Context",
    "Located",
    "Monitoring",
    "Referred",
    "Rule",
    "did_you_mean",
    "lint_snippet",
    "lint_whole",
    "names_set",
    "plain",
    "rule_table",
    "variables_of",
    "weigh",
    "without_output",
]
