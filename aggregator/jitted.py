"""What numba compiles, kept on the disk for the next process where that can be written. Importing it raises `ImportError` without numba."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Any, TypeVar

import numpy as np
from numba import config, njit, typeof

from aggregator.preferring import LOG, compiling

F = TypeVar("F", bound=Callable[..., Any])

_turn = Lock()


def compile_for(function: Any, *given: Any) -> None:  # noqa: ANN401 - what numba made, and what it takes
    """Compile a function for what it is to be called with; raises `NotCompiled` where that fails."""
    with compiling():
        function.compile(tuple(map(typeof, given)))


def on_all_cores(function: Any, *given: Any) -> None:  # noqa: ANN401 - as above
    """Call a parallel function, one at a time in a process: not every way that numba has to use cores bears two that do.

    It is compiled before its turn, so that nobody waits for a compiler. What is made with `jitted` lets go of the interpreter meanwhile.
    Raises `NotCompiled` where that fails, before anything is written.
    """
    compile_for(function, *given)
    with _turn:
        function(*given)


def in_turns(function: Any, turns: int, *given: Any) -> None:  # noqa: ANN401 - as above
    """Call a function on as many cores as there are, and turns for, each time with the turn that comes next, in an array that all share.

    It takes turns from there until none is left (`aggregator.arrays.turns`). Threads are this call's own, and sleep where they wait:
    those of OpenMP go round for milliseconds after their work, on a core that others need. Raises what a call raises, and `NotCompiled`
    before any.
    """
    turn, failed, cores = np.zeros(1, np.int64), [], config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba sets it when it runs
    compile_for(function, turn, *given)

    def one() -> None:
        try:
            function(turn, *given)
        except BaseException as error:  # noqa: BLE001 - raised below, once nobody writes any more
            failed.append(error)

    others: list[Thread] = []
    with suppress(RuntimeError):  # of a process that may have no more threads: those that there are take its turns
        for _ in range(min(cores, turns) - 1):
            other = Thread(target=one)
            other.start()
            others.append(other)
    one()
    for other in others:
        other.join()
    for error in failed:
        raise error


def jitted(*, inlined: bool = False) -> Callable[[F], F]:
    """Compile a function when it is first called; where neither its folder nor the home can be written, in each process anew.

    While it runs, other threads run Python: nobody else may write what it is given. `inlined`: it is put into each function that calls
    it. An array is some eight numbers to hand over, so that calls of what is soon done cost as much as what it does.
    """

    def wrapped(function: F) -> F:
        compile_of: Any = njit
        try:
            found: F = compile_of(error_model="numpy", nogil=True, forceinline=inlined, cache=True)(function)
        except RuntimeError as error:  # what numba raises where nothing can be written
            LOG.info(
                "compiled code is not kept (set NUMBA_CACHE_DIR to a folder): %s", error, extra={"word": "not_kept"}
            )
            found = compile_of(error_model="numpy", nogil=True, forceinline=inlined)(function)
        return found

    return wrapped
