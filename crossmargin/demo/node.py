"""A JSON-RPC node over HTTP on loopback: what recorded chains of any kind are served by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from crossmargin.demo.recording import NotRecorded, RpcObject

BODY_LIMIT = 16 * 1024 * 1024
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
NO_METHOD = -32601
INVALID_PARAMS = -32602
SERVER_ERROR = -32000


class RpcError(Exception):
    """An error answer of a node."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


Method = Callable[[Sequence[Any]], object]


class RpcNode:
    """Serves methods at `url` within its async context."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self.url = ""
        self.requests = 0
        self._methods = methods
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
        except ValueError:
            answer: object = _failed(None, RpcError(PARSE_ERROR, "Parse error"))
        else:
            answer = [self._answer(one) for one in body] if isinstance(body, list) else self._answer(body)
        return web.json_response(answer)

    def _answer(self, request: object) -> RpcObject:
        self.requests += 1
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failed(None, RpcError(INVALID_REQUEST, "Invalid request"))
        number, params = request.get("id"), request.get("params", [])
        try:
            return {"jsonrpc": "2.0", "id": number, "result": self._method(request["method"])(params)}
        except RpcError as error:
            return _failed(number, error)
        except NotRecorded as error:
            return _failed(number, RpcError(SERVER_ERROR, str(error)))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            return _failed(number, RpcError(INVALID_PARAMS, f"invalid params: {error}"))

    def _method(self, name: str) -> Callable[[Sequence[Any]], object]:
        if name not in self._methods:
            raise RpcError(NO_METHOD, f"the method {name} does not exist")
        return self._methods[name]


def _failed(number: object, error: RpcError) -> RpcObject:
    body = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return {"jsonrpc": "2.0", "id": number, "error": body}
