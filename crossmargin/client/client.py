"""The client for asyncio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from crossmargin.client.errors import Busy, Problem, TooMany, Unreachable, problem_of

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

Document = dict[str, Any]

TRIES = 4
TIMEOUT_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
LONGEST_LINE = 8 * 1024 * 1024
"""Bytes of an event: one of an account with thousands of members has them all."""

SILENT_S = 45.0
"""After how long a stream without a word, which has one every fifteen seconds, is taken for broken."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `document` is all of it."""

    id: str
    kind: str
    document: Document


class Client:
    """Asks one service: `async with Client("https://margin.example", key="cm_…") as client`.

    What is refused with 429 or 503, and what breaks off, is asked again, `tries` times in all, after what `Retry-After` says.
    Raises `Problem`.
    """

    def __init__(self, url: str, *, key: str | None = None, tries: int = TRIES, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._tries, self._timeout_s = tries, timeout_s
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        from aiohttp import ClientSession  # noqa: PLC0415 - importing the client stays quick

        self._session = ClientSession(headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def health(self, account: str, *, at: str | None = None) -> Document:
        """Return the health document of an account."""
        return await self._get(f"/v1/accounts/{quote(account, safe='')}/health", at=at)

    async def healths(self, accounts: Iterable[str], *, at: str | None = None) -> dict[str, Document | Problem]:
        """Return the health documents of up to 1,000 accounts, all of one state; of each that has none, why."""
        found = await self._ask("POST", "/v1/health:batch", body={"accounts": list(accounts), "at": at})
        return {
            each["account"]: problem_of(each["problem"]["status"], each["problem"])
            if each["health"] is None
            else each["health"]
            for each in found["results"]
        }

    async def positions(self, account: str, *, at: str | None = None) -> Document:
        """Return what an account has and owes."""
        return await self._get(f"/v1/accounts/{quote(account, safe='')}/positions", at=at)

    async def ladder(self, account: str) -> Document:
        """Return at which price of which asset the house would liquidate an account, nearest first."""
        return await self._get(f"/v1/accounts/{quote(account, safe='')}/liquidation-ladder")

    async def history(self, account: str, *, kind: str | None = None) -> AsyncIterator[Document]:
        """Yield what an account did at venues, newest first, page after page."""
        cursor: str | None = None
        while True:
            path = f"/v1/accounts/{quote(account, safe='')}/history"
            page = await self._get(path, kind=kind, cursor=cursor)
            for event in page["events"]:
                yield event
            cursor = page["next"]
            if cursor is None:
                return

    async def stream(self, *, after: str | None = None, **chosen: str) -> AsyncIterator[Event]:
        """Yield events from now on, or behind an id, and go on behind the last one whenever the stream breaks off.

        `chosen`: `kinds`, `owners`, `venues`, `assets` (lists with commas) and `min_band`. Raises `Forgotten` where there is a gap.
        """
        place, fails = after, 0
        while True:
            asked_s = 0.0
            try:
                async for last, event in self._streamed(place, chosen):
                    place, fails = last, 0
                    if event is not None:
                        yield event
            except (Unreachable, TooMany, Busy) as error:
                fails, asked_s = fails + 1, error.wait_s
                if fails >= self._tries:
                    raise
            await asyncio.sleep(max(_pause(fails), asked_s))

    async def _streamed(self, place: str | None, chosen: Mapping[str, str]) -> AsyncIterator[tuple[str, Event | None]]:
        """Yield the id after each block of one connection, with its event where it has one."""
        from aiohttp import ClientError, ClientTimeout  # noqa: PLC0415 - as above

        headers = {} if place is None else {"Last-Event-ID": place}
        waits = ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=SILENT_S)
        try:
            async with self._open().get(
                f"{self._url}/v1/stream", params=chosen, headers=headers, timeout=waits, read_bufsize=LONGEST_LINE
            ) as answer:
                await _check(answer)
                said: dict[str, str] = {}
                async for line in answer.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    if name:
                        said[name] = value
                    elif "id" in said:
                        yield said["id"], _event(said)
                        said = {}
                    else:
                        said = {}
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(f"{self._url}: the stream broke off: {error}") from error

    async def _get(self, path: str, **query: str | None) -> Document:
        return await self._ask("GET", path, query={name: value for name, value in query.items() if value is not None})

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Document | None = None
    ) -> Document:
        tried = 0
        while True:
            tried += 1
            try:
                return await self._once(method, path, query, body)
            except (Unreachable, TooMany, Busy) as error:
                if tried >= self._tries:
                    raise
                await asyncio.sleep(max(_pause(tried), error.wait_s))

    async def _once(self, method: str, path: str, query: Mapping[str, str] | None, body: Document | None) -> Document:
        from aiohttp import ClientError, ClientTimeout  # noqa: PLC0415 - as above

        waits = ClientTimeout(total=self._timeout_s)
        try:
            async with self._open().request(method, self._url + path, params=query, json=body, timeout=waits) as answer:
                await _check(answer)
                return dict(await answer.json())
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unreachable(
                f"{self._url} did not answer as a service does: {type(error).__name__} {error}"
            ) from error

    def _open(self) -> ClientSession:
        if self._session is None:
            raise RuntimeError("use the client in `async with Client(…) as client`")
        return self._session


async def _check(answer: ClientResponse) -> None:
    """Raise what an answer refuses, with how long it asks to wait."""
    if answer.ok:
        return
    try:
        said = json.loads(await answer.read())
    except ValueError:
        said = None
    problem = problem_of(answer.status, said)
    waits = answer.headers.get("Retry-After", "")
    problem.wait_s = min(float(waits), LONGEST_PAUSE_S) if waits.isdigit() else 0.0
    raise problem


def _event(said: Mapping[str, str]) -> Event | None:
    if "data" not in said:
        return None
    document = json.loads(said["data"])
    return Event(id=document["id"], kind=document["kind"], document=document)


def _pause(fails: int) -> float:
    return 0.0 if fails == 0 else float(min(FIRST_PAUSE_S * 2 ** (fails - 1), LONGEST_PAUSE_S))
