"""What is collected for one account, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from aggregator.book import assess_book, book_inputs
from aggregator.book import row as row_of
from aggregator.gather import Catalogue, Condition, Journals, gather, with_bases
from aggregator.margin import numbers
from aggregator.margin.canonical import from_json, to_json
from aggregator.margin.health import evaluate
from aggregator.margin.inputs import Cut, MarginAccount
from aggregator.margin.risk import NO_RISK
from aggregator.margin.status import Status
from aggregator.observations import FeedsAt, observation_of, observe
from aggregator.oracle.mark import Reading
from chains.identifiers import Account, token
from chains.model import FeedSpec, Finality, PriceAnswer, Reason, Side, UnitSnapshot
from indexer.store.liabilities import LiabilityRow
from indexer.store.reader import Reader
from indexer.store.transfers import TransferRow
from tests.unit.aggregator.builders import (
    CHAIN,
    NOW,
    OTHER_CHAIN,
    OWNER,
    SIGNER,
    SOLANA,
    USDC,
    WETH,
    Holding,
    Price,
    assets,
    block,
    escrow,
    house_feed,
    liabilities,
    policy,
    venue,
)
from tests.unit.aggregator.journals import ToyJournals


def read_from(reader: Reader) -> Journals:
    """The store's reader is what is gathered from; the type checker says so."""
    return reader


PRICES = {WETH: Price(usd=2000), USDC: Price(usd=1, threshold_bp=9_000)}
STRANGER = bytes.fromhex("22" * 20)
AGGREGATOR = b"\xa9" * 20
PHASE = json.dumps({"aggregator": "0x" + AGGREGATOR.hex(), "decimals": 8, "problem": None})
CUTS = {chain: Cut(block=block(), finality=Finality.FINALIZED) for chain in (CHAIN, OTHER_CHAIN)}
ACME = MarginAccount(id="acme", members=(str(Account(CHAIN, OWNER)), str(Account(OTHER_CHAIN, OWNER))))


def feed(asset: bytes, chain: str = CHAIN) -> FeedSpec:
    name = next(item.id for item in assets() if item.id.startswith(f"{chain}/") and asset.hex() in item.id.lower())
    return FeedSpec(
        asset=name, kind="chainlink", chain_id=chain, address=house_feed(asset), heartbeat_s=3600, deviation=0.005
    )


def journals() -> ToyJournals:
    """OWNER has collateral on one chain and debt on the other; a stranger only lends USDC."""
    return ToyJournals(
        venues=[
            venue(PRICES, Holding(supplied={WETH: 1}), Holding(supplied={USDC: 5}, owner=STRANGER), name="toy-1"),
            venue(PRICES, Holding(supplied={WETH: 1}, owed={USDC: 1000}), name="toy-10", chain=OTHER_CHAIN),
        ],
        phases={CHAIN: {house_feed(WETH): PHASE}},
        said={CHAIN: {AGGREGATOR: PriceAnswer(1900 * 10**8, 1, NOW - 60, 99)}},
    )


def catalogue(toy: ToyJournals, *feeds: FeedSpec) -> Catalogue:
    return Catalogue(
        venues=tuple(item.snapshot.venue for item in toy.venues),
        feeds=feeds,
        assets=assets(),
        policy=policy(),
        accounts=(ACME,),
    )


def test_an_account_is_gathered_over_all_of_its_chains() -> None:
    toy = journals()

    found = gather(toy, ACME, CUTS, catalogue(toy, feed(WETH)))

    assert [item.snapshot.venue.id for item in found.venues] == ["toy-1", "toy-10"]
    assert [unit.owner for item in found.venues for unit in item.units] == [OWNER, OWNER]
    document = evaluate(found)
    assert document.health_factor == "3.040000"  # 2 · 1900 · 0.8 / 1000, the feed of one chain for both
    assert list(document.as_of) == [CHAIN, OTHER_CHAIN]


