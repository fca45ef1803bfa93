"""Around every request: its trace id, its duration, safe headers, and errors as problem documents."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from aiohttp import web

from chains.redaction import Redactor
from crossmargin.errors import TooMany, Unauthorized
from crossmargin.failures import Failure, failure_of
from crossmargin.logs import Logger
from crossmargin.server import cross_origin
from crossmargin.server.access import Access
from crossmargin.server.answering import ASKER
from crossmargin.server.metrics import Metrics
from crossmargin.server.problems import http_problem, problem
from crossmargin.server.quota import Left, Quotas
from crossmargin.tracing import Trace, Tracing

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
LEFT: web.RequestKey[Left] = web.RequestKey("left", Left)
TRACE_HEADER = "X-Trace-Id"
SERVER_FAULTS = 500
METHODS = {"GET", "HEAD", "POST", "OPTIONS"}
UNTOLD = "the service's log tells more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is needed around every request; `public`: other names than loopback ones are answered to."""

    metrics: Metrics
    redactor: Redactor
    log: Logger
    access: Access
    quotas: Quotas
    origins: frozenset[str]
    public: bool
    tracing: Tracing


AROUND: web.RequestKey[Surroundings] = web.RequestKey("around", Surroundings)
TRACE: web.RequestKey[Trace] = web.RequestKey("trace", Trace)


def surrounded(by: Surroundings) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Make the one middleware."""

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, trace = perf_counter(), by.tracing.begin(request.headers)
        request[AROUND], request[TRACE] = by, trace
        answer = await _answered(by, request, handler, trace.trace_id)
        if answer.prepared:
            return answer  # a stream: how long it was open says nothing
        _finish(by, request, answer, trace.trace_id)
        method, route = request.method if request.method in METHODS else "other", _route(request)
        seconds = perf_counter() - began
        by.metrics.requests.labels(route, method, answer.status).observe(seconds)
        by.tracing.answered(trace, method, route, answer.status, seconds)
        return answer

    return surround


async def prepare(request: web.Request, answer: web.StreamResponse) -> None:
    """Begin an answer that goes on while it is made."""
    _finish(request[AROUND], request, answer, request[TRACE].trace_id)
    await answer.prepare(request)


def _finish(by: Surroundings, request: web.Request, answer: web.StreamResponse, trace_id: str) -> None:
    for name, value in SAFE_HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers[TRACE_HEADER] = trace_id
    if by.origins:
        answer.headers.update(cross_origin.headers(request, by.origins))
        answer.headers["Vary"] = "Accept-Encoding, Origin"
    if LEFT in request:
        answer.headers.update(request[LEFT].headers())


async def _answered(by: Surroundings, request: web.Request, handler: Handler, trace_id: str) -> web.StreamResponse:
    try:
        if not by.public:
            check_local(request.host)
        if cross_origin.is_preflight(request):
            return cross_origin.preflight(request, by.origins)
        _admit(by, request)
        return await handler(request)
    except web.HTTPException as error:
        return http_problem(request, error, trace_id)
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise  # who asked is gone: there is nobody to answer, and nothing went wrong here
        failure = noted(by, error, route=_route(request), trace_id=trace_id)
        answer = problem(failure, told(by, failure), trace_id)
        if isinstance(error, Unauthorized):
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer


def _admit(by: Surroundings, request: web.Request) -> None:
    """Find out who asks, and count it; raises `Unauthorized` and `TooMany`."""
    request[ASKER] = by.access.asker(request.headers.get("Authorization"))
    left = counted(request)
    if left is not None:
        request[LEFT] = left
        check_left(left)


def counted(request: web.Request) -> Left | None:
    """Count one more question of whoever sent a request; `None` where it has no quota."""
    asker = request[ASKER]
    return None if asker.quota is None else request[AROUND].quotas.take(asker.id, asker.quota)


def check_left(left: Left) -> None:
    """Refuse what is beyond a quota; raises `TooMany`."""
    if left.exceeded:
        quota = left.quota
        raise TooMany(f"this key may ask {quota.requests} times in {quota.seconds} s; ask again in {left.seconds} s")


def noted(by: Surroundings, error: Exception, **where: str) -> Failure:
    """Return what an error means; one that is nobody's who asked is logged."""
    failure = failure_of(error)
    if failure.http_status >= SERVER_FAULTS:
        by.log.warning("request_failed", code=failure.code, **where, exc_info=error)
    return failure


def told(by: Surroundings, failure: Failure) -> str:
    """What strangers are told of a failure: of a fault of this program or machine only where more is said, and no secret."""
    return UNTOLD if failure.code in {"fault", "system"} else by.redactor.scrub(failure.message)


def _route(request: web.Request) -> str:
    """The template of a route: what is asked about never becomes a label."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def check_local(host: str) -> None:
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
