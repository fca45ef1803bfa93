"""Which pages of other origins may read answers: those that are listed, and none by default."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"
SHOWN_HEADERS = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Trace-Id, Idempotency-Replayed"
KEPT_S = "600"


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks if a page of another origin may ask (CORS)."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(request: web.Request, origins: Collection[str]) -> web.Response:
    """Answer what a browser asks before; without the headers where the origin is not listed, so that the browser refuses."""
    answer = web.Response(status=204)
    if _origin(request) in origins:
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST"
        answer.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        answer.headers["Access-Control-Max-Age"] = KEPT_S
    return answer


def headers(request: web.Request, origins: Collection[str]) -> dict[str, str]:
    """Return what lets a page of a listed origin read the answer."""
    origin = _origin(request)
    if origin not in origins:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": SHOWN_HEADERS,
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def _origin(request: web.Request) -> str:
    return request.headers.get("Origin", "")
