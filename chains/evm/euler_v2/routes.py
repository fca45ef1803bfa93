"""How a price source turns an amount of one token into another: asked once, pinned to a block, and kept as a tree.

Kinds: `same`; `feed` {feed, up, down, inverse, max_age, bid, ask, decimals}: amount · answer · up // down, or the other way round;
`fixed` {rate, up, down, inverse, source}; `cross` {first, second}; `shares` {vault, then}: shares are turned into assets first;
`unknown` {code, subject, detail}. Sources: euler-price-oracle `EulerRouter.resolveOracle`, `ChainlinkOracle`, `FixedRateOracle`,
`CrossAdapter`, `ScaleUtils`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chains.evm.abi import Function
from chains.evm.erc20 import DECIMALS, decimals_of
from chains.evm.euler_v2 import events as ev
from chains.evm.euler_v2.maths import BASIS_POINTS
from chains.evm.euler_v2.options import Declared
from chains.evm.euler_v2.tips import NOBODY
from chains.evm.ports import Answer, Reads
from chains.identifiers import hexed

Node = dict[str, Any]
ROUTER = "EulerRouter"
CHAINLINK = frozenset({"ChainlinkOracle", "ChainlinkInfrequentOracle"})
DEEPEST = 8
"""Sources behind sources that are followed; deeper ones are no plain price."""

FOREVER = 2**63
"""Seconds; a longer time sets no limit."""

_DEFAULT_DECIMALS = 18


class NotYet(Exception):
    """An answer is asked for and has not come; nothing is asked on a guess."""


@dataclass(slots=True)
class Scout:
    """Finds the way from a token to a unit of account as it was after a block.

    `declared`: sources whose rule is configured; `assets`: the asset of each vault that is followed. `routers` and `path` tell what
    was met.
    """

    reads: Reads
    block: int
    declared: Mapping[bytes, Declared]
    assets: Mapping[bytes, bytes]
    routers: set[bytes] = field(default_factory=set)
    path: set[bytes] = field(default_factory=set)

    def route(self, oracle: bytes, base: bytes, quote: bytes, depth: int = 0) -> Node:
        """Return how `oracle` quotes `base` in `quote`; raises `NotYet`."""
        self.path |= {base}
        if base == quote:
            return {"kind": "same"}
        if oracle in self.declared:
            return self._declared(oracle, base)
        if depth > DEEPEST:
            return unknown("price_source_not_plain", oracle, "its sources rest on too many others")
        name = self.ask(oracle, ev.NAME)
        kinds = {ROUTER: self._routed, "CrossAdapter": self._cross, "FixedRateOracle": self._fixed}
        kinds |= dict.fromkeys(CHAINLINK, self._feed)
        if name in kinds:
            return kinds[name](oracle, base, quote, depth)
        return unknown(
            "price_source_not_plain", oracle, f"price sources of kind {name or 'unknown'} are not computed here"
        )

    def _routed(self, router: bytes, base: bytes, quote: bytes, depth: int) -> Node:
        self.routers |= {router}
        source = self._address(router, ev.CONFIGURED_ORACLE, base, quote)
        if source != NOBODY:
            return self.route(source, base, quote, depth + 1)
        asset = self._address(router, ev.RESOLVED_VAULT, base)
        if asset != NOBODY:
            if base not in self.assets:
                return unknown(
                    "vault_not_followed",
                    base,
                    "shares of a vault that is no part of the venue have a price here that is not known",
                )
            self.path |= {asset}
            return {"kind": "shares", "vault": hexed(base), "then": self._asset(router, asset, quote, depth)}
        fallback = self._address(router, ev.FALLBACK_ORACLE)
        if fallback != NOBODY:
            return self.route(fallback, base, quote, depth + 1)
        return unknown("no_price_source", base, f"router {hexed(router)} has no source for this token")

    def _asset(self, router: bytes, asset: bytes, quote: bytes, depth: int) -> Node:
        return {"kind": "same"} if asset == quote else self._routed(router, asset, quote, depth + 1)

    def _declared(self, oracle: bytes, base: bytes) -> Node:
        rule = self.declared[oracle]
        if base in self.assets:
            return {"kind": "shares", "vault": hexed(base), "then": self._declared(oracle, self.assets[base])}
        if base not in rule.feeds:
            return unknown("no_price_source", base, f"the rule of {hexed(oracle)} names no feed for this token")
        return {
            "kind": "feed",
            "feed": hexed(rule.feeds[base]),
            "up": str(10**rule.unit_decimals),
            "down": str(10 ** (rule.feed_decimals + self.decimals(base))),
            "inverse": False,
            "max_age": None,
            "bid": rule.bid,
            "ask": rule.ask,
            "decimals": rule.feed_decimals,
        }

    def _feed(self, oracle: bytes, base: bytes, quote: bytes, depth: int) -> Node:
        del depth
        ends = self._ends(oracle, base, quote)
        if ends is None:
            return _foreign(oracle, base)
        feed = self._address(oracle, ev.FEED)
        decimals = decimals_of(self._answer(feed, DECIMALS.calldata()))
        max_age = self.ask(oracle, ev.MAX_STALENESS)
        if decimals is None or max_age is None:
            return unknown("price_source_not_plain", oracle, "its feed or how old an answer may be could not be read")
        return {
            "kind": "feed",
            "feed": hexed(feed),
            "up": str(10 ** self.decimals(ends[1])),
            "down": str(10 ** (decimals + self.decimals(ends[0]))),
            "inverse": ends != (base, quote),
            "max_age": max_age if max_age < FOREVER else None,
            "bid": BASIS_POINTS,
            "ask": BASIS_POINTS,
            "decimals": decimals,
        }

    def _fixed(self, oracle: bytes, base: bytes, quote: bytes, depth: int) -> Node:
        del depth
        ends = self._ends(oracle, base, quote)
        if ends is None:
            return _foreign(oracle, base)
        rate = self.ask(oracle, ev.RATE)
        if not rate:
            return unknown("price_source_not_plain", oracle, "its rate could not be read")
        scale = self.decimals(ends[1])
        up, down = 10**scale, 10 ** (scale + self.decimals(ends[0]))
        inverse = ends != (base, quote)
        return {
            "kind": "fixed",
            "rate": str(rate),
            "up": str(up),
            "down": str(down),
            "inverse": inverse,
            "source": hexed(oracle),
        }

    def _cross(self, oracle: bytes, base: bytes, quote: bytes, depth: int) -> Node:
        ends = self._ends(oracle, base, quote)
        if ends is None:
            return _foreign(oracle, base)
        middle = self._address(oracle, ev.CROSS)
        sources = self._address(oracle, ev.BASE_CROSS), self._address(oracle, ev.CROSS_QUOTE)
        first, second = sources if ends == (base, quote) else sources[::-1]
        return {
            "kind": "cross",
            "first": self.route(first, base, middle, depth + 1),
            "second": self.route(second, middle, quote, depth + 1),
        }

    def _ends(self, oracle: bytes, base: bytes, quote: bytes) -> tuple[bytes, bytes] | None:
        """Return the pair that an adapter prices, `None` where that is another than the one asked for."""
        ends = self._address(oracle, ev.BASE), self._address(oracle, ev.QUOTE)
        return ends if (base, quote) in {ends, ends[::-1]} else None

    def decimals(self, token: bytes) -> int:
        """Return a token's decimals as adapters take them: 18 for what says none (a currency's number)."""
        said = decimals_of(self._answer(token, DECIMALS.calldata()))
        return _DEFAULT_DECIMALS if said is None else said

    def ask(self, to: bytes, view: Function, *arguments: bytes) -> Any:  # noqa: ANN401 - the ABI decides
        """Return a view's first value, `None` where it has none; raises `NotYet`."""
        answer = self._answer(to, view.calldata(*arguments))
        values = view.result(answer.output) if answer.returned else None
        return values[0] if values else None

    def _address(self, to: bytes, view: Function, *arguments: bytes) -> bytes:
        said = self.ask(to, view, *arguments)
        return bytes.fromhex(said[2:]) if isinstance(said, str) else NOBODY

    def _answer(self, to: bytes, calldata: bytes) -> Answer:
        answer = self.reads(self.block, to, calldata)
        if answer.outcome == "pending":
            raise NotYet
        return answer


def _foreign(oracle: bytes, base: bytes) -> Node:
    return unknown("no_price_source", base, f"{hexed(oracle)} prices other tokens")


def unknown(code: str, subject: bytes, detail: str) -> Node:
    """Return a way that ends nowhere, and why."""
    return {"kind": "unknown", "code": code, "subject": hexed(subject), "detail": detail}


def feeds_of(node: Node) -> Iterator[bytes]:
    """Name the feeds that a way rests on."""
    if node["kind"] == "feed":
        yield bytes.fromhex(node["feed"][2:])
    for part in ("first", "second", "then"):
        if part in node:
            yield from feeds_of(node[part])
