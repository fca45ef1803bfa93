"""The price of a market's collateral: what `price()` of its oracle answers, which is followed as a price source of its own.

Source: morpho-blue-oracles, `MorphoChainlinkOracleV2.price`: scale · base parts / quote parts, rounded down; a part is the answer of a
feed or what a sample of a vault's shares converts to (`chains.evm.oracles.computed`).
"""

from __future__ import annotations

from typing import NamedTuple

from chains.evm.oracles.answer import origin_of
from chains.evm.oracles.chainlink import current_answer
from chains.model import Basis, Reason, VenueSnapshot

NOWHERE = bytes(20)

NO_ORACLE = "the market has no oracle"
CODES = {
    "feed_not_followed": "unsupported_oracle",
    "feed_without_aggregator": "unsupported_oracle",
    "source_reverts": "oracle_reverts",
}
"""Reasons why a price source has no answer that have a name of their own where the source is an oracle."""


class CollateralPrice(NamedTuple):
    """What `price()` answers; `source`, `updated_at` and `block` are those of the oldest answer that it is made of."""

    value: int
    source: bytes
    updated_at: int
    block: int
    basis: Basis


def price_at(snapshot: VenueSnapshot, oracle: bytes) -> CollateralPrice | Reason:
    """Return what an oracle answers at the block, or why nothing is known of it."""
    subject = "0x" + oracle.hex()
    if oracle == NOWHERE:
        return Reason("unsupported_oracle", subject, NO_ORACLE)
    answer = current_answer(snapshot, oracle)
    if isinstance(answer, Reason):
        own = answer.subject == subject and answer.code in CODES
        return answer._replace(code=CODES[answer.code]) if own else answer
    return CollateralPrice(
        answer.answer_raw, origin_of(snapshot, oracle), answer.updated_at, answer.block, answer.basis
    )
