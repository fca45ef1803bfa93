"""What numba compiles, kept on the disk for the next process where that can be written. Importing it raises `ImportError` without numba."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def jitted(*, parallel: bool = False) -> Callable[[F], F]:
    """Compile a function when it is first called; where neither its folder nor the home can be written, in each process anew."""

    def wrapped(function: F) -> F:
        compile_of: Any = njit
        try:
            found: F = compile_of(error_model="numpy", parallel=parallel, cache=True)(function)
        except RuntimeError as error:  # what numba raises where nothing can be written
            logging.getLogger(__name__).info("compiled code is not kept (set NUMBA_CACHE_DIR to a folder): %s", error)
            found = compile_of(error_model="numpy", parallel=parallel)(function)
        return found

    return wrapped
