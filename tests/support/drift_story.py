"""A market of Drift as it might go: users who deposit, borrow, trade and leave, markets that earn interest, prices that move."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from typing import Any

from chains.identifiers import base58
from chains.model import AccountBytes
from tests.support.drift_runs import STATE_KEY, seen, state_bytes
from tests.unit.chains.solana.drift.builders import (
    INTEREST,
    LONG_SOL,
    SOL,
    SOL_PERP,
    SOL_PRICE,
    USDC,
    USDC_PRICE,
    deposit,
    lazer,
    loan,
    perp_market,
    quote_market,
    spot_market,
    user,
)

FIRST, BEGAN = 6_000, 1_700_000_000
"""Slot and time at which the chain begins; the venue's accounts come a thousand slots later."""

USERS = [bytes([number]) * 32 for number in range(0xE0, 0xE8)]
OWNERS = [bytes([number]) * 32 for number in range(0xF0, 0xF4)]
"""Each has two sub-accounts."""

TOKEN = 10**9
Sample = tuple[int, int, Mapping[str, Mapping[str, Any] | None]]


def story(seed: int, samples: int, *, plain: bool = False) -> list[Sample]:
    """The slot, the time and the accounts that changed, in the JSON form of nodes; `plain`: nobody leaves, all can be read."""
    rng = random.Random(seed)
    found: list[Sample] = []
    for number in range(samples):
        slot = FIRST + 1_000 + 3 * number
        time = BEGAN + (slot - FIRST) * 2 // 5
        changed = {
            base58(key): _said(each)
            for key, each in _changes(rng, (slot, time), begins=number == 0, plain=plain).items()
        }
        found.append((slot, time, changed))
    return found


def _changes(rng: random.Random, at: tuple[int, int], *, begins: bool, plain: bool) -> dict[bytes, AccountBytes]:
    slot, time = at
    price = rng.randrange(80, 120) * 10**6
    found = {SOL_PRICE: seen(lazer(price, slot=slot), slot), USDC_PRICE: seen(lazer(10**6, slot=slot), slot)}
    if begins:
        found[STATE_KEY] = seen(state_bytes(), slot)
    if begins or rng.random() < 0.5:
        lent = {
            "deposit_balance": 1_000 * TOKEN,
            "borrow_balance": rng.randrange(900) * TOKEN,
            "last_interest_ts": time - 1,
        }
        grown = {
            "cumulative_borrow_interest": INTEREST + slot * 10**5,
            "cumulative_deposit_interest": INTEREST + slot * 10**4,
        }
        found[SOL] = seen(spot_market(last_oracle_price_twap_5min=price, **lent, **grown), slot)
        found[USDC] = seen(quote_market(last_interest_ts=time), slot)
        found[SOL_PERP] = seen(perp_market(last_oracle_price=price, cumulative_funding_rate_long=slot * 10**4), slot)
    for place, name in enumerate(USERS):
        if begins or rng.random() < 0.4:
            found[name] = seen(_user(rng, place, plain=plain), slot)
    return found


def _user(rng: random.Random, place: int, *, plain: bool) -> bytes | None:
    """A sub-account as it is next; sometimes gone, or of a size that nobody knows."""
    spot = [deposit(0, rng.randrange(1, 2_000) * TOKEN)]
    if rng.random() < 0.6:
        spot.append(loan(1, rng.randrange(1, 10 * TOKEN)))
    perp = []
    if rng.random() < 0.5:
        size = rng.randrange(-20, 20) * TOKEN
        perp = [
            {**LONG_SOL, "base_asset_amount": size, "quote_asset_amount": -size // 10, "open_orders": rng.randrange(2)}
        ]
    if perp and rng.random() < 0.4:
        perp[0] |= {"position_flag": 1, "isolated_position_scaled_balance": rng.randrange(1, 200) * TOKEN}
    data = user(OWNERS[place // 2], spot, perp, sub_account_id=place % 2, status=rng.choice([0, 0, 0, 1]))
    return data if plain else rng.choice([data] * 12 + [None, data + b"\0"])


def _said(account: AccountBytes) -> Mapping[str, Any] | None:
    if account.closed:
        return None
    data = [base64.b64encode(account.data).decode(), "base64"]
    return {"data": data, "owner": base58(account.owner), "lamports": account.lamports}
