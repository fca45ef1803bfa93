"""The accounts of a program that make up a venue, as nodes list them: all of them at one slot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chains.errors import NodeBusy, NodeWrong
from chains.identifiers import IdentifierError, base58
from chains.model import AccountBytes
from chains.rpc import RpcFault
from chains.solana.answers import ProgramAccounts, account_bytes
from chains.solana.asking import Asking, gathered
from chains.solana.ports import AccountSet
from chains.solana.transactions import key, text_of


class Listed(NamedTuple):
    """What a node lists of a set, and the slot that its answer is of."""

    slot: int
    accounts: Mapping[bytes, AccountBytes]


async def list_sets(
    where: str, ask: Asking, commitment: str, sets: Sequence[AccountSet], least: int
) -> dict[AccountSet, Listed]:
    """List sets as of slot `least` or later.

    Raises `NodeBusy` for a node that is behind, `NodeWrong` for one that says what it was not asked.
    """
    listed = await gathered(_list(where, ask, commitment, wanted, least) for wanted in sets)
    return dict(zip(sets, listed, strict=True))


async def _list(where: str, ask: Asking, commitment: str, wanted: AccountSet, least: int) -> Listed:
    options: dict[str, Any] = {
        "encoding": "base64",
        "commitment": commitment,
        "withContext": True,
        "minContextSlot": least,
        "filters": [*_filters(wanted)],
    }
    request = ("getProgramAccounts", (text_of(wanted.program), options))
    try:
        (said,) = await ask.many([request], ProgramAccounts, together=1)
    except RpcFault as fault:
        raise NodeWrong(f"{where}: {fault}") from fault
    slot = said.context.slot
    if slot < least:
        raise NodeBusy(f"{where}: getProgramAccounts answers as of slot {slot}, asked for {least} or later; it lags")
    try:
        accounts = {key(each.pubkey): account_bytes(slot, each.account) for each in said.value}
    except IdentifierError as error:
        raise NodeWrong(f"{where}: getProgramAccounts gave a malformed address ({error}); check the node") from error
    if len(accounts) < len(said.value):
        raise NodeWrong(f"{where}: getProgramAccounts gave an account twice; check the node")
    for address, account in accounts.items():
        if not wanted.has(account):
            raise NodeWrong(
                f"{where}: getProgramAccounts gave {base58(address)}, which is not what was asked for; check the node"
            )
    return Listed(slot, accounts)


def _filters(wanted: AccountSet) -> Iterator[dict[str, object]]:
    if wanted.size is not None:
        yield {"dataSize": wanted.size}
    for offset, raw in wanted.holding:
        yield {"memcmp": {"offset": offset, "bytes": base58(raw), "encoding": "base58"}}
