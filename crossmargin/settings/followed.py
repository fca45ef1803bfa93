"""What is followed, one function a section: chains, venues, feeds, assets and accounts, with their keys and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chains.completeness import COMPLETENESS, DEFAULT, SECOND_NODE
from chains.identifiers import EVM, PYTH, SOLANA, namespace_of
from chains.model import FEEDS, ChainSpec, FeedSpec, VenueSpec
from chains.registry import (
    FEED_KINDS,
    PROTOCOLS,
    REDEMPTION_RATE,
    SEQUENCER_UPTIME,
    check_options,
    namespace_of_protocol,
)
from crossmargin.settings import escrows, names, rates, signed, values
from crossmargin.settings.model import (
    AccountSettings,
    AssetSettings,
    ChainSettings,
    IndexerSettings,
)
from crossmargin.settings.section import Parse, Section, nearest

FINALITIES = {EVM: ("finalized", "safe", "latest"), SOLANA: ("finalized", "confirmed"), PYTH: ("finalized",)}
CONFIRMATIONS = re.compile(r"confirmations:[1-9]\d{0,5}")
POLL_S = 2.0
STALE_AFTER_S = 60.0
DEVIATION = 0.01
GRACE_S = 3600
MAX_CONFIDENCE = 0.02
PRICE_ACCOUNTS = ("pyth-solana", "switchboard")
"""Feeds whose account says what it is a price of, and how sure."""
WRITTEN_AUTO, AUTO = "auto", -1
"""The first block is to be found."""


def chain(section: Section) -> ChainSettings | None:
    chain_id = section.need("id", names.own_chain_id)
    name = section.get("name", values.text, chain_id)
    indexer = _indexer(section)
    rpc, ws = _nodes(section) if indexer is None else _no_nodes(section)
    finality = section.get("finality", _finality_of(chain_id), "finalized")
    start_block = section.get("start_block", _first_block, 0)
    completeness = _completeness(section, chain_id)
    guardian_sets = signed.guardian_sets(section, chain_id)
    poll_s = section.get("poll", values.duration, POLL_S)
    stale_after_s = section.get("stale_after", values.duration, STALE_AFTER_S)
    halted_after_s = section.get("halted_after", values.duration, None)
    if completeness == SECOND_NODE and rpc and len(rpc) == 1:
        section.wrong(f'completeness "{SECOND_NODE}" asks a second node, and rpc names one; name another in rpc')
    if poll_s and stale_after_s and stale_after_s <= poll_s:
        section.wrong("stale_after must be longer than poll, or the chain would be stale between two questions")
    return section.build(
        lambda: ChainSettings(
            spec=ChainSpec(
                id=chain_id,
                name=name,
                rpc=rpc,
                finality=finality,
                start_block=start_block,
                ws=ws,
                completeness=completeness,
                guardian_sets=guardian_sets,
            ),
            poll_s=poll_s,
            stale_after_s=stale_after_s,
            halted_after_s=halted_after_s,
            indexer=indexer,
        )
    )


def _indexer(section: Section) -> IndexerSettings | None:
    """The service that follows this chain, where a configuration names one in place of nodes."""
    url = section.get("indexer", values.service, None)
    if url is None:
        section.refuse("indexer_key", "is for a chain with an indexer; a node's key stands in its address in rpc")
        return None
    return IndexerSettings(url=url, key=section.get("indexer_key", values.text, None))


def _nodes(section: Section) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rpc = section.need("rpc", values.several(values.node))
    return rpc, section.get("ws", values.one_or_several(values.websocket), ())


def _no_nodes(section: Section) -> tuple[tuple[str, ...], tuple[str, ...]]:
    for key in ("rpc", "ws"):
        section.refuse(key, "names nodes, and indexer names who asks them; leave one of them out")
    return (), ()


def venue(section: Section) -> VenueSpec | None:
    venue_id = section.need("id", _venue_id)
    protocol = section.need("protocol", _protocol)
    chain_id = section.need("chain", names.chain_id)
    home = _home(section, protocol, chain_id)
    address = section.need("address", names.address_on(home))
    start_block = section.need("start_block", _start_block_on(home))
    options = escrows.options(section, protocol, home, address) | _own_options(section, protocol)
    if start_block == AUTO:
        escrows.must_be_deployed(section, options)
    return section.build(
        lambda: VenueSpec(
            id=venue_id,
            protocol=protocol,
            chain_id=chain_id,
            address=address,
            start_block=start_block,
            options=options,
        )
    )


def _own_options(section: Section, protocol: str) -> dict[str, Any]:
    """The keys that only this protocol has, as its folder says."""
    found = check_options(protocol)
    if found is None:
        return {}
    keys, check = found
    written = {key: value for key in keys if (value := section.get(key, lambda value: value, None)) is not None}
    for problem in check(written):
        section.wrong(problem)
    return written


def feed(section: Section) -> FeedSpec | None:
    return uptime_feed(section) if section.says("kind", SEQUENCER_UPTIME) else price_feed(section)


def uptime_feed(section: Section) -> FeedSpec | None:
    """What tells whether a chain's sequencer runs: it is about the chain, and of no asset."""
    section.pass_over("kind")
    chain_id = section.need("chain", names.chain_id)
    address = section.need("address", names.address_on(_source_chain(section, SEQUENCER_UPTIME, chain_id)))
    grace_s = section.get("grace", values.whole_seconds, GRACE_S)
    return section.build(
        lambda: FeedSpec(
            asset=chain_id,
            kind=SEQUENCER_UPTIME,
            chain_id=chain_id,
            address=address,
            heartbeat_s=grace_s,
            deviation=0.0,
        )
    )


