"""`python -m alexnet` is the same as `alexnet`."""

from __future__ import annotations

from alexnet import stopping


def main() -> int:
    """Runs the command line of this process, whose signals it takes over; returns the exit code."""
    try:
        stopping.take_over()
        from alexnet.cli.main import main as command  # its imports take a while

        return command()
    except stopping.SignalReceived as received:
        return stopping.end_at_once(received.error)


if __name__ == "__main__":
    raise SystemExit(main())
