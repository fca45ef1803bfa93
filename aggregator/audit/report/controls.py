"""What of a report is not as it must be: totals that differ, tokens that are short, and everything that is doubtful."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from aggregator.audit.lines import Row
from aggregator.audit.picked import picked
from aggregator.audit.report.cover import Cover, Tables
from aggregator.audit.report.page import MOST_ROWS, Cell, Html, marked, paragraph, rest, section, short, table

GOOD_OUTCOMES = {"equal", "within", "covered", "proven", "agreed"}
BAD_OUTCOMES = {"different", "short"}


def totals(tables: Tables) -> Html:
    totals = _first_bad(tables["totals"])
    rows = [
        (
            row["venue_id"],
            row["total"],
            short(row["market"]),
            row["told_by"],
            row["ours"],
            row["theirs"],
            row["residual"],
            f"{row['least_residual']} … {row['most_residual']}",
            outcome(row["outcome"]),
            row["reason"],
        )
        for row in totals[:MOST_ROWS]
    ]
    columns = ("venue", "total", "market", "told by", "ours", "theirs", "residual", "allowed", "outcome", "why")
    held = _first_bad(tables["holdings"])
    lines = [
        (
            row["venue_id"],
            short(row["asset"]),
            short(row["market"]),
            row["held"],
            row["owed"],
            row["claims"],
            row["shortfall"],
            outcome(row["outcome"]),
            row["reason"],
        )
        for row in held[:MOST_ROWS]
    ]
    held_columns = ("venue", "asset", "market", "held", "owed to it", "claims", "shortfall", "outcome", "why")
    return section(
        "Totals and residuals",
        _outcomes("totals", tables["totals"]),
        table(columns, rows, numbers=columns[4:8], note=rest(totals, "totals")),
        _outcomes("holdings", tables["holdings"]),
        table(held_columns, lines, numbers=held_columns[3:7], note=rest(held, "holdings")),
    )


def _outcomes(name: str, rows: Collection[Row]) -> Html:
    counts = Counter(row["outcome"] for row in rows)
    said = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items())) or "none"
    return paragraph(f"{name}: {said}")


def _first_bad(rows: Collection[Row]) -> list[Row]:
    """Put what is not as it must be first; else the order of the table."""
    return sorted(rows, key=lambda row: (row["outcome"] not in BAD_OUTCOMES, row["outcome"] in GOOD_OUTCOMES))


def outcome(word: str) -> Html:
    return marked(word, "bad" if word in BAD_OUTCOMES else "good" if word in GOOD_OUTCOMES else "warn")


def exceptions(cover: Cover, tables: Tables) -> Html:
    rows = list(_doubts(cover, tables))
    if not rows:
        return section(
            "Exceptions", paragraph("None: nothing was found to be missing, stale, contradicted or different.")
        )
    columns = ("what", "about", "how many", "detail")
    return section("Exceptions", table(columns, rows[:MOST_ROWS], numbers=("how many",), note=rest(rows, "units")))


def _doubts(cover: Cover, tables: Tables) -> Iterator[tuple[Cell, ...]]:
    for name in ("stale_chains", "gaps"):
        for reason in cover.decided[name]:
            yield marked(reason["code"], "bad"), reason["subject"], None, reason["detail"]
    for name in ("totals", "holdings", "proofs", "agreements"):
        wrong = Counter(
            (row["venue_id"], row["outcome"]) for row in tables[name] if row["outcome"] not in GOOD_OUTCOMES
        )
        for (venue, what), count in sorted(wrong.items()):
            yield outcome(what), venue, f"{count:,}", f"of {name}"
    for row in tables["looks"]:
        if row["skew_slots"] != 0:
            yield marked("not seen at the cut", "warn"), row["venue_id"], None, age(row)
    states = Counter((row["venue_id"], row["state"]) for row in tables["liabilities"] if row["state"] != "known")
    for (venue, state), count in sorted(states.items()):
        yield (
            marked(f"liabilities {state}", "warn"),
            venue,
            f"{count:,}",
            "units of which other systems said nothing that counts",
        )
    for (venue, reason), (count, detail) in sorted(_reasons(picked(tables["units"], "venue_id", "reasons")).items()):
        yield marked(reason, "warn"), venue, f"{count:,}", detail


def age(row: Row) -> str:
    """Say how old the accounts of a venue were at the cut."""
    if row["observed_slot"] is None:
        return "since when its accounts are known to be so was not kept"
    seconds = "" if row["skew_s"] is None else f", at most {row['skew_s']:,} s"
    return f"its accounts are as of slot {row['observed_slot']:,}, {row['skew_slots']:,} slots before the cut{seconds}"


def _reasons(units: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, str]]:
    """Count by venue and code why units are unknown or doubtful; with the first words of each."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for venue, reasons in units:
        if reasons == "[]":
            continue
        for reason in json.loads(reasons):
            key = venue, reason["code"]
            count, detail = found.get(key, (0, reason["detail"]))
            found[key] = count + 1, detail
    return found
