"""How does a supervisor live with disks that fill up, go away or may not be written?

It runs in a mount namespace of its own, where mounting hurts nobody; a plain user gets a user namespace around it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from e2e.namespace import skip_where_refused
from running import Running

_USER = os.geteuid() != 0


def mounted(prepare: str) -> Callable[[list[str]], list[str]]:
    """For `Running(wrap=…)`: run the shell lines in `prepare` first, then the supervisor, where both see the mounts."""
    skip_where_refused()
    user = ["--user", "--map-root-user"] if _USER else []
    shell = ["sh", "-c", f'set -e; {prepare}; exec "$@"', "sh"]
    return lambda argv: ["unshare", *user, "--mount", "--propagation", "private", *shell, *argv]


def inside(supervisor: Running, script: str) -> None:
    """Run shell lines in the supervisor's namespace."""
    assert supervisor.process is not None
    user = ["--user", "--preserve-credentials"] if _USER else []
    target = ["nsenter", "--target", str(supervisor.process.pid), *user, "--mount"]
    subprocess.run([*target, "sh", "-c", script], check=True, capture_output=True)


def bound_by_permissions(argv: list[str]) -> list[str]:
    """For `Running(wrap=…)`: permissions of files count, also for root."""
    if _USER:
        return argv
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv, and root may read everything")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *argv]
