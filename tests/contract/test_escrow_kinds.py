"""Escrows by configuration alone, on a real chain: what is derived equals what the contracts say, block by block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chains.evm.escrow import open_book
from chains.evm.escrow.shares import PROBE
from chains.model import Block, ChainSpec, UnitPosition, VenueSpec, VenueUnit
from chains.ports import Chain
from chains.registry import connect
from indexer.loop import rebuild
from indexer.store import Store
from tests.devnet.evm import escrows
from tests.devnet.evm.abi import calldata, topic
from tests.devnet.evm.chain import CHAIN_ID
from tests.devnet.evm.escrows import CUSTODY, MARGIN, MARGIN_OPTIONS, SHARES, Escrows
from tests.devnet.evm.ledger import invoke, pay
from tests.devnet.evm.vault import integers
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.tables import assert_same_tables, tables_of

COIN = b"slip44:60"


def venue(net: Escrows, address: str, start_block: int, **options: Any) -> VenueSpec:
    return VenueSpec(
        id="escrow", protocol="escrow", chain_id=f"eip155:{CHAIN_ID}", address=raw(address),
        start_block=start_block, options=options,
    )  # fmt: skip


def margin_of(net: Escrows, **options: Any) -> VenueSpec:
    return venue(net, net.margin.address, net.margin.start_block, **MARGIN_OPTIONS, **options)


def shares_of(net: Escrows, **options: Any) -> VenueSpec:
    return venue(net, net.shares.address, net.shares.start_block, holdings="shares", **options)


def custody_of(net: Escrows, **options: Any) -> VenueSpec:
    tokens = [*(token.address for token in net.tokens), net.rebasing]
    first, second, third, *_ = net.people
    return venue(net, first, 5, holdings="custody", tokens=tokens, coin="slip44:60", holders=[second, third], **options)


def chain_of(net: Escrows, url: str | None = None) -> ChainSpec:
    return ChainSpec(
        id=f"eip155:{CHAIN_ID}", name="devnet", rpc=(url or net.node.url,), finality="finalized", start_block=0
    )


def indexed(net: Escrows, spec: VenueSpec, path: Path, *, span: int | None = None) -> Heard:
    chain: Chain = connect(chain_of(net), [spec], [])
    with Store.open(path) as store:
        return asyncio.run(take_in(chain if span is None else Narrow(chain, span), store))


def units(net: Escrows, spec: VenueSpec, path: Path, number: int) -> dict[bytes, VenueUnit]:
    header = net.node.header(number)
    at = Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )
    with Store.open(path) as store, store.reading() as reader:
        value = open_book(reader.venue_snapshot(spec, at))
        return {unit.unit_id: value(unit) for unit in reader.unit_snapshots(spec, at)}


def heights(net: Escrows, spec: VenueSpec) -> Iterator[int]:
    """The head, and a few blocks before."""
    head, first = net.node.height(), spec.start_block
    yield from sorted({head, *(first + (head - first) * i // 7 for i in range(1, 7))})


def test_ids_that_are_owned_and_signed_amounts_and_the_coin_equal_the_contracts_own(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=1) as net:
        net.run(80, MARGIN)
        spec = margin_of(net)
        indexed(net, spec, path)
        compared = sum(compare_margin(net, spec, path, number) for number in heights(net, spec))
        owned = owners_at(net, net.node.height())
        held = units(net, spec, path, net.node.height())

    assert compared > 15
    assert {account: unit.owner for account, unit in held.items()} == {
        account: raw(owned.get(account, "0x" + "00" * 20)) for account in held
    }
    assert {position.asset for unit in held.values() for position in unit.positions} >= {COIN}
    assert {position.decimals for unit in held.values() for position in unit.positions if position.asset == COIN} == {
        18
    }


def compare_margin(net: Escrows, spec: VenueSpec, path: Path, number: int) -> int:
    places = [(account, token) for account in net.ids for token in (escrows.COIN, net.tokens[0].address)]
    asked = [(net.margin.address, calldata("collateral(bytes32,address)", *place)) for place in places]
    said = dict(zip(places, integers(net.node, number, asked), strict=True))
    truth = {
        (account, COIN if token == escrows.COIN else raw(token)): signed(word)
        for (account, token), word in said.items()
        if word
    }
    ours = {
        (account, position.asset): position.protocol_raw
        for account, unit in units(net, spec, path, number).items()
        for position in unit.positions
    }
    assert ours == truth
    return len(truth)


def signed(word: int) -> int:
    return word - 2**256 if word >= 2**255 else word


def owners_at(net: Escrows, number: int) -> dict[bytes, str]:
    """The owner that an event told last, as the node's own logs say."""
    query = {
        "address": net.margin.address, "fromBlock": "0x0", "toBlock": hex(number),
        "topics": [topic("AccountOwned(bytes32,address)")],
    }  # fmt: skip
    return {raw(log["topics"][1]): "0x" + log["topics"][2][26:] for log in net.node.call("eth_getLogs", query)}


