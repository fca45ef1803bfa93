"""The effective configuration, as it may be shown: node addresses without what could be a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aggregator.audit.message_verifier import Bridge
from chains.completeness import SECOND_NODE
from chains.escrow import LIABILITY_MAX_AGE_S
from chains.identifiers import EVM, PYTH, format_address, namespace_of
from chains.model import ChainSpec, FeedSpec, GuardianSet, VenueSpec
from chains.redaction import HIDDEN, label
from chains.registry import REDEMPTION_RATE, SEQUENCER_UPTIME
from crossmargin.settings.escrows import LIABILITY_MAX_AGE
from crossmargin.settings.model import (
    ChainSettings,
    EventSettings,
    LakeSettings,
    RebalancingSettings,
    ServerSettings,
    Settings,
    SnapshotSettings,
    SqlSettings,
)
from crossmargin.settings.running import ALL, NEVER


def effective(settings: Settings) -> dict[str, Any]:
    """Return the configuration with every default filled in and no secret."""
    return {
        "path": str(settings.path),
        "store": {"path": str(settings.store), "backups": str(settings.backups)},
        "chain": [
            {
                "id": chain.spec.id,
                "name": chain.spec.name,
                **_source(chain),
                "finality": chain.spec.finality,
                "start_block": _start(settings, chain.spec),
                **({"completeness": chain.spec.completeness} if _says_completeness(chain.spec) else {}),
                **_guardians(chain.spec),
                "poll": seconds(chain.poll_s),
                "stale_after": seconds(chain.stale_after_s),
                **({} if chain.halted_after_s is None else {"halted_after": seconds(chain.halted_after_s)}),
            }
            for chain in settings.chains
        ],
        "venue": [
            {
                "id": venue.id,
                "protocol": venue.protocol,
                "chain": venue.chain_id,
                "address": format_address(venue.chain_id, venue.address),
                "start_block": _start(settings, venue),
            }
            | _options(venue.options)
            for venue in settings.venues
        ],
        "feed": [_feed(feed) for feed in settings.feeds],
        "asset": [
            {"id": asset.id, "symbol": asset.symbol, "class": asset.asset_class, "same_as": asset.same_as}
            | {key: word for key, word in (("bridge", asset.bridge), ("issuer", asset.issuer)) if word is not None}
            for asset in settings.assets
        ],
        "account": [{"id": account.id, "members": list(account.members)} for account in settings.accounts],
        "server": _server(settings.server),
        "snapshot": _snapshot(settings.snapshot),
        "audit": {"schedule": settings.audit.schedule or NEVER, "sample": settings.audit.sample},
        "membership": {
            "check_every": f"{settings.membership.check_every_s}s",
            "operator": settings.membership.operator,
        },
        "risk": {"schedule": settings.risk.schedule, "keep": settings.risk.keep},
        "rebalancing": _rebalancing(settings.rebalancing),
        "publish": {"folder": str(settings.publish.folder), "schedule": settings.publish.schedule},
        **({} if settings.lake is None else {"lake": _lake(settings.lake)}),
        "sql": _sql(settings.sql),
        "events": _events(settings.events),
        "webhooks": {"secrets": str(settings.webhook_secrets), "loopback": settings.webhooks.loopback},
        "policy": {"path": str(settings.policy) if settings.policy else None},
        "trust": {"guardian_sets": [_guardian_set(each) for each in settings.guardian_sets]},
        "bridge": [_bridge(each) for each in settings.bridges],
    }


def _source(chain: ChainSettings) -> dict[str, Any]:
    """Where a chain's rows come from: nodes, or the indexer that asks them."""
    if chain.indexer is not None:
        key = {} if chain.indexer.key is None else {"indexer_key": HIDDEN}
        return {"indexer": label(chain.indexer.url), **key}
    return {
        "rpc": [label(address) for address in chain.spec.rpc],
        "ws": [label(address) for address in chain.spec.ws],
    }


def _rebalancing(rebalancing: RebalancingSettings) -> dict[str, Any]:
    return {
        "reachable": [">".join(way) for way in rebalancing.reachable],
        "bridge_cost": percent(rebalancing.bridge_cost),
        "action_usd": int(rebalancing.action_usd),
        "most_usd": int(rebalancing.most_usd),
    }


