"""Real accounts of Drift, the journals that are made of them, and snapshots of these."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chains.identifiers import from_base58
from chains.model import (
    AccountBytes,
    Block,
    Rows,
    UnitSnapshot,
    VenueSnapshot,
    VenueSpec,
    VenueUnit,
)
from chains.solana.drift import Drift, open_book
from chains.solana.drift.layout import PROGRAM, STATE
from chains.solana.drift.oracles import RECEIVER
from tests.support.marginfi_runs import row_by_row
from tests.support.state import Tips

VARIABLE = "CROSSMARGIN_SOLANA_FIXTURES"
FIXTURES = Path(os.environ.get(VARIABLE, Path(__file__).parents[3] / "shared" / "fixtures" / "solana"))
DUMPS = FIXTURES / "drift"
ABSENT = f"the dumps of Drift's accounts are not here; set {VARIABLE} to the folder that has them"
PROGRAM_ID = from_base58(PROGRAM)
STATE_KEY = from_base58("5zpq7DvB6UdFFvpmBPspGPNfUGoBRRCE2HHg5u3gxcsN")

Seen = list[tuple[bytes, AccountBytes]]


def venue(**options: Any) -> VenueSpec:
    """The program on mainnet as a venue."""
    return VenueSpec(
        id="drift", protocol="drift", chain_id="solana:test", address=STATE_KEY, start_block=0, options=options
    )


def dump(name: str) -> tuple[bytes, bytes]:
    """The address and the bytes of an account of the liquidation case."""
    said = json.loads((DUMPS / f"liquidate_dust_spot_market__{name}.json").read_text(encoding="utf-8"))
    return from_base58(said["pubkey"]), base64.b64decode(said["account"]["data"][0])


def dumped_users() -> list[bytes]:
    """The bytes of fifty users."""
    said = json.loads((DUMPS / "users_50.json").read_text(encoding="utf-8"))
    return [base64.b64decode(text) for text in said["accounts"]]


def expected() -> Mapping[str, Any]:
    """What is stated of the dumps."""
    said: Mapping[str, Any] = json.loads((DUMPS / "expected.json").read_text(encoding="utf-8"))
    return said


def state_bytes(
    *, stale: int = 120, confidence: int = 20_000, volatile: int = 5, buffer: int = 200, status: int = 0
) -> bytes:
    """A state with the program's default guard rails."""
    data = bytearray(STATE.size)
    data[:8] = STATE.discriminator
    data[912:920] = stale.to_bytes(8, "little")
    data[920:928] = confidence.to_bytes(8, "little")
    data[928:936] = volatile.to_bytes(8, "little")
    data[960:964] = buffer.to_bytes(4, "little")
    data[974] = status
    return bytes(data)


def seen(data: bytes | None, slot: int, owner: bytes = PROGRAM_ID) -> AccountBytes:
    """An account as a node says it; `None` for one that is not there."""
    if data is None:
        return AccountBytes(slot, b"", 0, b"", closed=True)
    return AccountBytes(slot, owner, 1, data, closed=False)


def dust_case() -> tuple[Seen, Block]:
    """The liquidation case: all its accounts, and the block of its slot and time."""
    said = expected()["liquidate_dust_spot_market"]
    slot = said["slot"]
    accounts: Seen = [(STATE_KEY, seen(state_bytes(), slot))]
    for market in ("usdc", "sol", "btc"):
        key, data = dump(f"{market}_market")
        accounts.append((key, seen(data, slot)))
        key, data = dump(f"{market}_oracle")
        accounts.append((key, seen(data, slot, RECEIVER)))
    key, data = dump("user")
    accounts.append((key, seen(data, slot)))
    return accounts, Block(number=slot, hash=b"", parent_hash=b"", time=said["now"])


@dataclass(slots=True)
class Journals:
    """The journals of one venue as they grow, and snapshots of them."""

    venue: VenueSpec = field(default_factory=venue)
    tips: Tips = field(default_factory=Tips)
    owners: dict[bytes, bytes] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows)

    def fold(self, accounts: Seen) -> Rows:
        """Fold what was seen, and keep it."""
        rows = row_by_row(Drift(self.venue).fold(self.tips, accounts))
        self.tips.take(rows)
        self.owners |= {row.unit_id: row.owner for row in rows.positions}
        self.owners |= {row.unit_id: row.owner for row in rows.accounts}
        self.rows.extend(rows)
        return rows

    def unit(self, unit: bytes) -> UnitSnapshot:
        """One account."""
        return UnitSnapshot(
            unit_id=unit,
            owner=self.owners[unit],
            positions={(m, side): held for (who, m, side), held in self.tips.held.items() if who == unit and held},
            settings={(m, name): text for (who, m, name), text in self.tips.settings.items() if who == unit},
        )

    def value(self, unit: bytes, at: Block) -> VenueUnit:
        """One account's numbers at a block."""
        snapshot = VenueSnapshot(venue=self.venue, at=at, markets=dict(self.tips.aspects), feeds={}, answers={})
        return open_book(snapshot)(self.unit(unit))