def test_shares_are_exact_and_worth_what_the_vault_says_rounded_down(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=2) as net:
        net.run(150, SHARES)
        spec = shares_of(net, rate_every=1)
        indexed(net, spec, path)
        compared = sum(compare_shares(net, spec, path, number) for number in heights(net, spec))

    assert compared > 20


def compare_shares(net: Escrows, spec: VenueSpec, path: Path, number: int) -> int:
    vault = net.shares.address
    held = integers(net.node, number, [(vault, calldata("balanceOf(address)", who)) for who in net.people])
    asked = [(vault, calldata("convertToAssets(uint256)", amount)) for amount in held]
    worth = integers(net.node, number, asked)
    ours = units(net, spec, path, number)
    positions = {who: position for who, unit in ours.items() for position in unit.positions}
    assert {who: each.protocol_raw for who, each in positions.items()} == {
        raw(who): amount for who, amount in zip(net.people, held, strict=True) if amount
    }
    for who, amount in zip(net.people, worth, strict=True):
        if raw(who) in positions:
            assert_worth(positions[raw(who)], amount, net)
            assert ours[raw(who)].native["rate_block"] == number  # type: ignore[index]  # a unit that holds something
    return len(positions)


def assert_worth(position: UnitPosition, said: int, net: Escrows) -> None:
    """Not above what the vault says, and below by a unit at most."""
    assert said - 1 <= position.amount_raw <= said
    assert (position.asset, position.symbol, position.decimals) == (raw(net.tokens[0].address), "VTB", 6)
    assert position.market == raw(net.shares.address)


def test_shares_are_worth_nothing_known_where_the_vault_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=3) as net:
        who = net.people[0]
        net.ledger.do(invoke(who, net.shares.address, "deposit(uint256,address)", 10**9, who))
        net.ledger.do(invoke(who, net.shares.address, "silence()"))
        told, silent = net.node.height() - 1, net.node.height()
        net.ledger.do(invoke(who, net.shares.address, "silence()"))
        spec = shares_of(net, rate_every=1)
        indexed(net, spec, path)
        (before,), (unknown,), (after,) = (
            units(net, spec, path, number).values() for number in (told, silent, net.node.height())
        )

    assert [position.amount_raw for position in before.positions] == [10**9]
    assert unknown.positions == ()
    assert [reason.code for reason in unknown.reasons] == ["rate_unknown"]
    assert unknown.native is not None
    assert list(unknown.native.values()) == [10**9]
    assert [position.amount_raw for position in after.positions] == [10**9]
    assert after.native is not None
    assert after.native["rate"] == PROBE


def test_the_rate_of_a_vault_is_as_old_as_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=3) as net:
        who = net.people[0]
        net.ledger.do(invoke(who, net.shares.address, "deposit(uint256,address)", 1_000, who))
        bought = net.node.height()
        net.ledger.do(invoke(who, net.tokens[0].address, "transfer(address,uint256)", net.shares.address, 10**6))
        while net.node.height() % 20 != 19:
            net.ledger.idle(1)
        spec = shares_of(net, rate_every=20)
        indexed(net, spec, path)
        early = next(iter(units(net, spec, path, net.node.height()).values()))
        net.ledger.idle(1)
        indexed(net, spec, path)
        late = next(iter(units(net, spec, path, net.node.height()).values()))

    assert early.native is not None
    assert late.native is not None
    assert (early.positions[0].amount_raw, early.native["rate_block"]) == (1_000, bought)
    assert late.positions[0].amount_raw > 1_000
    assert late.native["rate_block"] % 20 == 0


def test_what_addresses_hold_is_what_their_tokens_and_the_node_say(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=4) as net:
        net.run(60, CUSTODY)
        spec = custody_of(net)
        indexed(net, spec, path, span=1)
        compared = sum(compare_custody(net, spec, path, number) for number in heights(net, spec))
        every = [position for unit in units(net, spec, path, net.node.height()).values() for position in unit.positions]

    assert compared > 40
    assert {position.symbol: position.decimals for position in every} == {"VTB": 6, "FEE": 18, "RB": 18, "": 18}
    assert all(position.counts for position in every)


def test_no_transfer_between_two_looks_is_overlooked(tmp_path: Path) -> None:
    """Also a token that comes and goes within one span, and one that takes a fee or grows by itself."""
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=9) as net:
        who, token = net.people[0], net.tokens[0].address
        net.ledger.do(invoke(net.people[4], token, "transfer(address,uint256)", who, 77))
        net.run(40, CUSTODY)
        net.ledger.do(invoke(who, token, "transfer(address,uint256)", net.people[4], 77))
        spec = custody_of(net)
        indexed(net, spec, path)
        compared = sum(
            compare_custody(net, spec, path, number, coins=False)
            for number in range(spec.start_block, net.node.height() + 1)
        )
    assert compared > 100
    assert {row[6] for row in tables_of(path)["lending_event"]} == {"supply", "withdraw"}


