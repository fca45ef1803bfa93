"""Documents of liabilities: what is one, what is not, and who signed it."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aggregator.margin.liabilities import (
    MalformedLiabilities,
    keys_of,
    parse_envelope,
    parse_key,
    parse_statement,
    signed,
    verified,
)
from chains.identifiers import parse_account
from tests.unit.aggregator.builders import SIGNER, SOLANA, escrow

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ALICE, BOB = f"eip155:1:0x{'a1' * 20}", f"eip155:1:0x{'b0' * 20}"
CLAIM = {
    "account": ALICE,
    "initial_requirement_usd": "1500.00",
    "maintenance_requirement_usd": "900",
    "pnl_usd": "-12.5",
}
DOCUMENT = {"version": 1, "venue": "perp-vault", "as_of": "2026-01-31T12:00:00Z", "accounts": [CLAIM]}
CANONICAL = (
    f'{{"accounts":[{{"account":"{ALICE}","initial_requirement_usd":"1500.00",'
    '"maintenance_requirement_usd":"900","pnl_usd":"-12.5"}],'
    '"as_of":"2026-01-31T12:00:00Z","venue":"perp-vault","version":1}'
)


def envelope(**changes: Any) -> str:
    return json.dumps(signed(parse_statement(json.dumps(DOCUMENT)), PRIVATE) | changes)


def test_a_document_says_when_and_of_whom_what_is_required() -> None:
    statement = parse_statement(json.dumps(DOCUMENT))

    assert (statement.venue, statement.as_of) == ("perp-vault", 1_769_860_800)
    (claim,) = statement.claims
    assert claim.account == parse_account(ALICE)
    assert (claim.initial_requirement_usd, claim.maintenance_requirement_usd) == (Decimal(1500), Decimal(900))
    assert claim.pnl_usd == Decimal("-12.5")
    assert str(claim.pnl_usd) == "-12.50000000"


def test_what_is_signed_begins_with_words_of_its_own_and_is_canonical() -> None:
    """However the document was spaced and ordered."""
    spread = json.dumps(dict(reversed(DOCUMENT.items())), indent=4)

    statement = parse_statement(spread)

    assert statement.message == b"crossmargin liabilities v1\n" + CANONICAL.encode()
    assert statement.digest == f"sha256:{hashlib.sha256(CANONICAL.encode()).hexdigest()}"


def test_a_signature_is_that_of_the_key_over_the_message() -> None:
    said = parse_envelope(envelope())

    assert verified(said)
    PRIVATE.public_key().verify(said.signature, b"crossmargin liabilities v1\n" + CANONICAL.encode())
    assert said.key == PRIVATE.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "changes",
    [
        {"document": DOCUMENT | {"as_of": "2026-01-31T12:00:01Z"}},
        {"document": DOCUMENT | {"venue": "other"}},
        {"document": DOCUMENT | {"accounts": [CLAIM | {"pnl_usd": "12.5"}]}},
        {"document": DOCUMENT | {"accounts": [CLAIM | {"pnl_usd": "-12.50"}]}},
        {"key": Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()},
        {"signature": "00" * 64},
        {"signature": PRIVATE.sign(CANONICAL.encode()).hex()},
    ],
)
def test_any_change_makes_the_signature_wrong(changes: dict[str, Any]) -> None:
    """Also one that means the same, and a signature over the document without the words before it."""
    assert not verified(parse_envelope(envelope(**changes)))


def changed(**changes: Any) -> str:
    return json.dumps(DOCUMENT | changes)


def claiming(**changes: Any) -> str:
    return changed(accounts=[CLAIM | changes])


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "this is no JSON"),
        ("[]", "the document must be a JSON object with version, venue, as_of, accounts"),
        ('{"version": 1, "version": 1}', "a key is written twice"),
        ('{"version": NaN}', "NaN is no JSON"),
        (changed(version=2), "the document is not of version 1"),
        (changed(version=True), "the document is not of version 1"),
        (changed(version=1.0), "the document is not of version 1"),
        (changed(version="1"), "the document is not of version 1"),
        (changed(note="x"), "the document may have version, venue, as_of, accounts and nothing else"),
        (json.dumps({key: value for key, value in DOCUMENT.items() if key != "as_of"}), "the document lacks as_of"),
        (changed(venue="a b"), 'venue must be the id of a venue such as "perp-vault"'),
        (changed(venue="\ud800"), "venue must be the id of a venue"),
        (changed(as_of="2026-01-31T12:00:00"), 'as_of must be a moment in UTC such as "2026-01-31T12:00:00Z"'),
        (changed(as_of="2026-01-31T12:00:00+00:00"), "as_of must be a moment in UTC"),
        (changed(as_of="2026-02-31T12:00:00Z"), "as_of must be a moment in UTC"),
        (changed(as_of="1969-12-31T23:59:59Z"), "not before 1970"),
        (changed(as_of=1_769_860_800), "as_of must be a moment in UTC"),
        (changed(as_of="２０２６-01-31T12:00:00Z"), "as_of must be a moment in UTC"),  # noqa: RUF001 - digits of another script
        (changed(accounts=[]), "accounts must be a list with at least one account"),
        (changed(accounts={}), "accounts must be a list"),
        (changed(accounts=[CLAIM, CLAIM | {"account": BOB}, CLAIM]), "twice"),
        (changed(accounts=[CLAIM, []]), "accounts[1] must be a JSON object"),
        (claiming(colour="red"), "accounts[0] may have account"),
        (claiming(account="0x" + "a1" * 20), "accounts[0].account: "),
        (claiming(account=7), "accounts[0].account: "),
        (claiming(account=f"cosmos:hub:0x{'a1' * 20}"), "accounts[0].account: "),
        (claiming(maintenance_requirement_usd="1500.00000001"), "the maintenance requirement is above the initial one"),
        (claiming(initial_requirement_usd="-1"), "accounts[0].initial_requirement_usd must be a decimal"),
        (claiming(maintenance_requirement_usd="-0"), "0 or more"),
        (claiming(pnl_usd=-12.5), "accounts[0].pnl_usd must be a decimal in quotes"),
        (claiming(pnl_usd="1e3"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd="+1"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd="01"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd=".5"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd="NaN"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd="1" * 16), "with up to 15 digits before the point and 8 behind"),
        (claiming(pnl_usd="0.000000001"), "with up to 15 digits before the point and 8 behind"),
        (claiming(pnl_usd=" 1"), "accounts[0].pnl_usd must be a decimal"),
        (claiming(pnl_usd="1\n"), "accounts[0].pnl_usd must be a decimal"),
    ],
)
def test_what_is_no_document_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(MalformedLiabilities) as refusal:
        parse_statement(text)

    assert complaint in str(refusal.value)


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"document":[{'])
def test_what_is_nested_deeply_is_refused_before_it_is_parsed(opening: str) -> None:
    """Python's parser would crash where a library has raised the recursion limit."""
    with pytest.raises(MalformedLiabilities, match="nested more deeply than a document is"):
        parse_statement(opening * 1_000_000)


