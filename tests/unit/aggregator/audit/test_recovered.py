"""The verifier that stands alone finds the signer whom another library finds, whatever it is given."""

from __future__ import annotations

from random import Random

import pytest
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature

from aggregator.audit.price_verifier import G, N, recovered


@pytest.mark.parametrize("number", range(6))
def test_the_signer_is_the_one_that_another_library_says(number: int) -> None:
    rng = Random(number)
    key, digest = PrivateKey(rng.randbytes(32)), rng.randbytes(32)
    signed = key.sign_msg_hash(digest)

    assert recovered(digest, signed.r, signed.s, signed.v) == key.public_key.to_canonical_address()
    assert recovered(digest, signed.r, signed.s, 1 - signed.v) == by_library(digest, signed.r, signed.s, 1 - signed.v)


@pytest.mark.parametrize("s", [1, 2, N - 1, Random(11).randrange(1, N)])
@pytest.mark.parametrize("digest", [bytes(32), b"\xff" * 32, (1).to_bytes(32), (N - 1).to_bytes(32)])
@pytest.mark.parametrize("r", [1, 2, G[0]])
@pytest.mark.parametrize("recovery", [0, 1])
def test_odd_numbers_are_recovered_alike(r: int, s: int, recovery: int, digest: bytes) -> None:
    """Where r is the generator's own x, both points are the same or each other's opposite: sums of them are not like others."""
    assert recovered(digest, r, s, recovery) == by_library(digest, r, s, recovery)


def test_a_sum_that_is_no_point_is_nobodys() -> None:
    r = G[0]
    for s in (5, 6):
        assert recovered(s.to_bytes(32), r, s, G[1] % 2) is None  # s·R - s·G with R = G


@pytest.mark.parametrize(
    "r, s, recovery", [(0, 1, 0), (1, 0, 0), (N, 1, 0), (1, N, 0), (1, 1, 2), (1, 1, 27), (5, 1, 0)]
)
def test_what_is_no_signature_has_no_signer(r: int, s: int, recovery: int) -> None:
    assert recovered(bytes(32), r, s, recovery) is None


def by_library(digest: bytes, r: int, s: int, recovery: int) -> bytes | None:
    try:
        signature = Signature(vrs=(recovery, r, s))
        return bytes(signature.recover_public_key_from_msg_hash(digest).to_canonical_address())
    except (BadSignature, ValueError):
        return None
