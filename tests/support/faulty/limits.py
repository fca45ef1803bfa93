"""Limits on what one `eth_getLogs` may ask, each in the words of some provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.faulty.faults import LOGS, Fault
from tests.support.faulty.wire import Call, Exchange, Reply, block_of, height_of, refusal


class Wording(NamedTuple):
    """An error as one provider gives it: `text` may name the limit, the span that was asked for and one that fits."""

    code: int
    status: int
    text: str


RANGE_WORDINGS = (
    Wording(-32614, 413, "eth_getLogs is limited to a {limit} range"),
    Wording(-32602, 200, "range {asked} exceeds limit of {limit}"),
    Wording(
        -32600, 400, "eth_getLogs allows up to a {limit} block range. This block range should work: [{first}, {fits}]"
    ),
    Wording(-32600, 200, "block range is too wide (maximum {limit})"),
    Wording(
        -32000, 200, "block range is larger than max block range, block range = {asked}, max block range = {limit}"
    ),
    Wording(-32000, 200, "exceed maximum block range: {limit}"),
    Wording(-32000, 503, "query timeout exceeded. Consider reducing your block range"),
)
RESULT_WORDINGS = (
    Wording(-32005, 200, "query returned more than {limit} results"),
    Wording(-32005, 200, "query returned more than {limit} results. Try with this block range [{first}, {fits}]."),
    Wording(-32602, 400, "Log response size exceeded. This block range should work: [{first}, {fits}]"),
    Wording(-32000, 200, "logs matched by query exceeds limit of {limit}"),
)
ADDRESS_WORDINGS = (
    Wording(-32602, 200, "exceed max addresses or topics per search position"),
    Wording(-32000, 400, "too many addresses in filter: at most {limit}"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Fault):
    """A limit that always holds; which of its wordings is used is chance."""

    methods: frozenset[str] = LOGS
    limit: int
    wordings: Sequence[Wording]

    def told(self, exchange: Exchange, call: Call, fits: int) -> Reply:
        """Refuse a call, and name the last block that would have fitted where the wording does."""
        first, last = span_of(call)
        wording = exchange.rng.choice(self.wordings)
        text = wording.text.format(limit=self.limit, asked=last - first + 1, first=hex(first), fits=hex(fits))
        return refusal(call, wording.code, text, status=wording.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeLimit(Limit):
    """So many blocks in one answer."""

    kind: str = "range limit"
    wordings: Sequence[Wording] = RANGE_WORDINGS

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        if not self.concerns(call) or block_of(call) is None:
            return None
        first, last = span_of(call)
        return self.told(exchange, call, first + self.limit - 1) if last - first >= self.limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressLimit(Limit):
    """So many addresses in one request."""

    kind: str = "address limit"
    wordings: Sequence[Wording] = ADDRESS_WORDINGS

    def refused(self, exchange: Exchange, call: Call) -> Reply | None:
        if not self.concerns(call):
            return None
        addresses = call.params[0].get("address")
        asked = len(addresses) if isinstance(addresses, list) else 1
        return self.told(exchange, call, 0) if asked > self.limit else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLimit(Limit):
    """So many logs in one answer; a single block is always answered."""

    kind: str = "result limit"
    wordings: Sequence[Wording] = RESULT_WORDINGS

    async def edited(self, exchange: Exchange, call: Call, reply: Reply) -> Reply:
        if not self.concerns(call) or not reply.result or len(reply.result) <= self.limit:
            return reply
        first, last = span_of(call)
        fits = max(first, height_of(reply.result[self.limit], "blockNumber") - 1)
        return self.told(exchange, call, fits) if last > first else reply


def span_of(call: Call) -> tuple[int, int]:
    """Return the first and the last block of an `eth_getLogs` by numbers; one block of unknown height for one by hash."""
    query: dict[str, Any] = call.params[0]
    if "blockHash" in query:
        return 0, 0
    return int(query["fromBlock"], 16), int(query["toBlock"], 16)
