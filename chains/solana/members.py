"""The accounts of a program that make up a venue, as nodes list them: whole, or slices of them, in one answer or in many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from chains.errors import NodeBusy, NodeWrong, TooManyAccounts
from chains.identifiers import IdentifierError, base58
from chains.model import AccountBytes
from chains.rpc import RpcFault
from chains.rpc.transport import TimedOut
from chains.solana.answers import ProgramAccounts, account_bytes
from chains.solana.asking import Asking
from chains.solana.ports import AccountSet
from chains.solana.transactions import key, text_of

PARTS = 256
"""A list that is too long for one answer is asked for by the values of one byte."""


class Said(NamedTuple):
    """What a node lists of a set: accounts at their answers' slots, whole or sliced, with the newest and the oldest of these slots."""

    slot: int
    accounts: Mapping[bytes, AccountBytes]
    oldest: int


class Members:
    """Lists of sets through a pool, at one commitment."""

    def __init__(self, where: str, ask: Asking, commitment: str) -> None:
        self._where = where
        self._ask = ask
        self._commitment = commitment
        self._parted: set[tuple[AccountSet, bool]] = set()

    async def list(self, wanted: AccountSet, least: int, cut: tuple[int, int] | None = None) -> Said:
        """List a set as of slot `least` or later; `cut`: of each account only so many bytes, as (offset, length).

        A list that nodes find too long is asked for in parts, from then on. Raises `NodeBusy` for a node that is behind, `NodeWrong` for
        one that says what it was not asked, lists no accounts of programs, or too many for one answer where they cannot be parted.
        """
        kind = wanted, cut is not None
        if kind not in self._parted:
            try:
                return await self._parts(wanted, least, cut, [()])
            except (TooManyAccounts, TimedOut):
                if wanted.spread is None:
                    raise
                self._parted.add(kind)
        return await self._parts(wanted, least, cut, [((wanted.spread or 0, bytes([n])),) for n in range(PARTS)])

    async def _parts(
        self,
        wanted: AccountSet,
        least: int,
        cut: tuple[int, int] | None,
        parts: Sequence[tuple[tuple[int, bytes], ...]],
    ) -> Said:
        requests = [self._request(wanted, least, cut, more) for more in parts]
        try:
            answers = await self._ask.many(requests, ProgramAccounts, together=1)
        except RpcFault as fault:
            raise NodeWrong(f"{self._where}: {fault}") from fault
        found: dict[bytes, AccountBytes] = {}
        for said in answers:
            for address, account in self._accounts(wanted, least, cut, said).items():
                if address not in found or found[address].slot < account.slot:
                    found[address] = account
        slots = [said.context.slot for said in answers]
        return Said(max(slots), found, min(slots))

    def _request(
        self, wanted: AccountSet, least: int, cut: tuple[int, int] | None, more: Sequence[tuple[int, bytes]]
    ) -> tuple[str, Sequence[object]]:
        options: dict[str, Any] = {
            "encoding": "base64",
            "commitment": self._commitment,
            "withContext": True,
            "minContextSlot": least,
            "filters": [*filters_of(wanted._replace(holding=(*wanted.holding, *more)))],
        }
        if cut is not None:
            options["dataSlice"] = {"offset": cut[0], "length": cut[1]}
        return "getProgramAccounts", (text_of(wanted.program), options)

    def _accounts(
        self, wanted: AccountSet, least: int, cut: tuple[int, int] | None, said: ProgramAccounts
    ) -> dict[bytes, AccountBytes]:
        slot = said.context.slot
        if slot < least:
            raise NodeBusy(
                f"{self._where}: getProgramAccounts answers as of slot {slot}, asked for {least} or later; it lags"
            )
        try:
            accounts = {key(each.pubkey): account_bytes(slot, each.account) for each in said.value}
        except IdentifierError as error:
            raise NodeWrong(
                f"{self._where}: getProgramAccounts gave a malformed address ({error}); check the node"
            ) from error
        if len(accounts) < len(said.value):
            raise NodeWrong(f"{self._where}: getProgramAccounts gave an account twice; check the node")
        for address, account in accounts.items():
            fits = wanted.has(account) if cut is None else _is_cut(wanted, account, cut)
            if not fits:
                raise NodeWrong(
                    f"{self._where}: getProgramAccounts gave {base58(address)}, which is not what was asked for; check the node"
                )
        return accounts


def _is_cut(wanted: AccountSet, account: AccountBytes, cut: tuple[int, int]) -> bool:
    return not account.closed and account.owner == wanted.program and len(account.data) <= cut[1]


def filters_of(wanted: AccountSet) -> Iterator[dict[str, Any]]:
    """Return a set in the words of a node's filters."""
    if wanted.size is not None:
        yield {"dataSize": wanted.size}
    for offset, raw in wanted.holding:
        yield {"memcmp": {"offset": offset, "bytes": base58(raw), "encoding": "base58"}}
