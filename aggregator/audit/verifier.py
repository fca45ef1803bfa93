"""Verifies snapshots of margin accounts. Needs Python 3.11 and the package `cryptography`; trusts nothing else, and nobody.

    python verify.py SNAPSHOT --key HEX [--chain FOLDER] [--witness HEX ...] [--json]

It checks that every file is what the manifest says, that every table is canonical, ordered and complete, that the Merkle-sum tree and
all sums follow from the tables, who signed the manifest and whether that key was in force, that the snapshots before it are those that
it names, and what witnesses signed. It says nothing about whether the tables are true: for that they must be compared with the chains
themselves.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import re
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from itertools import chain, islice, pairwise, starmap
from json.encoder import encode_basestring
from multiprocessing import get_context
from operator import add, itemgetter, le, lt
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "crossmargin-snapshot-2"
MANIFEST, SIGNATURE, KEYS = "manifest.json", "signature.json", "keys.json"
WITNESS = re.compile(r"witness-[0-9a-f]{16}\.json")
STAMP = re.compile(r"timestamp-[0-9a-f]{16}\.tsr")
SIGNED_DOMAIN = b"crossmargin snapshot v2\n"
WITNESS_DOMAIN = b"crossmargin snapshot witness v1\n"
ROTATION_DOMAIN = b"crossmargin key rotation v1\n"

LEAF, NODE = b"\x00", b"\x01"
UNITS, UNKNOWN = "units", "unknown"
"""How many leaves a sum is of, and how many of them are not known."""

POSITIONS = "positions"
"""The one table in which two rows may be alike."""

NOT_FOLLOWED = "lines of state proofs were not followed: verify_state.py does that"

UNWITNESSED = "nobody else signed it: until somebody does, its operator could write the past anew"

KEY = re.compile(r"[0-9a-f]{64}")
AMOUNT = re.compile(r"0|[1-9][0-9]{0,999}")
AMOUNTS = re.compile(rf"(?:(?:{AMOUNT.pattern})(?: (?:{AMOUNT.pattern}))*)?")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
HASH = re.compile(r"sha256:[0-9a-f]{64}")
LARGEST = 2**53 - 1
MOST_ASIDE, MOST_SAID = 1 << 20, 1 << 30
"""Bytes of a file that says who signs or signed, which whoever has the folder may write, and of a manifest."""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What comes of files that say something which cannot be: a forger may write anything."""

Json = dict[str, Any]


_compact = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


class Fault(Exception):
    """Something that is not as it must be; the message says what, and where."""


# -- canonical JSON (RFC 8785) without fractions ----------------------------------------------------------------------


def canonical(value: object) -> bytes:
    """Write a value in its one form; raises `Fault` for a fraction or an integer that other readers would round."""
    return "".join(_pieces(value)).encode("utf-8")


def _pieces(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield encode_basestring(value)
    elif value is None:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, int):
        if abs(value) > LARGEST:
            raise Fault(f"{value} is beyond the integers that JSON has")
        yield str(value)
    elif isinstance(value, list | tuple):
        yield "["
        for number, item in enumerate(value):
            yield "," if number else ""
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, dict) and _is_flat(value):
        yield _compact(value)
    elif isinstance(value, dict):
        yield "{"
        for number, key in enumerate(sorted(value, key=lambda each: each.encode("utf-16-be"))):
            yield f"{',' if number else ''}{encode_basestring(key)}:"
            yield from _pieces(value[key])
        yield "}"
    else:
        raise Fault(f"{value!r} is nothing that is written here")


def _is_flat(value: Json) -> bool:
    """Whether any encoder writes a value alike: of names in ASCII the order is the same in every encoding."""
    if not all(map(str.isascii, value)) or not {str, bool, int, type(None)}.issuperset(map(type, value.values())):
        return False
    return all(abs(each) <= LARGEST for each in value.values() if type(each) is int)


def parsed(raw: bytes, what: str) -> Any:  # noqa: ANN401 - any JSON
    """Read canonical JSON; raises `Fault` for any other spelling of the same."""
    try:
        value = json.loads(raw)
        same = canonical(value) == raw
    except (ValueError, RecursionError) as error:
        raise Fault(f"{what} is no JSON: {error}") from error
    if not same:
        raise Fault(f"{what} is not in canonical form")
    return value


def small(path: Path, most: int = MOST_ASIDE) -> bytes:
    """Read a file of so many bytes at most; raises `Fault` where it is none, such as a pipe that nobody writes to, and `OSError`."""
    if not path.is_file():
        raise Fault(f"{path.name} is missing")
    if (size := path.stat().st_size) > most:
        raise Fault(f"{path.name} has {size} bytes, which is more than such a file has")
    return path.read_bytes()


def sha256(raw: bytes) -> str:
    """Return the hash of some bytes as it is written everywhere."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


# -- the Merkle-sum tree ----------------------------------------------------------------------------------------------

Sums = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the tree: the hash over all below it, and the sums of all that is below it."""

    hash: bytes
    sums: Sums


def leaf(unit: bytes, positions: Sequence[bytes]) -> Node:
    """Return the leaf of a venue unit: its line of `units` and its lines of `positions`, which are as they stand in the tables."""
    row = parsed(unit, "a line of units")
    sums: dict[str, int] = {UNITS: 1, UNKNOWN: 1 if row["status"] == "unknown" else 0}
    for line in positions:
        position = parsed(line, "a line of positions")
        amount = position["amount_raw"]
        if not AMOUNT.fullmatch(amount):
            raise Fault(f"a position of {position['venue_id']} {position['unit_id']} has the amount {amount!r}")
        key = f"{position['asset']}|{position['side']}"
        sums[key] = sums.get(key, 0) + int(amount)
    text = b"".join(line + b"\n" for line in (unit, *positions))
    return Node(hashlib.sha256(LEAF + text).digest(), sums)


def joined(left: Node, right: Node) -> Node:
    """Return the node above two: its hash is over both hashes and both sums."""
    return _above(_said(left), _said(right))


Said = tuple[Node, bytes]
"""A node and the hash of its sums."""


