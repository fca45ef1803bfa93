"""Transactions of recorded runs of the real lending programs, told as history: what tokens moved, and what accounts then held."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from chains.identifiers import base58, from_base58
from chains.model import Basis, LendingEvent
from chains.solana.history import history_id
from tests.support.history_runs import Journals, Run, load, runs, seen_of, steps

RUNS = runs()
KINDS = {"deposit": "supply", "withdraw": "withdraw", "borrow": "borrow", "repay": "repay", "liquidate": "liquidation"}

pytestmark = pytest.mark.parametrize("run", [load(folder) for folder in RUNS.values()], ids=list(RUNS))


def folded(run: Run, *, without: str | None = None) -> Journals:
    """The journals of a run, of which one transaction was lost."""
    journals = Journals(run.venue)
    for slot, said, changed in steps(run):
        heard = [each for each in said if base58(each.signature) != without]
        journals.take(heard, seen_of(slot, changed))
    return journals


def succeeded(run: Run) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What people did and the program let happen, by the words of who did it."""
    for each in run.transactions:
        if each["result"]["meta"]["err"] is None and each["label"].split()[0] in KINDS:
            yield each["label"], each["result"]


def told(run: Run, journals: Journals) -> dict[str, list[tuple[LendingEvent, dict[str, Any]]]]:
    """Lines of history with what else they say, by signature."""
    found: dict[str, list[tuple[LendingEvent, dict[str, Any]]]] = {}
    for event in journals.rows.events:
        found.setdefault(base58(event.tx_hash), []).append((event, json.loads(event.extra)))
    return found


def moved(result: Mapping[str, Any], owner: bytes, mint: bytes) -> int:
    """What came into somebody's token accounts, as the node noted it before and after."""
    total = 0
    for name, sign in (("preTokenBalances", -1), ("postTokenBalances", 1)):
        for balance in result["meta"][name]:
            if balance["owner"] == base58(owner) and balance["mint"] == base58(mint):
                total += sign * int(balance["uiTokenAmount"]["amount"])
    return total


def test_each_line_is_what_moved_in_the_wallets_of_who_did_it(run: Run) -> None:
    lines, compared = told(run, folded(run)), Counter[str]()
    for label, result in succeeded(run):
        (event, extra), *beside = lines.pop(result["transaction"]["signatures"][0])
        compared[event.kind] += 1
        verb, *words = label.split()
        assert event.kind == KINDS[verb]
        assert event.basis is Basis.EXACT
        fee = int(extra.get("fee_raw", "0"))
        match event.kind:
            case "supply" | "repay":
                assert event.counterparty == event.owner  # everybody pays for himself here
                assert -moved(result, event.owner, event.asset) == event.amount_raw
            case "withdraw":
                assert moved(result, event.owner, event.asset) == event.amount_raw
            case "borrow":
                received = moved(result, event.owner, event.asset)
                assert event.amount_raw - fee - received in (
                    0,
                    received // 1_000,
                )  # a bank's own fee is in what it notes
            case _ if run.venue.protocol == "marginfi":
                assert extra["collateral_amount_raw"] == words[-1]
                assert sum(line.amount_raw for line, _ in beside if line.kind != "supply") == event.amount_raw + int(
                    extra["insurance_fee_raw"]
                )
            case _:
                assert event.counterparty is not None
                taken = int(extra["collateral_amount_raw"]) - fee
                assert moved(result, event.counterparty, event.asset) == -event.amount_raw
                assert moved(result, event.counterparty, from_base58(extra["collateral_asset"])) == taken
    assert lines == {}
    assert min(compared[kind] for kind in KINDS.values()) > 0, compared


def test_what_transactions_add_up_to_is_what_accounts_hold(run: Run) -> None:
    journals = folded(run)

    assert journals.differences == []
    assert [row for row in journals.rows.quarantined if row.venue_id == history_id(run.venue.id)] == []
    assert all(event.basis is Basis.EXACT for event in journals.rows.events)
    weighed = [row for row in journals.rows.accounts if row.aspect == "pending" and row.state == "{}"]
    assert len(weighed) > 15


def test_a_transaction_that_is_lost_is_missed_at_the_next_look(run: Run) -> None:
    lost = [result["transaction"]["signatures"][0] for _, result in succeeded(run)]

    assert [signature for signature in lost[::4] if not folded(run, without=signature).differences] == []
    assert len(lost) > 20


def test_history_is_the_same_in_one_span_and_in_many(run: Run) -> None:
    parts = list(steps(run))
    whole = Journals(run.venue)
    whole.take([said for _, part, _ in parts for said in part], [s for slot, _, c in parts for s in seen_of(slot, c)])
    cut = folded(run)

    for name in ("events", "accounts", "markets", "positions", "quarantined"):
        assert sorted(getattr(whole.rows, name), key=repr) == sorted(getattr(cut.rows, name), key=repr), name


def test_a_market_of_others_is_not_ours(run: Run) -> None:
    journals = Journals(replace(run.venue, address=b"\x55" * 32))
    for _, said, _ in steps(run):
        journals.take(said, [])

    assert journals.rows.events == []
    assert journals.rows.quarantined == []
