"""From the store to histories: what feeds said by days and what was imported, of every identity that the configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol

from aggregator.gather import Catalogue
from aggregator.margin.inputs import Asset, Cut
from aggregator.margin.policy import DEFAULT_CLASS
from aggregator.margin.risk import Liquidity
from aggregator.margin.valuation import identity_of
from aggregator.risk.estimates import Histories, Trait
from aggregator.risk.feed_days import EPOCH, Followed, combined, joined, whole_days
from aggregator.risk.series import PriceDay, series_of
from chains.model import FEEDS, Block, FeedSpec
from chains.ports import Covered
from chains.registry import REDEMPTION_RATE, SEQUENCER_UPTIME
from indexer.store import Cursor, FeedDay, ImportedDay, ImportedLiquidity


class Archive(Protocol):
    """What is asked of the store; `indexer.store.reader.Reader` answers all of it from one state."""

    def cursor(self, chain_id: str) -> Cursor | None: ...

    def block_below(self, chain_id: str, number: int) -> Block | None: ...

    def coverage(self, chain_id: str) -> list[Covered]: ...

    def feed_days(self, chain_id: str, at: Block, feeds: Sequence[bytes]) -> list[FeedDay]: ...

    def rate_days(self, chain_id: str, at: Block, sources: Sequence[bytes]) -> list[tuple[bytes, int, float]]: ...

    def imported_days(self, identity: str | None = None) -> list[ImportedDay]: ...

    def imported_liquidity(self) -> list[ImportedLiquidity]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDays:
    """What the feeds of one chain said: by identity, the whole days of each feed, and redemption rates by the day's number."""

    prices: Mapping[str, Sequence[Mapping[int, FeedDay]]] = field(default_factory=dict)
    rates: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


def today_of(cuts: Mapping[str, Cut]) -> date | None:
    """Return the UTC day of a cut's moment, `None` without any chain."""
    times = [cut.now for cut in cuts.values()]
    return datetime.fromtimestamp(max(times), UTC).date() if times else None


def settled(archive: Archive, chain_id: str, cut: Cut) -> Block | None:
    """Return the last stored block up to a cut that is final: days that end before it do not change."""
    held = archive.cursor(chain_id)
    return archive.block_below(chain_id, min(cut.block.number, held.finalized)) if held else None


def followed(archive: Archive, chain_id: str, cut: Cut, at: Block) -> Followed:
    """Return for which blocks a chain's feeds were followed up to a cut, and until when it is final: up to the cut's moment, where the
    cut's block is, else to `at`, the last final one that is stored.

    Final blocks in which nothing happened are not stored: a moment beyond the cut's block takes that the next one was followed too.
    """
    spans = joined((span.first, span.last) for span in archive.coverage(chain_id) if span.interest == FEEDS)
    held = archive.cursor(chain_id)
    if held is None or cut.block.number > held.finalized:
        return Followed(time=at.time, block=at.number, spans=spans)
    beyond = cut.block.number + 1 if cut.now > cut.block.time else cut.block.number
    return Followed(time=cut.now, block=min(beyond, held.block.number), spans=spans)


def chain_days(archive: Archive, chain_id: str, at: Followed, block: Block, catalogue: Catalogue) -> ChainDays:
    """Return what the configured feeds of a chain said by days, up to a final block; raises `StoreError`."""
    assets = {asset.id: asset for asset in catalogue.assets}
    feeds = [feed for feed in catalogue.feeds if feed.chain_id == chain_id and feed.kind != SEQUENCER_UPTIME]
    plain = [feed for feed in feeds if feed.kind != REDEMPTION_RATE]
    said: dict[bytes, list[FeedDay]] = {}
    for one in archive.feed_days(chain_id, block, [feed.address for feed in plain]) if plain else ():
        said.setdefault(one.feed, []).append(one)
    prices: dict[str, list[Mapping[int, FeedDay]]] = {}
    for feed in plain:
        whole = whole_days(said.get(feed.address, []), heartbeat_s=feed.heartbeat_s, followed=at)
        prices.setdefault(identity_of(feed.asset, assets), []).append(whole)
    rates = _rates(archive, chain_id, block, [feed for feed in feeds if feed.kind == REDEMPTION_RATE])
    return ChainDays(prices=prices, rates={identity_of(asset, assets): days for asset, days in rates.items()})


