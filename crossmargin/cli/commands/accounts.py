"""`account`: the margin accounts of the configuration, and who belongs to them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmargin.cli.commands.options import AccountId, Ctx

account_app = typer.Typer(no_args_is_help=True, help="The configured margin accounts.")
Account = Annotated[str, typer.Argument(metavar="ID", help="A margin account of the configuration.")]
Wallet = Annotated[
    str, typer.Option("--wallet", metavar="WALLET", help="A CAIP-10 account (eip155:1:0x…), or a bare address.")
]
MessageOnly = Annotated[bool, typer.Option("--message-only", help="Print what the wallet is to sign, and end.")]
SignatureFile = Annotated[
    Path | None,
    typer.Option(
        "--signature", metavar="FILE", help='JSON: {"message": the text, "scheme": "eip191", "signature": "0x…"}.'
    ),
]


@account_app.command("list")
def account_list(context: Ctx) -> None:
    """List the configured margin accounts with their health."""
    from crossmargin.cli import asking

    asking.accounts(context.obj)


@account_app.command("show")
def account_show(context: Ctx, account: AccountId) -> None:
    """Show the members of an account and where each has positions."""
    from crossmargin.cli import asking

    asking.account(context.obj, account)


@account_app.command("link")
def account_link(
    context: Ctx,
    account: Account,
    *,
    wallet: Wallet,
    message_only: MessageOnly = False,
    signature: SignatureFile = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="For how long the signature is to count: 90d.")
    ] = "365d",
) -> None:
    """Print what a wallet must sign to join a margin account, or enter its signature. Exits 4 when the signature is not valid."""
    from crossmargin.cli import memberships

    asked = memberships.Asked(account=account, wallet=wallet, message_only=message_only, signature=signature)
    memberships.link(context.obj, asked, expires=expires)


@account_app.command("revoke")
def account_revoke(
    context: Ctx,
    account: Account,
    *,
    wallet: Wallet,
    message_only: MessageOnly = False,
    signature: SignatureFile = None,
    by_operator: Annotated[
        bool, typer.Option("--by-operator", help="Take the wallet away without its signature; it is kept so.")
    ] = False,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why the operator does, for the ledger.")] = "",
) -> None:
    """Remove a wallet from a margin account: by a message it signed, or by the operator."""
    from crossmargin.cli import memberships

    asked = memberships.Asked(account=account, wallet=wallet, message_only=message_only, signature=signature)
    memberships.revoke(context.obj, asked, by_operator=by_operator, note=note)
