"""State proofs as a table of a snapshot, and how sure each unit is: lines that `verify_state.py` checks by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import rfc8785

from aggregator.audit import account_verifier, state_verifier
from aggregator.audit.lines import Row
from aggregator.audit.sightings import Sighting
from aggregator.audit.verifier import UNITS, Json, lines_of, parsed
from chains.agreeing import Agreed
from chains.completeness import Level
from chains.identifiers import format_address, from_base58
from chains.model import Side, VenueSpec
from chains.ports import PositionKey
from chains.proving import Proved, Quantity, StateProof, sample_order
from chains.registry import layouts

PROOFS = state_verifier.PROOFS
_TEXTS = (
    "venue_id",
    "chain_id",
    "unit_id",
    "contract",
    "layout",
    "outcome",
    "detail",
    "header",
    "account_proof",
    "storage_proofs",
    "quantities",
)
SCHEMA: Mapping[str, pa.DataType] = dict.fromkeys(_TEXTS, pa.string())

BY_TWO, BY_WORD = account_verifier.BY_TWO, account_verifier.BY_WORD
GRADES = {Level.PROVEN.value: "B", Level.AGREED.value: BY_TWO}
"""By the level of completeness; every other is D."""


def proven(proofs: Iterable[StateProof]) -> frozenset[bytes]:
    """Return the units of which every contract was proven."""
    every = {proof.unit_id for proof in proofs}
    return frozenset(every - {proof.unit_id for proof in proofs if proof.outcome is not Proved.PROVEN})


def proven_places(proofs: Iterable[StateProof]) -> frozenset[PositionKey]:
    """Return the positions of which a number was proven, also where not all of their unit was."""
    shown = [each for proof in proofs if proof.outcome is Proved.PROVEN for each in proof.quantities]
    return frozenset(key for each in shown for key in (each.plus, each.minus) if key is not None)


def grade(level: str | None, *, is_proven: bool, seen: Sighting | None = None, agreed: Agreed | None = None) -> str:
    """Return how sure a unit's amounts are: A by proofs of storage, B to D by the evidence that nothing of its venue is missing.

    `seen`, of accounts that are read: of before the cut they are one node's word for it, D, unless several nodes `agreed`. Where these
    contradict each other it is D too.
    """
    if is_proven:
        return state_verifier.PROVEN_GRADE
    if agreed in {Agreed.AGREED, Agreed.DIFFERENT}:
        return BY_TWO if agreed is Agreed.AGREED else BY_WORD
    found = GRADES.get(level or "", BY_WORD)
    return BY_WORD if seen is not None and not seen.is_at_cut else found


def outcome_of(row: Json) -> StateProof:
    """Return what a line of proofs says came of it, without what shows it."""
    unit_id, contract = _address(row["unit_id"]), _address(row["contract"])
    said = json.loads(row["quantities"]) if row["quantities"] else []
    quantities = tuple(_without_way(unit_id, each) for each in said)
    outcome = Proved(row["outcome"])
    return StateProof(unit_id, contract, row["layout"] or "", outcome, row["detail"] or "", b"", (), {}, quantities)


def _without_way(unit_id: bytes, said: Json) -> Quantity:
    places = [None if said[name] is None else _key(unit_id, said[name]) for name in ("plus", "minus")]
    return Quantity(said["name"], b"", 0, (), 0, 0, 0, signed=False, ours=None, plus=places[0], minus=places[1])


def _key(unit_id: bytes, place: Json) -> PositionKey:
    return unit_id, _address(place["market"]), Side(place["side"])


def _address(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else from_base58(text)


def rows(venue: VenueSpec, proofs: Iterable[StateProof]) -> Iterator[Row]:
    """Write what was proven of a venue's units, a row a contract."""
    for proof in proofs:
        yield {
            "venue_id": venue.id,
            "chain_id": venue.chain_id,
            "unit_id": format_address(venue.chain_id, proof.unit_id),
            "contract": format_address(venue.chain_id, proof.contract),
            "layout": proof.layout or None,
            "outcome": proof.outcome.value,
            "detail": proof.detail or None,
            **(_evidence(venue.chain_id, proof) if proof.header else dict.fromkeys(_TEXTS[7:])),
        }


