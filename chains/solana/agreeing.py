"""The same accounts from every configured node, as of one slot as far as nodes can be brought to it.

No answer can be asked for as of a slot, only as of one or later. So who is behind the newest answer is asked again for that slot or later,
until all answers are of one.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing

from chains.auditing import Reply
from chains.errors import ChainError
from chains.model import AccountBytes, ChainSpec
from chains.rpc import NodePool
from chains.rpc.together import gathered
from chains.solana.asking import Asking, parts_of
from chains.solana.dialect import SolanaDialect
from chains.solana.lists import Silence
from chains.solana.looks import ACCOUNTS_AT_ONCE, Looks

METHOD = "getMultipleAccounts"
RETURNED = "returned"

ROUNDS = 8
"""How often who is behind is asked again."""

TRIES = 2
"""How often a node is asked a question before it is left out: it is one of several."""

Said = dict[int, dict[bytes, AccountBytes]]
"""By the place of a node among the configured ones, from 1 on: what it says of accounts."""


async def asked(spec: ChainSpec, addresses: Sequence[bytes], least: int) -> Said:
    """Ask every node of a chain for accounts as of slot `least` or later; one that does not answer is left out."""
    async with AsyncExitStack() as opened:
        nodes = {}
        for place, url in enumerate(spec.rpc, start=1):
            ask = Asking(spec.id, NodePool(spec.id, SolanaDialect(), (url,), tries=TRIES))
            await opened.enter_async_context(aclosing(ask))
            nodes[place] = Looks(f"chain {spec.id}", ask, spec.finality, Silence())
        found: Said = {place: {} for place in nodes}
        for part in parts_of(addresses, ACCOUNTS_AT_ONCE):
            for place, said in (await _together(nodes, part, least)).items():
                found[place] |= said
        return found


async def _together(nodes: Mapping[int, Looks], addresses: Sequence[bytes], least: int) -> Said:
    """Ask for so many accounts as one answer holds, until all answers are of one slot or the rounds are over."""
    said: Said = {}
    willing = set(nodes)
    for _ in range(ROUNDS):
        newest = max(map(_slot, said.values()), default=least)
        behind = sorted(place for place in willing if place not in said or _slot(said[place]) < newest)
        if not behind:
            break
        answers = await gathered(_said(nodes[place], addresses, newest) for place in behind)
        for place, answer in zip(behind, answers, strict=True):
            if answer is None:
                willing.discard(place)
            else:
                said[place] = answer
    return said


async def _said(node: Looks, addresses: Sequence[bytes], least: int) -> dict[bytes, AccountBytes] | None:
    try:
        return await node.accounts(addresses, least)
    except ChainError:
        return None


def _slot(said: Mapping[bytes, AccountBytes]) -> int:
    return next(iter(said.values())).slot


def replies(said: Said) -> Iterator[Reply]:
    """Write answers as they are kept, one for each account and node."""
    for place, accounts in said.items():
        for address, account in accounts.items():
            yield Reply(address, METHOD, place.to_bytes(2), RETURNED, _written(account))


def said_in(known: Iterable[Reply]) -> dict[bytes, dict[int, AccountBytes]]:
    """Return kept answers by account and the place of the node."""
    found: dict[bytes, dict[int, AccountBytes]] = {}
    for reply in known:
        if reply.method == METHOD:
            found.setdefault(reply.contract, {})[int.from_bytes(reply.input)] = _read(reply.output)
    return found


def _written(account: AccountBytes) -> bytes:
    written = account._asdict() | {"owner": account.owner.hex(), "data": b64encode(account.data).decode()}
    return json.dumps(written, sort_keys=True, separators=(",", ":")).encode()


def _read(raw: bytes) -> AccountBytes:
    said = json.loads(raw)
    return AccountBytes(**said | {"owner": bytes.fromhex(said["owner"]), "data": b64decode(said["data"])})
