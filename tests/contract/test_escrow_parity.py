"""A vault on a real chain: what is derived of each depositor equals what the vault itself says, to the last raw unit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode

from chains.errors import NoContract
from chains.evm.escrow import open_book
from chains.identifiers import format_address
from chains.model import Block, ChainSpec, Side, VenueSpec, VenueUnit
from chains.ports import Chain
from chains.registry import connect
from indexer.loop import Until, rebuild
from indexer.store import Reader, Store
from tests.devnet.evm.chain import build as build_market
from tests.devnet.evm.herald import CREDITED, DEBITED, MEMO, TIMES, Herald
from tests.devnet.evm.vault import Custody, VaultTruth, build, open_custody, vault_truth_at
from tests.support.indexing import Heard, Narrow, raw, take_in
from tests.support.indexing import venue_of as market_of
from tests.support.tables import assert_same_tables, tables_of

EARLIER_BLOCKS = 10
NOBODY = b"\0" * 20


@pytest.mark.parametrize("seed", [1, 20, 300])
def test_balances_equal_the_vaults_own_at_head_and_ten_earlier_blocks(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=seed) as custody:
        indexed(custody, path)
        head = custody.node.height()
        blocks = [head, *(head * i // (EARLIER_BLOCKS + 1) for i in range(1, EARLIER_BLOCKS + 1))]

        with Store.open(path) as store, store.reading() as reader:
            compared = sum(compare(reader, custody, number) for number in blocks)

    assert compared > 100


def compare(reader: Reader, custody: Custody, number: int) -> int:
    """Compare everybody's tokens at a block; return how many were not zero."""
    truth, units = vault_truth_at(custody, number), units_at(reader, custody, number)
    said = {(account, token): amount for (account, token), amount in truth.balances.items() if amount}
    ours = {
        ("0x" + unit.owner.hex(), address.lower()): amount
        for unit in units
        for address, amount in (unit.native or {}).items()
    }
    assert ours == said
    assert_backed(truth)
    for unit in units:
        assert_native(unit, custody, said)
    return len(said)


def assert_backed(truth: VaultTruth) -> None:
    """A vault holds what it owes, and what it was given without being asked."""
    for token, held in truth.held.items():
        assert sum(amount for (_, other), amount in truth.balances.items() if other == token) <= held


def assert_native(unit: VenueUnit, custody: Custody, said: Mapping[tuple[str, str], int]) -> None:
    """The venue's numbers of a unit are complete; a token that does not tell its decimals is named and takes nothing else with it."""
    owner = "0x" + unit.owner.hex()
    held = [token for token in custody.vault.tokens if (owner, token.address) in said]
    expected = {format_address(unit_chain(custody), raw(token.address)): said[owner, token.address] for token in held}
    silent = {format_address(unit_chain(custody), raw(token.address)) for token in held if token.decimals is None}
    assert unit.native == expected
    assert {(reason.code, reason.subject) for reason in unit.reasons} == {("token_unknown", name) for name in silent}


def test_every_habit_of_tokens_and_people_was_met(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=1) as custody:
        indexed(custody, path)
        deposits = {kind: custody.succeeded[kind] for kind in ("deposit", "deposit_for", "withdraw", "withdraw_to")}

        assert min(deposits.values()) > 0
        assert custody.succeeded["donate"] > 0
        assert custody.reverted["withdraw_too_much"] > 0
        assert custody.reverted["deposit_unapproved"] > 0
        assert tokens_of(path) == {
            raw(token.address): {"decimals": token.decimals, "symbol": token.symbol} for token in custody.vault.tokens
        }
    events = rows_of(path, "lending_event")
    assert len(events) == sum(deposits.values())
    assert {(row[6], row[9]) for row in events} == {("supply", None), ("withdraw", None)}


def test_the_same_arguments_make_the_same_vault_and_history() -> None:
    def told(seed: int) -> str:
        with build(seed=seed, actions=30) as custody:
            return str(custody.node.header()["hash"])

    assert told(4) == told(4) != told(5)


