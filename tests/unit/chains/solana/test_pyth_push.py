"""Where the push program keeps prices: what Solana's own library derives, and a real account's address."""

from __future__ import annotations

import random

import pytest
from solders.pubkey import Pubkey

from chains.identifiers import base58
from chains.solana.oracles.pyth.push import PUSH_PROGRAM, push_address

SOL_USD = bytes.fromhex("ef0d8b6fda2ceba41da15d4095d1da392a0d2f8ed0c6c7bc0f4cfac8c280b56d")


def test_the_price_of_sol_is_where_mainnet_has_it() -> None:
    assert base58(push_address(0, SOL_USD)) == "7UVimffxr9ow1uXYxsr4LHAcV58mLzhmwaeKvJ1pjLiE"


@pytest.mark.parametrize("seed", range(40))
def test_addresses_are_those_of_solanas_own_library(seed: int) -> None:
    rng = random.Random(seed)
    shard, feed_id = rng.randrange(2**16), rng.randbytes(32)

    found, _ = Pubkey.find_program_address([shard.to_bytes(2, "little"), feed_id], Pubkey.from_bytes(PUSH_PROGRAM))
    assert push_address(shard, feed_id) == bytes(found)