def _evidence(chain_id: str, proof: StateProof) -> Row:
    storage = [{"slot": _hex(slot), "nodes": list(map(_hex, nodes))} for slot, nodes in sorted(proof.storage.items())]
    return {
        "header": _hex(proof.header),
        "account_proof": _json(list(map(_hex, proof.account))),
        "storage_proofs": _json(storage),
        "quantities": _json([_quantity(chain_id, quantity) for quantity in proof.quantities]),
    }


def _quantity(chain_id: str, quantity: Quantity) -> Json:
    return {
        "name": quantity.name,
        "market": format_address(chain_id, quantity.market) if quantity.market else None,
        "base": quantity.base,
        "keys": list(map(_hex, quantity.keys)),
        "offset": quantity.offset,
        "shift": quantity.shift,
        "bits": quantity.bits,
        "signed": quantity.signed,
        "number": str(quantity.number),
        "stored": None if quantity.ours is None else str(quantity.ours),
        "plus": _place(chain_id, quantity.plus),
        "minus": _place(chain_id, quantity.minus),
        "names_contract": quantity.names_contract,
    }


def _place(chain_id: str, key: PositionKey | None) -> Json | None:
    return None if key is None else {"market": format_address(chain_id, key[1]), "side": key[2].value}


def faults(folder: Path) -> Iterator[str]:
    """Say what is wrong with the state proofs of a snapshot: the proofs themselves, their layouts, and whose they are."""
    yield from state_verifier.faults(folder)
    units = [parsed(line, "a line of units") for line in lines_of(folder, UNITS)]
    protocols = {unit["venue_id"]: unit["protocol"] for unit in units}
    for line in lines_of(folder, PROOFS):
        yield from _layout_faults(parsed(line, "a line of proofs"), protocols)
    yield from _sample_faults(folder, units)


def notes(folder: Path) -> Iterator[str]:
    """Say how many contracts of units were proven, and what of it is the snapshot's word."""
    counts = state_verifier.counted(folder)
    if counts:
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        yield f"state proofs of units, a contract each: {told}"
    for venue_id, contracts in state_verifier.roots(folder).items():
        yield f"that {', '.join(contracts)} is {venue_id} is the snapshot's word"


def _layout_faults(row: Json, protocols: Mapping[str, str]) -> Iterator[str]:
    """Name what a row reads elsewhere than the protocol's contracts are known to keep it."""
    if row["quantities"] is None:
        return
    about = f"{row['venue_id']} {row['unit_id']} {row['contract']}"
    fields = layouts(protocols.get(row["venue_id"], "")).get(row["layout"], {})
    for said in parsed(row["quantities"].encode(), "quantities"):
        field = fields.get(said["name"])
        if field is None:
            yield f"{about}: {said['name']} is no field of the layout {row['layout']}"
            continue
        known = field.quantity(said["name"], _raw(row["unit_id"]), _raw(said["market"] or "0x"), None)
        told = {name: said[name] for name in ("base", "offset", "shift", "bits", "signed", "names_contract")}
        if told != {name: getattr(known, name) for name in told} or said["keys"] != list(map(_hex, known.keys)):
            yield f"{about}: {said['name']} is not read where the layout {row['layout']} has it"


def _sample_faults(folder: Path, units: Iterable[Json]) -> Iterator[str]:
    """Name venues whose proofs are not of those units that the hash of the block chose."""
    cut = parsed((folder / "manifest.json").read_bytes(), "manifest.json")["cut"]
    asked: dict[str, set[str]] = {}
    for line in lines_of(folder, PROOFS):
        row = parsed(line, "a line of proofs")
        asked.setdefault(row["venue_id"], set()).add(row["unit_id"])
    for venue_id, chosen in sorted(asked.items()):
        own = [unit for unit in units if unit["venue_id"] == venue_id]
        if not own:
            yield f"{venue_id}: proofs of a venue without units"
            continue
        order = sample_order(cut[own[0]["chain_id"]]["hash"], venue_id)
        first = sorted((str(unit["unit_id"]) for unit in own), key=order)[: len(chosen)]
        if set(first) != chosen:
            yield f"{venue_id}: other units were proven than the hash of the block chooses"


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    return rfc8785.dumps(value).decode("utf-8")
