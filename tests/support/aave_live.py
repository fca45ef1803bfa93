"""Every number that is derived of an Aave market, against what its contracts answer on a running chain, at one block.

`python -m tests.support.aave_live --seeds 50` upgrades as many markets of other crowds and says how much was equal; `--first` is the first
seed, `--actions` how much each crowd does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from chains.evm.aave_v3 import AaveV3, open_book
from chains.evm.aave_v3.book import Book
from chains.evm.aave_v3.engines import FIRST_LIQUID
from chains.model import WHOLE_VENUE, Block, Side, UnitSnapshot, VenuePrice, VenueSnapshot, VenueSpec, VenueUnit
from chains.registry import connect
from indexer.store import Store
from tests.devnet.evm import upgrades
from tests.devnet.evm.abi import calldata, decode
from tests.devnet.evm.chain import Devnet
from tests.devnet.evm.node import eth_call_request
from tests.devnet.evm.truth import Truth, truth_at
from tests.devnet.evm.upgrades import Upgraded
from tests.support.indexing import Narrow, chain_of, raw, take_in, venue_of

CONFIGURED: Mapping[str, tuple[int, int]] = {
    "ltv": (0, 16),
    "liquidation_threshold": (16, 16),
    "liquidation_bonus": (32, 16),
    "active": (56, 1),
    "frozen": (57, 1),
    "borrowing": (58, 1),
    "paused": (60, 1),
    "borrowable_in_isolation": (61, 1),
    "siloed": (62, 1),
    "borrow_cap": (80, 36),
    "protocol_fee": (152, 16),
    "debt_ceiling": (212, 40),
}
"""Where the word of a reserve's configuration has what, and how many bits it takes (`ReserveConfiguration`)."""

RATES = ("liquidity_index", "liquidity_rate", "variable_borrow_index", "variable_borrow_rate")
"""Words 1 to 4 of `getReserveData`; the sixth says when they were updated."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A market at a block: what is derived, and what its contracts say."""

    net: Devnet
    at: Block
    snapshot: VenueSnapshot
    truth: Truth
    stored: Mapping[bytes, UnitSnapshot]
    valued: Mapping[bytes, VenueUnit]

    def ask(self, *questions: tuple[str, str]) -> list[str]:
        """Return what contracts answer after the block."""
        return [
            str(answer)
            for answer in self.net.node.batch([eth_call_request(*each, self.at.number) for each in questions])
        ]

    def integers(self, questions: Iterable[tuple[str, str]]) -> list[int]:
        """Return what contracts answer, as one number each."""
        return [int(answer, 16) for answer in self.ask(*questions)]

    def state(self, asset: str, aspect: str) -> Mapping[str, object]:
        """Return an aspect of a reserve."""
        found: Mapping[str, object] = json.loads(self.snapshot.markets.get((raw(asset), aspect), "{}"))
        return found


def moment(store: Store, venue: VenueSpec, net: Devnet, number: int) -> Moment:
    """Open a block on both sides."""
    header = net.node.header(number)
    at = Block(
        number=number,
        hash=raw(header["hash"]),
        parent_hash=raw(header["parentHash"]),
        time=int(header["timestamp"], 16),
    )
    truth = truth_at(net.node, net.market, number)
    with store.reading() as reader:
        snapshot = reader.venue_snapshot(venue, at)
        stored = {unit.unit_id: unit for unit in reader.unit_snapshots(venue, at)}
    everybody = stored | {raw(owner): nobody(raw(owner)) for owner in truth.accounts if raw(owner) not in stored}
    value = open_book(snapshot)
    valued = {owner: value(unit) for owner, unit in everybody.items()}
    return Moment(net=net, at=at, snapshot=snapshot, truth=truth, stored=everybody, valued=valued)


def compare_all(store: Store, venue: VenueSpec, net: Devnet, number: int, counted: Counter[str]) -> None:
    """Compare everything at a block; `counted`: how many numbers of each kind were equal."""
    now = moment(store, venue, net, number)
    for name, compare in COMPARISONS.items():
        counted[name] += compare(now)
    counted["totals"] += totals(store, now)


def accounts(now: Moment) -> int:
    """Compare all six numbers of every account."""
    for owner, said in now.truth.accounts.items():
        unit = now.valued[raw(owner)]
        assert unit.native is not None, f"block {now.at.number}: {owner}: {unit.reasons}"
        assert list(unit.native.values()) == [getattr(said, name) for name in said.__slots__], (
            f"{now.at.number}: {owner}"
        )
    assert not now.truth.refused_accounts
    return 6 * len(now.truth.accounts)


