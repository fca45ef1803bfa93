"""Time stamps of RFC 3161: an authority's word that a manifest was there at a time.

What is stamped is the SHA-256 of `manifest.json`, so that `openssl ts -verify` can check a stamp as well. The library is the extra
`timestamps` of the package; without it stamps are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from aggregator.audit.verifier import MANIFEST, STAMP, UNWITNESSED, Found
from aggregator.margin.numbers import rfc3339

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest, TimeStampResponse

WITHOUT = "time stamps need the extra `timestamps`: pip install 'crossmargin[timestamps]'"


class NoStamps(Exception):
    """The library for time stamps is not installed."""


class BadStamp(Exception):
    """A time stamp that is none, or not of this; the message says why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who says (subject of the certificate) that a manifest was there, and when (Unix seconds)."""

    authority: str
    time: int


def request(manifest: bytes) -> TimeStampRequest:
    """Return what to ask an authority for, in DER as its `as_bytes`; raises `NoStamps`."""
    try:
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoStamps(WITHOUT) from error
    return TimestampRequestBuilder().data(manifest).hash_algorithm(HashAlgorithm.SHA256).build()


def read(answer: bytes, manifest: bytes) -> TimeStampResponse:
    """Read an authority's answer about a manifest; raises `BadStamp` for one of another, and `NoStamps`. Who it is is not looked at."""
    try:
        from rfc3161_client import PKIStatus, decode_timestamp_response  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoStamps(WITHOUT) from error
    try:
        response = decode_timestamp_response(answer)
        granted = response.status == PKIStatus.GRANTED
        stamped = response.tst_info.message_imprint.message if granted else b""
    except ValueError as error:
        raise BadStamp(f"it is no time stamp: {error}") from error
    if not granted:
        raise BadStamp(f"the authority refused: {'; '.join(response.status_string) or response.status}")
    if stamped != sha256(manifest).digest():
        raise BadStamp("it is the time stamp of something else")
    return response


def name(answer: bytes) -> str:
    """Name the file of a time stamp."""
    return f"timestamp-{sha256(answer).hexdigest()[:16]}.tsr"


def checked(answer: bytes, manifest: bytes, authorities: Sequence[x509.Certificate]) -> Stamp:
    """Check who made a stamp: one of the authorities, or one that they vouch for; raises `BadStamp` and `NoStamps`."""
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415 - an extra

    response = read(answer, manifest)
    own = [each for each in authorities if each.subject == each.issuer]
    between = [each for each in authorities if own and each not in own]
    verifier = VerifierBuilder(roots=own or list(authorities), intermediates=between).build()
    try:
        verifier.verify(response, sha256(manifest).digest())
    except (VerificationError, ValueError) as error:
        raise BadStamp(f"it is not of the authority that is trusted: {error}") from error
    return Stamp(_signer(response), int(response.tst_info.gen_time.timestamp()))


def _signer(response: TimeStampResponse) -> str:
    """Return the subject of the certificate that made a stamp, or its issuer and number where it is not in the stamp."""
    signers = {(each.issuer, each.serial_number) for each in response.signed_data.signer_infos}
    known = [x509.load_der_x509_certificate(raw) for raw in response.signed_data.certificates]
    subjects = [each.subject.rfc4514_string() for each in known if (each.issuer, each.serial_number) in signers]
    unnamed = [f"number {number} of {issuer.rfc4514_string()}" for issuer, number in signers]
    return " and ".join(sorted(subjects or unnamed))


def certificates(path: Path) -> list[x509.Certificate]:
    """Read certificates from a PEM file; raises `OSError` and `ValueError`."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def look(folder: Path, found: Found, authorities: Sequence[x509.Certificate]) -> None:
    """Check the time stamps beside a snapshot; one that holds is a witness from outside. Raises `OSError`."""
    manifest = (folder / MANIFEST).read_bytes()
    paths = sorted(path for path in folder.iterdir() if STAMP.fullmatch(path.name))
    stamps = list(_held(paths, manifest, authorities, found)) if authorities else []
    if authorities and not stamps:
        found.faults.append("no authority that is trusted stamped the time of this manifest")
    for stamp in stamps:
        found.notes.append(f"it was there at {rfc3339(stamp.time)}, says {stamp.authority}")
    if stamps:
        found.notes = [note for note in found.notes if note != UNWITNESSED and not note.startswith("time stamps")]


def _held(
    paths: Sequence[Path], manifest: bytes, authorities: Sequence[x509.Certificate], found: Found
) -> Iterator[Stamp]:
    for path in paths:
        answer = path.read_bytes()
        try:
            read(answer, manifest)
        except BadStamp as error:
            found.faults.append(f"{path.name}: {error}")
            continue
        try:
            yield checked(answer, manifest, authorities)
        except BadStamp as error:
            found.notes.append(f"{path.name}: {error}")
