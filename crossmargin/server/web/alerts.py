"""What somebody should look at: what is wrong now, and what was changed or undone."""

from __future__ import annotations

from collections.abc import Sequence

from aggregator.audit.report.page import Html, figures, marked
from crossmargin.documents import Document
from crossmargin.server.web.figures import market
from crossmargin.server.web.frame import Grid, Page, chain_warnings, cut, link, shortened, standing_at, titled

OPEN_COLUMNS = ("kind", "chain", "of", "block", "what")
DIFFERENCE_COLUMNS = ("checked", "venue", "unit", "block", "view", "ours", "theirs")
QUARANTINE_COLUMNS = ("chain", "venue", "block", "why", "word", "numbers in doubt")
REORG_COLUMNS = ("seen", "chain", "depth", "back to block")
RESTATED_COLUMNS = ("restated", "chain", "of", "from", "to", "blocks", "why", "numbers changed")
CHANGE_COLUMNS = ("chain", "venue", "block", "kind", "aspect", "market", "before", "after")
SLOT_COLUMNS = ("snapshot", "due", "state", "late s", "why")
GRAVE = frozenset({"stopped", "short", "total", "parity", "finding"})


def alerts(found: Document, status: Document) -> Page:
    """Everything of a document of alerts."""
    return Page(
        path="/ui/alerts",
        title="Alerts",
        lead="What is wrong or unknown now, followed by what was undone, restated and changed.",
        as_of=standing_at(status),
        warnings=chain_warnings(status),
        parts=[
            figures(_counts(found)),
            _open(found["open"]),
            _differences(found["differences"]),
            _quarantine(found["quarantine"], found["quarantined"]),
            _reorgs(found["reorgs"]),
            _restatements(found["restatements"]),
            _slots(found["snapshots"]),
            _changes(found["changes"]),
        ],
    )


def _counts(found: Document) -> list[tuple[str, Html | str]]:
    kinds = ("open", "differences", "quarantine", "restatements", "snapshots")
    names = ("Open now", "Parity differences", "In quarantine", "Restatements", "Late and missed slots")
    counts = [found["quarantined"] if kind == "quarantine" else len(found[kind]) for kind in kinds]
    reorgs = "nobody follows" if found["reorgs"] is None else str(len(found["reorgs"]))
    shown = [marked(count, "bad" if count else "good") for count in counts]
    return [*zip(names, shown, strict=True), ("Reorganisations seen", reorgs)]


def _open(lines: Sequence[Document]) -> Grid:
    keys = ("kind", "chain", "subject", "block", "detail")
    return Grid(
        name="open",
        title="Open now",
        columns=OPEN_COLUMNS,
        rows=[
            (marked(each["kind"], "bad" if each["kind"] in GRAVE else "warn"), *(each[key] for key in keys[1:]))
            for each in lines
        ],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset({"block"}),
        note="Stopped chains, venue shortfalls, totals that differ from the sum of their accounts, findings, and gaps in coverage.",
    )


def _differences(lines: Sequence[Document]) -> Grid:
    return Grid(
        name="differences",
        title="Parity differences",
        columns=DIFFERENCE_COLUMNS,
        rows=[
            (
                each["checked_at"],
                each["venue"],
                shortened(each["unit"]),
                each["block"],
                titled(each["view"], f"{each['view']} of {each['contract']}"),
                cut(each["ours"]),
                "refuses to answer" if each["theirs"] is None else cut(each["theirs"]),
            )
            for each in lines
        ],
        plain=[
            tuple(each[key] for key in ("checked_at", "venue", "unit", "block", "view", "ours", "theirs"))
            for each in lines
        ],
        numbers=frozenset({"block"}),
        note="Where the venue's own contract gives a different number, the unit is shown as unknown.",
    )


def _quarantine(lines: Sequence[Document], count: int) -> Grid:
    keys = ("chain", "venue", "block", "reason", "word", "doubtful")
    rest = f" The newest {len(lines):,} of {count:,}." if count > len(lines) else ""
    return Grid(
        name="quarantine",
        title="Quarantine",
        columns=QUARANTINE_COLUMNS,
        rows=[
            (
                *(each[key] for key in keys[:4]),
                cut(each["word"]),
                marked("yes", "bad") if each["doubtful"] else "no",
            )
            for each in lines
        ],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset({"block"}),
        note="Logs and accounts that could not be decoded are kept as received; where one "
        f"may have changed a number, every account of that venue is unknown.{rest}",
    )


def _reorgs(lines: Sequence[Document] | None) -> Grid:
    keys = ("seen_at", "chain", "depth", "to")
    return Grid(
        name="reorgs",
        title="Reorganisations",
        columns=REORG_COLUMNS,
        rows=[tuple(each[key] for key in keys) for each in lines or ()],
        numbers=frozenset({"depth", "back to block"}),
        note="This process does not follow the chains, so it cannot see any."
        if lines is None
        else "Since the service started, newest 200; the metrics count all of them.",
    )


def _restatements(lines: Sequence[Document]) -> Grid:
    keys = ("restated_at", "chain", "interest", "first", "last", "blocks", "cause", "changed")
    return Grid(
        name="restatements",
        title="Restatements",
        columns=RESTATED_COLUMNS,
        rows=[
            (*(each[key] for key in keys[:-1]), marked("yes", "warn") if each["changed"] else "no") for each in lines
        ],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset({"from", "to", "blocks"}),
        note="Data below possibly final blocks that was read again; newest 200.",
    )


def _slots(lines: Sequence[Document]) -> Grid:
    keys = ("snapshot", "slot_time", "state", "late_seconds", "detail")
    return Grid(
        name="slots",
        title="Snapshots not made in time",
        columns=SLOT_COLUMNS,
        rows=[
            (
                link(f"/ui/snapshots/{each['snapshot']}", each["snapshot"])
                if each["manifest_hash"]
                else each["snapshot"],
                each["slot_time"],
                marked(each["state"], "warn" if each["state"] == "late" else "bad"),
                each["late_seconds"] or None,
                each["detail"],
            )
            for each in lines
        ],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset({"late s"}),
    )


def _changes(lines: Sequence[Document]) -> Grid:
    keys = ("chain", "venue", "block", "kind", "aspect", "market", "before", "after")
    return Grid(
        name="changes",
        title="What venues changed",
        columns=CHANGE_COLUMNS,
        rows=[
            (
                *(each[key] for key in keys[:5]),
                each["market"] and market(each),
                cut(each["before"]),
                cut(each["after"]),
            )
            for each in lines
        ],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset({"block"}),
        note="Changes of price sources, terms, code and governance of venues and feeds; newest 200.",
    )
