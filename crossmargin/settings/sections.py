"""One function a section: which keys it has, what each means, and its default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chains.model import FEEDS, ChainSpec, FeedSpec, VenueSpec
from chains.registry import FEED_KINDS, NAMESPACES, PROTOCOLS
from crossmargin.settings import names, values
from crossmargin.settings.model import (
    AccountSettings,
    AssetSettings,
    ChainSettings,
    ServerSettings,
    SnapshotSettings,
)
from crossmargin.settings.section import Section, nearest

FINALITIES = ("finalized", "safe", "latest")
CONFIRMATIONS = re.compile(r"confirmations:[1-9]\d{0,5}")
POLL_S = 2.0
STALE_AFTER_S = 60.0
DEVIATION = 0.01
SERVER = ServerSettings(host="127.0.0.1", port=8080, public=False)


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: relative paths of a configuration start at its own folder."""

    folder: Path

    def path(self, value: object) -> Path:
        return (self.folder / Path(values.text(value)).expanduser()).absolute()

    @property
    def store(self) -> Path:
        return self.folder / "data" / "crossmargin.duckdb"


def store(section: Section, places: Places) -> Path | None:
    path = section.get("path", places.path, places.store)
    return section.build(lambda: path)


def chain(section: Section) -> ChainSettings | None:
    chain_id = section.need("id", _chain_id)
    name = section.get("name", values.text, chain_id)
    rpc = section.need("rpc", values.several(values.node))
    finality = section.get("finality", _finality, "finalized")
    start_block = section.get("start_block", values.whole, 0)
    poll_s = section.get("poll", values.duration, POLL_S)
    stale_after_s = section.get("stale_after", values.duration, STALE_AFTER_S)
    if poll_s and stale_after_s and stale_after_s <= poll_s:
        section.wrong("stale_after must be longer than poll, or the chain would be stale between two questions")
    return section.build(
        lambda: ChainSettings(
            spec=ChainSpec(id=chain_id, name=name, rpc=rpc, finality=finality, start_block=start_block),
            poll_s=poll_s,
            stale_after_s=stale_after_s,
        )
    )


def venue(section: Section) -> VenueSpec | None:
    venue_id = section.need("id", _venue_id)
    protocol = section.need("protocol", _protocol)
    chain_id = section.need("chain", names.chain_id)
    address = section.need("address", names.address)
    start_block = section.need("start_block", _start_block)
    return section.build(
        lambda: VenueSpec(id=venue_id, protocol=protocol, chain_id=chain_id, address=address, start_block=start_block)
    )


def feed(section: Section) -> FeedSpec | None:
    asset_id = section.need("asset", names.asset_id)
    kind = section.get("kind", values.one_of(*FEED_KINDS), FEED_KINDS[0])
    address = section.need("address", names.address)
    heartbeat_s = section.need("heartbeat", values.whole_seconds)
    deviation = section.get("deviation", values.percent, DEVIATION)
    return section.build(
        lambda: FeedSpec(
            asset=asset_id,
            kind=kind,
            chain_id=names.chain_of(asset_id),
            address=address,
            heartbeat_s=heartbeat_s,
            deviation=deviation,
        )
    )


def asset(section: Section) -> AssetSettings | None:
    asset_id = section.need("id", names.asset_id)
    symbol = section.get("symbol", values.text, None)
    asset_class = section.need("class", values.slug)
    same_as = section.get("same_as", values.text, None)
    return section.build(lambda: AssetSettings(id=asset_id, symbol=symbol, asset_class=asset_class, same_as=same_as))


def account(section: Section) -> AccountSettings | None:
    account_id = section.need("id", values.slug)
    members = section.need("members", values.several(names.account_id))
    return section.build(lambda: AccountSettings(id=account_id, members=members))


def server(section: Section) -> ServerSettings | None:
    host = section.get("host", values.text, SERVER.host)
    port = section.get("port", values.port, SERVER.port)
    public = section.get("public", values.boolean, SERVER.public)
    return section.build(lambda: ServerSettings(host=host, port=port, public=public))


def snapshot(section: Section, places: Places, beside_store: Path) -> SnapshotSettings | None:
    folder = section.get("folder", places.path, beside_store)
    schedule = section.get("schedule", _schedule, None)
    return section.build(lambda: SnapshotSettings(folder=folder, schedule=schedule))


def policy(section: Section, places: Places) -> Path | None:
    path = section.get("path", places.path, None)
    return section.build(lambda: path)


def place(key: str, number: int, table: Mapping[str, object]) -> str:
    """Name a table of a list: by its number and, where it has one, its id."""
    named = table.get("id", table.get("asset"))
    return f'[[{key}]] #{number} "{named}"' if isinstance(named, str) else f"[[{key}]] #{number}"


def _chain_id(value: object) -> str:
    chain_id = names.chain_id(value)
    namespace = chain_id.partition(":")[0]
    if namespace not in NAMESPACES:
        raise values.Unfit(f'is of namespace "{namespace}", which is not supported; use {", ".join(NAMESPACES)}')
    return chain_id


def _venue_id(value: object) -> str:
    if value == FEEDS:
        raise values.Unfit(f'cannot be "{FEEDS}", which the store keeps for itself')
    return values.slug(value)


def _protocol(value: object) -> str:
    if value not in PROTOCOLS:
        name = values.text(value)
        raise values.Unfit(f'"{name}" is not supported; {nearest(name, PROTOCOLS)}')
    return str(value)


def _finality(value: object) -> str:
    if isinstance(value, str) and (value in FINALITIES or CONFIRMATIONS.fullmatch(value)):
        return value
    known = ", ".join(FINALITIES)
    raise values.Unfit(f"must be one of {known} or confirmations:N (confirmations:12), not {values.shown(value)}")


def _start_block(value: object) -> int:
    if value == "auto":
        raise values.Unfit('"auto" is not supported yet; write the block in which the contract was deployed')
    return values.whole(value)


def _schedule(value: object) -> str:
    from crossmargin.schedule import parse  # noqa: PLC0415 - the alarm clock is loaded only where one is set

    parse(values.text(value))
    return values.text(value)
