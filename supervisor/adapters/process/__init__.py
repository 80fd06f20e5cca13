"""How are programs started, signalled, waited for and cleared away?

`Processes` is the one owner of pids, in `owner`; `Child` is one of its processes. `start` knows what happens between
fork and exec, `output` where the bytes of a child go, `kernel` the calls that Python lacks. psutil is known only here.
"""

from supervisor.adapters.process.child import Child, Usage
from supervisor.adapters.process.owner import Completed, Processes, describe_exit

__all__ = ["Child", "Completed", "Processes", "Usage", "describe_exit"]
