"""A configuration out of the deployments that ship with the program: where lending markets stand is known, nodes are the reader's."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from chains.identifiers import SOLANA, namespace_of
from chains.registry import PROTOCOLS
from crossmargin.errors import UsageError
from crossmargin.packaged import config
from crossmargin.settings.section import nearest

FILE = "deployments.toml"
AAVE = "aave-v3"
HEAD = """\
# A configuration for crossmargin, written by `crossmargin init`. {variables}Nodes are to be archive nodes: contracts are asked at past
# blocks. `crossmargin check` reads this file, `crossmargin doctor` measures the nodes.
# Each address is from the package, or the public repository of its maker at a commit, that stands beside it.

[store]
path = {store}
"""
SET = "Set {variables} in the environment.\n# "
DATA = "data"
STORE = "crossmargin.duckdb"
ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
AUTO, RECENT = "auto", "recent"
OBSERVED = "a recent final slot: of accounts nothing is known before they were first looked at"
UNDATED = "no source says when it was deployed: nodes are asked, once"
DATED = "the block in which it was deployed"
WHY = {AUTO: UNDATED, RECENT: OBSERVED}
VENUE_KEYS = ("id", "protocol", "chain", "address", "start_block", "source")
ASSETS = """\
# What an asset is to the house decides its haircut. Set class (stable | major | lst | long-tail | rwa), and same_as where several
# are one.
"""
FEEDS = """\
# Feeds of the house: without one, an asset has no price of the house's own. Proxies on EVM chains are what Aave's own oracle asks. No
# package says how often feeds answer: set the heartbeat that their makers name for each, and take the # away.
"""
SIGNED = """\
# Prices that Pyth signs come from Hermes endpoints, for assets of all chains. No package says which guardians sign today: until you name
# their guardian_sets, each price says that it is unverified.
# [[chain]]
# id = "pyth:mainnet"
# name = "pyth"
# rpc = ["${HERMES_URL}"]
# poll = "10s"
"""
HERMES = "pyth-hermes"
ACCOUNTS = """\
# [[account]]
# id = "acme"
# members = ["{chain}:…"]
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
    """Read what ships with the program, of protocols that it can read."""
    document = tomllib.loads(config(FILE).read_text(encoding="utf-8"))
    return Deployments(
        chains=document["chain"],
        venues=[venue for venue in document["venue"] if venue["protocol"] in PROTOCOLS],
        assets=document["asset"],
        feeds=document["feed"],
    )


def chosen(deployments: Deployments, names: Iterable[str], protocols: Iterable[str]) -> Deployments:
    """Return what is on some chains, of some protocols or of all; raises `UsageError` for a name that is not known."""
    chains = [chain_named(deployments, name) for name in dict.fromkeys(names)]
    wanted = set(protocols) or set(deployments.protocols)
    if unknown := sorted(wanted - set(deployments.protocols)):
        raise UsageError(
            f'no deployments of protocol "{unknown[0]}" are known; {nearest(unknown[0], deployments.protocols)}'
        )
    ids = {chain["id"] for chain in chains}
    venues = [venue for venue in deployments.venues if venue["chain"] in ids and venue["protocol"] in wanted]
    for chain in chains:
        _has_venue(deployments, chain, venues)
    tokens = {chain for chain in ids if AAVE in wanted or namespace_of(chain) == SOLANA}
    return Deployments(
        chains=[chain for chain in deployments.chains if chain["id"] in ids],
        venues=venues,
        assets=[asset for asset in deployments.assets if _chain_of(asset["id"]) in tokens],
        feeds=[feed for feed in deployments.feeds if _chain_of(feed["asset"]) in tokens],
    )


def variable(chain: Mapping[str, Any]) -> str:
    """Return the environment variable that holds the address of a chain's node where nobody names another."""
    return f"{chain['name'].upper()}_RPC_URL"


def reached(deployments: Deployments, nodes: Mapping[str, str]) -> Deployments:
    """Return the same with where nodes are: chain id → what `node` gave of it."""
    return replace(
        deployments,
        chains=[
            {**chain, "rpc": nodes[chain["id"]]} if chain["id"] in nodes else chain for chain in deployments.chains
        ],
    )


def node(said: str) -> str:
    """Return where a node is, as a configuration writes it: `${NAME}` of the environment, or an address of this network.

    An address of elsewhere may hold a key in any of its parts, so it is refused, and never repeated; raises `UsageError`.
    """
    if ENVIRONMENT_NAME.fullmatch(said):
        return f"${{{said}}}"
    if _is_near(said):
        return said
    raise UsageError(
        "a node is the name of an environment variable that holds its address (BASE_RPC_URL), or an address of this network "
        "without user, path and query (http://127.0.0.1:8545): what may hold a key does not go into the file"
    )


