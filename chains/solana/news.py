"""Notifications over a websocket: they say that it is worth looking, and nothing else, so that a lost one costs time and no row."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from chains.errors import NodeBusy
from chains.ports import Observer

ACCOUNTS = 100
"""Accounts that are subscribed to on one connection; of more, the first ones."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
REQUEST_TIMEOUT_S = 10.0


class News:
    """A connection to one of several websocket addresses, made again whenever it breaks; with no address, silence."""

    def __init__(self, urls: Sequence[str], *, observer: Observer | None = None) -> None:
        self._urls = tuple(urls)
        self._labels = [f"websocket {number} ({_host(url)})" for number, url in enumerate(urls, start=1)]
        self._observer = observer
        self._something = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._failures = 0
        self._closed = False

    async def wait(self, timeout_s: float, accounts: Sequence[bytes], commitment: str) -> None:
        """Return at the next notification, or after `timeout_s` seconds; what came since the last call counts."""
        if self._urls and self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen(accounts[:ACCOUNTS], commitment))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), timeout_s)
        self._something.clear()

    async def _listen(self, accounts: Sequence[bytes], commitment: str) -> None:
        turn = 0
        while True:
            place = turn % len(self._urls)
            try:
                await self._hear(self._urls[place], accounts, commitment)
            except Exception as error:  # noqa: BLE001 - whatever ends a connection, another is made
                self._report(self._labels[place], error)
            turn += 1
            self._something.set()
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S))
            self._failures += 1

    async def _hear(self, url: str, accounts: Sequence[bytes], commitment: str) -> None:
        from solana.rpc.commitment import Commitment  # noqa: PLC0415 - half a second to import, for those who listen
        from solana.rpc.websocket_api import OverflowPolicy, SolanaWsClient  # noqa: PLC0415
        from solders.pubkey import Pubkey  # noqa: PLC0415

        client = SolanaWsClient(url, request_timeout=REQUEST_TIMEOUT_S, overflow=OverflowPolicy.DROP_OLDEST)
        async with client:
            for account in accounts:
                await client.account_subscribe(
                    pubkey=Pubkey.from_bytes(account), commitment=Commitment(commitment), encoding="base64"
                )
            self._failures = 0
            self._something.set()
            while True:
                await client.recv()
                self._something.set()

    def _report(self, label: str, error: Exception) -> None:
        """Tell of a broken connection by its kind alone: what it says may hold the address."""
        if self._observer is not None:
            self._observer.failed(label, NodeBusy(f"{label} broke off ({type(error).__name__}); polling goes on"))

    async def aclose(self) -> None:
        """Close the connection for good, and wake who waits."""
        self._closed = True
        self._something.set()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None


def _host(url: str) -> str:
    """Return what of an address may be shown, which holds no key."""
    try:
        return urlsplit(url).hostname or "no host"
    except ValueError:
        return "no host"
