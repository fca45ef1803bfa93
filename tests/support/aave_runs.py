"""Recorded runs of Aave v3 markets (`aave-*` folders with blocks, logs and what the contracts answered): as nodes that serve them.

`CROSSMARGIN_EVM_RUNS` names a folder with more runs in the form of `tests/golden/evm`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode

from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.liquidity import COUNTED_BIT
from chains.evm.abi import Event, Function
from chains.evm.erc20 import DECIMALS, SYMBOL
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, LATEST_ANSWER
from chains.model import VenueSpec
from crossmargin.demo.recording import Recording
from tests.support.evm_runs import FEED_DECIMALS, SILENT, Answers, EvmRun

BASE_UNIT = 10**FEED_DECIMALS


_LISTED = re.compile(r"\w+ (0x\w+) listed with reserve id (\d+)")


@dataclass(frozen=True, kw_only=True)
class AaveRun(EvmRun):
    """One run: what was deployed, what happened, and what the contracts said at the sampled blocks."""

    @property
    def pool(self) -> str:
        """The address of the pool."""
        return str(self.about["addresses"]["Pool"]).lower()

    def venue(self) -> VenueSpec:
        """The market as a configured venue."""
        return VenueSpec(
            id="market",
            protocol="aave-v3",
            chain_id=self.chain_id,
            address=bytes.fromhex(self.pool[2:]),
            start_block=0,
        )

    def recording(self) -> Recording:
        """The run as a node serves it, with what an indexer may ask between the samples."""
        return Recording(
            **self.served(),
            calls=_Views(self).answers(),
        )


class _Views:
    """What the contracts would have said at any block, of what no event carries."""

    def __init__(self, run: AaveRun) -> None:
        self.run = run
        self.found: Answers = defaultdict(list)
        self.notes = [(note["block"], note["note"]) for note in run.about["notes"]]

    def answers(self) -> Answers:
        self._say(self.run.about["addresses"]["AaveOracle"], ev.BASE_CURRENCY_UNIT, BASE_UNIT)
        self._revisions(self.run.pool, ev.POOL_REVISION, {s["block"]: s["poolRevision"] for s in self.run.samples})
        self._say(self.run.pool, ev.EMODE_BITMAP, 0, of=(1,))
        self._reserves()
        for block, asset, source in self._events(ev.ASSET_SOURCE_UPDATED):
            self._say(self.run.about["addresses"]["AaveOracle"], ev.SOURCE_OF_ASSET, source, of=(asset,), since=block)
        for proxy, phases in self._phases().items():
            self._feed(proxy, phases)
        return self.found

    def _say(self, to: str, view: Function, *values: object, of: Sequence[object] = (), since: int = 0) -> None:
        answer = "0x" + encode(view._results, values).hex()
        self.found[to.lower(), "0x" + view.calldata(*of).hex()].append((since, answer))

    def _events(self, event: Event) -> Iterator[tuple[int, str, str]]:
        """Block and first two indexed addresses of each log of an event; the emitter instead of what it has not."""
        for log in self.run.logs:
            name, *topics = log["topics"]
            if name == "0x" + event.topic0.hex():
                first, second, *_ = [*("0x" + topic[-40:] for topic in topics), log["address"], log["address"]]
                yield int(log["blockNumber"], 16), first, second

    def _revisions(self, contract: str, view: Function, sampled: Mapping[int, str]) -> None:
        """Let a contract tell its revision, which changes when it tells of an upgrade."""
        upgrades = [block for block, _, emitter in self._events(ev.UPGRADED) if emitter == contract.lower()]
        for since in [0, *upgrades]:
            said = [int(revision) for block, revision in sorted(sampled.items()) if block >= since]
            self._say(contract, view, said[0], since=since)

    def _reserves(self) -> None:
        names = {each["underlying"].lower(): each for each in self.run.about["reserves"]}
        dropped = self.run.about["droppedReserve"] or {}
        names |= {dropped["underlying"].lower(): {**dropped, "decimals": 18}} if dropped else {}
        noted = {found[1].lower(): int(found[2]) for _, text in self.notes if (found := _LISTED.match(text))}
        ids = noted | {
            asset.lower(): int(reserve["getReserveData"]["id"])
            for sample in self.run.samples
            for asset, reserve in sample["reserves"].items()
        }
        for asset, reserve in names.items():
            self._say(asset, DECIMALS, reserve["decimals"])
            self._say(asset, SYMBOL, reserve["symbol"].encode())
            words = [1 << COUNTED_BIT, *[0] * 6, ids[asset]] + ["0x" + "00" * 20] * 4 + [0] * 3
            self._say(self.run.pool, ev.RESERVE_DATA, *words, of=(asset,))
            for view, key in zip(ev.TOKEN_REVISIONS.values(), ("aToken", "variableDebtToken"), strict=True):
                self._revisions(reserve[key], view, self._sampled(asset, key))

    def _sampled(self, asset: str, token: str) -> dict[int, str]:
        """What a token said of its revision at the samples; of one that none holds, what the others said."""
        return {
            sample["block"]: reserves.get(asset, next(iter(reserves.values())))[token]["revision"]
            for sample in self.run.samples
            for reserves in [{name.lower(): reserve for name, reserve in sample["reserves"].items()}]
        }

    def _phases(self) -> dict[str, list[tuple[int, str]]]:
        """Each proxy's aggregators, with the block from which on it points to each."""
        changes = [(block, found) for block, text in self.notes if (found := SILENT.search(text))]
        pointed = {
            reserve["priceSource"].lower(): reserve["priceAggregator"].lower()
            for sample in reversed(self.run.samples)
            for reserve in sample["reserves"].values()
        }
        phases = {proxy: [(0, aggregator)] for proxy, aggregator in pointed.items()}
        for block, found in changes:
            proxy, before, after = (found[i].lower() for i in (1, 2, 3))
            phases[proxy] = [*(phases[proxy] if len(phases[proxy]) > 1 else [(0, before)]), (block, after)]
        return phases

    def _feed(self, proxy: str, phases: Sequence[tuple[int, str]]) -> None:
        self._say(proxy, DECIMALS, FEED_DECIMALS)
        for since, aggregator in phases:
            self._say(proxy, AGGREGATOR, aggregator, since=since)
        starts = [since for since, _ in phases]
        said = [(block, emitter, answer) for block, emitter, answer in self._said()]
        for block in sorted({*starts, *(block for block, _, _ in said)}):
            current = phases[bisect_right(starts, block) - 1][1]
            emitted = [answer for number, emitter, answer in said if emitter == current and number <= block]
            if emitted:
                self._say(proxy, LATEST_ANSWER, emitted[-1], since=block)

    def _said(self) -> list[tuple[int, str, int]]:
        """Block, aggregator and value of every answer."""
        topic = "0x" + ANSWER_UPDATED.topic0.hex()
        return [
            (int(log["blockNumber"], 16), log["address"], int(log["topics"][1], 16))
            for log in self.run.logs
            if log["topics"][0] == topic
        ]
