"""What a span takes in of venues whose accounts are read: whose each account is, and which are gone.

A venue is given the accounts of its sets, those that once were, and the single ones that its own name; nobody else's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from chains.errors import NodeBusy
from chains.model import AccountBytes, Rows
from chains.ports import StateReader
from chains.solana.after import After
from chains.solana.ports import AccountProtocol, AccountSet, Seeking
from chains.solana.source import SolanaSource

Seen = tuple[bytes, AccountBytes]
KEY = 32


class Reading:
    """The venues of one chain in one span, upon the journals before it."""

    def __init__(self, source: SolanaSource, venues: Sequence[AccountProtocol], state: StateReader) -> None:
        self._source = source
        self._venues = venues
        self._state = state

    def slots(self, venue: AccountProtocol) -> list[int]:
        """Return the slots of the last look's lists of a venue's sets."""
        found = [self._source.slot_of(wanted) for wanted in venue.sets]
        return [slot for slot in found if slot is not None]

    def is_within(self, first: int, last: int) -> bool:
        """Tell whether the last look was made within a span; raises `NodeBusy` where a part of it was made before.

        What is from before cannot be stored any more, and what is not stored must not be called read.
        """
        slots = [slot for venue in self._venues for slot in self.slots(venue)]
        if not slots or max(slots) > last:
            return False
        if min(slots) < first:
            raise NodeBusy(f"accounts were listed as of slot {min(slots)}, and slot {first} is next; looking again")
        return True

    async def closed(self) -> list[Seen]:
        """Return the accounts that are stored and not listed any more: what became of them."""
        found: list[Seen] = []
        for venue in self._venues:
            stored = self._state.account_bytes([name for name in self._names(venue) if len(name) == KEY])
            for wanted in venue.sets:
                found += await self._gone(wanted, {a for a, account in stored.items() if wanted.has(account)})
        return found

    async def _gone(self, wanted: AccountSet, stored: Collection[bytes]) -> list[Seen]:
        listed, slot = self._source.listed_at(wanted), self._source.slot_of(wanted)
        if listed is None or slot is None:
            return []
        return list((await self._source.gone(wanted, set(stored) - listed.keys(), slot)).items())

    def fold(self, seen: Sequence[Seen], changed: Sequence[Seen]) -> Iterator[tuple[Rows, list[Seen]]]:
        """Yield the rows of each venue with the accounts that they come of; `changed`: those of `seen` whose bytes are not stored.

        A venue of which nothing is stored takes all that is its, and any takes what it names for the first time.
        """
        for venue in self._venues:
            begun = bool(self._state.markets(venue.venue.id))
            before = frozenset(venue.others(self._state))
            given = changed if begun else seen
            mine = self._mine(venue, given, before)
            rows = venue.fold(self._state, mine)
            after = After(self._state, rows)
            named, concerned = frozenset(venue.others(after)) - before, _concerned(venue, after, given)
            wanted, had = named | concerned, {(address, account.slot) for address, account in mine}
            more = [each for each in seen if each[0] in wanted and (each[0], each[1].slot) not in had]
            if more:
                mine = sorted([*mine, *more], key=lambda each: (each[1].slot, each[0]))
                rows = venue.fold(self._state, mine)
            yield rows, mine

    def _mine(self, venue: AccountProtocol, seen: Sequence[Seen], others: Collection[bytes]) -> list[Seen]:
        members = {address for address, account in seen if any(wanted.has(account) for wanted in venue.sets)}
        known = self._names(venue) | members | set(others) | _concerned(venue, self._state, seen)
        return [each for each in seen if each[0] in known]

    def _names(self, venue: AccountProtocol) -> set[bytes]:
        return set(self._state.units(venue.venue.id)) | {market for market, _ in self._state.markets(venue.venue.id)}


def _concerned(venue: AccountProtocol, state: StateReader, seen: Sequence[Seen]) -> set[bytes]:
    """Return the accounts that are of sets which a venue sought, as far as the journals know of these."""
    if not isinstance(venue, Seeking):
        return set()
    concerns = venue.concerns(state)
    return {address for address, account in seen if concerns(account)}
