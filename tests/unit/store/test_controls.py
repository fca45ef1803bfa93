"""What contracts answered is kept as long as something rests on it, and says from when to when a unit is in doubt."""

from __future__ import annotations

from typing import Any

import pytest

from chains.auditing import Reply
from chains.model import Rows, VenueSpec
from chains.ports import Checked, Outcome, Summed
from indexer.steps import Forget, Restate
from indexer.store import Store
from indexer.store.controls import PARITY, Findings, Look, ParityRow, TotalRow, run_of
from tests.unit.store.builders import ASSET, CHAIN, OWNER, VENUE, append, batch, block, finalize, market, rewind

SPEC = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x01" * 20, start_block=0)
EVERY = range(1, 60)


def check(outcome: Outcome, *, view: str = "getUserEMode", unit: bytes = OWNER) -> Checked:
    theirs = {Outcome.EQUAL: {"emode": 1}, Outcome.DIFFERENT: {"emode": 2}}.get(outcome)
    ours = None if outcome is Outcome.UNKNOWN else {"emode": 1}
    return Checked(unit, view, b"\x01" * 20, b"", ours, theirs, outcome)


def enter(store: Store, number: int, *checks: Checked, now: int = 7) -> None:
    store.add_parity(
        run_of(SPEC, block(number), checks, now=now, units=1, round_=0, last=None), Findings(checks=checks)
    )


def doubted(store: Store) -> list[int]:
    """The blocks at which somebody is in doubt."""
    with store.reading() as reader:
        return [number for number in EVERY if reader.control_doubts(ParityRow, CHAIN, number)]


def kept(store: Store) -> list[tuple[Any, ...]]:
    query = "SELECT block_number, outcome, is_newest FROM public.fct_parity_check ORDER BY block_number, outcome"
    return store.query(query, timeout_s=9, max_rows=99).rows


CASES = {
    "never equal": ([(30, Outcome.DIFFERENT)], EVERY),
    "equal before": ([(20, Outcome.EQUAL), (30, Outcome.DIFFERENT)], range(21, 60)),
    "equal again": ([(20, Outcome.EQUAL), (30, Outcome.DIFFERENT), (40, Outcome.EQUAL)], range(30, 40)),
    "equal at the same block, asked again": ([(30, Outcome.DIFFERENT), (30, Outcome.EQUAL)], ()),
    "unanswered since": ([(20, Outcome.EQUAL), (30, Outcome.DIFFERENT), (40, Outcome.UNANSWERED)], range(21, 60)),
    "unknown since": ([(30, Outcome.DIFFERENT), (40, Outcome.UNKNOWN)], EVERY),
    "never different": ([(20, Outcome.EQUAL), (30, Outcome.UNKNOWN)], ()),
    "different at an earlier block, asked later": ([(40, Outcome.EQUAL), (30, Outcome.DIFFERENT)], range(30, 40)),
}


@pytest.mark.parametrize("checks, blocks", CASES.values(), ids=CASES)
def test_a_unit_is_in_doubt_from_the_last_check_that_was_equal_to_the_next(
    store: Store, checks: list[tuple[int, Outcome]], blocks: range
) -> None:
    for now, (number, outcome) in enumerate(checks):
        enter(store, number, check(outcome), now=now)

    assert doubted(store) == list(blocks)


def test_of_each_view_the_newest_check_of_each_outcome_stays(store: Store) -> None:
    for now, number in enumerate((20, 30, 10)):
        enter(store, number, check(Outcome.EQUAL), now=now)
    enter(store, 25, check(Outcome.DIFFERENT))

    assert kept(store) == [(25, "different", False), (30, "equal", True)]


def test_a_standing_counts_the_newest_check_of_every_view(store: Store) -> None:
    enter(store, 20, check(Outcome.DIFFERENT), check(Outcome.EQUAL, view="a"), check(Outcome.UNKNOWN, unit=b"\x02"))
    enter(store, 30, check(Outcome.EQUAL))

    with store.reading() as reader:
        (run,) = reader.parity_runs()
    assert run.standing[PARITY.table] == {"equal": 2, "unknown": 1}
    assert (run.block_number, run.equal, run.different) == (30, 1, 0)


