"""A fault of the program in one chain's follower is that chain's: the others go on, and it is taken up again."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chains.ports import Chain, Observer
from chains.redaction import Redactor
from crossmargin import service
from crossmargin.app import connect
from crossmargin.demo.recorded import shipped
from crossmargin.demo.stage import Stage, staged
from crossmargin.logs import logger
from crossmargin.service import Parts, running_service
from crossmargin.settings import ServerSettings, Settings
from indexer.lacking import Configured

BREAKS = 2
GIVE_UP_S = 60


class Faulty:
    """Makes chains, but one of them breaks a few times, in a way that no error type speaks of."""

    def __init__(self, chain_id: str, breaks: int) -> None:
        self.chain_id, self.left = chain_id, breaks

    def __call__(
        self, settings: Settings, chain_id: str, observer: Observer | None = None, part: Configured | None = None
    ) -> Chain:
        if chain_id == self.chain_id and self.left:
            self.left -= 1
            raise KeyError("a table that nobody thought of")
        return connect(settings, chain_id, observer, part)


@pytest.mark.parametrize("breaks", [BREAKS, 10**9])
async def test_a_fault_in_one_chain_ends_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: int) -> None:
    monkeypatch.setattr(service, "FIRST_PAUSE_S", 0.05)
    server = ServerSettings(host="127.0.0.1", port=0, public=False)
    async with staged(tmp_path, shipped(), server) as stage:
        broken, *others = (chain.spec.id for chain in stage.settings.chains)
        parts = parts_of(stage, Faulty(broken, breaks))
        async with running_service(parts) as url:
            await until(lambda: all(state(stage, chain_id) == "following" for chain_id in others))
            if breaks > BREAKS:
                await until(lambda: state(stage, broken) == "broken")
                said = chain(stage, broken)
                assert said["fault"] == "unexpected KeyError: 'a table that nobody thought of'"
                assert said["reason"]["code"] == "chain_broken"
            else:
                await until(lambda: state(stage, broken) == "following")
                assert chain(stage, broken)["fault"] is None
            assert await counted(url, broken) >= min(breaks, BREAKS)
            assert [await counted(url, chain_id) for chain_id in others] == [0] * len(others)


def parts_of(stage: Stage, faulty: Faulty) -> Parts:
    return Parts(
        settings=stage.settings,
        store=stage.store,
        desk=stage.desk,
        watch=stage.watch,
        redactor=Redactor(),
        log=logger(Redactor(), quiet=True),
        connect=faulty,
    )


def chain(stage: Stage, chain_id: str) -> dict[str, Any]:
    return next(each for each in stage.desk.status()["chains"] if each["chain"] == chain_id)


def state(stage: Stage, chain_id: str) -> str:
    return str(chain(stage, chain_id)["state"])


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while not reached():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.05)


async def counted(url: str, chain_id: str) -> float:
    def ask() -> str:
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:  # noqa: S310 - our own loopback address
            return str(reply.read(), "utf-8")

    name = f'crossmargin_follower_breaks_total{{chain="{chain_id}"}} '
    lines = (await asyncio.to_thread(ask)).splitlines()
    return float(next(line for line in lines if line.startswith(name)).removeprefix(name))
