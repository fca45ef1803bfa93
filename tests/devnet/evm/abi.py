"""Calls written as Solidity signatures, encoded and decoded."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from eth_abi.abi import decode as decode_words
from eth_abi.abi import encode as encode_words
from eth_utils.crypto import keccak

Signature: TypeAlias = str


def calldata(signature: Signature, *arguments: Any) -> str:
    """Hex of a call such as `calldata("transfer(address,uint256)", to, amount)`."""
    return "0x" + (selector(signature) + encode_words(parameter_types(signature), arguments)).hex()


def creation(bytecode: str, types: Sequence[str] = (), arguments: Sequence[Any] = ()) -> str:
    """Hex of a contract's creation code with its constructor's arguments."""
    return bytecode + encode_words(types, arguments).hex()


def decode(types: Sequence[str], answer: str) -> tuple[Any, ...]:
    """The values in a hex answer. Raises ValueError when the answer is empty."""
    if answer == "0x":
        raise ValueError("no contract answered")
    return decode_words(types, bytes.fromhex(answer[2:]))


@cache
def selector(signature: Signature) -> bytes:
    """The first four bytes of the signature's hash."""
    return keccak(text=signature)[:4]


@cache
def topic(signature: Signature) -> str:
    """The hash by which an event's logs are found."""
    return "0x" + keccak(text=signature).hex()


@cache
def parameter_types(signature: Signature) -> tuple[str, ...]:
    """The types at the outer level of `name(type,(type,type)[],…)`."""
    inner = signature[signature.index("(") + 1 : -1]
    types: list[str] = []
    depth, start = 0, 0
    for position, letter in enumerate(inner):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            types.append(inner[start:position])
            start = position + 1
    return (*types, inner[start:]) if inner else ()
