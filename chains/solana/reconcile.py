"""What transactions add up to, against what accounts are seen to hold: they must agree at each look at a unit.

Two looks at a unit leave a change of each of its positions, which the venue's own fold tells as `observed` lines. Those give way to the
transactions' own, and are what these are compared with: collateral tokens to the last one; tokens to one for each instruction and a
thousandth of what it moved, as much as rounding and interest between the two looks may make. What differs is an aspect of the unit's
address, `differs:` and the position, {"slot", "transactions", "accounts", "exact"}.

What was told since a unit's last look is its setting `pending`: {market:side → [tokens, exact, moved, how often]}, where null says that an
instruction names no amount; {"*": …} that any position may have changed, {"+": …} that the unit began.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from chains.identifiers import from_base58
from chains.model import END_OF_BLOCK, WHOLE_VENUE, AccountChange, Basis, LendingEvent, MarketChange, Rows, Side
from chains.ports import MarketKey, StateReader
from chains.solana.told import BIRTH, WHOLE_UNIT, Delta

NOBODY = b""
"""Owner of settings that are the same whoever owns the unit."""

PENDING, DIFFERS = "pending", "differs"
ENGINE = "history-1"
SHARE = 1_000
"""One part in so many of what was moved may be interest between two looks."""

ANY, BORN = "*", "+"
SIGNS = {
    "supply": (Side.SUPPLY, 1),
    "withdraw": (Side.SUPPLY, -1),
    "borrow": (Side.BORROW, 1),
    "repay": (Side.BORROW, -1),
}

Key = tuple[bytes, Side]
"""Market and side."""


class Move(NamedTuple):
    """A change of a position by a transaction, at its place in the chain."""

    slot: int
    tx_index: int
    ordinal: int
    delta: Delta


class Sum(NamedTuple):
    """Changes of a position: in tokens and exactly, `None` where one has no such amount; what was moved in all, and how often."""

    tokens: int | None = 0
    exact: int | None = 0
    moved: int = 0
    times: int = 0

    def plus(self, delta: Delta) -> Sum:
        """Add a change."""
        tokens = None if self.tokens is None or delta.tokens is None else self.tokens + delta.tokens
        exact = None if self.exact is None or delta.exact is None else self.exact + delta.exact
        return Sum(tokens, exact, self.moved + abs(delta.tokens or 0), self.times + 1)

    def agrees(self, seen: Seen) -> bool:
        """Tell whether accounts changed as much; what nothing names agrees with everything."""
        if self.exact is not None and seen.exact is not None:
            return self.exact == seen.exact
        if self.tokens is None or seen.tokens is None:
            return True
        return abs(self.tokens - seen.tokens) <= self.times + 1 + self.moved // SHARE


class Rules(Protocol):
    """How a protocol's changes are compared: see `Teller`."""

    nets: bool

    def worth(self, markets: Mapping[MarketKey, str], market: bytes, side: Side, amount: int) -> int | None: ...


class Seen(NamedTuple):
    """A change of a position as accounts leave it: tokens, and the protocol's own integers, `None` where it is not known."""

    tokens: int | None = 0
    exact: int | None = 0


@dataclass(slots=True)
class _Unit:
    """A unit while a span is weighed."""

    pending: dict[str, Sum]
    known: bool
    written: str = "{}"
    moves: list[Move] = field(default_factory=list)


def weigh(  # noqa: PLR0917 - a span, and whose it is
    venue_id: str,
    interest: str,
    rules: Rules,
    state: StateReader,
    moves: Sequence[Move],
    rows: Rows,
    seen: Mapping[bytes, Sequence[int]],
) -> Rows:
    """Return what is pending and what differs, and take the venue's observed lines out of `rows.events`.

    `seen`: the slots at which accounts were looked at, ascending; of a unit of nobody's concern nothing is written.
    """
    observed = [row for row in rows.events if row.venue_id == venue_id and row.basis is Basis.OBSERVED]
    if observed:
        rows.events = [row for row in rows.events if row.venue_id != venue_id or row.basis is not Basis.OBSERVED]
    changes = _changes(observed, nets=rules.nets)
    concerned = {move.delta.unit for move in moves} | {unit for unit, _ in changes} | _waiting(state, interest, seen)
    if not concerned:
        return Rows()
    weighing = _Weighing(
        interest, changes, _News.of(rows, venue_id, concerned, rules, state.markets(venue_id)), nets=rules.nets
    )
    units = _units(state, venue_id, interest, concerned)
    for move in moves:
        units[move.delta.unit].moves.append(move)
    for address in sorted(concerned):
        weighing.unit(address, units[address], seen.get(address, ()))
    return weighing.rows


