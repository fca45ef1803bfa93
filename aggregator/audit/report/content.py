"""What the report of a snapshot says: all of it comes from the tables and the manifest, so that equal snapshots have equal reports."""

from __future__ import annotations

import json
from collections import Counter

from aggregator.audit.lines import Row
from aggregator.audit.picked import counted
from aggregator.audit.report import accounts, controls, sent
from aggregator.audit.report.cover import Cover, Tables
from aggregator.audit.report.page import (
    MOST_ROWS,
    Cell,
    Html,
    bars,
    code,
    figures,
    marked,
    page,
    paragraph,
    rest,
    section,
    short,
    table,
    text,
)

GRADES = {
    "A": "storage proofs lead from the hash of the block to all that counts",
    "B": "receipts prove that no log of the venue is missing",
    "C": "a second node gave the same, of accounts that are read in the slot of the cut, or of one later slot",
    "D": "anything less",
}


def report(cover: Cover, tables: Tables) -> str:
    """Return the page."""
    parts = (
        _head(cover, tables),
        _scope(cover, tables),
        _cut(cover),
        _coverage(cover, tables),
        controls.totals(tables),
        controls.exceptions(cover, tables),
        accounts.health(tables),
        accounts.worst(tables),
        _marks(tables),
        _evidence(tables),
        _read(tables),
        sent.messages(tables),
        _signature(cover),
        _verifying(cover),
    )
    return page(f"Snapshot {cover.name}", parts)


def _head(cover: Cover, tables: Tables) -> Html:
    states = counted(tables["accounts"], "status")
    items: list[tuple[str, Cell]] = [
        ("accounts", f"{len(tables['accounts']):,}"),
        ("units at venues", f"{len(tables['units']):,}"),
        ("positions", f"{len(tables['positions']):,}"),
        ("liquidatable", _alarm(states["liquidatable",])),
        ("unknown", _alarm(states["unknown",], style="warn")),
    ]
    told = paragraph(
        "Every account of the book as of ",
        marked(cover.slot_time, "strong"),
        ", computed from what chains and venues say. "
        "This page is made of the tables beside it and is hashed and signed with them; the tables count. "
        "What is not known is called unknown, and is in no number as zero.",
    )
    return Html(f"<header>\n<h1>Snapshot {text(cover.name)}</h1>\n{told}\n{figures(items)}\n</header>")


def _alarm(count: int, *, style: str = "bad") -> Cell:
    return marked(f"{count:,}", style) if count else "0"


def _scope(cover: Cover, tables: Tables) -> Html:
    units = counted(tables["units"], "venue_id", "protocol", "chain_id")
    positions = counted(tables["positions"], "venue_id")
    states = counted(tables["units"], "venue_id", "status")
    rows = [
        (venue, protocol, code(chain), f"{count:,}", f"{positions[venue,]:,}", f"{states[venue, 'unknown']:,}")
        for (venue, protocol, chain), count in sorted(units.items())
    ]
    decided = cover.decided
    policy = decided["policy"]
    facts = [
        ("methodology", code(decided["methodology_version"])),
        ("policy", f"{policy.get('version') or 'unnamed'} · {policy.get('digest') or ''}"),
        ("configuration", code(decided["config_digest"])),
    ]
    columns = ("venue", "protocol", "chain", "units", "positions", "unknown units")
    return section("Scope", table(columns, rows, numbers=columns[3:]), table(("", ""), facts))


def _cut(cover: Cover) -> Html:
    rows = [
        (
            code(chain),
            f"{place['block']:,}",
            code(place["hash"]),
            place["time"],
            place["finality"],
            f"{cover.skews[chain]:,} s",
        )
        for chain, place in cover.decided["cut"].items()
    ]
    note = "the last stored block or slot of each chain up to the moment of the snapshot; skew: how long before it the block is"
    columns = ("chain", "block or slot", "hash", "time", "finality", "skew")
    return section("Blocks", table(columns, rows, numbers=("block or slot", "skew"), note=note))


def _coverage(cover: Cover, tables: Tables) -> Html:
    protocols = dict(counted(tables["units"], "venue_id", "protocol").keys())
    rows = [
        (venue, protocols.get(venue, ""), level or marked("nothing", "warn"))
        for venue, level in sorted(cover.levels.items())
    ]
    note = "the weakest evidence, of all blocks up to the cut, that nothing that the venue said is missing"
    return section("Coverage", table(("venue", "protocol", "evidence"), rows, note=note))


