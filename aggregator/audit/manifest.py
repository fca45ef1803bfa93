"""The manifest of a snapshot: what it is of, and the hash of every file in it. Its own hash names the snapshot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rfc8785

from aggregator.gather import Catalogue, Condition
from aggregator.margin.inputs import METHODOLOGY_VERSION, Cut
from aggregator.margin.numbers import rfc3339
from chains.identifiers import format_hash
from chains.model import FeedSpec

FORMAT = "crossmargin-snapshot-1"
MANIFEST = "manifest.json"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file of a snapshot by its hash (`sha256:…`), size and number of rows."""

    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`text` is the canonical JSON that was written, `hash` its hash, `files` what it names."""

    text: str
    files: Mapping[str, FileEntry]

    @property
    def hash(self) -> str:
        return sha256(self.text.encode("utf-8"))


def manifest(
    *,
    slot_time: int,
    cuts: Mapping[str, Cut],
    catalogue: Catalogue,
    condition: Condition,
    files: Mapping[str, FileEntry],
    previous: str | None,
) -> Manifest:
    """Describe a snapshot; nothing in it depends on when or where it was made but `slot_time`, when it was due."""
    content = {
        "format": FORMAT,
        "methodology_version": METHODOLOGY_VERSION,
        "slot_time": rfc3339(slot_time),
        "cut": {
            chain: {
                "block": cut.block.number,
                "hash": format_hash(chain, cut.block.hash),
                "time": rfc3339(cut.block.time),
                "finality": cut.finality.value,
            }
            for chain, cut in cuts.items()
        },
        "config_digest": catalogue_digest(catalogue),
        "stale_chains": [reason._asdict() for reason in condition.stale_chains],
        "gaps": [reason._asdict() for reason in condition.gaps],
        "files": {name: asdict(entry) for name, entry in files.items()},
        "previous": previous,
    }
    return Manifest(text=_canonical(content), files=files)


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
            ({"id": account.id, "members": list(account.members)} for account in catalogue.accounts), key=_canonical
        ),
        "policy": asdict(catalogue.policy),
    }
    return sha256(_canonical(content).encode("utf-8"))


def _feed(feed: FeedSpec) -> dict[str, Any]:
    feed_id = None if feed.feed_id is None else feed.feed_id.hex()
    return asdict(feed) | {"address": feed.address.hex(), "feed_id": feed_id}


def read_files(text: str) -> dict[str, FileEntry]:
    """Return the files that a manifest names; raises `ValueError` for a text that is none."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"it is not of the format {FORMAT}")
    try:
        files = {name: FileEntry(**entry) for name, entry in content["files"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it does not name its files: {error}") from error
    if any(Path(name).name != name for name in files):
        raise ValueError("it names files outside its folder")
    return files


def sha256(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def sha256_of(path: Path) -> str:
    """Hash a file of any size."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return f"sha256:{hashed.hexdigest()}"


def _canonical(value: Any) -> str:  # noqa: ANN401
    return rfc8785.dumps(value).decode("utf-8")
