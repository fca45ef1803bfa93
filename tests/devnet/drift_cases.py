"""Users of Drift by chance, in markets by chance: bytes as they stand on the chain, to ask an SDK about."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from typing import Any

from chains.identifiers import base58
from chains.model import AccountBytes, VenueSnapshot
from chains.solana.drift.accounts import PERP_IN_USE
from chains.solana.drift.book import Book
from chains.solana.drift.layout import PERP_AT, PERP_POSITION, PERP_SIZE, SPOT_AT, SPOT_POSITION, SPOT_SIZE, USER
from chains.solana.drift.oracles import RECEIVER, SOURCES
from chains.solana.drift.spot import token_amount
from chains.solana.drift.states import PerpMarket, SpotMarket, perp_address, spot_address
from chains.solana.drift.unit import Account
from tests.support.drift_runs import (
    DUMPS,
    PROGRAM_ID,
    STATE_KEY,
    Journals,
    dumped_users,
    seen,
    state_bytes,
)
from tests.unit.chains.solana.drift.builders import (
    ANNS,
    NOW,
    SLOT,
    World,
    perp_market,
    quote_market,
    spot_market,
    user,
    written,
)
from tests.unit.chains.solana.marginfi.builders import pyth

PULL = SOURCES.index("PythPull")
PRICES = {0: 99_999_715, 1: 19_099_718_744, 3: 9_675_964_978_194}
"""Of each spot market, with eight decimals: USDC is not quite at 1."""
DECIMALS = {0: 6, 1: 9, 3: 8}
PERPS = {0: 1, 1: 3}
"""Perp market → the spot market whose price it has."""


@dataclass(slots=True)
class Drawn:
    """A user among markets, and how far floats may lead an SDK away from the program."""

    accounts: dict[bytes, AccountBytes]
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        journals = Journals()
        journals.fold(list(self.accounts.items()))
        assert journals.rows.quarantined == []
        at = World().at
        snapshot = VenueSnapshot(venue=journals.venue, at=at, markets=dict(journals.tips.aspects), feeds={}, answers={})
        self.account = Account(Book(snapshot), journals.unit(ANNS))

    @property
    def asked(self) -> dict[str, Any]:
        """The case as the drivers take it."""
        accounts = {
            base58(key): {"owner": base58(each.owner), "data": base64.b64encode(each.data).decode()}
            for key, each in self.accounts.items()
        }
        return {"user": base58(ANNS), "slot": SLOT, "time": NOW, "accounts": accounts}

    @property
    def tolerance(self) -> int:
        """A few units for what is rounded elsewhere; a basis point of all that has a weight which depends on a root of its size."""
        book, found = self.account.book, 40
        for position in self.account.user.spot:
            market = book.spot(position.market_index)
            price = _price_of(book, market)
            assert isinstance(market, SpotMarket)
            if market.imf_factor:
                tokens = token_amount(market, position.balance_type, self.account.balances.spot[position.market_index])
                size = abs(tokens) + abs(position.open_bids) + abs(position.open_asks)
                found += size * price // 10**market.decimals // 10**4
        for each in self.account.user.perp:
            perp = book.perp(each.market_index)
            assert isinstance(perp, PerpMarket)
            if perp.imf_factor:
                size = abs(each.base_asset_amount) + abs(each.open_bids) + abs(each.open_asks)
                found += size * _price_of(book, perp) // 10**9 // 10**4
        return found


def _price_of(book: Book, market: Any) -> int:
    price = book.price(market)
    assert isinstance(price, tuple)
    return int(price[0])


def drawn(seed: int, *, rooted: bool) -> Drawn:
    """A user by chance; `rooted`: weights depend on sizes."""
    rng = random.Random(seed)
    accounts = {STATE_KEY: seen(state_bytes(), SLOT)}
    for number, price in PRICES.items():
        accounts[spot_address(PROGRAM_ID, number)] = seen(_spot(rng, number, rooted=rooted), SLOT)
        accounts[oracle_of(number)] = seen(pyth(price, confidence=price // 1_000, posted_slot=SLOT - 1), SLOT, RECEIVER)
    for number in PERPS:
        accounts[perp_address(PROGRAM_ID, number)] = seen(_perp(rng, number, rooted=rooted), SLOT)
    accounts[ANNS] = seen(_user(rng), SLOT)
    return Drawn(accounts)


def oracle_of(number: int) -> bytes:
    """The price account of a spot market."""
    return bytes([0xC0 + number]) * 32


def _spot(rng: random.Random, number: int, *, rooted: bool) -> bytes:
    price = PRICES[number] // 100
    changes = {
        "oracle": oracle_of(number),
        "oracle_source": PULL,
        "cumulative_deposit_interest": rng.randrange(10**10, 2 * 10**10),
        "cumulative_borrow_interest": rng.randrange(10**10, 3 * 10**10),
        "last_oracle_price_twap": price,
        "last_oracle_price_twap_5min": price * rng.randrange(80, 120) // 100,
    }
    if number == 0:
        return quote_market(**changes)
    changes |= {
        "decimals": DECIMALS[number],
        "imf_factor": rng.choice([100, 3_000, 50_000]) if rooted else 0,
        "deposit_balance": rng.randrange(10**12, 10**15),
        "scale_initial_asset_weight_start": rng.choice([0, 0, 10**14, 10**9]),
    }
    return spot_market(number, **changes)


def _perp(rng: random.Random, number: int, *, rooted: bool) -> bytes:
    price = PRICES[PERPS[number]] // 100
    return perp_market(
        number,
        oracle=oracle_of(PERPS[number]),
        oracle_source=PULL,
        last_oracle_price=price,
        last_oracle_price_twap=price,
        imf_factor=rng.choice([300, 20_000]) if rooted else 0,
        margin_ratio_initial=rng.choice([500, 1_000, 2_000]),
        margin_ratio_maintenance=rng.choice([300, 500]),
        unrealized_pnl_maintenance_asset_weight=rng.choice([9_000, 10_000]),
        cumulative_funding_rate_long=rng.randrange(-(10**12), 10**12),
        cumulative_funding_rate_short=rng.randrange(-(10**12), 10**12),
    )


def _user(rng: random.Random) -> bytes:
    """A real user's bytes where they are here, with other positions in them."""
    data = bytearray(rng.choice(dumped_users()) if DUMPS.exists() else user())
    data[SPOT_AT : PERP_AT + 8 * PERP_SIZE] = bytes(8 * (SPOT_SIZE + PERP_SIZE))
    own_ratio = rng.choice([0, 0, 2_000, 5_000])
    for place, number in enumerate(rng.sample(list(PRICES), rng.randrange(4))):
        at = SPOT_AT + place * SPOT_SIZE
        position = _spot_position(rng, number, orders=not own_ratio)
        data[at : at + SPOT_SIZE] = written(bytes(SPOT_SIZE), position, SPOT_POSITION)
    for place, number in enumerate(rng.sample(list(PERPS), rng.randrange(3))):
        at = PERP_AT + place * PERP_SIZE
        data[at : at + PERP_SIZE] = written(bytes(PERP_SIZE), _perp_position(rng, number), PERP_POSITION)
    terms = {"max_margin_ratio": own_ratio, "status": rng.choice([0, 0, 0, 1]), "margin_mode": 0, "pool_id": 0}
    return written(bytes(data), terms, USER.fields)


