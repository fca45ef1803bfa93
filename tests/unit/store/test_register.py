"""The tables name what the configuration names, unless stored rows would lose their meaning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chains.identifiers import base58
from chains.model import ChainSpec, FeedSpec, Quarantined, Rows, VenueSpec
from chains.ports import Covered
from indexer.spans import gap_of
from indexer.store import AssetRow, ConfigRefused, MemberRow, Registry, Store
from tests.unit.store.builders import CHAIN, VENUE, append, batch, position, rewind
from tests.unit.store.slots import ALICE, CLUSTER, slot_batch

SPEC = ChainSpec(id=CHAIN, name="devnet", rpc=("http://secret",), finality="finalized", start_block=1)
AAVE = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x01" * 20, start_block=3)
ETH = FeedSpec(
    asset=f"{CHAIN}/slip44:60",
    kind="chainlink",
    chain_id=CHAIN,
    address=b"\x02" * 20,
    heartbeat_s=3600,
    deviation=0.005,
)
REGISTRY = Registry(
    chains=[SPEC],
    venues=[AAVE],
    feeds=[ETH],
    assets=[AssetRow(ETH.asset, "ETH", "major", None)],
    members=[MemberRow("acme", f"{CHAIN}:0xAb"), MemberRow("acme", "solana:x:y")],
)


def rows(store: Store, table: str) -> list[tuple[object, ...]]:
    return store.query(f"FROM {table} ORDER BY ALL", timeout_s=9, max_rows=99).rows


def covered(interest: str, first: int, last: int) -> Covered:
    return Covered(interest=interest, first=first, last=last, level="fetched", evidence="")


def gap(store: Store, venue: VenueSpec) -> int | None:
    """The first block that is missing of a venue, up to the cursor."""
    held = store.cursor(venue.chain_id)
    assert held is not None
    with store.reading() as reader:
        return gap_of(reader.coverage(venue.chain_id), venue, held.block.number)


def complete(store: Store) -> set[bytes]:
    """The addresses of the feeds of which nothing is missing."""
    with store.reading() as reader:
        return {address for _, _, address, _ in reader.complete_feeds()}


def refused(store: Store, registry: Registry, match: str) -> None:
    tables = ("chain", "venue", "feed", "asset", "margin_account")
    before = [rows(store, table) for table in tables]
    with pytest.raises(ConfigRefused, match=match):
        store.register(registry)
    assert [rows(store, table) for table in tables] == before


def test_the_tables_say_what_the_configuration_says(store: Store) -> None:
    store.register(REGISTRY)

    assert rows(store, "chain") == [(CHAIN, "devnet", "finalized", 1)]
    assert rows(store, "venue") == [(VENUE, "aave-v3", CHAIN, b"\x01" * 20, 3, "{}")]
    assert rows(store, "feed") == [(ETH.asset, "chainlink", CHAIN, b"\x02" * 20, 3600, 0.005, None, None)]
    assert rows(store, "asset") == [(ETH.asset, "ETH", "major", None)]
    assert rows(store, "margin_account") == [("acme", f"{CHAIN}:0xAb"), ("acme", "solana:x:y")]


def test_what_is_not_configured_any_more_goes(store: Store) -> None:
    store.register(REGISTRY)

    store.register(replace(REGISTRY, members=[MemberRow("beta", f"{CHAIN}:0xAb")], assets=[]))

    assert rows(store, "margin_account") == [("beta", f"{CHAIN}:0xAb")]
    assert rows(store, "asset") == []


def test_an_unchanged_configuration_writes_nothing(store: Store) -> None:
    store.register(REGISTRY)
    before = store.query("SELECT rowid FROM margin_account", timeout_s=9, max_rows=9).rows

    store.register(replace(REGISTRY, members=list(reversed(REGISTRY.members))))

    assert store.query("SELECT rowid FROM margin_account", timeout_s=9, max_rows=9).rows == before


def test_before_anything_is_indexed_everything_may_change(store: Store) -> None:
    store.register(REGISTRY)

    store.register(replace(REGISTRY, venues=[replace(AAVE, address=b"\x09" * 20, start_block=1)], feeds=[]))

    assert rows(store, "venue") == [(VENUE, "aave-v3", CHAIN, b"\x09" * 20, 1, "{}")]


@pytest.mark.parametrize(
    "venue",
    [
        replace(AAVE, address=b"\x09" * 20, start_block=50),
        replace(AAVE, protocol="morpho-blue", start_block=50),
        replace(AAVE, chain_id="eip155:1"),
    ],
)
@pytest.mark.parametrize(
    "derived", [Rows(positions=[position(4, 1)]), Rows(quarantined=[Quarantined(4, 0, 0, VENUE, "odd", b"")])]
)
def test_an_id_with_stored_rows_cannot_mean_another_venue(store: Store, venue: VenueSpec, derived: Rows) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9, derived))

    refused(
        store, replace(REGISTRY, venues=[venue]), f"venue {VENUE}: rows of another .* choose a new id, or index into"
    )


def test_a_venue_that_was_taken_out_comes_back_as_what_it_was_or_not_at_all(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9, Rows(positions=[position(4, 1)])))
    store.register(replace(REGISTRY, venues=[]))

    refused(store, replace(REGISTRY, venues=[replace(AAVE, address=b"\x09" * 20)]), "rows of another protocol")
    store.register(REGISTRY)

    assert rows(store, "venue") == [(VENUE, "aave-v3", CHAIN, b"\x01" * 20, 3, "{}")]


def test_a_venue_that_is_new_below_the_cursor_is_incomplete(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9, covered=[covered(VENUE, 3, 9)]))
    spark = replace(AAVE, id="spark", address=b"\x05" * 20, start_block=9)

    store.register(replace(REGISTRY, venues=[AAVE, spark]))

    assert gap(store, AAVE) is None
    assert gap(store, spark) == 9
    assert gap(store, replace(spark, start_block=10)) is None
    assert gap(store, replace(AAVE, start_block=2)) == 2


def test_an_id_that_means_another_venue_before_it_had_rows_is_covered_by_nothing(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9, covered=[covered(VENUE, 3, 9)]))
    other = replace(AAVE, address=b"\x09" * 20)

    store.register(replace(REGISTRY, venues=[other]))

    assert gap(store, other) == 3


def test_a_feed_that_is_new_on_an_indexed_chain_is_incomplete(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9))
    new = replace(ETH, address=b"\x07" * 20)

    store.register(replace(REGISTRY, feeds=[ETH, new]))
    assert complete(store) == {b"\x02" * 20}

    store.register(replace(REGISTRY, feeds=[replace(ETH, heartbeat_s=60, asset=f"{CHAIN}/slip44:1")]))
    assert complete(store) == {b"\x02" * 20}
    assert rows(store, "feed")[0][4] == 60


def test_a_feed_that_was_taken_out_is_incomplete_when_it_comes_back(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9))
    store.register(replace(REGISTRY, feeds=[]))

    store.register(REGISTRY)

    assert complete(store) == set()


def test_nothing_new_can_be_filled_in_on_a_solana_cluster(store: Store) -> None:
    spec = replace(SPEC, id=CLUSTER)
    vault = VenueSpec(id="vault", protocol="spl-escrow", chain_id=CLUSTER, address=ALICE, start_block=1)
    store.register(Registry(chains=[spec]))
    append(store, slot_batch(1, 9))

    refused(store, Registry(chains=[spec], venues=[vault]), "venue vault: .* cannot be read again; index into a new")


def test_a_feed_that_would_be_a_price_of_something_else_is_refused(store: Store) -> None:
    sol = replace(ETH, kind="pyth-solana", chain_id=CLUSTER, address=ALICE, feed_id=b"\xef" * 32, max_confidence=0.02)
    registry = Registry(chains=[replace(SPEC, id=CLUSTER)], feeds=[sol])
    store.register(registry)
    append(store, slot_batch(1, 9))

    refused(
        store,
        replace(registry, feeds=[replace(sol, feed_id=b"\xee" * 32)]),
        f"feed {base58(ALICE)}: {CLUSTER} is indexed without it up to block 9, .* cannot be read again",
    )

    store.register(replace(registry, feeds=[replace(sol, max_confidence=0.01)]))
    assert rows(store, "feed") == [(sol.asset, "pyth-solana", CLUSTER, b"\x01" * 32, 3600, 0.005, b"\xef" * 32, 0.01)]


def test_a_rewound_chain_can_be_configured_anew(store: Store) -> None:
    store.register(REGISTRY)
    append(store, batch(1, 9, Rows(positions=[position(4, 1)])))
    rewind(store, None)

    store.register(replace(REGISTRY, venues=[replace(AAVE, address=b"\x09" * 20)]))

    assert rows(store, "venue")[0][3] == b"\x09" * 20


@pytest.mark.parametrize("accounts", [("one",), ("one", "two", "three")], ids=["fewer", "more"])
def test_what_a_venue_follows_may_not_change_once_it_is_indexed(store: Store, accounts: tuple[str, ...]) -> None:
    vault = VenueSpec(
        id="vault",
        protocol="spl-escrow",
        chain_id=CHAIN,
        address=b"\x03" * 32,
        start_block=1,
        options={"accounts": ("one", "two"), "liabilities": "none"},
    )
    registry = Registry(chains=[SPEC], venues=[vault])
    store.register(registry)
    append(store, batch(1, 5))

    store.register(replace(registry, venues=[replace(vault, options={**vault.options, "liabilities": "import"})]))
    changed = replace(vault, options={**vault.options, "accounts": accounts})
    refused(store, replace(registry, venues=[changed]), "earlier blocks would be incomplete")
