"""The accounts of a program that make up a venue, as nodes list them: all of them at one slot, and what became of those that are gone.

A node that leaves an account out would make it look closed. So what is missing is asked for by its address: only an account that is not
there is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from chains.errors import NodeWrong
from chains.identifiers import base58
from chains.model import AccountBytes
from chains.rpc import RpcFault
from chains.solana.answers import ProgramAccounts, account_bytes
from chains.solana.asking import Asking, gathered
from chains.solana.ports import AccountSet
from chains.solana.transactions import key, text_of

Accounts = Mapping[bytes, AccountBytes]
ReadAccounts = Callable[[Sequence[bytes], int], Awaitable[dict[bytes, AccountBytes]]]
"""Reads single accounts, at or after a slot."""


class Members:
    """What the sets of a chain's venues held when they were last looked at."""

    def __init__(self, where: str, ask: Asking, commitment: str, read: ReadAccounts) -> None:
        self._where = where
        self._ask = ask
        self._commitment = commitment
        self._read = read
        self._known: dict[AccountSet, set[bytes]] = {}
        self._told: dict[AccountSet, dict[bytes, bytes]] = {}
        self.whole = False
        """Whether the last look gave every account of every set."""

    def remember(self, wanted: AccountSet, addresses: Collection[bytes]) -> bool:
        """Take over what is stored of a set, so that what is gone since is noticed; tell whether the last look listed all of it."""
        known = self._known.setdefault(wanted, set())
        listed = known.issuperset(addresses)
        known.update(addresses)
        return listed

    def forget(self) -> None:
        """Ask for whole accounts next: what was seen may not be what is stored."""
        self._told.clear()

    async def look(self, sets: Sequence[AccountSet], after: int) -> dict[bytes, AccountBytes]:
        """Return every account of the sets that may have changed since the last look, at the slot of the node's answer.

        Nothing of a set that the node answers as of slot `after` or before: that is behind us.
        """
        found: dict[bytes, AccountBytes] = {}
        self.whole = True
        for seen in await gathered(self._look(wanted, after) for wanted in sets):
            found |= seen
        return found

    async def _look(self, wanted: AccountSet, after: int) -> Accounts:
        told = self._told.get(wanted)
        part = None if told is None else wanted.telling
        slot, listed = await self._listed(wanted, part, after)
        self.whole &= slot > after and part is None
        if slot <= after:
            return {}
        gone = self._known.get(wanted, set()) - listed.keys()
        changed = await self._gone(wanted, gone, slot)
        if told is None or part is None:
            self._check(wanted, listed)
            changed |= listed
        else:
            news = [address for address, account in listed.items() if told.get(address) != account.data]
            changed |= await self._read(sorted(news), slot)
        self._known[wanted] = set(listed)
        if wanted.telling is not None:
            start, length = (0, wanted.telling[1]) if part else wanted.telling
            self._told[wanted] = {address: account.data[start : start + length] for address, account in listed.items()}
        return changed

    async def _listed(self, wanted: AccountSet, part: tuple[int, int] | None, least: int) -> tuple[int, Accounts]:
        options: dict[str, Any] = {
            "encoding": "base64",
            "commitment": self._commitment,
            "withContext": True,
            "minContextSlot": least,
            "filters": [*_filters(wanted)],
        }
        if part is not None:
            options["dataSlice"] = {"offset": part[0], "length": part[1]}
        request = ("getProgramAccounts", (text_of(wanted.program), options))
        try:
            (said,) = await self._ask.many([request], ProgramAccounts, together=1)
        except RpcFault as fault:
            raise NodeWrong(f"{self._where}: {fault}") from fault
        slot = said.context.slot
        return slot, {key(each.pubkey): account_bytes(slot, each.account) for each in said.value}

    async def _gone(self, wanted: AccountSet, addresses: Collection[bytes], slot: int) -> dict[bytes, AccountBytes]:
        """Return what became of accounts that a node lists no more; raises `NodeWrong` where it left one out."""
        if not addresses:
            return {}
        found = await self._read(sorted(addresses), slot)
        for address, account in found.items():
            if wanted.has(account):
                raise NodeWrong(
                    f"{self._where}: getProgramAccounts left out {base58(address)}, which is there; ask another node"
                )
        return found

    def _check(self, wanted: AccountSet, listed: Accounts) -> None:
        for address, account in listed.items():
            if not wanted.has(account):
                raise NodeWrong(
                    f"{self._where}: getProgramAccounts gave {base58(address)}, which is not what was asked for;"
                    " check the node"
                )


def _filters(wanted: AccountSet) -> Iterator[dict[str, object]]:
    if wanted.size is not None:
        yield {"dataSize": wanted.size}
    for offset, raw in wanted.holding:
        yield {"memcmp": {"offset": offset, "bytes": base58(raw), "encoding": "base58"}}
