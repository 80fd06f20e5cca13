"""`python -m supervisor` is the command `fluent-bit-supervisor`."""

from supervisor.cli import main

raise SystemExit(main())
