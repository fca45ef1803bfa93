"""What is the same for all accounts: κ, correlations, and the cases of them of which the worst counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.arrays.columns import Floats

TOGETHER = 3
"""Cases are solved so many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of correlation: the shares of 1, c and c³ of which its entries are made, and how much of an offset is believed."""

    ones: float
    first: float
    third: float
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """`correlation`: of log returns, in the order of `identities`; what is not among them has no market layer.

    Without cases nothing diversifies and nothing offsets.
    """

    kappa: float = 1.0
    identities: Sequence[str] = ()
    correlation: Sequence[Sequence[float]] = ()
    cases: Sequence[Case] = ()

    @property
    def places(self) -> Mapping[str, int]:
        return {identity: place for place, identity in enumerate(self.identities)}

    @property
    def matrix(self) -> Floats:
        """The correlations, and a last row and column of nothing for what has no estimate; raises `ValueError` if they do not fit."""
        size = len(self.identities)
        given = np.array(self.correlation, dtype=np.float64).reshape(-1, size) if size else np.zeros((0, 0))
        if given.shape != (size, size):
            raise ValueError(f"the correlation must have {size} rows and columns, one for each estimated identity")
        matrix = np.zeros((size + 1, size + 1))
        matrix[:size, :size] = given
        return matrix

    @property
    def case_rows(self) -> Floats:
        """The cases, as many as `TOGETHER` divides: the last is there again, which changes no worst one."""
        rows = [[case.ones, case.first, case.third, case.offset] for case in self.cases]
        rows += rows[-1:] * (-len(rows) % TOGETHER)
        return np.array(rows, dtype=np.float64).reshape(-1, 4)


STATIC = Estimates()
"""Nothing is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The parts of estimates as kernels take them; `correlation`: (identities, identities)."""

    kappa: float
    correlation: Floats = field(repr=False)
    cases: Floats

    @classmethod
    def of(cls, estimates: Estimates) -> Kernel:
        return cls(kappa=estimates.kappa, correlation=estimates.matrix, cases=estimates.case_rows)
