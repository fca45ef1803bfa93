"""The book as tables: raw integers as text, house numbers as decimals in text, what is nested as canonical JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import rfc8785

from aggregator.audit import inputs, members, messages, prices, sightings, states
from aggregator.audit.lines import REPEATED, Row, ordered
from aggregator.book import AssessedAccount, Book
from aggregator.margin import numbers, views
from aggregator.margin.inputs import Cut
from aggregator.margin.liabilities import Standing, max_age_s
from aggregator.margin.margin_document import Model
from aggregator.margin.status import unit_status
from aggregator.margin.valuation import OpenUnit, ValuedPosition, value_positions
from aggregator.oracle.mark import Mark, Unpriced
from chains.auditing import Controlled
from chains.identifiers import format_address, format_hash
from chains.model import VenueSpec
from chains.ports import Cover, Outcome

TEXT, INTEGER, TRUTH = pa.string(), pa.int64(), pa.bool_()

SCHEMAS: Mapping[str, Mapping[str, pa.DataType]] = {
    "as_of": {"chain_id": TEXT, "block": INTEGER, "hash": TEXT, "time": INTEGER, "finality": TEXT},
    "accounts": {
        "account": TEXT,
        "members": TEXT,
        "status": TEXT,
        "score": INTEGER,
        "health_factor": TEXT,
        "health_factor_low": TEXT,
        "health_factor_high": TEXT,
        "min_unit_health_factor": TEXT,
        "collateral_usd": TEXT,
        "debt_usd": TEXT,
        "headroom_usd": TEXT,
        "evidence": TEXT,
        "reasons": TEXT,
    },
    "units": {
        "venue_id": TEXT,
        "protocol": TEXT,
        "chain_id": TEXT,
        "unit_id": TEXT,
        "owner": TEXT,
        "status": TEXT,
        "health_factor": TEXT,
        "has_debt": TRUTH,
        "liquidatable": TRUTH,
        "native": TEXT,
        "engine": TEXT,
        "evidence": TEXT,
        "observed_slot": INTEGER,
        "skew_slots": INTEGER,
        "roles": TEXT,
        "reasons": TEXT,
    },
    "liabilities": {
        "venue_id": TEXT,
        "unit_id": TEXT,
        "owner": TEXT,
        "state": TEXT,
        "as_of": INTEGER,
        "max_age_s": INTEGER,
        "initial_requirement_usd": TEXT,
        "maintenance_requirement_usd": TEXT,
        "pnl_usd": TEXT,
        "key": TEXT,
        "document": TEXT,
    },
    "positions": {
        "venue_id": TEXT,
        "unit_id": TEXT,
        "owner": TEXT,
        "market": TEXT,
        "asset": TEXT,
        "symbol": TEXT,
        "side": TEXT,
        "decimals": INTEGER,
        "amount_raw": TEXT,
        "protocol_raw": TEXT,
        "counts": TRUTH,
        "counted": TRUTH,
        "venue_answer_raw": TEXT,
        "venue_unit_raw": TEXT,
        "asset_class": TEXT,
        "evidence": TEXT,
    },
    "totals": {
        "venue_id": TEXT,
        "chain_id": TEXT,
        "market": TEXT,
        "contract": TEXT,
        "total": TEXT,
        "told_by": TEXT,
        "ours": TEXT,
        "theirs": TEXT,
        "residual": TEXT,
        "least_residual": TEXT,
        "most_residual": TEXT,
        "reason": TEXT,
        "outcome": TEXT,
    },
    "holdings": {
        "venue_id": TEXT,
        "chain_id": TEXT,
        "market": TEXT,
        "contract": TEXT,
        "asset": TEXT,
        "held": TEXT,
        "owed": TEXT,
        "claims": TEXT,
        "shortfall": TEXT,
        "allowed_shortfall": TEXT,
        "reason": TEXT,
        "outcome": TEXT,
    },
    "proofs": states.SCHEMA,
    "account_bytes": {
        "venue_id": TEXT,
        "chain_id": TEXT,
        "unit_id": TEXT,
        "slot": INTEGER,
        "owner": TEXT,
        "bytes": INTEGER,
        "sha256": TEXT,
        "closed": TRUTH,
    },
    sightings.LOOKS: sightings.LOOK_SCHEMA,
    sightings.AGREEMENTS: sightings.AGREEMENT_SCHEMA,
    prices.PRICES: prices.SCHEMA,
    members.MEMBERS: members.SCHEMA,
    messages.MESSAGES: messages.SCHEMA,
    "marks": {"identity": TEXT, "low_usd": TEXT, "mid_usd": TEXT, "high_usd": TEXT, "state": TEXT, "feeds": TEXT},
    "inputs": {"part": TEXT, "key": TEXT, "document": TEXT},
}
"""The tables of a snapshot and their columns, in order."""

RECOMPUTED = ("as_of", "accounts", "units", "liabilities", "positions", "marks")
"""Those that follow from `inputs`, and from how sure `proofs` are."""

TOLD, ASKED = "journals", "contract"
NOT_ANSWERED = "no node answered for the state of this block"


SINGLE: Mapping[str, frozenset[str]] = {
    "accounts": frozenset(
        name
        for name in SCHEMAS["accounts"]
        if name in {"account", "members"} or "health_factor" in name or "_usd" in name
    ),
    "units": frozenset({"unit_id", "owner", "health_factor", "native"}),
    "positions": frozenset({"amount_raw", "protocol_raw"}),
}
"""Of the large tables: the texts that hardly repeat."""


def rows_of(book: Book) -> dict[str, Iterable[Row]]:
    """The rows of the tables of a snapshot, in order: those of accounts, units and positions are made while they are gone through, once."""
    found = (
        rows_of_everybody(book) | rows_of_accounts(book) | {inputs.INPUTS: ordered(inputs.INPUTS, inputs.rows(book))}
    )
    return {name: found[name] for name in SCHEMAS}


def rows_of_accounts(book: Book) -> dict[str, Iterable[Row]]:
    """The rows of tables of which each account of a book has its own, or a part of the book what its accounts need."""
    grades = Grades(book)
    return {
        "accounts": (_account(entry, grades) for entry in sorted(book.accounts, key=lambda entry: entry.account.id)),
        "units": (_unit(held_in, book, grades.of_unit(held_in)) for held_in in sorted(_units(book), key=unit_key)),
        "liabilities": ordered(
            "liabilities", [_liabilities(held_in) for held_in in book.units if held_in.standing is not Standing.NONE]
        ),
        "positions": _positions(book, grades),
        "marks": ordered("marks", _marks(book.accounts)),
    }


def rows_of_everybody(book: Book) -> dict[str, Iterable[Row]]:
    """The rows of the other tables but for inputs: no account has to be judged for them."""
    few: dict[str, Iterable[Row]] = {
        "as_of": [_as_of(chain, cut) for chain, cut in sorted(book.cuts.items())],
        "totals": [row for venue in _weighed(book) for row in _totals(venue, book.controls[venue.id])],
        "holdings": [row for venue in _weighed(book) for row in _holdings(venue, book.controls[venue.id])],
        "proofs": [row for venue in _weighed(book) for row in states.rows(venue, book.controls[venue.id].proofs)],
        "account_bytes": list(_bytes(book)),
        sightings.LOOKS: [
            sightings.look_row(venue, book.looks[venue.id]) for venue in book.catalogue.venues if venue.id in book.looks
        ],
        sightings.AGREEMENTS: [
            row
            for venue in _weighed(book)
            for row in sightings.agreement_rows(venue, book.controls[venue.id].agreements)
        ],
        prices.PRICES: list(prices.rows(book.prices)),
        members.MEMBERS: list(members.rows(book.messages)),
        messages.MESSAGES: list(messages.rows(book.sent)),
    }
    return {name: ordered(name, rows) for name, rows in few.items()}


class Grades:
    """How sure the amounts of a book are, A to D."""

    def __init__(self, book: Book) -> None:
        self._levels = book.levels
        self._looks = book.looks
        self._agreed = {
            (name, each.unit_id): each.outcome for name, found in book.controls.items() for each in found.agreements
        }
        self._units = {name: states.proven(found.proofs) for name, found in book.controls.items()}
        self._places = {name: states.proven_places(found.proofs) for name, found in book.controls.items()}

    def of_unit(self, held_in: OpenUnit) -> str:
        """Return how sure all of a unit is."""
        return self._grade(held_in, is_proven=held_in.unit.unit_id in self._units.get(held_in.venue.id, ()))

    def of_position(self, item: ValuedPosition) -> str:
        """Return how sure one position is: its own number may be proven where others of its unit are not."""
        held_in, position = item.held_in, item.position
        place = held_in.unit.unit_id, position.market, position.side
        is_proven = place in self._places.get(held_in.venue.id, ())
        return self._grade(held_in, is_proven=True) if is_proven else self.of_unit(held_in)

    def _grade(self, held_in: OpenUnit, *, is_proven: bool) -> str:
        venue_id = held_in.venue.id
        return states.grade(
            self._levels.get(venue_id),
            is_proven=is_proven,
            seen=self._looks.get(venue_id),
            agreed=self._agreed.get((venue_id, held_in.unit.unit_id)),
        )


def schema(name: str) -> pa.Schema:
    return pa.schema(list(SCHEMAS[name].items()))


def held_schema(name: str) -> pa.Schema:
    """Return the columns of a table as they are kept until it is written: in the large ones, texts that repeat are kept once."""
    kinds = schema(name)
    return pa.schema([field.with_type(REPEATED) if field.name in repeated_in(name) else field for field in kinds])


def repeated_in(name: str) -> list[str]:
    """Return which columns of a table have texts that repeat; of a small table that does not matter."""
    if name not in SINGLE:
        return []
    return [column for column, kind in SCHEMAS[name].items() if kind == TEXT and column not in SINGLE[name]]


def _as_of(chain: str, cut: Cut) -> Row:
    return {
        "chain_id": chain,
        "block": cut.block.number,
        "hash": format_hash(chain, cut.block.hash),
        "time": cut.block.time,
        "finality": cut.finality.value,
    }


def _account(entry: AssessedAccount, grades: Grades) -> Row:
    assessment, house = entry.assessment, entry.house
    return {
        "account": entry.account.id,
        "members": _json(list(entry.account.members)),
        "status": assessment.status.value,
        "score": assessment.score,
        "health_factor": views.text(house.health_factor),
        "health_factor_low": views.text(house.low),
        "health_factor_high": views.text(house.high),
        "min_unit_health_factor": views.wad(assessment.min_unit_wad),
        "collateral_usd": numbers.text(house.collateral),
        "debt_usd": views.text(house.debt),
        "headroom_usd": views.text(house.headroom),
        "evidence": max(map(grades.of_unit, assessment.units), default=None),
        "reasons": _models(views.reasons(assessment.reasons)),
    }


def _units(book: Book) -> list[OpenUnit]:
    """Return every unit as its account judges it: whether unknown liabilities matter is decided there."""
    judged = {_place(held_in): held_in for entry in book.accounts for held_in in entry.assessment.units}
    return [judged.get(_place(held_in), held_in) for held_in in book.units]


def _place(held_in: OpenUnit) -> tuple[str, bytes]:
    return held_in.venue.id, held_in.unit.unit_id


def unit_key(held_in: OpenUnit) -> tuple[str, str]:
    """What the rows of a unit are ordered by."""
    return held_in.venue.id, format_address(held_in.venue.chain_id, held_in.unit.unit_id)


def _unit(held_in: OpenUnit, book: Book, evidence: str) -> Row:
    unit, chain_id, seen = held_in.unit, held_in.venue.chain_id, book.looks.get(held_in.venue.id)
    native = None if unit.native is None else {name: str(number) for name, number in unit.native.items()}
    return {
        "venue_id": held_in.venue.id,
        "protocol": held_in.venue.protocol,
        "chain_id": chain_id,
        "unit_id": format_address(chain_id, unit.unit_id),
        "owner": format_address(chain_id, unit.owner),
        "status": unit_status(held_in, book.catalogue.policy.status).value,
        "health_factor": views.wad(unit.health_factor_wad if unit.has_debt else None),
        "has_debt": unit.has_debt,
        "liquidatable": unit.liquidatable,
        "native": None if native is None else _json(native),
        "engine": unit.engine_version,
        "evidence": evidence,
        "observed_slot": None if seen is None else seen.observed_slot,
        "skew_slots": None if seen is None else seen.skew_slots,
        "roles": _json(list(unit.roles)),
        "reasons": _models(views.reasons(unit.reasons)),
    }


def _liabilities(held_in: OpenUnit) -> Row:
    """Write what other systems said of a unit; one of which nothing was said has a line too."""
    chain_id, said = held_in.venue.chain_id, held_in.liabilities
    return {
        "venue_id": held_in.venue.id,
        "unit_id": format_address(chain_id, held_in.unit.unit_id),
        "owner": format_address(chain_id, held_in.unit.owner),
        "state": held_in.standing.value,
        "as_of": None if said is None else said.as_of,
        "max_age_s": max_age_s(held_in.venue),
        "initial_requirement_usd": None if said is None else numbers.text(said.initial_requirement_usd),
        "maintenance_requirement_usd": None if said is None else numbers.text(said.maintenance_requirement_usd),
        "pnl_usd": None if said is None else numbers.text(said.pnl_usd),
        "key": None if said is None else said.key.hex(),
        "document": None if said is None else said.document,
    }


def _positions(book: Book, grades: Grades) -> Iterator[Row]:
    """Write the positions unit by unit, in the order of their table."""
    items = value_positions(book.context, book.units)
    ends = [*accumulate(len(held_in.unit.positions) for held_in in book.units)]
    spans = sorted(
        (unit_key(held_in), end - len(held_in.unit.positions), end)
        for held_in, end in zip(book.units, ends, strict=True)
    )
    for _, same in groupby(spans, key=itemgetter(0)):
        yield from ordered(
            "positions", [_position(item, grades) for _, begin, end in same for item in items[begin:end]]
        )


def _position(item: ValuedPosition, grades: Grades) -> Row:
    position, chain_id = item.position, item.held_in.venue.chain_id
    return {
        "venue_id": item.held_in.venue.id,
        "unit_id": format_address(chain_id, item.held_in.unit.unit_id),
        "owner": format_address(chain_id, item.held_in.unit.owner),
        "market": format_address(chain_id, position.market),
        "asset": item.asset_id,
        "symbol": item.symbol,
        "side": position.side.value,
        "decimals": position.decimals,
        "amount_raw": str(position.amount_raw),
        "protocol_raw": str(position.protocol_raw),
        "counts": position.counts,
        "counted": item.counted,
        "venue_answer_raw": None if position.price is None else str(position.price.answer_raw),
        "venue_unit_raw": None if position.price is None else str(position.price.unit_raw),
        "asset_class": item.asset_class,
        "evidence": grades.of_position(item),
    }


def _bytes(book: Book) -> Iterator[Row]:
    """Write what the accounts of some units were, by their hashes; `slot`: since when they are known to be so."""
    chains = {venue.id: venue.chain_id for venue in book.catalogue.venues}
    for (venue_id, unit_id), account in book.account_bytes.items():
        chain_id = chains[venue_id]
        yield {
            "venue_id": venue_id,
            "chain_id": chain_id,
            "unit_id": format_address(chain_id, unit_id),
            "slot": account.slot,
            "owner": None if account.closed else format_address(chain_id, account.owner),
            "bytes": len(account.data),
            "sha256": sha256(account.data).hexdigest(),
            "closed": account.closed,
        }


def _weighed(book: Book) -> list[VenueSpec]:
    return sorted((venue for venue in book.catalogue.venues if venue.id in book.controls), key=lambda venue: venue.id)


def _totals(venue: VenueSpec, found: Controlled) -> Iterator[Row]:
    """Write every total of a venue beside the sum of what is stored; `told_by`: the journals alone, or the contract at the block."""
    told = [(TOLD, total) for total in found.told] + [(ASKED, total) for total in found.totals]
    for by, total in sorted(told, key=lambda each: (each[1].name, each[1].market, each[1].contract)):
        known = total.ours is not None and total.theirs is not None
        yield {
            "venue_id": venue.id,
            "chain_id": venue.chain_id,
            "market": _named(venue, total.market),
            "contract": _named(venue, total.contract),
            "total": total.name,
            "told_by": by,
            "ours": _number(total.ours),
            "theirs": _number(total.theirs),
            "residual": _number((total.theirs or 0) - (total.ours or 0) if known else None),
            "least_residual": str(total.least),
            "most_residual": str(total.most),
            "reason": total.why or (NOT_ANSWERED if total.outcome is Outcome.UNANSWERED else None),
            "outcome": total.outcome.value,
        }


def _holdings(venue: VenueSpec, found: Controlled) -> Iterator[Row]:
    """Write what a venue's contracts hold and are owed beside what is claimed."""
    for held in sorted(found.holdings, key=lambda each: (each.asset, each.market, each.contract)):
        yield {
            "venue_id": venue.id,
            "chain_id": venue.chain_id,
            "market": _named(venue, held.market),
            "contract": _named(venue, held.contract),
            "asset": _named(venue, held.asset),
            "held": _number(held.held),
            "owed": _number(held.owed),
            "claims": _number(held.claims),
            "shortfall": _number(held.shortfall),
            "allowed_shortfall": str(held.slack),
            "reason": held.why or (NOT_ANSWERED if held.outcome is Cover.UNANSWERED else None),
            "outcome": held.outcome.value,
        }


def _named(venue: VenueSpec, name: bytes) -> str | None:
    return format_address(venue.chain_id, name) if name else None


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)


def _marks(accounts: Iterable[AssessedAccount]) -> list[Row]:
    """Write every mark that some account was valued at, once; without a configured feed, accounts may differ."""
    marks = [item.mark for entry in accounts for item in entry.assessment.positions]
    rows = {(row["identity"], row["feeds"]): row for row in map(_mark, {id(mark): mark for mark in marks}.values())}
    return [row for _, row in sorted(rows.items())]


def _mark(mark: Mark | Unpriced) -> Row:
    view = views.price_view(mark)
    return {
        "identity": view.identity,
        "low_usd": view.low,
        "mid_usd": view.mid,
        "high_usd": view.high,
        "state": view.state,
        "feeds": _models(view.feeds),
    }


def _models(items: Sequence[Model]) -> str:
    return _json([item.model_dump(mode="json") for item in items])


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    return rfc8785.dumps(value).decode("utf-8")
