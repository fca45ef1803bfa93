"""`snapshot diff` for people."""

from __future__ import annotations

import json

from rich.console import Console

from crossmargin.cli.output import add_rows, table, words
from crossmargin.documents import Document, symbol


def show_difference(console: Console, document: Document) -> None:
    """Print the causes first, then the blocks, the sums and the rows that differ."""
    for side in ("from", "to"):
        said = document[side]
        console.print(
            words(f"{side:<4} {said['snapshot']} · {said['slot_time']} · {said['manifest_hash']}"), soft_wrap=True
        )
    if document["same"]:
        console.print(words("nothing of accounts, positions, marks or totals differs", "green"))
    for each in document["causes"]:
        about = f" {each['subject']}" if each["subject"] else ""
        console.print(words(f"cause: {each['code']}{about}: {each['detail']}", "yellow"), soft_wrap=True)
    if not document["ledger_asked"]:
        console.print(words("the store was not asked what was restated"), soft_wrap=True)
    _exceptions(console, document["exceptions"])
    if document["sums"]:
        rows = [
            (symbol(line["of"]), line["side"], line["from"], line["to"], line["change"]) for line in document["sums"]
        ]
        console.print(add_rows(table("sum of", "side", "from", "to", "change", right=("from", "to", "change")), rows))
    for name, each in document["tables"].items():
        if each["differing"]:
            _rows(console, name, each)


def _exceptions(console: Console, exceptions: Document) -> None:
    for what, style in (("added", "red"), ("removed", "green")):
        for reason in exceptions[what]:
            said = f"exception {what}: {reason['code']} {reason['subject']}: {reason['detail']}"
            console.print(words(said, style), soft_wrap=True)


def _rows(console: Console, name: str, each: Document) -> None:
    counts = ", ".join(f"{each[what]} {what}" for what in ("added", "removed", "changed") if each[what])
    console.print(words(f"{name}: {counts}", "bold"))
    for row in each["rows"]:
        about = " ".join(str(value) for value in row["key"].values() if value is not None)
        said = "; ".join(f"{column} {_plain(was)} → {_plain(now)}" for column, (was, now) in row["columns"].items())
        console.print(
            words(f"  {row['what']} {about}: {said}" if row["what"] == "changed" else f"  {row['what']} {about}"),
            soft_wrap=True,
        )
    if each["left_out"]:
        console.print(words(f"  … and {each['left_out']} more; --limit shows more"))


def _plain(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
