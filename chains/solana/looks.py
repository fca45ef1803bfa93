"""One look at all accounts that are watched: the sets first, then what they name, then what proves the head."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chains.errors import NodeBusy, NodeWrong
from chains.identifiers import base58
from chains.model import AccountBytes
from chains.rpc import RpcFault
from chains.rpc.together import gathered
from chains.solana.answers import Accounts, account_bytes
from chains.solana.asking import Asking, parts_of
from chains.solana.lists import Listed, Lists, Teller
from chains.solana.members import Members
from chains.solana.ports import AccountSet
from chains.solana.source import ToWatch
from chains.solana.transactions import text_of

ACCOUNTS_AT_ONCE = 100
"""Accounts in one getMultipleAccounts; the most that nodes give."""

LOOKS_TOGETHER = 10
"""Requests in one batch."""

HEAD_BYTES = 45
"""How much of a program's accounts is read: what its loader says of it, and not its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What nodes said: `members` of sets and single accounts `seen` at or before the head, `held` at the head or later.

    `slot`: the head's, 0 for none; `programs`: those of `seen` of which only the first bytes are.
    """

    slot: int = 0
    listed: Mapping[AccountSet, Listed] = field(default_factory=dict)
    members: Mapping[bytes, AccountBytes] = field(default_factory=dict)
    seen: Mapping[bytes, AccountBytes] = field(default_factory=dict)
    programs: Sequence[bytes] = ()
    held: Mapping[bytes, AccountBytes] = field(default_factory=dict)

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return what was seen in slots of a span, by slot and address."""
        both = {**self.held, **self.members, **self.seen}
        return [each for each in in_order(both) if first <= each[1].slot <= last]

    @property
    def oldest(self) -> int:
        """The slot of the oldest answer about sets and what they name."""
        slots = (*(each.oldest for each in self.listed.values()), *(each.slot for each in self.seen.values()))
        return min(slots, default=self.slot)


class Looks:
    """Looks through a pool, at one commitment."""

    def __init__(self, where: str, ask: Asking, commitment: str, teller: Teller) -> None:
        self._where = where
        self._ask = ask
        self.commitment = commitment
        self.lists = Lists(Members(where, ask, commitment), self.accounts, teller)

    async def take(self, accounts: ToWatch, sets: Sequence[AccountSet], after: int) -> Look:
        """Look at everything; each step is not before what the steps before it answered, so that nothing is known of after the head.

        Of single accounts a hundred come in one answer: where all of them fit they are of one slot, the head's. Else those that are
        stored come first, each at its answer's own slot, and the head is the oldest answer about those that prove it.
        """
        listed = await self.lists.take(sets, after)
        members = {address: account for each in listed.values() for address, account in each.accounts.items()}
        watched = accounts(in_order(members))
        reached = _newest(members.values(), (each.slot for each in listed.values()))
        if not watched.programs and len(watched.seen) + len(watched.held) <= ACCOUNTS_AT_ONCE:
            found = await self.accounts([*watched.seen, *watched.held], reached)
            held = {address: found[address] for address in watched.held}
            seen = {address: found[address] for address in watched.seen}
        else:
            seen = await self._seen(watched.seen, watched.programs, reached)
            held = await self.accounts(watched.held, _newest(seen.values(), [reached]))
        slot = min((each.slot for each in held.values()), default=_newest(seen.values(), [reached]))
        return Look(slot=slot, listed=listed, members=members, seen=seen, held=held, programs=watched.programs)

    async def _seen(
        self, addresses: Sequence[bytes], programs: Sequence[bytes], least: int
    ) -> dict[bytes, AccountBytes]:
        found = await gathered(
            (self.accounts(addresses, least), self.accounts(programs, least, first_bytes=HEAD_BYTES))
        )
        return found[0] | found[1]

    async def accounts(
        self, addresses: Sequence[bytes], least: int = 0, *, first_bytes: int | None = None
    ) -> dict[bytes, AccountBytes]:
        """Read accounts, or the first bytes of each, as of slot `least` or later; raises `NodeBusy`, `NodeWrong`."""
        options: dict[str, object] = {"encoding": "base64", "commitment": self.commitment}
        if least:
            options["minContextSlot"] = least
        if first_bytes is not None:
            options["dataSlice"] = {"offset": 0, "length": first_bytes}
        parts = parts_of(addresses, ACCOUNTS_AT_ONCE)
        requests = [("getMultipleAccounts", ([text_of(address) for address in part], options)) for part in parts]
        try:
            answers = await self._ask.many(requests, Accounts, together=LOOKS_TOGETHER)
        except RpcFault as fault:
            raise NodeWrong(f"{self._where}: {fault}") from fault
        found: dict[bytes, AccountBytes] = {}
        for part, said in zip(parts, answers, strict=True):
            found |= self._page(part, said, least)
        return found

    def _page(self, part: Sequence[bytes], said: Accounts, least: int) -> dict[bytes, AccountBytes]:
        if len(said.value) != len(part):
            raise NodeWrong(f"{self._where}: getMultipleAccounts left accounts out; check the node")
        slot = said.context.slot
        if slot < least:
            raise NodeBusy(f"{self._where}: getMultipleAccounts answers as of slot {slot}, asked for {least} or later")
        return {address: account_bytes(slot, each) for address, each in zip(part, said.value, strict=True)}

    async def gone(self, wanted: AccountSet, addresses: Collection[bytes], slot: int) -> dict[bytes, AccountBytes]:
        """Ask what became of accounts that are listed no more, as of that list's slot; raises `NodeWrong` for one that is there."""
        if not addresses:
            return {}
        found = await self.accounts(sorted(addresses), slot)
        for address, account in found.items():
            if wanted.has(account):
                raise NodeWrong(
                    f"{self._where}: getProgramAccounts left out {base58(address)}, which is there; ask another node"
                )
        return {
            address: AccountBytes(slot, b"", 0, b"", closed=True) if not account.data else account._replace(slot=slot)
            for address, account in found.items()
        }


def in_order(accounts: Mapping[bytes, AccountBytes]) -> list[tuple[bytes, AccountBytes]]:
    """Return accounts by slot and address."""
    return sorted(accounts.items(), key=lambda item: (item[1].slot, item[0]))


def _newest(accounts: Iterable[AccountBytes], slots: Iterable[int]) -> int:
    return max((*slots, *(account.slot for account in accounts)), default=0)
