"""Recorded runs of Euler v2 (`euler-*` folders with blocks, logs and what the contracts answered): as nodes that serve them.

`CROSSMARGIN_EVM_RUNS` names a folder with more runs in the form of `tests/golden/evm`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_abi.abi import encode

from chains.evm.abi import Function
from chains.evm.erc20 import DECIMALS, SYMBOL
from chains.evm.euler_v2 import events as ev
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, LATEST_ANSWER
from chains.model import VenueSpec
from crossmargin.demo.recording import Recording
from tests.support.evm_runs import FEED_DECIMALS, SILENT, Answers, EvmRun, views_of

NOWHERE = "0x" + "00" * 20
_BID = re.compile(r"bid = mid\*(\d+)//10000")
_ASK = re.compile(r"ask = mid\*(\d+)//10000")


@dataclass(frozen=True, kw_only=True)
class EulerRun(EvmRun):
    """One run: what was deployed, what happened, and what the contracts said at the sampled blocks."""

    views: Answers | None
    """What the contracts said between the samples of all that an indexer asks, where the run has it."""

    @classmethod
    def load(cls, folder: Path) -> EulerRun:
        """Read a run."""
        return cls(**vars(EvmRun.load(folder)), views=views_of(folder))

    def venue(self, **options: object) -> VenueSpec:
        """The vaults as a configured venue; where the run's price source is a test double, its rule is configured."""
        addresses = self.about["addresses"]
        return VenueSpec(
            id="vaults",
            protocol="euler-v2",
            chain_id=self.chain_id,
            address=bytes.fromhex(addresses["EVC"][2:]),
            start_block=0,
            options={"factory": addresses["GenericFactory"], **self._rule(), **options},
        )

    def _rule(self) -> dict[str, object]:
        if "oracleRule" not in self.about:
            return {}
        bid, ask = (int(found[1]) for part in (_BID, _ASK) if (found := part.search(self.about["oracleRule"])))
        feeds = {vault["asset"]: vault["feedProxy"] for vault in self.about["vaults"]}
        return {"oracles": {self.about["addresses"]["oracle"]: {"feeds": feeds, "bid": bid, "ask": ask}}}

    def routed_venue(self) -> VenueSpec:
        """The vaults as a venue whose price source must say itself what it rests on."""
        venue = self.venue()
        return replace(venue, options={"factory": venue.options["factory"]})

    def recording(self, *, routed: bool = False) -> Recording:
        """The run as a node serves it, with what an indexer may ask between the samples.

        `routed`: its price source, if it is a test double, says that it is a router over an adapter for each feed, which has the same
        mid prices.
        """
        return Recording(
            **self.served(),
            calls=_Views(self).answers(routed=routed) if self.views is None else self.views,
        )

    @cached_property
    def said(self) -> dict[str, list[tuple[int, int]]]:
        """Block and value of every answer, by the aggregator that gave it."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for log in self.logs:
            if log["topics"][0] == "0x" + ANSWER_UPDATED.topic0.hex():
                answer = int.from_bytes(bytes.fromhex(log["topics"][1][2:]), signed=True)
                found[log["address"].lower()].append((int(log["blockNumber"], 16), answer))
        return found


class _Views:
    """What the contracts would have said at any block, of what no event carries."""

    def __init__(self, run: EulerRun) -> None:
        self.run = run
        self.found: Answers = defaultdict(list)

    def answers(self, *, routed: bool) -> Answers:
        unit = self.run.about["addresses"]["unitOfAccount"].lower()
        self.found[unit, "0x" + DECIMALS.calldata().hex()].append((0, "0x"))
        for vault in self.run.about["vaults"]:
            self._say(vault["asset"], DECIMALS, vault["decimals"])
            self._say(vault["asset"], SYMBOL, vault["symbol"].encode())
            self._feed(vault["feedProxy"], list(self._phases(vault)))
            if routed:
                self._route(self.run.about["addresses"]["oracle"], vault, unit)
        return self.found

    def _say(self, to: str, view: Function, *values: object, of: Sequence[str] = (), since: int = 0) -> None:
        answer = "0x" + encode(view._results, values).hex()
        self.found[to.lower(), "0x" + view.calldata(*of).hex()].append((since, answer))

    def _route(self, router: str, vault: Mapping[str, Any], unit: str) -> None:
        adapter, asset = "0xad" + vault["asset"].lower()[4:], vault["asset"].lower()
        self._say(router, ev.NAME, "EulerRouter")
        self._say(router, ev.CONFIGURED_ORACLE, adapter, of=(asset, unit))
        self._say(router, ev.CONFIGURED_ORACLE, NOWHERE, of=(vault["vault"].lower(), unit))
        self._say(router, ev.RESOLVED_VAULT, asset, of=(vault["vault"].lower(),))
        for view, value in (
            (ev.NAME, "ChainlinkOracle"),
            (ev.BASE, asset),
            (ev.QUOTE, unit),
            (ev.FEED, vault["feedProxy"].lower()),
            (ev.MAX_STALENESS, 2**64),
        ):
            self._say(adapter, view, value)

    def _phases(self, vault: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
        """The aggregators behind a vault's feed, with the block from which on each is."""
        notes = [note for note in self.run.about["notes"] if isinstance(note, dict)]
        changes = [(note["block"], found) for note in notes if (found := SILENT.search(note["note"]))]
        mine = [(block, found) for block, found in changes if found[1].lower() == vault["feedProxy"].lower()]
        yield 0, (mine[0][1][2] if mine else vault["aggregator"]).lower()
        yield from ((block, found[3].lower()) for block, found in mine)

    def _feed(self, proxy: str, phases: Sequence[tuple[int, str]]) -> None:
        self._say(proxy, DECIMALS, FEED_DECIMALS)
        for (since, aggregator), (until, _) in zip(phases, [*phases[1:], (len(self.run.blocks), "")], strict=True):
            self._say(proxy, AGGREGATOR, aggregator, since=since)
            answers = self.run.said[aggregator]
            last = [answer for block, answer in answers if block < since]
            if last:
                self._say(proxy, LATEST_ANSWER, last[-1], since=since)
            for block, answer in answers:
                if since <= block < until:
                    self._say(proxy, LATEST_ANSWER, answer, since=block)
