"""Who owns the state?

`owner.Controller` alone: a mailbox, the machine's `step`, and the actions performed in order. `watches` waits on its
behalf, as long as a phase lasts; `report` tells how things stand.
"""

from supervisor.controller.owner import Controller, Outcome

__all__ = ["Controller", "Outcome"]
