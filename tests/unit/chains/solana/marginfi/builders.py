"""Accounts of the marginfi program from their fields, and a group with its journals for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from solders.pubkey import Pubkey

from chains.identifiers import from_base58
from chains.model import WHOLE_VENUE, AccountBytes, Block, Side, UnitSnapshot, VenueSnapshot, VenueSpec
from chains.solana.layouts import Kind, Layout
from chains.solana.marginfi.fixed import ONE
from chains.solana.marginfi.layout import ACCOUNT, BANK, GROUP, PROGRAM
from chains.solana.marginfi.states import GROUP_STATE, PRICE, TERMS, TOTALS, bank_texts, group_text, price_text
from chains.solana.marginfi.tips import ACCOUNT_STATE, account_text
from chains.solana.oracles.pyth.account import RECEIVER
from chains.solana.oracles.switchboard.account import PROGRAM as SWITCHBOARD
from chains.solana.oracles.switchboard.account import PULL_FEED
from tests.devnet.solana import pyth as devnet

PROGRAM_ID = from_base58(PROGRAM)
GROUP_KEY, SOL, USDC, JTO = (bytes([number]) * 32 for number in (0x61, 0x62, 0x63, 0x64))
"""A group and three banks."""
SOL_MINT, USDC_MINT, JTO_MINT = (bytes([number]) * 32 for number in (0x72, 0x73, 0x74))
SOL_PRICE, USDC_PRICE, JTO_PRICE = (bytes([number]) * 32 for number in (0x82, 0x83, 0x84))
ANN, BOB = b"\x01" * 32, b"\x02" * 32
ANNS, BOBS = b"\x11" * 32, b"\x12" * 32
"""Accounts of Ann and Bob."""
SLOT, NOW = 500, 1_700_000_000
FEED = b"\x99" * 32


def bits(number: float | str) -> int:
    """A number of few digits as I80F48."""
    return round(float(number) * ONE)


def encoded(layout: Layout, **values: Any) -> bytes:
    """An account of a kind with these fields, the others zero."""
    data = bytearray(layout.size)
    data[: len(layout.discriminator)] = layout.discriminator
    _write(data, 0, layout.fields, values)
    return bytes(data)


def _write(data: bytearray, start: int, fields: Mapping[str, tuple[int, Kind]], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        offset, kind = fields[name]
        at = start + offset
        if not isinstance(kind, str):
            _, stride, table = kind
            for number, entry in enumerate(value):
                _write(data, at + number * stride, table, entry)
        elif kind == "key":
            data[at : at + 32] = value
        else:
            size = int(kind[1:]) // 8
            data[at : at + size] = value.to_bytes(size, "little", signed=kind[0] == "i")


def group(**changes: Any) -> bytes:
    """A group whose program fees are on: 0.01 a year and 2 % of the rate."""
    fees = {"group_flags": 1, "program_fee_fixed": bits(0.01), "program_fee_rate": bits(0.02)}
    return encoded(GROUP, **fees | changes)


def bank(mint: bytes = SOL_MINT, price: bytes = SOL_PRICE, **changes: Any) -> bytes:
    """A bank with 1000 tokens of 9 decimals, a tenth of them lent; weights 0.75, 0.875, 1.25 and 1.125."""
    fields: dict[str, Any] = {
        "mint": mint,
        "mint_decimals": 9,
        "group": GROUP_KEY,
        "asset_share_value": ONE,
        "liability_share_value": ONE,
        "total_asset_shares": 10**12 * ONE,
        "total_liability_shares": 10**11 * ONE,
        "last_update": NOW,
        "asset_weight_init": bits(0.75),
        "asset_weight_maint": bits(0.875),
        "liability_weight_init": bits(1.25),
        "liability_weight_maint": bits(1.125),
        "optimal_utilization_rate": bits(0.5),
        "plateau_interest_rate": bits(0.25),
        "max_interest_rate": bits(1),
        "operational_state": 1,
        "oracle_setup": 3,
        "oracle_keys": [{"key": price}],
        "config_flags": 1,
        "oracle_max_age": 60,
    }
    return encoded(BANK, **fields | changes)


def balance(bank_key: bytes, *, held: int = 0, owed: int = 0, active: int = 1) -> dict[str, Any]:
    """A balance of whole shares."""
    return {"active": active, "bank_pk": bank_key, "asset_shares": held * ONE, "liability_shares": owed * ONE}


def member(authority: bytes = ANN, *balances: Mapping[str, Any], **changes: Any) -> bytes:
    """An account of a member."""
    return encoded(ACCOUNT, **{"group": GROUP_KEY, "authority": authority, "balances": balances} | changes)


def pyth(price: int, *, confidence: int = 0, published: int = NOW, **changes: Any) -> bytes:
    """A price account of 8 decimals, its average like its price."""
    fields: dict[str, Any] = {
        "account": Pubkey.default(),
        "feed_id": FEED,
        "price": price,
        "confidence": confidence,
        "exponent": -8,
        "publish_time": published,
        "previous_publish_time": published - 1,
        "ema_price": price,
        "ema_confidence": confidence,
        "posted_slot": SLOT - 1,
        "signatures": None,
    }
    return devnet.PriceUpdate(**fields | changes).encoded()


def switchboard(value: int, std_dev: int, updated: int = NOW) -> bytes:
    """A pull feed."""
    result = {"value": value, "std_dev": std_dev, "slot": SLOT - 1}
    return encoded(PULL_FEED, result=[result], last_update_timestamp=updated)


def seen(data: bytes | None, *, slot: int = SLOT, owner: bytes = PROGRAM_ID) -> AccountBytes:
    """An account as a node said it; `None`: that there is none."""
    if data is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    return AccountBytes(slot, owner, 1, data, closed=False)


def price_seen(data: bytes, slot: int = SLOT) -> AccountBytes:
    """A price account of Pyth or Switchboard."""
    return seen(data, slot=slot, owner=SWITCHBOARD if data[:8] == PULL_FEED.discriminator else RECEIVER)


def venue(**options: Any) -> VenueSpec:
    """The group as a venue."""
    return VenueSpec(
        id="mrgn", protocol="marginfi", chain_id="solana:test", address=GROUP_KEY, start_block=0, options=options
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """A group, its banks and prices as account bytes; a snapshot has them as the journals would."""

    banks: Mapping[bytes, bytes] = field(
        default_factory=lambda: {
            SOL: bank(),
            USDC: bank(
                USDC_MINT,
                USDC_PRICE,
                mint_decimals=6,
                asset_weight_init=bits(0.875),
                asset_weight_maint=bits(0.9375),
                liability_weight_init=bits(1.125),
                liability_weight_maint=bits(1.0625),
            ),
            JTO: bank(JTO_MINT, JTO_PRICE),
        }
    )
    prices: Mapping[bytes, bytes] = field(
        default_factory=lambda: {
            SOL_PRICE: pyth(200 * 10**8),
            USDC_PRICE: pyth(10**8),
            JTO_PRICE: pyth(4 * 10**8),
        }
    )
    group: bytes = field(default_factory=group)
    time: int = NOW
    options: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[tuple[bytes, str], str] = field(default_factory=dict)

    def snapshot(self) -> VenueSnapshot:
        """The group at a block."""
        texts = {address: bank_texts(data) for address, data in self.banks.items()}
        markets = {(WHOLE_VENUE, GROUP_STATE): group_text(self.group)}
        markets |= {(address, TERMS): config for address, (config, _) in texts.items()}
        markets |= {(address, TOTALS): totals for address, (_, totals) in texts.items()}
        markets |= {(address, PRICE): price_text(price_seen(data)) for address, data in self.prices.items()}
        at = Block(number=SLOT, hash=b"", parent_hash=b"", time=self.time)
        return VenueSnapshot(
            venue=venue(**self.options), at=at, markets=markets | dict(self.others), feeds={}, answers={}
        )


def unit(held: Mapping[bytes, int], owed: Mapping[bytes, int], *, flags: int = 0, **settings: str) -> UnitSnapshot:
    """Ann's account with whole shares of banks."""
    positions = {(bank_key, Side.SUPPLY): shares * ONE for bank_key, shares in held.items()}
    positions |= {(bank_key, Side.BORROW): shares * ONE for bank_key, shares in owed.items()}
    state = settings.pop(ACCOUNT_STATE, account_text(ANN, sorted({*held, *owed}), flags, 0))
    noted = {(WHOLE_VENUE, ACCOUNT_STATE): state}
    return UnitSnapshot(unit_id=ANNS, owner=ANN, positions=positions, settings=noted)
