"""Updates of Hermes: one of mainnet as its guardians signed it, and every way in which one is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from chains.model import GuardianSet
from chains.pyth.guardians import quorum, verified
from chains.pyth.secp256k1 import N, signer
from chains.pyth.update import BadUpdate, PriceMessage, update
from tests.support.hermes import GUARDIANS, OTHERS, Price, Signing, encoded, signing

GOLDEN = Path(__file__).parents[3] / "golden" / "pyth"
SOL = bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d")
ETH = bytes.fromhex("ff61491a931112ddf1bd8147cd1b641375f79f5825126d665480874634fd0ace")
PRICES = [
    Price(feed_id=feed, price=10**10 + at, publish_time=1_700_000_000) for at, feed in enumerate((SOL, ETH, SOL[::-1]))
]


def mainnet() -> GuardianSet:
    said = json.loads((GOLDEN / "guardians.json").read_text())
    return GuardianSet(said["index"], tuple(bytes.fromhex(address[2:]) for address in said["addresses"]))


def test_a_mainnet_update_is_signed_by_thirteen_of_nineteen_and_says_its_prices() -> None:
    found = verified((GOLDEN / "update-133199159.bin").read_bytes(), (mainnet(),))

    assert (found.slot, len(found.vaa.signatures), found.vaa.guardian_set) == (133_199_159, 13, 3)
    assert found.prices == (
        PriceMessage(SOL, 17_489_928_876, 17_071_123, -8, 1_712_327_565, 1_712_327_564, 17_361_167_600, 16_146_890),
        PriceMessage(ETH, 329_081_982_295, 218_848_305, -8, 1_712_327_565, 1_712_327_564, 327_605_620_000, 294_557_340),
    )


def test_no_bit_of_a_mainnet_update_may_change() -> None:
    """But for the minor version and the count of guardians that say the same, each byte decides something."""
    body = (GOLDEN / "update-133199159.bin").read_bytes()
    for at in [*range(5), *range(7, len(body), 97), len(body) - 1]:
        spoiled = bytearray(body)
        spoiled[at] ^= 1
        with pytest.raises(BadUpdate):
            verified(bytes(spoiled), (mainnet(),))


def test_an_update_of_another_encoder_says_what_was_put_in() -> None:
    found = verified(encoded(PRICES, slot=5), (GUARDIANS,))

    assert found.slot == 5
    assert [(each.feed_id, each.price, each.exponent) for each in found.prices] == [
        (price.feed_id, price.price, -8) for price in PRICES
    ]


@pytest.mark.parametrize(
    "wrong, code",
    [
        (signing(places=tuple(range(12))), "no_quorum"),
        (signing(places=(*range(12), 11)), "wrong_signature"),
        (signing(places=(1, 0, *range(2, 13))), "wrong_signature"),
        (signing(keys=tuple(OTHERS)), "wrong_signature"),
        (signing(guardian_set=6), "wrong_guardian_set"),
        (signing(emitter=bytes(32)), "wrong_emitter"),
        (signing(emitter_chain=1), "wrong_emitter"),
    ],
)
def test_what_pyth_and_a_quorum_of_guardians_did_not_sign_is_refused_by_name(wrong: Signing, code: str) -> None:
    with pytest.raises(BadUpdate) as refused:
        verified(encoded(PRICES, slot=5, signing=wrong), (GUARDIANS,))

    assert refused.value.code == code


def test_a_price_that_is_not_under_the_signed_root_is_refused() -> None:
    with pytest.raises(BadUpdate, match="broken_merkle_path: the path of price 2 does not lead to the signed root"):
        verified(encoded(PRICES, slot=5, spoil=1), (GUARDIANS,))


def test_a_price_put_in_the_place_of_another_is_refused() -> None:
    right = encoded(PRICES, slot=5)
    message = PRICES[0].message()
    forged = right.replace(message, message[:33] + (1).to_bytes(8, "big") + message[41:])

    assert forged != right
    with pytest.raises(BadUpdate, match="broken_merkle_path"):
        verified(forged, (GUARDIANS,))


def test_a_guardian_set_signs_nothing_after_its_end() -> None:
    body = encoded(PRICES, slot=5)

    assert verified(body, (GUARDIANS._replace(until=1_700_000_000),)).slot == 5
    with pytest.raises(BadUpdate, match="wrong_guardian_set: guardian set 7 signs nothing after 1699999999"):
        verified(body, (GUARDIANS._replace(until=1_699_999_999),))


def test_a_guardian_set_that_ended_cannot_date_its_signatures_back() -> None:
    """Whoever holds the keys of a replaced set writes the time of the message, too."""
    later = Price(feed_id=b"\2" * 32, price=666, publish_time=1_700_000_600)
    body = encoded([*PRICES, later], slot=5)

    assert update(body).vaa.timestamp == 1_700_000_000
    with pytest.raises(BadUpdate, match="wrong_guardian_set: guardian set 7 signs nothing after 1700000000"):
        verified(body, (GUARDIANS._replace(until=1_700_000_000),))


def test_without_guardians_the_emitter_and_the_paths_are_checked_all_the_same() -> None:
    assert verified(encoded(PRICES, slot=5, signing=signing(places=())), ()).slot == 5
    with pytest.raises(BadUpdate, match="broken_merkle_path"):
        verified(encoded(PRICES, slot=5, spoil=0), ())


@pytest.mark.parametrize("length", [0, 3, 6, 7, 9, 40, 200, 1_000, 1_300])
def test_an_update_that_is_cut_off_is_malformed(length: int) -> None:
    with pytest.raises(BadUpdate, match="malformed"):
        verified(encoded(PRICES, slot=5)[:length], (GUARDIANS,))


def test_bytes_behind_the_last_price_are_malformed() -> None:
    with pytest.raises(BadUpdate, match="1 bytes stand behind its last price"):
        verified(encoded(PRICES, slot=5) + b"\0", (GUARDIANS,))


def test_quorum_is_more_than_two_thirds() -> None:
    assert [quorum(count) for count in (1, 2, 3, 4, 18, 19)] == [1, 2, 3, 3, 13, 13]


@pytest.mark.parametrize("number", range(12))
def test_the_signer_is_the_one_that_another_library_says(number: int) -> None:
    key, digest = PrivateKey(keccak(text=f"key {number}")), keccak(text=f"message {number}")
    signed = key.sign_msg_hash(digest)

    assert signer(digest, signed.r, signed.s, signed.v) == key.public_key.to_canonical_address()
    other = signer(digest, signed.r, signed.s, 1 - signed.v)
    assert other == signature_of(signed.r, signed.s, 1 - signed.v, digest)


def signature_of(r: int, s: int, v: int, digest: bytes) -> bytes:
    from eth_keys.datatypes import Signature  # noqa: PLC0415 - of this check alone

    return bytes(Signature(vrs=(v, r, s)).recover_public_key_from_msg_hash(digest).to_canonical_address())


@pytest.mark.parametrize("r, s, recovery", [(0, 1, 0), (1, 0, 0), (N, 1, 0), (1, N, 0), (1, 1, 2), (5, 1, 0)])
def test_what_is_no_signature_has_no_signer(r: int, s: int, recovery: int) -> None:
    """5³ + 7 = 132 has no square root in the field: no point has x = 5."""
    assert signer(bytes(32), r, s, recovery) is None
