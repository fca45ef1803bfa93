"""`run` and `serve`: the service in the foreground."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from crossmargin import lakes
from crossmargin.app import Connect, connect, connect_apart, must_exist, opened, policy_of, unlocked
from crossmargin.cli.context import Context
from crossmargin.cli.desks import SUPERSEDED, SUPERSEDED_TOLD
from crossmargin.cli.output import write_json
from crossmargin.cli.tasks import run as started
from crossmargin.cli.tasks import until_interrupted
from crossmargin.from_lake import Following, begun, lake_at, reader_settings, without_unfilled
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import logger, noting
from crossmargin.outdated import outdated
from crossmargin.server.site import check_host
from crossmargin.service import Parts, serve_until
from crossmargin.settings import ServerSettings, Settings
from crossmargin.starts import found, stored
from crossmargin.tracing import tracing_of
from crossmargin.watch import Watch
from indexer.lake import Lake
from indexer.publish import Publisher


def run(
    context: Context, *, host: str | None, port: int | None, public: bool, anonymous: bool, one_process: bool
) -> None:
    """Follow, make snapshots and serve until interrupted."""
    settings = _settings(context, host, port, public=public, anonymous=anonymous)
    _serve(context, settings, connect if one_process else connect_apart)


def serve(
    context: Context, *, host: str | None, port: int | None, public: bool, anonymous: bool, lake: str | None
) -> None:
    """Serve what is stored, or what a lake holds, until interrupted."""
    settings = _settings(context, host, port, public=public, anonymous=anonymous)
    if lake is None:
        _serve(context, settings, None)
        return
    with TemporaryDirectory(prefix="crossmargin-") as folder:
        _serve_lake(context, reader_settings(settings, lake_at(settings, lake), Path(folder)))


def _serve_lake(context: Context, settings: Settings) -> None:
    """Serve the newest set of a lake out of a store that is gone afterwards."""
    said = lakes.lake_settings(settings)
    log = logger(context.redactor, as_json=context.log_json, quiet=context.quiet, verbosity=context.verbosity)
    with noting(log), unlocked(settings) as store, closing(tracing_of(os.environ, log)) as tracing:
        without_unfilled(store)
        publisher = Publisher(settings.publish.folder)
        following = Following(Lake.at(said.url), store, publisher, said, time)
        settings, desk = begun(settings, said, store, following)
        if desk.begin_policy(accept=context.accept_policy) == SUPERSEDED:
            log.warning("policy_superseded", detail=SUPERSEDED_TOLD)
        following.revalued = desk.take_revaluation
        following.revalued()
        following.publish()
        parts = Parts(
            settings=settings,
            store=store,
            desk=desk,
            watch=None,
            redactor=context.redactor,
            log=log,
            following=following,
            tracing=tracing,
        )
        asyncio.run(_until_interrupted(context, parts))


def _serve(context: Context, settings: Settings, follow: Connect | None) -> None:
    policy = policy_of(settings)
    if follow is None:
        must_exist(settings)
    settings = stored(settings, writes=True) if follow is None else started(found(settings))
    watch = Watch(settings.chains, time) if follow is not None else None
    log = logger(context.redactor, as_json=context.log_json, quiet=context.quiet, verbosity=context.verbosity)
    with noting(log), opened(settings) as store, closing(tracing_of(os.environ, log)) as tracing:
        desk = LocalDesk(settings, store, policy, watch=watch)
        if desk.begin_policy(accept=context.accept_policy) == SUPERSEDED:
            log.warning("policy_superseded", detail=SUPERSEDED_TOLD)
        with store.reading() as reader:
            for each in outdated(reader, settings.venues, settings.feeds):
                log.critical("store_outdated", chain=each.chain_id, venue=each.venue_id, detail=each.sentence)
        parts = Parts(
            settings=settings,
            store=store,
            desk=desk,
            watch=watch,
            redactor=context.redactor,
            log=log,
            connect=follow or connect,
            tracing=tracing,
        )
        asyncio.run(_until_interrupted(context, parts))


async def _until_interrupted(context: Context, parts: Parts) -> None:
    with until_interrupted() as stop:
        await serve_until(parts, stop, lambda url: announce(context, url))


def announce(context: Context, url: str) -> None:
    """Say on stdout where the service is, for people and for scripts that asked for port 0."""
    if context.json:
        write_json({"url": url})
    else:
        context.stdout().print(f"serving on {url}", soft_wrap=True)


def _settings(context: Context, host: str | None, port: int | None, *, public: bool, anonymous: bool) -> Settings:
    """The configuration with the command's own host and port; refuses a host that strangers reach before anything starts."""
    settings = context.settings()
    given = settings.server
    server = ServerSettings(
        host=host if host is not None else given.host,
        port=port if port is not None else given.port,
        public=public or given.public,
        anonymous=anonymous or given.anonymous,
        origins=given.origins,
    )
    check_host(server)
    return replace(settings, server=server)
