"""The book in memory as pages show it: everybody, the worst first, and what all of it comes to; made once for each version."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from threading import Lock
from time import monotonic, sleep

from aggregator.book import AssessedAccount, BookRow
from aggregator.live import BEYOND, SEVERITY, Version
from aggregator.margin import numbers
from aggregator.margin.inputs import Cut
from aggregator.margin.status import Status, unit_status
from aggregator.margin.valuation import OpenUnit, ValuedPosition
from aggregator.oracle.observation import Mark
from chains.identifiers import format_hash
from crossmargin.documents import Document, moment
from crossmargin.errors import Busy
from crossmargin.local_desk import LocalDesk

Place = tuple[int, Decimal, str]

LAG_S = 120
"""How many seconds of a chain the book may be behind what is stored; it is made anew within half a minute."""

LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One account of the book; `said`: what a search looks through, in small letters."""

    row: BookRow
    members: int
    venues: frozenset[str]
    chains: frozenset[str]
    said: str

    @property
    def lowest(self) -> Decimal:
        """The lower of the house's and the venues' health factor; without any, beyond all."""
        found = (self.row.health_factor, self.row.min_unit_health_factor)
        return min((factor for factor in found if factor is not None), default=BEYOND)

    @property
    def place(self) -> Place:
        """Where it stands in the order of the book."""
        return -SEVERITY[self.row.status], self.lowest, self.row.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What some part of the book comes to at the middles of the house's marks, in USD: supplies down, debts up.

    `debt_usd` is `None` where the price of any debt is not known. `unpriced`: positions without a price; a supply without one adds nothing.
    `unknown`: units of which the venue's own numbers are not known.
    """

    names: tuple[str, ...]
    units: int
    unknown: int
    supplied_usd: str
    debt_usd: str | None
    unpriced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom to show; what is empty decides nothing. `below`: of the lowest health factor; `text`: a part of an account or a member."""

    status: Status | None = None
    chain: str = ""
    venue: str = ""
    below: Decimal | None = None
    text: str = ""

    def takes(self, entry: Entry) -> bool:
        """Whether somebody is wanted; of whom there is no health factor, nothing is below a bound."""
        return (
            (self.status is None or entry.row.status is self.status)
            and (not self.chain or self.chain in entry.chains)
            and (not self.venue or self.venue in entry.venues)
            and (self.below is None or entry.lowest < self.below)
            and (not self.text or self.text.lower() in entry.said)
        )


class BookView:
    """One version of the book: `entries` in its order, the sums, and the blocks that all of it is as of."""

    def __init__(self, version: Version) -> None:
        self.version = version
        held = {each.account.id: each for each in version.book.accounts}
        self.entries = [_entry(version.rows[name], held[name]) for name in version.order]
        self.statuses = {status.value: count for status, count in version.statuses.items()}
        self.as_of = {chain_id: _place(chain_id, cut) for chain_id, cut in sorted(version.cuts.items())}
        self.chains = sorted({chain for entry in self.entries for chain in entry.chains})
        self.venues = sorted({venue for entry in self.entries for venue in entry.venues})
        positions = {
            id(item.position): item for each in version.book.accounts for item in each.assessment.positions
        }.values()
        units = {id(unit): unit for each in version.book.accounts for unit in each.units}.values()
        bounds = version.book.context.policy.status
        unknown = [unit for unit in units if unit_status(unit, bounds) is Status.UNKNOWN]
        self.by_venue = _sums(positions, lambda item: _venue_of(item.held_in), units, unknown, _venue_of)
        self.by_chain = _sums(positions, lambda item: _chain_of(item.held_in), units, unknown, _chain_of)
        self.by_identity = _sums(positions, lambda item: (item.identity,), (), (), _venue_of)

    def chosen(self, wanted: Wanted) -> list[Entry]:
        """Return whom somebody wants, the worst first."""
        return [entry for entry in self.entries if wanted.takes(entry)]


def lagging(view: BookView, status: Document) -> list[str]:
    """Say of each chain that the book is far behind what is stored of it."""
    stored = {chain["chain"]: chain for chain in status["chains"] if chain["indexed"] is not None}
    return [
        f"{chain['name']}: this is as of block {cut['block']:,}, and block {chain['indexed']['block']:,} is stored already"
        for name, cut in view.as_of.items()
        if (chain := stored.get(name)) and _seconds(chain["indexed"]["time"]) - _seconds(cut["time"]) > LAG_S
    ]


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def behind(entries: Sequence[Entry], place: Place) -> int:
    """Return how many of some accounts, in the order of the book, stand at or before a place."""
    return bisect_right(entries, place, key=lambda entry: entry.place)


