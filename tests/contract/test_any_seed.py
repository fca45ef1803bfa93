"""Crowds that nobody has picked: hypothesis thinks of the seed, and every number must be the contracts' own.

In CI the same commit gives the same seeds; elsewhere each run thinks of others.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from indexer.store import Store
from tests.contract import test_aave_parity as aave
from tests.contract import test_morpho_blue_parity as morpho
from tests.devnet.evm import chain
from tests.devnet.evm import morpho as lending
from tests.support.indexing import indexed, venue_of

seeds = st.integers(0, 2**32 - 1)
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # a smaller seed is no simpler crowd


@settings(max_examples=4, phases=PHASES)
@given(seeds, st.integers(40, 250), st.integers(3, 40))
def test_aave_s_accounts_are_the_pool_s_whoever_uses_it(seed: int, actions: int, users: int) -> None:
    with TemporaryDirectory() as folder, chain.build(seed=seed, actions=actions, users=users) as net:
        path = Path(folder) / "store.duckdb"
        indexed(net, path)
        head = net.node.height()
        with Store.open(path) as store, store.reading() as reader:
            assert sum(aave.compare(reader, venue_of(net), net, number) for number in (head, head * 2 // 3))


@settings(max_examples=3, phases=PHASES)
@given(seeds, st.integers(100, 300))
def test_morpho_s_positions_are_the_contract_s_whoever_uses_it(seed: int, actions: int) -> None:
    counted: Counter[str] = Counter()
    with TemporaryDirectory() as folder, lending.build(seed=seed, actions=actions) as net:
        path = Path(folder) / "store.duckdb"
        morpho.indexed(net, path)
        first, head = net.probed_from, net.node.height()
        with Store.open(path) as store, store.reading() as reader:
            for number in (head, (first + head) // 2):
                morpho.compare(reader, net, number, counted)
    assert counted["position"]
