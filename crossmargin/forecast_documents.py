"""How likely accounts are to be liquidatable soon, as a document: the watch list."""

from __future__ import annotations

import math
from collections.abc import Mapping

from aggregator.book import Book
from aggregator.forecasting import HORIZONS, Forecast, Forecasts, forecast
from aggregator.margin.numbers import ratio_up, text
from aggregator.risk.paths import MODEL
from aggregator.risk.series import Series
from crossmargin.documents import Document
from crossmargin.stress_documents import as_of, reasons, usd

CALIBRATED = ("24h", "7d")
"""Horizons whose chances were compared with what came of them; of an hour nobody has histories."""


def forecasts(book: Book, series: Mapping[str, Series], *, top: int, seed: int) -> Document:
    """Announce breaches of a book's accounts, and tell of the `top` likeliest of them."""
    found = forecast(book, series, seed=seed)
    return {
        "as_of": as_of(book),
        "model": MODEL,
        "paths": found.paths,
        "seed": found.seed,
        "horizons": list(HORIZONS),
        "calibrated": list(CALIBRATED),
        "identities": list(found.identities),
        "simulated": list(found.simulated),
        "accounts": len(found.forecasts),
        "expected_debt_usd": {name: usd(_expected(found, place)) for place, name in enumerate(HORIZONS)},
        "forecasts": [_line(each) for each in found.forecasts[:top]],
        "unknown": [
            {"account": account, "reason": reasons([reason])[0]}
            for account, reason in list(found.unknown.items())[:top]
        ],
        "unknown_accounts": len(found.unknown),
    }


def _expected(found: Forecasts, place: int) -> float:
    """Return how much debt is expected to be of accounts that breach, USD."""
    return math.fsum(each.chances[place] * each.debt_usd for each in found.forecasts)


def _line(each: Forecast) -> Document:
    return {
        "account": each.account,
        "status": each.status.value,
        "debt_usd": usd(each.debt_usd),
        "breach_probability": {
            name: text(ratio_up(chance)) for name, chance in zip(HORIZONS, each.chances, strict=True)
        },
    }
