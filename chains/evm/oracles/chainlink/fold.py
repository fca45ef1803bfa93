"""Events and reads of price sources → price observations and phases.

The phase of a source is a `market_change` of the venue `feeds`: market = its address, aspect `phase`, state
{aggregator, problem, fault, decimals, since, followed {address: first block}}. A proxy changes its aggregator without any event, so
`aggregator()` is watched: asked at the end of every span, and the block of a change is found by bisection. An address that has no
`aggregator()` and emits answers itself is its own aggregator.

Any other is recognised by its views (`chains.evm.oracles.computed`): `rule` then says what its price is computed of, and is read anew
after each event that tells of a change. What no event tells is followed as a rate (`chains.evm.oracles.rates`). A source that is not
recognised has a `sight`: its own word as a rate, which is known of those blocks alone after which it was looked at.

The source's own word is asked beside all this: where it reverts, or differs from the last answer that was emitted, or from what is
computed, the source is in doubt (`fault`) and has no answer here; its value is never taken over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

import pyarrow as pa

from chains.bounds import beyond
from chains.evm.abi import Decoded, LoggedEvent, address_of, decode_all
from chains.evm.logs import unhex
from chains.evm.oracles import rates
from chains.evm.oracles.chainlink.checks import Doubt, History, Seen, speaks, verdict
from chains.evm.oracles.chainlink.events import (
    AGGREGATOR,
    ANSWER_UPDATED,
    DECIMALS,
    DELAYING,
    LATEST_ANSWER,
    ROUND,
    TYPE_AND_VERSION,
)
from chains.evm.oracles.computed.events import CHANGES
from chains.evm.oracles.computed.recognised import Recognised, recognised
from chains.evm.ports import PENDING, Answer, Folded, NeedReads, Read, Reads, Watched
from chains.model import (
    END_OF_BLOCK,
    FEEDS,
    START_OF_BLOCK,
    Basis,
    MarketChange,
    PriceAnswer,
    PriceObservation,
    Quarantined,
    Rows,
)
from chains.ports import StateReader

ENGINE = "chainlink-1"
RATE_ENGINE = "rate-1"
NEVER = 2**63

Item = Seen | Doubt
BEGIN, EVENT, SEEN, DOUBT = range(4)


class Chainlink:
    """The fold of every price source of one chain.

    `with_decimals` names the proxies whose scale must be read, `seldom` those that may have been silent for longer than one looks
    back: what they say is read where they begin.
    """

    __slots__ = ("seldom", "with_decimals")

    topics = (ANSWER_UPDATED.topic0, *(event.topic0 for event in CHANGES))

    def __init__(self, with_decimals: Sequence[bytes], *, seldom: Sequence[bytes] = ()) -> None:
        self.with_decimals = frozenset(with_decimals)
        self.seldom = frozenset(seldom)

    def contracts(self, state: StateReader) -> dict[bytes, int]:
        """Return all that was ever followed for its events: aggregators and computed sources, with the first block that matters."""
        return _followed(_phases(state))

    def decode(self, logs: pa.Table) -> Decoded:
        """Turn the logs of a span into answers and changes of parameters."""
        return decode_all((ANSWER_UPDATED, *CHANGES), logs)

    def fold(
        self,
        state: StateReader,
        decoded: Decoded,
        sources: Mapping[bytes, int],
        found: Sequence[Item],
        *,
        times: Mapping[int, int],
        reads: Reads,
    ) -> Folded | NeedReads:
        """Derive phases and answers.

        `sources`: those to follow with their first block; `found`: what asking them told; `times`: of the blocks that are known.
        """
        work = _Pass(_phases(state), self, times, reads)
        work.run(sources, decoded, found)
        if reads.is_open():
            return reads.needed()
        contracts = _followed(work.phases)
        work.observe(decoded, contracts)
        watched, cleared = work.watched(state), frozenset(work.cleared)
        return Folded(rows=work.rows, contracts=contracts, sources={}, watched=watched, cleared=cleared)


def answer_of(phase: Mapping[str, Any]) -> Answer:
    """Return the answer to `aggregator()` that a phase rests on."""
    return Answer(phase["outcome"], unhex(phase["output"]))


def _phases(state: StateReader) -> dict[bytes, dict[str, Any]]:
    return {market: json.loads(text) for (market, aspect), text in state.markets(FEEDS).items() if aspect == "phase"}


def _followed(phases: Mapping[bytes, Mapping[str, Any]]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for phase in phases.values():
        for address, since in phase.get("followed", {}).items():
            raw = unhex(address)
            found[raw] = min(since, found.get(raw, since))
    return found


class _Pass:
    def __init__(
        self,
        phases: dict[bytes, dict[str, Any]],
        asked: Chainlink,
        times: Mapping[int, int],
        reads: Reads,
    ) -> None:
        self.phases = phases
        self.asked = asked
        self.times = times
        self.reads = reads
        self.rows = Rows()
        self.cleared: set[Read] = set()
        self.agenda: list[tuple[int, int, bytes, int, Item | None]] = []
        self.planned = 0
        self.begins: dict[bytes, int] = {}

    def run(self, sources: Mapping[bytes, int], decoded: Decoded, found: Sequence[Item]) -> None:
        """Do in the order of blocks what begins, what events tell, and what was found by asking; then follow rates."""
        for source, since in sources.items():
            self._plan(since, BEGIN, source)
        for row in decoded.events:
            if row.event is not ANSWER_UPDATED:
                self._plan(row.block, EVENT, row.address)
        for told in found:
            self._plan(told.block, DOUBT if isinstance(told, Doubt) else SEEN, told.proxy, told)
        while self.agenda:
            block, kind, source, _, item = heappop(self.agenda)
            if kind == BEGIN and source not in self.phases:
                self._begin(block, source)
            elif kind == EVENT and self._is_older(block, source):
                self._point(Seen(block, source, answer_of(self.phases[source])))
            elif isinstance(item, Doubt):
                self._doubt(item)
            elif item is not None:
                self._point(item)
        for key in sorted(self._rates(sources)):
            self._follow_rate(key)

    def _rates(self, sources: Mapping[bytes, int]) -> set[bytes]:
        """Return the rates that anything rests on now."""
        wanted = set(sources)
        for phase in self.phases.values():
            wanted |= {unhex(part) for part in phase.get("rule", {}).get("parts", {}).values()}
            wanted |= {unhex(phase["sight"])} if phase.get("sight") else set()
        return {key for key in wanted if rates.is_rate(key) and key in self.phases}

    def _plan(self, block: int, kind: int, source: bytes, item: Item | None = None) -> None:
        self.planned += 1
        heappush(self.agenda, (block, kind, source, self.planned, item))

    def _is_older(self, block: int, source: bytes) -> bool:
        """Whether a source was recognised before a block in which its parameters change."""
        phase = self.phases.get(source)
        return phase is not None and "0x" + source.hex() in phase["followed"] and phase["since"] < block

    # What begins

    def _begin(self, block: int, source: bytes) -> None:
        if rates.is_rate(source):
            self._begin_rate(block, source, restless=False)
        else:
            self._point(Seen(block, source, self.reads(block, source, AGGREGATOR.calldata())))

    def _begin_rate(self, block: int, key: bytes, *, restless: bool) -> None:
        phase = rates.begun(self.reads, block, key, restless=restless) if key not in self.phases else None
        if phase is not None:
            self.begins[key] = block
            self._note_rate(block, key, phase)

    def _follow_rate(self, key: bytes) -> None:
        begin = self.begins.get(key, 0)
        for block, phase in rates.later(self.reads, key, self.phases[key], begin):
            self._note_rate(block, key, phase)

    def _note_rate(self, block: int, key: bytes, phase: rates.Phase) -> None:
        self.phases[key] = phase
        basis = Basis.OBSERVED if phase["restless"] else Basis.SETTLED
        self._row(block, key, rates.text_of(phase), RATE_ENGINE, basis)

    # Where a source points to, or what it is made of

    def _point(self, seen: Seen) -> None:
        """Note what a source is, from what `aggregator()` says; nothing is asked on a guess: a rebuild could not answer it."""
        if seen.answer is PENDING:
            return
        target = address_of(seen.answer.output) if seen.answer.returned else None
        if target is not None:
            self._point_to(seen, target if any(target) else None, "aggregator() answers the zero address")
            return
        made = recognised(self.reads, seen.block, seen.proxy, self.times.get(seen.block))
        if made is None:
            return
        if made.rule is not None:
            self._note(seen, None, "", rule=made.rule, followed={"0x" + seen.proxy.hex(): seen.block})
            for part in made.parts:
                self._plan(seen.block, BEGIN, part)
            return
        own = self.reads.last_log(seen.block, seen.proxy, ANSWER_UPDATED.topic0)
        if own.returned:
            self._point_to(seen, seen.proxy, "")
        elif own is not PENDING:
            self._note_unknown(seen, made)

    def _point_to(self, seen: Seen, aggregator: bytes | None, problem: str) -> None:
        """Let a proxy point to an aggregator, and look back for that aggregator's last answer."""
        if aggregator is None:
            self._note(seen, None, problem)
            return
        if aggregator not in _followed(self.phases):
            self._look_back(seen, aggregator)
        followed = {"0x" + aggregator.hex(): seen.block}
        if not self._delays(seen, aggregator):
            self._note(seen, aggregator, "", followed=followed)
            return
        key = rates.key_of(seen.proxy, LATEST_ANSWER.calldata())
        self._begin_rate(seen.block, key, restless=True)
        self._note(seen, aggregator, "", followed=followed, sight="0x" + key.hex(), delayed=True)

    def _delays(self, seen: Seen, aggregator: bytes) -> bool:
        """Whether an aggregator shows some of its readers an answer only a while after it emitted it."""
        said = self.reads(seen.block, aggregator, TYPE_AND_VERSION.calldata())
        values = TYPE_AND_VERSION.result(said.output) if said.returned else None
        return values is not None and str(values[0]).startswith(DELAYING)

    def _note_unknown(self, seen: Seen, made: Recognised) -> None:
        problem = (
            f"aggregator() {'reverts' if seen.answer.outcome == 'reverted' else 'gives no address'}; {made.problem}"
        )
        key = rates.key_of(seen.proxy, made.word)
        if made.word:
            self._begin_rate(seen.block, key, restless=True)
        self._note(seen, None, problem, sight="0x" + key.hex() if made.word else "")

    def _decimals(self, seen: Seen) -> int | None:
        if seen.proxy not in self.asked.with_decimals:
            return None
        answer = self.reads(seen.block, seen.proxy, DECIMALS.calldata())
        values = DECIMALS.result(answer.output) if answer.returned else None
        return values[0] if values else None

    def _look_back(self, seen: Seen, aggregator: bytes) -> None:
        block = seen.block
        last = self.reads.last_log(block, aggregator, ANSWER_UPDATED.topic0)
        if last.returned:
            log = json.loads(last.output)
            answer = int.from_bytes(unhex(log["topics"][1]), signed=True)
            round_id, updated_at = int(log["topics"][2], 16), int(log["data"], 16)
            place = block, -1, START_OF_BLOCK
            if beyond(answer, None, updated_at) is None:  # else the source has said nothing that could be kept yet
                self.rows.prices.append(PriceObservation(*place, aggregator, answer, round_id, updated_at, Basis.EXACT))
        elif last is not PENDING and seen.proxy in self.asked.seldom:
            self._read_round(seen, aggregator)

    def _read_round(self, seen: Seen, aggregator: bytes) -> None:
        """Take what a feed says where it begins, with the time since which it says so."""
        said = self.reads(seen.block, seen.proxy, ROUND.calldata())
        values = ROUND.result(said.output) if said.returned else None
        if values:
            round_id, answer, since, *_ = values
            place, number = (seen.block, -1, START_OF_BLOCK), round_id % 2**64
            if beyond(answer, None, since) is None:
                self.rows.prices.append(PriceObservation(*place, aggregator, answer, number, since, Basis.SETTLED))

    def _note(
        self,
        seen: Seen,
        aggregator: bytes | None,
        problem: str,
        *,
        followed: Mapping[str, int] | None = None,
        rule: Mapping[str, Any] | None = None,
        sight: str = "",
        delayed: bool = False,
    ) -> None:
        before = self.phases.get(seen.proxy, {})
        if before.get("fault"):
            self.cleared.add(verdict(seen.proxy, seen.block, speaks(seen.proxy, before)[1]))
        decimals = self._decimals(seen) if aggregator is not None or rule or sight else None
        phase = {
            "aggregator": None if aggregator is None else "0x" + aggregator.hex(),
            "problem": problem,
            "fault": "",
            "decimals": decimals if decimals is not None else before.get("decimals"),
            "since": seen.block,
            "followed": {**(followed or {}), **before.get("followed", {})},
            "outcome": seen.answer.outcome,
            "output": "0x" + seen.answer.output.hex(),
            **({"rule": rule} if rule else {}),
            **({"sight": sight} if sight else {}),
            **({"delayed": True} if delayed else {}),
        }
        self._phase(seen.block, seen.proxy, phase)

    def _doubt(self, doubt: Doubt) -> None:
        """Put a source in doubt, or out of it."""
        phase = self.phases.get(doubt.proxy)
        if phase is not None and phase["fault"] != doubt.fault.decode():
            self._phase(doubt.block, doubt.proxy, {**self.phases[doubt.proxy], "fault": doubt.fault.decode()})

    def _phase(self, block: int, proxy: bytes, phase: dict[str, Any]) -> None:
        self.phases[proxy] = phase
        self._row(block, proxy, json.dumps(phase, separators=(",", ":")), ENGINE, Basis.SETTLED)

    def _row(self, block: int, market: bytes, text: str, engine: str, basis: Basis) -> None:
        self.rows.markets.append(MarketChange(block, -1, END_OF_BLOCK, FEEDS, market, "phase", text, engine, basis))

    # Answers

    def watched(self, state: StateReader) -> dict[bytes, Watched]:
        """Return every followed source with what it rests on, for the questions at the end of a span."""
        texts = {market: [(-1, text)] for (market, aspect), text in state.markets(FEEDS).items() if aspect == "phase"}
        for row in self.rows.markets:
            texts.setdefault(row.market, []).append((row.block, row.state))
        answers = {source: [(-1, PriceAnswer(answer, 0, 0, -1))] for source, answer in state.answers().items()}
        for price in self.rows.prices:
            said = PriceAnswer(price.answer_raw, price.round_id, price.updated_at, price.block)
            answers.setdefault(price.source, []).append((price.block, said))
        history = History(texts, answers)
        return {key: history.watched(key, phase) for key, phase in self.phases.items() if not rates.is_rate(key)}

    def observe(self, decoded: Decoded, since: Mapping[bytes, int]) -> None:
        """Take every answer that a followed aggregator emitted."""
        for row in decoded.events:
            if row.event is ANSWER_UPDATED and row.block >= since.get(row.address, NEVER):
                self._take(row)
        for odd in decoded.misfits:
            if odd.address in since:
                self.rows.quarantined.append(odd.quarantined(FEEDS))

    def _take(self, row: LoggedEvent) -> None:
        """Take an answer; one of a time that no calendar has is kept as it was said, and is none."""
        place, (answer, round_id, updated_at) = (row.block, row.tx_index, row.ordinal), row.args
        if beyond(0, None, updated_at) is None:
            said = PriceObservation(*place, row.address, answer, round_id, updated_at, Basis.EXACT)
            self.rows.prices.append(said)
        else:
            reason, word = f"malformed_event:{row.event.name}", updated_at.to_bytes(32, "big")
            self.rows.quarantined.append(Quarantined(*place, FEEDS, reason, word))
