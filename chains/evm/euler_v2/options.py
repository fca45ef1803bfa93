"""What a venue's configuration says beyond its address, and what is wrong with it.

`address`: the connector (EVC). `factory`: the vault factory, whose proxies with an asset, an oracle and a unit of account are vaults.
`vaults`: only these (default: all). `implementations`: vault code that is known to compute as this folder does; without it, the code
that the factory had when its first vault was made. `oracles`: price sources whose kind this folder does not read, by address, each
with its rule: `feeds` {token: feed}, `feed_decimals`, `unit_decimals`, and `bid`, `ask` in basis points of the mid price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chains.evm.euler_v2.maths import BASIS_POINTS

FACTORY = "factory"
VAULTS = "vaults"
IMPLEMENTATIONS = "implementations"
ORACLES = "oracles"
KEYS = (FACTORY, VAULTS, IMPLEMENTATIONS, ORACLES)
_ADDRESS = 20
_DECIMALS = range(39)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """How a price source computes, as its configuration says: mid = amount · answer · 10^unit // 10^(feed + token decimals)."""

    feeds: Mapping[bytes, bytes]
    feed_decimals: int = 8
    unit_decimals: int = 18
    bid: int = BASIS_POINTS
    ask: int = BASIS_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The options of a venue."""

    factory: bytes
    vaults: frozenset[bytes] | None
    implementations: frozenset[bytes] | None
    oracles: Mapping[bytes, Declared]


def terms_of(options: Mapping[str, Any]) -> Terms:
    """Read the options; raises `ValueError` that says what is wrong."""
    if FACTORY not in options:
        raise ValueError("factory is missing: name the vault factory, whose ProxyCreated events announce the vaults")
    return Terms(
        factory=_address(FACTORY, options[FACTORY]),
        vaults=_several(VAULTS, options),
        implementations=_several(IMPLEMENTATIONS, options),
        oracles={
            _address(ORACLES, source): _declared(source, said) for source, said in _table(ORACLES, options).items()
        },
    )


def check_options(options: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the options of a venue; empty for nothing."""
    try:
        terms_of(options)
    except ValueError as problem:
        return [str(problem)]
    return []


def _declared(source: str, said: Mapping[str, Any]) -> Declared:
    numbers = {
        "feed_decimals": _DECIMALS,
        "unit_decimals": _DECIMALS,
        "bid": range(BASIS_POINTS + 1),
        "ask": range(2**16),
    }
    if unknown := set(said) - {"feeds", *numbers}:
        raise ValueError(f"oracles.{source}: {', '.join(sorted(unknown))} is no key; use feeds, {', '.join(numbers)}")
    for name, allowed in numbers.items():
        if name in said and (type(said[name]) is not int or said[name] not in allowed):
            raise ValueError(f"oracles.{source}.{name} must be one of {allowed.start}..{allowed.stop - 1}")
    feeds = {_address("feeds", token): _address("feeds", feed) for token, feed in _table("feeds", said).items()}
    return Declared(feeds=feeds, **{name: said[name] for name in numbers if name in said})


def _several(name: str, options: Mapping[str, Any]) -> frozenset[bytes] | None:
    said = options.get(name)
    if said is None:
        return None
    if not isinstance(said, list | tuple) or not said:
        raise ValueError(f"{name} must be a list of addresses")
    return frozenset(_address(name, each) for each in said)


def _table(name: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    said = options.get(name, {})
    if not isinstance(said, Mapping):
        raise ValueError(f"{name} must be a table")  # noqa: TRY004 - the type of all that is wrong here
    return said


def _address(name: str, text: object) -> bytes:
    try:
        raw = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != _ADDRESS or not str(text).startswith("0x"):
        raise ValueError(f"{name}: write addresses as 0x and 40 hexadecimal digits")
    return raw
