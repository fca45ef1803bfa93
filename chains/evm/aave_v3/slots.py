"""Where pool and tokens keep an account (sources: `PoolStorage`, `IncentivizedERC20`, 3.0 to 3.7, compiled).

The pool also says which tokens a reserve has, so that nothing but its own address has to be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chains.evm.aave_v3.engines import FOLLOWED
from chains.evm.aave_v3.market import SIDES
from chains.evm.aave_v3.stable import NOTHING, debt_of
from chains.evm.aave_v3.tips import Tips
from chains.evm.logs import unhex
from chains.evm.proofs.layout import Field, Layouts, NoLayout, Stored
from chains.model import WHOLE_VENUE, UnitSnapshot, VenueSnapshot
from chains.proving import Quantity

FIRST_NARROW = 8
"""`POOL_REVISION` of 3.4: from there on a scaled balance has 120 bits, and eight others share its half of the word."""

POOL = {
    "userConfig": Field(53, ("unit",)),
    "eMode": Field(56, ("unit",), bits=8),
    "a_token": Field(52, ("market",), offset=4, bits=160, names_contract=True),
    "variable_debt_token": Field(52, ("market",), offset=6, bits=160, names_contract=True),
}
_BASES = {"a_token": 52, "variable_debt_token": 56}
_BALANCES = {"aave-v3-128": 128, "aave-v3-120": 120}
LAYOUTS: Layouts = {
    f"{name}/{token}": {"scaledBalance": Field(base, ("unit",), bits=bits)}
    for name, bits in _BALANCES.items()
    for token, base in _BASES.items()
} | {"aave-v3/pool": POOL}


def open_slots(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], Sequence[Stored]]:
    """Return the function that names what is stored of an account; raises `NoLayout` for a pool of no known revision.

    The bitmap of the pool says which reserves an account owes, so that no debt can be left out; the category of its eMode is there too.
    """
    market = _Market(snapshot)
    return lambda unit: list(market.stored(unit))


class _Market:
    def __init__(self, snapshot: VenueSnapshot) -> None:
        self.pool = snapshot.venue.address
        self.known = Tips(snapshot.venue.id, snapshot.markets)
        self.engine: Mapping[str, Any] = self.known.state(WHOLE_VENUE, "engine") or {}
        self.reserves = dict(self.known.each("reserve"))
        revision: int | None = self.engine.get("revision")
        if revision is None or revision not in FOLLOWED:
            raise NoLayout(f"the pool's revision {revision} is none that is known")
        self.balances = "aave-v3-120" if revision >= FIRST_NARROW else "aave-v3-128"

    def stored(self, unit: UnitSnapshot) -> Iterator[Stored]:
        if any(aspect == "stable_debt" and debt_of(text) != NOTHING for (_, aspect), text in unit.settings.items()):
            raise NoLayout("debt at a stable rate is not proven")
        assets = sorted({market for market, _ in unit.positions} & self.reserves.keys())
        tokens = [
            POOL[token].quantity(token, unit.unit_id, asset, int(self.reserves[asset][token], 16))
            for asset in assets
            for token in SIDES
        ]
        yield Stored(self.pool, "aave-v3/pool", (*self._settings(unit), *tokens))
        for asset in assets:
            yield from (self._balance(unit, asset, token) for token in SIDES)

    def _settings(self, unit: UnitSnapshot) -> Iterator[Quantity]:
        yield POOL["userConfig"].quantity("userConfig", unit.unit_id, WHOLE_VENUE, self._bitmap(unit))
        category = int(unit.settings.get((WHOLE_VENUE, "emode"), "0"))
        yield POOL["eMode"].quantity("eMode", unit.unit_id, WHOLE_VENUE, category)

    def _bitmap(self, unit: UnitSnapshot) -> int | None:
        """Return two bits for each reserve: whether it is owed, and whether it is collateral; `None` where an id is not known."""
        owed = {
            asset for (asset, side), amount in unit.positions.items() if side is SIDES["variable_debt_token"] and amount
        }
        pledged = {asset for (asset, aspect), on in unit.settings.items() if aspect == "collateral" and on == "true"}
        ids: dict[bytes, Any] = {asset: (self.reserves.get(asset) or {"id": None})["id"] for asset in owed | pledged}
        if None in ids.values():
            return None
        return int(sum(1 << 2 * ids[asset] for asset in owed) + sum(2 << 2 * ids[asset] for asset in pledged))

    def _balance(self, unit: UnitSnapshot, asset: bytes, token: str) -> Stored:
        layout, side = f"{self.balances}/{token}", SIDES[token]
        discounted = side is SIDES["variable_debt_token"] and (asset, "discount") in unit.settings
        exact = self.engine.get("exact") and self.known.rounding(asset, token) is not None and not discounted
        scaled = unit.positions.get((asset, side), 0) if exact else None
        balance = LAYOUTS[layout]["scaledBalance"].quantity(
            "scaledBalance", unit.unit_id, asset, scaled, plus=(unit.unit_id, asset, side)
        )
        return Stored(unhex(self.reserves[asset][token]), layout, (balance,))
