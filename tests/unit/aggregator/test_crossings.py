"""Who came into another band is told once, with what is not known as a band of its own; whoever swings about a bound is told of once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.book import Book, BookInputs, judged
from aggregator.crossings import Crossing, Told, account_subject, crossings, settled
from aggregator.gather import Catalogue, Condition
from aggregator.margin.inputs import Cut
from aggregator.margin.policy import Policy, parse_policy
from aggregator.margin.status import Status
from aggregator.oracle.mark import Mark
from chains.identifiers import Account
from chains.model import Finality, Reason
from tests.unit.aggregator.builders import (
    CHAIN,
    NOW,
    OWNER,
    POLICY,
    USDC,
    WETH,
    Price,
    assets,
    block,
    borrower,
    observation,
    policy,
    venue,
)

ME = str(Account(CHAIN, OWNER))
STATUS = policy().status
PRICES = {USDC: Price(usd=1, threshold_bp=9_000)}


def book(
    debt: float,
    *,
    eth: float = 2000.0,
    stale: bool = False,
    empty: bool = False,
    threshold_bp: int = 8_000,
    rules: Policy | None = None,
) -> Book:
    """One borrower with one ether: its venue's threshold is 80 %, unless another is said; the house's too."""
    prices = PRICES | {WETH: Price(usd=eth, threshold_bp=threshold_bp)}
    held = venue(prices) if empty else venue(prices, borrower(debt, weth=1))
    reasons = (Reason("chain_stale", CHAIN, "late"),) if stale else ()
    return judged(
        BookInputs(
            cuts={CHAIN: Cut(block=block(100, NOW), finality=Finality.LATEST)},
            catalogue=Catalogue(
                venues=(held.snapshot.venue,), feeds=(), assets=assets(), policy=rules or policy(), accounts=()
            ),
            condition=Condition(stale_chains=reasons),
            venues=(held,),
            observations=(observation(WETH, eth), observation(USDC, 1.0)),
        )
    )


class Subscriber:
    """Takes books one after the other and remembers as the service does."""

    def __init__(self) -> None:
        self.memory: dict[str, Told] = {}
        self.before: Book | None = None

    def take(self, found: Book) -> list[Crossing]:
        crossed = crossings(self.memory, found, self.before, mark_move=0.05)
        for each in crossed:
            self.memory.pop(each.subject, None)
            if each.told is not None:
                self.memory[each.subject] = each.told
        self.before = found
        return [each for each in crossed if each.body is not None]

    def bands(self, found: Book, kind: str = "account") -> list[tuple[str, str]]:
        return [
            (each.body["before"]["band"], each.body["after"]["band"])
            for each in self.take(found)
            if each.body is not None and each.body.get("scope") == kind
        ]


def test_an_account_is_told_as_it_goes_from_band_to_band() -> None:
    reader = Subscriber()

    assert reader.bands(book(500)) == []
    assert reader.bands(book(1500)) == [("healthy", "danger")]
    assert reader.bands(book(1500)) == []
    assert reader.bands(book(1700)) == [("danger", "liquidatable")]
    assert reader.bands(book(500)) == [("liquidatable", "healthy")]


@pytest.mark.parametrize("kind", ["isolated", "cross"])
def test_a_band_is_left_by_a_margin_of_the_pool_that_decides_it_too(kind: str) -> None:
    """The venue counts 0.9 of 2000: 1.2 and more. The pool's health factor is 1600 / 1500, then 1.103, within 2 % of 1.1, and 1.143."""
    reader = Subscriber()
    rules = parse_policy(f'{POLICY}\n[[pool]]\nid = "own"\nkind = "{kind}"\nvenues = ["toy-1"]\n')

    told = [reader.bands(book(debt, threshold_bp=9_000, rules=rules)) for debt in (1500, 1450, 1400)]

    assert told == [[("healthy", "danger")], [], [("danger", "watch")]]


def test_what_is_not_known_is_told_at_once_and_so_is_what_is_known_again() -> None:
    reader = Subscriber()
    reader.take(book(500))

    assert reader.bands(book(500, stale=True)) == [("healthy", "unknown")]
    assert reader.bands(book(500)) == [("unknown", "healthy")]


def test_what_happened_while_nobody_looked_is_told_by_who_remembers() -> None:
    reader = Subscriber()
    reader.take(book(1500))
    reader.before = None

    assert reader.bands(book(1500)) == []
    reader.before = None
    assert reader.bands(book(500)) == [("danger", "healthy")]


