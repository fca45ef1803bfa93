"""Which haircuts the prices that were would have, as a draft of a policy with its effect on the book; nothing is entered."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from aggregator.governance.terms import Terms, read_terms
from aggregator.histories import today_of
from aggregator.margin.estimate_policy import AgePolicy
from aggregator.margin.inputs import Asset
from aggregator.margin.layers import Purpose
from aggregator.margin.numbers import rfc3339
from aggregator.margin.policy import ClassPolicy, Policy
from aggregator.margin.valuation import identity_of
from aggregator.risk.bars import Bars
from aggregator.risk.challenger import learnt
from aggregator.risk.estimates import told_of_late
from aggregator.risk.history import BadHistory, Floats, History
from aggregator.risk.market import DAY_S
from aggregator.risk.models import WINDOW
from aggregator.risk.recommend import Advice, Bounds, Move, advise, targets
from aggregator.risk.series import Series
from crossmargin.documents import Document
from crossmargin.policy_history import History as Policies
from crossmargin.previews import Judge, preview
from crossmargin.stress_documents import number

CHALLENGER = "challenger"
KEYS = {Purpose.INITIAL: "haircut", Purpose.MAINTENANCE: "liquidation_threshold"}
HEAD = "policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one margin of a class would become, by the identity of it that needs the most.

    `unmeasured`: identities of the class of which too little is known, or nothing of late; with any the class is not lowered.
    """

    asset_class: str
    purpose: Purpose
    identity: str
    advice: Advice
    unmeasured: tuple[str, ...] = ()


def recommend(judge: Judge, policies: Policies, series: Mapping[str, Series], now: int) -> Document:
    """Advise on every class with an identity of more than `WINDOW` days up to now, and preview the policy that would follow."""
    current, today = policies.at(now).terms, today_of(judge.scene.cuts)
    found = [] if today is None else list(proposals(judge.scene.catalogue.assets, current.policy, series, today))
    changed = [each for each in found if each.advice.move is not Move.KEEP]
    terms = _drafted(current, changed, now) if changed else None
    return {
        "policy": current.head.version,
        "proposals": [_line(each) for each in found],
        "without_history": sorted(
            {asset.asset_class for asset in judge.scene.catalogue.assets} - {each.asset_class for each in found}
        ),
        "draft": None if terms is None else terms.text,
        "effective_from": None if terms is None else rfc3339(terms.head.effective_from or now),
        "preview": None if terms is None else preview(judge, policies, terms, now),
    }


def proposals(assets: Iterable[Asset], policy: Policy, series: Mapping[str, Series], today: date) -> Iterator[Proposal]:
    """Yield what each class's margins would become by prices up to the day before `today`, the UTC day of the cut."""
    assets = tuple(assets)
    by_id = {asset.id: asset for asset in assets}
    classes: dict[str, set[str]] = {}
    for asset in assets:
        classes.setdefault(asset.asset_class, set()).add(identity_of(asset.id, by_id))
    ages, yesterday = policy.estimates.ages, today - timedelta(days=1)
    for name, identities in sorted(classes.items()):
        known = [series[one] for one in sorted(identities) if one in series and _tells(series[one], ages, yesterday)]
        unmeasured = tuple(sorted(identities - {one.identity for one in known}))
        for purpose in Purpose if known else ():
            current = _current(policy.of_class(name), purpose)
            if current is not None:
                found = (_proposal(name, policy, purpose, current, one) for one in known)
                neediest = max(found, key=lambda each: (each.advice.proposed, each.advice.target))
                yield _not_lowered(neediest, unmeasured) if unmeasured else neediest


def _tells(one: Series, ages: AgePolicy, yesterday: date) -> bool:
    return len(one.returns) > WINDOW and told_of_late(one.last, ages, yesterday)


def _not_lowered(found: Proposal, unmeasured: tuple[str, ...]) -> Proposal:
    advice = found.advice
    kept = replace(advice, proposed=advice.current, move=Move.KEEP) if advice.move is Move.LOWER else advice
    return replace(found, advice=kept, unmeasured=unmeasured)


