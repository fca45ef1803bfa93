"""Stores of two small chains, and lakes that tests make up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chains.model import ChainSpec, Rows, Side, VenueSpec
from indexer.lake import Lake, LakeSet, Parts
from indexer.store import Registry, Store
from tests.unit.store.builders import (
    ASSET,
    CHAIN,
    OWNER,
    VENUE,
    append,
    batch,
    event,
    finalize,
    market,
    position,
    price,
    setting,
)

OTHER_CHAIN = "eip155:31338"
CHAINS = (CHAIN, OTHER_CHAIN)
PERIOD_S = 24
"""Two blocks of these chains."""

RESERVE = '{"id":0,"symbol":"WETH","decimals":18,"a_token":"0xaa","since":2}'
SOMEBODY = b"\x1c" * 20
SPECS = tuple(
    ChainSpec(id=each, name="devnet", rpc=("http://secret",), finality="latest", start_block=1) for each in CHAINS
)
VENUES = tuple(
    VenueSpec(id=name, protocol="aave-v3", chain_id=each, address=b"\x01" * 20, start_block=1)
    for name, each in ((VENUE, CHAIN), ("aave-other", OTHER_CHAIN))
)
STORED = (
    "evm_block",
    "position_change",
    "market_change",
    "account_change",
    "price_observation",
    "lending_event",
    "quarantine",
    "position_current",
    "market_current",
    "account_current",
    "price_current",
    "cursor",
    "coverage",
)


def opened(path: Path, *chains: str, allowed: Path) -> Store:
    """A new store that knows some of the chains."""
    store = Store.open(path, allowed=[allowed])
    specs = [spec for spec in SPECS if spec.id in chains]
    store.register(Registry(chains=specs, venues=[venue for venue in VENUES if venue.chain_id in chains]))
    return store


def rows(first: int, last: int, venue_id: str) -> Rows:
    """Two positions that change in every other block, with settings, an event and a price; the reserve is listed in block 2."""
    blocks = range(first + first % 2, last + 1, 2)
    named: dict[str, Any] = {"market": ASSET, "venue_id": venue_id}
    return Rows(
        markets=[market(2, RESERVE, **named)] if first <= 2 <= last else [],
        positions=[
            each
            for n in blocks
            for each in (
                position(n, 100 + n, **named),
                position(n, n % 4, owner=SOMEBODY, side=Side.BORROW, ordinal=1, **named),
            )
        ],
        accounts=[setting(n, str(n), **named) for n in blocks],
        events=[event(n, n * 10**18, asset=ASSET, counterparty=OWNER, venue_id=venue_id) for n in blocks],
        prices=[price(n, 2_000 + n) for n in blocks],
    )


def grow(
    store: Store, chain_id: str, first: int, last: int, final: int, *, edit: Callable[[Rows], Rows] = lambda rows: rows
) -> None:
    """Let a chain go on, all of it up to `final` being final; `edit`: what is read of it."""
    venue_id = next(venue.id for venue in VENUES if venue.chain_id == chain_id)
    given = edit(rows(first, last, venue_id))
    append(store, batch(first, last, given, logs=[(n, 0) for n in range(first, last + 1)], chain_id=chain_id))
    finalize(store, final, chain_id)


def lake_at(folder: Path) -> Lake:
    return Lake.at(str(folder))


def publish(lake: Lake, store: Store, work: Path, *chains: str) -> list[LakeSet]:
    """The parts of some chains that are due."""
    parts = Parts(lake, work, period_s=PERIOD_S, segment_rows=6)
    return [part for chain_id in chains for part in parts.publish(store, chain_id)]


def stored(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """What a reader's store has, whatever the order."""
    with store.reading() as reader:
        return {name: sorted(reader._con.table(name).fetchall(), key=repr) for name in STORED}


def in_lake(folder: Path, made: LakeSet) -> bool:
    """Whether every file of a set lies in a folder as it was published."""
    return all(
        (folder / file.path).is_file()
        and hashlib.sha256((folder / file.path).read_bytes()).hexdigest() == file.sha256
        and (folder / file.path).stat().st_size == file.bytes
        for file in made.files
    )
