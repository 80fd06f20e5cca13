"""What can go live next?

`judgement` searches for what may run, `testing` asks lint and Fluent Bit about one selection, `findings` says it in
the authors' words. It reads, and writes only where nobody else looks; so it may be repeated and abandoned at any time.
`run`, `check` and `render` all ask here: one verdict for all.
"""

from supervisor.prepare.findings import errors, in_order, with_paths
from supervisor.prepare.judgement import Judged, Judgement
from supervisor.prepare.testing import Testing

__all__ = ["Judged", "Judgement", "Testing", "errors", "in_order", "with_paths"]
