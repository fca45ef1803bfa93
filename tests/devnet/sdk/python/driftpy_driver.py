"""Answers what driftpy's own user maths says of a Drift account: one case a line on stdin, one answer a line on stdout.

A case is {"user": address, "slot": n, "time": n, "accounts": {address: {"owner": address, "data": base64}}}: the user's account, the
markets of its positions, the quote market (spot 0), the oracles of all these and, where there is one, the State. An answer has amounts
in millionths of the quote token as the SDK gives them (some are whole floats), mostly by margin category, or is {"error": its words}.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from driftpy.accounts.oracle import DRIFT_CODER, decode_oracle
from driftpy.accounts.types import DataAndSlot
from driftpy.decode.user import decode_user
from driftpy.drift_user import DriftUser
from driftpy.math.margin import MarginCategory
from driftpy.types import OraclePriceData, is_variant

PRICE_PRECISION = 1_000_000
CODER = DRIFT_CODER.accounts
CATEGORIES = {"initial": MarginCategory.INITIAL, "maintenance": MarginCategory.MAINTENANCE}


class Client:
    """What a `DriftUser` asks of its client, answered from the accounts of one case."""

    def __init__(self, accounts: Mapping[str, bytes]) -> None:
        self.program = SimpleNamespace(provider=SimpleNamespace(connection=None))
        self._accounts = accounts
        self._held: dict[tuple[str, int], Any] = {}
        for data in accounts.values():
            kind = CODER.discriminator_to_acc_name.get(data[:8])
            if kind in {"SpotMarket", "PerpMarket", "State"}:
                decoded = CODER.decode(data)
                self._held[kind, getattr(decoded, "market_index", 0)] = decoded

    def get_spot_market_account(self, market_index: int) -> Any:
        return self._held["SpotMarket", market_index]

    def get_perp_market_account(self, market_index: int) -> Any:
        return self._held["PerpMarket", market_index]

    def get_state_account(self) -> Any:
        return self._held["State", 0]

    def get_oracle_price_data_for_spot_market(self, market_index: int) -> OraclePriceData:
        market = self.get_spot_market_account(market_index)
        return self._price(market.oracle, market.oracle_source)

    def get_oracle_price_data_for_perp_market(self, market_index: int) -> OraclePriceData:
        amm = self.get_perp_market_account(market_index).amm
        return self._price(amm.oracle, amm.oracle_source)

    def _price(self, oracle: object, source: object) -> OraclePriceData:
        if is_variant(source, "QuoteAsset"):
            return OraclePriceData(PRICE_PRECISION, 0, 1, 1, 0, has_sufficient_number_of_data_points=True)
        return decode_oracle(self._accounts[str(oracle)], source)


def user_of(case: Mapping[str, Any]) -> DriftUser:
    accounts = {address: base64.b64decode(account["data"]) for address, account in case["accounts"].items()}
    decoded = DataAndSlot(case["slot"], decode_user(accounts[case["user"]]))
    subscriber = SimpleNamespace(get_user_account_and_slot=lambda: decoded)
    configured = SimpleNamespace(get_user_client_subscriber=lambda _program, _user: subscriber)
    return DriftUser(Client(accounts), case["user"], configured)


def answer(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK says at the time of the case; `strict` as `get_free_collateral` asks: with the five-minute averages."""
    time.time = lambda: case["time"]
    user = user_of(case)
    return {
        "total_collateral": {name: user.get_total_collateral(each) for name, each in CATEGORIES.items()},
        "margin_requirement": {name: user.get_margin_requirement(each) for name, each in CATEGORIES.items()},
        "strict": {
            "total_collateral": user.get_total_collateral(MarginCategory.INITIAL, strict=True),
            "margin_requirement": user.get_margin_requirement(MarginCategory.INITIAL, strict=True),
        },
        "free_collateral": {name: user.get_free_collateral(each) for name, each in CATEGORIES.items()},
        "spot_asset_value": {name: spot(user, each)[0] for name, each in CATEGORIES.items()},
        "spot_liability_value": {name: spot(user, each)[1] for name, each in CATEGORIES.items()},
        "unrealized_pnl": user.get_unrealized_pnl(with_funding=True),
        "weighted_pnl": {
            name: user.get_unrealized_pnl(with_funding=True, with_weight_margin_category=each)
            for name, each in CATEGORIES.items()
        },
        "perp_liability_value": {
            name: user.get_total_perp_position_liability(each, 0, include_open_orders=True)
            for name, each in CATEGORIES.items()
        },
        "tokens": {
            str(each.market_index): user.get_token_amount(each.market_index)
            for each in user.get_active_spot_positions()
        },
        "health": user.get_health(),
        "being_liquidated": user.is_being_liquidated(),
        "can_be_liquidated": can_be_liquidated(user),
    }


def spot(user: DriftUser, category: MarginCategory) -> tuple[int, int]:
    assets, liabilities = user.get_spot_market_asset_and_liability_value(None, category, 0, include_open_orders=True)
    return assets, liabilities


def can_be_liquidated(user: DriftUser) -> bool | None:
    """Whether it is for the SDK; `None` where that depends on a State which the case does not have."""
    try:
        return bool(user.can_be_liquidated())
    except KeyError:
        return None


def main() -> None:
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                said = answer(json.loads(line))
            except Exception as problem:  # noqa: BLE001 - the SDK raises anything; the asker is told what
                said = {"error": f"{type(problem).__name__}: {problem}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
