"""What a node takes in one request is found once, kept to, and tried again after a while."""

from __future__ import annotations

from chains.rpc.limit import Limit


def asked(limit: Limit, most: int, times: int, *, stated: bool = False) -> int:
    """Ask a node that takes up to `most` again and again; returns how often it refused."""
    refusals = 0
    for _ in range(times):
        size = limit.value
        if size <= most:
            limit.succeeded(size)
        else:
            refusals += 1
            limit.refused(size, most if stated else None)
    return refusals


def test_what_goes_well_is_doubled_up_to_the_most() -> None:
    limit = Limit(start=100, most=1_000)
    values = []
    for _ in range(5):
        limit.succeeded(limit.value)
        values.append(limit.value)

    assert values == [200, 400, 800, 1_000, 1_000]


def test_a_small_request_proves_nothing_of_large_ones() -> None:
    limit = Limit(start=1_000, most=8_000)
    limit.succeeded(499)

    assert limit.value == 1_000


def test_a_refusal_halves_and_a_named_limit_is_taken_at_its_word() -> None:
    halved, named = Limit(start=1_000, most=8_000), Limit(start=1_000, most=8_000)
    halved.refused(1_000)
    named.refused(1_000, 800)

    assert (halved.value, named.value) == (500, 800)


def test_a_named_limit_that_is_not_below_what_was_asked_says_nothing() -> None:
    limit = Limit(start=1_000, most=8_000)
    limit.refused(1_000, 1_000)
    assert limit.value == 500
    limit.refused(500, 0)
    assert limit.value == 250


def test_a_limit_that_nobody_names_is_found_to_a_twentieth_by_a_few_refusals() -> None:
    limit = Limit(start=2_000, most=100_000)

    assert asked(limit, 10_000, 40) == 4, "16,000 12,000 11,000 10,500, or fewer"
    assert 9_500 <= limit.value <= 10_000


def test_what_was_named_is_not_asked_for_again_until_patience_ends() -> None:
    limit = Limit(start=2_000, most=100_000, patience=50)

    assert asked(limit, 3_000, 50, stated=True) == 1
    assert asked(limit, 3_000, 50, stated=True) == 1, "tried once more, after 50 requests at the limit"
    assert asked(limit, 3_000, 100, stated=True) == 1, "and then after 100"
    assert limit.value == 3_000


def test_a_provider_that_raises_its_limit_is_found_out() -> None:
    limit = Limit(start=2_000, most=100_000, patience=50)
    asked(limit, 3_000, 20, stated=True)
    asked(limit, 20_000, 80, stated=True)

    assert limit.value == 20_000


def test_a_provider_that_lowers_its_limit_is_followed_at_once() -> None:
    limit = Limit(start=2_000, most=100_000)
    asked(limit, 50_000, 20)
    refusals = asked(limit, 900, 40)

    assert 800 <= limit.value <= 900
    assert refusals <= 10, "from 50,000: halved six times, then narrowed"


def test_refusals_on_their_way_together_count_as_one() -> None:
    limit = Limit(start=2_000, most=100_000)
    asked(limit, 2_000, 1)
    for _ in range(6):
        limit.refused(4_000)

    assert limit.value == 2_000


def test_the_smallest_request_is_never_given_up() -> None:
    limit = Limit(start=1, most=100)
    for _ in range(3):
        limit.refused(1)

    assert limit.value == 1


def test_what_is_refused_is_known_until_it_is_tried_again() -> None:
    limit = Limit(start=2_000, most=100_000, patience=3)
    limit.refused(2_000, 800)
    assert limit.refuses(801)
    assert not limit.refuses(800)
    limit.succeeded(800)
    assert limit.known(800)
    assert not limit.known(801)
    asked(limit, 800, 2, stated=True)

    assert limit.value == 801
    assert not limit.refuses(801), "it is to be asked"
