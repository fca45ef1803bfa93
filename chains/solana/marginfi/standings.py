"""What a bank's deposits in another protocol are worth at a block, as far as that is known of the programs that run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chains.identifiers import base58
from chains.model import WHOLE_VENUE, Reason, VenueSnapshot
from chains.solana.marginfi.engines import Engine
from chains.solana.marginfi.held import pool_of_bank
from chains.solana.marginfi.integrations import HELD, HELD_TOTALS, Asked, Integration, Standing
from chains.solana.marginfi.integrations.kamino import stated_slots
from chains.solana.marginfi.integrations.ports import PROBLEM
from chains.solana.marginfi.states import ASSET_TAGS, PROGRAM_STATE, Bank
from chains.solana.programs import check_program_slots, doubt_beside

INTEGRATION_SLOTS = "integration_slots"


def standing_of(snapshot: VenueSnapshot, engine: Engine, bank: Bank) -> Standing | Reason:
    """Bring the pool of a bank up to date, or say why it is not known what its deposits are."""
    found = pool_of_bank(bank.asset_tag, bank.oracle_setup, list(bank.oracle_keys)) if engine.integrations else None
    if found is None:
        name = (
            ASSET_TAGS[bank.asset_tag] if bank.asset_tag < len(ASSET_TAGS) else f"another protocol ({bank.asset_tag})"
        )
        detail = f"the bank's deposits are positions in {name}; their amounts are not known here"
        return Reason("unsupported_integration", base58(bank.address), detail)
    pool, integration = found
    doubt = _doubt(snapshot, engine, integration)
    return doubt or _standing(snapshot, bank, pool, integration)


def _doubt(snapshot: VenueSnapshot, engine: Engine, integration: Integration) -> Reason | None:
    mark = int(json.loads(snapshot.markets.get((WHOLE_VENUE, PROGRAM_STATE), '"0"')))
    if mark != engine.marks:
        detail = (
            f"positions in {integration.name} are valued as version 0.1.7 does, which marks accounts with {engine.marks};"
            f" the highest mark that was seen is {mark}"
        )
        return Reason("unsupported_integration", snapshot.venue.id, detail)
    stated = {*snapshot.venue.options.get(INTEGRATION_SLOTS, ()), *stated_slots(snapshot.venue.options)}
    return doubt_beside(snapshot, integration.program, stated, INTEGRATION_SLOTS)


def _standing(snapshot: VenueSnapshot, bank: Bank, pool: bytes, integration: Integration) -> Standing | Reason:
    at = snapshot.at
    asked = Asked(pool, snapshot.markets, at.number, at.time, snapshot.venue.options)
    held, totals = asked.state(pool, HELD), asked.state(pool, HELD_TOTALS)
    if held is not None and PROBLEM in held:
        return asked.refused("price_unreadable", str(held[PROBLEM]))
    if held is None or totals is None:
        return asked.refused("integration_unknown", f"the bank's pool in {integration.name} has not been read")
    standing = integration.standing(asked, held, totals)
    if isinstance(standing, Standing) and standing.mint != bank.mint:
        detail = f"the pool has token {base58(standing.mint)}, bank {base58(bank.address)} says {base58(bank.mint)}"
        return asked.refused("integration_unreadable", detail)
    return standing


def check_integration_slots(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the option, in words."""
    return check_program_slots(options, INTEGRATION_SLOTS)