def _said(node: Node) -> Said:
    return node, _texts_hash(dict(zip(node.sums, map(str, node.sums.values()), strict=True)))


def _above(left: Said, right: Said) -> Node:
    ours, theirs = left[0].sums, right[0].sums
    both = ours.keys() & theirs.keys()
    added = map(add, map(ours.__getitem__, both), map(theirs.__getitem__, both))
    sums = {**ours, **theirs, **dict(zip(both, added, strict=True))}
    text = NODE + left[0].hash + left[1] + right[0].hash + right[1]
    return Node(hashlib.sha256(text).digest(), sums)


def _texts_hash(sums: Mapping[str, str]) -> bytes:
    """Hash sums, given as texts, in canonical form."""
    text = _compact(sums).encode() if all(map(str.isascii, sums)) else canonical(sums)
    return hashlib.sha256(text).digest()


EMPTY = Node(hashlib.sha256(LEAF).digest(), {UNITS: 0, UNKNOWN: 0})


def levels(leaves: Sequence[Node]) -> list[list[Node]]:
    """Build the tree from its leaves up to its root; of an odd number the last goes up as it is."""
    built = [list(leaves) or [EMPTY]]
    while len(built[-1]) > 1:
        below = built[-1]
        pairs = [joined(below[number], below[number + 1]) for number in range(0, len(below) - 1, 2)]
        built.append(pairs + below[len(pairs) * 2 :])
    return built


def described(root: Node) -> Json:
    """Return what a manifest says of its tree."""
    return {"hash": root.hash.hex(), "sums": {key: str(amount) for key, amount in sorted(root.sums.items())}}


def check_proof(proof: Json, tree: Json) -> list[str]:
    """Say what is wrong with an inclusion proof, which has the lines of its leaf and the nodes beside the way up."""
    try:
        own = leaf(proof["unit"].encode(), [line.encode() for line in proof["positions"]])
        sums = Spelled({*own.sums, *chain.from_iterable(step["sums"] for step in proof["path"])})
        node = sums.spelled(own)
        for step in proof["path"]:
            beside = _step(step, sums)
            node = sums.above(beside, node) if step["side"] == "left" else sums.above(node, beside)
        found = described(sums.named(node))
    except (Fault, KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"the proof cannot be followed: {error}"]
    return [] if found == tree else [f"the proof leads to {found['hash']}, the tree of the snapshot is {tree['hash']}"]


def _step(step: Json, spelled: Spelled) -> Branch:
    """Read a node beside the way up; raises `Fault` where a sum is not written in its one form, in which it was hashed."""
    sums = step["sums"]
    if not sums or not AMOUNTS.fullmatch(" ".join(sums.values())):
        raise Fault(f"{sums!r} are no sums")
    places = [*map(spelled.places.__getitem__, sums)]
    amounts = dict(zip(places, map(int, sums.values()), strict=True))
    texts = {place: spelled.starts[place] + text for place, text in zip(places, sums.values(), strict=True)}
    return bytes.fromhex(step["hash"]), amounts, texts


# -- the same for millions of rows ------------------------------------------------------------------------------------
#
# Nearly all lines are plain: each is as the one pattern of its table wants it, which no spelling but the canonical one
# is. Parts of tables are read so by several processes. Where a part is not, or anything is not as the manifest says,
# nothing is said here: then all is read a row at a time, and what is wrong is named.

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""Calls a function with each of some arguments and returns what it returned, in order."""

Sound = Callable[[Path, "Json", Run], bool]
"""Whether the tables of a folder, and the tree over them, were found to be what its manifest says."""

Terms = tuple[tuple[str, ...], tuple[str, ...]]
"""The columns of a table, and those that it is ordered by."""

Edge = tuple[bytes, ...]
"""The key of a row."""

ALONE = 1 << 26
"""Bytes of files up to which other processes are not worth their start."""

LEAVES = 1 << 12
"""Leaves of a part of the tree: a power of two, so that each part but the last is a node of the whole; what is read of one stays near."""

SPAN = 1 << 25
"""About how many bytes of another table are a part of it."""

_CHUNK, _REACH = 1 << 20, 1 << 16
_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))[^"\\\x00-\x1f]*+)*+"'
_PICKED = rb'"([^"\\\x00-\x1f]*+)"'
_BARE, _BARE_PICKED = rb'"[^"]*+"', rb'"([^"]*+)"'
_NUMBER = rb'"(0|[1-9][0-9]*+)"'
_LOW = bytes(range(0x20))
_GAP = str(None).encode()

AT_ONCE = 1 << 18
"""About how many bytes of lines are looked at together: what is made of them stays near."""

NEAR = 32
"""Leaves that are joined together: a power of two."""

OWN = ("venue_id", "unit_id")
STATUS, HELD = "status", ("asset", "side", "amount_raw")


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file, from one byte to another; `key`: the columns that they are ordered by, `picked`: more that is read."""

    path: Path
    begin: int
    end: int
    columns: tuple[str, ...]
    key: tuple[str, ...]
    picked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a part has, all plain and in their order, and the keys of the first and the last."""

    count: int
    edges: tuple[Edge, Edge] | None


@contextmanager
def hands_for(folder: Path) -> Iterator[Run]:
    """Give something that runs functions: beside each other where the files of a folder are large."""
    total = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    hands = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if total <= ALONE or hands == 1:
        yield starmap
        return
    with ProcessPoolExecutor(hands, mp_context=get_context("spawn"), initializer=gc.disable) as pool:
        yield lambda function, calls: pool.map(function, *zip(*calls, strict=True)) if calls else ()


def hash_of(path: Path) -> str:
    """Return the hash of a file of any size."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def is_sound(folder: Path, manifest: Json, run: Run) -> bool:
    """Whether all tables are plain, ordered and as many rows as the manifest says, and the tree over units and positions is its own.

    `False` says nothing but that it was not found so here.
    """
    try:
        terms = {name: (tuple(said["columns"]), tuple(said["key"])) for name, said in manifest["tables"].items()}
        units, positions, root = _grown(folder, terms, run)
        counts = {UNITS: counted(units, lt), POSITIONS: counted(positions, le)}
        for name in sorted(set(terms) - set(counts)):
            counts[name] = counted(run(rows_of, [(part,) for part in _parts(folder, name, *terms[name])]), lt)
        rows = {name: said["rows"] for name, said in manifest["tables"].items()}
        return counts == rows and described(root) == manifest["tree"]
    except (Fault, OSError, BrokenExecutor, AttributeError, KeyError, TypeError, ValueError):
        return False


