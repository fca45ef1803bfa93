"""What is on its way between chains, as somebody said: whatever is entered stays, and the last that was said of a message counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from indexer.store.session import Con, insert
from indexer.store.statements import statement

SENT, PROVEN, DELIVERED = "sent", "proven", "delivered"
STATES = (SENT, PROVEN, DELIVERED)
"""In the order in which a message passes through them."""


class TransferRow(NamedTuple):
    """What counts of a message of a bridge (`protocol`); `said_before`: how often something else was said of it.

    `asset` (CAIP-19) as it arrives, with its `decimals`; `sender` on the source and `recipient` on the destination chain (CAIP-10);
    `sent_at` and `imported_at` in Unix seconds; `delivered_block` of the destination chain, `None` before it is delivered. `evidence`: the
    message itself and its proof (JSON), `None` without; `grade`: how sure it is by that, `B` or `D`, and `checked`: why no surer.
    """

    protocol: str
    message: str
    source_chain: str
    destination_chain: str
    asset: str
    amount_raw: int
    decimals: int
    sender: str
    recipient: str
    sent_at: int
    source_tx: str
    state: str
    delivered_block: int | None
    source: str
    imported_at: int
    digest: str
    said_before: int = 0
    evidence: str | None = None
    grade: str = "D"
    checked: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.protocol, self.message


SAID = TransferRow._fields.index("said_before")
"""How many fields of a row are columns before the number of its import."""


class TransferLedger:
    """The ledger within a transaction: what is asked and what is added are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def rows(self) -> list[TransferRow]:
        """Return what counts of every message."""
        return transfers(self._con)

    def add(self, rows: Sequence[TransferRow]) -> None:
        """Append rows as one import, with the next number."""
        ((last,),) = self._con.execute("SELECT coalesce(max(import_number), 0) FROM transfer").fetchall()
        for row in rows:
            insert(self._con, "transfer", (*row[:SAID], last + 1, row.evidence, row.grade, row.checked))


def any_transfers(con: Con) -> bool:
    """Whether anything was ever said of what is on its way."""
    return bool(con.execute("SELECT EXISTS (SELECT 1 FROM transfer)").fetchall()[0][0])


def transfers(con: Con, recipients: Collection[str] | None = None) -> list[TransferRow]:
    """What counts of every message, or of those to some accounts (CAIP-10), by protocol and message."""
    wanted = None if recipients is None else sorted(recipients)
    found = con.execute(statement("transfers"), {"recipients": wanted}).fetchall()
    return [TransferRow(*row)._replace(amount_raw=int(row[5])) for row in found]
