"""State proofs of the protocols' own contracts on a local chain: the words in their storage are the numbers of the journals."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from chains.auditing import Provable
from chains.auditing import Reply as Said
from chains.evm.aave_v3 import slots
from chains.evm.proofs.layout import Field
from chains.model import UnitSnapshot, VenueSnapshot
from chains.proving import Proved, StateProof, sampled
from chains.registry import connect
from indexer.store import Store
from tests.contract.test_audit_parity import Setting, break_a_debt, lending_of, setting_of
from tests.devnet.evm import morpho
from tests.devnet.evm.chain import build
from tests.support.faulty.faults import Fault
from tests.support.faulty.node import FaultyNode
from tests.support.faulty.wire import Call, Exchange, Reply
from tests.support.indexing import chain_of, feeds_of, indexed, take_in, venue_of
from tests.support.omitting import Refusing

STABLE_DEBT = "debt at a stable rate is not proven"

PROOF = frozenset({"eth_getProof"})

Market = tuple[Setting, tuple[VenueSnapshot, list[UnitSnapshot]]]
Proven = tuple[Sequence[StateProof], Sequence[Said]]


def test_everybody_at_an_aave_market_is_proven_and_a_stored_proof_says_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=4, actions=120) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        snapshot, units = held(setting, path)

        proofs, replies = proven(setting, snapshot, units)
        again, _ = proven(setting, snapshot, units, replies)
        silent, _ = proven(setting, snapshot, units, [])

    assert {proof.outcome for proof in proofs} == {Proved.PROVEN}, [p for p in proofs if p.outcome != Proved.PROVEN][:3]
    names = Counter(quantity.name for proof in proofs for quantity in proof.quantities)
    assert names["userConfig"] == names["eMode"] == len(units) > 20
    assert names["scaledBalance"] == names["a_token"] + names["variable_debt_token"] > 60
    assert any(quantity.number for proof in proofs for quantity in proof.quantities if quantity.name == "eMode")
    assert again == proofs
    assert {proof.outcome for proof in silent} == {Proved.UNANSWERED}


def test_who_owes_at_a_stable_rate_has_no_layout_and_all_others_are_proven(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=5, actions=120, stable=True) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")

        proofs, _ = proven(setting, *held(setting, path))

    assert {(proof.outcome, proof.detail) for proof in proofs} == {
        (Proved.PROVEN, ""),
        (Proved.NO_LAYOUT, STABLE_DEBT),
    }


def test_every_position_in_morpho_is_proven(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with morpho.build(seed=2) as lending:
        setting: Setting = *lending_of(lending), []
        with Store.open(path) as store:
            asyncio.run(take_in(connect(*setting_of(setting)), store))

        proofs, _ = proven(setting, *held(setting, path))

    assert {proof.outcome for proof in proofs} == {Proved.PROVEN}, [p for p in proofs if p.outcome != Proved.PROVEN][:3]
    names = Counter(quantity.name for proof in proofs for quantity in proof.quantities)
    assert min(names[name] for name in ("supplyShares", "borrowShares", "collateral", "totalBorrowShares")) > 10


def test_a_number_that_is_wrong_and_a_token_that_is_another_are_disproven(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=3, actions=60) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        snapshot, units = held(setting, path)
        first, second = (reserve.a_token for reserve in net.market.reserves[:2])
        elsewhere = {key: text.replace(first, second) for key, text in snapshot.markets.items()}
        unit, market = break_a_debt(path)
        broken, _ = proven(setting, *held(setting, path))
        swapped, _ = proven(setting, replace(snapshot, markets=elsewhere), units)

    wrong = [proof for proof in broken if proof.outcome is not Proved.PROVEN]
    assert [(proof.unit_id, proof.outcome) for proof in wrong] == [(unit, Proved.DIFFERENT)]
    (quantity,) = wrong[0].quantities
    assert (quantity.name, quantity.market) == ("scaledBalance", market)
    assert quantity.ours is not None
    assert quantity.number == quantity.ours - 10**9
    assert "a_token" in {proof.detail.split()[0] for proof in swapped if proof.outcome is Proved.DIFFERENT}


def test_storage_that_is_not_what_the_views_answer_has_no_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens that keep balances elsewhere than is known: their own views say what the journals do."""
    path = tmp_path / "store.duckdb"
    with build(seed=3, actions=40) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        fields = cast("dict[str, Field]", slots.LAYOUTS["aave-v3-128/a_token"])
        monkeypatch.setitem(fields, "scaledBalance", fields["scaledBalance"]._replace(base=77))
        snapshot, units = held(setting, path)

        proofs, replies = proven(setting, snapshot, units)
        again, _ = proven(setting, snapshot, units, replies)

    assert {proof.outcome for proof in proofs} == {Proved.PROVEN, Proved.NO_LAYOUT}
    odd = [proof for proof in proofs if proof.outcome is Proved.NO_LAYOUT]
    assert {proof.layout for proof in odd} == {"aave-v3-128/a_token"}
    assert all("the contract's own views answer what the journals say" in proof.detail for proof in odd)
    assert again == proofs


