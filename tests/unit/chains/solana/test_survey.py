"""Solana nodes as they are: what is measured is what they do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chains.model import ChainSpec
from chains.solana.survey import survey
from chains.survey.facts import Ability, NodeSurvey
from chains.survey.wire import MOST_REQUESTS
from tests.devnet.solana.chain import Devnet, build
from tests.support.solana_indexing import chain_of, feeds_of, venue_of


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with build(seed=5, users=4, actions=20) as running:
        yield running


async def measured(net: Devnet, spec: ChainSpec | None = None) -> NodeSurvey:
    (found,) = await survey(spec or chain_of(net, ws=True), [venue_of(net)], feeds_of(net))
    return found


async def test_a_node_with_everything_is_measured_whole(net: Devnet) -> None:
    found = await measured(net)

    assert found.served == net.chain_id
    assert found.head is not None
    assert found.head.number == found.abilities["finalized"].value
    assert found.client is not None
    assert {name: ability for name, ability in found.abilities.items() if name not in {"confirmed", "finalized"}} == {
        "history": Ability(value=net.ledger.first_slot, whole=True),
        "signatures": Ability(value=True),
        "accounts": Ability(value=100, whole=True),
        "program accounts": Ability(value=True),
        "batch": Ability(value=100, whole=True),
        "gzip": Ability(value=False),
        "websocket": Ability(value=True),
    }
    assert found.requests <= MOST_REQUESTS


async def test_a_node_of_another_cluster_is_asked_nothing_more(net: Devnet) -> None:
    other = ChainSpec(
        id="solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", name="x", rpc=(net.url,), finality="finalized", start_block=0
    )

    found = await measured(net, other)

    assert (found.served, dict(found.abilities)) == (net.chain_id, {})
