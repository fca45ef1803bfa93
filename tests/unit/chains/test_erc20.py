"""What tokens say of themselves, and what some of them say instead."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from chains.evm.erc20 import decimals_of, symbol_of
from chains.evm.ports import PENDING, Answer


def text(raw: bytes) -> bytes:
    return encode(["bytes"], [raw])


@pytest.mark.parametrize(
    "output, symbol",
    [
        (text(b"USDC"), "USDC"),
        (text("₮".encode()), "₮"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (text(b"\xff\xfeA"), "\ufffd\ufffdA"),
        (text(b"x" * 64), "x" * 64),
        (text(b"x" * 65), None),
        (text(b""), None),
        (b"", None),
        (b"\0" * 32, None),
        (b"\x01" * 31, None),
        (b"\xff" * 96, None),
    ],
)
def test_a_symbol_is_a_string_or_the_word_of_older_tokens(output: bytes, symbol: str | None) -> None:
    assert symbol_of(Answer("returned", output)) == symbol


@pytest.mark.parametrize(
    "output, decimals",
    [
        (encode(["uint8"], [6]), 6),
        (encode(["uint8"], [0]), 0),
        (encode(["uint256"], [255]), 255),
        (encode(["uint256"], [256]), None),
        (b"\xff" * 32, None),
        (b"\x06", None),
        (b"", None),
    ],
)
def test_decimals_are_one_byte(output: bytes, decimals: int | None) -> None:
    assert decimals_of(Answer("returned", output)) == decimals


@pytest.mark.parametrize("answer", [Answer("reverted", encode(["uint8"], [6])), PENDING])
def test_a_token_that_does_not_answer_says_nothing(answer: Answer) -> None:
    assert (decimals_of(answer), symbol_of(answer)) == (None, None)
