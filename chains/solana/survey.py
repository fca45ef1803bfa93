"""What Solana nodes can do, each measured by itself, with few and cheap questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import time
from typing import Any

import msgspec

from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.solana.dialect import CAIP_REFERENCE
from chains.solana.transactions import text_of
from chains.survey.facts import Ability, NodeSurvey, Sight
from chains.survey.search import Asked, first_number, most
from chains.survey.wire import (
    Refused,
    Silent,
    Undecided,
    Wire,
    batched,
    granted,
    label,
    latency,
    opened,
    refusal,
    result,
    websockets_of,
)

BATCHES = (2, 10, 50, 100)
ACCOUNTS = (5, 10, 100)
PROGRAM = "Config1111111111111111111111111111111111111"
"""A program of few accounts, so that to list them costs a node little."""

_OFTEN_EMPTY = 4
"""Slots that are asked for a time: some hold no block."""


class _Version(msgspec.Struct):
    core: str = msgspec.field(name="solana-core")


OptionalTime: Any = int | None


async def survey(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> list[NodeSurvey]:
    """Measure every address of a cluster, side by side; the heads are asked for at one moment."""
    async with opened() as session:
        nodes = [Wire(url, label(number, url), session) for number, url in enumerate(spec.rpc, start=1)]
        greetings = await asyncio.gather(*map(greet, nodes))
        heads = await asyncio.gather(*(_look(node, spec.finality) for node in nodes))
        contracts: list[VenueSpec | FeedSpec] = [*venues, *feeds]
        address = text_of(contracts[0].address if contracts else bytes(32))
        return await asyncio.gather(
            *(
                _measured(node, served, head, spec, address)
                for node, served, head in zip(nodes, greetings, heads, strict=True)
            )
        )


async def greet(node: Wire) -> str | Silent:
    """Return the cluster that a node serves, or what keeps it from telling."""
    try:
        return f"solana:{result(await node.ask('getGenesisHash'), str)[:CAIP_REFERENCE]}"
    except Undecided as problem:
        return Silent(str(problem))


async def _look(node: Wire, commitment: str) -> Sight | Silent:
    try:
        slot = result(await node.ask("getSlot", {"commitment": commitment}), int)
        moment = await _time(node, slot)
    except Undecided as problem:
        return Silent(f"does not tell its newest block: it {problem}")
    return Sight(number=slot, time=moment, seen_at=time(), skew_s=node.skew_s)


async def _time(node: Wire, newest: int) -> int:
    """Return the time of the newest slots that has one."""
    for slot in range(newest, max(newest - _OFTEN_EMPTY, -1), -1):
        said = await node.ask("getBlockTime", slot)
        moment: int | None = None if isinstance(said, Refused) else result(said, OptionalTime)
        if moment is not None:
            return moment
    raise Undecided("gives no time for its newest slots")


async def _measured(
    node: Wire, served: str | Silent, head: Sight | Silent, spec: ChainSpec, address: str
) -> NodeSurvey:
    problem = next((each.text for each in (served, head) if isinstance(each, Silent)), None)
    if isinstance(served, Silent) or isinstance(head, Silent) or served != spec.id:
        return node.survey(problem=problem, served=None if isinstance(served, Silent) else served)
    latency_s = await latency(node, "getSlot", {"commitment": spec.finality})
    client = await _client(node)
    abilities = await _abilities(node, spec, address)
    return node.survey(served=served, head=head, latency_s=latency_s, client=client, abilities=abilities)


async def _client(node: Wire) -> str | None:
    try:
        return result(await node.ask("getVersion"), _Version).core
    except Undecided:
        return None


async def _abilities(node: Wire, spec: ChainSpec, address: str) -> dict[str, Ability]:
    return {
        "confirmed": await _number(node, "getSlot", {"commitment": "confirmed"}),
        "finalized": await _number(node, "getSlot", {"commitment": "finalized"}),
        "history": await _history(node, spec.start_block),
        "signatures": granted(await node.ask("getSignaturesForAddress", address, {"limit": 1})),
        "accounts": await most(_accounts(node, address), ACCOUNTS, first_number, exact=False),
        "program accounts": granted(await node.ask("getProgramAccounts", PROGRAM, _NONE)),
        "batch": await most(lambda size: batched(node, "getGenesisHash", size), BATCHES, first_number, exact=False),
        "gzip": Ability(value=node.gzip),
        "websocket": await _websocket(node, spec.ws),
    }


_NONE = {"encoding": "base64", "dataSlice": {"offset": 0, "length": 0}, "filters": [{"dataSize": 1}]}


async def _number(node: Wire, method: str, *params: object) -> Ability:
    try:
        return Ability(value=result(await node.ask(method, *params), int))
    except Undecided as error:
        return Ability(value=None, said=str(error))


async def _history(node: Wire, start: int) -> Ability:
    """Tell the oldest block that a node keeps; `whole` where it is not above the first slot that matters."""
    found = await _number(node, "getFirstAvailableBlock")
    return found if found.value is None else Ability(value=found.value, whole=found.value <= start)


def _accounts(node: Wire, address: str) -> Asked:
    async def asked(count: int) -> str | None:
        return refusal(await node.ask("getMultipleAccounts", [address] * count, {"encoding": "base64"}))

    return asked


async def _websocket(node: Wire, configured: Sequence[str]) -> Ability:
    """Tell whether slots are told over the first websocket that takes the subscription."""
    found = Ability(value=None)
    for url in websockets_of(node.url, configured):
        found = granted(await node.subscribed(url, "slotSubscribe"))
        if found.value:
            return found
    return Ability(value=False, said=found.said)