def price_feed(section: Section) -> FeedSpec | None:
    asset_id = section.need("asset", names.asset_id)
    own_chain = names.chain_of(asset_id) if asset_id else ""
    usual = signed.CHAIN if section.says("kind", signed.KIND) else own_chain
    chain_id = section.get("chain", names.chain_id, usual) or ""
    kind = section.get("kind", values.one_of(*FEED_KINDS), _usual_kind(chain_id))
    address = _source(section, kind, chain_id)
    heartbeat_s = _heartbeat(section, kind)
    deviation = section.get("deviation", values.percent, 0.0 if kind == REDEMPTION_RATE else DEVIATION)
    feed_id, max_confidence = _pyth(section, kind, address)
    rate = rates.rate(section, kind, chain_id)
    operator = _operator(section, kind)
    return section.build(
        lambda: FeedSpec(
            asset=asset_id,
            kind=kind,
            chain_id=chain_id,
            address=address,
            heartbeat_s=heartbeat_s,
            deviation=deviation,
            feed_id=rate.question or feed_id,
            max_confidence=max_confidence,
            of=rate.of,
            unit_raw=rate.unit_raw,
            operator=operator,
        )
    )


def _operator(section: Section, kind: str) -> str | None:
    """Who answers for a price; a rate is what a contract says of itself."""
    if kind == REDEMPTION_RATE:
        section.refuse("operator", "is for feeds of prices; a rate has none of its own, leave it out")
        return None
    return section.get("operator", values.slug, None)


def _source(section: Section, kind: str, chain_id: str) -> bytes:
    """What is asked for a price: a contract or an account by its address, a signed price by its id."""
    chain = _source_chain(section, kind, chain_id)
    return signed.feed_id(section) if kind == signed.KIND else section.need("address", names.address_on(chain))


def asset(section: Section) -> AssetSettings | None:
    asset_id = section.need("id", names.asset_id)
    symbol = section.get("symbol", values.text, None)
    asset_class = section.need("class", values.slug)
    same_as = section.get("same_as", values.text, None)
    bridge = section.get("bridge", values.slug, None)
    issuer = section.get("issuer", values.slug, None)
    return section.build(
        lambda: AssetSettings(
            id=asset_id, symbol=symbol, asset_class=asset_class, same_as=same_as, bridge=bridge, issuer=issuer
        )
    )


def account(section: Section) -> AccountSettings | None:
    account_id = section.need("id", values.slug)
    members: tuple[str, ...] = section.get("members", values.several(names.account_id), ())
    return section.build(lambda: AccountSettings(id=account_id, members=members))


def place(key: str, number: int, table: Mapping[str, object]) -> str:
    """Name a table of a list: by its number and, where it has one, its id."""
    named = table.get("id", table.get("asset"))
    return f'[[{key}]] #{number} "{named}"' if isinstance(named, str) else f"[[{key}]] #{number}"


def _completeness(section: Section, chain_id: str) -> str:
    family = namespace_of(chain_id) if chain_id else EVM
    if family == PYTH:
        section.refuse(
            "completeness",
            "is for chains of blocks: a price is signed, and what was said in between is not looked for; leave it out",
        )
        return DEFAULT
    if family == SOLANA:
        return section.get("completeness", values.one_of(SECOND_NODE), DEFAULT)
    return section.get("completeness", values.one_of(*COMPLETENESS), DEFAULT)


