"""Which generations, good and refused, are on disk?

`directory` owns the state directory; `format` says how its documents read; `files` puts single files in place.
"""

from supervisor.adapters.store.directory import OWNED, Memory, Store
from supervisor.adapters.store.files import lay_out, take_lock, usable_directory

__all__ = ["OWNED", "Memory", "Store", "lay_out", "take_lock", "usable_directory"]
