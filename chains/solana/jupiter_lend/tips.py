"""The tips of a venue's journals while a fold runs: read, changed, and every change noted as a row at the end of its slot.

A unit is a position's account. Its amounts are raw, as its vault's ticks and branches leave them: where a liquidation changes these, all
positions of the vault are settled anew. What is owed stands in the market of the vault, what is supplied in that of the vault and token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chains.columns import TOO_WIDE
from chains.identifiers import base58, from_base58
from chains.model import (
    END_OF_BLOCK,
    WHOLE_VENUE,
    AccountChange,
    Basis,
    LendingEvent,
    MarketChange,
    PositionChange,
    Quarantined,
    Rows,
    Side,
)
from chains.ports import StateReader
from chains.solana.jupiter_lend.lookups import RAW_DECIMALS, Holder, Vault, holder_of, ledger_of, vault_of
from chains.solana.jupiter_lend.maths import Refused
from chains.solana.jupiter_lend.rates import PRICE_ONE
from chains.solana.jupiter_lend.settle import Settled, settled
from chains.solana.jupiter_lend.sources import Role
from chains.solana.jupiter_lend.texts import (
    HOLDER,
    ORACLE,
    PARAMS,
    POSITION_STATE,
    PROBLEM,
    TOKEN,
    holder_text,
    position_of,
    problem_text,
    text_of,
)
from chains.solana.seen import NOT_IN_A_TRANSACTION

_OBSERVED = text_of({"observed": True})
_KINDS = {
    (Side.SUPPLY, True): "supply",
    (Side.SUPPLY, False): "withdraw",
    (Side.BORROW, True): "borrow",
    (Side.BORROW, False): "repay",
}


Roles = dict[bytes, set[Role]]
"""Account → what it says to those that name it."""


class Tips:
    """Market aspects and units as they stand, and the rows that brought them there."""

    def __init__(self, venue_id: str, engine: str, state: StateReader) -> None:
        self.rows = Rows()
        self.markets = dict(state.markets(venue_id))
        self.named = {aspect: text for (_, aspect), text in self.markets.items() if ":" in aspect}
        self.venue_id, self.engine = venue_id, engine
        self.slot = 0
        self._reader = state
        self._vaults = dict(
            found
            for (market, aspect), text in self.markets.items()
            if aspect == PARAMS and (found := vault_of(market, text))
        )
        self._aspects: dict[bytes, set[str]] = {}
        for market, aspect in self.markets:
            self._aspects.setdefault(market, set()).add(aspect)
        self._units: dict[bytes, dict[str, Any] | None] = {}
        self._written: dict[bytes, str] = {}
        self._held: dict[tuple[bytes, bytes, Side], int] = {}
        self._all_read = False
        self._roles: Roles | None = None
        self._touched: set[bytes] = set()
        self._own: set[bytes] = set()
        self._moved: set[int] = set()
        self._holders: dict[bytes, Holder] = {}

    # Markets

    def market(self, market: bytes, aspect: str, state: str) -> None:
        """Let an aspect of a market be `state` from this slot on."""
        if self.markets.get((market, aspect)) == state:
            return
        self.markets[market, aspect] = state
        self._aspects.setdefault(market, set()).add(aspect)
        if ":" in aspect:
            self.named[aspect] = state
        elif aspect in {PARAMS, ORACLE}:
            self._roles = None
        row = MarketChange(*self._place, self.venue_id, market, aspect, state, self.engine, Basis.OBSERVED)
        self.rows.markets.append(row)

    def record(self, vault: int, market: bytes, aspect: str, state: str) -> None:
        """Let a tick or branch of a vault be `state`; where it was not, the vault's positions are settled anew."""
        if self.markets.get((market, aspect)) != state:
            self.market(market, aspect, state)
            self._moved.add(vault)

    def params(self, market: bytes, state: str) -> None:
        """Let a vault be what its configuration says."""
        self.market(market, PARAMS, state)
        if found := vault_of(market, state):
            if self._vaults.get(found[0]) != found[1]:
                self._moved.add(found[0])
            self._vaults[found[0]] = found[1]

    def roles(self, named: Callable[[Mapping[tuple[bytes, str], str]], Iterable[tuple[bytes, Role]]]) -> Roles:
        """Return what accounts say that vaults and oracles name, as they stand; `named`: what finds them in the markets."""
        if self._roles is None:
            self._roles = {}
            for address, role in named(self.markets):
                self._roles.setdefault(address, set()).add(role)
        return self._roles

    def aspects(self, market: bytes) -> frozenset[str]:
        """Return what is said of a market."""
        return frozenset(self._aspects.get(market, ()))

    def lose(self, market: bytes, problem: str) -> None:
        """Note that the account behind all aspects of a market is not what it was."""
        for aspect in sorted(self.aspects(market)):
            self.market(market, aspect, problem_text(problem))
            if aspect.startswith(("tick:", "ids:", "branch:")):
                self._moved.add(int(aspect.split(":")[1]))

    def vault(self, number: int) -> Vault | None:
        """Return a vault, `None` where its configuration has not been read."""
        return self._vaults.get(number)

    # Units

    def is_unit(self, address: bytes) -> bool:
        """Whether anything was ever noted of a position."""
        return self._known(address) is not None

    def enter(self, unit: bytes, told: dict[str, Any]) -> None:
        """Let a position be as its account says; `told`: as `position_text` writes it, without its owner."""
        mint = from_base58(told["mint"])
        self._known(unit)
        if self._holder(mint).unit != unit:
            self._holders[mint] = self._holder(mint)._replace(unit=unit)
        self._units[unit] = told
        self._touched.add(unit)
        self._own.add(unit)

    def spoil(self, unit: bytes, problem: str, word: bytes) -> None:
        """Note that a position's account is not what it should be; its amounts stay as they were, and nobody may rely on them."""
        before = self._known(unit) or {}
        self.quarantine(problem, word)
        self._units[unit] = {**before, PROBLEM: problem}
        self._touched.add(unit)
        self._own.add(unit)

    def close(self, unit: bytes) -> None:
        """Note that a position is gone, and with it all that it held."""
        before = self._known(unit)
        if before is None or before.get("closed"):
            return
        self._units[unit] = {name: before[name] for name in ("vault", "mint") if name in before} | {"closed": True}
        if "mint" in before:
            self._holders[from_base58(before["mint"])] = Holder(None, None, None)
        self._touched.add(unit)
        self._own.add(unit)

    def is_held(self, mint: bytes) -> bool:
        """Whether a mint stands for a position."""
        return mint in self._holders or (mint, HOLDER) in self.markets

    def lose_holder(self, account: bytes) -> None:
        """Note that a token account is gone, and with it the token that it had."""
        for (mint, aspect), text in self.markets.items():
            if aspect == HOLDER and holder_of(text).account == account:
                self.held_by(mint, account, None)

    def held_by(self, mint: bytes, account: bytes, owner: bytes | None) -> None:
        """Note that a token account has a position's token, or, without `owner`, that it has not."""
        holder = self._holder(mint)
        if owner is not None:
            self._holders[mint] = holder._replace(account=account, owner=owner)
        elif holder.account == account:
            self._holders[mint] = holder._replace(account=None, owner=None)

    def quarantine(self, reason: str, word: bytes) -> None:
        """Keep bytes that cannot be read."""
        self.rows.quarantined.append(Quarantined(*self._place, self.venue_id, reason, word))

    def end_slot(self) -> None:
        """Write what became of positions in this slot."""
        for mint, holder in sorted(self._holders.items()):
            if holder.unit is not None:
                self._known(holder.unit)
                self._touched.add(holder.unit)
            self.market(mint, HOLDER, holder_text(*holder))
        if self._moved:
            self._touched |= self._of_vaults(self._moved)
        self._learn_held()
        for unit in sorted(self._touched):
            self._write(unit)
        self._touched, self._own, self._moved, self._holders = set(), set(), set(), {}

    def _known(self, unit: bytes) -> dict[str, Any] | None:
        if unit not in self._units:
            self._learn([unit])
        return self._units.get(unit)

    def learn(self, units: Iterable[bytes]) -> None:
        """Look up what is known of units before the fold."""
        self._learn([unit for unit in units if unit not in self._units])

    def _learn(self, units: Iterable[bytes]) -> None:
        asked = [(unit, WHOLE_VENUE, POSITION_STATE) for unit in units]
        found = self._reader.accounts(self.venue_id, asked) if asked and not self._all_read else {}
        for unit, *_ in asked:
            text = found.get((unit, WHOLE_VENUE, POSITION_STATE))
            self._units[unit] = None if text is None else json.loads(text)
            if text is not None:
                self._written[unit] = text

    def _of_vaults(self, vaults: set[int]) -> set[bytes]:
        if not self._all_read:
            self._learn([unit for unit in self._reader.units(self.venue_id) if unit not in self._units])
            self._all_read = True
        return {unit for unit, told in self._units.items() if told and told.get("vault") in vaults}

    def _holder(self, mint: bytes) -> Holder:
        if mint in self._holders:
            return self._holders[mint]
        text = self.markets.get((mint, HOLDER))
        return Holder(None, None, None) if text is None else holder_of(text)

    def _learn_held(self) -> None:
        """Look up the amounts of positions that are about to be written."""
        keys = [
            (unit, vault.side(side)[0], side)
            for unit in self._touched
            if unit in self._written and (vault := self._vault(unit))
            for side in Side
        ]
        missing = [key for key in keys if key not in self._held]
        if missing:
            self._held |= dict.fromkeys(missing, 0) | self._reader.positions(self.venue_id, missing)

    def _vault(self, unit: bytes) -> Vault | None:
        told = self._units.get(unit)
        return None if not told else self._vaults.get(told.get("vault", -1))

    def _write(self, unit: bytes) -> None:
        told, before = self._units[unit], self._written.get(unit)
        if told is None:
            return
        owner = self._owner(told, before)
        text = text_of({**told, "owner": owner.hex()})
        moved = before is not None and bytes.fromhex(json.loads(before)["owner"]) != owner
        amounts, vault = self._amounts(told, fresh=before is None), self._vault(unit)
        if vault is not None and amounts is not None:
            changes = {side: self._position(unit, owner, vault, side, amounts[side], moved=moved) for side in Side}
            if before is not None:
                self._tell(unit, owner, vault, changes)
        if text != before:
            self._written[unit] = text
            row = AccountChange(
                *self._place, self.venue_id, unit, owner, WHOLE_VENUE, POSITION_STATE, text, self.engine, Basis.OBSERVED
            )
            self.rows.accounts.append(row)

    def _owner(self, told: Mapping[str, Any], before: str | None) -> bytes:
        """Return who holds a position's token; until that is known, the token itself; of a closed one, who did."""
        if told.get("closed") or "mint" not in told:
            return b"" if before is None else bytes.fromhex(json.loads(before)["owner"])
        mint = from_base58(told["mint"])
        return self._holder(mint).owner or mint

    def _amounts(self, told: Mapping[str, Any], *, fresh: bool) -> dict[Side, int] | None:
        """Return what a position holds and owes; where it is not known, `None`, or as it was written, if it was never known."""
        if told.get("closed"):
            return dict.fromkeys(Side, 0)
        if PROBLEM in told:
            return None
        try:
            found = settled(position_of(told), ledger_of(told["vault"], self.named))
        except Refused:
            found = None
        if isinstance(found, Settled):
            return {Side.SUPPLY: found.supply, Side.BORROW: found.debt}
        return {Side.SUPPLY: int(told["supply"]), Side.BORROW: 0} if fresh else None

    def _position(self, unit: bytes, owner: bytes, vault: Vault, side: Side, amount: int, *, moved: bool) -> int:
        """Let a position have an amount; returns by how much it changed."""
        market, asset = vault.side(side)
        old = self._held.get((unit, market, side), 0)
        if old != amount or (moved and amount):
            self._held[unit, market, side] = amount
            row = PositionChange(
                *self._place, self.venue_id, unit, owner, market, side, asset, amount, self.engine, Basis.OBSERVED
            )
            self.rows.positions.append(row)
        return amount - old

    def _tell(self, unit: bytes, owner: bytes, vault: Vault, changes: Mapping[Side, int]) -> None:
        """Note changes between two looks in tokens, at the vault's stored exchange prices, rounded down."""
        amounts = {
            side: self._in_tokens(unit, vault.side(side)[1], side, abs(change)) for side, change in changes.items()
        }
        if unit not in self._own and changes[Side.BORROW] < 0:
            seized = text_of(
                {"observed": True, "collateral": base58(vault.collateral), "seized": str(amounts[Side.SUPPLY])}
            )
            self._event("liquidation", owner, vault.side(Side.BORROW), amounts[Side.BORROW], seized)
            return
        for side, change in changes.items():
            if change:
                self._event(_KINDS[side, change > 0], owner, vault.side(side), amounts[side], _OBSERVED)

    def _event(self, kind: str, owner: bytes, held: tuple[bytes, bytes], amount: int | None, extra: str) -> None:
        if amount and amount < TOO_WIDE:
            row = LendingEvent(*self._place, b"", self.venue_id, kind, held[0], owner, None, held[1], amount, extra)
            self.rows.events.append(row)

    def _in_tokens(self, unit: bytes, token: bytes, side: Side, raw: int) -> int | None:
        told = self._units[unit] or {}
        state, described = self.named.get(f"state:{told.get('vault')}"), self.markets.get((token, TOKEN))
        if state is None or described is None:
            return None
        prices, decimals = json.loads(state), json.loads(described).get("decimals", RAW_DECIMALS + 1)
        if PROBLEM in prices or not 0 <= decimals <= RAW_DECIMALS:
            return None
        price = int(prices[f"vault_{side}_exchange_price"])
        scale: int = 10 ** (RAW_DECIMALS - decimals)
        return raw * price // PRICE_ONE // scale

    @property
    def _place(self) -> tuple[int, int, int]:
        return self.slot, NOT_IN_A_TRANSACTION, END_OF_BLOCK
