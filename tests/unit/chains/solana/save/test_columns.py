"""Many new obligations as columns: the same rows as one by one."""

from __future__ import annotations

import random

import pytest

from chains.model import AccountBytes, Rows, VenueSpec
from chains.solana.save import Save
from chains.solana.save.columns import WORTH_COLUMNS
from chains.solana.save.layout import Borrow, Deposit
from tests.support.rows import KINDS, spelled_out
from tests.support.save_accounts import (
    MARKET_ADDRESS,
    SLOT,
    SOL,
    USDC,
    WAD,
    obligation,
    ours,
    reserve,
    usdc,
)
from tests.support.save_runs import Journals, Seen
from tests.support.state import Tips

MARKETS = [SOL, USDC, *(bytes([i]) * 32 for i in range(100, 108))]
RESERVES: list[Seen] = [(SOL, ours(reserve())), (USDC, ours(usdc()))]
ODD = [
    b"\x02" + obligation(SOL)[1:],
    obligation(SOL)[:202] + b"\x06\x05" + bytes(1096),
    obligation(SOL)[:202] + b"\xff\xff" + bytes(1096),
    obligation(SOL, [Deposit(USDC, 5, 3)], closeable=1),
    obligation(SOL, closeable=2),
    obligation(SOL, [Deposit(USDC, 1, 0), Deposit(SOL, 2, 0), Deposit(USDC, 1, 0)]),
    obligation(SOL, [], [Borrow(USDC, 1, 1), Borrow(USDC, 1, 1)]),
    obligation(SOL, [], [Borrow(SOL, WAD, 1), Borrow(USDC, WAD, 10**38)]),
    obligation(SOL, [], [Borrow(SOL, WAD, 2**128 - 1)]),
    obligation(SOL, [], [Borrow(SOL, WAD, 10**38 - 1)]),
]


def crowd(seed: int, count: int) -> list[Seen]:
    """Obligations of every number of entries, with odd ones between them."""
    rng = random.Random(seed)
    made: list[Seen] = []
    for number in range(count):
        some = rng.sample(MARKETS, 10)
        deposits = rng.randrange(5)
        borrows = rng.randrange(5)
        data = obligation(
            rng.randbytes(32),
            [Deposit(each, rng.choice([0, 1, 2**64 - 1]), rng.randrange(9)) for each in some[:deposits]],
            [
                Borrow(each, rng.choice([WAD, 19 * WAD, 2**128 - 1]), rng.choice([0, 1, 2**64, 10**37]))
                for each in some[deposits : deposits + borrows]
            ],
        )
        made.append((number.to_bytes(32), ours(data)))
    made += [((count + number).to_bytes(32), ours(data)) for number, data in enumerate(ODD)]
    rng.shuffle(made)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_is_entered_as_each_of_it_is(seed: int) -> None:
    seen = crowd(seed, 300)
    together = fold([*RESERVES, *seen])
    alone = Rows()
    for each in seen:
        alone.extend(fold([*RESERVES, each]))

    assert together.columns["accounts"]
    assert together.columns["positions"]
    assert len(together.accounts) == len(ODD)
    flat = spelled_out(together)
    assert len(flat.positions) > 300
    for name in set(KINDS) - {"markets"}:
        assert sorted(getattr(flat, name)) == sorted(getattr(alone, name)), name


def test_a_crowd_of_empty_obligations_has_settings_and_no_positions() -> None:
    seen = [(number.to_bytes(32), ours(obligation(bytes([number]) * 32))) for number in range(WORTH_COLUMNS)]
    rows = fold(seen)

    assert (rows.accounts, rows.positions) == ([], [])
    assert sum(table.num_rows for table in rows.columns["accounts"]) == WORTH_COLUMNS
    assert "positions" not in rows.columns


def test_what_is_seen_again_in_the_same_batch_is_told_apart() -> None:
    first = [(n.to_bytes(32), ours(obligation(SOL, [Deposit(USDC, 5, 0)]))) for n in range(2 * WORTH_COLUMNS)]
    again = [(name, ours(obligation(SOL, [Deposit(USDC, 7, 0)]), SLOT + 1)) for name, _ in first[:3]]
    journals = Journals(
        VenueSpec(id="save", protocol="save", chain_id="solana:test", address=MARKET_ADDRESS, start_block=0)
    )
    rows = journals.take([*RESERVES, *first, *again])

    assert [event.amount_raw for event in rows.events] == [2, 2, 2]
    assert [journals.tips.held[name, USDC, row.side] for name, _ in first[:4] for row in rows.positions[:1]] == [
        7,
        7,
        7,
        5,
    ]


def fold(seen: list[tuple[bytes, AccountBytes]]) -> Rows:
    venue = VenueSpec(id="save", protocol="save", chain_id="solana:test", address=MARKET_ADDRESS, start_block=0)
    return Save(venue).fold(Tips(), seen)
