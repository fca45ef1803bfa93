"""What a published set consists of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One Parquet file: the rows of a view and a chain from block `first` to `last`, both included.

    `made_of`: a fingerprint of all that its rows are made of; `sha256`: of the file; `path` starts at the published folder.
    `open`: later rows may join it, in a file of another name.
    """

    view: str
    chain_id: str
    first: int
    last: int
    rows: int
    open: bool
    made_of: str
    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole set: its number, when it was made (Unix seconds), up to which block of each chain, and its files."""

    number: int
    published_at: int
    final: Mapping[str, int]
    segments: tuple[Segment, ...]

    def of(self, view: str, chain_id: str) -> tuple[Segment, ...]:
        """The segments of a view and a chain, in the order of their blocks."""
        mine = (each for each in self.segments if (each.view, each.chain_id) == (view, chain_id))
        return tuple(sorted(mine, key=lambda each: each.first))


EMPTY = Manifest(number=0, published_at=0, final={}, segments=())


def write(manifest: Manifest, path: Path) -> None:
    """Write it as JSON."""
    said = {"format": FORMAT, **asdict(manifest)}
    path.write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read(path: Path) -> Manifest | None:
    """Read one; `None` where there is none, or one of another format, which is then made anew."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != FORMAT:
            return None
        return Manifest(
            number=int(said["number"]),
            published_at=int(said["published_at"]),
            final={str(chain): int(block) for chain, block in said["final"].items()},
            segments=tuple(Segment(**each) for each in said["segments"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
