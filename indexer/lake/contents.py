"""What a part holds: the public views, for whoever asks SQL, and the tables of the store from which readers answer."""

from __future__ import annotations

from collections.abc import Mapping

from indexer.publish.facts import FACTS, Fact
from indexer.store.journals import DERIVED
from indexer.store.raw import family
from indexer.store.statements import statement

STORED = "stored_"
"""How names of tables of the store begin in a lake; the others are those of public views."""

LEDGERS = (
    "policy",
    "policy_withdrawal",
    "membership_evidence",
    "membership_check",
    "liability_document",
    "liability",
    "transfer",
    "price_day",
    "liquidity",
)
"""What people and other systems said, of no chain or of several: whoever joins parts has it, and adds it to the set."""

OF_NO_CHAIN = ""

JOURNALS = tuple(
    Fact(
        view=f"{STORED}{journal.name}",
        journal=journal.name,
        chain="chain_id",
        order="ALL",
        source=f"main.{journal.name}",
    )
    for journal in DERIVED
)
"""The journals as they are stored; a public view may have the same rows under names for people."""

FINAL = "SELECT * FROM main.{table} WHERE chain_id = $chain_id AND block_number <= $last"
WHOLE = "SELECT * FROM main.{table} WHERE chain_id = $chain_id"

OF_BLOCKS = ("finding", "parity_check", "parity_run", "venue_total", "venue_holding", "control_look")
"""What was found by looking at a chain, each row at its block."""

OF_CHAINS = ("restatement", "found_start", "derived_by", "indexed_venue", "indexed_feed")
"""What is known of a chain as a whole."""


def facts_of(chain_id: str) -> tuple[Fact, ...]:
    """The tables of a chain that are cut into files by blocks."""
    return (*FACTS, *JOURNALS, _blocks(chain_id))


def small() -> Mapping[str, str]:
    """Table → the question that gives its rows up to block `$last` of chain `$chain_id`: few, and written anew with each part."""
    found = {table: FINAL.format(table=table) for table in OF_BLOCKS}
    found |= {table: WHOLE.format(table=table) for table in OF_CHAINS}
    return found | {"cursor": statement("publish_cursor"), "coverage": statement("publish_coverage")}


def _blocks(chain_id: str) -> Fact:
    """The blocks as they are stored, with their number under the name that journals have for it."""
    raw = family(chain_id).blocks
    source = f"(SELECT *, {raw.block} AS block_number FROM main.{raw.name})"  # noqa: S608 - our own names
    return Fact(view=f"{STORED}{raw.name}", journal=source, chain="chain_id", order="ALL", source=source)
