"""Opening and closing the HTTP server."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from time import monotonic

from aiohttp import web

from aggregator.audit.message_verifier import Trust
from chains.redaction import Redactor
from crossmargin.alerts import Alerts
from crossmargin.archive import Archive
from crossmargin.desk import Desk
from crossmargin.errors import NotServed, UsageError
from crossmargin.from_lake import ANSWERED, LakeDesk
from crossmargin.haircut_history import HaircutHistory
from crossmargin.lists import Lists
from crossmargin.logs import Logger
from crossmargin.mirror.source import Source
from crossmargin.server.access import Access, Lookup
from crossmargin.server.answering import OWN_TAG, handler_of, refuse_elsewhere
from crossmargin.server.books import Books
from crossmargin.server.current import Current
from crossmargin.server.cursors import Cursors
from crossmargin.server.house import House
from crossmargin.server.idempotency import Replies
from crossmargin.server.metrics import Metrics
from crossmargin.server.middleware import Surroundings, is_loopback, surrounded
from crossmargin.server.openapi import document_of
from crossmargin.server.parser_log import logger
from crossmargin.server.quick import Quick, Shortcut
from crossmargin.server.quota import Quotas
from crossmargin.server.rooms import routes
from crossmargin.server.route import SMALL_BODY, Route
from crossmargin.server.stream.hub import Hub, Streams
from crossmargin.server.workers import Workers
from crossmargin.settings import EventSettings, ServerSettings
from crossmargin.sql.guard import Guard
from crossmargin.tracing import Tracing
from crossmargin.verification import Verification
from crossmargin.watch import Watch
from indexer.store import Store

GRACE_S = 5.0
CURSOR_SECRET_BYTES = 32
SHARED_SECRET = b"a list that one reader of a lake began, another goes on with"
"""No secret: any reader must go on with a list, and a place in it gives nobody more than he may ask for anyway."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - these are recognised, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What a server is made of besides its desk; `token` is the owner's, `lookup` knows the keys of others.

    `trust`: whose signatures of prices and messages count where snapshots are verified.
    """

    metrics: Metrics
    token: str
    lookup: Lookup
    redactor: Redactor
    log: Logger
    lists: Lists
    store: Store
    watch: Watch | None
    guard: Guard
    archive: Archive
    anonymous_sql: bool
    alerts: Alerts
    events: EventSettings
    trust: Trust
    tracing: Tracing
    source: Source | None = None
    lake: LakeDesk | None = None


REFUSED = {
    errno.EADDRINUSE: "it is taken by another process",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
    errno.EACCES: "this user may not take ports below 1024",
}
"""Why a system refuses an address, by its number."""


def check_host(server: ServerSettings) -> None:
    """Refuse a host that other machines reach, unless that is meant; raises `UsageError`."""
    if not server.public and not is_loopback(server.host):
        where = server.host or "every address of this machine"
        raise UsageError(
            f"other machines can reach {where}; serve on 127.0.0.1 behind a proxy, or say that it is meant with "
            "--public (public = true in [server]): then whoever asks needs a key (`crossmargin keys api create`)"
        )


def check_keys(server: ServerSettings, *, has_keys: bool) -> None:
    """Refuse to be public where nobody could ask, or everybody; raises `UsageError`."""
    if server.public and not server.anonymous and not has_keys:
        raise UsageError(
            "there is no API key yet, and a public service answers to keys only: make one with `crossmargin keys api create`, "
            "or let anybody read who reaches it with anonymous = true in [server]"
        )


@asynccontextmanager
async def serving(desk: Desk, server: ServerSettings, kit: Kit) -> AsyncIterator[str]:
    """Serve while the context is open; gives the address by which this machine reaches it.

    Raises `UsageError` and `NotServed`.
    """
    check_host(server)
    with _workers() as workers:
        anonymous = server.anonymous or not server.public
        around, house = _around(server, kit, anonymous=anonymous), _house(kit, workers, anonymous=anonymous)
        app = _application(desk, around, house)

        async def let_go(app: web.Application) -> None:
            house.verification.close()
            if house.source is not None:
                house.source.close()
            await house.streams.drain(app)

        app.on_shutdown.append(let_go)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
        await runner.setup()
        await house.streams.begin()
        shortcut = Shortcut(house.current, around, kit.lists.desk.courtesy)
        try:
            protocol = partial(_protocol, shortcut, logger(kit.metrics, kit.log))
            async with _listening(partial(protocol, _manager(runner)), server) as port:
                yield _address(server.host, port)
        finally:
            await runner.cleanup()


def _manager(runner: web.AppRunner) -> web.Server:
    manager = runner.server
    if manager is None:
        raise RuntimeError("the runner is not set up")
    return manager


@asynccontextmanager
async def _listening(protocol: Callable[[], Quick], server: ServerSettings) -> AsyncIterator[int]:
    """Accept connections while the context is open; gives the port. Those that are open at its end are the runner's to close."""
    try:
        listener = await asyncio.get_running_loop().create_server(protocol, server.host, server.port)
    except OSError as error:
        why = (
            "no address of that name is known" if isinstance(error, socket.gaierror) else REFUSED.get(error.errno or 0)
        )
        raise NotServed(
            f"{server.host}, port {server.port}, cannot be served on: {why or error.strerror or error}; "
            "name another port with --port (0: any free one), or another host with --host"
        ) from error
    try:
        yield int(listener.sockets[0].getsockname()[1])
    finally:
        listener.close()


