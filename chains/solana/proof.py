"""The proof that no transaction is missing: what an account's transactions add up to is what it held before the next one, or holds now.

A node's index of transactions may lag behind its accounts, or have a hole. A batch that was taken in cannot be mended, so none is
without this proof at its end; the first one needs it at its beginning too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chains.errors import NoContract, NodeBusy
from chains.identifiers import base58
from chains.rpc.together import gathered
from chains.solana.ports import Listed, Listing, SolanaProtocol
from chains.solana.source import SolanaSource

Balances = Sequence[tuple[SolanaProtocol, Mapping[bytes, int | None]]]
"""What each account of a venue holds by its transactions, `None` where there was none."""


class Proof:
    """What nodes say of the accounts of some venues, against what their transactions say."""

    def __init__(
        self,
        source: SolanaSource,
        venues: Sequence[SolanaProtocol],
        listings: Mapping[bytes, Listing],
        *,
        chain_id: str,
        start: int,
    ) -> None:
        self._source = source
        self._venues = venues
        self._listings = listings
        self._chain_id = chain_id
        self._start = start

    async def begin(self) -> None:
        """See that no account held anything before the first slot; raises `NoContract`, `NodeBusy`."""
        await gathered(
            self._must_begin(venue, address) for venue in self._venues for address in sorted(venue.addresses)
        )

    async def end(self, balances: Balances, last: int) -> None:
        """See that every account goes on from what its transactions up to `last` add up to; raises `NoContract`, `NodeBusy`."""
        await gathered(
            self._must_hold(venue, address, amount, last)
            for venue, amounts in balances
            for address, amount in sorted(amounts.items())
        )

    async def _must_begin(self, venue: SolanaProtocol, address: bytes) -> None:
        listing = self._listings[address]
        first = listing.found[0] if listing.found else listing.after
        held = None if first is None else await self._held_before(venue, address, first, 0)
        if held:
            when = f"before its first transaction from slot {self._start} on"
            await self._differ(venue, address, None, held, when)

    async def _must_hold(self, venue: SolanaProtocol, address: bytes, amount: int | None, last: int) -> None:
        account, after = self._source.looked(address), self._listings[address].after
        now = None if account is None else venue.amount(address, account)
        if account is not None and amount is None and after is None and account.closed:
            raise NoContract(
                f"venue {venue.venue.id}: {base58(address)} does not exist on {self._chain_id} and has no history;"
                " check `accounts` and `chain` of this [[venue]]"
            )
        if account is not None and (account.slot == last or (after is None and account.slot > last)):
            held, when = now, f"in slot {account.slot}"
        elif after is not None:
            held = await self._held_before(venue, address, after, amount or 0)
            when = f"before transaction {after.signature} of slot {after.slot}"
        else:
            return
        if held not in {None, amount or 0}:
            await self._differ(venue, address, amount, held, when)

    async def _held_before(self, venue: SolanaProtocol, address: bytes, listed: Listed, expected: int) -> int | None:
        """Return what an account held before a transaction, or before another of its slot: not all nodes list these in order."""
        (body,) = await self._source.bodies([listed])
        held = venue.held_before(address, body.text)
        if held in {None, expected}:
            return held
        beside = await self._source.listed(address, listed.slot, listed.slot, listed.slot)
        others = [venue.held_before(address, body.text) for body in await self._source.bodies(beside.found)]
        return expected if expected in others else held

    async def _differ(
        self, venue: SolanaProtocol, address: bytes, amount: int | None, held: int | None, when: str
    ) -> None:
        where = f"venue {venue.venue.id}: {base58(address)} on {self._chain_id} held {held} raw units {when}"
        if amount is None and await self._source.earlier(address, self._start):
            raise NoContract(
                f"{where}, some of them from before slot {self._start}: those deposits would be missing;"
                " set `start_block` to a slot before the first one"
            )
        raise NodeBusy(
            f"{where}, and its transactions so far add up to {amount or 0}: the node's history lags behind its state,"
            f" or lacks something{'' if amount is not None else ', or `start_block` is later than the first deposit'}"
        )