def test_only_what_decides_the_answer_is_kept() -> None:
    toy = journals()
    stranger = MarginAccount(id="stranger", members=(str(Account(CHAIN, STRANGER)),))

    found = gather(toy, stranger, CUTS, catalogue(toy, feed(WETH), feed(USDC, OTHER_CHAIN)))

    assert [item.asset for item in found.observations] == [feed(USDC, OTHER_CHAIN).asset]
    assert list(found.as_of) == [CHAIN, OTHER_CHAIN]  # the feed of its asset is on the other chain
    assert {asset.same_as for asset in found.assets} == {"USDC"}
    assert list(gather(toy, stranger, CUTS, catalogue(toy, feed(WETH))).as_of) == [CHAIN]


def test_what_is_on_its_way_to_a_member_is_shown_and_changes_no_number() -> None:
    toy = journals()
    sent = TransferRow(
        protocol="cctp",
        message="0:7",
        source_chain=CHAIN,
        destination_chain=OTHER_CHAIN,
        asset=str(token(OTHER_CHAIN, USDC)),
        amount_raw=5_000_000,
        decimals=6,
        sender=str(Account(CHAIN, STRANGER)),
        recipient=str(Account(OTHER_CHAIN, OWNER)),
        sent_at=NOW,
        source_tx="0x01",
        state="proven",
        delivered_block=None,
        source="desk",
        imported_at=NOW,
        digest="",
    )
    before = evaluate(gather(toy, ACME, CUTS, catalogue(toy, feed(WETH))))
    toy.sent = [sent, sent._replace(message="0:8", recipient=str(Account(OTHER_CHAIN, STRANGER)))]

    found = gather(toy, ACME, CUTS, catalogue(toy, feed(WETH)))

    after = evaluate(found)
    (shown,) = after.in_flight
    assert (shown.message, shown.amount, shown.value_usd) == ("cctp:0:7", "5.000000", "5.00000000")
    assert (shown.proven, shown.sent_at, shown.source) == (True, numbers.rfc3339(NOW), "desk")
    same = {"in_flight": (), "input_digest": ""}
    assert after.model_copy(update=same) == before.model_copy(update=same)
    assert from_json(to_json(found)) == found
    toy.sent = [sent._replace(state="delivered", delivered_block=CUTS[OTHER_CHAIN].block.number)]
    assert gather(toy, ACME, CUTS, catalogue(toy, feed(WETH))).in_flight == ()


def test_a_venue_where_the_account_has_nothing_is_consulted_and_not_opened() -> None:
    toy = journals()
    stranger = MarginAccount(id="stranger", members=(str(Account(OTHER_CHAIN, STRANGER)),))

    found = gather(toy, stranger, CUTS, catalogue(toy))

    assert found.consulted == ("toy-10",)
    assert found.venues == ()
    assert toy.asked == []
    assert evaluate(found).status is Status.NO_DEBT


def test_a_member_on_a_chain_that_is_not_indexed_is_a_gap() -> None:
    toy = journals()

    document = evaluate(gather(toy, ACME, {CHAIN: CUTS[CHAIN]}, catalogue(toy)))

    assert document.status is Status.UNKNOWN
    assert [(reason.code, reason.subject) for reason in document.reasons] == [("chain_not_indexed", OTHER_CHAIN)]


def test_what_the_caller_knows_reaches_only_the_accounts_it_concerns() -> None:
    toy = journals()
    condition = Condition(
        stale_chains=(Reason("chain_stale", OTHER_CHAIN, "silent"),),
        gaps=(Reason("venue_incomplete", "toy-10", "hole"),),
    )
    stranger = MarginAccount(id="stranger", members=(str(Account(CHAIN, STRANGER)),))

    assert gather(toy, ACME, CUTS, catalogue(toy), condition).gaps == condition.gaps
    assert gather(toy, ACME, CUTS, catalogue(toy), condition).stale_chains == condition.stale_chains
    assert gather(toy, stranger, CUTS, catalogue(toy), condition).gaps == ()
    assert gather(toy, stranger, CUTS, catalogue(toy), condition).stale_chains == ()


