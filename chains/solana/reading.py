"""What a span takes in of venues whose accounts are read: whose each account is, and which are gone.

A venue is given the accounts of its sets, those that once were, and the single ones that its own name, from the slot on in which they
do; nobody else's. So a look, and a span of many looks that are stored, give the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from chains.errors import NodeBusy
from chains.model import WHOLE_VENUE, Rows
from chains.ports import StateReader
from chains.solana.after import After
from chains.solana.ports import AccountProtocol, AccountSet, Seeking
from chains.solana.programs import DEPLOYMENT, enter, programs_of, watched_of
from chains.solana.seen import Seen
from chains.solana.source import SolanaSource

KEY = 32
NEVER = 2**63


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

    def begun(self, venue: AccountProtocol) -> bool:
        """Tell whether anything of a venue's own is known."""
        return any(aspect != DEPLOYMENT for _, aspect in self._state.markets(venue.venue.id))

    def is_within(self, first: int, last: int) -> bool:
        """Tell whether the last look was made within a span; raises `NodeBusy` where a part of it was made before.

        What is from before cannot be stored any more, and what is not stored must not be called read.
        """
        if not any(self.slots(venue) for venue in self._venues) or self._source.looked_to > last:
            return False
        if self._source.looked_from < first:
            raise NodeBusy(
                f"accounts were read as of slot {self._source.looked_from}, and slot {first} is next; looking again"
            )
        return True

    async def closed(self) -> list[Seen]:
        """Return the accounts that are stored and not listed any more: what became of them."""
        found: list[Seen] = []
        for venue in self._venues:
            listed = {address for wanted in venue.sets for address in self._source.listed_at(wanted) or ()}
            lacking = [name for name in self._names(venue) if len(name) == KEY and name not in listed]
            stored = self._state.account_bytes(lacking)
            for wanted in venue.sets:
                found += await self._gone(wanted, {a for a, account in stored.items() if wanted.has(account)})
        return found

    async def _gone(self, wanted: AccountSet, stored: Collection[bytes]) -> list[Seen]:
        slot = self._source.slot_of(wanted)
        if slot is None:
            return []
        return list((await self._source.gone(wanted, stored, slot)).items())

    def fold(self, seen: Sequence[Seen], changed: Sequence[Seen]) -> Iterator[tuple[Rows, list[Seen]]]:
        """Yield the rows of each venue with the accounts that they come of; `changed`: those of `seen` whose bytes are not stored.

        A venue of which nothing is stored takes all that is its, and any takes what it names for the first time.
        """
        for venue in self._venues:
            begun = self.begun(venue)
            news = changed if begun else seen
            begins = 0 if begun else self._begins(venue, seen)
            rows, mine = self._folded(venue, seen, news, begins)
            told, programs = self._deployments(venue, news, begins)
            rows.markets += told.markets
            yield rows, [*mine, *programs]

    def _begins(self, venue: AccountProtocol, seen: Sequence[Seen]) -> int:
        """Return the slot in which a venue of which nothing is stored is first seen: what is somebody else's before is not its."""
        own = [
            account.slot
            for address, account in seen
            if address == venue.venue.address or any(wanted.has(account) for wanted in venue.sets)
        ]
        return min(own, default=NEVER)

    def _folded(
        self, venue: AccountProtocol, seen: Sequence[Seen], news: Sequence[Seen], begins: int
    ) -> tuple[Rows, list[Seen]]:
        before = dict.fromkeys(venue.others(self._state), begins)
        before |= dict.fromkeys(_concerned(venue, self._state, seen), begins)
        since = dict(before)
        while True:
            mine = self._mine(venue, seen, news, before, since)
            rows = venue.fold(self._state, mine)
            found = _concerned(venue, After(self._state, rows), seen)
            named = dict.fromkeys(found, begins) | self._named(venue, rows)
            if named.keys() <= since.keys():
                return rows, mine
            since = named | since

    def _mine(
        self,
        venue: AccountProtocol,
        seen: Sequence[Seen],
        news: Sequence[Seen],
        before: Mapping[bytes, int],
        since: Mapping[bytes, int],
    ) -> list[Seen]:
        """Return a venue's accounts; of those it names only now also bytes that are stored, as somebody else's."""
        members = {address for address, account in news if any(wanted.has(account) for wanted in venue.sets)}
        known = self._names(venue) | members
        own = [each for each in news if each[0] in known or _is_due(each, before)]
        late = {address: slot for address, slot in since.items() if address not in before and address not in known}
        if not late:
            return own
        return sorted([*own, *(each for each in seen if _is_due(each, late))], key=lambda each: (each[1].slot, each[0]))

    def _named(self, venue: AccountProtocol, rows: Rows) -> dict[bytes, int]:
        """Return the single accounts that a venue names by some rows, each with the slot in which it does first."""
        found: dict[bytes, int] = {}
        until = Rows()
        for slot, changes in groupby(sorted(rows.markets, key=lambda row: row.block), key=lambda row: row.block):
            until.markets += changes
            for address in venue.others(After(self._state, until)):
                found.setdefault(address, slot)
        return found

    def _deployments(self, venue: AccountProtocol, news: Sequence[Seen], begins: int) -> tuple[Rows, list[Seen]]:
        """Enter which deployments of a venue's programs run, as of the first slot that anything of it was seen in."""
        programs = programs_of(venue)
        watched = dict.fromkeys(watched_of(programs), begins)
        mine = [each for each in news if _is_due(each, watched)]
        before = self._state.markets(venue.venue.id).get((WHOLE_VENUE, DEPLOYMENT))
        return Rows(markets=enter(venue.venue.id, programs, before, mine) if mine else []), mine

    def _names(self, venue: AccountProtocol) -> set[bytes]:
        return set(self._state.units(venue.venue.id)) | {market for market, _ in self._state.markets(venue.venue.id)}


def _is_due(seen: Seen, since: Mapping[bytes, int]) -> bool:
    slot = since.get(seen[0])
    return slot is not None and seen[1].slot >= slot


def _concerned(venue: AccountProtocol, state: StateReader, seen: Sequence[Seen]) -> set[bytes]:
    """Return the accounts that are of sets which a venue sought, as far as the journals know of these."""
    if not isinstance(venue, Seeking):
        return set()
    concerns = venue.concerns(state)
    return {address for address, account in seen if concerns(account)}
