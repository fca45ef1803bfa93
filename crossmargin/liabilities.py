"""What other systems say of the collateral in escrows: which documents are taken in, and what the newest ones say.

A document is taken in when all of this holds, asked in this order:

1. it can be read, strictly;                                            else `UsageError`
2. its venue is configured and imports liabilities;                     else `NoSuchThing`, `UsageError`
3. its key is one of the venue's, and the signature is right;           else `Forged`
4. its accounts are on the venue's chain;                               else `UsageError`
5. it is not of more than five minutes ahead of this machine's clock;   else `TooEarly`
6. no account is said to have had other liabilities at that moment;     else `Conflict`
7. of at least one account nothing newer is known.                      else `Superseded`

The very same document, sent again, is known already and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from aggregator.margin.liabilities import (
    Claim,
    Envelope,
    MalformedLiabilities,
    Statement,
    keys_of,
    max_age_s,
    parse_envelope,
    parse_statement,
    signed,
    verified,
)
from chains.escrow import imports_liabilities
from chains.identifiers import Account
from chains.model import VenueSpec
from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import DeskError, NoSuchThing, UsageError
from crossmargin.exits import ExitCode
from crossmargin.settings.section import nearest
from crossmargin.watch import Clock
from indexer.store import LiabilityDocument, LiabilityLedger, LiabilityRow, Reader, Store

EARLY_S = 300
"""How far ahead of this machine's clock another one may be."""

OWNER_ONLY = 0o600
LONGEST_COMPLAINT = 300


class Forged(DeskError):
    """Nobody who may say this has signed it."""

    code = "forged"
    title = "The document is not from whom it must be"
    http_status = 403
    exit_code = ExitCode.UNVERIFIED


class TooEarly(DeskError):
    """The document speaks of a moment that has not come."""

    code = "too-early"
    title = "The document speaks of a moment that has not come"
    http_status = 409
    exit_code = ExitCode.FAILED


class Conflict(DeskError):
    """Something else was said of the same account and the same moment."""

    code = "conflict"
    title = "Something else was said of the same moment"
    http_status = 409
    exit_code = ExitCode.FAILED


class Superseded(DeskError):
    """Of every account of the document, something newer is known."""

    code = "superseded"
    title = "Everything in the document is older than what is known"
    http_status = 409
    exit_code = ExitCode.FAILED


class Liabilities:
    """Takes in documents and tells what is known."""

    def __init__(self, venues: Sequence[VenueSpec], store: Store, clock: Clock) -> None:
        self._venues = {venue.id: venue for venue in venues}
        self._store = store
        self._clock = clock

    def take_in(self, text: str) -> Document:
        """Enter a signed document, all of it or nothing; raises `DeskError` by the rules above."""
        envelope, now = _read(text), int(self._clock())
        venue = self._importing(envelope.statement.venue)
        _check_signature(envelope, venue)
        _check_accounts(envelope.statement, venue)
        _check_moment(envelope.statement, now)
        with self._store.liabilities() as ledger:
            is_new = enter(ledger, envelope, venue, text=text, now=now)
            standing = ledger.newest(venue, keys_of(venue))
        return {
            "venue": venue.id,
            "document": envelope.statement.digest,
            "as_of": moment(envelope.statement.as_of),
            "key": envelope.key.hex(),
            "state": "accepted" if is_new else "known",
            "accounts": len(envelope.statement.claims),
            "newest": sum(row.digest == envelope.statement.digest for row in standing),
        }

    def listing(self, reader: Reader, venue_id: str | None) -> Document:
        """Return the newest that is known of every account, of one venue or of all."""
        chosen = [self._importing(venue_id)] if venue_id is not None else self._all()
        now = int(self._clock())
        return {
            "liabilities": [
                _line(venue, row, now) for venue in chosen for row in reader.liabilities(venue, keys_of(venue))
            ]
        }

    def _all(self) -> list[VenueSpec]:
        return [venue for _, venue in sorted(self._venues.items()) if imports_liabilities(venue)]

    def _importing(self, venue_id: str) -> VenueSpec:
        known = [venue.id for venue in self._all()]
        if venue_id in known:
            return self._venues[venue_id]
        if venue_id in self._venues:
            raise UsageError(f'venue "{venue_id}" imports no liabilities; set liabilities = "import" in its [[venue]]')
        where = nearest(venue_id, known) if known else 'none is configured with liabilities = "import"'
        raise NoSuchThing(f'there is no venue "{harmless(venue_id, longest=80)}" that imports liabilities; {where}')


