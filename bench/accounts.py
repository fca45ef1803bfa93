"""Solana accounts that are seen for the first time, from their bytes to exact journals: accounts a second, on one core.

The bound is what numpy takes to lay the same bytes below each other and to pick the amounts of the slots in use, in the same run; base64,
as which nodes send accounts, stands beside it. The accounts are made of those of the recorded runs, with other owners and amounts.
"""

from __future__ import annotations

import base64
import gc
import os
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np

from chains.model import AccountBytes, Rows, VenueSpec
from chains.solana.after import Nothing
from chains.solana.drift import Drift
from chains.solana.drift.layout import USER
from chains.solana.kamino import Kamino
from chains.solana.kamino.layout import OBLIGATION
from chains.solana.layouts import KEY, Layout
from chains.solana.marginfi import Marginfi
from chains.solana.marginfi.layout import ACCOUNT, BALANCES

ACCOUNTS = 50_000
RUNS = 7
SLOT = 400_000_000
SEED = 1
BANKS = 60
HELD = (0, 1, 1, 1, 2, 2, 2, 3, 5)
"""How many positions an account has, as often as it stands here."""

Seen = tuple[bytes, AccountBytes]


class Kind(NamedTuple):
    """One kind of account: its name, the fold and accounts of it, and what is picked of its records in the bound."""

    name: str
    fold: Callable[[Sequence[Seen]], Rows]
    seen: Sequence[Seen]
    layout: Layout
    arrays: Mapping[str, tuple[str, str]]


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"accounts · {ACCOUNTS:,} Solana accounts, bytes to journals, median of {RUNS} runs, CPU of one core")
    print(f"  Python {platform.python_version()}, numpy {version('numpy')}, pyarrow {version('pyarrow')}")
    print(f"  {'':<12}{'journals':>14}{'numpy alone':>14}{'ratio':>8}{'base64':>14}   accounts/s")
    for kind in (marginfi(), kamino(), drift()):
        measure(kind)


def measure(kind: Kind) -> None:
    data = [account.data for _, account in kind.seen]
    sent = [base64.b64encode(each) for each in data]
    assert len(kind.fold(kind.seen)) > len(data)
    gc.disable()
    times = {"fold": [], "bound": [], "base64": []}  # type: dict[str, list[float]]
    for _ in range(RUNS):
        times["fold"].append(seconds(lambda: kind.fold(kind.seen)))
        times["bound"].append(seconds(lambda: picked(kind.layout, kind.arrays, data)))
        times["base64"].append(seconds(lambda: [base64.b64decode(each) for each in sent]))
    gc.enable()
    fold, bound, decoded = (len(data) / median(times[name]) for name in ("fold", "bound", "base64"))
    print(f"  {kind.name:<12}{fold:>14,.0f}{bound:>14,.0f}{fold / bound:>8.2f}{decoded:>14,.0f}")


