"""How fast health is answered: `python -m bench api`, or `python -m bench.api rest followed backfill batch`, some of them.

A bare aiohttp handler that answers the same bytes is asked in turns with the service, by `wrk` (a Debian package) over 32 connections: as
often as they can, and `paced`, where each rests for a moment after each answer, so that the machine is not full.

`rest`: `crossmargin serve` over the demonstration's store. `followed`: `crossmargin run` over a local node that makes a block a second,
each moving what 1,000 accounts hold. `backfill`: the same while a generated chain is stored. `batch`: 1,000 different accounts of a
generated market at once, before anybody was judged and when all are in memory.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from time import monotonic, perf_counter, sleep
from urllib.parse import urlsplit

from bench.latency import Vault, configuration, vault_on_a_node
from bench.sync import ours, sources
from bench.sync.escrow_chain import CHAIN_ID
from bench.sync.machine import described
from bench.under_load import service

COMMAND = str(Path(sys.executable).with_name("crossmargin"))
CONNECTIONS, SECONDS, ROUNDS = 32, 5, 3
BATCH = 1_000
STRETCHED = "/v1/accounts/stretched/health"
CACHE = Path(__file__).parents[1] / ".bench"
BACKFILLED, MARKET_LOGS = 1_000_000, 100_000
REST_MS = 1
WARM_S = 1
PACED = f"function delay() return {REST_MS} end"
BARE = """
import asyncio, sys
from aiohttp import web
body = open(sys.argv[1], "rb").read()
async def answer(request): return web.Response(body=body, content_type="application/json")
async def main():
    app = web.Application()
    app.router.add_get("/v1/accounts/{id}/health", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"serving on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def main(words: Sequence[str] = ()) -> None:
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    print(described())
    for name in words or PARTS:
        PARTS[name]()


def at_rest() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([COMMAND, "demo", "--no-serve", "--keep", str(folder / "demo")], check=True, capture_output=True)
        with running(folder / "demo", COMMAND, "serve", "--port", "0") as url:
            beside(folder, url + STRETCHED, "at rest")
            accounts = [account["account"] for account in json.loads(get(f"{url}/v1/accounts"))["accounts"]]
            batches(url, (accounts * BATCH)[:BATCH], "a few accounts, again and again")


def followed() -> None:
    with vault_on_a_node() as vault, tempfile.TemporaryDirectory() as name, ending() as ended:
        vault.move()
        folder = Path(name)
        (folder / "crossmargin.toml").write_text(configuration(vault, folder), encoding="utf-8")
        with service(folder, ()) as url:
            path = f"/v1/accounts/eip155:{CHAIN_ID}:{vault.people[0]}/health"
            until(lambda: stored(url) > 0)
            mover = Thread(target=moving, args=(vault, ended))
            mover.start()
            before = stored(url)
            beside(folder, url + path, "followed")
            print(f"  {stored(url) - before} blocks were stored meanwhile")
            ended.set()
            mover.join()


def moving(vault: Vault, ended: Event) -> None:
    while not ended.wait(1.0):
        vault.move()


def backfill() -> None:
    folder = sources.generated(CACHE, "escrow", seed=1, logs=BACKFILLED, logs_per_block=100)
    with sources.served(folder, frozenset(os.sched_getaffinity(0))) as task, tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "crossmargin.toml").write_text(ours.configuration(task), encoding="utf-8")
        with (task.book / "balances.csv").open(newline="") as stream:
            account = next(csv.DictReader(stream))["account"]
        with service(place, ()) as url:
            path = f"/v1/accounts/eip155:{task.chain_id}:{account}/health"
            until(lambda: stored(url) > 0)
            get(url + path)
            for _ in range(ROUNDS):
                show("backfill", wrk(url + path))
            print(f"  block {stored(url):,} of {task.head:,} at its end")


def stored(url: str) -> int:
    indexed = json.loads(get(f"{url}/v1/status"))["chains"][0]["indexed"]
    return 0 if indexed is None else int(indexed["block"])


def many_accounts() -> None:
    folder = sources.generated(CACHE, "aave-3.5", seed=1, logs=MARKET_LOGS, logs_per_block=100)
    with sources.served(folder, frozenset(os.sched_getaffinity(0))) as task, tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "crossmargin.toml").write_text(ours.configuration(task), encoding="utf-8")
        subprocess.run([COMMAND, "index", "--until", "latest"], cwd=place, check=True, capture_output=True)
        with (task.book / "balances.csv").open(newline="") as stream:
            owners = dict.fromkeys(row["account"] for row in csv.DictReader(stream) if row["amount"] != "0")
        accounts = [f"eip155:{task.chain_id}:{owner}" for owner in owners][:BATCH]
        with running(place, COMMAND, "serve", "--port", "0") as url:
            batches(url, accounts, "different accounts")


