"""Verifies what proves the prices of a snapshot. Needs Python 3.11 and `verify_state.py` beside it, and nothing else; trusts nobody.

    python verify_prices.py SNAPSHOT [--guardians FILE] [--json]

For each line of `price_proofs` it sees that `inputs` have the same answer, and that it was given there: of a log, by the receipt, its way
to the receipts root of the block's header, and the way from that header to the block of the cut; of a signed price, by the update, its
Merkle path to the root, and who signed that. FILE names the guardians whom you trust, as
`[{"index": 4, "addresses": ["0x…"], "until": null}]`; without it nobody looks who signed. The snapshot's word is which feed stands for
which source. It is for a snapshot whose files `verify.py` found to be what the manifest says.

Exit codes: 0 nothing was found, 4 something is wrong, 2 usage.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple


def _beside() -> Any:  # noqa: ANN401 - a module
    spec = importlib.util.spec_from_file_location("verify_state", Path(__file__).with_name("verify_state.py"))
    if spec is None or spec.loader is None:
        raise ImportError("verify_state.py must be beside this script")
    sys.dont_write_bytecode = True  # the folder is to stay as it was signed
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_state"] = module
    spec.loader.exec_module(module)
    return module


state: Any = import_module("aggregator.audit.state_verifier") if __package__ else _beside()
Fault: type[Exception] = state.Fault

PRICES = "price_proofs"
MARK, VENUES = "mark", "venues"
PROVEN = "proven"
OUTCOMES = {PROVEN, "different", "unanswered", "unknown"}
EVM, PYTH = "eip155:", "pyth:"
ADDRESS = 42
"""Characters of a source that is a contract; others are questions to one."""

PARENT, RECEIPTS_ROOT, NUMBER, LOGS = 0, 5, 8, 3
KEPT_HASHES = 8191
HASH_KEEPER = bytes.fromhex("0000f90827f1c53a10cb7a02335b175320002935")

Json = dict[str, Any]
Key = tuple[str, str, str]
Said = tuple[int, int | None, int, int]
"""Answer, confidence, time and block."""

Guardians = Mapping[int, tuple[Sequence[bytes], int | None]]
"""Number of a set → its addresses, and the Unix second after which it signs nothing."""


@dataclass(slots=True)
class Checked:
    """What came of it: what is wrong, and what has to be known beside it."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


# -- a price that a log told ------------------------------------------------------------------------------------------


def receipt_faults(row: Json, evidence: Json, cut: Json) -> Iterator[str]:
    """Follow a log from its receipt to the header, and the header to the cut; raises `Fault`."""
    header, (address, topics, data) = log_at(evidence, row["block"])
    if address != _bytes(row["source"]) or topics[0] != state.keccak(b"AnswerUpdated(int256,uint256,uint256)"):
        raise Fault("the log is not an answer of the source")
    told = int.from_bytes(topics[1], signed=True), int.from_bytes(data)
    if told != (int(row["answer_raw"]), row["updated_at"]):
        yield f"the log tells {told[0]} of {told[1]}, not {row['answer_raw']} of {row['updated_at']}"
    _linked(header, row["block"], evidence["link"], cut)


def log_at(evidence: Json, number: int) -> tuple[bytes, tuple[bytes, list[bytes], bytes]]:
    """Follow a log of a block from the receipts root of its header; returns the header and the log, raises `Fault`."""
    header = _bytes(evidence["header"])
    fields = state.decoded(header)
    if int.from_bytes(fields[NUMBER]) != number:
        raise Fault(f"the header is of block {int.from_bytes(fields[NUMBER])}, not of {number}")
    value = state.entry_at(fields[RECEIPTS_ROOT], _key(evidence["receipt"]), list(map(_bytes, evidence["nodes"])))
    if value is None:
        raise Fault(f"block {number} has no receipt {evidence['receipt']}")
    address, topics, data = state.decoded(value[1:] if value[0] < state.STRING else value)[LOGS][evidence["log"]]
    return header, (address, topics, data)


