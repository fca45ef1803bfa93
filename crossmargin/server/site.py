"""Opening and closing the HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from crossmargin.desk import Desk
from crossmargin.errors import UsageError
from crossmargin.logs import Logger
from crossmargin.redaction import Redactor
from crossmargin.server.metrics import Metrics
from crossmargin.server.middleware import is_loopback, surroundings
from crossmargin.server.routes import LONGEST_QUERY, Routes
from crossmargin.settings import ServerSettings

GRACE_S = 5.0
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - these are recognised, not bound


def check_host(server: ServerSettings) -> None:
    """Refuse a host that other machines reach, unless that is meant; raises `UsageError`."""
    if not server.public and not is_loopback(server.host):
        raise UsageError(
            f"other machines can reach {server.host}, and there are no API keys yet: anybody there could read "
            "every account. Serve on 127.0.0.1 behind a proxy that checks who asks, or allow it with "
            "--public (public = true in [server])"
        )


@asynccontextmanager
async def serving(
    desk: Desk, server: ServerSettings, *, metrics: Metrics, token: str, redactor: Redactor, log: Logger
) -> AsyncIterator[str]:
    """Serve while the context is open; gives the address by which this machine reaches it.

    Raises `UsageError` and `OSError`.
    """
    check_host(server)
    surround = surroundings(metrics, redactor, log, public=server.public)
    app = web.Application(middlewares=[surround], client_max_size=LONGEST_QUERY)
    app.add_routes(Routes(desk, metrics, token).table())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, server.host, server.port).start()
        yield _address(server.host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _address(host: str, port: int) -> str:
    shown = WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
