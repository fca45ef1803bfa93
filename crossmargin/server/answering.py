"""How a route is answered: who asks is known, the question fits its models, and what is answered is written with its ETag."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.web_response import ContentCoding

from crossmargin.desk import Desk
from crossmargin.documents import encode, harmless
from crossmargin.errors import AskElsewhere
from crossmargin.server.access import Asker, check, turn_of
from crossmargin.server.asking import asked_of, body_of
from crossmargin.server.etags import etag, known
from crossmargin.server.house import House
from crossmargin.server.idempotency import LARGEST_KEPT, Replies
from crossmargin.server.pieces import Pieces
from crossmargin.server.problems import LONGEST_PATH
from crossmargin.server.route import Route, Scope

Body = bytes | Pieces
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ASKER: web.RequestKey[Asker] = web.RequestKey("asker", Asker)
GET = "GET"
WRITING = {Scope.IMPORT, Scope.ADMIN}
JSON = "application/json"
OWN_TAG = "service"
"""Routes that tell of the service itself."""

REVALIDATED = "private, no-cache"
WORTH_COMPRESSING = 1024


def handler_of(route: Route, desk: Desk, house: House, replies: Replies) -> Handler:
    """Make what aiohttp calls."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asker = request[ASKER]
        check(asker, route.scope, signed=route.signed)
        body = await body_of(route, request)

        async def work() -> web.StreamResponse:
            given: dict[str, Any] = {"desk": desk, "house": house, "asker": asker, "request": request}
            given |= asked_of(route, request, body)
            found = await _found(
                route, house, {name: given[name] for name in route.wanted}, turn_of(asker, request.remote)
            )
            return found if isinstance(found, web.StreamResponse) else written(route, request, found)

        if route.method == GET:
            return await work()
        try:
            return await replies.once(request, asker.id, body, work)
        finally:
            if route.scope in WRITING:
                house.current.wrote()

    return handle


async def refuse_elsewhere(request: web.Request) -> web.StreamResponse:
    """Refuse what a reader of a lake does not hold, whoever asks; raises `AskElsewhere`."""
    path = harmless(request.path, longest=LONGEST_PATH)
    raise AskElsewhere(
        f"{request.method} {path}: this service reads a lake, which lacks it; ask a service that indexes"
    )


async def _found(route: Route, house: House, given: Mapping[str, Any], turn: str) -> Body | web.StreamResponse:
    if inspect.iscoroutinefunction(route.work):
        found = await route.work(**given)
        return found if isinstance(found, web.StreamResponse) else _encoded(found)
    return await house.workers.do(
        partial(_worked, route, house, given),
        heavy=route.heavy,
        most_seconds=route.most_seconds,
        asker=turn,
    )


def _worked(route: Route, house: House, given: Mapping[str, Any]) -> Body | web.StreamResponse:
    work = partial(route.work, **given)
    found = work() if house.lake is None or route.tag == OWN_TAG else house.lake.named(work)
    return found if isinstance(found, web.StreamResponse) else _encoded(found)


def _encoded(found: object) -> Body:
    if isinstance(found, Pieces):
        return found.whole() if found.size <= LARGEST_KEPT else found
    return found if isinstance(found, bytes) else encode(found)


def written(route: Route, request: web.Request, body: Body) -> web.Response:
    """Answer with a body, or with 304 to who has it."""
    kind = route.answer if isinstance(route.answer, str) else JSON
    if not route.cached or isinstance(body, Pieces):
        return _compressed(request, web.Response(body=body, headers={"Content-Type": kind}))
    tag = etag(body)
    headers = {"ETag": tag, "Cache-Control": REVALIDATED}
    if known(request.headers.get("If-None-Match"), tag):
        return web.Response(status=304, headers=headers)
    return _compressed(request, web.Response(body=body, headers=headers | {"Content-Type": kind}))


def _compressed(request: web.Request, answer: web.Response) -> web.Response:
    answer.headers["Vary"] = "Accept-Encoding"
    size = answer.body.size if isinstance(answer.body, Pieces) else answer.content_length or 0
    if size >= WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.enable_compression(ContentCoding.gzip)
    return answer
