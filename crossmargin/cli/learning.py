"""`haircuts recommend|challenge` and `validate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from aggregator.risk.challenger import ScoreCard, score_card
from aggregator.risk.history import BadHistory
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.exits import ExitCode
from crossmargin.histories import read_bars, read_history, read_volumes
from crossmargin.stress_documents import number
from crossmargin.validation_pack import validation, write_pack

STYLES = {"keep": "", "raise": "yellow", "alert": "bold red", "lower": "green"}


def recommend(context: Context, *, out: Path | None) -> None:
    """Print the advice, and write the draft of a policy where there is one."""
    with told_on(context, "reading the book") as told, desk_of(context, told=told) as desk:
        document = desk.recommend_haircuts()
    draft = document["draft"]
    if out is not None and draft is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(draft)
        except FileExistsError as error:
            raise UsageError(f"{out} is there already; name a new file for the draft") from error
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror or error}") from error
    emit(context, document, lambda console: _show_advice(console, document, out))


def challenge(context: Context, files: Sequence[Path]) -> None:
    """Print each challenger's score card; exits 4 where one failed."""
    try:
        cards = [score_card(read_bars(path), read_volumes(path)) for path in files]
    except BadHistory as error:
        raise UsageError(str(error)) from error
    document: Document = {"score_cards": [_card(card) for card in cards]}
    emit(context, document, lambda console: _show_cards(console, document))
    if any(not card.promoted for card in cards):
        raise typer.Exit(ExitCode.UNVERIFIED)


def validate(context: Context, files: Sequence[Path], *, out: Path) -> None:
    """Write the validation pack; exits 4 where what accounts are held to does not hold."""
    try:
        with told_on(context, "reading histories") as told:
            found = [read_history(path) for path in files], [read_bars(path) for path in files]
            document, lines = validation(*found, told)
    except BadHistory as error:
        raise UsageError(str(error)) from error
    written = write_pack(out, document, lines)
    emit(context, document, lambda console: _show_pack(console, document, out, written))
    if not document["holds"]:
        raise typer.Exit(ExitCode.UNVERIFIED)


def _card(card: ScoreCard) -> Document:
    return {
        "asset": card.asset,
        "days": card.days,
        "breaches": card.challenger.breaches,
        "champion_breaches": card.champion.breaches,
        "kupiec_p": number(card.challenger.kupiec_p),
        "conditional_coverage_p": number(card.challenger.conditional_p),
        "traffic_light": card.challenger.light.value,
        "check_loss": f"{card.loss:.8f}",
        "champion_check_loss": f"{card.champion_loss:.8f}",
        "raises": number(card.raised),
        "failed": list(card.failed),
        "promoted": card.promoted,
    }


def _show_advice(console: Console, document: Document, out: Path | None) -> None:
    columns = ("class", "margin", "by", "now", "target", "proposed", "", "because of")
    rows = [
        (
            each["class"],
            each["margin"],
            each["identity"],
            *(figures.percent(each[name]) for name in ("current", "target", "proposed")),
            words(each["move"], STYLES[each["move"]]),
            each["binding"],
        )
        for each in document["proposals"]
    ]
    console.print(add_rows(table(*columns, right=columns[3:6]), rows))
    if document["without_history"]:
        console.print(f"without a history that is long enough: {', '.join(document['without_history'])}")
    if unmeasured := sorted({name for each in document["proposals"] for name in each["unmeasured"]}):
        console.print(f"not measured, so that their classes are not lowered: {', '.join(unmeasured)}")
    effect = document["preview"]
    if effect is None:
        console.print("nothing changes")
        return
    console.print(
        f"as a policy from {document['effective_from']}: {len(effect['newly_below'])} of {effect['accounts']} accounts would newly "
        f"fall below 1, with {effect['at_stake']['debt_usd']} USD of debt"
    )
    console.print(
        "--out FILE writes the draft" if out is None else f"the draft is in {out}: `crossmargin policy schedule`"
    )


def _show_cards(console: Console, document: Document) -> None:
    columns = (
        "asset",
        "days",
        "beyond",
        "champion's",
        "Kupiec p",
        "cond. p",
        "light",
        "loss",
        "champion's ",
        "raises",
        "verdict",
    )
    rows = [
        (
            each["asset"],
            each["days"],
            each["breaches"],
            each["champion_breaches"],
            each["kupiec_p"][:5],
            each["conditional_coverage_p"][:5],
            each["traffic_light"],
            each["check_loss"],
            each["champion_check_loss"],
            figures.percent(each["raises"]),
            words("promoted", "green") if each["promoted"] else words(f"failed: {', '.join(each['failed'])}", "yellow"),
        )
        for each in document["score_cards"]
    ]
    console.print(add_rows(table(*columns, right=columns[1:6]), rows))


def _show_pack(console: Console, document: Document, out: Path, written: Sequence[str]) -> None:
    judged = [each for each in document["verdicts"] if each["model"] == document["judged_model"]]
    columns = ("subject", "days", "beyond", "too many p", "duration p", "light", "mean", "largest", "holds")
    rows = [
        (
            each["subject"],
            each["days"],
            each["breaches"],
            each["too_many_p"][:5],
            figures.NONE if each["duration_p"] is None else each["duration_p"][:5],
            each["traffic_light"],
            figures.percent(each["mean_haircut"]),
            figures.percent(each["largest_haircut"]),
            words("yes", "green") if each["holds"] else words("NO", "bold red"),
        )
        for each in judged
    ]
    console.print(add_rows(table(*columns, right=columns[1:5]), rows))
    for name, found in document["reliability"].items():
        verdict = words("holds", "green") if found["holds"] else words("does NOT hold", "bold red")
        console.print(f"chances ({name}), squared error {found['brier']} for {found['climate_brier']}:", verdict)
    console.print(f"{len(written)} files in {out}; index.html shows them")
