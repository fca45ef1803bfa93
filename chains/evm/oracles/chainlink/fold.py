"""Chainlink events and reads → price observations and phases.

The phase of a feed is a `market_change` of the venue `feeds`: market = proxy, aspect `phase`, state
{aggregator, problem, fault, decimals, since, followed {aggregator: first block}}. A proxy changes its aggregator without any event, so
`aggregator()` is watched: asked at the end of every span, and the block of a change is found by bisection. An address that has no
`aggregator()` and emits answers itself is its own aggregator. `latestAnswer()` is asked beside it: where it reverts, or differs from the
last answer that was emitted, the feed is in doubt (`fault`) and has no answer here; its value is never taken over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from chains.evm.abi import Decoded, address_of, decode_all
from chains.evm.logs import unhex
from chains.evm.oracles.chainlink.events import AGGREGATOR, ANSWER_UPDATED, DECIMALS, LATEST_ANSWER
from chains.evm.ports import PENDING, Answer, Folded, NeedReads, Read, Reads, Watched
from chains.model import END_OF_BLOCK, FEEDS, START_OF_BLOCK, Basis, MarketChange, PriceObservation, Quarantined, Rows
from chains.ports import StateReader

ENGINE = "chainlink-1"
NEVER = 2**63


class Seen(NamedTuple):
    """A watched answer that is new at `block`."""

    block: int
    proxy: bytes
    answer: Answer


class Doubt(NamedTuple):
    """What a check of a proxy found wrong from `block` on; empty when it is right again."""

    block: int
    proxy: bytes
    fault: bytes


class Chainlink:
    """The fold of every Chainlink feed of one chain; `with_decimals` names the proxies whose scale must be read."""

    __slots__ = ("with_decimals",)

    topics = (ANSWER_UPDATED.topic0,)

    def __init__(self, with_decimals: Sequence[bytes]) -> None:
        self.with_decimals = frozenset(with_decimals)

    def contracts(self, state: StateReader) -> dict[bytes, int]:
        """Return every aggregator that was ever behind a followed proxy, with the first block that matters."""
        return _followed(_phases(state))

    def decode(self, logs: pa.Table) -> Decoded:
        """Turn the logs of a span into answers."""
        return decode_all((ANSWER_UPDATED,), logs)

    def fold(
        self,
        state: StateReader,
        decoded: Decoded,
        sources: Mapping[bytes, int],
        found: Sequence[Seen | Doubt],
        reads: Reads,
    ) -> Folded | NeedReads:
        """Derive phases and answers; `sources` are the proxies to follow with their first block, `found` what asking them told."""
        work = _Pass(_phases(state), self.with_decimals, reads)
        for proxy, since in sorted(sources.items()):
            if proxy not in work.phases:
                work.point(Seen(since, proxy, reads(since, proxy, AGGREGATOR.calldata())))
        for change in sorted(found, key=lambda change: (change.block, isinstance(change, Doubt))):
            if isinstance(change, Doubt):
                work.doubt(change)
            else:
                work.point(change)
        if reads.missing:
            return NeedReads(reads=frozenset(reads.missing))
        contracts = _followed(work.phases)
        work.observe(decoded, contracts)
        return Folded(rows=work.rows, contracts=contracts, sources={}, watched=work.watched(state))


def answer_of(phase: Mapping[str, Any]) -> Answer:
    """Return the answer to `aggregator()` that a phase rests on."""
    return Answer(phase["outcome"], unhex(phase["output"]))


def watch(proxy: bytes, block: int) -> Read:
    """Return the question that tells whether a proxy changed its aggregator."""
    return Read(block, "eth_call", proxy, AGGREGATOR.calldata())


def verdict(answer: Answer, emitted: int | None) -> bytes:
    """Return what is wrong with an answer to `latestAnswer()`, given the last answer that was emitted; empty for nothing."""
    values = LATEST_ANSWER.result(answer.output) if answer.returned else None
    if values is None:
        return b"latestAnswer() reverts"
    return b"latestAnswer() is not the last answer emitted" if emitted not in {None, values[0]} else b""


def question(proxy: bytes, block: int) -> Read:
    """Return the question whose answer is checked against what was emitted."""
    return Read(block, "eth_call", proxy, LATEST_ANSWER.calldata())


def _phases(state: StateReader) -> dict[bytes, dict[str, Any]]:
    return {market: json.loads(text) for (market, aspect), text in state.markets(FEEDS).items() if aspect == "phase"}


def _followed(phases: Mapping[bytes, Mapping[str, Any]]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for phase in phases.values():
        for aggregator, since in phase["followed"].items():
            raw = unhex(aggregator)
            found[raw] = min(since, found.get(raw, since))
    return found


class _Pass:
    def __init__(self, phases: dict[bytes, dict[str, Any]], with_decimals: frozenset[bytes], reads: Reads) -> None:
        self.phases = phases
        self.with_decimals = with_decimals
        self.reads = reads
        self.rows = Rows()

    def point(self, seen: Seen) -> None:
        """Let a proxy point to what `aggregator()` says, look back for that aggregator's last answer, and note the phase."""
        if seen.answer is PENDING or self._own(seen) is PENDING:
            return  # nothing is asked on a guess: a rebuild could not answer it
        aggregator, problem = self._aggregator(seen)
        before = self.phases.get(seen.proxy, {})
        followed = dict(before.get("followed", {}))
        if aggregator is not None and "0x" + aggregator.hex() not in followed:
            followed["0x" + aggregator.hex()] = seen.block
            if aggregator not in _followed(self.phases):
                self._look_back(seen.block, aggregator)
        decimals = self._decimals(seen) if aggregator is not None else None
        self._note(seen, aggregator, problem, decimals if decimals is not None else before.get("decimals"), followed)

    def _aggregator(self, seen: Seen) -> tuple[bytes | None, str | None]:
        outcome, output = seen.answer
        target = address_of(output) if outcome == "returned" else None
        if target is not None:
            return (target, None) if any(target) else (None, "aggregator() answers the zero address")
        own = self._own(seen)
        if own is not None and own.returned:
            return seen.proxy, None
        return None, f"aggregator() {'reverts' if outcome == 'reverted' else 'gives no address'}; not a plain feed"

    def _own(self, seen: Seen) -> Answer | None:
        """Return the last answer that an address without an aggregator emitted itself; `None` where it has one."""
        if seen.answer.returned and address_of(seen.answer.output) is not None:
            return None
        return self.reads.last_log(seen.block, seen.proxy, ANSWER_UPDATED.topic0)

    def _decimals(self, seen: Seen) -> int | None:
        if seen.proxy not in self.with_decimals:
            return None
        answer = self.reads(seen.block, seen.proxy, DECIMALS.calldata())
        values = DECIMALS.result(answer.output) if answer.returned else None
        return values[0] if values else None

    def _look_back(self, block: int, aggregator: bytes) -> None:
        last = self.reads.last_log(block, aggregator, ANSWER_UPDATED.topic0)
        if last.returned:
            log = json.loads(last.output)
            self.rows.prices.append(
                PriceObservation(
                    block,
                    -1,
                    START_OF_BLOCK,
                    aggregator,
                    int.from_bytes(unhex(log["topics"][1]), signed=True),
                    int(log["topics"][2], 16),
                    int(log["data"], 16),
                    Basis.EXACT,
                )
            )

    def _note(
        self, seen: Seen, aggregator: bytes | None, problem: str | None, decimals: int | None, followed: dict[str, int]
    ) -> None:
        phase = {
            "aggregator": None if aggregator is None else "0x" + aggregator.hex(),
            "problem": problem,
            "fault": "",
            "decimals": decimals,
            "since": seen.block,
            "followed": followed,
            "outcome": seen.answer.outcome,
            "output": "0x" + seen.answer.output.hex(),
        }
        self._phase(seen.block, seen.proxy, phase)

    def doubt(self, doubt: Doubt) -> None:
        """Put a feed in doubt, or out of it."""
        self._phase(doubt.block, doubt.proxy, {**self.phases[doubt.proxy], "fault": doubt.fault.decode()})

    def _phase(self, block: int, proxy: bytes, phase: dict[str, Any]) -> None:
        self.phases[proxy] = phase
        text = json.dumps(phase, separators=(",", ":"))
        self.rows.markets.append(
            MarketChange(block, -1, END_OF_BLOCK, FEEDS, proxy, "phase", text, ENGINE, Basis.SETTLED)
        )

    def watched(self, state: StateReader) -> dict[bytes, Watched]:
        """Return every followed proxy with what it rests on, for the questions at the end of a span."""
        before = state.answers()
        emitted: dict[bytes, list[tuple[int, int]]] = {}
        for row in self.rows.prices:
            emitted.setdefault(row.source, []).append((row.block, row.answer_raw))
        found = {}
        for proxy, phase in self.phases.items():
            source = unhex(phase["aggregator"] or "0x")
            first = [(-1, before[source])] if source in before else []
            answers = (*first, *emitted.get(source, ()))
            found[proxy] = Watched(
                since=phase["since"], pointer=answer_of(phase), fault=phase["fault"].encode(), answers=answers
            )
        return found

    def observe(self, decoded: Decoded, since: Mapping[bytes, int]) -> None:
        """Take every answer that a followed aggregator emitted."""
        for row in decoded.events:
            if row.block >= since.get(row.address, NEVER):
                answer, round_id, updated_at = row.args
                self.rows.prices.append(
                    PriceObservation(
                        row.block, row.tx_index, row.ordinal, row.address, answer, round_id, updated_at, Basis.EXACT
                    )
                )
        for odd in decoded.misfits:
            if odd.address in since:
                reason = f"malformed_event:{odd.event.name}"
                self.rows.quarantined.append(Quarantined(odd.block, odd.tx_index, odd.ordinal, FEEDS, reason, odd.data))
