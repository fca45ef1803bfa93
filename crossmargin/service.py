"""The service: HTTP over one store, and in `run` also the followers of every chain and the scheduled snapshots."""

from __future__ import annotations

import asyncio
import os
import secrets
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, field
from functools import partial
from time import time

from aggregator.margin.floor import Gravity
from chains.errors import ChainError
from chains.ports import Observer, Outcome
from chains.redaction import Redactor
from crossmargin.alerts import Alerts
from crossmargin.app import Connect, connect, restater
from crossmargin.archive import Archive
from crossmargin.book_keeper import BookKeeper
from crossmargin.documents import Document
from crossmargin.failures import CONFIGURATION
from crossmargin.from_lake import Following, LakeDesk
from crossmargin.lists import Lists
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import Logger
from crossmargin.mirror.beacon import Beacon
from crossmargin.mirror.follower import Mirror
from crossmargin.mirror.source import Source
from crossmargin.pauses import short_pauses
from crossmargin.restating import LogRestating
from crossmargin.schedule import AlarmClock
from crossmargin.server.metrics import Metrics
from crossmargin.server.site import Kit, check_keys, serving
from crossmargin.service_file import Service, announced
from crossmargin.settings import ChainSettings, Settings
from crossmargin.sql.guard import Guard, Limits
from crossmargin.supervisor import Supervisor
from crossmargin.telling import Teller
from crossmargin.tracing import Tracing, Untraced
from crossmargin.watch import Listeners, LogListener, Watch
from crossmargin.webhooks.courier import Courier
from indexer.loop import Listener
from indexer.store import Store, StoreError

TICK_S = 30
LAKE_TICK_S = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1, 300
"""How long a chain waits after a fault that nobody foresaw; each time twice as long."""

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a service is made of; with a `watch` it follows its chains, without one it serves what is stored.

    `connect` makes each chain, here or in a process of its own. With `following` it serves a lake.
    """

    settings: Settings
    store: Store
    desk: LocalDesk
    watch: Watch | None
    redactor: Redactor
    log: Logger
    connect: Connect = connect
    tracing: Tracing = field(default_factory=Untraced)
    following: Following | None = None


@asynccontextmanager
async def running_service(parts: Parts, *listeners: Listener) -> AsyncIterator[str]:
    """Run the service within the context; gives its address.

    Raises what no retry mends and the configuration must: `WrongChain`, `NoContract`, `Unsupported`. A follower that ends
    for any other reason leaves the others running; its chain is not believed any more, or until it went on where nobody foresaw the reason.
    """
    metrics = Metrics(chain.spec.id for chain in parts.settings.chains)
    async with AsyncExitStack() as stack:
        check_keys(parts.settings.server, has_keys=parts.desk.keys.any_active())
        token = secrets.token_urlsafe(TOKEN_BYTES)
        settings = parts.settings
        guard, beacon = stack.enter_context(_guarding(parts)), Beacon()
        url = await stack.enter_async_context(
            serving(
                parts.desk,
                settings.server,
                _kit(parts, metrics, token, guard, beacon),
            )
        )
        stack.enter_context(announced(settings.store, Service(pid=os.getpid(), url=url, token=token)))
        teller = Teller(parts.store, parts.desk.take_book, settings.events, time)
        keeper = BookKeeper(parts.tracing.noted("book", teller.take), metrics.book.observe, parts.log)
        await stack.enter_async_context(keeper.keeping())
        await stack.enter_async_context(_courier(parts, metrics).at_work())
        if parts.following is not None:
            stack.enter_context(_taking(parts, parts.following))
        if parts.watch is not None:
            told = Listeners(metrics, LogListener(parts.log), keeper, beacon, *parts.tracing.listeners, *listeners)
            await stack.enter_async_context(_followers(parts, parts.watch, told, metrics))
            await stack.enter_async_context(_ticking(parts))
            await stack.enter_async_context(_auditing(parts))
            stack.enter_context(_checking(parts))
            stack.enter_context(_publishing(parts))
            stack.enter_context(_filling_lake(parts))
            stack.enter_context(_risking(parts))
        parts.log.info("serving", url=url, following=parts.watch is not None)
        yield url


def _courier(parts: Parts, metrics: Metrics) -> Courier:
    keep_s = parts.settings.events.keep_s
    return Courier(parts.store, parts.desk.webhook_register, metrics.webhooks, parts.log, clock=time, keep_s=keep_s)


def _kit(parts: Parts, metrics: Metrics, token: str, guard: Guard, beacon: Beacon) -> Kit:
    return Kit(
        metrics=metrics,
        token=token,
        lookup=parts.desk.keys.lookup,
        redactor=parts.redactor,
        log=parts.log,
        lists=Lists(parts.settings, parts.store, parts.desk),
        store=parts.store,
        watch=parts.watch,
        guard=guard,
        archive=Archive(parts.settings.snapshot.folder, parts.desk.sql),
        anonymous_sql=parts.settings.sql.anonymous,
        alerts=Alerts(parts.settings, parts.store, parts.desk, parts.watch),
        events=parts.settings.events,
        trust=parts.settings.trust,
        tracing=parts.tracing,
        source=None if parts.watch is None else Source(parts.store, parts.watch, beacon, time),
        lake=parts.desk if isinstance(parts.desk, LakeDesk) else None,
    )


async def serve_until(parts: Parts, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Run the service until `stop` is set."""
    with short_pauses():
        await _serve(parts, stop, ready)


