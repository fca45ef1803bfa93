"""What subscribers are told of liquidations is what the chain says, and what it takes back is told too; no id is given twice."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from chains.model import Rows
from indexer.steps import Forget, Reread, Restate
from indexer.store import Store, Telling
from indexer.store.restate import StoredTables
from indexer.store.told import tell_step
from tests.unit.store.builders import CHAIN, OWNER, append, batch, block, event, rewind

WEEK = 7 * 86_400
NOW = 10_000.0
NOBODY: dict[str, list[str]] = {"owners": [], "venues": [], "assets": []}


@pytest.fixture
def telling(store: Store) -> Store:
    store.telling = Telling(WEEK, lambda: NOW)
    return store


def told(store: Store, after: int = 0) -> list[tuple[str, Any]]:
    with store.reading() as reader:
        return [(row.kind, json.loads(row.body)) for row in reader.events_after(after, 1000)]


def blow(number: int, amount: int = 5, ordinal: int = 0) -> Rows:
    return Rows(events=[event(number, amount, ordinal=ordinal, kind="liquidation"), event(number, 1, ordinal=9)])


def test_a_liquidation_is_told_with_its_step_and_nothing_else_is(telling: Store) -> None:
    append(telling, batch(1, 5, blow(3)))

    ((kind, body),) = told(telling)

    assert (kind, body["block"]["number"], body["amount_raw"], body["venue"]) == ("liquidation", 3, "5", "aave-devnet")
    assert [owner.lower() for owner in body["owners"]] == [f"{CHAIN}:0x{OWNER.hex()}"]


def test_what_a_fork_takes_back_is_retracted_and_what_it_brings_is_told(telling: Store) -> None:
    append(telling, batch(1, 5, blow(4)))
    rewind(telling, 3)
    append(telling, batch(4, 6, blow(4), fork="b", forked_at=4))

    kinds = [kind for kind, _ in told(telling)]
    first, gone, again = (body for _, body in told(telling))

    assert kinds == ["liquidation", "retracted", "liquidation"]
    assert gone["retracts"] == str(ids(telling)[0])
    assert gone["block"] == first["block"]
    assert again["block"]["hash"] != first["block"]["hash"]


def test_a_retracted_one_is_not_retracted_again(telling: Store) -> None:
    append(telling, batch(1, 5, blow(4)))
    rewind(telling, 3)
    rewind(telling, 2)

    assert [kind for kind, _ in told(telling)] == ["liquidation", "retracted"]


def test_a_history_that_the_chain_left_is_retracted(telling: Store) -> None:
    append(telling, batch(1, 5, blow(2)))
    telling.apply(Restate(chain_id=CHAIN, cursor=block(5), cause="a test", at=0, change=Forget(to=block(1))))

    assert [kind for kind, _ in told(telling)] == ["liquidation", "retracted"]


def test_what_a_history_lacked_is_told_from_its_first_block_on(store: Store) -> None:
    """Whoever reads block 4 and what follows anew tells of block 4, and of what stands before it nothing."""
    append(store, batch(1, 6, Rows(events=[*blow(3).events, *blow(4, 6).events, *blow(5, 7).events])))
    stored = StoredTables(store.copying, CHAIN)
    lacking = Reread(first=4, interests=(), read=stored, derived=stored, venues=frozenset())

    with store.refilling() as con:
        step = Restate(chain_id=CHAIN, cursor=block(6), cause="a test", at=0, change=lacking)
        tell_step(con, step, Telling(WEEK, lambda: NOW))

    assert [body["block"]["number"] for _, body in told(store)] == [4, 5]


def test_any_cut_of_a_history_tells_the_same(telling: Store) -> None:
    append(telling, batch(1, 9, Rows(events=[*blow(2).events, *blow(7, 6).events])))
    whole = told(telling)
    with Store.open(":memory:") as other:
        other.telling = Telling(WEEK, lambda: NOW)
        for number in range(1, 10):
            append(other, batch(number, number, {2: blow(2), 7: blow(7, 6)}.get(number)))

        assert told(other) == whole


def test_of_what_is_older_than_what_is_kept_nothing_is_told(store: Store) -> None:
    store.telling = Telling(60, lambda: NOW)
    append(store, batch(1, 5, blow(3)))
    assert told(store) == []


def test_of_one_span_only_what_is_kept_is_told(store: Store) -> None:
    """Block n has time 1000 + 12 n: block 50 is as old as what is kept, to the second."""
    store.telling = Telling(NOW - (1_000 + 12 * 50), lambda: NOW)
    append(store, batch(1, 60, Rows(events=[*blow(49).events, *blow(50, 6).events, *blow(51, 7).events])))

    assert [body["block"]["number"] for _, body in told(store)] == [50, 51]


def test_what_was_told_before_a_second_is_forgotten_and_nothing_else(store: Store) -> None:
    for second in (99, 100, 101):
        with store.events(float(second)) as ledger:
            ledger.tell([("mark", {"second": second})])
    with store.events(200.0) as ledger:
        ledger.forget(100)

    assert [body["second"] for _, body in told(store)] == [100, 101]


def test_ids_grow_although_the_clock_goes_back_and_nothing_is_kept(store: Store) -> None:
    with store.events(2_000.0) as ledger:
        ledger.tell([("mark", {}), ("mark", {})])
    with store.events(3_000_000.0) as ledger:
        ledger.forget(2_500_000)
    with store.events(1_000.0) as ledger:
        ledger.tell([("mark", {})])

    with store.reading() as reader:
        ends = reader.event_ends()
        assert [row.id for row in reader.events_after(0, 9)] == [2_000_000_002]
    assert (ends.forgotten, ends.last) == (2_000_000_001, 2_000_000_002)


def test_what_was_told_last_is_remembered_until_it_is_as_usual(store: Store) -> None:
    with store.events(1.0) as ledger:
        ledger.remember({"account a": "x", "account b": "y"})
        ledger.remember({"account a": None, "account b": "z"})

    with store.reading() as reader:
        assert reader.event_subjects() == {"account b": "z"}


def ids(store: Store) -> list[int]:
    with store.reading() as reader:
        return [row.id for row in reader.events_after(0, 1000)]


def test_analysts_read_what_was_told(store: Store) -> None:
    band = {**NOBODY, "scope": "account", "account": "acme", "before": {"band": "healthy"}, "after": {"band": "danger"}}
    with store.events(1_700_000_000.0) as ledger:
        ledger.tell([("health_band", band), ("mark", {**NOBODY, "assets": [f"{CHAIN}/slip44:60"]})])

    found = store.query(
        "SELECT kind, told_at, scope, account_id, band_before, band_after, asset_ids FROM public.event ORDER BY event_id",
        timeout_s=9,
        max_rows=9,
    )

    at = datetime.fromisoformat("2023-11-14T22:13:20")
    assert found.rows == [
        ("health_band", at, "account", "acme", "healthy", "danger", []),
        ("mark", at, None, None, None, None, [f"{CHAIN}/slip44:60"]),
    ]
