"""Parts of a list that is ordered: each goes on behind the last line of the one before, also where lines came or went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from crossmargin.documents import Document
from crossmargin.server.cursors import Cursors, placed
from crossmargin.server.questions import PageQuery


def paged(
    lines: Sequence[Mapping[str, Any]],
    query: PageQuery,
    cursors: Cursors,
    name: str,
    place: Callable[[Mapping[str, Any]], Sequence[Any]],
) -> Document:
    """Return the lines behind the query's cursor, and `next` where there are more; `lines` in the order of their places."""
    question = f"{name} {query.model_dump_json(exclude={'limit', 'cursor'})}"
    if query.cursor is not None:
        with placed():
            behind = [_read(part) for part in cursors.read(question, query.cursor)]
            lines = [line for line in lines if list(place(line)) > behind]
    shown = lines[: query.limit]
    more = len(lines) > len(shown)
    return {name: shown, "next": cursors.write(question, [_write(part) for part in place(shown[-1])]) if more else None}


def _write(part: object) -> object:
    return {"decimal": str(part)} if isinstance(part, Decimal) else part


def _read(part: Any) -> Any:  # noqa: ANN401 - as it was written
    return Decimal(part["decimal"]) if isinstance(part, dict) else part
