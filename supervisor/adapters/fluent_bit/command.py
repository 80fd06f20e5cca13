"""How is Fluent Bit called, and with which environment?

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# Fluent Bit 5.1.1 refuses every config that sets `log_level` while FLB_LOG_LEVEL is set; FLB_SUPERVISOR_… belongs to
# its own --supervisor, which is never used.
_NEVER_PASSED_ON = ("FBS_", "FLB_SUPERVISOR_")
_LOG_LEVEL = "FLB_LOG_LEVEL"
_READ_BY_PLUGINS = ("AWS_", "GOOGLE_", "KUBERNETES_")


def child_arguments(config: str, arguments: Sequence[str]) -> list[str]:
    """What follows the binary. `arguments` is a pipeline on the command line (`-i cpu -o stdout`), or nothing."""
    return ["-c", config, *arguments]


def dry_run_arguments(config: str, arguments: Sequence[str]) -> list[str]:
    return ["-D", *child_arguments(config, arguments)]


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours without what is meant for this program, or would make Fluent Bit fail."""
    return {name: value for name, value in environ.items() if _is_passed_on(name)}


def dry_run_environment(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """PATH, the variables that the config names, and what the plugins for AWS, GCP and Kubernetes read; nothing else.

    A dry-run loads shared objects and compiles Lua, so whatever it is given may leave the machine.
    """
    wanted = {"PATH", *names}
    return {
        name: value
        for name, value in child_environment(environ).items()
        if name in wanted or name.startswith(_READ_BY_PLUGINS)
    }


def _is_passed_on(name: str) -> bool:
    return name != _LOG_LEVEL and not name.startswith(_NEVER_PASSED_ON)
