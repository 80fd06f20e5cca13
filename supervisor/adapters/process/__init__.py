"""How are programs started, signalled, waited for and cleared away?

`Processes` is the one owner of pids, in `owner`; `Child` is one of its processes. `start` knows what happens between
fork and exec, `sandbox` what those may take that are only tried out, `output` where the bytes of a child go, `kernel`
the calls that Python lacks. psutil is known only here.
"""

from supervisor.adapters.process.child import Child, Usage
from supervisor.adapters.process.owner import Completed, Processes, describe_exit
from supervisor.adapters.process.sandbox import (
    Isolation,
    Network,
    Sandbox,
    find_isolation,
    lacked_rights,
    limit_met,
    space_used_up,
)

__all__ = [
    "Child",
    "Completed",
    "Isolation",
    "Network",
    "Processes",
    "Sandbox",
    "Usage",
    "describe_exit",
    "find_isolation",
    "lacked_rights",
    "limit_met",
    "space_used_up",
]