@pytest.mark.parametrize(
    "phase, expected",
    [
        (PHASE, Reading(7, 10**8, 5, 4)),
        (json.dumps({"aggregator": None, "decimals": 8}), None),
        (json.dumps({"aggregator": "0x" + "bb" * 20, "decimals": 8}), None),
        (json.dumps({"aggregator": "0x" + AGGREGATOR.hex(), "decimals": None}), None),
        (None, None),
    ],
)
def test_a_feed_says_what_the_source_behind_its_phase_said(phase: str | None, expected: Reading | None) -> None:
    phases = {} if phase is None else {house_feed(WETH): phase}

    said = FeedsAt(at=CUTS[CHAIN].block, feeds=phases, answers={AGGREGATOR: PriceAnswer(7, 1, 5, 4)})
    assert observation_of(feed(WETH), said).reading == expected
    assert observation_of(feed(WETH), None).reading is None


def test_a_feed_that_is_computed_of_others_says_what_they_make_it() -> None:
    cap, base = house_feed(WETH), b"\x77" * 20
    rule = {"kind": "capped", "parts": {"asset": "0x" + base.hex()}, "numbers": {"cap": "104"}}
    computed = {"aggregator": None, "decimals": 2, "fault": "", "problem": "", "rule": rule}
    phases = {cap: json.dumps(computed), base: json.dumps(json.loads(PHASE) | {"fault": ""})}

    def reading(answer: int) -> Reading | None:
        said = FeedsAt(at=CUTS[CHAIN].block, feeds=phases, answers={AGGREGATOR: PriceAnswer(answer, 1, 5, 4)})
        return observation_of(feed(WETH), said).reading

    assert (reading(103), reading(105)) == (Reading(103, 100, 5, 4), Reading(104, 100, 5, 4))
    phases[cap] = json.dumps(computed | {"fault": "it says something else"})
    assert reading(103) is None


def test_a_feed_comes_with_what_its_source_said_before_at_the_scale_of_today() -> None:
    recent = {AGGREGATOR: (PriceAnswer(5, 1, 2, 2), PriceAnswer(6, 2, 3, 3, 1), PriceAnswer(7, 3, 5, 4))}
    said = FeedsAt(
        at=CUTS[CHAIN].block,
        feeds={house_feed(WETH): PHASE},
        answers={AGGREGATOR: PriceAnswer(7, 3, 5, 4)},
        recent=recent,
    )

    found = observation_of(feed(WETH), said)

    assert found.past == (Reading(5, 10**8, 2, 2), Reading(6, 10**8, 3, 3, 1))
    assert found.operator == "chainlink"
    assert observation_of(replace(feed(WETH), operator="acme"), said).operator == "acme"


def test_the_past_is_asked_of_the_sources_that_feeds_point_to() -> None:
    toy = journals()
    toy.phases = {CHAIN: {house_feed(WETH): PHASE}}
    toy.said = {CHAIN: {AGGREGATOR: PriceAnswer(7, 3, NOW - 5, 4)}}
    toy.recent = {AGGREGATOR: (PriceAnswer(6, 2, NOW - 60, 3),), b"other": (PriceAnswer(1, 1, 1, 1),)}

    (found,) = observe(toy, [feed(WETH)], CUTS, assets())

    assert [reading.answer_raw for reading in found.past] == [6]


def test_a_feed_says_how_sure_it_is_and_how_sure_it_must_be() -> None:
    """A Pyth account is its own source, and gives an interval."""
    account = b"\x99" * 32
    phase = json.dumps({"aggregator": "0x" + account.hex(), "decimals": 8, "fault": None, "problem": None})
    spec = FeedSpec(
        asset=assets()[-1].id,
        kind="pyth-solana",
        chain_id=SOLANA,
        address=account,
        heartbeat_s=60,
        deviation=0.001,
        max_confidence=0.01,
    )

    answers = {account: PriceAnswer(100_000_000, 1, 5, 4, 70_000)}
    said = observation_of(spec, FeedsAt(at=CUTS[CHAIN].block, feeds={account: phase}, answers=answers))

    assert said.reading == Reading(100_000_000, 10**8, 5, 4, 70_000)
    assert said.max_confidence == 0.01