def _protocol(shortcut: Shortcut, log: logging.Logger, manager: web.Server) -> Quick:
    return Quick(manager, shortcut, loop=asyncio.get_running_loop(), access_log=None, logger=log)


def _house(kit: Kit, workers: Workers, *, anonymous: bool) -> House:
    found = [route for route in routes() if kit.lake is None or is_answered(route)]
    return House(
        metrics=kit.metrics,
        cursors=Cursors(secrets.token_bytes(CURSOR_SECRET_BYTES) if kit.lake is None else SHARED_SECRET),
        routes=found,
        openapi=cache(partial(document_of, found, anonymous=anonymous, of_lake=kit.lake is not None)),
        lists=kit.lists,
        current=Current(kit.lists.desk, kit.store, kit.watch, workers, monotonic),
        workers=workers,
        guard=kit.guard,
        archive=kit.archive,
        streams=Streams(Hub(kit.store, workers, kit.metrics.streams, kit.log), kit.events, kit.lists.check_names),
        anonymous_sql=kit.anonymous_sql,
        books=Books(kit.lists.desk),
        alerts=kit.alerts,
        haircuts=HaircutHistory(kit.lists.desk),
        verification=Verification(trust=kit.trust),
        source=kit.source,
        lake=kit.lake,
    )


def is_answered(route: Route) -> bool:
    """Whether a reader of a lake answers a route."""
    return route.tag == OWN_TAG or (route.name in ANSWERED and not route.path.startswith("/ui"))


def _around(server: ServerSettings, kit: Kit, *, anonymous: bool) -> Surroundings:
    return Surroundings(
        metrics=kit.metrics,
        redactor=kit.redactor,
        log=kit.log,
        access=Access(kit.token, kit.lookup, anonymous=anonymous),
        quotas=Quotas(monotonic),
        origins=frozenset(server.origins),
        public=server.public,
        tracing=kit.tracing,
    )


def _application(desk: Desk, around: Surroundings, house: House) -> web.Application:
    app, replies = web.Application(middlewares=[surrounded(around)], client_max_size=SMALL_BODY), Replies(monotonic)
    answered = {(route.method, route.path) for route in house.routes}
    for route in routes():
        known = (route.method, route.path) in answered
        answer = handler_of(route, desk, house, replies) if known else refuse_elsewhere
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, route.path, answer)
    return app


@contextmanager
def _workers() -> Iterator[Workers]:
    workers = Workers()
    try:
        yield workers
    finally:
        workers.close()


def _address(host: str, port: int) -> str:
    shown = WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
