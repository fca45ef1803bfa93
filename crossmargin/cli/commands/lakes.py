"""`lake`: shared storage that several indexers fill."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.commands.options import Ctx

lake_app = typer.Typer(
    no_args_is_help=True, help="Shared storage: what several indexers publish, and readers read at one cut-off."
)


@lake_app.command("publish")
def lake_publish(context: Ctx) -> None:
    """Write the due parts into the lake: the state of each chain at cut-offs that became final."""
    from crossmargin.cli import lakes

    lakes.publish(context.obj)


@lake_app.command("join")
def lake_join(
    context: Ctx,
    every: Annotated[
        int | None, typer.Option("--every", metavar="SECONDS", min=1, help="Join again and again, until interrupted.")
    ] = None,
) -> None:
    """Publish to readers the newest cut-off for which every configured chain has a complete part."""
    from crossmargin.cli import lakes

    lakes.join(context.obj, every)


@lake_app.command("show")
def lake_show(context: Ctx) -> None:
    """Show the set that readers see, and how far each chain's newest part is."""
    from crossmargin.cli import lakes

    lakes.show(context.obj)


@lake_app.command("tidy")
def lake_tidy(
    context: Ctx,
    keep: Annotated[
        int, typer.Option("--keep", metavar="SETS", min=2, help="So many sets are kept, the newest.")
    ] = 100,
) -> None:
    """Remove old sets from the lake, and files that no set uses any more."""
    from crossmargin.cli import lakes

    lakes.tidy(context.obj, keep)