def _home(section: Section, protocol: str, chain_id: str) -> str | None:
    """The chain of a venue, unless there is something wrong with it or the protocol cannot be there."""
    if not protocol or not chain_id:
        return chain_id or None
    wanted, there = namespace_of_protocol(protocol), namespace_of(chain_id)
    if wanted == there:
        return chain_id
    if there == PYTH:
        section.wrong(f"chain {chain_id} tells prices and has no venues; name the chain of the {protocol} contract")
        return None
    *others, last = [name for name in PROTOCOLS if namespace_of_protocol(name) == there]
    fitting = f"{', '.join(others)} or {last}" if others else last
    section.wrong(f'protocol "{protocol}" is for {names.FAMILIES[wanted]} chains, not {chain_id}; there use {fitting}')
    return None


def _heartbeat(section: Section, kind: str) -> int:
    """How often a feed speaks; a rate is read with its block, and as old as the marks that it is multiplied with."""
    if not kind:
        section.pass_over("heartbeat")
        return 0
    if kind != REDEMPTION_RATE:
        return section.need("heartbeat", values.whole_seconds)
    section.refuse("heartbeat", f"is not for {REDEMPTION_RATE} feeds, which are read with every block; leave it out")
    return 0


def _usual_kind(chain_id: str) -> str:
    usual = {
        namespace: kind
        for kind, found in reversed(list(FEED_KINDS.items()))
        if kind != REDEMPTION_RATE
        for namespace in found
    }
    return usual.get(namespace_of(chain_id), "")


def _source_chain(section: Section, kind: str, chain_id: str) -> str | None:
    """The chain of a feed, unless there is something wrong with it or the kind cannot be there."""
    if not kind or not chain_id:
        return chain_id or None
    if namespace_of(chain_id) in FEED_KINDS[kind]:
        return chain_id
    section.wrong(
        f'kind "{kind}" is for {names.FAMILIES[FEED_KINDS[kind][0]]} chains, not {chain_id}; '
        f'use {_usual_kind(chain_id)}, or name the chain of the feed itself, chain = "{FEED_KINDS[kind][0]}:…"'
    )
    return None


def _pyth(section: Section, kind: str, address: bytes) -> tuple[bytes | None, float | None]:
    """What a Pyth account must be a price of, and the widest interval that is believed."""
    if not kind:
        section.pass_over("feed_id", "max_confidence")
        return None, None
    if kind == signed.KIND:
        return address, section.get("max_confidence", values.percent, MAX_CONFIDENCE)
    if kind not in PRICE_ACCOUNTS:
        for key in ("feed_id", "max_confidence"):
            section.refuse(key, f"is for {PRICE_ACCOUNTS[0]} feeds, not for {kind}; leave it out")
        return None, None
    return section.get("feed_id", values.key_32, None), section.get("max_confidence", values.percent, MAX_CONFIDENCE)


def _venue_id(value: object) -> str:
    if value == FEEDS:
        raise values.Unfit(f'cannot be "{FEEDS}", which the store keeps for itself')
    return values.slug(value)


def _protocol(value: object) -> str:
    name = values.text(value)
    if name not in PROTOCOLS:
        raise values.Unfit(f"{values.shown(name)} is not supported; {nearest(name, PROTOCOLS)}")
    return str(name)


def _finality_of(chain_id: str) -> Parse[str]:
    if not chain_id:
        return values.text
    return _evm_finality if namespace_of(chain_id) == EVM else values.one_of(*FINALITIES[namespace_of(chain_id)])


def _evm_finality(value: object) -> str:
    if isinstance(value, str) and (value in FINALITIES[EVM] or CONFIRMATIONS.fullmatch(value)):
        return value
    known = ", ".join(FINALITIES[EVM])
    raise values.Unfit(f"must be one of {known} or confirmations:N (confirmations:12), not {values.shown(value)}")


def _start_block_on(chain_id: str | None) -> Parse[int]:
    if chain_id is None or namespace_of(chain_id) != SOLANA:
        return _first_block

    def parse(value: object) -> int:
        if value == WRITTEN_AUTO:
            raise values.Unfit('"auto" is for EVM chains; write the slot in which the oldest of its accounts was made')
        return values.whole(value)

    return parse


def _first_block(value: object) -> int:
    return AUTO if value == WRITTEN_AUTO else values.whole(value)