def _grown(folder: Path, terms: Mapping[str, Terms], run: Run) -> tuple[Sequence[Rows], Sequence[Rows], Node]:
    """Read units and positions by parts of the tree, and return what was read of either, and the root."""
    grown = list(run(subtree, tree_parts(folder, terms, LEAVES)))
    units, positions, nodes = zip(*grown, strict=True) if grown else ((), (), ())
    return units, positions, levels(nodes)[-1][0]


def counted(parts: Iterable[Rows], follows: Callable[[Edge, Edge], bool]) -> int:
    """Count the rows of parts that follow each other; raises `Fault` where one does not."""
    found = list(parts)
    edges = [part.edges for part in found if part.edges is not None]
    if not all(follows(before[1], after[0]) for before, after in pairwise(edges)):
        raise Fault("parts are out of order")
    return sum(part.count for part in found)


def rows_of(part: Part) -> Rows:
    """Read a part of a table; raises `Fault` for a row that is not plain or does not follow the one before it."""
    found = Following(part)
    for rows in picked(part, read(part)):
        found.add(rows)
    return found.rows()


def read(part: Part) -> bytes:
    with part.path.open("rb") as file:
        file.seek(part.begin)
        return file.read(part.end - part.begin)


def groups_of(part: Part) -> dict[str, int]:
    """Say which group of the pattern of a part is which column; another one at the end is always empty."""
    wanted = {*part.key, *part.picked}
    return {name: number for number, name in enumerate(name for name in _spelled(part.columns) if name in wanted)}


def _spelled(columns: Iterable[str]) -> list[str]:
    return sorted(set(columns), key=lambda each: each.encode("utf-16-be"))


def pattern_of(part: Part, *, bare: bool = False, odd: bool = False) -> re.Pattern[bytes]:
    """Compile what a plain line is.

    `bare`: where neither backslashes nor signs below space are, but for ends of lines; `odd`: where what is read of a line may be null,
    and have backslashes.
    """
    return _pattern(part.columns, (*part.key, *part.picked), bare, odd)


@lru_cache
def _pattern(columns: tuple[str, ...], wanted: tuple[str, ...], bare: bool, odd: bool) -> re.Pattern[bytes]:  # noqa: FBT001 - kept by its arguments
    text, picked_text = (_BARE, _BARE_PICKED) if bare else (_TEXT, _PICKED)
    value = rb"(?:%s|0|-?[1-9][0-9]{0,14}|true|false|null)" % text
    if odd:
        picked_text = rb'(?:"(%s)"|null)' % text.strip(b'"')
    values = {name: _NUMBER if name == HELD[-1] else picked_text for name in wanted}
    fields = [
        re.escape(json.dumps(name, ensure_ascii=False).encode()) + b":" + values.get(name, value)
        for name in _spelled(columns)
    ]
    return re.compile(rb"^\{%s\}()\n" % b",".join(fields), re.MULTILINE)


def picked(part: Part, raw: bytes) -> Iterator[list[tuple[bytes, ...]]]:
    """Yield the columns that are wanted of all lines, some at a time; raises `Fault` where one is not plain.

    A match begins and ends with a line, so that as many as there are ends of lines are all of them. Where no backslash is, and ends of
    lines are all the signs below space, a text is whatever is between quotes.
    """
    begin, odd = 0, False
    while begin < len(raw):
        end = raw.find(b"\n", begin + AT_ONCE) + 1 or len(raw)
        lines = raw[begin:end]
        bare = b"\\" not in lines
        ends = len(lines) - len(lines.translate(None, _LOW)) if bare else lines.count(b"\n")
        rows = _rows(part, lines, bare=bare, odd=odd)
        if len(rows) != ends:
            odd = not odd
            rows = _rows(part, lines, bare=bare, odd=odd)
        if len(rows) != ends or not lines.endswith(b"\n"):
            raise Fault(f"{part.path.name}: not all lines are plain")
        if not lines.isascii():
            lines.decode("utf-8")
        yield rows
        begin = end


def _rows(part: Part, lines: bytes, *, bare: bool, odd: bool) -> list[tuple[bytes, ...]]:
    """Match lines; where they are odd, what is wanted is returned as it is ordered, and nothing where an empty text could be a null."""
    rows = pattern_of(part, bare=bare, odd=odd).findall(lines)
    if not odd:
        return rows
    names = (json.dumps(name, ensure_ascii=False).encode() for name in (*part.key, *part.picked))
    return [] if any(name + b':""' in lines for name in names) else [tuple(map(_ordered_as, row)) for row in rows]


def _ordered_as(value: bytes) -> bytes:
    """Return a text as it is meant, and a null as it is ordered."""
    if b"\\" in value:
        return str(json.loads(b'"%s"' % value)).encode()
    return value or _GAP


class Following:
    """Whether rows of a part are in their order, and how many there are."""

    def __init__(self, part: Part) -> None:
        groups = groups_of(part)
        self._pick = itemgetter(*(groups[name] for name in part.key), len(groups))
        self._name, self._follows = part.path.name, le if part.path.stem == POSITIONS else lt
        self._count = 0
        self._edges: tuple[Edge, Edge] | None = None

    def add(self, rows: Sequence[tuple[bytes, ...]]) -> None:
        """Take the next rows; raises `Fault` for one that does not follow the one before it."""
        keys = list(map(self._pick, rows))
        if not keys:
            return
        first, last = self._edges or (keys[0], None)
        before = [] if last is None else [last]
        if not all(map(self._follows, chain(before, keys), islice(keys, 1 - len(before), None))):
            raise Fault(f"{self._name}: not all lines are in their order")
        self._edges = first, keys[-1]
        self._count += len(keys)

    def rows(self) -> Rows:
        return Rows(self._count, self._edges)


