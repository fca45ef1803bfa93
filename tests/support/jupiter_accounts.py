"""Accounts of Jupiter Lend as bytes: of a modelled vault, of the Liquidity program's reserves, of oracles and what they name."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chains.identifiers import from_base58
from chains.model import AccountBytes, Block, Rows, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit
from chains.solana.derived import program_address
from chains.solana.jupiter_lend import JupiterLend, open_book
from chains.solana.jupiter_lend.fold import reserve_address
from chains.solana.jupiter_lend.layout import (
    BRANCH,
    CONFIG,
    LIQUIDITY,
    METADATA,
    ORACLE,
    ORACLES,
    POSITION,
    RESERVE,
    STATE,
    TICK,
    TICK_IDS,
    VAULTS,
)
from chains.solana.layouts import Layout
from chains.solana.oracles.pyth.account import DISCRIMINATOR, RECEIVER
from chains.solana.tokens import TOKEN_PROGRAM
from tests.support.jupiter_model import ModelVault
from tests.support.state import Tips

PROGRAM = from_base58(VAULTS)
COLLATERAL, LOAN = b"\xc0" * 32, b"\xd0" * 32
ORACLE_KEY, FEED_KEY = b"\x0a" * 32, b"\xfe" * 32
CHAIN = "solana:test"

Accounts = dict[bytes, AccountBytes]


def packed(layout: Layout, **values: Any) -> bytes:
    """An account of a layout: what is not given is zero."""
    data = bytearray(layout.size)
    data[: len(layout.discriminator)] = layout.discriminator
    for name, value in values.items():
        at, kind = layout.fields[name]
        if isinstance(value, bytes):
            raw = value
        else:
            raw = int(value).to_bytes(int(str(kind)[1:]) // 8, "little", signed=str(kind).startswith("i"))
        data[at : at + len(raw)] = raw
    return bytes(data)


def account(owner: bytes, data: bytes, slot: int) -> AccountBytes:
    """An account as a node says it."""
    return AccountBytes(slot, owner, 1, data, closed=False)


def gone(slot: int) -> AccountBytes:
    """An account that is not there."""
    return AccountBytes(slot, b"", 0, b"", closed=True)


def derived(*seeds: bytes | str) -> bytes:
    """An address of the vaults program."""
    return program_address(PROGRAM, *(seed.encode() if isinstance(seed, str) else seed for seed in seeds))


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def position_address(vault: int, position: int) -> bytes:
    return derived("position", number(vault, 2), number(position, 4))


def position_mint(vault: int, position: int) -> bytes:
    return derived("position_mint", number(vault, 2), number(position, 4))


def token_account(mint: bytes, owner: bytes, amount: int, slot: int, program: bytes = TOKEN_PROGRAM) -> AccountBytes:
    """A token account."""
    return account(program, (mint + owner + number(amount, 8)).ljust(165, b"\0"), slot)


def pyth(price: int, confidence: int, exponent: int, time: int, slot: int) -> AccountBytes:
    """A price of Pyth's receiver, fully verified."""
    message = struct.pack(
        "<32sqQiqqqQQ", bytes(32), price, confidence, exponent, time, time - 1, price, confidence, slot
    )
    return account(RECEIVER, (DISCRIMINATOR + bytes(32) + b"\1" + message).ljust(134, b"\0"), slot)


