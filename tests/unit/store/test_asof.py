"""What venues and units were at a block."""

from __future__ import annotations

from dataclasses import replace

from chains.model import (
    END_OF_BLOCK,
    FEEDS,
    START_OF_BLOCK,
    PriceAnswer,
    Rows,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
)
from indexer.store import Store
from indexer.store.asof import FEW, _few_since, as_of, unit_snapshots
from indexer.store.journals import tag_of
from tests.unit.store.builders import (
    CHAIN,
    MARKET,
    OWNER,
    VENUE,
    append,
    batch,
    block,
    market,
    position,
    price,
    setting,
)

SPEC = VenueSpec(id=VENUE, protocol="aave-v3", chain_id=CHAIN, address=b"\x01" * 20, start_block=1)
OTHER = b"\x0d" * 20
PROXY = b"\x0e" * 20
SOURCE = b"\x0f" * 20
SECOND = b"\xf0" * 20
SUPPLY = (MARKET, Side.SUPPLY)
BORROW = (MARKET, Side.BORROW)


def phase(number: int, source: str, *, ordinal: int = END_OF_BLOCK) -> object:
    return market(number, f'{{"aggregator":{source}}}', ordinal=ordinal, venue_id=FEEDS, market=PROXY, aspect="phase")


def of(source: bytes) -> str:
    return f'"0x{source.hex()}"'


def unit(
    owner: bytes, positions: dict[tuple[bytes, Side], int], settings: dict[tuple[bytes, str], str]
) -> UnitSnapshot:
    return UnitSnapshot(unit_id=owner, owner=owner, positions=positions, settings=settings)


def test_what_sources_said_lately_is_the_last_of_each_minute_and_the_one_before_the_window(store: Store) -> None:
    """Answers are dated by their own times, which need not be those of their blocks."""
    start = block(1).time
    said = [
        price(number, number, source=source)._replace(updated_at=start + second)
        for number, source, second in (
            (2, SOURCE, -3 * 86_400 - 3600),
            (3, SOURCE, -4000),
            (4, SOURCE, -3900),
            (5, SOURCE, 0),
            (6, SOURCE, 1),
            (7, SECOND, 1),
            (8, SOURCE, 9 * 86_400),
        )
    ]
    append(store, batch(1, 9, Rows(prices=said)))
    at = block(8)
    window_s = at.time - start + 3000

    with store.reading() as reader:
        found = reader.recent_answers(CHAIN, at, [SOURCE], window_s)
        earlier = reader.recent_answers(CHAIN, block(4), [SOURCE, SECOND], window_s)

    assert start % 60 < 59
    assert [answer.answer_raw for answer in found[SOURCE]] == [4, 6]
    assert (found[SOURCE][1].updated_at, found[SOURCE][1].block) == (start + 1, 6)
    assert SECOND not in found
    assert [answer.answer_raw for answer in earlier[SOURCE]] == [4]


def test_positions_of_which_few_changed_since_are_read_from_tips_alike(store: Store) -> None:
    owners = [bytes([n]) * 20 for n in range(1, 9)]
    held = [
        position(2 + n % 3, n, ordinal=n, owner=owner, side=side) for n, owner in enumerate(owners) for side in Side
    ]
    later = [position(8, 70, owner=owners[0]), position(7, 71, owner=owners[3]), position(8, 1, owner=OTHER)]
    append(store, batch(1, 9, Rows(positions=held + later)))

    with store.reading() as reader:
        for number in range(1, 9):
            by_tips, by_journal = (as_of(reader._con, CHAIN, block(number), tips=tips) for tips in (True, False))
            assert _few_since(by_tips, VENUE) == (number >= 4)
            assert unit_snapshots(by_tips, VENUE) == unit_snapshots(by_journal, VENUE)
        now = unit_snapshots(as_of(reader._con, CHAIN, block(8)), VENUE)
        (last,) = [each for each in now if each.owner == owners[1]]
        assert list(last.positions) == [BORROW, SUPPLY]


def test_each_unit_is_owned_by_whom_its_last_row_names_whether_or_not_it_is_named_after_him(store: Store) -> None:
    first, second, third = (bytes([n]) * 20 for n in (1, 2, 3))
    rows = [
        position(2, 20, owner=first),
        position(3, 30, owner=second),
        position(4, 40, owner=third)._replace(unit_id=first),
        position(5, 50, owner=first),
        position(6, 60, owner=third)._replace(unit_id=second),
    ]
    append(store, batch(1, 9, Rows(positions=rows)))
    owners = {3: (first, second), 4: (third, second), 5: (first, second), 6: (first, third)}

    with store.reading() as reader:
        for number, wanted in owners.items():
            at = as_of(reader._con, CHAIN, block(number), tips=False)
            for since in (False, True):
                some = replace(at, since=since)
                assert tuple(unit.owner for unit in unit_snapshots(some, VENUE)) == wanted
                assert tuple(unit.owner for unit in unit_snapshots(some, VENUE, units=[first, second])) == wanted


