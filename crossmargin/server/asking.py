"""What a request asks, read into the models of its route; what does not fit is a `UsageError` that says where."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

from aiohttp import ClientError, web
from aiohttp.http_exceptions import ContentEncodingError
from pydantic import BaseModel, ValidationError

from crossmargin.documents import harmless
from crossmargin.errors import UsageError
from crossmargin.server.route import SMALL_BODY, Route, TextBody

M = TypeVar("M", bound=BaseModel)

BODILESS = frozenset({"GET", "HEAD"})
NOTHING = (b"", b"{}")
SENDING_S = 30
LONGEST_TOLD = 120
MOST_TOLD = 5


def asked_of(route: Route, request: web.Request, body: bytes) -> dict[str, BaseModel]:
    """Return path, query and body as far as the route wants them; raises `UsageError`."""
    query = _query(route, request)
    found = {"path": _read(route.path_model, dict(request.match_info), "path parameter"), "query": query}
    if route.body_model is not None:
        found["body"] = _body(route.body_model, body)
    return {name: model for name, model in found.items() if name in route.wanted}


def message_of(model: type[M], text: str) -> M:
    """Read a message of a websocket; raises `UsageError`."""
    return model.model_validate(_body(model, text.encode()))


def _query(route: Route, request: web.Request) -> BaseModel:
    """Refuse parameters that mean nothing here: a misspelt `at` must not answer for now."""
    known = list(route.query_model.model_fields)
    for name in request.query:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UsageError(f'unknown query parameter "{harmless(name, longest=LONGEST_TOLD)}"; {takes}')
        if len(request.query.getall(name)) > 1:
            raise UsageError(f'query parameter "{name}" is given twice; give it once')
    return _read(route.query_model, dict(request.query), "query parameter")


async def body_of(route: Route, request: web.Request) -> bytes:
    """Return what was sent; raises `HTTPRequestEntityTooLarge`, `HTTPRequestTimeout`, and `UsageError` where it breaks off."""
    if route.body_model is None and request.method in BODILESS:
        return b""
    try:
        async with asyncio.timeout(SENDING_S):
            body: bytes = await request.clone(client_max_size=route.most_bytes or SMALL_BODY).read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text=f"the body was not sent within {SENDING_S} s") from error
    except (ClientError, ContentEncodingError, web.RequestPayloadError) as error:
        raise UsageError("the body breaks off, or is not encoded as it says") from error
    if route.body_model is None and body.strip() not in NOTHING:
        raise UsageError("nothing of a body is read here: what is asked stands in the path and the query; send none")
    return body


def _body(model: type[BaseModel], body: bytes) -> BaseModel:
    if issubclass(model, TextBody):
        return model(text=_text(body))
    try:
        said: Any = json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body must be JSON: {harmless(str(error), longest=LONGEST_TOLD)}") from error
    if not isinstance(said, dict):
        raise UsageError("the body must be an object in JSON")
    return _read(model, said, "key", strict=True)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the body must be text in UTF-8: {error}") from error


def _read(model: type[M], values: dict[str, Any], kind: str, *, strict: bool = False) -> M:
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        raise UsageError("; ".join(_told(each, kind) for each in error.errors()[:MOST_TOLD])) from error


def _told(error: Any, kind: str) -> str:  # noqa: ANN401 - pydantic's own table
    where = ".".join(str(part) for part in error["loc"])
    place = f'{kind} "{harmless(where, longest=LONGEST_TOLD)}"' if where else "the whole"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {harmless(message, longest=LONGEST_TOLD)}"


def _refused(word: str) -> object:
    raise ValueError(f"{word} is no number in JSON")
