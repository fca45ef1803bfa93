"""What a head of a thousand changed positions costs an indexer and an aggregator that holds its chain, in bytes and in CPU.

And how much later the aggregator answers with it: `python -m bench.mirror [ROUNDS]` takes so many blocks, on a local node.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TypeVar

import aiohttp
import pyarrow as pa

from bench.latency import BETWEEN_S, TOUCHED, WARM_UP, Vault, configuration, seen, vault_on_a_node
from bench.sync import measured, ours
from bench.sync.machine import described
from bench.under_load import service, told
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
ROUNDS = 200
CONFIGURATION = "crossmargin.toml"


def main(words: Sequence[str] = ()) -> None:
    print(described())
    follow(int(words[0]) if words else ROUNDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "indexer.duckdb") as source,
        Store.open(Path(folder) / "all.duckdb") as mirror,
    ):
        measure(source, mirror)


def follow(rounds: int) -> None:
    """How long after a block its change can be read of the indexer and of the aggregator, side by side."""
    with vault_on_a_node() as vault, tempfile.TemporaryDirectory() as folder:
        vault.move()
        near, far = Path(folder, "indexer"), Path(folder, "aggregator")
        for place in (near, far):
            place.mkdir()
            (place / CONFIGURATION).write_text(configuration(vault, place), encoding="utf-8")
        key = key_of(near)
        with service(near, ()) as url:
            text = re.sub(r"(?m)^(rpc|ws) = .*$", "", configuration(vault, far))
            named = f'[[chain]]\nindexer = "{url}"\nindexer_key = "{key}"'
            (far / CONFIGURATION).write_text(text.replace("[[chain]]", named), encoding="utf-8")
            with service(far, ()) as other:
                waits = asyncio.run(waited(vault, (url, other), rounds))
    indexer, aggregator = (list(each) for each in zip(*waits, strict=True))
    print(f"a block of {TOUCHED:,} changed accounts, until their health is answered with it")
    print(f"  by the indexer: {told(indexer)}")
    print(f"  by the aggregator: {told(aggregator)}")
    print(f"  what the aggregator adds: {told([later - first for first, later in waits])}")


def key_of(place: Path) -> str:
    command = [ours.COMMAND, "keys", "api", "create", "aggregator", "--scope", "follow", "--json"]
    ended = subprocess.run(command, cwd=place, env=measured.surroundings(), capture_output=True, text=True, check=True)
    return str(json.loads(ended.stdout)["key"])


async def waited(vault: Vault, urls: Sequence[str], rounds: int) -> list[tuple[float, ...]]:
    """Return the seconds of each round from the moment at which the node has a block until each service answers with it."""
    found = []
    sessions = [aiohttp.ClientSession(url) for url in urls]
    try:
        for session in sessions:
            await seen(session, vault, 0, vault.ledger.node.height())
        for turn in range(WARM_UP + rounds):
            await asyncio.sleep(BETWEEN_S)
            number = await asyncio.to_thread(vault.move)
            began = time.monotonic()
            each = await asyncio.gather(*(until(session, vault, turn % TOUCHED, number, began) for session in sessions))
            found += [tuple(each)] if turn >= WARM_UP else []
    finally:
        for session in sessions:
            await session.close()
    return found


async def until(session: aiohttp.ClientSession, vault: Vault, account: int, number: int, began: float) -> float:
    await seen(session, vault, account, number)
    return time.monotonic() - began


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


if __name__ == "__main__":
    main(sys.argv[1:])
