"""What venues and units were at a block: the journals' last rows at or before it, or the tips where it is the cursor's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from chains.model import FEEDS, Block, PriceAnswer, Side, UnitSnapshot, VenueSnapshot, VenueSpec
from indexer.store.apply import cursor
from indexer.store.errors import BlockUnknown
from indexer.store.holding import Cells, Holding, Key, cells_of, holding_of, numbers_of
from indexer.store.journals import ACCOUNTS, MARKETS, POSITIONS, PRICES, Journal, tag_of
from indexer.store.raw import blocks, named
from indexer.store.session import Con, staged, table_of
from indexer.store.statements import statement

PHASE = "phase"
"""The aspect under which a feed's journal says which price source it points to."""

FEW, MANY = 16, 4_096
"""From so many units on, rows are looked for by a join, and from so many on they are looked at as columns."""

MOST_ROWS = 16_000_000
"""Of a venue up to a block, which are looked at in memory (some 50 bytes each); of more, the database finds the last ones first."""

LOOK_BACK_S = 3 * 86_400
"""How far before a window the last answer before it is looked for; feeds speak once a day at least."""


_OTHER_OWNER, _NO_OTHER = "nullif(r.owner, r.unit_id)", "CAST(NULL AS BLOB)"
"""Who owns a unit that is not the unit itself; where all own themselves, names are not read for it."""

