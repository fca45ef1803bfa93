"""`keys`: those that sign snapshots, and those by which others ask."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.commands.options import Ctx

keys_app = typer.Typer(no_args_is_help=True, help="Keys that sign snapshots, and API keys.")
api_keys_app = typer.Typer(no_args_is_help=True, help="API keys for HTTP.")
keys_app.add_typer(api_keys_app, name="api")


@keys_app.command("create")
def keys_create(context: Ctx) -> None:
    """Create the first snapshot-signing key; the first snapshot does this by itself."""
    from crossmargin.cli import keys

    keys.create(context.obj)


@keys_app.command("rotate")
def keys_rotate(context: Ctx) -> None:
    """Rotate to a new signing key, endorsed by the previous one."""
    from crossmargin.cli import keys

    keys.rotate(context.obj)


@keys_app.command("list")
def keys_list(context: Ctx) -> None:
    """List the public keys, and when each started signing."""
    from crossmargin.cli import keys

    keys.listing(context.obj)


@api_keys_app.command("create")
def keys_api_create(
    context: Ctx,
    name: Annotated[str, typer.Argument(help="Whose key it is, in your own words.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="What it allows: read, sql, import, follow or admin; may be given again."),
    ] = ["read"],  # noqa: B006 - typer copies it
    quota: Annotated[int | None, typer.Option("--quota", help="Requests a minute; without it any number.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="After how long, such as 90d; never.")] = None,
) -> None:
    """Make a key by which others ask over HTTP. It is printed once."""
    from crossmargin.cli import api_keys

    api_keys.create(context.obj, name, scopes=tuple(scope), quota=quota, expires=expires)


@api_keys_app.command("list")
def keys_api_list(context: Ctx) -> None:
    """List the API keys, without their secrets."""
    from crossmargin.cli import api_keys

    api_keys.listing(context.obj)


@api_keys_app.command("revoke")
def keys_api_revoke(context: Ctx, key_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")]) -> None:
    """Let a key hold no more, from the next request on."""
    from crossmargin.cli import api_keys

    api_keys.revoke(context.obj, key_id)
