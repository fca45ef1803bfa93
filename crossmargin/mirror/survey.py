"""What `doctor` says of an indexer: whether it answers, is of this version, and hears its nodes."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from chains.errors import ChainError
from chains.model import Block
from chains.redaction import label
from crossmargin.documents import moment
from crossmargin.mirror.asking import asked, transport_to, understood
from crossmargin.settings import ChainSettings
from crossmargin.settings.model import IndexerSettings
from indexer.mirror import Held, MirrorWrong

ANY = Block(number=0, hash=b"", parent_hash=b"", time=0)
"""Whoever holds something and does not remember what it was given is told to compare, and given no rows."""


async def surveyed(chain: ChainSettings, indexer: IndexerSettings) -> dict[str, Any]:
    """Ask an indexer how its chain is, without taking a row; what keeps it from being used is its `problem`."""
    name, transport, began = label(indexer.url), transport_to(indexer), monotonic()
    found: dict[str, Any] = dict.fromkeys(("problem", "latency_ms", "head", "heard_s", "doubt")) | {"indexer": name}
    try:
        body = await asked(transport, indexer, chain.spec.id, Held(block=ANY, finalized=-1))
        said, _ = await asyncio.to_thread(understood, chain.spec.id, body, name)
    except (ChainError, MirrorWrong) as error:
        return found | {"problem": str(error)}
    finally:
        await transport.aclose()
    head, age_s = said.sight.head, said.sight.age_s
    return found | {
        "latency_ms": round((monotonic() - began - said.waited_s) * 1000, 1),
        "head": None if head is None else {"block": head.latest.number, "time": moment(head.latest.time)},
        "heard_s": None if age_s is None else round(age_s, 1),
        "doubt": None if said.sight.doubt is None else said.sight.doubt[2],
    }
