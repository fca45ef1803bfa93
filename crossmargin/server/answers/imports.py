"""Answers about what others say, and what is known of it."""

from __future__ import annotations

from pydantic import Field, RootModel

from crossmargin.server.answers.model import Answer


class LiabilityLine(Answer):
    """The newest that was said of one account's collateral in an escrow."""

    venue: str
    account: str
    state: str
    as_of: str
    age_s: int
    max_age_s: int
    initial_requirement_usd: str
    maintenance_requirement_usd: str
    pnl_usd: str
    key: str
    document: str


class LiabilityList(Answer):
    """The newest that was said of each."""

    liabilities: list[LiabilityLine]


class LiabilitiesTaken(Answer):
    """A signed document that was taken in; `newest`: of so many accounts it is the newest."""

    venue: str
    document: str
    as_of: str
    key: str
    state: str
    accounts: int
    newest: int


class HistoryLine(Answer):
    """A price history: its span, and how many days each source told."""

    identity: str
    configured: bool
    first: str
    last: str
    days: int
    missing_days: int
    sources: dict[str, int]
    corrections: int


class HistoryList(Answer):
    """Which price histories are known."""

    histories: list[HistoryLine]


class PriceDay(Answer):
    """Prices of a day, in USD."""

    day: str
    close: str
    low: str | None
    high: str | None
    source: str


class IdentityHistory(Answer):
    """Every known day of an identity."""

    identity: str
    days: list[PriceDay]


class PricesTaken(Answer):
    """Days that were taken in; `gaps`: the first and last day of each."""

    identity: str
    source: str
    first: str
    last: str
    days: int
    new: int
    corrected: int
    gaps: list[list[str]]
    digest: str = Field(alias="import")


class LiquidityLine(Answer):
    """The newest that was said of an identity's liquidity; fractions and USD."""

    identity: str
    as_of: str
    age_days: int
    daily_volume_usd: str
    spread: str
    fee: str
    depth: str | None
    """USD:FRACTION with semicolons between."""
    source: str
    imported_at: str
    corrections: int


class LiquidityList(Answer):
    """The newest that was said of each identity."""

    liquidity: list[LiquidityLine]


class LiquidityTaken(Answer):
    """Rows that were taken in."""

    source: str
    rows: int
    new: int
    corrected: int
    identities: list[str]
    digest: str = Field(alias="import")


class TransferLine(Answer):
    """The last that was said of a message of a bridge; `evidence`: how sure it is, `checked`: why no surer."""

    protocol: str
    message: str
    source_chain: str
    destination_chain: str
    asset: str
    amount_raw: str
    decimals: int
    sender: str
    recipient: str
    sent_at: str
    source_tx: str | None
    state: str
    delivered_block: int | None
    source: str
    imported_at: str
    said_before: int
    evidence: str
    checked: str | None


class TransferList(Answer):
    """The last that was said of every message."""

    transfers: list[TransferLine]


class TransfersTaken(Answer):
    """Rows that were taken in."""

    source: str
    rows: int
    new: int
    changed: int
    older: int
    digest: str = Field(alias="import")


class Histories(RootModel[HistoryList | IdentityHistory]):
    """Which price histories are known, or, where an identity was asked for, all days of it."""
