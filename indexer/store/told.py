"""What subscribers are told: events with ids that grow, written in the transaction of what they tell.

An id is the microsecond in which it was given, or one more than the last: a store that was restored from a backup gives none that it
gave before. What a chain takes back is told as `retracted`, and nothing is changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from chains.identifiers import Account, format_address, format_hash, token
from indexer.steps import Append, Forget, Restate, Rewind, Step
from indexer.store.session import Con, staged
from indexer.store.statements import statement

LIQUIDATION, RETRACTED = "liquidation", "retracted"
MICROSECONDS = 1_000_000
COLUMNS = pa.schema(
    {
        "id": pa.int64(),
        "kind": pa.string(),
        "told_at": pa.int64(),
        "body": pa.string(),
        "chain_id": pa.string(),
        "block_number": pa.int64(),
        "place": pa.string(),
        "retracts": pa.int64(),
    }
)


@dataclass(frozen=True, slots=True)
class Telling:
    """Whether and how a store tells: events are kept for `keep_s` seconds; of what is older nothing is told.

    `clock`: Unix seconds.
    """

    keep_s: float
    clock: Callable[[], float]


class EventRow(NamedTuple):
    """An event as it is kept; `body`: all else that it says, as a JSON object."""

    id: int
    kind: str
    told_at: int
    body: str


class EventEnds(NamedTuple):
    """The newest id that was given, and the newest that is not kept any more."""

    last: int
    forgotten: int


class EventLedger:
    """What is told within a transaction."""

    def __init__(self, con: Con, now: float) -> None:
        self._con, self._now = con, now

    def tell(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Add events in order: a kind and a body each."""
        tell(self._con, self._now, [Event(kind, body) for kind, body in events])

    def remember(self, told: Mapping[str, str | None]) -> None:
        """Keep what was told last of subjects; `None`: that one is as usual."""
        table = pa.table(
            {"subject": pa.array(list(told), pa.string()), "told": pa.array(list(told.values()), pa.string())}
        )
        with staged(self._con, table):
            self._con.execute("DELETE FROM event_subject WHERE subject IN (SELECT subject FROM staged)")
            self._con.execute("INSERT INTO event_subject FROM staged WHERE told IS NOT NULL")

    def forget(self, before: int) -> None:
        """Drop what was told before a Unix second."""
        self._con.execute(statement("events_forget"), {"before": before})
        self._con.execute("DELETE FROM event WHERE told_at < $before", {"before": before})


class Event(NamedTuple):
    """What is to be told; of liquidations and retractions also where the chain says it, and which event is taken back."""

    kind: str
    body: Mapping[str, Any]
    chain_id: str | None = None
    block_number: int | None = None
    place: str | None = None
    retracts: int | None = None


def events_after(con: Con, after: int, count: int) -> list[EventRow]:
    """Return at most so many events behind an id, in order."""
    values = {"after": after, "count": count}
    return [EventRow(*row) for row in con.execute(statement("events_after"), values).fetchall()]


def event_of(con: Con, event_id: int) -> EventRow | None:
    """Return one event, `None` where it is not kept."""
    found = con.execute(statement("event_of"), {"id": event_id}).fetchone()
    return None if found is None else EventRow(*found)


def event_ends(con: Con) -> EventEnds:
    """Return between which ids events are kept."""
    ((last, forgotten),) = con.execute("SELECT last_id, forgotten FROM event_head").fetchall()
    return EventEnds(last, forgotten)


def subjects(con: Con) -> dict[str, str]:
    """Return what was told last of each subject that is not as usual."""
    return dict(con.execute("SELECT subject, told FROM event_subject ORDER BY subject").fetchall())


def tell(con: Con, now: float, events: Sequence[Event]) -> None:
    """Add events, each with an id behind the last."""
    if not events:
        return
    first = max(event_ends(con).last + 1, int(now * MICROSECONDS))
    rows = [
        {
            "id": number,
            "kind": event.kind,
            "told_at": int(now),
            "body": json.dumps(event.body, separators=(",", ":"), allow_nan=False),
            "chain_id": event.chain_id,
            "block_number": event.block_number,
            "place": event.place,
            "retracts": event.retracts,
        }
        for number, event in enumerate(events, first)
    ]
    with staged(con, pa.Table.from_pylist(rows, schema=COLUMNS)):
        con.execute("INSERT INTO event BY NAME FROM staged")
    con.execute("UPDATE event_head SET last_id = $id", {"id": rows[-1]["id"]})


def tell_step(con: Con, step: Step, telling: Telling) -> None:
    """Tell of the liquidations that a step brought and took, within its transaction."""
    match step:
        case Append(batch=batch):
            if batch.last.time >= telling.clock() - telling.keep_s:
                tell_liquidations(con, batch.chain_id, batch.first, telling)
        case Rewind(chain_id=chain_id, to=to):
            tell_liquidations(con, chain_id, to.number + 1 if to else 0, telling)
        case Restate(chain_id=chain_id, change=Forget(to=to)):
            tell_liquidations(con, chain_id, to.number + 1 if to else 0, telling)
        case Restate(chain_id=chain_id, change=change) if not isinstance(change, Forget):
            tell_liquidations(con, chain_id, change.first, telling)
        case _:
            pass


def tell_liquidations(con: Con, chain_id: str, first: int, telling: Telling) -> None:
    """Let what was told of a chain from a block on be what it says now: retract what is not there, tell what was not told."""
    now = telling.clock()
    span = {"chain_id": chain_id, "first": first}
    told = con.execute(statement("told_liquidations"), span).fetchall()
    found = con.execute(statement("liquidations"), span).fetchall()
    there = {place(body): (time, body) for time, body in (_liquidation(chain_id, row) for row in found)}
    gone = [(number, where, json.loads(body)) for number, where, body in told if where not in there]
    known = {where for _, where, _ in told}
    new = [
        (where, body)
        for where, (time, body) in there.items()
        if where not in known and (time is None or time >= now - telling.keep_s)
    ]
    events = [
        Event(RETRACTED, {**body, "retracts": str(number)}, chain_id, body["block"]["number"], where, number)
        for number, where, body in gone
    ]
    events += [Event(LIQUIDATION, body, chain_id, body["block"]["number"], where) for where, body in new]
    tell(con, now, events)


def place(body: Mapping[str, Any]) -> str:
    """Name a liquidation by everything that it says: another block's, or another amount, is another one."""
    return json.dumps(body, separators=(",", ":"), sort_keys=True)


def _liquidation(chain_id: str, row: tuple[Any, ...]) -> tuple[int | None, dict[str, Any]]:
    number, digest, time, tx_index, ordinal, tx, venue, owner, other, asset, amount, extra, basis = row
    return time, {
        "chain": chain_id,
        "block": {
            "number": number,
            "hash": None if digest is None else format_hash(chain_id, digest),
            "time": time,
        },
        "tx": format_hash(chain_id, tx) if tx else None,
        "tx_index": tx_index,
        "ordinal": ordinal,
        "venue": venue,
        "owner": format_address(chain_id, owner),
        "counterparty": None if other is None else format_address(chain_id, other),
        "asset": format_address(chain_id, asset) if asset else None,
        "amount_raw": str(int(amount)),
        "extra": extra,
        "basis": basis,
        "owners": [str(Account(chain_id, owner))],
        "venues": [venue],
        "assets": [str(token(chain_id, asset))] if asset else [],
    }
