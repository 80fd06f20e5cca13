"""How is it said to a tenant what he may not do?"""

from __future__ import annotations

from supervisor.config.names import lower, shown
from supervisor.model import Finding, Severity, Snippet

ASK = "ask the platform team for"


def refusal(snippet: Snippet, line: int | None, rule: str, message: str, hint: str) -> Finding:
    return Finding(Severity.ERROR, rule, message, hint, snippet.name, snippet.path, line)


def grant(tenant: str, text: str) -> str:
    """The hint that names the grant that is missing, as the platform would write it."""
    return f"{ASK} `tenants: {{{tenant}: {{{text}}}}}` in the supervisor's settings"


def key_shown(key: str) -> str:
    return shown(lower(key))