def test_a_feed_in_doubt_keeps_its_answer_and_its_fault_and_prices_nothing() -> None:
    toy = journals()
    toy.phases = {CHAIN: {house_feed(WETH): json.dumps(json.loads(PHASE) | {"fault": "it says 7 and emitted 8"})}}

    document = evaluate(gather(toy, ACME, CUTS, catalogue(toy, feed(WETH))))

    (weth,) = (price for price in document.prices if price.identity == "ETH")
    assert [(item.reason, item.answer_raw) for item in weth.feeds] == [("in_doubt", str(1900 * 10**8))]
    assert weth.mid is None


def test_the_book_has_every_owner_once_and_says_what_their_documents_say() -> None:
    toy = journals()
    known = catalogue(toy, feed(WETH))

    rows = [row_of(entry) for entry in assess_book(toy, CUTS, known).accounts]

    assert [row.account for row in rows] == ["acme", str(Account(CHAIN, STRANGER))]
    for row in rows:
        account = next((item for item in known.accounts if item.id == row.account), None)
        document = evaluate(gather(toy, account or MarginAccount(id=row.account, members=(row.account,)), CUTS, known))
        assert (row.status, row.score) == (document.status, document.score)
        assert [
            None if number is None else numbers.text(number)
            for number in (row.health_factor, row.min_unit_health_factor, row.collateral_usd, row.debt_usd)
        ] == [
            document.health_factor,
            document.min_unit_health_factor,
            document.collateral.raw,
            document.debt.raw,
        ]


def test_while_a_chain_stands_still_its_answers_age_with_a_chain_where_an_account_has_nothing() -> None:
    """As in the book, which knows the blocks of all chains."""
    toy = journals()
    toy.venues = [venue(PRICES, Holding(supplied={WETH: 1}, owed={USDC: 1000}), name="toy-1")]
    here = MarginAccount(id="here", members=(str(Account(CHAIN, OWNER)),))
    cuts = CUTS | {OTHER_CHAIN: Cut(block=block(time=NOW + 86_400), finality=Finality.FINALIZED)}
    known = replace(catalogue(toy, feed(WETH)), accounts=(here,))
    halted = Condition(stale_chains=(Reason("chain_stale", CHAIN, "silent"),))

    found = gather(toy, here, cuts, known, halted)

    (entry,) = assess_book(toy, cuts, known, halted).accounts
    document = evaluate(found)
    low = numbers.text(numbers.ratio_down(entry.assessment.margins.low.health_factor))
    assert document.health_factor_interval is not None
    assert document.health_factor_interval.low == low
    assert list(found.as_of) == [CHAIN, OTHER_CHAIN]
    assert list(gather(toy, here, cuts, known).as_of) == [CHAIN]
    fresh = evaluate(gather(toy, here, cuts, known)).health_factor_interval
    assert fresh is not None
    assert Decimal(low) < Decimal(fresh.low)


def test_the_chain_that_went_on_longest_tells_how_far_another_is_behind_whenever_its_last_stored_block_was() -> None:
    toy = journals()
    toy.venues = [venue(PRICES, Holding(supplied={WETH: 1}, owed={USDC: 1000}), name="toy-1")]
    here = MarginAccount(id="here", members=(str(Account(CHAIN, OWNER)),))
    still, quiet = block(time=NOW + 50), Cut(block=block(), finality=Finality.FINALIZED, until=NOW + 86_400)
    cuts = CUTS | {OTHER_CHAIN: quiet, SOLANA: Cut(block=still, finality=Finality.FINALIZED)}
    known = replace(catalogue(toy, feed(WETH)), accounts=(here,))
    halted = Condition(stale_chains=(Reason("chain_stale", CHAIN, "silent"),))

    found = gather(toy, here, cuts, known, halted)

    (entry,) = assess_book(toy, cuts, known, halted).accounts
    interval = evaluate(found).health_factor_interval
    assert interval is not None
    assert interval.low == numbers.text(numbers.ratio_down(entry.assessment.margins.low.health_factor))
    assert list(found.as_of) == [CHAIN, OTHER_CHAIN]


