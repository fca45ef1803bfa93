"""What other systems say of the collateral that an escrow holds for them: signed documents, and how long one counts.

A document names a venue, a moment and, of each account there, what its positions require and what they have won or lost:

    {"version": 1, "venue": "perp-vault", "as_of": "2026-01-31T12:00:00Z", "accounts": [{"account": "eip155:1:0x…",
     "initial_requirement_usd": "1500.00", "maintenance_requirement_usd": "900.00", "pnl_usd": "-12.5"}]}

It travels in an envelope, {"document": …, "key": "<hex>", "signature": "<hex>"}. The signature is Ed25519 (RFC 8032) over
`DOMAIN` and the canonical JSON (RFC 8785) of the document.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chains.escrow import LIABILITY_KEYS, LIABILITY_MAX_AGE_S, imports_liabilities
from chains.identifiers import Account, IdentifierError, parse_account
from chains.model import VenueSpec

VERSION = 1
DOMAIN = b"crossmargin liabilities v1\n"
"""What a signature is over, before the document: no other text that the same key signs can be taken for one."""

LARGEST_ENVELOPE = 4 * 2**20
"""Bytes; some fifteen thousand accounts."""

USD = Decimal("1e-8")
KEY_BYTES, SIGNATURE_BYTES = 32, 64

_ENVELOPE = ("document", "key", "signature")
_DOCUMENT = ("version", "venue", "as_of", "accounts")
_REQUIREMENTS = ("initial_requirement_usd", "maintenance_requirement_usd")
_CLAIM = ("account", *_REQUIREMENTS, "pnl_usd")
_VENUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_AMOUNT = re.compile(r"(-?)(?:0|[1-9]\d{0,14})(?:\.\d{1,8})?", re.ASCII)

_BRACKET = re.compile(r"[\[\]{}]")
DEPTH = 4
"""Envelope, document, accounts, account."""

_FIELD = 2**255 - 19
_ORDER_8 = int("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y of every point of the curve whose order divides 8: under such a key, signatures can be made without any secret."""


class MalformedLiabilities(ValueError):
    """A text that is no document of liabilities, or a key that is none; the message says where."""


class Standing(StrEnum):
    """What is known of the liabilities against a unit; `none`: nobody else has a claim on it."""

    NONE = "none"
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a document says of one account, in USD: 0 ≤ maintenance ≤ initial requirement, and a signed PnL."""

    account: Account
    initial_requirement_usd: Decimal
    maintenance_requirement_usd: Decimal
    pnl_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A document: `as_of` in Unix seconds, `canonical` its canonical JSON, `digest` is `sha256:` and the hash of that."""

    venue: str
    as_of: int
    claims: tuple[Claim, ...]
    canonical: bytes
    digest: str

    @property
    def message(self) -> bytes:
        """What is signed."""
        return DOMAIN + self.canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A document with the key and the signature that came with it, verified or not."""

    statement: Statement
    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Liabilities:
    """The newest that was said of one unit; `key`: who signed it, `document`: the digest of where it stands."""

    as_of: int
    initial_requirement_usd: Decimal
    maintenance_requirement_usd: Decimal
    pnl_usd: Decimal
    key: bytes
    document: str

    @property
    def owes(self) -> bool:
        """Whether anything was required of the unit, or lost."""
        return self.initial_requirement_usd > 0 or self.pnl_usd < 0

    @property
    def debt_usd(self) -> Decimal:
        """What the unit must cover so as not to be liquidated: the maintenance requirement and what was lost."""
        return self.maintenance_requirement_usd + self.loss_usd

    @property
    def loss_usd(self) -> Decimal:
        """What was lost."""
        return max(-self.pnl_usd, Decimal(0))

    @property
    def gain_usd(self) -> Decimal:
        """What was won."""
        return max(self.pnl_usd, Decimal(0))


def standing(venue: VenueSpec, said: Liabilities | None, now: int) -> Standing:
    """Say what is known of a unit at the time `now` of its own chain: what is too old is unknown again."""
    if not imports_liabilities(venue):
        return Standing.NONE
    if said is None or not 0 <= now - said.as_of <= max_age_s(venue):
        return Standing.UNKNOWN
    return Standing.KNOWN


def max_age_s(venue: VenueSpec) -> int:
    """Return after how many seconds what was said of a unit counts no more; at once, where the venue sets no limit."""
    return int(venue.options.get(LIABILITY_MAX_AGE_S, 0))


def keys_of(venue: VenueSpec) -> tuple[bytes, ...]:
    """Return the keys that may sign for a venue."""
    return tuple(bytes.fromhex(key) for key in venue.options.get(LIABILITY_KEYS, ()))


def parse_key(text: object) -> bytes:
    """Read an Ed25519 public key in hex; raises `MalformedLiabilities`, which never quotes it: it may be a private one."""
    key = _hex(text, "an Ed25519 public key", KEY_BYTES)
    if (int.from_bytes(key, "little") % 2**255) % _FIELD in _SMALL_ORDER:
        raise MalformedLiabilities("this is a public key under which anybody could sign (its order is small)")
    return key


def parse_envelope(text: str) -> Envelope:
    """Read a signed document strictly; raises `MalformedLiabilities`. Whether it is signed well is another question."""
    said = _object(_json(text), "the envelope", _ENVELOPE)
    return Envelope(
        statement=statement_of(said["document"]),
        key=parse_key(said["key"]),
        signature=_hex(said["signature"], "signature", SIGNATURE_BYTES),
    )


def parse_statement(text: str) -> Statement:
    """Read a document without an envelope; raises `MalformedLiabilities`."""
    return statement_of(_json(text))


def statement_of(document: object) -> Statement:
    """Check a document; raises `MalformedLiabilities`."""
    said = _object(document, "the document", _DOCUMENT)
    if type(said["version"]) is not int or said["version"] != VERSION:
        raise MalformedLiabilities(f"the document is not of version {VERSION}")
    venue = _text(said["venue"], "venue", _VENUE, 'the id of a venue such as "perp-vault"')
    as_of, claims = _moment(said["as_of"]), _claims(said["accounts"])
    canonical = rfc8785.dumps(document)  # type: ignore[arg-type]  # JSON, as was checked
    digest = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    return Statement(venue=venue, as_of=as_of, claims=claims, canonical=canonical, digest=digest)


def verified(envelope: Envelope) -> bool:
    """Whether the signature is that of the envelope's own key."""
    try:
        Ed25519PublicKey.from_public_bytes(envelope.key).verify(envelope.signature, envelope.statement.message)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed(statement: Statement, private: Ed25519PrivateKey) -> dict[str, Any]:
    """Put a document into an envelope, as JSON values."""
    return {
        "document": json.loads(statement.canonical),
        "key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(statement.message).hex(),
    }


