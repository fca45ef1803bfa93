"""Price histories and liquidity that somebody imports: which are taken in, and what is known.

A history is taken in when all of this holds, else `UsageError`:

1. its identity is configured: an `[[asset]]` or `[[feed]]` has it;
2. every day comes once, is over, and has a positive price with the low not above it and the high not below it;
3. no day is missing between its first and last, unless that is said (`gaps`).

Of days that are there already only those that differ are entered, as corrections: what was there stays there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from aggregator.gather import Catalogue
from aggregator.histories import traits_of
from crossmargin.documents import Document, harmless, moment
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.settings.section import nearest
from crossmargin.watch import Clock
from indexer.store import HistoryLedger, ImportedDay, ImportedLiquidity, Reader, Store

LARGEST_IMPORT = 8 * 1024 * 1024
LONGEST_SOURCE = 120
MOST_SHOWN = 10
LARGEST_USD = 1e15
LONGEST_DEPTH = 4_000
USUAL_SALE = 1e6
"""USD, of which haircuts are shown where nobody says how much is sold."""


class Imports:
    """Takes in histories and tells what is known."""

    def __init__(self, catalogue: Catalogue, store: Store, clock: Clock) -> None:
        self._identities = frozenset(traits_of(catalogue))
        self._store = store
        self._clock = clock

    def take_prices(self, said: Document) -> Document:
        """Enter a price history: {identity, source, gaps, days: [[day, close, low, high]]}, all of it or nothing."""
        identity, source = self._known(said.get("identity")), source_of(said.get("source"))
        days = days_of(said.get("days"), today=self._today())
        missing = gaps_between([day for day, *_ in days])
        if missing and said.get("gaps") is not True:
            raise UsageError(
                f"{identity}: {_told(missing)}; fill no gap with a guess: say --gaps to import it as it is"
            )
        digest, now = digest_of([identity, source, said["days"]]), int(self._clock())
        rows = [ImportedDay(identity, *day, source, now, digest) for day in days]
        with self._store.histories() as ledger:
            new, corrected = enter_days(ledger, identity, rows)
        return {
            "identity": identity,
            "source": source,
            "first": days[0][0].isoformat(),
            "last": days[-1][0].isoformat(),
            "days": len(days),
            "new": new,
            "corrected": corrected,
            "gaps": [[first.isoformat(), last.isoformat()] for first, last in missing],
            "import": digest,
        }

    def take_liquidity(self, said: Document) -> Document:
        """Enter what is said of liquidity: {source, rows: [{identity, as_of, daily_volume_usd, spread, fee, depth}]}, all or nothing."""
        source, now = source_of(said.get("source")), int(self._clock())
        given = said.get("rows")
        if not isinstance(given, list) or not given:
            raise UsageError("there is no row of liquidity in it")
        digest = digest_of([source, given])
        rows = [self._liquidity(row, f"row {place}", source, now, digest) for place, row in enumerate(given, start=1)]
        for (identity, day), count in _counts((row.identity, row.as_of) for row in rows).items():
            if count > 1:
                raise UsageError(f"{identity}: {day} comes {count} times; say one thing of a day")
        with self._store.histories() as ledger:
            there = {(row.identity, row.as_of): row for row in ledger.liquidity()}
            fresh = [row for row in rows if _figures(there.get((row.identity, row.as_of))) != _figures(row)]
            ledger.add_liquidity(fresh)
        corrected = sum((row.identity, row.as_of) in there for row in fresh)
        return {
            "source": source,
            "rows": len(rows),
            "new": len(fresh) - corrected,
            "corrected": corrected,
            "identities": sorted({row.identity for row in rows}),
            "import": digest,
        }

    def liquidity(self, reader: Reader) -> Document:
        """Return the newest that was said of each identity."""
        newest = {row.identity: row for row in reader.imported_liquidity()}
        return {"liquidity": [_liquidity_line(row, self._today()) for _, row in sorted(newest.items())]}

    def _liquidity(self, row: object, place: str, source: str, now: int, digest: str) -> ImportedLiquidity:
        if not isinstance(row, dict):
            raise UsageError(f"{place}: must be a table with identity, as_of, daily_volume_usd, spread and fee")
        identity, day = self._known(row.get("identity"), place), day_of(row.get("as_of"), place)
        if day > self._today():
            raise UsageError(f"{place}: {day} has not come; liquidity is of a day that one has seen")
        volume = figure(row.get("daily_volume_usd"), place, "daily_volume_usd", most=LARGEST_USD)
        spread, fee = (figure(row.get(name), place, name, most=1.0) for name in ("spread", "fee"))
        depth = depth_of(row.get("depth"), place)
        return ImportedLiquidity(identity, day, volume, spread, fee, source, now, digest, depth=depth)

    def _known(self, identity: object, place: str = "") -> str:
        if isinstance(identity, str) and identity in self._identities:
            return identity
        shown = harmless(str(identity), longest=80)
        hint = nearest(shown, sorted(self._identities)) if self._identities else "no [[asset]] is configured"
        where = f"{place}: " if place else ""
        raise NoSuchThing(f'{where}no asset has the identity "{shown}" (same_as, or its own id); {hint}')

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()


def enter_days(ledger: HistoryLedger, identity: str, rows: Sequence[ImportedDay]) -> tuple[int, int]:
    """Enter the days that are new or differ from what counts; return how many are new, and how many corrected."""
    there = {row.day: row for row in ledger.days(identity)}
    fresh = [row for row in rows if _prices(there.get(row.day)) != _prices(row)]
    ledger.add_days(fresh)
    corrected = sum(row.day in there for row in fresh)
    return len(fresh) - corrected, corrected


def days_of(given: object, *, today: date) -> list[tuple[date, float, float | None, float | None]]:
    """Read days with close, low and high, ascending; raises `UsageError` that names the one that is wrong."""
    if not isinstance(given, list) or not given:
        raise UsageError("there is no day in it")
    days = [day_of_row(row, f"day {place}", today=today) for place, row in enumerate(given, start=1)]
    for before, after in pairwise(days):
        if after[0] <= before[0]:
            raise UsageError(f"{after[0]} follows {before[0]}; give every day once, oldest first")
    return days


def day_of_row(row: object, place: str, *, today: date) -> tuple[date, float, float | None, float | None]:
    """Read [day, close, low, high], of which the last two may be null."""
    if not isinstance(row, list | tuple) or len(row) != 4:  # noqa: PLR2004 - day, close, low, high
        raise UsageError(f"{place}: must be [day, close, low, high]")
    day, close = day_of(row[0], place), price(row[1], place, "close")
    low, high = (
        None if said is None else price(said, place, name) for said, name in zip(row[2:], ("low", "high"), strict=True)
    )
    if day >= today:
        raise UsageError(f"{place}: {day} is not over; a day counts when it is whole (UTC)")
    if (low is not None and low > close) or (high is not None and high < close):
        raise UsageError(f"{place}: {day} closes at {close:g}, outside its low and high ({low} to {high})")
    return day, close, low, high


def day_of(value: object, place: str) -> date:
    """Read a day; raises `UsageError` that names the place."""
    try:
        if isinstance(value, datetime):
            return value.date()
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError as error:
        raise UsageError(f"{place}: {str(value)[:40]!r} is no day; write it as 2024-01-31") from error


def price(value: object, place: str, name: str) -> float:
    """Read a price in USD above 0; raises `UsageError` that names the place."""
    found = number(value, place, name)
    if not 0 < found <= LARGEST_USD:
        raise UsageError(f"{place}: a {name} of {found:g} is no price in USD")
    return found


def figure(value: object, place: str, name: str, *, most: float) -> float:
    """Read a number from 0 to `most`; raises `UsageError` that names the place."""
    found = number(value, place, name)
    if not 0 <= found <= most:
        raise UsageError(f"{place}: {name} must be from 0 to {most:g}, not {found:g}")
    return found


def depth_of(said: object, place: str) -> str | None:
    """Read what sales lose, `1000:0.001;50000:0.02`, and write it canonically; nothing where nothing is said."""
    if said is None or said == "":
        return None
    if not isinstance(said, str) or len(said) > LONGEST_DEPTH:
        raise UsageError(f"{place}: depth must be USD:FRACTION with semicolons between, such as 1000:0.001;50000:0.02")
    points = [tuple(number(part, place, "depth") for part in point.split(":")) for point in said.split(";")]
    if any(len(point) != 2 for point in points):  # noqa: PLR2004 - USD and fraction
        raise UsageError(f"{place}: depth must be USD:FRACTION with semicolons between, such as 1000:0.001;50000:0.02")
    before = (0.0, 0.0)
    for sold, lost in points:
        if not before[0] < sold <= LARGEST_USD or not before[1] <= lost < 1 or lost <= 0:
            raise UsageError(
                f"{place}: depth must rise, from more than 0 USD, with fractions above 0 and below 1, not {sold:g}:{lost:g}"
            )
        before = sold, lost
    return ";".join(f"{sold!r}:{lost!r}" for sold, lost in points)


def usd(text: str | None, place: str) -> float:
    """Read how much is sold, a million where nobody says; raises `UsageError`."""
    return USUAL_SALE if text is None else figure(text, place, "USD", most=LARGEST_USD)


def number(value: object, place: str, name: str) -> float:
    """Read a finite number; raises `UsageError` that names the place."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError  # noqa: TRY301 - told as what is no number
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{place}: {name} {str(value)[:40]!r} is no number") from error
    if not math.isfinite(found):
        raise UsageError(f"{place}: {name} {found} is no number")
    return found


