"""Recorded runs of the marginfi program: what was stored at each sample, and what the program itself made of it."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chains.identifiers import from_base58
from chains.model import (
    AccountBytes,
    AccountChange,
    Block,
    PositionChange,
    Rows,
    Side,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
)
from chains.solana.marginfi import Marginfi
from tests.support.state import Tips

GOLDEN = Path(__file__).parents[1] / "golden" / "solana" / "marginfi"
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "solana"
VARIABLE = "CROSSMARGIN_SOLANA_RUNS"
CHAIN = "solana:test"

Seen = list[tuple[bytes, AccountBytes]]


def runs() -> dict[str, Path]:
    """Folders of recorded runs: those kept here, and those that the variable or the fixtures folder holds."""
    others = Path(os.environ.get(VARIABLE, FIXTURES / "runs")) / "marginfi"
    found = {f"golden/{folder.name}": folder for folder in sorted(GOLDEN.glob("case-*"))}
    return found | {f"shared/{folder.name}": folder for folder in sorted(others.glob("case-*"))}


@dataclass(frozen=True, kw_only=True)
class MarginfiRun:
    """One run: what was configured, and the samples in order."""

    name: str
    case: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a run; a sample may leave out the accounts that are as they were in the sample before."""
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        with gzip.open(folder / "samples.json.gz", "rt", encoding="utf-8") as file:
            samples = json.load(file)
        stored: dict[str, Any] = {}
        for sample in samples:
            stored = sample["accounts"] = stored | sample["accounts"]
        return cls(name=folder.name, case=case, samples=samples)

    @property
    def venue(self) -> VenueSpec:
        """The group as a venue; its banks name feeds, whose accounts the run wrote at addresses of its own."""
        accounts = [bank["oracle"] for bank in self.case["banks"].values()]
        options = {"program": self.case["program_id"], "version": "0.1.0", "price_accounts": accounts}
        group = from_base58(self.case["group"])
        return VenueSpec(id="mrgn", protocol="marginfi", chain_id=CHAIN, address=group, start_block=0, options=options)

    @property
    def users(self) -> dict[bytes, bytes]:
        """Account → its authority."""
        return {from_base58(user["account"]): from_base58(user["authority"]) for user in self.case["users"].values()}

    def seen(self, number: int) -> Seen:
        """What an adapter would give to the fold: the group's accounts whose bytes differ from the sample before."""
        sample = self.samples[number]
        before = self.samples[number - 1]["accounts"] if number else {}
        watched = {self.case["group"], *(user["account"] for user in self.case["users"].values())}
        watched |= {bank[name] for bank in self.case["banks"].values() for name in ("address", "oracle")}
        return [
            (from_base58(address), account_bytes(sample["slot"], account))
            for address, account in sample["accounts"].items()
            if address in watched and before.get(address, "nothing") != account
        ]

    def at(self, number: int) -> Block:
        """The block of a sample."""
        sample = self.samples[number]
        return Block(number=sample["slot"], hash=b"", parent_hash=b"", time=sample["unix_timestamp"])


def account_bytes(slot: int, account: Mapping[str, Any] | None) -> AccountBytes:
    """An account in the JSON form of nodes; `None` for one that is not there."""
    if account is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    data = base64.b64decode(account["data"][0])
    return AccountBytes(slot, from_base58(account["owner"]), int(account["lamports"]), data, closed=False)


def row_by_row(rows: Rows) -> Rows:
    """The same rows, those in columns too as one object each."""
    flat = Rows()
    flat.extend(rows)
    flat.columns = {}
    flat.positions += [
        PositionChange(**{**row, "side": Side(row["side"]), "amount_raw": int(row["amount_raw"])})
        for table in rows.columns.get("positions", [])
        for row in table.to_pylist()
    ]
    flat.accounts += [AccountChange(**row) for table in rows.columns.get("accounts", []) for row in table.to_pylist()]
    return flat


@dataclass(slots=True)
class Journals:
    """The journals of one group as they grow, and snapshots of them."""

    venue: VenueSpec
    tips: Tips = field(default_factory=Tips)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)

    def fold(self, seen: Seen) -> Rows:
        """Fold what was seen, and keep it."""
        rows = row_by_row(Marginfi(self.venue).fold(self.tips, seen))
        self.tips.take(rows)
        self.owners |= {row.unit_id: row.owner for row in rows.positions}
        self.owners |= {row.unit_id: row.owner for row in rows.accounts}
        self.rows.extend(rows)
        return rows

    def market(self, at: Block) -> VenueSnapshot:
        """The group at a block."""
        return VenueSnapshot(venue=self.venue, at=at, markets=dict(self.tips.aspects), feeds={}, answers={})

    def units(self) -> Iterator[UnitSnapshot]:
        """Every account that anything was noted of."""
        for unit in sorted(self.owners):
            yield self.unit(unit)

    def unit(self, unit: bytes) -> UnitSnapshot:
        """One account."""
        return UnitSnapshot(
            unit_id=unit,
            owner=self.owners[unit],
            positions={(market, side): held for (who, market, side), held in self.tips.held.items() if who == unit},
            settings={(market, name): text for (who, market, name), text in self.tips.settings.items() if who == unit},
        )
