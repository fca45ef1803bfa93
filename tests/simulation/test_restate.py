"""What came later into a store makes the tables of a store that had it from the start, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devnet.evm.chain import Devnet, build
from tests.devnet.evm.vault import Custody, open_custody
from tests.support.indexing import feeds_of, venue_of
from tests.support.restating import indexed, spec_of, vault_of
from tests.support.tables import assert_same_tables

LEDGER = frozenset({"restatement"})
"""What a store that had everything from the start has nothing to tell of."""


@pytest.fixture(scope="module")
def net() -> Iterator[tuple[Devnet, Custody]]:
    with build(seed=2, actions=60) as net:
        custody = open_custody(net.ledger, chain_id=net.chain_id, seed=2, people=net.users)
        custody.run(40)
        net.population.run(30)
        yield net, custody


@pytest.mark.parametrize("late", ["vault", "market"])
def test_a_venue_that_came_later_makes_the_tables_of_one_that_was_there(
    late: str, net: tuple[Devnet, Custody], tmp_path: Path
) -> None:
    devnet, custody = net
    straight, later = tmp_path / "straight.duckdb", tmp_path / "later.duckdb"
    spec, feeds = spec_of(devnet), feeds_of(devnet)
    both = [venue_of(devnet), vault_of(custody)]
    first = both[0] if late == "vault" else both[1]
    indexed(straight, spec, both, feeds)

    indexed(later, spec, [first], feeds, until=devnet.node.height() - 20)
    heard = indexed(later, spec, both, feeds)

    assert [line.interest for line in heard.restated_][0] == f"venue:{both[late == 'vault'].id}"
    assert assert_same_tables(straight, later, without=LEDGER) > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["later.duckdb", "straight.duckdb"]
