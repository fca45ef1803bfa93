"""The ledger of memberships: messages as they came, and what contract wallets answered about theirs."""

from __future__ import annotations

from typing import NamedTuple

from indexer.store.session import Con, insert
from indexer.store.statements import statement


class EvidenceRow(NamedTuple):
    """A message that was taken in; moments in Unix seconds, `digest` that of the `envelope`."""

    digest: str
    account_id: str
    chain_id: str
    wallet: bytes
    action: str
    scheme: str
    nonce: str
    issued_at: int
    expires_at: int
    received_at: int
    who: str
    note: str
    envelope: str


class CheckRow(NamedTuple):
    """What a contract wallet answered to `input` after a block about the message of a `digest`; `outcome` as a node says it."""

    digest: str
    chain_id: str
    wallet: bytes
    asked_at: int
    block_number: int
    block_hash: bytes
    block_time: int
    input: bytes
    outcome: str
    output: bytes
    is_valid: bool


class MembershipLedger:
    """The ledger within a transaction: what is asked and what is added are of one state."""

    def __init__(self, con: Con) -> None:
        self._con = con

    def evidence(self) -> list[EvidenceRow]:
        """Return every message, in the order in which they were taken in."""
        return evidence(self._con)

    def add(self, row: EvidenceRow) -> None:
        """Enter a message."""
        insert(self._con, "membership_evidence", (len(self.evidence()) + 1, *row))

    def add_check(self, row: CheckRow) -> None:
        """Enter an answer; of one block there is one."""
        if not any((held.digest, held.block_number) == (row.digest, row.block_number) for held in checks(self._con)):
            insert(self._con, "membership_check", tuple(row))


def evidence(con: Con) -> list[EvidenceRow]:
    """Return every message, in the order in which they were taken in."""
    return [EvidenceRow(*row) for row in con.execute(statement("membership_evidence")).fetchall()]


def checks(con: Con) -> list[CheckRow]:
    """Return every answer of a contract wallet, by block."""
    return [CheckRow(*row) for row in con.execute(statement("membership_checks")).fetchall()]