def test_a_venue_at_a_block_is_made_of_the_last_rows_until_then(store: Store) -> None:
    markets = [
        market(2, "a", ordinal=3),
        market(4, "b", ordinal=1),
        market(4, "c", ordinal=2),
        market(4, "t", aspect="terms"),
        market(7, "d"),
        market(2, "elsewhere", venue_id="another"),
        phase(3, of(SOURCE)),
        phase(6, of(SECOND)),
    ]
    prices = [
        price(2, 20, ordinal=START_OF_BLOCK, source=SOURCE),
        price(5, 50, source=SOURCE),
        price(6, -1, source=SECOND),
    ]
    append(store, batch(1, 9, Rows(markets=markets, prices=prices)))  # type: ignore[arg-type]

    with store.reading() as reader:
        at_3, at_5, at_9 = (reader.venue_snapshot(SPEC, block(n)) for n in (3, 5, 9))

    assert at_3 == VenueSnapshot(
        venue=SPEC,
        at=block(3),
        markets={(MARKET, "reserve"): "a"},
        feeds={PROXY: f'{{"aggregator":{of(SOURCE)}}}'},
        answers={SOURCE: PriceAnswer(20, 2, 1_024, 2)},
    )
    assert at_5.markets == {(MARKET, "reserve"): "c", (MARKET, "terms"): "t"}
    assert at_5.answers == {SOURCE: PriceAnswer(50, 5, 1_060, 5)}
    assert at_9.markets == {(MARKET, "reserve"): "d", (MARKET, "terms"): "t"}
    assert at_9.feeds == {PROXY: f'{{"aggregator":{of(SECOND)}}}'}
    assert at_9.answers == {SOURCE: PriceAnswer(50, 5, 1_060, 5), SECOND: PriceAnswer(-1, 6, 1_072, 6)}


def test_an_answer_has_the_confidence_that_was_given_with_it_and_no_older_one(store: Store) -> None:
    prices = [
        price(2, 20, source=SOURCE, confidence_raw=3),
        price(3, 30, source=SECOND),
        price(6, 60, source=SOURCE),
        price(6, 61, source=SECOND, confidence_raw=0),
    ]
    append(store, batch(1, 9, Rows(prices=prices)))

    with store.reading() as reader:
        for at_3, at_9 in [(reader.answers(CHAIN, block(3)), reader.answers(CHAIN, block(9)))]:
            assert at_3 == {SOURCE: PriceAnswer(20, 2, 1_024, 2, 3), SECOND: PriceAnswer(30, 3, 1_036, 3, None)}
            assert at_9 == {SOURCE: PriceAnswer(60, 6, 1_072, 6, None), SECOND: PriceAnswer(61, 6, 1_072, 6, 0)}
    append(store, batch(10, 11))
    with store.reading() as reader:
        assert reader.answers(CHAIN, block(9)) == reader.answers(CHAIN, block(11)) == at_9


def test_what_holds_from_the_start_of_a_block_gives_way_to_its_first_log(store: Store) -> None:
    prices = [price(4, 41, ordinal=0, source=SOURCE), price(4, 40, ordinal=START_OF_BLOCK, source=SOURCE)]
    append(store, batch(1, 5, Rows(prices=prices)))

    with store.reading() as reader:
        assert reader.answers(CHAIN, block(4))[SOURCE].answer_raw == 41
        assert reader.answers(CHAIN, block(5))[SOURCE].answer_raw == 41


def test_what_was_read_after_a_block_outlasts_its_logs_and_gives_way_to_the_next_block(store: Store) -> None:
    rows = [
        market(4, "read", ordinal=END_OF_BLOCK),
        market(4, "log", ordinal=900),
        market(5, "next", ordinal=START_OF_BLOCK),
    ]
    append(store, batch(1, 9, Rows(markets=rows)))

    with store.reading() as reader:
        assert reader.venue_snapshot(SPEC, block(4)).markets == {(MARKET, "reserve"): "read"}
        assert reader.venue_snapshot(SPEC, block(5)).markets == {(MARKET, "reserve"): "next"}


def test_units_at_a_block_hold_positions_and_settings(store: Store) -> None:
    positions = [position(2, 5), position(4, 7), position(4, 3, side=Side.BORROW), position(5, 9, owner=OTHER)]
    accounts = [setting(2, "true"), setting(6, "false"), setting(3, "1", aspect="emode", market=b"")]
    append(store, batch(1, 9, Rows(positions=positions, accounts=accounts)))

    with store.reading() as reader:
        at_3, at_9 = (reader.unit_snapshots(SPEC, block(n)) for n in (3, 9))

    assert at_3 == [unit(OWNER, {SUPPLY: 5}, {(MARKET, "collateral"): "true", (b"", "emode"): "1"})]
    assert at_9 == [
        unit(OWNER, {SUPPLY: 7, BORROW: 3}, {(MARKET, "collateral"): "false", (b"", "emode"): "1"}),
        unit(OTHER, {SUPPLY: 9}, {}),
    ]


