"""What a supervisor hears, on a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossmargin.supervisor import Supervisor


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(0)
        yield ear


def words(ear: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found.append(ear.recv(4096).decode())
        except BlockingIOError:
            return found


async def test_it_hears_ready_alive_and_stopping(heard: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(heard.getsockname()), "WATCHDOG_USEC": "2000"})

    async with supervisor.watching("serving on somewhere"):
        said = words(heard)
        while said.count("WATCHDOG=1") < 3:
            await asyncio.sleep(0.001)
            said += words(heard)

    assert said[0] == "READY=1\nSTATUS=serving on somewhere"
    assert words(heard)[-1] == "STOPPING=1"


async def test_a_loop_that_stands_still_is_not_alive(heard: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": str(heard.getsockname()), "WATCHDOG_USEC": "2000"})

    async with supervisor.watching(""):
        words(heard)
        assert words(heard) == []  # nothing turns between the two


async def test_an_abstract_address_is_spoken_to(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0crossmargin-{tmp_path.name}")
        ear.settimeout(0)
        async with Supervisor({"NOTIFY_SOCKET": f"@crossmargin-{tmp_path.name}"}).watching(""):
            pass
        assert words(ear) == ["READY=1\nSTATUS=", "STOPPING=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere"}, {"WATCHDOG_USEC": "1000"}])
async def test_without_a_supervisor_nothing_happens(environment: dict[str, str]) -> None:
    async with Supervisor(environment).watching("serving"):
        await asyncio.sleep(0)
