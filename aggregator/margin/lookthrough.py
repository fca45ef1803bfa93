"""What shares are a claim on: shown with each supply of a share that some venue knows, which is valued once, as the share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aggregator.margin import numbers
from aggregator.margin.document import ClaimView, ComponentView, ReasonView
from chains.identifiers import format_address, token
from chains.model import Claim, Component, Side, UnitPosition, VenueSnapshot
from chains.registry import may_have_shares, open_shares

Shares = Mapping[tuple[str, bytes], Callable[[int], Claim]]
"""(chain, token) → the function that turns an amount of it, in raw units, into what it is a claim on."""


def shares_of(snapshots: Iterable[VenueSnapshot]) -> Shares:
    """Open what venues know of shares."""
    return {
        (snapshot.venue.chain_id, share): claim
        for snapshot in snapshots
        if may_have_shares(snapshot.venue)
        for share, claim in open_shares(snapshot.venue.protocol)(snapshot).items()
    }


def claim_view(shares: Shares, chain_id: str, position: UnitPosition) -> ClaimView | None:
    """Write what a position is a claim on; `None` for a debt, and for what is no share that anybody knows."""
    claim_of = shares.get((chain_id, position.asset))
    if claim_of is None or position.side is not Side.SUPPLY:
        return None
    claim = claim_of(position.amount_raw)
    return ClaimView(
        asset=str(token(chain_id, claim.asset)) if claim.asset else None,
        symbol=claim.symbol,
        assets_raw=_raw(claim.assets_raw),
        assets=None if claim.assets_raw is None else numbers.scaled(claim.assets_raw, claim.decimals),
        lost_raw=_raw(claim.lost_raw),
        redeemable_raw=_raw(claim.redeemable_raw),
        components=tuple(_component(chain_id, component) for component in claim.components),
        reasons=tuple(ReasonView(**reason._asdict()) for reason in claim.reasons),
    )


def _component(chain_id: str, component: Component) -> ComponentView:
    return ComponentView(
        venue=component.venue_id,
        market=format_address(chain_id, component.market),
        asset=str(token(chain_id, component.asset)),
        symbol=component.symbol,
        amount_raw=str(component.amount_raw),
        amount=numbers.scaled(component.amount_raw, component.decimals),
        payable_raw=_raw(component.payable_raw),
        basis=component.basis.value,
    )


def _raw(amount: int | None) -> str | None:
    return None if amount is None else str(amount)