class Books:
    """Gives the newest view; what the pages say of doubts is never older than what the chains' followers know.

    `patience_s`: how long a page waits for the first version; the keeper of the book makes it as soon as the service runs.
    """

    def __init__(self, desk: LocalDesk, *, patience_s: float = 5.0) -> None:
        self._desk = desk
        self._patience_s = patience_s
        self._lock, self._taking = Lock(), Lock()
        self._view: BookView | None = None
        self._doubted: frozenset[str] | None = None

    def now(self, status: Document) -> BookView:
        """Return the view of the newest version; it is made anew where chains are doubted, or not any more, since the last look.

        Only one page makes it: others show what there is meanwhile, and warn of the chains. Raises `Busy` where there is none yet, and
        what `LocalDesk.take_book` raises.
        """
        doubted = frozenset(chain["chain"] for chain in status["chains"] if chain["reason"])
        version = self._first()
        if self._doubted not in {None, doubted} and self._taking.acquire(blocking=False):
            try:
                version = self._desk.take_book()
                self._doubted = doubted
            finally:
                self._taking.release()
        elif self._doubted is None:
            self._doubted = doubted
        with self._lock:
            if self._view is None or self._view.version is not version:
                self._view = BookView(version)
            return self._view

    def _first(self) -> Version:
        deadline = monotonic() + self._patience_s
        while (version := self._desk.live.version) is None:
            if monotonic() >= deadline:
                raise Busy(
                    "all accounts are being valued for the first time since the service began; look again in a moment"
                )
            sleep(LOOK_S)
        return version


def _entry(row: BookRow, held: AssessedAccount) -> Entry:
    members = held.account.members
    return Entry(
        row=row,
        members=len(members),
        venues=frozenset(unit.venue.id for unit in held.units),
        chains=frozenset(unit.venue.chain_id for unit in held.units),
        said=" ".join((row.account, *members)).lower(),
    )


def _place(chain_id: str, cut: Cut) -> Document:
    block = cut.block
    return {
        "block": block.number,
        "hash": format_hash(chain_id, block.hash),
        "time": moment(block.time),
        "finality": cut.finality.value,
    }


def _venue_of(held_in: OpenUnit) -> tuple[str, ...]:
    venue = held_in.venue
    return venue.id, venue.protocol, venue.chain_id


def _chain_of(held_in: OpenUnit) -> tuple[str, ...]:
    return (held_in.venue.chain_id,)


def _sums(
    items: Iterable[ValuedPosition],
    key: Callable[[ValuedPosition], tuple[str, ...]],
    units: Iterable[OpenUnit],
    unknown: Iterable[OpenUnit],
    unit_key: Callable[[OpenUnit], tuple[str, ...]],
) -> list[Sum]:
    """Add up by `key`; every position of a unit counts once, also where several accounts share it."""
    grouped: dict[tuple[str, ...], list[ValuedPosition]] = defaultdict(list)
    for item in items:
        grouped[key(item)].append(item)
    counts, doubtful = Counter(map(unit_key, units)), Counter(map(unit_key, unknown))
    return [
        _sum(names, grouped[names], counts[names], doubtful[names]) for names in sorted(grouped.keys() | counts.keys())
    ]


def _sum(names: tuple[str, ...], items: Sequence[ValuedPosition], units: int, unknown: int) -> Sum:
    worth = [(item.is_debt, item.amount * item.mark.mid if isinstance(item.mark, Mark) else None) for item in items]
    supplied = math.fsum(usd for is_debt, usd in worth if not is_debt and usd is not None)
    debt = [usd for is_debt, usd in worth if is_debt]
    priced = [usd for usd in debt if usd is not None]
    return Sum(
        names=names,
        units=units,
        unknown=unknown,
        supplied_usd=numbers.text(numbers.usd_down(supplied)),
        debt_usd=numbers.text(numbers.usd_up(math.fsum(priced))) if len(priced) == len(debt) else None,
        unpriced=sum(usd is None for _, usd in worth),
    )