@pytest.mark.parametrize("span", [1, 7, 60])
def test_tables_do_not_depend_on_how_the_span_was_cut(span: int, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=5) as custody:
        indexed(custody, whole)
        heard = indexed(custody, cut, span=span)

    assert len(heard.appended_) > 1
    assert assert_same_tables(whole, cut) > 300


def test_tables_do_not_depend_on_stops_in_between(tmp_path: Path) -> None:
    whole, stepped = tmp_path / "whole.duckdb", tmp_path / "stepped.duckdb"
    with build(seed=6) as custody:
        for until in (0, custody.vault.start_block, 40, 41):
            indexed(custody, stepped, until=until)
        indexed(custody, stepped)
        indexed(custody, whole)

    assert assert_same_tables(whole, stepped) > 300


@pytest.mark.parametrize("span", [9, 50])
def test_a_vault_beside_a_lending_market_changes_nothing_of_either(span: int, tmp_path: Path) -> None:
    """Venues that begin in different blocks and emit events of different topics."""
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build_market(seed=2, actions=60) as net:
        custody = open_custody(net.ledger, chain_id=net.chain_id, seed=2, people=net.users)
        custody.run(40)
        net.population.run(20)
        market = market_of(net)
        indexed(custody, whole, beside=[market])
        indexed(custody, cut, beside=[market], span=span)

        with Store.open(whole) as store, store.reading() as reader:
            assert compare(reader, custody, custody.node.height()) > 10
            assert reader.unit_snapshots(market, block_of(custody, custody.node.height())) != []

    assert assert_same_tables(whole, cut) > 500


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reorg_leaves_an_undisturbed_run(seed: int, tmp_path: Path) -> None:
    followed, rng = tmp_path / "followed.duckdb", Random(seed)
    with build(seed=seed, actions=60) as custody:
        indexed(custody, followed)
        depths = []
        for turn in range(6):
            height = custody.node.height()
            custody.node.call("anvil_rollback", rng.choice([1, 2, 3, 8, 21]))
            while custody.node.height() < height + turn:
                custody.run(1)
            depths += [depth for _, depth, _ in indexed(custody, followed).rewound_]
            straight = tmp_path / f"straight-{turn}.duckdb"
            indexed(custody, straight)
            assert assert_same_tables(followed, straight) > 200

    assert max(depths) > 1


def test_a_vault_that_a_reorg_moved_to_a_later_block_is_found_anew(tmp_path: Path) -> None:
    followed, straight = tmp_path / "followed.duckdb", tmp_path / "straight.duckdb"
    with build(seed=3, actions=0) as custody:
        indexed(custody, followed)
        depth = custody.node.height() - custody.vault.start_block + 1
        custody.node.call("anvil_rollback", depth)
        custody.ledger.idle(2)
        moved = open_custody(custody.ledger, chain_id=custody.chain_id, seed=3, people=custody.people)
        assert moved.vault.start_block > custody.vault.start_block
        venue = venue_of(moved, start_block=custody.vault.start_block)
        assert indexed(custody, followed, venue=venue).rewound_ != []
        indexed(custody, straight, venue=venue)

    assert assert_same_tables(followed, straight) > 20


