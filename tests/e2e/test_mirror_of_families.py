"""An aggregator holds chains of other families as it holds EVM chains: row for row what their indexer has, and it answers alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import time

import pytest

from tests.e2e.test_mirror import by_indexers, chains_of, key_of, rows_of, stands
from tests.e2e.test_signed_prices import ETH, ether, guardian_sets
from tests.support.hermes import Served, encoded, hermes
from tests.support.recorded import Nodes, configure, recorded, recorded_solana
from tests.support.services import ask, killed, running, until

SIGNED = "pyth:mainnet"


def with_signed_prices(url: str) -> Callable[[str], str]:
    """Add a chain of signed prices, and a second feed of ether on it."""
    reserve = next(each for each in recorded()[0].market["reserves"] if each["symbol"] == "WETH")
    more = f"""
[[chain]]
id = "{SIGNED}"
rpc = ["{url}"]
{guardian_sets()}
[[feed]]
asset = "{recorded()[0].chain_id}/erc20:{reserve["asset"]}"
kind = "pyth-hermes"
feed_id = "{ETH.hex()}"
heartbeat = "24h"
deviation = "0.5%"
"""
    return lambda text: text + more


@pytest.mark.timeout(600)
def test_an_aggregator_holds_chains_of_every_family_row_for_row(nodes: Nodes, tmp_path: Path) -> None:
    """While heads come, after it was killed in between, and when nobody signs prices any more."""
    east = recorded_solana()
    slots = sorted(east.blocks)
    north, solana = nodes.start(recorded()[0], head=150), nodes.start_solana(east, head=slots[len(slots) // 2])
    slot = iter(range(7, 10**6))
    served = Served(lambda _: [encoded([ether(2_500 + int(time()) % 7)], slot=next(slot))])
    near, far = tmp_path / "indexer", tmp_path / "aggregator"
    with ExitStack() as stack:
        signed = stack.enter_context(hermes(served))
        for folder in (near, far):
            folder.mkdir()
        configure(near, [north, solana], with_signed_prices(signed))
        key = key_of(near)
        near_url, _ = stack.enter_context(running(near, "run"))
        named = by_indexers(
            dict.fromkeys(sources := (north.url, solana.url, signed), near_url), dict.fromkeys(sources, key)
        )
        configure(far, [north, solana], lambda text: named(with_signed_prices(signed)(text)))
        url, process = stack.enter_context(running(far, "run"))
        chains = [north.recording.chain_id, east.chain_id, SIGNED]
        until(lambda: all(stands(url, chain)[0] > 0 for chain in chains))
        until(lambda: stands(url, east.chain_id)[0] == solana.head)
        until(lambda: len({stands(url, SIGNED), stands(near_url, SIGNED)}) == 1 and len(served.asked) > 2)

        killed(process)
        north.set_head(199)
        solana.set_head(slots[-1])
        until(lambda: stands(near_url, east.chain_id)[0] == slots[-1] and stands(near_url, chains[0])[0] == 199)
        url, _ = stack.enter_context(running(far, "run"))
        until(lambda: stands(url, east.chain_id)[0] == slots[-1] and stands(url, chains[0])[0] == 199)
        served.status = 503
        until(lambda: all(stands(url, chain) == stands(near_url, chain) for chain in chains))
        for account in ("stretched", "hedged"):
            until(lambda account=account: ask(url, health(account)) == ask(near_url, health(account)))  # type: ignore[misc]
        document = ask(url, health("hedged"))
        assert {chain["indexer"] for chain in chains_of(url).values()} == {near_url}
    assert set(document["as_of"]) == set(chains)
    (feed,) = (each for price in document["prices"] for each in price["feeds"] if each["kind"] == "pyth-hermes")
    assert feed["caveat"] is None
    assert feed["answer_raw"] is not None
    for chain in chains:
        held = rows_of(far, chain)
        assert held == rows_of(near, chain)
        assert held["price_observation"]
    assert rows_of(far, east.chain_id)["position_change"]


def health(account: str) -> str:
    return f"/v1/accounts/{account}/health"
