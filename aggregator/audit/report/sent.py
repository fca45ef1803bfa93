"""What a report says of messages between chains: what was on its way at the cut, and by what that is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aggregator.audit.lines import Row
from aggregator.audit.report.cover import Tables
from aggregator.audit.report.page import MOST_ROWS, Cell, Html, marked, paragraph, rest, section, short, table

PROVEN = "B"


def messages(tables: Tables) -> Html:
    """Return the section: weakest evidence first."""
    sent = sorted(tables["messages"], key=lambda row: row["grade"], reverse=True)
    if not sent:
        return section("Messages between chains", paragraph("None was known to be on its way at the cut."))
    grades = Counter(row["grade"] for row in sent)
    told = ", ".join(f"{count:,} graded {grade}" for grade, count in sorted(grades.items()))
    columns = ("by", "message", "from", "to", "asset", "amount, raw", "recipient", "state", "grade", "checked")
    return section(
        "Messages between chains",
        paragraph(
            f"{told}. What is on its way counts nothing in any number before it is there. {PROVEN}: signers, or the log of the "
            "destination, say who gets how much of what; D: it is somebody's word, as the last column says."
        ),
        table(columns, list(_lines(sent[:MOST_ROWS])), numbers=("amount, raw",), note=rest(sent, "messages")),
    )


def _lines(sent: list[Row]) -> Iterator[tuple[Cell, ...]]:
    for row in sent:
        yield (
            row["protocol"],
            short(row["message"]),
            row["source_chain"],
            row["destination_chain"],
            row["asset"],
            row["amount_raw"],
            short(row["recipient"]),
            row["state"],
            marked(row["grade"], "good" if row["grade"] == PROVEN else "warn"),
            row["checked"],
        )
