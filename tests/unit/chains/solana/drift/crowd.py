"""Accounts of every kind, by chance: what a store may see, in the order of slots."""

from __future__ import annotations

import random
from collections.abc import Sequence

from chains.solana.drift.layout import USER
from tests.support.drift_runs import STATE_KEY, Seen, seen, state_bytes
from tests.unit.chains.solana.drift.builders import (
    SOL,
    SOL_PERP,
    SOL_PRICE,
    USDC,
    USDC_PRICE,
    lazer,
    perp_market,
    quote_market,
    spot_market,
    user,
)


def anybody(rng: random.Random) -> bytes:
    """A user with any number of positions, orders, gaps, remains of LP shares and flags; some are odd."""
    spot = [
        {
            "market_index": number,
            "balance_type": rng.choice([0, 0, 1]),
            "scaled_balance": rng.choice([0, 1, rng.getrandbits(40), 2**64 - 1]),
            "open_bids": rng.choice([0, 0, rng.getrandbits(50)]),
            "open_asks": rng.choice([0, 0, -rng.getrandbits(50)]),
            "open_orders": rng.choice([0, 0, 3]),
        }
        for number in rng.sample(range(9), rng.choice([0, 1, 2, 8]))
    ]
    perp = [
        {
            "market_index": number,
            "base_asset_amount": rng.choice([0, rng.getrandbits(50), -rng.getrandbits(50)]),
            "quote_asset_amount": rng.choice([0, rng.getrandbits(50), -(2**63)]),
            "open_orders": rng.choice([0, 2]),
            "position_flag": rng.choice([0, 0, 1, 3, 254]),
            "isolated_position_scaled_balance": rng.choice([0, rng.getrandbits(60)]),
            "last_quote_asset_amount_per_lp": rng.choice([0, 0, 5]),
            "lp_shares": rng.choice([0, 0, 0, 9]),
            "max_margin_ratio": rng.choice([0, 2_000]),
        }
        for number in rng.sample(range(7), rng.choice([0, 0, 1, 3, 7]))
    ]
    match rng.randrange(14):
        case 0 if spot:
            spot = [*spot[:7], dict(spot[0], scaled_balance=5)]
        case 1 if spot:
            spot[-1]["balance_type"] = 2
        case 2 if perp:
            perp = [*perp[:7], dict(perp[0], base_asset_amount=5)]
        case 3:
            return user(rng.randbytes(32), spot, perp) + b"\0"
        case 4:
            return USER.discriminator + rng.randbytes(USER.size - 8)
        case _:
            pass
    terms = {"status": rng.choice([0, 1, 4]), "margin_mode": rng.choice([0, 1]), "pool_id": rng.choice([0, 1])}
    return user(rng.randbytes(32), spot, perp, sub_account_id=rng.choice([0, 65_535]), **terms)


def crowd(rng: random.Random, count: int, slot: int = 1) -> Seen:
    """So many users of one slot."""
    return [(rng.randbytes(32), seen(anybody(rng), slot)) for _ in range(count)]


def first_look(slot: int = 1) -> Seen:
    """The markets that the users of tests are in, and one price."""
    return [
        (STATE_KEY, seen(state_bytes(), slot)),
        (USDC, seen(quote_market(), slot)),
        (SOL, seen(spot_market(), slot)),
        (SOL_PERP, seen(perp_market(), slot)),
        (USDC_PRICE, seen(lazer(1_000_000), slot)),
        (SOL_PRICE, seen(lazer(100_000_000), slot)),
    ]


def history(rng: random.Random, slots: int, names: Sequence[bytes]) -> Seen:
    """A history in which users, markets and prices change, come and go."""
    found = first_look()
    for slot in range(2, slots + 2):
        found += [
            (name, seen(None if rng.random() < 0.15 else anybody(rng), slot)) for name in names if rng.random() < 0.4
        ]
        if rng.random() < 0.5:
            found.append((SOL_PRICE, seen(lazer(rng.getrandbits(30)), slot)))
        if rng.random() < 0.4:
            interest = rng.randrange(10**10, 2 * 10**10)
            found.append((SOL, seen(spot_market(cumulative_borrow_interest=interest, imf_factor=slot), slot)))
        if rng.random() < 0.2:
            found.append((USDC, seen(rng.choice([None, quote_market(), quote_market()[:-1]]), slot)))
    return found
