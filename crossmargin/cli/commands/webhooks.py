"""`webhooks`: addresses that events are sent to."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.commands.options import Ctx

webhooks_app = typer.Typer(no_args_is_help=True, help="Events sent to subscribers.")


@webhooks_app.command("add")
def webhooks_add(
    context: Ctx,
    url: Annotated[str, typer.Argument(help="Where events go: https://….")],
    *,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be given again.")] = None,
    owner: Annotated[list[str] | None, typer.Option("--owner", help="Only of this owner; may be given again.")] = None,
    venue: Annotated[list[str] | None, typer.Option("--venue", help="Only at this venue; may be given again.")] = None,
    asset: Annotated[list[str] | None, typer.Option("--asset", help="Only of this asset; may be given again.")] = None,
    min_band: Annotated[str | None, typer.Option("--min-band", help="Only bands at least as bad on one side.")] = None,
) -> None:
    """Send events to an address from now on. The secret that signs them is printed once."""
    from crossmargin.cli import webhooks

    webhooks.add(
        context.obj,
        url,
        kinds=kind or (),
        owners=owner or (),
        venues=venue or (),
        assets=asset or (),
        min_band=min_band,
    )


@webhooks_app.command("list")
def webhooks_list(context: Ctx) -> None:
    """List the webhooks, without their secrets."""
    from crossmargin.cli import webhooks

    webhooks.listing(context.obj)


Webhook = Annotated[str, typer.Argument(metavar="ID", help="As listed.")]


@webhooks_app.command("remove")
def webhooks_remove(context: Ctx, webhook_id: Webhook) -> None:
    """Stop sending to a webhook and delete its secret."""
    from crossmargin.cli import webhooks

    webhooks.remove(context.obj, webhook_id)


@webhooks_app.command("test")
def webhooks_test(context: Ctx, webhook_id: Webhook) -> None:
    """Send one test event; a disabled webhook that accepts it becomes active again. Exits 1 when it is not accepted."""
    from crossmargin.cli import webhooks

    webhooks.test(context.obj, webhook_id)


@webhooks_app.command("log")
def webhooks_log(context: Ctx, webhook_id: Webhook) -> None:
    """List the delivery status of its newest events."""
    from crossmargin.cli import webhooks

    webhooks.log(context.obj, webhook_id)
