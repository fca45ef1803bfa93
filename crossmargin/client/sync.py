"""The client for who has no event loop: one of its own in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from crossmargin.client.client import TIMEOUT_S, TRIES, Client, Document, Event
from crossmargin.client.errors import Problem

T = TypeVar("T")


class SyncClient:
    """See `Client`: `with SyncClient("http://127.0.0.1:8080") as client`."""

    def __init__(self, url: str, *, key: str | None = None, tries: int = TRIES, timeout_s: float = TIMEOUT_S) -> None:
        self._client = Client(url, key=key, tries=tries, timeout_s=timeout_s)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._client.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def health(self, account: str, *, at: str | None = None) -> Document:
        """Return the health document of an account."""
        return self._do(self._client.health(account, at=at))

    def healths(self, accounts: Iterable[str], *, at: str | None = None) -> dict[str, Document | Problem]:
        """Return the health documents of up to 1,000 accounts, all of one state; of each that has none, why."""
        return self._do(self._client.healths(accounts, at=at))

    def positions(self, account: str, *, at: str | None = None) -> Document:
        """Return what an account has and owes."""
        return self._do(self._client.positions(account, at=at))

    def ladder(self, account: str) -> Document:
        """Return at which price of which asset the house would liquidate an account, nearest first."""
        return self._do(self._client.ladder(account))

    def history(self, account: str, *, kind: str | None = None) -> Iterator[Document]:
        """Yield what an account did at venues, newest first."""
        yield from self._all(self._client.history(account, kind=kind))

    def stream(self, *, after: str | None = None, **chosen: str) -> Iterator[Event]:
        """Yield events from now on, or behind an id."""
        yield from self._all(self._client.stream(after=after, **chosen))

    def _all(self, found: Any) -> Iterator[Any]:  # noqa: ANN401 - an asynchronous generator of whatever
        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(found)
            except StopAsyncIteration:
                return False, None

        try:
            while (each := self._do(following()))[0]:
                yield each[1]
        finally:
            self._do(found.aclose())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
