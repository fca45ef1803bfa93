"""Identifiers as a configuration writes them (CAIP-2, CAIP-10, CAIP-19, contract addresses)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chains.identifiers import EVM, IdentifierError, parse_account, parse_address, parse_asset, parse_chain
from crossmargin.settings.environment import FromEnvironment
from crossmargin.settings.values import Unfit, shown

T = TypeVar("T")


def chain_id(value: object) -> str:
    return _read(parse_chain, value, 'a CAIP-2 chain such as "eip155:1"')


def account_id(value: object) -> str:
    """A CAIP-10 account, in its one spelling."""
    return str(_read(parse_account, value, 'a CAIP-10 account such as "eip155:1:0x…"'))


def asset_id(value: object) -> str:
    """A CAIP-19 asset, in its one spelling."""
    return str(_read(parse_asset, value, 'a CAIP-19 asset such as "eip155:1/erc20:0x…"'))


def address(value: object) -> bytes:
    """A contract of an EVM chain; in mixed case its checksum must be right."""
    return _read(lambda text: parse_address(EVM, text), value, 'a contract address, "0x" and 40 hex digits')


def chain_of(asset: str) -> str:
    """Return the chain of a CAIP-19 asset."""
    return asset.partition("/")[0]


def _read(parse: Callable[[str], T], value: object, wanted: str) -> T:
    if not isinstance(value, str):
        raise Unfit(f"must be {wanted}, not {shown(value)}")
    try:
        return parse(value)
    except IdentifierError as error:
        if isinstance(value, FromEnvironment):
            raise Unfit(f"must be {wanted}, not {shown(value)}") from error
        raise Unfit(f"is wrong: {error}") from error
