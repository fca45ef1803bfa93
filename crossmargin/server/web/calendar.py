"""Months of slots: what became of each day's."""

from __future__ import annotations

from calendar import Calendar
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from aggregator.audit.report.page import Html, text
from crossmargin.documents import Document

MOST_MONTHS = 3
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
STYLES = {
    "missed": "bad",
    "failed": "bad",
    "overdue": "bad",
    "late": "warn",
    "waiting": "soft",
    "cancelled": "soft",
    "done": "good",
}
"""From the gravest to the best: a day has the style of its gravest."""

Counts = Mapping[date, Mapping[str, int]]


def calendar(slots: Sequence[Document]) -> Html:
    """Draw the newest months that have slots, as tables; nothing where there are none."""
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for slot in slots:
        found[date.fromisoformat(slot["slot_time"][:10])][slot["state"]] += 1
    months = sorted({(day.year, day.month) for day in found}, reverse=True)[:MOST_MONTHS]
    shown = "".join(_month(year, month, found) for year, month in months)
    return Html(
        f'<section aria-labelledby="calendar"><h2 id="calendar">Calendar</h2><div class="months">{shown}</div></section>'
    )


def _month(year: int, month: int, found: Counts) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in DAYS)
    weeks = "".join(
        f"<tr>{''.join(_day(day, month, found.get(day, {})) for day in week)}</tr>"
        for week in Calendar().monthdatescalendar(year, month)
    )
    return f'<table class="month"><caption>{year}-{month:02}</caption><thead><tr>{head}</tr></thead><tbody>{weeks}</tbody></table>'


def _day(day: date, month: int, counts: Mapping[str, int]) -> str:
    if day.month != month:
        return "<td></td>"
    worst = next((word for word in STYLES if counts.get(word)), "")
    told = "".join(
        f'<span class="{STYLES.get(word, "warn")}">{count}&nbsp;{text(word)}</span>'
        for word, count in sorted(
            counts.items(), key=lambda each: list(STYLES).index(each[0]) if each[0] in STYLES else 0
        )
    )
    return f'<td class="day {STYLES.get(worst, "")}"><time datetime="{day.isoformat()}">{day.day}</time>{told}</td>'
