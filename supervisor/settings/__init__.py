"""What did the operator ask for, and where did each value come from?

Durations are seconds (float), sizes are bytes (int) once resolved. A flag wins over an environment variable
(`FBS_` and the path in capitals), that over the settings file, that over the default. Nothing here reads a file or
the process's environment: the caller hands both over.
"""

from __future__ import annotations

from supervisor.settings.fields import FIELDS, Field, settings_table
from supervisor.settings.grants import PREFIX, Grants, Limits, Policy, Subscription
from supervisor.settings.nouns import (
    ApiSettings,
    ApplySettings,
    FluentBitSettings,
    HealthSettings,
    LogSettings,
    Settings,
    SourcesSettings,
    StateSettings,
    ValidateSettings,
)
from supervisor.settings.resolve import Resolved, describe, real_binary, resolve, settings_file
from supervisor.settings.values import read_duration, read_size

__all__ = [
    "FIELDS",
    "PREFIX",
    "ApiSettings",
    "ApplySettings",
    "Field",
    "FluentBitSettings",
    "Grants",
    "HealthSettings",
    "Limits",
    "LogSettings",
    "Policy",
    "Resolved",
    "Settings",
    "SourcesSettings",
    "StateSettings",
    "Subscription",
    "ValidateSettings",
    "describe",
    "read_duration",
    "read_size",
    "real_binary",
    "resolve",
    "settings_file",
    "settings_table",
]
