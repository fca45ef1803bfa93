"""How the risks of several identities add up: to less than their sum where prices do not all move together, in the worst of three cases.

A case is a correlation matrix, and the share of a matching risk on the other side that is believed. The cases are those of the
standardised approach to market risk (Basel, MAR21.6: correlations as they are, higher, and lower), but made entry by entry from power
series without negative terms, which leaves any positive semidefinite matrix one (Schur), and so needs no repair that would depend on
what else an account holds. All entries of a case move together, also those between collateral and debt: only then is the root of its
form a norm, and what is required of two accounts together never more than of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.margin.model_policy import ModelPolicy
from aggregator.margin.risk import STRESS, RiskInputs

WHOLE = 1.0
Matrix = Sequence[Sequence[float]]
Vector = Mapping[str, float]
"""Identity → USD."""

NOTHING: Vector = {}

Pairs = Sequence[tuple[int, int, float]]
"""Row and column of a matrix, and the product of two risks."""


def as_it_is(correlation: float) -> float:
    return correlation


def higher(correlation: float) -> float:
    """Go half the way to 1: from the average of calm years (0.65) to that of months of crisis (0.69 to 0.88)."""
    return (1 + correlation) / 2


def lower(correlation: float) -> float:
    """Return (c + c³) / 2: within 0.06 of max(2c − 1, 0.75c) from 0.5 on, and with the slope of 2c − 1 where a hedge is nearly perfect."""
    return (correlation + correlation**3) / 2


def together(_: float) -> float:
    """Everything moves as one."""
    return WHOLE


CALM_CASES: Sequence[Callable[[float], float]] = (as_it_is, higher, lower)
STRESS_CASES: Sequence[Callable[[float], float]] = (as_it_is, together, lower)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risks:
    """What may be lost by identity in USD, never negative: by a fall of what is held, by a rise of what is owed."""

    falls: Vector = field(default_factory=dict)
    rises: Vector = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        return not (self.falls or self.rises)

    @property
    def largest(self) -> float:
        return max((*self.falls.values(), *self.rises.values()), default=0.0)

    def over(self, unit: float) -> Risks:
        """Return the same in units of `unit` USD."""
        return Risks(
            falls={name: risk / unit for name, risk in self.falls.items()},
            rises={name: risk / unit for name, risk in self.rises.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One matrix; `offset`: the share of a rise that a fall of the same identity is set against."""

    correlation: Matrix
    offset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlations:
    """All cases of one set of estimates, and the place of each identity in their matrices."""

    order: Mapping[str, int] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()

    def forms(self, left: Risks, right: Risks) -> list[float]:
        """Return `left · M · right` in each case, `M` being its matrix within each side and `-offset` times it across."""
        falls, rises = self._pairs(left.falls, right.falls), self._pairs(left.rises, right.rises)
        across = self._pairs(left.falls, right.rises), self._pairs(left.rises, right.falls)
        return [
            _added(falls, case.correlation)
            + _added(rises, case.correlation)
            - case.offset * (_added(across[0], case.correlation) + _added(across[1], case.correlation))
            for case in self.cases
        ]

    def _pairs(self, left: Vector, right: Vector) -> Pairs:
        if not (left and right):
            return ()
        order = self.order
        places = [(order[name], risk) for name, risk in right.items()]
        return [(order[name], place, one * other) for name, one in left.items() for place, other in places]


def _added(pairs: Pairs, matrix: Matrix) -> float:
    return math.fsum([product * matrix[row][column] for row, column, product in pairs]) if pairs else 0.0


def correlations_of(risk: RiskInputs, policy: ModelPolicy) -> Correlations:
    """Make the cases of the regime that estimates are of; raises `ValueError` where the matrix does not fit its identities.

    Where a correlation is negative, a fall on one side comes with a rise on the other: that is no hedge, and counts whole.
    """
    size = len(risk.assets)
    if len(risk.correlation) != size or any(len(row) != size for row in risk.correlation):
        raise ValueError(f"the correlation must have {size} rows and columns, one for each estimated identity")
    stressed = risk.regime == STRESS
    offset = policy.stress_offset_cap if stressed else policy.offset_cap
    made = [
        [[case(entry) for entry in row] for row in risk.correlation]
        for case in (STRESS_CASES if stressed else CALM_CASES)
    ]
    hedging = [Case(correlation=matrix, offset=offset) for matrix in made]
    adding = [Case(correlation=matrix, offset=WHOLE) for matrix in made if min(map(min, matrix), default=0.0) < 0]
    return Correlations(
        order={known.identity: place for place, known in enumerate(risk.assets)}, cases=(*hedging, *adding)
    )
