"""Solana nodes that misbehave: whatever they do, what is taken in is true, and nothing is passed over."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_PROGRAM_ID

from chains import rpc
from chains.errors import ChainError, HistoryGone, NoContract, NodeBusy, NodeWrong, Unsupported, WrongChain
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.registry import connect
from chains.rpc import pool as rpc_pool
from chains.solana import asking, chain, nodes
from indexer import loop
from indexer.loop import Until
from indexer.store import Store
from tests.devnet.solana import tokens, wire
from tests.devnet.solana.blocks import Landed, Moment
from tests.devnet.solana.chain import Devnet, build
from tests.devnet.solana.faults import (
    Answer,
    BlockNotAvailable,
    ClosedConnection,
    Elsewhere,
    Fault,
    HistoryLag,
    HttpError,
    MalformedBody,
    NodeBehind,
    NullTransaction,
    OmittedBlocks,
    RateLimited,
    SignatureOrder,
    TruncatedHistory,
)
from tests.devnet.solana.people import came
from tests.devnet.solana.scene import Step
from tests.devnet.solana.vault import USDC
from tests.support.indexing import Heard, take_in
from tests.support.observing import Overheard
from tests.support.solana_indexing import chain_of, feeds_of, holdings, token_amount, venue_of
from tests.support.tables import assert_same_tables

OBSERVED = frozenset({"solana_account", "solana_read", "solana_block"})
"""What depends on when one looked."""

INDEX = ("getSignaturesForAddress", "getTransaction", "getSignatureStatuses")
SECRET = "canary-secret-key"
BOUNDED = 12
"""How often a chain is asked to catch up before a test gives up."""


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_pool, "LONGEST_PAUSE_S", 0.001)
    monkeypatch.setattr(loop, "PAUSE_S", 0.001)
    monkeypatch.setattr(nodes, "_WAITS_S", (0.001, 0.001))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all its tables and nothing in them."""
    path = tmp_path_factory.mktemp("empty") / "store.duckdb"
    with Store.open(path):
        return path


@pytest.fixture
def path(empty: Path, tmp_path: Path) -> Path:
    """A store that is still empty."""
    return copied(empty, tmp_path / "store.duckdb")


def copied(store: Path, to: Path) -> Path:
    return Path(shutil.copy(store, to))


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    """A final chain that no test changes."""
    with build(seed=3, users=6, actions=60, price_every=10) as net:
        net.finalize()
        yield net


