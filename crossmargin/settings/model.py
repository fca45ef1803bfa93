"""What a configuration says, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aggregator.audit.message_verifier import Bridge, Trust
from chains.model import ChainSpec, FeedSpec, GuardianSet, VenueSpec

PROOFS = 25
"""Of how many units of each venue a snapshot has state proofs, where a configuration says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexerSettings:
    """The service that follows a chain: its address, and the API key that it gave for this, `None` where it asks for none."""

    url: str = field(repr=False)
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """A chain, how often its head is asked for, and after how long without an answer it counts as stale.

    `halted_after_s`: how far its last block may be behind another chain's, and while it is followed behind this machine's clock, before it
    counts as halted; `None`: behind another chain's as far as may be, behind the clock as its blocks came until then (`crossmargin.halts`).
    `indexer`: who follows it, where this process does not; then it has no nodes here.
    """

    spec: ChainSpec
    poll_s: float
    stale_after_s: float
    halted_after_s: float | None = None
    indexer: IndexerSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSettings:
    """An asset: its policy `asset_class`, and `same_as`, its price and correlation identity across chains.

    Without a `symbol` the token's own is shown; without `same_as` the asset is only itself. `bridge` and `issuer`: see
    `aggregator.margin.inputs.Asset`.
    """

    id: str
    symbol: str | None
    asset_class: str
    same_as: str | None
    bridge: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """A margin account: a slug and its CAIP-10 members."""

    id: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where HTTP is served; `public` allows a host that other machines can reach.

    `anonymous`: there, too, anybody may read without a key; `origins`: pages of these may read answers in a browser.
    """

    host: str
    port: int
    public: bool
    anonymous: bool = False
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Where snapshots go, when one is due (`None`: only on request), and where the keys are that sign them.

    `proofs`: of how many units of each venue nodes are asked for state proofs, `None` for all.
    """

    folder: Path
    schedule: str | None
    keys: Path
    proofs: int | None = PROOFS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """How often numbers are compared with the venues' own contracts (`None`: only on request), and how many units of each venue at once."""

    schedule: str | None
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskSettings:
    """When the book is taken through scenarios, prices and paths (`None`: only on request), and how many runs are kept."""

    schedule: str | None
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings:
    """Where what is final is published for analysts, and when (`None`: only on request)."""

    folder: Path
    schedule: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSettings:
    """Shared storage that indexers publish into and readers read: its `url`, and the seconds between two cut-offs.

    `work`: a folder of an indexer's own; `stale_after_s`: how old the newest set may be before a reader believes no chain any more.
    """

    url: str
    period_s: int
    stale_after_s: int
    work: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSettings:
    """Who may ask SQL over HTTP without a token, for how long a query may run, and how much it may give."""

    anonymous: bool
    timeout_s: int
    rows: int
    bytes: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSettings:
    """What subscribers are told, and for how long it is kept.

    `mark_move`: by which part of itself a mark moves until that is told; `streams`: how many streams are open at once, of all and
    (`streams_per_key`) of each key.
    """

    keep_s: int
    mark_move: float
    streams: int
    streams_per_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where the secrets are that sign what is sent (`None`: beside the store).

    `loopback`: whether it may go to this machine, and without TLS.
    """

    secrets: Path | None
    loopback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancingSettings:
    """What advice may count on: ways from one chain to another, what crossing one costs (a share), and what each action costs (USD).

    `most_usd`: more than that is never moved at once.
    """

    reachable: tuple[tuple[str, str], ...] = ()
    bridge_cost: float = 0.001
    action_usd: float = 0.0
    most_usd: float = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipSettings:
    """After how many seconds a contract wallet is asked again whether its signature holds, and the name that signed messages call us by."""

    check_every_s: int
    operator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the store is, and where copies of it go."""

    path: Path
    backups: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration; paths are absolute, no `policy` means the one that ships with the package."""

    path: Path
    store: Path
    backups: Path
    """The folder that `crossmargin backup` makes its copies in."""
    chains: tuple[ChainSettings, ...]
    venues: tuple[VenueSpec, ...]
    feeds: tuple[FeedSpec, ...]
    assets: tuple[AssetSettings, ...]
    accounts: tuple[AccountSettings, ...]
    server: ServerSettings
    snapshot: SnapshotSettings
    audit: AuditSettings
    risk: RiskSettings
    membership: MembershipSettings
    publish: PublishSettings
    sql: SqlSettings
    policy: Path | None
    events: EventSettings
    webhooks: WebhookSettings
    rebalancing: RebalancingSettings = RebalancingSettings()
    bridges: tuple[Bridge, ...] = ()
    guardian_sets: tuple[GuardianSet, ...] = ()
    """Who signs messages of Wormhole; see `trust`."""
    lake: LakeSettings | None = None
    auto: frozenset[str] = frozenset()
    """Ids of the venues and chains whose first block is to be found; until it is, it is 0."""

    @property
    def webhook_secrets(self) -> Path:
        """The folder of the secrets that sign webhooks."""
        return self.webhooks.secrets or self.store.parent / "webhook-secrets"

    @property
    def trust(self) -> Trust:
        """Whom to believe about signed prices and messages: the guardians of both, who are the same, and the bridges."""
        sets = [*self.guardian_sets, *(each for chain in self.chains for each in chain.spec.guardian_sets)]
        return Trust({each.number: (list(each.addresses), each.until) for each in sets}, self.bridges)

    def chain(self, chain_id: str) -> ChainSettings:
        """Return the settings of a configured chain."""
        return next(chain for chain in self.chains if chain.spec.id == chain_id)

    def venues_of(self, chain_id: str) -> tuple[VenueSpec, ...]:
        return tuple(venue for venue in self.venues if venue.chain_id == chain_id)

    def feeds_of(self, chain_id: str) -> tuple[FeedSpec, ...]:
        return tuple(feed for feed in self.feeds if feed.chain_id == chain_id)