def _linked(header: bytes, number: int, link: Json, cut: Json) -> None:
    """Follow the hashes from a header to the block of the cut; raises `Fault`."""
    if number > cut["block"]:
        raise Fault(f"block {number} is above the cut")
    if link["by"] == "word":
        return
    if link["by"] == "history":
        _kept(header, number, link, cut)
        return
    if link["by"] not in {"cut", "headers"}:
        raise Fault(f"it leads to the cut by {link['by']!r}, which is no known way")
    for raw in map(_bytes, link.get("headers", ())):
        if state.decoded(raw)[PARENT] != state.keccak(header):
            raise Fault("a header is not the parent of the next")
        header = raw
    if _hex(state.keccak(header)) != cut["hash"]:
        raise Fault("the headers do not lead to the block of the cut")


def _kept(header: bytes, number: int, link: Json, cut: Json) -> None:
    if cut["block"] - number > KEPT_HASHES or number == cut["block"]:
        raise Fault(f"the chain keeps no hash of block {number} at the cut")
    slot = _hex((number % KEPT_HASHES).to_bytes(state.WORD))
    row = {
        "header": link["header"],
        "contract": _hex(HASH_KEEPER),
        "account_proof": json.dumps(link["account_proof"]),
        "storage_proofs": json.dumps([{"slot": slot, "nodes": link["nodes"]}]),
    }
    if state.words_of(row, cut)[slot] != int.from_bytes(state.keccak(header)):
        raise Fault(f"the chain keeps another hash of block {number}")


def _key(index: int) -> str:
    """Return the path of a place in a list, whose key is its encoding."""
    if not index:
        return "80"
    raw = index.to_bytes((index.bit_length() + 7) // 8)
    return str((raw if index < state.STRING else bytes((state.STRING + len(raw),)) + raw).hex())


# -- a price that guardians signed ------------------------------------------------------------------------------------

HASH = 20
EMITTER = 26, bytes.fromhex("e101faedac5851e32b9b23b5f9411a8c2bac4aae3ed4dd7b811dd1a72ea4aa71")
SIGNATURE, BODY = struct.Struct(">B32s32sB"), struct.Struct(">IIH32sQB")
ROOT, PRICE = struct.Struct(">4sBQI20s"), struct.Struct(">B32sqQiqqqQ")


class Reading:
    """Bytes that are read from front to back."""

    def __init__(self, raw: bytes) -> None:
        self.left = raw

    def take(self, count: int) -> bytes:
        part, self.left = self.left[:count], self.left[count:]
        if len(part) < count:
            raise Fault("the update ends too early")
        return part

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count))


class Vaa(NamedTuple):
    """A message of Wormhole: set and signatures of those who say they signed `digest`, when (Unix seconds), and who emitted what.

    `finality`: the consistency level, as the emitting chain counts.
    """

    guardian_set: int
    signatures: list[tuple[int, bytes, bytes, int]]
    digest: bytes
    time: int
    chain: int
    emitter: bytes
    sequence: int
    finality: int
    payload: bytes


def vaa_in(raw: bytes) -> Vaa:
    """Take a message of Wormhole apart; raises `Fault`."""
    read = Reading(raw)
    if read.number(1) != 1:
        raise Fault("the message of Wormhole is of no known version")
    index, signatures = read.number(4), [SIGNATURE.unpack(read.take(SIGNATURE.size)) for _ in range(read.number(1))]
    digest = state.keccak(state.keccak(read.left))
    time, _, chain, emitter, sequence, finality = BODY.unpack(read.take(BODY.size))
    return Vaa(index, signatures, digest, time, chain, emitter, sequence, finality, read.left)


def update_faults(row: Json, evidence: Json, guardians: Guardians) -> Iterator[str]:
    """Follow a signed price from its message to the root, and see who signed that; raises `Fault`."""
    data = Reading(_bytes(evidence["update"]))
    if data.take(4) != b"PNAU" or data.number(1) != 1:
        raise Fault("the update is of no known format")
    data.take(1)
    data.take(data.number(1))
    if data.number(1) != 0:
        raise Fault("the update has a proof of no known kind")
    vaa = vaa_in(data.take(data.number(2)))
    if (vaa.chain, vaa.emitter) != EMITTER:
        raise Fault("the update was not emitted by Pyth")
    magic, kind, _, _, root = ROOT.unpack_from(vaa.payload)
    if magic != b"AUWV" or kind != 0:
        raise Fault("what was signed is no Merkle root")
    prices = list(_prices(data, root))
    if data.left:
        raise Fault("bytes stand behind the last price")
    wanted = int(row["answer_raw"]), int(row["confidence_raw"]), row["updated_at"]
    if wanted not in [said for feed, said in prices if feed == _bytes(row["source"])]:
        yield "the update has no such price of the feed"
    if row["updated_at"] > row["block"]:
        yield "the price is of after it was fetched"
    if guardians:
        signed(vaa, max(vaa.time, row["updated_at"]), guardians)


