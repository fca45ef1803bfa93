"""Recorded runs of the Save program: what is folded and refreshed here equals what the program wrote itself at every sample."""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import WHOLE_VENUE, VenueUnit
from chains.solana.save import open_book
from chains.solana.save.book import Book
from chains.solana.save.layout import Obligation, obligations
from chains.solana.save.liquidating import Liquidable
from chains.solana.save.refresh import Refreshed, refreshed
from chains.solana.save.tips import unit_of
from tests.support.save_runs import VARIABLE, Done, Journals, Liquidation, SaveRun, load, runs

FIELDS_OF_A_RESERVE, FIELDS_OF_AN_OBLIGATION = 12, 13
REASONS = {"stale": "price_stale", "too wide": "price_uncertain"}
"""Words of the program's log, and the reason that stands for them here."""


@pytest.fixture(params=sorted(runs().items()), ids=lambda item: item[0], scope="module")
def run(request: pytest.FixtureRequest) -> SaveRun:
    return load(request.param[1])


def test_there_is_a_golden_run() -> None:
    assert "golden/case-101" in runs()


def test_the_folder_of_runs_holds_some() -> None:
    found = [name for name in runs() if name.startswith("runs/")]
    if not found:
        pytest.skip(f"no recorded runs beside the golden one: {VARIABLE} names no folder that holds any")
    assert all(load(runs()[name]).samples for name in found)


def test_every_field_that_the_program_wrote_is_the_same(run: SaveRun) -> None:
    journals, compared = Journals(run.venue()), Counter[str]()
    for sample, changed in run.looks():
        journals.take(changed)
        book = Book(journals.snapshot(sample["slot"], sample["unix_timestamp"]))
        for address, said in sample["refreshed"].items():
            of_reserve = "available_amount" in said
            ours = reserve_fields(book, address) if of_reserve else obligation_fields(journals, book, address)
            told = {name: plain(value) for name, value in said.items() if name != "account_data_after"}
            assert told == {name: ours[name] for name in told}, (sample["index"], address)
            compared["reserve" if of_reserve else "obligation"] += len(told)
            if "account_data_after" in said:
                assert entries(said["account_data_after"]) == ours["entries"]

    refused = sum(1 for sample in run.samples if sample["refresh_errors"])
    complete = len(run.samples) - refused
    assert compared["reserve"] >= complete * len(run.case["reserves"]) * FIELDS_OF_A_RESERVE > 0
    assert compared["obligation"] >= complete * 6 * FIELDS_OF_AN_OBLIGATION > 0


def test_what_the_program_refuses_is_refused_for_its_reason(run: SaveRun) -> None:
    journals, refused = Journals(run.venue()), Counter[str]()
    for sample, changed in run.looks():
        journals.take(changed)
        snapshot = journals.snapshot(sample["slot"], sample["unix_timestamp"])
        value, book = open_book(snapshot), Book(snapshot)
        for address, log in sample["refresh_errors"].items():
            wanted = next(reason for words, reason in REASONS.items() if words in " ".join(log))
            if address == "reserves":
                reserves = [book.reserve(from_base58(each["address"])) for each in run.case["reserves"].values()]
                found = {reason.code for reserve in reserves for reason in reserve.reasons}
            else:
                unit = value(journals.unit(from_base58(address)))
                assert (unit.native, unit.health_factor_wad, unit.liquidatable) == (None, None, None)
                found = {reason.code for reason in unit.reasons}
            assert found == {wanted}, (sample["index"], address)
            refused[wanted] += 1

    assert refused["price_stale"] > 1
    assert refused["price_uncertain"] > 1


def test_just_those_are_liquidatable_whom_the_program_let_be_liquidated(run: SaveRun) -> None:
    journals, compared = Journals(run.venue()), Counter[bool]()
    attempts = list(run.liquidations())
    for index, (_, changed) in enumerate(run.looks()):
        journals.take(changed)
        for before, attempt in attempts:
            if before != index:
                continue
            unit = open_book(journals.snapshot(attempt.slot, attempt.time))(journals.unit(attempt.unit))
            if unit.native is None:  # oracles were mended between this sample and the attempt
                continue
            assert unit.liquidatable == attempt.accepted, attempt
            assert unit.health_factor_wad is not None
            assert (unit.health_factor_wad < 10**18) == attempt.accepted
            compared[attempt.accepted] += 1

    assert min(compared[True], compared[False]) > 5
    assert compared.total() >= len(attempts) - 1


def test_a_liquidation_takes_and_leaves_what_the_program_did(run: SaveRun) -> None:
    journals, met = Journals(run.venue()), Counter[str]()
    attempts = list(run.liquidations())
    for index, (_, changed) in enumerate(run.looks()):
        journals.take(changed)
        left: dict[bytes, Liquidable] = {}
        for attempt in (each for before, each in attempts if before == index):
            unit = open_book(journals.snapshot(attempt.slot, attempt.time))(journals.unit(attempt.unit))
            if unit.native is None or run.reprices(index):
                met["prices are not known"] += 1
                continue
            exposed = left.get(attempt.unit) or exposed_of(unit)
            most = exposed.most(attempt.collateral, attempt.debt, attempt.asked)
            assert (most > 0) == attempt.accepted, attempt
            if attempt.done is not None:
                left[attempt.unit] = assert_as_done(exposed, attempt, attempt.done)
            met["accepted" if attempt.accepted else "refused"] += 1

    assert met["accepted"] > 3, met
    assert met["refused"] > 5, met


