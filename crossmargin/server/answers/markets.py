"""Answers about what is followed, and what everything is worth."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from aggregator.margin.document import AsOf, FeedView, PriceView
from aggregator.margin.permits_document import ReasonView
from crossmargin.server.answers.model import Answer


class PriceLine(PriceView):
    """The mark of an identity, and which assets it is the price of."""

    assets: list[str]


class PriceList(Answer):
    """The mark of everything."""

    as_of: dict[str, AsOf]
    prices: list[PriceLine]


class FeedLine(FeedView):
    """What a feed said of an identity."""

    identity: str


class FeedList(Answer):
    """What every feed said, and whether a mark rests on it."""

    as_of: dict[str, AsOf]
    feeds: list[FeedLine]


class IndexedBlock(Answer):
    """The newest block that is stored."""

    block: int
    hash: str
    time: str


class CoveredSpan(Answer):
    """Blocks that are complete, to which level and by which proof."""

    first: int
    last: int
    level: str
    evidence: str


class Finding(Answer):
    """Something that a check found missing or wrong."""

    kind: str
    interest: str
    block: int
    block_hash: str | None
    log_index: int | None
    tx_hash: str | None
    address: str
    topic0: str | None
    evidence: str


class InterestCoverage(Answer):
    """How complete what a venue or the feeds are interested in is; `null` where nothing is stored."""

    interest: str
    first: int | None
    last: int | None
    weakest: str | None
    unproven_blocks: int
    unproven: list[CoveredSpan]
    findings: list[Finding]


class ChainCoverage(Answer):
    """How complete a chain is."""

    chain: str
    finalized_block: int | None
    coverage: list[InterestCoverage]


class CoverageAnswer(Answer):
    """How complete each chain is."""

    chains: list[ChainCoverage]


class VenueStart(Answer):
    """From which block a venue is followed, and by what that was found."""

    venue: str
    start_block: int
    found: str | None


class Incomplete(Answer):
    """What came into the configuration later and is not filled in yet: a venue or a feed."""

    venue: str | None
    feed: str | None
    from_block: int


class Outdated(Answer):
    """A venue whose rows an earlier derivation made: what it lacks, and which command mends it."""

    venue: str
    version: str
    current: str
    lacks: str
    mend: str


class ChainLine(Answer):
    """How far a chain is indexed, and why it cannot be believed, if so."""

    chain: str
    name: str
    state: str
    indexed: IndexedBlock | None
    finalized_block: int | None
    head_block: int | None
    lag_blocks: int | None
    lag_seconds: int | None
    stale: bool
    """It may not be believed; or nobody follows it, and its last block is older by this machine's clock than `stale_after`."""
    polled_at: str | None
    fault: str | None
    indexer: str | None
    """The service that follows it, where that is not this one."""
    reason: ReasonView | None
    venues: list[VenueStart]
    incomplete: list[Incomplete]
    outdated: list[Outdated]


class ChainList(Answer):
    """How far each chain is indexed."""

    chains: list[ChainLine]


class ParityRun(Answer):
    """What one comparison of units with their contract's own views came to; `parity`: equal of equal and different."""

    venue: str
    chain: str
    checked_at: str
    block: int
    hash: str
    units: int
    equal: int
    different: int
    unanswered: int
    unknown: int
    parity: str | None
    round: int


class TotalCheck(Answer):
    """A total that a contract told, beside the sum of what everybody has; `allowed`: from the least to the most."""

    venue: str
    chain: str
    block: int
    total: str
    contract: str
    market: str | None
    ours: str | None
    theirs: str | None
    residual: str | None
    allowed: list[str]
    allowed_because: str | None
    outcome: str


class HoldingCheck(Answer):
    """What a contract holds of a token, beside what it owes."""

    venue: str
    chain: str
    block: int
    asset: str
    contract: str
    market: str | None
    held: str | None
    owed: str | None
    claims: str | None
    shortfall: str | None
    allowed: str
    allowed_because: str | None
    outcome: str
    missing_usd: str | None
    gravity: str


class AuditedVenue(Answer):
    """How the checks of a venue stand: counts by outcome, and what is wrong now."""

    venue: str
    last: ParityRun | None
    views: dict[str, int]
    parity: str | None
    totals: dict[str, int]
    residuals: list[TotalCheck]
    holdings: dict[str, int]
    shortfalls: list[HoldingCheck]


class ChainStanding(ChainLine):
    """A chain with its coverage and its checks."""

    coverage: list[InterestCoverage]
    audited: list[AuditedVenue]


class StatusAnswer(Answer):
    """How everything stands; `following`: chains are read now."""

    version: str
    following: bool
    chains: list[ChainStanding]
    last_snapshot_at: int | None
    """Unix seconds."""


class VenueLine(Answer):
    """A venue as it is configured; what only its protocol has stands beside these keys, under the configuration's own names."""

    model_config = ConfigDict(extra="allow")

    id: str
    protocol: str
    chain: str
    address: str
    start_block: int | str


class VenueList(Answer):
    """Every venue that is followed."""

    venues: list[VenueLine]


class AssetLine(Answer):
    """An asset as it is configured."""

    id: str
    symbol: str | None
    asset_class: str = Field(alias="class")
    identity: str
    """What its price is the price of."""
    bridge: str | None
    issuer: str | None


class AssetList(Answer):
    """Every configured asset."""

    assets: list[AssetLine]