def gaps_between(days: Sequence[date]) -> list[tuple[date, date]]:
    """Return the first and last day of each gap."""
    step = timedelta(days=1)
    return [(before + step, after - step) for before, after in pairwise(days) if after - before > step]


def source_of(value: object) -> str:
    """Read whose numbers an import has, one line; raises `UsageError`."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_SOURCE or harmless(value) != value:
        raise UsageError(
            f'"source" must say whose numbers these are, in one line of at most {LONGEST_SOURCE} characters'
        )
    return value.strip()


def digest_of(said: object) -> str:
    """Return the hash of what was imported, as canonical text."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str)
    return f"sha256:{hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def _told(missing: Sequence[tuple[date, date]]) -> str:
    spans = [str(first) if first == last else f"{first} to {last}" for first, last in missing[:MOST_SHOWN]]
    more = f" and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
    return f"{', '.join(spans)}{more} {'is' if len(missing) == 1 else 'are'} missing"


def _counts(keys: Iterable[tuple[str, date]]) -> dict[tuple[str, date], int]:
    found: dict[tuple[str, date], int] = {}
    for key in keys:
        found[key] = found.get(key, 0) + 1
    return found


def _prices(row: ImportedDay | None) -> tuple[Any, ...] | None:
    return None if row is None else (row.close, row.low, row.high, row.source)


def _figures(row: ImportedLiquidity | None) -> tuple[Any, ...] | None:
    return None if row is None else (row.daily_volume_usd, row.spread, row.fee, row.depth, row.source)


def _liquidity_line(row: ImportedLiquidity, today: date) -> Mapping[str, Any]:
    return {
        "identity": row.identity,
        "as_of": row.as_of.isoformat(),
        "age_days": (today - row.as_of).days,
        "daily_volume_usd": repr(row.daily_volume_usd),
        "spread": repr(row.spread),
        "fee": repr(row.fee),
        "depth": row.depth,
        "source": row.source,
        "imported_at": moment(row.imported_at),
        "corrections": row.corrections,
    }