def _parts(folder: Path, name: str, columns: tuple[str, ...], key: tuple[str, ...]) -> Iterator[Part]:
    """Cut a table at ends of lines."""
    path = folder / f"{name}.ndjson"
    size, begin = path.stat().st_size, 0
    with path.open("rb") as file:
        while begin < size:
            file.seek(min(begin + SPAN, size))
            file.readline()
            end = file.tell()
            yield Part(path, begin, end, columns, key)
            begin = end


def tree_parts(folder: Path, terms: Mapping[str, Terms], leaves: int) -> list[tuple[Part, Part]]:
    """Cut units into parts of so many, and positions where the first of each part begin; raises `Fault` where these do not follow."""
    units, positions = folder / f"{UNITS}.ndjson", folder / f"{POSITIONS}.ndjson"
    starts, size = line_starts(units, leaves), positions.stat().st_size
    places = [0]
    with units.open("rb") as file, positions.open("rb") as among:
        for start in starts[1:-1]:
            file.seek(start)
            places.append(place_of(among, size, key_of(json.loads(file.readline()))))
    places.append(size)
    if places != sorted(places) or (size and len(starts) == 1):
        raise Fault("positions do not follow their units")
    return [tree_part(folder, terms, *spans) for spans in zip(pairwise(starts), pairwise(places), strict=False)]


def tree_part(
    folder: Path, terms: Mapping[str, Terms], of_units: tuple[int, int], held: tuple[int, int]
) -> tuple[Part, Part]:
    """Name units from one byte to another with their positions, which are between two bytes as well."""
    return (
        Part(folder / f"{UNITS}.ndjson", *of_units, *terms[UNITS], (*OWN, STATUS)),
        Part(folder / f"{POSITIONS}.ndjson", *held, *terms[POSITIONS], (*OWN, *HELD)),
    )


def line_starts(path: Path, every: int) -> list[int]:
    """Return where every so-many-th line of a file begins, from the first on, and where it ends."""
    starts, seen, at = [0], 0, 0
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            wanted, count = (-seen - 1) % every, block.count(b"\n")
            if wanted < count:
                starts += [at + end.end() for end in islice(re.finditer(b"\n", block), wanted, None, every)]
            seen, at = seen + count, at + len(block)
    return starts if starts[-1] == at else [*starts, at]


