"""An oracle's rate is what the oracle program would return, and its refusals are the program's; what is not known is told apart."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from chains.identifiers import base58
from chains.model import AccountBytes
from chains.solana.derived import program_address
from chains.solana.jupiter_lend.layout import LENDING, LIQUIDITY, RESERVE, REWARDS
from chains.solana.jupiter_lend.maths import Refused
from chains.solana.jupiter_lend.oracle import (
    CLOCK,
    CLOCK_ASPECT,
    LIQUIDATE,
    OPERATE,
    RATE_ONE,
    SINGLE_POOLS,
    Ask,
    Asked,
    NoSource,
    rate,
    roles_of,
    sources_of,
)
from chains.solana.jupiter_lend.sources import Role, SourceType, source_text
from chains.solana.jupiter_lend.texts import oracle_text
from chains.solana.oracles.chainlink import STORE
from chains.solana.oracles.stake_pool.marinade import MARINADE, STATE
from tests.support.jupiter_accounts import account, gone, number, oracle, packed, pyth

SLOT, NOW = 1_000_000, 1_700_000_000
A, B, C, D = (bytes([letter]) * 32 for letter in b"abcd")
Kinds = Sequence[tuple[bytes, bool, int]]


class Said:
    """Oracles and accounts as the fold would have noted them."""

    def __init__(self, kinds: Kinds, accounts: dict[bytes, AccountBytes], *, multiplier: int = 1) -> None:
        told = oracle(kinds, SLOT, multiplier=multiplier).data
        self.sources = sources_of(json.loads(oracle_text(told, len(kinds))))
        self.texts = {
            (key, str(role)): source_text(role, accounts[key])
            for key, role in roles_of(self.sources)
            if key in accounts
        }

    def rate(self, ask: Ask = LIQUIDATE, *, slot: int = SLOT, time: int = NOW) -> int:
        return rate(self.sources, Asked(lambda key, aspect: self.texts.get((key, aspect)), slot, time, ask))


def of_pyth(price: int = 15_000_000_000, confidence: int = 1, exponent: int = -8, time: int = NOW) -> Said:
    return Said([(A, False, SourceType.PYTH)], {A: pyth(price, confidence, exponent, time, SLOT)})


def test_an_oracle_without_sources_says_one() -> None:
    assert Said([], {}).rate() == RATE_ONE


def test_pyth_prices_have_fifteen_decimals() -> None:
    assert of_pyth().rate() == 150 * RATE_ONE
    assert of_pyth(price=1_234_567, exponent=-18).rate() == 1_234  # rounded down
    assert of_pyth(price=7, confidence=0, exponent=0).rate() == 7 * RATE_ONE


def test_hops_multiply_and_what_is_inverted_divides() -> None:
    kinds = [(A, False, SourceType.PYTH), (B, True, SourceType.PYTH)]
    said = Said(kinds, {A: pyth(15_000_000_000, 1, -8, NOW, SLOT), B: pyth(99_990_000, 1, -8, NOW, SLOT)})

    inverted = RATE_ONE**2 // (99_990_000 * 10**7)
    assert said.rate() == inverted * 150 * RATE_ONE // RATE_ONE


@pytest.mark.parametrize("ask, most", [(LIQUIDATE, 7200), (OPERATE, 600)])
def test_prices_get_too_old(ask: Ask, most: int) -> None:
    said = of_pyth(time=NOW - most)

    assert said.rate(ask) == 150 * RATE_ONE
    with pytest.raises(Refused, match="PriceTooOld"):
        said.rate(ask, time=NOW + 1)


@pytest.mark.parametrize("ask, times", [(LIQUIDATE, 25), (OPERATE, 50)])
def test_prices_may_be_too_unsure(ask: Ask, times: int) -> None:
    assert of_pyth(price=times * 1000, confidence=1000).rate(ask)
    with pytest.raises(Refused, match="Confidence"):
        of_pyth(price=times * 1000 - 1, confidence=1000).rate(ask)


@pytest.mark.parametrize("price, exponent", [(0, -8), (-1, -8), (5, 1)])
def test_prices_that_are_none_are_refused(price: int, exponent: int) -> None:
    with pytest.raises(Refused, match="PriceNotValid"):
        of_pyth(price=price, exponent=exponent).rate()


def test_a_price_of_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="RateZero"):
        of_pyth(price=1, confidence=0, exponent=-16).rate()


def test_partly_verified_prices_are_refused() -> None:
    whole = pyth(1, 0, -8, NOW, SLOT)
    partial = whole._replace(data=whole.data[:40] + b"\0\5" + whole.data[41:-1])

    with pytest.raises(Refused, match="PriceNotValid"):
        Said([(A, False, SourceType.PYTH)], {A: partial}).rate()


def stake_pool(*, updated: int = 700, fee: tuple[int, int] = (1000, 1), to_come: bytes = b"\0") -> AccountBytes:
    fixed = bytearray(282)
    fixed[0] = 1
    fixed[258:282] = number(1_100_000, 8) + number(1_000_000, 8) + number(updated, 8)
    charged = number(fee[0], 8) + number(fee[1], 8)
    options = b"\0" + b"\1" + bytes(32) + b"\0"
    tail = bytes(48 + 16) + options + charged * 2 + to_come + b"\0\0" + charged + b"\0\0" + charged + b"\0"
    return account(A, (bytes(fixed) + tail).ljust(611, b"\0"), SLOT)


def of_pool(pool: AccountBytes, *, epoch: int = 700, since: int = 0) -> Said:
    said = Said([(A, False, SourceType.STAKE_POOL)], {A: pool})
    said.texts[CLOCK, CLOCK_ASPECT] = json.dumps({"epoch": str(epoch), "epoch_start_timestamp": str(NOW - since)})
    return said


def test_stake_pools_say_what_their_token_redeems_for() -> None:
    assert of_pool(stake_pool()).rate() == 1_100_000 * RATE_ONE // 1_000_000
    with pytest.raises(NoSource, match="clock"):
        Said([(A, False, SourceType.STAKE_POOL)], {A: stake_pool()}).rate()


def test_stake_pools_have_an_hour_to_update() -> None:
    assert of_pool(stake_pool(updated=699), since=3599).rate()
    for updated, since in ((699, 3600), (698, 0)):
        with pytest.raises(Refused, match="StakePoolNotRefreshed"):
            of_pool(stake_pool(updated=updated), since=since).rate()


def test_stake_pools_with_high_fees_are_refused() -> None:
    assert of_pool(stake_pool(fee=(1000, 5))).rate()
    assert of_pool(stake_pool(fee=(0, 99))).rate()
    assert of_pool(stake_pool(to_come=b"\2" + number(10, 8) + number(9, 8))).rate()
    with pytest.raises(Refused, match="FeeTooHigh"):
        of_pool(stake_pool(fee=(1000, 6))).rate()


def test_marinade_counts_what_is_staked_less_what_is_owed() -> None:
    state = packed(
        STATE,
        total_active_balance=10_000,
        delayed_unstake_cooling_down=500,
        emergency_cooling_down=20,
        available_reserve_balance=300,
        circulating_ticket_balance=120,
        msol_supply=9_000,
    )
    said = Said([(A, False, SourceType.MSOL_POOL)], {A: account(MARINADE, state, SLOT)})

    assert said.rate() == (10_000 + 500 + 20 + 300 - 120) * RATE_ONE // 9_000


def redstone(value: int, timestamp: int, written: int | None) -> AccountBytes:
    option = b"\0" if written is None else b"\1" + number(written, 8)
    data = bytes(40) + value.to_bytes(32, "big") + number(timestamp, 8) + option + number(9, 8) + b"\x08" + bytes(64)
    return account(A, data, SLOT)


def test_redstone_counts_the_older_of_its_times() -> None:
    def of(value: int, timestamp: int, written: int | None) -> Said:
        return Said([(A, False, SourceType.REDSTONE)], {A: redstone(value, timestamp, written)})

    old = (NOW - 7200) * 1000
    assert of(2 * 10**8, old, NOW * 1000).rate() == 2 * RATE_ONE
    for timestamp, written in ((old - 1, NOW * 1000), (NOW * 1000, old - 1)):
        with pytest.raises(Refused, match="PriceTooOld"):
            of(2 * 10**8, timestamp, written).rate()
    with pytest.raises(Refused, match="TimestampExpected"):
        of(1, NOW * 1000, None).rate()
    with pytest.raises(Refused, match="RedstonePriceOverflow"):
        of(2**64, NOW * 1000, NOW * 1000).rate()
    with pytest.raises(Refused, match="64 bits"):
        of(1, (NOW + 1) * 1000, (NOW + 1) * 1000).rate()


def chainlink(answer: int, slot: int, *, length: int = 1) -> AccountBytes:
    data = bytearray(bytes.fromhex("60b3454280814975").ljust(248, b"\0"))
    data[138] = 8
    data[143:147], data[148:152] = number(3, 4), number(length, 4)
    data[200:208], data[216:232] = number(slot, 8), answer.to_bytes(16, "little", signed=True)
    return account(STORE, bytes(data), SLOT)


def test_chainlink_counts_slots() -> None:
    def of(feed: AccountBytes) -> Said:
        return Said([(A, False, SourceType.CHAINLINK)], {A: feed})

    assert of(chainlink(3 * 10**8, SLOT - 18_002)).rate() == 3 * RATE_ONE  # 18,002 · 0.4 s = 7,200 s, rounded down
    with pytest.raises(Refused, match="PriceTooOld"):
        of(chainlink(3 * 10**8, SLOT - 18_003)).rate()
    with pytest.raises(Refused, match="128 bits"):
        of(chainlink(-1, SLOT)).rate()
    for feed in (chainlink(1, SLOT, length=2), chainlink(1, SLOT)._replace(owner=A)):
        with pytest.raises(NoSource):
            of(feed).rate()


def test_pools_of_one_validator_keep_one_sol() -> None:
    voter = b"\x77" * 32
    pool = program_address(SINGLE_POOLS, b"pool", voter)
    stake, mint = (program_address(SINGLE_POOLS, seed, pool) for seed in (b"stake", b"mint"))
    held = number(2, 4) + bytes(120) + voter + number(11 * 10**9, 8) + bytes(36)
    accounts = {
        stake: account(A, held, SLOT),
        mint: account(A, bytes(36) + number(8 * 10**9, 8) + bytes(38), SLOT),
        A: stake_pool(),
    }
    kind = SourceType.SINGLE_POOL

    said = Said([(stake, False, kind), (mint, False, kind), (C, False, kind)], accounts)
    assert said.rate() == 10 * 10**9 * RATE_ONE // (8 * 10**9)
    with pytest.raises(Refused, match="InvalidSource"):
        Said([(stake, False, kind), (mint, False, kind)], accounts).rate()
    with pytest.raises(NoSource, match="no delegated stake"):
        Said([(A, False, kind), (mint, False, kind), (C, False, kind)], accounts).rate()


def test_deposit_tokens_are_worth_their_liquidity() -> None:
    lending = packed(
        LENDING,
        f_token_mint=D,
        rewards_rate_model=C,
        token_reserves_liquidity=B,
        liquidity_exchange_price=10**12,
        token_exchange_price=11 * 10**11,
        last_update_timestamp=NOW,
    )
    reserve = packed(
        RESERVE, supply_exchange_price=102 * 10**10, borrow_exchange_price=10**12, last_update_timestamp=NOW
    )
    accounts = {
        A: account(A, lending, SLOT),
        B: account(LIQUIDITY, reserve, SLOT),
        C: account(A, packed(REWARDS), SLOT),
        D: account(A, bytes(36) + number(10**9, 8) + bytes(38), SLOT),
    }
    kinds = [(key, False, SourceType.JUP_LEND) for key in (A, B, C, D)]

    assert Said(kinds, accounts).rate() == 1_122_000_000_000 * 1000  # 1.1 · 1.02
    swapped = [kinds[0], kinds[2], kinds[1], kinds[3]]
    with pytest.raises(Refused, match="JupLendAccountMismatch"):
        Said(swapped, accounts).rate()


@pytest.mark.parametrize(
    "said, about",
    [
        (Said([(A, False, 9)], {}), "kind 9"),
        (Said([(A, False, SourceType.PYTH)], {}), "not been read"),
        (Said([(A, False, SourceType.PYTH)], {A: gone(SLOT)}), "no account"),
        (Said([(A, False, SourceType.PYTH)], {A: pyth(1, 0, 0, NOW, SLOT)}, multiplier=10), "multiplier"),
    ],
)
def test_what_is_not_known_is_no_refusal(said: Said, about: str) -> None:
    with pytest.raises(NoSource, match=about):
        said.rate()


def test_roles_of_unknown_kinds_are_left_out() -> None:
    sources = Said([(A, False, 9), (B, True, SourceType.PYTH)], {}).sources

    assert list(roles_of(sources)) == [(B, Role.PYTH)]
    assert sources[1].invert
    assert base58(sources[0].address) == base58(A)
