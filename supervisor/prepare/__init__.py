"""What can go live next?

`judgement` searches for what may run, `examining` asks lint and Fluent Bit about one selection, `findings` says it in
the authors' words. It reads, and writes only where nobody else looks; so it may be repeated and abandoned at any time.
`run`, `check` and `render` all ask here: one verdict for all.
"""

from supervisor.prepare.examining import Examiner
from supervisor.prepare.findings import errors, in_order, with_paths
from supervisor.prepare.judgement import Judged, Judgement

__all__ = ["Examiner", "Judged", "Judgement", "errors", "in_order", "with_paths"]