def test_whoever_has_nothing_any_more_is_in_no_bad_band() -> None:
    reader = Subscriber()
    reader.take(book(1500))

    gone = reader.take(book(0, empty=True))

    assert {(each.body or {})["scope"] for each in gone if each.kind == "health_band"} == {"account", "unit"}
    assert not [subject for subject in reader.memory if not subject.startswith("mark ")]


def test_a_unit_that_is_gone_is_told_of_by_the_same_names() -> None:
    """Whoever follows an owner or a unit would else believe for ever that it may be liquidated."""
    reader = Subscriber()

    def told_of(found: Book) -> dict[str, object]:
        (body,) = (
            each.body for each in reader.take(found) if each.body is not None and each.body.get("scope") == "unit"
        )
        return {name: body[name] for name in ("account", "venue", "unit_id", "owners", "venues")}

    came = told_of(book(1700))

    assert told_of(book(0, empty=True)) == came
    assert came["owners"] == [ME]


def test_an_event_names_owner_venue_assets_interval_and_both_cuts() -> None:
    reader = Subscriber()
    reader.take(book(500))
    (crossed,) = (each for each in reader.take(book(1500)) if each.subject == account_subject(ME))
    body = crossed.body
    assert body is not None

    assert (body["account"], body["owners"], len(body["venues"]), len(body["assets"])) == (ME, [ME], 1, 2)
    interval = body["after"]["interval"]
    assert float(interval["low"]) <= float(interval["mid"]) <= float(interval["high"])
    assert body["as_of"][CHAIN]["block"] == body["as_of_before"][CHAIN]["block"] == 100
    assert body["before"]["health_factor"] is not None


def test_a_units_band_is_told_beside_its_accounts() -> None:
    assert Subscriber().bands(book(1700), "unit") == [("healthy", "liquidatable")]


@pytest.mark.parametrize(
    "status, factor, known, told",
    [
        (Status.WATCH, 1.11, Status.DANGER, Status.DANGER),  # 1.1 · 1.02 = 1.122 is not reached
        (Status.WATCH, 1.13, Status.DANGER, Status.WATCH),
        (Status.HEALTHY, 1.51, Status.DANGER, Status.WATCH),  # 1.5 · 1.02 = 1.53 is not reached
        (Status.HEALTHY, 1.54, Status.DANGER, Status.HEALTHY),
        (Status.DANGER, 1.001, Status.LIQUIDATABLE, Status.DANGER),  # a venue's own word has no margin
        (Status.WATCH, 1.2, Status.HEALTHY, Status.WATCH),
        (Status.UNKNOWN, None, Status.HEALTHY, Status.UNKNOWN),
        (Status.WATCH, 1.11, Status.UNKNOWN, Status.WATCH),
        (Status.NO_DEBT, None, Status.DANGER, Status.HEALTHY),
        (Status.DANGER, 1.9, Status.DANGER, Status.DANGER),
    ],
)
def test_a_band_is_left_for_a_better_one_only_by_the_margin(
    status: Status, factor: float | None, known: Status, told: Status
) -> None:
    assert settled(status, factor, known, STATUS) is told


def test_a_mark_is_told_when_it_moved_far_enough_or_is_in_another_state() -> None:
    """Marks of one operator are not as usual (`degraded`), so that they are told at first; then a fall of 2 %, and one of 6 % in all."""
    reader = Subscriber()

    def marks(found: Book) -> list[tuple[str, str | None, str, str | None]]:
        told = [each.body for each in reader.take(found) if each.kind == "mark" and each.body is not None]
        return [(b["before"]["state"], b["before"]["price"], b["after"]["state"], b["after"]["price"]) for b in told]

    first = marks(book(500))
    assert marks(book(500, eth=2000 * 0.98)) == []
    moved = marks(book(500, eth=2000 * 0.94))
    assert [(state, found) for _, _, state, found in first] == [
        ("degraded", "2000.000000000000"),
        ("degraded", "1.000000000000"),
    ]
    assert len(moved) == 1
    assert float(moved[0][3] or 0) == pytest.approx(1880)
    assert reader.take(book(500, eth=2000 * 0.94)) == []


def test_a_price_too_small_to_be_written_is_told_once() -> None:
    found = book(500)
    marks = {
        name: replace(mark, low=1e-14, mid=1e-14, high=1e-14)
        for name, mark in found.context.feed_marks.items()
        if isinstance(mark, Mark)
    }
    tiny = replace(found, context=replace(found.context, feed_marks=marks))
    reader = Subscriber()

    assert {each.kind for each in reader.take(tiny)} == {"mark"}
    assert reader.take(tiny) == []
