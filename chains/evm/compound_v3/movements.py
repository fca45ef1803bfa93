"""Events of a block → collateral, to the last unit, and lines of human history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chains.errors import NodeWrong
from chains.evm.abi import Event, LoggedEvent
from chains.evm.compound_v3 import events as ev
from chains.evm.compound_v3.tips import Tips
from chains.evm.compound_v3.unnamed import ROUNDED
from chains.model import Basis, Side
from chains.ports import PositionKey

_HOLDERS: Mapping[Event, tuple[int, ...]] = {
    ev.SUPPLY_COLLATERAL: (1,),
    ev.WITHDRAW_COLLATERAL: (0,),
    ev.TRANSFER_COLLATERAL: (0, 1),
    ev.ABSORB_COLLATERAL: (1,),
}
"""Which arguments of an event are accounts whose collateral it moves; the asset is the third."""


def collateral_keys(rows: Iterable[LoggedEvent]) -> list[PositionKey]:
    """Return the collateral that events move."""
    return [(row.args[i], row.args[2], Side.SUPPLY) for row in rows for i in _HOLDERS.get(row.event, ())]


def enter_movements(tips: Tips, rows: Sequence[LoggedEvent], base: bytes | None) -> None:
    """Enter the events of a block; while the base token could not be read, its movements have no line of history."""
    movements = _Movements(tips, rows, base)
    for row in rows:
        if row.event in _COLLATERAL:
            _COLLATERAL[row.event](movements, row)
        elif base and row.event in _BASE:
            _BASE[row.event](movements, row, base)


class _Movements:
    def __init__(self, tips: Tips, rows: Sequence[LoggedEvent], base: bytes | None) -> None:
        self.tips = tips
        self.base = base
        self.at = {row.ordinal: row for row in rows}

    # Collateral

    def supply_collateral(self, row: LoggedEvent) -> None:
        payer, account, asset, amount = row.args
        self._move(row, account, amount)
        self.tips.history(row, "supply", asset, owner=account, other=payer, amount=amount)

    def withdraw_collateral(self, row: LoggedEvent) -> None:
        account, receiver, asset, amount = row.args
        self._move(row, account, -amount)
        self.tips.history(row, "withdraw", asset, owner=account, other=receiver, amount=amount)

    def transfer_collateral(self, row: LoggedEvent) -> None:
        sender, receiver, asset, amount = row.args
        self._move(row, sender, -amount)
        self._move(row, receiver, amount)
        self.tips.history(row, "transfer", asset, owner=sender, other=receiver, amount=amount)

    def absorb_collateral(self, row: LoggedEvent) -> None:
        absorber, account, asset, amount, usd = row.args
        self._move(row, account, -amount)
        value = str(usd)
        self.tips.history(row, "liquidation", asset, owner=account, other=absorber, amount=amount, usd_value=value)

    def _move(self, row: LoggedEvent, account: bytes, amount: int) -> None:
        key = account, row.args[2], Side.SUPPLY
        after = self.tips.held(key) + amount
        if after < 0:
            raise NodeWrong(
                f"venue {self.tips.venue_id}: block {row.block} takes more collateral from 0x{account.hex()} than it has;"
                " an earlier log is missing"
            )
        self.tips.hold((row.block, row.tx_index, row.ordinal), key, after, Basis.EXACT)

    # Base token, as history alone

    def supply(self, row: LoggedEvent, base: bytes) -> None:
        """Note what was paid back and what was supplied: the transfer right behind tells how much of it was."""
        payer, account, amount = row.args
        supplied = self._part(row, self._transferred(row, 1, account))
        self._note(row, base, "supply", account, payer, supplied)
        self._note(row, base, "repay", account, payer, amount - supplied)

    def withdraw(self, row: LoggedEvent, base: bytes) -> None:
        """Note what was withdrawn and what was borrowed: the transfer right behind tells how much was withdrawn."""
        account, receiver, amount = row.args
        withdrawn = self._part(row, self._transferred(row, 0, account))
        self._note(row, base, "withdraw", account, receiver, withdrawn)
        self._note(row, base, "borrow", account, receiver, amount - withdrawn)

    def transfer(self, row: LoggedEvent, base: bytes) -> None:
        """Note one end of a transfer between accounts; what another event tells is in its line."""
        sender, receiver, amount = row.args
        before = self.at.get(row.ordinal - 1)
        if before is not None and before.event in {ev.SUPPLY, ev.WITHDRAW, ev.ABSORB_DEBT}:
            return
        owner, other, direction = (sender, receiver, "out") if any(sender) else (receiver, sender, "in")
        self.tips.history(row, "transfer", base, owner=owner, other=other, amount=amount, direction=direction)

    def absorb_debt(self, row: LoggedEvent, base: bytes) -> None:
        absorber, account, paid, usd = row.args
        value = str(usd)
        self.tips.history(row, "liquidation", base, owner=account, other=absorber, amount=paid, usd_value=value)

    def _transferred(self, row: LoggedEvent, end: int, account: bytes) -> int:
        behind = self.at.get(row.ordinal + 1)
        told = behind is not None and behind.event is ev.TRANSFER and behind.args[end] == account
        return int(behind.args[2]) if behind is not None and told else 0

    def _part(self, row: LoggedEvent, transferred: int) -> int:
        """Return the part of an amount that a transfer tells; all of it, where rounding alone parts them."""
        amount = int(row.args[2])
        return amount if transferred and amount - transferred <= ROUNDED else transferred

    def _note(self, row: LoggedEvent, base: bytes, kind: str, owner: bytes, other: bytes, amount: int) -> None:  # noqa: PLR0917 - a line
        if amount:
            self.tips.history(row, kind, base, owner=owner, other=other, amount=amount)


_COLLATERAL: Mapping[Event, Callable[[_Movements, LoggedEvent], None]] = {
    ev.SUPPLY_COLLATERAL: _Movements.supply_collateral,
    ev.WITHDRAW_COLLATERAL: _Movements.withdraw_collateral,
    ev.TRANSFER_COLLATERAL: _Movements.transfer_collateral,
    ev.ABSORB_COLLATERAL: _Movements.absorb_collateral,
}
_BASE: Mapping[Event, Callable[[_Movements, LoggedEvent, bytes], None]] = {
    ev.SUPPLY: _Movements.supply,
    ev.WITHDRAW: _Movements.withdraw,
    ev.TRANSFER: _Movements.transfer,
    ev.ABSORB_DEBT: _Movements.absorb_debt,
}
