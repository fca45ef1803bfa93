"""The chain's own coin, which has no contract: what it is called here, and how it is counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chains.evm.escrow.declarations import Malformed, shown

COIN = "coin"
"""Option: the coin as CAIP-19 names it within its chain, `slip44:` and its SLIP-0044 coin type."""

USUAL = "slip44:60"
DECIMALS = 18
"""Of every chain of the EVM, whatever its coin: contracts and `eth_getBalance` count it in 10^-18."""

TERMS = f'{{"decimals":{DECIMALS},"symbol":null}}'
"""The aspect `token` of the coin."""

_NAME = re.compile(r"slip44:(0|[1-9]\d{0,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """`asset`: what the journals call the coin; `address`: what stands for it in the events of a contract, empty where nothing does."""

    asset: bytes
    address: bytes


def coin_of(options: Mapping[str, object], *, address: bytes = b"") -> Coin:
    """Return the coin that the options mean; raises `Malformed`."""
    name = options.get(COIN, USUAL)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Malformed(
            f"is {shown(name)}; write it as CAIP-19 does within the chain, {USUAL} for Ether, slip44:966 for POL"
        )
    return Coin(asset=name.encode("ascii"), address=address)
