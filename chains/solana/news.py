"""Notifications over a websocket: they say that it is worth looking, and at which accounts, so that a lost one costs time and no row."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from chains.errors import NodeBusy
from chains.identifiers import base58, from_base58
from chains.ports import Observer
from chains.solana.ports import AccountSet

ACCOUNTS = 100
"""Accounts that are subscribed to on one connection; of more, the first ones."""

CLOCK = from_base58("SysvarC1ock11111111111111111111111111111111")
"""An account that changes with every slot: where it is told of, what changed before was told."""

WAITING = 1 << 16
"""Notifications that wait to be looked at; with more, a connection is given up and what it told is not relied on."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
REQUEST_TIMEOUT_S = 10.0
HEAR_S = 1.0
"""How long notifications about a slot that is known otherwise are waited for."""


class News:
    """A connection to one of several websocket addresses, made again whenever it breaks; with no address, silence.

    Subscriptions to the accounts of sets tell which ones changed (`chains.solana.lists.Teller`). A connection is a session of its own,
    from when all subscriptions stand until it breaks.
    """

    def __init__(self, urls: Sequence[str], *, observer: Observer | None = None) -> None:
        self._urls = tuple(urls)
        self._labels = [f"websocket {number} ({_host(url)})" for number, url in enumerate(urls, start=1)]
        self._observer = observer
        self._something = asyncio.Event()
        self._beat = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._failures = 0
        self._closed = False
        self._sessions = 0
        self._heard_to = 0
        self._told: dict[AccountSet, dict[bytes, int]] = {}
        self.session: int | None = None
        self.since: int | None = None

    async def wait(
        self, timeout_s: float, accounts: Sequence[bytes], commitment: str, sets: Sequence[AccountSet] = ()
    ) -> None:
        """Return at the next notification, or after `timeout_s` seconds; what came since the last call counts."""
        if self._urls and self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen(accounts[:ACCOUNTS], commitment, sets))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._something.wait()
        self._something.clear()

    async def heard(self, slot: int) -> bool:
        """Wait a moment until the end of a slot was told of; return whether it was, in this session."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEAR_S):
                while self.session is not None and self._heard_to < slot:
                    self._beat.clear()
                    await self._beat.wait()
        return self.session is not None and self._heard_to >= slot

    def told(self, wanted: AccountSet) -> Mapping[bytes, int]:
        """Return which accounts of a set changed, each with the newest slot in which one was told to."""
        return self._told.get(wanted, {})

    def forget(self, wanted: AccountSet, told: Mapping[bytes, int]) -> None:
        """Forget what was told, as it is stored, unless more was told of an account since."""
        held = self._told.get(wanted, {})
        for address, slot in told.items():
            if held.get(address, slot + 1) <= slot:
                del held[address]

    async def _listen(self, accounts: Sequence[bytes], commitment: str, sets: Sequence[AccountSet]) -> None:
        turn = 0
        while True:
            place = turn % len(self._urls)
            try:
                await self._hear(self._urls[place], accounts, commitment, sets)
            except Exception as error:  # noqa: BLE001 - whatever ends a connection, another is made
                self._report(self._labels[place], error)
            self._end()
            turn += 1
            await asyncio.sleep(min(FIRST_PAUSE_S * 2 ** min(self._failures, 10), LONGEST_PAUSE_S))
            self._failures += 1

    async def _hear(self, url: str, accounts: Sequence[bytes], commitment: str, sets: Sequence[AccountSet]) -> None:
        from solana.rpc.commitment import Commitment  # noqa: PLC0415 - half a second to import, for those who listen
        from solana.rpc.jsonrpc import SolanaJsonRpcError  # noqa: PLC0415 - ditto
        from solana.rpc.websocket_api import OverflowPolicy, SolanaWsClient  # noqa: PLC0415 - ditto
        from solders.pubkey import Pubkey  # noqa: PLC0415 - ditto

        overflow = OverflowPolicy.RAISE if sets else OverflowPolicy.DROP_OLDEST
        client = SolanaWsClient(
            url, request_timeout=REQUEST_TIMEOUT_S, notification_queue_size=WAITING, overflow=overflow
        )
        async with client:
            try:
                subscribed = await self._subscribed(client, sets, Commitment(commitment))
            except SolanaJsonRpcError as error:
                self._report(self._labels[self._urls.index(url)], error)
                sets, subscribed = (), {}
            for account in [*accounts, *([CLOCK] if sets else [])]:
                found = await client.account_subscribe(
                    pubkey=Pubkey.from_bytes(account), commitment=Commitment(commitment), encoding="base64"
                )
                if account == CLOCK:
                    subscribed[found.subscription_id] = None
            self._begin(all_told=bool(sets))
            while True:
                self._take(await client.recv(), subscribed)

    async def _subscribed(
        self,
        client: Any,  # noqa: ANN401 - imported late
        sets: Sequence[AccountSet],
        commitment: Any,  # noqa: ANN401 - ditto
    ) -> dict[int, AccountSet | None]:
        """Subscribe to the accounts of sets, without their bytes; each is told of from then on, but for those that are closed."""
        from solana.rpc.models import DataSliceOpts, MemcmpOpts  # noqa: PLC0415 - ditto
        from solders.pubkey import Pubkey  # noqa: PLC0415 - ditto

        found: dict[int, AccountSet | None] = {}
        for wanted in sets:
            size = [] if wanted.size is None else [wanted.size]
            filters = [*size, *(MemcmpOpts(offset=at, bytes=base58(raw)) for at, raw in wanted.holding)]
            subscription = await client.program_subscribe(
                program_id=Pubkey.from_bytes(wanted.program),
                commitment=commitment,
                encoding="base64",
                data_slice=DataSliceOpts(offset=0, length=0),
                filters=filters,
            )
            found[subscription.subscription_id] = wanted
        return found

    def _begin(self, *, all_told: bool) -> None:
        """Start a session; where a node refuses subscriptions to sets, it wakes and tells nothing."""
        self._failures = 0
        self._sessions += 1
        self.session = self._sessions if all_told else None
        self._heard_to = 0
        self.since = None
        self._something.set()

    def _end(self) -> None:
        self.session = None
        self._something.set()
        self._beat.set()

    def _take(self, told: Any, subscribed: Mapping[int, AccountSet | None]) -> None:  # noqa: ANN401 - solders' own
        """Note what a notification is about; one that is told twice, or late, changes nothing."""
        if told.subscription in subscribed:
            wanted, slot = subscribed[told.subscription], told.result.context.slot
            if wanted is None:
                self.since = slot if self.since is None else min(self.since, slot)
                self._heard_to = max(self._heard_to, slot)
                self._beat.set()
                return
            held, address = self._told.setdefault(wanted, {}), bytes(told.result.value.pubkey)
            held[address] = max(slot, held.get(address, 0))
        self._something.set()

    def _report(self, label: str, error: Exception) -> None:
        """Tell of a broken connection by its kind alone: what it says may hold the address."""
        if self._observer is not None:
            self._observer.failed(label, NodeBusy(f"{label} broke off ({type(error).__name__}); polling goes on"))

    async def aclose(self) -> None:
        """Close the connection for good, and wake who waits."""
        self._closed = True
        self._end()
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
