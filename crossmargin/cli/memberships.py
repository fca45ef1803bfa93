"""`account link|revoke`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import time

from crossmargin.cli.context import Context
from crossmargin.cli.desks import desk_of
from crossmargin.cli.output import emit, facts
from crossmargin.cli.reading import read_text
from crossmargin.documents import Document
from crossmargin.errors import UsageError

REVOKING_S = 86_400
"""Within which a message of revocation is to be handed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What both commands are given."""

    account: str
    wallet: str
    message_only: bool
    signature: Path | None


def link(context: Context, asked: Asked, *, expires: str) -> None:
    """Print a message to sign, or take in a signed one; raises `DeskError`."""
    from aggregator.membership.message import Action

    _check_one(asked)
    if asked.message_only:
        _print_message(context, asked, Action.LINK, lasts_s=_seconds(expires))
    else:
        _take_in(context, asked, Action.LINK)


def revoke(context: Context, asked: Asked, *, by_operator: bool, note: str) -> None:
    """Print a message of revocation to sign, take in a signed one, or revoke without any; raises `DeskError`."""
    from aggregator.membership.message import Action
    from crossmargin.policies import user

    _check_one(asked, "--by-operator", by_operator=by_operator)
    if asked.message_only:
        _print_message(context, asked, Action.REVOKE, lasts_s=REVOKING_S)
    elif asked.signature is not None:
        _take_in(context, asked, Action.REVOKE)
    else:
        with desk_of(context, writes=True) as desk:
            _show(context, desk.revoke(asked.account, asked.wallet, note=note, who=user()))


def _check_one(asked: Asked, *others: str, by_operator: bool = False) -> None:
    given = [asked.message_only, asked.signature is not None, by_operator]
    if given.count(True) != 1:
        raise UsageError(f"give one of {', '.join(('--message-only', '--signature FILE', *others))}")


def _print_message(context: Context, asked: Asked, action: object, *, lasts_s: int) -> None:
    """Print the text alone, to be signed as it is; with --json in every form."""
    from aggregator.membership.message import Action
    from crossmargin.wallets import new_message, wallet_of

    settings = context.settings()
    wallet, operator = wallet_of(settings, asked.account, asked.wallet), settings.membership.operator
    document = new_message(
        asked.account, wallet, Action(str(action)), now=int(time()), lasts_s=lasts_s, operator=operator
    )
    emit(context, document, lambda console: console.print(document["message"], soft_wrap=True))


def _take_in(context: Context, asked: Asked, action: object) -> None:
    from crossmargin.policies import user
    from crossmargin.wallets import envelope_of, wallet_of

    path = asked.signature or Path()
    text = _read(path)
    message = envelope_of(text).message
    wallet = wallet_of(context.settings(), asked.account, asked.wallet)
    if (message.account, message.wallet, message.action) != (asked.account, wallet, action):
        raise UsageError(
            f"{path} is a message to {message.action} {message.wallet} and {message.account}; "
            f"asked for is to {action} {wallet} and {asked.account}"
        )
    with desk_of(context, writes=True) as desk:
        _show(context, desk.link(asked.account, text, who=user()))


def _show(context: Context, document: Document) -> None:
    emit(context, document, lambda console: facts(console, document))


def _read(path: Path) -> str:
    from aggregator.membership.envelope import LARGEST_ENVELOPE

    return read_text(path, most=LARGEST_ENVELOPE, instead=", and no signed message is")


def _seconds(text: str) -> int:
    from crossmargin.settings.values import Unfit, whole_seconds

    try:
        return whole_seconds(text)
    except Unfit as error:
        raise UsageError(f"--expires {error}") from error