def test_a_closed_position_is_left_out_and_its_unit_is_not(store: Store) -> None:
    append(store, batch(1, 9, Rows(positions=[position(2, 5), position(4, 0)])))

    with store.reading() as reader:
        assert reader.unit_snapshots(SPEC, block(9)) == [unit(OWNER, {}, {})]
        assert reader.owners(SPEC, block(9)) == [OWNER]


def test_one_owner_or_one_unit_can_be_asked_for(store: Store) -> None:
    sub_account = position(3, 8)._replace(unit_id=b"\x01" * 21)
    append(store, batch(1, 9, Rows(positions=[position(2, 5), sub_account, position(4, 9, owner=OTHER)])))

    with store.reading() as reader:
        for at in (block(5), block(9)):
            owned = reader.unit_snapshots(SPEC, at, owner=OWNER)
            assert [(found.unit_id, found.positions) for found in owned] == [
                (b"\x01" * 21, {SUPPLY: 8}),
                (OWNER, {SUPPLY: 5}),
            ]
            assert reader.unit_snapshots(SPEC, at, units=[OTHER]) == [unit(OTHER, {SUPPLY: 9}, {})]
            assert reader.unit_snapshots(SPEC, at, owner=b"\x99" * 20) == []
            assert reader.owners(SPEC, at) == [OWNER, OTHER]


def test_units_and_owners_of_one_tag_are_told_apart(store: Store) -> None:
    alike, short, none = b"\x77" * 16 + OWNER[-4:], OWNER[-1:], b""
    assert tag_of(alike) == tag_of(OWNER)
    names = (OWNER, alike, short, none)
    rows = [position(2, 5 + place, owner=name) for place, name in enumerate(names)]
    append(store, batch(1, 9, Rows(positions=rows, accounts=[setting(2, "true", owner=name) for name in names])))

    with store.reading() as reader:
        for at in (block(5), block(9)):
            for place, name in enumerate(names):
                held = unit(name, {SUPPLY: 5 + place}, {(MARKET, "collateral"): "true"})
                assert reader.unit_snapshots(SPEC, at, units=[name]) == [held]
                assert reader.unit_snapshots(SPEC, at, owner=name) == [held]
            assert len(reader.unit_snapshots(SPEC, at, units=names)) == len(names)


def test_many_units_and_owners_are_found_as_few_are(store: Store) -> None:
    names = sorted(bytes([number]) * 20 for number in range(FEW + 1))
    append(store, batch(1, 9, Rows(positions=[position(2, 5, owner=name) for name in names])))

    with store.reading() as reader:
        for at in (block(5), block(9)):
            for some in (names, names[: FEW - 1], []):
                wanted = [unit(name, {SUPPLY: 5}, {}) for name in some]
                assert reader.unit_snapshots(SPEC, at, units=some) == wanted
                assert reader.unit_snapshots(SPEC, at, owners=some) == wanted


def test_a_unit_that_comes_back_to_itself_is_its_own(store: Store) -> None:
    rows = [position(2, 5), position(4, 6)._replace(owner=OTHER), position(6, 7)]
    append(store, batch(1, 9, Rows(positions=rows)))

    with store.reading() as reader:
        found = {at: reader.unit_snapshots(SPEC, block(at)) for at in (3, 5, 7, 9)}
    assert {at: units[0].owner for at, units in found.items()} == {3: OWNER, 5: OTHER, 7: OWNER, 9: OWNER}


def test_a_unit_belongs_to_whom_its_last_row_names(store: Store) -> None:
    handed_over = setting(5, "true", owner=OTHER)._replace(unit_id=OWNER)
    append(store, batch(1, 9, Rows(positions=[position(2, 5)], accounts=[handed_over])))

    with store.reading() as reader:
        assert [found.owner for found in reader.unit_snapshots(SPEC, block(4))] == [OWNER]
        assert reader.owners(SPEC, block(4)) == [OWNER]
        for at in (block(6), block(9)):
            assert reader.unit_snapshots(SPEC, at, owner=OWNER) == []
            assert [found.positions for found in reader.unit_snapshots(SPEC, at, owner=OTHER)] == [{SUPPLY: 5}]
            assert reader.owners(SPEC, at) == [OTHER]


def test_a_feed_answers_with_what_its_source_of_the_moment_said(store: Store) -> None:
    markets = [phase(2, of(SOURCE)), phase(5, of(SECOND)), phase(7, "null")]
    append(store, batch(1, 9, Rows(markets=markets, prices=[price(3, 30, source=SOURCE)])))  # type: ignore[arg-type]

    with store.reading() as reader:
        asked = [reader.feed_answer(CHAIN, PROXY, block(n)) for n in (1, 4, 6, 8)]

    assert asked == [
        None,
        (f'{{"aggregator":{of(SOURCE)}}}', PriceAnswer(30, 3, 1_036, 3)),
        (f'{{"aggregator":{of(SECOND)}}}', None),
        ('{"aggregator":null}', None),
    ]
