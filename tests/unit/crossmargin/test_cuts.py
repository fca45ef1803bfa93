"""A cut names a block of every chain that the store reaches, and how settled it is; a slot without a block is named as such."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chains.errors import NodeBusy
from chains.model import Block, Finality, Rows, Skipped
from chains.ports import Batch, Chain
from chains.pyth.clock import block_of
from crossmargin.cuts import Cuts
from crossmargin.errors import NotStored
from indexer.steps import Append
from indexer.store import MEMORY, Store
from tests.unit.indexer.fakes import FakeChain
from tests.unit.store.builders import CHAIN, append, batch, finalize
from tests.unit.store.builders import block as evm_block
from tests.unit.store.slots import CLUSTER, slot_batch, slot_block

EMPTY = frozenset({5})


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        append(opened, slot_batch(1, 9, skipped=EMPTY, transactions=[(2, 0), (7, 0)]))
        append(opened, batch(1, 9, logs=[(2, 0)]))
        finalize(opened, 8, CLUSTER)
        finalize(opened, 8)
        yield opened


class Nodes(FakeChain):
    """What the nodes of the cluster say of its slots."""

    said: Block | Skipped | Exception | None = None

    async def block(self, number: int) -> Block | Skipped | None:
        if isinstance(self.said, Exception):
            raise type(self.said)(*self.said.args)  # a new one: a raised error holds on to what it met
        return self.said


def nodes(said: Block | Skipped | Exception | None) -> Nodes:
    chain = Nodes(tip=9)
    chain.said = said
    return chain


def cut(
    store: Store,
    at: str | None,
    *,
    rule: str = "finalized",
    said: Block | Skipped | Exception | None = None,
    asked: str = CLUSTER,
) -> dict[str, tuple[Block, Finality]]:
    def connect(_: str) -> Chain:
        return nodes(said)

    with store.reading() as reader:
        found = Cuts(store, reader, {CLUSTER: rule, CHAIN: "confirmations:5"}, connect).at(at, [asked])
    return {chain_id: (made.block, made.finality) for chain_id, made in found.items()}


@pytest.mark.parametrize("rule", ["finalized", "confirmed"])
def test_a_slot_is_finalized_or_else_confirmed_whatever_the_rule(store: Store, rule: str) -> None:
    assert cut(store, "8", rule=rule)[CLUSTER] == (slot_block(8), Finality.FINALIZED)
    assert cut(store, "9", rule=rule)[CLUSTER] == (slot_block(9), Finality.CONFIRMED)


def test_every_chain_is_settled_by_its_own_words(store: Store) -> None:
    assert cut(store, None) == {
        CLUSTER: (slot_block(9), Finality.CONFIRMED),
        CHAIN: (evm_block(9), Finality.LATEST),
    }
    assert cut(store, "@1100", asked=CHAIN)[CHAIN] == (evm_block(8), Finality.CONFIRMED)


def test_of_a_chain_of_which_nothing_is_stored_no_block_is_asked_for(store: Store) -> None:
    """As an answer about it says: that chain is a gap, and the blocks of the others are what it is as of."""
    with store.reading() as reader:
        cuts = Cuts(
            store, reader, {CLUSTER: "finalized", CHAIN: "finalized", "eip155:1": "finalized"}, lambda _: nodes(None)
        )
        found = cuts.at(f"{CLUSTER}=8,{CHAIN}=8", [CLUSTER, "eip155:1"])

    assert {chain_id: made.block for chain_id, made in found.items()} == {CLUSTER: slot_block(8), CHAIN: evm_block(8)}


def test_blocks_of_some_chains_may_come_with_a_time_for_the_others(store: Store) -> None:
    """Slot 9 is of second 1004; of the other chain block 2, of second 1024, is the last stored one before 1059."""
    found = cut(store, f"{CLUSTER}=9,@1059")

    assert {chain_id: block for chain_id, (block, _) in found.items()} == {CLUSTER: slot_block(9), CHAIN: evm_block(2)}
    assert CHAIN not in cut(store, f"{CLUSTER}=9")


def test_a_slot_without_a_block_is_named_with_the_proof(store: Store) -> None:
    with pytest.raises(NotStored) as refused:
        cut(store, "5", said=Skipped(number=5, parent=4, child=6))

    assert str(refused.value) == (f"slot 5 of {CLUSTER} was skipped: block 6 names block 4 as its parent; ask for 4")


def test_a_block_that_changed_nothing_is_asked_for(store: Store) -> None:
    assert cut(store, "6", said=slot_block(6, skipped=EMPTY))[CLUSTER] == (
        slot_block(6, skipped=EMPTY),
        Finality.FINALIZED,
    )


@pytest.mark.parametrize(
    "said, why",
    [
        (None, f"{CLUSTER} has no block 5; the nearest stored blocks are 2 and 7"),
        (NodeBusy("down"), r"header cannot be asked for \(down\); the nearest stored blocks are 2 and 7"),
    ],
)
def test_without_an_answer_the_nearest_stored_blocks_are_named(store: Store, said: Exception | None, why: str) -> None:
    with pytest.raises(NotStored, match=why):
        cut(store, "5", said=said)


def test_a_chain_of_seconds_is_cut_at_the_very_second_up_to_the_last_look() -> None:
    """A price that was looked at long before is then as old as it is, and not as young as when it was looked at."""
    signed = "pyth:mainnet"
    looked = block_of(signed, 1_700_000_100)
    said = Batch(chain_id=signed, first=0, last=looked, raw={}, rows=Rows())
    with Store.open(MEMORY) as store:
        store.apply(Append(parent=None, batch=said))
        with store.reading() as reader:
            cuts = Cuts(store, reader, {signed: "finalized"}, lambda _: nodes(None))
            at = {time: cuts.at(f"@{time}", [])[signed].block for time in (1_700_000_037, 1_700_000_100, 1_700_000_500)}

    assert at == {
        1_700_000_037: block_of(signed, 1_700_000_037),
        1_700_000_100: looked,
        1_700_000_500: looked,
    }


def test_of_the_past_ages_count_up_to_the_time_that_is_asked_about(store: Store) -> None:
    def until(at: str | None) -> dict[str, int | None]:
        with store.reading() as reader:
            rules = {CLUSTER: "finalized", CHAIN: "confirmations:5"}
            found = Cuts(store, reader, rules, lambda _: nodes(None)).at(at, [CHAIN])
        return {chain_id: made.until for chain_id, made in found.items()}

    tip = evm_block(9).time
    assert until(None) == {CHAIN: None, CLUSTER: None}
    assert until(f"@{tip - 1}")[CHAIN] == tip - 1  # block 8 is older, and nothing is known to have come after it
    assert until(f"@{evm_block(8).time}")[CHAIN] is None
    assert until(f"@{tip}") == {CHAIN: None, CLUSTER: tip}  # whose last block is older: what its feeds said is
    assert until("8")[CHAIN] is None


@pytest.mark.parametrize("at", ["@{}", f"{CLUSTER}=9,@{{}}"])
def test_nobody_knows_what_a_chain_that_is_asked_about_was_after_its_last_block(store: Store, at: str) -> None:
    with pytest.raises(NotStored) as refused:
        cut(store, at.format(evm_block(9).time + 1), asked=CHAIN)

    assert "1970-01-01T00:18:29Z is not known of eip155:31337 yet: its last block here, 9, is of" in str(refused.value)
