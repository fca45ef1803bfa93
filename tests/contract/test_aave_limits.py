"""Loans and withdrawals that the rules of 3.5 took and refused when they were tried, at the limit that is said and a unit above it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chains.evm.aave_v3 import open_book
from chains.evm.aave_v3.book import Book, Reserve
from chains.model import Allowance, Block, PriceAnswer, Side, UnitSnapshot, VenueSnapshot, VenueSpec

TRIED = Path(__file__).parents[1] / "golden" / "evm" / "limits-aave-v3.5.json.gz"
OWNER = b"\x0f" * 20

ROUNDED = 4
"""More than a debt can be above its loan: its index over a ray, up."""


def test_what_was_taken_and_refused_is_what_is_said() -> None:
    binding: Counter[tuple[str, int]] = Counter()
    for case in json.loads(gzip.decompress(TRIED.read_bytes()))["cases"]:
        snapshot = snapshot_of(case)
        reserves = Book(snapshot).reserves
        for account in case["accounts"]:
            unit = open_book(snapshot)(unit_of(account))
            assert unit.permits is not None
            permits = unit.permits()
            said = {("borrow", each.market): each for each in permits.borrowable}
            said |= {("withdraw", each.market): each for each in permits.withdrawable}
            for kind, asset, amount, taken in account["asked"]:
                allowed = said[kind, bytes.fromhex(asset)]
                assert not allowed.unknown
                assert taken == (int(amount) <= allowed.most), f"{kind} {amount} of {asset}: {allowed}"
                binding[f"{kind} {limit_of(allowed, reserves[allowed.market])}", int(amount) - allowed.most] += 1

    names = ("borrow cap", "borrow left", "borrow all supplies", "borrow own", "withdraw left", "withdraw own")
    assert all(binding[name, 0] == binding[name, 1] > 40 for name in names), binding
    assert binding["borrow refused", 1] > 100


def limit_of(allowed: Allowance, reserve: Reserve) -> str:
    """What ends an allowance: what the account itself may, or what there is for everybody."""
    if allowed.blocked:
        return "refused"
    if allowed.most == allowed.cap_left:
        return "cap"
    if allowed.most == reserve.left:
        return "left"
    supplied = reserve.lent_from or 0
    return "all supplies" if supplied - ROUNDED < allowed.most <= supplied else "own"


def snapshot_of(case: Mapping[str, Any]) -> VenueSnapshot:
    """A market as it was; every price is that of a feed of its own."""
    markets = {(bytes.fromhex(market), aspect): json.dumps(state) for market, aspect, state in case["markets"]}
    sources = [json.loads(text)["source"] for (_, aspect), text in markets.items() if aspect == "source"]
    feeds, answers = {}, {}
    for i, (source, price) in enumerate(zip(sources, case["prices"], strict=True)):
        aggregator = bytes([i + 1]) * 20
        phase = {"aggregator": "0x" + aggregator.hex(), "problem": None, "fault": "", "decimals": 8, "since": 0}
        feeds[bytes.fromhex(source[2:])] = json.dumps(phase)
        answers[aggregator] = PriceAnswer(price, 1, case["time"], case["number"])
    return VenueSnapshot(
        venue=VenueSpec(id="aave", protocol="aave-v3", chain_id="eip155:1", address=b"\x01" * 20, start_block=0),
        at=Block(number=case["number"], hash=b"\x02" * 32, parent_hash=b"\x03" * 32, time=case["time"]),
        markets=markets,
        feeds=feeds,
        answers=answers,
    )


def unit_of(account: Mapping[str, Any]) -> UnitSnapshot:
    positions = {(bytes.fromhex(market), Side(side)): int(amount) for market, side, amount in account["positions"]}
    settings = {(bytes.fromhex(market), "collateral"): "true" for market in account["collateral"]}
    return UnitSnapshot(unit_id=OWNER, owner=OWNER, positions=positions, settings=settings)