def _is_near(said: str) -> bool:
    """Whether it is the bare address of a node on this machine or in a private network."""
    try:
        parts = urlsplit(said)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if (
        parts.scheme not in {"http", "https"}
        or "@" in parts.netloc
        or parts.path.strip("/")
        or "?" in said
        or "#" in said
    ):
        return False
    try:
        return ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def start_variable(chain: Mapping[str, Any]) -> str:
    """Return the environment variable that holds the first slot of a chain whose venues have none."""
    return f"{chain['name'].upper()}_START_SLOT"


def variables(deployments: Deployments) -> list[str]:
    """Return every environment variable that a configuration of these deployments asks for."""
    named = [
        name.removeprefix("${").removesuffix("}") for chain in deployments.chains if (name := _rpc(chain))[0] == "$"
    ]
    recent = {venue["chain"] for venue in deployments.venues if venue["start_block"] == RECENT}
    return named + [start_variable(chain) for chain in deployments.chains if chain["id"] in recent]


def written(deployments: Deployments, data: str = DATA) -> str:
    """Return a configuration of all of these deployments, with its store in the folder `data`; it loads once the variables are set."""
    named = " and ".join(variables(deployments))
    store = _text(str(PurePath(data) / STORE))
    parts = [HEAD.format(variables=SET.format(variables=named) if named else "", store=store)]
    for chain in deployments.chains:
        venues = [venue for venue in deployments.venues if venue["chain"] == chain["id"]]
        parts += [_chain_table(chain, venues), *(_venue_table(venue, chain) for venue in venues)]
    if deployments.assets:
        parts += [ASSETS, *map(_asset_table, deployments.assets)]
    if deployments.feeds:
        signed = any(feed.get("kind") == HERMES for feed in deployments.feeds)
        parts += [FEEDS, *([SIGNED] if signed else []), *_feed_tables(deployments)]
    parts.append(ACCOUNTS.format(chain=deployments.chains[0]["id"]))
    return "\n".join(parts)


def _rpc(chain: Mapping[str, Any]) -> str:
    return str(chain.get("rpc") or f"${{{variable(chain)}}}")


def chain_named(deployments: Deployments, name: str) -> Mapping[str, Any]:
    """Return a chain by its name or id; raises `UsageError`."""
    for chain in deployments.chains:
        if name in (chain["name"], chain["id"]):
            return chain
    raise UsageError(f'no deployments on chain "{name}" are known; {nearest(name, deployments.names)}')


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
        f'rpc = [{_text(_rpc(chain))}]\nfinality = "finalized"\n'
        f"start_block = {_first(chain, venues)}  # not after any venue's\n"
    )


def _first(chain: Mapping[str, Any], venues: Iterable[Mapping[str, Any]]) -> str:
    """Return the first block of some venues as TOML; it is to be found where any of theirs is."""
    starts = [venue["start_block"] for venue in venues]
    if RECENT in starts:
        return _recent(chain)
    return json.dumps(AUTO if AUTO in starts else min(starts))


def _recent(chain: Mapping[str, Any]) -> str:
    return f'"${{{start_variable(chain)}}}"'


def _venue_table(venue: Mapping[str, Any], chain: Mapping[str, Any]) -> str:
    start = venue["start_block"]
    first = _recent(chain) if start == RECENT else json.dumps(start)
    options = {key: value for key, value in venue.items() if key not in VENUE_KEYS}
    source, *others = venue["source"].split("; ")
    return (
        f"[[venue]]\nid = {_text(venue['id'])}\nprotocol = {_text(venue['protocol'])}\nchain = {_text(venue['chain'])}\n"
        f"address = {_text(venue['address'])}  # {source}\n"
        + "".join(f"# also {other}\n" for other in others)
        + f"start_block = {first}  # {WHY.get(start, DATED)}\n"
        + "".join(f"{key} = {_value(value)}\n" for key, value in options.items())
    )


def _asset_table(asset: Mapping[str, Any]) -> str:
    return f'[[asset]]\nid = {_text(asset["id"])}\nsymbol = {_text(asset["symbol"])}\nclass = "default"\n'


def _feed_tables(deployments: Deployments) -> Iterator[str]:
    symbols = {asset["id"]: asset["symbol"] for asset in deployments.assets}
    for feed in deployments.feeds:
        yield (
            f"# [[feed]]  # {symbols[feed['asset']]}, {feed['name']} of {feed['source']}\n"
            f"# asset = {_text(feed['asset'])}\n"
            + "".join(f"# {key} = {_text(feed[key])}\n" for key in ("kind", "address", "feed_id") if key in feed)
            + '# heartbeat = ""\n'
        )


def _value(value: object) -> str:
    """Return an option as TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_text(key)} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _text(value: str) -> str:
    """Return a TOML string, which JSON's is too."""
    return json.dumps(value, ensure_ascii=False)
