"""What the aToken of a reserve holds before 3.1, when the pool counts nothing: read where a venue says `liquidity = "read"`.

Events of the pool say when to read, not how much. What comes without one (a gift, a token that grows) is looked for in between and
located to its block; after eight such changes the reserve is left alone until its next event. A token that lets the aToken make it
(GHO) is not read: there is no telling how much it may make.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chains.evm.aave_v3 import events as ev
from chains.evm.aave_v3.flows import TOLD
from chains.evm.aave_v3.liquidity import FIRST_COUNTED
from chains.evm.erc20 import BALANCE_OF
from chains.evm.logs import unhex
from chains.evm.ports import PENDING, Answer, Look
from chains.model import END_OF_BLOCK, WHOLE_VENUE, Basis, MarketChange

if TYPE_CHECKING:
    from chains.evm.aave_v3.liquidity import Flow
    from chains.evm.aave_v3.market import Pass
    from chains.evm.aave_v3.spans import Logged

ASPECT = "held"
MOST_SILENT = 8
RESTLESS = "restless"
MAKES_TOKENS = "makes_tokens"
"""The outcome that stands for a token which the aToken makes."""

Moved = Mapping[bytes, set[int]]
"""The blocks in which events moved the tokens of a reserve."""


class Vault(NamedTuple):
    """An aToken that holds an asset in blocks `first`..`until`; `begun`: it was known before the span."""

    asset: bytes
    holder: bytes
    first: int
    until: int
    begun: bool


class Held(NamedTuple):
    """What was said of a balance, and how often it changed without an event since the last one."""

    outcome: str
    output: str
    silent: int = 0

    @property
    def answer(self) -> Answer:
        """The answer that said it."""
        return Answer(self.outcome, unhex(self.output))


def held_of(text: str | None) -> int | None:
    """Read the aspect `held`: raw token units, `None` where they are not known."""
    held = None if text is None else Held(**json.loads(text))
    values = BALANCE_OF.result(held.answer.output) if held and held.answer.returned else None
    return values[0] if values else None


def moved_by(span: Logged, liquidations: Sequence[Flow], pool: bytes) -> Moved:
    """Return where the pool's events moved tokens."""
    found: dict[bytes, set[int]] = {}
    for flow in liquidations:
        found.setdefault(flow.asset, set()).add(flow.row.block)
    for event, told in TOLD.items():
        logs = span.of(event)
        blocks, senders = (logs.table[name].to_pylist() for name in ("block_number", "address"))
        for asset, block, sender in zip(logs.addresses(told.asset).to_pylist(), blocks, senders, strict=True):
            if sender == pool:
                found.setdefault(asset, set()).add(block)
    return found


def watch(work: Pass, moved: Moved) -> None:
    """Note what aTokens hold, from the end of each block on in which it became another."""
    for vault in _vaults(work):
        _follow(
            work, vault, sorted(block for block in moved.get(vault.asset, ()) if vault.first <= block <= vault.until)
        )


def _follow(work: Pass, vault: Vault, blocks: list[int]) -> None:
    text = work.tips.markets.get((vault.asset, ASPECT)) if vault.begun else None
    held = None if text is None else Held(**json.loads(text))
    if held is None:
        if vault.begun or _makes_tokens(work, vault):
            return
        blocks = sorted({vault.first, *blocks})
    elif held.outcome == MAKES_TOKENS:
        return
    asked = [(block, work.reads.state(block, vault.asset, BALANCE_OF.calldata(vault.holder))) for block in blocks]
    if any(answer is PENDING for _, answer in asked):
        return
    after = vault.first - 1
    for block, answer in asked:
        if held is not None:
            held = _silent(work, vault, held, after, block - 1)
        held, after = _noted(work, vault, held, block, Held(answer.outcome, "0x" + answer.output.hex())), block
    if held is not None:
        _silent(work, vault, held, after, vault.until)


def _silent(work: Pass, vault: Vault, held: Held, after: int, until: int) -> Held:
    """Find what changed without an event within blocks `after` + 1 .. `until`."""
    question = BALANCE_OF.calldata(vault.holder)
    while after < until and held.silent < MOST_SILENT:
        block = work.reads.first_change(Look(after, until, vault.asset, question, held.answer))
        answer = PENDING if block is None else work.reads.state(block, vault.asset, question)
        if block is None or answer is PENDING:
            return held
        silent = held.silent + 1
        told = (
            Held(answer.outcome, "0x" + answer.output.hex(), silent)
            if silent < MOST_SILENT
            else Held(RESTLESS, "0x", silent)
        )
        held, after = _noted(work, vault, held, block, told), block
    return held


def _makes_tokens(work: Pass, vault: Vault) -> bool:
    answer = work.reads.state(vault.first, vault.asset, ev.FACILITATOR_BUCKET.calldata(vault.holder))
    makes = answer.returned and ev.FACILITATOR_BUCKET.result(answer.output) is not None
    if makes:
        _noted(work, vault, None, vault.first, Held(MAKES_TOKENS, "0x"))
    return makes


def _noted(work: Pass, vault: Vault, before: Held | None, block: int, held: Held) -> Held:
    if held != before:
        text = json.dumps(held._asdict(), separators=(",", ":"))
        work.tips.markets[vault.asset, ASPECT] = text
        place, engine = (block, -1, END_OF_BLOCK), work.epochs.engine_at(block)
        work.tips.rows.markets.append(
            MarketChange(*place, work.venue.id, vault.asset, ASPECT, text, engine, Basis.SETTLED)
        )
    return held


def _vaults(work: Pass) -> Iterator[Vault]:
    """Return the aTokens of the span, each with the blocks in which its pool counted nothing."""
    before = work.state.markets(work.venue.id)
    told = [(row.block, row) for row in work.tips.rows.markets if row.aspect in {"reserve", "engine"}]
    begun = json.loads(before.get((WHOLE_VENUE, "engine"), "{}")).get("revision")
    engines = [(work.reads.first - 1, begun)]
    engines += [(block, json.loads(row.state)["revision"]) for block, row in told if row.aspect == "engine"]
    holders: dict[bytes, list[tuple[int, str, bool]]] = {}
    for (asset, aspect), text in before.items():
        if aspect == "reserve":
            holders[asset] = [(work.reads.first, json.loads(text)["a_token"], True)]
    for block, row in told:
        if row.aspect == "reserve":
            holders.setdefault(row.market, []).append((block, json.loads(row.state)["a_token"], False))
    for asset, listings in sorted(holders.items()):
        ends = [*(block - 1 for block, _, _ in listings[1:]), work.reads.last]
        for (first, holder, known), last in zip(listings, ends, strict=True):
            until = _uncounted_until(engines, first - known, last)
            if until >= first:
                yield Vault(asset, unhex(holder), first, until, known)


def _uncounted_until(engines: list[tuple[int, int | None]], first: int, last: int) -> int:
    """Return the last block, up to `last`, after which a pool that ran after `first` still counted nothing."""
    at = bisect_right([block for block, _ in engines], first) - 1
    for block, revision in engines[max(at, 0) :]:
        if revision is None or revision >= FIRST_COUNTED:
            return min(last, block - 1)
    return last
