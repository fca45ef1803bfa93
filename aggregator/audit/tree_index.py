"""Where the nodes of a snapshot's tree, the lines of its units and their owners stand: accounts are proven without building the tree.

`index.json` says what is where, by bytes; the manifest has its hash, and it those of `index.owners`. `index.nodes` has, for each part of
the tree and for what is above the parts, a line of names and of where units begin, and a line a node. `index.owners` has 12 bytes a unit,
in order: 8 that name who owns it, and its number. Nodes are not believed: whoever reads them follows what he found to the root.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import accumulate, islice, pairwise, starmap
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from aggregator.audit import branches, verifier
from aggregator.audit.branches import Held
from aggregator.audit.columns import ROWS_PER_GROUP, texts_of
from aggregator.audit.verifier import (
    HELD,
    POSITIONS,
    STATUS,
    UNITS,
    Branch,
    Fault,
    Holdings,
    Json,
    Node,
    Part,
    Run,
    Spelled,
    Terms,
    sha256,
)
from aggregator.preferring import LOG, say_slower, words_of
from aggregator.told import Told, untold

INDEX, NODES, OWNERS = "index.json", "index.nodes", "index.owners"
FILES = (INDEX, NODES, OWNERS)

GROUP = 8
"""Leaves below each of the lowest nodes that are kept: a power of two. So many are read, and joined, to prove one: with
fewer, proofs are faster and the index is larger."""

PART = 1 << 14
"""Leaves of a part of the tree that has nodes of its own in the index: a power of two too."""

MOST_DIGITS = 1_000
"""Of an amount: the verifier takes no more."""

NO_AMOUNT = "a position has an amount that is none"

LAST_DIGIT = np.uint8(9)

MANY = 16
"""Parts of a tree for which it is worth to load what is compiled."""

NAME = 8
ENTRY = np.dtype([("owner", f">u{NAME}"), ("unit", ">u4")])
ENTRIES = 4_096
"""How many entries of owners have one hash in `index.json`."""

OWNED_BY = ("chain_id", "owner")

Owner = tuple[str, str]
"""Chain and address of who owns a unit, as `units` has them."""


def write(
    folder: Path,
    units: pa.Table,
    positions: pa.Table,
    terms: Mapping[str, Terms],
    run: Run,
    *,
    told: Told = untold,
) -> Node:
    """Write the index of units and positions, which stand in a folder too, and return the root of their tree.

    `terms`: columns and key of each table. Raises `OSError`, and `Fault` where there is no tree.
    """
    with ExitStack() as opened:
        put = {name: opened.enter_context((folder / name).open("wb")).write for name in FILES}
        return _put(folder, units, positions, terms, run, put=put, group=GROUP, told=told)


Put = Callable[[bytes], object]
"""Takes what comes next in a file."""


def _put(
    folder: Path,
    units: pa.Table,
    positions: pa.Table,
    terms: Mapping[str, Terms],
    run: Run,
    *,
    put: Mapping[str, Put],
    group: int,
    told: Told = untold,
) -> Node:
    """Put into each file what it has, the nodes of each part of the tree as they come, and return the root."""
    growing = _growing(folder, units, positions, terms, run, group=group)
    owners = owners_of(units)
    put[OWNERS](owners)
    lengths = [0]

    def took(text: bytes) -> None:
        put[NODES](text)
        lengths.append(len(text))

    root = _grown(growing, told, took)
    said = {
        "group": group,
        "part": PART,
        "parts": [list(span) for span in pairwise(accumulate(lengths))],
        "owners": [list(each) for each in hashes(owners)],
    }
    put[INDEX](verifier.canonical(said))
    return root


def root_of(folder: Path, units: pa.Table, positions: pa.Table, terms: Mapping[str, Terms], run: Run) -> Node:
    """Return the root of the tree over units and positions, whose lines stand in a folder; raises as `write` does."""
    return _grown(_growing(folder, units, positions, terms, run), untold)


class Grown(NamedTuple):
    """What came of a part of the tree: its root, what the index has of it if that was asked for, and what kernels just failed by."""

    root: Node
    text: bytes
    failed: str | None = None


Call = tuple[Part, Part, Held]
Growing = tuple[Sequence[Call], Iterable[Grown], int | None]
"""Parts of a tree that are built, beside whatever else is done, what comes of each, and the groups of an index that is made with them."""


def _growing(
    folder: Path,
    units: pa.Table,
    positions: pa.Table,
    terms: Mapping[str, Terms],
    run: Run,
    *,
    group: int | None = None,
) -> Growing:
    """Begin to build a tree, in other processes where `run` has them; `group`: with what an index of such groups has of it."""
    parts = verifier.tree_parts(folder, terms, PART)
    calls = [(*part, held) for part, held in zip(parts, held_of(units, positions), strict=True)]
    return calls, run(partial(compiled_part_of if len(calls) >= MANY else part_of, group=group), calls), group


def _unwanted(_: bytes) -> None:
    """Take nothing."""


def _grown(growing: Growing, told: Told, put: Put = _unwanted) -> Node:
    """Return the root, and put what the index has of each part and of what is above them.

    What failed in a compiler, or in processes that died of it or of anything, is built without them, and that is said.
    """
    calls, parts, group = growing
    roots: list[Node] = []
    failed: list[str] = []

    def grow(parts: Iterable[Grown]) -> None:
        for part in parts:
            put(part.text)
            roots.append(part.root)
            failed.extend([part.failed] if part.failed else [])
            told("building the tree", len(roots), len(calls))

    try:
        grow(parts)
    except BrokenExecutor as error:
        LOG.warning(
            "the tree of a snapshot in one process, slower: %s", words_of(error), extra={"word": "processes_died"}
        )
        grow(starmap(partial(part_of, group=group), calls[len(roots) :]))
    if failed:
        say_slower("the tree of a snapshot", failed[0])
    root, above = _top(roots)
    put(above)
    return root


def held_of(units: pa.Table, positions: pa.Table) -> list[Held]:
    """Say what the units of each part of the tree hold; raises `Fault` for a position of no unit, or one that is out of order."""
    counts = _counts(units, positions)
    unknown = pc.equal(units[STATUS].cast(pa.string()), "unknown").to_numpy()
    asset, side, amount = (positions[name] for name in HELD)
    if pc.any(pc.greater(pc.binary_length(amount), MOST_DIGITS)).as_py() or amount.null_count:
        raise Fault(NO_AMOUNT)
    names, which = _named(asset, side)
    ends = np.concatenate([[0], np.cumsum(counts)])
    found = []
    for first in range(0, len(counts), PART):
        of = slice(first, first + PART)
        begin, end = int(ends[first]), int(ends[min(of.stop, len(counts))])
        text = texts_of(amount.slice(begin, end - begin).combine_chunks())
        if not _are_amounts(text):
            raise Fault(NO_AMOUNT)
        found.append(Held(counts[of], unknown[of], names, which[begin:end], text))
    return found


def _are_amounts(text: bytes) -> bool:
    """Whether each line is digits, and begins with a zero only where that is all."""
    signs = np.frombuffer(text, np.uint8)
    digits, ends = signs - np.uint8(ord("0")) <= LAST_DIGIT, np.flatnonzero(signs == ord("\n"))
    begins = np.append(0, ends + 1)[:-1]
    leading = signs[begins] == ord("0")
    return bool(
        len(ends) + np.count_nonzero(digits) == len(signs)
        and digits[begins].all()
        and (ends[leading] - begins[leading] == 1).all()
    )


def _named(asset: pa.ChunkedArray, side: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Name the sums that positions may add to, and say which each one does."""
    assets, sides = (column.dictionary_encode().unify_dictionaries() for column in (asset, side))
    words, ways = (column.chunk(0).dictionary.to_pylist() if column.num_chunks else [] for column in (assets, sides))
    codes, turns = (
        np.concatenate([np.empty(0, np.int32), *(chunk.indices.to_numpy() for chunk in column.chunks)])
        for column in (assets, sides)
    )
    return [f"{word}|{way}" for word in words for way in ways], (codes * len(ways) + turns).astype(np.int32)