def scaled(now: Moment) -> int:
    """Compare every holder's scaled balances, and their sums."""
    count = 0
    for reserve in now.truth.reserves:
        for token, side in ((reserve.a_token, Side.SUPPLY), (reserve.variable_debt_token, Side.BORROW)):
            held = {owner: unit.positions.get((raw(reserve.asset), side), 0) for owner, unit in now.stored.items()}
            said = {raw(owner): amount for owner, amount in now.truth.scaled_balances[token].items()}
            assert {owner: amount for owner, amount in held.items() if amount} == {
                owner: amount for owner, amount in said.items() if amount
            }, f"block {now.at.number}: {reserve.asset} {side}"
            assert sum(held.values()) == now.truth.scaled_totals[token]
            count += len(said) + 1
    return count


def shown(now: Moment) -> int:
    """Compare what everybody has and owes in token units, at both rates."""
    owners, count = list(now.truth.accounts), 0
    for reserve in now.truth.reserves:
        data = reserve_words(now, reserve.asset)
        stable = f"0x{data[9]:040x}"
        tokens = [reserve.a_token, reserve.variable_debt_token, *([stable] if data[9] else [])]
        asked = [(token, calldata("balanceOf(address)", owner)) for owner in owners for token in tokens]
        said = now.integers(asked)
        for i, owner in enumerate(owners):
            supplied, *owed = said[i * len(tokens) : (i + 1) * len(tokens)]
            for side, theirs in ((Side.SUPPLY, supplied), (Side.BORROW, sum(owed))):
                positions = now.valued[raw(owner)].positions
                ours = sum(p.amount_raw for p in positions if (p.asset, p.side) == (raw(reserve.asset), side))
                assert ours == theirs, f"block {now.at.number}: {owner} {side} of {reserve.asset}: {ours} != {theirs}"
                count += 1
    return count


def reserves(now: Moment) -> int:
    """Compare indexes, rates and every field of the configuration."""
    for reserve in now.truth.reserves:
        words = reserve_words(now, reserve.asset)
        rates, told = now.state(reserve.asset, "rates"), now.state(reserve.asset, "reserve")
        assert [int(str(rates[name])) for name in RATES] == words[1:5], f"block {now.at.number}: {reserve.asset}"
        assert (rates["updated_at"], told["id"]) == (words[6], words[7])
        terms = {**now.state(reserve.asset, "terms"), **now.state(reserve.asset, "limits")}
        ours = {name: int(str(int(terms[name]))) for name in CONFIGURED}  # type: ignore[call-overload]
        assert ours == {name: words[0] >> bit & (1 << size) - 1 for name, (bit, size) in CONFIGURED.items()}
        isolated = now.state(reserve.asset, "isolation").get("total_debt", "0")
        assert int(str(isolated)) == words[14]
    return len(now.truth.reserves) * (len(RATES) + len(CONFIGURED) + 3)


def prices(now: Moment) -> int:
    """Compare every reserve's price."""
    book = Book(now.snapshot)
    for asset, said in now.truth.prices.items():
        ours = book.price(raw(asset))
        assert isinstance(ours, VenuePrice)
        assert ours.answer_raw == said, f"block {now.at.number}: {asset}"
    return len(now.truth.prices)


def choices(now: Moment) -> int:
    """Compare which assets everybody lets count and owes, bit by bit, and everybody's category."""
    owners = list(now.truth.accounts)
    words = now.integers((now.net.market.pool, calldata("getUserConfiguration(address)", owner)) for owner in owners)
    modes = now.integers((now.net.market.pool, calldata("getUserEMode(address)", owner)) for owner in owners)
    for owner, word, mode in zip(owners, words, modes, strict=True):
        unit, valued = now.stored[raw(owner)], now.valued[raw(owner)]
        owing = {p.asset for p in valued.positions if p.side is Side.BORROW}
        bits = 0
        for reserve in now.truth.reserves:
            counts = unit.settings.get((raw(reserve.asset), "collateral")) == "true"
            bits |= (raw(reserve.asset) in owing) << 2 * reserve.number | counts << 2 * reserve.number + 1
        assert bits == word, f"block {now.at.number}: {owner}: {bits:b} != {word:b}"
        assert int(unit.settings.get((WHOLE_VENUE, "emode"), "0")) == mode
    return 2 * len(owners)


