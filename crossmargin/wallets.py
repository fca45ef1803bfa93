"""What wallets are asked to sign, and how they and what they signed are named."""

from __future__ import annotations

import secrets

from aggregator.membership.envelope import Envelope, parse_envelope
from aggregator.membership.message import Action, MalformedMessage, Message
from aggregator.membership.proof import SIGNED, offchain
from chains.identifiers import EVM, SOLANA, Account, IdentifierError, namespace_of, parse_account, parse_address
from crossmargin.documents import Document, harmless
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.refusals import NotForUs
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest

NONCE_BYTES = 16
LONGEST_COMPLAINT = 300


def new_message(
    account: str, wallet: Account, action: Action, *, now: int, lasts_s: int, operator: str | None = None
) -> Document:
    """Return a message for a wallet to sign, in each of the forms in which it can be signed; raises `UsageError`."""
    try:
        message = Message(
            action=action,
            account=account,
            wallet=wallet,
            nonce=secrets.token_hex(NONCE_BYTES),
            issued_at=now,
            expires_at=now + lasts_s,
            operator=operator,
        )
    except MalformedMessage as error:
        raise UsageError(str(error)) from error
    is_evm = namespace_of(wallet.chain_id) == EVM
    return {
        "message": message.text(),
        "typed_data": message.typed_data() if is_evm else None,
        "solana_offchain": None if is_evm else offchain(message.text()).hex(),
        "schemes": [scheme.value for scheme in SIGNED[namespace_of(wallet.chain_id)]],
    }


def wallet_of(settings: Settings, account: str, text: str) -> Account:
    """Read a wallet: a CAIP-10 account, or a bare address, which means the key on the first chain of its family.

    Raises `UsageError`, and `NoSuchThing` where the account or its chain is not configured.
    """
    wallet = _wallet(settings, text)
    check_known(settings, account, wallet)
    return wallet


def _wallet(settings: Settings, text: str) -> Account:
    try:
        if ":" in text:
            return parse_account(text)
        family = EVM if text.startswith("0x") else SOLANA
        chains = [chain.spec.id for chain in settings.chains if namespace_of(chain.spec.id) == family]
        if chains:
            return Account(chains[0], parse_address(chains[0], text))
    except IdentifierError as error:
        raise UsageError(str(error)) from error
    raise UsageError(f"{text} is an address of {family}, and no such chain is configured")


def check_known(settings: Settings, account: str, wallet: Account) -> None:
    """Refuse what the configuration does not have; raises `NoSuchThing`."""
    accounts, chains = [each.id for each in settings.accounts], [chain.spec.id for chain in settings.chains]
    if account not in accounts:
        where = nearest(account, accounts) if accounts else "none is configured; add an [[account]]"
        raise NoSuchThing(f'there is no margin account "{harmless(account, longest=80)}"; {where}')
    if wallet.chain_id not in chains:
        raise NoSuchThing(f"{wallet} is on a chain that is not configured; {nearest(wallet.chain_id, chains)}")


def check_operator(settings: Settings, message: Message) -> None:
    """Refuse a message that is meant for somebody else, or for nobody in particular; raises `NotForUs`."""
    own = settings.membership.operator
    if message.operator != own:
        meant = "names no operator" if message.operator is None else f'is meant for the operator "{message.operator}"'
        here = "this one has no name ([membership] operator)" if own is None else f'this one is "{own}"'
        raise NotForUs(
            f"the message {meant}, and {here}; let the wallet sign the message that `account link` prints here"
        )


def envelope_of(text: str) -> Envelope:
    """Read a signed message, verified or not; raises `UsageError`."""
    try:
        return parse_envelope(text)
    except MalformedMessage as error:
        raise UsageError(f"this cannot be taken in: {harmless(str(error), longest=LONGEST_COMPLAINT)}") from error
