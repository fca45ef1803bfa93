"""A mirror holds row for row what it mirrors, whatever happens to either; what does not fit is not taken, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from threading import Thread

import pyarrow as pa
import pytest

from chains.ports import Finding
from indexer.mirror import Given, Held, MirrorWrong, Outcome, Piece, Table, give, held_of, take
from indexer.steps import Attest, Forget, Restate
from indexer.store import Store
from indexer.store.changes import ANYWHERE, MOST, Changes, Place
from tests.unit.indexer.mirror.builders import Mirroring, grow, rows_of
from tests.unit.store.builders import CHAIN, MARKET, VENUE, append, batch, block, finalize, rewind


@pytest.fixture
def mirror(store: Store) -> Iterator[Mirroring]:
    """A mirror of a chain of 12 blocks, 8 of them final."""
    grow(store, 12)
    finalize(store, 8)
    made = Mirroring(store)
    with made.store:
        made.catch_up()
        yield made


def test_a_mirror_holds_every_row_and_is_told_when_there_is_nothing_new(store: Store, mirror: Mirroring) -> None:
    assert rows_of(mirror.store) == rows_of(store)
    assert rows_of(store)["position_current"]
    assert mirror.step() is Outcome.SAME


def test_a_head_costs_its_own_rows_and_the_blocks_that_can_change(store: Store, mirror: Mirroring) -> None:
    grow(store, 2)

    piece = give(store, CHAIN, held_of(mirror.store, CHAIN, mirror.given))

    assert piece.above == 12
    assert piece.tables["evm_block"].rows["number"].to_pylist() == [8, 9, 10, 11, 12, 13, 14]
    assert set(piece.tables["position_change"].rows["block_number"].to_pylist()) == {14}
    assert {name for name, table in piece.tables.items() if not table.by_block} == {"coverage"}


@pytest.mark.parametrize("seed", range(4))
def test_a_mirror_equals_its_source_after_any_history(store: Store, seed: int) -> None:
    """Append, rewind, final blocks, other branches, whole histories forgotten, and either side begun again, in any order."""
    chance = Random(seed)
    mirror = Mirroring(store, most_rows=chance.choice([1, 7, 10_000]))
    with mirror.store:
        for turn in range(30):
            _happen(store, chance, turn)
            match chance.randrange(6):
                case 0:
                    mirror.forget()
                case 1:
                    store.changes = Changes()
                case 2 | 3:
                    mirror.step()
                case _:
                    mirror.catch_up()
                    assert rows_of(mirror.store) == rows_of(store)
        mirror.catch_up()
        assert rows_of(mirror.store) == rows_of(store)


def _happen(store: Store, chance: Random, turn: int) -> None:
    held = store.cursor(CHAIN)
    if held is None or chance.random() < 0.6:
        grow(store, chance.randint(1, 6), mark=turn)
        return
    number, final = held.block.number, max(held.finalized, 0)
    match chance.randrange(3):
        case 0:
            rewind(store, chance.randint(final, number) or None)
        case 1:
            finalize(store, chance.randint(final, number))
        case _:
            to = store.block(CHAIN, final) if chance.random() < 0.5 else None
            step = Restate(chain_id=CHAIN, cursor=held.block, cause="another history", at=turn, change=Forget(to=to))
            store.apply(step)


def test_rows_of_the_same_blocks_that_became_others_are_noticed(store: Store, mirror: Mirroring) -> None:
    """As where a chain's accounts were looked at in other blocks: no hash tells."""
    rewind(store, 9)
    grow(store, 3, mark=7)

    mirror.catch_up()

    assert rows_of(mirror.store) == rows_of(store)


def test_a_restatement_in_the_past_is_found_by_comparing(store: Store, mirror: Mirroring) -> None:
    with store.refilling(CHAIN) as con:
        con.execute("UPDATE position_change SET amount_raw = 5 WHERE block_number = 4")

    held = held_of(mirror.store, CHAIN, mirror.given)

    assert give(store, CHAIN, held).outcome is Outcome.COMPARE
    mirror.catch_up()
    assert rows_of(mirror.store) == rows_of(store)


def test_a_source_that_is_an_older_backup_is_followed_back(store: Store, mirror: Mirroring) -> None:
    """The backup has fewer blocks, and fewer of them are final."""
    with Store.open(":memory:") as older:
        grow(older, 6)
        finalize(older, 3)
        mirror.source = older

        mirror.catch_up()

        assert rows_of(mirror.store) == rows_of(older)
        grow(older, 9, mark=3)
        finalize(older, 12)
        mirror.catch_up()
        assert rows_of(mirror.store) == rows_of(older)