def seconds(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return process_time() - began


def picked(layout: Layout, arrays: Mapping[str, tuple[str, str]], data: Sequence[bytes]) -> list[Any]:
    """Pick the amounts of the slots in use, as bytes: an array → the field that says that it is in use, and the amount."""
    found = []
    for at in range(0, len(data), 2048):
        records = layout.records(data[at : at + 2048])
        for array, (used, amount) in arrays.items():
            raw = np.ascontiguousarray(records[array][used])
            taken = raw.view(np.uint8).reshape(*raw.shape, -1).any(axis=-1)
            found.append(records[array][amount][taken])
    return found


def marginfi() -> Kind:
    rng = random.Random(SEED)
    venue = VenueSpec(id="group", protocol="marginfi", chain_id="solana:1", address=rng.randbytes(KEY), start_block=0)
    fold = Marginfi(venue)
    (_, wanted) = fold.sets
    banks = [rng.randbytes(KEY) for _ in range(BANKS)]
    seen = []
    for _ in range(ACCOUNTS):
        slots = [
            {"active": 1, "bank_pk": bank, rng.choice(("asset_shares", "liability_shares")): rng.getrandbits(90)}
            for bank in rng.sample(banks, rng.choice(HELD))
        ]
        fields = {"group": venue.address, "authority": rng.randbytes(KEY), "balances": slots}
        assert len(slots) <= BALANCES
        seen.append((rng.randbytes(KEY), AccountBytes(SLOT, wanted.program, 1, written(ACCOUNT, fields), closed=False)))
    return Kind(
        "marginfi", lambda some: fold.fold(Nothing(), some), seen, ACCOUNT, {"balances": ("active", "asset_shares")}
    )


def kamino() -> Kind:
    rng = random.Random(SEED)
    venue = VenueSpec(id="market", protocol="kamino", chain_id="solana:1", address=rng.randbytes(KEY), start_block=0)
    fold = Kamino(venue)
    (_, wanted) = fold.sets
    reserves = [rng.randbytes(KEY) for _ in range(BANKS)]
    seen = []
    for _ in range(ACCOUNTS):
        held, owed = rng.sample(reserves, rng.choice(HELD)), rng.sample(reserves, min(rng.choice(HELD), 2))
        fields = {
            "lending_market": venue.address,
            "owner": rng.randbytes(KEY),
            "deposits": [{"deposit_reserve": name, "deposited_amount": rng.getrandbits(50)} for name in held],
            "borrows": [
                {
                    "borrow_reserve": name,
                    "borrowed_amount_sf": rng.getrandbits(110),
                    "cumulative_borrow_rate_bsf": 2**60 + rng.getrandbits(58),
                }
                for name in owed
            ],
            "has_debt": int(bool(owed)),
        }
        data = written(OBLIGATION, fields)
        seen.append((rng.randbytes(KEY), AccountBytes(SLOT, wanted.program, 1, data, closed=False)))
    arrays = {
        "deposits": ("deposit_reserve", "deposited_amount"),
        "borrows": ("borrow_reserve", "borrowed_amount_sf"),
    }
    return Kind("kamino", lambda some: fold.fold(Nothing(), some), seen, OBLIGATION, arrays)


def drift() -> Kind:
    rng = random.Random(SEED)
    venue = VenueSpec(id="drift", protocol="drift", chain_id="solana:1", address=rng.randbytes(KEY), start_block=0)
    fold = Drift(venue)
    (*_, wanted) = fold.sets
    seen = []
    for _ in range(ACCOUNTS):
        spot = [
            {"market_index": number, "scaled_balance": rng.getrandbits(50), "balance_type": rng.randrange(2)}
            for number in rng.sample(range(BANKS), rng.choice(HELD))
        ]
        perp = [
            {
                "market_index": number,
                "base_asset_amount": rng.getrandbits(40),
                "quote_asset_amount": -rng.getrandbits(40),
            }
            for number in rng.sample(range(BANKS), min(rng.choice(HELD), 2))
        ]
        data = written(USER, {"authority": rng.randbytes(KEY), "spot_positions": spot, "perp_positions": perp})
        seen.append((rng.randbytes(KEY), AccountBytes(SLOT, wanted.program, 1, data, closed=False)))
    arrays = {
        "spot_positions": ("scaled_balance", "scaled_balance"),
        "perp_positions": ("base_asset_amount", "base_asset_amount"),
    }
    return Kind("drift", lambda some: fold.fold(Nothing(), some), seen, USER, arrays)


def written(layout: Layout, fields: Mapping[str, Any]) -> bytes:
    """Write an account of a layout: what is not named is zero."""
    data = bytearray(layout.size)
    data[: len(layout.discriminator)] = layout.discriminator
    write(data, layout.fields, fields, 0)
    return bytes(data)


def write(data: bytearray, table: Mapping[str, Any], fields: Mapping[str, Any], start: int) -> None:
    for name, value in fields.items():
        offset, kind = table[name]
        at = start + offset
        if isinstance(value, list):
            for number, each in enumerate(value):
                write(data, kind[2], each, at + number * kind[1])
        elif isinstance(value, bytes):
            data[at : at + len(value)] = value
        else:
            size = int(kind[1:]) // 8
            data[at : at + size] = value.to_bytes(size, "little", signed=kind[0] == "i")
