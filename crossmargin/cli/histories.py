"""`prices import|list|show`, `liquidity import|list` and `haircuts show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, facts, table, words
from crossmargin.cli.progress import counted_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.imports import usd

NOT_KNOWN = "no estimate"


def take_prices(
    context: Context, files: Sequence[Path], *, asset: str | None, price: str, source: str | None, gaps: bool
) -> None:
    """Take in the histories of files: all files are read before the first is entered."""
    from crossmargin.import_files import price_documents

    today = datetime.now(UTC).date()
    documents = [
        document
        for path in files
        for document in price_documents(path, asset=asset, price=price, source=source, gaps=gaps, today=today)
    ]
    names = [document["identity"] for document in documents]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"{', '.join(twice)}: several files have a history of it; import one of them, or one after the other"
        )
    done: Document = {"imported": []}
    total = sum(len(document["days"]) for document in documents)
    with desk_of(context, writes=True) as desk, counted_on(context, "importing days", total) as told:
        for document in documents:
            done["imported"].append(desk.import_prices(document))
            told(len(document["days"]))
    emit(context, done, lambda console: _show_imported(console, done))


def list_prices(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.price_histories(None)
    columns = ("identity", "first", "last", "days", "missing", "corrected", "told by")
    rows = [
        (
            words(line["identity"]) if line["configured"] else words(f"{line['identity']} (not configured)", "yellow"),
            line["first"],
            line["last"],
            line["days"],
            line["missing_days"],
            line["corrections"],
            ", ".join(f"{source} {days}" for source, days in line["sources"].items()),
        )
        for line in document["histories"]
    ]
    emit(context, document, lambda console: console.print(add_rows(table(*columns, right=columns[3:6]), rows)))


def show_prices(context: Context, identity: str) -> None:
    with desk_of(context) as desk:
        document = desk.price_histories(identity)
    columns = ("day", "close", "low", "high", "told by")
    rows = [
        (day["day"], *(figures.price(day[name]) for name in ("close", "low", "high")), day["source"])
        for day in document["days"]
    ]
    emit(context, document, lambda console: console.print(add_rows(table(*columns, right=columns[1:4]), rows)))


def take_liquidity(context: Context, path: Path, *, source: str | None) -> None:
    from crossmargin.import_files import liquidity_document

    said = liquidity_document(path, source=source)
    with desk_of(context, writes=True) as desk:
        document = desk.import_liquidity(said)
    emit(context, document, lambda console: facts(console, document))


def list_liquidity(context: Context) -> None:
    with desk_of(context) as desk:
        document = desk.liquidity()
    columns = ("identity", "as of", "days ago", "USD a day", "spread", "fee", "told by")
    rows = [
        (
            line["identity"],
            line["as_of"],
            line["age_days"],
            figures.usd_down(line["daily_volume_usd"]),
            figures.percent(line["spread"]),
            figures.percent(line["fee"]),
            line["source"],
        )
        for line in document["liquidity"]
    ]
    emit(context, document, lambda console: console.print(add_rows(table(*columns, right=columns[2:6]), rows)))


def show_haircuts(context: Context, *, value: str | None, at: str | None) -> None:
    value_usd = usd(value, "--value")
    with desk_of(context) as desk:
        document = desk.haircuts(value_usd, at)
    emit(context, document, lambda console: _show_haircuts(console, document))


def _show_imported(console: Console, document: Document) -> None:
    columns = ("identity", "first", "last", "days", "new", "corrected", "gaps")
    rows = [
        (line["identity"], line["first"], line["last"], line["days"], line["new"], line["corrected"], len(line["gaps"]))
        for line in document["imported"]
    ]
    console.print(add_rows(table(*columns, right=columns[3:]), rows))


def _show_haircuts(console: Console, document: Document) -> None:
    why = f" ({', '.join(document['regime_reasons'])})" if document["regime_reasons"] else ""
    sold = figures.usd_up(document["value_usd"])
    console.print(f"{document['day'] or 'nothing indexed'}, {document['regime']}{why}; a sale of {sold} USD")
    columns = ("identity", "asset", "class", "for", "market", "liquidity", "peg", "bridge", "chain", "static", "total")
    more = ("σ a day", "days", "basis", "assumed")
    made = table(*columns, *more, right=(*columns[4:], *more[:2]))
    console.print(add_rows(made, _haircut_rows(document)))


def _haircut_rows(document: Document) -> Iterator[tuple[object, ...]]:
    for line in document["haircuts"]:
        known = line["estimate"]
        basis = words(NOT_KNOWN, "yellow") if known is None else known["basis"]
        deviation, days = ("", "") if known is None else (figures.percent(known["daily_deviation"]), known["days"])
        for asset in line["assets"]:
            for purpose in ("maintenance", "initial"):
                yield (
                    line["identity"],
                    asset["symbol"] or asset["asset"],
                    asset["class"],
                    purpose,
                    *_shares(asset[purpose]),
                    deviation,
                    days,
                    basis,
                    ", ".join(asset["assumed"]),
                )


def _shares(layers: dict[str, Any]) -> Iterator[str]:
    for name in ("market", "liquidity", "peg", "bridge", "chain", "static", "total"):
        yield "venue's" if layers[name] is None else figures.percent(layers[name])
