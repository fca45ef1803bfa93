"""Accounts: their health, what they have and owe, and who belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from aggregator.governance.terms import LARGEST_FILE
from aggregator.margin.document import HealthDocument
from aggregator.margin.status import Status
from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.ordering import badness, nearness
from crossmargin.server.access import Asker, turn_of
from crossmargin.server.answers.accounts import (
    AccountAnswer,
    AccountPage,
    BatchAnswer,
    HistoryAnswer,
    LadderAnswer,
    LadderPage,
    LinkAnswer,
    PositionsAnswer,
)
from crossmargin.server.cursors import placed
from crossmargin.server.house import House
from crossmargin.server.middleware import AROUND, Surroundings, noted, told
from crossmargin.server.pages import paged
from crossmargin.server.pieces import Pieces
from crossmargin.server.questions import AT, LONGEST_AT, LONGEST_NAME, AccountPath, AtQuery, PageQuery
from crossmargin.server.route import QUICK_S, Asked, Room, Scope
from indexer.store import EventPlace

room = Room("accounts")

LARGEST_BATCH = 1000
LARGEST_BATCH_BYTES = 512 * 1024
LARGEST_NUMBER = 2**63
FACTOR = r"^\d{1,9}(\.\d{1,18})?$"
LARGEST_MESSAGE = 4 * LARGEST_FILE
"""A signed message, in JSON."""


class Link(Asked):
    """A message that a wallet signed, and who brings it."""

    envelope: str
    who: str


class Revocation(Asked):
    """A wallet that is taken from its account without its signature, and why."""

    wallet: str
    note: str
    who: str


class AccountsQuery(PageQuery):
    """Which of them."""

    status: Status | None = Field(default=None, description="Only those in this state.")
    below: str | None = Field(
        default=None,
        pattern=FACTOR,
        description="Only those whose lowest health factor, the house's or a venue's, is below this.",
    )


class Batch(Asked):
    """Which accounts, and as of when; `null`: the newest that is stored."""

    accounts: list[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]] = Field(
        min_length=1, max_length=LARGEST_BATCH
    )
    at: str | None = Field(default=None, min_length=1, max_length=LONGEST_AT, description=AT)


class HistoryQuery(PageQuery):
    """Which events."""

    kind: str | None = Field(
        default=None, pattern="^[a-z_]{1,40}$", description="supply, withdraw, borrow, repay, transfer, liquidation, …"
    )


class LadderQuery(PageQuery):
    """Of which asset."""

    identity: str | None = Field(default=None, min_length=1, max_length=LONGEST_NAME)


@room.get("/v1/accounts", answer=AccountPage)
def list_accounts(desk: Desk, house: House, query: AccountsQuery) -> Document:
    """Return the configured margin accounts in short, worst first."""
    chosen = [account for account in desk.accounts()["accounts"] if _is_wanted(account, query)]
    return paged(chosen, query, house.cursors, "accounts", _place)


def _is_wanted(account: Document, query: AccountsQuery) -> bool:
    if query.status is not None and account["status"] != query.status:
        return False
    return query.below is None or badness(account)[1] < Decimal(query.below)


def _place(account: Document) -> list[Any]:
    severity, factor, name = badness(account)
    return [severity, factor, name]


@room.post("/v1/health:batch", answer=BatchAnswer, scope=Scope.READ, most_bytes=LARGEST_BATCH_BYTES)
async def show_healths(house: House, asker: Asker, request: web.Request, body: Batch) -> Pieces:
    """Return the health documents of up to 1,000 accounts, all of one state; of each that has none, why."""
    turn = turn_of(asker, request.remote)
    if body.at is None:
        known = await house.current.ask_all(body.accounts, turn)
        bodies = [each if isinstance(each, Exception) else each.body for each in known]
    else:
        bodies = await house.workers.do(lambda: _judged(house, body), heavy=True, most_seconds=None, asker=turn)
    return _joined(
        body.accounts, [_told(request[AROUND], each) if isinstance(each, Exception) else each for each in bodies]
    )


def _judged(house: House, body: Batch) -> list[bytes | Exception]:
    found = house.lists.desk.healths(body.accounts, body.at)
    return [each if isinstance(each, Exception) else encode(each) for each in found]


def _joined(names: Sequence[str], found: Sequence[bytes | Document]) -> Pieces:
    """Write all results: what is kept of accounts may be many megabytes."""
    parts: list[bytes | memoryview] = []
    for name, each in zip(names, found, strict=True):
        parts += (b',{"account":' if parts else b'{"results":[{"account":', encode(name)[:-1])
        if isinstance(each, bytes):
            parts += (b',"health":', memoryview(each)[:-1], b',"problem":null}')
        else:
            parts += (b',"health":null,"problem":', encode(each)[:-1], b"}")
    parts.append(b"]}\n")
    return Pieces(parts)


def _told(by: Surroundings, error: Exception) -> Document:
    failure = noted(by, error)
    return {"code": failure.code, "title": failure.title, "status": failure.http_status, "detail": told(by, failure)}


@room.get("/v1/accounts/{id}/history", answer=HistoryAnswer)
def show_history(house: House, path: AccountPath, query: HistoryQuery) -> Document:
    """Return what the members of an account did at venues, newest first."""
    question = f"history {path.id} {query.kind}"
    before = None if query.cursor is None else _event_place(house.cursors.read(question, query.cursor))
    kinds = [] if query.kind is None else [query.kind]
    answer, place = house.lists.history(path.id, kinds, before, query.limit)
    return {**answer, "next": None if place is None else house.cursors.write(question, place)}


def _event_place(said: Sequence[Any]) -> EventPlace:
    """Read where a history goes on; raises `UsageError`."""
    with placed():
        place = EventPlace(*said)
        _, chain_id, *numbers = said
        if not isinstance(chain_id, str) or not all(abs(each) < LARGEST_NUMBER for each in (place.time, *numbers)):
            raise ValueError(place)
        return place


@room.get("/v1/accounts/{id}/liquidation-ladder", answer=LadderAnswer)
def show_ladder(house: House, path: AccountPath) -> Document:
    """Return at which price of which asset the house would liquidate an account, all others unchanged, nearest first."""
    return house.lists.ladder(path.id)


@room.get("/v1/liquidation-ladder", answer=LadderPage)
def list_ladder(house: House, query: LadderQuery) -> Document:
    """Return these prices of all configured accounts, nearest first."""
    rungs = house.lists.ladders(query.identity)
    return paged(rungs, query, house.cursors, "rungs", _rung_place)


def _rung_place(rung: Document) -> list[Any]:
    return [nearness(rung), rung["account"], rung["identity"]]


@room.get("/v1/accounts/{id}", answer=AccountAnswer)
def show_account(desk: Desk, path: AccountPath) -> Document:
    """Return the members of an account, by what they belong to it, and where each has positions."""
    return desk.account(path.id)


@room.get("/v1/accounts/{id}/health", answer=HealthDocument)
async def show_health(
    *, house: House, desk: Desk, asker: Asker, request: web.Request, path: AccountPath, query: AtQuery
) -> bytes:
    """Return the health document of an account."""
    if query.at is None:
        return (await house.current.ask(path.id)).body
    return await house.workers.do(
        lambda: encode(desk.health(path.id, query.at)),
        heavy=False,
        most_seconds=QUICK_S,
        asker=turn_of(asker, request.remote),
    )


@room.get("/v1/accounts/{id}/positions", answer=PositionsAnswer)
def show_positions(desk: Desk, path: AccountPath, query: AtQuery) -> Document:
    """Return what an account has supplied and owes, venue by venue."""
    return desk.positions(path.id, query.at)


@room.post("/v1/accounts/{id}/members", answer=LinkAnswer, scope=Scope.ADMIN, most_bytes=LARGEST_MESSAGE)
def link_wallet(desk: Desk, path: AccountPath, body: Link) -> Document:
    """Take in a message by which a wallet belongs to an account: that it does, its signature says, that it is wanted, the key."""
    return desk.link(path.id, body.envelope, who=body.who)


@room.post("/v1/accounts/{id}/members/revoke", answer=LinkAnswer, scope=Scope.ADMIN)
def revoke_wallet(desk: Desk, path: AccountPath, body: Revocation) -> Document:
    """Take a wallet from an account without its signature."""
    return desk.revoke(path.id, body.wallet, note=body.note, who=body.who)
