"""A group whose banks hold positions in Kamino, Drift and Save, over a node: pools are found, valued, and doubted by themselves."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from chains.identifiers import base58
from chains.model import ChainSpec, VenueSpec, VenueUnit
from chains.registry import connect, open_book
from chains.solana.marginfi import Marginfi
from chains.solana.marginfi.integrations import PROGRAMS
from chains.solana.programs import programs_of
from indexer.loop import index, rebuild
from indexer.store import Store
from tests.devnet.solana.keys import genesis_hash
from tests.devnet.solana.ledger import Ledger
from tests.devnet.solana.server import Server
from tests.support import kamino_accounts as klend
from tests.support.indexing import Heard
from tests.support.programs import deploy
from tests.unit.chains.solana.marginfi.builders import (
    ANN,
    GROUP_KEY,
    NOW,
    SOL_PRICE,
    USDC,
    USDC_MINT,
    USDC_PRICE,
    balance,
    bank,
    group,
    member,
    price_seen,
    pyth,
    seen,
)
from tests.unit.chains.solana.marginfi.test_integrations import (
    MARK,
    MINTS,
    SETUPS,
    TAGS,
    UNITS,
    drift_market,
    kamino_reserve,
    save_reserve,
)

FIRST = 1_000
BANKS = {name: bytes([0xB0 + number]) * 32 for number, name in enumerate(TAGS)}
MEMBERS = {name: bytes([0xC0 + number]) * 32 for number, name in enumerate(TAGS)}
POOLS = {name: bytes([0xD0 + number]) * 32 for number, name in enumerate(TAGS)}
KLEND = PROGRAMS[0]


@pytest.fixture
def ledger() -> Ledger:
    """A chain on which everybody owes 1000 USDC against ten units of a position."""
    made = Ledger(genesis_hash=genesis_hash(9), first_slot=FIRST, genesis_time=NOW + 10)
    made.mine()
    accounts = {
        GROUP_KEY: seen(group()),
        USDC: seen(bank(USDC_MINT, USDC_PRICE, mint_decimals=6, oracle_max_age=60_000)),
        SOL_PRICE: price_seen(pyth(200 * 10**8)),
        USDC_PRICE: price_seen(pyth(10**8)),
        POOLS["kamino"]: kamino_reserve(),
        POOLS["drift"]: drift_market(),
        POOLS["save"]: save_reserve(),
        klend.MARKET_ADDRESS: klend.market(),
    }
    for name, address in BANKS.items():
        keys = [{"key": SOL_PRICE}, {"key": POOLS[name]}]
        changes: dict[str, Any] = {
            "asset_tag": TAGS[name],
            "oracle_setup": SETUPS[name][0],
            "oracle_keys": keys,
            "total_liability_shares": 0,
        }
        accounts[address] = seen(bank(MINTS[name], oracle_max_age=60_000, **changes))
        held = balance(address, held=UNITS), balance(USDC, owed=1000 * 10**6)
        accounts[MEMBERS[name]] = seen(member(ANN, *held, program_version=MARK))
    for address, account in accounts.items():
        made.set_account(Pubkey(address), owner=Pubkey(account.owner), data=account.data, lamports=1)
    for program in programs_of(Marginfi(venue("solana:x"))):
        deploy(made, program, FIRST - 1)
    made.mine()
    made.idle(1)
    return made


def venue(chain_id: str) -> VenueSpec:
    return VenueSpec(
        id="mrgn", protocol="marginfi", chain_id=chain_id, address=GROUP_KEY, start_block=FIRST,
        options={"kamino_version": "1.20"},
    )  # fmt: skip


def test_pools_are_found_valued_and_doubted_for_those_alone_who_are_in_them(ledger: Ledger, tmp_path: Path) -> None:
    chain_id = f"solana:{str(ledger.genesis_hash)[:32]}"

    async def live(store: Store, url: str) -> None:
        spec = ChainSpec(id=chain_id, name="made", rpc=(url,), finality="confirmed", start_block=FIRST)
        async with aclosing(connect(spec, [venue(chain_id)], [])) as chain:
            first = await looked(store, chain)
            assert codes(first["kamino"]) == {"integration_unknown"}, "the lending market is named by the reserve"
            valued = await looked(store, chain)
            for name, unit in valued.items():
                assert (unit.reasons, unit.liquidatable) == ((), False), (name, unit.reasons)
                assert unit.native is not None
                (supply,) = (each for each in unit.positions if each.market == BANKS[name])
                assert 12 * 10**9 <= supply.amount_raw < 12_001 * 10**6
                assert supply.claim is not None
            before = dict(store.state(chain_id).markets("mrgn"))
            await rebuild(spec, [venue(chain_id)], [], store, listener=Heard())
            assert dict(store.state(chain_id).markets("mrgn")) == before
            deploy(ledger, KLEND, ledger.tip.slot)
            upgraded = await looked(store, chain)
            assert codes(upgraded["kamino"]) == {"program_upgraded"}
            assert upgraded["kamino"].reasons[0].subject == base58(KLEND)
            assert upgraded["drift"].reasons == upgraded["save"].reasons == ()

    async def looked(store: Store, chain: object) -> dict[str, VenueUnit]:
        ledger.mine()
        ledger.idle(1)
        await index(chain, store, until="latest", listener=Heard())  # type: ignore[arg-type]
        cursor = store.cursor(chain_id)
        assert cursor is not None
        with store.reading() as reader:
            value = open_book("marginfi")(reader.venue_snapshot(venue(chain_id), cursor.block))
            units = {unit.unit_id: value(unit) for unit in reader.unit_snapshots(venue(chain_id), cursor.block)}
        return {name: units[address] for name, address in MEMBERS.items()}

    with Store.open(tmp_path / "store.duckdb") as store, Server(ledger) as node:
        asyncio.run(live(store, node.url))


def codes(unit: VenueUnit) -> set[str]:
    return {reason.code for reason in unit.reasons}
