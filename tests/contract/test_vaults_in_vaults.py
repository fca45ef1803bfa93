"""ERC-4626 vaults over shares of MetaMorpho vaults: looked through twice, each step as the contracts say it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from aggregator.margin.document import LookThroughView, PositionView
from chains.model import VenueSpec
from chains.registry import connect
from indexer.store import Reader, Store
from tests.contract.test_morpho_blue_parity import chain_spec
from tests.contract.test_morpho_vaults import health, venue_with
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.artifacts import own_bytecode
from tests.devnet.evm.ledger import invoke
from tests.devnet.evm.metamorpho import Pool, Pools, deploy
from tests.devnet.evm.morpho import PARAMS, Market, build
from tests.devnet.evm.vault import Token, approve
from tests.support.indexing import raw, take_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A vault over the first pool's shares: who holds some himself, who pledged some in a market, and for whom a contract holds some."""

    pools: Pools
    vault: str
    start_block: int
    custody: VenueSpec
    holder: str
    pledger: str
    depositor: str

    @property
    def pool(self) -> Pool:
        return self.pools.pools[0]

    @property
    def venues(self) -> tuple[VenueSpec, ...]:
        morpho = venue_with(self.pools)
        wrapper = VenueSpec(
            id="wrapper", protocol="escrow", chain_id=morpho.chain_id, address=raw(self.vault),
            start_block=self.start_block, options={"holdings": "shares", "rate_every": 1},
        )  # fmt: skip
        return morpho, wrapper, self.custody

    def converted(self, address: str, shares: int) -> int:
        """What a vault says that shares of it are worth."""
        answer = self.pools.lending.node.eth_call(address, calldata("convertToAssets(uint256)", shares), "latest")
        return int(decode(["uint256"], answer)[0])


def wrapped(pools: Pools) -> Wrapped:
    """Let three people deposit shares of the first pool in a vault, and gains come to it that are nobody's deposit."""
    lending, pool = pools.lending, pools.pools[0]
    holder, pledger, depositor, *_ = lending.people
    vault = lending.ledger.deploy(lending.admin, own_bytecode("Shares"), ["address"], [pool.address])
    start_block = lending.node.height()
    amount = 10 ** (pool.asset.decimals or 0) * 1_000
    for who in (holder, pledger, depositor):
        lending.ledger.do(approve(pool.address, who, vault))
        lending.ledger.do(invoke(who, pool.address, "deposit(uint256,address)", amount, who, gas=9_000_000))
        lending.ledger.do(invoke(who, vault, "deposit(uint256,address)", pools.shares(pool, who) // 2, who))
    gain = pools.shares(pool, holder) // 7
    lending.ledger.do(invoke(holder, pool.address, "transfer(address,uint256)", vault, gain))
    token = Token(address=vault, symbol="shVTB", decimals=18)
    pledge(pools, token, pledger)
    return Wrapped(
        pools=pools, vault=vault, start_block=start_block, custody=in_custody(pools, token, depositor),
        holder=holder, pledger=pledger, depositor=depositor,
    )  # fmt: skip


def pledge(pools: Pools, token: Token, owner: str) -> Market:
    """Let somebody pledge all that he holds of a token in a market of its own."""
    lending = pools.lending
    market = replace(lending.markets[0], name="wrapped", collateral=token, oracle=lending.mock)
    lending.ledger.do(lending.invoke(lending.admin, f"createMarket({PARAMS})", market.params))
    lending.ledger.do(approve(token.address, owner, lending.address))
    signature = f"supplyCollateral({PARAMS},uint256,address,bytes)"
    lending.ledger.do(lending.invoke(owner, signature, market.params, held(pools, token, owner), owner, b""))
    return market


def in_custody(pools: Pools, token: Token, owner: str) -> VenueSpec:
    """Let a contract hold for somebody all that he has of a token."""
    lending = pools.lending
    address = lending.ledger.deploy(lending.admin, own_bytecode("Vault"))
    start_block = lending.node.height()
    lending.ledger.do(approve(token.address, owner, address))
    amount = held(pools, token, owner)
    lending.ledger.do(invoke(owner, address, "deposit(address,uint256)", token.address, amount))
    chain_id = venue_with(pools).chain_id
    return VenueSpec(id="custody", protocol="escrow", chain_id=chain_id, address=raw(address), start_block=start_block)


def held(pools: Pools, token: Token, owner: str) -> int:
    answer = pools.lending.node.eth_call(token.address, calldata("balanceOf(address)", owner), "latest")
    return int(decode(["uint256"], answer)[0])


def test_each_vault_is_looked_through_into_the_next(tmp_path: Path) -> None:
    with build(seed=8, actions=20) as lending:
        pools = deploy(lending)
        pools.run(15)
        case = wrapped(pools)
        head = lending.node.height()
        with Store.open(tmp_path / "store.duckdb") as store:
            asyncio.run(take_in(connect(chain_spec(lending), list(case.venues), []), store))
            with store.reading() as reader:
                own, pledged, kept = (
                    position_in(reader, case, who, venue)
                    for who, venue in ((case.holder, "wrapper"), (case.pledger, "morpho"), (case.depositor, "custody"))
                )

        assert own.asset.lower().endswith(case.pool.address.lower())
        assert_pool(own.look_through, case, int(own.amount_raw))
        for position in (pledged, kept):
            outer = position.look_through
            assert position.asset.lower().endswith(case.vault.lower())
            assert outer is not None
            assert (outer.asset or "").lower().endswith(case.pool.address.lower())
            said = case.converted(case.vault, int(position.amount_raw))
            assert said > int(position.amount_raw)
            assert said - 1 <= int(outer.assets_raw or 0) <= said
            assert (outer.told_at, outer.lost_raw, outer.redeemable_raw, outer.components) == (head, None, None, ())
            assert_pool(outer.within, case, int(outer.assets_raw or 0))


def assert_pool(view: LookThroughView | None, case: Wrapped, shares: int) -> None:
    """The pool's shares are worth what the pool says, and its components are its lending."""
    assert view is not None
    assert view.assets_raw == str(case.converted(case.pool.address, shares))
    assert {part.venue for part in view.components} == {"morpho"}
    assert (view.told_at, view.within) == (None, None)


def position_in(reader: Reader, case: Wrapped, who: str, venue: str) -> PositionView:
    """The one position of somebody at a venue that is looked through."""
    document = health(reader, case.pools, case.venues, who)
    (found,) = [
        position
        for each in document.venues
        for unit in each.units
        for position in unit.positions
        if each.venue == venue and position.look_through is not None
    ]
    return found
