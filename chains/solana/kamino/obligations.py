"""Obligations as observed into amounts and settings, many at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from chains.columns import TOO_WIDE
from chains.identifiers import base58, unhexed
from chains.model import AccountBytes, Side
from chains.ports import PositionKey
from chains.solana.kamino import columns
from chains.solana.kamino.events import collateral_changes, debt_changes
from chains.solana.kamino.journal import (
    LIQUIDITY,
    RESERVE_STATE,
    Borrowed,
    Debt,
    Liquidity,
    Obligation,
    closed_obligation,
    doubtful_obligation,
    liquidity_of,
    obligation_of,
    obligation_text,
)
from chains.solana.kamino.layout import OBLIGATION
from chains.solana.kamino.tips import Tips
from chains.solana.layouts import integers, keys
from chains.solana.seen import Seen

_LENDING_MARKET = 32
_TOGETHER = 2048

MANY = 256
"""From so many new obligations on they are noted as columns."""

Held = dict[bytes, int]


class Read(NamedTuple):
    """What the bytes of an obligation say: who owns it, its setting, cTokens and debts by reserve, and the rates of the debts."""

    unit: bytes
    owner: bytes
    text: str
    deposits: Held
    borrows: Held
    debts: Mapping[bytes, Debt]


class Obligations:
    """The obligations of a venue while accounts are folded."""

    def __init__(self, tips: Tips, program: bytes, market: bytes) -> None:
        self._tips = tips
        self._program = program
        self._market = market
        self._units: frozenset[bytes] | None = None
        self._mints: dict[bytes, tuple[str, bytes]] = {}
        self._liquidities: dict[bytes, tuple[str, Liquidity]] = {}

    def knows(self, address: bytes) -> bool:
        """Whether an address was an obligation before."""
        if self._units is None:
            self._units = self._tips.units()
        return address in self._units or address in self._tips.settings([address])

    def fit(self, seen: Sequence[Seen]) -> list[bool]:
        """Tell which accounts are obligations of this market."""
        size, kind, market, program = OBLIGATION.size, OBLIGATION.discriminator, self._market, self._program
        return [
            len(data) == size
            and data.startswith(kind)
            and data.startswith(market, _LENDING_MARKET)
            and owner == program
            for _, (_, owner, _, data, _) in seen
        ]

    def enter(self, good: Sequence[Seen], odd: Sequence[Seen]) -> None:
        """Take in obligations of one slot, and what should be some and does not `fit`."""
        settings = self._tips.settings([address for address, _ in (*good, *odd)])
        for address, account in odd:
            self._odd(address, account, settings.get(address))
        new = [each for each in good if each[0] not in settings] if settings else good
        if len(new) >= MANY:
            left = self._crowds(new)
            good = [each for each in good if each[0] in settings or each[0] in left] if settings or left else []
        if good:
            self._compare(list(_read([unit for unit, _ in good], [account.data for _, account in good])))

    def _crowds(self, seen: Sequence[Seen]) -> set[bytes]:
        """Take in many new obligations as columns, so many at once as stay near the processor; return those to be read one by one."""
        left: set[bytes] = set()
        for at in range(0, len(seen), _TOGETHER):
            some = seen[at : at + _TOGETHER]
            units = [unit for unit, _ in some]
            found = columns.read([account.data for _, account in some])
            plain = found.ordinary()
            if not plain.all():
                left.update(compress(units, (~plain).tolist()))
                units = list(compress(units, plain.tolist()))
                found = found.of(plain)
            self._tips.crowd(units, found, self._mint)
        return left

    def _odd(self, unit: bytes, account: AccountBytes, before: str | None) -> None:
        """Take in an obligation that is gone, or that is none any more."""
        if account.closed:
            if before is not None:
                owner = obligation_of(before).owner
                self._compare([Read(unit, owner, closed_obligation(before), {}, {}, {})])
            return
        self._tips.quarantine(f"malformed_account:{OBLIGATION.name}", account.data)
        problem = OBLIGATION.problem(account.data) or "the Obligation is of another program or lending market"
        if before is not None and (text := doubtful_obligation(before, problem)) != before:
            self._tips.setting(unit, obligation_of(before).owner, text)

    def _compare(self, found: Sequence[Read]) -> None:
        """Note what is not as it was."""
        settings = self._tips.settings(())
        before = {read.unit: settings[read.unit] for read in found if settings.get(read.unit, read.text) != read.text}
        old = {unit: obligation_of(text) for unit, text in before.items()}
        wanted = [key for read in found for key in _keys(read, old.get(read.unit))]
        amounts = self._tips.amounts(wanted)
        for read in found:
            then = old.get(read.unit)
            known = read.unit in settings
            if then is not None or not known:
                self._tips.setting(read.unit, read.owner, read.text)
            self._move(read, then, amounts, known=known)

    def _move(self, read: Read, then: Obligation | None, amounts: Mapping[PositionKey, int], *, known: bool) -> None:
        """Note amounts that are others, all of them where the owner is another, and what must have happened."""
        owner = read.owner
        moved = then is not None and then.owner != owner
        before: dict[Side, Held] = {Side.SUPPLY: {}, Side.BORROW: {}}
        changed = moved
        for key in dict.fromkeys(_keys(read, then)):
            _, reserve, side = key
            held = read.deposits if side is Side.SUPPLY else read.borrows
            now = held.get(reserve, 0)
            was = _wide(then, reserve, now, known=known) if side is Side.BORROW else None
            if was is None:
                was = amounts.get(key, 0)
            before[side][reserve] = was
            if was != now or (moved and now):
                changed = True
                self._tips.amount(key, owner, self._mint(reserve), now)
        if known and changed:
            self._tell(read, then, before)

    def _tell(self, read: Read, then: Obligation | None, before: Mapping[Side, Held]) -> None:
        debts = read.debts if then is None else then.borrows
        had = {reserve: (amount, debts[reserve]) for reserve, amount in before[Side.BORROW].items() if reserve in debts}
        has = {reserve: (amount, read.debts[reserve]) for reserve, amount in read.borrows.items()}
        named = {*before[Side.SUPPLY], *before[Side.BORROW]}
        reserves = {reserve: liquidity for reserve in named if (liquidity := self._liquidity(reserve))}
        for happened in (
            *collateral_changes(before[Side.SUPPLY], read.deposits, reserves),
            *debt_changes(had, has, reserves),
        ):
            extra = {"observed": True, "change_raw": str(happened.change), "account": base58(read.unit)}
            asset = self._mint(happened.reserve)
            self._tips.happened(happened.kind, happened.reserve, read.owner, asset, happened.amount, extra)

    def _mint(self, reserve: bytes) -> bytes:
        text = self._tips.markets.get((reserve, RESERVE_STATE))
        if text is None:
            return b""
        kept = self._mints.get(reserve)
        if kept is None or kept[0] is not text:
            kept = self._mints[reserve] = text, unhexed(json.loads(text)["asset"])
        return kept[1]

    def _liquidity(self, reserve: bytes) -> Liquidity | None:
        text = self._tips.markets.get((reserve, LIQUIDITY))
        if text is None:
            return None
        kept = self._liquidities.get(reserve)
        if kept is None or kept[0] is not text:
            kept = self._liquidities[reserve] = text, liquidity_of(text)
        return kept[1]


def _keys(read: Read, then: Obligation | None) -> Iterator[PositionKey]:
    """Yield the positions that an obligation has, or had."""
    for side, held, had in (
        (Side.SUPPLY, read.deposits, () if then is None else then.deposits),
        (Side.BORROW, read.borrows, () if then is None else then.borrows),
    ):
        for reserve in held:
            yield read.unit, reserve, side
        for reserve in had:
            if reserve not in held:
                yield read.unit, reserve, side


def _wide(then: Obligation | None, reserve: bytes, now: int, *, known: bool) -> int | None:
    """Return the debt before, where only the setting holds it: where the setting is as it was, so is a debt that it holds."""
    if then is None:
        return now if known and now >= TOO_WIDE else None
    debt: Debt | None = then.borrows.get(reserve)
    return None if debt is None else debt.wide


def _read(units: Sequence[bytes], accounts: Sequence[bytes]) -> Iterator[Read]:
    """Read obligations: the slots that name a reserve."""
    found = columns.read(accounts)
    heads, deposits, borrows = found.heads, found.deposits.records, found.borrows.records
    supplies = list(zip(keys(deposits["deposit_reserve"]), deposits["deposited_amount"].tolist(), strict=True))
    debts: list[Borrowed] = list(
        zip(
            keys(borrows["borrow_reserve"]),
            integers(borrows["borrowed_amount_sf"], "u128"),
            integers(borrows["cumulative_borrow_rate_bsf"], "u256"),
            borrows["last_borrowed_at_timestamp"].tolist(),
            strict=True,
        )
    )
    numbers = zip(
        heads["elevation_group"].tolist(),
        heads["has_debt"].tolist(),
        heads["lowest_reserve_deposit_max_ltv_pct"].tolist(),
        heads["autodeleverage_margin_call_started_timestamp"].tolist(),
        found.orders.astype(np.uint8).tolist(),
        strict=True,
    )
    first_held = first_owed = 0
    ends = zip(np.cumsum(found.deposits.counts).tolist(), np.cumsum(found.borrows.counts).tolist(), strict=True)
    for unit, owner, five, (end_held, end_owed) in zip(units, keys(heads["owner"]), numbers, ends, strict=True):
        mine, theirs = supplies[first_held:end_held], debts[first_owed:end_owed]
        first_held, first_owed = end_held, end_owed
        text = obligation_text(owner, five, [reserve for reserve, _ in mine], theirs)
        owes = {reserve: amount for reserve, amount, _, _ in theirs}
        rates = {reserve: Debt(rate, at) for reserve, _, rate, at in theirs}
        read = Read(unit, owner, text, dict(mine), owes, rates)
        if len(read.deposits) != len(mine) or len(read.borrows) != len(theirs):
            read = read._replace(text=doubtful_obligation(text, "a reserve stands in two slots of the obligation"))
        yield read
