"""The one place where questions are answered, for the command line and for HTTP alike."""

from __future__ import annotations

from typing import Protocol

from crossmargin.documents import Document


class Desk(Protocol):
    """Answers questions with documents.

    `account`: a margin account, a CAIP-10 account or a bare address. `at`: see `crossmargin.cut`, or the tip.
    Raises `DeskError`, `StoreError`, `ChainError`.
    """

    def health(self, account: str, at: str | None) -> Document:
        """Return the health document of an account."""
        ...

    def positions(self, account: str, at: str | None) -> Document:
        """Return what an account has supplied and owes, venue by venue."""
        ...

    def accounts(self) -> Document:
        """Return the configured margin accounts with their health."""
        ...

    def account(self, account: str) -> Document:
        """Return the members of an account and where each has positions."""
        ...

    def prices(self, at: str | None) -> Document:
        """Return the price of every asset, with its age and source."""
        ...

    def status(self) -> Document:
        """Return how far each chain is indexed and whether it may be believed."""
        ...

    def sql(self, query: str) -> Document:
        """Return the rows of one SELECT over the public views."""
        ...

    def snapshots(self) -> Document:
        """Return the ledger of snapshots, with late, failed and missed slots."""
        ...

    def create_snapshot(self, at: str | None) -> Document:
        """Write a snapshot of every account and return its line of the ledger."""
        ...

    def liabilities(self, venue: str | None) -> Document:
        """Return the newest that other systems said of the collateral in escrows, of one venue or of all."""
        ...

    def import_liabilities(self, envelope: str) -> Document:
        """Take in a signed document of liabilities and return what became of it."""
        ...

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        """Compare the next units of one venue, or of each, with their contracts' own views, and return what came of it."""
        ...

    def inputs(self, digest: str) -> str:
        """Return the stored inputs of a health document: the very text that the digest is of."""
        ...
