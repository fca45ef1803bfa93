"""A whole venue beside its contracts: totals that must be sums, and tokens that must cover what is claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from chains.evm.abi import Function
from chains.evm.parity import Contracts
from chains.evm.ports import STATE, Answer, Controls, Holding, Read, Total
from chains.model import Side, VenueSnapshot
from chains.ports import Controlled, Cover, Held, Outcome, Summed, WholeRecords
from chains.registry import controls

BALANCE = Function("balanceOf(address)", "uint256")

_WORD = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWhole:
    """See `chains.evm.ports.Whole`."""

    snapshot: VenueSnapshot
    sums: Mapping[tuple[bytes, Side], int]
    records: WholeRecords

    def settings(self, aspect: str) -> Mapping[bytes, list[str]]:
        return self.records.settings_at(self.snapshot.venue.id, self.snapshot.at.number, aspect)

    def logs(self, *contracts: bytes) -> int:
        return self.records.logs_of(contracts, self.snapshot.at.number)


async def control(contracts: Contracts, snapshot: VenueSnapshot, records: WholeRecords) -> Controlled:
    """Compare a venue at the snapshot's block; what is in quarantine leaves nothing to compare. Raises `ChainError`."""
    own = cast("Controls | None", controls(snapshot.venue.protocol))
    sums = None if own is None else await asyncio.to_thread(records.sums, snapshot.venue.id, snapshot.at.number)
    if own is None or sums is None:
        return Controlled()
    whole = StoredWhole(snapshot=replace(snapshot, feeds={}, answers={}), sums=sums, records=records)
    totals = await asyncio.to_thread(lambda: list(own.totals(whole)))
    holdings = await asyncio.to_thread(lambda: list(own.holdings(whole)))
    at = snapshot.at
    asked = {holding: Read(at.number, STATE, holding.asset, BALANCE.calldata(holding.contract)) for holding in holdings}
    answers = await contracts.read({*(total.read for total in totals), *asked.values()}, {at.number: at})
    return Controlled(
        totals=tuple(_summed(total, answers[total.read]) for total in totals),
        holdings=tuple(_held(holding, answers[read]) for holding, read in asked.items()),
    )


def _summed(total: Total, answer: Answer) -> Summed:
    theirs = _word(answer, total.word)
    return Summed(
        name=total.name,
        contract=total.read.address,
        market=total.market,
        ours=total.ours,
        theirs=theirs,
        least=total.least,
        most=total.most,
        why=total.why,
        outcome=_outcome(total, theirs),
    )


def _outcome(total: Total, theirs: int | None) -> Outcome:
    if total.ours is None:
        return Outcome.UNKNOWN
    if theirs is None:
        return Outcome.UNANSWERED
    if theirs == total.ours:
        return Outcome.EQUAL
    return Outcome.WITHIN if total.least <= theirs - total.ours <= total.most else Outcome.DIFFERENT


def _held(holding: Holding, answer: Answer) -> Held:
    found = Held(
        contract=holding.contract,
        asset=holding.asset,
        market=holding.market,
        held=_word(answer, 0),
        owed=holding.owed,
        claims=holding.claims,
        slack=holding.slack,
        why=holding.why,
        outcome=Cover.UNKNOWN,
    )
    if found.held is None:
        return found._replace(outcome=Cover.UNANSWERED)
    short = found.shortfall
    if short is None:
        return found
    return found._replace(outcome=Cover.SHORT if short > holding.slack else Cover.COVERED)


def _word(answer: Answer, place: int) -> int | None:
    """Return a word of an answer, `None` where it has none."""
    start = place * _WORD
    if not answer.returned or len(answer.output) < start + _WORD:
        return None
    return int.from_bytes(answer.output[start : start + _WORD])
