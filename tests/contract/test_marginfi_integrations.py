"""What banks' deposits in Kamino and Save are worth, upon recorded reserves: the exchange rate that the other program itself then wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from chains.identifiers import from_base58
from chains.model import AccountBytes, Reason
from chains.solana.kamino.layout import MARKET, RESERVE
from chains.solana.layouts import read
from chains.solana.marginfi.held import beside_texts, pool_texts
from chains.solana.marginfi.integrations import BY_TAG, Asked, Integration, Standing
from chains.solana.save.layout import RESERVE as SAVE_RESERVE
from tests.support import kamino_runs, save_runs

KAMINO, SAVE = BY_TAG[3], BY_TAG[5]
ONE, WAD = 1 << 48, 10**18
PRICES = (1, 7_282_000_000, 10**8, 2**40 + 1)
"""Integers that an oracle may say."""


def opened(
    integration: Integration, pool: bytes, accounts: Mapping[bytes, AccountBytes], slot: int, time: int, **options: Any
) -> Standing | Reason:
    """A pool at a moment, as the journals would hold it."""
    texts = pool_texts(integration, accounts[pool])
    markets = {(pool, aspect): text for aspect, text in texts.items()}
    asked = Asked(pool, markets, slot, time, options)
    held, totals = asked.state(pool, "held"), asked.state(pool, "held_totals")
    assert held is not None
    assert totals is not None
    for address in integration.beside(held):
        markets |= {(address, aspect): text for aspect, text in beside_texts(integration, accounts[address]).items()}
    return integration.standing(asked, held, totals)


def expected(price: int, liquidity: int, supply: int, decimals: int) -> int:
    """The program's arithmetic upon what the other one wrote: `liquidity` in 2^-48 of a raw token."""
    if supply == 0:
        return price
    unit = int(10**decimals)
    return price * ((liquidity // unit) * ONE // (supply * ONE // unit)) // ONE


def klend_samples() -> Iterator[tuple[kamino_runs.Sample, bytes]]:
    for folder in kamino_runs.runs().values():
        _, samples = kamino_runs.load(folder)
        for sample in samples:
            for address, account in sample.accounts.items():
                if account.data[:8] == RESERVE.discriminator and address in sample.refreshed:
                    yield sample, address


def test_klends_own_refresh_gives_the_same_rate_and_the_same_tokens() -> None:
    """The run is of klend 1.7, whose interest is that of later versions; its conversion is not, and is compared as 1.7 has it."""
    compared = 0
    for sample, address in klend_samples():
        standing = opened(KAMINO, address, sample.accounts, sample.slot, sample.time, kamino_version="1.7")
        assert isinstance(standing, Standing), standing
        wrote = {name: int(value) for name, value in sample.refreshed[address].items()}
        fees = ("accumulated_protocol_fees_sf", "accumulated_referrer_fees_sf", "pending_referrer_fees_sf")
        cut = wrote["available_amount"] * ONE + (wrote["borrowed_amount_sf"] >> 12) - sum(wrote[n] >> 12 for n in fees)
        supply = wrote["collateral_mint_total_supply"]
        decimals = read(RESERVE.fields, sample.accounts[address].data)["liquidity"][0]["mint_decimals"]
        for price in PRICES:
            assert standing.scaled(price, 64) == expected(price, cut, supply, decimals)
        exact = Fraction(
            (wrote["available_amount"] << 60) + wrote["borrowed_amount_sf"] - sum(wrote[n] for n in fees), supply << 60
        )
        assert 0 <= 10**9 * exact - standing.redeemed(10**9) < 2
        assert standing.payable_raw == wrote["available_amount"]
        compared += 1
    assert compared > 60


def save_samples() -> Iterator[tuple[dict[str, Any], str, Mapping[str, Any]]]:
    for folder in save_runs.runs().values():
        run = save_runs.load(folder)
        reserves = {reserve["address"] for reserve in run.case["reserves"].values()}
        for sample in run.samples:
            yield from ((sample, name, wrote) for name, wrote in sample["refreshed"].items() if name in reserves)


def test_saves_own_refresh_gives_the_same_rate_and_the_same_tokens() -> None:
    compared = 0
    for sample, name, wrote in save_samples():
        accounts = {
            from_base58(key): save_runs.account_bytes(sample["slot"], account)
            for key, account in sample["accounts"].items()
        }
        pool = from_base58(name)
        standing = opened(SAVE, pool, accounts, sample["slot"], sample["unix_timestamp"])
        assert isinstance(standing, Standing), standing
        said = {
            key: int(wrote[key])
            for key in ("available_amount", "borrowed_amount_wads", "accumulated_protocol_fees_wads")
        }
        borrowed, fees = (said[key] * ONE // WAD for key in ("borrowed_amount_wads", "accumulated_protocol_fees_wads"))
        supply = int(wrote["collateral_mint_total_supply"])
        decimals = read(SAVE_RESERVE.fields, accounts[pool].data)["liquidity_mint_decimals"]
        for price in PRICES:
            liquidity = said["available_amount"] * ONE + borrowed - fees
            assert standing.scaled(price, 64) == expected(price, liquidity, supply, decimals)
        compared += 1
    assert compared > 60


def test_where_save_refused_to_refresh_its_reserves_some_have_no_rate() -> None:
    """They were refreshed in one transaction, which tells that one of them failed, for want of a price."""
    refused = 0
    for folder in save_runs.runs().values():
        run = save_runs.load(folder)
        for sample in (each for each in run.samples if "reserves" in each["refresh_errors"]):
            accounts = {
                from_base58(key): save_runs.account_bytes(sample["slot"], account)
                for key, account in sample["accounts"].items()
            }
            pools = [from_base58(reserve["address"]) for reserve in run.case["reserves"].values()]
            found = [opened(SAVE, pool, accounts, sample["slot"], sample["unix_timestamp"]) for pool in pools]
            assert "reserve_stale" in {each.code for each in found if isinstance(each, Reason)}
            refused += 1
    assert refused > 1


@pytest.mark.parametrize("folder", kamino_runs.runs().values(), ids=kamino_runs.runs())
def test_other_accounts_of_the_runs_are_refused_as_pools(folder: Path) -> None:
    _, samples = kamino_runs.load(folder)
    for address, account in samples[0].accounts.items():
        texts = pool_texts(KAMINO, account)
        assert ("held_totals" in texts) == (account.data[:8] == RESERVE.discriminator), address
        if account.data[:8] != MARKET.discriminator:
            assert "problem" in beside_texts(KAMINO, account)["held_beside"]