def oracle(sources: Sequence[tuple[bytes, bool, int]], slot: int, *, multiplier: int = 1) -> AccountBytes:
    """An oracle of sources (account, inverted, kind)."""
    listed = b"".join(
        key + bytes([invert]) + number(multiplier, 16) + number(1, 16) + bytes([kind]) for key, invert, kind in sources
    )
    head = packed(ORACLE)[:10] + number(len(sources), 4)
    return account(ORACLES, (head + listed + b"\xff").ljust(279, b"\0"), slot)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What stands around a modelled vault: its number, decimals, and the time at which its exchange prices were stored."""

    vault: int = 7
    supply_decimals: int = 9
    borrow_decimals: int = 6
    time: int = 1_700_000_000
    price: int = 15_000_000_000
    supply_magnifier: int = 0
    borrow_magnifier: int = 0
    reserve: Mapping[str, int] = field(default_factory=dict)


def reserve(mint: bytes, setting: Setting, slot: int) -> AccountBytes:
    """A token's reserve, without interest unless the setting says so."""
    values: dict[str, Any] = {"supply_exchange_price": 10**12, "borrow_exchange_price": 10**12}
    values |= {"last_update_timestamp": setting.time, "mint": mint} | dict(setting.reserve)
    return account(LIQUIDITY, packed(RESERVE, **values), slot)


def accounts_of(model: ModelVault, setting: Setting, slot: int) -> Accounts:
    """Everything that a look would list or read of a modelled vault."""
    vault, key = setting.vault, number(setting.vault, 2)
    found = {
        derived("vault_config", key): _config(model, setting),
        derived("vault_state", key): _state(model, setting),
        derived("vault_metadata", key): packed(
            METADATA,
            vault_id=vault,
            supply_mint_decimals=setting.supply_decimals,
            borrow_mint_decimals=setting.borrow_decimals,
        ),
        **dict(_ticks(model, vault)),
        **dict(_branches(model, vault)),
        **dict(_positions(model, vault)),
    }
    accounts = {address: account(PROGRAM, data, slot) for address, data in found.items()}
    accounts |= {reserve_address(mint): reserve(mint, setting, slot) for mint in (COLLATERAL, LOAN)}
    accounts[ORACLE_KEY] = oracle([(FEED_KEY, False, 0)], slot)
    accounts[FEED_KEY] = pyth(setting.price, 1, -8, setting.time, slot)
    return accounts


def _config(model: ModelVault, setting: Setting) -> bytes:
    terms = model.terms
    return packed(
        CONFIG,
        vault_id=setting.vault,
        supply_rate_magnifier=setting.supply_magnifier,
        borrow_rate_magnifier=setting.borrow_magnifier,
        collateral_factor=terms.collateral_factor,
        liquidation_threshold=terms.threshold,
        liquidation_max_limit=terms.max_limit,
        liquidation_penalty=terms.penalty,
        borrow_fee=terms.borrow_fee,
        oracle=ORACLE_KEY,
        liquidity_program=LIQUIDITY,
        oracle_program=ORACLES,
        supply_token=COLLATERAL,
        borrow_token=LOAN,
    )


def _state(model: ModelVault, setting: Setting) -> bytes:
    state = model.state
    return packed(
        STATE,
        vault_id=setting.vault,
        branch_liquidated=state.branch_liquidated,
        topmost_tick=state.topmost_tick,
        current_branch_id=state.current_branch,
        total_branch_id=state.total_branches,
        total_supply=state.total_supply,
        total_borrow=state.total_borrow,
        absorbed_debt_amount=state.absorbed_debt,
        absorbed_col_amount=state.absorbed_col,
        absorbed_dust_debt=state.absorbed_dust,
        liquidity_supply_exchange_price=10**12,
        liquidity_borrow_exchange_price=10**12,
        vault_supply_exchange_price=model.supply_price,
        vault_borrow_exchange_price=model.borrow_price,
        last_update_timestamp=setting.time,
    )


