"""What another node says of the accounts of a look, and of the head's block: agreement, or which two nodes contradict each other.

Answers cannot be asked for as of one slot. So what both said alike is agreed, whatever the slots; what differs is read again from both
until their answers are of one slot, where it must not. A node whose list has what another had replaced before is contradicted too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chains.errors import ChainError, NodeBusy, NodeWrong, NoOtherNode
from chains.identifiers import base58
from chains.model import AccountBytes, Block
from chains.ports import Exchange, Observer
from chains.solana.answers import OPTIONAL_HEADER, hash_bytes
from chains.solana.asking import Asking
from chains.solana.looks import ACCOUNTS_AT_ONCE, HEAD_BYTES, Look, Looks
from chains.solana.ports import AccountSet
from chains.solana.transactions import NEWEST_VERSION

ANSWERED = "answered"
TRIES = 4
"""How often accounts that differ are read from both nodes, until both answers are of one slot."""

AGREED = ""


class Contradiction(NodeWrong):
    """Two nodes say different things of one account at one slot, or of one block."""


@dataclass(slots=True)
class Witness:
    """Passes on what an observer is told, and remembers which nodes answered since it was last asked."""

    observer: Observer | None
    nodes: set[str] = field(default_factory=set)

    def exchanged(self, exchange: Exchange) -> None:
        """Remember who answered."""
        if exchange.outcome == ANSWERED:
            self.nodes.add(exchange.node)
        if self.observer is not None:
            self.observer.exchanged(exchange)

    def failed(self, node: str, error: ChainError) -> None:
        """Pass it on."""
        if self.observer is not None:
            self.observer.failed(node, error)

    def turned(self, node: str, state: str) -> None:
        """Pass it on."""
        if self.observer is not None:
            self.observer.turned(node, state)


class _Differing(NamedTuple):
    """An account of which nodes said different things, and the slot of the second one's word."""

    address: bytes
    said: AccountBytes | None
    slot: int


class Second:
    """Second opinions, by a node that did not answer before."""

    def __init__(self, where: str, ours: Looks, theirs: Looks, ask: Asking, witness: Witness) -> None:
        self._where = where
        self._ours = ours
        self._theirs = theirs
        self._ask = ask
        self._witness = witness

    async def opinion(self, look: Look, head: Block) -> str:
        """Compare a look with what another node says; return why they are not compared, empty where they agree.

        Raises `Contradiction` where they do not.
        """
        self._ask.avoid = frozenset(self._witness.nodes)
        try:
            differing = [each for wanted in look.listed for each in await self._list(look, wanted)]
            differing += await self._single(look)
            theirs = await self._hash(head.number)
        except Contradiction:
            raise
        except NoOtherNode:
            return "no second node answered"
        except (NodeBusy, NodeWrong) as error:
            return f"no second node gave a usable answer ({type(error).__name__})"
        if theirs != head.hash:
            raise Contradiction(f"{self._where}: two nodes have different blocks in slot {head.number}; looking again")
        return await self._resolved(look, differing)

    async def _hash(self, slot: int) -> bytes:
        options = {"commitment": self._theirs.commitment, "transactionDetails": "none", "rewards": False}
        header = await self._ask.one(
            "getBlock", [slot, options | {"maxSupportedTransactionVersion": NEWEST_VERSION}], OPTIONAL_HEADER
        )
        if header is None:
            raise NodeBusy(f"{self._where}: a second node has no block in slot {slot} yet")
        return hash_bytes(header.blockhash)

    async def _list(self, look: Look, wanted: AccountSet) -> list[_Differing]:
        listed = look.listed[wanted]
        cut = None if listed.whole else wanted.pulse or (0, 0)
        said = await self._theirs.lists.members.list(wanted, listed.slot, cut)
        found = []
        for address in listed.names | said.accounts.keys():
            theirs = said.accounts.get(address)
            if cut is None:
                alike = _alike(listed.accounts.get(address), theirs)
            else:
                mark = None if theirs is None else (theirs.data, theirs.lamports)
                alike = address not in listed.accounts and self._ours.lists.mark(wanted, address) == mark
            if not alike:
                found.append(_Differing(address, theirs if cut is None else None, said.slot))
        return found

    async def _single(self, look: Look) -> list[_Differing]:
        """Compare single accounts; of programs only what is stored of them."""
        plain = sorted(address for address in look.seen if address not in look.programs)
        theirs = await self._theirs.accounts(plain, look.oldest)
        theirs |= await self._theirs.accounts(look.programs, look.oldest, first_bytes=HEAD_BYTES)
        return [
            _Differing(address, account, account.slot)
            for address, account in theirs.items()
            if not _alike(look.seen[address], account)
        ]

    async def _resolved(self, look: Look, differing: Sequence[_Differing]) -> str:
        """Read what differs from both nodes until they answer as of one slot; raises `Contradiction` for what still does."""
        if len(differing) > ACCOUNTS_AT_ONCE:
            return f"{len(differing)} accounts differed between the answers of two nodes, which are of other slots"
        left = {each.address: each for each in differing}
        for _ in range(TRIES):
            if not left:
                return AGREED
            ours, theirs = await self._both(sorted(left), look)
            if theirs is None:
                return "no second node answered"
            self._must_agree(look, left, ours, theirs)
            left = {address: each for address, each in left.items() if not _alike(ours[address], theirs[address])}
        return f"{len(left)} accounts changed while two nodes were compared" if left else AGREED

    async def _both(
        self, addresses: Sequence[bytes], look: Look
    ) -> tuple[Mapping[bytes, AccountBytes], Mapping[bytes, AccountBytes] | None]:
        programs = [address for address in addresses if address in look.programs]
        plain = [address for address in addresses if address not in look.programs]
        ours = await self._ours.accounts(plain, look.slot)
        ours |= await self._ours.accounts(programs, look.slot, first_bytes=HEAD_BYTES)
        try:
            theirs = await self._theirs.accounts(plain, look.slot)
            theirs |= await self._theirs.accounts(programs, look.slot, first_bytes=HEAD_BYTES)
        except (NodeBusy, NodeWrong):
            return ours, None
        return ours, theirs

    def _must_agree(
        self,
        look: Look,
        left: Mapping[bytes, _Differing],
        ours: Mapping[bytes, AccountBytes],
        theirs: Mapping[bytes, AccountBytes],
    ) -> None:
        for address, each in left.items():
            now = ours[address]
            if now.slot == theirs[address].slot and not _alike(now, theirs[address]):
                raise Contradiction(
                    f"{self._where}: two nodes say different things of account {base58(address)} at slot {now.slot};"
                    " find out which one is wrong, and take it out of `rpc`"
                )
            before = look.members.get(address) or look.seen.get(address)
            is_late = before is not None and each.said is not None and each.slot <= before.slot
            if is_late and _alike(now, each.said) and not _alike(now, before):
                raise Contradiction(
                    f"{self._where}: a node says of account {base58(address)} at slot {look.slot} what another had replaced"
                    f" at slot {each.slot}; looking again"
                )


def _alike(ours: AccountBytes | None, theirs: AccountBytes | None) -> bool:
    """Tell whether two nodes say the same; one that is not there is listed nowhere."""
    if ours is None or theirs is None or ours.closed or theirs.closed:
        return (ours is None or ours.closed) and (theirs is None or theirs.closed)
    return ours._replace(slot=0) == theirs._replace(slot=0)