def _counts(units: pa.Table, positions: pa.Table) -> npt.NDArray[np.int64]:
    """Count the positions of each unit; both are in their order."""
    counts = np.zeros(units.num_rows, np.int64)
    if not positions.num_rows:
        return counts
    starts, theirs = zip(*_runs(positions.select(verifier.OWN)), strict=True)
    all_units = _joined(units.select(verifier.OWN).combine_chunks().to_batches()[0]) if units.num_rows else []
    places = pc.index_in(pa.chunked_array(theirs), pa.array(all_units, pa.string()))
    if places.null_count or (np.diff(places.to_numpy()) <= 0).any():
        raise Fault("a position is of no unit, or not where it belongs")
    counts[places.to_numpy()] = np.diff(np.append(np.concatenate(starts), positions.num_rows))
    return counts


def _runs(own: pa.Table) -> Iterator[tuple[npt.NDArray[np.int64], pa.Array]]:
    """Yield at which rows other units begin, and these units; of some rows at a time."""
    at, before = 0, None
    for batch in filter(len, own.to_batches()):
        begins = np.ones(len(batch), np.bool_)
        begins[1:] = np.logical_or.reduce([_changes(column) for column in batch.columns])
        starts = np.flatnonzero(begins)
        named = _joined(batch.take(pa.array(starts)))
        if named[0].as_py() == before:
            starts, named = starts[1:], named[1:]
        yield starts + at, named
        at, before = at + len(batch), named[-1].as_py() if len(named) else before


