"""Identifiers as a configuration writes them (CAIP-2, CAIP-10, CAIP-19, contract addresses)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from chains.identifiers import (
    EVM,
    PYTH,
    SOLANA,
    Asset,
    IdentifierError,
    format_address,
    namespace_of,
    parse_account,
    parse_address,
    parse_asset,
    parse_chain,
)
from chains.registry import NAMESPACES
from crossmargin.settings.environment import FromEnvironment
from crossmargin.settings.values import Unfit, shown

T = TypeVar("T")

CHAIN = 'a CAIP-2 chain such as "eip155:1"'
ADDRESSES = {
    EVM: 'a contract address, "0x" and 40 hex digits',
    SOLANA: "an address of Solana, 32 bytes in base58",
    PYTH: "",
}
FAMILIES = {EVM: "EVM", SOLANA: "Solana", PYTH: "Pyth"}
REFERENCES = {
    EVM: (re.compile(r"[1-9][0-9]*"), "eip155: and its chain id in digits, like eip155:1"),
    SOLANA: (
        re.compile(r"[1-9A-HJ-NP-Za-km-z]{32}"),
        "solana: and the first 32 characters of its genesis hash, like solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
    ),
    PYTH: (re.compile("mainnet"), "pyth:mainnet, whose prices Pyth signs for all chains"),
}
"""What a chain is called within its family, and how to say so."""


def chain_id(value: object) -> str:
    """A CAIP-2 chain of a family that is supported."""
    return _read(lambda text: _supported(parse_chain(text)), value, CHAIN)


def own_chain_id(value: object) -> str:
    """A CAIP-2 chain by the very name that its nodes can confirm."""
    return _read(lambda text: _confirmable(_supported(parse_chain(text))), value, CHAIN)


def account_id(value: object) -> str:
    """A CAIP-10 account, in its one spelling."""
    return str(_read(parse_account, value, 'a CAIP-10 account such as "eip155:1:0x…"'))


def asset_id(value: object) -> str:
    """A CAIP-19 asset, in its one spelling."""
    return str(_read(_supported_asset, value, 'a CAIP-19 asset such as "eip155:1/erc20:0x…"'))


def address_on(chain: str | None) -> Callable[[object], bytes]:
    """An address as that chain writes it; while the chain is not known, anything."""

    def parse(value: object) -> bytes:
        if chain is None:
            return b""
        return _read(lambda written: parse_address(chain, written), value, ADDRESSES[namespace_of(chain)])

    return parse


def spelling_on(chain: str | None) -> Callable[[object], str]:
    """An address in the one spelling of that chain; while the chain is not known, anything."""
    parse = address_on(chain)
    return lambda value: format_address(chain, parse(value)) if chain is not None else str(value)


def chain_of(asset: str) -> str:
    """Return the chain of a CAIP-19 asset."""
    return asset.partition("/")[0]


def _supported(chain: str) -> str:
    family = namespace_of(chain)
    if family not in NAMESPACES:
        known = " or ".join(NAMESPACES)
        raise IdentifierError(f'"{chain}" is of namespace "{family}", which is not supported; use {known}')
    return chain


def _supported_asset(text: str) -> Asset:
    asset = parse_asset(text)
    _supported(asset.chain_id)
    return asset


def _confirmable(chain: str) -> str:
    family, _, reference = chain.partition(":")
    pattern, wanted = REFERENCES[family]
    if not pattern.fullmatch(reference):
        raise IdentifierError(f'"{chain}" is no {FAMILIES[family]} chain; write {wanted}')
    return chain


def _read(parse: Callable[[str], T], value: object, wanted: str) -> T:
    if not isinstance(value, str):
        raise Unfit(f"must be {wanted}, not {shown(value)}")
    try:
        return parse(value)
    except IdentifierError as error:
        if isinstance(value, FromEnvironment):
            raise Unfit(f"must be {wanted}, not {shown(value)}") from error
        raise Unfit(f"is wrong: {error}") from error
