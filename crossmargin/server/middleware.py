"""Around every request: its trace id, its duration, safe headers, and errors as problem documents."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from time import perf_counter
from uuid import uuid4

from aiohttp import web

from crossmargin.failures import failure_of
from crossmargin.logs import Logger
from crossmargin.redaction import Redactor
from crossmargin.server.metrics import Metrics
from crossmargin.server.problems import http_problem, problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "crossmargin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TRACE_HEADER = "X-Trace-Id"
SERVER_FAULTS = 500
METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
UNTOLD = "the service's log tells more under this trace_id"


def surroundings(
    metrics: Metrics, redactor: Redactor, log: Logger, *, public: bool
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Make the one middleware."""

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, trace_id = perf_counter(), uuid4().hex
        answer = await _answered(request, handler, trace_id)
        answer.headers.update(SAFE_HEADERS)
        answer.headers[TRACE_HEADER] = trace_id
        method = request.method if request.method in METHODS else "other"
        metrics.requests.labels(_route(request), method, answer.status).observe(perf_counter() - began)
        return answer

    async def _answered(request: web.Request, handler: Handler, trace_id: str) -> web.StreamResponse:
        try:
            if not public:
                _check_local(request.host)
            return await handler(request)
        except web.HTTPException as error:
            return http_problem(request, error, trace_id)
        except Exception as error:
            failure = failure_of(error)
            if failure.http_status >= SERVER_FAULTS:
                said = {"route": _route(request), "code": failure.code, "trace_id": trace_id}
                log.warning("request_failed", **said, exc_info=error)
            detail = UNTOLD if failure.code in {"fault", "system"} else redactor.scrub(failure.message)
            return problem(failure, detail, trace_id)

    return surround


def _route(request: web.Request) -> str:
    """The template of a route: what is asked about never becomes a label."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def _check_local(host: str) -> None:
    """Refuse a Host header that names another machine: a page from elsewhere may have been led here."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if not is_loopback(name.strip("[]")):
        raise web.HTTPMisdirectedRequest(text="this service answers to loopback names only; see --public")


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
