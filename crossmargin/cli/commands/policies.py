"""`policy`: which one is in force, and what another would do."""

from __future__ import annotations

from typing import Annotated

import typer

from crossmargin.cli.commands.options import Ctx, Source

policy_app = typer.Typer(
    no_args_is_help=True, help="The house's policy: the one in force, and what another would change."
)


@policy_app.command("show")
def policy_show(
    context: Ctx,
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="A time (2026-01-31T00:00:00Z or Unix seconds); else now."),
    ] = None,
) -> None:
    """Show the policy in force, its rules and what follows it."""
    from crossmargin.cli import policies

    policies.show(context.obj, at=at)


@policy_app.command("list")
def policy_list(context: Ctx) -> None:
    """List every policy that was ever in force or scheduled."""
    from crossmargin.cli import policies

    policies.listing(context.obj)


@policy_app.command("check")
def policy_check(context: Ctx, source: Source) -> None:
    """Validate a policy file without entering it."""
    from crossmargin.cli import policies

    policies.check(context.obj, source)


@policy_app.command("preview")
def policy_preview(
    context: Ctx,
    source: Source,
    *,
    fail: Annotated[bool, typer.Option("--fail", help="Exit 5 when anybody would newly fall below 1.")] = False,
) -> None:
    """Value every account under a policy file and under the one that it would replace, at the tip."""
    from crossmargin.cli import policies

    policies.preview(context.obj, source, fail=fail)


@policy_app.command("schedule")
def policy_schedule(
    context: Ctx,
    source: Source,
    *,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Pass over the notice of a tightening; it is kept with the policy.")
    ] = False,
) -> None:
    """Enter a policy file; it takes effect at its effective_from."""
    from crossmargin.cli import policies

    policies.schedule(context.obj, source, emergency=emergency)


@policy_app.command("withdraw")
def policy_withdraw(
    context: Ctx,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Of a policy that does not count yet.")],
    *,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for the ledger.")] = "",
    emergency: Annotated[
        bool,
        typer.Option("--emergency", help="Pass over the notice of what follows it; it is kept with the withdrawal."),
    ] = False,
) -> None:
    """Withdraw a scheduled policy before it takes effect."""
    from crossmargin.cli import policies

    policies.withdraw(context.obj, version, note=note, emergency=emergency)