def _ticks(model: ModelVault, vault: int) -> Iterator[tuple[bytes, bytes]]:
    for tick, held in model.ticks.items():
        values = {"total_ids": held.total_ids, "raw_debt": held.raw_debt, "is_liquidated": held.liquidated}
        fate = {"is_fully_liquidated": held.fully, "liquidation_branch_id": held.branch, "debt_factor": held.factor}
        address = derived("tick", number(vault, 2), number(tick + 16383, 4))
        yield address, packed(TICK, vault_id=vault, tick=tick, **values, **fate)
    records: dict[tuple[int, int], dict[str, int]] = {}
    for (tick, tick_id), (fully, branch, factor) in model.earlier.items():
        part = (tick_id + 2) % 3 + 1
        records.setdefault((tick, (tick_id + 2) // 3), {}).update(
            {
                f"is_fully_liquidated_{part}": fully,
                f"liquidation_branch_id_{part}": branch,
                f"debt_factor_{part}": factor,
            }
        )
    for (tick, record), values in records.items():
        address = derived("tick_id_liquidation", number(vault, 2), number(tick + 16383, 4), number(record, 4))
        yield address, packed(TICK_IDS, vault_id=vault, tick=tick, tick_map=record, **values)


def _branches(model: ModelVault, vault: int) -> Iterator[tuple[bytes, bytes]]:
    for branch, held in model.branches.items():
        values = {
            "status": held.status,
            "minima_tick": held.minima_tick,
            "minima_tick_partials": held.partials,
            "debt_liquidity": held.debt,
            "debt_factor": held.factor,
            "connected_branch_id": held.connected,
            "connected_minima_tick": held.connected_minima,
        }
        address = derived("branch", number(vault, 2), number(branch, 4))
        yield address, packed(BRANCH, vault_id=vault, branch_id=branch, **values)


def _positions(model: ModelVault, vault: int) -> Iterator[tuple[bytes, bytes]]:
    for position, held in model.positions.items():
        yield (
            position_address(vault, position),
            packed(
                POSITION,
                vault_id=vault,
                nft_id=position,
                position_mint=position_mint(vault, position),
                is_supply_only_position=held.supply_only,
                tick=held.tick,
                tick_id=held.tick_id,
                supply_amount=held.supply,
                dust_debt_amount=held.dust,
            ),
        )


VENUE = VenueSpec(
    id="jupiter", protocol="jupiter-lend", chain_id=CHAIN, address=PROGRAM, start_block=0, options={"vaults": [7]}
)


@dataclass(slots=True)
class Journals:
    """The journals of a venue as they grow, snapshots of them, and what an adapter would have stored."""

    venue: VenueSpec = VENUE
    tips: Tips = field(default_factory=Tips)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)
    stored: Accounts = field(default_factory=dict)

    def fold(self, accounts: Mapping[bytes, AccountBytes]) -> Rows:
        """Fold those accounts that are not as they were, and keep what comes of it."""
        changed = [
            (address, each)
            for address, each in sorted(accounts.items(), key=lambda item: (item[1].slot, item[0]))
            if address not in self.stored or self.stored[address]._replace(slot=0) != each._replace(slot=0)
        ]
        self.stored |= dict(changed)
        return self.take(JupiterLend(self.venue).fold(self.tips, changed))

    def take(self, rows: Rows) -> Rows:
        """Keep rows."""
        self.tips.take(rows)
        self.owners |= {row.unit_id: row.owner for row in rows.positions}
        self.owners |= {row.unit_id: row.owner for row in rows.accounts}
        self.rows.extend(rows)
        return rows

    def units(self, slot: int, time: int) -> dict[bytes, VenueUnit]:
        """Every position at a block."""
        at = Block(number=slot, hash=b"", parent_hash=b"", time=time)
        book = open_book(VenueSnapshot(venue=self.venue, at=at, markets=dict(self.tips.aspects), feeds={}, answers={}))
        return {unit: book(self.unit(unit)) for unit in sorted(self.owners)}

    def unit(self, unit: bytes) -> UnitSnapshot:
        """One position as journalled."""
        return UnitSnapshot(
            unit_id=unit,
            owner=self.owners[unit],
            positions={(market, side): held for (who, market, side), held in self.tips.held.items() if who == unit},
            settings={(market, name): text for (who, market, name), text in self.tips.settings.items() if who == unit},
        )
