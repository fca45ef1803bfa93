"""Blocks become final once evidence was looked for; what it speaks against is read anew, and a chain ends in no loop over it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from chains.errors import ChainError, Contradicted, NodeBusy
from chains.model import Block
from chains.ports import Covered, Examined, Finding, Records, StateReader
from indexer.loop import Progress, follow, index
from indexer.store import Store
from tests.support.indexing import Heard
from tests.unit.indexer.fakes import FakeChain
from tests.unit.store.builders import CHAIN, VENUE, content

pytestmark = pytest.mark.timeout(60)

INTEREST = f"{VENUE}:logs"
LACKS = Finding(
    interest=INTEREST,
    kind="missing",
    block=2,
    block_hash=b"\x02" * 32,
    log_index=0,
    tx_hash=b"\x03" * 32,
    address=b"\x04" * 20,
    topic0=b"\x05" * 32,
    evidence="receipts",
)


@dataclass(slots=True)
class Attesting(FakeChain):
    """An EVM chain whose evidence is what the next of `outcomes` says; without any, all is proven."""

    evm: bool = True
    outcomes: list[ChainError | tuple[Finding, ...]] = field(default_factory=list)
    stored: list[Block | None] = field(default_factory=list)

    async def attest(self, first: int, last: int, state: StateReader, records: Records) -> Examined:
        self.attested.append((first, last))
        self.stored.append(next(iter(records.blocks(last, last)), None))
        outcome = self.outcomes.pop(0) if self.outcomes else ()
        if isinstance(outcome, ChainError):
            raise outcome
        covered = (Covered(interest=INTEREST, first=first, last=last, level="proven", evidence="receipts"),)
        return Examined(first=first, last=last, covered=covered, findings=outcome)


def levels(store: Store) -> list[tuple[int, int, str]]:
    with store.reading() as reader:
        return sorted((span.first, span.last, span.level) for span in reader.coverage(CHAIN))


def finalized(store: Store) -> int:
    cursor = store.cursor(CHAIN)
    assert cursor is not None
    return cursor.finalized


async def taken_in(chain: FakeChain, store: Store) -> Heard:
    heard = Heard()
    await index(chain, store, until="latest", listener=heard)
    return heard


async def test_every_block_is_attested_once_after_it_is_stored_and_before_it_is_final(store: Store) -> None:
    chain = Attesting(tip=10, settled=7)

    await taken_in(chain, store)

    assert chain.attested == [(1, 4), (5, 7)]
    assert chain.stored == [chain.at(4), chain.at(7)]
    assert finalized(store) == 7
    assert levels(store) == [(1, 7, "proven"), (8, 10, "bloom")]

    chain.settled = 9
    await taken_in(chain, store)
    assert chain.attested[2:] == [(8, 9)]


async def test_what_evidence_speaks_against_is_read_anew_from_the_last_final_block_on(store: Store) -> None:
    calm = Attesting(tip=12, settled=10)
    await taken_in(calm, store)
    expected = content(store)

    with Store.open(":memory:") as other:
        chain = Attesting(tip=12, settled=10, outcomes=[(), Contradicted("log 1 of block 6 is missing")])
        heard = await taken_in(chain, other)

        assert chain.attested == [(1, 4), (5, 8), (5, 8), (9, 10)]
        assert [(depth, to) for _, depth, to in heard.rewound_] == [(4, 4)]
        assert [str(error) for error in heard.failed_] == ["log 1 of block 6 is missing"]
        assert content(other) == expected


async def test_a_chain_without_a_final_block_is_read_anew_from_its_start(store: Store) -> None:
    chain = Attesting(tip=6, settled=6, outcomes=[Contradicted("log 1 of block 2 is missing")])

    heard = await taken_in(chain, store)

    assert chain.attested == [(1, 4), (1, 4), (5, 6)]
    assert [(depth, to) for _, depth, to in heard.rewound_] == [(4, 0)]
    assert finalized(store) == 6


async def test_contradictions_do_not_use_up_the_tries_of_a_target(store: Store) -> None:
    chain = Attesting(tip=6, settled=6, outcomes=[Contradicted(f"log {n} of block 2 is missing") for n in range(7)])

    await taken_in(chain, store)

    assert finalized(store) == 6


async def test_an_idle_chain_that_is_contradicted_is_not_at_its_target(store: Store) -> None:
    chain = Attesting(tip=6, settled=0)
    await taken_in(chain, store)
    chain.settled = 6
    chain.outcomes = [Contradicted("log 1 of block 2 is missing")]

    await taken_in(chain, store)

    assert chain.attested == [(1, 6), (1, 4), (5, 6)]
    assert finalized(store) == 6


async def test_what_cannot_be_mended_is_final_with_its_findings(store: Store) -> None:
    chain = Attesting(tip=4, settled=4, outcomes=[(LACKS,)])

    await taken_in(chain, store)

    with store.reading() as reader:
        assert reader.findings(CHAIN) == [LACKS]
    assert levels(store) == [(1, 1, "proven"), (2, 2, "contradicted"), (3, 4, "proven")]


async def test_a_node_that_gives_no_evidence_is_asked_again_and_nothing_is_read_anew(store: Store) -> None:
    chain = Attesting(tip=4, settled=4, outcomes=[NodeBusy("no evidence now")])

    heard = await taken_in(chain, store)

    assert chain.attested == [(1, 4), (1, 4)]
    assert heard.rewound_ == []
    assert [str(error) for error in heard.failed_] == ["no evidence now"]


async def test_following_goes_on_after_a_contradiction(store: Store) -> None:
    chain = Attesting(tip=6, settled=6, outcomes=[Contradicted("log 1 of block 2 is missing")])
    stop = asyncio.Event()

    class Ending(Heard):
        def appended(self, progress: Progress) -> None:
            if progress.indexed == 6:
                stop.set()

    heard = Ending()
    await follow(chain, store, listener=heard, stop=stop, poll_s=0.01)

    assert len(heard.rewound_) == 1
    assert finalized(store) == 6