def categories(now: Moment) -> int:
    """Compare terms, labels and members of the categories that there are."""
    book, pool = Book(now.snapshot), now.net.market.pool
    for category, ours in book.emodes.items():
        words = "(uint16,uint16,uint16,address,string)"
        (said,) = decode([words], now.ask((pool, calldata("getEModeCategoryData(uint8)", category)))[0])
        state = json.loads(now.snapshot.markets[WHOLE_VENUE, f"emode:{category}"])
        assert (ours.ltv, ours.liquidation_threshold, ours.liquidation_bonus, state["label"]) == (*said[:3], said[4])
        assert (ours.price_source or bytes(20)) == raw(said[3])
        if book.revision is not None and book.revision >= FIRST_LIQUID:
            for role in ("Collateral", "Borrowable", "Ltvzero"):
                view = f"getEModeCategory{role}Bitmap(uint8)"
                (bitmap,) = now.integers([(pool, calldata(view, category))])
                assert sum(1 << number for number in getattr(ours, role.lower())) == bitmap, f"{now.at.number}: {role}"
    return len(book.emodes)


def left(now: Moment) -> int:
    """Compare how many tokens every reserve has, by the pool's count or by what its aToken holds."""
    book = Book(now.snapshot)
    for reserve in now.truth.reserves:
        ours = book.reserves[raw(reserve.asset)].left
        if (book.revision or 0) < FIRST_LIQUID:
            (said,) = now.integers([(reserve.asset, calldata("balanceOf(address)", reserve.a_token))])
        else:
            question = calldata("getVirtualUnderlyingBalance(address)", reserve.asset)
            (said,) = now.integers([(now.net.market.pool, question)])
        assert ours == said, f"block {now.at.number}: {reserve.asset}"
    return len(now.truth.reserves)


def totals(store: Store, now: Moment) -> int:
    """Compare whatever a control would ask of the pool and its tokens: totals, both indexes by now, deficits."""
    venue = now.snapshot.venue
    sums = store.records(venue.chain_id).sums(venue.id, now.at.number)
    assert sums is not None
    asked = AaveV3(venue, raw(now.net.market.provider)).totals(now.snapshot.markets, sums, now.at)
    said = now.integers(("0x" + read.address.hex(), "0x" + read.input.hex()) for read in asked)
    assert list(asked.values()) == said, f"block {now.at.number}"
    return len(said)


def reserve_words(now: Moment, asset: str) -> Sequence[int]:
    """Return the words of `getReserveData`."""
    (answer,) = now.ask((now.net.market.pool, calldata("getReserveData(address)", asset)))
    return [int(word) for word in decode(["uint256"] * 15, answer)]


def nobody(owner: bytes) -> UnitSnapshot:
    """Return an owner who has nothing."""
    return UnitSnapshot(unit_id=owner, owner=owner, positions={}, settings={})


COMPARISONS = {
    "accounts": accounts,
    "scaled balances": scaled,
    "balances": shown,
    "reserves": reserves,
    "prices": prices,
    "choices": choices,
    "categories": categories,
    "left": left,
}


def market_of(net: Devnet) -> VenueSpec:
    """The market as a venue of which all is followed."""
    return replace(venue_of(net), options={"liquidity": "read"})


def take_upgraded(story: Upgraded, path: Path, span: int = 10_000) -> None:
    """Index a market that was upgraded into a new store."""
    with Store.open(path) as store:
        asyncio.run(take_in(Narrow(connect(chain_of(story.net), [market_of(story.net)], []), span), store))


def sampled(story: Upgraded) -> list[int]:
    """Return the blocks of every step, those beside them, and some of the time between."""
    head = story.net.node.height()
    beside = {block + i for block in story.moments.values() for i in (-1, 0, 1)}
    return sorted(block for block in beside | set(range(story.moments["3.0.0"] // 2, head, 40)) if block <= head)


def compare_upgraded(story: Upgraded, path: Path) -> Counter[str]:
    """Compare everything at all blocks that are sampled; how many numbers of each kind were equal."""
    counted: Counter[str] = Counter()
    with Store.open(path) as store:
        for block in sampled(story):
            compare_all(store, market_of(story.net), story.net, block, counted)
    return counted


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare markets of many crowds; every other one is upgraded to 3.6 in one block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--actions", type=int, default=150)
    options = parser.parse_args(arguments)
    everything: Counter[str] = Counter()
    for seed in range(options.first, options.first + options.seeds):
        with (
            TemporaryDirectory() as folder,
            upgrades.build(seed=seed, actions=options.actions, at_once=seed % 2 == 0) as story,
        ):
            take_upgraded(story, Path(folder) / "store.duckdb")
            everything += compare_upgraded(story, Path(folder) / "store.duckdb")
        sys.stdout.write(f"seed {seed}: {everything.total()} numbers were equal so far\n")
    sys.stdout.write("".join(f"{name}: {count}\n" for name, count in everything.items()))


if __name__ == "__main__":
    main()
