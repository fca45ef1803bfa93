"""The manifest of a snapshot: what it is of, the hash of every file in it, and the tree over its units. Its own hash names the snapshot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rfc8785

from aggregator.audit.verifier import FORMAT, Node, described
from aggregator.book import Book
from aggregator.gather import Catalogue
from aggregator.margin.health import membership_view, policy_view
from aggregator.margin.inputs import METHODOLOGY_VERSION, Cut, MarginAccount
from aggregator.margin.numbers import rfc3339
from aggregator.margin.risk import RiskInputs
from chains.identifiers import format_hash
from chains.model import FeedSpec

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of a snapshot by its hash (`sha256:…`) and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """A table: its rows and columns, and the columns that it is ordered by."""

    rows: int
    columns: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The place of a snapshot in the chain of all that were made: its number from 1 on, and the hash of the manifest before it."""

    sequence: int = 1
    previous: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`text` is the canonical JSON that was written, `hash` its hash."""

    text: str

    @property
    def hash(self) -> str:
        return sha256(self.text.encode("utf-8"))


def manifest(
    *,
    slot_time: int,
    book: Book,
    files: Mapping[str, FileEntry],
    tables: Mapping[str, TableEntry],
    root: Node,
    link: Link,
) -> Manifest:
    """Describe a snapshot; nothing in it depends on where it was made, or when, but `slot_time`, when it was due, and its `link`."""
    content = {
        "format": FORMAT,
        "slot_time": rfc3339(slot_time),
        **decided(book),
        "skew_s": skews(slot_time, book),
        "files": {name: asdict(entry) for name, entry in files.items()},
        "tables": {name: asdict(entry) for name, entry in tables.items()},
        "tree": described(root),
        **asdict(link),
    }
    return Manifest(text=_canonical(content))


def decided(book: Book) -> dict[str, Any]:
    """Return what a manifest says that follows from the inputs of the book alone."""
    catalogue, condition = book.catalogue, book.condition
    return {
        "methodology_version": METHODOLOGY_VERSION,
        "cut": {chain: _place(chain, cut) for chain, cut in book.cuts.items()},
        "config_digest": catalogue_digest(catalogue),
        "membership": {account.id: signed for account in catalogue.accounts if (signed := _signed(account))},
        "policy": policy_view(catalogue.policy, catalogue.policy_stamp).model_dump(mode="json"),
        "risk": _risk(book.context.risk),
        "stale_chains": [reason._asdict() for reason in condition.stale_chains],
        "gaps": [reason._asdict() for reason in condition.gaps],
    }


def skews(slot_time: int, book: Book) -> dict[str, int]:
    """Return how many seconds the block of each chain was before the moment of the snapshot."""
    return {chain: slot_time - cut.block.time for chain, cut in book.cuts.items()}


def _risk(risk: RiskInputs) -> dict[str, Any]:
    """Name the histories behind the estimates, `None` where nothing was estimated, and the regime that they made."""
    return {"digest": risk.digest or None, "regime": risk.regime, "regime_reasons": list(risk.regime_reasons)}


def _place(chain: str, cut: Cut) -> dict[str, Any]:
    return {
        "block": cut.block.number,
        "hash": format_hash(chain, cut.block.hash),
        "parent": format_hash(chain, cut.block.parent_hash),
        "time": rfc3339(cut.block.time),
        "finality": cut.finality.value,
    }


def _signed(account: MarginAccount) -> dict[str, Any]:
    """Return what wallets signed about an account, by member; nothing of one that the configuration alone declares."""
    told = [each for each in account.membership if each.evidence is not None]
    return {each.member: membership_view(each).model_dump(mode="json") for each in told}


def catalogue_digest(catalogue: Catalogue) -> str:
    """Return the hash of all configuration that decides a number: venues, feeds, assets, accounts, policy."""
    content = {
        "venues": sorted(
            (
                asdict(venue) | {"address": venue.address.hex(), "options": dict(venue.options)}
                for venue in catalogue.venues
            ),
            key=lambda venue: str(venue["id"]),
        ),
        "feeds": sorted((_feed(feed) for feed in catalogue.feeds), key=_canonical),
        "assets": sorted((asdict(asset) for asset in catalogue.assets), key=_canonical),
        "accounts": sorted(
            (
                {
                    "id": account.id,
                    "members": list(account.members),
                    "membership": [asdict(m) for m in account.membership],
                }
                for account in catalogue.accounts
            ),
            key=_canonical,
        ),
        "policy": asdict(catalogue.policy),
    }
    return sha256(_canonical(content).encode("utf-8"))


def _feed(feed: FeedSpec) -> dict[str, Any]:
    feed_id = None if feed.feed_id is None else feed.feed_id.hex()
    return asdict(feed) | {"address": feed.address.hex(), "feed_id": feed_id}


def sha256(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def sha256_of(path: Path) -> str:
    """Hash a file of any size."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def _canonical(value: Any) -> str:  # noqa: ANN401 - any JSON
    return rfc8785.dumps(value).decode("utf-8")
