"""What is followed: chains, venues, assets, feeds, and what everything is worth."""

from __future__ import annotations

from pydantic import Field

from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.server.answers.markets import (
    AssetList,
    ChainList,
    CoverageAnswer,
    FeedList,
    PriceList,
    StatusAnswer,
    VenueList,
)
from crossmargin.server.house import House
from crossmargin.server.questions import LONGEST_NAME, AtQuery
from crossmargin.server.route import Asked, Room

room = Room("markets")


class ChainQuery(Asked):
    """Which chain."""

    chain: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME, description="CAIP-2.")


@room.get("/v1/prices", answer=PriceList)
def list_prices(desk: Desk, query: AtQuery) -> Document:
    """Return the mark of every asset, with its state and the feeds that it rests on."""
    return desk.prices(query.at)


@room.get("/v1/status", answer=StatusAnswer)
def show_status(desk: Desk) -> Document:
    """Return how far each chain is indexed, how complete it is, and whether it may be believed."""
    return desk.status()


@room.get("/v1/chains", answer=ChainList)
def list_chains(house: House) -> Document:
    """Return how far each chain is indexed, and whether it may be believed."""
    return house.lists.chains()


@room.get("/v1/coverage", answer=CoverageAnswer)
def show_coverage(house: House, query: ChainQuery) -> Document:
    """Return which spans of each chain are complete, and by which proof."""
    return house.lists.coverage(query.chain)


@room.get("/v1/venues", answer=VenueList)
def list_venues(house: House) -> Document:
    """Return every venue that is followed."""
    return house.lists.venues()


@room.get("/v1/assets", answer=AssetList)
def list_assets(house: House) -> Document:
    """Return every configured asset, its class, and what it is the same as for prices."""
    return house.lists.assets()


@room.get("/v1/feeds", answer=FeedList)
def list_feeds(house: House, query: AtQuery) -> Document:
    """Return what every feed said, how old it is, and whether a mark rests on it."""
    return house.lists.feeds(query.at)