def enter(ledger: LiabilityLedger, envelope: Envelope, venue: VenueSpec, *, text: str, now: int) -> bool:
    """Enter what was verified, unless it is known already; raises `Conflict` and `Superseded`."""
    statement, keys = envelope.statement, keys_of(venue)
    if ledger.has(statement.digest, envelope.key):
        return False
    held = ledger.at(venue, keys, statement.as_of)
    rows = [_row(claim, envelope, venue) for claim in statement.claims]
    _check_same(rows, held)
    _check_newer(rows, ledger.newest(venue, keys))
    document = LiabilityDocument(
        digest=statement.digest,
        venue_id=venue.id,
        as_of=statement.as_of,
        key=envelope.key,
        received_at=now,
        envelope=text,
    )
    there = {(row.owner, row.key) for row in held}
    ledger.add(document, [row for row in rows if (row.owner, row.key) not in there])
    return True


def sign(text: str, key: Path) -> Document:
    """Put a document into an envelope with the private key of a file; raises `UsageError`."""
    try:
        statement = parse_statement(text)
    except MalformedLiabilities as error:
        raise UsageError(_complaint(error)) from error
    return signed(statement, read_key(key))


def make_key(path: Path) -> str:
    """Write a new private key into a file of its own, for its owner alone, and return the public key in hex; raises `UsageError`."""
    private = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already, and a key is never overwritten; name another file") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, OWNER_ONLY)
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return private.public_key().public_bytes_raw().hex()


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; raises `UsageError`, which says nothing of what is in the file."""
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            f"{path} holds no Ed25519 private key in PEM (PKCS #8, without a password); `crossmargin liabilities key` makes one"
        )
    return private


def _read(text: str) -> Envelope:
    try:
        return parse_envelope(text)
    except MalformedLiabilities as error:
        raise UsageError(_complaint(error)) from error


def _complaint(error: MalformedLiabilities) -> str:
    return f"these are no liabilities: {harmless(str(error), longest=LONGEST_COMPLAINT)}"


def _check_signature(envelope: Envelope, venue: VenueSpec) -> None:
    if envelope.key not in keys_of(venue):
        raise Forged(f'the key that signed this may not speak for "{venue.id}"; its liability_keys name those that may')
    if not verified(envelope):
        raise Forged(f'the signature is not that of the key over this document of "{venue.id}"; nothing was taken in')


def _check_accounts(statement: Statement, venue: VenueSpec) -> None:
    for claim in statement.claims:
        if claim.account.chain_id != venue.chain_id:
            raise UsageError(f'{claim.account} is not on {venue.chain_id}, where "{venue.id}" holds its collateral')


def _check_moment(statement: Statement, now: int) -> None:
    if statement.as_of > now + EARLY_S:
        raise TooEarly(
            f"the document is as of {moment(statement.as_of)}, and here it is {moment(now)}; "
            f"clocks may differ by {EARLY_S} s: compare them"
        )


def _check_same(rows: Sequence[LiabilityRow], held: Sequence[LiabilityRow]) -> None:
    said = {row.owner: _amounts(row) for row in held}
    for row in rows:
        if said.get(row.owner, _amounts(row)) != _amounts(row):
            account = Account(row.chain_id, row.owner)
            raise Conflict(
                f"something else was said of {account} as of {moment(row.as_of)}; send a document of a later moment"
            )


def _check_newer(rows: Sequence[LiabilityRow], newest: Sequence[LiabilityRow]) -> None:
    known = {row.owner: row.as_of for row in newest}
    if all(known.get(row.owner, row.as_of) > row.as_of for row in rows):
        raise Superseded(
            f"of every account in this document something newer than {moment(rows[0].as_of)} is known; nothing was taken in"
        )


def _amounts(row: LiabilityRow) -> tuple[Decimal, ...]:
    return row.initial_requirement_usd, row.maintenance_requirement_usd, row.pnl_usd


def _row(claim: Claim, envelope: Envelope, venue: VenueSpec) -> LiabilityRow:
    return LiabilityRow(
        chain_id=venue.chain_id,
        venue_id=venue.id,
        owner=claim.account.address,
        as_of=envelope.statement.as_of,
        initial_requirement_usd=claim.initial_requirement_usd,
        maintenance_requirement_usd=claim.maintenance_requirement_usd,
        pnl_usd=claim.pnl_usd,
        key=envelope.key,
        digest=envelope.statement.digest,
    )


def _line(venue: VenueSpec, row: LiabilityRow, now: int) -> Mapping[str, Any]:
    """Write a row; its age is by this machine's clock, where a health document counts from the block of the venue's chain."""
    age_s, limit_s = now - row.as_of, max_age_s(venue)
    return {
        "venue": venue.id,
        "account": str(Account(row.chain_id, row.owner)),
        "state": "known" if age_s <= limit_s else "unknown",
        "as_of": moment(row.as_of),
        "age_s": age_s,
        "max_age_s": limit_s,
        "initial_requirement_usd": f"{row.initial_requirement_usd:f}",
        "maintenance_requirement_usd": f"{row.maintenance_requirement_usd:f}",
        "pnl_usd": f"{row.pnl_usd:f}",
        "key": row.key.hex(),
        "document": row.digest,
    }