def _changes(observed: Iterable[LendingEvent], *, nets: bool) -> dict[tuple[bytes, int], dict[Key, Seen]]:
    """Return what looks left unexplained, by unit and slot; `nets`: deposits less debts."""
    found: dict[tuple[bytes, int], dict[Key, Seen]] = defaultdict(dict)
    for row in observed:
        extra = json.loads(row.extra)
        side, sign = SIGNS[row.kind]
        here = found[from_base58(extra["account"]), row.block]
        if nets:
            net = sign * row.amount_raw if side is Side.SUPPLY else -sign * row.amount_raw
            before = here.get((row.market, Side.SUPPLY), Seen())
            here[row.market, Side.SUPPLY] = Seen((before.tokens or 0) + net, None)
        else:
            exact = int(extra["change_raw"]) if side is Side.SUPPLY else None
            here[row.market, side] = Seen(sign * row.amount_raw, exact)
    return found


def _waiting(state: StateReader, interest: str, seen: Mapping[bytes, Sequence[int]]) -> set[bytes]:
    """Return those of the accounts that were looked at which transactions concerned before."""
    return set(state.units(interest) & seen.keys()) if seen else set()


def _units(state: StateReader, venue_id: str, interest: str, wanted: Collection[bytes]) -> dict[bytes, _Unit]:
    before = state.accounts(interest, [(unit, WHOLE_VENUE, PENDING) for unit in wanted])
    texts = {unit: text for (unit, _, _), text in before.items()}
    known = state.units(venue_id)
    return {unit: _Unit(_read(texts.get(unit, "{}")), unit in known, texts.get(unit, "{}")) for unit in wanted}


def _read(text: str) -> dict[str, Sum]:
    def number(said: str | None) -> int | None:
        return None if said is None else int(said)

    return {
        name: Sum(number(tokens), number(exact), int(moved), times)
        for name, (tokens, exact, moved, times) in json.loads(text).items()
    }


def _text(pending: Mapping[str, Sum]) -> str:
    def number(value: int | None) -> str | None:
        return None if value is None else str(value)

    said = {n: [number(s.tokens), number(s.exact), str(s.moved), s.times] for n, s in pending.items()}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _name(market: bytes, side: Side) -> str:
    return {WHOLE_UNIT: ANY, BIRTH: BORN}.get(market, f"0x{market.hex()}:{side}")


def _netted(delta: Delta) -> Delta:
    sign = 1 if delta.side is Side.SUPPLY else -1
    return delta._replace(side=Side.SUPPLY, tokens=None if delta.tokens is None else sign * delta.tokens, exact=None)


def _key(name: str) -> Key:
    market, _, side = name.partition(":")
    return bytes.fromhex(market[2:]), Side(side)


@dataclass(frozen=True, slots=True)
class _News:
    """What units held when a look found them for the first time, in the protocol's own integers; `before`: the markets until then."""

    found: Mapping[bytes, int]
    held: Mapping[bytes, Mapping[Key, int]]
    rules: Rules
    before: Mapping[MarketKey, str]
    changed: Sequence[MarketChange]

    @staticmethod
    def of(
        rows: Rows, venue_id: str, wanted: Collection[bytes], rules: Rules, before: Mapping[MarketKey, str]
    ) -> _News:
        """Collect it, whether it was noted one by one or as columns."""
        found: dict[bytes, int] = {}
        held: dict[bytes, dict[Key, int]] = defaultdict(dict)
        for row in _rows(rows, "accounts", venue_id, wanted):
            found.setdefault(row["unit_id"], row["block"])
        for row in _rows(rows, "positions", venue_id, wanted):
            if row["block"] == found.setdefault(row["unit_id"], row["block"]):
                held[row["unit_id"]][row["market"], Side(row["side"])] = int(row["amount_raw"])
        return _News(found, held, rules, before, [row for row in rows.markets if row.venue_id == venue_id])

    def changes(self, unit: bytes, slot: int) -> dict[Key, Seen]:
        """Return what a unit that began with nothing came to hold until it was first seen."""
        held = self.held.get(unit, {}) if self.found.get(unit) == slot else {}
        if not held:
            return {}
        markets = {**self.before, **{(row.market, row.aspect): row.state for row in self.changed if row.block <= slot}}
        found: dict[Key, Seen] = {}
        for (market, side), amount in held.items():
            worth = self.rules.worth(markets, market, side, amount)
            if not self.rules.nets:
                found[market, side] = Seen(worth, amount if side is Side.SUPPLY else None)
                continue
            before = found.get((market, Side.SUPPLY), Seen()).tokens
            signed = None if worth is None else worth if side is Side.SUPPLY else -worth
            found[market, Side.SUPPLY] = Seen(None if before is None or signed is None else before + signed, None)
        return found


