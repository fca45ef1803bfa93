"""The bytes of an `OraclePrices` account, and the price that a chain of its entries gives.

Sources: Kamino-Finance/scope `states/oracle_prices.rs`, `states/dated_price.rs`; the chain is klend's `utils/prices/scope.rs`. What an
entry is made of (a feed, an average, a product) stands in the account of mappings and is not looked at; nor is whether it is frozen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from chains.solana.layouts import Layout, Table, read

ENTRIES = 512
NONE = 0xFFFF
"""Ends a chain of fewer than four entries."""

_U128 = 2**128

DATED_PRICE: Table = {
    "value": (0, "u64"),
    "exponent": (8, "u64"),
    "last_updated_slot": (16, "u64"),
    "unix_timestamp": (24, "u64"),
}
_STRIDE = 56
_PRICES = 40

ORACLE_PRICES = Layout(
    name="OraclePrices",
    size=_PRICES + ENTRIES * _STRIDE,
    discriminator=bytes.fromhex("598076dd0648b492"),
    fields={"oracle_mappings": (8, "key"), "prices": (_PRICES, (ENTRIES, _STRIDE, DATED_PRICE))},
)


class NoPrice(ValueError):
    """An account that holds no Scope prices, or a chain that gives none."""


class DatedPrice(NamedTuple):
    """One entry: `value` / 10^`exponent`, as of `unix_timestamp` and `last_updated_slot`; all zero where nothing was ever written."""

    value: int
    exponent: int
    last_updated_slot: int
    unix_timestamp: int


def dated_prices(data: bytes, indexes: Collection[int]) -> dict[int, DatedPrice]:
    """Read entries of an account; indexes beyond its end have none; raises `NoPrice`."""
    problem = ORACLE_PRICES.problem(data)
    if problem is not None:
        raise NoPrice(problem)
    return {
        index: DatedPrice(**read(DATED_PRICE, data, _PRICES + index * _STRIDE))
        for index in sorted(set(indexes))
        if index < ENTRIES
    }


def chain_price(prices: Mapping[int, DatedPrice], chain: Sequence[int]) -> DatedPrice:
    """Multiply the entries of a chain up to the first that does not exist: as old as its oldest; raises `NoPrice`.

    The value of a single entry is a u64, of several a product, which must fit 128 bits.
    """
    if not any(chain):
        raise NoPrice("the Scope chain is not set")
    links: list[DatedPrice] = []
    for index in chain:
        if index not in prices:
            break
        links.append(prices[index])
    if not links:
        raise NoPrice("the Scope chain is empty")
    value = 1
    for link in links:
        value *= link.value
    if value >= _U128:
        raise NoPrice("the product of the Scope chain does not fit 128 bits")
    return DatedPrice(
        value=value,
        exponent=sum(link.exponent for link in links),
        last_updated_slot=min(link.last_updated_slot for link in links),
        unix_timestamp=min(link.unix_timestamp for link in links),
    )
