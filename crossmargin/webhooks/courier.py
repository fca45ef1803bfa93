"""Hands events to webhooks until they are taken: at least once, under the same `webhook-id`, over hours and over restarts.

What is to be delivered is in the store before anything is sent, together with how far each webhook has come.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

import aiohttp

from crossmargin.errors import DeskError
from crossmargin.logs import Logger
from crossmargin.server.stream.events import streamed
from crossmargin.server.webhook_metrics import WebhookMetrics
from crossmargin.watch import Clock
from crossmargin.webhooks.register import Webhooks, wanted_in
from crossmargin.webhooks.sending import AT_ONCE, EACH_AT_ONCE, Letter, Outcome, message, send, sessions
from indexer.store import EventRow, Store
from indexer.store.webhooks import ACTIVE, DELIVERED, DISABLED, FAILED, LOST, PENDING, DeliveryRow, WebhookRow

T = TypeVar("T")

LOOK_EVERY_S = 0.5
PAGE = 500
PAUSES_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800)
"""How long after each failed attempt the next one comes; after the last it has failed for good, within 16 hours."""

JITTER = 0.2
FORGET_EVERY_S = 3600
THREADS = 4
"""That ask the store, of which one at a time writes."""

DRAIN_S = 2.0


class Courier:
    """See the module; `keep_s`: for how long deliveries are remembered."""

    def __init__(
        self, store: Store, webhooks: Webhooks, metrics: WebhookMetrics, log: Logger, *, clock: Clock, keep_s: int
    ) -> None:
        self._store, self._webhooks, self._metrics, self._log = store, webhooks, metrics, log
        self._clock, self._keep_s = clock, keep_s
        self._sending: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._ended: set[tuple[str, int]] = set()
        self._chance = random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._forget_at = 0.0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
        self._settled = asyncio.Event()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Deliver while the context is open; what is under way then has a moment to end."""
        async with sessions(loopback=self._webhooks.loopback) as session:
            work = asyncio.create_task(self._go_on(session))
            try:
                yield
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                if self._sending:
                    await asyncio.wait(self._sending.values(), timeout=DRAIN_S)
                for task in self._sending.values():
                    task.cancel()
                await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def _do(self, work: Callable[..., T], *given: object) -> T:
        """Do something with the store in a thread whose end is waited for: a store is not closed under it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *given))

    async def _go_on(self, session: aiohttp.ClientSession) -> None:
        while True:
            try:
                if await self._do(self._webhooks.rows):
                    await self._look(session)
            except Exception as error:  # noqa: BLE001 - the next look tries again
                self._log.warning("webhooks_not_looked_at", kind=type(error).__name__, error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._settled.wait()
            self._settled.clear()

    async def _look(self, session: aiohttp.ClientSession) -> None:
        self._ended.clear()
        for row in await self._do(self._due):
            key = (row.webhook_id, row.event_id)
            if key not in self._sending and key not in self._ended and len(self._sending) < AT_ONCE:
                task = self._sending[key] = asyncio.create_task(self._deliver(session, row))
                task.add_done_callback(partial(self._end, key))
        for state in (ACTIVE, DISABLED):
            self._metrics.webhooks.labels(state).set(sum(row.state == state for row in self._webhooks.rows()))

    def _end(self, key: tuple[str, int], task: asyncio.Task[None]) -> None:
        """Let go of a delivery; what is due may have been asked for while it still was."""
        self._ended.add(key)
        if self._sending.get(key) is task:
            del self._sending[key]

    def _due(self) -> list[DeliveryRow]:
        """Make deliveries of what came, and return those whose turn it is."""
        now = self._clock()
        with self._store.reading() as reader:
            ends = reader.event_ends()
        for row in self._webhooks.rows():
            if row.state == ACTIVE and row.place < ends.last:
                self._take_up(row, int(now))
        if now >= self._forget_at:
            self._forget_at = now + FORGET_EVERY_S
            with self._store.webhooks() as ledger:
                ledger.forget(int(now) - self._keep_s)
        with self._store.reading() as reader:
            return reader.webhook_due(int(now), EACH_AT_ONCE)

    def _take_up(self, row: WebhookRow, now: int) -> None:
        with self._store.reading() as reader:
            ends, found = reader.event_ends(), reader.events_after(row.place, PAGE)
        if row.place < ends.forgotten:
            self._log.warning("webhook_missed_events", webhook=row.id, after=row.place, kept_after=ends.forgotten)
            self._metrics.deliveries.labels(LOST).inc()
        place = found[-1].id if found else max(row.place, ends.forgotten)
        if place == row.place:
            return
        wanted = wanted_in(json.loads(row.wanted))
        events = [event.id for event in map(streamed, found) if wanted.admits(event)]
        with self._store.webhooks() as ledger:
            ledger.advance(row, place, events, now)
        self._webhooks.advanced()

    async def _deliver(self, session: aiohttp.ClientSession, row: DeliveryRow) -> None:
        try:
            await self._attempt(session, row)
        except Exception as error:  # noqa: BLE001 - it stays pending, and is tried at the next look
            self._log.warning("webhook_not_tried", kind=type(error).__name__, error=str(error))
        else:
            self._settled.set()

    async def _attempt(self, session: aiohttp.ClientSession, row: DeliveryRow) -> None:
        event = await self._do(self._event, row.event_id)
        if event is None:
            await self._do(self._keep, row._replace(state=LOST, answer="the event is not kept any more"))
            return
        try:
            letter = await self._do(self._letter, row.webhook_id, event)
            outcome = await send(session, letter, int(self._clock()), loopback=self._webhooks.loopback)
        except DeskError as error:
            outcome = Outcome(taken=False, answer=str(error))
        await self._do(self._settle, row, outcome)

    def _letter(self, webhook_id: str, event: EventRow) -> Letter:
        webhook = self._webhooks.row(webhook_id)
        body = message(event.kind, event.told_at, streamed(event).body)
        secret = self._webhooks.secrets.secret(webhook.id)
        return Letter(url=webhook.url, secret=secret, name=f"msg_{event.id}", body=body)

    def _settle(self, row: DeliveryRow, outcome: Outcome) -> None:
        """Keep what came of an attempt; a webhook that fails for good, or is gone, is disabled."""
        now = int(self._clock())
        tried = row._replace(attempts=row.attempts + 1, last_at=now, answer=outcome.answer)
        if outcome.taken:
            self._keep(tried._replace(state=DELIVERED))
        elif outcome.gone or row.attempts >= len(PAUSES_S):
            self._keep(tried._replace(state=FAILED))
            reason = "it answered 410" if outcome.gone else f"an event failed {tried.attempts} times: {outcome.answer}"
            self._webhooks.set_state(row.webhook_id, DISABLED, reason)
            self._log.critical("webhook_disabled", webhook=row.webhook_id, reason=reason)
        else:
            pause = PAUSES_S[row.attempts] * self._chance.uniform(1 - JITTER, 1 + JITTER)
            self._keep(tried._replace(state=PENDING, next_at=now + max(1, round(pause), outcome.wait_s)))

    def _keep(self, row: DeliveryRow) -> None:
        with self._store.webhooks() as ledger:
            ledger.attempted(row._replace(last_at=row.last_at or int(self._clock())))
        self._metrics.deliveries.labels("retried" if row.state == PENDING else row.state).inc()

    def _event(self, event_id: int) -> EventRow | None:
        with self._store.reading() as reader:
            return reader.event(event_id)
