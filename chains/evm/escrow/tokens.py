"""What an ERC-20 says of itself, as the aspect `token` of a market; see `chains.escrow`."""

from __future__ import annotations

import json

from chains.escrow import TOKEN
from chains.evm.erc20 import asked
from chains.evm.ports import Reads

__all__ = ["TOKEN", "token_terms"]


def token_terms(block: int, token: bytes, reads: Reads) -> str:
    """Ask a token for its decimals and its symbol; the text means nothing while `reads` lacks an answer."""
    decimals, symbol = asked(token, block, reads)
    return json.dumps({"decimals": decimals, "symbol": symbol}, separators=(",", ":"))
