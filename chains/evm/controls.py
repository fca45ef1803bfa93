"""A whole venue beside its contracts: totals that must be sums, and tokens that must cover what is claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chains.auditing import Controlled, Reply, WholeRecords
from chains.controls import SET_ASIDE, StoredWhole, outcome_of, told
from chains.evm.abi import Function
from chains.evm.parity import Contracts
from chains.evm.ports import BALANCE as COIN
from chains.evm.ports import STATE, UNAVAILABLE, Answer, Controls, Holding, Read, Total
from chains.model import VenueSnapshot
from chains.ports import Cover, Held, Summed
from chains.registry import controls

BALANCE = Function("balanceOf(address)", "uint256")
SUPPLY = Function("totalSupply()", "uint256")
COIN_NAME = b"slip44:"
"""How the journals call a chain's own coin, which has no contract and no supply that could be asked for."""

NO_BALANCE = "the token gives no balance"
TOO_MUCH = "the token says a balance beyond its own supply of {supply}"

_WORD = 32

Answers = Mapping[Read, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is to be compared of a venue."""

    whole: StoredWhole
    totals: Sequence[Total]
    holdings: Sequence[Holding]

    def reads(self) -> Iterator[Read]:
        """Yield all that is to be asked."""
        at = self.whole.snapshot.at.number
        yield from (total.read for total in self.totals)
        for holding in self.holdings:
            yield _balance_read(holding, at)
            if (supply := _supply_read(holding, at)) is not None:
                yield supply


async def control(
    contracts: Contracts, snapshot: VenueSnapshot, records: WholeRecords, known: Sequence[Reply] | None = None
) -> Controlled:
    """Compare a venue at the snapshot's block; raises `ChainError`.

    `known`: what was answered before, so that nobody is asked. Where rows are in quarantine nothing is compared; what would be is named.
    """
    plan = await asyncio.to_thread(_plan, snapshot, records)
    if plan is None:
        return Controlled()
    reads = set(plan.reads())
    if known is None:
        answers: Answers = await contracts.read(reads, {snapshot.at.number: snapshot.at}) if reads else {}
    else:
        replies = {reply[:3]: Answer(reply.outcome, reply.output) for reply in known}
        answers = {read: replies.get((read.address, read.method, read.input), UNAVAILABLE) for read in reads}
    return await asyncio.to_thread(_controlled, plan, answers)


def _plan(snapshot: VenueSnapshot, records: WholeRecords) -> _Plan | None:
    own = cast("Controls | None", controls(snapshot.venue.protocol))
    if own is None:
        return None
    whole = StoredWhole.of(snapshot, records)
    totals, holdings = list(own.totals(whole)), list(own.holdings(whole))
    if not whole.is_whole:
        totals = [total._replace(ours=None, why=SET_ASIDE) for total in totals]
        holdings = [holding._replace(claims=None, owed=None, why=SET_ASIDE) for holding in holdings]
    return _Plan(whole=whole, totals=totals, holdings=holdings)


def _controlled(plan: _Plan, answers: Answers) -> Controlled:
    at = plan.whole.snapshot.at.number
    return Controlled(
        told=told(plan.whole),
        totals=tuple(_summed(total, answers[total.read]) for total in plan.totals),
        holdings=tuple(_held(holding, answers, at) for holding in plan.holdings),
        replies=tuple(Reply(read.address, read.method, read.input, *answers[read]) for read in sorted(answers)),
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
        outcome=outcome_of(total.ours, theirs, least=total.least, most=total.most),
    )


def _balance_read(holding: Holding, at: int) -> Read:
    if _is_coin(holding):
        return Read(at, COIN, holding.contract, b"")
    return Read(at, STATE, holding.asset, BALANCE.calldata(holding.contract))


def _supply_read(holding: Holding, at: int) -> Read | None:
    return None if _is_coin(holding) else Read(at, STATE, holding.asset, SUPPLY.calldata())


def _is_coin(holding: Holding) -> bool:
    return holding.asset.startswith(COIN_NAME)


def _held(holding: Holding, answers: Answers, at: int) -> Held:
    """Judge a holding; an answer that cannot be a balance says nothing of what is there, and is no shortage."""
    answer, asked = answers[_balance_read(holding, at)], _supply_read(holding, at)
    supply = None if asked is None else _word(answers[asked], 0)
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
    if answer == UNAVAILABLE:
        return found._replace(outcome=Cover.UNANSWERED)
    if found.held is None:
        return found._replace(outcome=Cover.UNREADABLE, why=NO_BALANCE)
    if supply is not None and found.held > supply:
        return found._replace(outcome=Cover.UNREADABLE, why=TOO_MUCH.format(supply=supply))
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
