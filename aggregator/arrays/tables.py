"""Entries of a book as the tables from which SQL computes the same numbers (`public.fct_margin_account`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from aggregator.arrays.book import Entry
from aggregator.arrays.columns import ALONE, CLAIMED, DEBT_UNKNOWN, HAS_DEBT
from aggregator.arrays.estimates import Estimates
from aggregator.arrays.legs import Leg, Price

TEXT, NUMBER, TRUTH, PLACE = pa.string(), pa.float64(), pa.bool_(), pa.int32()
BESIDES = ("collateral", "initial_collateral", "maintenance_collateral", "debt", "initial_debt", "maintenance_debt")
SAID = {"has_debt": HAS_DEBT, "debt_unknown": DEBT_UNKNOWN, "apart": ALONE, "claimed": CLAIMED}
WEIGHTS = (
    "static_maintenance",
    "static_initial",
    "market_maintenance",
    "market_initial",
    "others",
    "least",
    "sale",
    "slope",
)


def margin_tables(
    entries: Iterable[Entry],
    marks: Mapping[str, Price | None],
    estimates: Estimates,
    *,
    snapshot_id: str,
    slot_time: int,
) -> dict[str, pa.Table]:
    """Return the tables of a snapshot's book by name; what has no mark has no row among them."""
    book = sorted(entries, key=lambda entry: entry.name)
    legs = {leg: place for place, leg in enumerate(sorted({leg for entry in book for leg, _ in entry.holdings}))}
    held = [(place, legs[leg], amount) for place, entry in enumerate(book) for leg, amount in _merged(entry)]
    known = [(name, *price) for name, price in sorted(marks.items()) if price is not None]
    identities = estimates.identities
    pairs = [
        (identity, other, float(entry))
        for identity, row in zip(identities, estimates.correlation, strict=True)
        for other, entry in zip(identities, row, strict=True)
    ]
    cases = [(case.ones, case.first, case.third, case.offset) for case in estimates.cases]
    return {
        "margin_snapshot": _table(
            [(snapshot_id, slot_time, estimates.kappa)], snapshot_id=TEXT, slot_time=pa.int64(), kappa=NUMBER
        ),
        "margin_holder": _table(
            [_account(place, entry) for place, entry in enumerate(book)],
            account=PLACE,
            account_id=TEXT,
            **{f"{name}_usd": NUMBER for name in BESIDES},
            **dict.fromkeys(SAID, TRUTH),
        ),
        "margin_leg": _table(
            [_leg(place, leg) for leg, place in legs.items()],
            leg=PLACE,
            is_debt=TRUTH,
            identity=TEXT,
            mark=TEXT,
            **dict.fromkeys(WEIGHTS, NUMBER),
        ),
        "margin_position": _table(held, account=PLACE, leg=PLACE, amount=NUMBER),
        "margin_mark": _table(known, mark=TEXT, low_usd=NUMBER, mid_usd=NUMBER, high_usd=NUMBER, authorises=TRUTH),
        "margin_correlation": _table(pairs, identity=TEXT, other=TEXT, correlation=NUMBER),
        "margin_case": _table(cases, ones=NUMBER, first=NUMBER, third=NUMBER, offset_share=NUMBER),
    }


def _merged(entry: Entry) -> list[tuple[Leg, float]]:
    amounts: dict[Leg, list[float]] = {}
    for leg, amount in entry.holdings:
        amounts.setdefault(leg, []).append(amount)
    return [(leg, math.fsum(amounts[leg])) for leg in sorted(amounts)]


def _account(place: int, entry: Entry) -> tuple[object, ...]:
    return (place, entry.name, *entry.besides, *(bool(entry.said & flag) for flag in SAID.values()))


def _leg(place: int, leg: Leg) -> tuple[object, ...]:
    weight = leg.weight
    numbers = (*weight.static, *weight.market, weight.others, weight.least, max(weight.sale, 0.0), weight.slope)
    return (place, leg.is_debt, leg.identity, leg.mark, *numbers)


def _table(rows: Sequence[Sequence[object]], **columns: pa.DataType) -> pa.Table:
    fields = [pa.array([row[place] for row in rows], type=kind) for place, kind in enumerate(columns.values())]
    return pa.Table.from_arrays(fields, names=list(columns))
