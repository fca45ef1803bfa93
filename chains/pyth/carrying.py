"""The update among those that were kept which carries a price, as evidence of it."""

from __future__ import annotations

from collections.abc import Iterable

import rfc8785

from chains.model import PriceAnswer
from chains.price_proofs import PriceProof
from chains.proving import Proved
from chains.pyth.update import BadUpdate, PriceMessage, update

NOT_KEPT = "no update that was kept carries it"


def proof_of(feed_id: bytes, answer: PriceAnswer, bodies: Iterable[bytes]) -> PriceProof:
    """Return the first update that carries an answer of a feed; who signed it is for the verifier to see."""
    for body in bodies:
        try:
            prices = update(body).prices
        except BadUpdate:
            continue
        if any(price.feed_id == feed_id and _same(price, answer) for price in prices):
            return PriceProof(feed_id, answer, Proved.PROVEN, "", rfc8785.dumps({"update": "0x" + body.hex()}).decode())
    return PriceProof(feed_id, answer, Proved.UNANSWERED, NOT_KEPT, "")


def _same(price: PriceMessage, answer: PriceAnswer) -> bool:
    scale = 10 ** max(price.exponent, 0)
    said = price.price * scale, price.publish_time, price.confidence * scale
    return said == (answer.answer_raw, answer.updated_at, answer.confidence_raw)
