"""`haircuts estimate|backtest`: market haircuts from price histories in files or the store, and whether they would have held."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import typer
from rich.console import Console

from aggregator.margin import numbers
from aggregator.risk.backtest import Backtest, backtest
from aggregator.risk.history import BadHistory, History, history_of
from aggregator.risk.market import DAY_S, LONGEST_DAYS, MarketLayer, market_layer
from aggregator.risk.models import MODELS
from aggregator.told import each_told
from crossmargin.cli import figures
from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import add_rows, emit, table, words
from crossmargin.cli.progress import told_on
from crossmargin.documents import Document
from crossmargin.errors import UsageError
from crossmargin.exits import ExitCode
from crossmargin.histories import read_history
from crossmargin.settings import values
from crossmargin.settings.section import nearest

MAINTENANCE_TAIL, INITIAL_TAIL = 0.01, 0.003
SHORTEST_MAINTENANCE_S, SHORTEST_INITIAL_S = 4 * 3600, 86_400
LIGHT_STYLES = {"green": "green", "yellow": "yellow", "red": "bold red", "none": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which histories: files with a column of prices (`price`), and identities of the store."""

    files: Sequence[Path]
    stored: Sequence[str]
    price: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A history, and how many days of the store's lie before its last gap and are left out."""

    history: History
    left_out: int = 0


def estimate(context: Context, wanted: Wanted, *, horizon: str) -> None:
    """Print the market layers of maintenance and initial haircuts at the end of each history."""
    horizon_s = _seconds(horizon)
    document: Document = {
        "horizon_s": horizon_s,
        "haircuts": [_estimated(found, horizon_s) for found in _histories(context, wanted)],
    }
    emit(context, document, lambda console: _show_estimates(console, document))


def walk_forward(
    context: Context, histories: Wanted, *, models: Sequence[str], since: str | None, require: str | None
) -> None:
    """Print how each model did on each history; exits 4 where breaches of the required one are too many."""
    wanted = [*(models or MODELS)]
    for name in (*wanted, *([require] if require else ())):
        if name not in MODELS:
            raise UsageError(f'there is no model "{name}"; {nearest(name, MODELS)}')
    if require is not None and require not in wanted:
        wanted.append(require)
    day = _day(since)
    pairs = [(found, name) for found in _histories(context, histories) for name in wanted]
    with told_on(context, "testing") as told:
        results = [(found, _tested(found.history, name, day)) for found, name in each_told(told, "models", pairs)]
    document: Document = {"results": [_result(found, test) for found, test in results]}
    emit(context, document, lambda console: _show_results(console, document))
    if any(test.model == require and not test.coverage.holds() for _, test in results):
        raise typer.Exit(ExitCode.UNVERIFIED)


def _histories(context: Context, wanted: Wanted) -> list[Found]:
    """Read files, and what feeds and imports told the store; raises `UsageError` and `NoSuchThing`."""
    if not wanted.files and not wanted.stored:
        raise UsageError("name files with price histories, or --stored IDENTITY for what the store has of one")
    found = [Found(history=read_history(path, price=wanted.price)) for path in wanted.files]
    if wanted.stored:
        with desk_of(context) as desk:
            found += [_stored(desk.price_histories(identity)) for identity in wanted.stored]
    return found


def _stored(told: Document) -> Found:
    """Take the days since the last gap of a stored history: none is filled, and none is passed over."""
    days = [date.fromisoformat(day["day"]) for day in told["days"]]
    gaps = [place for place in range(1, len(days)) if days[place] - days[place - 1] > timedelta(days=1)]
    first = gaps[-1] if gaps else 0
    try:
        closes = [float(day["close"]) for day in told["days"][first:]]
        return Found(history=history_of(told["identity"], days[first:], closes), left_out=first)
    except BadHistory as error:
        raise UsageError(f"what is stored is no price history: {error}") from error


def _seconds(text: str) -> int:
    try:
        seconds = math.ceil(values.duration(text))
    except values.Unfit as error:
        raise UsageError(f"--horizon {error}") from error
    if 2 * seconds > LONGEST_DAYS * DAY_S:
        raise UsageError(
            f"--horizon must be at most {LONGEST_DAYS // 2}d: initial margin looks twice as far, not {text}"
        )
    return seconds


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--since {text!r} is no day; write it as 2024-01-31") from error


