"""What settings are there? (Frozen values; nothing acts.)"""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.model import Layer
from supervisor.settings.grants import Policy


@dataclass(frozen=True, slots=True)
class FluentBitSettings:
    binary: str = "/fluent-bit/bin/fluent-bit"
    config: str | None = None  # the base's main file
    http_port: int = 2020
    grace: float = 5.0


@dataclass(frozen=True, slots=True)
class StateSettings:
    directory: str = "/var/lib/fluent-bit-supervisor"
    keep: int = 10


@dataclass(frozen=True, slots=True)
class SourcesSettings:
    quiet: float = 0.3
    max_wait: float = 3.0
    resync: float = 15.0
    vanish_grace: float = 60.0


@dataclass(frozen=True, slots=True)
class ValidateSettings:
    timeout: float = 10.0
    trial: bool = True


@dataclass(frozen=True, slots=True)
class ApplySettings:
    method: str = "auto"  # auto | reload | restart
    deadline: float = 10.0
    min_gap: float = 2.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    probation: float = 10.0
    interval: float = 1.0


@dataclass(frozen=True, slots=True)
class ApiSettings:
    metrics: str | None = ":9533"  # HOST:PORT or :PORT; None: switched off
    page: str | None = "127.0.0.1:9534"
    token_file: str | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: str = "info"  # debug | info | warning | error
    format: str = "json"  # json | text


@dataclass(frozen=True, slots=True)
class Settings:
    fluent_bit: FluentBitSettings
    layers: tuple[Layer, ...]
    secrets_directory: str
    buffers_directory: str
    state: StateSettings
    run_directory: str
    sources: SourcesSettings
    validate: ValidateSettings
    apply: ApplySettings
    health: HealthSettings
    api: ApiSettings
    log: LogSettings
    policy: Policy = field(default_factory=Policy)  # what tenants are granted
