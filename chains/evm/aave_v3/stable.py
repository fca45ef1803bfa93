"""Debt at a stable rate (3.0 and 3.1): each event of the token tells the whole state of one account (`StableDebtToken`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chains.errors import NodeWrong
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.maths import ray_mul
from chains.evm.abi import LoggedEvent

if TYPE_CHECKING:
    from chains.evm.aave_v3.market import Pass


@dataclass(frozen=True, slots=True, kw_only=True)
class StableDebt:
    """What one account owes of one asset at a rate of its own.

    `principal`: raw token units when it was last touched, at `updated_at` (Unix seconds); `rate`: ray per year.
    """

    principal: int
    rate: int
    updated_at: int

    def balance(self, compounded: Callable[[int, int], int], time: int) -> int:
        """Return what is owed at a time (`balanceOf`): half up."""
        return ray_mul(self.principal, compounded(self.rate, time - self.updated_at)) if self.principal else 0


NOTHING = StableDebt(principal=0, rate=0, updated_at=0)


def text_of(debt: StableDebt) -> str:
    """Write the setting `stable_debt` of an account."""
    return json.dumps(state_of(debt), separators=(",", ":"))


def state_of(debt: StableDebt) -> dict[str, str | int]:
    """Return a debt as its fields are stored."""
    return {"principal": str(debt.principal), "rate": str(debt.rate), "updated_at": debt.updated_at}


def debt_of(text: str | None) -> StableDebt | None:
    """Read it; nothing is owed where nothing was noted, and nothing is known of what older programs noted."""
    if text is None:
        return NOTHING
    said = json.loads(text)
    return StableDebt(**{name: int(value) for name, value in said.items()}) if isinstance(said, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one `Mint` or `Burn` says of the account `holder`.

    `before`, `after`: its principal; `rate`: its new rate, `None` where it keeps its own. A repayment of less than the interest since is
    told as a `Mint`, at the rate there was.
    """

    holder: bytes
    before: int
    after: int
    rate: int | None

    def debt(self, known: StableDebt, time: int) -> StableDebt:
        """Return what is owed after the event, of what was `known` before; a debt that is paid leaves no rate and no time."""
        if not self.after and self.rate is None:
            return NOTHING
        rate = known.rate if self.rate is None else self.rate
        return StableDebt(principal=self.after, rate=rate, updated_at=time)


def told(row: LoggedEvent) -> Told:
    """Read a `Mint` or `Burn` of a stable debt token."""
    if row.event is ev.STABLE_MINT:
        _, holder, amount, balance, increase, rate, _, _ = row.args
        return Told(holder=holder, before=balance - increase, after=balance - increase + amount, rate=rate)
    holder, amount, balance, increase, _, _ = row.args
    return Told(holder=holder, before=balance - increase, after=balance - increase - amount, rate=None)


def total_of(row: LoggedEvent, time: int) -> StableDebt:
    """Return what all accounts together owe by a `Mint` or `Burn`: a principal that grows at the average rate.

    A repayment that would make the average negative clears the token's total, which the event does not tell.
    """
    if row.event is ev.STABLE_MINT:
        _, _, amount, _, increase, _, rate, total = row.args
        lent = amount >= increase
    else:
        (_, _, _, _, rate, total), lent = row.args, False
    return StableDebt(principal=total if lent or rate else 0, rate=rate, updated_at=time)


def note_debt(work: Pass, row: LoggedEvent) -> None:
    """Note what an account owes at a stable rate; raises `NodeWrong` where it owed something else before than was taken in."""
    asset = work.stable_tokens.get(row.address)
    if asset is None:
        return
    if (asset, "stable_total") in work.tips.markets:
        work.tips.market(row, asset, "stable_total", **state_of(total_of(row, work.times[row.block])))
    said = told(row)
    key = (said.holder, asset, "stable_debt")
    known = work.stable.get(key) or debt_of(work.state.accounts(work.venue.id, [key]).get(key))
    if known is None:
        return
    if known.principal != said.before or said.after < 0:
        message = (
            f"venue {work.venue.id}: 0x{said.holder.hex()} owed {known.principal} at a stable rate by what was taken in,"
            f" {said.before} by the event of block {row.block}; the node left out earlier logs of token 0x{row.address.hex()}"
        )
        raise NodeWrong(message)
    work.stable[key] = debt = said.debt(known, work.times[row.block])
    work.tips.account(row, said.holder, asset, "stable_debt", text_of(debt))
