"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from crossmargin.documents import encode, harmless
from crossmargin.exits import ExitCode
from crossmargin.failures import Failure

CONTENT_TYPE = "application/problem+json"
LONGEST_PATH = 200
TYPE = "urn:crossmargin:problem:"


def problem(failure: Failure, detail: str, trace_id: str) -> web.Response:
    """Answer a failure; `exit_code` is what the command line ends with for the same one."""
    body = {
        "type": f"{TYPE}{failure.code}",
        "title": failure.title,
        "status": failure.http_status,
        "detail": detail,
        "code": failure.code,
        "exit_code": int(failure.exit_code),
        "trace_id": trace_id,
    }
    return web.Response(status=failure.http_status, body=encode(body), content_type=CONTENT_TYPE)


def http_problem(request: web.Request, error: web.HTTPException, trace_id: str) -> web.Response:
    """Answer what aiohttp itself refuses: no such route, wrong method, too large a body."""
    phrase = HTTPStatus(error.status).phrase
    code = phrase.lower().replace(" ", "-")
    body = {
        "type": f"{TYPE}{code}",
        "title": phrase,
        "status": error.status,
        "detail": f"{request.method} {harmless(request.path, longest=LONGEST_PATH)}: {_told(error) or phrase}",
        "code": code,
        "exit_code": 2,
        "trace_id": trace_id,
    }
    answer = web.Response(status=error.status, body=encode(body), content_type=CONTENT_TYPE)
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def unreadable(status: int, trace_id: str) -> web.Response:
    """Answer what aiohttp cannot read; nothing of it is said again."""
    phrase = HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "-")
    body = {
        "type": f"{TYPE}{code}",
        "title": phrase,
        "status": status,
        "detail": "this is no request in HTTP/1.1, or one of its lines is longer than 8190 bytes",
        "code": code,
        "exit_code": int(ExitCode.USAGE),
        "trace_id": trace_id,
    }
    return web.Response(status=status, body=encode(body), content_type=CONTENT_TYPE)


def _told(error: web.HTTPException) -> str:
    """What an error says beyond its own status line."""
    text = error.text or ""
    return "" if text == f"{error.status}: {error.reason}" else text
