"""Which code is behind the proxy that an escrow stands at, as its upgrades tell (source: ERC-1967, `Upgraded`).

Aspect of the whole venue: `implementation` {"address", "upgrades": how often another took its place}.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple

import pyarrow as pa

from chains.escrow import ENGINE
from chains.evm.abi import Event
from chains.evm.escrow.terms import IMPLEMENTATIONS, implementations_of
from chains.evm.logs import unhex
from chains.identifiers import EVM, format_address
from chains.model import WHOLE_VENUE, Basis, MarketChange, Reason, VenueSnapshot
from chains.ports import MarketKey

UPGRADED = Event("Upgraded(address indexed implementation)")
IMPLEMENTATION = "implementation"


class Upgrade(NamedTuple):
    """Says which code the contract runs from its place in the chain on."""

    block: int
    ordinal: int
    tx_index: int
    implementation: bytes


def upgrades_in(logs: pa.Table) -> list[Upgrade]:
    """Decode the upgrades among the logs of one contract; logs of another shape are some other event."""
    columns = UPGRADED.columns(logs)
    places = (columns.table[name].to_pylist() for name in ("block_number", "log_index", "tx_index"))
    return [Upgrade(*row) for row in zip(*places, columns.addresses(0).to_pylist(), strict=True)]


def upgrade_rows(venue_id: str, markets: Mapping[MarketKey, str], upgrades: Collection[Upgrade]) -> list[MarketChange]:
    """Return the aspect after each upgrade; the first one names what the proxy was made with."""
    if not upgrades:
        return []
    known = markets.get((WHOLE_VENUE, IMPLEMENTATION))
    count = json.loads(known)["upgrades"] if known else -1
    rows = []
    for each in upgrades:
        count += 1
        said = {"address": "0x" + each.implementation.hex(), "upgrades": count}
        text = json.dumps(said, separators=(",", ":"))
        place = each.block, each.tx_index, each.ordinal
        rows.append(MarketChange(*place, venue_id, WHOLE_VENUE, IMPLEMENTATION, text, ENGINE, Basis.EXACT))
    return rows


def upgraded(snapshot: VenueSnapshot) -> tuple[Reason, bool] | None:
    """Return what is to be said of upgrades, and whether deposits still count; `None` where there was none."""
    text = snapshot.markets.get((WHOLE_VENUE, IMPLEMENTATION))
    if text is None:
        return None
    said, wanted = json.loads(text), implementations_of(snapshot.venue.options)
    code = format_address(EVM, unhex(said["address"]))
    if unhex(said["address"]) in wanted or (not wanted and not said["upgrades"]):
        return None
    subject = format_address(snapshot.venue.chain_id, snapshot.venue.address)
    if wanted:
        detail = (
            f"the contract runs {code}, which {IMPLEMENTATIONS} does not name: what its events mean may have changed,"
            " so its deposits count zero"
        )
    else:
        detail = (
            f"the contract was upgraded to {code}: see that its events mean what they did;"
            f" {IMPLEMENTATIONS} would hold it to known code"
        )
    return Reason("vault_upgraded", subject, detail), not wanted
