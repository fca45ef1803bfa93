"""Base58 of any bytes, as instruction data is written on this chain."""

from __future__ import annotations

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
VALUES = {letter: value for value, letter in enumerate(ALPHABET)}


def encode(plain: bytes) -> str:
    """Base58 without a checksum."""
    number = int.from_bytes(plain, "big")
    letters = []
    while number:
        number, digit = divmod(number, 58)
        letters.append(ALPHABET[digit])
    zeros = len(plain) - len(plain.lstrip(b"\0"))
    return ALPHABET[0] * zeros + "".join(reversed(letters))


def decode(text: str) -> bytes:
    """The bytes behind base58. Raises ValueError for a letter outside the alphabet."""
    number = 0
    for letter in text:
        if letter not in VALUES:
            raise ValueError(f"{letter!r} is not in the base58 alphabet")
        number = number * 58 + VALUES[letter]
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
