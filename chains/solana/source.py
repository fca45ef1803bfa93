"""Where the facts of one Solana cluster come from: its nodes (`nodes.py`), or what was stored of them (`stored.py`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from chains.model import AccountBytes, Skipped
from chains.ports import Head
from chains.solana.ports import AccountSet, Answer, Body, Listed, Listing, Read, SlotBlock

LOOK_AROUND = 512
"""How many slots at first are searched for a block beside a skipped slot."""


class Watched(NamedTuple):
    """Single accounts that are read with the head.

    `seen`: whose bytes are stored as they were at or before it; `programs`: of which the first bytes are; `held`: what accounts hold
    at the head or later, which proves what transactions add up to.
    """

    seen: Sequence[bytes]
    programs: Sequence[bytes]
    held: Sequence[bytes]


ToWatch = Callable[[Sequence[tuple[bytes, AccountBytes]]], Watched]
"""Names the single accounts to read, given those of sets that were just listed."""


class SolanaSource(Protocol):
    """Facts of one cluster at the commitment that is followed."""

    live: bool
    """Whether facts come from nodes, which may err."""

    agreement: str | None
    """Why another node was not found to say of the last look what one said, empty where it was, `None` where none is asked."""

    async def look(self, accounts: ToWatch, sets: Sequence[AccountSet] = (), after: int = 0) -> Head:
        """Return the newest block and the newest final slot, and remember the bytes that accounts have there.

        Those of `sets` and what they name are of that slot or shortly before, and not from before `after`.
        """
        ...

    async def accounts(self, addresses: Sequence[bytes], least: int) -> dict[bytes, AccountBytes]:
        """Return what accounts hold now, at slot `least` or later."""
        ...

    async def blocks(self, slots: Collection[int], *, place: Collection[str] = ()) -> dict[int, SlotBlock]:
        """Return the blocks of slots that hold one, with the places of some transactions; raises `NodeWrong` for a slot that does not."""
        ...

    async def block(self, slot: int) -> SlotBlock | Skipped | None:
        """Return the block of a slot, the proof that there is none, or `None` where the nodes are not there yet."""
        ...

    async def floor(self, slot: int, first: int) -> int | None:
        """Return the newest slot in `first`..`slot` that holds a block."""
        ...

    async def slots(self, first: int, last: int) -> list[int]:
        """Return the slots of a span that hold a block, as the nodes list them."""
        ...

    async def listed(self, address: bytes, first: int, last: int, settled: int) -> Listing:
        """Return the transactions of a span that name an account and did not fail, oldest first, and what follows them."""
        ...

    async def earlier(self, address: bytes, slot: int) -> bool:
        """Whether a transaction before a slot names an account and did not fail, as far as history is kept."""
        ...

    async def bodies(self, listed: Sequence[Listed]) -> list[Body]:
        """Return transactions as said."""
        ...

    def observed(self, first: int, last: int) -> list[tuple[bytes, AccountBytes]]:
        """Return what was seen of accounts in slots of a span, by slot and address; spans go up."""
        ...

    def stored(self) -> None:
        """Note that the last look is stored: the next one may ask for what changed since."""
        ...

    def forget(self) -> bool:
        """Note that what is stored is not what was looked at: the next look must ask for all; return whether the last one did."""
        ...

    def listed_at(self, wanted: AccountSet) -> Collection[bytes] | None:
        """Return whom the last look listed of a set, `None` where nothing was."""
        ...

    def slot_of(self, wanted: AccountSet) -> int | None:
        """Return the slot of that list."""
        ...

    @property
    def looked_from(self) -> int:
        """The slot of the oldest answer of the last look about sets and what they name."""
        ...

    @property
    def looked_to(self) -> int:
        """The slot of the head of the last look."""
        ...

    async def gone(self, wanted: AccountSet, addresses: Collection[bytes], slot: int) -> dict[bytes, AccountBytes]:
        """Return what became of accounts of a set that were not listed at a slot: closed, or something else now."""
        ...

    def looked(self, address: bytes) -> AccountBytes | None:
        """Return what the last look saw of an account."""
        ...

    async def read(self, reads: Collection[Read]) -> dict[Read, Answer]:
        """Answer questions about state that no transaction carries."""
        ...

    def another(self) -> int:
        """Ask another node first, after one that could not be used; return how many there are."""
        ...

    def first(self) -> None:
        """Ask the first node first again."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
