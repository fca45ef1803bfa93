"""What a head of a thousand changed positions costs an indexer and an aggregator that holds its chain, in bytes and in CPU."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TypeVar

import pyarrow as pa

from chains.model import Basis, Block, PositionChange, Rows, Side
from chains.ports import Batch, Covered
from crossmargin.mirror.asking import understood
from crossmargin.mirror.versions import made_by
from crossmargin.mirror.wire import SightSaid, question, written
from indexer.mirror import Given, Held, give, held_of, take
from indexer.steps import Append, Finalize
from indexer.store import Store

T = TypeVar("T")

CHAIN, VENUE = "eip155:1", "aave"
ACCOUNTS, CHANGED, HEADS, UNSETTLED = 500_000, 1_000, 20, 64
SIGHT = SightSaid(head=None, age_s=0.5, fault=None, stopped=False, broken=False, doubt=None)
MARKET = b"\x0b" * 20


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "indexer.duckdb") as source,
        Store.open(Path(folder) / "all.duckdb") as mirror,
    ):
        measure(source, mirror)


def measure(source: Store, mirror: Store) -> None:
    grown(source, 1, UNSETTLED, ACCOUNTS // UNSETTLED)
    source.apply(Finalize(chain_id=CHAIN, number=1))
    given: Given | None = None
    first: list[tuple[int, float, float]] = []
    while True:
        given, cost = step(source, mirror, given)
        first.append(cost)
        if source.cursor(CHAIN) == mirror.cursor(CHAIN):
            break
    heads = []
    for number in range(UNSETTLED + 1, UNSETTLED + HEADS + 1):
        grown(source, number, number, CHANGED)
        source.apply(Finalize(chain_id=CHAIN, number=number - UNSETTLED))
        given, cost = step(source, mirror, given)
        heads.append(cost)
    said, asked_s = taken(lambda: held_of(mirror, CHAIN, None, compared=True))
    piece, given_s = taken(lambda: give(source, CHAIN, said))
    size, give_s, take_s = (median(each) for each in zip(*heads, strict=True))
    print(f"mirror · a chain of {ACCOUNTS:,} positions, {UNSETTLED} blocks that can still change, CPU")
    print(
        f"  a head with {CHANGED:,} positions: {size / 1000:,.1f} kB, indexer {give_s * 1000:.1f} ms, aggregator {take_s * 1000:.1f} ms"
    )
    whole, give_s, take_s = (sum(each) for each in zip(*first, strict=True))
    print(
        f"  the first load: {whole / 1e6:,.1f} MB in {len(first)} pieces, indexer {give_s:.2f} s, aggregator {take_s:.2f} s"
    )
    print(f"  comparing all of it: indexer {given_s:.2f} s, aggregator {asked_s:.2f} s, equal to block {piece.above}")


def step(source: Store, mirror: Store, given: Given | None) -> tuple[Given, tuple[int, float, float]]:
    """Ask once; the bytes of the answer, and seconds of CPU on either side."""
    (held, sent), asked_s = taken(lambda: asked(mirror, given))
    body, give_s = taken(lambda: written(CHAIN, give(source, CHAIN, held), SIGHT, waited_s=0, made_by=made_by(CHAIN)))
    began = time.process_time()
    _, piece = understood(CHAIN, body, "bench")
    take(mirror, CHAIN, held, piece)
    return piece.given, (len(body) + len(sent), give_s, asked_s + time.process_time() - began)


def asked(mirror: Store, given: Given | None) -> tuple[Held, bytes]:
    held = held_of(mirror, CHAIN, given)
    return held, question(held).model_dump_json().encode()


def taken(work: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def grown(store: Store, first: int, last: int, changed: int) -> None:
    """Append blocks with so many positions each."""
    held = store.cursor(CHAIN)
    blocks = [block(number) for number in range(first, last + 1)]
    headers = pa.table(
        {
            "number": pa.array([each.number for each in blocks], pa.int64()),
            "hash": pa.array([each.hash for each in blocks], pa.binary()),
            "parent_hash": pa.array([each.parent_hash for each in blocks], pa.binary()),
            "time": pa.array([each.time for each in blocks], pa.int64()),
        }
    )
    rows = Rows(positions=[position(each.number, place) for each in blocks for place in range(changed)])
    span = Covered(interest=f"{VENUE}:logs", first=first, last=last, level="bloom", evidence="every block's bloom")
    batch = Batch(chain_id=CHAIN, first=first, last=blocks[-1], raw={"evm_block": headers}, rows=rows, covered=(span,))
    store.apply(Append(parent=held.block if held else None, batch=batch))


def block(number: int) -> Block:
    digest, parent = (sha256(str(each).encode()).digest() for each in (number, number - 1))
    return Block(number=number, hash=digest, parent_hash=parent, time=1_700_000_000 + 12 * number)


def position(number: int, place: int) -> PositionChange:
    """Whose it is changes with each block up to the first load, and comes again after that."""
    owner = sha256(f"{number % UNSETTLED}/{place}".encode()).digest()[:20]
    amount_raw = int.from_bytes(sha256(f"{number}:{place}".encode()).digest()[:9])
    return PositionChange(
        block=number,
        tx_index=place // 4,
        ordinal=place,
        venue_id=VENUE,
        unit_id=owner,
        owner=owner,
        market=MARKET,
        side=Side.SUPPLY,
        asset=MARKET,
        amount_raw=amount_raw,
        engine_version="aave-v3/1",
        basis=Basis.EXACT,
    )
