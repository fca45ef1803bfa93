"""Verifies the state proofs of a snapshot. Needs Python 3.11 and nothing else; trusts nobody.

    python verify_state.py SNAPSHOT [--json]

For each line of `proofs` it follows the hashes from the block that the manifest names, by its header, state root and account, to the words
of the contract's storage, reads the numbers there, and compares them with `positions`. It is for a snapshot whose files `verify.py` found
to be what the manifest says. Two things it takes from the snapshot: at which address a venue is, and where its contracts keep what.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

PROOFS = "proofs"
PROVEN = "proven"
PROVEN_GRADE = "A"
SHOWN = (PROVEN, "different", "unknown")
"""Outcomes that come with proofs."""

WORD, WORD_BITS = 32, 256
STATE_ROOT, NUMBER, FEWEST_FIELDS = 3, 8, 15
STORAGE_ROOT, ACCOUNT_FIELDS = 2, 4
BRANCH, PAIR = 17, 2

Json = dict[str, Any]
Item = Any
"""What RLP encodes: bytes, or a list of items."""


class Fault(Exception):
    """Something that is not as it must be; the message says what, and where."""


# -- keccak-256 -------------------------------------------------------------------------------------------------------

RATE, ROUNDS, LANE = 136, 24, (1 << 64) - 1


def _constants() -> list[int]:
    found, register = [], 1
    for _ in range(ROUNDS):
        constant = 0
        for power in range(7):
            constant |= (register & 1) << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        found.append(constant)
    return found


def _turns() -> list[tuple[int, int, int]]:
    """Where each lane comes from, where it goes, and by how many bits it is turned."""
    x, y, found = 1, 0, [(0, 0, 0)]
    for step in range(24):
        found.append((x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), (step + 1) * (step + 2) // 2 % 64))
        x, y = y, (2 * x + 3 * y) % 5
    return found


CONSTANTS, TURNS = _constants(), _turns()


def _turned(lane: int, bits: int) -> int:
    return (lane << bits | lane >> (64 - bits)) & LANE


def _permuted(lanes: list[int]) -> list[int]:
    for constant in CONSTANTS:
        sums = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [sums[x - 1] ^ _turned(sums[(x + 1) % 5], 1) for x in range(5)]
        moved = [0] * 25
        for source, target, bits in TURNS:
            moved[target] = _turned(lanes[source] ^ mixed[source % 5], bits)
        lanes = [
            moved[at] ^ (~moved[at - at % 5 + (at + 1) % 5] & moved[at - at % 5 + (at + 2) % 5]) for at in range(25)
        ]
        lanes[0] ^= constant
    return lanes


@lru_cache(maxsize=65_536)
def keccak(message: bytes) -> bytes:
    """Return the hash that Ethereum uses: Keccak-256 with the padding of the submission, not of SHA-3."""
    padded = bytearray(message + b"\x01" + bytes(-(len(message) + 1) % RATE))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), RATE):
        for lane in range(RATE // 8):
            lanes[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


# -- Recursive Length Prefix ------------------------------------------------------------------------------------------


STRING, LIST, SHORT = 0x80, 0xC0, 55


def decoded(raw: bytes) -> Item:
    """Read an item back; raises `Fault` for any but its one encoding."""
    item, end = _item(raw, 0)
    if end != len(raw):
        raise Fault("bytes follow the item")
    return item


def _item(raw: bytes, at: int) -> tuple[Item, int]:
    if at >= len(raw):
        raise Fault("an item ends before its end")
    first = raw[at]
    if first < STRING:
        return raw[at : at + 1], at + 1
    short = LIST if first >= LIST else STRING
    size, start = first - short, at + 1
    if size > SHORT:
        digits = raw[start : start + size - SHORT]
        start += size - SHORT
        size = int.from_bytes(digits)
        if size <= SHORT or not digits[0]:
            raise Fault("a length is not written in its shortest form")
    end = start + size
    if end > len(raw) or (short == STRING and size == 1 and raw[start] < STRING):
        raise Fault("an item ends before its end, or is longer than it must be")
    if short == STRING:
        return raw[start:end], end
    items = []
    while start < end:
        item, start = _item(raw[:end], start)
        items.append(item)
    return items, end


# -- Merkle Patricia tries --------------------------------------------------------------------------------------------

EMPTY_ROOT = keccak(b"\x80")


def value_at(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """Return the value under the hash of a key, `None` where the nodes prove that there is none; raises `Fault`."""
    return entry_at(root, keccak(key).hex(), nodes)


def entry_at(root: bytes, path: str, nodes: Sequence[bytes]) -> bytes | None:
    """Return the value at the end of a path of hex digits likewise."""
    if root == EMPTY_ROOT:
        if list(nodes) not in ([], [b"\x80"]):
            raise Fault("an empty trie has no nodes")
        return None
    left = list(nodes)
    value, reference = None, root
    while reference:
        node = _opened(reference, left)
        if len(node) == BRANCH:
            if not path:
                raise Fault("a branch stands where the key has ended")
            reference, path = node[int(path[0], 16)], path[1:]
            continue
        way, is_leaf = _way(node[0])
        if is_leaf:
            value = node[1] if way == path else None
            break
        if not path.startswith(way):
            break
        reference, path = node[1], path[len(way) :]
        if not reference:
            raise Fault("an extension leads nowhere")
    if left or (value is not None and not value):
        raise Fault("a node is below where the key ends" if left else "a leaf has no value")
    return value


def _opened(reference: Item, left: list[bytes]) -> list[Item]:
    node = reference
    if isinstance(reference, bytes):
        if not left:
            raise Fault(f"the node {_hex(reference)} is missing")
        raw = left.pop(0)
        if keccak(raw) != reference:
            raise Fault(f"a node has another hash than {_hex(reference)}")
        node = decoded(raw)
    if not isinstance(node, list) or len(node) not in {BRANCH, PAIR}:
        raise Fault("a node is neither a branch nor a leaf nor an extension")
    return node


def _way(packed: Item) -> tuple[str, bool]:
    digits = packed.hex() if isinstance(packed, bytes) else ""
    if not digits or digits[0] not in "0123" or (digits[0] in "02" and digits[1] != "0"):
        raise Fault("a node has a path of no known kind")
    way = digits[1:] if digits[0] in "13" else digits[2:]
    if not way and digits[0] in "01":
        raise Fault("a node is an extension by nothing")
    return way, digits[0] in "23"


# -- a line of the table ----------------------------------------------------------------------------------------------


def words_of(row: Json, block: Json) -> dict[str, int]:
    """Return the words, by slot, that a line proves against the block that the manifest names; raises `Fault`."""
    header = _bytes(row["header"])
    if _hex(keccak(header)) != block["hash"]:
        raise Fault(f"the header is not that of block {block['block']}")
    fields = decoded(header)
    if not isinstance(fields, list) or len(fields) < FEWEST_FIELDS or int.from_bytes(fields[NUMBER]) != block["block"]:
        raise Fault(f"the header is not that of block {block['block']}")
    found = value_at(fields[STATE_ROOT], _bytes(row["contract"]), _nodes(json.loads(row["account_proof"])))
    root = EMPTY_ROOT if found is None else _storage_root(found)
    words = {}
    for proof in json.loads(row["storage_proofs"]):
        try:
            value = value_at(root, _bytes(proof["slot"]), _nodes(proof["nodes"]))
            words[proof["slot"]] = 0 if value is None else _word(decoded(value))
        except Fault as error:
            raise Fault(f"slot {proof['slot']}: {error}") from error
    return words


def _storage_root(account: bytes) -> bytes:
    fields = decoded(account)
    if not isinstance(fields, list) or len(fields) != ACCOUNT_FIELDS or len(fields[STORAGE_ROOT]) != WORD:
        raise Fault("the account has not four fields")
    return bytes(fields[STORAGE_ROOT])


def _word(item: Item) -> int:
    if not isinstance(item, bytes) or len(item) > WORD or item[:1] == b"\0":
        raise Fault("the value is no word in its one form")
    return int.from_bytes(item)


def slot_of(quantity: Json) -> str:
    """Return the slot of a number, as Solidity's mappings lead to it."""
    slot = int(quantity["base"]).to_bytes(WORD)
    for key in quantity["keys"]:
        slot = keccak(_bytes(key) + slot)
    return _hex(((int.from_bytes(slot) + quantity["offset"]) % 2**WORD_BITS).to_bytes(WORD))