@pytest.mark.parametrize("span", [None, 5])
def test_a_token_may_be_followed_whole_beside_those_who_hold_it(span: int | None, tmp_path: Path) -> None:
    """Its transfers are then found by two questions, and each counts once for either venue."""
    path, straight = tmp_path / "store.duckdb", tmp_path / "straight.duckdb"
    with escrows.build(seed=12) as net:
        net.run(60, SHARES)
        first, second = net.people[:2]
        options = {"holdings": "custody", "tokens": [net.shares.address], "holders": [second]}
        holders = replace(venue(net, first, 2, **options), id="holders")
        vault = shares_of(net, rate_every=1)
        for store_path, cut in ((path, span), (straight, 1)):
            chain: Chain = connect(chain_of(net), [holders, vault], [])
            with Store.open(store_path) as store:
                asyncio.run(take_in(chain if cut is None else Narrow(chain, cut), store))
        compared = sum(compare_shares(net, vault, path, number) for number in heights(net, vault))
        ours = {
            who: position.amount_raw
            for who, unit in units(net, holders, path, net.node.height()).items()
            for position in unit.positions
        }
        asked = [(net.shares.address, calldata("balanceOf(address)", who)) for who in (first, second)]
        held = dict(zip(map(raw, (first, second)), integers(net.node, net.node.height(), asked), strict=True))

    assert compared > 10
    assert ours == {who: amount for who, amount in held.items() if amount}
    assert assert_same_tables(path, straight) > 50


@pytest.mark.parametrize("level", ["bloom", "second-node", "receipts"])
def test_evidence_looks_for_those_transfers_alone_that_name_a_holder(level: str, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=10) as net:
        net.run(25, CUSTODY)
        stranger, token = net.people[4], net.tokens[0].address
        net.ledger.do(invoke(stranger, token, "transfer(address,uint256)", net.people[5], 5))
        net.ledger.idle(70)
        spec = replace(
            chain_of(net), completeness=level, rpc=(net.node.url, net.node.url.replace("127.0.0.1", "localhost"))
        )
        with Store.open(path) as store:
            asyncio.run(take_in(connect(spec, [custody_of(net)], []), store))
            with store.reading() as reader:
                covered, findings = reader.coverage(spec.id), reader.findings(spec.id)
        logs = tables_of(path)["evm_log"]
        final = net.node.height() - 64

    assert findings == []
    assert len(logs) > 10
    holders = {bytes(12) + raw(who) for who in net.people[:3]}
    assert all(holders & {bytes(topic) for topic in row if isinstance(topic, bytes)} for row in logs)
    (first,) = [
        each for each in covered if each.interest == "venue:escrow" and each.last >= final and each.first <= final
    ]
    assert first.level == {"bloom": "bloom", "second-node": "agreed", "receipts": "proven"}[level]


def test_the_shares_of_all_are_the_vaults_own_total(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=13) as net:
        net.run(40, SHARES)
        net.ledger.idle(70)
        final = net.node.height() - 64
        with Store.open(path) as store:
            asyncio.run(take_in(connect(chain_of(net), [shares_of(net)], []), store))
            with store.reading() as reader:
                covered = reader.coverage(f"eip155:{CHAIN_ID}")

    levels = {each.level for each in covered if each.interest == "venue:escrow" and each.first <= final <= each.last}
    assert levels == {"totals"}


def compare_custody(net: Escrows, spec: VenueSpec, path: Path, number: int, *, coins: bool = True) -> int:
    holders, tokens = net.people[:3], [*(token.address for token in net.tokens), net.rebasing]
    asked = [(token, calldata("balanceOf(address)", who)) for who in holders for token in tokens]
    places = [(raw(who), raw(token)) for who in holders for token in tokens]
    truth = {place: held for place, held in zip(places, integers(net.node, number, asked), strict=True) if held}
    if coins:
        truth |= {(raw(who), COIN): int(net.node.call("eth_getBalance", who, hex(number)), 16) for who in holders}
    ours = {
        (who, position.asset): position.amount_raw
        for who, unit in units(net, spec, path, number).items()
        for position in unit.positions
        if coins or position.asset != COIN
    }
    assert ours == truth
    return len(ours)


def test_a_custody_may_belong_to_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with escrows.build(seed=4) as net:
        spec = custody_of(net, owner=net.people[5])
        indexed(net, spec, path)
        held = units(net, spec, path, net.node.height())

    assert {unit.owner for unit in held.values()} == {raw(net.people[5])}
    assert len(held) == 3


