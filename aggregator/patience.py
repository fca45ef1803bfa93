"""The kernel of the book in memory: numpy at once, compiled as soon as that is worth it and done."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from functools import cache
from threading import Thread
from time import thread_time
from typing import Any

import numpy as np

from aggregator.arrays import stacked
from aggregator.arrays.kernels import Revalue
from aggregator.preferring import say_slower, words_of


class Patient:
    """Computes with numpy until a thread of its own has the compiled kernel ready, or for good where that fails.

    To compile takes some twenty seconds of the first process after an installation, and of each where nothing can be kept on the disk; to
    load what was kept takes most of one. So nothing is begun before numpy has computed for `worth_s`: a thousand accounts change
    hundreds of times until then.
    """

    WORTH_S = 0.5
    """Seconds of a processor."""

    LONGEST_GOODBYE_S = 30.0
    """How long the end of the process waits for a compiler, which must not be torn from under it."""

    def __init__(self, worth_s: float = WORTH_S) -> None:
        self._run: Revalue = stacked.revalue
        self._lacking_s = worth_s
        self._compiling: Thread | None = None

    def __call__(self, *given: Any) -> None:  # noqa: ANN401 - what `Revalue` takes
        if self._compiling is not None:
            self._run(*given)
            return
        began = thread_time()
        self._run(*given)
        self._lacking_s -= thread_time() - began
        if self._lacking_s <= 0:
            self._begin(given)

    @property
    def compiled(self) -> bool:
        """Whether the compiled kernel has taken over; it gives the same bits."""
        return self._run is not stacked.revalue

    def wait(self, limit_s: float) -> None:
        """Wait until nothing is being compiled, so long at most."""
        if self._compiling is not None:
            self._compiling.join(limit_s)

    def _begin(self, given: Sequence[Any]) -> None:
        """Start to compile for what is like this."""
        alike = [
            np.empty_like(each, shape=(0,) * each.ndim) if isinstance(each, np.ndarray) else each for each in given
        ]
        self._compiling = Thread(target=self._compile, args=(alike,), name="compiling", daemon=True)
        self._compiling.start()
        atexit.register(self._compiling.join, self.LONGEST_GOODBYE_S)

    def _compile(self, alike: list[Any]) -> None:
        try:
            from aggregator.arrays.compiled import revalue  # noqa: PLC0415 - numba takes half a second to import

            revalue(*alike)
        except ImportError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a compiler or its files raise, numpy gives the same numbers
            say_slower("the book in memory", words_of(error))
            return
        self._run = revalue


@cache
def patient() -> Patient:
    """Return the one of this process."""
    return Patient()