def _prices(data: Reading, root: bytes) -> Iterator[tuple[bytes, tuple[int, int, int]]]:
    for _ in range(data.number(1)):
        message = data.take(data.number(2))
        hashed = state.keccak(b"\0" + message)[:HASH]
        for _ in range(data.number(1)):
            other = data.take(HASH)
            hashed = state.keccak(b"\1" + min(hashed, other) + max(hashed, other))[:HASH]
        if hashed != root:
            raise Fault("the path of a price does not lead to the signed root")
        if message[:1] == b"\0":
            _, feed, price, confidence, exponent, time, *_ = PRICE.unpack_from(message)
            scale = 10 ** max(exponent, 0)
            yield feed, (price * scale, confidence * scale, time)


def signed(vaa: Vaa, time: int, guardians: Guardians) -> None:
    """See that a quorum of a trusted set signed, which was in force at `time`; raises `Fault`."""
    index, signatures = vaa.guardian_set, vaa.signatures
    if index not in guardians:
        raise Fault(f"guardian set {index} signed it, which is none of those that were given")
    addresses, until = guardians[index]
    if until is not None and time > until:
        raise Fault(f"guardian set {index} signs nothing after {until}")
    places = [place for place, *_ in signatures]
    if len(places) < len(addresses) * 2 // 3 + 1:
        raise Fault(f"{len(places)} of {len(addresses)} guardians signed it")
    if any(after <= before for before, after in pairwise(places)) or places[-1] >= len(addresses):
        raise Fault("its signatures are not in the order of the guardians, each once")
    for place, r, s, recovery in signatures:
        if recovered(vaa.digest, int.from_bytes(r), int.from_bytes(s), recovery) != addresses[place]:
            raise Fault(f"signature {place} is not that of guardian {place}")


P, N = 2**256 - 2**32 - 977, 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
G = (
    0x79BE667E_F9DCBBAC_55A06295_CE870B07_029BFCDB_2DCE28D9_59F2815B_16F81798,
    0x483ADA77_26A3C465_5DA4FBFC_0E1108A8_FD17B448_A6855419_9C47D08F_FB10D4B8,
)
Point = tuple[int, int, int]
"""x / z² and y / z³ on the curve of secp256k1, so that sums divide by nothing; z is zero at infinity."""

INFINITY: Point = (1, 1, 0)


