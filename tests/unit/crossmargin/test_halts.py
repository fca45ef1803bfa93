"""A chain that stands still while another goes on is stale, by their blocks alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.margin.inputs import Cut
from chains.model import ChainSpec, Finality
from crossmargin.app import policy_of
from crossmargin.halts import halted
from crossmargin.local_desk import LocalDesk
from crossmargin.settings import ChainSettings, load
from indexer.store import MEMORY, Store
from tests.unit.store.builders import CHAIN, append, batch, block

OTHER = "eip155:31338"


@pytest.mark.parametrize(
    "number, limit_s, is_halted",
    [
        (30, None, False),
        (30, 120.0, False),  # block 30 is 120 s older than block 40
        (30, 119.0, True),
        (29, 1.0, False),  # it went on after that block
    ],
)
def test_a_chain_is_halted_where_its_last_block_is_too_far_behind(
    number: int,
    limit_s: float | None,
    is_halted: bool,  # noqa: FBT001
) -> None:
    chains = [
        ChainSettings(
            spec=ChainSpec(id=chain_id, name="", rpc=(), finality="latest", start_block=0),
            poll_s=1,
            stale_after_s=60,
            halted_after_s=limit_s,
        )
        for chain_id in (CHAIN, OTHER)
    ]
    with Store.open(MEMORY) as store:
        append(store, batch(1, 30))
        append(store, batch(1, 40, chain_id=OTHER))
        with store.reading() as reader:
            cuts = {
                name: Cut(block=block(last), finality=Finality.LATEST) for name, last in ((CHAIN, number), (OTHER, 40))
            }
            found = list(halted(reader, cuts, chains))
            alone = list(halted(reader, {CHAIN: cuts[CHAIN]}, chains))

    assert [reason.subject for reason in found] == ([CHAIN] if is_halted else [])
    assert alone == []


def test_a_chain_that_went_on_tells_it_whenever_its_own_last_stored_block_was() -> None:
    """Of the past, final blocks in which nothing happened are not stored: that the other went on is all that is known of it."""
    (chain,) = [
        ChainSettings(
            spec=ChainSpec(id=CHAIN, name="", rpc=(), finality="latest", start_block=0),
            poll_s=1,
            stale_after_s=60,
            halted_after_s=600.0,
        )
    ]
    with Store.open(MEMORY) as store:
        append(store, batch(1, 30))
        with store.reading() as reader:
            still = Cut(block=block(30), finality=Finality.LATEST)
            found = [
                list(halted(reader, {CHAIN: still, OTHER: replace(still, until=still.now + lag)}, [chain]))
                for lag in (600, 601)
            ]

    assert [[reason.code for reason in each] for each in found] == [[], ["chain_halted"]]


def test_an_answer_says_that_a_members_chain_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "crossmargin.toml"
    chains = "".join(
        f'[[chain]]\nid = "{chain_id}"\nrpc = ["http://127.0.0.1:1"]\nhalted_after = "100s"\n'
        for chain_id in (CHAIN, OTHER)
    )
    path.write_text(f'{chains}[[account]]\nid = "desk"\nmembers = ["{CHAIN}:0x{"11" * 20}"]\n', encoding="utf-8")
    settings = load(path, {})
    with Store.open(MEMORY) as store:
        append(store, batch(1, 30))
        append(store, batch(1, 40, chain_id=OTHER))
        document = LocalDesk(settings, store, policy_of(settings)).health("desk", None)

    assert [(reason["code"], reason["subject"]) for reason in document["reasons"]] == [("chain_halted", CHAIN)]
    assert set(document["as_of"]) == {CHAIN, OTHER}
