"""In what surroundings do we work: which directories can really be used, and what stands around the snippets?

A container with a read-only root and no volumes has hardly any: then we still run, and say what is missing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.adapters.access import make_directory
from supervisor.adapters.store import OWNED, usable_directory
from supervisor.arguments import Invocation
from supervisor.config.shapes.globs import covers, matches
from supervisor.core.service import Frame
from supervisor.settings import Limits, Settings


@dataclass(frozen=True, slots=True)
class Places:
    """The directories that are used, and what was wrong with those that were asked for."""

    state: str
    run: str
    buffers: str | None
    problems: tuple[str, ...]


def run_directories(wanted: str) -> list[str]:
    """Where the run directory may be, in order of preference."""
    name = f"fluent-bit-supervisor-{os.geteuid()}"
    temporary = os.environ.get("TMPDIR") or "/tmp"  # not tempfile's: that fails where none can be written to
    return [wanted, f"/dev/shm/{name}/run", os.path.join(temporary, name, "run")]


def find_places(settings: Settings) -> Places:
    """Raises `StoreError` only when not even memory can be written to."""
    problems: list[str] = []
    wanted, *spare = run_directories(settings.run_directory)
    run, problem = usable_directory(wanted, spare)
    if problem:
        problems.append(f"no run directory: {problem}; using {run}")
    state, problem = usable_directory(settings.state.directory, [os.path.join(run, "state")], OWNED)
    if problem:
        problems.append(f"no state directory: {problem}; using {state}: a new container remembers nothing")
    buffers: str | None = settings.buffers_directory
    if problem := make_directory(settings.buffers_directory):
        buffers = None
        problems.append(f"no buffers on disk: {problem}; what is not delivered is lost when Fluent Bit ends")
    return Places(state, run, buffers, tuple(problems))


def make_frame(
    settings: Settings, invocation: Invocation, cwd: str, buffers: str | None, state: str | None = None
) -> Frame:
    """What stands around the snippets. Without `state` nobody remembers how far the inputs of tenants have read."""
    return Frame(
        cwd=cwd,
        environment=dict(os.environ),
        service_defaults=invocation.service_defaults,
        parsers_files=invocation.parsers_files,
        arguments=invocation.arguments,
        pipeline=invocation.pipeline,
        http_port=settings.fluent_bit.http_port,
        grace=settings.fluent_bit.grace,
        buffers=buffers,
        policy=settings.policy,
        offsets=None if state is None else os.path.join(state, "offsets"),
        closed_ports=_own_ports(settings),
    )


def _own_ports(settings: Settings) -> frozenset[int]:
    addresses = (settings.api.metrics, settings.api.page)
    return frozenset(int(address.rpartition(":")[2]) for address in addresses if address)


def bounding(settings: Settings) -> Callable[[str], tuple[int, int]]:
    """How much of a tenant's directory is read: more than is granted, so that policy can say what is too much."""

    def bounds(tenant: str) -> tuple[int, int]:
        grants = settings.policy.of(tenant)
        limits = grants.limits if grants is not None else Limits()
        return 2 * limits.snippet, 2 * limits.snippets

    return bounds


def granting(settings: Settings) -> Callable[[str, str], bool]:
    """Whether a path was granted to a tenant: by name, or as a pattern that a grant covers."""

    def granted(tenant: str, path: str) -> bool:
        grants = settings.policy.of(tenant)
        return grants is not None and any(matches(each, path) or covers(each, path) for each in grants.paths)

    return granted


def monitoring_port(wanted: int) -> tuple[int, str]:
    """A port on loopback for Fluent Bit's monitoring server where no config asks for one, and what is to be said.

    A config that runs without that server must not fail because somebody else has our port: then any free one will do.
    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            problem = f"port {wanted} is taken; where no config names another, Fluent Bit's server gets {found}"
            return found, "" if found == wanted else problem
    return wanted, ""
