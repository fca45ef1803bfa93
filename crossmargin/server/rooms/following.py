"""Rows of a chain, for an aggregator that holds a copy of them."""

from __future__ import annotations

from functools import partial

from aiohttp import web
from pydantic import Field

from crossmargin.mirror.source import refuse_source
from crossmargin.mirror.wire import LARGEST_QUESTION, MEDIA_TYPE, HeldSaid
from crossmargin.server.access import Asker
from crossmargin.server.house import House
from crossmargin.server.questions import LONGEST_NAME
from crossmargin.server.route import Asked, Room, Scope

room = Room("following")


class ChainPath(Asked):
    """Which chain."""

    chain: str = Field(min_length=1, max_length=LONGEST_NAME)


@room.post("/v1/chains/{chain}/rows", answer=MEDIA_TYPE, scope=Scope.FOLLOW, most_bytes=LARGEST_QUESTION)
async def give_rows(house: House, asker: Asker, path: ChainPath, body: HeldSaid) -> web.Response:
    """Return the rows that make an aggregator hold what is stored of a chain, or wait some seconds for the next."""
    if house.source is None:
        raise refuse_source()
    heavy = body.given is None
    work = partial(house.workers.do, heavy=heavy, most_seconds=None, asker=asker.id)
    return web.Response(body=await house.source.answer(path.chain, body, work), content_type=MEDIA_TYPE)
