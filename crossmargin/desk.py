"""The one place where questions are answered, for the command line and for HTTP alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crossmargin.documents import Document
from crossmargin.liquidation_asked import Asked
from crossmargin.sql.answers import Answer, Form


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
        """Return the configured margin accounts with their health, worst first; `next`: always `None`, all are there."""
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

    def rows(self, query: str, form: Form, *, formulas: bool) -> Answer:
        """Return the same rows in another form; `formulas`: CSV keeps text that a spreadsheet would compute."""
        ...

    def schema(self) -> Document:
        """Return every public view with its columns, comments and rules."""
        ...

    def publish(self) -> Document:
        """Publish what is final, and return what was published."""
        ...

    def publish_parts(self) -> Document:
        """Put the parts of a lake that are due into it, and return which."""
        ...

    def snapshots(self) -> Document:
        """Return the ledger of snapshots, with late, failed and missed slots."""
        ...

    def create_snapshot(self, at: str | None) -> Document:
        """Write a snapshot of every account and return its line of the ledger."""
        ...

    def back_up(self, name: str | None, keep: int | None) -> Document:
        """Copy the whole store into a folder of this name, keep so many of the newest, and return what became of it."""
        ...

    def liabilities(self, venue: str | None) -> Document:
        """Return the newest that other systems said of the collateral in escrows, of one venue or of all."""
        ...

    def import_liabilities(self, envelope: str) -> Document:
        """Take in a signed document of liabilities and return what became of it."""
        ...

    def price_histories(self, identity: str | None) -> Document:
        """Return which price histories are known, or all days of one."""
        ...

    def import_prices(self, history: Document) -> Document:
        """Take in the price history of one identity and return what became of it."""
        ...

    def liquidity(self) -> Document:
        """Return the newest that was said of each identity's liquidity."""
        ...

    def import_liquidity(self, said: Document) -> Document:
        """Take in what somebody says of liquidity and return what became of it."""
        ...

    def transfers(self) -> Document:
        """Return the last that was said of every message of a bridge."""
        ...

    def import_transfers(self, said: Document) -> Document:
        """Take in what somebody says of messages of bridges and return what became of it."""
        ...

    def haircuts(self, value_usd: float, at: str | None) -> Document:
        """Return the layers of every asset's haircut, for a sale of so much."""
        ...

    def stress(
        self,
        severity: str,
        scenarios: Sequence[str],
        shocks: Sequence[str],
        at: str | None,
        *,
        fund_usd: float | None,
        accrue_days: int = 0,
    ) -> Document:
        """Return what scenarios of the library, or one of shocks such as `ETH=-0.3`, do to the whole book.

        `fund_usd`: also how many times each is too much for so much. `accrue_days`: interest accrues for so long before.
        """
        ...

    def at_risk(self, at: str | None) -> Document:
        """Return what may be liquidated at which price, and whose it is."""
        ...

    def liquidations(self, asked: Asked, at: str | None) -> Document:
        """Return what liquidations after a scenario come to, in every order of sale."""
        ...

    def freeze(self, asked: Asked, at: str | None) -> Document:
        """Return what they come to after the market stood still for some days."""
        ...

    def lag(self, asked: Asked, at: str | None) -> Document:
        """Return what they come to on each day of a window that happened, while venues see prices late."""
        ...

    def forecasts(self, at: str | None, *, top: int, seed: int) -> Document:
        """Return how likely accounts with debt are to be liquidatable within an hour, a day and a week: the `top` likeliest."""
        ...

    def run_risk(self) -> Document:
        """Take the book at the tip through scenarios, prices and paths, keep what it comes to for SQL, and return the run."""
        ...

    def recommend_haircuts(self) -> Document:
        """Return which haircuts the policy in force would have by the prices that were, as a draft, and what it would do to the book."""
        ...

    def what_if(self, account: str, actions: Sequence[str], shocks: Sequence[str], at: str | None) -> Document:
        """Return an account's health before and after actions such as `repay:aave:USDC=100` and shocks such as `ETH=-0.3`."""
        ...

    def advise(self, account: str, usd: float | None, at: str | None) -> Document:
        """Return what an account may do to be further from a liquidation, moving up to so much."""
        ...

    def link(self, account: str, envelope: str, *, who: str) -> Document:
        """Take in a message that a wallet signed, by which it belongs to an account or not any more, and return what became of it."""
        ...

    def revoke(self, account: str, wallet: str, *, note: str, who: str) -> Document:
        """Take a wallet from an account without its signature, and return what became of it."""
        ...

    def policy(self, at: str | None) -> Document:
        """Return the policy in force at a time, with its rules and what follows it."""
        ...

    def policies(self) -> Document:
        """Return every policy that was ever in force or scheduled."""
        ...

    def preview_policy(self, text: str) -> Document:
        """Return what a policy file would do to the whole book at the tip."""
        ...

    def schedule_policy(self, text: str, *, emergency: bool, who: str) -> Document:
        """Enter a policy file into the ledger and return what became of it."""
        ...

    def withdraw_policy(self, version: str, *, note: str, emergency: bool, who: str) -> Document:
        """Take a scheduled policy back before it counts, and return it."""
        ...

    def audit_parity(self, venue: str | None, sample: int | None, at: str | None) -> Document:
        """Compare the next units of one venue, or of each, with their contracts' own views, and return what came of it."""
        ...

    def create_api_key(
        self, name: str, scopes: Sequence[str], *, quota: int | None, expires_in_s: int | None, who: str
    ) -> Document:
        """Make an API key and return it, with the secret that nobody can tell again."""
        ...

    def api_keys(self) -> Document:
        """Return every API key, without its secret."""
        ...

    def revoke_api_key(self, key_id: str) -> Document:
        """Let an API key hold no more."""
        ...

    def add_webhook(self, url: str, wanted: Document, *, who: str) -> Document:
        """Let events go to an address, and return it with the secret that nobody can tell again."""
        ...

    def webhooks(self) -> Document:
        """Return every webhook, without its secret."""
        ...

    def remove_webhook(self, webhook_id: str) -> Document:
        """Send nothing there any more."""
        ...

    def test_webhook(self, webhook_id: str) -> Document:
        """Send a test once, and return what came of it."""
        ...

    def webhook_log(self, webhook_id: str) -> Document:
        """Return what became of the newest events of a webhook."""
        ...

    def inputs(self, digest: str) -> str:
        """Return the stored inputs of a health document: the very text that the digest is of."""
        ...