def beside(folder: Path, url: str, name: str) -> None:
    """Ask the service and a bare handler of the same bytes in turns."""
    body = get(url)
    (folder / "body").write_bytes(body)
    with running(folder, sys.executable, "-c", BARE, str(folder / "body")) as bare:
        print(f"{name}: health documents of {len(body):,} bytes, {CONNECTIONS} connections, {SECONDS} s each")
        for round_ in range(2 * ROUNDS):
            paced = round_ >= ROUNDS
            before = waited_s(folder)
            show("crossmargin", wrk(url, paced=paced), paced=paced)
            print(
                f"    its loop waited for a core {(waited_s(folder) - before) / SECONDS * 1000:.0f} ms of each second"
            )
            show("bare aiohttp", wrk(bare + STRETCHED, paced=paced), paced=paced)


def waited_s(folder: Path) -> float:
    """How long the thread that answers could have run and had no core, since it began: what other programs take of an answer's time."""
    (said,) = folder.rglob("*.service.json")
    pid = json.loads(said.read_text(encoding="utf-8"))["pid"]
    _, waited_ns, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="utf-8").split()
    return int(waited_ns) / 1e9


@contextmanager
def ending() -> Iterator[Event]:
    event = Event()
    try:
        yield event
    finally:
        event.set()


def until(told: Callable[[], object], most_s: float = 120.0) -> None:
    """Wait until something is so; raises `TimeoutError`."""
    begun = monotonic()
    while not told():
        if monotonic() - begun > most_s:
            raise TimeoutError(f"not so within {most_s:g} s")
        sleep(0.2)


def batches(url: str, accounts: Sequence[str], name: str) -> None:
    """Time batches of accounts on one connection, read into memory that the client has: the first, and when all are kept."""
    asked = json.dumps({"accounts": accounts}).encode()
    connection = HTTPConnection(urlsplit(url).netloc, timeout=120)
    took, size, memory = [], 0, bytearray(64 * 1024 * 1024)
    for _ in range(1 + 5 * ROUNDS):
        began = perf_counter()
        connection.request("POST", "/v1/health:batch", asked, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            size = answer.readinto(memory)
        took.append(perf_counter() - began)
    connection.close()
    first, *others = took
    print(
        f"batch of {len(accounts):,} ({name}, {size:,} bytes): the first {first * 1000:,.0f} ms, "
        f"then {min(others) * 1000:.0f} ms at best, {sorted(others)[len(others) // 2] * 1000:.0f} ms usually"
    )


def wrk(url: str, *, paced: bool = False) -> dict[str, str]:
    """Ask for a while; requests a second, and how long the slowest of a hundred took.

    What nobody asked for a moment is judged first, and `wrk` adds to one slow answer all those that its connections would have asked for
    meanwhile: so a second before is not counted.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(PACED)
        script.flush()
        pace = ("-s", script.name) if paced else ()
        _, said = (
            subprocess.run(
                ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *pace, url],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seconds in (WARM_S, SECONDS)
        )
    found = {"rate": r"Requests/sec:\s+(\S+)", "p50": r"50%\s+(\S+)", "p99": r"99%\s+(\S+)"}
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return {name: match[1] for name, text in found.items() if (match := re.search(text, said))} | {
        "refused": refused[1] if refused else "0"
    }


def show(name: str, found: dict[str, str], *, paced: bool = False) -> None:
    rate, pace = float(found["rate"]), "paced" if paced else ""
    print(
        f"  {name:14} {pace:5} {rate:>9,.0f}/s  p50 {found['p50']:>8}  p99 {found['p99']:>8}  refused {found['refused']}"
    )


def get(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=120) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())


@contextmanager
def running(folder: Path, *command: str) -> Iterator[str]:
    """Run a server in a folder; gives the address that it prints."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("serving on ").strip()
        finally:
            process.terminate()


PARTS = {"rest": at_rest, "followed": followed, "backfill": backfill, "batch": many_accounts}

if __name__ == "__main__":
    main(sys.argv[1:])
