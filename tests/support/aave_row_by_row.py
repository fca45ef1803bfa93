"""Aave's fold once more, one event after the other in chain order: slow, plain, and what the columns are compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from chains.errors import NodeWrong
from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3 import held
from chains.evm.aave_v3.accruals import Accrual, rates_of, text_of
from chains.evm.aave_v3.fold import AaveV3
from chains.evm.aave_v3.liquidity import ASPECT, Left, left_of, settle
from chains.evm.aave_v3.liquidity import text_of as text_of_left
from chains.evm.aave_v3.market import HANDLERS, Pass
from chains.evm.aave_v3.rounding import LEAST_INDEX, RULES, SCALED, SHOWN, Rounding, moved
from chains.evm.aave_v3.sentinel import watch
from chains.evm.abi import Decoded, LoggedEvent, Misfit, decode_all
from chains.evm.ports import Folded, NeedReads, Reads
from chains.model import WHOLE_VENUE, Basis, LendingEvent, MarketChange, PositionChange, Side
from chains.ports import StateReader

RATES = ("liquidity_rate", None, "variable_borrow_rate", "liquidity_index", "variable_borrow_index")
HISTORY = {
    ev.SUPPLY: ("supply", 2, 1),
    ev.WITHDRAW: ("withdraw", 1, 2),
    ev.BORROW: ("borrow", 2, 1),
    ev.REPAY: ("repay", 1, 2),
}


class AaveRowByRow(AaveV3):
    """The same market, folded row by row."""

    __slots__ = ()

    def decode(self, logs: pa.Table) -> Decoded:  # type: ignore[override]  # what it is, only the fold itself knows
        return decode_all(ev.EVENTS, logs)

    def fold(self, state: StateReader, decoded: Decoded, times: Mapping[int, int], reads: Reads) -> Folded | NeedReads:  # type: ignore[override]
        work = Pass(self.venue, self.provider, state, reads, times)
        rows = _Rows(work, state, times)
        for event in decoded.events:
            rows.end_blocks_before(event.block)
            if event.event in HANDLERS:
                HANDLERS[event.event](work, event)
                rows.accrue()
                rows.tell_of_reserves(event)
            else:
                rows.take(event)
        rows.tell_debts()
        if not reads.missing:
            watch(work)
            settle(work)
            if work.versions.terms.reads_liquidity:
                held.watch(work, rows.moved)
        rows.tell_left()
        if reads.is_open():
            return NeedReads(reads=frozenset(reads.missing), looks=frozenset(reads.unlooked))
        contracts = self._contracts(work.tips.markets)
        mine = [misfit for misfit in decoded.misfits if misfit.address in contracts]
        work.tips.rows.quarantined += [misfit.quarantined(self.venue.id) for misfit in mine]
        return Folded(rows=work.tips.rows, contracts=contracts, sources=work.sources)


class _Rows:
    """What accounts did, upon what the market is at that very event."""

    def __init__(self, work: Pass, state: StateReader, times: Mapping[int, int]) -> None:
        self.work = work
        self.state = state
        self.times = times
        self.venue = work.venue
        self.balances: dict[tuple[bytes, bytes, Side], int] = {}
        self.owed: dict[bytes, int] = {}
        self.debts: dict[tuple[bytes, int], MarketChange] = {}
        known = state.markets(work.venue.id).items()
        self.left = {asset: left_of(text) for (asset, aspect), text in known if aspect == ASPECT}
        self.told: dict[bytes, list[Left | None]] = {asset: [left] for asset, left in self.left.items()}
        self.lefts: dict[tuple[bytes, int, int], MarketChange] = {}
        self.moved: dict[bytes, set[int]] = {}
        self.ended: set[tuple[int, bytes]] = set()

    def take(self, row: LoggedEvent) -> None:
        if row.event in ev.TOKEN_EVENTS:
            self.token(row)
        elif row.address == self.venue.address:
            self.pool(row)

    def accrue(self) -> None:
        """Let the indexes grow that the last event moved without telling."""
        while self.work.accruals:
            row, asset, _, engine, _ = self.work.accruals.pop()
            text = self.work.tips.markets.get((asset, "rates"))
            rates, time = rates_of(text) if text else None, self.times[row.block]
            if rates is not None and rates.updated_at != time:
                owed = self.work._owed(Accrual(row, asset, text, engine), rates)
                self.work.tips.market(row, asset, "rates", **json.loads(text_of(rates.grown(engine, time, owed=owed))))

    def tell_of_reserves(self, row: LoggedEvent) -> None:
        """Take what one of the few did to what reserves have left."""
        while self.work.liquidations:
            _, asset, change = self.work.liquidations.pop(0)
            self.move(row, asset, change)
        while self.work.anchors:
            _, asset, left = self.work.anchors.pop(0)
            self.anchor(asset, left)

    def end_blocks_before(self, block: int) -> None:
        """Let what was asked after a block hold from its end on."""
        for key, left in self.work.counted_at.items():
            if key not in self.ended and key[0] < block:
                self.ended.add(key)
                self.anchor(key[1], left)

    def anchor(self, asset: bytes, left: Left | None) -> None:
        self.left[asset] = left
        self.told.setdefault(asset, []).append(left)

    def move(self, row: LoggedEvent, asset: bytes, change: int, supplied: int = 0) -> None:
        if row.address == self.venue.address:
            self.moved.setdefault(asset, set()).add(row.block)
        left = self.left.get(asset)
        if left is None:
            return
        virtual = left.virtual + change
        self.left[asset] = after = Left(virtual, left.supplied + supplied)
        place = row.block, row.tx_index, row.ordinal
        self.lefts[asset, row.block, len(self.told[asset])] = MarketChange(
            *place, self.venue.id, asset, ASPECT, text_of_left(after), self.work.tips.engine, Basis.EXACT
        )

    def tell_left(self) -> None:
        """Tell what changed from the end of one block to that of the next that touched it."""
        last = {(asset, i): left for asset, told in self.told.items() for i, left in enumerate(told, 1)}
        for (asset, _, anchor), row in self.lefts.items():
            left, known = left_of(row.state), last[asset, anchor]
            if known is not None and left is not None and left != known:
                last[asset, anchor] = left = left if left.virtual >= 0 else None
                self.work.tips.rows.markets.append(row._replace(state=text_of_left(left)))

    def token(self, row: LoggedEvent) -> None:
        token = self.work.tokens.get(row.address)
        if token is None:
            return
        if row.event is ev.BALANCE_TRANSFER:
            sender, receiver, scaled, index = row.args
            if not index and token.rounding is Rounding.UNSCALED:
                data = b"".join(value.to_bytes(32) for value in row.args[2:])
                misfit = Misfit(row.block, row.ordinal, row.tx_index, row.address, row.event, data)
                self.work.tips.rows.quarantined.append(misfit.quarantined(self.venue.id))
                return
            shown = SHOWN[token.rounding or Rounding.HALF_UP]
            moves = SCALED[token.rounding or Rounding.HALF_UP](scaled, index)
            if sender != receiver:
                self.change(row, sender, -moves, index)
                self.change(row, receiver, moves, index)
            self.tell(row, "transfer", token.asset, between=(sender, receiver), amount=shown(scaled, index))
        elif token.rounding is None:
            return
        elif row.args[-1] < LEAST_INDEX[token.rounding]:
            data = b"".join(value.to_bytes(32) for value in row.args[2:])
            misfit = Misfit(row.block, row.ordinal, row.tx_index, row.address, row.event, data)
            self.work.tips.rows.quarantined.append(misfit.quarantined(self.venue.id))
        elif row.event is ev.MINT:
            _, holder, value, increase, index = row.args
            self.change(row, holder, value - increase, index)
        else:
            holder, _, value, increase, index = row.args
            self.change(row, holder, -(value + increase), index)

    def change(self, row: LoggedEvent, holder: bytes, change: int, index: int) -> None:
        asset, side, rounding = self.work.tokens[row.address]
        if rounding is None:
            return
        key = (holder, asset, side)
        if key not in self.balances:
            self.balances[key] = self.state.positions(self.venue.id, [key]).get(key, 0)
        settle = moved if row.event is ev.BALANCE_TRANSFER else RULES[rounding, side]
        before = self.balances[key]
        self.balances[key] = amount = settle(before, change, index)
        if side is Side.SUPPLY:
            self.move(row, asset, 0, amount - before)
        if side is Side.BORROW and (asset, "variable_debt") in self.work.tips.markets:
            self.owe(row, asset, amount - before)
        if amount < 0:
            raise NodeWrong(
                f"venue {self.venue.id}: the scaled balance of 0x{holder.hex()} falls below zero at block {row.block};"
                " the node left out earlier logs of token 0x" + row.address.hex()
            )
        self.work.tips.rows.positions.append(
            PositionChange(
                row.block, row.tx_index, row.ordinal, self.venue.id, holder, holder, asset, side, asset, amount,
                self.work.tips.engine, Basis.EXACT,
            )
        )  # fmt: skip

    def owe(self, row: LoggedEvent, asset: bytes, change: int) -> None:
        """Note what all together owe by now; the last of a block stays."""
        known = json.loads(self.state.markets(self.venue.id).get((asset, "variable_debt"), '{"scaled": "0"}'))
        self.owed[asset] = total = self.owed.get(asset, int(known["scaled"])) + change
        self.debts[asset, row.block] = MarketChange(
            row.block, row.tx_index, row.ordinal, self.venue.id, asset, "variable_debt", f'{{"scaled":"{total}"}}',
            self.work.tips.engine, Basis.EXACT,
        )  # fmt: skip

    def tell_debts(self) -> None:
        self.work.tips.rows.markets += self.debts.values()

    def pool(self, row: LoggedEvent) -> None:
        asset, *rest = row.args
        self.flow(row)
        if row.event is ev.RESERVE_DATA_UPDATED:
            said = {name: str(value) for name, value in zip(RATES, rest, strict=True) if name}
            names = ("liquidity_index", "liquidity_rate", "variable_borrow_index", "variable_borrow_rate")
            told: dict[str, Any] = {name: said[name] for name in names}
            self.work.tips.market(row, asset, "rates", **told, updated_at=self.times[row.block])
        elif row.event is ev.USER_EMODE_SET:
            self.work.tips.account(row, asset, WHOLE_VENUE, "emode", str(rest[0]))
        elif row.event in (ev.COLLATERAL_ENABLED, ev.COLLATERAL_DISABLED):
            flag = "true" if row.event is ev.COLLATERAL_ENABLED else "false"
            self.work.tips.account(row, rest[0], asset, "collateral", flag)
        elif row.event in HISTORY:
            kind, owner, other = HISTORY[row.event]
            self.tell(row, kind, asset, between=(row.args[owner], row.args[other]), amount=row.args[3])

    def flow(self, row: LoggedEvent) -> None:
        args = row.args
        if row.event is ev.SUPPLY:
            self.move(row, args[0], args[3])
        elif row.event in (ev.WITHDRAW, ev.BORROW):
            self.move(row, args[0], -args[3])
        elif row.event is ev.REPAY:
            self.move(row, args[0], 0 if args[4] else args[3])
        elif row.event is ev.FLASH_LOAN:
            self.move(row, args[2], args[5])
        elif row.event is ev.BACK_UNBACKED:
            self.move(row, args[0], args[2] + args[3])

    def tell(self, row: LoggedEvent, kind: str, asset: bytes, *, between: tuple[bytes, bytes], amount: int) -> None:
        self.work.tips.rows.events.append(
            LendingEvent(
                row.block, row.tx_index, row.ordinal, row.tx_hash, self.venue.id, kind, asset, *between, asset,
                amount, json.dumps({}),
            )
        )  # fmt: skip