async def _serve(parts: Parts, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    async with running_service(parts) as url, Supervisor().watching(f"serving on {url}"):
        ready(url)
        await stop.wait()
        parts.log.info("stopping")


@asynccontextmanager
async def _followers(parts: Parts, watch: Watch, listener: Listener, metrics: Metrics) -> AsyncIterator[None]:
    """Follow every chain; they end at a step's end."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for chain in parts.settings.chains:
            if chain.indexer is not None:
                take = partial(Mirror(chain, parts.store, watch, listener, time).follow, stop)
            else:
                told, observer = Listeners(watch, listener), metrics.nodes.of(chain.spec.id)
                take = partial(_take, parts, chain, listener=told, stop=stop, observer=observer)
            group.create_task(_follow(parts, chain.spec.id, take, watch=watch, metrics=metrics, stop=stop))
        try:
            yield
        finally:
            stop.set()


async def _follow(
    parts: Parts,
    chain_id: str,
    take: Callable[[], Awaitable[None]],
    *,
    watch: Watch,
    metrics: Metrics,
    stop: asyncio.Event,
) -> None:
    """Follow one chain, and begin again after a fault that nobody foresaw: it is this chain's, and the others go on."""
    breaks = 0
    while not stop.is_set():
        try:
            await take()
        except CONFIGURATION:
            raise
        except (ChainError, StoreError) as error:
            watch.stopped(chain_id, error)
            parts.log.critical("following_ended", chain=chain_id, kind=type(error).__name__, error=str(error))
            return
        except Exception as error:  # noqa: BLE001 - a fault of this program; whatever it is, only this chain has it
            breaks = breaks + 1 if watch.sight(chain_id).broken else 1
            pause = min(FIRST_PAUSE_S * 2 ** (breaks - 1), LONGEST_PAUSE_S)
            watch.broke(chain_id, error)
            metrics.broke(chain_id)
            where = traceback.format_exc()
            parts.log.critical(
                "following_broke", chain=chain_id, kind=type(error).__name__, error=str(error), retry_in=pause
            )
            parts.log.debug("following_broke_at", chain=chain_id, where=where)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
        else:
            return


async def _take(
    parts: Parts, settings: ChainSettings, *, listener: Listener, stop: asyncio.Event, observer: Observer
) -> None:
    told = LogRestating(parts.log)
    chain_id = settings.spec.id
    chain = restater(
        parts.settings, chain_id, parts.store, listener=listener, told=told, observer=observer, make=parts.connect
    )
    await chain.follow(stop, poll_s=settings.poll_s)


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


def _risking(parts: Parts) -> AbstractContextManager[None]:
    """Take the book through scenarios, prices and paths, where that is due."""

    async def run() -> None:
        done = await asyncio.to_thread(parts.desk.run_due_risk)
        if done is not None:
            parts.log.info("risk_run", **{name: done[name] for name in ("run", "scenarios", "accounts", "units")})

    return _ringing(run, "risk_run_failed", parts.log)


def _checking(parts: Parts) -> AbstractContextManager[None]:
    """Ask contract wallets again whether their signatures hold, where it is due to."""
    return _ringing(partial(asyncio.to_thread, parts.desk.check_due_memberships), "membership_unchecked", parts.log)


@contextmanager
def _guarding(parts: Parts) -> Iterator[Guard]:
    """Answer SQL of strangers over what is published, until the service ends."""
    said = parts.settings.sql
    limits = Limits(timeout_s=said.timeout_s, rows=said.rows, bytes=said.bytes, workers=said.workers)
    guard = Guard(parts.settings.publish.folder, limits, parts.log)
    try:
        yield guard
    finally:
        guard.close()


def _publishing(parts: Parts) -> AbstractContextManager[None]:
    """Publish what is final, where that is due."""

    async def publish() -> None:
        done = await asyncio.to_thread(parts.desk.publish_due)
        if done is not None:
            parts.log.info("published", **done)

    return _ringing(publish, "publish_failed", parts.log)


def _filling_lake(parts: Parts) -> AbstractContextManager[None]:
    """Put the parts that are due into the lake, where one is configured."""
    if parts.settings.lake is None:
        return nullcontext()

    async def publish() -> None:
        for part in (await asyncio.to_thread(parts.desk.publish_parts))["parts"]:
            parts.log.info("part_published", **part)

    return _ringing(publish, "part_failed", parts.log)


def _taking(parts: Parts, following: Following) -> AbstractContextManager[None]:
    """Take over the newest set of the lake that is served, where there is a newer one."""

    async def take() -> None:
        made = await asyncio.to_thread(following.follow)
        if made is not None:
            parts.log.info("set_taken", set=made.id)

    return _ringing(take, "set_not_taken", parts.log, seconds=LAKE_TICK_S)


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
def _ringing(work: Callable[[], Awaitable[None]], failed: str, log: Logger, *, seconds: int = TICK_S) -> Iterator[None]:
    """Do some work at once and then every so many seconds; what fails is tried again at the next time."""

    async def tick() -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the next tick tries again
            log.warning(failed, kind=type(error).__name__, error=str(error))

    clock = AlarmClock(tick, seconds)
    clock.start()
    try:
        yield
    finally:
        clock.stop()