@pytest.fixture(scope="module")
def truth(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of an undisturbed run over that chain."""
    path = tmp_path_factory.mktemp("truth") / "store.duckdb"
    taken(net, path)
    return path


@pytest.fixture(scope="module")
def vault_truth(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without prices, of which one knows as many as one has looked at."""
    path = tmp_path_factory.mktemp("truth") / "vault.duckdb"
    taken(net, path, feeds=[])
    return path


@contextmanager
def quiet(*, actions: int = 0) -> Iterator[Devnet]:
    """A vault with two people, to be changed by one test."""
    with build(seed=4, users=2, actions=actions, skips=False) as net:
        yield net


def taken(
    net: Devnet,
    path: Path,
    *,
    spec: ChainSpec | None = None,
    venues: Sequence[VenueSpec] | None = None,
    feeds: Sequence[FeedSpec] | None = None,
    until: Until = "latest",
    met: list[tuple[str, ChainError]] | None = None,
) -> Heard:
    """Take a chain in, and see that what is stored is true."""
    found = feeds_of(net) if feeds is None else feeds
    vaults = [venue_of(net)] if venues is None else venues
    known = [] if met is None else met
    adapter = connect(spec or chain_of(net), vaults, found, observer=Overheard(known))
    with Store.open(path) as store:
        try:
            return asyncio.run(take_in(adapter, store, until=until))
        finally:
            if vaults:
                assert_true(net, store)


def assert_true(net: Devnet, store: Store) -> None:
    """At its last block a store says what the token programs moved."""
    cursor = store.cursor(net.chain_id)
    if cursor is None:
        return
    slot = cursor.block.number
    expected, found = net.expected_at(slot), holdings(net, store)
    assert found.nets == expected.nets
    assert found.unattributed == expected.donations
    assert found.accounts == {account: token_amount(net, account, slot) for account in found.accounts}
    with store.reading() as reader:
        assert reader.counts(net.chain_id)["quarantine"] == 0


def cursor_of(net: Devnet, path: Path) -> int | None:
    """The last slot that a closed store has taken in."""
    with duckdb.connect(str(path), read_only=True) as con:
        row = con.execute("SELECT block_number FROM cursor WHERE chain_id = ?", [net.chain_id]).fetchone()
    return None if row is None else int(row[0])


def confirmed(net: Devnet, *urls: str) -> ChainSpec:
    return replace(chain_of(net, finality="confirmed"), rpc=urls or (net.url,))


def final(net: Devnet, *urls: str) -> ChainSpec:
    return replace(chain_of(net), rpc=urls or (net.url,))


def deposit(net: Devnet, amount: int, *, user: int = 0, into: Pubkey | None = None) -> Step:
    """A plain deposit of USDC."""
    person, token = net.users[user], net.mints[USDC]
    target = into or net.vault.accounts[USDC][0]
    send = tokens.transfer_plain(token.program, person.accounts[USDC], target, person.owner, amount)
    return Step(instructions=[send], payer=person.key, moves=[came(person, token, amount)])


# Faults that pass


def refusal(code: int) -> Answer:
    return Answer(error={"code": code, "message": "not now"})


PASSING: dict[str, list[tuple[Fault, str, int]]] = {
    "the network": [
        (RateLimited(retry_after_seconds=0), "getGenesisHash", 1),
        (HttpError(503), "getMultipleAccounts", 3),
        (ClosedConnection(), "getSignaturesForAddress", 3),
        (MalformedBody(), "getBlock", 2),
        (HttpError(502), "getTransaction", 7),
        (MalformedBody('[{"id":0,"result":null}]'), "getTransaction", 1),
    ],
    "the node's own words": [
        (NodeBehind(), "getMultipleAccounts", 2),
        (refusal(-32016), "getSignaturesForAddress", 3),
        (refusal(-32019), "getSignatureStatuses", 1),
        (refusal(-32014), "getBlock", 1),
        (BlockNotAvailable(), "getBlock", 2),
        (refusal(-32429), "getTransaction", 7),
        (refusal(-32603), "getTransaction", 1),
    ],
    "answers that are none": [
        (Answer(result={"context": {"slot": 1}, "value": []}), "getMultipleAccounts", 1),
        (Answer(result=None), "getBlock", 2),
        (NullTransaction(), "getTransaction", 3),
        (Answer(result="odd"), "getBlocks", 1),
        (Answer(result=[{"slot": 5}]), "getSignaturesForAddress", 1),
        (MalformedBody("\xff"), "getFirstAvailableBlock", 1),
    ],
}


@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING)
def test_faults_that_pass_leave_no_trace(
    faults: list[tuple[Fault, str, int]], net: Devnet, truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TRIES", 20)
    injected = [net.faults.inject(fault, method, count=count) for fault, method, count in faults]
    taken(net, path)

    assert [injection.left for injection in injected] == [0] * len(faults)
    assert_same_tables(truth, path)


def test_a_final_block_that_is_not_served_yet_is_waited_for_without_a_failure(net: Devnet, path: Path) -> None:
    with net.faults.inject(BlockNotAvailable(), "getBlock", count=1):
        heard = taken(net, path)

    assert heard.failed_ == []


def test_transactions_that_a_node_lists_out_of_their_order_in_a_slot_are_put_back(
    net: Devnet, truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "PAGE", 3)
    monkeypatch.setattr(chain, "MANY", 8)
    monkeypatch.setattr(chain, "FEWEST", 4)
    with net.faults.inject(SignatureOrder()):
        taken(net, path)

    assert_same_tables(truth, path, without=OBSERVED)


@pytest.mark.parametrize("refused", [2, 11, 60])
def test_a_node_that_refuses_larger_batches_is_asked_in_smaller_ones(
    refused: int, net: Devnet, truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = rpc.NodePool.answered

    async def limited(pool: rpc.NodePool, requests: Sequence[asking.Request], **wishes: Any) -> rpc.Answered:
        if len(requests) >= refused:
            raise NodeWrong("too many requests in one batch")
        return await ask(pool, requests, **wishes)

    monkeypatch.setattr(rpc.NodePool, "answered", limited)
    heard = taken(net, path)

    assert heard.failed_ == []
    assert_same_tables(truth, path)


# Faults that stay

STAYING: list[tuple[Fault, str, type[ChainError], str]] = [
    (NodeBehind(), "getMultipleAccounts", NodeBusy, "is behind"),
    (HttpError(503), "getSignaturesForAddress", NodeBusy, "HTTP 503"),
    (MalformedBody(), "getTransaction", NodeWrong, "malformed answer"),
    (NullTransaction(), "getTransaction", NodeBusy, "is listed and not there yet"),
    (refusal(-32603), "getTransaction", NodeWrong, "refuses getTransaction: not now"),
    (refusal(-32603), "getMultipleAccounts", NodeWrong, "refuses getMultipleAccounts: not now"),
    (refusal(-32015), "getTransaction", Unsupported, "a newer version of this program is needed"),
    (refusal(-32011), "getSignaturesForAddress", HistoryGone, "use a node with the whole history"),
    (Answer(result=[5, 4]), "getBlocks", NodeWrong, "outside"),
    (Answer(result={"slot": 1}), "getTransaction", NodeWrong, "wrong shape"),
]


@pytest.mark.parametrize("case", STAYING, ids=lambda case: f"{case[1]} {case[3]}")
def test_a_fault_that_stays_ends_in_its_own_words_and_takes_nothing_in(
    case: tuple[Fault, str, type[ChainError], str], net: Devnet, path: Path
) -> None:
    fault, method, kind, words = case
    with net.faults.inject(fault, method), pytest.raises(kind, match=words):
        taken(net, path)

    assert cursor_of(net, path) is None


def test_transactions_of_the_newest_version_are_asked_for_too(net: Devnet, path: Path) -> None:
    def declines(params: list[Any]) -> bool:
        return bool(params[1]["maxSupportedTransactionVersion"] < 1)

    with net.faults.inject(refusal(-32015), "getTransaction", "getBlock", where=declines):
        taken(net, path)


def test_another_transaction_than_the_one_asked_for_is_not_taken(net: Devnet, path: Path) -> None:
    (landed, *_) = net.ledger.history(net.vault.accounts[USDC][0])
    other = {"slot": landed.slot, "transaction": {"signatures": ["1" * 88]}, "meta": None}
    wanted = net.faults.inject(
        Answer(result=other), "getTransaction", where=lambda params: params[0] == landed.signature
    )
    with wanted, pytest.raises(NodeWrong, match="another was given"):
        taken(net, path)


def test_malformed_accounts_are_the_nodes_fault(net: Devnet, path: Path) -> None:
    account = {"lamports": 1, "owner": "0OIl", "data": ["AAAA", "base64"], "executable": False, "rentEpoch": 0}
    for odd in (account, account | {"owner": "1", "data": ["*", "base64"]}, account | {"data": ["", "base58"]}):
        said = {"context": {"slot": net.ledger.tip.slot}, "value": [odd] * len(watched(net))}
        with net.faults.inject(Answer(result=said), "getMultipleAccounts"), pytest.raises(NodeWrong, match="gave"):
            taken(net, path)


def watched(net: Devnet) -> list[bytes]:
    adapter = connect(chain_of(net), [venue_of(net)], feeds_of(net))
    assert isinstance(adapter, chain.SolanaChain)
    return [*adapter.watched.seen, *adapter.watched.held]


# History that lags, has holes, or ends


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
@pytest.mark.parametrize("span", [7, 500])
def test_a_history_that_lags_behind_accounts_is_waited_for_and_nothing_is_passed_over(
    finality: str, span: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "SPAN_FIRST", span)
    monkeypatch.setattr(chain, "SPAN_LAST", span)
    monkeypatch.setattr(chain, "UNSETTLED_SPAN", span)
    with build(seed=8, users=4, actions=50) as net:
        spec = chain_of(net, finality=finality)
        with (
            net.faults.inject(HistoryLag(slots=40), *INDEX),
            pytest.raises(NodeBusy, match=r"lags behind|not there yet"),
        ):
            taken(net, path, spec=spec, feeds=[])
        behind = cursor_of(net, path)
        taken(net, path, spec=spec, feeds=[])

    assert behind is None or behind < (cursor_of(net, path) or 0)


def test_a_history_that_ends_too_late_stops_with_what_to_do(net: Devnet, path: Path) -> None:
    kept = net.ledger.first_slot + 30
    with net.faults.inject(TruncatedHistory(first_slot=kept)), pytest.raises(HistoryGone) as caught:
        taken(net, path)

    assert "use a node with the whole history, or a later `start_block`" in str(caught.value)
    assert str(kept) in str(caught.value)
    assert cursor_of(net, path) is None


def without(net: Devnet, account: Pubkey, *places: int) -> AbstractContextManager[Any]:
    """A node that leaves transactions out of an account's list."""
    kept = [landed for place, landed in enumerate(net.ledger.history(account)) if place not in places]
    listed = [wire.signature_json(landed, "finalized") for landed in reversed(kept)]
    return net.faults.inject(
        Answer(result=listed),
        "getSignaturesForAddress",
        where=lambda params: params[0] == str(account) and "before" not in params[1],
    )


def moving(net: Devnet) -> list[int]:
    """Places in the list of the vault's first account where the balance of that account alone changed."""
    account = net.vault.accounts[USDC][0]
    others = set(net.vault.all_accounts) - {account}
    return [
        place
        for place, landed in enumerate(net.ledger.history(account))
        if others.isdisjoint(landed.keys)
        and held(landed.before, landed, account) != held(landed.after, landed, account)
    ]


def held(moment: Moment, landed: Landed, account: Pubkey) -> int:
    """What a transaction's record says that an account held."""
    return next((each.amount for each in moment.tokens if landed.keys[each.index] == account), 0)


@pytest.mark.parametrize("which", [0, 3, -1])
def test_a_node_that_leaves_out_one_transaction_is_found_out(which: int, net: Devnet, path: Path) -> None:
    place = moving(net)[which]
    left_out = without(net, net.vault.accounts[USDC][0], place)
    with left_out, pytest.raises((NodeBusy, NodeWrong), match=r"lacks something|leaves out a transaction"):
        taken(net, path)

    assert cursor_of(net, path) is None


def test_a_hole_in_the_history_is_found_out_in_the_batch_before_it_and_never_stepped_over(
    net: Devnet, truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "SPAN_FIRST", 1)
    monkeypatch.setattr(chain, "SPAN_LAST", 1)
    account = net.vault.accounts[USDC][0]
    place = moving(net)[5]
    with without(net, account, place), pytest.raises(ChainError, match=r"lacks something|leaves out"):
        taken(net, path)
    reached = cursor_of(net, path)
    taken(net, path)

    assert reached is not None
    assert net.ledger.first_slot < reached < net.ledger.history(account)[place].slot
    assert_same_tables(truth, path, without=OBSERVED)


def test_a_first_block_that_a_node_denies_is_no_skipped_slot_either(net: Devnet, path: Path) -> None:
    omitted = OmittedBlocks(frozenset({net.ledger.first_slot}))
    with net.faults.inject(omitted, "getBlocks"), pytest.raises(NodeWrong, match="which the node does not list"):
        taken(net, path)


def test_a_list_that_runs_the_wrong_way_is_refused(net: Devnet, path: Path) -> None:
    account = net.vault.accounts[USDC][0]
    listed = [wire.signature_json(landed, "finalized") for landed in net.ledger.history(account)]
    with (
        net.faults.inject(Answer(result=listed), "getSignaturesForAddress"),
        pytest.raises(NodeWrong, match="not in order"),
    ):
        taken(net, path)


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
@pytest.mark.parametrize("methods", [("getBlocks",), ()])
def test_a_block_that_a_node_denies_is_no_skipped_slot(finality: str, methods: tuple[str, ...], path: Path) -> None:
    with quiet(actions=20) as net:
        if finality == "finalized":
            net.finalize()
        denied = net.ledger.blocks[-6 if finality == "confirmed" else -38].slot
        omitted = OmittedBlocks(frozenset({denied}))
        spec = chain_of(net, finality=finality)
        with net.faults.inject(omitted, *methods), pytest.raises(NodeWrong, match=r"follows|replaced|not list|spoke"):
            taken(net, path, spec=spec, feeds=[])
        assert (cursor_of(net, path) or 0) < denied
        taken(net, path, spec=spec, feeds=[])


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
async def test_a_single_slot_is_skipped_only_where_the_block_above_proves_it(finality: str) -> None:
    with quiet(actions=4) as net:
        net.ledger.skip(3)
        net.ledger.idle(3)
        if finality == "finalized":
            net.finalize()
        gap = next(b for a, b in pairwise(net.ledger.blocks) if b.slot - a.slot == 4)
        adapter = connect(chain_of(net, finality=finality), [], [])
        proven = [await adapter.block(slot) for slot in range(gap.parent_slot + 1, gap.slot)]
        with (
            net.faults.inject(OmittedBlocks(frozenset({gap.parent_slot}))),
            pytest.raises(NodeWrong, match="ask another"),
        ):
            await adapter.block(gap.parent_slot)
        to_come = await adapter.block(net.ledger.tip.slot + 5)
        await adapter.aclose()

    assert [(each.number, each.parent, each.child) for each in proven] == [  # type: ignore[union-attr]
        (slot, gap.parent_slot, gap.slot) for slot in range(gap.parent_slot + 1, gap.slot)
    ]
    assert to_come is None


def test_a_denied_block_at_the_end_of_a_long_span_only_ends_it_sooner(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quiet() as net:
        net.ledger.idle(400)
        net.population.do("deposit")
        busy = net.ledger.tip.slot
        net.population.act(5)
        net.finalize()
        monkeypatch.setattr(chain, "SPAN_FIRST", busy - net.ledger.first_slot + 1)
        with net.faults.inject(OmittedBlocks(frozenset({busy})), "getBlocks", count=1):
            heard = taken(net, path, feeds=[])

    assert heard.appended_[0].indexed == busy - 1


# Several nodes


def test_a_first_node_that_lags_costs_time_and_no_truth(net: Devnet, path: Path) -> None:
    with net.serve(lag=25) as behind:
        taken(net, path, spec=final(net, behind.url, net.url))
        reached = cursor_of(net, path)
        taken(net, path, spec=final(net, net.url, behind.url))

    assert reached is not None
    assert reached < (cursor_of(net, path) or 0)


def test_answers_from_another_node_behind_the_same_address_are_put_together_or_refused(
    net: Devnet, vault_truth: Path, path: Path, tmp_path: Path
) -> None:
    for method in ("getMultipleAccounts", "getBlock", "getBlocks", *INDEX):
        store = copied(path, tmp_path / f"{method}.duckdb")
        with net.faults.inject(Elsewhere(slots=20), method, count=2):
            taken(net, store, feeds=[])
        taken(net, store, feeds=[])
        assert_same_tables(vault_truth, store, without=OBSERVED)


def test_a_second_node_of_another_cluster_stops_the_chain_when_it_is_needed(net: Devnet, path: Path) -> None:
    with (
        net.serve(genesis=Hash.new_unique()) as stranger,
        net.faults.inject(HttpError(), "getTransaction"),
        pytest.raises(WrongChain, match="correct `rpc` or `id`"),
    ):
        taken(net, path, spec=final(net, net.url, stranger.url))


def test_a_node_of_another_cluster_is_refused_by_name(net: Devnet, path: Path) -> None:
    with net.serve(genesis=Hash.new_unique()) as stranger, pytest.raises(WrongChain, match="serves solana:"):
        taken(net, path, spec=final(net, stranger.url))


@pytest.mark.parametrize("code", [None, -32020])
async def test_a_node_that_does_not_know_where_another_left_off_is_asked_from_the_head(
    code: int | None, net: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = net.vault.accounts[USDC][0]
    history = [landed for landed in net.ledger.history(account) if landed.error is None]
    settled, anchor = net.ledger.standing().finalized.slot, history[9]
    monkeypatch.setattr(nodes, "PAGE", len(net.ledger.history(account)) - net.ledger.history(account).index(anchor))
    lag = net.ledger.tip.slot - (anchor.slot - 1) - net.ledger.finalized_depth
    with net.serve(lag=lag) as second:
        adapter = connect(final(net, net.url, second.url), [], [])
        assert isinstance(adapter, chain.SolanaChain)
        async with aclosing(adapter):
            await adapter.source.listed(bytes(account), net.ledger.first_slot, history[3].slot, settled)
            refused = second.faults.inject(refusal(code), "getSignaturesForAddress", count=1) if code else None
            with net.faults.inject(ClosedConnection(), *INDEX):
                listing = await adapter.source.listed(bytes(account), history[3].slot + 1, history[6].slot, settled)

    assert refused is None or refused.left == 0
    expected = [landed.signature for landed in history if history[3].slot < landed.slot <= history[6].slot]
    assert sorted(item.signature for item in listing.found) == sorted(expected)
    assert len(expected) >= 2


def test_what_one_node_leaves_out_another_has(net: Devnet, truth: Path, path: Path) -> None:
    with net.serve() as second, without(net, net.vault.accounts[USDC][0], moving(net)[3]):
        heard = taken(net, path, spec=final(net, net.url, second.url))

    assert len(heard.failed_) == 1
    assert_same_tables(truth, path)


def test_history_is_gone_only_where_no_node_has_it(net: Devnet, truth: Path, path: Path) -> None:
    cut = TruncatedHistory(first_slot=net.ledger.first_slot + 30)
    with net.serve() as second, net.faults.inject(cut):
        spec = final(net, net.url, second.url)
        with second.faults.inject(cut), pytest.raises(HistoryGone, match="the whole history"):
            taken(net, path, spec=spec)
        heard = taken(net, path, spec=spec)

    assert [type(error) for error in heard.failed_] == [NodeWrong]
    assert_same_tables(truth, path)


def test_a_block_that_one_node_denies_another_has(path: Path) -> None:
    with quiet(actions=20) as net, net.serve() as second:
        denied = net.ledger.blocks[-6].slot
        with net.faults.inject(OmittedBlocks(frozenset({denied}))):
            taken(net, path, spec=confirmed(net, net.url, second.url), feeds=[])

        assert (cursor_of(net, path) or 0) == net.ledger.standing().confirmed.slot


# Long, busy and wide


def test_long_lists_are_paged_and_busy_spans_are_cut(
    net: Devnet, truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MANY": 6, "FEWEST": 2, "FEW": 2, "UNSETTLED_SPAN": 30}.items():
        monkeypatch.setattr(chain, name, value)
    monkeypatch.setattr(nodes, "PAGE", 5)
    heard = taken(net, path)

    assert max(progress.records for progress in heard.appended_) <= 6 + 4
    assert len(heard.appended_) >= 8
    assert_same_tables(truth, path, without=OBSERVED)


def searched(net: Devnet, path: Path, finality: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Take in a chain whose node says where a transaction is; the blocks whose transactions were asked for all the same."""
    plain, slots = wire.confirmed_transaction, list[int]()

    def placed(landed: Landed, encoding: str, most_version: int | None) -> dict[str, Any]:
        return plain(landed, encoding, most_version) | {"transactionIndex": landed.index}

    def seen(params: list[Any]) -> bool:
        if params[1]["transactionDetails"] == "signatures":
            slots.append(params[0])
        return False

    monkeypatch.setattr(wire, "confirmed_transaction", placed)
    with net.faults.inject(Answer(), "getBlock", where=seen):
        taken(net, path, spec=chain_of(net, finality=finality), feeds=[])
    return sorted(slots)


def test_final_blocks_are_not_searched_for_transactions_that_say_their_place(
    net: Devnet, vault_truth: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert searched(net, path, "finalized", monkeypatch) == []
    assert_same_tables(vault_truth, path, without=frozenset({"solana_transaction"}))


def test_blocks_that_may_still_be_replaced_are_searched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with quiet(actions=60) as net:
        standing = net.ledger.standing()
        listed = [landed for account in net.vault.all_accounts for landed in net.ledger.history(account)]
        named = {landed.slot for landed in listed if landed.error is None}
        assert searched(net, path, "confirmed", monkeypatch) == sorted(
            slot for slot in named if standing.finalized.slot < slot <= standing.confirmed.slot
        )


def test_a_span_that_was_too_busy_becomes_shorter(net: Devnet, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MANY": 10, "FEWEST": 10, "FEW": 1}.items():
        monkeypatch.setattr(chain, name, value)
    adapter = connect(chain_of(net), [venue_of(net)], [])
    assert isinstance(adapter, chain.SolanaChain)
    with Store.open(path) as store:
        asyncio.run(take_in(adapter, store))

    assert adapter._span < chain.SPAN_FIRST / 5


def test_more_than_a_thousand_transactions_of_one_account_are_all_taken_in(path: Path) -> None:
    with quiet() as net:
        for number in range(1_010):
            net.population.perform(deposit(net, 1 + number))
            if number % 40 == 0:
                net.ledger.seal()
        net.ledger.seal()
        net.finalize()
        heard = taken(net, path, feeds=[])

    assert sum(progress.records for progress in heard.appended_) >= 1_010


def test_more_accounts_than_one_answer_holds_are_all_watched(path: Path) -> None:
    with quiet() as net:
        usdc, more = net.mints[USDC], [Pubkey.from_bytes(bytes([7, number]) + bytes(30)) for number in range(1, 121)]
        body = bytes(usdc.mint) + bytes(net.vault.authority) + bytes(44) + b"\1" + bytes(56)
        for account in more:
            net.ledger.set_account(account, owner=TOKEN_PROGRAM_ID, data=body)
        net.ledger.seal()
        venue = venue_of(net)
        accounts = (*venue.options["accounts"], *map(str, more))
        venue = replace(venue, options={**venue.options, "accounts": accounts})
        net.population.do("deposit", "withdraw", "deposit")
        paid = deposit(net, 4_000_000, into=more[-1])
        net.ledger.execute(net.scene.signed(paid))
        net.ledger.seal()
        net.finalize()
        apart = net.faults.inject(Elsewhere(slots=2), "getMultipleAccounts", count=1)
        with Store.open(path) as store:
            with apart:
                asyncio.run(take_in(connect(chain_of(net), [venue], []), store))
            asyncio.run(take_in(connect(chain_of(net), [venue], []), store))
            found = holdings(net, store)
        expected = net.expected_at(net.ledger.tip.slot)

    assert found.accounts[str(more[-1])] == 4_000_000
    depositor = (net.users[0].address, usdc.address)
    assert found.nets[depositor] == expected.net(*depositor) + 4_000_000


@pytest.mark.parametrize("finality", ["finalized", "confirmed"])
def test_long_runs_of_skipped_slots_are_crossed(
    finality: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SPAN_FIRST": 30, "SPAN_LAST": 60, "UNSETTLED_SPAN": 20, "LOOK_AROUND": 8}.items():
        monkeypatch.setattr(chain, name, value)
    monkeypatch.setattr(nodes, "LOOK_AROUND", 8)
    monkeypatch.setattr(nodes, "SLOTS_AT_ONCE", 64)
    whole = copied(path, tmp_path / "whole.duckdb")
    with quiet(actions=3) as net:
        for skipped in (0, 1_000, 90, 300, 12):
            net.ledger.skip(skipped)
            net.population.act(3)
        middle = net.ledger.blocks[-4].slot - 5
        spec = chain_of(net, finality=finality)
        taken(net, path, spec=spec, feeds=[], until=middle)
        net.ledger.skip(200)
        net.finalize()
        taken(net, path, spec=spec, feeds=[])
        taken(net, whole, spec=spec, feeds=[])

    assert_same_tables(whole, path, without=OBSERVED)


# Forks while a batch is read


@pytest.mark.parametrize("reuse_slots", [True, False])
@pytest.mark.parametrize("moment", ["getSignaturesForAddress", "getBlocks", "getTransaction", "getBlock"])
def test_a_fork_that_is_lost_while_a_batch_is_read_leaves_no_trace(
    moment: str, *, reuse_slots: bool, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "UNSETTLED_SPAN", 6)
    straight = copied(path, tmp_path / "straight.duckdb")
    with quiet(actions=25) as net:
        net.population.act(6)
        fork = Fork(net, reuse_slots=reuse_slots)
        with net.faults.inject(Answer(), moment, where=fork.happens):
            caught_up(net, path)
        caught_up(net, straight)

    assert fork.lost == 2
    assert_same_tables(straight, path, without=OBSERVED)


@pytest.mark.parametrize("reuse_slots", [True, False])
def test_what_another_fork_did_below_the_head_while_a_batch_was_read_is_not_left_out(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, reuse_slots: bool
) -> None:
    """The vault's list is read, then the fork is lost, then the blocks are read, which hold what was not listed."""
    monkeypatch.setattr(chain, "UNSETTLED_SPAN", 8)
    with quiet() as net:
        net.ledger.idle(40)
        fork = Fork(net, at={3}, depth=29, reuse_slots=reuse_slots)
        with net.faults.inject(Answer(), "getBlocks", where=fork.happens):
            caught_up(net, path)

    assert fork.lost == 1


@pytest.mark.parametrize("reuse_slots", [True, False])
def test_blocks_of_a_fork_that_is_lost_at_any_request_are_not_kept(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reuse_slots: bool
) -> None:
    monkeypatch.setattr(chain, "UNSETTLED_SPAN", 5)
    monkeypatch.setattr(nodes, "BLOCKS_TOGETHER", 1)
    for moment in range(3, 59, 8):
        store = copied(path, tmp_path / f"{moment}.duckdb")
        with quiet() as net:
            net.ledger.idle(40)
            fork = Fork(net, at={moment}, depth=14, reuse_slots=reuse_slots)
            with net.faults.inject(Answer(), "getBlock", where=fork.happens):
                caught_up(net, store, venues=[])
            with Store.open(store) as opened:
                kept = opened.raw(net.chain_id).blocks(0, net.ledger.tip.slot)
            assert fork.lost == 1
            assert {block.number: block.hash for block in kept} == {
                block.number: bytes(net.ledger.newest_until(block.number).hash) for block in kept
            }


class Fork:
    """Loses blocks in the middle of a request: when it was asked so and so often."""

    def __init__(self, net: Devnet, *, reuse_slots: bool, at: Collection[int] = (2, 4), depth: int = 3) -> None:
        self._net = net
        self._at = at
        self._depth = depth
        self._asked = 0
        self._reuse_slots = reuse_slots
        self.lost = 0

    def happens(self, params: list[Any]) -> bool:
        self._asked += 1
        if self._asked in self._at:
            self.lost += 1
            self._net.rollback(self._depth, reuse_slots=self._reuse_slots)
            self._net.population.act(6)
            self._net.ledger.idle(self._depth)
        return False


def caught_up(net: Devnet, path: Path, venues: Sequence[VenueSpec] | None = None) -> None:
    """Ask again until a confirmed chain stands still; whatever was taken in on the way is true."""
    for _ in range(BOUNDED):
        try:
            taken(net, path, spec=confirmed(net), venues=venues, feeds=[])
        except (NodeBusy, NodeWrong):
            continue
        if cursor_of(net, path) == net.ledger.standing().confirmed.slot:
            return
    raise AssertionError("the chain did not come to rest")


# Configurations that do not fit


def test_a_start_after_the_first_deposit_is_refused_where_more_followed(net: Devnet, path: Path) -> None:
    late = net.ledger.history(net.vault.accounts[USDC][0])[moving(net)[4]].slot
    spec = replace(chain_of(net), start_block=late)
    with pytest.raises(NoContract, match="set `start_block` to a slot before the first one") as caught:
        taken(net, path, spec=spec)

    assert f"from before slot {late}" in str(caught.value)
    assert cursor_of(net, path) is None


def test_a_start_after_the_last_deposit_is_refused_too(net: Devnet, path: Path) -> None:
    spec = replace(chain_of(net), start_block=net.ledger.tip.slot - 40)
    with pytest.raises(NoContract, match=f"from before slot {spec.start_block}"):
        taken(net, path, spec=spec)


def test_a_start_between_the_accounts_and_their_first_deposits_is_right(path: Path) -> None:
    with quiet() as net:
        first = net.ledger.tip.slot
        net.population.act(10)
        net.finalize()
        taken(net, path, spec=replace(chain_of(net), start_block=first), feeds=[])
        assert cursor_of(net, path) is not None


@pytest.mark.parametrize("what", ["nothing", "mint", "wallet", "program", "another's"])
def test_what_is_no_token_account_of_the_vaults_authority_is_refused(what: str, net: Devnet, path: Path) -> None:
    account, words = {
        "nothing": (Pubkey.from_bytes(bytes([9]) * 32), "does not exist on .* check `accounts` and `chain`"),
        "mint": (net.mints[USDC].mint, "is no token account"),
        "wallet": (net.users[0].owner, "belongs to program 1111.*not to a token program"),
        "program": (TOKEN_PROGRAM_ID, "not to a token program"),
        "another's": (net.users[0].accounts[USDC], "is owned by .* correct one of them"),
    }[what]
    venue = venue_of(net)
    venue = replace(venue, options={**venue.options, "accounts": (*venue.options["accounts"], str(account))})
    with pytest.raises(NoContract, match=words):
        taken(net, path, venues=[venue])


def test_a_vault_under_another_authority_is_refused_before_anything_is_taken_in(
    net: Devnet, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "SPAN_FIRST", 5)
    with pytest.raises(NoContract, match="`address` says"):
        taken(net, path, venues=[replace(venue_of(net), address=bytes(net.users[0].owner))])

    assert cursor_of(net, path) is None


def test_a_vault_account_that_is_closed_later_holds_nothing_and_keeps_its_history(path: Path) -> None:
    with quiet() as net:
        usdc, (first, extra) = net.mints[USDC], net.vault.accounts[USDC]
        net.population.perform(deposit(net, 5_000_000, into=extra))
        net.ledger.seal()
        net.finalize()
        taken(net, path, feeds=[])
        move = tokens.transfer_plain(usdc.program, extra, first, net.vault.authority, 5_000_000)
        gone = tokens.close_account(usdc.program, extra, net.vault.authority, net.vault.authority)
        net.population.perform(Step(instructions=[move, gone], payer=net.vault.key))
        net.ledger.seal()
        net.finalize()
        taken(net, path, feeds=[])
        with Store.open(path) as store:
            found = holdings(net, store)

    assert found.nets == {(net.users[0].address, usdc.address): 5_000_000}
    assert found.accounts[str(extra)] == 0
    assert found.accounts[str(first)] == 5_000_000


# Secrets


def test_no_fault_tells_a_secret(net: Devnet, path: Path) -> None:
    host = net.url.removeprefix("http://")
    spec = final(net, f"http://user:{SECRET}@{host}/{SECRET}", f"http://127.0.0.1:9/?key={SECRET}")
    spec = replace(spec, ws=(f"ws://127.0.0.1:9/{SECRET}",))
    met: list[tuple[str, ChainError]] = []
    with pytest.raises(ChainError) as caught:
        taken(net, path, spec=spec, met=met)

    told = [str(caught.value), repr(spec), *(f"{label} {error} {error!r}" for label, error in met)]
    assert len(met) > 3
    assert not [text for text in told if SECRET in text]
