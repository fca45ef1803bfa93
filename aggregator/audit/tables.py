"""The book as tables: raw integers as text, house numbers as decimals in text, what is nested as canonical JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import rfc8785

from aggregator.book import AssessedAccount, Book
from aggregator.margin import numbers, views
from aggregator.margin.document import Model
from aggregator.margin.inputs import Cut
from aggregator.margin.liabilities import Standing, max_age_s
from aggregator.margin.status import unit_status
from aggregator.margin.valuation import OpenUnit, ValuedPosition, value_positions
from aggregator.oracle.mark import Mark, Unpriced
from chains.identifiers import format_address, format_hash

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
    },
    "marks": {"identity": TEXT, "low_usd": TEXT, "mid_usd": TEXT, "high_usd": TEXT, "feeds": TEXT},
}
"""The tables of a snapshot and their columns, in order."""

Row = dict[str, Any]


def tables(book: Book) -> dict[str, pa.Table]:
    """Turn a book into the tables of a snapshot; rows are ordered by what they are about."""
    rows: dict[str, list[Row]] = {
        "as_of": [_as_of(chain, cut) for chain, cut in sorted(book.cuts.items())],
        "accounts": [_account(entry) for entry in book.accounts],
        "units": [_unit(held_in, book) for held_in in _units(book)],
        "liabilities": [_liabilities(held_in) for held_in in book.units if held_in.standing is not Standing.NONE],
        "positions": [_position(item) for item in value_positions(book.context, book.units)],
        "marks": _marks(book.accounts),
    }
    return {name: pa.Table.from_pylist(rows[name], schema=schema(name)) for name in SCHEMAS}


def schema(name: str) -> pa.Schema:
    return pa.schema(list(SCHEMAS[name].items()))


def _as_of(chain: str, cut: Cut) -> Row:
    return {
        "chain_id": chain,
        "block": cut.block.number,
        "hash": format_hash(chain, cut.block.hash),
        "time": cut.block.time,
        "finality": cut.finality.value,
    }


def _account(entry: AssessedAccount) -> Row:
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
        "reasons": _models(views.reasons(assessment.reasons)),
    }


def _units(book: Book) -> list[OpenUnit]:
    """Return every unit as its account judges it: whether unknown liabilities matter is decided there."""
    judged = {_place(held_in): held_in for entry in book.accounts for held_in in entry.assessment.units}
    return [judged.get(_place(held_in), held_in) for held_in in book.units]


def _place(held_in: OpenUnit) -> tuple[str, bytes]:
    return held_in.venue.id, held_in.unit.unit_id


def _unit(held_in: OpenUnit, book: Book) -> Row:
    unit, chain_id = held_in.unit, held_in.venue.chain_id
    native = None if unit.native is None else {name: str(number) for name, number in unit.native.items()}
    return {
        "venue_id": held_in.venue.id,
        "protocol": held_in.venue.protocol,
        "chain_id": chain_id,
        "unit_id": format_address(chain_id, unit.unit_id),
        "owner": format_address(chain_id, unit.owner),
        "status": unit_status(unit, book.catalogue.policy.status).value,
        "health_factor": views.wad(unit.health_factor_wad if unit.has_debt else None),
        "has_debt": unit.has_debt,
        "liquidatable": unit.liquidatable,
        "native": None if native is None else _json(native),
        "engine": unit.engine_version,
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


def _position(item: ValuedPosition) -> Row:
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
    }


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
        "feeds": _models(view.feeds),
    }


def _models(items: Sequence[Model]) -> str:
    return _json([item.model_dump(mode="json") for item in items])


def _json(value: Any) -> str:  # noqa: ANN401
    return rfc8785.dumps(value).decode("utf-8")
