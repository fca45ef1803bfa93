"""How quickly the service answers while history comes in: `python -m bench.under_load [LOGS]`.

Chains read in the serving process, and by processes of their own, in turn: one client asks for the health of accounts, one question
after the other, until all of a generated chain is stored.
"""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import aiohttp

from bench.sync import measured, ours, sources
from bench.sync.machine import described
from bench.sync.task import Task

CACHE = Path(__file__).parents[1] / ".bench"
PAUSE_S = 0.005
ROUTES = ("/healthz", "/v1/accounts/{account}/health")


def main(words: Sequence[str] = ()) -> None:
    logs = int(words[0]) if words else 1_000_000
    print(described())
    folder = sources.generated(CACHE, "escrow", seed=1, logs=logs, logs_per_block=100)
    with sources.served(folder, frozenset(os.sched_getaffinity(0))) as task:
        for options in ((), ("--one-process",), (), ("--one-process",)):
            with tempfile.TemporaryDirectory() as place:
                print(f"run {' '.join(options) or '(processes of their own)'}")
                measure(task, Path(place), options)


def measure(task: Task, place: Path, options: Sequence[str]) -> None:
    (place / "crossmargin.toml").write_text(ours.configuration(task), encoding="utf-8")
    with service(place, options) as url:
        took_s, seconds = asyncio.run(asked(url, task))
    print(f"  {task.logs:,} logs in {took_s:.1f} s: {task.logs / took_s:,.0f} logs/s")
    for route, each in seconds.items():
        print(f"  {route}: {told(each)}")


async def asked(url: str, task: Task) -> tuple[float, dict[str, list[float]]]:
    """Ask until the chain is stored; returns how long that took, and the seconds of every answer."""
    with (task.book / "balances.csv").open(newline="") as stream:
        accounts = [row["account"] for row in csv.DictReader(stream)][::100]
    seconds: dict[str, list[float]] = {route: [] for route in ROUTES}
    began = looked = monotonic()
    async with aiohttp.ClientSession(url) as session:
        for turn in range(10**9):
            for route in ROUTES:
                path = route.format(account=f"eip155:{task.chain_id}:{accounts[turn % len(accounts)]}")
                seconds[route].append(await one(session, path))
            if monotonic() - looked > 0.5:
                looked = monotonic()
                async with session.get("/v1/status") as answer:
                    indexed = (await answer.json())["chains"][0]["indexed"]
                if indexed is not None and indexed["block"] >= task.head:
                    break
            await asyncio.sleep(PAUSE_S)
    return monotonic() - began, seconds


async def one(session: aiohttp.ClientSession, path: str) -> float:
    began = monotonic()
    async with session.get(path) as answer:
        await answer.read()
    return monotonic() - began


def told(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    at = {share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99)}
    return f"{len(ordered):,} answers, p50 {at[0.5]:.1f} ms, p99 {at[0.99]:.1f} ms, slowest {ordered[-1] * 1000:.0f} ms"


@contextmanager
def service(place: Path, options: Sequence[str]) -> Iterator[str]:
    """`crossmargin run` in a folder; gives its address."""
    command = [ours.COMMAND, "run", "--port", "0", *options]
    environment = measured.surroundings() | {"PYTHONUNBUFFERED": "1"}
    log = (place / "log").open("w")
    with (
        log,
        subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("serving on ").strip()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
