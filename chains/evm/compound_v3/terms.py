"""The terms of a Comet: constants of its implementation, read after each upgrade of the proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chains.evm.abi import Function
from chains.evm.compound_v3 import events as ev
from chains.evm.erc20 import SYMBOL, symbol_of
from chains.evm.logs import unhex
from chains.evm.ports import PENDING, UNAVAILABLE, Answer, Reads

Terms = Mapping[str, Any]

_ASSET = (
    "offset",
    "asset",
    "feed",
    "scale",
    "borrow_factor",
    "liquidate_factor",
    "liquidation_factor",
    "supply_cap",
)
MOST_ASSETS = 24
LONGEST_DESCRIPTION = 64


class _Unread(Exception):
    """The terms cannot be read now: not asked yet, or of a state that no node has any more."""


class _Unfit(Exception):
    """A view that every known version has gives no answer."""


def read_terms(reads: Reads, comet: bytes, block: int) -> Terms | None:
    """Return the terms as of a block; `None` where they are not known (yet). `problem` says why they are of no known version."""
    try:
        return _terms(_Views(reads, comet, block))
    except _Unread:
        return None
    except _Unfit as error:
        return {"problem": str(error), "assets": []}


def feeds_of(terms: Terms) -> list[bytes]:
    """Return the price feeds that the terms name."""
    return [unhex(each["feed"]) for each in (terms, *terms["assets"]) if "feed" in each]


class _Views:
    """Views of a contract after a block."""

    def __init__(self, reads: Reads, comet: bytes, block: int) -> None:
        self._reads = reads
        self._comet = comet
        self._block = block

    def ask(self, *calls: tuple[Function, tuple[object, ...]]) -> list[tuple[Any, ...]]:
        """Ask several views at once; raises `_Unread`, `_Unfit`."""
        answers = [self._reads.state(self._block, self._comet, view.calldata(*of)) for view, of in calls]
        if any(answer in {PENDING, UNAVAILABLE} for answer in answers):
            raise _Unread
        return [_decoded(view, answer) for (view, _), answer in zip(calls, answers, strict=True)]

    def numbers(self, views: Mapping[str, Function]) -> dict[str, str]:
        """Return one number of each view as text."""
        found = self.ask(*((view, ()) for view in views.values()))
        return {name: str(values[0]) for name, values in zip(views, found, strict=True)}

    def deactivated(self, count: int) -> list[int]:
        """Return the offsets of assets with which nobody may borrow; versions that know of none have no such view."""
        asked = [ev.DEACTIVATED.calldata(i) for i in range(count)]
        answers = [self._reads.state(self._block, self._comet, calldata) for calldata in asked]
        if any(answer in {PENDING, UNAVAILABLE} for answer in answers):
            raise _Unread
        return [i for i, answer in enumerate(answers) if answer.returned and any(answer.output)]

    def description(self, feed: str) -> str:
        """Return what a price feed says it is; empty for one that says nothing or cannot be asked any more."""
        answer = self._reads.state(self._block, unhex(feed), ev.DESCRIPTION.calldata())
        if answer is PENDING:
            raise _Unread
        values = ev.DESCRIPTION.result(answer.output) if answer.returned else None
        return values[0].decode("utf-8", "replace")[:LONGEST_DESCRIPTION] if values else ""

    def symbols(self, tokens: list[str]) -> list[str | None]:
        """Return what tokens call themselves; `None` for one that has no name or cannot be asked any more."""
        answers = [self._reads.state(self._block, unhex(token), SYMBOL.calldata()) for token in tokens]
        if PENDING in answers:
            raise _Unread
        return [symbol_of(answer) for answer in answers]


def _decoded(view: Function, answer: Answer) -> tuple[Any, ...]:
    values = view.result(answer.output) if answer.returned else None
    if values is None:
        raise _Unfit(f"{view.signature} gives no answer")
    return values


def _terms(views: _Views) -> Terms:
    (base,), (feed,), (count,) = views.ask((ev.BASE_TOKEN, ()), (ev.BASE_FEED, ()), (ev.ASSETS, ()))
    if count > MOST_ASSETS:
        raise _Unfit(f"{count} assets are more than any known version has")
    numbers = views.numbers(ev.NUMBERS)
    curves = {"supply": views.numbers(ev.SUPPLY_CURVE), "borrow": views.numbers(ev.BORROW_CURVE)}
    found = views.ask(*((ev.ASSET_INFO, (i,)) for i in range(count)))
    assets = [dict(zip(_ASSET, each, strict=True)) for each in found]
    symbols = views.symbols([base, *(each["asset"] for each in assets)])
    listed = [
        each | {name: str(each[name]) for name in _ASSET[3:]} | {"symbol": symbol}
        for each, symbol in zip(assets, symbols[1:], strict=True)
    ]
    about = {"base": base, "symbol": symbols[0], "feed": feed, "feed_description": views.description(feed)}
    deactivated = views.deactivated(count)
    return {"problem": None, **about, **numbers, **curves, "assets": listed, "deactivated": deactivated}
