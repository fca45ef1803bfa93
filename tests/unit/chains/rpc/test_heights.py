"""Who lags is known by what others said earlier."""

from __future__ import annotations

from chains.rpc.heights import LAG_BLOCKS, LAG_S, Heights, lags


def heights(*said: tuple[int, float]) -> Heights:
    known = Heights()
    for height, now in said:
        known.told(height, now)
    return known


def test_nothing_is_known_of_a_node_that_was_never_asked() -> None:
    assert Heights().newest == -1
    assert Heights().since(0) is None


def test_a_height_is_reached_since_it_was_first_told_or_passed() -> None:
    known = heights((10, 0), (20, 5), (20, 6), (30, 9))

    assert [known.since(height) for height in (10, 11, 20, 25, 31)] == [0, 5, 5, 9, None]


def test_a_node_that_goes_back_has_not_reached_what_it_left() -> None:
    known = heights((10, 0), (20, 5), (12, 6))

    assert known.newest == 12
    assert [known.since(height) for height in (10, 12, 13)] == [0, 6, None]


def test_a_block_that_is_not_there_lowers_what_is_known() -> None:
    known = heights((20, 5))
    known.lacks(18, 6)
    assert known.newest == 17
    known.lacks(30, 7)

    assert known.newest == 17


def test_only_many_blocks_for_long_are_a_lag() -> None:
    other = heights((100, 0), (104, 50))
    far = 104 - LAG_BLOCKS - 1

    assert lags(far, [other], 50 + LAG_S)
    assert not lags(far + 1, [other], 50 + LAG_S), "few blocks"
    assert not lags(far, [other], 50 + LAG_S - 1), "for a moment"
    assert not lags(far, [], 1e9), "behind nobody"


def test_where_several_are_asked_one_alone_does_not_tell_how_far_the_chain_is() -> None:
    boaster, others = heights((10**9, 0)), [heights((101, 0)), heights((100, 0))]

    assert not lags(100, [boaster, *others], 100)
    assert lags(90, [boaster, *others], 100)


def test_old_rises_are_forgotten_to_the_side_of_no_lag() -> None:
    known = heights(*((height, float(height)) for height in range(1_000)))

    assert known.since(5) == 1_000 - 64
