"""Which path is answered by what. The desk works in threads: DuckDB never blocks the event loop."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from aggregator.margin.liabilities import LARGEST_ENVELOPE
from crossmargin.desk import Desk
from crossmargin.documents import Document, encode
from crossmargin.errors import Forbidden, UsageError
from crossmargin.server.metrics import Metrics

JSON = "application/json"
EXPOSITION = "text/plain"
LONGEST_QUERY = 64 * 1024


class Routes:
    """The handlers over one desk; `token` lets its holder ask SQL."""

    def __init__(self, desk: Desk, metrics: Metrics, token: str) -> None:
        self._desk = desk
        self._metrics = metrics
        self._token = token

    def table(self) -> list[web.RouteDef]:
        """Every route."""
        return [
            web.get("/v1/accounts", self.accounts),
            web.get("/v1/accounts/{id}", self.account),
            web.get("/v1/accounts/{id}/health", self.health),
            web.get("/v1/accounts/{id}/positions", self.positions),
            web.get("/v1/prices", self.prices),
            web.get("/v1/status", self.status),
            web.get("/v1/inputs/{digest}", self.inputs),
            web.get("/v1/snapshots", self.snapshots),
            web.post("/v1/snapshots", self.create_snapshot),
            web.get("/v1/liabilities", self.liabilities),
            web.post("/v1/liabilities", self.import_liabilities),
            web.post("/v1/parity", self.audit_parity),
            web.post("/v1/sql", self.sql),
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def accounts(self, request: web.Request) -> web.Response:
        _only(request)
        return await _document(self._desk.accounts)

    async def account(self, request: web.Request) -> web.Response:
        _only(request)
        return await _document(self._desk.account, request.match_info["id"])

    async def health(self, request: web.Request) -> web.Response:
        _only(request, "at")
        return await _document(self._desk.health, request.match_info["id"], request.query.get("at"))

    async def positions(self, request: web.Request) -> web.Response:
        _only(request, "at")
        return await _document(self._desk.positions, request.match_info["id"], request.query.get("at"))

    async def prices(self, request: web.Request) -> web.Response:
        _only(request, "at")
        return await _document(self._desk.prices, request.query.get("at"))

    async def status(self, request: web.Request) -> web.Response:
        _only(request)
        return await _document(self._desk.status)

    async def inputs(self, request: web.Request) -> web.Response:
        """The very bytes that the digest is of."""
        _only(request)
        kept = await asyncio.to_thread(self._desk.inputs, request.match_info["digest"])
        return web.Response(body=kept.encode("utf-8"), content_type=JSON)

    async def sql(self, request: web.Request) -> web.Response:
        """SQL is for the owner of the store; there are no API keys yet."""
        self._check_owner(request)
        query = _said(await request.read(), "query")
        if not isinstance(query, str) or not query.strip():
            raise UsageError('"query" must be one SELECT')
        return await _document(self._desk.sql, query)

    async def snapshots(self, request: web.Request) -> web.Response:
        _only(request)
        return await _document(self._desk.snapshots)

    async def create_snapshot(self, request: web.Request) -> web.Response:
        self._check_owner(request)
        at = _said(await request.read(), "at")
        if at is not None and not isinstance(at, str):
            raise UsageError('"at" must be a text as `--at` takes it, or null')
        return await _document(self._desk.create_snapshot, at)

    async def audit_parity(self, request: web.Request) -> web.Response:
        """It asks nodes and writes, so it is for the owner of the store."""
        self._check_owner(request)
        body = await request.read()
        venue, sample, at = (_said(body, key) for key in ("venue", "sample", "at"))
        if not isinstance(venue, str | None) or not isinstance(at, str | None):
            raise UsageError('"venue" and "at" must be texts as the command takes them, or null')
        if sample is not None and (not isinstance(sample, int) or sample < 1):
            raise UsageError('"sample" must be a whole number, 1 or more, or null')
        return await _document(lambda: self._desk.audit_parity(venue, sample, at))

    async def liabilities(self, request: web.Request) -> web.Response:
        _only(request, "venue")
        return await _document(self._desk.liabilities, request.query.get("venue"))

    async def import_liabilities(self, request: web.Request) -> web.Response:
        """Whoever holds a key of the venue says this, from wherever: the document's own signature is asked for, no token."""
        _only(request)
        body = await request.clone(client_max_size=LARGEST_ENVELOPE).read()
        return await _document(self._desk.import_liabilities, _text(body))

    def _check_owner(self, request: web.Request) -> None:
        """Whoever can read the service's own file holds its token."""
        _only(request)
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise Forbidden("this is for the owner of the store: use the `crossmargin` command on that machine")

    async def healthz(self, request: web.Request) -> web.Response:
        """The process answers."""
        _only(request)
        return web.Response(body=encode({"status": "ok"}), content_type=JSON)

    async def readyz(self, request: web.Request) -> web.Response:
        """Answers can be believed: every chain is followed, reached and near its head."""
        _only(request)
        status = await asyncio.to_thread(self._desk.status)
        reasons = [chain["reason"] | {"chain": chain["chain"]} for chain in status["chains"] if chain["reason"]]
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return web.Response(status=503 if reasons else 200, body=encode(body), content_type=JSON)

    async def metrics(self, request: web.Request) -> web.Response:
        _only(request)
        body = await asyncio.to_thread(self._exposition)
        return web.Response(body=body, content_type=EXPOSITION, charset="utf-8")

    def _exposition(self) -> bytes:
        return self._metrics.render(self._desk.status(), self._desk.prices(None))


async def _document(ask: Callable[..., Document], *question: str | None) -> web.Response:
    body = await asyncio.to_thread(lambda: encode(ask(*question)))
    return web.Response(body=body, content_type=JSON)


def _only(request: web.Request, *known: str) -> None:
    """Refuse query parameters that mean nothing here: a misspelt `at` must not answer for now."""
    for name in request.query:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UsageError(f'unknown query parameter "{name}"; {takes}')
    for name in known:
        if len(request.query.getall(name, [])) > 1:
            raise UsageError(f'query parameter "{name}" is given twice; give it once')


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the body must be text in UTF-8: {error}") from error


def _said(body: bytes, key: str) -> object:
    try:
        said: Any = json.loads(body)
        return said[key]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f'the body must be {{"{key}": …}} in JSON') from error
