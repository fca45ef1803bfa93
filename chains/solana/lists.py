"""Lists of sets that cost little: slices say, and notifications tell, which accounts are to be read; whole lists confirm.

What a set held is remembered by a few bytes of each account as it is stored. Between two whole lists a node is asked for these bytes of
all accounts, and only accounts whose bytes are others, that are new, or that a notification told of are read. Bytes that change with
every write (`AccountSet.pulse`) are enough for that; of a set without such bytes the slices are empty, and notifications must have told
of everything up to the slot of the list, without a break since the last whole one. What neither tells, the next whole list finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from chains.errors import NodeBusy
from chains.model import AccountBytes
from chains.rpc.together import gathered
from chains.solana.members import Members, Said
from chains.solana.ports import AccountSet

WHOLE_EVERY = 150
"""Slots after which a set is listed whole again: about a minute."""

SETTLE = 8
"""Slots for which an account that was seen to change is read again: a few bytes may count seconds, in which it may change twice."""

MOST_READ = 2_000
"""Accounts that are read one by one; of more, the set is listed whole."""

Read = Callable[[Sequence[bytes], int], Awaitable[Mapping[bytes, AccountBytes]]]
Mark = tuple[bytes, int]
"""The few bytes of an account, and its lamports."""


class Listed(NamedTuple):
    """A set as it was looked at: `names` of all its accounts as of `slot`, parts of it since `oldest`, and the bytes of those read."""

    slot: int
    oldest: int
    names: frozenset[bytes]
    accounts: Mapping[bytes, AccountBytes]
    whole: bool


class Teller(Protocol):
    """Notifications about the accounts of sets."""

    @property
    def session(self) -> int | None:
        """A number that is another after each break, `None` while nothing is told."""
        ...

    @property
    def since(self) -> int | None:
        """The first slot whose every change this session tells, `None` while that is not known."""
        ...

    async def heard(self, slot: int) -> bool:
        """Wait a moment until all of a slot was told; return whether it was."""
        ...

    def told(self, wanted: AccountSet) -> Mapping[bytes, int]:
        """Return which accounts of a set changed, each with the newest slot in which one was told to."""
        ...

    def forget(self, wanted: AccountSet, told: Mapping[bytes, int]) -> None:
        """Forget what was told, as it is stored, unless more was told of an account since."""
        ...


class Silence:
    """Nobody tells anything."""

    session: int | None = None
    since: int | None = None

    async def heard(self, slot: int) -> bool:
        """Return no."""
        del slot
        return False

    def told(self, wanted: AccountSet) -> Mapping[bytes, int]:
        """Return nothing."""
        del wanted
        return {}

    def forget(self, wanted: AccountSet, told: Mapping[bytes, int]) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Known:
    """A set as it is stored: the mark of each account, when some were read, the last whole list with its session, and what was told.

    `whole_from`: the oldest answer of that list.
    """

    marks: dict[bytes, Mark] = field(default_factory=dict)
    read_at: dict[bytes, int] = field(default_factory=dict)
    whole_at: int = 0
    whole_from: int = 0
    session: int | None = None
    told: Mapping[bytes, int] = field(default_factory=dict)
    whole: bool = True


class Lists:
    """All sets of a chain, list after list; `every`: slots between two whole ones."""

    def __init__(self, members: Members, read: Read, teller: Teller, *, every: int = WHOLE_EVERY) -> None:
        self.every = every
        self.members = members
        self._read = read
        self._teller = teller
        self._stored: dict[AccountSet, _Known] = {}
        self._last: dict[AccountSet, _Known] = {}

    async def take(self, sets: Sequence[AccountSet], least: int) -> dict[AccountSet, Listed]:
        """List sets as of slot `least` or later; raises `NodeBusy`, `NodeWrong`."""
        found = await gathered(self._take(wanted, least) for wanted in sets)
        self._last = {wanted: known for wanted, (_, known) in zip(sets, found, strict=True)}
        return {wanted: listed for wanted, (listed, _) in zip(sets, found, strict=True)}

    def mark(self, wanted: AccountSet, address: bytes) -> Mark | None:
        """Return the few bytes of an account as it was listed last, and its lamports."""
        known = self._last.get(wanted)
        return None if known is None else known.marks.get(address)

    def stored(self) -> None:
        """Note that what was listed last is stored."""
        self._stored |= self._last
        for wanted, known in self._last.items():
            self._teller.forget(wanted, known.told)
        self._last = {}

    def forget(self) -> bool:
        """Note that what is stored is not known any more; return whether what was listed last does without."""
        self._stored = {}
        if all(known.whole for known in self._last.values()):
            return True
        self._last = {}
        return False

    async def _take(self, wanted: AccountSet, least: int) -> tuple[Listed, _Known]:
        known = self._stored.get(wanted)
        session = self._teller.session
        if known is not None and known.marks and not wanted.sought and self._may_slice(wanted, known, least, session):
            sliced = await self._sliced(wanted, known, least)
            if sliced is not None:
                return sliced
        said = await self.members.list(wanted, least)
        marks = {address: _mark(wanted, account) for address, account in said.accounts.items()}
        listed = Listed(said.slot, said.oldest, frozenset(said.accounts), said.accounts, whole=True)
        told = {name: slot for name, slot in self._teller.told(wanted).items() if slot <= _slot_of(said, name)}
        return listed, _Known(marks, _lately(wanted, known, said, marks), said.slot, said.oldest, session, told)

    def _may_slice(self, wanted: AccountSet, known: _Known, least: int, session: int | None) -> bool:
        """Tell whether few bytes are enough: the last whole list is not long ago, and no notification may be lost since."""
        is_told = session is not None or wanted.pulse is not None
        return is_told and session == known.session and least < known.whole_at + self.every

    async def _sliced(self, wanted: AccountSet, known: _Known, least: int) -> tuple[Listed, _Known] | None:
        """List slices and read what changed; `None` where too much did, or not all was told."""
        said = await self.members.list(wanted, least, wanted.pulse or (0, 0))
        heard = wanted.pulse is not None or (await self._teller.heard(said.slot) and self._joins(known))
        if not heard or self._teller.session != known.session:
            return None
        told = dict(self._teller.told(wanted))
        due = self._due(wanted, known, said) | told.keys()
        if len(due) > MOST_READ:
            return None
        read = await self._read(sorted(due), max([said.slot, *told.values()])) if due else {}
        if any(account.slot < told.get(address, 0) for address, account in read.items()):
            raise NodeBusy("accounts were read as of before the slot in which they were told to change; looking again")
        ours = {address: account for address, account in read.items() if wanted.has(account)}
        names = frozenset(said.accounts.keys() - read.keys() | ours.keys())
        listed = Listed(said.slot, said.oldest, names, ours, whole=False)
        return listed, self._after(wanted, known, listed, told)

    def _joins(self, known: _Known) -> bool:
        """Tell whether notifications begin no later than the last whole list, which another node may have given from before."""
        since = self._teller.since
        return since is not None and since <= known.whole_from

    def _due(self, wanted: AccountSet, known: _Known, said: Said) -> set[bytes]:
        """Return whom to read: those whose few bytes are others than stored, and who was read just before."""
        changed = {
            address
            for address, account in said.accounts.items()
            if known.marks.get(address)
            != ((account.data, account.lamports) if wanted.pulse else (b"", account.lamports))
        }
        lately = {address for address, slot in known.read_at.items() if slot + SETTLE > said.slot}
        return changed | (lately & said.accounts.keys())

    def _after(self, wanted: AccountSet, known: _Known, listed: Listed, told: Mapping[bytes, int]) -> _Known:
        marks = {address: mark for address, mark in known.marks.items() if address in listed.names}
        marks |= {address: _mark(wanted, account) for address, account in listed.accounts.items()}
        news = {address for address in listed.accounts if marks[address] != known.marks.get(address)}
        read_at = {address: slot for address, slot in known.read_at.items() if slot + SETTLE > listed.slot}
        read_at |= {address: listed.accounts[address].slot for address in news}
        return _Known(marks, read_at, known.whole_at, known.whole_from, known.session, told, whole=False)


def _lately(wanted: AccountSet, known: _Known | None, said: Said, marks: Mapping[bytes, Mark]) -> dict[bytes, int]:
    """Return which accounts of a whole list may change once more without a sign, with the slots of what is known.

    By a first list all may, but of very many none is read again: it would be the list once more, and the next whole one tells.
    """
    if wanted.pulse is None or (known is None and len(marks) > MOST_READ):
        return {}
    before = known or _Known()
    since = {address: slot for address, slot in before.read_at.items() if address in marks}
    changed = {address for address, mark in marks.items() if mark != before.marks.get(address)}
    since |= {address: said.accounts[address].slot for address in changed}
    return {address: slot for address, slot in since.items() if slot + SETTLE > said.slot}


def _mark(wanted: AccountSet, account: AccountBytes) -> Mark:
    offset, length = wanted.pulse or (0, 0)
    return account.data[offset : offset + length], account.lamports


def _slot_of(said: Said, address: bytes) -> int:
    """Return as of which slot a list says what it does of an account, or that it is not there."""
    account = said.accounts.get(address)
    return said.oldest if account is None else account.slot
