"""Switchboard's feeds and pools of staked SOL in a real store: a mainnet account is read from a node and becomes a mark."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from aggregator.margin.inputs import Cut
from aggregator.observations import observe
from aggregator.oracle.mark import Mark, marks_of
from chains.model import FEEDS, FeedSpec, Finality
from chains.registry import connect
from chains.solana.oracles.stake_pool import MARINADE, STAKE_POOLS
from chains.solana.oracles.switchboard.account import PROGRAM
from indexer.loop import rebuild
from indexer.store import Store
from tests.devnet.solana.chain import Devnet, build
from tests.support.indexing import Heard, take_in
from tests.support.solana_indexing import chain_of
from tests.unit.chains.solana.test_stake_pool import BLAZE, JITO
from tests.unit.chains.solana.test_stake_pool import MARINADE as STATE

DUMP = Path(__file__).parents[5] / "shared" / "fixtures" / "solana" / "switchboard" / "swb_pull_sol_price.json"
WRAPPED = "So11111111111111111111111111111111111111112"
MINTS = {
    "jito": "J1toso1uCk3RLmjorhTtrVwY9HJ7X8V9yYac6Y7kGCPn",
    "blaze": "bSo13r4TkiE4KumL71LsHTPpL2euBYLFx6h9HP3piy1",
    "marinade": "mSoLzYCxHdYgdzU16g5QSh3i5K3z3KZK7ytfqcJm7So",
}


def key(name: str) -> Pubkey:
    return Pubkey.from_bytes(name.encode().ljust(32, b"\x05"))


def switchboard_account() -> bytes:
    if not DUMP.exists():
        pytest.skip(f"no account dump at {DUMP}")
    return base64.b64decode(json.loads(DUMP.read_text())["account"]["data"][0])


@dataclass(slots=True)
class Stand:
    """A cluster with some accounts of mainnet, the feeds that read them, and a store."""

    net: Devnet
    store: Store
    feeds: list[FeedSpec]

    def put(self, name: str, owner: bytes, data: bytes) -> None:
        self.net.ledger.set_account(key(name), owner=Pubkey.from_bytes(owner), data=data)
        self.net.ledger.idle(2)

    def look(self) -> None:
        adapter = connect(chain_of(self.net, finality="confirmed"), [], self.feeds)
        asyncio.run(take_in(adapter, self.store))

    def phase(self, name: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.store.state(self.net.chain_id).markets(FEEDS)[bytes(key(name)), "phase"])
        return said

    @property
    def now(self) -> int:
        return self.net.ledger.time_of(self.net.ledger.tip.slot)

    def marks(self) -> dict[str, Any]:
        """The marks at the cursor."""
        cursor = self.store.cursor(self.net.chain_id)
        assert cursor is not None
        cuts = {self.net.chain_id: Cut(block=cursor.block, finality=Finality.CONFIRMED)}
        with self.store.reading() as reader:
            seen: dict[str, list[Any]] = {}
            for each in observe(reader, self.feeds, cuts, ()):
                seen.setdefault(each.asset, []).append(each)
        return dict(marks_of(seen, {self.net.chain_id: cursor.block.time}))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with (
        build(seed=5, users=1, actions=0, skips=False, wrapped_sol=True) as net,
        Store.open(tmp_path / "store.duckdb") as store,
    ):
        sol = f"{net.chain_id}/token:{WRAPPED}"
        price = FeedSpec(
            asset=sol, kind="switchboard", chain_id=net.chain_id, address=bytes(key("sol")), heartbeat_s=60, deviation=0.0,
            max_confidence=0.02,
        )  # fmt: skip
        rates = [
            FeedSpec(
                asset=f"{net.chain_id}/token:{mint}", kind="redemption-rate", chain_id=net.chain_id, address=bytes(key(name)),
                heartbeat_s=0, deviation=0.0, of=sol, unit_raw=10**18,
            )
            for name, mint in MINTS.items()
        ]  # fmt: skip
        yield Stand(net, store, [price, *rates])


def updated(account: bytes, time: int) -> bytes:
    """The same feed, last updated at another Unix second."""
    return account[:2216] + time.to_bytes(8, "little") + account[2224:]


def founded(stand: Stand, *, account: bytes | None = None) -> None:
    stand.put("sol", PROGRAM, account or updated(switchboard_account(), stand.now - 30))
    stand.put("jito", STAKE_POOLS, JITO)
    stand.put("blaze", STAKE_POOLS, BLAZE)
    stand.put("marinade", MARINADE, STATE)
    stand.look()


def test_staked_sol_is_marked_by_its_pool_and_switchboards_price(stand: Stand) -> None:
    founded(stand)
    marks = stand.marks()
    sol = marks[f"{stand.net.chain_id}/token:{WRAPPED}"]
    jito, blaze, marinade = (marks[f"{stand.net.chain_id}/token:{mint}"] for mint in MINTS.values())

    assert isinstance(sol, Mark)
    assert sol.mid == pytest.approx(155.59404527, rel=1e-12)
    assert sol.high - sol.mid == pytest.approx(1.96 * 0.24016179, rel=1e-6)
    assert [each.mid / sol.mid for each in (jito, blaze)] == pytest.approx([1.0726, 1.0294], abs=1e-4)
    assert 1.15 < marinade.mid / sol.mid < 1.25
    assert 30 <= jito.used[0].age_s == sol.used[0].age_s < 40


def test_a_price_is_refused_when_its_own_time_is_long_ago(stand: Stand) -> None:
    founded(stand, account=switchboard_account())
    marks = stand.marks()

    assert {each.cause for each in marks.values()} == {"stale", "base_unpriced"}


def test_a_rebuild_makes_the_same_of_the_stored_accounts(stand: Stand) -> None:
    founded(stand)
    before = stand.marks()
    asyncio.run(rebuild(chain_of(stand.net, finality="confirmed"), [], stand.feeds, stand.store, listener=Heard()))

    assert stand.marks() == before
    assert all(isinstance(each, Mark) for each in before.values())


@pytest.mark.parametrize(
    "name, owner, data, problem",
    [
        (
            "sol",
            STAKE_POOLS,
            b"",
            "belongs to program SPoo1Ku8WFXoNDMHPsrGSTSG1Y47rzgn41SLUNakuHy, not to Switchboard On-Demand",
        ),
        ("sol", PROGRAM, b"\1" * 3_208, "begins with 0101010101010101, a PullFeedAccountData with c41b6cc40ad7db28"),
        ("jito", PROGRAM, JITO, "not to the stake pool program or Marinade"),
        ("jito", STAKE_POOLS, JITO[:600], "600"),
        ("jito", STAKE_POOLS, JITO[:266] + bytes(8) + JITO[274:], "the pool has no tokens"),
    ],
)
def test_an_account_that_is_something_else_has_no_price(
    stand: Stand, name: str, owner: bytes, data: bytes, problem: str
) -> None:
    stand.put(name, owner, data)
    stand.look()

    assert stand.phase(name)["aggregator"] is None
    assert problem in stand.phase(name)["problem"]


def test_a_pool_of_another_token_is_in_doubt(stand: Stand) -> None:
    stand.put("jito", STAKE_POOLS, BLAZE)
    stand.look()

    assert stand.phase("jito")["fault"].startswith(f"the pool's token is {MINTS['blaze']}, not the asset ")
    assert stand.marks()[f"{stand.net.chain_id}/token:{MINTS['jito']}"].cause == "no_answer"


def test_a_feed_of_other_jobs_is_in_doubt(stand: Stand) -> None:
    stand.feeds[0] = replace(stand.feeds[0], feed_id=b"\7" * 32)
    stand.put("sol", PROGRAM, switchboard_account())
    stand.look()

    assert stand.phase("sol")["fault"].endswith("configured is " + "07" * 32)
    assert stand.marks()[stand.feeds[0].asset].cause == "in_doubt"


def test_a_feed_without_a_result_has_no_price(stand: Stand) -> None:
    account = switchboard_account()
    stand.put("sol", PROGRAM, account[:2368] + bytes(8) + account[2376:])
    stand.look()

    assert stand.phase("sol")["problem"] == "the feed has no result yet"


@pytest.mark.parametrize(
    "at, raw, problem",
    [
        (2264, (2**127 - 1).to_bytes(16, "little"), "more than 38 digits"),
        (2216, (2**62).to_bytes(8, "little"), "has no date"),
    ],
)
def test_a_result_that_cannot_be_kept_takes_the_one_before_it_along(
    stand: Stand, at: int, raw: bytes, problem: str
) -> None:
    founded(stand)
    account = switchboard_account()
    stand.put("sol", PROGRAM, account[:at] + raw + account[at + len(raw) :])
    stand.look()

    assert problem in stand.phase("sol")["problem"]
    assert {each.cause for each in stand.marks().values()} == {"no_answer", "base_unpriced"}


def test_an_account_that_goes_takes_its_price_along(stand: Stand) -> None:
    stand.look()

    assert stand.phase("sol")["problem"] == "there is no account at this address"
