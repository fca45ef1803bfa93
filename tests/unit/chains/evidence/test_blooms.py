"""A filter never denies what is there."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from chains.evm.evidence.blooms import NOTHING, SIZE, holding, mask

VALUES = st.binary(min_size=20, max_size=32)


def test_a_value_sets_the_three_bits_that_its_hash_names() -> None:
    empty_account = bytes(20)

    # keccak of twenty zero bytes begins with 5380 c7b7 ae81; modulo 2048 these are the bits 896, 1975 and 1665, counted from the right.
    assert int.from_bytes(bloom_of([empty_account])) == 1 << 896 | 1 << 1975 | 1 << 1665


@given(values=st.lists(VALUES, max_size=40), others=st.lists(VALUES, max_size=10))
def test_what_is_there_is_never_denied(values: list[bytes], others: list[bytes]) -> None:
    bloom = bloom_of(values)

    assert holding(bloom, values) == values
    assert set(holding(bloom, [*values, *others])) >= set(values)


@given(others=st.lists(VALUES, max_size=10))
def test_an_empty_filter_holds_nothing(others: list[bytes]) -> None:
    assert holding(NOTHING, others) == []


def bloom_of(values: Iterable[bytes]) -> bytes:
    """The filter that holds these values and no others."""
    bits = 0
    for value in values:
        bits |= mask(value)
    return bits.to_bytes(SIZE)
