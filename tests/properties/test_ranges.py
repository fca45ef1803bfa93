"""Whatever limits nodes have and change to, requests for logs stay within bounds and find them.

R1 a width is always from one block to the most
R2 a refusal never widens, and what was refused is not asked for next
R3 a limit that a node names is kept to at once, and met but once until it is tried again
R4 a limit that no node names is found to a twentieth by a bounded number of refusals
R5 a limit that is raised or lowered is found again
R6 answers settle at as many logs as are wanted, and never hold twice as many for long
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chains.evm.ranges import Ranges
from chains.rpc.limit import PATIENCE

MOST = 100_000
NODE = "node 1"

limits = st.integers(1, 2 * MOST)
starts = st.integers(1, MOST)


def asked(ranges: Ranges, limit: int, times: int, *, named: bool, logs_per_block: float = 0.0) -> list[bool]:
    """Ask a node that takes so many blocks; returns for each request whether it was refused."""
    refused = []
    for _ in range(times):
        width = ranges.width()
        refused.append(width > limit)
        if width > limit:
            ranges.refused(width, limit if named else None, lasting=True, node=NODE)
        else:
            ranges.succeeded(width, int(width * logs_per_block), NODE)
    return refused


reports = st.lists(
    st.one_of(
        st.tuples(st.just("succeeded"), st.integers(1, MOST), st.integers(0, 10**6), st.sampled_from(["a", "b", None])),
        st.tuples(
            st.just("lasting"), st.integers(1, MOST), st.none() | st.integers(-5, MOST), st.sampled_from(["a", "b"])
        ),
        st.tuples(
            st.just("passing"), st.integers(1, MOST), st.none() | st.integers(-5, MOST), st.sampled_from(["a", None])
        ),
        st.tuples(st.just("results"), st.integers(1, MOST), st.integers(1, 10**5), st.sampled_from(["a", "b"])),
    ),
    max_size=60,
)


@given(starts, reports)
def test_r1_a_width_is_always_from_one_block_to_the_most(
    start: int, told: list[tuple[str, int, int | None, str | None]]
) -> None:
    ranges = Ranges(start=start, most=MOST)
    for kind, width, number, node in told:
        match kind:
            case "succeeded":
                ranges.succeeded(width, number or 0, node)
            case "results":
                ranges.refused(width, results=number, node=node)
            case _:
                ranges.refused(width, number, lasting=kind == "lasting", node=node)
        assert 1 <= ranges.width() <= MOST


@given(
    start=starts,
    limit=limits,
    before=st.integers(0, 30),
    said=st.none() | st.integers(1, MOST),
    lasting=st.booleans(),
)
def test_r2_a_refusal_never_widens(*, start: int, limit: int, before: int, said: int | None, lasting: bool) -> None:
    ranges = Ranges(start=start, most=MOST)
    asked(ranges, limit, before, named=False)
    width = ranges.width()
    ranges.refused(width, said, lasting=lasting, node=NODE)

    assert ranges.width() < width or width == 1


@given(starts, limits)
def test_r3_a_limit_that_is_named_is_kept_to_at_once(start: int, limit: int) -> None:
    ranges = Ranges(start=start, most=MOST)
    refused = asked(ranges, limit, PATIENCE, named=True)

    assert sum(refused) <= 1
    if any(refused):
        assert ranges.width() == limit


@given(starts, limits)
def test_r4_a_limit_that_is_not_named_is_found_by_a_few_refusals(start: int, limit: int) -> None:
    ranges = Ranges(start=start, most=MOST)
    refused = asked(ranges, limit, 60, named=False)

    assert sum(refused) <= 24, "17 to halve 100,000 to 1, or 5 to narrow a gap to a twentieth, or some of both"
    assert not any(refused[-10:])
    assert ranges.width() <= limit
    assert ranges.width() >= min(MOST, limit) * 0.94 - 1


@given(start=starts, limit=limits, later=limits, named=st.booleans())
def test_r5_a_limit_that_changes_is_found_again(*, start: int, limit: int, later: int, named: bool) -> None:
    ranges = Ranges(start=start, most=MOST, patience=10)
    asked(ranges, limit, 100, named=named)
    asked(ranges, later, 600, named=named)

    assert ranges.width() >= min(MOST, later) * 0.94 - 1


@given(starts, st.floats(0.001, 5_000), st.integers(1_000, 50_000))
def test_r6_answers_settle_at_as_many_logs_as_are_wanted(start: int, logs_per_block: float, target: int) -> None:
    ranges = Ranges(start=start, most=MOST, target=target)
    asked(ranges, MOST, 40, named=False, logs_per_block=logs_per_block)
    held = ranges.width() * logs_per_block

    assert held <= 2 * target or ranges.width() == 1
    assert held >= target / 4 or ranges.width() == MOST or logs_per_block > target / 4