def test_the_book_opens_each_venue_once() -> None:
    toy = journals()

    assess_book(toy, CUTS, catalogue(toy))

    assert toy.asked == ["toy-1", "toy-10"]


def test_an_owner_whose_units_are_empty_is_not_in_the_book() -> None:
    toy = journals()
    first = toy.venues[0]
    emptied = replace(first, units=tuple(replace(unit, positions={}) for unit in first.units))
    toy.venues = [emptied, toy.venues[1]]

    assert [entry.account.id for entry in assess_book(toy, CUTS, catalogue(toy)).accounts] == ["acme"]


def test_the_book_keeps_gaps_to_those_they_concern() -> None:
    toy = journals()
    condition = Condition(gaps=(Reason("venue_incomplete", "toy-10", "hole"),))

    book = assess_book(toy, CUTS, catalogue(toy), condition)

    assert [entry.assessment.status for entry in book.accounts] == [Status.UNKNOWN, Status.NO_DEBT]


def row(
    owner: bytes, as_of: int = NOW, *, maintenance: str = "100", key: bytes = SIGNER, name: str = "vault"
) -> LiabilityRow:
    said = liabilities(maintenance)
    amounts = (said.initial_requirement_usd, said.maintenance_requirement_usd, said.pnl_usd)
    return LiabilityRow(CHAIN, name, owner, as_of, *amounts, key, said.document)


def with_vault(*rows: LiabilityRow, deposit: float = 1.0) -> ToyJournals:
    """A vault with one deposit of OWNER, on which a stranger has a claim."""
    toy = journals()
    toy.venues = [*toy.venues, escrow({WETH: deposit})]
    toy.reported = rows
    return toy


def test_the_newest_liabilities_up_to_the_block_are_gathered_however_old() -> None:
    toy = with_vault(row(OWNER, NOW + 1), row(OWNER, NOW - 99_999, maintenance="7"), row(OWNER, NOW - 100_000))

    (vault,) = (item for item in gather(toy, ACME, CUTS, catalogue(toy)).venues if item.snapshot.venue.id == "vault")

    said = vault.liabilities[OWNER]
    assert said is not None
    assert (said.as_of, said.maintenance_requirement_usd) == (NOW - 99_999, Decimal(7))


def test_liabilities_count_up_to_where_the_chain_went_on_and_not_only_to_its_last_stored_block() -> None:
    """Final blocks in which nothing happened are not stored; what was said meanwhile is no less known at a moment of the past."""
    toy = with_vault(row(OWNER, NOW + 900, maintenance="7"), row(OWNER, NOW, maintenance="5"), row(OWNER, NOW + 901))
    cuts = {chain: replace(cut, until=NOW + 900) for chain, cut in CUTS.items()}
    known = catalogue(toy)

    (vault,) = (item for item in gather(toy, ACME, cuts, known).venues if item.snapshot.venue.id == "vault")
    (whole,) = (
        item
        for item in book_inputs(toy, cuts, known, Condition(), risk=NO_RISK).venues
        if item.snapshot.venue.id == "vault"
    )

    for found in (vault, whole):
        said = found.liabilities[OWNER]
        assert said is not None
        assert (said.as_of, said.maintenance_requirement_usd) == (NOW + 900, Decimal(7))


def test_where_nothing_was_imported_that_is_said() -> None:
    toy = with_vault(row(OWNER, key=b"\x01" * 32), row(OWNER, name="other"))

    (vault,) = (item for item in gather(toy, ACME, CUTS, catalogue(toy)).venues if item.snapshot.venue.id == "vault")

    assert vault.liabilities == {OWNER: None}


