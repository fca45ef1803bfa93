"""The sentinel of the price oracle (to 3.6): whether it lets anybody borrow or liquidate, which no event tells.

It is asked after the block in which it is named and at the end of each span; a change is located to its block. An answer that comes back
to what it was within a span is not seen.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.engines import FIRST_PLAIN
from chains.evm.logs import unhex
from chains.evm.ports import PENDING, Answer, Look
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, MarketChange

if TYPE_CHECKING:
    from chains.evm.aave_v3.market import Pass

VIEWS = {"borrowing": ev.IS_BORROW_ALLOWED, "liquidations": ev.IS_LIQUIDATION_ALLOWED}


def watch(work: Pass) -> None:
    """Note what the market's sentinel says from the end of each block on in which it says something else."""
    text = work.tips.markets.get((WHOLE_VENUE, "sentinel"))
    said = _read(text)
    after = work.reads.first - 1
    for block, address in work.sentinels.items():
        said, after = _silent(work, said, after, block - 1), block
        said = {"address": address, **_asked(work, block, address)} if address else None
        _note(work, block, said)
    if (work.revision or 0) < FIRST_PLAIN:
        _silent(work, said, after, work.reads.last)


def allows(text: str | None, name: str) -> bool | None:
    """Tell whether a sentinel allows one of `VIEWS`, of the aspect `sentinel`; `None` where it did not say."""
    said = _read(text)
    outcome, _, output = said[name].partition(":") if said else ("", "", "")
    return bool(int(output, 16)) if outcome == "returned" and output else None


def _silent(work: Pass, said: dict[str, str] | None, after: int, until: int) -> dict[str, str] | None:
    """Find what changed without an event within blocks `after` + 1 .. `until`, and return what is said at the end of them."""
    while said is not None and after < until:
        address = unhex(said["address"])
        found = [
            block
            for name, view in VIEWS.items()
            if (known := _answer(said[name])) is not PENDING
            and (block := work.reads.first_change(Look(after, until, address, view.calldata(), known))) is not None
        ]
        if not found or work.reads.unlooked:
            return said
        after = min(found)
        said = {**said, **_asked(work, after, said["address"])}
        _note(work, after, said)
    return said


def _asked(work: Pass, block: int, address: str) -> dict[str, str]:
    answers = {name: work.reads.state(block, unhex(address), view.calldata()) for name, view in VIEWS.items()}
    return {name: f"{answer.outcome}:{answer.output.hex()}" for name, answer in answers.items()}


def _answer(text: str) -> Answer:
    outcome, _, output = text.partition(":")
    return PENDING if outcome == PENDING.outcome else Answer(outcome, bytes.fromhex(output))


def _read(text: str | None) -> dict[str, str] | None:
    return None if text is None else json.loads(text)


def _note(work: Pass, block: int, said: dict[str, str] | None) -> None:
    text = json.dumps(said, separators=(",", ":"))
    work.tips.markets[WHOLE_VENUE, "sentinel"] = text
    place = block, -1, END_OF_BLOCK
    engine = work.epochs.engine_at(block)
    work.tips.rows.markets.append(
        MarketChange(*place, work.venue.id, WHOLE_VENUE, "sentinel", text, engine, Basis.SETTLED)
    )