def test_rebuild_without_the_network_gives_the_same_tables(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.duckdb", tmp_path / "copy.duckdb"
    with build(seed=9) as custody:
        indexed(custody, path)
        indexed(custody, copy, span=11)
        spec, venue = chain_of(custody, url="http://127.0.0.1:9"), venue_of(custody)

    with Store.open(copy) as store:
        asyncio.run(rebuild(spec, [venue], [], store, listener=Heard()))

    assert assert_same_tables(path, copy) > 300


@pytest.mark.parametrize("early", [0, 1, 8])
def test_a_vault_may_be_followed_from_its_deployment_or_any_block_before(early: int, tmp_path: Path) -> None:
    usual, earlier = tmp_path / "usual.duckdb", tmp_path / "earlier.duckdb"
    with build(seed=1, actions=20) as custody:
        start_block = custody.vault.start_block
        assert start_block == 8, "so that the earliest is block 0, before which nothing can be"
        indexed(custody, usual)
        indexed(custody, earlier, venue=venue_of(custody, start_block=start_block - early), span=4)

    without = frozenset({"evm_block", "evm_read", "coverage"})
    assert assert_same_tables(usual, earlier, without=without) > 50


@pytest.mark.parametrize("span", [3, 1_000])
def test_a_start_after_the_deployment_is_refused(span: int, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=1, actions=20) as custody:
        venue = venue_of(custody, start_block=custody.vault.start_block + 1)

        with pytest.raises(NoContract) as refused:
            indexed(custody, path, venue=venue, span=span)

    assert str(refused.value) == (
        f"venue vault: {custody.vault.address} on eip155:31337 was deployed before start_block 9, so earlier deposits would be"
        " missing; set start_block to its deployment block or one before"
    )


def test_an_address_without_code_is_refused(tmp_path: Path) -> None:
    with build(seed=1, actions=20) as custody:
        venue = venue_of(custody, address=custody.people[0])

        with pytest.raises(NoContract) as refused:
            indexed(custody, tmp_path / "store.duckdb", venue=venue)

    assert str(refused.value) == (
        f"venue vault: {custody.people[0]} on eip155:31337 has no code; check `address` and `chain` of this [[venue]]"
    )


def heard(tmp_path: Path, tale: Callable[[Herald, str], None]) -> tuple[Path, VenueUnit]:
    """Index what a herald says, whole and block by block; return the store and the unit of the first person."""
    whole, cut = tmp_path / "whole.duckdb", tmp_path / "cut.duckdb"
    with build(seed=1, actions=0) as custody:
        herald = Herald(custody)
        tale(herald, custody.people[0])
        venue = venue_of(custody, address=herald.address, start_block=herald.start_block, options=herald.options)
        indexed(custody, whole, venue=venue)
        indexed(custody, cut, venue=venue, span=1)
        with Store.open(whole) as store, store.reading() as reader:
            (unit,) = units_at(reader, custody, custody.node.height(), venue=venue)
    assert_same_tables(whole, cut)
    return whole, unit


def test_an_account_that_was_paid_more_than_it_gave_is_negative_and_counts_nothing(tmp_path: Path) -> None:
    def tale(herald: Herald, account: str) -> None:
        herald.credited(account, 100)
        herald.debited(account, 250)

    _, unit = heard(tmp_path, tale)

    assert list((unit.native or {}).values()) == [-150]
    (position,) = unit.positions
    assert (position.protocol_raw, position.amount_raw, position.counts) == (-150, 0, False)
    assert (position.symbol, position.decimals, position.side) == ("VTA", 18, Side.SUPPLY)


def test_an_account_and_an_amount_of_zero_are_as_said(tmp_path: Path) -> None:
    def tale(herald: Herald, account: str) -> None:
        herald.credited("0x" + "00" * 20, 7)
        herald.debited("0x" + "00" * 20, 0)

    whole, unit = heard(tmp_path, tale)

    assert (unit.owner, list((unit.native or {}).values())) == (NOBODY, [7])
    assert len(rows_of(whole, "lending_event")) == 2


def test_an_amount_that_fits_no_column_is_kept_exactly_and_counted_again_when_it_fits(tmp_path: Path) -> None:
    most = 2**256 - 1

    def tale(herald: Herald, account: str) -> None:
        for amount in (5, most, 3):
            herald.credited(account, amount)
        herald.debited(account, most)

    whole, unit = heard(tmp_path, tale)

    assert (list((unit.native or {}).values()), unit.reasons) == ([8], ())
    words = [int.from_bytes(word) for reason, word in quarantine(whole) if reason.endswith("position_change")]
    assert sorted(words) == [most + 5, most + 8]
    events = [int.from_bytes(word) for reason, word in quarantine(whole) if reason.endswith("lending_event")]
    assert events == [most, most]


@pytest.mark.parametrize("sign", [1, -1])
def test_while_an_amount_fits_no_column_it_is_named_and_not_counted(sign: int, tmp_path: Path) -> None:
    def tale(herald: Herald, account: str) -> None:
        herald.credited(account, 5)
        (herald.credited if sign > 0 else herald.debited)(account, 10**38 + 5)

    _, unit = heard(tmp_path, tale)

    assert (unit.native, unit.positions) == ({}, ())
    assert [(reason.code, reason.detail) for reason in unit.reasons] == [
        ("amount_too_wide", "the amount of this token has more than 38 digits and is not counted")
    ]


def test_a_log_that_is_not_what_was_declared_is_kept_apart(tmp_path: Path) -> None:
    dirty = b"\x01" * 32 + encode(["uint64[2]", "uint256"], [TIMES, 9])

    def tale(herald: Herald, account: str) -> None:
        herald.credited(account, 100)
        herald.say(CREDITED, [MEMO], dirty)
        herald.say(DEBITED, [encode(["address"], [account])], b"\x01" * 31)
        herald.say(DEBITED, [], encode(["address", "uint256"], [account, 1]))

    whole, unit = heard(tmp_path, tale)

    assert list((unit.native or {}).values()) == [100]
    assert quarantine(whole) == [
        ("malformed_event:Credited", dirty),
        ("malformed_event:Debited", b"\x01" * 31),
        ("malformed_event:Debited", encode(["address", "uint256"], [unit.owner, 1])),
    ]


def chain_of(custody: Custody, *, url: str | None = None) -> ChainSpec:
    return ChainSpec(
        id=unit_chain(custody), name="devnet", rpc=(url or custody.node.url,), finality="finalized", start_block=0
    )


def unit_chain(custody: Custody) -> str:
    return f"eip155:{custody.chain_id}"


def venue_of(
    custody: Custody,
    *,
    address: str | None = None,
    start_block: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> VenueSpec:
    return VenueSpec(
        id="vault",
        protocol="escrow",
        chain_id=unit_chain(custody),
        address=raw(address or custody.vault.address),
        start_block=custody.vault.start_block if start_block is None else start_block,
        options=options or {},
    )


def indexed(
    custody: Custody,
    path: Path,
    *,
    venue: VenueSpec | None = None,
    beside: Sequence[VenueSpec] = (),
    span: int | None = None,
    until: Until = "latest",
) -> Heard:
    """Index a vault, and other venues, into the store at `path`, in spans of at most `span` blocks."""
    chain: Chain = connect(chain_of(custody), [venue or venue_of(custody), *beside], [])
    chain = chain if span is None else Narrow(chain, span)
    with Store.open(path) as store:
        return asyncio.run(take_in(chain, store, until=until))


def units_at(reader: Reader, custody: Custody, number: int, *, venue: VenueSpec | None = None) -> list[VenueUnit]:
    venue, at = venue or venue_of(custody), block_of(custody, number)
    value = open_book(reader.venue_snapshot(venue, at))
    return [value(unit) for unit in reader.unit_snapshots(venue, at)]


def block_of(custody: Custody, number: int) -> Block:
    header = custody.node.header(number)
    return Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )


def tokens_of(path: Path) -> dict[bytes, Any]:
    """The aspect of every token that a store knows."""
    return {bytes(row[5]): json.loads(row[7]) for row in rows_of(path, "market_current") if row[6] == "token"}


def quarantine(path: Path) -> list[tuple[str, bytes]]:
    """Reason and word of everything in quarantine, in chain order."""
    return [(row[5], row[6]) for row in sorted(rows_of(path, "quarantine"), key=lambda row: row[1:4])]


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in tables_of(path)[table]]