def _tested(history: History, model: str, since: date | None) -> Backtest:
    try:
        return backtest(history, model, since=since)
    except BadHistory as error:
        raise UsageError(str(error)) from error


def _estimated(found: Found, horizon_s: int) -> Document:
    history = found.history
    maintenance = market_layer(history, horizon_s=max(horizon_s, SHORTEST_MAINTENANCE_S), tail=MAINTENANCE_TAIL)
    initial = market_layer(history, horizon_s=max(2 * horizon_s, SHORTEST_INITIAL_S), tail=INITIAL_TAIL)
    return {
        "asset": history.asset,
        "as_of": history.last.isoformat(),
        "days": len(history.closes),
        "left_out": found.left_out,
        "maintenance": _layer(maintenance),
        "initial": _layer(initial),
    }


def _layer(layer: MarketLayer | None) -> Document | None:
    if layer is None:
        return None
    return {
        "haircut": numbers.text(numbers.ratio_up(layer.haircut)),
        "horizon_s": layer.horizon_s,
        "tail": _digits(layer.tail),
        "daily_deviation": _digits(layer.deviation),
        "basis": layer.basis.value,
    }


def _result(whole: Found, found: Backtest) -> Document:
    judged = found.coverage
    return {
        "asset": found.asset,
        "model": found.model,
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        "days": judged.days,
        "left_out": whole.left_out,
        "breaches": judged.breaches,
        "announced": _digits(judged.tail),
        "rate": _digits(judged.rate),
        "holds": judged.holds(),
        "too_many_p": _digits(judged.too_many_p),
        "kupiec_p": _digits(judged.kupiec_p),
        "independence_p": _digits(judged.independence_p),
        "conditional_coverage_p": _digits(judged.conditional_p),
        "traffic_light": judged.light.value,
        "mean_haircut": numbers.text(numbers.ratio_up(found.mean_haircut)),
        "largest_haircut": numbers.text(numbers.ratio_up(found.largest_haircut)),
        "worst_beyond": numbers.text(numbers.ratio_up(found.worst_beyond)),
        "largest_rise_5d": numbers.text(numbers.ratio_up(found.largest_rise)),
    }


def _digits(value: float) -> str:
    return numbers.text(numbers.ratio_nearest(value))


def _show_estimates(console: Console, document: Document) -> None:
    columns = ("asset", "as of", "days", "maintenance", "horizon", "initial", "horizon ", "basis")
    rows = []
    for item in document["haircuts"]:
        maintenance, initial = item["maintenance"], item["initial"]
        if maintenance is None or initial is None:
            rows.append(
                (
                    item["asset"],
                    item["as_of"],
                    item["days"],
                    figures.NONE,
                    "",
                    figures.NONE,
                    "",
                    "too few days, or none that moved",
                )
            )
            continue
        rows.append(
            (
                item["asset"],
                item["as_of"],
                item["days"],
                figures.percent(maintenance["haircut"]),
                figures.age(maintenance["horizon_s"]),
                figures.percent(initial["haircut"]),
                figures.age(initial["horizon_s"]),
                maintenance["basis"],
            )
        )
    console.print(add_rows(table(*columns, right=columns[2:7]), rows))


def _show_results(console: Console, document: Document) -> None:
    columns = (
        "asset",
        "model",
        "days",
        "beyond",
        "rate",
        "holds",
        "Kupiec p",
        "indep. p",
        "light",
        "mean",
        "largest",
        "worst beyond",
    )
    rows = [
        (
            item["asset"],
            item["model"],
            item["days"],
            item["breaches"],
            figures.percent(item["rate"]),
            words("yes", "green") if item["holds"] else words("NO", "bold red"),
            item["kupiec_p"][:5],
            item["independence_p"][:5],
            words(item["traffic_light"], LIGHT_STYLES[item["traffic_light"]]),
            figures.percent(item["mean_haircut"]),
            figures.percent(item["largest_haircut"]),
            figures.percent(item["worst_beyond"]),
        )
        for item in document["results"]
    ]
    console.print(add_rows(table(*columns, right=(*columns[2:5], *columns[6:8], *columns[9:])), rows))
