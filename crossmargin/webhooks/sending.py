"""One attempt to hand an event to a webhook."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from crossmargin.documents import moment
from crossmargin.webhooks.guard import Resolver, check_url
from crossmargin.webhooks.signing import signed_headers

TIMEOUT_S = 15.0
AT_ONCE, EACH_AT_ONCE = 64, 8
"""Of all webhooks, and of each: one that never answers keeps no other waiting."""

LONGEST_WAIT_S = 3600
LONGEST_ANSWER = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it; `answer` in words, `wait_s` what the receiver asks for, `gone`: it wants nothing any more."""

    taken: bool
    answer: str
    wait_s: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What goes where under which name; `secret` signs it."""

    url: str
    secret: str = field(repr=False)
    name: str
    body: bytes


@asynccontextmanager
async def sessions(*, loopback: bool) -> AsyncIterator[aiohttp.ClientSession]:
    """Open what sends: no proxy, no cookies, every name resolved anew and checked."""
    connector = aiohttp.TCPConnector(
        resolver=Resolver(loopback=loopback), limit=AT_ONCE, use_dns_cache=False, force_close=True
    )
    async with aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        headers={"User-Agent": "crossmargin-webhooks", "Content-Type": "application/json"},
    ) as session:
        yield session


async def send(session: aiohttp.ClientSession, letter: Letter, now: int, *, loopback: bool) -> Outcome:
    """Send a letter once; whatever comes of it is an outcome. Redirects are not followed."""
    try:
        check_url(letter.url, loopback=loopback)
        headers = signed_headers(letter.secret, letter.name, now, letter.body)
        async with session.post(letter.url, data=letter.body, headers=headers, allow_redirects=False) as answer:
            return _outcome(answer.status, answer.headers.get("Retry-After", ""))
    except TimeoutError:
        return Outcome(taken=False, answer=f"no answer within {TIMEOUT_S:g} s")
    except Exception as error:  # noqa: BLE001 - addresses of strangers bring about whatever resolvers and parsers raise
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        return Outcome(taken=False, answer=str(cause)[:LONGEST_ANSWER] or type(cause).__name__)


def message(kind: str, told_at: int, event: str) -> bytes:
    """Write what is sent: `type`, `timestamp` and, as `data`, the event as streams tell it."""
    return f'{{"type":{json.dumps(kind)},"timestamp":"{moment(told_at)}","data":{event}}}'.encode()


def _outcome(status: int, retry_after: str) -> Outcome:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome(taken=True, answer=str(status))
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Outcome(taken=False, answer=f"{status}: it leads elsewhere, and redirects are not followed")
    wait_s = min(int(retry_after), LONGEST_WAIT_S) if retry_after.isascii() and retry_after.isdigit() else 0
    return Outcome(taken=False, answer=str(status), wait_s=wait_s, gone=status == HTTPStatus.GONE)
