"""A program that ends as it is told to: what a forked process must end like."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
from collections.abc import Callable

PROGRAM = "tests.support.endings"


class _Circle:
    """What only a collection frees."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        sys.stderr.write("freed\n")


def _returning() -> int:
    sys.stdout.write("said\n")
    return 3


def _leaving() -> None:
    sys.exit(4)


def _explaining() -> None:
    sys.exit("why it ends")


def _failing() -> None:
    raise LookupError("nobody expected this")


def _waited_for() -> None:
    def late() -> None:
        time.sleep(0.05)
        sys.stdout.write("said late\n")

    threading.Thread(target=late).start()


def _tidying() -> None:
    _Circle()
    atexit.register(sys.stdout.write, "tidied\n")


def _stopped() -> None:
    signal.raise_signal(signal.SIGTERM)


ENDINGS: dict[str, Callable[[], int | None]] = {
    "returning": _returning,
    "leaving": _leaving,
    "explaining": _explaining,
    "failing": _failing,
    "waited for": _waited_for,
    "tidying": _tidying,
    "stopped": _stopped,
}


def main() -> int | None:
    return ENDINGS[sys.argv[1]]()


if __name__ == "__main__":
    sys.exit(main())
