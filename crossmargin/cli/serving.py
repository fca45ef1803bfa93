"""`run` and `serve`: the service in the foreground."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from time import time

from crossmargin.app import Connect, connect, connect_apart, must_exist, opened, policy_of
from crossmargin.cli.context import Context
from crossmargin.cli.desks import SUPERSEDED, SUPERSEDED_TOLD
from crossmargin.cli.output import write_json
from crossmargin.cli.tasks import run as started
from crossmargin.cli.tasks import until_interrupted
from crossmargin.errors import UsageError
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import Logger, logger
from crossmargin.outdated import outdated
from crossmargin.redaction import Redactor
from crossmargin.server.site import check_host
from crossmargin.service import Parts, serve_until
from crossmargin.settings import ServerSettings, Settings
from crossmargin.starts import found, stored
from crossmargin.traces import Traces
from crossmargin.watch import Watch

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
DISABLED = "OTEL_SDK_DISABLED"


def run(
    context: Context, *, host: str | None, port: int | None, public: bool, anonymous: bool, one_process: bool
) -> None:
    """Follow, make snapshots and serve until interrupted."""
    settings = _settings(context, host, port, public=public, anonymous=anonymous)
    _serve(context, settings, connect if one_process else connect_apart)


def serve(context: Context, *, host: str | None, port: int | None, public: bool, anonymous: bool) -> None:
    """Serve what is stored until interrupted."""
    _serve(context, _settings(context, host, port, public=public, anonymous=anonymous), None)


def _serve(context: Context, settings: Settings, follow: Connect | None) -> None:
    policy = policy_of(settings)
    if follow is None:
        must_exist(settings)
    settings = stored(settings, writes=True) if follow is None else started(found(settings))
    watch = Watch(settings.chains, time) if follow is not None else None
    log = logger(context.redactor, as_json=context.log_json, quiet=context.quiet, verbosity=context.verbosity)
    traces = traces_of(os.environ, context.redactor, log)
    with opened(settings) as store, ExitStack() as ending:
        if traces is not None:
            ending.callback(traces.close)
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
            traces=traces,
        )
        asyncio.run(_until_interrupted(context, parts))


def traces_of(environment: Mapping[str, str], redactor: Redactor, log: Logger) -> Traces | None:
    """Make what sends traces, `None` where the environment names nobody who takes them; raises `UsageError`."""
    wanted = next((name for name in ENDPOINTS if environment.get(name)), None)
    if wanted is None or environment.get(DISABLED, "").lower() == "true":
        return None
    try:
        from crossmargin.otel import OpenTelemetry
    except ModuleNotFoundError as error:
        raise UsageError(f"{wanted} is set, and traces need the extra otel: pip install 'crossmargin[otel]'") from error
    return OpenTelemetry(redactor, log)


async def _until_interrupted(context: Context, parts: Parts) -> None:
    stop = asyncio.Event()
    until_interrupted(stop)
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
