"""Running asynchronous work from a command so that Ctrl-C and SIGTERM end it at a sound point."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

ENDING = signal.SIGINT, signal.SIGTERM


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or cancel on a signal and let it clean up; raises `KeyboardInterrupt` then."""
    interrupted = False

    async def supervised() -> T:
        task = asyncio.ensure_future(work)

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        with _heard(interrupt):
            return await task

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise


@contextmanager
def until_interrupted() -> Iterator[asyncio.Event]:
    """Give an event that a signal sets instead of ending the program."""
    stop = asyncio.Event()
    with _heard(stop.set):
        yield stop


@contextmanager
def _heard(heard: Callable[[], None]) -> Iterator[None]:
    """Let signals that end a program do something else within the context.

    After one, no other is heard any more, beyond the context either: what is left to do, stores to be closed, is done to its end. A loop
    that is closed would leave SIGTERM to end the program at once.
    """
    loop, ending = asyncio.get_running_loop(), False

    def end() -> None:
        nonlocal ending
        ending = True
        heard()

    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN if ending else handler)
