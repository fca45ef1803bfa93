"""Which account is meant: a configured one by its name, a CAIP-10 account, or one key on every chain that writes it so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aggregator.margin.inputs import MarginAccount
from chains.identifiers import (
    EVM,
    SOLANA,
    Account,
    IdentifierError,
    format_address,
    namespace_of,
    parse_account,
    parse_asset,
)
from chains.identifiers import parse_address as parse
from crossmargin.errors import NoSuchThing, UsageError
from crossmargin.settings import Settings
from crossmargin.settings.section import nearest

BARE_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]*")
BARE_BASE58 = re.compile(r"[1-9A-HJ-NP-Za-km-z]{32,44}")
FAMILIES = {EVM: "an EVM address, and no EVM chain", SOLANA: "an address of Solana, and no Solana chain"}


def resolve(settings: Settings, name: str) -> MarginAccount:
    """Return the account that a name means; raises `UsageError` and `NoSuchThing`."""
    for account in settings.accounts:
        if account.id == name:
            return MarginAccount(id=account.id, members=account.members)
    try:
        if BARE_ADDRESS.fullmatch(name):
            return _everywhere(settings, name, EVM)
        if _is_solana_address(name):
            return _everywhere(settings, name, SOLANA)
        if ":" in name:
            return _single(settings, parse_account(name))
    except IdentifierError as error:
        raise UsageError(str(error)) from error
    raise NoSuchThing(f'there is no margin account "{name}"; {_known(settings, name)}')


def check_names(settings: Settings, wanted: Mapping[str, Any]) -> None:
    """Refuse owners, venues and assets of which no event can be: who misspelt one would wait for ever.

    Raises `UsageError` and `NoSuchThing`.
    """
    for owner in wanted.get("owners") or ():
        resolve(settings, owner)
    venues = [venue.id for venue in settings.venues]
    for venue in wanted.get("venues") or ():
        if venue not in venues:
            raise NoSuchThing(
                f'there is no venue "{venue}"; {nearest(venue, venues) if venues else "none is configured"}'
            )
    for asset in wanted.get("assets") or ():
        try:
            parse_asset(asset)
        except IdentifierError as error:
            raise UsageError(str(error)) from error


def _is_solana_address(name: str) -> bool:
    """Whether a word of base 58 digits is 32 bytes; a misspelt name of that length hardly ever is."""
    try:
        return bool(BARE_BASE58.fullmatch(name) and parse(SOLANA, name))
    except IdentifierError:
        return False


def _everywhere(settings: Settings, name: str, family: str) -> MarginAccount:
    chains = [chain.spec.id for chain in settings.chains if namespace_of(chain.spec.id) == family]
    if not chains:
        raise UsageError(f"{name} is {FAMILIES[family]} is configured")
    key = parse(chains[0], name)
    members = tuple(str(Account(chain_id, key)) for chain_id in chains)
    return MarginAccount(id=format_address(chains[0], key), members=members)


def _single(settings: Settings, account: Account) -> MarginAccount:
    known = [chain.spec.id for chain in settings.chains]
    if account.chain_id not in known:
        raise NoSuchThing(f"{account} is on a chain that is not configured; {nearest(account.chain_id, known)}")
    return MarginAccount(id=str(account), members=(str(account),))


def _known(settings: Settings, name: str) -> str:
    if not settings.accounts:
        return "none is configured: add an [[account]], or ask for a CAIP-10 account such as eip155:1:0x…, or a bare address"
    known = nearest(name, [account.id for account in settings.accounts])
    return f"{known} (an address works too)"
