"""Where a contract was deployed is found by its code, or it is said what is known of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.errors import HistoryGone, NoContract
from chains.evm.deployment import Deployment
from chains.model import Block, Finality
from chains.ports import Head, Start

ADDRESS = b"\x11" * 20


@dataclass
class History:
    """A chain that remembers states from `oldest` on, and a contract since block `deployed`."""

    deployed: int
    latest: int
    settled: int
    oldest: int = 0
    asked: list[int] = field(default_factory=list)

    async def head(self) -> Head:
        block = Block(number=self.latest, hash=b"\1", parent_hash=b"\2", time=0)
        return Head(latest=block, settled=self.settled, finality=Finality.FINALIZED)

    async def code_at(self, address: bytes, number: int) -> bytes:
        assert address == ADDRESS
        self.asked.append(number)
        if number < self.oldest:
            raise HistoryGone("pruned")
        return b"\x60" if number >= self.deployed else b""


def found(history: History) -> Start:
    return asyncio.run(Deployment("eip155:1", ADDRESS, history).find())


@given(deployed=st.integers(0, 20_000_000), above=st.integers(0, 10_000_000))
def test_the_first_block_with_code_is_found_in_few_questions(deployed: int, above: int) -> None:
    history = History(deployed=deployed, latest=deployed + above + 64, settled=deployed + above)

    assert found(history).block == deployed
    assert len(history.asked) < 40


@given(kept=st.integers(1, 1_000_000), age=st.integers(0, 999_999))
def test_a_node_that_forgets_is_enough_for_what_is_younger_than_what_it_keeps(kept: int, age: int) -> None:
    settled = 20_000_000
    history = History(deployed=settled - age % kept, latest=settled + 64, settled=settled, oldest=settled - kept)

    assert found(history).block == history.deployed


def test_what_no_node_remembers_is_refused_with_what_to_write() -> None:
    with pytest.raises(NoContract) as refused:
        found(History(deployed=1_000, latest=9_000_064, settled=9_000_000, oldest=8_999_900))

    assert str(refused.value) == (
        'start_block = "auto": 0x1111111111111111111111111111111111111111 on eip155:1 was deployed in block 8999900 or before, and no node'
        " has the state of earlier blocks; add an archive node to `rpc`, or write the block in which it was deployed, as explorers name it"
        " (0 is always right, and slower)"
    )


def test_nodes_that_forgot_even_settled_blocks_decide_nothing() -> None:
    with pytest.raises(NoContract, match="was deployed in block 164 or before"):
        found(History(deployed=10, latest=164, settled=100, oldest=150))


def test_an_address_without_code_is_refused() -> None:
    with pytest.raises(NoContract, match="has no code; check `address` and `chain`"):
        found(History(deployed=1_000, latest=500, settled=436))


def test_a_contract_in_blocks_that_may_still_change_begins_behind_those_that_may_not() -> None:
    start = found(History(deployed=480, latest=500, settled=436))

    assert start == (437, "eth_getCode: no code at block 436, the last that is settled")


def test_the_evidence_is_said() -> None:
    assert found(History(deployed=77, latest=500, settled=436)).evidence == (
        "eth_getCode: code at block 77, none at block 76"
    )
    assert found(History(deployed=0, latest=500, settled=436)).evidence == (
        "eth_getCode: code at block 0, it is the first"
    )