def _rows(rows: Rows, kind: str, venue_id: str, wanted: Collection[bytes]) -> Iterator[dict[str, Any]]:
    for row in getattr(rows, kind):
        if row.venue_id == venue_id and row.unit_id in wanted:
            yield row._asdict()
    units = pa.array(sorted(wanted), pa.binary())
    for table in rows.columns.get(kind, ()):
        mine = pc.and_(pc.equal(table["venue_id"], venue_id), pc.is_in(table["unit_id"], value_set=units))
        yield from table.filter(mine).to_pylist()


@dataclass(slots=True)
class _Weighing:
    """One span: each unit's transactions and looks in the order of their slots."""

    interest: str
    changes: Mapping[tuple[bytes, int], Mapping[Key, Seen]]
    news: _News
    nets: bool
    rows: Rows = field(default_factory=Rows)

    def unit(self, address: bytes, unit: _Unit, looks: Sequence[int]) -> None:
        """Go through what happened to a unit; a look comes after all transactions of its slot."""
        waiting = list(unit.moves)
        for slot in looks:
            while waiting and waiting[0].slot <= slot:
                self._move(address, unit, waiting.pop(0))
            self._look(address, unit, slot)
        for move in waiting:
            self._move(address, unit, move)

    def _move(self, address: bytes, unit: _Unit, move: Move) -> None:
        delta = _netted(move.delta) if self.nets else move.delta
        name = _name(delta.market, delta.side)
        unit.pending[name] = unit.pending.get(name, Sum()).plus(delta)
        self._write(address, unit, (move.slot, move.tx_index, move.ordinal))

    def _look(self, address: bytes, unit: _Unit, slot: int) -> None:
        if ANY not in unit.pending and (unit.known or BORN in unit.pending):
            seen = self.changes.get((address, slot), {}) if unit.known else self.news.changes(address, slot)
            for name in sorted({_name(*key) for key in seen} | unit.pending.keys() - {BORN}):
                summed, change = unit.pending.get(name, Sum()), seen.get(_key(name), Seen())
                if not summed.agrees(change):
                    self._differ(address, slot, name, summed, change)
        unit.known = True
        unit.pending = {}
        self._write(address, unit, (slot, -1, END_OF_BLOCK))

    def _differ(self, address: bytes, slot: int, name: str, summed: Sum, change: Seen) -> None:
        exactly = summed.exact is not None and change.exact is not None
        ours, theirs = (summed.exact, change.exact) if exactly else (summed.tokens, change.tokens)
        state = {"slot": slot, "transactions": str(ours), "accounts": str(theirs), "exact": exactly}
        place = slot, -1, END_OF_BLOCK
        text = json.dumps(state, sort_keys=True, separators=(",", ":"))
        self.rows.markets.append(
            MarketChange(*place, self.interest, address, f"{DIFFERS}:{name}", text, ENGINE, Basis.SETTLED)
        )

    def _write(self, address: bytes, unit: _Unit, place: tuple[int, int, int]) -> None:
        text = _text(unit.pending)
        if text != unit.written:
            unit.written = text
            row = AccountChange(
                *place, self.interest, address, NOBODY, WHOLE_VENUE, PENDING, text, ENGINE, Basis.SETTLED
            )
            self.rows.accounts.append(row)
