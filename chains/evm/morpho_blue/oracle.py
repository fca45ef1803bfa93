"""The price of a market's collateral: a composition of feeds is read once, and its price is theirs from then on.

Source: morpho-blue-oracles, `MorphoChainlinkOracleV2.price`: scale · base feeds / quote feeds, rounded down, with vault shares
converted where it has vaults. Everything that it is made of is immutable. An oracle that has a vault, or that is made otherwise,
has no price here.

The aspect `oracle` of an oracle's address: {problem, scale_factor, base_feeds, quote_feeds, since}; `problem` is empty, or says why
there is no price.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

from chains.evm.abi import Function
from chains.evm.logs import unhex
from chains.evm.morpho_blue import events as ev
from chains.evm.morpho_blue.maths import MAX_UINT256
from chains.evm.oracles.chainlink import current_answer
from chains.evm.ports import Reads
from chains.model import Reason, VenueSnapshot

NOWHERE = bytes(20)

NO_ORACLE = "the market has no oracle"
NOT_A_COMPOSITION = "the oracle is no composition of feeds that is known here"
VAULT_SHARES = "the oracle converts shares of a vault, whose rate no event carries"
SILENT = "price() or one of its feeds reverts where the market begins"
OTHERWISE = "price() is not what the oracle's feeds make it"


class CollateralPrice(NamedTuple):
    """What `price()` answers; `source`, `updated_at` and `block` are those of the oldest answer that it is made of."""

    value: int
    source: bytes
    updated_at: int
    block: int


def read_oracle(reads: Reads, block: int, oracle: bytes) -> dict[str, Any]:
    """Ask an oracle what it is made of, and whether its price is what that makes; nothing is kept while an answer is pending."""
    if oracle == NOWHERE:
        return _unpriced(NO_ORACLE, block)
    ask = partial(_first, reads, block, oracle)
    vaults = [ask(view) for view in ev.VAULTS]
    base, quote = ([ask(view) for view in views] for views in (ev.BASE_FEEDS, ev.QUOTE_FEEDS))
    scale = ask(ev.SCALE_FACTOR)
    if None in (*vaults, *base, *quote, scale):
        return _unpriced(NOT_A_COMPOSITION, block)
    if any(unhex(vault) != NOWHERE for vault in vaults):
        return _unpriced(VAULT_SHARES, block)
    base_feeds, quote_feeds = _there(base), _there(quote)
    said = _first(reads, block, oracle, ev.PRICE)
    answers = [[_answer(reads, block, unhex(feed)) for feed in feeds] for feeds in (base_feeds, quote_feeds)]
    return {
        "problem": _problem(said, scale, *answers),
        "scale_factor": str(scale),
        "base_feeds": base_feeds,
        "quote_feeds": quote_feeds,
        "since": block,
    }


def feeds_of(state: Mapping[str, Any]) -> list[bytes]:
    """Return the feeds that a usable oracle rests on."""
    return [] if state["problem"] else [unhex(feed) for feed in (*state["base_feeds"], *state["quote_feeds"])]


def composed(scale: int, base: Sequence[int], quote: Sequence[int]) -> int | None:
    """Return the price that answers of feeds make, rounded down; `None` where the oracle reverts."""
    above, below = prod(base), prod(quote)
    if min((*base, *quote, 0)) < 0 or below == 0 or max(above, below) > MAX_UINT256:
        return None
    price = scale * above // below
    return None if price > MAX_UINT256 else price


def price_at(snapshot: VenueSnapshot, oracle: bytes) -> CollateralPrice | Reason:
    """Return what an oracle answers at the block, or why nothing is known of it."""
    subject = "0x" + oracle.hex()
    text = snapshot.markets.get((oracle, "oracle"))
    state = json.loads(text) if text else _unpriced(NOT_A_COMPOSITION, 0)
    if state["problem"]:
        return Reason("unsupported_oracle", subject, state["problem"])
    feeds = feeds_of(state)
    answers = [current_answer(snapshot, feed) for feed in feeds]
    for answer in answers:
        if isinstance(answer, Reason):
            return answer
    known = [answer for answer in answers if not isinstance(answer, Reason)]
    values, count = [answer.answer_raw for answer in known], len(state["base_feeds"])
    price = composed(int(state["scale_factor"]), values[:count], values[count:])
    if price is None:
        return Reason("oracle_reverts", subject, f"price() reverts: its feeds answer {values}")
    oldest = min(range(len(known)), key=lambda i: known[i].updated_at, default=None)
    if oldest is None:
        return CollateralPrice(price, oracle, snapshot.at.time, snapshot.at.number)
    return CollateralPrice(price, feeds[oldest], known[oldest].updated_at, known[oldest].block)


def _problem(said: int | None, scale: int, base: Sequence[int | None], quote: Sequence[int | None]) -> str:
    above, below = ([answer for answer in answers if answer is not None] for answers in (base, quote))
    if said is None or len(above) + len(below) < len(base) + len(quote):
        return SILENT
    return "" if composed(scale, above, below) == said else OTHERWISE


def _answer(reads: Reads, block: int, feed: bytes) -> int | None:
    said = reads(block, feed, ev.LATEST_ROUND_DATA.calldata())
    values = ev.LATEST_ROUND_DATA.result(said.output) if said.returned else None
    return values[1] if values else None


def _first(reads: Reads, block: int, to: bytes, view: Function) -> Any:  # noqa: ANN401 - the ABI decides
    answer = reads(block, to, view.calldata())
    values = view.result(answer.output) if answer.returned else None
    return values[0] if values else None


def _there(feeds: Sequence[str]) -> list[str]:
    return [feed for feed in feeds if unhex(feed) != NOWHERE]


def _unpriced(problem: str, block: int) -> dict[str, Any]:
    return {"problem": problem, "scale_factor": "0", "base_feeds": [], "quote_feeds": [], "since": block}
