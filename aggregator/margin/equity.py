"""What would be left of an account if all its debt were multiplied by s, and the s at which nothing is: the health factor.

In each case of correlation, with κ from the policy,

    E(s) = A - s·B - κ·(ΣRc + s·ΣRd) - (1 - κ)·√q(Rc, s·Rd)

`A`: collateral after all that does not diversify, and profits; `B`: debt with its fixed factors, and requirements; `Rc`, `Rd`: what market
moves may take from either, by identity. It is concave along any line that multiplies some of the positions, so that the account is
sound on an interval of each such line, whose ends are roots of one quadratic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aggregator.margin.correlation import NOTHING, Correlations, Risks

LARGEST_RATIO = 1e12
"""A health factor beyond this is shown as this: debt that is nothing beside its collateral."""


class Exposure(NamedTuple):
    """A position as one margin counts it at one price, in USD.

    Collateral: `kept` is the share of its value that is left before the market takes `market` of it. Debt: it counts `kept` times its
    value, and the market may add `market` times its value.
    """

    identity: str
    is_debt: bool
    value: float
    kept: float
    market: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A set of exposures added up by exact sums, so that neither order nor how positions are split changes anything.

    `collateral`, `debt`: A and B; `risks`: of the market by identity.
    """

    collateral: float
    debt: float
    risks: Risks

    @property
    def at_risk(self) -> tuple[float, float]:
        """ΣRc and ΣRd."""
        return math.fsum(self.risks.falls.values()), math.fsum(self.risks.rises.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """κ and the cases of correlation."""

    kappa: float
    correlations: Correlations


def add_up(exposures: Iterable[Exposure], gains: float = 0.0, requirements: float = 0.0) -> Sums:
    """Add exposures up; `gains` count with the collateral and `requirements` with the debt, without any risk, both in USD."""
    collateral, debt = [gains], [requirements]
    falls: dict[str, list[float]] = {}
    rises: dict[str, list[float]] = {}
    for identity, is_debt, value, kept, market in exposures:
        fixed = value * kept
        (debt if is_debt else collateral).append(fixed)
        at_risk = value * market if is_debt else fixed * market
        if at_risk > 0:
            (rises if is_debt else falls).setdefault(identity, []).append(at_risk)
    return Sums(
        collateral=math.fsum(collateral),
        debt=math.fsum(debt),
        risks=Risks(falls=_by_identity(falls), rises=_by_identity(rises)),
    )


def _by_identity(parts: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {identity: math.fsum(parts[identity]) for identity in sorted(parts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Equity in one case along t, in USD: `start + slope·t − unit·√(q00 + 2·q01·t + q11·t²)`.

    `unit`: about the largest risk, and a power of two, so that squares neither overflow nor vanish, and nothing is rounded for it.
    """

    start: float
    slope: float
    q00: float = 0.0
    q01: float = 0.0
    q11: float = 0.0
    unit: float = 1.0

    def at(self, t: float) -> float:
        spread = self.q00 + t * (2 * self.q01 + t * self.q11)
        return self.start + self.slope * t - self.unit * math.sqrt(max(spread, 0.0))

    @property
    def lean(self) -> float:
        """What equity gains with t, at t = 1."""
        spread = self.q00 + 2 * self.q01 + self.q11
        return self.slope - (self.unit * (self.q01 + self.q11) / math.sqrt(spread) if spread > 0 else 0.0)

    @property
    def straight(self) -> bool:
        return self.q00 == 0 and self.q11 == 0


def lines(resting: Sums, moving: Sums, model: Model) -> list[Line]:
    """Return the equity of `resting` and t times `moving`, in each case of correlation."""
    kappa, spread = model.kappa, (1 - model.kappa) ** 2
    start, slope = _certain(resting, kappa), _certain(moving, kappa)
    if spread == 0 or (resting.risks.nothing and moving.risks.nothing):
        return [Line(start=start, slope=slope)]
    unit = math.ldexp(1.0, math.frexp(max(resting.risks.largest, moving.risks.largest))[1])
    still, move, forms = resting.risks.over(unit), moving.risks.over(unit), model.correlations.forms
    return [
        Line(start=start, slope=slope, q00=spread * own, q01=spread * between, q11=spread * along, unit=unit)
        for own, between, along in zip(forms(still, still), forms(still, move), forms(move, move), strict=True)
    ]


def _certain(sums: Sums, kappa: float) -> float:
    """Return A − B − κ·(ΣRc + ΣRd)."""
    falls, rises = sums.at_risk
    return sums.collateral - kappa * falls - (sums.debt + kappa * rises)


def debt_lines(sums: Sums, model: Model) -> list[Line]:
    """Return the equity as a function of the multiple of all debt."""
    if sums.risks.nothing:
        return [Line(start=sums.collateral, slope=0.0 - sums.debt)]
    collateral = Sums(collateral=sums.collateral, debt=0.0, risks=Risks(falls=sums.risks.falls, rises=NOTHING))
    debt = Sums(collateral=0.0, debt=sums.debt, risks=Risks(falls=NOTHING, rises=sums.risks.rises))
    return lines(collateral, debt, model)


def equity(along: Sequence[Line], t: float = 1.0) -> float:
    """Return the least equity of all cases."""
    return min(line.at(t) for line in along)


def largest_multiple(along: Sequence[Line]) -> float:
    """Return the largest multiple of the debt at which nothing is lacking in any case, at most `LARGEST_RATIO`.

    With c, d and r the spread of collateral, of debt, and between them, each over what is certain of it, the multiple is `start / −slope`
    times the root σ of (1 − σ)² = c² − 2rσ + d²σ².
    """
    return min(map(_multiple, along))


def _multiple(line: Line) -> float:
    certain, owed = line.start, -line.slope
    if owed <= 0:
        return LARGEST_RATIO
    if certain <= 0:
        return 0.0
    part = 1.0
    if not line.straight:
        of_certain, of_owed = line.unit / certain, line.unit / owed
        c2 = min(line.q00 * of_certain * of_certain, 1.0)
        d2 = line.q11 * of_owed * of_owed
        r = -line.q01 * of_certain * of_owed
        below = (1 - r) + math.sqrt(max(c2 - 2 * r + d2 + r * r - c2 * d2, 0.0))
        part = (1 - c2) / below if below > 0 else 0.0
    return min(certain / owed * part, LARGEST_RATIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Where along t the account stops being sound, below 1 and above; `None`: nowhere."""

    below: float | None
    above: float | None


def sound_between(along: Sequence[Line]) -> Ends:
    """Find the interval of t > 0 around 1 on which nothing is lacking in any case; there must be none lacking at 1."""
    found = [_ends(line) for line in along]
    below = [ends.below for ends in found if ends.below is not None]
    above = [ends.above for ends in found if ends.above is not None]
    return Ends(below=max(below, default=None), above=min(above, default=None))


def _ends(line: Line) -> Ends:
    roots = [-line.start / line.slope] if line.straight and line.slope != 0 else _quadratic(line)
    return Ends(
        below=max((t for t in roots if 0 < t <= 1), default=None),
        above=min((t for t in roots if 1 <= t < math.inf), default=None),
    )


def _quadratic(line: Line) -> list[float]:
    """Return the roots of the square of both sides, from 1 on; the nearest on either side is one of the equity itself.

    `certain` is what there is at t = 1 without the spread; all is divided by it, so that no square overflows.
    """
    certain = line.start + line.slope
    if line.straight or certain <= 0:
        return []
    slope, squared = line.slope / certain, (line.unit / certain) ** 2
    spread = (line.q00 + 2 * line.q01 + line.q11) * squared
    lean, bend = (line.q01 + line.q11) * squared, line.q11 * squared
    c, b, a = max(1 - spread, 0.0), slope - lean, slope * slope - bend
    if c == 0:
        return [1.0]
    inside = b * b - a * c
    if inside < 0:
        return []
    far = -(b + math.copysign(math.sqrt(inside), b))
    return [1 + t for t in ((c / far if far else math.inf), (far / a if a else math.inf)) if math.isfinite(t)]
