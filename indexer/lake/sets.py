"""A consistent set: which Parquet files hold which table of which chain, all of them at one cut-off.

    latest.json             {"id": …}: the set that readers see
    sets/<id>/set.json      a set, written once; its id ends in the digest of what it says

Paths of files start at the lake's root. A set is named only after every file that it names was read whole and had its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from pyarrow import fs as pafs

from indexer.store.errors import StoreError

FORMAT = 1
LATEST = "latest.json"
SETS = "sets"
SET = "set.json"
MANIFEST_BYTES = 64 << 20
"""No manifest is longer: what is longer is not one of ours."""


class LakeBroken(StoreError):
    """What the lake holds is not what was published: torn, lost, of another format, or not to be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCut:
    """The last block of a chain that a set shows, final then; `time`: the block's, Unix seconds."""

    block: int
    hash: str
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFile:
    """One Parquet file: rows of one table and one chain from block `first` to `last`, both included."""

    path: str
    chain_id: str
    first: int
    last: int
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSet:
    """All chains at one cut-off: `cut_at` in Unix seconds; of each chain the last block that is not later.

    `made_by`: the schema of the stores that were published. `tables`: by name, that of a public view or of a table of the store;
    one without rows has no files.
    """

    cut_at: int
    made_by: int
    cut: Mapping[str, ChainCut]
    tables: Mapping[str, tuple[LakeFile, ...]]

    @property
    def id(self) -> str:
        """Its name: sets sort by their cut-off, and none can be changed under its name."""
        return f"{self.cut_at:012d}-{hashlib.sha256(written(self)).hexdigest()[:32]}"

    @property
    def files(self) -> tuple[LakeFile, ...]:
        """Every file of every table."""
        return tuple(file for files in self.tables.values() for file in files)


def written(made: LakeSet) -> bytes:
    """The bytes of `set.json`: canonical, so that equal sets are equal bytes."""
    said = {"format": FORMAT, **asdict(made)}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def parsed(said: bytes, source: str) -> LakeSet:
    """Read what `written` wrote; raises `LakeBroken`, which names `source`."""
    try:
        found: dict[str, Any] = json.loads(said)
        if found["format"] != FORMAT:
            raise LakeBroken(f"{source}: a set of format {found['format']}; this program reads format {FORMAT}")
        return LakeSet(
            cut_at=int(found["cut_at"]),
            made_by=int(found["made_by"]),
            cut={str(chain): ChainCut(**each) for chain, each in found["cut"].items()},
            tables={str(name): tuple(LakeFile(**each) for each in files) for name, files in found["tables"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LakeBroken(f"{source}: not a set of a lake ({type(error).__name__}); publish again") from error


def read_set(filesystem: pafs.FileSystem, root: str, set_id: str | None = None) -> LakeSet | None:
    """The set of that id, or the latest; `None` where none was published yet. Raises `LakeBroken`."""
    if set_id is None:
        set_id = latest(filesystem, root)
    if set_id is None:
        return None
    place = f"{root}/{SETS}/{set_id}/{SET}"
    said = read_bytes(filesystem, place)
    if said is None:
        raise LakeBroken(f"{place}: is not there")
    found = parsed(said, place)
    if found.id != set_id:
        raise LakeBroken(f"{place}: says something else than what was published under this name")
    return found


def latest(filesystem: pafs.FileSystem, root: str) -> str | None:
    """The id of the set that readers see; `None` before the first. Raises `LakeBroken`."""
    said = read_bytes(filesystem, f"{root}/{LATEST}")
    if said is None:
        return None
    try:
        return str(json.loads(said)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise LakeBroken(f"{root}/{LATEST}: does not name a set; publish again") from error


def read_bytes(filesystem: pafs.FileSystem, path: str) -> bytes | None:
    """All bytes of a small file; `None` where there is none. Raises `LakeBroken`."""
    try:
        if filesystem.get_file_info(path).type != pafs.FileType.File:
            return None
        with filesystem.open_input_stream(path) as stream:
            return bytes(stream.read(MANIFEST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        raise LakeBroken(f"{path}: cannot be read ({type(error).__name__})") from error
