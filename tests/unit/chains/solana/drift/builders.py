"""Accounts of the Drift program from their fields, and a venue with its journals for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chains.model import AccountBytes, Block, VenueUnit
from chains.solana.drift.layout import PERP_MARKET, PYTH_LAZER_ORACLE, SPOT_MARKET, USER
from chains.solana.drift.oracles import SOURCES
from chains.solana.drift.states import perp_address, spot_address
from tests.support.drift_runs import PROGRAM_ID, STATE_KEY, Journals, seen, state_bytes, venue
from tests.unit.chains.solana.marginfi.builders import encoded

SLOT, NOW = 500, 1_700_000_000
ANN, BOB = b"\x01" * 32, b"\x02" * 32
ANNS, BOBS = b"\x11" * 32, b"\x12" * 32
"""Sub-accounts of Ann and Bob."""
USDC_MINT, SOL_MINT = (bytes([number]) * 32 for number in (0x71, 0x72))
USDC_PRICE, SOL_PRICE = (bytes([number]) * 32 for number in (0x81, 0x82))
USDC, SOL = (spot_address(PROGRAM_ID, number) for number in (0, 1))
SOL_PERP = perp_address(PROGRAM_ID, 0)
INTEREST = 10**10
LAZER = SOURCES.index("PythLazer")

LONG_SOL: Mapping[str, int] = {"market_index": 0, "base_asset_amount": 10 * 10**9, "quote_asset_amount": -1_000_000_000}
"""Ten SOL that were bought at 100 USD."""


def spot_market(number: int = 1, **changes: Any) -> bytes:
    """SOL by default: weights 0.8, 0.9, 1.2, 1.1; 9 decimals, no interest yet, nothing lent."""
    values = {
        "pubkey": spot_address(PROGRAM_ID, number),
        "market_index": number,
        "mint": SOL_MINT,
        "oracle": SOL_PRICE,
        "oracle_source": LAZER,
        "name": b"SOL".ljust(32),
        "decimals": 9,
        "initial_asset_weight": 8_000,
        "maintenance_asset_weight": 9_000,
        "initial_liability_weight": 12_000,
        "maintenance_liability_weight": 11_000,
        "cumulative_deposit_interest": INTEREST,
        "cumulative_borrow_interest": INTEREST,
        "last_oracle_price_twap": 100_000_000,
        "last_oracle_price_twap_5min": 100_000_000,
        "last_interest_ts": NOW,
        "optimal_utilization": 800_000,
        "optimal_borrow_rate": 100_000,
        "max_borrow_rate": 1_000_000,
    }
    return written(encoded(SPOT_MARKET), values | changes, SPOT_MARKET.fields)


def quote_market(**changes: Any) -> bytes:
    """USDC at exactly 1 USD."""
    values: dict[str, Any] = {
        "mint": USDC_MINT,
        "oracle": USDC_PRICE,
        "name": b"USDC".ljust(32),
        "decimals": 6,
        "last_oracle_price_twap": 1_000_000,
        "last_oracle_price_twap_5min": 1_000_000,
    }
    weights = (
        "initial_asset_weight",
        "maintenance_asset_weight",
        "initial_liability_weight",
        "maintenance_liability_weight",
    )
    return spot_market(0, **(values | dict.fromkeys(weights, 10_000) | changes))


def perp_market(number: int = 0, **changes: Any) -> bytes:
    """SOL-PERP by default: margin ratios 10 % and 5 %, profits count for 0.8 initially."""
    values = {
        "pubkey": perp_address(PROGRAM_ID, number),
        "market_index": number,
        "oracle": SOL_PRICE,
        "oracle_source": LAZER,
        "name": b"SOL-PERP".ljust(32),
        "margin_ratio_initial": 1_000,
        "margin_ratio_maintenance": 500,
        "unrealized_pnl_initial_asset_weight": 8_000,
        "unrealized_pnl_maintenance_asset_weight": 10_000,
        "last_oracle_price": 100_000_000,
        "last_oracle_price_twap": 100_000_000,
        "status": 1,
    }
    return written(encoded(PERP_MARKET), values | changes, PERP_MARKET.fields)


def written(data: bytes, values: Mapping[str, Any], fields: Mapping[str, Any]) -> bytes:
    """Bytes with these fields changed; names are padded with spaces."""
    found = bytearray(data)
    for name, value in values.items():
        at, kind = fields[name]
        raw = value if isinstance(value, bytes) else value.to_bytes(int(kind[1:]) // 8, "little", signed=kind[0] == "i")
        found[at : at + len(raw)] = raw
    return bytes(found)


def deposit(number: int, balance: int, **changes: int) -> dict[str, int]:
    """A deposit of a scaled balance."""
    return {"market_index": number, "scaled_balance": balance, "balance_type": 0, **changes}


def loan(number: int, balance: int, **changes: int) -> dict[str, int]:
    """A loan of a scaled balance."""
    return deposit(number, balance, **changes) | {"balance_type": 1}


def user(
    authority: bytes = ANN,
    spot: Sequence[Mapping[str, int]] = (),
    perp: Sequence[Mapping[str, int]] = (),
    **changes: int,
) -> bytes:
    """A sub-account with these positions."""
    return encoded(USER, authority=authority, spot_positions=spot, perp_positions=perp, **changes)


def lazer(price: int, *, slot: int = SLOT, confidence: int = 0, exponent: int = -6) -> bytes:
    """A price account of the program's own."""
    said = {"price": price, "posted_slot": slot, "publish_time": NOW * 10**6, "exponent": exponent, "conf": confidence}
    return encoded(PYTH_LAZER_ORACLE, **said)


@dataclass(slots=True)
class World:
    """The venue with USDC at 1, SOL at 100 and a perp market of SOL, of which tests change what they want."""

    accounts: dict[bytes, AccountBytes | bytes] = field(default_factory=dict)
    journals: Journals = field(default_factory=lambda: Journals(venue()))
    at: Block = field(default_factory=lambda: Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW))

    def __post_init__(self) -> None:
        self.accounts = {
            STATE_KEY: state_bytes(),
            USDC: quote_market(),
            SOL: spot_market(),
            SOL_PERP: perp_market(),
            USDC_PRICE: lazer(1_000_000),
            SOL_PRICE: lazer(100_000_000),
            **self.accounts,
        }

    def value(self, data: bytes, unit: bytes = ANNS) -> VenueUnit:
        """What an account is worth here."""
        everything = {**self.accounts, unit: data}
        seen_now = [
            (key, said if isinstance(said, AccountBytes) else seen(said, SLOT)) for key, said in everything.items()
        ]
        self.journals.fold(seen_now)
        return self.journals.value(unit, self.at)

    def native(self, data: bytes) -> Mapping[str, int]:
        """The program's own numbers of an account, which are known."""
        found = self.value(data)
        assert found.native is not None, found.reasons
        return found.native
