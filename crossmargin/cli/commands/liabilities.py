"""`liabilities`: what other systems require of the collateral in escrows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.options import Ctx, Source

liabilities_app = typer.Typer(
    no_args_is_help=True, help="What other systems require of collateral held for them in escrow."
)


@liabilities_app.command("import")
def liabilities_import(context: Ctx, source: Source) -> None:
    """Import a signed document of liabilities. Exits 4 when no authorised key has signed it."""
    from crossmargin.cli import liabilities

    liabilities.take_in(context.obj, source)


@liabilities_app.command("list")
def liabilities_list(
    context: Ctx,
    *,
    venue: Annotated[str | None, typer.Option("--venue", metavar="ID", help="Only of this venue.")] = None,
) -> None:
    """List the newest known liabilities of each account, with their age."""
    from crossmargin.cli import liabilities

    liabilities.listing(context.obj, venue=venue)


@liabilities_app.command("sign")
def liabilities_sign(
    context: Ctx,
    source: Source,
    *,
    key: Annotated[Path, typer.Option("--key", metavar="KEYFILE", help="A private key as `liabilities key` makes it.")],
) -> None:
    """Sign a document of liabilities and print it in its envelope."""
    from crossmargin.cli import liabilities

    liabilities.sign(context.obj, source, key=key)


@liabilities_app.command("key")
def liabilities_key(
    context: Ctx, path: Annotated[Path, typer.Argument(metavar="OUT", help="The file to make; it must not be there.")]
) -> None:
    """Make a private key that signs liabilities, and print the public key for the configuration."""
    from crossmargin.cli import liabilities

    liabilities.make_key(context.obj, path)
