"""`haircuts` and `score`: estimates from price histories, and whether they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.options import At, Ctx, Days, PriceColumn

haircuts_app = typer.Typer(no_args_is_help=True, help="Market haircuts from price histories, and whether they hold.")
score_app = typer.Typer(no_args_is_help=True, help="The score, and how well its probabilities are calibrated.")
AnyHistories = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE…]", help="CSV or Parquet with the columns date and close, one asset each, every day once."
    ),
]
Stored = Annotated[
    list[str] | None,
    typer.Option("--stored", metavar="IDENTITY", help="What the store has of one; may be given again."),
]


@haircuts_app.command("show")
def haircuts_show(
    context: Ctx,
    *,
    value: Annotated[
        str | None, typer.Option("--value", metavar="USD", help="How much is sold at once: 1000000.")
    ] = None,
    at: At = None,
) -> None:
    """Show the layers of every asset's haircut and their sources."""
    from crossmargin.cli import histories

    histories.show_haircuts(context.obj, value=value, at=at)


@haircuts_app.command("estimate")
def haircuts_estimate(
    context: Ctx,
    files: AnyHistories = None,
    *,
    stored: Stored = None,
    horizon: Annotated[
        str,
        typer.Option("--horizon", metavar="TIME", help="How long a liquidation takes, with the time to notice: 4h."),
    ] = "4h",
    price: PriceColumn = "close",
) -> None:
    """Estimate how far each price may fall before a liquidation is done: maintenance at 99 %, initial at 99.7 %."""
    from crossmargin.cli import haircuts

    wanted = haircuts.Wanted(files=files or (), stored=stored or (), price=price)
    haircuts.estimate(context.obj, wanted, horizon=horizon)


@haircuts_app.command("backtest")
def haircuts_backtest(
    context: Ctx,
    files: AnyHistories = None,
    *,
    stored: Stored = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Only this model; may be given again.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Judge only the days from here on: 2024-01-01.")
    ] = None,
    require: Annotated[
        str | None,
        typer.Option("--require", metavar="NAME", help="Exit 4 when this model's haircuts are gone beyond too often."),
    ] = None,
    price: PriceColumn = "close",
) -> None:
    """Walk haircut models forward over price histories and count the days that went beyond them."""
    from crossmargin.cli import haircuts

    wanted = haircuts.Wanted(files=files or (), stored=stored or (), price=price)
    haircuts.walk_forward(context.obj, wanted, models=tuple(model or ()), since=since, require=require)


@haircuts_app.command("recommend")
def haircuts_recommend(
    context: Ctx,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the draft of a policy to this new file.")
    ] = None,
) -> None:
    """Recommend haircuts for the policy in force from price history, with the effect on the book. Enters nothing."""
    from crossmargin.cli import learning

    learning.recommend(context.obj, out=out)


@haircuts_app.command("challenge")
def haircuts_challenge(context: Ctx, files: Days) -> None:
    """Challenge filtered simulation with a learnt haircut on price histories; exits 4 where it is not promoted."""
    from crossmargin.cli import learning

    learning.challenge(context.obj, files)


@score_app.command("calibrate")
def score_calibrate(
    context: Ctx,
    files: Days,
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DAY", help="Judge only the days from here on: 2024-01-01.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Judge only the days up to here: 2023-12-31.")
    ] = None,
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="N", min=1, max=7, help="Judge the watch list's chances within so many days."),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option("--pool", metavar="N", min=500, help="With --days: draw from so many days before; all."),
    ] = None,
) -> None:
    """Forecast each day's probability of a fall from the days before, and compare it with outcomes; exits 4 where calibration fails."""
    from crossmargin.cli import score

    if days is None and pool is not None:
        raise typer.BadParameter("a pool is drawn from with --days alone", param_hint="--pool")
    score.calibrate(context.obj, files, since=since, until=until, days=days, pool=pool)
