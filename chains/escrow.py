"""Collateral that is held for its depositors, on any chain: what configuration says of it, and what a unit of it is.

What is wrong with one token concerns no other: whoever deposits a broken one for a stranger changes nothing for him.

A unit is one depositor. Its journal amount is what the vault received from it less what the vault paid to it, in raw
token units; it is negative for somebody who was paid more. Market aspects, both JSON:
`token` {"decimals": int, "symbol": str or null} · `vault` {"balance": str, "claims": str}: the raw units that the vault
holds, and the sum of all positive depositor amounts; only vaults whose balance can be followed have it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from chains.identifiers import format_address
from chains.model import Reason, Side, UnitPosition, UnitSnapshot, VenueSnapshot, VenueSpec, VenueUnit

ENGINE = "escrow-1"

TOKEN = "token"  # noqa: S105 - an aspect of a market
VAULT = "vault"

LIABILITIES = "liabilities"
"""Option: `none`, free collateral of its depositor, or `import`, collateral for positions that another system reports."""

NONE, IMPORT = "none", "import"

LIABILITY_KEYS = "liability_keys"
"""Option with `import`: Ed25519 public keys in hex that may sign liabilities."""

LIABILITY_MAX_AGE_S = "liability_max_age_s"
"""Option with `import`: seconds after which imported liabilities count as unknown again."""


IMPLEMENTATIONS = "implementations"
"""Option of vaults on EVM chains: the code under which deposits count."""

BALANCE_VIEW, HELD_ELSEWHERE = "balance_view", "held_elsewhere"
"""Options of vaults on EVM chains: the view by which the vault says what an account has, and whether its tokens lie at other addresses."""

VALUED = frozenset({LIABILITIES, LIABILITY_KEYS, LIABILITY_MAX_AGE_S, IMPLEMENTATIONS, BALANCE_VIEW, HELD_ELSEWHERE})
"""Options that say how deposits count and are checked; the others say which deposits there are."""


def imports_liabilities(venue: VenueSpec) -> bool:
    """Whether the deposits of a venue back positions that are reported from outside."""
    return venue.options.get(LIABILITIES) == IMPORT


def open_book(snapshot: VenueSnapshot) -> Callable[[UnitSnapshot], VenueUnit]:
    """Return the function that turns each depositor into a unit; `native` holds its raw amounts by token address.

    A token that does not say its decimals is named in the reasons and has no position.
    """
    tokens = {market: json.loads(text) for (market, aspect), text in snapshot.markets.items() if aspect == TOKEN}
    short = dict(_short(snapshot))

    def unit(depositor: UnitSnapshot) -> VenueUnit:
        held = sorted(depositor.positions.items())
        positions = tuple(
            _position(market, amount, tokens[market], short) for (market, _), amount in held if _told(tokens, market)
        )
        chain_id = snapshot.venue.chain_id
        return VenueUnit(
            venue_id=snapshot.venue.id,
            unit_id=depositor.unit_id,
            owner=depositor.owner,
            native={format_address(chain_id, market): amount for (market, _), amount in held},
            health_factor_wad=None,
            liquidatable=False,
            has_debt=False,
            collateral_base=None,
            debt_base=None,
            base_unit=None,
            positions=positions,
            reasons=tuple(_reasons(chain_id, [market for (market, _), _ in held], tokens, short)),
            engine_version=ENGINE,
        )

    return unit


def _short(snapshot: VenueSnapshot) -> list[tuple[bytes, str]]:
    """Return the markets whose vault holds less than is claimed, with the sentence that says so."""
    if imports_liabilities(snapshot.venue):
        return []
    found = []
    for (market, aspect), text in snapshot.markets.items():
        if aspect != VAULT:
            continue
        vault = json.loads(text)
        if vault["balance"] is None:
            continue
        if int(vault["balance"]) < int(vault["claims"]):
            detail = f"the vault holds {vault['balance']} raw units, depositors claim {vault['claims']}: whose is missing is unknown"
            found.append((market, detail))
    return found


def _told(tokens: Mapping[bytes, Mapping[str, object]], market: bytes) -> bool:
    """Whether a token says its decimals: without them its raw amount is no amount."""
    return isinstance(tokens.get(market, {}).get("decimals"), int)


def _position(market: bytes, amount: int, token: Mapping[str, Any], short: Mapping[bytes, str]) -> UnitPosition:
    return UnitPosition(
        market=market,
        asset=market,
        side=Side.SUPPLY,
        symbol=token.get("symbol") or "",
        decimals=token["decimals"],
        amount_raw=max(amount, 0),
        protocol_raw=amount,
        counts=amount > 0 and market not in short,
        price=None,
        liquidation_threshold=None,
    )


def _reasons(
    chain_id: str, markets: list[bytes], tokens: Mapping[bytes, Mapping[str, object]], short: Mapping[bytes, str]
) -> list[Reason]:
    reasons = [
        Reason("vault_short", format_address(chain_id, market), short[market]) for market in markets if market in short
    ]
    for market in markets:
        if not _told(tokens, market):
            subject = format_address(chain_id, market)
            reasons.append(
                Reason(
                    "token_unknown", subject, "the decimals of this token are not known, so its amount is not either"
                )
            )
    return reasons
