"""What other systems require of the collateral in escrows: in the house's sums, as each unit's own number, and in doubt."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from aggregator.margin.house import Bound, Margin, Required, value
from aggregator.margin.liabilities import Liabilities, Standing, max_age_s
from aggregator.margin.numbers import WAD, rfc3339
from aggregator.margin.policy import LiabilityPolicy, Policy
from aggregator.margin.validity import doubted, unconfirmed
from aggregator.margin.valuation import USD_BASE_UNIT, OpenUnit, ValuedPosition, is_usable, last_value
from aggregator.margin.venue import Doubts, unit_name
from aggregator.oracle.mark import Mark
from chains.model import Reason

LIABILITIES_UNKNOWN = "liabilities_unknown"
WHAT_TO_DO = "import newer ones with `crossmargin liabilities import FILE`; until then its deposits count zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNumbers:
    """What decides about a unit in USD: what covers it, what must be covered, and the one over the other as a wad."""

    covering: Fraction
    required: Fraction

    @property
    def health_factor_wad(self) -> int:
        return self.covering * WAD // self.required


def requirements(units: Iterable[OpenUnit], policy: LiabilityPolicy) -> Required:
    """Sum the liabilities that are known: losses are debt, requirements weigh like debt, profits cover as far as they may."""
    known = [said for held_in in units if (said := _known(held_in)) is not None]
    gain = math.fsum(float(said.gain_usd) for said in known)
    loss = math.fsum(float(said.loss_usd) for said in known)
    return Required(
        collateral=gain,
        initial_collateral=gain * policy.positive_pnl_initial,
        maintenance_collateral=gain * policy.positive_pnl_maintenance,
        debt=loss,
        initial_debt=math.fsum((loss, *(float(said.initial_requirement_usd) for said in known))),
        maintenance_debt=math.fsum((loss, *(float(said.maintenance_requirement_usd) for said in known))),
    )


def doubtful_units(
    units: Sequence[OpenUnit],
    positions: Sequence[ValuedPosition],
    *,
    dust_share: float,
    standing: Iterable[tuple[Sequence[OpenUnit], Margin]],
) -> tuple[OpenUnit, ...]:
    """Return the units whose unknown liabilities could matter; `standing`: units that are judged together, with their margin at the middle.

    One that owed something when it was last heard of always can. Others can together, unless what they hold is less than
    `dust_share` of all counted collateral that they are judged with: anybody may have sent that.
    """
    silent = [held_in for held_in in units if held_in.standing is Standing.UNKNOWN]
    owing = [held_in for held_in in silent if held_in.liabilities is not None and held_in.liabilities.owes]
    others = {id(held_in): _worth(held_in, positions) for held_in in silent if held_in not in owing}
    holding = {name: worth for name, worth in others.items() if worth != 0}
    doubtful = {
        id(held_in)
        for together, mid in standing
        if not _is_dust([holding[id(each)] for each in together if id(each) in holding], dust_share, mid)
        for held_in in together
    }
    return (*owing, *(held_in for held_in in silent if id(held_in) in holding and id(held_in) in doubtful))


def _is_dust(worths: Sequence[float | None], share: float, mid: Margin) -> bool:
    known = [worth for worth in worths if worth is not None]
    return len(known) == len(worths) and math.fsum(known) < share * mid.collateral


def unreported(units: Iterable[OpenUnit], doubtful: Collection[OpenUnit]) -> Doubts:
    """Say of every unit with unknown liabilities what is missing."""
    silent = [held_in for held_in in units if held_in.standing is Standing.UNKNOWN]
    return Doubts(
        blocking=tuple(_unknown(held_in) for held_in in silent if held_in in doubtful),
        noted=tuple(_unknown(held_in) for held_in in silent if held_in not in doubtful),
    )


def judged(
    units: Sequence[OpenUnit],
    positions: Sequence[ValuedPosition],
    doubtful: Collection[OpenUnit],
    policy: Policy,
) -> tuple[tuple[OpenUnit, ...], tuple[ValuedPosition, ...]]:
    """Give each unit that others have a claim on its own number, or let it be unknown; all else stays as it is."""
    claimed = [held_in for held_in in units if held_in.standing is not Standing.NONE]
    after = {
        id(held_in): _judged(held_in, _held(held_in, positions), policy, doubtful=held_in in doubtful)
        for held_in in claimed
    }
    return (
        tuple(after.get(id(held_in), held_in) for held_in in units),
        tuple(
            replace(item, held_in=after[id(item.held_in)]) if id(item.held_in) in after else item for item in positions
        ),
    )


def _judged(held_in: OpenUnit, deposits: Sequence[ValuedPosition], policy: Policy, *, doubtful: bool) -> OpenUnit:
    unit, said = held_in.unit, _known(held_in)
    if said is None:
        unknown = replace(unit, has_debt=True, health_factor_wad=None, liquidatable=None)
        return replace(held_in, unit=unknown) if doubtful else held_in
    if said.debt_usd == 0:
        return held_in
    own = own_numbers(said, deposits, dust_share=policy.status.dust_share)
    if own is None:
        return replace(held_in, unit=replace(unit, has_debt=True, health_factor_wad=None, liquidatable=None))
    unsure = _unsure(said, deposits, policy) if own.covering < own.required else ()
    number = replace(
        unit,
        has_debt=True,
        health_factor_wad=own.health_factor_wad,
        liquidatable=own.covering < own.required and not unsure,
        reasons=(*unit.reasons, *unsure),
        collateral_base=math.floor(own.covering * USD_BASE_UNIT),
        debt_base=math.ceil(own.required * USD_BASE_UNIT),
        base_unit=USD_BASE_UNIT,
    )
    return replace(held_in, unit=number, adverse_wad=_adverse_wad(said, deposits, policy))


def _adverse_wad(said: Liabilities, deposits: Sequence[ValuedPosition], policy: Policy) -> int | None:
    """Return the number with doubtful marks at their adverse sides: `None` where there are none, 0 where it is not known."""
    changed = doubted(deposits, policy.validity, Bound.LOW)
    if changed is deposits:
        return None
    own = own_numbers(said, changed, dust_share=policy.status.dust_share)
    return 0 if own is None else own.health_factor_wad


def _unsure(said: Liabilities, deposits: Sequence[ValuedPosition], policy: Policy) -> tuple[Reason, ...]:
    """Say by which prices a breach is not confirmed: those at whose favourable side there would be none."""
    well = doubted(deposits, policy.validity, Bound.HIGH)
    own = own_numbers(said, well, dust_share=policy.status.dust_share)
    mended = own is not None and own.covering >= own.required
    return unconfirmed(deposits, policy.validity) if mended else ()


def own_numbers(said: Liabilities, deposits: Sequence[ValuedPosition], *, dust_share: float) -> OwnNumbers | None:
    """Set deposits at the middle of their marks and a profit against requirement and loss.

    `None` when a deposit that counts has no mark, unless all such were last known to be dust, and the verdict is the same with
    and without them; they then add nothing.
    """
    counted = [item for item in deposits if item.matters]
    priced = Fraction(math.fsum(value(item, Bound.MID) for item in counted))
    own = OwnNumbers(covering=priced + Fraction(said.gain_usd), required=Fraction(said.debt_usd))
    unpriced = [last_value(item) for item in counted if not isinstance(item.mark, Mark)]
    known = [worth for worth in unpriced if worth is not None]
    left_out = Fraction(math.fsum(known))
    is_dust = len(known) == len(unpriced) and left_out < Fraction(dust_share) * priced
    settled = own.covering >= own.required or own.covering + left_out < own.required
    return own if not unpriced or (is_dust and settled) else None


def _known(held_in: OpenUnit) -> Liabilities | None:
    return held_in.liabilities if held_in.standing is Standing.KNOWN else None


def _held(held_in: OpenUnit, positions: Iterable[ValuedPosition]) -> list[ValuedPosition]:
    return [item for item in positions if item.held_in is held_in]


def _worth(held_in: OpenUnit, positions: Iterable[ValuedPosition]) -> float | None:
    """Return what a unit holds against which something may be owed, in USD by the last that was known, or `None` where nothing was.

    That the house lets a deposit count for nothing says nothing of what is owed; but one that has never had a price either is ignored,
    since a stranger may send it.
    """
    held = [item for item in _held(held_in, positions) if is_usable(item) and item.position.amount_raw > 0]
    worths = [(item, value(item, Bound.MID) if isinstance(item.mark, Mark) else last_value(item)) for item in held]
    if any(worth is None and item.accepted for item, worth in worths):
        return None
    return math.fsum(worth for _, worth in worths if worth is not None)


def _unknown(held_in: OpenUnit) -> Reason:
    said, limit_s = held_in.liabilities, max_age_s(held_in.venue)
    if said is None:
        detail = f"none have been imported up to its block, the limit of age is {limit_s} s; {WHAT_TO_DO}"
    else:
        age_s = held_in.now - said.as_of
        detail = f"the last are as of {rfc3339(said.as_of)}, {age_s} s before the block, the limit is {limit_s} s; {WHAT_TO_DO}"
    return Reason(LIABILITIES_UNKNOWN, unit_name(held_in), detail)
