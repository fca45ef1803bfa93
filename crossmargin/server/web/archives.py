"""Snapshots: the ledger with its calendar, one snapshot, what was verified of it, a proof, and what became otherwise between two."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from aggregator.audit.report.page import Html, code, figures, marked, text
from aggregator.margin.numbers import scaled
from crossmargin.documents import Document, symbol
from crossmargin.server.web.calendar import calendar
from crossmargin.server.web.explorer import account_path, brief
from crossmargin.server.web.figures import amount, factor, usd_down, usd_up
from crossmargin.server.web.frame import (
    STYLES,
    Grid,
    Page,
    chain_warnings,
    cut,
    link,
    listed,
    shortened,
    standing_at,
    status,
    titled,
)

PATH = "/ui/snapshots"
DIFFERENCE = "/ui/difference"
SLOT_COLUMNS = ("snapshot", "schedule", "due", "state", "late s", "made", "manifest", "why")
SLOT_KEYS = ("snapshot", "schedule", "slot_time", "state", "late_seconds", "created_at", "manifest_hash", "detail")
SUM_COLUMNS = ("token", "supplied", "borrowed", "asset")
WORST_COLUMNS = ("account", "status", "health factor", "weakest unit", "collateral USD", "debt USD")
TABLE_COLUMNS = ("table", "rows", "bytes", "SHA-256")
CHECK_COLUMNS = ("check", "outcome", "what")
UNIT_COLUMNS = ("venue", "chain", "unit", "status", "health factor", "evidence", "positions", "nodes up to the root")
CHANGE_COLUMNS = ("table", "what", "of", "columns")
STATE_STYLES = {"done": "good", "late": "warn", "waiting": "soft", "failed": "bad", "overdue": "bad", "missed": "bad"}
OUTCOME_STYLES = {"right": "good", "wrong": "bad", "skipped": "soft", "unfinished": "warn"}


def snapshot_path(name: str) -> str:
    """The address of the page of a snapshot."""
    return f"{PATH}/{quote(name)}"


def ledger(found: Sequence[Document], there: Sequence[str], now: Document) -> Page:
    """Every slot, those too that were missed or failed. `there`: the snapshots whose folders are here."""
    wrong = [each for each in found if each["state"] in {"missed", "failed", "overdue"}]
    return Page(
        path=PATH,
        title="Snapshots",
        lead="Signed and hash-chained; anyone can verify them. Missed and failed slots stay listed.",
        as_of=standing_at(now),
        warnings=[
            *chain_warnings(now),
            *([f"{len(wrong):,} slots have no snapshot; the newest is {wrong[0]['snapshot']}"] if wrong else []),
        ],
        forms=True,
        parts=[calendar(found), _compare(there), _slots(found)],
    )


def snapshot(found: Document, line: Document | None) -> Page:
    """One snapshot. `line`: what a ledger says of it."""
    manifest, name = found["manifest"], found["snapshot"]
    doubts = [*manifest["stale_chains"], *manifest["gaps"]]
    warnings = [f"{each['code']} {each['subject']}: {each['detail']}" for each in doubts]
    if line is not None and line["restated"]:
        warnings.append(
            "data up to its cut-off turned out to be different after it was made; the snapshot itself is unchanged"
        )
    return Page(
        path=snapshot_path(name),
        title=f"Snapshot {name}",
        lead="As it was signed, at the blocks listed above; anything later belongs to another snapshot.",
        as_of={chain: {"doubt": None, **cut} for chain, cut in manifest["cut"].items()},
        warnings=warnings,
        forms=True,
        parts=[
            figures(_facts(found, line)),
            Html(f"<p>Slot {text(manifest['slot_time'])}, manifest {code(found['manifest_hash'])}.</p>"),
            _actions(name),
            _sums(found),
            _worst(found),
            _outcomes(found),
            _tables(manifest),
        ],
    )


def verification(found: Document, manifest: Document) -> Page:
    """What came of verifying one snapshot, check by check."""
    name = found["snapshot"]
    wrong = [each["title"] for each in found["checks"] if each["outcome"] == "wrong"]
    open_ = [each["title"] for each in found["checks"] if each["outcome"] == "unfinished"]
    return Page(
        path=f"{snapshot_path(name)}/verify",
        title=f"Verified: {name}",
        lead=f"Checked here in {found['took_s']} s. If you do not trust this server, run verify.py from a copy you do trust.",
        as_of={chain: {"doubt": None, **cut} for chain, cut in manifest.get("cut", {}).items()},
        warnings=[*(f"Wrong: {each}" for each in wrong), *(f"Not finished: {each}" for each in open_)],
        parts=[
            figures(
                [("Outcome", marked("nothing wrong", "good") if found["right"] else marked("not verified", "bad"))]
            ),
            Grid(
                name="checks",
                title="Checks",
                columns=CHECK_COLUMNS,
                rows=[
                    (
                        each["title"],
                        marked(each["outcome"], OUTCOME_STYLES[each["outcome"]]),
                        listed([*each["faults"], *each["notes"]]),
                    )
                    for each in found["checks"]
                ],
                plain=[
                    (each["title"], each["outcome"], "; ".join([*each["faults"], *each["notes"]]))
                    for each in found["checks"]
                ],
            ),
            Html(f"<p>{link(snapshot_path(name), 'Back to the snapshot')}</p>"),
        ],
    )


def proof(found: Document, manifest: Document) -> Page:
    """The proof that an account is in a snapshot: its units, and for each the way to the root of the tree."""
    name, account = found["snapshot"], found["account"]["account"]
    asked = urlencode({"account": account})
    units = [(json.loads(each["unit"]), each) for each in found["units"]]
    return Page(
        path=f"{snapshot_path(name)}/proof",
        asked=asked,
        title=f"Proof of {account}",
        lead=f"Shows that this account is included in the sums signed in the manifest of {name}.",
        as_of={chain: {"doubt": None, **cut} for chain, cut in manifest["cut"].items()},
        parts=[
            figures(
                [
                    ("Status", status(found["account"]["status"])),
                    ("House health factor", factor(found["account"]["health_factor"])),
                    ("Units", len(units)),
                    ("Evidence", found["account"]["evidence"]),
                ]
            ),
            Html(
                f'<p><a href="{snapshot_path(name)}/proof.json?{text(asked)}" download="proof.json">Download the proof</a> '
                f"and check it: {code('python verify.py SNAPSHOT --proof proof.json')}</p>"
            ),
            _proven(units),
            Html(
                f"<section><h2>Root</h2><p>Tree {code(found['tree']['hash'])}, manifest {code(found['manifest_hash'])}.</p></section>"
            ),
            *(_way(unit, each) for unit, each in units),
        ],
    )


def difference(found: Document, now: Document) -> Page:
    """What became otherwise between two snapshots, and why."""
    asked = urlencode({"before": found["from"]["snapshot"], "after": found["to"]["snapshot"]})
    causes = [
        f"{each['code']}{' ' + each['subject'] if each['subject'] else ''}: {each['detail']}"
        for each in found["causes"]
    ]
    added = [f"{each['code']} {each['subject']}: {each['detail']}" for each in found["exceptions"]["added"]]
    removed = [f"{each['code']} {each['subject']}: {each['detail']}" for each in found["exceptions"]["removed"]]
    return Page(
        path=DIFFERENCE,
        asked=asked,
        title="Difference of two snapshots",
        lead=f"From {found['from']['snapshot']} ({found['from']['slot_time']}) to {found['to']['snapshot']} ({found['to']['slot_time']}).",
        as_of=standing_at(now),
        parts=[
            figures(
                [("Rows", marked("all alike", "good") if found["same"] else "otherwise")]
                + [(name.capitalize(), f"{each['differing']:,}") for name, each in found["tables"].items()]
            ),
            Html(f"<section><h2>Causes</h2>{listed(causes) or '<p>none</p>'}</section>"),
            Html(f"<section><h2>New doubts</h2>{listed(added) or '<p>none</p>'}</section>"),
            Html(f"<section><h2>Resolved doubts</h2>{listed(removed) or '<p>none</p>'}</section>"),
            _changed_sums(found["sums"]),
            _changes(found["tables"]),
        ],
    )


def _compare(there: Sequence[str]) -> Html:
    if not there:
        return Html("")
    newest = list(reversed(there))
    first = "".join(_option(name, chosen=place == min(1, len(newest) - 1)) for place, name in enumerate(newest))
    second = "".join(_option(name, chosen=place == 0) for place, name in enumerate(newest))
    return Html(
        f'<section aria-labelledby="compare"><h2 id="compare">Compare two</h2><form class="row" action="{DIFFERENCE}" method="get">'
        f'<label>From <select name="before">{first}</select></label><label>To <select name="after">{second}</select></label>'
        '<button type="submit">Compare</button></form></section>'
    )


def _option(name: str, *, chosen: bool) -> str:
    return f'<option value="{text(name)}"{" selected" if chosen else ""}>{text(name)}</option>'


def _slots(found: Sequence[Document]) -> Grid:
    return Grid(
        name="snapshots",
        title="Slots",
        columns=SLOT_COLUMNS,
        rows=[
            (
                link(snapshot_path(row["snapshot"]), row["snapshot"]) if row["manifest_hash"] else row["snapshot"],
                *(row[key] for key in ("schedule", "slot_time")),
                marked(
                    f"{row['state']}, restated" if row["restated"] else row["state"],
                    STATE_STYLES.get(row["state"], "warn"),
                ),
                row["late_seconds"] or None,
                row["created_at"],
                row["manifest_hash"] and titled(f"{row['manifest_hash'][:19]}…", row["manifest_hash"]),
                row["detail"],
            )
            for row in found
        ],
        plain=[tuple(row[key] for key in SLOT_KEYS) for row in found],
        numbers=frozenset({"late s"}),
    )


def _facts(found: Document, line: Document | None) -> list[tuple[str, object]]:
    manifest = found["manifest"]
    state = "not in any ledger here" if line is None else line["state"]
    skew = max(manifest["skew_s"].values(), default=0)
    counts = [(word.replace("_", " ").capitalize(), f"{found['statuses'].get(word, 0):,}") for word in reversed(STYLES)]
    return [
        ("State", state),
        ("Number", f"{manifest['sequence']}"),
        ("Oldest block", f"{skew:,} s before"),
        ("Policy", manifest["policy"]["version"] or "unnamed"),
        ("Method", manifest["methodology_version"]),
        ("Regime", manifest["risk"]["regime"]),
        *counts,
    ]


def _actions(name: str) -> Html:
    to = snapshot_path(name)
    return Html(
        f'<section aria-labelledby="check"><h2 id="check">Verify</h2><form class="row" action="{to}/verify" method="get">'
        '<label class="tick"><input type="checkbox" name="recompute" value="true"> recompute every number</label>'
        '<button type="submit">Verify</button></form>'
        f'<form class="row" action="{to}/proof" method="get"><label>Account <input name="account" required maxlength="160"></label>'
        '<button type="submit">Prove</button></form></section>'
    )


def _sums(found: Document) -> Grid:
    return Grid(
        name="sums",
        title="Supplied and borrowed, by token",
        columns=SUM_COLUMNS,
        rows=[
            (
                symbol(each["symbol"] or ""),
                *(_tokens(each[side], each["decimals"], up=side == "borrow") for side in ("supply", "borrow")),
                code(each["asset"]),
            )
            for each in found["sums"]
        ],
        plain=[(symbol(each["symbol"] or ""), each["supply"], each["borrow"], each["asset"]) for each in found["sums"]],
        numbers=frozenset({"supplied", "borrowed"}),
        note="Sums at the root of the Merkle tree; the CSV has raw units.",
    )


def _tokens(raw: str | None, decimals: int | None, *, up: bool) -> Html | None:
    if raw is None:
        return None
    if decimals is None:
        return titled(raw, f"{raw} raw units: positions disagree on the decimals")
    return amount(scaled(int(raw), decimals), up=up)


def _worst(found: Document) -> Grid:
    keys = ("account", "status", "health_factor", "min_unit_health_factor", "collateral_usd", "debt_usd")
    return Grid(
        name="worst",
        title="Closest to liquidation",
        columns=WORST_COLUMNS,
        rows=[
            (
                Html(
                    f'<a href="{text(account_path(each["account"]))}">{titled(brief(each["account"]), each["account"])}</a>'
                ),
                status(each["status"]),
                factor(each["health_factor"]),
                factor(each["min_unit_health_factor"]),
                usd_down(each["collateral_usd"]),
                usd_up(each["debt_usd"]),
            )
            for each in found["worst"]
        ],
        plain=[tuple(each[key] for key in keys) for each in found["worst"]],
        numbers=frozenset(WORST_COLUMNS[2:]),
        note="The weakest accounts at the time of the snapshot; links show them as they are now.",
    )


def _outcomes(found: Document) -> Grid:
    lines = [(table, word, count) for table, counts in found["outcomes"].items() for word, count in counts.items()]
    return Grid(
        name="outcomes",
        title="Totals and holdings of venues",
        columns=("of", "outcome", "how many"),
        rows=lines,
        numbers=frozenset({"how many"}),
        note="Totals reported by the contracts next to the sums of this snapshot, and assets held next to claims on them.",
    )


def _tables(manifest: Document) -> Grid:
    files = manifest["files"]
    lines = [
        (name, entry["rows"], files[f"{name}.ndjson"]["bytes"], files[f"{name}.ndjson"]["sha256"])
        for name, entry in sorted(manifest["tables"].items())
    ]
    return Grid(
        name="tables",
        title="Tables",
        columns=TABLE_COLUMNS,
        rows=[(name, f"{rows:,}", f"{size:,}", code(hashed)) for name, rows, size, hashed in lines],
        plain=lines,
        numbers=frozenset({"rows", "bytes"}),
    )


def _proven(units: Sequence[tuple[Document, Document]]) -> Grid:
    keys = ("venue_id", "chain_id", "unit_id", "status", "health_factor", "evidence")
    counts = [(len(each["positions"]), len(each["path"])) for _, each in units]
    return Grid(
        name="units",
        title="Units",
        columns=UNIT_COLUMNS,
        rows=[
            (
                unit["venue_id"],
                unit["chain_id"],
                shortened(unit["unit_id"]),
                status(unit["status"]),
                factor(unit["health_factor"]),
                unit["evidence"],
                *count,
            )
            for (unit, _), count in zip(units, counts, strict=True)
        ],
        plain=[(*(unit[key] for key in keys), *count) for (unit, _), count in zip(units, counts, strict=True)],
        numbers=frozenset({"health factor", "positions", "nodes up to the root"}),
    )


def _way(unit: Document, found: Document) -> Html:
    steps = "".join(f"<li>{text(each['side'])} {code(each['hash'])}</li>" for each in found["path"])
    lines = "".join(f"<li>{code(each)}</li>" for each in (found["unit"], *found["positions"]))
    return Html(
        f"<details><summary>{text(unit['venue_id'])}, {text(unit['unit_id'])}: its lines and the path to the root</summary>"
        f"<p>Lines hashed in the leaf:</p><ul>{lines}</ul>"
        f"<p>Sibling nodes, from the leaf to the root:</p><ol>{steps}</ol></details>"
    )


def _changed_sums(lines: Sequence[Document]) -> Grid:
    keys = ("of", "side", "from", "to", "change")
    return Grid(
        name="sums",
        title="Sums",
        columns=keys,
        rows=[(titled(brief(each["of"]), each["of"]), *(each[key] for key in keys[1:])) for each in lines],
        plain=[tuple(each[key] for key in keys) for each in lines],
        numbers=frozenset(keys[2:]),
        note="In raw units of each token; “units” and “unknown” are counts.",
    )


def _changes(tables: Document) -> Grid:
    lines = [(name, row) for name, each in tables.items() for row in each["rows"]]
    left = sum(each["left_out"] for each in tables.values())
    return Grid(
        name="rows",
        title="Rows",
        columns=CHANGE_COLUMNS,
        rows=[(name, row["what"], cut(_key(row)), cut(_columns(row))) for name, row in lines],
        plain=[(name, row["what"], _key(row), _columns(row)) for name, row in lines],
        note=f"{left:,} more rows are left out; `crossmargin snapshot diff --limit` shows more." if left else "",
    )


def _key(row: Document) -> str:
    return " ".join(str(value) for value in row["key"].values() if value is not None)


def _columns(row: Document) -> str:
    if row["what"] != "changed":
        return ""
    return "; ".join(f"{name} {_plain(was)} → {_plain(now)}" for name, (was, now) in row["columns"].items())


def _plain(value: object) -> str:
    return "none" if value is None else str(value)
