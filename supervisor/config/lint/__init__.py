"""What is wrong that Fluent Bit would accept in silence?

`structure` looks at sections as such; `rules` says how severe each rule is for whom.
"""

from supervisor.config.lint.nouns import Context, Located
from supervisor.config.lint.rules import weigh
from supervisor.config.lint.structure import (
    SECTION_TITLES,
    SERVICE_KEYS,
    did_you_mean,
    lint_snippet,
    lint_whole,
    names_set,
    variables_of,
    without_output,
)

__all__ = [
    "SECTION_TITLES",
    "SERVICE_KEYS",
    "Context",
    "Located",
    "did_you_mean",
    "lint_snippet",
    "lint_whole",
    "names_set",
    "variables_of",
    "weigh",
    "without_output",
]