def recovered(digest: bytes, r: int, s: int, recovery: int) -> bytes | None:
    """Return the address behind a signature, `None` for none (SEC 1, 4.1.6)."""
    y = pow(r**3 + 7, (P + 1) // 4, P)
    if not (0 < r < N and 0 < s < N and recovery in {0, 1}) or y * y % P != (r**3 + 7) % P:
        return None
    inverse, point = pow(r, -1, N), (r, y if y % 2 == recovery else P - y, 1)
    x, y, z = _both(-int.from_bytes(digest) * inverse % N, (*G, 1), s * inverse % N, point)
    if not z:
        return None
    shrink = pow(z, -1, P)
    key = (x * shrink**2 % P).to_bytes(32) + (y * shrink**3 % P).to_bytes(32)
    return bytes(state.keccak(key)[12:])


def _both(a: int, one: Point, b: int, two: Point) -> Point:
    """Return so many times a point and so many times another together, by the bits of both at once."""
    addends, total = (INFINITY, one, two, _sum(one, two)), INFINITY
    for place in reversed(range(max(a.bit_length(), b.bit_length()))):
        total = _sum(_twice(total), addends[(a >> place & 1) + 2 * (b >> place & 1)])
    return total


def _twice(point: Point) -> Point:
    x, y, z = point
    square, slope = y * y % P, 3 * x * x % P
    middle = 4 * x * square % P
    end = (slope * slope - 2 * middle) % P
    return end, (slope * (middle - end) - 8 * square * square) % P, 2 * y * z % P


def _sum(one: Point, two: Point) -> Point:
    (x1, y1, z1), (x2, y2, z2) = one, two
    if not z1 or not z2:
        return one if z1 else two
    left, right = x1 * z2 * z2 % P, x2 * z1 * z1 % P
    low, high = y1 * z2 * z2 * z2 % P, y2 * z1 * z1 * z1 % P
    if left == right:
        return _twice(one) if low == high else INFINITY
    run, rise = right - left, high - low
    square = run * run % P
    cube, middle = square * run % P, left * square % P
    end = (rise * rise - cube - 2 * middle) % P
    return end, (rise * (middle - end) - low * cube) % P, z1 * z2 * run % P


# -- a snapshot -------------------------------------------------------------------------------------------------------


def checked(folder: Path, guardians: Guardians | None = None) -> Checked:
    """Check what proves the prices of a snapshot; raises `OSError`, `ValueError` and `KeyError` for one that is none."""
    manifest, found = json.loads((folder / "manifest.json").read_bytes()), Checked()
    if PRICES not in manifest["tables"]:
        found.notes.append("no price is proven: the version that made it did not ask for it")
        return found
    said, answers = _inputs(folder), list(rows(folder, PRICES))
    by_word = signed = 0
    for row in answers:
        about = f"{row['place']} {row['chain_id']} {row['name']}"
        try:
            evidence = _evidence(row)
            found.faults += [f"{about}: {fault}" for fault in _said(row, said)]
            if evidence is None:
                pass
            elif row["chain_id"].startswith(EVM):
                cut = manifest["cut"][row["chain_id"]]
                found.faults += [f"{about}: {fault}" for fault in receipt_faults(row, evidence, cut)]
                by_word += evidence["link"]["by"] == "word"
            else:
                found.faults += [f"{about}: {fault}" for fault in update_faults(row, evidence, guardians or {})]
                signed += 1
        except (
            Fault,
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
            struct.error,
        ) as error:
            kind = "" if isinstance(error, Fault) else f"malformed: {type(error).__name__} "
            found.faults.append(f"{about}: {kind}{error}")
        found.outcomes[row["outcome"]] += 1
    found.faults += _sample_faults(answers, said, manifest["cut"])
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.outcomes.items()))
    if said:
        found.notes.append(f"price proofs, of {len(said)} answers: {told or 'none was asked for'}")
    if unknown := sorted({f"{row['place']} {row['name']}" for row in answers if row["outcome"] == "unknown"}):
        found.notes.append(f"by no log, and so by the snapshot's word alone, are the answers of {', '.join(unknown)}")
    if by_word:
        found.notes.append(
            f"that the blocks of {by_word} answers are of the chain is the snapshot's word; ask any node"
        )
    if signed and not guardians:
        found.notes.append(f"who signed {signed} prices was not looked at: no guardians were given (--guardians)")
    return found


def _evidence(row: Json) -> Json | None:
    if row["outcome"] not in OUTCOMES:
        raise Fault(f"{row['outcome']!r} is no outcome")
    if (row["evidence"] is None) != (row["outcome"] != PROVEN):
        raise Fault(f"it says {row['outcome']}, and {'has no' if row['evidence'] is None else 'has'} evidence")
    return None if row["evidence"] is None else dict(json.loads(row["evidence"]))


def _said(row: Json, said: Mapping[Key, set[Said]]) -> Iterator[str]:
    """Compare a row with what the book was computed from."""
    confidence = None if row["confidence_raw"] is None else int(row["confidence_raw"])
    own = int(row["answer_raw"]), confidence, row["updated_at"], row["block"]
    if said.get((row["place"], row["chain_id"], row["name"])) != {own}:
        yield "the inputs have another answer"
    if row["name"] != row["source"] and (row["place"] != MARK or row["chain_id"].startswith(PYTH)):
        yield "it is of another source"


