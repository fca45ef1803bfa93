"""What is answered, where no other module has its model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from aggregator.margin.document import (
    AsOf,
    Completeness,
    HealthDocument,
    MembershipView,
    VenueView,
)
from aggregator.margin.permits_document import ReasonView
from aggregator.margin.status import Status


class Table(BaseModel):
    """A document; `docs/api.md` says what is in it."""

    model_config = ConfigDict(extra="allow")


class Answer(BaseModel):
    """A document with exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class Alive(Answer):
    """That the process answers."""

    status: str


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


class AccountAnswer(AccountInShort):
    """An account with the messages by which wallets belong to it, and its units."""

    evidence: list[Table]
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