def test_what_a_mirror_was_changed_behind_its_back_is_mended_when_it_begins_again(
    store: Store, mirror: Mirroring
) -> None:
    with mirror.store.refilling() as con:
        con.execute("DELETE FROM position_change WHERE block_number = 2")
        con.execute("DELETE FROM coverage")
    mirror.forget()

    mirror.catch_up()

    assert rows_of(mirror.store) == rows_of(store)


def test_an_empty_source_empties_the_mirror(mirror: Mirroring) -> None:
    with Store.open(":memory:") as empty:
        mirror.source = empty

        mirror.catch_up()

        assert mirror.store.cursor(CHAIN) is None
        assert rows_of(mirror.store) == rows_of(empty)


def test_a_long_history_comes_in_pieces_that_end_with_final_blocks(store: Store) -> None:
    for _ in range(10):
        grow(store, 4)
    finalize(store, 30)
    mirror = Mirroring(store, most_rows=20)
    with mirror.store:
        ends = []
        while mirror.step() is not Outcome.SAME:
            held = mirror.store.cursor(CHAIN)
            assert held is not None
            ends.append((held.block.number, held.finalized))

    assert len(ends) > 4
    assert all(number == final for number, final in ends[:-1])
    assert ends[-1] == (40, 30)


def test_what_is_found_wrong_travels_too(store: Store, mirror: Mirroring) -> None:
    finding = Finding(
        interest=f"{VENUE}:logs",
        kind="missing",
        block=4,
        block_hash=block(4).hash,
        log_index=0,
        tx_hash=b"\x01" * 32,
        address=MARKET,
        topic0=b"\x02" * 32,
        evidence="receipts",
    )
    store.apply(Attest(chain_id=CHAIN, covered=(), findings=(finding,)))

    mirror.catch_up()

    assert len(rows_of(mirror.store)["finding"]) == 1
    assert rows_of(mirror.store) == rows_of(store)


def test_other_chains_of_a_mirror_stay_as_they_are(store: Store, mirror: Mirroring) -> None:
    append(mirror.store, batch(1, 3, chain_id="eip155:1"))
    before = rows_of(mirror.store, "eip155:1")

    rewind(store, 9)
    mirror.catch_up()

    assert rows_of(mirror.store, "eip155:1") == before
    assert rows_of(mirror.store) == rows_of(store)


def test_a_mirror_that_asks_while_its_source_writes_never_holds_half_a_step(store: Store) -> None:
    """Each state that the mirror holds has the tips of its journals, and nothing above its last block."""
    mirror, chance = Mirroring(store), Random(3)
    grow(store, 4)

    def write() -> None:
        for turn in range(30):
            _happen(store, chance, turn)

    writing = Thread(target=write)
    with mirror.store:
        writing.start()
        while writing.is_alive():
            mirror.step()
            _whole(mirror.store)
        writing.join()
        mirror.catch_up()
        assert rows_of(mirror.store) == rows_of(store)


def _whole(store: Store) -> None:
    found = rows_of(store)
    (reached,) = [row[1] for row in found["cursor"]] or [0]
    newest: dict[object, tuple[object, ...]] = {}
    for row in sorted(found["position_change"], key=lambda row: (row[1], row[3])):
        assert row[1] <= reached
        newest[row[4], row[5], row[7], row[8]] = row
    assert sorted(newest.values(), key=repr) == found["position_current"]


def given_of(store: Store, mirror: Mirroring) -> tuple[Held, Piece]:
    grow(store, 2)
    held = held_of(mirror.store, CHAIN, mirror.given)
    return held, give(store, CHAIN, held)


def with_rows(piece: Piece, name: str, rows: pa.Table) -> Piece:
    return replace(piece, tables={**piece.tables, name: replace(piece.tables[name], rows=rows)})


