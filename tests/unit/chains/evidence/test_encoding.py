"""What Ethereum hashes is encoded as Ethereum does it."""

from __future__ import annotations

import pytest
import rlp  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from chains.evm.evidence.rlp import Item, encode, whole
from chains.evm.evidence.trie import EMPTY_ROOT, list_root

ITEMS = st.recursive(st.binary(max_size=300), lambda inner: st.lists(inner, max_size=20), max_leaves=60)


@given(item=ITEMS)
def test_items_are_encoded_as_another_encoder_does_it(item: Item) -> None:
    assert encode(item) == rlp.encode(item)


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 70_000])
def test_lengths_at_every_edge_are_encoded_as_another_encoder_does_it(size: int) -> None:
    assert encode(b"\x80" * size) == rlp.encode(b"\x80" * size)
    assert encode([b"\x01"] * size) == rlp.encode([b"\x01"] * size)


@pytest.mark.parametrize("number, expected", [(0, b""), (1, b"\x01"), (255, b"\xff"), (256, b"\x01\x00")])
def test_a_number_is_as_short_as_it_can_be(number: int, expected: bytes) -> None:
    assert whole(number) == expected


def test_a_list_of_nothing_has_the_root_that_every_empty_block_has() -> None:
    expected = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"

    assert list_root([]).hex() == expected
    assert expected == EMPTY_ROOT.hex()


@given(values=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=300), data=st.data())
def test_another_value_or_order_has_another_root(values: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    changed = [*values[:place], values[place] + b"\x01", *values[place + 1 :]]

    assert list_root(changed) != list_root(values)
    assert list_root(values[:place]) != list_root(values)
    if values != values[::-1]:
        assert list_root(values[::-1]) != list_root(values)