def test_what_was_compared_with_a_history_that_is_forgotten_is_forgotten(store: Store) -> None:
    append(store, batch(1, 5))
    finalize(store, 5)
    enter(store, 3, check(Outcome.EQUAL))
    enter(store, 5, check(Outcome.DIFFERENT))

    fork = Restate(chain_id=CHAIN, cursor=block(5), cause="a fork", at=9, change=Forget(to=block(5)))
    store.apply(fork)
    assert [number for number, *_ in kept(store)] == [3, 5]
    store.apply(Restate(chain_id=CHAIN, cursor=block(5), cause="a fork", at=9, change=Forget(to=None)))

    assert kept(store) == []


def test_alerts_are_what_governance_changed_with_what_was_before(store: Store) -> None:
    said = [
        (2, ASSET, "reserve", '{"id":0}'),
        (2, ASSET, "source", '{"source":"0x01"}'),
        (3, ASSET, "rates", "{}"),
        (4, ASSET, "source", '{"source":"0x02"}'),
        (5, ASSET, "source", '{"source":"0x02"}'),
        (6, b"", "roles", '{"owner":"0x03"}'),
        (6, b"", "engine", '{"revision":2}'),
        (7, ASSET, "ltv:0x04", "{}"),
    ]
    rows = Rows(
        markets=[
            market(number, state, market=about, aspect=aspect, ordinal=n)
            for n, (number, about, aspect, state) in enumerate(said)
        ]
    )
    append(store, batch(1, 9, rows))

    query = "SELECT block_number, kind, market_address, state_before, is_first FROM public.venue_alert ORDER BY ALL"
    asset = f"0x{ASSET.hex()}"
    assert store.query(query, timeout_s=9, max_rows=99).rows == [
        (2, "listing", asset, None, True),
        (2, "oracle", asset, None, True),
        (4, "oracle", asset, '{"source":"0x01"}', False),
        (6, "admin", None, None, True),
        (6, "implementation", None, None, True),
        (7, "terms", asset, None, True),
    ]


def look(number: int) -> Look:
    at = block(number)
    return Look(chain_id=CHAIN, checked_at=7, block_number=number, block_hash=at.hash, venue_id=VENUE)


def weigh(store: Store, number: int, theirs: int) -> None:
    """Enter a total of 5 that a contract says is another."""
    outcome = Outcome.EQUAL if theirs == 5 else Outcome.DIFFERENT
    total = Summed("totalSupply", b"\x01" * 20, ASSET, 5, theirs, 0, 0, "", outcome)
    reply = Reply(b"\x01" * 20, "state", b"\x18", "returned", theirs.to_bytes(32))
    store.add_look(look(number), Findings(totals=[total]), [reply])


def test_what_a_contract_said_of_a_block_is_kept_with_the_block(store: Store) -> None:
    append(store, batch(1, 30))
    weigh(store, 20, 6)

    with store.reading() as reader:
        replies = reader.replies(look(20))
        assert replies is not None
        (reply,) = replies
        assert (reply.outcome, int.from_bytes(reply.output)) == ("returned", 6)
        assert reader.replies(look(21)) is None, "nobody was asked about it"
        assert reader.weighed_venues() == [(CHAIN, VENUE)]
        assert reader.control_standing(CHAIN, VENUE)["venue_total"] == {"different": 1}
        assert [row.residual for row in reader.control_doubts(TotalRow, CHAIN, 25)] == ["1"]


def test_what_was_said_of_blocks_that_a_chain_left_is_gone(store: Store) -> None:
    append(store, batch(1, 30))
    weigh(store, 10, 5)
    weigh(store, 20, 6)

    rewind(store, 15)

    with store.reading() as reader:
        assert reader.replies(look(20)) is None
        assert reader.replies(look(10)) is not None
        assert reader.control_doubts(TotalRow, CHAIN, 15) == []


def test_what_was_said_of_blocks_that_a_chain_left_meanwhile_is_not_kept(store: Store) -> None:
    append(store, batch(1, 30))
    rewind(store, 15)
    weigh(store, 20, 6)
    append(store, batch(16, 30, fork="b", forked_at=16))
    weigh(store, 25, 6)

    with store.reading() as reader:
        assert (reader.replies(look(20)), reader.replies(look(25))) == (None, None)
        assert reader.control_doubts(TotalRow, CHAIN, 30) == []