_ALL: tuple[str, str, dict[str, Any]] = ("TRUE", "TRUE", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """A stored block of a chain; `tips`: it is the cursor's, so that the tips are its state.

    `since`: tips may be asked which keys have not changed since it.
    """

    con: Con
    chain_id: str
    number: int
    tips: bool
    since: bool = False

    def source(self, journal: Journal) -> str:
        """The table that holds the last rows at the block, among others or alone."""
        return journal.tip if self.tips and journal.tip else journal.name

    def values(self, **more: str | bytes | list[bytes]) -> dict[str, str | bytes | int | list[bytes]]:
        return {"chain_id": self.chain_id, "number": self.number, **more}


def as_of(con: Con, chain_id: str, at: Block, *, tips: bool = True) -> AsOf:
    """Check that a block is stored, or was while it was not final; raises `BlockUnknown`."""
    held = cursor(con, chain_id)
    if held is None or at.number > held.block.number:
        last = f"it stands at {named(chain_id, held.block)}" if held else "nothing of this chain is stored"
        raise BlockUnknown(f"{chain_id}: block {at.number} is not stored yet; {last}")
    stored = blocks(con, chain_id, at.number, at.number)
    if stored and stored != [at]:
        raise BlockUnknown(
            f"{chain_id}: {named(chain_id, at)} is not of this chain any more; it has {named(chain_id, stored[0])}"
        )
    return AsOf(con=con, chain_id=chain_id, number=at.number, tips=tips and held.block == at, since=tips)


def venue_snapshot(at: AsOf, venue: VenueSpec, block: Block) -> VenueSnapshot:
    """All that decides a venue's numbers at the block, apart from what belongs to a single unit."""
    return VenueSnapshot(venue=venue, at=block, markets=markets(at, venue.id), feeds=feeds(at), answers=answers(at))


def markets(at: AsOf, venue_id: str) -> dict[tuple[bytes, str], str]:
    text = statement("market_asof", source=at.source(MARKETS))
    found = at.con.execute(text, at.values(venue_id=venue_id)).fetchall()
    return {(market, aspect): state for market, aspect, state in found}


def feeds(at: AsOf) -> dict[bytes, str]:
    """The phase of every feed proxy; none of a source of which a change could not be read."""
    changed = {source for (source, is_answer), _ in _odd(at).items() if not is_answer}
    return {
        proxy: state
        for (proxy, aspect), state in markets(at, FEEDS).items()
        if aspect == PHASE and proxy not in changed
    }


def answers(at: AsOf) -> dict[bytes, PriceAnswer]:
    """The last answer of every price source; none of one that said something since which could not be read or kept."""
    found = at.con.execute(statement("price_asof", source=at.source(PRICES)), at.values()).fetchall()
    odd = _odd(at)
    return {source: PriceAnswer(*answer) for source, *answer, place in found if place >= odd.get((source, True), -1)}


def recent_answers(
    at: AsOf, block: Block, sources: Sequence[bytes], window_s: int
) -> dict[bytes, tuple[PriceAnswer, ...]]:
    """What sources said within so many seconds before the block, oldest first: the last of each minute, after the last one before."""
    since = block.time - window_s
    times: dict[str, Any] = {"since": since, "earliest": since - LOOK_BACK_S, "until": block.time}
    found: dict[bytes, list[PriceAnswer]] = {}
    values: dict[str, Any] = at.values(sources=list(sources)) | times
    for source, *answer in at.con.execute(statement("price_window"), values).fetchall():
        found.setdefault(source, []).append(PriceAnswer(*answer))
    return {source: tuple(answers) for source, answers in found.items()}


def _odd(at: AsOf) -> dict[tuple[bytes, bool], int]:
    """Sources whose word could not be read or kept, and whether it was an answer, with the last place of one."""
    values = at.values(venue_id=FEEDS)
    if not at.con.execute(statement("quarantined_any"), values).fetchall():
        return {}
    found = at.con.execute(statement("price_odd"), values).fetchall()
    return {(source, is_answer): place for source, is_answer, place in found}


def odd_sources(at: AsOf) -> frozenset[bytes]:
    """Sources of which anything could not be read or kept."""
    return frozenset(source for source, _ in _odd(at))


def feed_answer(at: AsOf, proxy: bytes) -> tuple[str, PriceAnswer | None] | None:
    """The phase of a feed and the last answer of the source it points to; `None` for a feed that is not followed."""
    phase = feeds(at).get(proxy)
    if phase is None:
        return None
    source = json.loads(phase).get("aggregator")
    return phase, answers(at).get(bytes.fromhex(source.removeprefix("0x"))) if source else None


def owners(at: AsOf, venue_id: str) -> list[bytes]:
    """Everybody who owns a unit, even an empty one."""
    text = statement("owners", positions=at.source(POSITIONS), accounts=at.source(ACCOUNTS))
    return [owner for (owner,) in at.con.execute(text, at.values(venue_id=venue_id)).fetchall()]


def unit_snapshots(
    at: AsOf,
    venue_id: str,
    *,
    owner: bytes | None = None,
    owners: Sequence[bytes] | None = None,
    units: Sequence[bytes] | None = None,
) -> list[UnitSnapshot]:
    """Every unit that ever changed, by id: all of them, one or some owners', or some; positions of nothing are left out."""
    owners = [owner] if owner is not None else owners
    wanted = list(units) if units is not None else None if owners is None else units_of(at, venue_id, owners)
    many = wanted is None or len(wanted) >= MANY
    found = dict(_by_columns(at, venue_id, wanted)) if many else _by_rows(at, venue_id, wanted or [])
    for unit, market, aspect, holder, state, place in _settings(at, venue_id, wanted):
        found.setdefault(unit, Unit()).put(market, aspect, state).owned(holder, place)
    theirs = None if owners is None else frozenset(owners)
    return [found[key].snapshot(key) for key in sorted(found) if theirs is None or found[key].owner in theirs]


def _by_rows(at: AsOf, venue_id: str, units: Sequence[bytes]) -> dict[bytes, Unit]:
    """What some units held, a row at a time."""
    found: dict[bytes, Unit] = {}
    among, exactly, names = _named("unit", units)
    text = statement("position_asof_units", source=at.source(POSITIONS), among=among, exactly=exactly)
    values: dict[str, Any] = at.values(venue_id=venue_id) | names
    for unit, market, side, holder, amount_raw, place in at.con.execute(text, values).fetchall():
        found.setdefault(unit, Unit()).hold(market, Side(side), amount_raw).owned(holder, place)
    return {unit: each.ordered() for unit, each in found.items()}


def _by_columns(at: AsOf, venue_id: str, units: Sequence[bytes] | None) -> Iterator[tuple[bytes, Unit]]:
    """What many units, or all, held: the journal is read several times, and each row costs little."""
    held = holding(at, venue_id, units)
    for unit, positions, (place, owner) in zip(held.units, held.positions(), held.owned(), strict=True):
        yield unit, Unit(owner=owner, place=place, positions=positions)


def holding(at: AsOf, venue_id: str, units: Sequence[bytes] | None = None) -> Holding:
    """The last row of every position of a venue, or of some units."""
    among, exactly, names = _ALL if units is None else _named("unit", units)
    which = f"{among} AND {exactly}"
    values: dict[str, Any] = at.values(venue_id=venue_id) | names
    source = at.source(POSITIONS)
    rows = statement("position_rows", source=source, which=which)
    units_of_rows = table_of(at.con, statement("position_units", rows=rows), values)
    found = at.con.execute(statement("position_keys", rows=rows), values).fetchall()
    keys = [(market, Side(side)) for market, side, *_ in found]
    if units is None and at.since and not at.tips and _few_since(at, venue_id):
        rows = statement("position_asof_tips", source=source, which=which)
    elif sum(count for _, _, count, _ in found) > MOST_ROWS:
        rows = statement("position_asof", source=source, which=which)
    owner = _OTHER_OWNER if any(is_named for *_, is_named in found) else _NO_OTHER
    numbered = [_numbered(at, values, keys, cells, rows=rows, owner=owner) for cells in cells_of(units_of_rows, keys)]
    return holding_of(pa.concat_tables(numbered), units_of_rows["unit_id"].to_pylist(), keys)


def _numbered(
    at: AsOf, values: dict[str, Any], keys: Sequence[Key], cells: Cells, *, rows: str, owner: str
) -> pa.Table:
    """Rows by the numbers of their cells: a unit is found by its tag where no other has the same, and else by its name."""
    which, same_unit = "TRUE", "u.unit_tag = r.unit_tag"
    if cells.tags:
        which, same_unit = "list_contains($tags, r.unit_tag)", "u.unit_id = r.unit_id"
        values = values | {"tags": cells.tags}
    text = statement("position_numbered", rows=rows, owner=owner, which=which, same_unit=same_unit)
    with staged(at.con, cells.first), staged(at.con, numbers_of(keys), "staged_keys"):
        return table_of(at.con, text, values)


def units_of(at: AsOf, venue_id: str, owners: Sequence[bytes]) -> list[bytes]:
    """Units that these owners had at some time until the block."""
    among, exactly, names = _named("owner", owners)
    sources = {"positions": at.source(POSITIONS), "accounts": at.source(ACCOUNTS)}
    text = statement("units_of_owners", **sources, among=among, exactly=exactly)
    return [unit for (unit,) in at.con.execute(text, at.values(venue_id=venue_id) | names).fetchall()]


def units_behind(at: AsOf, venue_id: str, after: bytes | None, count: int) -> list[bytes]:
    """The next so many units of a venue behind one, by id; `None`: from the first on."""
    text = statement("parity_units", positions=at.source(POSITIONS), accounts=at.source(ACCOUNTS))
    values: dict[str, Any] = at.values(venue_id=venue_id) | {"after": after, "count": count}
    return [unit for (unit,) in at.con.execute(text, values).fetchall()]


def _settings(at: AsOf, venue_id: str, units: Sequence[bytes] | None) -> list[tuple[Any, ...]]:
    """The last row of every setting of some units, or of all: unit, market, aspect, owner, state, place."""
    among, exactly, names = _ALL if units is None else _named("unit", units)
    text = statement("account_asof", source=at.source(ACCOUNTS), which=f"{among} AND {exactly}")
    return at.con.execute(text, at.values(venue_id=venue_id) | names).fetchall()


def _named(kind: str, names: Sequence[bytes]) -> tuple[str, str, dict[str, Any]]:
    """Among which rows those of these units or owners are, which of them they are, and what both conditions bind.

    Of a few, names are read where the tag fits alone.
    """
    column = {"unit": "unit_id", "owner": "owner"}[kind]
    if len(names) >= FEW:
        return f"{column} IN (SELECT unnest($names))", "TRUE", {"names": list(names)}
    tags = sorted({tag_of(name) for name in names})
    among, exactly = f"{kind}_tag IN (SELECT unnest($tags))", f"list_contains($names, {column})"
    return among, exactly, {"names": list(names), "tags": tags}


def _few_since(at: AsOf, venue_id: str) -> bool:
    """Whether so few positions of a venue changed since that reading tips costs less than reading the journal for all."""
    later, count = at.con.execute(statement("tips_since"), at.values(venue_id=venue_id)).fetchall()[0]
    return bool(later * 3 < count)


@dataclass(slots=True)
class Unit:
    """A unit while its rows are read; its owner is the one that its last row names."""

    owner: bytes = b""
    place: int = -1
    positions: dict[tuple[bytes, Side], int] = field(default_factory=dict)
    settings: dict[tuple[bytes, str], str] = field(default_factory=dict)

    def hold(self, market: bytes, side: Side, amount_raw: int) -> Unit:
        if amount_raw:
            self.positions[market, side] = amount_raw
        return self

    def put(self, market: bytes, aspect: str, state: str) -> Unit:
        self.settings[market, aspect] = state
        return self

    def owned(self, owner: bytes, place: int) -> None:
        """Take the owner of the last row; of rows of one place, which a chain does not give of two owners, always the same one."""
        self.place, self.owner = max((self.place, self.owner), (place, owner))

    def ordered(self) -> Unit:
        """Put positions in the order of their keys."""
        self.positions = dict(sorted(self.positions.items(), key=_market_and_side))
        return self

    def snapshot(self, unit_id: bytes) -> UnitSnapshot:
        return UnitSnapshot(unit_id=unit_id, owner=self.owner, positions=self.positions, settings=self.settings)


def _market_and_side(held: tuple[tuple[bytes, Side], int]) -> tuple[bytes, str]:
    (market, side), _ = held
    return market, side.value
