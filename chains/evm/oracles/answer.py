"""What a price source says at a block: a feed, a number that a contract tells, or what is computed of these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chains.evm.logs import unhex
from chains.evm.oracles.computed.prices import computed
from chains.evm.oracles.rates import is_rate, number_of, told_at
from chains.model import Basis, PriceAnswer, Reason
from chains.ports import Moment

DELAY_S = 300
"""Seconds after which every reader of a delaying aggregator is shown what it emitted; the delays in use are some seconds."""


def current_answer(moment: Moment, source: bytes) -> PriceAnswer | Reason:
    """Return what `source` says at a block, or why that is not known.

    Of a computed price, `updated_at` and `block` are those of its oldest part; a number that a contract tells of itself is as old as
    the block at which it is asked.
    """
    phase = moment.feeds.get(source)
    if phase is None:
        return Reason("feed_not_followed", "0x" + source.hex(), "nothing is known of this feed at the block")
    state = json.loads(phase)
    if state.get("rate"):
        return _told(moment, source, state)
    if state["fault"]:
        return Reason("feed_in_doubt", "0x" + source.hex(), state["fault"])
    if state.get("rule"):
        return computed_answer(moment, source, state["rule"])
    return _emitted(moment, source, state)


def _emitted(moment: Moment, source: bytes, state: Mapping[str, Any]) -> PriceAnswer | Reason:
    """Return the last answer of the aggregator that a proxy points to; of a source that is not recognised, what it said when looked at."""
    subject = "0x" + source.hex()
    if state.get("sight") and state["aggregator"] is None:
        return current_answer(moment, unhex(state["sight"]))
    if state["aggregator"] is None:
        return Reason("feed_without_aggregator", subject, state["problem"])
    answer = moment.answers.get(unhex(state["aggregator"]))
    if answer is None:
        return Reason("feed_without_answer", subject, f"aggregator {state['aggregator']} has emitted no answer yet")
    if state.get("delayed") and moment.at.time - answer.updated_at <= DELAY_S:
        return current_answer(moment, unhex(state["sight"]))
    return answer


def computed_answer(moment: Moment, source: bytes, rule: Mapping[str, Any]) -> PriceAnswer | Reason:
    """Return what a rule makes of its parts at a block, or why that is not known."""
    parts: dict[str, PriceAnswer] = {}
    for name, part in rule["parts"].items():
        answer = current_answer(moment, unhex(part))
        if isinstance(answer, Reason):
            return answer
        parts[name] = answer
    numbers = {name: int(number) for name, number in rule["numbers"].items()}
    numbers |= {name: answer.answer_raw for name, answer in parts.items()}
    price = computed(rule["kind"], numbers, moment.at.time)
    if price is None:
        return Reason("source_reverts", "0x" + source.hex(), f"the source reverts; its parts answer {numbers}")
    basis = Basis.OBSERVED if Basis.OBSERVED in {part.basis for part in parts.values()} else Basis.SETTLED
    oldest = min(parts.values(), key=lambda part: part.updated_at, default=None)
    if oldest is None:
        return PriceAnswer(price, 0, moment.at.time, moment.at.number, basis=basis)
    return PriceAnswer(price, 0, oldest.updated_at, oldest.block, basis=basis)


def origin_of(moment: Moment, source: bytes) -> bytes:
    """Return the feed whose answer is the oldest that a source's price is made of; the source itself where it is made of none."""
    rule = json.loads(moment.feeds.get(source) or "{}").get("rule")
    parts = [unhex(part) for part in rule["parts"].values()] if rule else []
    ages = {part: answer.updated_at for part in parts if not isinstance(answer := current_answer(moment, part), Reason)}
    if not ages:
        return source
    oldest = min(ages, key=lambda part: ages[part])
    return source if is_rate(oldest) else origin_of(moment, oldest)


def _told(moment: Moment, key: bytes, phase: Mapping[str, Any]) -> PriceAnswer | Reason:
    subject = "0x" + key[:20].hex()
    if phase["restless"] and phase["since"] != moment.at.number:
        detail = f"this number changes without events; it was read at block {phase['since']}, and is known of that block alone"
        return Reason("not_read_at_block", subject, detail)
    number = number_of(key, phase)
    if number is None:
        return Reason(
            "number_unavailable", subject, f"asked for a number at block {phase['since']}: {phase['outcome']}"
        )
    basis = Basis.OBSERVED if phase["restless"] else Basis.SETTLED
    updated_at = told_at(key, phase) or moment.at.time
    return PriceAnswer(number, 0, min(updated_at, moment.at.time), moment.at.number, basis=basis)
