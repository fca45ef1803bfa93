"""Compiled code where there is any, and where numba or its files fail what gives the same without it. Imports no numba."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

LOG = logging.getLogger(__name__)

Kernel = Callable[..., None]


class NotCompiled(Exception):
    """A compiler or its files failed, and nothing was computed yet; the message has what they said."""


@contextmanager
def compiling() -> Iterator[None]:
    """Raise `NotCompiled` for whatever a compiler raises: unwritable folders, full disks, broken caches, code that it does not know."""
    try:
        yield
    except Exception as error:
        raise NotCompiled(words_of(error)) from error


def words_of(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def say_slower(what: str, why: str) -> None:
    """Note that something is computed without compiled code."""
    LOG.warning("%s without compiled code, slower: %s", what, why, extra={"word": "not_compiled"})


def preferred(what: str, load: Callable[[], Kernel], plain: Kernel) -> Kernel:
    """Return what is loaded, which gives way to `plain` where it cannot be compiled; `plain` itself where it cannot be loaded.

    `what`: what is computed, for whoever reads that it is slower. Without numba (`ImportError`) nothing is said.
    """
    try:
        with compiling():
            compiled = load()
    except NotCompiled as error:
        if not isinstance(error.__cause__, ImportError):
            say_slower(what, str(error))
        return plain
    return Preferred(what, compiled, plain)


class Preferred:
    """Calls a kernel, and for good the other one from when the first raises `NotCompiled`: it has then written nothing."""

    def __init__(self, what: str, compiled: Kernel, plain: Kernel) -> None:
        self._run, self._plain = compiled, plain
        self._unsaid = [what]

    def __call__(self, *given: Any) -> None:  # noqa: ANN401 - what the kernels take
        try:
            self._run(*given)
        except NotCompiled as error:
            self._run = self._plain
            with suppress(IndexError):  # of another thread, which found out meanwhile and said it
                say_slower(self._unsaid.pop(), str(error))
            self._plain(*given)
