"""The configuration of the demonstration, written as anybody's would be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from chains.identifiers import EVM, Account, Asset, parse_address, token
from crossmargin.demo.recording import Recording

HEARTBEAT = "24h"
DEVIATION = "0.5%"
CHARACTERS = ("stretched", "hedged", "liquidated")
"""Owners with positions on both chains, by the names that the recordings give them."""

CLASSES: Mapping[str, tuple[str, str]] = {
    "WETH": ("major", "ETH"),
    "WBTC": ("major", "BTC"),
    "USDC": ("stable", "USD"),
    "wstETH": ("lst", "wstETH"),
}
"""Symbol → policy class and price identity."""

Tables = Iterable[tuple[str, Mapping[str, object]]]


def configuration(nodes: Sequence[tuple[Recording, str]], *, host: str, port: int, public: bool) -> str:
    """Write the TOML: `nodes` are the recorded chains with the addresses that serve them."""
    tables: list[tuple[str, Mapping[str, object]]] = [
        ("[store]", {"path": "crossmargin.duckdb"}),
        ("[server]", {"host": host, "port": port, "public": public}),
        ("[snapshot]", {"folder": "snapshots"}),
        *(table for recording, url in nodes for table in _chain(recording, url)),
        *_accounts([recording for recording, _ in nodes]),
    ]
    return "\n".join(_written(name, keys) for name, keys in tables)


def _chain(recording: Recording, url: str) -> Tables:
    market = recording.market
    yield (
        "[[chain]]",
        {
            "id": recording.chain_id,
            "name": recording.label,
            "rpc": [url],
            "finality": "finalized",
            "poll": "50ms",
        },
    )
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
        asset_class, identity = CLASSES[reserve["symbol"]]
        asset = str(_asset(recording, reserve["asset"]))
        yield (
            "[[asset]]",
            {
                "id": asset,
                "symbol": reserve["symbol"],
                "class": asset_class,
                "same_as": identity,
            },
        )
        yield (
            "[[feed]]",
            {
                "asset": asset,
                "kind": "chainlink",
                "address": reserve["feed"]["proxy"],
                "heartbeat": HEARTBEAT,
                "deviation": DEVIATION,
            },
        )


def _accounts(recordings: Sequence[Recording]) -> Tables:
    for name in CHARACTERS:
        owners = {recording.story[name] for recording in recordings if name in recording.story}
        if len(owners) == 1:
            key = parse_address(EVM, owners.pop())
            yield "[[account]]", {"id": name, "members": [str(Account(r.chain_id, key)) for r in recordings]}


def _asset(recording: Recording, address: str) -> Asset:
    return token(recording.chain_id, parse_address(EVM, address))


def _written(name: str, keys: Mapping[str, object]) -> str:
    """One table; JSON's texts, numbers, booleans and lists are TOML's."""
    lines = (f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return "\n".join([name, *lines, ""])
