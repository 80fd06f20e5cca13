"""The command `fluent-bit-supervisor`, also as `python -m supervisor`."""

import signal


def main() -> int:
    """Holds stop signals back until somebody listens: what comes to a process 1 that is deaf is lost for good."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
    from supervisor.cli import main as command  # only now: what stands behind it takes a while to load

    return command()


if __name__ == "__main__":
    raise SystemExit(main())
