"""Every route, room by room; a new room is entered here."""

from __future__ import annotations

from crossmargin.server.rooms import (
    about,
    accounts,
    archives,
    browsing,
    console,
    controls,
    following,
    forecasts,
    imports,
    keys,
    liquidation_pages,
    liquidations,
    markets,
    pages,
    queries,
    risk,
    risk_pages,
    rules,
    snapshots,
    streams,
    webhooks,
)
from crossmargin.server.route import Route

ROOMS = (
    accounts.room,
    markets.room,
    rules.room,
    risk.room,
    liquidations.room,
    forecasts.room,
    imports.room,
    controls.room,
    snapshots.room,
    queries.room,
    keys.room,
    following.room,
    streams.room,
    webhooks.room,
    about.room,
    browsing.room,
    pages.room,
    risk_pages.room,
    liquidation_pages.room,
    archives.room,
    console.room,
)


def routes() -> tuple[Route, ...]:
    """Return them in the order in which they are described."""
    return tuple(route for room in ROOMS for route in room.routes)
