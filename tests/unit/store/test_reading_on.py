"""What was asked of a state is not read again, and is never told of another state, however writers and readers meet."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from chains.model import Rows, VenueSpec
from indexer.steps import Append
from indexer.store import BlockUnknown, Reader, StepRefused, Store
from tests.unit.store.builders import CHAIN, VENUE, append, batch, market, position, price, rewind

SPEC = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x0a" * 20, start_block=0)


def said(reader: Reader) -> Mapping[str, Any]:
    """Ask what an answer about an account asks."""
    held = reader.cursor(CHAIN)
    found: dict[str, Callable[[], Any]] = {
        "coverage": lambda: reader.coverage(CHAIN),
        "findings": lambda: reader.findings(CHAIN),
        "restatements": lambda: reader.restatements(CHAIN),
        "makers": reader.makers,
        "feeds": reader.complete_feeds,
        "policies": reader.policies,
        "import": reader.newest_import,
        "transfers": lambda: reader.transfers(["nobody"]),
    }
    if held is not None:
        at = held.block
        found |= {
            "block": lambda: reader.block(CHAIN, at.number),
            "below": lambda: reader.block_below(CHAIN, at.number - 1),
            "doubtful": lambda: reader.doubtful(CHAIN, at),
            "venue": lambda: reader.venue_snapshot(SPEC, at),
            "answers": lambda: reader.answers(CHAIN, at),
            "recent": lambda: reader.recent_answers(CHAIN, at, [b"\x0e" * 20], 3600),
            "units": lambda: reader.unit_snapshots(SPEC, at),
        }
    return {"cursor": held, **{name: ask() for name, ask in found.items()}}


def anew(reader: Reader) -> Mapping[str, Any]:
    """Ask the same of the same transaction, and remember nothing."""
    return said(Reader(reader._con))


def rows(block: int, amount: int) -> Rows:
    return Rows(
        positions=[position(block, amount)], markets=[market(block, f'"{amount}"')], prices=[price(block, amount)]
    )


def test_what_was_read_of_a_state_is_not_read_again_and_a_write_ends_it(store: Store) -> None:
    append(store, batch(1, 5, rows(5, 1)))
    with store.reading_on() as reader:
        before = said(reader)
    with store.reading_on() as reader:
        assert reader.venue_snapshot(SPEC, before["cursor"].block) is before["venue"]
        assert said(reader) == before == anew(reader)

    append(store, batch(6, 7, rows(7, 2)))

    with store.reading_on() as reader:
        after = said(reader)
        assert after == anew(reader)
    assert after["cursor"] != before["cursor"]
    assert after["venue"] != before["venue"]


def test_a_venue_of_the_same_name_is_the_one_that_was_asked_about(store: Store) -> None:
    append(store, batch(1, 5, rows(5, 1)))
    other = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x0b" * 20, start_block=3)
    for spec in (SPEC, other, SPEC):
        with store.reading_on() as reader:
            cursor = reader.cursor(CHAIN)
            assert cursor is not None
            assert reader.venue_snapshot(spec, cursor.block).venue == spec


def test_a_write_that_fails_changes_nothing_that_is_known(store: Store) -> None:
    append(store, batch(1, 5, rows(5, 1)))
    with store.reading_on() as reader:
        before = said(reader)
    with pytest.raises(StepRefused):
        store.apply(Append(parent=None, batch=batch(6, 7, rows(7, 2))))
    with store.reading_on() as reader:
        assert said(reader) == before == anew(reader)


def test_a_block_that_the_chain_left_is_unknown_again(store: Store) -> None:
    append(store, batch(1, 5, rows(5, 1)))
    with store.reading_on() as reader:
        left = said(reader)["cursor"].block
    rewind(store, 3)
    append(store, batch(4, 6, rows(5, 9), fork="b", forked_at=4))
    with store.reading_on() as reader, pytest.raises(BlockUnknown):
        reader.venue_snapshot(SPEC, left)


def test_while_others_write_every_answer_is_of_the_state_that_is_read(store: Store) -> None:
    append(store, batch(1, 3, rows(3, 1)))
    done = Event()

    def write() -> int:
        chance, steps = random.Random(7), 0
        while steps < 60:
            held = store.cursor(CHAIN)
            assert held is not None
            number = held.block.number
            if chance.random() < 0.25 and number > 4:
                rewind(store, number - chance.randrange(1, 3))
            else:
                last = number + chance.randrange(1, 3)
                append(store, batch(number + 1, last, rows(last, steps + 2)))
            steps += 1
        done.set()
        return steps

    def read() -> int:
        kept = 0
        while not done.is_set():
            with store.reading_on() as reader:
                first = said(reader)
                assert first == anew(reader)
                assert said(reader) == first
                kept += reader._known is not None
        return kept

    with ThreadPoolExecutor(3) as threads:
        writing, *reading = threads.submit(write), *(threads.submit(read) for _ in range(2))
        assert writing.result() == 60
        assert sum(each.result() for each in reading) > 0