def number_in(word: int, quantity: Json) -> int:
    """Return the number that a word holds."""
    bits = int(quantity["bits"])
    number: int = (word >> quantity["shift"]) & ((1 << bits) - 1)
    return number - (1 << bits) if quantity["signed"] and number >> (bits - 1) else number


def _nodes(texts: Sequence[str]) -> list[bytes]:
    return [_bytes(text) for text in texts]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


# -- a snapshot -------------------------------------------------------------------------------------------------------

Unit = tuple[str, str]
Amounts = Mapping[tuple[str, str], int]


def faults(folder: Path) -> Iterator[str]:
    """Say what is wrong with the state proofs of a snapshot; raises `OSError`, `ValueError` and `KeyError` for one that is none."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    amounts = _amounts(folder)
    units = {(row["venue_id"], row["unit_id"]): row for row in _rows(folder, "units")}
    outcomes: dict[Unit, set[str]] = {}
    placed: dict[Unit, set[tuple[str, str]]] = {}
    proven: dict[Unit, set[tuple[str, str]]] = {}
    for unit, rows in _by_unit(folder):
        outcomes[unit], placed[unit] = {row["outcome"] for row in rows}, set()
        for row in rows:
            about = f"{row['venue_id']} {row['unit_id']} {row['contract']}"
            try:
                places: set[tuple[str, str]] = set()
                found = _checked(row, manifest["cut"], amounts.get(unit, {}), units.get(unit), places)
                placed[unit] |= places
                proven.setdefault(unit, set()).update(places if row["outcome"] == PROVEN else ())
                yield from (f"{about}: {fault}" for fault in found)
            except (Fault, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                yield f"{about}: {error if isinstance(error, Fault) else f'malformed: {type(error).__name__} {error}'}"
        yield from (f"{unit[0]} {unit[1]}: {fault}" for fault in _unnamed(rows))
    for unit, row in units.items():
        is_proven = outcomes.get(unit, set()) == {PROVEN}
        if (row["evidence"] == PROVEN_GRADE) != is_proven:
            yield f"{unit[0]} {unit[1]}: graded {row['evidence']}, which its proofs do not bear out"
        missing = sorted(place for place, amount in amounts.get(unit, {}).items() if amount) if is_proven else []
        yield from (
            f"{unit[0]} {unit[1]}: no proof has the {side} in {market}"
            for market, side in missing
            if (market, side) not in placed[unit]
        )
    yield from _misgraded(folder, units, proven)


def _misgraded(folder: Path, units: Mapping[Unit, Json], proven: Mapping[Unit, set[tuple[str, str]]]) -> Iterator[str]:
    """Name positions that are graded otherwise than by a proof of their own number, or of all of their unit."""
    for row in _rows(folder, "positions"):
        unit, place = (row["venue_id"], row["unit_id"]), (row["market"], row["side"])
        own = PROVEN_GRADE if place in proven.get(unit, ()) else units.get(unit, {}).get("evidence")
        if row["evidence"] != own:
            yield f"{unit[0]} {unit[1]}: its {place[1]} in {place[0]} is graded {row['evidence']}, its proofs say {own}"


def _checked(
    row: Json, cut: Mapping[str, Json], amounts: Amounts, unit: Json | None, placed: set[tuple[str, str]]
) -> list[str]:
    """Check a line; raises `Fault` where its proofs do not hold."""
    if unit is None:
        raise Fault("a proof of no unit of this snapshot")
    if (row["header"] is None) != (row["outcome"] not in SHOWN):
        raise Fault(f"it says {row['outcome']}, and {'has no' if row['header'] is None else 'has a'} proof")
    if row["header"] is None:
        return []
    words, found, agree = words_of(row, cut[row["chain_id"]]), [], True
    for quantity in json.loads(row["quantities"]):
        slot = slot_of(quantity)
        if slot not in words:
            raise Fault(f"slot {slot} ({quantity['name']}) is not proven")
        number = number_in(words[slot], quantity)
        if str(number) != quantity["number"]:
            found.append(f"slot {slot}: {quantity['name']} is {number}, not {quantity['number']}")
        agree &= quantity["stored"] == str(number)
        said = _said(quantity, amounts, placed)
        if said not in (None, number) and row["outcome"] == PROVEN and unit["status"] != "unknown":
            found.append(f"slot {slot}: {quantity['name']} is {number}, positions say {said}")
    if agree != (row["outcome"] == PROVEN):
        found.append(f"it says {row['outcome']}, which its numbers do not")
    return found


def _said(quantity: Json, amounts: Amounts, placed: set[tuple[str, str]]) -> int | None:
    """Return what `positions` has for a number, `None` where it is none of a position."""
    total = None
    for sign, place in ((1, quantity["plus"]), (-1, quantity["minus"])):
        if place is not None:
            key = place["market"], place["side"]
            placed.add(key)
            total = (total or 0) + sign * amounts.get(key, 0)
    return total


def _unnamed(rows: Sequence[Json]) -> Iterator[str]:
    """Name contracts that another contract of the venue should have named as those of a market, and did not."""
    shown = [(row, json.loads(row["quantities"])) for row in rows if row["quantities"] is not None]
    names = {(each["market"], int(each["number"])) for _, some in shown for each in some if each["names_contract"]}
    naming = {row["contract"] for row, some in shown if any(each["names_contract"] for each in some)}
    for row, some in shown:
        if not naming or row["contract"] in naming:
            continue
        address = int(row["contract"], 16)
        yield from (
            f"{row['contract']} is not named as a contract of {each['market']}"
            for each in some
            if (each["market"], address) not in names
        )


def roots(folder: Path) -> dict[str, list[str]]:
    """Return by venue the contracts that nothing but the snapshot's word makes those of the venue."""
    found: dict[str, set[str]] = {}
    for _, rows in _by_unit(folder):
        shown = [(row, json.loads(row["quantities"])) for row in rows if row["quantities"] is not None]
        named = {int(each["number"]) for _, some in shown for each in some if each["names_contract"]}
        for row, _ in shown:
            if int(row["contract"], 16) not in named:
                found.setdefault(row["venue_id"], set()).add(row["contract"])
    return {venue: sorted(contracts) for venue, contracts in sorted(found.items())}


