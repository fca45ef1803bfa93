"""A node that gives no evidence does not hold a chain up for ever, unless the chain has another block than the one that is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from chains.errors import NodeBusy
from chains.evm.evidence.attest import Interest
from chains.evm.evidence.filters import Filters
from chains.evm.evidence.headers import Header
from chains.evm.evidence.witness import SILENT, TRIES, Witness
from chains.evm.source import NodeSource
from chains.model import FEEDS, Block, ChainSpec
from indexer.store import MEMORY, Store
from tests.unit.store.builders import CHAIN, append, batch, block

SPEC = ChainSpec(id=CHAIN, name="devnet", rpc=(), finality="finalized", start_block=1, completeness="receipts")
FEED = Interest(name=FEEDS, venue=FEEDS, first=1, contracts={}, fetched="one node's word")


@dataclass
class Source(NodeSource):
    """A chain that has these blocks."""

    has: Sequence[Block]

    async def blocks(self, numbers: object) -> dict[int, Block]:
        return {block.number: block for block in self.has}


class Silent:
    """Nodes without evidence."""

    async def headers(self, first: int, last: int) -> list[Header]:
        raise NodeBusy(f"no headers {first}..{last} now")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as opened:
        append(opened, batch(1, 4))
        yield opened


async def tried(store: Store, theirs: Block) -> list[str]:
    """What each of the tries that a witness makes comes to."""
    witness = Witness(SPEC, Source([theirs]), Silent(), Filters())  # type: ignore[arg-type]
    came_to = []
    for _ in range(TRIES + 2):
        try:
            examined = await witness.attest(1, 4, store.records(CHAIN), [FEED], [])
        except NodeBusy:
            came_to.append("busy")
        else:
            came_to += [span.evidence for span in examined.covered]
    return came_to


async def test_blocks_become_final_without_evidence_after_some_tries_and_say_so(store: Store) -> None:
    said = f"one node's word; not proven: {SILENT}"

    assert await tried(store, block(4)) == ["busy", "busy", said, said, said]


async def test_a_block_that_the_chain_has_left_never_does(store: Store) -> None:
    assert await tried(store, replace(block(4), hash=b"\x07" * 32)) == ["busy"] * 5
