"""Answers about the house's rules: its policies, and what it deducts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from aggregator.margin.document import AsOf
from aggregator.margin.status import Status
from crossmargin.server.answers.model import Answer


class Withdrawn(Answer):
    """Who took back a policy, when and why."""

    at: str
    by: str
    note: str
    emergency: bool


class PolicyHead(Answer):
    """What a policy's file says of itself."""

    version: str | None
    digest: str
    effective_from: str | None
    note: str
    approved_by: list[str]
    notice_s: int


class PolicyEntry(PolicyHead):
    """A policy in the ledger; `effective_from` `null`: from the beginning, `logged_at` `null`: it was never entered."""

    logged_at: str | None
    logged_by: str | None
    manner: str | None
    emergency: bool
    withdrawn: Withdrawn | None


class PolicyLine(PolicyEntry):
    """Such a policy, and whether it counts."""

    state: str


class Shortfall(Answer):
    """From what on a shortfall at a venue makes its units unknown."""

    least_share: float
    least_usd: float


class PolicyAnswer(PolicyEntry):
    """The policy in force at a time, with its rules and what follows it."""

    at: str
    rules: dict[str, Any]
    """Everything in it that decides numbers, by section, as its file writes it."""
    shortfall: Shortfall
    next: list[PolicyEntry]


class PolicyFile(Answer):
    """The file that is configured, and what it is to the ledger."""

    path: str
    state: str


class PolicyList(Answer):
    """Every policy that was ever in force or scheduled."""

    file: PolicyFile
    policies: list[PolicyLine]


class RuleChange(Answer):
    """A rule that two policies say otherwise; `null`: one of them does not have it."""

    key: str
    before: Any
    after: Any
    tightens: bool


class PolicyScheduled(PolicyLine):
    """A policy that was entered, and what it changes of the one in force."""

    changes: list[RuleChange]


class Sums(Answer):
    """Accounts of a status together, in USD; `debt_unknown`: so many of them have debt that is not known."""

    accounts: int
    collateral_usd: str
    debt_usd: str
    debt_unknown: int


class SumsCompared(Answer):
    """Under the policy in force, and under the other."""

    before: Sums
    after: Sums


class AccountNumbers(Answer):
    """An account's numbers under a policy; `collateral_usd` and `debt_usd` are of all its pools, isolated ones too, as in `Sums`."""

    status: Status
    score: int | None
    health_factor: str | None
    min_unit_health_factor: str | None
    collateral_usd: str | None
    debt_usd: str | None


class AccountMoved(Answer):
    """An account under both policies."""

    account: str
    before: AccountNumbers
    after: AccountNumbers


class StatusMove(Answer):
    """How many accounts go from one status to another."""

    old: Status = Field(alias="from")
    new: Status = Field(alias="to")
    accounts: int


class PolicyPreview(Answer):
    """What a policy would do to everybody, as of blocks."""

    policy: PolicyHead
    against: PolicyHead
    as_of: dict[str, AsOf]
    changes: list[RuleChange]
    tightens: bool
    accounts: int
    statuses: dict[Status, SumsCompared]
    moves: list[StatusMove]
    newly_below: list[AccountMoved]
    at_stake: Sums
    changed: list[AccountMoved]


class Estimate(Answer):
    """What was estimated of an identity's prices."""

    daily_deviation: str
    days: int
    last_day: str
    basis: str


class HaircutLayers(Answer):
    """What comes off for one margin, by reason, as fractions; `null`: the venue's own threshold counts, which is not one number."""

    market: str
    liquidity: str
    peg: str
    bridge: str
    chain: str
    rise: str
    static: str | None
    total: str | None


class AssetHaircut(Answer):
    """What comes off an asset; `assumed`: layers that rest on no history."""

    asset: str
    symbol: str | None
    asset_class: str = Field(alias="class")
    bridge: str | None
    assumed: list[str]
    maintenance: HaircutLayers
    initial: HaircutLayers


class IdentityHaircuts(Answer):
    """The haircuts of everything with one price."""

    identity: str
    estimate: Estimate | None
    sources: list[str]
    assets: list[AssetHaircut]


class HaircutList(Answer):
    """The layers of every asset's haircut, each sold for `value_usd` at once; `day`: the last that estimates are of."""

    day: str | None
    regime: str
    regime_reasons: list[str]
    digest: str
    value_usd: str
    haircuts: list[IdentityHaircuts]


class HaircutProposal(Answer):
    """What a class's haircut would become, and because of what; `unmeasured`: identities for whose sake it is not lowered."""

    asset_class: str = Field(alias="class")
    margin: str
    identity: str
    current: str
    target: str
    proposed: str
    move: str
    binding: str
    calm_days: int
    unmeasured: list[str]


class HaircutRecommendation(Answer):
    """The haircuts that the prices that were would have, as a draft with its effect; `null`: nothing changes."""

    policy: str | None
    proposals: list[HaircutProposal]
    without_history: list[str]
    draft: str | None
    effective_from: str | None
    preview: PolicyPreview | None
