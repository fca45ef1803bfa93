"""What is worth telling between two states of the book: who came into another band, and which mark is another one.

A pure function of the book and of what was told last, whatever lay between. A band that got worse is told at once; one that got
better when the lowest health factor is beyond the band's bound by the policy's `leave_margin`, so that who swings about it is told of once.
What is not known is a band of its own, the worst, and is entered and left at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aggregator.book import AssessedAccount, Book
from aggregator.margin import numbers
from aggregator.margin.inputs import Cut
from aggregator.margin.policy import StatusPolicy
from aggregator.margin.status import Status, held_band, unit_status
from aggregator.margin.valuation import Context, OpenUnit
from aggregator.oracle.mark import Mark, Unpriced
from aggregator.oracle.rules import State
from chains.identifiers import Account, format_address, format_hash, token
from chains.model import Reason

HEALTH_BAND, MARK = "health_band", "mark"
ACCOUNT, UNIT = "account", "unit"
BANDS = (Status.HEALTHY, Status.WATCH, Status.DANGER, Status.LIQUIDATABLE, Status.UNKNOWN)
"""From best to worst; without debt nobody is in another band than the best."""

SEVERITY = {band: severity for severity, band in enumerate(BANDS)}
QUIET = frozenset({Status.HEALTHY, Status.NO_DEBT})
MOST_REASONS = 5
Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told last: a band or a mark's state (`word`) and the health factor or price then.

    Of a unit also the account and the owner (CAIP-10) whose it was, and its id as events write it.
    """

    word: str
    number: str | None = None
    account: str = ""
    owner: str = ""
    unit_id: str = ""

    def written(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Told:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Something to remember of a subject (`told`; `None`: that it is as usual), and to tell (`body`; `None`: nothing)."""

    kind: str
    subject: str
    told: Told | None
    body: Body | None


Memory = Mapping[str, Told]
"""What was told last, by subject; who is not in it is in the best band, or has no mark yet."""


def crossings(memory: Memory, book: Book, before: Book | None, *, mark_move: float) -> list[Crossing]:
    """Return what is to be told of a book; `before`: the book that `memory` was last brought up to, where it is at hand.

    `mark_move`: by which part of itself a mark moves until that is told.
    """
    return [*_bands(memory, book, before), *_marks(memory, book, mark_move)]


def account_subject(account_id: str) -> str:
    return f"{ACCOUNT} {account_id}"


def unit_subject(held_in: OpenUnit) -> str:
    return f"{UNIT} {held_in.venue.id} {held_in.unit.unit_id.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """A subject as it is now; `factor`: its lowest health factor, `was`: the house's of before where it is at hand."""

    status: Status
    factor: float | None
    number: str | None
    was: str | None = None
    reasons: Iterable[Reason]
    body: Body
    after: Body


def _bands(memory: Memory, book: Book, before: Book | None) -> Iterator[Crossing]:
    old = {} if before is None else {each.account.id: each for each in before.accounts}
    changed = [each for each in book.accounts if old.get(each.account.id) is not each]
    policy, cuts = book.context.policy.status, _cuts(book, before)
    seen: set[str] = set()
    for each in changed:
        sides: dict[str, _Side] = {}
        if not _is_quiet(subject := account_subject(each.account.id), each.assessment.status, memory):
            sides[subject] = _account(each, old.get(each.account.id))
        for held_in in each.assessment.units:
            if not _is_quiet(subject := unit_subject(held_in), unit_status(held_in, policy), memory):
                sides[subject] = _unit(each, held_in, policy)
        seen.update(sides)
        crossed = (_crossed(memory.get(subject), subject, side, policy, cuts) for subject, side in sides.items())
        yield from (found for found in crossed if found is not None)
    untouched = {each.account.id for each in book.accounts} - {each.account.id for each in changed}
    for subject, told in memory.items():
        kind, _, name = subject.partition(" ")
        owner = name if kind == ACCOUNT else told.account
        if kind in {ACCOUNT, UNIT} and subject not in seen and owner not in untouched:
            yield _gone(subject, told, cuts)


def _is_quiet(subject: str, status: Status, memory: Memory) -> bool:
    """Whether a subject was in the best band and still is: there is nothing to tell of it, and most are so."""
    return subject not in memory and status in QUIET


def _cuts(book: Book, before: Book | None) -> Body:
    return {"as_of": _as_of(book.cuts), "as_of_before": None if before is None else _as_of(before.cuts)}


def _account(entry: AssessedAccount, old: AssessedAccount | None) -> _Side:
    assessment, house = entry.assessment, entry.house
    wad, number = assessment.min_unit_wad, _text(house.health_factor)
    factors = [] if house.health_factor is None else [float(house.health_factor)]
    factors += [each.factors.mid for each in assessment.pools if each.factors is not None]
    factors += [] if wad is None else [wad / numbers.WAD]
    return _Side(
        status=assessment.status,
        factor=min(factors, default=None),
        number=number,
        was=None if old is None else _text(old.house.health_factor),
        reasons=assessment.reasons,
        body={
            "scope": ACCOUNT,
            "account": entry.account.id,
            "owners": list(entry.account.members),
            "venues": sorted({held_in.venue.id for held_in in assessment.units}),
            "assets": sorted({item.asset_id for item in assessment.positions}),
        },
        after={
            "health_factor": number,
            "interval": {"low": _text(house.low), "mid": number, "high": _text(house.high)},
            "min_unit_health_factor": None if wad is None else numbers.text(numbers.wad_down(wad)),
        },
    )


def _unit(entry: AssessedAccount, held_in: OpenUnit, policy: StatusPolicy) -> _Side:
    unit, chain_id = held_in.unit, held_in.venue.chain_id
    wad = unit.health_factor_wad
    number = None if wad is None else numbers.text(numbers.wad_down(wad))
    return _Side(
        status=unit_status(held_in, policy),
        factor=None if wad is None else wad / numbers.WAD,
        number=number,
        reasons=unit.reasons,
        body={
            "scope": UNIT,
            "account": entry.account.id,
            "venue": held_in.venue.id,
            "unit_id": format_address(chain_id, unit.unit_id),
            "owners": [str(Account(chain_id, unit.owner))],
            "venues": [held_in.venue.id],
            "assets": sorted({str(token(chain_id, position.asset)) for position in unit.positions}),
        },
        after={"health_factor": number, "interval": None, "min_unit_health_factor": number},
    )


def _crossed(told: Told | None, subject: str, side: _Side, policy: StatusPolicy, cuts: Body) -> Crossing | None:
    known = Status.HEALTHY if told is None else Status(told.word)
    band = settled(side.status, side.factor, known, policy)
    new = None if band is Status.HEALTHY else Told(word=band.value, number=side.number, **_whose(side.body))
    if band is known:
        moved = told is not None and new is not None and replace(told, number=new.number) != new
        return Crossing(kind=HEALTH_BAND, subject=subject, told=new, body=None) if moved else None
    changed = {
        "before": {"band": known.value, "health_factor": told.number if told is not None else side.was},
        "after": {"band": band.value, "status": side.status.value, **side.after},
        "reasons": _reasons(side.reasons),
    }
    return Crossing(kind=HEALTH_BAND, subject=subject, told=new, body=side.body | changed | cuts)


def _whose(body: Body) -> dict[str, str]:
    """Say whose a unit is; who has nothing any more is told of by that alone."""
    if body["scope"] != UNIT:
        return {}
    return {"account": body["account"], "owner": body["owners"][0], "unit_id": body["unit_id"]}


def settled(status: Status, factor: float | None, known: Status, policy: StatusPolicy) -> Status:
    """Return the band to tell of a status: a better one than what is `known` only beyond its bounds by the margin."""
    found = Status.HEALTHY if status is Status.NO_DEBT else status
    if SEVERITY[found] >= SEVERITY[known] or known is Status.UNKNOWN or factor is None:
        return found
    held = max(found, held_band(factor, 0.0, policy), key=SEVERITY.__getitem__)
    return min(held, known, key=SEVERITY.__getitem__)


def _gone(subject: str, told: Told, cuts: Body) -> Crossing:
    """Tell that a subject has nothing any more."""
    scope, _, name = subject.partition(" ")
    venue, _, unit_id = name.partition(" ")
    where = {"account": name} if scope == ACCOUNT else {"account": told.account, "venue": venue}
    where |= {"unit_id": told.unit_id or unit_id} if scope == UNIT else {}
    owner = told.owner or where["account"]
    return Crossing(
        kind=HEALTH_BAND,
        subject=subject,
        told=None,
        body={
            "scope": scope,
            **where,
            "owners": [owner] if ":" in owner else [],
            "venues": [venue] if scope == UNIT else [],
            "assets": [],
            "before": {"band": told.word, "health_factor": told.number},
            "after": {
                "band": Status.HEALTHY.value,
                "status": None,
                "health_factor": None,
                "interval": None,
                "min_unit_health_factor": None,
            },
            "reasons": [],
            **cuts,
        },
    )


def _marks(memory: Memory, book: Book, mark_move: float) -> Iterator[Crossing]:
    context = book.context
    for identity, mark in sorted(context.feed_marks.items()):
        subject = f"{MARK} {identity}"
        told, price = memory.get(subject), _price(mark)
        new = Told(word=mark.state.value, number=price)
        if told is None and mark.state is State.OK:
            yield Crossing(kind=MARK, subject=subject, told=new, body=None)
        elif told is None or told.word != new.word or _moved(told.number, price, mark_move):
            yield Crossing(kind=MARK, subject=subject, told=new, body=_mark_body(identity, mark, told, context))


def _moved(before: str | None, now: str | None, mark_move: float) -> bool:
    if before is None or now is None:
        return before is not now
    old, new = float(before), float(now)
    return new != old if old <= 0 else abs(new / old - 1) >= mark_move


def _mark_body(identity: str, mark: Mark | Unpriced, told: Told | None, context: Context) -> Body:
    bounds = (mark.low, mark.high) if isinstance(mark, Mark) else (None, None)
    low, high = (None if each is None else numbers.text(numbers.price(each)) for each in bounds)
    same = sorted(name for name, asset in context.assets.items() if asset.same_as == identity)
    return {
        "identity": identity,
        "owners": [],
        "venues": [],
        "assets": [identity, *(name for name in same if name != identity)],
        "before": {"state": None, "price": None} if told is None else {"state": told.word, "price": told.number},
        "after": {"state": mark.state.value, "low": low, "price": _price(mark), "high": high},
        "reasons": list(mark.reasons)[:MOST_REASONS],
        "as_of": _as_of(context.as_of),
    }


def _price(mark: Mark | Unpriced) -> str | None:
    return numbers.text(numbers.price(mark.mid)) if isinstance(mark, Mark) else None


def _text(value: Any) -> str | None:  # noqa: ANN401 - a decimal, or none
    return None if value is None else numbers.text(value)


def _reasons(reasons: Iterable[Reason]) -> Sequence[Body]:
    return [dict(each._asdict()) for each in list(reasons)[:MOST_REASONS]]


def _as_of(cuts: Mapping[str, Cut]) -> Body:
    return {
        chain: {
            "block": cut.block.number,
            "hash": format_hash(chain, cut.block.hash),
            "time": numbers.rfc3339(cut.block.time),
            "finality": cut.finality.value,
        }
        for chain, cut in sorted(cuts.items())
    }
