"""What a feed says at a block, from its phase and the answers of the aggregator behind it."""

import json

from chains.model import PriceAnswer, Reason, VenueSnapshot


def current_answer(snapshot: VenueSnapshot, proxy: bytes) -> PriceAnswer | Reason:
    """Return the last answer of the aggregator that `proxy` points to at the block, or why there is none."""
    subject = "0x" + proxy.hex()
    phase = snapshot.feeds.get(proxy)
    if phase is None:
        return Reason("feed_not_followed", subject, "nothing is known of this feed at the block")
    state = json.loads(phase)
    if state["aggregator"] is None:
        return Reason("feed_without_aggregator", subject, state["problem"])
    if state["fault"]:
        return Reason("feed_in_doubt", subject, state["fault"])
    answer = snapshot.answers.get(bytes.fromhex(state["aggregator"][2:]))
    if answer is None:
        return Reason("feed_without_answer", subject, f"aggregator {state['aggregator']} has emitted no answer yet")
    return answer
