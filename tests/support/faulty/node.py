"""A proxy before an honest node: at most one accident an exchange, dealt from shuffled decks, and habits that always hold."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import ClientSession, web

from tests.support.faulty.faults import Fault
from tests.support.faulty.wire import Exchange, Met, Reply, Upstream, calls_in


@dataclass(slots=True)
class Deck:
    """Accidents dealt in seeded order: none comes twice before each that can came once.

    `share`: of so many of the exchanges one meets an accident, from 0 to 1.
    """

    seed: str
    accidents: Sequence[Fault]
    share: float
    hand: list[Fault] = field(default_factory=list)
    decks: int = 0

    def deal(self, exchange: Exchange) -> Fault | None:
        """Take the accident that an exchange meets out of the hand, if it meets one."""
        if exchange.rng.random() >= self.share:
            return None
        if not any(fault.fits(exchange) for fault in self.hand):
            self._fill()
        dealt = next((fault for fault in self.hand if fault.fits(exchange)), None)
        if dealt:
            self.hand.remove(dealt)
        return dealt

    def back(self, fault: Fault) -> None:
        """Take back an accident that found nothing to spoil."""
        self.hand.append(fault)

    def _fill(self) -> None:
        self.decks += 1
        copies = [fault for fault in self.accidents for _ in range(fault.weight)]
        self.hand += Random(f"{self.seed}/{self.decks}").sample(copies, len(copies))


class FaultyNode:
    """An address that answers as the node at `url` does, but for its faults; `heard` is awaited before each exchange."""

    def __init__(
        self,
        url: str,
        *,
        seed: str,
        accidents: Sequence[Fault] = (),
        share: float = 0.0,
        habits: Sequence[Fault] = (),
        heard: Callable[[Exchange], Awaitable[None]] | None = None,
    ) -> None:
        self.faulty = True
        self.met: list[Met] = []
        self.exchanges = 0
        self._behind = url
        self._seed = seed
        self._deck = Deck(seed, accidents, share)
        self._habits = list(habits)
        self._heard = heard
        self._lasting: deque[Fault] = deque()

    async def __aenter__(self) -> Self:
        self._session = ClientSession()
        self._upstream = Upstream(self._behind, self._session)
        app = web.Application()
        app.router.add_post("/", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of fault was made."""
        return Counter(fault.kind for fault in self.met)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        exchange = self._exchange(await request.read())
        if self._heard:
            await self._heard(exchange)
        accident = self._accident(exchange)
        active = [*self._habits, *([accident] if accident else [])] if self.faulty else []
        try:
            return await self._spoiled(exchange, active, request)
        finally:
            self._settle(exchange, accident)

    def _exchange(self, body: bytes) -> Exchange:
        calls, batch = calls_in(body)
        number, self.exchanges = self.exchanges, self.exchanges + 1
        rng = Random(f"{self._seed}/{number}")
        return Exchange(number=number, calls=calls, batch=batch, rng=rng, upstream=self._upstream)

    def _accident(self, exchange: Exchange) -> Fault | None:
        if not self.faulty:
            return None
        if self._lasting:
            return self._lasting.popleft()
        dealt = self._deck.deal(exchange)
        self._lasting.extend([dealt] * (dealt.lasting - 1) if dealt else ())
        return dealt

    def _settle(self, exchange: Exchange, accident: Fault | None) -> None:
        self.met += exchange.met
        struck = accident is None or any(met.kind == accident.kind for met in exchange.met)
        if accident and not struck and accident.lasting == 1:
            self._deck.back(accident)

    async def _spoiled(self, exchange: Exchange, active: Sequence[Fault], request: web.Request) -> web.StreamResponse:
        for fault in active:
            try:
                response = await fault.instead(request)
            except asyncio.CancelledError:  # the client gave up waiting
                exchange.note(fault.kind)
                raise
            if response is not None:
                exchange.note(fault.kind)
                return response
        replies = self._arranged(exchange, active, await self._replies(exchange, active))
        return await self._sent(exchange, active, request, replies)

    async def _replies(self, exchange: Exchange, active: Sequence[Fault]) -> list[Reply]:
        refused = [self._refused(exchange, active, i) for i in range(len(exchange.calls))]
        asked = [call for call, no in zip(exchange.calls, refused, strict=True) if no is None]
        honest = iter(await self._upstream.ask(asked))
        replies = [no or next(honest) for no in refused]
        for fault in active:
            for i, call in enumerate(exchange.calls):
                edited = await fault.edited(exchange, call, replies[i])
                if edited != replies[i]:
                    replies[i] = edited
                    exchange.note(fault.kind, i)
        return replies

    def _refused(self, exchange: Exchange, active: Sequence[Fault], place: int) -> Reply | None:
        for fault in active:
            if (reply := fault.refused(exchange, exchange.calls[place])) is not None:
                exchange.note(fault.kind, place)
                return reply
        return None

    def _arranged(self, exchange: Exchange, active: Sequence[Fault], replies: list[Reply]) -> list[Reply]:
        for fault in active:
            arranged = fault.arranged(exchange, replies)
            if arranged != replies:
                replies = arranged
                exchange.note(fault.kind)
        return replies

    async def _sent(
        self, exchange: Exchange, active: Sequence[Fault], request: web.Request, replies: Sequence[Reply]
    ) -> web.StreamResponse:
        said = [reply.wire() for reply in replies]
        body = msgspec.json.encode(said if exchange.batch else said[0])
        for fault in active:
            if (response := await fault.sent(request, body)) is not None:
                exchange.note(fault.kind)
                return response
        status = 200 if exchange.batch else replies[0].status
        return web.Response(body=body, status=status, content_type="application/json")
