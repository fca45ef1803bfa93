"""The views that are published as files, by what their rows are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A public view with one row for each row of a journal, so that a final block's rows are final.

    `chain`: its column with the chain's id; `order`: how rows lie in a file, so that a question about one owner or source reads little;
    `named_by`: the journal's column that names a market, where the view says something of it; `source`: what the rows are read from,
    where it is not the public view.
    """

    view: str
    journal: str
    chain: str
    order: str
    named_by: str | None = None
    source: str | None = None

    @property
    def rows(self) -> str:
        """What a statement reads the rows from; it has a column `block_number`."""
        return self.source or f"public.{self.view}"


FACTS = (
    Fact(
        view="lending_event",
        journal="lending_event",
        chain="blockchain",
        order="owner_address, block_number, evt_index",
        named_by="asset",
    ),
    Fact(
        view="fct_position_change",
        journal="position_change",
        chain="chain_id",
        order="unit_id, block_number, ordinal, market_address, side",
    ),
    Fact(
        view="fct_price",
        journal="price_observation",
        chain="chain_id",
        order="source_address, block_number, ordinal",
    ),
    Fact(
        view="dim_block",
        journal="(SELECT *, number AS block_number FROM main.block)",
        chain="chain_id",
        order="block_number",
    ),
)

POSITIONS = "fct_position"
"""The view of open positions: one file a chain, of the last final block."""

ALERTS = "venue_alert"
"""A view whose rows look at the rows before them; few, and kept in the database itself."""

LEFT_OUT = frozenset(
    {
        "account_change",
        "account_current",
        "control_look",
        "control_reply",
        "evm_block",
        "evm_log",
        "evm_read",
        "health_input",
        "lending_event",
        "market_change",
        "observation",
        "position_change",
        "position_current",
        "price_current",
        "price_observation",
        "pyth_block",
        "schema_version",
        "solana_account",
        "solana_block",
        "solana_read",
        "solana_transaction",
    }
)
"""Tables of the store that a published database lacks: what nodes said, journals, and what answers were computed from."""