def _rates(archive: Archive, chain_id: str, block: Block, feeds: Sequence[FeedSpec]) -> dict[str, dict[int, float]]:
    """Return rates by asset and day number; of two feeds of one asset, those of the first by address."""
    by_source = {feed.address + (feed.feed_id or b""): feed for feed in feeds}
    found: dict[str, dict[int, float]] = {}
    for source, day, answer in archive.rate_days(chain_id, block, sorted(by_source)) if feeds else ():
        feed = by_source[source]
        found.setdefault(feed.asset, {}).setdefault(EPOCH + day, answer / (feed.unit_raw or 1))
    return found


def histories(archive: Archive, chains: Iterable[ChainDays], today: date) -> Histories:
    """Put together what feeds said and what was imported of days before `today`, and the newest that was said of liquidity until then."""
    told = list(chains)
    days = price_days(archive, told)
    before = {name: [day for day in known if day.day < today] for name, known in days.items()}
    series = {name: one for name, known in before.items() if (one := series_of(name, known)) is not None}
    rates: dict[str, Mapping[int, float]] = {}
    for chain in told:
        rates |= {name: known for name, known in chain.rates.items() if name not in rates}
    return Histories(series=series, rates=rates, liquidity=newest_liquidity(archive.imported_liquidity(), today))


def price_days(archive: Archive, chains: Sequence[ChainDays], identity: str | None = None) -> dict[str, list[PriceDay]]:
    """Return the known days of one identity or of all: a day that feeds tell is theirs, imports fill the others."""
    found: dict[str, dict[date, PriceDay]] = {}
    for row in archive.imported_days(identity):
        found.setdefault(row.identity, {})[row.day] = PriceDay(row.day, row.close, row.low, row.high, row.source)
    for name in {name for chain in chains for name in chain.prices if identity in (None, name)}:
        feeds = [feed for chain in chains for feed in chain.prices.get(name, ())]
        found.setdefault(name, {}).update({one.day: one for one in combined(feeds)})
    return {name: [days[day] for day in sorted(days)] for name, days in sorted(found.items()) if days}


def newest_liquidity(rows: Iterable[ImportedLiquidity], today: date) -> dict[str, Liquidity]:
    """Return the last that was said of each identity up to a day; `rows` by ascending day."""
    return {
        row.identity: Liquidity(
            identity=row.identity,
            daily_volume_usd=row.daily_volume_usd,
            spread=row.spread,
            fee=row.fee,
            as_of=row.as_of.isoformat(),
            source=row.source,
        )
        for row in rows
        if row.as_of <= today
    }


Curve = tuple[tuple[float, float], ...]
"""What is sold at once, USD → the fraction that it loses, rising."""


def depth_curves(rows: Iterable[ImportedLiquidity], today: date) -> dict[str, Curve]:
    """Return what the last that was said of each identity up to a day says of its depth; `rows` by ascending day."""
    said = {row.identity: row.depth for row in rows if row.as_of <= today}
    return {identity: _curve(depth) for identity, depth in said.items() if depth is not None}


def _curve(depth: str) -> Curve:
    return tuple((float(sold), float(lost)) for sold, _, lost in (point.partition(":") for point in depth.split(";")))


def traits_of(catalogue: Catalogue) -> dict[str, Trait]:
    """Return what the configuration says of each identity; of assets that differ, what is said of the riskier."""
    assets = {asset.id: asset for asset in catalogue.assets}
    bases = {
        identity_of(feed.asset, assets): identity_of(feed.of, assets) for feed in catalogue.feeds if feed.of is not None
    }
    classes: dict[str, list[str]] = {}
    for asset in catalogue.assets:
        classes.setdefault(identity_of(asset.id, assets), []).append(asset.asset_class)
    for feed in catalogue.feeds:
        if feed.kind != SEQUENCER_UPTIME:
            classes.setdefault(identity_of(feed.asset, assets), []).append(_class_of(feed.asset, assets))
    return {name: _trait(catalogue, known, bases.get(name)) for name, known in sorted(classes.items())}


def _class_of(asset_id: str, assets: Mapping[str, Asset]) -> str:
    return assets[asset_id].asset_class if asset_id in assets else DEFAULT_CLASS


def _trait(catalogue: Catalogue, classes: Sequence[str], base: str | None) -> Trait:
    said = [catalogue.policy.layers.of_class(name) for name in classes]
    return Trait(
        pegged=base is not None or any(one.peg > 0 for one in said),
        usd_like=all(one.usd_like for one in said),
        worst=max(one.worst for one in said),
        correlation=max(one.correlation for one in said),
        base=base,
    )
