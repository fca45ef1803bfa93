"""A configuration out of the deployments that ship with the program: where lending markets stand is known, nodes are the reader's."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossmargin.errors import UsageError
from crossmargin.packaged import config

FILE = "deployments.toml"
AAVE = "aave-v3"
HEAD = """\
# A configuration for crossmargin, written by `crossmargin init`. Set {variables}, the addresses of your nodes
# (archive nodes: contracts are asked at past blocks). `crossmargin check` reads this file, `crossmargin doctor` measures the nodes.
# Each address is from the package that stands beside it.

[store]
path = "data/crossmargin.duckdb"
"""
AUTO = "auto"
UNDATED = "no package says when it was deployed: nodes are asked, once"
DATED = "the block in which it was deployed"
ASSETS = """\
# What an asset is to the house decides its haircut. Set class (stable | major | lst | long-tail | rwa), and same_as where several
# are one.
"""
FEEDS = """\
# Feeds of the house: without one, an asset has no price of the house's own. These proxies are what Aave's own oracle asks. No package says
# how often they answer: set the heartbeat that Chainlink names for each, and take the # away.
"""
ACCOUNTS = """\
# [[account]]
# id = "acme"
# members = ["{chain}:0x…"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """The tables of the file, as written there."""

    chains: Sequence[Mapping[str, Any]]
    venues: Sequence[Mapping[str, Any]]
    assets: Sequence[Mapping[str, Any]]
    feeds: Sequence[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        return sorted(chain["name"] for chain in self.chains)

    @property
    def protocols(self) -> list[str]:
        return sorted({venue["protocol"] for venue in self.venues})


def known() -> Deployments:
    """Read what ships with the program."""
    document = tomllib.loads(config(FILE).read_text(encoding="utf-8"))
    return Deployments(
        chains=document["chain"], venues=document["venue"], assets=document["asset"], feeds=document["feed"]
    )


def chosen(deployments: Deployments, names: Iterable[str], protocols: Iterable[str]) -> Deployments:
    """Return what is on some chains, of some protocols or of all; raises `UsageError` for a name that is not known."""
    chains = [_chain(deployments, name) for name in dict.fromkeys(names)]
    wanted = set(protocols) or set(deployments.protocols)
    if unknown := sorted(wanted - set(deployments.protocols)):
        raise UsageError(f'no deployments of protocol "{unknown[0]}" are known; use {", ".join(deployments.protocols)}')
    ids = {chain["id"] for chain in chains}
    venues = [venue for venue in deployments.venues if venue["chain"] in ids and venue["protocol"] in wanted]
    for chain in chains:
        _has_venue(deployments, chain, venues)
    tokens = ids if AAVE in wanted else set()
    return Deployments(
        chains=[chain for chain in deployments.chains if chain["id"] in ids],
        venues=venues,
        assets=[asset for asset in deployments.assets if _chain_of(asset["id"]) in tokens],
        feeds=[feed for feed in deployments.feeds if _chain_of(feed["asset"]) in tokens],
    )


def variable(chain: Mapping[str, Any]) -> str:
    """Return the environment variable that holds the address of a chain's node."""
    return f"{chain['name'].upper()}_RPC_URL"


def written(deployments: Deployments) -> str:
    """Return a configuration of all of these deployments; it loads once the variables are set."""
    parts = [HEAD.format(variables=" and ".join(variable(chain) for chain in deployments.chains))]
    for chain in deployments.chains:
        venues = [venue for venue in deployments.venues if venue["chain"] == chain["id"]]
        parts += [_chain_table(chain, venues), *map(_venue_table, venues)]
    if deployments.assets:
        parts += [ASSETS, *map(_asset_table, deployments.assets)]
    if deployments.feeds:
        parts += [FEEDS, *_feed_tables(deployments)]
    parts.append(ACCOUNTS.format(chain=deployments.chains[0]["id"]))
    return "\n".join(parts)


def _chain(deployments: Deployments, name: str) -> Mapping[str, Any]:
    for chain in deployments.chains:
        if name in (chain["name"], chain["id"]):
            return chain
    raise UsageError(f'no deployments on chain "{name}" are known; use {", ".join(deployments.names)}')


def _has_venue(deployments: Deployments, chain: Mapping[str, Any], venues: Iterable[Mapping[str, Any]]) -> None:
    if any(venue["chain"] == chain["id"] for venue in venues):
        return
    there = sorted({venue["protocol"] for venue in deployments.venues if venue["chain"] == chain["id"]})
    raise UsageError(f"none of these protocols is known on {chain['name']}; there use {', '.join(there)}")


def _chain_of(asset_id: str) -> str:
    return asset_id.partition("/")[0]


def _chain_table(chain: Mapping[str, Any], venues: Iterable[Mapping[str, Any]]) -> str:
    return (
        f"[[chain]]\nid = {_text(chain['id'])}\nname = {_text(chain['name'])}\n"
        f'rpc = ["${{{variable(chain)}}}"]\nfinality = "finalized"\n'
        f"start_block = {_first(venues)}  # not after any venue's\n"
    )


def _first(venues: Iterable[Mapping[str, Any]]) -> str:
    """Return the first block of some venues as TOML; it is to be found where any of theirs is."""
    starts = [venue["start_block"] for venue in venues]
    return json.dumps(AUTO if AUTO in starts else min(starts))


def _venue_table(venue: Mapping[str, Any]) -> str:
    start = venue["start_block"]
    return (
        f"[[venue]]\nid = {_text(venue['id'])}\nprotocol = {_text(venue['protocol'])}\nchain = {_text(venue['chain'])}\n"
        f"address = {_text(venue['address'])}  # {venue['source']}\n"
        f"start_block = {json.dumps(start)}  # {UNDATED if start == AUTO else DATED}\n"
    )


def _asset_table(asset: Mapping[str, Any]) -> str:
    return f'[[asset]]\nid = {_text(asset["id"])}\nsymbol = {_text(asset["symbol"])}\nclass = "default"\n'


def _feed_tables(deployments: Deployments) -> Iterator[str]:
    symbols = {asset["id"]: asset["symbol"] for asset in deployments.assets}
    for feed in deployments.feeds:
        yield (
            f"# [[feed]]  # {symbols[feed['asset']]}, {feed['name']} of {feed['source']}\n"
            f"# asset = {_text(feed['asset'])}\n# address = {_text(feed['address'])}\n"
            '# heartbeat = ""\n'
        )


def _text(value: str) -> str:
    """Return a TOML string, which JSON's is too."""
    return json.dumps(value, ensure_ascii=False)