def _claims(value: object) -> tuple[Claim, ...]:
    if not isinstance(value, list) or not value:
        raise MalformedLiabilities("accounts must be a list with at least one account")
    claims = tuple(_claim(item, f"accounts[{place}]") for place, item in enumerate(value))
    known: set[Account] = set()
    for claim in claims:
        if claim.account in known:
            raise MalformedLiabilities(f"accounts names {claim.account} twice")
        known.add(claim.account)
    return claims


def _claim(value: object, place: str) -> Claim:
    said = _object(value, place, _CLAIM)
    initial, maintenance = (_usd(said[key], f"{place}.{key}", signed=False) for key in _REQUIREMENTS)
    if maintenance > initial:
        raise MalformedLiabilities(f"{place}: the maintenance requirement is above the initial one")
    return Claim(
        account=_account(said["account"], place),
        initial_requirement_usd=initial,
        maintenance_requirement_usd=maintenance,
        pnl_usd=_usd(said["pnl_usd"], f"{place}.pnl_usd", signed=True),
    )


def _account(value: object, place: str) -> Account:
    try:
        return parse_account(value if isinstance(value, str) else "")
    except IdentifierError as error:
        raise MalformedLiabilities(f"{place}.account: {error}") from error


def _usd(value: object, place: str, *, signed: bool) -> Decimal:
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] and not signed):
        least = "" if signed else ", 0 or more"
        raise MalformedLiabilities(
            f'{place} must be a decimal in quotes such as "12.50"{least}, with up to 15 digits before the point and 8 behind'
        )
    return (Decimal(match[0]) or Decimal(0)).quantize(USD)


def _moment(value: object) -> int:
    wanted = 'a moment in UTC such as "2026-01-31T12:00:00Z"'
    text = _text(value, "as_of", _MOMENT, wanted)
    try:
        seconds = int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise MalformedLiabilities(f"as_of must be {wanted}: {error}") from error
    if seconds < 0:
        raise MalformedLiabilities(f"as_of must be {wanted}, and not before 1970")
    return seconds


def _text(value: object, place: str, pattern: re.Pattern[str], wanted: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MalformedLiabilities(f"{place} must be {wanted}")
    return value


def _hex(value: object, what: str, length: int) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", value):
        raise MalformedLiabilities(f"{what} must be {2 * length} hexadecimal digits")
    return bytes.fromhex(value)


def _object(value: object, what: str, keys: Sequence[str]) -> Mapping[str, object]:
    """Check that a JSON object has these keys and no others."""
    if not isinstance(value, dict):
        raise MalformedLiabilities(f"{what} must be a JSON object with {', '.join(keys)}")
    for key in keys:
        if key not in value:
            raise MalformedLiabilities(f"{what} lacks {key}")
    if len(value) > len(keys):
        raise MalformedLiabilities(f"{what} may have {', '.join(keys)} and nothing else")
    return value


def _json(text: str) -> object:
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except MalformedLiabilities:
        raise
    except ValueError as error:
        raise MalformedLiabilities(f"this is no JSON: {error}") from error


def _check_depth(text: str) -> None:
    """Refuse deep nesting before it is parsed: where a library has raised Python's recursion limit, the parser would crash.

    No text in a document holds a bracket, so that strings need not be told apart.
    """
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEPTH:
            raise MalformedLiabilities("it is nested more deeply than a document is")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that is written twice: two readers could take it for two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedLiabilities("a key is written twice")
    return found


def _no_number(word: str) -> object:
    raise MalformedLiabilities(f"{word} is no JSON")