def _current(of_class: ClassPolicy, purpose: Purpose) -> float | None:
    """Return what the class takes off now; `None` where each venue says it."""
    if purpose is Purpose.INITIAL:
        return of_class.haircut
    return None if of_class.venue_threshold else round(1 - of_class.liquidation_threshold, 9)


def _proposal(name: str, policy: Policy, purpose: Purpose, current: float, one: Series) -> Proposal:
    """Advise for one identity: what markets may take, and the class's own layers of liquidity and peg on top."""
    horizon, layers = policy.estimates.horizon, policy.layers.of_class(name)
    seconds, tail = (
        (horizon.initial_s, horizon.initial_tail)
        if purpose is Purpose.INITIAL
        else (horizon.maintenance_s, horizon.maintenance_tail)
    )
    beside = 1 - (1 - layers.liquidity) * (1 - layers.peg)
    parts = targets(one.returns, tail=tail, horizon_s=seconds) | challenged(one, seconds)
    whole = {each: 1 - (1 - values) * (1 - beside) for each, values in parts.items()}
    advice = advise(whole, current, Bounds(least=beside, most=max(layers.cap, beside)))
    return Proposal(asset_class=name, purpose=purpose, identity=one.identity, advice=advice)


def challenged(one: Series, horizon_s: int) -> dict[str, Floats]:
    """Return what a challenger learnt, as far back as the other parts go: where it learnt nothing it raises nothing.

    Of the first day alone the lowest and the highest price may be unknown; nothing rests on them.
    """
    if not one.ranged.all():
        return {}
    history = History(asset=one.identity, first=date.fromordinal(int(one.days[0])), closes=one.closes)
    lows, highs = (np.where(np.isnan(each), one.closes, each) for each in (one.lows, one.highs))
    try:
        found = learnt(Bars(history=history, lows=lows, highs=highs))
    except BadHistory:
        return {}
    scaled = -np.expm1(math.sqrt(horizon_s / DAY_S) * np.log1p(-np.minimum(found, 1 - 1e-9)))
    return {CHALLENGER: np.concatenate([np.zeros(len(one.returns) + 1 - WINDOW - len(scaled)), scaled])}


def _drafted(current: Terms, changed: list[Proposal], now: int) -> Terms:
    """Write the file in force with other numbers; what tightens counts after the notice."""
    text = current.text
    tightens = False
    for each in changed:
        advice = each.advice
        value = advice.proposed if each.purpose is Purpose.INITIAL else 1 - advice.proposed
        tightens |= each.purpose is Purpose.MAINTENANCE and advice.proposed > advice.current
        text = _replaced(text, f"class.{each.asset_class}", KEYS[each.purpose], repr(round(value, 9)))
    since = now + (current.head.notice_s if tightens else 0)
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    head = {
        "version": f'"{day}.recommended"',
        "effective_from": f'"{rfc3339(since)}"',
        "note": '"Recommended by the prices that were"',
    }
    for key, said in head.items():
        text = _replaced(text, HEAD, key, said)
    return read_terms(text)


def _replaced(text: str, table: str, key: str, value: str) -> str:
    """Say one key of one table otherwise, its comment kept; a key or a table that is not there is added."""
    header = re.search(rf"(?m)^[ \t]*\[{re.escape(table)}\][^\n]*\n?", text)
    if header is None:
        return f"{text.rstrip()}\n\n[{table}]\n{key} = {value}\n"
    following = re.search(r"(?m)^[ \t]*\[", text[header.end() :])
    end = len(text) if following is None else header.end() + following.start()
    body = text[header.end() : end]
    line = re.compile(rf'(?m)^([ \t]*{re.escape(key)}[ \t]*=[ \t]*)("[^"\n]*"|[^#\s]+)')
    changed, count = line.subn(lambda match: match[1] + value, body, count=1)
    return text[: header.end()] + (changed if count else f"{key} = {value}\n{body}") + text[end:]


def _line(each: Proposal) -> dict[str, Any]:
    advice = each.advice
    return {
        "class": each.asset_class,
        "margin": each.purpose.value,
        "identity": each.identity,
        "current": number(advice.current),
        "target": number(advice.target),
        "proposed": number(advice.proposed),
        "move": advice.move.value,
        "binding": advice.binding,
        "calm_days": advice.calm_days,
        "unmeasured": list(each.unmeasured),
    }
