"""What a venue's configuration says beyond its address, which is the group's, and what is wrong with it.

`program`: the deployed program (default: the one on mainnet). `version`: the version of its code, one of `ENGINES` (default: the newest;
a program that marks accounts with a newer one is not valued). `price_accounts`: price accounts, beside those of the push program, that
may serve banks whose configuration still names a feed's id and not an account. `program_slots`: slots of deployments of the program that
the version stands for. `history`: see `chains/solana/options.py`.

Banks may hold positions in other protocols. `kamino_version`: which version of klend runs, as the option `program_version` of a venue of
Kamino; without it positions there are not valued. `integration_slots`: slots of deployments of klend, Drift and Save that change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chains.identifiers import from_base58
from chains.solana.marginfi.engines import ENGINES, NEWEST, Engine
from chains.solana.marginfi.integrations.kamino import VERSION as KAMINO_VERSION
from chains.solana.marginfi.integrations.kamino import check_version
from chains.solana.marginfi.layout import PROGRAM
from chains.solana.marginfi.standings import INTEGRATION_SLOTS, check_integration_slots
from chains.solana.options import HISTORY, check_history
from chains.solana.programs import PROGRAM_SLOTS, check_program_slots

PROGRAM_ID, VERSION, PRICE_ACCOUNTS = "program", "version", "price_accounts"
KEYS = (PROGRAM_ID, VERSION, PRICE_ACCOUNTS, PROGRAM_SLOTS, HISTORY, KAMINO_VERSION, INTEGRATION_SLOTS)
VALUED = (PROGRAM_SLOTS, KAMINO_VERSION, INTEGRATION_SLOTS)
"""Options that decide what is valued, not what is taken in."""
_KEY = 32


def engine_of(options: Mapping[str, Any]) -> Engine:
    """Return the arithmetic of the version that is configured; raises `ValueError` for an unknown one."""
    version = options.get(VERSION, NEWEST)
    if not isinstance(version, str) or version not in ENGINES:
        raise ValueError(f"version {version!r} of the program is not known; use one of {', '.join(ENGINES)}")
    return ENGINES[version]


def program_of(options: Mapping[str, Any]) -> bytes:
    """Return the address of the program; raises `ValueError`."""
    return _address(PROGRAM_ID, options.get(PROGRAM_ID, PROGRAM))


def price_accounts_of(options: Mapping[str, Any]) -> Sequence[bytes]:
    """Return the price accounts that the configuration adds; raises `ValueError`."""
    named = options.get(PRICE_ACCOUNTS, [])
    if not isinstance(named, list | tuple):
        raise ValueError(f"{PRICE_ACCOUNTS} is a list of addresses in base58")  # noqa: TRY004 - what the configuration reports
    return [_address(PRICE_ACCOUNTS, text) for text in named]


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options, one sentence each."""
    problems = check_program_slots(options)
    for read in (engine_of, program_of, price_accounts_of):
        try:
            read(options)
        except ValueError as error:
            problems.append(str(error))
    return problems + check_history(options) + check_version(options) + check_integration_slots(options)


def _address(key: str, text: object) -> bytes:
    try:
        found = from_base58(str(text))
    except ValueError as error:
        raise ValueError(f"{key}: {text!r} is no address in base58") from error
    if len(found) != _KEY:
        raise ValueError(f"{key}: {text!r} is no address of {_KEY} bytes in base58")
    return found