def exposed_of(unit: VenueUnit) -> Liquidable:
    found = unit.liquidating() if unit.liquidating else ()
    assert isinstance(found, Liquidable), found
    return found


def assert_as_done(exposed: Liquidable, attempt: Liquidation, program: Done) -> Liquidable:
    """What is paid, withdrawn, redeemed and kept is the program's to the raw unit; what is left is what the next attempt finds."""
    collateral, debt = attempt.collateral, attempt.debt
    settled = exposed.settled(collateral, debt, attempt.asked)
    left, done = exposed.taken(collateral, debt, exposed.most(collateral, debt, attempt.asked))
    assert settled is not None
    (seized,), (fee,) = done.seized, done.fee
    ours = Done(done.paid.amount_raw, settled.withdrawn, seized.amount_raw + fee.amount_raw, fee.amount_raw)
    assert ours == program, attempt
    return left


def test_what_happened_between_two_looks_is_what_the_transactions_did(run: SaveRun) -> None:
    journals = Journals(run.venue())
    journals.take(run.all_seen)
    told = [(base58(event.owner), event.kind, event.amount_raw) for event in journals.rows.events]
    owners = {name: user["owner"] for name, user in run.case["users"].items()}

    asked = [label.split() for label in accepted(run) if label.split()[0] in {"borrow", "deposit", "repay"}]
    deposits = [
        (owners[who], int(amount)) for kind, who, _, amount in asked if kind == "deposit" and who != "liquidator"
    ]
    seen = [(owner, amount) for owner, kind, amount in told if kind == "supply"]
    assert len(seen) == len(deposits) > 5
    for (owner, amount), (by, given) in zip(sorted(seen), sorted(deposits), strict=True):
        assert owner == by
        assert 0 <= given - amount <= 1  # collateral tokens are whole: a raw unit may be lost in them
    repaid = [(owners[who], "repay", int(amount)) for kind, who, _, amount in asked if kind == "repay"]
    assert set(repaid) & set(told) == {each for each in repaid if each[2] < 2**64 - 1} != set()


def accepted(run: SaveRun) -> list[str]:
    return [each["label"] for each in run.transactions if each["result"]["meta"]["err"] is None]


def reserve_fields(book: Book, address: str) -> dict[str, Any]:
    reserve = book.reserve(from_base58(address))
    assert reserve.pool is not None
    assert reserve.priced is not None, reserve.reasons
    pool, priced = reserve.pool, reserve.priced
    return {
        "last_update_slot": pool.slot,
        "stale": 0,
        "available_amount": pool.available,
        "borrowed_amount_wads": pool.borrowed,
        "cumulative_borrow_rate_wads": pool.rate,
        "market_price": priced.price,
        "collateral_mint_total_supply": pool.supply,
        "accumulated_protocol_fees_wads": pool.fees,
        "smoothed_market_price": priced.smoothed,
        "extra_market_price_flag": int(priced.extra is not None),
        "extra_market_price": priced.extra or 0,
        "attributed_borrow_value": pool.attributed,
    }


def obligation_fields(journals: Journals, book: Book, address: str) -> dict[str, Any]:
    unit = journals.unit(from_base58(address))
    held, _ = unit_of(json.loads(unit.settings[WHOLE_VENUE, "obligation"]), unit.positions)
    ours = refreshed(book, held)
    assert isinstance(ours, Refreshed), ours
    valued = open_book(book.snapshot)(unit)
    assert valued.native == ours.native
    assert valued.reasons == ()
    return {
        **valued.native,
        "last_update_slot": book.now.slot,
        "stale": 0,
        "deposits": [
            {
                "reserve": base58(each.reserve),
                "deposited_ctokens": each.amount,
                "market_value": each.market_value,
                "attributed_borrow_value": each.attributed,
            }
            for each in ours.deposits
        ],
        "borrows": [
            {
                "reserve": base58(each.reserve),
                "cumulative_borrow_rate_wads": each.rate,
                "borrowed_amount_wads": each.amount,
                "market_value": each.market_value,
            }
            for each in ours.borrows
        ],
        "entries": (
            [(each.reserve, each.amount, each.attributed) for each in ours.deposits],
            [(each.reserve, each.rate, each.amount) for each in ours.borrows],
        ),
    }


def entries(data: str) -> tuple[list[tuple[bytes, int, int]], list[tuple[bytes, int, int]]]:
    (held,) = obligations([b64decode(data)])
    assert isinstance(held, Obligation)
    deposits = [(each.reserve, each.amount, each.attributed) for each in held.deposits]
    return deposits, [(each.reserve, each.rate, each.amount) for each in held.borrows]


def plain(value: Any) -> Any:
    """Numbers of any width as integers; addresses as they are."""
    if isinstance(value, list):
        return [{name: plain(each) for name, each in entry.items()} for entry in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value
