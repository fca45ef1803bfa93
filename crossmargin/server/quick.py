"""The shortest way for the question that is asked most: the health of now, out of memory, before a request object is made.

A protocol of aiohttp's that looks at what arrives. It answers itself where one whole plain `GET …/health` stands there alone,
no other answer of the connection is being made, and the answer is in memory. Everything else goes on to aiohttp as it came, and so
does all that follows on a connection on which something arrived in parts, for only aiohttp knows then where a request begins. Both ways
give the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from time import perf_counter, time
from uuid import uuid4

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from aggregator.courtesy import Courtesy
from crossmargin.errors import DeskError
from crossmargin.server.current import Current, Kept
from crossmargin.server.etags import known
from crossmargin.server.middleware import SAFE_HEADERS, SERVER_FAULTS, TRACE_HEADER, Surroundings, check_local
from crossmargin.server.problems import unreadable
from crossmargin.server.route import Scope

ASKED = re.compile(rb"GET /v1/accounts/([A-Za-z0-9:._-]{1,160})/health HTTP/1\.1\r\n((?:[A-Za-z-]+:[ -~]*\r\n)+)\r\n")
WHOLE = re.compile(rb"GET /[!-~]* HTTP/1\.1\r\n((?:[A-Za-z-]+:[ -~]*\r\n)+)\r\n")
PLAIN = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "accept-language", "authorization", "if-none-match"}
)
PRIVATE = ("_messages", "_waiter")
"""What is read of aiohttp's own protocol though it is nobody else's business; another release may have it otherwise, and a test says so."""

LONGEST = 4096
MOST_UNSENT = 256 * 1024
ROUTE = "/v1/accounts/{id}/health"
WORTH_COMPRESSING = 1024


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Answers in memory, what stands around every request, and what is told that somebody asks."""

    current: Current
    around: Surroundings
    courtesy: Courtesy

    def answer(self, head: bytes) -> bytes | None:
        """Return the whole answer to a request's head, `None` where aiohttp must give it: so where requests are traced."""
        match = None if self.around.tracing.on else ASKED.fullmatch(head)
        headers = None if match is None else _headers(match[2])
        if match is None or headers is None or not self._may(headers):
            return None
        kept = self.current.peek(match[1].decode())
        return None if kept is None else _written(kept, headers)

    def _may(self, headers: dict[str, str]) -> bool:
        try:
            if not self.around.public:
                check_local(headers["host"])
            asker = self.around.access.asker(headers.get("authorization"))
        except (DeskError, web.HTTPException, KeyError):
            return False
        return Scope.READ in asker.scopes and asker.quota is None

    def observe(self, status: int, seconds: float) -> None:
        self.around.metrics.requests.labels(ROUTE, "GET", status).observe(seconds)


class Quick(RequestHandler):
    """See the module; `shortcut` and `plain` come after aiohttp's own arguments."""

    __slots__ = ("_lost", "_plain", "_shortcut")

    def __init__(self, manager: web.Server, shortcut: Shortcut, **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]  # as aiohttp gives them
        self._shortcut = shortcut
        self._plain = True
        self._lost: list[Callable[[], object]] = []

    def on_lost(self, work: Callable[[], object]) -> None:
        """Do something when whoever asks is gone: who waits for news to send would not notice until there are some."""
        self._lost.append(work)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        for work in self._lost:
            work()

    def data_received(self, data: bytes) -> None:
        self._shortcut.courtesy.asked()
        if self._plain and len(data) <= LONGEST and self._is_idle():
            began = perf_counter()
            answer = self._shortcut.answer(bytes(data))
            if answer is not None and self.transport is not None:
                self.transport.write(answer)
                self._shortcut.observe(int(answer[9:12]), perf_counter() - began)
                return
        self._plain = self._plain and len(data) <= LONGEST and _is_whole(bytes(data))
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read as every other error; the connection ends with it."""
        answer = super().handle_error(request, status, exc, message)
        if status >= SERVER_FAULTS:
            return answer
        trace_id = uuid4().hex
        told = unreadable(status, trace_id)
        told.headers.update(SAFE_HEADERS | {TRACE_HEADER: trace_id})
        told.force_close()
        return told

    def _is_idle(self) -> bool:
        """Whether aiohttp waits for the next request and has sent what it answered; it has no public word for that (`PRIVATE`)."""
        waiter, transport = self._waiter, self.transport
        return (
            waiter is not None
            and not waiter.done()
            and not self._messages
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() < MOST_UNSENT
        )


def _headers(lines: bytes) -> dict[str, str] | None:
    """Return the headers of a plain question by their names, `None` where there is one that asks for more than the answer."""
    found: dict[str, str] = {}
    for line in lines.decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if name == "connection" and value.lower() == "keep-alive":
            continue
        if name not in PLAIN or name in found:
            return None
        found[name] = value
    return found


def _is_whole(data: bytes) -> bool:
    """Whether this is one whole request without a body, so that the next thing that arrives begins another."""
    match = WHOLE.fullmatch(data)
    return match is not None and _headers(match[1]) is not None


def _written(kept: Kept, headers: dict[str, str]) -> bytes:
    fixed = f"Content-Type: application/json\r\nETag: {kept.tag}\r\nVary: Accept-Encoding\r\n{_FIXED}"
    moved = f"Date: {_date(int(time()))}\r\n{TRACE_HEADER}: {uuid4().hex}\r\n"
    if known(headers.get("if-none-match"), kept.tag):
        return f"HTTP/1.1 304 Not Modified\r\nETag: {kept.tag}\r\n{_FIXED}{moved}\r\n".encode()
    packed = "gzip" in headers.get("accept-encoding", "") and len(kept.body) >= WORTH_COMPRESSING
    body, coding = (kept.packed, "Content-Encoding: gzip\r\n") if packed else (kept.body, "")
    return f"HTTP/1.1 200 OK\r\n{fixed}{coding}{moved}Content-Length: {len(body)}\r\n\r\n".encode() + body


_FIXED = "".join(
    f"{name}: {value}\r\n" for name, value in (SAFE_HEADERS | {"Cache-Control": "private, no-cache"}).items()
)
_dates: dict[int, str] = {}


def _date(second: int) -> str:
    found = _dates.get(second)
    if found is None:
        _dates.clear()
        found = _dates[second] = formatdate(second, usegmt=True)
    return found
