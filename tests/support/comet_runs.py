"""Recorded runs of Compound III (`comet-*` folders, see `tests/golden/evm`): as nodes that have the state of the sampled blocks alone.

A run with `views.json` is served as by an archive node.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from chains.evm.abi import Function
from chains.evm.compound_v3 import events as ev
from chains.evm.erc20 import DECIMALS, SYMBOL
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, LATEST_ANSWER
from chains.model import VenueSpec
from crossmargin.demo.recording import Recording, RpcObject
from tests.support.evm_runs import FEED_DECIMALS, SILENT, Answers, EvmRun, views_of

GONE = {"error": {"code": -32000, "message": "missing trie node 5d2e (path ) state 0x5d2e is not available"}}
TOTALS = (
    "baseSupplyIndex",
    "baseBorrowIndex",
    "trackingSupplyIndex",
    "trackingBorrowIndex",
    "totalSupplyBase",
    "totalBorrowBase",
    "lastAccrualTime",
    "pauseFlags",
)
BASIC = ("principal", "baseTrackingIndex", "baseTrackingAccrued", "assetsIn", "_reserved")
ASSET = (
    "offset",
    "asset",
    "priceFeed",
    "scale",
    "borrowCollateralFactor",
    "liquidateCollateralFactor",
    "liquidationFactor",
    "supplyCap",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned(Recording):
    """A recording whose node has the state of a contract after some blocks alone."""

    kept: Mapping[tuple[str, str], Mapping[int, str]]
    contract: str

    def answer(self, address: str, calldata: str, block: int) -> object:
        if address != self.contract:
            return Recording.answer(self, address, calldata, block)
        return self.kept.get((address, calldata), {}).get(block, GONE)


@dataclass(frozen=True, kw_only=True)
class CometRun(EvmRun):
    """One run: what was deployed, what happened, and what the contracts said at the sampled blocks.

    `views`: what they said between them of all that an indexer asks, where the run has it.
    """

    views: Answers | None

    @classmethod
    def load(cls, folder: Path) -> CometRun:
        """Read a run."""
        return cls(**vars(EvmRun.load(folder)), views=views_of(folder))

    @property
    def comet(self) -> str:
        """The address of the Comet."""
        return str(self.about["addresses"]["Comet"]).lower()

    @property
    def base(self) -> bytes:
        """The address of the base token."""
        return bytes.fromhex(self.about["base"]["token"][2:])

    @property
    def looks(self) -> list[int]:
        """The blocks at which a node that forgets is looked at: the samples, of which it has the state, and the last."""
        return sorted({*(sample["block"] for sample in self.samples), self.last})

    def venue(self) -> VenueSpec:
        """The Comet as a configured venue."""
        return VenueSpec(
            id="comet",
            protocol="compound-v3",
            chain_id=self.chain_id,
            address=bytes.fromhex(self.comet[2:]),
            start_block=0,
        )

    def recording(self) -> Recording:
        """The run as a node serves it."""
        if self.views is not None:
            return Recording(**self.served(), calls=self.views)
        return Pruned(
            **self.served(),
            calls=_Tokens(self).answers(),
            kept=dict(self._kept()),
            contract=self.comet,
        )

    def _kept(self) -> dict[tuple[str, str], dict[int, str]]:
        found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for sample in self.samples:
            for view, of, values in _views(self, sample):
                found[self.comet, "0x" + view.calldata(*of).hex()][sample["block"]] = _encoded(view, values)
        return found


def _views(run: CometRun, sample: RpcObject) -> Iterator[tuple[Function, tuple[object, ...], Sequence[object]]]:
    market = sample["market"]
    yield ev.TOTALS_BASIC, (), [int(sample["totalsBasic"][name]) for name in TOTALS]
    yield ev.BASE_TOKEN, (), [run.about["base"]["token"]]
    yield ev.BASE_FEED, (), [market["baseTokenPriceFeed"]]
    for view in (ev.ASSETS, *ev.NUMBERS.values(), *ev.SUPPLY_CURVE.values(), *ev.BORROW_CURVE.values()):
        yield view, (), [int(market[view.signature.partition("(")[0]])]
    for i, info in sample["assetInfo"].items():
        yield ev.DEACTIVATED, (int(i),), [False]
        yield (
            ev.ASSET_INFO,
            (int(i),),
            [info[name] if name in {"asset", "priceFeed"} else int(info[name]) for name in ASSET],
        )
    for user, account in sample["accounts"].items():
        yield ev.USER_BASIC, (user,), [int(account["userBasic"][name]) for name in BASIC]
    for token, each in sample["collateral"].items():
        yield ev.TOTALS_COLLATERAL, (token,), [int(number) for number in each["totalsCollateral"]]


class _Tokens:
    """What tokens and price feeds would have said at any block."""

    def __init__(self, run: CometRun) -> None:
        self.run = run
        self.found: Answers = defaultdict(list)

    def answers(self) -> Answers:
        symbols = {each["token"].lower(): each["symbol"] for each in _each(self.run.about, "token")}
        for token in {*symbols, *(each["asset"].lower() for each in self._listed())}:
            self._say(token, SYMBOL, symbols.get(token, "").encode())
        silent = [(note["block"], found) for note in self.run.about["notes"] if (found := SILENT.search(note["note"]))]
        told = {each["feedProxy"].lower(): each.get("aggregator") for each in _each(self.run.about, "feedProxy")}
        for proxy in {*told, *self._prices()}:
            self._say(proxy, ev.DESCRIPTION, b"TOKEN / USD")
            changes = [(block, found) for block, found in silent if found[1].lower() == proxy]
            first = changes[0][1][2] if changes else told.get(proxy) or self._emitter(proxy)
            self._feed(proxy, [(0, first.lower()), *((block, found[3].lower()) for block, found in changes)])
        return self.found

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        """What the Comet said of each asset at each sample."""
        for sample in self.run.samples:
            yield from sample["assetInfo"].values()

    def _prices(self) -> dict[str, list[tuple[int, int]]]:
        """What each feed was worth at the samples at which the Comet named it."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for sample in self.run.samples:
            market = sample["market"]
            found[market["baseTokenPriceFeed"].lower()].append((sample["block"], int(market["basePrice"])))
            for info in sample["assetInfo"].values():
                price = int(sample["collateral"][info["asset"]]["price"])
                found[info["priceFeed"].lower()].append((sample["block"], price))
        return found

    def _emitter(self, proxy: str) -> str:
        """The aggregator behind a feed that the run does not name: the one that emitted all its prices."""
        said = list(self._said())
        for emitter in dict.fromkeys(emitter for _, emitter, _ in said):
            last = [
                next((answer for number, who, answer in reversed(said) if who == emitter and number <= block), None)
                for block, _ in self._prices()[proxy]
            ]
            if last == [price for _, price in self._prices()[proxy]]:
                return emitter
        raise LookupError(f"{self.run.name}: no aggregator emitted what {proxy} answered")

    def _say(self, to: str, view: Function, *values: object, since: int = 0) -> None:
        self.found[to.lower(), "0x" + view.calldata().hex()].append((since, _encoded(view, values)))

    def _feed(self, proxy: str, phases: Sequence[tuple[int, str]]) -> None:
        self._say(proxy, DECIMALS, FEED_DECIMALS)
        for since, aggregator in phases:
            self._say(proxy, AGGREGATOR, aggregator, since=since)
        starts = [since for since, _ in phases]
        said = list(self._said())
        for block in sorted({*starts, *(block for block, _, _ in said)}):
            current = phases[bisect_right(starts, block) - 1][1]
            emitted = [answer for number, emitter, answer in said if emitter == current and number <= block]
            if emitted:
                self._say(proxy, LATEST_ANSWER, emitted[-1], since=block)

    def _said(self) -> Iterator[tuple[int, str, int]]:
        """Block, aggregator and value of every answer."""
        topic = "0x" + ANSWER_UPDATED.topic0.hex()
        for log in self.run.logs:
            if log["topics"][0] == topic:
                value = int.from_bytes(bytes.fromhex(log["topics"][1][2:]), signed=True)
                yield int(log["blockNumber"], 16), log["address"].lower(), value


def _each(about: object, key: str) -> Iterator[Mapping[str, Any]]:
    """Every object of a document that has a key."""
    if isinstance(about, dict):
        if key in about:
            yield about
        for each in about.values():
            yield from _each(each, key)
    elif isinstance(about, list):
        for each in about:
            yield from _each(each, key)


def _encoded(view: Function, values: Sequence[object]) -> str:
    return "0x" + encode(view._results, values).hex()