@dataclass(frozen=True, slots=True, kw_only=True)
class Forging(Fault):
    """A node whose proofs have a byte that is another."""

    kind: str = "forged"
    methods: frozenset[str] = PROOF

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result:
            return reply
        *nodes, last = reply.result["accountProof"]
        return reply.saying({**reply.result, "accountProof": [*nodes, last[:-1] + ("0" if last[-1] != "0" else "1")]})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoHashes(Fault):
    """A node that knows proofs by a block's number alone."""

    kind: str = "no proof by hash"
    methods: frozenset[str] = PROOF

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        if not self.concerns(call) or len(call.params[2]) != len("0x") + 64:
            return None
        return Reply(call.id, error={"code": -32602, "message": "invalid argument 2: hex string has length 64"})


@pytest.mark.parametrize(
    "faults, honest, outcome, detail",
    [
        ([Forging()], 1, Proved.PROVEN, ""),
        ([Forging()], 0, Proved.UNANSWERED, "hash"),
        ([NoHashes()], 0, Proved.PROVEN, ""),
        ([Refusing(methods=PROOF)], 0, Proved.UNANSWERED, "does not exist"),
    ],
    ids=["another node is asked", "nobody else is there", "by its number", "no such method"],
)
async def test_what_a_node_says_is_proven_or_another_way_is_tried(
    faults: Sequence[Fault], honest: int, outcome: Proved, detail: str, market: Market
) -> None:
    setting, (snapshot, units) = market
    url = setting[0].rpc[0]
    async with FaultyNode(url, seed="proofs", habits=faults) as node:
        chain = replace(setting[0], rpc=(node.url, *[url] * honest))
        async with aclosing(connect(*setting_of((chain, *setting[1:])))) as connected:
            assert isinstance(connected, Provable)
            proofs, _ = await connected.prove(snapshot, units)

    assert {proof.outcome for proof in proofs} == {outcome}
    assert all(detail in proof.detail for proof in proofs), proofs[0].detail
    assert set(node.kinds) == {fault.kind for fault in faults}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A running market with all its units."""
    path = tmp_path_factory.mktemp("market") / "store.duckdb"
    with build(seed=3, actions=20, users=6) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        yield setting, held(setting, path)


def test_a_node_without_proofs_leaves_all_unanswered_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with build(seed=3, actions=20, users=6) as net:
        setting = chain_of(net, finality="latest"), venue_of(net), feeds_of(net)
        indexed(net, path, feeds=setting[2], finality="latest")
        snapshot, units = held(setting, path)
    gone = replace(setting[0], rpc=("http://127.0.0.1:9/",))

    proofs, replies = proven((gone, *setting[1:]), snapshot, units)
    others = [replace(snapshot.at, hash=bytes([number]) * 32) for number in range(1, 9)]

    assert {proof.outcome for proof in proofs} == {Proved.UNANSWERED}
    assert all("127.0.0.1:9" in proof.detail for proof in proofs), proofs[0].detail
    assert [reply.outcome for reply in replies] == ["refused"]
    drawn = sampled(setting[1], snapshot.at, units, 3)
    assert any(sampled(setting[1], other, units, 3) != drawn for other in others)


def held(setting: Setting, path: Path) -> tuple[VenueSnapshot, list[UnitSnapshot]]:
    """The venue and all its units at the newest block."""
    _, venue, _ = setting
    with Store.open(path, read_only=True) as store, store.reading() as reader:
        cursor = reader.cursor(venue.chain_id)
        assert cursor is not None
        at = cursor.block
        return reader.venue_snapshot(venue, at), reader.unit_snapshots(venue, at)


def proven(
    setting: Setting, snapshot: VenueSnapshot, units: Sequence[UnitSnapshot], known: Sequence[Said] | None = None
) -> Proven:
    async def ask() -> Proven:
        async with aclosing(connect(*setting_of(setting))) as chain:
            assert isinstance(chain, Provable)
            return await chain.prove(snapshot, units, known)

    return asyncio.run(ask())