def _spot_position(rng: random.Random, number: int, *, orders: bool) -> dict[str, int]:
    found = {
        "market_index": number,
        "scaled_balance": rng.choice([rng.randrange(10**4, 10**6), rng.randrange(10**9, 10**14)]),
        "balance_type": rng.randrange(2),
    }
    if number and orders and rng.random() < 0.5:
        most = 100 * 10 ** DECIMALS[number]
        found |= {
            "open_bids": rng.randrange(most),
            "open_asks": -rng.randrange(most),
            "open_orders": rng.randrange(1, 5),
        }
    return found


def _perp_position(rng: random.Random, number: int) -> dict[str, int]:
    base = rng.choice([0, rng.randrange(-(10**12), 10**12)])
    paid = -base * PRICES[PERPS[number]] // 10**11 * rng.randrange(80, 120) // 100
    found = {
        "market_index": number,
        "base_asset_amount": base,
        "quote_asset_amount": paid or rng.randrange(-(10**9), 10**9),
        "last_cumulative_funding_rate": rng.randrange(-(10**12), 10**12),
    }
    if rng.random() < 0.5:
        found |= {
            "open_bids": rng.randrange(10**11),
            "open_asks": -rng.randrange(10**11),
            "open_orders": rng.randrange(1, 5),
        }
    assert any(found.get(name) for name in PERP_IN_USE)
    return found
