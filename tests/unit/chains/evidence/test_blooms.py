"""A filter never denies what is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chains.evm.evidence.blooms import NOTHING, bloom_of, holding, holds, rows

VALUES = st.binary(min_size=20, max_size=32)


def test_a_value_sets_the_three_bits_that_the_yellow_paper_says() -> None:
    address = bytes.fromhex("095e7baea6a6c7c4c2dfeb977efac326af552d87")

    bloom = bloom_of([address])

    # keccak(address) begins with 0xff1b 0x4fa8 … : its first three pairs of bytes, modulo 2048, are the bits counted from the right.
    assert sum(byte.bit_count() for byte in bloom) == 3
    assert holds(bloom, address)


@given(values=st.lists(VALUES, max_size=40), others=st.lists(VALUES, min_size=1, max_size=10))
def test_what_is_there_is_never_denied_and_many_filters_say_what_each_says(
    values: list[bytes], others: list[bytes]
) -> None:
    bloom = bloom_of(values)

    assert all(holds(bloom, value) for value in values)
    asked = [*values, *others]
    assert holding(rows([bloom, NOTHING]), asked).tolist() == [
        [holds(bloom, value) for value in asked],
        [False] * len(asked),
    ]
