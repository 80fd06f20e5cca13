"""How does the same pipeline start without doing anything?

`plugins` says which plugins may start for real and what is changed in them, `stage` changes them, `resources` names
what a rehearsal cannot try, because it keeps its hands off it: the ports of the real pipeline.
"""

from supervisor.core.rehearsal.resources import Listening, real_resources
from supervisor.core.rehearsal.stage import rehearse, with_placeholders

__all__ = ["Listening", "real_resources", "rehearse", "with_placeholders"]
