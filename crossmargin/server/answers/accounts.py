"""Answers about accounts."""

from __future__ import annotations

from aggregator.margin.document import (
    AsOf,
    Completeness,
    HealthDocument,
    LiquidationPriceView,
    MembershipView,
    VenueView,
)
from aggregator.margin.permits_document import ReasonView
from aggregator.margin.status import Status
from crossmargin.server.answers.model import Answer


class AccountInShort(Answer):
    """An account; decimals are strings, `null` is not known or does not apply."""

    account: str
    members: list[str]
    membership: dict[str, MembershipView]
    status: Status
    health_factor: str | None
    min_unit_health_factor: str | None
    score: int | None
    collateral_usd: str
    debt_usd: str | None


class AccountPage(Answer):
    """Accounts, worst first, and the cursor of those that follow."""

    accounts: list[AccountInShort]
    next: str | None


class UnitInShort(Answer):
    """A unit of an account at a venue, and how many positions it has."""

    venue: str
    protocol: str
    chain: str
    unit_id: str
    owner: str
    status: str
    positions: int


class EvidenceCheck(Answer):
    """What a contract wallet said of a signature, at a block."""

    block: int
    time: str
    outcome: str
    valid: bool


class Evidence(Answer):
    """A message by which a wallet belongs to an account, or does not any more."""

    evidence: str
    """Its digest."""
    wallet: str
    action: str
    scheme: str
    nonce: str
    issued_at: str
    expires_at: str
    received_at: str
    by: str
    note: str
    checks: list[EvidenceCheck]


class LinkAnswer(Evidence):
    """A message that was taken in, and how its wallet belongs to the account now."""

    account: str
    membership: dict[str, MembershipView]


class AccountAnswer(AccountInShort):
    """An account with the messages by which wallets belong to it, and its units."""

    evidence: list[Evidence]
    as_of: dict[str, AsOf]
    units: list[UnitInShort]


class PositionsAnswer(Answer):
    """What an account has supplied and owes, venue by venue."""

    account: str
    members: list[str]
    as_of: dict[str, AsOf]
    status: Status
    venues: list[VenueView]
    completeness: Completeness
    reasons: list[ReasonView]


class BatchProblem(Answer):
    """Why an account has no health document."""

    code: str
    title: str
    status: int
    detail: str


class BatchResult(Answer):
    """One of both is `null`."""

    account: str
    health: HealthDocument | None
    problem: BatchProblem | None


class BatchAnswer(Answer):
    """Results in the order of the question."""

    results: list[BatchResult]


class Event(Answer):
    """What somebody did at a venue."""

    chain: str
    block: int
    time: str | None
    tx: str | None
    ordinal: int
    venue: str
    kind: str
    owner: str
    counterparty: str | None
    asset: str | None
    symbol: str | None
    decimals: int | None
    amount_raw: str
    basis: str
    extra: str
    """What only its protocol says of it: JSON as text."""


class HistoryAnswer(Answer):
    """What the members of an account did, newest first, and the cursor of what was before."""

    account: str
    as_of: dict[str, AsOf]
    events: list[Event]
    next: str | None


class LadderAnswer(Answer):
    """At which price of which asset the house would liquidate an account, nearest first."""

    account: str
    as_of: dict[str, AsOf]
    status: Status
    health_factor: str | None
    rungs: list[LiquidationPriceView]


class Rung(LiquidationPriceView):
    """A price, and whom it would liquidate."""

    account: str
    status: Status


class LadderPage(Answer):
    """Such prices of all configured accounts, nearest first, and the cursor of those that follow."""

    rungs: list[Rung]
    next: str | None