def test_liabilities_without_a_deposit_make_a_unit_that_owes() -> None:
    toy = with_vault(row(OWNER), deposit=0.0)

    document = evaluate(gather(toy, ACME, CUTS, catalogue(toy)))

    (unit,) = next(item for item in document.venues if item.venue == "vault").units
    assert (unit.health_factor, unit.liquidatable) == ("0.000000", True)  # nothing covers 100
    assert document.status is Status.LIQUIDATABLE


def test_without_a_deposit_and_without_liabilities_there_is_no_unit() -> None:
    toy = with_vault(deposit=0.0)
    vault = toy.venues[-1]
    overdrawn = replace(vault.units[0], positions={(WETH, Side.SUPPLY): -5})
    toy.venues = [*toy.venues[:-1], replace(vault, units=(overdrawn,))]

    found = gather(toy, ACME, CUTS, catalogue(toy))

    assert [item.snapshot.venue.id for item in found.venues] == ["toy-1", "toy-10"]
    assert "vault" in found.consulted


def test_the_book_says_of_liabilities_what_the_documents_say() -> None:
    """Of OWNER's, of a stranger who has a claim against him and no deposit, and of OWNER's when nothing was imported."""
    for rows in ([row(OWNER, maintenance="900"), row(STRANGER, maintenance="5")], []):
        toy = with_vault(*rows)
        known = catalogue(toy, feed(WETH))

        book = {entry.account.id: row_of(entry) for entry in assess_book(toy, CUTS, known).accounts}

        assert len(book) == 2
        for account in (
            ACME,
            MarginAccount(id=str(Account(CHAIN, STRANGER)), members=(str(Account(CHAIN, STRANGER)),)),
        ):
            document, entry = evaluate(gather(toy, account, CUTS, known)), book[account.id]
            assert (entry.status, entry.score) == (document.status, document.score)
            assert (None if entry.debt_usd is None else numbers.text(entry.debt_usd)) == document.debt.raw
            assert (
                None if entry.min_unit_health_factor is None else numbers.text(entry.min_unit_health_factor)
            ) == document.min_unit_health_factor


def test_an_owner_of_whom_only_liabilities_are_known_is_in_the_book() -> None:
    other = bytes.fromhex("44" * 20)
    toy = with_vault(row(other))

    book = assess_book(toy, CUTS, catalogue(toy))

    assert {entry.account.id: entry.assessment.status for entry in book.accounts}[
        str(Account(CHAIN, other))
    ] is Status.LIQUIDATABLE


UPTIME = b"\x66" * 20


@pytest.mark.parametrize(
    "answer, since, code",
    [
        (0, 3_600, None),
        (0, 3_599, "sequencer_grace"),
        (1, 100_000, "sequencer_down"),
        (None, 0, "sequencer_unknown"),
    ],
)
def test_a_chain_counts_as_stale_while_its_sequencer_is_down_and_for_a_grace_after(
    answer: int | None, since: int, code: str | None
) -> None:
    toy, now = journals(), CUTS[CHAIN].block.time
    uptime = FeedSpec(
        asset=CHAIN, kind="sequencer-uptime", chain_id=CHAIN, address=UPTIME, heartbeat_s=3_600, deviation=0.0
    )
    toy.phases = {CHAIN: {UPTIME: json.dumps(json.loads(PHASE) | {"fault": ""})}}
    toy.said = {CHAIN: {} if answer is None else {AGGREGATOR: PriceAnswer(answer, 1, now - since, 4)}}

    inputs = gather(toy, ACME, CUTS, catalogue(toy, uptime))
    document = evaluate(inputs)

    assert [(reason.code, reason.subject) for reason in inputs.stale_chains] == ([(code, CHAIN)] if code else [])
    assert (document.status is Status.UNKNOWN) == (code is not None)
    assert all(price.identity != CHAIN for price in document.prices)


