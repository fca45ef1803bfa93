"""Telling the supervisor that started the service how it is: systemd's protocol of datagrams (`sd_notify`), and nothing without one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
ABSTRACT = "@"
READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"
PER_SECOND = 1_000_000


class Supervisor:
    """Speaks to the socket that `environment` names; whoever does not listen is not waited for."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get(SOCKET, "")
        period = environment.get(WATCHDOG, "")
        self._period_s = int(period) / PER_SECOND if period.isdecimal() and int(period) > 0 else None

    @asynccontextmanager
    async def watching(self, status: str) -> AsyncIterator[None]:
        """Say that the service is ready, that it lives for as long as its event loop turns, and then that it stops."""
        self._say(f"{READY}\nSTATUS={status}")
        pulse = (
            None if self._period_s is None or not self._address else asyncio.ensure_future(self._beat(self._period_s))
        )
        try:
            yield
        finally:
            if pulse is not None:
                pulse.cancel()
                await asyncio.gather(pulse, return_exceptions=True)
            self._say(STOPPING)

    async def _beat(self, period_s: float) -> None:
        while True:
            self._say(ALIVE)
            await asyncio.sleep(period_s / 2)

    def _say(self, state: str) -> None:
        if not self._address:
            return
        address = self._address.replace(ABSTRACT, "\0", 1) if self._address.startswith(ABSTRACT) else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)
            out.sendto(state.encode(), address)
