"""Whatever bytes accounts hold, the fold keeps them and a unit has numbers or a reason: nothing is raised."""

from __future__ import annotations

import random

import pytest

from chains.model import Block
from chains.solana.marginfi import open_book
from chains.solana.marginfi.layout import ACCOUNT, BANK, GROUP
from tests.support.marginfi_runs import Journals
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    ANNS,
    BOBS,
    GROUP_KEY,
    JTO,
    NOW,
    SLOT,
    SOL,
    SOL_PRICE,
    USDC,
    USDC_PRICE,
    balance,
    bank,
    group,
    member,
    price_seen,
    pyth,
    seen,
    switchboard,
    venue,
)


def noisy(rng: random.Random, data: bytes, kept: int, flips: int) -> bytes:
    """Bytes of which some, behind the first `kept`, are others."""
    changed = bytearray(data)
    for _ in range(rng.randrange(flips)):
        changed[rng.randrange(kept, len(data))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return bytes(changed)


@pytest.mark.parametrize("seed", range(60))
def test_noise_in_any_account_is_taken_and_answered(seed: int) -> None:
    rng = random.Random(seed)
    flips = rng.choice([3, 30, 300])
    account = member(ANN, balance(SOL, held=10**9), balance(USDC, owed=10**6), balance(JTO, held=3))
    journals = Journals(venue(version=rng.choice(["0.1.0", "0.1.7"])))
    for slot in range(SLOT, SLOT + 3):
        journals.fold(
            [
                (GROUP_KEY, seen(noisy(rng, group(), 40, 2), slot=slot)),
                (SOL, seen(noisy(rng, bank(), 73, flips), slot=slot)),
                (USDC, seen(noisy(rng, bank(price=USDC_PRICE, oracle_setup=4), 73, flips), slot=slot)),
                (JTO, seen(BANK.discriminator + rng.randbytes(BANK.size - 8), slot=slot)),
                (SOL_PRICE, price_seen(noisy(rng, pyth(200 * 10**8), 8, 4), slot)),
                (USDC_PRICE, price_seen(noisy(rng, switchboard(10**18, 10**15), 8, flips), slot)),
                (ANNS, seen(noisy(rng, account, 72, flips), slot=slot)),
                (BOBS, seen(ACCOUNT.discriminator + GROUP_KEY + rng.randbytes(ACCOUNT.size - 40), slot=slot)),
            ]
        )

    value = open_book(
        journals.market(Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW + rng.choice([0, 30, 10**6])))
    )
    units = [value(unit) for unit in journals.units()]
    assert {unit.unit_id for unit in units} == {ANNS, BOBS}
    for unit in units:
        assert (unit.native is None) is (unit.liquidatable is None)
        assert unit.native is not None or unit.reasons
        assert all(position.amount_raw >= 0 for position in unit.positions)


def test_without_noise_there_are_numbers() -> None:
    journals = Journals(venue())
    journals.fold(
        [
            (GROUP_KEY, seen(group())),
            (SOL, seen(bank())),
            (USDC, seen(bank(price=USDC_PRICE, oracle_setup=4))),
            (SOL_PRICE, price_seen(pyth(200 * 10**8))),
            (USDC_PRICE, price_seen(switchboard(10**18, 10**15))),
            (ANNS, seen(member(ANN, balance(SOL, held=10**9), balance(USDC, owed=10**6)))),
        ]
    )
    (unit,) = journals.units()

    found = open_book(journals.market(Block(number=SLOT, hash=b"", parent_hash=b"", time=NOW)))(unit)

    assert found.native is not None
    assert found.liquidatable is False


def test_every_truncation_of_every_account_is_refused_by_name() -> None:
    for name, data in ((GROUP_KEY, group()), (SOL, bank()), (ANNS, member(ANN, balance(SOL, held=1)))):
        for length in (8, 9, 72, len(data) - 1):
            rows = Journals(venue()).fold([(name, seen(data[:length]))])
            assert [row.word for row in rows.quarantined] == [data[:length]]
            assert rows.positions == []
    assert GROUP.size < BANK.size < ACCOUNT.size
