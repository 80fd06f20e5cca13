"""How does one talk to Fluent Bit? Its command line, its dry-run, its reload and its monitoring server.

command      how it is called, and with which environment
messages     what its standard error means
monitoring   what its monitoring server says
binary       the conversation itself: `FluentBit`
"""

from supervisor.adapters.fluent_bit.binary import (
    Acknowledged,
    Binary,
    Declined,
    Exited,
    FluentBit,
    Ready,
    ReloadOutcome,
    StartOutcome,
    Unresponsive,
)
from supervisor.adapters.fluent_bit.command import child_environment, dry_run_environment
from supervisor.adapters.fluent_bit.messages import redacted

__all__ = [
    "Acknowledged",
    "Binary",
    "Declined",
    "Exited",
    "FluentBit",
    "Ready",
    "ReloadOutcome",
    "StartOutcome",
    "Unresponsive",
    "child_environment",
    "dry_run_environment",
    "redacted",
]
