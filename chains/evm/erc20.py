"""What an ERC-20 says of itself, as far as it says it: anybody may deploy one, so nothing in an answer is trusted."""

from __future__ import annotations

from chains.evm.abi import Function
from chains.evm.ports import Answer, Reads

DECIMALS = Function("decimals()", "uint8")
SYMBOL = Function("symbol()", "bytes")
"""A `string` on the wire is the same as `bytes`, and need not be UTF-8."""

BALANCE_OF = Function("balanceOf(address)", "uint256")

LONGEST_SYMBOL = 64
"""Characters; a longer text is no symbol."""

_WORD = 32


def decimals_of(answer: Answer) -> int | None:
    """Return the decimals of an answer to `decimals()`, or `None` where it tells none."""
    values = DECIMALS.result(answer.output) if answer.returned else None
    return values[0] if values else None


def symbol_of(answer: Answer) -> str | None:
    """Return the text of an answer to `symbol()`, a string or the bytes32 of older tokens, or `None` where it tells none."""
    raw = _text(answer.output) if answer.returned else b""
    text = raw.rstrip(b"\0").decode("utf-8", "replace")
    return text if 0 < len(text) <= LONGEST_SYMBOL else None


def asked(token: bytes, block: int, reads: Reads) -> tuple[int | None, str | None]:
    """Ask a token for its decimals and its symbol; neither means anything while `reads` lacks an answer."""
    decimals = decimals_of(reads(block, token, DECIMALS.calldata()))
    return decimals, symbol_of(reads(block, token, SYMBOL.calldata()))


def _text(output: bytes) -> bytes:
    if len(output) == _WORD:
        return output
    values = SYMBOL.result(output)
    return values[0] if values else b""
