"""What a configuration says, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chains.model import ChainSpec, FeedSpec, VenueSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """A chain, how often its head is asked for, and after how long without an answer it counts as stale."""

    spec: ChainSpec
    poll_s: float
    stale_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetSettings:
    """An asset: its policy `asset_class`, and `same_as`, its price and correlation identity across chains.

    Without a `symbol` the token's own is shown; without `same_as` the asset is only itself.
    """

    id: str
    symbol: str | None
    asset_class: str
    same_as: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """A margin account: a slug and its CAIP-10 members."""

    id: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where HTTP is served; `public` allows a host that other machines can reach."""

    host: str
    port: int
    public: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Where snapshots go, and when one is due (`None`: only on request)."""

    folder: Path
    schedule: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """How often numbers are compared with the venues' own contracts (`None`: only on request), and how many units of each venue at once."""

    schedule: str | None
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration; paths are absolute, no `policy` means the one that ships with the package."""

    path: Path
    store: Path
    chains: tuple[ChainSettings, ...]
    venues: tuple[VenueSpec, ...]
    feeds: tuple[FeedSpec, ...]
    assets: tuple[AssetSettings, ...]
    accounts: tuple[AccountSettings, ...]
    server: ServerSettings
    snapshot: SnapshotSettings
    audit: AuditSettings
    policy: Path | None
    auto: frozenset[str] = frozenset()
    """Ids of the venues and chains whose first block is to be found; until it is, it is 0."""

    def chain(self, chain_id: str) -> ChainSettings:
        """Return the settings of a configured chain."""
        return next(chain for chain in self.chains if chain.spec.id == chain_id)

    def venues_of(self, chain_id: str) -> tuple[VenueSpec, ...]:
        return tuple(venue for venue in self.venues if venue.chain_id == chain_id)

    def feeds_of(self, chain_id: str) -> tuple[FeedSpec, ...]:
        return tuple(feed for feed in self.feeds if feed.chain_id == chain_id)
