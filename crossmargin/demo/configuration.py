"""The configuration of the demonstration, written as anybody's would be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from chains.identifiers import Account, Asset, parse_address, token
from crossmargin.demo.recorded import Recorded
from crossmargin.demo.recording import Recording
from crossmargin.demo.solana_recording import SolanaRecording

HEARTBEAT = "24h"
DEVIATION = "0.5%"
CHARACTERS = ("stretched", "hedged", "liquidated")
"""Owners with something on every chain, by the names that the recordings give them."""

CLASSES: Mapping[str, tuple[str, str]] = {
    "WETH": ("major", "ETH"),
    "WBTC": ("major", "BTC"),
    "USDC": ("stable", "USD"),
    "wstETH": ("lst", "wstETH"),
    "JSOL": ("lst", "JSOL"),
    "FEE": ("long-tail", "FEE"),
}
"""Symbol → policy class and price identity: a dollar is a dollar on every chain."""

Tables = Iterable[tuple[str, Mapping[str, object]]]


def configuration(nodes: Sequence[tuple[Recorded, str]], *, host: str, port: int, public: bool) -> str:
    """Write the TOML: `nodes` are the recorded chains with the addresses that serve them."""
    tables: list[tuple[str, Mapping[str, object]]] = [
        ("[store]", {"path": "crossmargin.duckdb"}),
        ("[server]", {"host": host, "port": port, "public": public, "anonymous": public}),
        ("[snapshot]", {"folder": "snapshots"}),
        ("[audit]", {"schedule": "never"}),
        *(table for recorded, url in nodes for table in _chain(recorded, url)),
        *_accounts([recorded for recorded, _ in nodes]),
    ]
    return "\n".join(_written(name, keys) for name, keys in tables)


def _chain(recorded: Recorded, url: str) -> Tables:
    chain = {"id": recorded.chain_id, "name": recorded.label, "rpc": [url], "finality": "finalized", "poll": "200ms"}
    match recorded:
        case Recording():
            yield "[[chain]]", chain
            yield from _market(recorded)
        case SolanaRecording():
            yield "[[chain]]", chain | {"start_block": recorded.vault["start_block"]}
            yield from _vault(recorded)


def _market(recording: Recording) -> Tables:
    """An Aave market and the feeds of its reserves."""
    market = recording.market
    yield (
        "[[venue]]",
        {
            "id": f"aave-{recording.label}",
            "protocol": "aave-v3",
            "chain": recording.chain_id,
            "address": market["pool"],
            "start_block": market["start_block"],
        },
    )
    for reserve in market["reserves"]:
        asset = _asset(recording, reserve["asset"])
        yield _valued(asset, reserve["symbol"])
        yield _feed(asset, {"kind": "chainlink", "address": reserve["feed"]["proxy"]})


def _vault(recording: SolanaRecording) -> Tables:
    """A vault whose deposits nobody else has a claim on, and the price accounts of its tokens."""
    vault = recording.vault
    yield (
        "[[venue]]",
        {
            "id": f"vault-{recording.label}",
            "protocol": "spl-escrow",
            "chain": recording.chain_id,
            "address": vault["authority"],
            "accounts": vault["accounts"],
            "start_block": vault["start_block"],
            "liabilities": "none",
        },
    )
    for feed in recording.feeds:
        asset = _asset(recording, feed["mint"])
        yield _valued(asset, feed["symbol"])
        yield _feed(asset, {"kind": "pyth-solana", "address": feed["address"], "feed_id": feed["feed_id"]})


def _valued(asset: Asset, symbol: str) -> tuple[str, Mapping[str, object]]:
    asset_class, identity = CLASSES[symbol]
    return "[[asset]]", {"id": str(asset), "symbol": symbol, "class": asset_class, "same_as": identity}


def _feed(asset: Asset, source: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    return "[[feed]]", {"asset": str(asset), **source, "heartbeat": HEARTBEAT, "deviation": DEVIATION}


def _accounts(recordings: Sequence[Recorded]) -> Tables:
    for name in CHARACTERS:
        members = [
            Account(recorded.chain_id, parse_address(recorded.chain_id, recorded.story[name]))
            for recorded in recordings
            if name in recorded.story
        ]
        if members:
            yield "[[account]]", {"id": name, "members": list(map(str, members))}


def _asset(recorded: Recorded, address: str) -> Asset:
    return token(recorded.chain_id, parse_address(recorded.chain_id, address))


def _written(name: str, keys: Mapping[str, object]) -> str:
    """One table; JSON's texts, numbers, booleans and lists are TOML's."""
    lines = (f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return "\n".join([name, *lines, ""])
