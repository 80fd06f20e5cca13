"""Who owns the state?

`owner.Controller` alone: a mailbox, the machine's `step`, and the actions performed in order by `performer`. `watches`
waits on its behalf, as long as a phase lasts; `preparing` finds what may run next; `convicting` keeps out what failed
at run time; `waiting` answers who asked; `readiness` and `report` tell how things stand.
"""

from supervisor.controller.owner import Controller
from supervisor.controller.waiting import Outcome

__all__ = ["Controller", "Outcome"]