def lies(piece: Piece) -> dict[str, Piece]:
    blocks, positions = (piece.tables[name].rows for name in ("evm_block", "position_change"))
    coverage = piece.tables["coverage"].rows
    number, chain = (pa.array([value] * rows.num_rows) for value, rows in ((99, positions), ("eip155:1", coverage)))
    unlinked = pa.array([b"\x07" * 32] * blocks.num_rows, blocks.schema.field("parent_hash").type)
    assert piece.cursor is not None
    return {
        "rows beyond its end": with_rows(piece, "position_change", positions.set_column(0, "block_number", number)),
        "rows of another chain": with_rows(piece, "coverage", coverage.set_column(0, "chain_id", chain)),
        "blocks that do not follow": with_rows(piece, "evm_block", blocks.set_column(2, "parent_hash", unlinked)),
        "no last block": with_rows(piece, "evm_block", blocks.slice(0, blocks.num_rows - 1)),
        "another last block": replace(piece, cursor=replace(piece.cursor, block=replace(block(14), hash=b"\x01" * 32))),
        "other columns": with_rows(piece, "position_change", positions.drop_columns(["side"])),
        "no value where there must be one": with_rows(
            piece, "evm_block", blocks.set_column(1, "hash", pa.nulls(blocks.num_rows, pa.binary()))
        ),
        "a table of its own": replace(piece, tables={**piece.tables, "api_key": Table(rows=coverage, by_block=False)}),
        "a journal as a whole": replace(
            piece, tables={**piece.tables, "lending_event": Table(rows=positions, by_block=False)}
        ),
        "a later beginning": replace(piece, above=13),
        "blocks left as they are": replace(piece, blocks_above=11),
    }


LIES = (
    "rows beyond its end",
    "rows of another chain",
    "blocks that do not follow",
    "no last block",
    "another last block",
    "other columns",
    "no value where there must be one",
    "a table of its own",
    "a journal as a whole",
    "a later beginning",
    "blocks left as they are",
)


@pytest.mark.parametrize("what", LIES)
def test_what_no_store_can_hold_is_not_taken(store: Store, mirror: Mirroring, what: str) -> None:
    held, piece = given_of(store, mirror)
    before = rows_of(mirror.store)

    with pytest.raises(MirrorWrong):
        take(mirror.store, CHAIN, held, lies(piece)[what])

    assert rows_of(mirror.store) == before
    take(mirror.store, CHAIN, held, piece)
    assert rows_of(mirror.store) == rows_of(store)


def test_a_piece_for_another_state_is_not_taken(store: Store, mirror: Mirroring) -> None:
    held, piece = given_of(store, mirror)
    take(mirror.store, CHAIN, held, piece)

    with pytest.raises(MirrorWrong, match="another state"):
        take(mirror.store, CHAIN, held, piece)


def test_the_floor_is_known_only_within_one_opening_and_what_is_remembered() -> None:
    changes = Changes()
    here = changes.here()

    assert changes.floor(CHAIN, here, 9) == 9
    changes.note(CHAIN, 4)
    changes.note("eip155:1", 2)
    assert changes.floor(CHAIN, here, 9) == 4
    assert changes.floor(CHAIN, changes.here(), 9) == 9
    changes.note(None, ANYWHERE)
    assert changes.floor(CHAIN, here, 9) is None
    assert changes.floor(CHAIN, Place("another", here.number), 9) is None
    for _ in range(MOST):
        changes.note(CHAIN, 8)
    assert changes.floor(CHAIN, here, 9) is None


def test_steps_of_a_mirror_are_noted_for_its_own_mirrors(store: Store, mirror: Mirroring) -> None:
    """An aggregator of aggregators sees what its source took back."""
    second = Mirroring(mirror.store)
    with second.store:
        second.catch_up()
        rewind(store, 9)
        grow(store, 3, mark=2)
        mirror.catch_up()
        second.catch_up()

        assert rows_of(second.store) == rows_of(store)


def test_marks_are_of_few_spans(store: Store) -> None:
    append(store, batch(1, 1))
    append(store, batch(2, 5000, logs=[]))
    mirror = Mirroring(store)
    with mirror.store:
        mirror.catch_up()
        held = held_of(mirror.store, CHAIN, None, compared=True)

    assert held.marks is not None
    assert held.marks.blocks == 16
    assert all(len(spans) <= 512 for spans in held.marks.of.values())


def test_given_is_nothing_to_a_store_that_was_opened_anew(store: Store, mirror: Mirroring) -> None:
    assert mirror.given is not None
    store.changes = Changes()

    held = held_of(mirror.store, CHAIN, Given(place=mirror.given.place, edition=store.edition, digests={}))

    assert give(store, CHAIN, held).outcome is Outcome.COMPARE
