"""A market at a block: its reserves, categories and prices, computed once for all of its accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chains.evm.aave_v3.accruals import rates_of
from chains.evm.aave_v3.engines import UNKNOWN_ENGINE, Engine, Multiply, engine_of
from chains.evm.aave_v3.held import ASPECT as HELD
from chains.evm.aave_v3.held import held_of
from chains.evm.aave_v3.liquidity import ASPECT, FIRST_COUNTED, Left, left_of
from chains.evm.aave_v3.rounding import BALANCES, Rounding
from chains.evm.aave_v3.sentinel import VIEWS, allows
from chains.evm.aave_v3.stable import debt_of
from chains.evm.oracles.chainlink import current_answer
from chains.model import WHOLE_VENUE, Reason, Side, VenuePrice, VenueSnapshot

NOWHERE = "0x" + "00" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Emode:
    """An efficiency mode category: its own terms, and a price that replaces those of its assets when it has one.

    `collateral`, `borrowable`, `ltvzero`: the ids of reserves that it takes as collateral, that it lends, and that it lends nothing
    against; `isolated`: it lends nothing against others.
    """

    ltv: int
    liquidation_threshold: int
    liquidation_bonus: int
    price_source: bytes | None
    collateral: frozenset[int]
    borrowable: frozenset[int]
    ltvzero: frozenset[int]
    isolated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be done with a reserve: the aspect `limits`, in its units."""

    active: bool
    frozen: bool
    paused: bool
    borrowing: bool
    borrow_cap: int
    debt_ceiling: int
    borrowable_in_isolation: bool
    siloed: bool
    protocol_fee: int
    grace_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A reserve at the block: terms in basis points, normalised income and debt as rays, price or why there is none.

    `limits`: `None` where they were not followed from its listing on; `isolated_debt`: what counts towards its ceiling. `scaled_debt`,
    `stable_debt`: what all accounts together owe, as stored at variable rates and in token units at stable ones, `None` where it is not
    known; `loan_index`: the index of new debt, which does not grow while nobody owes any. `left`: how many tokens it has to lend and to
    give back, or why that is not known; `lent_from`: no loan is larger than this, what all accounts together supplied (3.1 on).
    `shown_supply`, `shown_debt`: how its tokens show scaled amounts; the pool may reckon otherwise while an upgrade is under way.
    """

    asset: bytes
    id: int | None
    symbol: str
    decimals: int | None
    ltv: int
    liquidation_threshold: int
    liquidation_bonus: int
    emode: int
    income: int
    debt: int
    price: VenuePrice | Reason
    limits: Limits | None
    isolated_debt: int
    scaled_debt: int | None
    stable_debt: int | None
    loan_index: int
    left: int | Reason
    lent_from: int | None
    shown_supply: Multiply
    shown_debt: Multiply


class Book:
    """A market at a block: reserves, categories and prices, computed once for all of its accounts."""

    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.snapshot = snapshot
        wiring = self._state(WHOLE_VENUE, "wiring") or {}
        engine = self._state(WHOLE_VENUE, "engine") or {"engine": UNKNOWN_ENGINE, "supported": False, "revision": None}
        self.engine_version: str = engine["engine"]
        self.revision: int | None = engine["revision"]
        self.engine: Engine = engine_of(self.revision)
        self.sentinel: str | None = wiring.get("sentinel")
        self.sentinel_is_told = "sentinel" in wiring
        text = snapshot.markets.get((WHOLE_VENUE, "sentinel"))
        self.sentinel_allows = {name: allows(text, name) for name in VIEWS}
        self.base_unit = int(wiring["base_unit"]) if wiring.get("base_unit") else None
        self.problems = tuple(self._problems(engine))
        assets = sorted(market for market, aspect in snapshot.markets if aspect == "reserve")
        self.reserves = {asset: self._reserve(asset) for asset in assets}
        self.emodes = {
            (category := int(aspect.removeprefix("emode:"))): _emode(
                json.loads(text),
                self._state(WHOLE_VENUE, f"emode_assets:{category}") or {},
                priced=not self.engine.liquid,
            )
            for (_, aspect), text in snapshot.markets.items()
            if aspect.startswith("emode:")
        }

    def roles(self, owner: bytes) -> tuple[str, ...]:
        """Return what an owner is to the market: its treasury, one of its own contracts, or one that holds for others."""
        return tuple(role for role, members in self._members.items() if "0x" + owner.hex() in members)

    @cached_property
    def _members(self) -> Mapping[str, frozenset[str]]:
        own = {"0x" + self.snapshot.venue.address.hex(), *(self._state(WHOLE_VENUE, "followed") or {})}
        return {
            "treasury": frozenset(
                json.loads(text)["address"]
                for (_, aspect), text in self.snapshot.markets.items()
                if aspect == "treasury"
            ),
            "contract": frozenset(own),
            "wrapper": frozenset(each.lower() for each in self.snapshot.venue.options.get("wrappers", ())),
        }

    def price(self, asset: bytes) -> VenuePrice | Reason:
        """Return what `AaveOracle.getAssetPrice` returns, or why it (or this program) has no answer."""
        state = self._state(asset, "source")
        subject = "0x" + asset.hex()
        if self.base_unit is None:
            return Reason("no_base_unit", subject, "the oracle's base currency unit could not be read")
        if state is None or state["source"] == NOWHERE:
            return Reason("no_price_source", subject, "the oracle has no source for this asset")
        source = bytes.fromhex(state["source"][2:])
        answer = current_answer(self.snapshot, source)
        if isinstance(answer, Reason):
            return answer
        if answer.answer_raw <= 0:
            return Reason(
                "price_not_positive",
                subject,
                f"source {state['source']} answers {answer.answer_raw}; the fallback is unknown",
            )
        return VenuePrice(answer.answer_raw, self.base_unit, source, answer.updated_at, answer.block, answer.basis)

    def _problems(self, engine: Mapping[str, Any]) -> list[Reason]:
        if engine["supported"]:
            return [
                Reason(
                    "unsupported_version", "0x" + asset.hex(), f"the revision of the {name} has no exact rounding here"
                )
                for (asset, aspect), text in sorted(self.snapshot.markets.items())
                if aspect == "rounding"
                for name, rounding in json.loads(text).items()
                if rounding is None
            ]
        detail = f"pool revision {engine.get('said', engine['revision'])} has no exact engine here; its accounts are not valued"
        return [Reason("unsupported_version", self.snapshot.venue.id, detail)]

    def _reserve(self, asset: bytes) -> Reserve:
        reserve, terms = self._state(asset, "reserve") or {}, self._state(asset, "terms") or {}
        rates = rates_of(self.snapshot.markets[asset, "rates"])
        limits = self._state(asset, "limits")
        time = self.snapshot.at.time
        debt, scaled_debt, income = rates.debt(self.engine, time), self._scaled_debt(asset), rates.income(time)
        counted = left_of(self.snapshot.markets.get((asset, ASPECT)))
        return Reserve(
            asset=asset,
            id=reserve["id"],
            symbol=reserve["symbol"],
            decimals=reserve["decimals"],
            ltv=terms["ltv"],
            liquidation_threshold=terms["liquidation_threshold"],
            liquidation_bonus=terms.get("liquidation_bonus", 0),
            emode=terms["emode"],
            income=income,
            debt=debt,
            price=self.price(asset),
            limits=None if limits is None else Limits(**limits),
            isolated_debt=int((self._state(asset, "isolation") or {"total_debt": "0"})["total_debt"]),
            scaled_debt=scaled_debt,
            stable_debt=self._stable_debt(asset),
            loan_index=rates.variable_borrow_index if scaled_debt == 0 else debt,
            left=self._left(asset, counted),
            lent_from=self.engine.supplied(counted.supplied, income) if counted else None,
            shown_supply=self._shown(asset, "a_token", Side.SUPPLY) or self.engine.supplied,
            shown_debt=self._shown(asset, "variable_debt_token", Side.BORROW) or self.engine.owed,
        )

    def _shown(self, asset: bytes, token: str, side: Side) -> Multiply | None:
        """Return how a token of a reserve shows scaled amounts, `None` for one that is not known."""
        said = (self._state(asset, "rounding") or {}).get(token, Rounding.HALF_UP)
        return None if said is None else BALANCES[Rounding(said), side]

    def _left(self, asset: bytes, counted: Left | None) -> int | Reason:
        """Return how many tokens a reserve has left, or why that is not known."""
        counts = self.revision is not None and self.revision >= FIRST_COUNTED
        left = counted.virtual if counted else None
        detail = "the pool does not count the reserve's tokens, or they were not followed from its listing on"
        if not counts:
            left = held_of(self.snapshot.markets.get((asset, HELD)))
            detail = (
                "no event tells how many tokens the reserve has, and they are not read, or were not from its listing on"
            )
        return Reason("liquidity_unknown", "0x" + asset.hex(), f"{detail}; it may have less") if left is None else left

    def _scaled_debt(self, asset: bytes) -> int | None:
        """Return what all accounts owe as stored; with a discount, events do not tell what is taken off."""
        state = self._state(asset, "variable_debt")
        return None if state is None or (asset, "discount") in self.snapshot.markets else int(state["scaled"])

    def _stable_debt(self, asset: bytes) -> int | None:
        if not self.engine.stable:
            return 0
        text = self.snapshot.markets.get((asset, "stable_total"))
        total = None if text is None else debt_of(text)
        return None if total is None else total.balance(self.engine.compounded, self.snapshot.at.time)

    def _state(self, market: bytes, aspect: str) -> dict[str, Any] | None:
        text = self.snapshot.markets.get((market, aspect))
        return None if text is None else json.loads(text)


def _emode(state: Mapping[str, Any], assets: Mapping[str, Any], *, priced: bool) -> Emode:
    source = state["price_source"] if priced else NOWHERE
    return Emode(
        ltv=state["ltv"],
        liquidation_threshold=state["liquidation_threshold"],
        liquidation_bonus=state.get("liquidation_bonus", 0),
        price_source=None if source == NOWHERE else bytes.fromhex(source[2:]),
        collateral=frozenset(assets.get("collateral", ())),
        borrowable=frozenset(assets.get("borrowable", ())),
        ltvzero=frozenset(assets.get("ltvzero", ())),
        isolated=assets.get("isolated", False),
    )