def _feed(feed: FeedSpec) -> dict[str, Any]:
    return (
        {
            "asset": feed.asset,
            "kind": feed.kind,
            "chain": feed.chain_id,
            "address": format_address(feed.chain_id, feed.address),
            **_speaks(feed),
            "deviation": percent(feed.deviation),
        }
        | _confidence(feed)
        | ({} if feed.operator is None else {"operator": feed.operator})
        | _rate(feed)
    )


def _snapshot(said: SnapshotSettings) -> dict[str, Any]:
    proofs = ALL if said.proofs is None else said.proofs
    return {"folder": str(said.folder), "schedule": said.schedule, "proofs": proofs}


def _sql(said: SqlSettings) -> dict[str, Any]:
    return {
        "anonymous": said.anonymous,
        "timeout": f"{said.timeout_s}s",
        "rows": said.rows,
        "bytes": said.bytes,
        "workers": said.workers,
    }


def _server(said: ServerSettings) -> dict[str, Any]:
    return {
        "host": said.host,
        "port": said.port,
        "public": said.public,
        "anonymous": said.anonymous,
        "origins": list(said.origins),
    }


def _lake(said: LakeSettings) -> dict[str, Any]:
    return {
        "url": said.url.partition("?")[0],
        "period": f"{said.period_s}s",
        "stale_after": f"{said.stale_after_s}s",
        "work": str(said.work),
    }


def _events(said: EventSettings) -> dict[str, Any]:
    return {
        "keep": f"{said.keep_s}s",
        "mark_move": percent(said.mark_move),
        "streams": said.streams,
        "streams_per_key": said.streams_per_key,
    }


def _guardians(spec: ChainSpec) -> dict[str, Any]:
    """Whose signatures are asked for, of a chain whose prices are signed."""
    return {"guardian_sets": list(map(_guardian_set, spec.guardian_sets))} if namespace_of(spec.id) == PYTH else {}


def _bridge(known: Bridge) -> dict[str, Any]:
    address = known.address[-20:] if namespace_of(known.chain) == EVM else known.address
    return {
        "protocol": known.protocol,
        "chain": known.chain,
        "number": str(known.number),
        "address": format_address(known.chain, address),
        "tokens": [
            {"via": via, "asset": asset} | ({} if shared is None else {"shared_decimals": shared})
            for via, (asset, shared) in known.tokens.items()
        ],
    }


def _guardian_set(known: GuardianSet) -> dict[str, Any]:
    addresses = [format_address(EVM, address) for address in known.addresses]
    return {"index": known.number, "addresses": addresses} | ({} if known.until is None else {"until": known.until})


def _says_completeness(spec: ChainSpec) -> bool:
    return namespace_of(spec.id) == EVM or spec.completeness == SECOND_NODE


def _start(settings: Settings, spec: ChainSpec | VenueSpec) -> int | str:
    return "auto" if spec.id in settings.auto else spec.start_block


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What only the venue's protocol has, under the keys that a configuration writes."""
    written: dict[str, Any] = {}
    for key, value in options.items():
        if key == LIABILITY_MAX_AGE_S:
            written[LIABILITY_MAX_AGE] = seconds(value)
        else:
            written[key] = list(value) if isinstance(value, tuple) else value
    return written


def _confidence(feed: FeedSpec) -> dict[str, Any]:
    if feed.max_confidence is None:
        return {}
    return {
        "feed_id": feed.feed_id.hex() if feed.feed_id is not None else None,
        "max_confidence": percent(feed.max_confidence),
    }


def _speaks(feed: FeedSpec) -> dict[str, str]:
    """How often a feed speaks, which a rate does not; of a sequencer, how long after it came up it is not relied on."""
    if feed.kind == REDEMPTION_RATE:
        return {}
    return {"grace" if feed.kind == SEQUENCER_UPTIME else "heartbeat": seconds(feed.heartbeat_s)}


def _rate(feed: FeedSpec) -> dict[str, Any]:
    """What only a redemption rate has: its question as the bytes that are asked."""
    if feed.of is None or feed.unit_raw is None:
        return {}
    asked = {} if feed.feed_id is None else {"question": "0x" + feed.feed_id.hex()}
    return {"of": feed.of, **asked, "unit_raw": str(feed.unit_raw)}


def percent(fraction: float) -> str:
    """Write a fraction as a configuration does."""
    return f"{fraction * 100:g}%"


def seconds(value: float) -> str:
    """Write a duration as a configuration does."""
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"
