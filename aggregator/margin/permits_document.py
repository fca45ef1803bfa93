"""Parts of the health document that a venue's own rules fill: what may be done to a unit and with it, and why not."""

from __future__ import annotations

from aggregator.margin.margin_document import Model


class ReasonView(Model):
    """Why a number is missing or doubtful."""

    code: str
    subject: str
    detail: str


class CollateralTermsView(Model):
    """On what terms a collateral is taken from a unit that is liquidated, as fractions."""

    market: str
    bonus: str
    """What is taken more than is paid for: 0.05 is 5 %."""
    protocol_fee: str
    """The venue's share of the bonus."""


class LiquidationView(Model):
    """The most that one liquidation may take now, in raw token units."""

    collateral: str
    debt: str
    close_factor: str
    """The share of the debt that may be covered at once; a venue may mean a share of all debt."""
    covered_raw: str
    """What is paid of the debt."""
    seized_raw: str
    """What the liquidator gets of the collateral."""
    fee_raw: str
    """What the venue takes of it besides."""
    blocked: tuple[ReasonView, ...]
    """Why it would be refused, or may be; empty where it would not."""


class AllowanceView(Model):
    """The most that the owner may borrow or withdraw of a market, by his own account and all that is known of the market."""

    market: str
    most_raw: str
    cap_raw: str | None
    """What all accounts together may borrow of the market."""
    cap_left_raw: str | None
    """What is left of the cap; `null` without one, and where it is not known."""
    blocked: tuple[ReasonView, ...]
    unknown: tuple[ReasonView, ...]
    """What might still refuse the most, and was not looked at, such as whether the venue has the tokens."""


class PermitsView(Model):
    """What a venue's own rules let anybody do to a unit, and its owner with it."""

    collaterals: tuple[CollateralTermsView, ...]
    liquidations: tuple[LiquidationView, ...]
    """Each collateral for each debt, where the health factor lets anybody liquidate; else none."""
    borrowable: tuple[AllowanceView, ...]
    withdrawable: tuple[AllowanceView, ...]
    reasons: tuple[ReasonView, ...]
    """Why nothing is known of it."""
