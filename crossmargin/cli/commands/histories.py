"""`prices`, `liquidity` and `transfers`: what is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.options import At, Ctx, PriceColumn

prices_app = typer.Typer(invoke_without_command=True, help="Current marks of every asset, and daily price histories.")
liquidity_app = typer.Typer(no_args_is_help=True, help="Imported market depth and volume of assets.")
transfers_app = typer.Typer(no_args_is_help=True, help="Imported transfers in flight between chains.")
Histories = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE…", help="CSV or Parquet with the columns date and close, one asset each, every day once."
    ),
]


@prices_app.callback()
def prices(context: Ctx, *, at: At = None) -> None:
    """List every asset's price, its age and where it comes from."""
    if context.invoked_subcommand is not None:
        if at is not None:
            raise typer.BadParameter("goes with `prices` alone", param_hint="--at")
        return
    from crossmargin.cli import asking

    asking.prices(context.obj, at=at)


SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="TEXT", help="Whose numbers these are; the file's name where nobody says."),
]


@prices_app.command("import")
def prices_import(
    context: Ctx,
    files: Histories,
    *,
    asset: Annotated[
        str | None,
        typer.Option(
            "--asset",
            metavar="IDENTITY",
            help="Whose history it is: same_as, or an asset's id. Else its column `asset`, else its name.",
        ),
    ] = None,
    source: SourceName = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Take in a history in which days are missing.")] = False,
    price: PriceColumn = "close",
) -> None:
    """Import daily price histories: columns `date`, a close, and `low` and `high` where known."""
    from crossmargin.cli import histories

    histories.take_prices(context.obj, files, asset=asset, price=price, source=source, gaps=gaps)


@prices_app.command("list")
def prices_list(context: Ctx) -> None:
    """List the known histories, from feeds and from imports."""
    from crossmargin.cli import histories

    histories.list_prices(context.obj)


@prices_app.command("show")
def prices_show(context: Ctx, identity: Annotated[str, typer.Argument(metavar="IDENTITY")]) -> None:
    """Print every known day of one history, with its source."""
    from crossmargin.cli import histories

    histories.show_prices(context.obj, identity)


@liquidity_app.command("import")
def liquidity_import(
    context: Ctx,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet: asset, as_of, daily_volume_usd, spread, fee.")
    ],
    *,
    source: SourceName = None,
) -> None:
    """Import market liquidity of assets: USD a day, the spread and the fee as fractions."""
    from crossmargin.cli import histories

    histories.take_liquidity(context.obj, path, source=source)


@liquidity_app.command("list")
def liquidity_list(context: Ctx) -> None:
    """List the newest known liquidity of each asset."""
    from crossmargin.cli import histories

    histories.list_liquidity(context.obj)


@transfers_app.command("import")
def transfers_import(
    context: Ctx,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet: a row for each message of a bridge.")],
    *,
    source: SourceName = None,
) -> None:
    """Import bridge messages that are sent, proven or delivered; they count for nothing until delivered."""
    from crossmargin.cli import transfers

    transfers.take_in(context.obj, path, source=source)


@transfers_app.command("list")
def transfers_list(context: Ctx) -> None:
    """List the newest known state of every message."""
    from crossmargin.cli import transfers

    transfers.listing(context.obj)
