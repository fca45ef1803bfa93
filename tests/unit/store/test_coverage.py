"""Evidence takes the place of weaker evidence, and what is known to be wrong stays so until it is proven or mended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chains.completeness import CONTRADICTED, Level, rank
from chains.ports import Covered
from indexer.store.coverage import raised

VENUE = "venue:aave"


def span(first: int, last: int, level: str, evidence: str = "", interest: str = VENUE) -> Covered:
    return Covered(interest=interest, first=first, last=last, level=level, evidence=evidence)


def test_a_proof_of_a_part_is_a_span_of_its_own() -> None:
    assert raised([span(1, 9, "fetched")], [span(3, 5, "proven")]) == [
        span(1, 2, "fetched"),
        span(6, 9, "fetched"),
        span(3, 5, "proven"),
    ]


def test_weaker_evidence_changes_nothing() -> None:
    assert raised([span(1, 9, "proven", "receipts")], [span(3, 5, "bloom")]) == [span(1, 9, "proven", "receipts")]


def test_evidence_as_strong_is_told_in_the_newer_words() -> None:
    assert raised([span(1, 9, "fetched", "why")], [span(1, 9, "fetched", "because")]) == [
        span(1, 9, "fetched", "because")
    ]


def test_nothing_is_covered_that_was_not_taken_in() -> None:
    assert raised([span(3, 5, "fetched")], [span(1, 9, "proven")]) == [span(3, 5, "proven")]
    assert raised([], [span(1, 9, "proven")]) == []


def test_evidence_for_one_interest_is_none_for_another() -> None:
    feeds = span(1, 9, "fetched", interest="feeds")

    assert raised([feeds], [span(1, 9, "proven")]) == [feeds]


def test_spans_that_come_to_one_proof_are_one_row() -> None:
    assert raised([span(1, 4, "fetched"), span(5, 9, "bloom")], [span(1, 9, "totals")]) == [span(1, 9, "totals")]


def test_what_is_contradicted_is_weaker_than_anything_and_stands_until_it_is_proven() -> None:
    wrong = raised([span(1, 9, "totals")], [span(4, 4, CONTRADICTED)])

    assert wrong == [span(4, 4, CONTRADICTED), span(1, 3, "totals"), span(5, 9, "totals")]
    assert raised(wrong, [span(1, 9, "agreed")]) == [
        span(1, 3, "agreed"),
        span(5, 9, "agreed"),
        span(4, 4, CONTRADICTED),
    ]
    assert raised(wrong, [span(1, 9, "proven")]) == [span(1, 9, "proven")]


LEVELS = st.sampled_from([level.value for level in Level])
SPANS = st.lists(
    st.builds(
        lambda first, more, level: span(first, first + more, level), st.integers(1, 30), st.integers(0, 9), LEVELS
    ),
    max_size=6,
)


def best(spans: list[Covered], block: int) -> int:
    return max((rank(s.level) for s in spans if s.first <= block <= s.last), default=-2)


@given(given_=SPANS, cuts=st.lists(LEVELS, min_size=1, max_size=8))
def test_every_block_has_the_better_of_what_it_had_and_what_is_given(given_: list[Covered], cuts: list[str]) -> None:
    before = [span(5 * i, 5 * i + 4, level) for i, level in enumerate(cuts)]

    after = raised(before, given_)

    for block in range(50):
        held = best(before, block)
        assert best(after, block) == (held if held == -2 else max(held, best(given_, block)))
        assert sum(s.first <= block <= s.last for s in after) == (held != -2)