def _inputs(folder: Path) -> dict[Key, set[Said]]:
    """Return the answers that a book rests on."""
    found: dict[Key, set[Said]] = {}
    for line in lines(folder, "inputs"):
        if line.endswith(b'"part":"observation"}\n'):
            document = json.loads(json.loads(line)["document"])
            chain, reading = document["chain_id"], document["reading"]
            if reading is not None and document["heartbeat_s"] is not None and chain.startswith((EVM, PYTH)):
                found.setdefault((MARK, chain, document["feed"]), set()).add(_answer(reading))
        elif line.endswith(b'"part":"venue"}\n'):
            document = json.loads(json.loads(line)["document"])
            chain = document["venue"]["chain_id"]
            for source, answer in document["answers"].items():
                if chain.startswith(EVM) and len(source) == ADDRESS:
                    found.setdefault((VENUES, chain, source), set()).add(_answer(answer))
    return found


def _answer(said: Json) -> Said:
    confidence = said["confidence_raw"]
    return (
        int(said["answer_raw"]),
        None if confidence is None else int(confidence),
        int(said["updated_at"]),
        int(said["block"]),
    )


def _sample_faults(rows: Sequence[Json], said: Mapping[Key, set[Said]], cut: Mapping[str, Json]) -> Iterator[str]:
    """Name chains of which other answers were proven than the hash of the block chooses."""
    chosen: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        chosen.setdefault((row["place"], row["chain_id"]), set()).add(row["name"])
    most = max(map(len, chosen.values()), default=0)
    for place, chain in sorted({key[:2] for key in said}):
        names = [name for where, its, name in said if (where, its) == (place, chain)]
        order = [
            (sha256(f"{cut[chain]['hash']}|{place}|{name}".encode()).digest(), name) for name in names if chain in cut
        ]
        wanted = {name for _, name in sorted(order)[:most]}
        if chosen.get((place, chain), set()) != wanted:
            yield f"{place} {chain}: other answers were proven than the hash of the block chooses"


ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(text: str) -> bytes:
    """Read base 58; raises `ValueError`."""
    number = 0
    for char in text:
        number = number * 58 + ALPHABET.index(char)
    return bytes(len(text) - len(text.lstrip("1"))) + number.to_bytes((number.bit_length() + 7) // 8)


def lines(folder: Path, table: str) -> Iterator[bytes]:
    """Yield the lines of a snapshot's table as they were written; raises `OSError`."""
    path = folder / f"{table}.ndjson"
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is no regular file")
    with path.open("rb") as file:
        yield from file


def rows(folder: Path, table: str) -> Iterator[Json]:
    """Yield the rows of a snapshot's table; raises `OSError`, and `ValueError` where a line is no JSON."""
    yield from map(json.loads, lines(folder, table))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def guardians_in(text: str) -> Guardians:
    """Read guardian sets, a list or what stands at `guardian_sets`; raises `ValueError`, `KeyError` and `TypeError`."""
    said = json.loads(text)
    return {
        int(each["index"]): ([_bytes(address) for address in each["addresses"]], each.get("until"))
        for each in (said if isinstance(said, list) else said.get("guardian_sets", []))
    }


def ended(faults: Sequence[str], notes: Sequence[str], *, as_json: bool, **more: object) -> int:
    """Print what was found, for people or as JSON with `more`, and return the exit code."""
    if as_json:
        sys.stdout.write(json.dumps({"faults": faults, "notes": notes, **more}, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"WRONG: {fault}\n" for fault in faults)
        sys.stdout.writelines(f"note: {note}\n" for note in notes)
    return 4 if faults else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the prices of the snapshot that the command line names; returns the exit code."""
    reader = argparse.ArgumentParser(
        prog="verify_prices.py", description="Verify what proves the prices of a snapshot."
    )
    reader.add_argument("snapshot", type=Path, help="the folder of a snapshot that verify.py found intact")
    reader.add_argument("--guardians", type=Path, help="a file of the guardian sets that you trust")
    reader.add_argument("--json", action="store_true", help="print JSON")
    asked = reader.parse_args(arguments)
    try:
        guardians = guardians_in(asked.guardians.read_text()) if asked.guardians else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reader.error(f"--guardians: {type(error).__name__} {error}")
    try:
        found = checked(asked.snapshot, guardians)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = Checked(faults=[f"this is no snapshot: {type(error).__name__} {error}"])
    return ended(found.faults, found.notes, as_json=asked.json, outcomes=dict(found.outcomes))


if __name__ == "__main__":
    sys.exit(main())
