"""Does the candidate really start, in a sandbox?

start   one trial: write the rehearsal down, start it, read what it says, kill it
signs   what Fluent Bit's words at a start mean
room    is there memory for a second Fluent Bit beside the first?
ports   are the ports free that the real pipeline wants?
"""

from supervisor.adapters.trial.ports import free_port, taken
from supervisor.adapters.trial.room import memory_room, too_little_room
from supervisor.adapters.trial.start import Trial

__all__ = ["Trial", "free_port", "memory_room", "taken", "too_little_room"]
