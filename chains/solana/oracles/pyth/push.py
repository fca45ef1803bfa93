"""Where the push program keeps the price of a feed: one account for each shard, at an address that follows from both.

Source: pyth-crosschain `target_chains/solana/programs/pyth-push-oracle` (seeds: shard as u16, feed id).
"""

from __future__ import annotations

from chains.solana.derived import program_address

PUSH_PROGRAM = bytes.fromhex("0c4aa0128e95d3e1622aa501c585a9eb07b37354c108ea0b791b456dc7eea336")
"""The push program, pythWSnswVUd12oZpeFP8e9CVaEqJg25g1Vtc2biRsT."""


def push_address(shard: int, feed_id: bytes) -> bytes:
    """Return the address of the account that holds a feed's price in a shard."""
    return program_address(PUSH_PROGRAM, shard.to_bytes(2, "little"), feed_id)
