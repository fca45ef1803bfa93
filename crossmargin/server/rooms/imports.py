"""What others say, and what is known of it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from aggregator.margin.liabilities import LARGEST_ENVELOPE
from crossmargin.desk import Desk
from crossmargin.documents import Document
from crossmargin.imports import LARGEST_IMPORT
from crossmargin.server.answers.imports import (
    Histories,
    LiabilitiesTaken,
    LiabilityList,
    LiquidityList,
    LiquidityTaken,
    PricesTaken,
    TransferList,
    TransfersTaken,
)
from crossmargin.server.questions import LONGEST_NAME
from crossmargin.server.route import Asked, Room, Scope, TextBody

room = Room("imports")


class VenueQuery(Asked):
    """Of which venue."""

    venue: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME)


class IdentityQuery(Asked):
    """Of which identity."""

    identity: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME)


class SignedLiabilities(Asked):
    """A document of liabilities in its envelope."""

    document: dict[str, Any]
    key: str = Field(pattern="^[0-9a-fA-F]{64}$")
    signature: str = Field(pattern="^[0-9a-fA-F]{128}$")


class LiabilitiesBody(TextBody):
    """The envelope as it was signed."""

    said_as: ClassVar[type[BaseModel]] = SignedLiabilities


class PriceHistory(Asked):
    """Days of one identity: [day, close, low, high], oldest first; low and high may be null."""

    identity: str
    source: str
    gaps: bool = False
    days: list[Any]


class Transfers(Asked):
    """What is said of messages of bridges."""

    source: str
    rows: list[Any]


class Liquidity(Asked):
    """What assets can be sold for, as somebody says: rows of identity, as_of, daily_volume_usd, spread, fee, perhaps depth."""

    source: str
    rows: list[Any]


@room.get("/v1/liabilities", answer=LiabilityList)
def list_liabilities(desk: Desk, query: VenueQuery) -> Document:
    """Return the newest that other systems said of collateral in escrows."""
    return desk.liabilities(query.venue)


@room.post("/v1/liabilities", answer=LiabilitiesTaken, scope=Scope.IMPORT, signed=True, most_bytes=LARGEST_ENVELOPE)
def import_liabilities(desk: Desk, body: LiabilitiesBody) -> Document:
    """Take in a signed document. Who speaks, its signature says; who may send it, the key."""
    return desk.import_liabilities(body.text)


@room.get("/v1/price-histories", answer=Histories)
def list_price_histories(desk: Desk, query: IdentityQuery) -> Document:
    """Return which price histories are known, or all days of one."""
    return desk.price_histories(query.identity)


@room.post("/v1/price-histories", answer=PricesTaken, scope=Scope.IMPORT, most_bytes=LARGEST_IMPORT)
def import_prices(desk: Desk, body: PriceHistory) -> Document:
    """Take in a price history. Haircuts rest on it, and nobody signed it."""
    return desk.import_prices(body.model_dump())


@room.get("/v1/liquidity", answer=LiquidityList)
def list_liquidity(desk: Desk) -> Document:
    """Return the newest that was said of each identity's liquidity."""
    return desk.liquidity()


@room.post("/v1/liquidity", answer=LiquidityTaken, scope=Scope.IMPORT, most_bytes=LARGEST_IMPORT)
def import_liquidity(desk: Desk, body: Liquidity) -> Document:
    """Take in what somebody says of liquidity."""
    return desk.import_liquidity(body.model_dump())


@room.get("/v1/transfers", answer=TransferList)
def list_transfers(desk: Desk) -> Document:
    """Return the last that was said of every message of a bridge."""
    return desk.transfers()


@room.post("/v1/transfers", answer=TransfersTaken, scope=Scope.IMPORT, most_bytes=LARGEST_IMPORT)
def import_transfers(desk: Desk, body: Transfers) -> Document:
    """Take in what somebody says of messages of bridges."""
    return desk.import_transfers(body.model_dump())