def _by_unit(folder: Path) -> Iterator[tuple[Unit, list[Json]]]:
    rows: list[Json] = []
    for row in _rows(folder, PROOFS):
        if rows and (rows[0]["venue_id"], rows[0]["unit_id"]) != (row["venue_id"], row["unit_id"]):
            yield (rows[0]["venue_id"], rows[0]["unit_id"]), rows
            rows = []
        rows.append(row)
    if rows:
        yield (rows[0]["venue_id"], rows[0]["unit_id"]), rows


def _amounts(folder: Path) -> dict[Unit, dict[tuple[str, str], int]]:
    found: dict[Unit, dict[tuple[str, str], int]] = {}
    for row in _rows(folder, "positions"):
        amounts = found.setdefault((row["venue_id"], row["unit_id"]), {})
        place = row["market"], row["side"]
        amounts[place] = amounts.get(place, 0) + int(row["protocol_raw"])
    return found


def _rows(folder: Path, table: str) -> Iterator[Json]:
    path = folder / f"{table}.ndjson"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        yield from map(json.loads, file)


def counted(folder: Path) -> dict[str, int]:
    """Return how many lines there are of each outcome."""
    found: dict[str, int] = {}
    for row in _rows(folder, PROOFS):
        found[row["outcome"]] = found.get(row["outcome"], 0) + 1
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the proofs of the snapshot that the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(prog="verify_state.py", description="Verify the state proofs of a snapshot.")
    reader.add_argument("snapshot", type=Path, help="the folder of a snapshot that verify.py found intact")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    if not asked.snapshot.is_dir():
        reader.error(f"there is no folder {asked.snapshot}")
    report: Json = {"outcomes": {}, "contracts": {}}
    try:
        report |= {"faults": list(faults(asked.snapshot)), "outcomes": counted(asked.snapshot)}
        report["contracts"] = roots(asked.snapshot)
    except (OSError, ValueError, KeyError, TypeError) as error:
        report["faults"] = [*report.get("faults", []), f"this is no snapshot: {type(error).__name__} {error}"]
    if asked.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"WRONG: {fault}\n" for fault in report["faults"])
        sys.stdout.writelines(f"{outcome}: {count}\n" for outcome, count in sorted(report["outcomes"].items()))
        sys.stdout.writelines(
            f"note: that {', '.join(contracts)} is {venue} is the snapshot's word\n"
            for venue, contracts in report["contracts"].items()
        )
    return 4 if report["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
