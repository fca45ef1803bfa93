"""What numba compiles, kept on the disk for the next process where that can be written. Importing it raises `ImportError` without numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

from numba import njit, typeof

F = TypeVar("F", bound=Callable[..., Any])

_turn = Lock()


def on_all_cores(function: Any, *given: Any) -> None:  # noqa: ANN401 - what numba made, and what it takes
    """Call a parallel function, one at a time in a process: not every way that numba has to use cores bears two that do.

    It is compiled before its turn, so that nobody waits for a compiler. What is made with `jitted` lets go of the interpreter meanwhile.
    """
    function.compile(tuple(map(typeof, given)))
    with _turn:
        function(*given)


def jitted(*, parallel: bool = False) -> Callable[[F], F]:
    """Compile a function when it is first called; where neither its folder nor the home can be written, in each process anew.

    While it runs, other threads run Python: nobody else may write what it is given.
    """

    def wrapped(function: F) -> F:
        compile_of: Any = njit
        try:
            found: F = compile_of(error_model="numpy", parallel=parallel, nogil=True, cache=True)(function)
        except RuntimeError as error:  # what numba raises where nothing can be written
            logging.getLogger(__name__).info("compiled code is not kept (set NUMBA_CACHE_DIR to a folder): %s", error)
            found = compile_of(error_model="numpy", parallel=parallel, nogil=True)(function)
        return found

    return wrapped
