"""`python -m supervisor` is the command `fluent-bit-supervisor`."""

import signal

# Held back until somebody listens: what comes to a process 1 that neither blocks nor handles it is lost for good.
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))

from supervisor.cli import main  # noqa: E402

raise SystemExit(main())
