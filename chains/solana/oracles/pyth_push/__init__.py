"""Pyth's own price accounts on Solana (3,312 bytes), which its push oracle wrote until prices were pulled."""

from chains.solana.oracles.pyth_push.account import NoPrice, PushPrice, push_price

__all__ = ["NoPrice", "PushPrice", "push_price"]