def place_of(file: BinaryIO, size: int, wanted: tuple[str, ...], key: Sequence[str] = OWN, *, begin: int = 0) -> int:
    """Return where the first line begins whose key is not before another, in a table that is ordered by it.

    `begin`: where some line before it begins, not far from it.
    """
    low, high, reach = begin, size, _REACH if begin else size
    while high - low > _REACH:
        middle = min((low + high) // 2, low + reach)
        file.seek(max(0, middle - 1))
        if middle:
            file.readline()
        start, line = file.tell(), file.readline()
        if line and key_of(json.loads(line), key) < wanted:
            low, reach = start + len(line), reach * 4
        else:
            high = middle
    file.seek(low)
    lines = (file.read(high - low) + file.readline()).splitlines(keepends=True)
    before = bisect_left(lines, wanted, key=lambda line: key_of(json.loads(line), key))
    return low + sum(map(len, lines[:before]))


def key_of(row: Json, key: Sequence[str] = OWN) -> tuple[str, ...]:
    """Return the key of a row, by default the unit that it is of."""
    return tuple(str(row[column]) for column in key)


def subtree(units: Part, positions: Part) -> tuple[Rows, Rows, Node]:
    """Read a part of units with their positions, and build the tree over them; raises `Fault` as `rows_of` does."""
    of_units, held, sums, leaves = leaves_of_part(units, positions)
    return of_units, held, sums.named(sums.levels(sums.joined(leaves, NEAR))[-1][0])


def leaves_of_part(units: Part, positions: Part) -> tuple[Rows, Rows, Spelled, Iterator[Branch]]:
    """Read a part of units with their positions as leaves, and how their sums are spelled; raises `Fault` as `rows_of` does."""
    raw, lines, places = read(units), read(positions), groups_of(units)
    of_units = Following(units)
    own: list[Edge] = []
    unknown: list[bool] = []
    for rows in picked(units, raw):
        of_units.add(rows)
        own += map(itemgetter(*(places[column] for column in OWN)), rows)
        unknown += [row[places[STATUS]] == b"unknown" for row in rows]
    found, count_of, named, amounts = _held(positions, lines)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
    held = Holdings(
        counts=[count_of.get(unit, 0) for unit in own],
        unknown=unknown,
        names=[f"{asset.decode()}|{side.decode()}" for asset, side in numbers],
        which=list(map(numbers.__getitem__, named)),
        amounts=b"\n".join(amounts).decode().split(),
    )
    sums = Spelled(held.names)
    return of_units.rows(), found, sums, leaves_of_lines(raw, lines, held, sums)


def _held(part: Part, lines: bytes) -> tuple[Rows, Mapping[Edge, int], list[Edge], list[bytes]]:
    """Read positions: how many each unit has, and of each the asset with the side, and the amount."""
    groups, found = groups_of(part), Following(part)
    unit_of, name_of = (itemgetter(*(groups[column] for column in columns)) for columns in (OWN, HELD[:2]))
    amount_of = itemgetter(groups[HELD[-1]])
    count_of: Counter[Edge] = Counter()
    named: list[Edge] = []
    amounts: list[bytes] = []
    for rows in picked(part, lines):
        found.add(rows)
        count_of.update(map(unit_of, rows))
        named += map(name_of, rows)
        amounts += map(amount_of, rows)
    return found.rows(), count_of, named, amounts


@dataclass(frozen=True, slots=True)
class Holdings:
    """What units hold, in the order of their lines: of each how many positions it has and whether it is not known.

    Of each position `which` of the `names` of sums it adds to, and the amount as it is written.
    """

    counts: Sequence[int]
    unknown: Sequence[bool]
    names: Sequence[str]
    which: Sequence[int]
    amounts: Sequence[str]


def leaves_of_lines(units: bytes, positions: bytes, held: Holdings, sums: Spelled) -> Iterator[Branch]:
    """Make leaves of lines, each with its end, and of what they say; raises `Fault` where these are not as many."""
    places = [sums.places[name] for name in held.names]
    codes = list(map(places.__getitem__, held.which))
    if not sum(held.counts) == len(codes) == len(held.amounts):
        raise Fault("a position is of no unit")
    amounts = zip(codes, map(int, held.amounts), strict=True)
    texts = zip(codes, map(add, map(sums.starts.__getitem__, codes), held.amounts), strict=True)
    held_lines, at = BytesIO(positions), 0
    for line, unknown, count in zip(BytesIO(units), held.unknown, held.counts, strict=True):
        one, one_text = sums.ones[unknown]
        own, amount_of, text_of = (
            list(islice(held_lines, count)),
            dict(islice(amounts, count)),
            dict(islice(texts, count)),
        )
        if len(own) < count:
            raise Fault("a position is of no unit")
        at += count
        if len(amount_of) < count:
            amount_of = _added(codes[at - count : at], held.amounts[at - count : at])
            text_of = sums.texts(amount_of)
        amount_of.update(one)
        text_of.update(one_text)
        yield hashlib.sha256(b"".join((LEAF, line, *own))).digest(), amount_of, text_of
    if held_lines.readline():
        raise Fault("a position is of no unit")


def _added(codes: Iterable[int], amounts: Iterable[str]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for code, amount in zip(codes, amounts, strict=True):
        sums[code] = sums.get(code, 0) + int(amount)
    return sums


Branch = tuple[bytes, dict[int, int], dict[int, str]]
"""The hash and the sums of a node, by the places of their names; each sum as written behind its name, or nothing where most are new."""


class Spelled:
    """Sums by the place of their name among all names in the order in which they are written, and how each is written."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted({*names, UNITS, UNKNOWN}, key=lambda name: name.encode("utf-16-be"))
        self.places = {name: place for place, name in enumerate(self.names)}
        self.starts = [f'{encode_basestring(name)}:"' for name in self.names]
        self._forms = [start.replace("%", "%%") + "%d" for start in self.starts]
        counted = ({self.places[UNITS]: 1, self.places[UNKNOWN]: unknown} for unknown in (0, 1))
        self.ones = [(sums, self.texts(sums)) for sums in counted]

    def texts(self, sums: Mapping[int, int]) -> dict[int, str]:
        """Write sums behind their names."""
        return {place: f"{self.starts[place]}{amount}" for place, amount in sums.items()}

    def spelled(self, node: Node) -> Branch:
        """Return a node with the places of its sums."""
        sums = {self.places[name]: amount for name, amount in node.sums.items()}
        return node.hash, sums, self.texts(sums)

    def named(self, node: Branch) -> Node:
        """Return a node with the names of its sums."""
        return Node(node[0], {self.names[place]: amount for place, amount in sorted(node[1].items())})

    def levels(self, nodes: Iterable[Branch]) -> list[list[Branch]]:
        """Join nodes in pairs until there is one; of an odd number the last goes up as it is. The last level is the root."""
        built = [list(nodes)]
        while len(level := built[-1]) > 1:
            pairs = list(map(self.above, level[::2], level[1::2]))
            built.append(pairs + level[len(pairs) * 2 :])
        return built

    def joined(self, leaves: Iterable[Branch], size: int) -> Iterator[Branch]:
        """Yield the nodes above so many leaves, a power of two, each: the nodes of one level."""
        leaves = iter(leaves)
        while group := list(islice(leaves, size)):
            yield self.levels(group)[-1][0]

    def above(self, left: Branch, right: Branch) -> Branch:
        """Join two nodes; only sums that both have are added and written anew."""
        (left_hash, left_sums, left_texts), (right_hash, right_sums, right_texts) = left, right
        text = b"".join((NODE, left_hash, self._hash(left), right_hash, self._hash(right)))
        sums, both = left_sums | right_sums, left_sums.keys() & right_sums.keys()
        texts: dict[int, str] = {}
        if len(both) * 2 < len(sums) and left_texts and right_texts:
            texts, starts = left_texts | right_texts, self.starts
            for place in both:
                sums[place] = amount = left_sums[place] + right_sums[place]
                texts[place] = f"{starts[place]}{amount}"
        else:
            added = map(add, map(left_sums.__getitem__, both), map(right_sums.__getitem__, both))
            sums.update(zip(both, added, strict=True))
        return hashlib.sha256(text).digest(), sums, texts

    def _hash(self, node: Branch) -> bytes:
        _, sums, texts = node
        if texts:
            text = '",'.join(map(texts.__getitem__, sorted(texts)))
        else:
            places = sorted(sums)
            text = '",'.join(map(self._forms.__getitem__, places)) % tuple(map(sums.__getitem__, places))
        return hashlib.sha256(f'{{{text}"}}'.encode()).digest()


# -- signatures -------------------------------------------------------------------------------------------------------


def signed_by(key: str, signature: str, message: bytes) -> bool:
    """Whether a key (hex) made a signature (hex, in small letters as all that is written here) of a message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return KEY.fullmatch(key) is not None and signature == signature.lower()


def rotation_message(entry: Mapping[str, Any]) -> bytes:
    """What the key before signs of the next one: which it is, since when it signs, and whom it replaces."""
    return ROTATION_DOMAIN + canonical({name: entry[name] for name in ("key", "from", "replaces")})


def key_faults(history: Sequence[Json]) -> list[str]:
    """Say what is wrong with a list of keys, oldest first: each but the first is signed by the one before and by itself."""
    faults = []
    for number, entry in enumerate(history):
        if set(entry) != {"key", "from", "replaces", "signature", "consent"} or not TIME.fullmatch(str(entry["from"])):
            faults.append(f"{KEYS}: entry {number} is no key with the time from which it signs")
            continue
        before = history[number - 1] if number else None
        if (before["key"] if before else None) != entry["replaces"]:
            faults.append(f"{KEYS}: {entry['key']} does not replace the key before it")
        if before and not signed_by(before["key"], entry["signature"], rotation_message(entry)):
            faults.append(f"{KEYS}: {entry['key']} was not named by the key before it")
        if not number and entry["signature"] is not None:
            faults.append(f"{KEYS}: nobody named {entry['key']}, the first, and something else is said")
        if before and entry["from"] <= before["from"]:
            faults.append(f"{KEYS}: {entry['key']} signs from {entry['from']}, not after the key before it")
        if not signed_by(entry["key"], entry["consent"], rotation_message(entry)):
            faults.append(f"{KEYS}: {entry['key']} did not sign its own entry")
    return faults


def key_in_force(history: Sequence[Json], time: str) -> str | None:
    """Return the key that signs what is of a moment."""
    known = [entry["key"] for entry in history if entry["from"] <= time]
    return known[-1] if known else None


# -- a snapshot -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Found:
    """What came of it: what is wrong, and what has to be known beside it."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    manifest: Json = field(default_factory=dict)
    hash: str = ""


def verify(folder: Path, *, key: str | None = None, witnesses: Sequence[str] = (), sound: Sound | None = None) -> Found:
    """Check one snapshot by itself; `key`: a public key (hex) that is known to be the operator's, now or once.

    `sound`: looks at tables otherwise than line by line, and says of what is as it must be that it is; it is asked only where the files
    beside their lines are those of the manifest.
    """
    found = Found()
    try:
        raw = small(folder / MANIFEST, MOST_SAID)
        found.hash = sha256(raw)
        found.manifest = _manifest(raw)
        found.faults += shape_faults(found.manifest)
        if not found.faults:
            look_at_files(folder, found, sound)
        look_at_signature(folder, raw, found, key)
        _witnesses(folder, found, witnesses)
        if proofs := found.manifest["tables"]["proofs"]["rows"]:
            found.notes.append(f"{proofs} {NOT_FOLLOWED}")
    except (OSError, Fault) as error:
        found.faults.append(str(error))
    except UNREADABLE as error:
        found.faults.append(
            f"{MANIFEST}, or a file beside it, does not say what it must: {type(error).__name__} {error}"
        )
    return found


def look_at_files(folder: Path, found: Found, sound: Sound | None = None) -> None:
    """Check all files of a snapshot, and its tables and tree; see `verify`.

    `sound` is asked once the files beside the lines of tables are found to be their own; these are hashed meanwhile. Where anything but a
    file has the name of one, nothing is opened: a pipe would be waited for.
    """
    if odd := [name for name in sorted(found.manifest["files"]) if _is_odd(folder, name)]:
        found.faults += [f"{name} is no regular file" for name in odd]
        return
    with hands_for(folder) as run:
        others, lines = hashes_of(folder, found.manifest, run)
        if sound is None:
            plain = is_sound(folder, found.manifest, run)
        else:
            others = [*others]
            plain = _are_own(found.manifest, others) and sound(folder, found.manifest, run)
        found.faults += file_faults(folder, found.manifest, chain(others, lines))
        if found.faults or not plain:
            found.faults += _tables(folder, found.manifest)


def _is_odd(folder: Path, name: str) -> bool:
    path = folder / name
    return Path(name).name == name and path.exists() and not path.is_file()


def _manifest(raw: bytes) -> Json:
    value = parsed(raw, MANIFEST)
    if isinstance(value, dict) and value.get("format") == FORMAT:
        return value
    raise Fault(f"{MANIFEST} is not of the format {FORMAT}")


def shape_faults(manifest: Json) -> Iterator[str]:
    """Name what a manifest does not say in the way that everything else here rests on."""
    if not (isinstance(manifest.get("slot_time"), str) and TIME.fullmatch(manifest["slot_time"])):
        yield f"{MANIFEST}: slot_time is no time in UTC"
    number, previous = manifest.get("sequence"), manifest.get("previous")
    if type(number) is not int or number < 1:
        yield f"{MANIFEST}: sequence is no number from 1 on"
    elif "previous" not in manifest:
        yield f"{MANIFEST} does not say what it follows"
    elif number == 1 and previous is not None:
        yield "it is the first of its chain, and names one before it"
    elif number > 1 and not (isinstance(previous, str) and HASH.fullmatch(previous)):
        yield f"{MANIFEST}: previous is not the hash of a manifest, of number {number} of a chain"
    files, tables = manifest.get("files"), manifest.get("tables")
    if isinstance(files, dict) and isinstance(tables, dict):
        yield from (
            f"{MANIFEST}: {name} is not said by its hash and size"
            for name in sorted(files)
            if not _is_file(files[name])
        )
        yield from _table_faults(set(files), tables)
    else:
        yield f"{MANIFEST} does not say what it must: files and tables by their names"


def _table_faults(files: set[str], tables: Json) -> Iterator[str]:
    yield from (f"{MANIFEST} has no table {name}" for name in (UNITS, POSITIONS, "proofs") if name not in tables)
    lines = {name.removesuffix(".ndjson") for name in files if name.endswith(".ndjson")}
    yield from (f"{MANIFEST}: {name}.ndjson is not both a file and a table" for name in sorted(lines ^ set(tables)))
    for name, terms in sorted(tables.items()):
        if not _is_table(terms):
            yield f"{MANIFEST}: the table {name} is not said by its rows, its columns and the key among them"
        elif name in {UNITS, POSITIONS} and tuple(terms["key"][: len(OWN)]) != OWN:
            yield f"{MANIFEST}: {name} are not ordered by their units"


def _is_file(entry: object) -> bool:
    return isinstance(entry, dict) and set(entry) == {"sha256", "bytes"} and type(entry["bytes"]) is int


def _is_table(terms: object) -> bool:
    if not isinstance(terms, dict) or set(terms) != {"rows", "columns", "key"} or type(terms["rows"]) is not int:
        return False
    lists = [terms["columns"], terms["key"]]
    if not all(isinstance(each, list) and each and all(isinstance(name, str) for name in each) for each in lists):
        return False
    return all(len(set(each)) == len(each) for each in lists) and set(terms["key"]) <= set(terms["columns"])


Hashed = Iterable[tuple[str, str]]
"""Files by their names, each with its hash."""


def hashes_of(folder: Path, manifest: Json, run: Run) -> tuple[Hashed, Hashed]:
    """Begin to hash those files of a manifest that are there, first those beside the lines of tables, and then these.

    Where other processes do it, other work may go on meanwhile.
    """
    there = {
        name: (folder / name).stat().st_size
        for name in sorted(manifest["files"])
        if Path(name).name == name and (folder / name).is_file()
    }
    longest_first = sorted(there, key=there.__getitem__, reverse=True)
    lines = [name for name in longest_first if name.endswith(".ndjson")]
    others = [name for name in there if name not in lines]
    return _hashed(folder, others, run), _hashed(folder, lines, run)


def _hashed(folder: Path, names: Sequence[str], run: Run) -> Hashed:
    return zip(names, run(hash_of, [(folder / name,) for name in names]), strict=True)


def _are_own(manifest: Json, hashed: Hashed) -> bool:
    return all(manifest["files"][name]["sha256"] == own for name, own in hashed)


def file_faults(folder: Path, manifest: Json, hashed: Hashed) -> Iterator[str]:
    """Compare all files with their hashes, and name those that are missing or not in the manifest."""
    named, hashes = manifest["files"], dict(hashed)
    for name, entry in sorted(named.items()):
        if Path(name).name != name:
            raise Fault(f"{MANIFEST} names {name!r}, which is outside of its folder")
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif (size := path.stat().st_size) != entry["bytes"]:
            yield f"{name} has {size} bytes, the manifest says {entry['bytes']}"
        elif (own := hashes[name]) != entry["sha256"]:
            yield f"{name} has the hash {own}, the manifest says {entry['sha256']}"
    for path in sorted(folder.iterdir()):
        aside = path.name in {MANIFEST, SIGNATURE} or WITNESS.fullmatch(path.name) or STAMP.fullmatch(path.name)
        if path.name not in named and not aside:
            yield f"{path.name} is not in the manifest"


def lines_of(folder: Path, table: str) -> Iterator[bytes]:
    """Read the lines of a table, without their ends; raises `Fault` for a last line that does not end."""
    with (folder / f"{table}.ndjson").open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                raise Fault(f"{table}.ndjson ends within a line")
            yield line[:-1]


def _tables(folder: Path, manifest: Json) -> Iterator[str]:
    """Check every table by itself, and the tree over units and positions."""
    for name, terms in sorted(manifest["tables"].items()):
        try:
            count = _ordered(folder, name, terms["columns"], terms["key"])
        except (OSError, Fault) as error:
            yield str(error)
            continue
        if count != terms["rows"]:
            yield f"{name}.ndjson has {count} rows, the manifest says {terms['rows']}"
    try:
        found = described(levels(list(leaves_of(folder)))[-1][0])
    except (OSError, Fault, *UNREADABLE) as error:
        yield f"the tree cannot be built: {error}"
        return
    said = manifest["tree"]
    if set(said) != set(found):
        yield f"{MANIFEST}: the tree is not said by its hash and its sums"
    if found["sums"] != said["sums"]:
        wrong = sorted(set(found["sums"].items()) ^ set(said["sums"].items()))
        yield f"the sums over all units are not those of the manifest: {', '.join(sorted({key for key, _ in wrong}))}"
    if found["hash"] != said["hash"]:
        yield f"the tree over all units is {found['hash']}, the manifest says {said['hash']}"


def _ordered(folder: Path, name: str, columns: Sequence[str], key: Sequence[str]) -> int:
    """Count the rows of a table; raises `Fault` for one that is not canonical, has other columns, or is out of its order."""
    before: tuple[str, ...] | None = None
    count, wanted = 0, set(columns)
    for count, line in enumerate(lines_of(folder, name), start=1):
        row = parsed(line, f"{name}.ndjson line {count}")
        if not isinstance(row, dict) or set(row) != wanted:
            raise Fault(f"{name}.ndjson line {count} has other columns than the manifest says")
        place = tuple(str(row[column]) for column in key)
        if before is not None and (place < before or (place == before and name != POSITIONS)):
            raise Fault(f"{name}.ndjson line {count} does not come after the one before it")
        before = place
    return count


def leaves_of(folder: Path) -> Iterator[Node]:
    """Put each unit together with its positions, both in the order of the tables; raises `Fault` for a position of no unit."""
    positions = lines_of(folder, POSITIONS)
    pending = next(positions, None)
    for line in lines_of(folder, UNITS):
        unit = parsed(line, "a line of units")
        own = []
        while pending is not None and _same_unit(parsed(pending, "a line of positions"), unit):
            own.append(pending)
            pending = next(positions, None)
        yield leaf(line, own)
    if pending is not None:
        raise Fault(f"a position is of no unit: {pending[:200].decode('utf-8', 'replace')}")


def _same_unit(position: Json, unit: Json) -> bool:
    return (position["venue_id"], position["unit_id"]) == (unit["venue_id"], unit["unit_id"])


def look_at_signature(folder: Path, raw: bytes, found: Found, trusted: str | None) -> None:
    """Find out who signed the manifest, and whether that key was in force; raises `Fault`, `OSError` and `UNREADABLE`."""
    if not (folder / SIGNATURE).is_file():
        found.faults.append(f"{SIGNATURE} is missing: nobody stands for this snapshot")
        return
    said, whole = parsed(small(folder / SIGNATURE), SIGNATURE), parsed(small(folder / KEYS), KEYS)
    history = whole["keys"]
    if set(said) != {"key", "signature"} or set(whole) != {"keys"}:
        found.faults.append(f"{SIGNATURE} or {KEYS} says more than who signs, which nobody signed")
    found.faults += key_faults(history)
    if not signed_by(said["key"], said["signature"], SIGNED_DOMAIN + raw):
        found.faults.append(f"{SIGNATURE}: the manifest was not signed by {said['key']}")
    in_force = key_in_force(history, found.manifest["slot_time"])
    if said["key"] != in_force:
        found.faults.append(
            f"{SIGNATURE}: {said['key']} was not the key in force at {found.manifest['slot_time']}, {in_force} was"
        )
    if trusted is None:
        found.notes.append(
            f"no key was given: whoever has the secret of {said['key']} made this snapshot, who that is was not looked at"
        )
    elif trusted not in {entry["key"] for entry in history}:
        found.faults.append(f"{KEYS}: the key that is trusted, {trusted}, is none of the operator's")


def witness_message(manifest_hash: str) -> bytes:
    """What a witness signs: that a manifest of this hash was there."""
    return WITNESS_DOMAIN + manifest_hash.encode()


def _witnesses(folder: Path, found: Found, wanted: Sequence[str]) -> None:
    """Check who else signed the hash of the manifest."""
    seen: set[str] = set()
    for path in sorted(each for each in folder.iterdir() if WITNESS.fullmatch(each.name)):
        said = parsed(small(path), path.name)
        if set(said) != {"key", "signature"}:
            found.faults.append(f"{path.name} says more or less than who signed, and how")
        elif signed_by(said["key"], said["signature"], witness_message(found.hash)):
            seen.add(said["key"])
        else:
            found.faults.append(f"{path.name}: {said['key']} did not sign the hash of this manifest")
    found.faults += [f"the witness {key} did not sign this snapshot" for key in wanted if key not in seen]
    if not seen:
        found.notes.append(UNWITNESSED)
    elif not wanted:
        found.notes.append(f"signed by {', '.join(sorted(seen))}; whose keys these are was not looked at")
    if stamps := sorted(each.name for each in folder.iterdir() if STAMP.fullmatch(each.name)):
        found.notes.append(
            f"time stamps were not looked at: openssl ts -verify -data {MANIFEST} -in {stamps[0]} does that"
        )


def verify_chain(
    folders: Iterable[Path], *, key: str | None = None, witnesses: Sequence[str] = (), sound: Sound | None = None
) -> dict[str, Found]:
    """Check snapshots and that each names the one that was made before it; by the names of their folders."""
    found = {folder.name: verify(folder, key=key, witnesses=witnesses, sound=sound) for folder in sorted(folders)}
    linked = [each for each in found.values() if _number(each.manifest) > 0]
    for each in found.values():
        if each not in linked:
            each.faults.append("it has no place in a chain of snapshots")
    linked.sort(key=lambda each: (each.manifest["sequence"], each.hash))
    for before, after in pairwise(linked):
        number, expected = after.manifest["sequence"], before.manifest["sequence"] + 1
        if number != expected:
            after.faults.append(f"it is number {number} of its chain, and {expected} is not here")
        elif (previous := after.manifest.get("previous")) != before.hash:
            after.faults.append(f"it follows {previous}, the one before it is {before.hash}")
    if linked and linked[0].manifest["sequence"] > 1:
        linked[0].notes.append(f"what comes before number {linked[0].manifest['sequence']} of its chain is not here")
    return found


def _number(manifest: Json) -> int:
    number = manifest.get("sequence")
    return number if type(number) is int else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify what the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(prog="verify.py", description="Verify snapshots of margin accounts.")
    reader.add_argument(
        "snapshot", type=Path, help="the folder of a snapshot, or with --chain one that holds all of them"
    )
    reader.add_argument("--key", help="a public key (hex) that is known to be the operator's")
    reader.add_argument(
        "--witness", action="append", default=[], metavar="KEY", help="a public key that must have signed too"
    )
    reader.add_argument(
        "--chain", action="store_true", help="check every snapshot in the folder, and how they follow each other"
    )
    reader.add_argument("--proof", type=Path, help="a file that is said to prove that an account is in the snapshot")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    if not asked.snapshot.is_dir():
        reader.error(f"there is no folder {asked.snapshot}")
    folders = [each for each in asked.snapshot.iterdir() if each.is_dir()] if asked.chain else [asked.snapshot]
    found = verify_chain(
        [each for each in folders if not each.name.startswith(".")], key=asked.key, witnesses=asked.witness
    )
    if asked.proof is not None and len(found) == 1:
        (each,) = found.values()
        each.faults += proof_faults(asked.proof, folders[0], each)
    report = {name: {"hash": each.hash, "faults": each.faults, "notes": each.notes} for name, each in found.items()}
    if asked.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{plain(line)}\n" for line in _told(report))
    return 4 if any(each.faults for each in found.values()) or not found else 0


def proof_faults(path: Path, folder: Path, found: Found) -> list[str]:
    """Say what is wrong with the proof of an account against a snapshot that was checked.

    It has the account's own line of `accounts`, and all units of its members.
    """
    try:
        proof = json.loads(path.read_bytes())
        faults = [fault for unit in proof["units"] for fault in check_proof(unit, found.manifest["tree"])]
        if proof["manifest_hash"] != found.hash:
            faults.append(f"the proof is of the snapshot {proof['manifest_hash']}")
        if canonical(proof["account"]) not in lines_of(folder, "accounts"):
            faults.append("the snapshot does not say of the account what the proof does")
        members = set(json.loads(proof["account"]["members"]))
        own = Counter(raw for raw in lines_of(folder, UNITS) if _owner(json.loads(raw)) in members)
        if Counter(unit["unit"].encode() for unit in proof["units"]) != own:
            faults.append(f"the account has {own.total()} units in the snapshot, and the proof does not have these")
    except (OSError, Fault, *UNREADABLE) as error:
        return [f"{path.name} is no proof: {type(error).__name__} {error}"]
    return faults


def _owner(unit: Json) -> str:
    return f"{unit['chain_id']}:{unit['owner']}"


def plain(text: str) -> str:
    """Write what a terminal would act on, or cannot write, as an escape: names of files and keys are whatever a forger wrote."""
    return "".join(each if each.isascii() and each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _told(report: Mapping[str, Json]) -> Iterator[str]:
    for name, each in report.items():
        yield f"{name}: {'WRONG' if each['faults'] else 'nothing wrong was found'} ({each['hash']})"
        yield from (f"  WRONG: {fault}" for fault in each["faults"])
        yield from (f"  note: {note}" for note in each["notes"])
    if not report:
        yield "there is no snapshot in this folder"


if __name__ == "__main__":
    sys.exit(main())