KINDS: Mapping[str, tuple[Any, Any]] = {
    "margin": (MARGIN, lambda net: margin_of(net, check_every=4)),
    "shares": (SHARES, lambda net: shares_of(net, rate_every=7)),
    "custody": (CUSTODY, custody_of),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("span", [1, 6])
def test_tables_do_not_depend_on_cuts_and_a_rebuild_needs_no_node(kind: str, span: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    plans, make = KINDS[kind]
    with escrows.build(seed=5) as net:
        net.run(50, plans)
        spec = make(net)
        indexed(net, spec, whole)
        indexed(net, spec, cut, span=span)
        offline = chain_of(net, url="http://127.0.0.1:9")

    assert assert_same_tables(whole, cut) > 30
    with Store.open(cut) as store:
        asyncio.run(rebuild(offline, [spec], [], store, listener=Heard()))
    assert assert_same_tables(whole, cut) > 30


@pytest.mark.parametrize("kind", KINDS)
def test_a_reorg_leaves_an_undisturbed_run(kind: str, tmp_path: Path) -> None:
    followed, straight = tmp_path / "followed.duckdb", tmp_path / "straight.duckdb"
    plans, make = KINDS[kind]
    with escrows.build(seed=6) as net:
        net.run(20, plans)
        spec = make(net)
        indexed(net, spec, followed)
        height = net.node.height()
        net.node.call("anvil_rollback", 5)
        while net.node.height() <= height:
            net.run(1, plans)
        assert indexed(net, spec, followed).rewound_ != []
        indexed(net, spec, straight)

    assert assert_same_tables(followed, straight) > 20


def test_an_upgrade_is_said_and_ends_what_counts_where_code_is_named(tmp_path: Path) -> None:
    path, account = tmp_path / "store.duckdb", b"\x07" * 32
    with escrows.build(seed=7) as net:
        net.ledger.do(invoke(net.admin, net.margin.address, "open(bytes32,address)", account, net.people[0]))
        reward = "reward(bytes32,address,uint128)"
        net.ledger.do(invoke(net.admin, net.margin.address, reward, account, net.tokens[0].address, 50))
        before = net.node.height()
        net.ledger.do(invoke(net.admin, net.margin.address, "upgradeTo(address)", net.logic[1]))
        spec = margin_of(net)
        indexed(net, spec, path)
        said = {}
        for name, named in (("none", None), ("old", net.logic[:1]), ("both", net.logic)):
            options = {} if named is None else {"implementations": list(named)}
            for number in (before, net.node.height()):
                (unit,) = units(net, margin_of(net, **options), path, number).values()
                said[name, number == before] = (
                    [reason.code for reason in unit.reasons], [position.counts for position in unit.positions]
                )  # fmt: skip

    assert said == {
        ("none", True): ([], [True]),
        ("none", False): (["vault_upgraded"], [True]),
        ("old", True): ([], [True]),
        ("old", False): (["vault_upgraded"], [False]),
        ("both", True): ([], [True]),
        ("both", False): ([], [True]),
    }


def test_a_vault_that_holds_less_than_is_claimed_is_found_short(tmp_path: Path) -> None:
    path, account = tmp_path / "store.duckdb", b"\x07" * 32
    with escrows.build(seed=8) as net:
        margin, token, deposit = net.margin.address, net.tokens[0].address, "deposit(bytes32,address,uint256)"
        net.ledger.do(invoke(net.people[0], margin, deposit, account, token, 100))
        net.ledger.do(invoke(net.people[0], margin, deposit, account, escrows.COIN, 70, value=70))
        net.ledger.do(pay(net.people[0], margin, 5))
        net.ledger.idle(4)
        backed = net.node.height()
        code = net.node.call("eth_getCode", token, "latest")
        net.node.call("anvil_setCode", token, "0xfe")
        net.ledger.idle(4)
        silent = net.node.height()
        net.node.call("anvil_setCode", token, code)
        net.ledger.do(invoke(net.admin, margin, "drain(address,uint256)", token, 1))
        net.ledger.idle(4)
        spec = margin_of(net, check_every=4)
        indexed(net, spec, path)
        (whole,), (unread,), (short,) = (
            units(net, spec, path, number).values() for number in (backed, silent, net.node.height())
        )

    assert [reason.code for reason in whole.reasons] == []
    assert [reason.code for reason in unread.reasons] == ["vault_unread"]
    assert all(position.counts for position in unread.positions)
    assert [(reason.code, reason.detail) for reason in short.reasons] == [
        ("vault_short", "the vault holds 99 raw units, depositors claim 100: whose is missing is unknown")
    ]
    assert {position.asset: position.counts for position in short.positions} == {raw(token): False, COIN: True}