def test_the_grace_of_a_sequencer_is_over_where_the_chain_went_on_for_long_enough() -> None:
    toy, came_up = journals(), CUTS[CHAIN].block.time - 60
    uptime = FeedSpec(
        asset=CHAIN, kind="sequencer-uptime", chain_id=CHAIN, address=UPTIME, heartbeat_s=3_600, deviation=0.0
    )
    toy.phases = {CHAIN: {UPTIME: json.dumps(json.loads(PHASE) | {"fault": ""})}}
    toy.said = {CHAIN: {AGGREGATOR: PriceAnswer(0, 1, came_up, 4)}}
    stale = [
        gather(toy, ACME, {chain: replace(cut, until=came_up + age) for chain, cut in CUTS.items()}, known).stale_chains
        for known in (catalogue(toy, uptime),)
        for age in (3_599, 3_600)
    ]

    assert [[reason.code for reason in each] for each in stale] == [["sequencer_grace"], []]


def test_an_asset_is_priced_by_a_rate_times_the_mark_of_another_which_is_shown_with_it() -> None:
    toy, contract, question = journals(), b"\x55" * 20, bytes.fromhex("679aefce")
    told = {
        "rate": True, "since": 9, "outcome": "returned", "output": "0x" + (125 * 10**16).to_bytes(32).hex(),
        "changes": [], "restless": False,
    }  # fmt: skip
    toy.phases = {CHAIN: {house_feed(USDC): PHASE, contract + question: json.dumps(told)}}
    toy.said = {CHAIN: {AGGREGATOR: PriceAnswer(2 * 10**8, 1, NOW - 60, 99)}}
    rate = replace(
        feed(WETH), kind="redemption-rate", address=contract, feed_id=question, of=feed(USDC).asset, unit_raw=10**18,
        deviation=0.0, heartbeat_s=0,
    )  # fmt: skip

    inputs = gather(toy, ACME, CUTS, catalogue(toy, feed(USDC), rate))
    document = evaluate(inputs)

    assert evaluate(from_json(to_json(inputs))) == document
    prices = {price.identity: price for price in document.prices}
    (told_of,) = prices["ETH"].feeds
    assert (prices["ETH"].mid, told_of.kind, told_of.age_s) == ("2.500000000000", "redemption-rate", 60)  # 1.25 · 2
    assert (told_of.answer_raw, told_of.unit_raw) == (str(125 * 10**16), str(10**18))
    assert told_of.of is not None
    assert (told_of.of.identity, told_of.of.mid, told_of.of.feeds[0].used) == ("USDC", "2.000000000000", True)
    assert with_bases({"ETH"}, (rate,), {asset.id: asset for asset in assets()}) == {"ETH", "USDC"}
    assert with_bases({"USDC"}, (rate,), {asset.id: asset for asset in assets()}) == {"USDC"}


def test_liabilities_of_an_owner_stand_against_the_deposits_of_all_his_ids() -> None:
    toy = with_vault(row(OWNER, maintenance="7"))
    *others, vault = toy.venues
    ids = [(b"\x01" * 32, {(WETH, Side.SUPPLY): 3, (USDC, Side.SUPPLY): 5}), (b"\x02" * 32, {(WETH, Side.SUPPLY): 4})]
    settings = [{(WETH, "wide_amount"): "null"}, {(WETH, "wide_amount"): '"1"'}]
    units = [
        UnitSnapshot(unit_id=unit_id, owner=OWNER, positions=held, settings=said)
        for (unit_id, held), said in zip(ids, settings, strict=True)
    ]
    toy.venues = [*others, replace(vault, units=(*units, replace(units[0], unit_id=b"\x03" * 32, owner=STRANGER)))]

    (found,) = (item for item in gather(toy, ACME, CUTS, catalogue(toy)).venues if item.snapshot.venue.id == "vault")

    (unit,) = found.units
    assert (unit.unit_id, unit.owner) == (OWNER, OWNER)
    assert unit.positions == {(WETH, Side.SUPPLY): 7, (USDC, Side.SUPPLY): 5}
    assert unit.settings == {(WETH, "wide_amount"): '"1"'}
    assert [said and said.maintenance_requirement_usd for said in found.liabilities.values()] == [Decimal(7)]