def test_a_number_of_many_digits_is_refused() -> None:
    with pytest.raises(MalformedLiabilities, match="this is no JSON"):
        parse_statement("1" * 10_000)


def test_an_account_in_two_spellings_is_named_twice() -> None:
    spelled = BOB.replace("b0" * 20, "B0" * 20)

    with pytest.raises(MalformedLiabilities, match="twice"):
        parse_statement(changed(accounts=[CLAIM | {"account": BOB}, CLAIM | {"account": spelled}]))


def test_the_largest_and_the_smallest_amounts_are_exact() -> None:
    most = "999999999999999.99999999"

    (claim,) = parse_statement(claiming(initial_requirement_usd=most, pnl_usd=f"-{most}")).claims

    assert (str(claim.initial_requirement_usd), str(claim.pnl_usd)) == (most, f"-{most}")


def test_a_loss_of_nothing_is_nothing() -> None:
    (claim,) = parse_statement(claiming(pnl_usd="-0.0")).claims

    assert f"{claim.pnl_usd:f}" == "0.00000000"


def test_accounts_of_solana_are_accounts() -> None:
    (claim,) = parse_statement(claiming(account=f"{SOLANA}:Vote111111111111111111111111111111111111111")).claims

    assert claim.account.chain_id == SOLANA


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"note": "x"}, "the envelope may have document, key, signature and nothing else"),
        ({"key": "5a"}, "an Ed25519 public key must be 64 hexadecimal digits"),
        ({"key": "0x" + "5a" * 32}, "an Ed25519 public key must be 64 hexadecimal digits"),
        ({"signature": "5a" * 63}, "signature must be 128 hexadecimal digits"),
        ({"signature": None}, "signature must be 128 hexadecimal digits"),
        ({"document": None}, "the document must be a JSON object"),
    ],
)
def test_what_is_no_envelope_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MalformedLiabilities) as refusal:
        parse_envelope(envelope(**changes))

    assert complaint in str(refusal.value)


def test_a_document_without_its_envelope_is_no_envelope() -> None:
    with pytest.raises(MalformedLiabilities, match="the envelope lacks document"):
        parse_envelope(json.dumps(DOCUMENT))


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",  # the neutral point
    "0000000000000000000000000000000000000000000000000000000000000000",  # order 4
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # order 2
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # the first two again, not reduced
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_a_key_under_which_anybody_can_sign_is_no_key(text: str) -> None:
    with pytest.raises(MalformedLiabilities, match="anybody could sign"):
        parse_key(text)


def test_a_key_is_never_quoted() -> None:
    """Somebody may have put the private one there."""
    for text in ("se" + "cr" * 31, "c0ffee" * 3, PRIVATE.private_bytes_raw().hex() + "0"):
        with pytest.raises(MalformedLiabilities) as refusal:
            parse_key(text)

        assert text not in str(refusal.value)


def test_a_venue_names_the_keys_that_may_sign_for_it() -> None:
    assert keys_of(escrow({}).snapshot.venue) == (SIGNER,)
    assert keys_of(escrow({}, imports=False).snapshot.venue) == ()
