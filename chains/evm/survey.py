"""What EVM nodes can do, each measured by itself, with few and cheap questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec

from chains.evm.refusals import too_much
from chains.model import ChainSpec, FeedSpec, VenueSpec
from chains.survey.facts import Ability, NodeSurvey, Sight
from chains.survey.search import Asked, first_number, most, oldest
from chains.survey.wire import (
    Answered,
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

RANGES = (1, 100, 1_000, 10_000, 100_000, 1_000_000)
BATCHES = (2, 10, 50, 100, 200, 500)
ADDRESSES = (10, 100, 1_000)

HEADER_ALONE = False
LOWEST = 1
"""The oldest block that is asked about: many a node keeps the state of block 0 and no other."""

NOWHERE = "0x" + "00" * 20
NOTHING = "0x" + "c0ffee" * 10 + "c0fe"
"""A topic of no event: whatever is asked with it, the answer is short."""


class _Header(msgspec.Struct, rename="camel"):
    number: str
    timestamp: str


OptionalHeader: Any = _Header | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """The blocks that matter, from the first that is indexed to the newest, and a contract whose logs are wanted."""

    first: int
    last: int
    address: str


async def survey(spec: ChainSpec, venues: Sequence[VenueSpec], feeds: Sequence[FeedSpec]) -> list[NodeSurvey]:
    """Measure every address of a chain, side by side; the heads are asked for at one moment."""
    async with opened() as session:
        nodes = [Wire(url, label(number, url), session) for number, url in enumerate(spec.rpc, start=1)]
        greetings = await asyncio.gather(*map(greet, nodes))
        heads = await asyncio.gather(*map(_look, nodes))
        return await asyncio.gather(
            *(
                _measured(node, served, head, spec=spec, contracts=[*venues, *feeds], start=_start(spec, venues))
                for node, served, head in zip(nodes, greetings, heads, strict=True)
            )
        )


def _start(spec: ChainSpec, venues: Sequence[VenueSpec]) -> int:
    return max(spec.start_block, min((venue.start_block for venue in venues), default=0))


async def greet(node: Wire) -> str | Silent:
    """Return the chain that a node serves, or what keeps it from telling."""
    try:
        return f"eip155:{_number(result(await node.ask('eth_chainId'), str))}"
    except Undecided as problem:
        return Silent(str(problem))


async def _look(node: Wire) -> Sight | Silent:
    try:
        header = await _header(node, "latest")
        seen_at = time()
        return Sight(number=_number(header.number), time=_number(header.timestamp), seen_at=seen_at, skew_s=node.skew_s)
    except Undecided as problem:
        return Silent(f"does not tell its newest block: it {problem}")


async def _header(node: Wire, block: str) -> _Header:
    header: _Header | None = result(await node.ask("eth_getBlockByNumber", block, False), OptionalHeader)  # noqa: FBT003 - hashes are enough
    if header is None:
        raise Undecided("has no such block")
    return header


def _number(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError as error:
        raise Undecided("gives a number that is none") from error


async def _measured(
    node: Wire,
    served: str | Silent,
    head: Sight | Silent,
    *,
    spec: ChainSpec,
    contracts: Sequence[VenueSpec | FeedSpec],
    start: int,
) -> NodeSurvey:
    problem = next((each.text for each in (served, head) if isinstance(each, Silent)), None)
    if isinstance(served, Silent) or isinstance(head, Silent) or served != spec.id:
        return node.survey(problem=problem, served=None if isinstance(served, Silent) else served)
    latency_s = await latency(node, "eth_getBlockByNumber", "latest", HEADER_ALONE)
    client = await _client(node)
    address = "0x" + contracts[0].address.hex() if contracts else NOWHERE
    scope = _Scope(first=min(start, head.number), last=head.number, address=address)
    abilities = await _abilities(node, scope, spec.ws)
    return node.survey(served=served, head=head, latency_s=latency_s, client=client, abilities=abilities)


async def _client(node: Wire) -> str | None:
    try:
        return result(await node.ask("web3_clientVersion"), str)
    except Undecided:
        return None


async def _abilities(node: Wire, scope: _Scope, configured: Sequence[str]) -> dict[str, Ability]:
    lowest = min(LOWEST, scope.last)
    return {
        "safe": await _tag(node, "safe"),
        "finalized": await _tag(node, "finalized"),
        "state": await oldest(_state(node, scope), lowest, scope.last),
        "logs": await oldest(_logs(node, scope), lowest, scope.last),
        "receipts": await oldest(_receipts(node), lowest, scope.last),
        "range": await most(_range(node, scope), _ranges(scope), _named, exact=True),
        "addresses": await most(_by_addresses(node, scope), ADDRESSES, first_number, exact=False),
        "batch": await most(lambda size: batched(node, "eth_chainId", size), BATCHES, first_number, exact=False),
        "proofs": granted(await node.ask("eth_getProof", scope.address, [], "latest")),
        "gzip": Ability(value=node.gzip),
        "websocket": await _websocket(node, configured),
    }


async def _tag(node: Wire, tag: str) -> Ability:
    """Tell the height behind a tag; `False` where the node does not know the tag."""
    said = await node.ask("eth_getBlockByNumber", tag, HEADER_ALONE)
    if isinstance(said, Refused):
        return Ability(value=False, said=said.text)
    try:
        header: _Header | None = result(said, OptionalHeader)
        return (
            Ability(value=None, said="no block has it yet") if header is None else Ability(value=_number(header.number))
        )
    except Undecided as error:
        return Ability(value=None, said=str(error))


def _state(node: Wire, scope: _Scope) -> Asked:
    async def asked(block: int) -> str | None:
        return refusal(await node.ask("eth_getBalance", scope.address, hex(block)))

    return asked


def _logs(node: Wire, scope: _Scope) -> Asked:
    async def asked(block: int) -> str | None:
        return refusal(await node.ask("eth_getLogs", _filter(block, block, [scope.address])))

    return asked


def _receipts(node: Wire) -> Asked:
    async def asked(block: int) -> str | None:
        said = await node.ask("eth_getBlockReceipts", hex(block))
        missing = isinstance(said, Answered) and bytes(said.result) == b"null"
        return "there are no receipts of this block" if missing else refusal(said)

    return asked


def _range(node: Wire, scope: _Scope) -> Asked:
    async def asked(blocks: int) -> str | None:
        return refusal(await node.ask("eth_getLogs", _filter(scope.last - blocks + 1, scope.last, [scope.address])))

    return asked


def _named(text: str) -> int | None:
    found = too_much(text)
    return None if found is None else found.limit


def _ranges(scope: _Scope) -> list[int]:
    """Return the steps up to all blocks that matter."""
    whole = scope.last - scope.first + 1
    return [*(step for step in RANGES if step < whole), min(whole, RANGES[-1])]


def _by_addresses(node: Wire, scope: _Scope) -> Asked:
    async def asked(count: int) -> str | None:
        others = [f"0x{number:040x}" for number in range(1, count)]
        return refusal(await node.ask("eth_getLogs", _filter(scope.last, scope.last, [scope.address, *others])))

    return asked


def _filter(first: int, last: int, addresses: Sequence[str]) -> dict[str, object]:
    return {"fromBlock": hex(first), "toBlock": hex(last), "address": addresses, "topics": [[NOTHING]]}


async def _websocket(node: Wire, configured: Sequence[str]) -> Ability:
    """Tell whether new heads are told over the first websocket that takes the subscription."""
    found = Ability(value=None)
    for url in websockets_of(node.url, configured):
        found = granted(await node.subscribed(url, "eth_subscribe", "newHeads"))
        if found.value:
            return found
    return Ability(value=False, said=found.said)
