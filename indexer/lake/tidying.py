"""Tidying: what no set that is kept names, and no part that could still be joined, goes."""

from __future__ import annotations

from indexer.lake.joining import part_paths
from indexer.lake.parts import FILES
from indexer.lake.sets import SETS, LakeBroken, LakeSet, latest, parsed, read_set
from indexer.lake.storage import Lake


def tidy(lake: Lake, *, keep: int, before: int) -> int:
    """Remove all but the newest `keep` sets, and return how many files went; raises `StoreError`, and then nothing did.

    `before`: Unix seconds; a file that nobody names stays where it was written later, since a part that names it may be on its way.
    """
    ids = lake.names(SETS)
    newest = latest(lake.filesystem, lake.root)
    kept = [made for each in {*ids[-keep:], *([newest] if newest else [])} if (made := _set(lake, each)) is not None]
    if not kept:
        return 0
    oldest = min(made.cut_at for made in kept)
    parts = [(path, cut_at) for path, cut_at in part_paths(lake) if cut_at >= oldest]
    named = {file.path for made in [*kept, *_parts(lake, [path for path, _ in parts])] for file in made.files}
    going = [path for path, written in lake.found(FILES) if path not in named and written < before]
    going += [path for path, cut_at in part_paths(lake) if cut_at < oldest]
    going += [f"{SETS}/{each}/set.json" for each in ids if each not in {made.id for made in kept}]
    for path in going:
        lake.remove(path)
    return len(going)


def _set(lake: Lake, set_id: str) -> LakeSet | None:
    """A set that is as it was published; `None` for one that never was: its name was written, and it was not named."""
    try:
        return read_set(lake.filesystem, lake.root, set_id)
    except LakeBroken:
        if set_id == latest(lake.filesystem, lake.root):
            raise
        return None


def _parts(lake: Lake, paths: list[str]) -> list[LakeSet]:
    found = []
    for path in paths:
        try:
            found.append(parsed(lake.says(path) or b"", path))
        except LakeBroken:
            continue
    return found
