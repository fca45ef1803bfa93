"""Joining parts: the newest cut-off of which every chain has a part becomes the set that readers see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.lake.choosing import fullest
from indexer.lake.parts import PARTS, folder_of
from indexer.lake.sets import LATEST, SET, SETS, LakeBroken, LakeFile, LakeSet, parsed, read_set, written
from indexer.lake.storage import Lake, LakeRefused
from indexer.store.errors import StoreError


class NotJoinable(StoreError):
    """There is no cut-off of which every chain has a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The set that readers see; `new`: it was made now. `behind`: cut-off of the newest part of every chain, which may be later."""

    made: LakeSet
    new: bool
    behind: Mapping[str, int]


def join(lake: Lake, chains: Sequence[str], ledgers: Mapping[LakeFile, bytes]) -> Joined:
    """Publish the newest set of all `chains`, with what people said (`ledgers`: file → bytes); raises `StoreError`.

    Every file is looked at, and read whole unless the set before has it too, before anything names the set. A part that is not as it
    was published is passed over for another one of its cut-off, or an older cut-off; so are parts of one cut-off that contradict each
    other. No chain is ever left out, or of another time.
    """
    held = read_whole(lake)
    found = {chain_id: _parts(lake, chain_id) for chain_id in chains}
    newest = {chain_id: max(parts, default=0) for chain_id, parts in found.items()}
    common = set.intersection(*(set(parts) for parts in found.values())) if found else set()
    oldest = 0 if held is None else held.cut_at
    faults: list[str] = []
    for cut_at in sorted((each for each in common if each >= oldest), reverse=True):
        try:
            made = _merged(lake, [parts[cut_at] for parts in found.values()], ledgers)
            new = held is None or made.id != held.id
            if new:
                _publish(lake, made, held, ledgers)
            return Joined(made=made, new=new, behind=newest)
        except LakeBroken as error:
            faults.append(str(error))
    if faults:
        raise LakeBroken(f"no set can be joined: {'; '.join(faults)}")
    if held is not None and set(held.cut) == set(chains):
        return Joined(made=held, new=False, behind=newest)
    without = [chain_id for chain_id, last in newest.items() if not last]
    lack = (
        f"{', '.join(without)} has no part yet" if without else "the parts of the chains have no cut-off in common yet"
    )
    raise NotJoinable(f"{lake.name}: {lack}; let every indexer publish with the same period, and join then")


def reach(lake: Lake, chains: Sequence[str]) -> dict[str, int]:
    """The cut-off of the newest part of every chain, 0 where there is none; raises `LakeBroken`."""
    return {chain_id: max(_parts(lake, chain_id), default=0) for chain_id in chains}


def read_whole(lake: Lake) -> LakeSet | None:
    """The set that readers see now; one that is broken counts as none, since the next one takes its place."""
    try:
        return read_set(lake.filesystem, lake.root)
    except LakeBroken:
        return None


def part_paths(lake: Lake) -> list[tuple[str, int]]:
    """The path and cut-off of every part of every chain; raises `LakeBroken`."""
    folders = [f"{PARTS}/{name}" for name in lake.names(PARTS)]
    return [(path, cut_at) for folder in folders for cut_at, paths in _parts_in(lake, folder).items() for path in paths]


def _parts(lake: Lake, chain_id: str) -> dict[int, list[str]]:
    """The paths of a chain's parts by cut-off."""
    return _parts_in(lake, f"{PARTS}/{folder_of(chain_id)}")


def _parts_in(lake: Lake, folder: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in lake.names(folder):
        head = name.partition("-")[0]
        if name.endswith(".json") and head.isdigit():
            found.setdefault(int(head), []).append(f"{folder}/{name}")
    return found


def _merged(lake: Lake, parts: Sequence[Sequence[str]], ledgers: Mapping[LakeFile, bytes]) -> LakeSet:
    """One set of one part of each chain; raises `LakeBroken`."""
    chosen = [_whole(lake, paths) for paths in parts]
    schemas = sorted({part.made_by for part in chosen})
    if len(schemas) > 1:
        raise LakeBroken(f"parts were made by stores of schemas {schemas}; bring every indexer to one version")
    tables: dict[str, list[LakeFile]] = {}
    for part in chosen:
        for name, files in part.tables.items():
            tables.setdefault(name, []).extend(files)
    for file in ledgers:
        tables.setdefault(file.path.split("/")[1], []).append(file)
    return LakeSet(
        cut_at=chosen[0].cut_at,
        made_by=schemas[0],
        cut={chain_id: cut for part in chosen for chain_id, cut in sorted(part.cut.items())},
        tables={name: tuple(files) for name, files in sorted(tables.items())},
    )


def _whole(lake: Lake, paths: Sequence[str]) -> LakeSet:
    """Of some parts of one chain and cut-off that are as they were published the fullest; raises `LakeBroken`."""
    found, faults = list[LakeSet](), list[str]()
    for path in sorted(paths):
        try:
            found.append(_checked(lake, path))
        except LakeBroken as error:
            faults.append(str(error))
    if not found:
        raise LakeBroken("; ".join(faults))
    return fullest(lake, found)


def _checked(lake: Lake, path: str) -> LakeSet:
    part = parsed(lake.says(path) or b"", path)
    if f"{part.id}.json" != path.rpartition("/")[2]:
        raise LakeBroken(f"{path}: says something else than what was published under this name")
    if missing := lake.missing(part.files):
        raise LakeBroken(f"{path}: names {missing[0].path}, which is not there as it was published")
    return part


def _publish(lake: Lake, made: LakeSet, held: LakeSet | None, ledgers: Mapping[LakeFile, bytes]) -> None:
    """Let readers see a set: its files are read, then it gets its name, and then the name is pointed at."""
    for file, said in ledgers.items():
        lake.put(file.path, said)
    if missing := lake.missing(made.files):
        raise LakeBroken(f"{missing[0].path} is not there as it was published")
    known = {file.sha256 for file in held.files} if held is not None else set()
    for file in made.files:
        if file.sha256 not in known:
            lake.content(file)
    lake.put(f"{SETS}/{made.id}/{SET}", written(made))
    latest = json.dumps({"id": made.id}).encode()
    lake.point(LATEST, latest)
    seen = read_set(lake.filesystem, lake.root)
    if seen is None or seen.id != made.id:
        raise LakeRefused(f"{lake.name}: another set was published meanwhile; join again")
