"""A contract's revert as go-ethereum tells it, and most nodes after it: read here, since web3 takes more than a second to import."""

from __future__ import annotations

from chains.evm.logs import unhex
from chains.rpc import RpcFault

REVERTED = 3
"""The code of a revert (Ethereum's execution APIs, extended error codes)."""

TOLD = "execution reverted"


def plain_revert(fault: RpcFault) -> bytes | None:
    """Return the data of a revert that has its own code or go-ethereum's words, `None` for what web3 is to read (`provider.py`).

    Data that is missing or no hexadecimal is empty, as it is to web3.
    """
    if TOLD not in fault.text and not (fault.code == REVERTED and fault.text):
        return None
    try:
        return unhex(fault.data) if isinstance(fault.data, str) else b""
    except ValueError:
        return b""