def _marks(tables: Tables) -> Html:
    ordered = sorted(tables["marks"], key=lambda row: row["state"] == "ok")
    rows = [
        (
            row["identity"],
            marked(row["state"], "good" if row["state"] == "ok" else "warn"),
            row["low_usd"],
            row["mid_usd"],
            row["high_usd"],
            _feeds(row),
        )
        for row in ordered[:MOST_ROWS]
    ]
    columns = ("price of", "state", "low", "middle", "high", "feeds")
    return section("Marks", table(columns, rows, numbers=columns[2:5], note=rest(ordered, "marks")))


def _feeds(row: Row) -> Html:
    """Name each feed of a mark, what it said and how old that was, and why one was left out."""
    said = []
    for feed in json.loads(row["feeds"]):
        age = "" if feed["age_s"] is None else f", {feed['age_s']:,} s old"
        left_out = "" if feed["used"] else f", left out: {feed['reason'] or feed['fault'] or 'not used'}"
        said.append(text(f"{feed['kind']} {short(feed['feed'])}: {feed['price_usd'] or 'no price'}{age}{left_out}"))
    return Html("<br>".join(said)) if said else marked("no feed", "warn")


def _evidence(tables: Tables) -> Html:
    grades = counted(tables["units"], "evidence")
    styles = {"A": "good", "B": "good", "C": "warn", "D": "soft"}
    by_venue = counted(tables["units"], "venue_id", "evidence")
    venues = sorted({venue for venue, _ in by_venue})
    rows = [(venue, *(f"{by_venue[venue, grade]:,}" for grade in GRADES)) for venue in venues]
    proofs = Counter(row["outcome"] for row in tables["proofs"])
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(proofs.items())) or "none were asked for"
    return section(
        "Evidence",
        bars("Units by how sure their amounts are", [(grade, grades[grade,], styles[grade]) for grade in GRADES]),
        table(("grade", "means"), list(GRADES.items())),
        table(("venue", *GRADES), rows, numbers=tuple(GRADES)),
        paragraph(f"State proofs: {told}."),
    )


def _read(tables: Tables) -> Html:
    """Say how old accounts are that were read, and what several nodes say of them; nothing where no chain has such."""
    if not tables["looks"]:
        return Html("")
    outcomes = Counter((row["venue_id"], row["outcome"]) for row in tables["agreements"])
    rows = [
        (
            row["venue_id"],
            row["slot"],
            row["look_slot"],
            row["observed_slot"],
            row["skew_slots"],
            row["skew_s"],
            ", ".join(
                f"{count:,} {what}" for (venue, what), count in sorted(outcomes.items()) if venue == row["venue_id"]
            )
            or "not asked",
        )
        for row in tables["looks"]
    ]
    columns = (
        "venue",
        "slot of the cut",
        "look",
        "seen as of",
        "slots before",
        "seconds at most",
        "several nodes said",
    )
    note = (
        "accounts of these venues are read and nothing proves them: seen as of the oldest answer of the last look up to the cut. Nodes are "
        "asked about some accounts when the snapshot is made: agreed, where two or more say the same of one slot and it is what is stored"
    )
    return section("Accounts that were read", table(columns, rows, numbers=columns[1:6], note=note))


def _signature(cover: Cover) -> Html:
    rows = [
        ("signed by the key", code(cover.signer["key"])),
        ("which signs since", cover.signer["from"]),
        ("number in the chain of snapshots", f"{cover.sequence:,}"),
        ("manifest of the one before", code(cover.previous) if cover.previous else "none: it is the first"),
        ("root of the tree over all units", code(cover.tree["hash"])),
        ("units in the tree, and unknown", f"{cover.tree['sums']['units']}, {cover.tree['sums']['unknown']}"),
    ]
    note = "the hash of the manifest, which names this snapshot, cannot stand here: it is over this page too"
    return section("Signature and chain", table(("", ""), rows, note=note))


def _verifying(cover: Cover) -> Html:
    commands = "\n".join(
        (
            f"python verify.py {cover.name} --key KEY_OF_THE_OPERATOR",
            f"python verify_state.py {cover.name}",
            f"python verify_accounts.py {cover.name}",
            f"crossmargin snapshot verify {cover.name} --key KEY_OF_THE_OPERATOR",
            f"crossmargin snapshot prove {cover.name} ACCOUNT > proof.json",
            f"python verify.py {cover.name} --proof proof.json",
        )
    )
    return section(
        "How to verify",
        paragraph(
            "Take the operator's key and verify.py from a place that you trust, not from this folder. The scripts check every file, "
            "the tables, the tree and its sums, the signature, the chain, the state proofs and the ages of accounts. Whether the "
            "tables are true, chains can tell: the blocks above name where to look."
        ),
        Html(f"<pre>{text(commands)}</pre>"),
    )
