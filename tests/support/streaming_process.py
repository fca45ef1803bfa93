"""A service over a store whose chain goes on and forks as it likes: `started([FOLDER, SEED], program=PROGRAM, …)`.

It prints its address, then a line when enough has happened, and is ended by a signal. Every block has a liquidation; each start goes
on where the store stands. With the seed 0 nothing happens any more, and the second line is the id of the last event.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from chains.model import Rows
from chains.redaction import Redactor
from crossmargin.app import opened, policy_of
from crossmargin.local_desk import LocalDesk
from crossmargin.logs import logger
from crossmargin.service import Parts, running_service
from crossmargin.settings import load
from indexer.steps import Append, Rewind
from indexer.store import Store
from tests.unit.store.builders import CHAIN, batch, block, event

PROGRAM = "tests.support.streaming_process"
CONFIGURATION = """
[server]
port = 0

[events]
keep = "30000d"
streams_per_key = 5

[[chain]]
id = "eip155:31337"
rpc = ["http://127.0.0.1:1"]
"""
PAUSE_S = 0.02
ENOUGH = 30
"""Steps, of which about a quarter take blocks back."""


def step(store: Store, chance: random.Random, number: int) -> None:
    """Take in up to three blocks, after losing up to four in one case out of four; every fork has a name of its own."""
    held = store.cursor(CHAIN)
    at = 0 if held is None else held.block.number
    fork, forked_at = "", 0
    if at > 5 and chance.random() < 0.25:
        at -= chance.randint(1, 4)
        store.apply(Rewind(chain_id=CHAIN, to=store.block(CHAIN, at)))
        fork, forked_at = f"{number}", at + 1
    parent = store.block(CHAIN, at) if at else None
    first = at + 1
    blocks = [block(n, fork=fork, forked_at=forked_at) for n in range(first, first + chance.randint(1, 3))]
    rows = Rows(events=[event(each.number, number, kind="liquidation") for each in blocks])
    made = batch(first, blocks[-1].number, rows, fork=fork, forked_at=forked_at)
    store.apply(Append(parent=parent, batch=made))


async def follow(folder: Path, seed: int) -> None:
    settings = load(folder / "crossmargin.toml")
    chance = random.Random(seed)
    with opened(settings) as store:
        desk = LocalDesk(settings, store, policy_of(settings))
        desk.begin_policy(accept=True)
        redactor = Redactor()
        parts = Parts(
            settings=settings, store=store, desk=desk, watch=None, redactor=redactor, log=logger(redactor, quiet=True)
        )
        async with running_service(parts) as url:
            say(url)
            if seed == 0:
                with store.reading() as reader:
                    say(str(reader.event_ends().last))
                await asyncio.Event().wait()
            for number in range(1_000_000):
                await asyncio.to_thread(step, store, chance, seed * 1_000_000 + number)
                if number == ENOUGH:
                    say("enough")
                await asyncio.sleep(PAUSE_S)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    asyncio.run(follow(Path(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
