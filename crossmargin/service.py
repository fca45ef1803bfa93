"""The service: HTTP over one store, and in `run` also the followers of every chain and the scheduled snapshots."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial

from aggregator.margin.floor import Gravity
from chains.errors import ChainError
from chains.ports import Observer, Outcome
from crossmargin.app import Connect, connect, restater
from crossmargin.documents import Document
from crossmargin.failures import CONFIGURATION
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import Logger
from crossmargin.redaction import Redactor
from crossmargin.restating import LogRestating
from crossmargin.schedule import AlarmClock
from crossmargin.server.metrics import Metrics
from crossmargin.server.site import serving
from crossmargin.service_file import Service, announced
from crossmargin.settings import ChainSettings, Settings
from crossmargin.watch import Listeners, LogListener, Watch
from indexer.loop import Listener
from indexer.store import Store, StoreError

TICK_S = 30
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a service is made of; with a `watch` it follows its chains, without one it serves what is stored.

    `connect` makes each chain, here or in a process of its own.
    """

    settings: Settings
    store: Store
    desk: LocalDesk
    watch: Watch | None
    redactor: Redactor
    log: Logger
    connect: Connect = connect


@asynccontextmanager
async def running_service(parts: Parts, *listeners: Listener) -> AsyncIterator[str]:
    """Run the service within the context; gives its address.

    Raises what no retry mends and the configuration must: `WrongChain`, `NoContract`, `Unsupported`. A follower that ends
    for any other reason leaves the others running; its chain is not believed any more.
    """
    metrics = Metrics(chain.spec.id for chain in parts.settings.chains)
    async with AsyncExitStack() as stack:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        settings = parts.settings
        url = await stack.enter_async_context(
            serving(parts.desk, settings.server, metrics=metrics, token=token, redactor=parts.redactor, log=parts.log)
        )
        stack.enter_context(announced(settings.store, Service(pid=os.getpid(), url=url, token=token)))
        if parts.watch is not None:
            told = Listeners(parts.watch, metrics, LogListener(parts.log), *listeners)
            await stack.enter_async_context(_followers(parts, parts.watch, told, metrics))
            await stack.enter_async_context(_ticking(parts))
            await stack.enter_async_context(_auditing(parts))
        parts.log.info("serving", url=url, following=parts.watch is not None)
        yield url


async def serve_until(parts: Parts, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Run the service until `stop` is set."""
    async with running_service(parts) as url:
        ready(url)
        await stop.wait()
        parts.log.info("stopping")


@asynccontextmanager
async def _followers(parts: Parts, watch: Watch, listener: Listener, metrics: Metrics) -> AsyncIterator[None]:
    """Follow every chain; they end at a step's end."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for chain in parts.settings.chains:
            observer = metrics.nodes.of(chain.spec.id)
            group.create_task(_follow(parts, chain, watch=watch, listener=listener, stop=stop, observer=observer))
        try:
            yield
        finally:
            stop.set()


async def _follow(
    parts: Parts, settings: ChainSettings, *, watch: Watch, listener: Listener, stop: asyncio.Event, observer: Observer
) -> None:
    chain_id = settings.spec.id
    try:
        told = LogRestating(parts.log)
        chain = restater(
            parts.settings, chain_id, parts.store, listener=listener, told=told, observer=observer, make=parts.connect
        )
        await chain.follow(stop, poll_s=settings.poll_s)
    except CONFIGURATION:
        raise
    except (ChainError, StoreError) as error:
        watch.stopped(chain_id, error)
        parts.log.critical("following_ended", chain=chain_id, kind=type(error).__name__, error=str(error))


@asynccontextmanager
async def _ticking(parts: Parts) -> AsyncIterator[None]:
    """Make the snapshots that are due, at once and then twice a minute."""
    if parts.settings.snapshot.schedule is None:
        yield
        return
    with _ringing(partial(asyncio.to_thread, parts.desk.make_due_snapshots), "snapshot_failed", parts.log):
        yield


@asynccontextmanager
async def _auditing(parts: Parts) -> AsyncIterator[None]:
    """Compare with the venues' own contracts what is due to be, and tell of every difference."""
    if parts.settings.audit.schedule is None:
        yield
        return

    async def audit() -> None:
        done = await asyncio.to_thread(parts.desk.audit_due_parity)
        if done is not None:
            _tell(done, parts.log)

    with _ringing(audit, "audit_failed", parts.log):
        yield


def _tell(audited: Document, log: Logger) -> None:
    for venue in audited["venues"]:
        log.info("parity_checked", **venue)
    for skipped in audited["skipped"]:
        log.warning("audit_skipped", **skipped)
    for difference in audited["differences"]:
        log.critical("parity_differs", **difference)
    for total in audited["residuals"]:
        if total["outcome"] == Outcome.DIFFERENT:
            log.critical("total_differs", **total)
    for holding in audited["shortfalls"]:
        grave = holding["gravity"] == Gravity.GRAVE
        (log.critical if grave else log.warning)("venue_short", **holding)


@contextmanager
def _ringing(work: Callable[[], Awaitable[None]], failed: str, log: Logger) -> Iterator[None]:
    """Do some work at once and then twice a minute; what fails is tried again at the next time."""

    async def tick() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.warning(failed, kind=type(error).__name__, error=str(error))

    clock = AlarmClock(tick, TICK_S)
    clock.start()
    try:
        yield
    finally:
        clock.stop()