def _changes(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Say of each row but the first whether it has another text than the one before it."""
    values = column.indices if pa.types.is_dictionary(column.type) else column
    changes = pc.fill_null(pc.not_equal(values[1:], values[:-1]), True)  # noqa: FBT003 - Arrow's
    return np.asarray(changes, np.bool_)


def _joined(own: pa.RecordBatch) -> pa.Array:
    return pc.binary_join_element_wise(*(column.cast(pa.string()) for column in own.columns), "\n")


def part_of(units: Part, positions: Part, held: Held, *, group: int | None) -> Grown:
    """Build a part of the tree; `group`: leaves below the lowest nodes that an index has of it, if there is to be one."""
    raw, sums = verifier.read(units), Spelled(held.names)
    holdings = Holdings(
        counts=held.counts.tolist(),
        unknown=held.unknown.tolist(),
        names=held.names,
        which=held.which.tolist(),
        amounts=held.amounts.decode().split(),
    )
    leaves = verifier.leaves_of_lines(raw, verifier.read(positions), holdings, sums)
    built = sums.levels(sums.joined(leaves, group or verifier.NEAR))
    if group is None:
        return Grown(sums.named(built[-1][0]), b"")
    ends = islice(re.finditer(b"\n", raw), group - 1, None, group)
    starts = [units.begin, *(units.begin + end.end() for end in ends)]
    if starts[-1] != units.end:
        starts.append(units.end)
    return Grown(sums.named(built[-1][0]), _text(sums.names, starts, _lines(built)))


def compiled_part_of(units: Part, positions: Part, held: Held, *, group: int | None) -> Grown:
    """Do what `part_of` does with compiled kernels, where there are any and until they fail in this process."""
    try:
        if not branches.failures() and (kernels := branches.kernels()) is not None:
            return _compiled_part_of(units, positions, held, kernels, group=group)
    except Fault:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a compiler or its files raise; of what is wrong with lines, the same is raised below
        grown = part_of(units, positions, held, group=group)
        branches.failures().append(words_of(error))
        return grown._replace(failed=branches.failures()[0])
    return part_of(units, positions, held, group=group)


def _compiled_part_of(
    units: Part, positions: Part, held: Held, kernels: branches.Kernels, *, group: int | None
) -> Grown:
    tree = branches.Tree(held.names, kernels)
    hashes, lengths = branches.leaf_hashes(units, positions, held.counts, kernels)
    levels = list(tree.levels(tree.leaves(held, hashes)))
    if group is None:
        return Grown(tree.root(levels[-1]), b"")
    words = branches.Words.of([f" {place}:" for place in range(len(tree.sums.names))], "", "", "\n")
    lines = (
        hashed.tobytes().hex().encode() + bytes(text)
        for level in levels[min(group.bit_length(), len(levels)) - 1 :]
        for hashed, text in zip(level.hashes, tree.texts(level, words), strict=True)
    )
    ends = [*accumulate(lengths.tolist(), initial=units.begin)]
    starts = [*ends[:-1:group], ends[-1]]
    return Grown(tree.root(levels[-1]), _text(tree.sums.names, starts, lines))


def _top(roots: Sequence[Node]) -> tuple[Node, bytes]:
    """Join the roots of parts, and return the root of all and what the index has of the nodes up to it."""
    sums = Spelled({name for node in roots for name in node.sums})
    built = sums.levels([*map(sums.spelled, roots or [verifier.EMPTY])])
    return sums.named(built[-1][0]), _text(sums.names, [], _lines(built))


def _text(names: Sequence[str], starts: Sequence[int], nodes: Iterable[bytes]) -> bytes:
    lines = list(nodes)
    said = {"names": names, "units": list(starts), "nodes": [0, *accumulate(map(len, lines))]}
    return b"".join([verifier.canonical(said), b"\n", *lines])


def _lines(built: Iterable[Sequence[Branch]]) -> Iterator[bytes]:
    for level in built:
        for hashed, sums, _ in level:
            amounts = " ".join([f"{place}:{amount}" for place, amount in sorted(sums.items())])
            yield f"{hashed.hex()} {amounts}\n".encode()


def owners_of(units: pa.Table) -> bytes:
    """Return the entries of owners of a table of units, which is in its order."""
    batches = units.select(OWNED_BY).to_batches(max_chunksize=ROWS_PER_GROUP)
    names = np.concatenate([np.empty(0, np.uint64), *map(_names, batches)])
    order = np.argsort(names, kind="stable")
    entries = np.empty(len(names), ENTRY)
    entries["owner"], entries["unit"] = names[order], order
    return entries.tobytes()


def _names(owned_by: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    owners = _joined(owned_by).dictionary_encode()
    names = np.array([_name(text) for text in owners.dictionary.to_pylist()], np.uint64)
    return np.asarray(names[owners.indices.to_numpy()], np.uint64)


def _name(owner: str) -> int:
    return int.from_bytes(blake2b(owner.encode(), digest_size=NAME).digest(), "big")


def hashes(owners: bytes) -> Iterator[tuple[str, str]]:
    """Yield, of so many entries at a time, the first owner and the hash."""
    size = ENTRIES * ENTRY.itemsize
    for at in range(0, len(owners), size):
        yield owners[at : at + NAME].hex(), sha256(owners[at : at + size])


def faults(folder: Path, manifest: Json) -> list[str]:
    """Say whether an index leaves out a unit of an owner: of all else, proofs tell by themselves. Raises `OSError`."""
    if INDEX not in manifest["files"]:
        return []
    owners = owners_of(pq.read_table(folder / f"{UNITS}.parquet", columns=list(OWNED_BY)))
    said = verifier.parsed((folder / INDEX).read_bytes(), INDEX)
    same = manifest["files"].get(OWNERS, {}).get("sha256") == sha256(owners)
    if same and isinstance(said, dict) and said.get("owners") == [list(each) for each in hashes(owners)]:
        return []
    return [f"{OWNERS} does not have the owners of {UNITS}"]


def differences(folder: Path, manifest: Json) -> list[str]:
    """Name the files of an index that are not what it is written as again; as dear as the tree itself. Raises `OSError`."""
    if INDEX not in manifest["files"]:
        return []
    units, positions = (pq.read_table(folder / f"{name}.parquet") for name in (UNITS, POSITIONS))
    terms = {name: (tuple(said["columns"]), tuple(said["key"])) for name, said in manifest["tables"].items()}
    hashes_of = {name: hashlib.sha256() for name in FILES}
    try:
        group = _group_of(verifier.parsed((folder / INDEX).read_bytes(), INDEX))
        with verifier.hands_for(folder) as run:
            put = {name: hashed.update for name, hashed in hashes_of.items()}
            _put(folder, units, positions, terms, run, put=put, group=group)
    except (Fault, *verifier.UNREADABLE) as error:
        return [f"no index can be made of these tables: {error}"]
    files = manifest["files"]
    return [
        f"{name} is not the index of these tables"
        for name, hashed in hashes_of.items()
        if files.get(name, {}).get("sha256") != f"sha256:{hashed.hexdigest()}"
    ]


def _group_of(said: Json) -> int:
    """Return how many leaves are below each of the lowest nodes of an index: other versions keep others."""
    group = said["group"]
    if type(group) is not int or not 1 <= group <= PART or group & (group - 1):
        raise Fault(f"{INDEX}: {group!r} leaves are no group")
    return group


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in the tree: its line, those of its positions, and the nodes beside the way from its leaf to the root, the lowest first."""

    line: str
    positions: list[str]
    path: list[Json]


@dataclass(frozen=True, slots=True)
class Nodes:
    """What the index has of a part of the tree, or of what is above the parts, within a file from byte `begin` on.

    `units`: where the lines of each group of units begin, and where the last ends; `nodes`: likewise of the nodes, level by level, from the
    lowest up; `lowest`: how many the lowest level has.
    """

    path: Path
    begin: int
    names: Sequence[str]
    units: Sequence[int]
    nodes: Sequence[int]
    lowest: int

    def way_up(self, number: int) -> list[Json]:
        """Return the nodes beside the way up from one of the lowest level."""
        sizes = sizes_up(self.lowest)
        first = [0, *accumulate(sizes)]
        with self.path.open("rb") as file:
            return [self._step(file, first[level] + other, side) for level, other, side in beside(sizes, number)]

    def _step(self, file: BinaryIO, number: int, side: str) -> Json:
        file.seek(self.begin + self.nodes[number])
        hashed, *sums = file.readline().decode().replace(":", " ").split()
        names = map(self.names.__getitem__, map(int, sums[::2]))
        return {"side": side, "hash": hashed, "sums": dict(zip(names, sums[1::2], strict=True))}


def sizes_up(lowest: int) -> list[int]:
    """Return how many nodes each level has, up to the root."""
    sizes = [lowest]
    while sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def beside(sizes: Sequence[int], number: int) -> Iterator[tuple[int, int, str]]:
    """Yield level, number and side of each node beside the way up from one of the lowest level; some have none beside them."""
    for level, size in enumerate(sizes[:-1]):
        other = number ^ 1
        if other < size:
            yield level, other, "left" if other < number else "right"
        number //= 2


def step(node: Node, side: str) -> Json:
    """Return a node beside the way up as a proof has it."""
    sums = {key: str(amount) for key, amount in sorted(node.sums.items())}
    return {"side": side, "hash": node.hash.hex(), "sums": sums}


class TreeIndex:
    """The index of a snapshot, whose parts are read when they are asked for; all of it raises `Fault` and `OSError`.

    `manifest`: the snapshot's own, as signed; `Fault` also where it names no index, or another one.
    """

    def __init__(self, folder: Path, manifest: Json) -> None:
        self._folder = folder
        raw = (folder / INDEX).read_bytes() if INDEX in manifest["files"] else b""
        if not raw or sha256(raw) != manifest["files"][INDEX]["sha256"]:
            raise Fault(f"{folder / INDEX} is not the one of the manifest")
        self._said: Json = json.loads(raw)
        self._terms = {
            name: (tuple(manifest["tables"][name]["columns"]), tuple(manifest["tables"][name]["key"]))
            for name in (UNITS, POSITIONS)
        }
        self._read: dict[int, Nodes] = {}

    def units_of(self, owners: Iterable[Owner]) -> list[int]:
        """Return the numbers of all units that may be of some owners, in order: of others there may be some among them."""
        return sorted({unit for owner in owners for unit in self._named(_name("\n".join(owner)))})

    def _named(self, name: int) -> Iterator[int]:
        """Read the entries of an owner; they may begin at the end of the entries before those that begin with it."""
        blocks = self._said["owners"]
        first = max(bisect_left(blocks, f"{name:0{2 * NAME}x}", key=itemgetter(0)) - 1, 0)
        size = ENTRIES * ENTRY.itemsize
        with (self._folder / OWNERS).open("rb") as file:
            for number in range(first, len(blocks)):
                begin, hashed = blocks[number]
                if int(begin, 16) > name:
                    return
                file.seek(number * size)
                raw = file.read(size)
                if sha256(raw) != hashed:
                    raise Fault(f"{OWNERS} is not the one of the manifest")
                entries = np.frombuffer(raw, ENTRY)
                yield from entries["unit"][entries["owner"] == name].tolist()

    def unit(self, number: int) -> Unit:
        """Return a unit with its positions, as lines, and the way up from its leaf."""
        part, within = divmod(number, self._said["part"])
        group, place = divmod(within, self._said["group"])
        nodes, above = self._nodes(part), self._nodes(len(self._said["parts"]) - 1)
        units, held = self._group(nodes, group)
        _, _, sums, leaves = verifier.leaves_of_part(units, held)
        level = list(leaves)
        below = [
            step(sums.named(sums.levels(level[other << height : (other + 1) << height])[-1][0]), side)
            for height, other, side in beside(sizes_up(len(level)), place)
        ]
        line = verifier.read(units).splitlines()[place]
        return Unit(
            line.decode(),
            _own(line, verifier.read(held).splitlines()),
            [*below, *nodes.way_up(group), *above.way_up(part)],
        )

    def _group(self, nodes: Nodes, group: int) -> tuple[Part, Part]:
        """Find the lines of a group of units, and of their positions."""
        begin, end = nodes.units[group : group + 2]
        units, positions = (self._folder / f"{name}.ndjson" for name in (UNITS, POSITIONS))
        with units.open("rb") as file:
            file.seek(begin)
            first = file.readline()
            file.seek(end)
            after = file.readline()
        size = positions.stat().st_size
        with positions.open("rb") as among:
            since = _place(among, first, size)
            until = _place(among, after, size, since)
        return verifier.tree_part(self._folder, self._terms, (begin, end), (since, until))

    def _nodes(self, part: int) -> Nodes:
        if part not in self._read:
            path, (begin, _) = self._folder / NODES, self._said["parts"][part]
            with path.open("rb") as file:
                file.seek(begin)
                said = json.loads(file.readline())
                begin = file.tell()
            lowest = len(said["units"]) - 1 if said["units"] else max(len(self._said["parts"]) - 1, 1)
            self._read[part] = Nodes(path=path, begin=begin, lowest=lowest, **said)
        return self._read[part]


def _own(unit: bytes, positions: Sequence[bytes]) -> list[str]:
    """Return the lines of positions that are of a unit, of some in their order."""
    key = verifier.key_of(json.loads(unit))
    begin, end = (
        side(positions, key, key=lambda line: verifier.key_of(json.loads(line))) for side in (bisect_left, bisect_right)
    )
    return [line.decode() for line in positions[begin:end]]


def _place(among: BinaryIO, unit: bytes, end: int, begin: int = 0) -> int:
    """Find where the positions of a unit begin; of none, that is where the last end."""
    return verifier.place_of(among, end, verifier.key_of(json.loads(unit)), begin=begin) if unit else end
